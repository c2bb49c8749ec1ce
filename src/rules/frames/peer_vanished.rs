//! `peer-vanished`.

use crate::base::{Nanos, Timestamp};
use crate::model::{
    Confidence, Direction, End, EndHow, Evidence, Exchange, FlowFacts, IcmpWhy, Resent, Severity, Text, Transport,
};
use crate::rules::frames::support::talk;
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};

pub(super) static RULE: Rule = Rule {
    id: "peer-vanished",
    severity: Severity::Warning,
    title: "one side does not answer any more, not even its machine",
    about: "What one side sent was sent again and again, and no packet of the other side came any more, not even an \
        acknowledgement, in the midst of a talk: no box had time to forget the connection. Its machine left the network, \
        or the path to it broke. The same is told where TCP keep-alives \
        of one side went unanswered, until it reset the connection or three times at least.\n\nWhoever vanished is told. It may be back under another address: phones and laptops \
        are, and open a new WebSocket.",
    refs: &["RFC 9293 §3.8.3", "RFC 6298 §5"],
    causes: &[
        "it left its network without a word: another Wi-Fi, a mobile network, sleep, a power cut",
        "its host hangs or was switched off",
        "the path between the two places broke, or a firewall drops what it let pass before",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-tunnel-dead",
        "lost-between",
        "mtu-black-hole",
        "one-way-loss",
        "receiver-stuck",
        "rst-injected",
        "silent-drop",
    ],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: None },
};

/// So often must bytes be sent again in vain, and for so long.
const TIMES: u32 = 3;
const IN_VAIN: Nanos = Nanos::from_secs(1);

/// Nobody asks more often for keep-alives: so long after the last one, whoever resets the connection has waited in vain.
const NEXT_PROBE: Nanos = Nanos::from_millis(500);

/// A silence before it in which a box may forget a connection.
const LONG: Nanos = Nanos::from_secs(2);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(talk) = talk(x) else { return };
    let Some(transport) = talk.transport.as_ref() else { return };
    // A box had time to forget it (silent-drop).
    let long = talk.before_last.is_some_and(|silence| silence.length >= LONG);
    let Some(in_vain) = in_vain(transport, &x.end, long) else { return };
    // What is lost is known (lost-between), or a router says why (tunnel-rejected).
    let lost = x.twice.as_ref().is_some_and(|twice| twice.lost.is_some());
    // Both directions must be in view, or the answers may have gone another way.
    let seen = !x.quality.no_client_packets && !x.quality.no_server_packets;
    // Where packets are missing, the answer to a keep-alive may be among them.
    let seen = seen && !(in_vain.probes && x.quality.gap);
    if lost || !seen || ends::is_rejected(x) {
        return;
    }
    tell(&in_vain, transport, "", out);
}

/// The same of a connection in TLS that was not read.
fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some((said, sealed)) = flow.said.as_ref().zip(flow.sealed()) else { return };
    let used = sealed.sides.iter().all(|side| side.data().next().is_some());
    let Some(transport) = sealed.transport.as_ref().filter(|_| used && !said.gap) else { return };
    let Some(in_vain) = in_vain(transport, &said.end, false) else { return };
    // Of what ran inside nothing is known, but by the lengths of its records.
    if sealed.talks_like_websocket() {
        tell(&in_vain, transport, ", in a TLS connection that was not read", out);
    }
}

fn tell(in_vain: &InVain, transport: &Transport, place: &str, out: &mut Findings<'_>) {
    let asked = in_vain.of;
    let (sender, vanished) = (asked.by.sender(), asked.by.other());
    let (times, time) = (asked.times, ends::spell(in_vain.until.since(asked.first)));
    let what = match in_vain.probes {
        true => format!("{times} TCP keep-alives of the {sender} had no answer in {time}"),
        false => format!("what the {sender} sent was sent again {times} times in {time}, and nothing came back"),
    };
    let text = format!("The {} vanished: {what}, not even an acknowledgement{place}.", vanished.sender());
    let mut found = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("an acknowledgement"))
        .found(Text::own("nothing"))
        .evidence(Evidence { at: asked.at, direction: Some(vanished), bytes: None });
    if in_vain.probes || !place.is_empty() {
        found = found.cause(
            "its host or its network is gone, or a firewall or NAT on the path forgot the idle connection and drops its \
             packets",
        );
    } else if vanished == Direction::ServerToClient {
        found = found.cause("its host hangs, was switched off or lost its network, or the path to it broke");
    }
    if let Some(told) = transport.rejected.filter(|told| told.of == asked.by && told.why == IcmpWhy::HostUnreachable) {
        found
            .cause(format!("its host is gone: {} gets no answer from it any more (ICMP host unreachable)", told.by))
            .evidence(Evidence { at: told.at, direction: Some(vanished), bytes: None });
    }
}

/// What one side asked of the other in vain, until when.
struct InVain {
    of: Resent,
    probes: bool,
    until: Timestamp,
}

/// `long`: a silence was before it in which a box may forget a connection.
fn in_vain(transport: &Transport, end: &End, long: bool) -> Option<InVain> {
    let open = |asked: &Resent| end.how != EndHow::CloseFrame && end.tcp_at.is_none_or(|at| at >= asked.first);
    let enough = |asked: &Resent| asked.times >= TIMES && asked.last.since(asked.first) >= IN_VAIN;
    if let Some(resent) = transport.resent.filter(|resent| enough(resent) && open(resent) && !long) {
        return Some(InVain { of: resent, probes: false, until: resent.last });
    }
    let probed = transport.probed.filter(open)?;
    // Whoever asked gave up when the next probe was due.
    let gave_up = end.tcp_at.filter(|_| end.tcp_how == EndHow::Rst && end.tcp_by == Some(probed.by));
    match gave_up.filter(|at| probed.times > 1 && at.since(probed.last) >= NEXT_PROBE) {
        Some(until) => Some(InVain { of: probed, probes: true, until }),
        None => enough(&probed).then_some(InVain { of: probed, probes: true, until: probed.last }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::rules::frames::testing::{CLIENT, SERVER, found, later, talked};
    use crate::rules::testing::{With as _, words};

    fn in_vain(times: u32, seconds: i64) -> Exchange {
        talked().with(|x| {
            let (first, last) = (later(10), later(10 + seconds));
            let resent = Some(Resent { by: SERVER, times, at: PacketRef::new(0, 30), first, last });
            x.talk
                .iter_mut()
                .for_each(|talk| talk.transport = Some(Box::new(Transport { resent, ..Transport::default() })));
            (x.end.how, x.end.tcp_at) = (EndHow::Open, None);
        })
    }

    #[test]
    fn a_client_that_answers_nothing_any_more_is_told() {
        let all = found(&RULE, &in_vain(4, 2));
        assert_eq!(
            words(&all[0].message),
            "The client vanished: what the server sent was sent again 4 times in 2.0 s, and nothing came back, not even an \
             acknowledgement."
        );
        assert_eq!(crate::rules::frames::sender(&all[0]), Some(CLIENT));
    }

    #[test]
    fn keep_alives_without_an_answer_are_told_where_their_sender_gave_up() {
        let probed = |times: u32, rst_after: i64| {
            talked().with(|x| {
                let (first, last) = (later(10), later(12));
                let probed = Some(Resent { by: SERVER, times, at: PacketRef::new(0, 30), first, last });
                x.talk
                    .iter_mut()
                    .for_each(|talk| talk.transport = Some(Box::new(Transport { probed, ..Transport::default() })));
                (x.end.how, x.end.tcp_how) = (EndHow::Rst, EndHow::Rst);
                (x.end.tcp_by, x.end.tcp_at) = (Some(SERVER), Some(later(12 + rst_after)));
            })
        };
        let all = found(&RULE, &probed(2, 1));
        assert_eq!(
            words(&all[0].message),
            "The client vanished: 2 TCP keep-alives of the server had no answer in 3.0 s, not even an acknowledgement."
        );
        assert!(found(&RULE, &probed(2, 0)).is_empty(), "it did not wait for the answer");
        assert_eq!(found(&RULE, &probed(3, 0)).len(), 1);
        assert!(found(&RULE, &probed(2, 1).with(|x| x.end.tcp_by = Some(CLIENT))).is_empty());
    }

    #[test]
    fn a_loss_that_was_overcome_and_one_direction_alone_are_not() {
        assert!(found(&RULE, &in_vain(2, 2)).is_empty());
        assert!(found(&RULE, &in_vain(4, 0)).is_empty());
        assert!(found(&RULE, &in_vain(4, 2).with(|x| x.quality.no_client_packets = true)).is_empty());
        let closed = in_vain(4, 2).with(|x| x.end.how = EndHow::CloseFrame);
        assert!(found(&RULE, &closed).is_empty(), "a Close that comes again is told by others");
    }

    #[test]
    fn of_tls_that_was_not_read_it_is_told_too() {
        use crate::model::{ConnectState, FlowFacts, Said, Sealed, SealedRecord, SealedSide};
        use crate::rules::testing::{flow, run_flow};
        let of = |times, short| {
            let resent = Resent { by: SERVER, times, at: PacketRef::new(0, 30), first: later(10), last: later(12) };
            let record = |&(s, bytes): &(i64, u16)| SealedRecord { ts: later(s), bytes, kind: 23 };
            let side =
                |all: &[(i64, u16)]| SealedSide { records: all.iter().map(record).collect(), ..SealedSide::default() };
            let transport = Transport { resent: Some(resent), ..Transport::default() };
            let sides = [side(&[(1, 300), (3, short)]), side(&[(2, 200), (4, 40)])];
            let sealed = Sealed { sides, transport: Some(Box::new(transport)), ..Sealed::default() };
            let said = Said { sealed: Some(Box::new(sealed)), ..Said::default() };
            FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Established, 1) }
        };
        let all = run_flow(&RULE, &of(4, 30));
        assert!(
            words(&all[0].message).ends_with("not even an acknowledgement, in a TLS connection that was not read.")
        );
        assert!(run_flow(&RULE, &of(4, 300)).is_empty(), "these are requests");
        assert!(run_flow(&RULE, &of(2, 30)).is_empty());
    }
}
