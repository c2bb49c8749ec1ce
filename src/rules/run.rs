//! Runs all rules over one subject, and takes off the certainty that the capture does not give.

use crate::base::Counters;
use crate::model::{Direction, Evidence, Exchange, Finding, FlowFacts, Handshake, Head, InputFacts, Quality, Subject};
use crate::rules::journey::{HopView, Journey};
use crate::rules::ordinary::is_ordinary;
use crate::rules::{Check, Findings, OF_EXCHANGES, Seen, all, http2};

/// All findings about one exchange, in the order of the catalogue.
pub fn exchange(x: &Exchange, handshake: &Handshake, seen: &Seen) -> Vec<Finding> {
    exchanges(&[(x, handshake)], seen).pop().unwrap_or_default()
}

/// The same of several, in their order. Rule by rule: the code of all rules is larger than the cache for code, a few
/// exchanges are smaller than the one for data.
pub fn exchanges(all: &[(&Exchange, &Handshake)], seen: &Seen) -> Vec<Vec<Finding>> {
    let mut out: Vec<Vec<Finding>> = all.iter().map(|_| Vec::new()).collect();
    let ordinary: Vec<bool> = all.iter().map(|(x, handshake)| is_ordinary(x, handshake)).collect();
    for group in OF_EXCHANGES.iter() {
        let of: Vec<bool> = all.iter().map(|(x, _)| (group.concern)(x)).collect();
        if !of.contains(&true) {
            continue;
        }
        for &(rule, asks_ordinary) in &group.rules {
            for (((x, handshake), out), (of, ordinary)) in all.iter().zip(&mut out).zip(of.iter().zip(&ordinary)) {
                let silent = *ordinary && !asks_ordinary;
                if !of || silent && !cfg!(debug_assertions) || !http2::judges(rule, x) {
                    continue;
                }
                let before = out.len();
                let mut found = Findings::new(rule, Subject::Exchange(x.id), out);
                match rule.check {
                    Check::Handshake(check) => check(x, handshake, seen, &mut found),
                    _ => {
                        if let Some(check) = rule.check.of_exchange() {
                            check(x, seen, &mut found);
                        }
                    }
                }
                debug_assert!(!silent || out.len() == before, "{} finds something in an ordinary exchange", rule.id);
            }
        }
    }
    for ((x, _), found) in all.iter().zip(&mut out).filter(|((x, _), _)| x.quality != Quality::default()) {
        for finding in found.iter_mut().filter(|f| in_doubt(x, f)) {
            finding.confidence = finding.confidence.lower();
        }
    }
    out
}

/// All findings about a chain as a whole: what its hops did, each with the place of the hop in
/// `Journey::hops`, and what several legs show together. `id`: of the chain.
pub fn journey(id: i64, journey: &Journey<'_>, seen: &Seen) -> Vec<(Option<usize>, Finding)> {
    let mut out = Vec::new();
    let mut found = Vec::new();
    let subject = Subject::Chain(id);
    let hops: Vec<(usize, HopView<'_>)> = journey.hops().collect();
    for rule in all() {
        if let Some(check) = rule.check.of_hop() {
            for (at, view) in hops.iter().filter(|(_, view)| http2::compares(rule, view.near.x, view.far.x)) {
                check(view, seen, &mut Findings::new(rule, subject, &mut found));
                // No surer than that the two legs belong together, and than what was captured of them.
                for mut finding in found.drain(..) {
                    let doubts = [view.near.x, view.far.x].iter().any(|x| in_doubt(x, &finding));
                    let known = if doubts { finding.confidence.lower() } else { finding.confidence };
                    finding.confidence = known.min(view.confidence());
                    out.push((Some(*at), finding));
                }
            }
        }
        if let Some(check) = rule.check.of_chain() {
            check(journey, seen, &mut Findings::new(rule, subject, &mut found));
            for mut finding in found.drain(..) {
                if journey.legs.iter().any(|leg| in_doubt(leg.x, &finding)) {
                    finding.confidence = finding.confidence.lower();
                }
                out.push((None, finding));
            }
        }
    }
    out
}

/// All findings about a flow without a request.
pub fn flow(flow: &FlowFacts, seen: &Seen) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in all() {
        if let Some(check) = rule.check.of_flow() {
            check(flow, seen, &mut Findings::new(rule, Subject::Flow(flow.id), &mut out));
        }
    }
    out
}

/// All findings about one input. `index`: of the input as given.
pub fn input(index: u16, facts: &InputFacts) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in all() {
        if let Check::Input(check) = rule.check {
            check(facts, &mut Findings::new(rule, Subject::Input(index), &mut out));
        }
    }
    out
}

/// All findings about the inputs together. `counters`: of the whole analysis; `seen`: all of its exchanges.
pub fn capture(counters: &Counters, seen: &Seen) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in all() {
        let found = &mut Findings::new(rule, Subject::Capture, &mut out);
        match rule.check {
            Check::Capture(check) => check(counters, found),
            Check::Tunnels(check) => check(&seen.tunnels, found),
            _ => {}
        }
    }
    out
}

/// Whether the capture lacks something inside the evidence of this finding, which takes one step off
/// it. That it lacks something is itself beyond doubt.
fn in_doubt(x: &Exchange, finding: &Finding) -> bool {
    let q = &x.quality;
    if finding.rule.starts_with("cap-") {
        return false;
    }
    // What one side said is never the whole story, and of two versions the other may be the true one.
    if q.no_client_packets || q.no_server_packets || q.overlap_conflict {
        return true;
    }
    let anywhere = q.gap || q.snapped || q.request_gap || q.response_gap;
    let holed = |evidence: &Evidence| match (evidence.direction, &x.response) {
        (Some(Direction::ClientToServer), _) => holed(q, &x.request, q.request_gap, evidence),
        (Some(Direction::ServerToClient), Some(head)) => holed(q, head, q.response_gap, evidence),
        (Some(Direction::ServerToClient), None) => q.response_gap,
        (None, _) => anywhere,
    };
    if finding.evidence.is_empty() { anywhere } else { finding.evidence.iter().any(holed) }
}

/// Whether bytes are missing where this evidence lies: in the head, if it lies there; else anywhere
/// behind it. A packet alone (a FIN, say) has no bytes that could be missing.
fn holed(q: &Quality, head: &Head, gap_in_head: bool, evidence: &Evidence) -> bool {
    match &evidence.bytes {
        Some(bytes) if bytes.start < head.range.end => gap_in_head || q.snapped && !head.complete,
        Some(_) => q.gap || q.snapped,
        None => gap_in_head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Confidence;
    use crate::rules::testing::{GOOD, With as _, exchange as made};

    const ORPHAN: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

    /// How sure the finding of this rule is, with what is missing.
    fn sure(slug: &str, request: &str, spoil: fn(&mut Quality)) -> Option<Confidence> {
        let x = made(request, Some(REFUSED)).with(|x| spoil(&mut x.quality));
        let found = exchange(&x, &Handshake::default(), &Seen::default());
        found.into_iter().find(|f| f.rule == slug).map(|f| f.confidence)
    }

    #[test]
    fn a_hole_in_one_head_takes_nothing_off_what_the_other_shows() {
        let (whole, less) = (Some(Confidence::Certain), Some(Confidence::Likely));
        assert_eq!(sure("req-orphan-key", ORPHAN, |_| {}), whole);
        assert_eq!(sure("req-orphan-key", ORPHAN, |q| q.response_gap = true), whole);
        let refused = sure("refused-403", GOOD, |_| {});
        assert_eq!(sure("refused-403", GOOD, |q| q.request_gap = true), refused);
        assert_eq!(sure("refused-403", GOOD, |q| q.response_gap = true), refused.map(Confidence::lower));
        assert_eq!(sure("req-orphan-key", ORPHAN, |q| (q.response_gap, q.overlap_conflict) = (true, true)), less);
    }

    #[test]
    fn what_was_lost_behind_the_heads_takes_nothing_off_what_they_show() {
        for spoil in [|q: &mut Quality| q.gap = true, |q: &mut Quality| q.snapped = true] {
            assert_eq!(sure("req-orphan-key", ORPHAN, spoil), Some(Confidence::Certain));
        }
    }

    #[test]
    fn one_direction_alone_takes_a_step_off_everything_but_that_it_is_alone() {
        let one_way = |q: &mut Quality| q.no_server_packets = true;
        assert_eq!(sure("req-orphan-key", ORPHAN, one_way), Some(Confidence::Likely));
        assert_eq!(sure("cap-one-sided", ORPHAN, one_way), Some(Confidence::Certain));
    }

    #[test]
    fn evidence_behind_the_head_is_doubted_with_any_hole() {
        let x = made(GOOD, Some(REFUSED));
        let behind =
            Evidence { at: x.request.at, direction: None, bytes: Some(x.request.range.end..x.request.range.end) };
        let q = Quality { gap: true, ..Quality::default() };
        assert!(holed(&q, &x.request, false, &behind) && !holed(&Quality::default(), &x.request, false, &behind));
    }
}
