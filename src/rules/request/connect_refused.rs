//! The server refused the TCP connection.

use crate::model::{ConnectState, Direction, Evidence, FlowFacts, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "connect-refused",
    severity: Severity::Error,
    title: "the TCP connection was refused",
    about: "The client's SYN was answered by RST: nothing listens on that port, or a firewall refuses it. \
        No request was ever sent.",
    refs: &["RFC 9293 §3.5.2"],
    causes: &[
        "the server is not running, or listens on another port or address",
        "a firewall or security group rejects the connection",
        "a load balancer without a healthy backend",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &["backend-refused"],
    check: Check::Flow(check),
};

fn check(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    if flow.state != ConnectState::Refused {
        return;
    }
    let syn = Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None };
    let finding = out
        .add(Text::own(format!(
            "{} answered the SYN of {} with RST: nothing listens there, or a firewall refuses.",
            flow.server, flow.client
        )))
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("RST"))
        .evidence(syn);
    if let Some(at) = flow.end {
        finding.evidence(Evidence { at, direction: Some(Direction::ServerToClient), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{flow, run_flow};

    #[test]
    fn a_rst_to_the_syn_is_found() {
        assert_eq!(run_flow(&RULE, &flow(ConnectState::Refused, 1))[0].evidence.len(), 2);
    }

    #[test]
    fn an_open_or_silent_connection_is_not() {
        assert!(run_flow(&RULE, &flow(ConnectState::Established, 1)).is_empty());
        assert!(run_flow(&RULE, &flow(ConnectState::Unanswered, 3)).is_empty());
    }
}
