//! `answer-lost`.

use super::mtu_black_hole::LARGE;
use crate::base::Nanos;
use crate::model::{Confidence, Direction, Evidence, Exchange, Severity, Text, Unseen};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "answer-lost",
    severity: Severity::Error,
    title: "the server answered, and its answer never came",
    about: "No byte of an answer came by, but a later packet of the server stands, by its sequence number, behind bytes that it \
        had sent by then. The other side never acknowledged them: they were lost on the way, and not by the capture. \
        So the server did answer, its log says so, and something between it and the place of capture drops its answer: \
        a filter that does not like what it reads (Upgrade, 101), or a link that such large packets do not pass.\n\nTo tell \
        where, capture at the server at the same time (`lost-between`).",
    refs: &["RFC 9293 §3.4", "RFC 9293 §3.8.1", "RFC 2923 §2.1"],
    causes: &[
        "a firewall or filter on the path drops what the server answers, as some do with Upgrade or 101",
        "the packets of the answer are too large for a link on the path, and no ICMP says so (MTU black hole): see mtu-black-hole",
    ],
    fix: None,
    explains: &[Explains::Unanswered, Explains::Refused],
    symptom_of: &["lost-between", "rst-injected"],
    check: Check::Exchange(check),
};

const TOO_LARGE: &str = RULE.causes[1];

/// So long a packet that shows it must be past, unless the client had given up.
const PAST: Nanos = Nanos::from_secs(1);

/// Whether the answer to this request was sent, and lost on its way.
pub(in crate::rules) fn is_seen(x: &Exchange) -> bool {
    seen(x).is_some()
}

fn seen(x: &Exchange) -> Option<Unseen> {
    let quality = x.quality;
    let both = !quality.no_client_packets && !quality.no_server_packets && !quality.midstream && !quality.response_gap;
    let silent = x.response.is_none() && x.odd_response.is_none() && x.interim.is_empty();
    let unseen = x.transport.as_deref()?.unseen.filter(|unseen| unseen.by == Direction::ServerToClient)?;
    let left = x.end.tcp_by == Some(Direction::ClientToServer);
    let past = x.times.last.is_some_and(|last| last.since(unseen.ts) >= PAST);
    (both && silent && (left || past)).then_some(unseen)
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(unseen) = seen(x) else { return };
    let text = Text::own(format!("No answer came from {}, but ", x.server)).packets([unseen.at]).say(format!(
        " shows by its sequence number that {} bytes had been sent by then: they were lost on their way.",
        unseen.bytes
    ));
    let told = out
        .add(text)
        .confidence(Confidence::Likely)
        .expected(Text::own("the bytes that the server sent"))
        .found(Text::own("none of them"))
        .start_line(&x.request, Direction::ClientToServer)
        .evidence(Evidence { at: unseen.at, direction: Some(Direction::ServerToClient), bytes: None });
    if unseen.bytes >= u64::from(LARGE) {
        told.cause(TOO_LARGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::Transport;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, granted, run, words};

    fn lost(bytes: u64, left: bool, ms: i64) -> Exchange {
        exchange(GOOD, None).with(|x| {
            let (at, ts) = (PacketRef::new(0, 8), x.request.last + Nanos::from_secs(5));
            let unseen = Some(Unseen { by: Direction::ServerToClient, bytes, at, ts });
            x.transport = Some(Box::new(Transport { unseen, ..Transport::default() }));
            x.end.tcp_by = left.then_some(Direction::ClientToServer);
            x.times.last = Some(ts + Nanos::from_millis(ms));
        })
    }

    #[test]
    fn bytes_that_a_later_packet_shows_to_have_been_sent_were_lost() {
        let found = run(&RULE, &lost(203, true, 0));
        let said = words(&found[0].message);
        assert!(said.ends_with("that 203 bytes had been sent by then: they were lost on their way."), "{said}");
        assert!(found[0].causes.is_empty());
        assert_eq!(run(&RULE, &lost(1_400, true, 0))[0].causes, [TOO_LARGE]);
        assert!(fires(&RULE, &lost(203, false, 1_000)));
    }

    #[test]
    fn what_may_be_on_its_way_what_was_lost_to_the_capture_and_what_came_are_not() {
        assert!(!fires(&RULE, &lost(203, false, 900)));
        assert!(!fires(&RULE, &lost(203, true, 0).with(|x| x.quality.response_gap = true)));
        let answered = exchange(GOOD, Some(&granted())).with(|x| x.transport = lost(203, true, 0).transport);
        assert!(!fires(&RULE, &answered));
    }
}
