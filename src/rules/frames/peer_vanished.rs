//! `peer-vanished`.

use crate::base::Nanos;
use crate::model::{Confidence, EndHow, Evidence, Exchange, IcmpWhy, Severity, Text};
use crate::rules::frames::support::{against, talk};
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};

pub(super) static RULE: Rule = Rule {
    id: "peer-vanished",
    severity: Severity::Warning,
    title: "one side does not answer any more, not even its machine",
    about: "What one side sent was sent again and again, and no packet of the other side came any more, not even an \
        acknowledgement, in the midst of a talk: no box had time to forget the connection. Its machine left the network, \
        or the path to it broke.\n\nWhoever vanished is told. It may be back under another address: phones and laptops \
        are, and open a new WebSocket.",
    refs: &["RFC 9293 §3.8.3", "RFC 6298 §5"],
    causes: &[
        "it left its network without a word: another Wi-Fi, a mobile network, sleep, a power cut",
        "its host hangs or was switched off",
        "the path between the two places broke, or a firewall drops what it let pass before",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["hop-tunnel-dead", "lost-between", "mtu-black-hole", "receiver-stuck", "rst-injected", "silent-drop"],
    check: Check::Exchange(check),
};

/// So often must bytes be sent again in vain, and for so long.
const TIMES: u32 = 3;
const IN_VAIN: Nanos = Nanos::from_secs(1);

/// A silence before it in which a box may forget a connection.
const LONG: Nanos = Nanos::from_secs(2);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(talk) = talk(x) else { return };
    let resent = talk.transport.as_ref().and_then(|transport| transport.resent);
    let Some(resent) = resent.filter(|resent| resent.times >= TIMES && resent.last.since(resent.first) >= IN_VAIN)
    else {
        return;
    };
    // A box had time to forget it (silent-drop), or what is lost is known (lost-between).
    let long = talk.before_last.is_some_and(|silence| silence.length >= LONG);
    let lost = x.twice.as_ref().is_some_and(|twice| twice.lost.is_some());
    // Both directions must be in view, or the answers may have gone another way.
    let seen = !x.quality.no_client_packets && !x.quality.no_server_packets;
    let over = x.end.how == EndHow::CloseFrame || x.end.tcp_at.is_some_and(|end| end < resent.first);
    // Or a router says why (tunnel-rejected).
    if long || lost || !seen || over || ends::is_rejected(x) {
        return;
    }
    let (sender, vanished) = (resent.by.sender(), against(resent.by));
    let text = format!(
        "The {} vanished: what the {sender} sent was sent again {} times in {}, and nothing came back, not even an \
         acknowledgement.",
        vanished.sender(),
        resent.times,
        ends::spell(resent.last.since(resent.first))
    );
    let found = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("an acknowledgement"))
        .found(Text::own("nothing"))
        .evidence(Evidence { at: resent.at, direction: Some(vanished), bytes: None });
    let told = talk.transport.as_ref().and_then(|transport| transport.rejected);
    if let Some(told) = told.filter(|told| told.of == resent.by && told.why == IcmpWhy::HostUnreachable) {
        found
            .cause(format!("its host is gone: {} gets no answer from it any more (ICMP host unreachable)", told.by))
            .evidence(Evidence { at: told.at, direction: Some(vanished), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Resent, Transport};
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
    fn a_loss_that_was_overcome_and_one_direction_alone_are_not() {
        assert!(found(&RULE, &in_vain(2, 2)).is_empty());
        assert!(found(&RULE, &in_vain(4, 0)).is_empty());
        assert!(found(&RULE, &in_vain(4, 2).with(|x| x.quality.no_client_packets = true)).is_empty());
        let closed = in_vain(4, 2).with(|x| x.end.how = EndHow::CloseFrame);
        assert!(found(&RULE, &closed).is_empty(), "a Close that comes again is told by others");
    }
}
