//! Runs all rules over one subject.

use crate::model::{Confidence, Exchange, Finding, FlowFacts, Handshake, InputFacts, Subject};
use crate::rules::{Check, Findings, Seen, all};

/// All findings about one exchange, in the order of the catalogue.
pub fn exchange(x: &Exchange, handshake: &Handshake, seen: &Seen) -> Vec<Finding> {
    let mut out = Vec::new();
    let subject = Subject::Exchange(x.id);
    let ceiling = ceiling(x);
    for rule in all() {
        match rule.check {
            Check::Exchange(check) | Check::Either(check, _) => {
                check(x, seen, &mut Findings::new(rule, subject, ceiling, &mut out))
            }
            Check::Handshake(check) => {
                check(x, handshake, seen, &mut Findings::new(rule, subject, ceiling, &mut out));
            }
            Check::Flow(_) | Check::Input(_) => {}
        }
    }
    out
}

/// All findings about a flow without a request.
pub fn flow(flow: &FlowFacts, seen: &Seen) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in all() {
        if let Some(check) = rule.check.of_flow() {
            check(flow, seen, &mut Findings::new(rule, Subject::Flow(flow.id), Confidence::Certain, &mut out));
        }
    }
    out
}

/// All findings about one input. `index`: of the input as given.
pub fn input(index: u16, facts: &InputFacts) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in all() {
        if let Check::Input(check) = rule.check {
            check(facts, &mut Findings::new(rule, Subject::Input(index), Confidence::Certain, &mut out));
        }
    }
    out
}

/// What is missing from the capture of this exchange takes one step off every claim.
fn ceiling(x: &Exchange) -> Confidence {
    let q = &x.quality;
    let holes = q.request_gap || q.response_gap || q.snapped || q.overlap_conflict;
    let one_sided = q.no_client_packets || q.no_server_packets;
    if holes || one_sided { Confidence::Likely } else { Confidence::Certain }
}
