//! Both legs were upgraded, and the hop passes nothing on.

use std::ops::Range;

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Confidence, Direction, EndHow, Evidence, FaultClass, Severity, Spoken, Text, WsTotals};
use crate::rules::hop::answer::{WAIT, capital};
use crate::rules::hop::said::{Way, ways};
use crate::rules::hop::side::{Side, sides};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-tunnel-dead",
    severity: Severity::Error,
    title: "a hop passed the 101 on, but not what follows it",
    about: "Both legs were granted, bytes entered the hop on one of them, and none left it on the other: the \
        connection is open and dead, in one direction or both. The hop passed the 101 on like any answer and did \
        not turn the connection into a tunnel.\n\nIt is certain where the leg that should carry the bytes goes on \
        in the capture for a second and more without them, or was captured together with one that does.",
    refs: &["RFC 9110 §7.8", "RFC 9112 §9.6"],
    causes: &[
        "the proxy treats the 101 as an ordinary answer and reads what follows as new requests",
        "the proxy relays one direction only",
        "a filter or buffer of the proxy waits for the end of an answer that has none",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &["hop-101-fabricated"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((near, far)) = sides(view) else { return };
    let said = ways(view);
    let ways = [(0, &near, &far, "its client", "backend"), (1, &far, &near, "its backend", "client")];
    let dead = ways.map(|(at, from, to, sender, receiver)| {
        let first = first(at, from, to, said.get(at))?;
        let confidence = stuck(from, to, first.ts)?;
        Some((first, confidence, from.hop, sender, receiver))
    });
    let (both, found) = match dead {
        [Some(client), Some(_)] => (true, client),
        [Some(one), None] | [None, Some(one)] => (false, one),
        [None, None] => return,
    };
    let (first, confidence, hop, sender, receiver) = found;
    let what = match both {
        true => "nothing on, in either direction".to_owned(),
        false => format!("nothing of what {sender} sent on to its {receiver}"),
    };
    let who = view.who();
    let text = format!("{} passed the 101 on and then {what} (", capital(&who));
    let from = if hop == Direction::ServerToClient { Direction::ClientToServer } else { Direction::ServerToClient };
    out.add(Text::own(text).packets([first.at]).say(")."))
        .confidence(confidence)
        .expected(Text::own("the same bytes or messages on the other leg"))
        .found(Text::own("none"))
        .evidence(Evidence { at: first.at, direction: Some(from), bytes: Some(first.bytes) });
}

/// No hop holds bytes for so long before it passes on that their sender has gone.
const IN_HAND: Nanos = Nanos::from_millis(200);

/// What entered the hop first of what never left it.
struct First {
    at: PacketRef,
    ts: Timestamp,
    bytes: Range<u64>,
}

/// What entered the hop, if nothing of its kind left it: bytes, or messages where the hop sends frames of its own
/// (it may send and answer Pings by itself, and so pass on none of those that came). `at`: 0 for what the client
/// sends, 1 for the server.
fn first(at: usize, from: &Side<'_>, to: &Side<'_>, said: Option<&Way<'_>>) -> Option<First> {
    let counts = |ws: WsTotals| if at == 0 { ws.client } else { ws.server };
    let frames = to.x.ws.is_some_and(|ws| counts(ws).frames > 0);
    let messages = said.map(|way| {
        let spoke = |spoken: &Spoken| spoken.text_bytes + spoken.binary_bytes > 0 || !spoken.messages().is_empty();
        (way.came.messages().first(), spoke(way.left) || way.counts().1.messages > 0 || to.lost_track())
    });
    if to.x.after_101.get(at).is_some_and(Option::is_some) || frames {
        let (message, left) = messages?;
        let m = message.filter(|_| !left)?;
        let end = m.offset.saturating_add(u64::from(m.wire_bytes));
        return Some(First { at: m.at, ts: m.ts, bytes: m.offset..end });
    }
    let answered = said.and_then(|way| way.came.pings()).is_some_and(|pings| pings.answered > 0);
    let only_pings = from.x.ws.map(counts).is_some_and(|came| came.frames == came.ping.saturating_add(came.pong));
    if answered && only_pings {
        return None;
    }
    let preview = from.x.after_101.get(at).and_then(Option::as_ref)?;
    let bytes = preview.offset..preview.offset.saturating_add(preview.bytes.len() as u64);
    Some(First { at: preview.at, ts: preview.ts, bytes })
}

/// Whether what entered the hop at this time never left it, and how sure that is. Times are counted from each leg's
/// own 101, so that other clocks change nothing.
fn stuck(from: &Side<'_>, to: &Side<'_>, entered: Timestamp) -> Option<Confidence> {
    if to.holed() {
        return None;
    }
    let entered = from.after(entered);
    let waited = |side: &Side<'_>| side.open().0 >= entered.0.saturating_add(WAIT.0);
    if waited(to) {
        return Some(Confidence::Certain);
    }
    if to.x.end.tcp_at.is_none() && waited(from) {
        // The one leg is silent; that it was still captured is sure only within one capture.
        let together = from.head.at.input() == to.head.at.input();
        return Some(if together { Confidence::Certain } else { Confidence::Possible });
    }
    // The end of the one who sent them went through, and they had come well before it.
    let late = |side: &Side<'_>| side.x.end.tcp_at.is_some_and(|at| side.after(at).0 >= entered.0 + IN_HAND.0);
    let followed = late(from) && late(to);
    if from.x.end.tcp_how == EndHow::Fin && !from.ended_by_hop() && to.ended_by_hop() && !to.left() && followed {
        return Some(Confidence::Likely);
    }
    // The hop itself gave up on both, with the bytes in its hands; it might just have been about to.
    let both = to.ended_by_hop() && from.ended_by_hop() && !to.left() && !from.left();
    let later = to.open().0 >= entered.0 && from.open().0 >= entered.0;
    (both && later).then_some(Confidence::Likely)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::{Exchange, Finding, Pings, Preview, Rare, WsCounts};
    use crate::rules::hop::said::tests as said;
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    /// A granted leg that lasts so long after its 101, with bytes of client and server 10 ms after it.
    fn leg(client: bool, server: bool, ms: i64) -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| {
            let head = x.response.as_ref().unwrap();
            let (last, range) = (head.last, head.range.clone());
            let preview = |there: bool| {
                let at = PacketRef::new(0, 9);
                let ts = last + Nanos::from_millis(10);
                there.then(|| Preview { bytes: b"\x81\x01a"[..].into(), at, ts, offset: range.end })
            };
            x.after_101 = [preview(client), preview(server)].map(|first| first.map(Box::new));
            x.times.last = Some(last + Nanos::from_millis(ms));
        })
    }

    fn ended(x: Exchange, by: Direction) -> Exchange {
        x.with(|x| {
            (x.end.tcp_by, x.end.by) = (Some(by), Some(by));
            x.end.tcp_how = EndHow::Fin;
            x.end.tcp_at = x.times.last;
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn bytes_that_enter_and_do_not_leave_while_the_leg_goes_on_are_found() {
        let one_way = found(leg(true, true, 3_000), leg(false, true, 3_000));
        assert_eq!(one_way[0].confidence, Confidence::Certain);
        assert!(words(&one_way[0].message).contains("nothing of what its client sent on to its backend (packet 9)"));
        let back = found(leg(true, false, 3_000), leg(true, true, 3_000));
        assert!(words(&back[0].message).contains("nothing of what its backend sent on to its client"));
        let neither = found(leg(true, false, 3_000), leg(false, true, 3_000));
        assert!(words(&neither[0].message).contains("nothing on, in either direction"));
    }

    #[test]
    fn a_silent_leg_of_another_capture_proves_less() {
        let far = leg(false, true, 20);
        assert_eq!(found(leg(true, true, 3_000), far.clone())[0].confidence, Confidence::Certain);
        let elsewhere = far.with(|x| x.response.iter_mut().for_each(|r| r.at = PacketRef::new(1, 6)));
        assert_eq!(found(leg(true, true, 3_000), elsewhere)[0].confidence, Confidence::Possible);
    }

    #[test]
    fn a_hop_that_closes_both_legs_with_the_bytes_in_its_hands_is_found() {
        let near = ended(leg(true, false, 12), Direction::ServerToClient);
        let far = || leg(false, false, 12);
        let by_hop = found(near.clone(), ended(far(), Direction::ClientToServer));
        assert_eq!(by_hop[0].confidence, Confidence::Likely);
        assert!(found(near, ended(far(), Direction::ServerToClient)).is_empty(), "the backend left first");
        let gone = ended(leg(true, false, 12), Direction::ClientToServer);
        assert!(found(gone, ended(far(), Direction::ClientToServer)).is_empty(), "the client left");
        let later = |x: Exchange| {
            ended(
                x.with(|x| x.times.last = x.times.last.map(|at| at + Nanos::from_millis(300))),
                Direction::ClientToServer,
            )
        };
        let found = found(later(leg(true, false, 12)), later(far()));
        assert_eq!(
            found[0].confidence,
            Confidence::Likely,
            "the client left after a while, and only that went through"
        );
    }

    #[test]
    fn bytes_that_come_through_and_holes_and_nothing_to_relay_are_no_case_of_it() {
        assert!(found(leg(true, true, 3_000), leg(true, true, 3_000)).is_empty());
        assert!(found(leg(false, false, 3_000), leg(false, false, 3_000)).is_empty());
        let holed = leg(false, true, 3_000).with(|x| x.quality.gap = true);
        assert!(found(leg(true, true, 3_000), holed).is_empty());
        assert!(found(leg(true, true, 20), leg(false, true, 20)).is_empty(), "the capture ends at once");
    }

    #[test]
    fn frames_of_the_hop_itself_are_not_the_messages_that_it_swallows() {
        let last = |x: Exchange| x.with(|x| x.times.last = x.times.last.map(|at| at + Nanos::from_secs(3)));
        let near = || last(said::leg(&[said::text("anybody there?", 10)], &[]));
        let pinged = || {
            last(said::leg(&[], &[])).with(|x| {
                let counts = WsCounts { frames: 2, ping: 2, ..WsCounts::default() };
                x.ws = Some(WsTotals { client: counts, ..WsTotals::default() });
            })
        };
        let swallowed = found(near(), pinged());
        assert!(words(&swallowed[0].message).contains("nothing of what its client sent on to its backend (packet 9)"));
        assert_eq!(swallowed[0].confidence, Confidence::Certain);
        assert!(found(near(), last(said::leg(&[said::text("anybody there?", 10)], &[]))).is_empty());
        let unknown = pinged().with(|x| x.talk = None);
        assert!(found(near(), unknown).is_empty());
    }

    #[test]
    fn pings_that_the_hop_answers_by_itself_need_not_leave_it() {
        let pinged = |answered: u32| {
            leg(true, true, 3_000).with(|x| {
                let counts = WsCounts { frames: 3, ping: 3, ..WsCounts::default() };
                x.ws = Some(WsTotals { client: counts, ..WsTotals::default() });
                let pings = Some(Box::new(Pings { answered, ..Pings::default() }));
                let mut talk = crate::model::Talk::default();
                talk.client.rare = Some(Box::new(Rare { pings, ..Rare::default() }));
                x.talk = Some(Box::new(talk));
            })
        };
        let far = || leg(false, true, 3_000).with(|x| x.talk = Some(Box::default()));
        assert!(found(pinged(3), far()).is_empty());
        assert_eq!(found(pinged(0), far()).len(), 1);
    }
}
