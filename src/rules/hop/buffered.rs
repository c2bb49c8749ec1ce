//! Messages waited in the hop.

use crate::base::{Nanos, Timestamp};
use crate::model::{Confidence, Direction, Message, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{Way, messages, ready, ways};
use crate::rules::hop::side::one_clock;
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-buffered",
    severity: Severity::Warning,
    title: "messages wait in a hop",
    about: "Messages came to the hop whole, and left it more than a quarter of a second later, several of them, or one \
        after a second and more; often they leave in bursts although they came one by one. The hop collects what it \
        should pass on at once. Whoever waits for an answer feels each of these delays, and heartbeats come too late.\
        \n\nIt is said only where one clock measured both sides, and not for the time in which the receiver itself \
        took nothing (its window was closed), for what came before the other side was open, nor where bytes of that direction \
        were sent again and again on one of the legs: then the network lost them.\n\nAn error where a \
        message was kept for a second and more, and the side that waited ended the WebSocket with a code of the \
        application's own (4000 to 4999).",
    refs: &["RFC 9110 §7.8", "RFC 6455 §5.4"],
    causes: &[
        "the proxy buffers or compresses the answer as if it had an end",
        "the proxy collects small writes (Nagle's algorithm, a flush interval)",
        "the proxy is overloaded, or a filter of it waits for something else",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["hop-tunnel-dead", "hop-first-frames-lost"],
    check: Check::Hop(check),
};

/// A wait worth telling, where it happens again; and one that is where it happens once.
const WAIT: Nanos = Nanos::from_millis(250);
const LONG: Nanos = Nanos::from_secs(1);
/// Messages closer to each other leave in one burst.
const BURST: Nanos = Nanos::from_millis(5);

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    if !one_clock(view) {
        return;
    }
    for way in ways(view) {
        if way.holed() || resent(&way) {
            continue;
        }
        let late: Vec<Late<'_>> = way.pairs().filter_map(|(a, b)| late(&way, a, b)).collect();
        let Some(worst) = late.iter().max_by_key(|late| late.wait) else { continue };
        if late.len() < 2 && worst.wait < LONG {
            continue;
        }
        let burst = bursts(&late);
        let who = view.who();
        let how = if burst > 1 { format!(", {burst} of them in one burst") } else { String::new() };
        let text = format!(
            "{} kept {} of its {} back for up to {}{how} (",
            capital(&who),
            messages(late.len()),
            way.sender,
            length(worst.wait)
        );
        let gave_up = worst.wait >= LONG && way.closed_with().is_some_and(|code| (4000..=4999).contains(&code));
        out.add(Text::own(text).packets([worst.came.at, worst.left.at]).say(")."))
            .severity(if gave_up { Severity::Error } else { Severity::Warning })
            // A single one may have been lost on the way and sent again.
            .confidence(if late.len() < 2 { Confidence::Likely } else { Confidence::Certain })
            .expected(Text::own("messages passed on as they come"))
            .found(Text::own(format!("{} in the hop", length(worst.wait))))
            .evidence(way.place(worst.came))
            .evidence(way.place(worst.left));
    }
}

/// Whether bytes of this direction had to be sent again and again on one of the legs: what is behind such bytes waits in
/// the sender's kernel (RFC 6298 §5), and what was lost came later than it was captured.
fn resent(way: &Way<'_>) -> bool {
    let transports = [way.from_talk, way.to_talk].map(|talk| talk.transport.as_ref());
    let all = transports.into_iter().flatten().flat_map(|transport| [transport.resent, transport.overcome]);
    all.flatten().any(|resent| resent.by == way.direction)
}

/// A message that waited.
struct Late<'a> {
    came: &'a Message,
    left: &'a Message,
    wait: Nanos,
}

fn late<'a>(way: &Way<'_>, came: &'a Message, left: &'a Message) -> Option<Late<'a>> {
    let wait = left.ts.since(ready(came, &way.to, true));
    let stalls = way.to_talk.transport.as_ref().map(|transport| transport.stalls);
    let by_client = way.direction == Direction::ClientToServer;
    let stall = stalls.and_then(|stalls| if by_client { stalls[0] } else { stalls[1] });
    // Only the longest time in which the receiver took nothing is known: where there were others, nothing is.
    let excused = stall
        .is_some_and(|stall| stall.times > 1 || stall.from <= { left.ts } && stall.from + stall.length >= { came.ts });
    (wait > WAIT && !excused).then_some(Late { came, left, wait })
}

/// How many left together at most, of those that came one by one.
fn bursts(late: &[Late<'_>]) -> usize {
    let mut most = 0;
    let mut run = 1;
    for (one, next) in late.iter().zip(late.iter().skip(1)) {
        let together = next.left.ts.since(one.left.ts) <= BURST && next.came.ts.since(one.came.ts) > BURST;
        run = if together { run + 1 } else { 1 };
        most = most.max(run);
    }
    most
}

fn length(time: Nanos) -> String {
    response::length(Timestamp::default(), Timestamp::default() + time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Close, Exchange, Finding, Stall, Transport};
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{With as _, run_hop_of, words};

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    /// Three messages of the backend that came to the hop 100 ms apart, and left it at these times.
    fn sent(left: [i64; 3]) -> (Exchange, Exchange) {
        let [one, two, three] = left;
        let near = leg(&[], &[text("one", one), text("two", two), text("three", three)]);
        (near, leg(&[], &[text("one", 100), text("two", 200), text("three", 300)]))
    }

    #[test]
    fn messages_that_leave_late_in_one_burst_are_found() {
        let (near, far) = sent([800, 801, 802]);
        let found = found(near, far);
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        let message = words(&found[0].message);
        assert!(
            message.contains(
                "kept 3 messages of its backend back for up to 700.0 ms, 3 of them in one burst (packets 9 → 9)."
            ),
            "{message}"
        );
    }

    #[test]
    fn who_gives_up_over_it_makes_it_an_error() {
        let ended = |code: u16, by: Direction, left: i64| {
            let (near, far) = sent([101, 201, left]);
            let close = Some(Close { code: Some(code), ..Close::default() });
            let near = near.with(|x| (x.end.close, x.end.by) = (close, Some(by)));
            found(near, far)[0].severity
        };
        let (client, server) = (Direction::ClientToServer, Direction::ServerToClient);
        assert_eq!(ended(4000, client, 1_500), Severity::Error);
        assert_eq!(ended(1000, client, 1_500), Severity::Warning);
        assert_eq!(ended(4000, server, 1_500), Severity::Warning, "it waited for nothing");
    }

    #[test]
    fn one_that_waits_for_a_second_is_likely_and_less_is_nothing() {
        let (near, far) = sent([101, 201, 1_500]);
        assert_eq!(found(near, far)[0].confidence, Confidence::Likely);
        let (near, far) = sent([101, 201, 900]);
        assert!(found(near, far).is_empty());
    }

    #[test]
    fn messages_that_are_passed_on_at_once_other_clocks_and_a_receiver_that_takes_nothing_are_no_case() {
        let (near, far) = sent([110, 210, 310]);
        assert!(found(near, far).is_empty());
        let (near, far) = sent([800, 801, 802]);
        assert!(run_hop_of(&RULE, near.clone(), far.clone(), |hop| hop.forward = None).is_empty());
        let stalled = near.with(|x| {
            let from = x.response.as_ref().unwrap().last + Nanos::from_millis(90);
            let stall =
                Stall { at: PacketRef::new(0, 8), from, length: Nanos::from_millis(700), times: 1, lasts: false };
            let transport = Transport { stalls: [None, Some(stall)], ..Transport::default() };
            x.talk.as_mut().unwrap().transport = Some(Box::new(transport));
        });
        assert!(found(stalled, far).is_empty());
    }

    #[test]
    fn what_came_before_the_other_side_was_open_did_not_wait() {
        let near = leg(&[], &[text("one", 0), text("two", 0)]);
        let far = leg(&[], &[text("one", -800), text("two", -700)]);
        assert!(found(near, far).is_empty());
    }

    #[test]
    fn what_the_network_lost_was_not_kept_by_the_hop() {
        let resent = |on: usize, by| {
            let (mut near, mut far) = sent([2_800, 2_801, 2_802]);
            let at = PacketRef::new(0, 3);
            let (first, last) = (Timestamp(0), Timestamp(1));
            let told = crate::model::Resent { by, times: 3, at, first, last };
            let leg = if on == 0 { &mut near } else { &mut far };
            let transport = Transport { overcome: Some(told), ..Transport::default() };
            leg.talk.as_mut().unwrap().transport = Some(Box::new(transport));
            found(near, far).len()
        };
        assert_eq!([resent(0, Direction::ServerToClient), resent(1, Direction::ServerToClient)], [0, 0]);
        assert_eq!(resent(0, Direction::ClientToServer), 1, "of the other direction");
    }
}
