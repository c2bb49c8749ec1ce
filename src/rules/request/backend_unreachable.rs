//! Nobody answered the SYN.

use crate::model::{Confidence, ConnectState, Direction, Evidence, FlowFacts, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "backend-unreachable",
    severity: Severity::Error,
    title: "nobody answered the TCP connection",
    about: "The SYN was sent again and again and no answer came: the host is down, a firewall drops the \
        packets, or the route leads nowhere. A proxy in this place answers its client with 502, 503 or 504.\n\n\
        On one leg alone it is a warning, because a capture that sees one direction only looks the same.",
    refs: &["RFC 9293 §3.8.3"],
    causes: &[
        "the host is down or its address is wrong",
        "a firewall or security group drops the packets",
        "the capture shows only one direction",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Flow(check),
};

fn check(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    // One SYN at the end of a capture may yet be answered behind it.
    if flow.state != ConnectState::Unanswered || flow.syns < 2 {
        return;
    }
    out.add(Text::own(format!("{} sent {} SYNs to {} and got no answer.", flow.client, flow.syns, flow.server)))
        .severity(Severity::Warning)
        .confidence(Confidence::Possible)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("nothing"))
        .evidence(Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{flow, run_flow};

    #[test]
    fn repeated_syns_without_an_answer_are_a_warning() {
        let found = run_flow(&RULE, &flow(ConnectState::Unanswered, 4));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Warning, Confidence::Possible));
    }

    #[test]
    fn one_syn_or_a_refusal_is_not() {
        assert!(run_flow(&RULE, &flow(ConnectState::Unanswered, 1)).is_empty());
        assert!(run_flow(&RULE, &flow(ConnectState::Refused, 4)).is_empty());
    }
}
