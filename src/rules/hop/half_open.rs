//! One connection of a hop is over, and it keeps the other one open.

use crate::base::{Nanos, Timestamp};
use crate::model::{Confidence, Evidence, LastFrame, Severity, Spoken, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::side::{Side, apart, one_clock, sides};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};
use crate::wire::websocket::CLOSE;

pub(super) static RULE: Rule = Rule {
    id: "hop-half-open",
    severity: Severity::Error,
    title: "a hop keeps one side of a tunnel open although the other is over",
    about: "The tunnel ended on one side of the hop, and for five seconds and more the hop did not end the other, or for two \
        while whoever is there went on to send messages. \
        Who is there goes on waiting, and sends into nothing: a backend keeps sessions of clients that have left, a \
        client believes itself connected. Such connections pile up until some limit of their own ends them.\n\n\
        A side counts as over behind its last packet, so that a tunnel whose one direction goes on behind a FIN of \
        the other is none of these.\n\nAn error where the client goes on to send messages to a backend that is gone, otherwise a \
        warning.",
    refs: &["RFC 9293 §3.6", "RFC 6455 §7.1.1"],
    causes: &[
        "the proxy does not pass the end of one connection on to the other",
        "the proxy waits for the other side to close, and has no limit for that (timeout client-fin, \
         timeout server-fin and their like)",
        "the proxy never saw the end: a box in between forgot or cut the connection",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["hop-tunnel-dead"],
    check: Check::Hop(check),
};

/// How long the other side may stay open.
const LINGER: Nanos = Nanos::from_secs(5);

/// How long whoever is on the other side may go on to speak.
const IN_VAIN: Nanos = Nanos::from_secs(2);

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((near, far)) = sides(view) else { return };
    for (over, open, whose, other) in [(&near, &far, "client", "backend"), (&far, &near, "backend", "client")] {
        let Some(ended) = over.x.end.tcp_at else { continue };
        // What goes on behind a FIN belongs to the tunnel.
        let ended = over.x.times.last.map_or(ended, |last| last.max(ended));
        let Some((until, closed)) = until(open) else { continue };
        let between = apart(view, (over, ended), (open, until));
        let longer = between.by.0.saturating_sub(between.slack.0);
        // Whoever is there may show sooner that it does not know, by a message or by closing over it; not by control frames,
        // which a library sends. A Close that the hop sent there waits for its answer (RFC 6455 §7.1.1).
        let talk = open.x.talk.as_ref();
        // A FIN cannot pass what the window keeps back (RFC 9293 §3.8.6): whoever does not read is told elsewhere.
        let stall = talk.and_then(|talk| talk.transport.as_ref()?.stall_of(open.hop));
        if stall.is_some_and(|s| s.lasts || apart(view, (over, ended), (open, s.from + s.length)).is_later()) {
            continue;
        }
        let waits = talk.is_some_and(|talk| talk.of(open.hop).close().is_some());
        let party = talk.filter(|_| !waits).map(|talk| talk.of(open.hop.other()));
        let gave_up =
            |party: &Spoken| party.close().is_some_and(|close| !matches!(close.code, None | Some(1000 | 1001)));
        let spoke = party.and_then(|party| {
            let says = |last: &LastFrame| last.bits & 0x0f < CLOSE || last.bits & 0x0f == CLOSE && gave_up(party);
            party.last.filter(says)
        });
        let in_vain = spoke.is_some_and(|last| {
            let spoke = apart(view, (over, ended), (open, last.ts));
            spoke.by.0.saturating_sub(spoke.slack.0) >= IN_VAIN.0
        });
        if longer < IN_VAIN.0 || longer < LINGER.0 && !in_vain {
            continue;
        }
        let who = view.who();
        let end = if closed { "it ended" } else { "the last that was seen of it" };
        let text = format!(
            "{} kept the connection to its {other} open when that to its {whose} was over: {end} {} later",
            capital(&who),
            response::length(Timestamp::default(), Timestamp::default() + between.by),
        );
        let mut text = Text::own(text);
        let ends = [over.x.end.packet, open.x.end.packet.filter(|_| closed)];
        if ends[0].is_some() {
            text = text.say(" (").packets(ends.into_iter().flatten()).say(")");
        }
        let holed = over.holed() || open.holed();
        let mut confidence = if one_clock(view) { Confidence::Certain } else { Confidence::Likely };
        if holed {
            confidence = confidence.lower();
        }
        let mut found = out
            .add(text.say("."))
            // What the client says is lost.
            .severity(if in_vain && whose == "backend" { Severity::Error } else { Severity::Warning })
            .confidence(confidence)
            .expected(Text::own(format!("the end of the connection to its {other} too")))
            .found(Text::own(if closed { "it stayed open" } else { "no end in view" }));
        for at in ends.into_iter().flatten() {
            found = found.evidence(Evidence { at, direction: None, bytes: None });
        }
    }
}

/// Until when a leg was open for sure, and whether it ended then.
fn until(open: &Side<'_>) -> Option<(Timestamp, bool)> {
    match open.x.end.tcp_at {
        Some(at) => Some((at, true)),
        None => Some((open.x.times.last?, false)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Direction, EndHow, Exchange, Finding, Rare, Talk};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    /// A granted leg that ended (or not) and whose last packet came so long after its 101.
    fn leg(ended: Option<i64>, last: i64) -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| {
            let granted = x.response.as_ref().unwrap().last;
            if let Some(ms) = ended {
                (x.end.tcp_by, x.end.tcp_how) = (Some(Direction::ClientToServer), EndHow::Fin);
                x.end.tcp_at = Some(granted + Nanos::from_millis(ms));
                x.end.packet = Some(PacketRef::new(0, 20));
            }
            x.times.last = Some(granted + Nanos::from_millis(last));
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn a_side_that_stays_open_behind_the_end_of_the_other_is_found() {
        let left = found(leg(Some(100), 101), leg(Some(9_000), 9_000));
        assert_eq!((left.len(), left[0].confidence), (1, Confidence::Certain));
        let message = words(&left[0].message);
        assert!(
            message.contains("open when that to its client was over: it ended 8.9 s later (packets 20 → 20)."),
            "{message}"
        );
        let back = found(leg(None, 9_000), leg(Some(100), 101));
        assert!(words(&back[0].message).contains("to its client open when that to its backend was over: the last"));
    }

    #[test]
    fn whoever_speaks_in_vain_makes_it_sure_sooner() {
        let spoke = |ms: i64, bits: u8| {
            leg(Some(4_000), 4_000).with(|x| {
                let mut talk = Talk::default();
                let ts = x.response.as_ref().unwrap().last + Nanos::from_millis(ms);
                talk.client.last = Some(LastFrame { ts, bits, ..LastFrame::default() });
                x.talk = Some(Box::new(talk));
            })
        };
        let told = |ms: i64, bits: u8| found(spoke(ms, bits), leg(Some(100), 101)).first().map(|found| found.severity);
        assert_eq!(told(3_900, 0x81), Some(Severity::Error));
        assert_eq!((told(1_900, 0x81), told(3_900, 0x89)), (None, None), "soon; a Ping");
        let mut waits = spoke(3_900, 0x81);
        let rare = Rare { close: Some(Box::default()), ..Rare::default() };
        waits.talk.as_mut().unwrap().server.rare = Some(Box::new(rare));
        assert!(found(waits, leg(Some(100), 101)).is_empty(), "the hop said Close and waits for the answer");
    }

    #[test]
    fn a_tunnel_that_goes_on_one_way_and_an_end_soon_after_are_not() {
        assert!(found(leg(Some(100), 8_000), leg(Some(9_000), 9_000)).is_empty(), "a direction went on");
        assert!(found(leg(Some(100), 101), leg(Some(4_000), 4_000)).is_empty());
        assert!(found(leg(None, 9_000), leg(None, 100)).is_empty());
        assert!(found(leg(Some(100), 101), leg(None, 110)).is_empty(), "the capture may have ended");
    }

    #[test]
    fn other_clocks_change_nothing_but_how_sure_it_is() {
        let far = leg(Some(9_000), 9_000).with(|x| x.shift(Nanos::from_secs(-60)));
        let found = run_hop_of(&RULE, leg(Some(100), 101), far, |hop| hop.forward = None);
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Likely));
    }
}
