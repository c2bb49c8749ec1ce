//! The backend refused the hop's TCP connection.

use crate::model::{ConnectState, Direction, Evidence, FaultClass, FlowFacts, Severity, Text};
use crate::rules::hop::tried::{failed, overcome, packets, say, times};
use crate::rules::journey::Journey;
use crate::rules::request::other_port;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "backend-refused",
    severity: Severity::Error,
    title: "the backend refused the proxy's connection",
    about: "The hop tried to connect to its backend, and the SYN was answered by RST: nothing listens there. The \
        client got an error page of the hop for it, or nothing. No request reached a backend.\n\nA note only where the hop then \
        got the request through elsewhere: its clients noticed nothing, and one server is down.",
    refs: &["RFC 9293 §3.5.2"],
    causes: &[
        "the backend is not running, or crashed",
        "the proxy's address or port of the backend is wrong",
        "the backend listens on another interface only (localhost)",
        "a firewall rejects the connection",
    ],
    fix: Some(FaultClass::Reach),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let refused = |flow: &FlowFacts| flow.state == ConnectState::Refused;
    if let Some(tried) = overcome(journey, refused) {
        let did = format!(
            "tried {} to connect to {}, was refused with RST, and another server took the request",
            times(tried.flows.len()),
            tried.servers()
        );
        let mut found = out
            .add(say(&tried, &did))
            .severity(Severity::Info)
            .confidence(tried.confidence)
            .expected(Text::own("SYN and ACK"))
            .found(Text::own("RST"));
        for evidence in tried.flows.iter().take(SHOWN).flat_map(|flow| packets(flow)) {
            found = found.evidence(evidence);
        }
        return;
    }
    let Some(failed) = failed(journey, refused) else { return };
    let did = format!(
        "tried {} to connect to {}, was refused with RST, and {}",
        times(failed.flows.len()),
        failed.servers(),
        failed.outcome()
    );
    // Who refused it stands before the other place.
    let unseen = failed.flows.iter().find_map(|flow| flow.unseen_at);
    let did = match unseen {
        Some(_) => format!("{did}; {UNSEEN}"),
        None => did,
    };
    let mut found = out
        .add(say(&failed, &did))
        .severity(if failed.decides { Severity::Error } else { Severity::Warning })
        .confidence(failed.confidence)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("RST"));
    if let Some(at) = unseen {
        let there = Evidence { at, direction: Some(Direction::ClientToServer), bytes: None };
        found = found.cause(REJECTED).evidence(there);
    } else if failed.is_remembered() {
        found = found.cause(MARKED_DOWN);
    } else if let Some(port) = failed.flows.iter().find_map(|flow| other_port(flow, seen)) {
        found = found.cause(format!(
            "the proxy's port of the backend is wrong, or what listened there has ended: the same host takes upgrades at \
             port {port}"
        ));
    }
    for evidence in failed.flows.iter().take(SHOWN).flat_map(|flow| packets(flow)) {
        found = found.evidence(evidence);
    }
    found.evidence(failed.answer());
}

const UNSEEN: &str =
    "another place of capture, nearer the backend, which saw the two hosts speak, saw neither the SYN nor the RST";

const REJECTED: &str =
    "a firewall between the two places of capture rejects the connection in the backend's name (iptables REJECT)";

const MARKED_DOWN: &str = "the proxy takes this backend for down since that try, and asks it not again for a while";

/// Tries whose packets are named.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attempted, Confidence, Exchange};
    use crate::rules::journey::View;
    use crate::rules::testing::{
        GOOD, REFUSED, With as _, behind, exchange, flow, granted, hop, run_tried, run_tried_seen, run_whole, words,
    };

    const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";

    fn found(near: Exchange, state: ConnectState, tries: usize) -> Vec<crate::model::Finding> {
        run_tried(&RULE, near, vec![flow(state, 1); tries], View::default())
    }

    #[test]
    fn a_rst_to_the_hops_syn_is_found_once_for_all_tries() {
        let found = found(exchange(GOOD, Some(BAD_GATEWAY)), ConnectState::Refused, 4);
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        let message = words(&found[0].message);
        assert!(message.contains("tried 4 times to connect to 192.0.2.20:80"), "{message}");
        assert!(message.ends_with("and answered its client 502."), "{message}");
    }

    #[test]
    fn where_another_server_took_the_request_it_is_a_note() {
        let (near, far) = (exchange(GOOD, Some(&granted())), behind(exchange(GOOD, Some(&granted()))));
        let refused = flow(ConnectState::Refused, 1);
        let tried = Attempted { behind: near.id, flow: refused.id, confidence: Confidence::Certain };
        let hops = [hop(&near, &far)];
        let found = run_whole(&RULE, &[near, far], &hops, &[(tried, refused)], View::default(), &Seen::default());
        assert_eq!((found.len(), found[0].severity), (1, Severity::Info));
        assert!(words(&found[0].message).ends_with("and another server took the request."));
    }

    #[test]
    fn where_the_hop_then_tried_another_in_vain_that_decides() {
        let silent = || {
            let flow = flow(ConnectState::Unanswered, 3);
            FlowFacts { syn_at: flow.syn_at + crate::base::Nanos::from_millis(5), ..flow }
        };
        let tried = |flows| run_tried(&RULE, exchange(GOOD, Some(BAD_GATEWAY)), flows, View::default())[0].severity;
        assert_eq!(tried(vec![flow(ConnectState::Refused, 1), silent()]), Severity::Warning);
        assert_eq!(tried(vec![flow(ConnectState::Refused, 1)]), Severity::Error);
    }

    #[test]
    fn a_host_that_takes_upgrades_at_another_port_makes_the_port_the_likeliest_cause() {
        let refused = flow(ConnectState::Refused, 1);
        let other = exchange(GOOD, Some(&granted())).with(|x| {
            (x.server.ip, x.server.port) = (refused.server.ip, refused.server.port + 1);
            x.request.first = refused.syn_at;
        });
        let mut seen = Seen::default();
        seen.learn(&other, true);
        let found = run_tried_seen(&RULE, exchange(GOOD, Some(BAD_GATEWAY)), vec![refused], View::default(), &seen);
        assert!(found[0].causes[0].ends_with("the same host takes upgrades at port 81"), "{:?}", found[0].causes);
    }

    #[test]
    fn what_the_backends_own_place_did_not_see_was_refused_before_it() {
        let unseen = FlowFacts { unseen_at: Some(crate::base::PacketRef::new(1, 7)), ..flow(ConnectState::Refused, 1) };
        let found = run_tried(&RULE, exchange(GOOD, Some(BAD_GATEWAY)), vec![unseen], View::default());
        assert!(words(&found[0].message).ends_with("saw neither the SYN nor the RST."));
        assert_eq!(found[0].causes, [REJECTED]);
    }

    #[test]
    fn a_request_that_was_granted_or_refused_by_the_application_after_all_is_not() {
        assert!(found(exchange(GOOD, Some(&granted())), ConnectState::Refused, 1).is_empty());
        assert!(found(exchange(GOOD, Some(REFUSED)), ConnectState::Refused, 1).is_empty());
        assert!(found(exchange(GOOD, Some(BAD_GATEWAY)), ConnectState::Established, 1).is_empty());
    }
}
