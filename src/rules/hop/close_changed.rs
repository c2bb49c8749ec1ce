//! A Close that came to the hop left it with another code or reason, or not at all.

use crate::base::{PacketRef, Timestamp};
use crate::model::{Confidence, Direction, EndHow, Evidence, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::side::{Side, apart, sides};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-close-changed",
    severity: Severity::Warning,
    title: "a hop changed a Close, or did not pass it on",
    about: "The code or the reason of a Close frame differs between the two sides of the hop, or the hop ended the \
        other side without any Close. So what one end said is not what the other end heard: an application that \
        reconnects, logs out or gives up by the code does the wrong thing, and whoever looks for the cause reads the \
        wrong code. An end without a Close is 1006 to a browser.\n\nA warning where a code of the application (3000 and \
        above) came to the hop, and another one left it, or where the client heard none.",
    refs: &["RFC 6455 §5.5.1", "RFC 6455 §7.1.5", "RFC 6455 §7.4.1"],
    causes: &[
        "the proxy ends WebSocket on each side by itself and closes with a code of its own",
        "the proxy closes its connections as soon as it reads a Close, before it passed it on",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Hop(check),
};

/// A Close as one leg shows it.
struct Said<'a> {
    code: Option<u16>,
    reason: &'a [u8],
    at: PacketRef,
    ts: Timestamp,
    bytes: Option<std::ops::Range<u64>>,
}

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((near, far)) = sides(view) else { return };
    let ways = [
        (Direction::ClientToServer, &near, &far, "client", "backend"),
        (Direction::ServerToClient, &far, &near, "backend", "client"),
    ];
    for (direction, from, to, sender, receiver) in ways {
        if [from, to].iter().any(|side| side.holed() || side.lost_track()) {
            continue;
        }
        let Some(came) = said(from, direction) else { continue };
        let who = view.who();
        let start = Text::own(format!("{} turned ", capital(&who)));
        let (what, left) = match said(to, direction) {
            Some(left) if (left.code, left.reason) != (came.code, came.reason) => {
                // What left before it came is no answer to it.
                if !apart(view, (from, came.ts), (to, left.ts)).is_later() {
                    continue;
                }
                (start.join(close(&came)).say(format!(" of its {sender} into ")).join(close(&left)), Some(left))
            }
            Some(_) => continue,
            None => {
                // An answer to a Close may stay away; the first word of an end that is gone is a loss.
                let ended = to.x.end.tcp_at.filter(|_| to.ended_by_hop() && to.x.end.how != EndHow::CloseFrame);
                let Some(ended) = ended.filter(|_| from.x.end.by == Some(direction)) else { continue };
                if !apart(view, (from, came.ts), (to, ended)).is_later() {
                    continue;
                }
                let end = to.tcp_word().unwrap_or("end");
                (start.join(close(&came)).say(format!(" of its {sender} into a mere {end}")), None)
            }
        };
        let after = left.as_ref().map(|left| left.at).or(to.x.end.packet);
        let text = what.say(format!(" towards its {receiver} (")).packets([came.at].into_iter().chain(after)).say(").");
        let found = match &left {
            Some(left) => close(left),
            None => Text::own("no Close"),
        };
        // Programs decide by a code of the application's own what to do next.
        let matters = came.code.is_some_and(|code| code >= 3_000) && left.as_ref().is_some_and(|l| l.code != came.code);
        // A client that hears no Close takes it for a fault (1006), whatever the backend said.
        let matters = matters || left.is_none() && direction == Direction::ServerToClient;
        let severity = if matters { Severity::Warning } else { Severity::Info };
        let mut found =
            out.add(text).severity(severity).confidence(Confidence::Certain).expected(close(&came)).found(found);
        for said in [Some(&came), left.as_ref()].into_iter().flatten() {
            let bytes = said.bytes.clone();
            found = found.evidence(Evidence { at: said.at, direction: Some(direction), bytes });
        }
    }
}

/// The Close that this side of a leg sent. Where the frames were not kept, the one that ended the leg.
fn said<'a>(side: &Side<'a>, direction: Direction) -> Option<Said<'a>> {
    if let Some(talk) = &side.x.talk {
        let close = talk.of(direction).close()?;
        let bytes = close.offset..close.offset.saturating_add(u64::from(close.length));
        return Some(Said { code: close.code, reason: &close.reason, at: close.at, ts: close.ts, bytes: Some(bytes) });
    }
    let end = &side.x.end;
    let close = end.close.as_ref().filter(|_| end.by == Some(direction))?;
    Some(Said { code: close.code, reason: &close.reason, at: end.packet?, ts: end.at?, bytes: None })
}

/// `Close 4401 "bye"`, `Close without a code`.
fn close(said: &Said<'_>) -> Text {
    match said.code {
        None => Text::own("Close without a code"),
        Some(code) if said.reason.is_empty() => Text::own(format!("Close {code}")),
        Some(code) => Text::own(format!("Close {code} \"")).bytes(said.reason).say("\""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::model::{Close, Exchange, Finding, Rare, SentClose, Spoken, Talk};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    const CLIENT: Direction = Direction::ClientToServer;
    const SERVER: Direction = Direction::ServerToClient;

    /// A granted leg that this side closed with this code and reason, 2 s after its 101.
    fn closed(by: Direction, code: u16, reason: &str) -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| {
            let at = x.response.as_ref().unwrap().last + Nanos::from_secs(2);
            (x.end.by, x.end.how, x.end.at) = (Some(by), EndHow::CloseFrame, Some(at));
            x.end.packet = Some(PacketRef::new(0, 20));
            x.end.close = Some(Close { code: Some(code), reason: reason.as_bytes().into() });
            (x.end.tcp_by, x.end.tcp_how, x.end.tcp_at) = (Some(by), EndHow::Fin, Some(at + Nanos::from_millis(1)));
        })
    }

    /// The same, as the frames tell it.
    fn told(x: Exchange) -> Exchange {
        x.with(|x| {
            let close = x.end.close.clone().unwrap();
            let sent = SentClose {
                at: x.end.packet.unwrap(),
                ts: x.end.at.unwrap(),
                offset: 300,
                length: 4,
                code: close.code,
                reason: close.reason,
                payload: 2,
            };
            let rare = Some(Box::new(Rare { close: Some(Box::new(sent)), ..Rare::default() }));
            let spoken = Spoken { rare, ..Spoken::default() };
            let mut talk = Talk::default();
            match x.end.by {
                Some(CLIENT) => talk.client = spoken,
                _ => talk.server = spoken,
            }
            x.talk = Some(Box::new(talk));
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        // The near leg was granted 2 ms later, and hears what the backend says that much later.
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn another_code_or_reason_behind_the_hop_is_found() {
        for with in [std::convert::identity as fn(Exchange) -> Exchange, told] {
            let changed = found(with(closed(SERVER, 1001, "")), with(closed(SERVER, 4401, "log in")));
            let message = words(&changed[0].message);
            assert!(
                message.contains("turned Close 4401 \"log in\" of its backend into Close 1001 towards its client"),
                "{message}"
            );
            let reason = found(with(closed(SERVER, 1000, "")), with(closed(SERVER, 1000, "bye")));
            assert_eq!(reason.len(), 1);
        }
    }

    #[test]
    fn a_close_that_was_passed_on_is_not() {
        for with in [std::convert::identity as fn(Exchange) -> Exchange, told] {
            assert!(found(with(closed(SERVER, 1000, "bye")), with(closed(SERVER, 1000, "bye"))).is_empty());
        }
        let own = closed(SERVER, 1001, "").with(|x| x.end.at = x.end.at.map(|at| at - Nanos::from_secs(1)));
        assert!(found(own, closed(SERVER, 1000, "")).is_empty(), "the hop had closed before");
    }

    #[test]
    fn a_close_that_became_a_fin_is_found() {
        let near = closed(SERVER, 1000, "").with(|x| {
            (x.end.how, x.end.close) = (EndHow::Fin, None);
        });
        let lost = found(near.clone(), closed(SERVER, 1011, ""));
        assert!(
            words(&lost[0].message).contains("turned Close 1011 of its backend into a mere FIN towards its client")
        );
        let left = near.with(|x| (x.end.by, x.end.tcp_by) = (Some(CLIENT), Some(CLIENT)));
        assert!(found(left, closed(SERVER, 1011, "")).is_empty(), "the client left by itself");
    }

    #[test]
    fn holes_prove_nothing() {
        let near = || closed(SERVER, 1001, "");
        let holed = closed(SERVER, 4401, "").with(|x| x.quality.gap = true);
        assert_eq!(found(near(), closed(SERVER, 4401, "")).len(), 1);
        assert!(found(near(), holed).is_empty());
    }
}
