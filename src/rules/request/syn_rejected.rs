//! `syn-rejected`.

use super::turned;
use crate::model::{ConnectState, FlowFacts, IcmpWhy, Rejected, Severity, Text};
use crate::rules::hop::tried::{failed, say};
use crate::rules::icmp::{evidence, said_of, tell};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "syn-rejected",
    severity: Severity::Error,
    title: "a firewall or router rejected the TCP connection (ICMP)",
    about: "The SYN was answered by an ICMP message: the connection is prohibited, its port unreachable, or there is no way \
        to the server. Whoever sent that message is named: a firewall on the way, or the server's own (firewalld, and \
        iptables or nftables with REJECT, answer so; a closed port without a firewall answers with RST). Nothing is wrong \
        with the upgrade, or with a proxy that answers its client 502 for it.\n\nThat a host does not answer its last \
        router is told by backend-unreachable. On a connection that no proxy made it is a warning: a client may have \
        another address to try.",
    refs: &["RFC 792", "RFC 4443 §3.1", "RFC 1122 §4.2.3.9"],
    causes: &[
        "a rule of a firewall, a security group or an access list rejects it",
        "a router has no route there",
        "packets go round in circles between two routers",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Several { exchange: None, flow: Some(check), chain: Some(check_chain) },
};

/// What ICMP says of a connection, unless it is that the host does not answer.
pub(in crate::rules) fn told(flow: &FlowFacts) -> Option<&Rejected> {
    let told = flow.rejected.as_ref().filter(|_| flow.state == ConnectState::Unanswered)?;
    (told.why != IcmpWhy::HostUnreachable).then_some(told)
}

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let Some(told) = told(flow) else { return };
    let text = turned::say(said_of(flow, told, "rejected that by ICMP"), flow, seen);
    tell(out, flow, told, text, turned::severity(flow, seen));
}

/// A hop that tried in vain, and the answer that its client got for it.
fn check_chain(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(failed) = failed(journey, |flow| told(flow).is_some()) else { return };
    let Some((first, about)) = failed.flows.iter().find_map(|flow| Some((told(flow)?, flow))) else { return };
    let did = format!(
        "asked {} for a connection, which {} rejected by ICMP ({}), and {}",
        failed.servers(),
        first.who(about.client.ip, about.server.ip),
        first.why.name(),
        failed.outcome()
    );
    let mut found = out
        .add(say(&failed, &did))
        .confidence(failed.confidence)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own(format!("ICMP {}", first.why.name())))
        .cause(first.cause(about.server.ip));
    for (flow, told) in failed.flows.iter().filter_map(|flow| Some((flow, told(flow)?))).take(SHOWN) {
        let [syn, answer] = evidence(flow, told);
        found = found.evidence(syn).evidence(answer);
    }
    found.evidence(failed.answer());
}

/// Tries whose packets are named.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{Confidence, Direction};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, exchange, flow, run_flow, run_tried, words};

    fn rejected(by: [u8; 4], why: IcmpWhy) -> FlowFacts {
        let (of, at, ts) = (Direction::ClientToServer, PacketRef::new(0, 9), Timestamp(1));
        let told = Rejected { by: by.into(), of, why, at, ts, last: ts, times: 1 };
        FlowFacts { rejected: Some(told), ..flow(ConnectState::Unanswered, 1) }
    }

    #[test]
    fn one_syn_that_is_rejected_is_enough_and_who_says_so_is_named() {
        let found = run_flow(&RULE, &rejected([10, 1, 0, 1], IcmpWhy::Prohibited));
        let message = words(&found[0].message);
        assert!(
            message.contains("the router or firewall 10.1.0.1 rejected that by ICMP: administratively"),
            "{message}"
        );
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Warning, Confidence::Certain));
        assert_eq!(found[0].evidence[1].at, PacketRef::new(0, 9));
        let own = run_flow(&RULE, &rejected([192, 0, 2, 20], IcmpWhy::PortUnreachable));
        assert!(words(&own[0].message).contains("that host itself rejected that by ICMP"), "{:?}", own[0].message);
        assert!(own[0].causes[0].starts_with("the firewall of that host"), "{:?}", own[0].causes);
    }

    #[test]
    fn behind_a_hop_that_answers_for_it_it_is_an_error() {
        let gateway = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        let found = run_tried(
            &RULE,
            exchange(GOOD, Some(gateway)),
            vec![rejected([10, 1, 0, 1], IcmpWhy::NetUnreachable)],
            View::default(),
        );
        assert_eq!(found[0].severity, Severity::Error);
        let message = words(&found[0].message);
        assert!(
            message.contains("10.1.0.1 rejected by ICMP (network unreachable), and answered its client 502"),
            "{message}"
        );
    }

    #[test]
    fn a_host_that_does_not_answer_and_an_answer_that_came_are_not() {
        assert!(run_flow(&RULE, &rejected([10, 1, 0, 1], IcmpWhy::HostUnreachable)).is_empty());
        let state = ConnectState::Established;
        let taken = FlowFacts { state, ..rejected([10, 1, 0, 1], IcmpWhy::Prohibited) };
        assert!(run_flow(&RULE, &taken).is_empty());
        assert!(run_flow(&RULE, &flow(ConnectState::Unanswered, 3)).is_empty());
    }
}
