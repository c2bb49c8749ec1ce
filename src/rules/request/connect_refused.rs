//! The server refused the TCP connection.

use super::turned;
use crate::base::{Nanos, Timestamp, limits};
use crate::model::{ConnectState, Direction, Evidence, FaultClass, FlowFacts, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "connect-refused",
    severity: Severity::Error,
    title: "the TCP connection was refused",
    about: "The client's SYN was answered by RST: nothing listens on that port, or a firewall refuses it. \
        No request was ever sent.\n\nA note where the client got through at once by its other family of addresses, a warning where it did by another \
        address of the same, where a hop did, and where \
        a hop opened the connection although no upgrade of its clients in view waited for it, as for a health check; also \
        where the client was refused at several ports of this server, as whoever looks for open ones is. A note \
        where it went to port 443 and the client asked port 80 about then: browsers try https first.",
    refs: &["RFC 9293 §3.5.2"],
    causes: &[
        "the server is not running, or listens on another port or address",
        "a firewall or security group rejects the connection",
        "a load balancer without a healthy backend",
    ],
    fix: Some(FaultClass::Reach),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &["backend-refused"],
    check: Check::Flow(check),
};

/// Whether it only tried https beside what it asks in clear, as browsers do with an address that has no scheme.
fn tried_https_first(flow: &FlowFacts, seen: &Seen) -> bool {
    let soon = |at: Timestamp| at.0.abs_diff(flow.syn_at.0) <= BESIDE.0.unsigned_abs();
    let mut attempts = seen.attempts().take(limits::SEEN_COMPARED);
    flow.server.port == HTTPS
        && attempts.any(|a| {
            let same = (a.client, a.server, a.server_port) == (flow.client.ip, flow.server.ip, HTTP);
            same && soon(a.at)
        })
}

const BESIDE: Nanos = Nanos::from_secs(5);
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    if flow.state != ConnectState::Refused {
        return;
    }
    let syn = Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None };
    let for_nobody = seen.hops.contains(&flow.client.ip);
    let severity = match () {
        () if tried_https_first(flow, seen) => Severity::Info,
        () if let Some(severity) = turned::severity(flow, seen) => severity,
        () if for_nobody || seen.is_scan(flow) => Severity::Warning,
        () => Severity::Error,
    };
    let aside = match () {
        () if for_nobody => " No upgrade in view waited for it: it may be a health check.",
        () if seen.is_scan(flow) => {
            " The same client was refused at other ports too, as whoever looks for open ones is."
        }
        () => "",
    };
    let who = match flow.unseen_at {
        None => "nothing listens there, or a firewall refuses",
        Some(_) => {
            "a firewall refuses in its name, since another place of capture, nearer it, which saw the two hosts speak, saw \
             neither the SYN nor the RST"
        }
    };
    let said = format!("{} answered the SYN of {} with RST: {who}.{aside}", flow.server, flow.client);
    let mut finding = out
        .add(turned::say(Text::own(said), flow, seen))
        .severity(severity)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("RST"))
        .evidence(syn);
    if let Some(at) = flow.end {
        finding = finding.evidence(Evidence { at, direction: Some(Direction::ServerToClient), bytes: None });
    }
    if let Some(at) = flow.unseen_at {
        finding.cause(REJECTED).evidence(Evidence { at, direction: Some(Direction::ClientToServer), bytes: None });
    }
}

const REJECTED: &str = RULE.causes[1];

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::base::Endpoint;
    use crate::rules::testing::{GOOD, With as _, exchange, flow, granted, run_flow, run_flow_seen, words};

    #[test]
    fn a_rst_to_the_syn_is_found() {
        assert_eq!(run_flow(&RULE, &flow(ConnectState::Refused, 1))[0].evidence.len(), 2);
    }

    #[test]
    fn whoever_looks_for_open_ports_waited_for_no_websocket() {
        let refused = |port| {
            let f = flow(ConnectState::Refused, 1);
            FlowFacts { server: Endpoint::new(f.server.ip, port), ..f }
        };
        let told = |ports: &[u16]| {
            let mut seen = Seen::default();
            ports.iter().for_each(|port| seen.learn_refused(&refused(*port)));
            run_flow_seen(&RULE, &refused(22), &seen)[0].severity
        };
        assert_eq!(told(&[22, 22, 22, 8080, 8443]), Severity::Error);
        assert_eq!(told(&[22, 23, 3389, 8080]), Severity::Warning);
    }

    #[test]
    fn a_browser_that_tries_https_first_was_not_harmed() {
        let refused = |port| {
            let f = flow(ConnectState::Refused, 1);
            FlowFacts { server: Endpoint::new(f.server.ip, port), ..f }
        };
        let told = |port: u16, later: Nanos| {
            let refused = refused(port);
            let x = exchange(GOOD, Some(&granted())).with(|x| {
                (x.client.ip, x.server.ip, x.server.port) = (refused.client.ip, refused.server.ip, 80);
                x.request.first = refused.syn_at + later;
            });
            let mut seen = Seen::default();
            seen.learn(&x, true);
            run_flow_seen(&RULE, &refused, &seen)[0].severity
        };
        assert_eq!(told(443, Nanos::from_millis(30)), Severity::Info);
        assert_eq!(told(443, Nanos::from_secs(9)), Severity::Error);
        assert_eq!(told(8443, Nanos::from_millis(30)), Severity::Error);
    }

    #[test]
    fn a_client_that_turns_to_the_other_family_of_addresses_at_once_was_not_harmed() {
        let refused =
            FlowFacts { server: Endpoint::new(Ipv6Addr::LOCALHOST.into(), 80), ..flow(ConnectState::Refused, 1) };
        let told = |later: Nanos, port: u16| {
            let x = exchange(GOOD, Some(&granted())).with(|x| {
                x.request.first = refused.syn_at + later;
                x.server.port = port;
            });
            let mut seen = Seen::default();
            seen.learn(&x, true);
            let found = run_flow_seen(&RULE, &refused, &seen);
            (found[0].severity, words(&found[0].message))
        };
        let harmless = told(Nanos::from_millis(300), 80);
        assert_eq!(harmless.0, Severity::Info);
        assert!(harmless.1.ends_with("(packet 4): whoever has several addresses asks them in turn."), "{}", harmless.1);
        for (later, port) in [(Nanos::from_secs(9), 80), (Nanos::from_millis(300), 8080)] {
            let (severity, said) = told(later, port);
            assert_eq!(severity, Severity::Error);
            assert!(said.ends_with("a firewall refuses."), "{said}");
        }
    }

    #[test]
    fn a_balancer_that_turns_to_its_other_backend_at_once_was_not_harmed() {
        let refused = flow(ConnectState::Refused, 1);
        let told = |client: [u8; 4]| {
            let x = exchange(GOOD, Some(&granted())).with(|x| {
                x.request.first = refused.syn_at + Nanos::from_millis(300);
                (x.client.ip, x.server.ip) = (client.into(), [192, 0, 2, 77].into());
                x.server.port = refused.server.port;
            });
            let mut seen = Seen::default();
            seen.learn(&x, true);
            let mine = FlowFacts { client: Endpoint::new([192, 0, 2, 9].into(), 40_000), ..refused.clone() };
            run_flow_seen(&RULE, &mine, &seen)[0].severity
        };
        assert_eq!(told([192, 0, 2, 9]), Severity::Warning);
        assert_eq!(told([192, 0, 2, 10]), Severity::Error);
    }

    #[test]
    fn an_open_or_silent_connection_is_not() {
        assert!(run_flow(&RULE, &flow(ConnectState::Established, 1)).is_empty());
        assert!(run_flow(&RULE, &flow(ConnectState::Unanswered, 3)).is_empty());
    }
}
