//! Connections without a request that a hop opened for a journey: refused, never answered, or spoken to in
//! the wrong protocol.

use crate::base::{Nanos, limits};
use crate::model::{Attempted, Confidence, Exchange, FlowFacts};

use super::hosts::Hosts;

/// Which leg's server opened which of these connections. `leaves`: exchanges that a try may belong to, those
/// without a leg behind them, or whose hop tried again.
pub fn tried(all: &[&Exchange], lone: &[FlowFacts], hosts: &Hosts) -> Vec<Attempted> {
    let mut by_time: Vec<&Exchange> = all.to_vec();
    by_time.sort_by_key(|x| (x.request.first, x.id));
    lone.iter().filter_map(|flow| belongs_to(flow, &by_time, hosts)).collect()
}

/// How long behind its answer a hop may take to close what it tried in vain.
const CLOSED_BEHIND: Nanos = Nanos::from_millis(limits::AT_ONCE_MS);

/// The leg during which the connection was opened, by its server's host where that is known; where it is
/// not, by who waited and then failed.
fn belongs_to(flow: &FlowFacts, by_time: &[&Exchange], hosts: &Hosts) -> Option<Attempted> {
    let slack = Nanos::from_millis(limits::JOIN_SLACK_MS);
    let until = by_time.partition_point(|x| x.request.first <= flow.syn_at + slack);
    let horizon = flow.syn_at - Nanos::from_secs(limits::JOIN_S);
    let open = |x: &&&Exchange| {
        let over = x.response.as_ref().map(|r| r.first).or(x.end.at).or(x.end.tcp_at);
        over.is_none_or(|over| over + slack >= flow.syn_at)
    };
    let may = |x: &&&Exchange| x.flow != flow.id && x.server != flow.server && x.client != flow.client;
    let waiting = by_time.iter().take(until).rev().take_while(|x| x.request.first >= horizon);
    let waiting: Vec<&&Exchange> = waiting.take(limits::JOIN_CANDIDATES * 4).filter(open).filter(may).collect();
    let of = |x: &Exchange, confidence| Attempted { behind: x.id, flow: flow.id, confidence };
    let known: Vec<&&&Exchange> = waiting.iter().filter(|x| hosts.same(x.server.ip, flow.client.ip)).collect();
    match known.as_slice() {
        [x] => return Some(of(x, Confidence::Certain)),
        [x, ..] => return Some(of(x, Confidence::Possible)),
        [] => {}
    }
    let failed = |x: &&&&Exchange| x.status().is_none_or(|status| status >= 500) && x.client.ip != flow.client.ip;
    let failed: Vec<&&&Exchange> = waiting.iter().filter(failed).collect();
    match failed.as_slice() {
        [x] => Some(of(x, Confidence::Likely)),
        // Of several, the one whose client was told first after the try had failed: a hop says so at once.
        several => {
            // Of what is still open at the end, the one that asked last before it was begun.
            let Some(failed_at) = flow.end_at else { return several.first().map(|x| of(x, Confidence::Possible)) };
            let told = |x: &Exchange| x.response.as_ref().map(|r| r.first).filter(|told| *told >= failed_at);
            let first =
                several.iter().filter_map(|x| told(x).map(|told| (told, x))).min_by_key(|(told, x)| (*told, x.id));
            // Some close what failed only behind their answer.
            let just = |x: &Exchange| {
                let told = x.response.as_ref().map(|r| r.first)?;
                (told >= flow.syn_at && failed_at.since(told) <= CLOSED_BEHIND).then_some(told)
            };
            let last = || several.iter().filter_map(|x| just(x).map(|told| (told, x))).max_by_key(|(t, x)| (*t, x.id));
            first.or_else(last).map(|(_, x)| of(x, Confidence::Possible))
        }
    }
}
