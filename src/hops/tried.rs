//! Connections without a request that a hop opened for a journey: refused, never answered, or spoken to in
//! the wrong protocol.

use std::net::IpAddr;

use crate::base::{Endpoint, ExchangeId, Nanos, limits};
use crate::model::{Attempted, Confidence, ConnectState, Exchange, FlowFacts};

use super::hosts::Hosts;
use super::{Map, Set};

/// Which leg's server opened which of these connections: while its client waited, or before, where it remembered that
/// they had failed and tried no more.
pub fn tried(all: &[&Exchange], lone: &[FlowFacts], hosts: &Hosts) -> Vec<Attempted> {
    let mut by_time: Vec<&Exchange> = all.to_vec();
    by_time.sort_by_key(|x| (x.request.first, x.id));
    let mut found: Vec<Option<Belongs>> = lone.iter().map(|flow| belongs_to(flow, &by_time, hosts)).collect();
    spread(lone, &mut found);
    let mut tried: Vec<Attempted> = found.into_iter().flatten().map(|belongs| belongs.to).collect();
    remembered(&by_time, lone, hosts, &mut tried);
    tried
}

/// Whose a connection is.
struct Belongs {
    to: Attempted,
    /// All legs whose it may be, where these are several: the one asked last first; at most `limits::TRIES_SPREAD`.
    several: Vec<ExchangeId>,
}

impl From<Attempted> for Belongs {
    fn from(to: Attempted) -> Self {
        Belongs { to, several: Vec::new() }
    }
}

/// A hop connects once to the same server for each request, mostly: of connections that may be any of several legs', each
/// leg gets one as far as they go round.
fn spread(lone: &[FlowFacts], found: &mut [Option<Belongs>]) {
    let mut owned: Map<(ExchangeId, Endpoint), usize> = Map::default();
    for (at, (flow, belongs)) in lone.iter().zip(&*found).enumerate() {
        if let Some(belongs) = belongs.as_ref().filter(|belongs| belongs.several.is_empty()) {
            owned.insert((belongs.to.behind, flow.server), at);
        }
    }
    for (at, flow) in lone.iter().enumerate() {
        let several = |at: usize| found.get(at).and_then(Option::as_ref).map_or(&[][..], |belongs| &belongs.several);
        let free = |at: usize| several(at).iter().find(|leg| !owned.contains_key(&(**leg, flow.server))).copied();
        // Where none is left, one of them may have got what can be another's as well.
        let gives_way = |leg: &ExchangeId| {
            let other = *owned.get(&(*leg, flow.server))?;
            Some([Some((other, free(other)?)), Some((at, *leg))])
        };
        let moves = match free(at) {
            Some(leg) => [None, Some((at, leg))],
            None => several(at).iter().find_map(gives_way).unwrap_or_default(),
        };
        for (at, leg) in moves.into_iter().flatten() {
            owned.insert((leg, flow.server), at);
            if let Some(belongs) = found.get_mut(at).and_then(Option::as_mut) {
                belongs.to.behind = leg;
            }
        }
    }
}

/// Adds what failed before: a hop whose backends all failed answers for a while without trying again, and what
/// connects to see whether they live need not be about a request at all.
fn remembered(by_time: &[&Exchange], lone: &[FlowFacts], hosts: &Hosts, tried: &mut Vec<Attempted>) {
    let mut lone: Vec<&FlowFacts> = lone.iter().collect();
    lone.sort_by_key(|flow| (flow.syn_at, flow.id));
    let stuck = |x: &&&Exchange| matches!(x.status(), Some(502 | 503 | 521..=523));
    if lone.is_empty() || !by_time.iter().any(|x| stuck(&x)) {
        return;
    }
    let owners: Map<_, _> = tried.iter().map(|t| (t.flow, (t.behind, t.confidence))).collect();
    let asked: Set<_> = tried.iter().map(|t| t.behind).collect();
    let by_id: Map<_, _> = by_time.iter().map(|x| (x.id, *x)).collect();
    let callers: Set<IpAddr> = by_time.iter().map(|x| x.client.ip).collect();
    let gateways: Set<IpAddr> = by_time.iter().filter(stuck).map(|x| hosts.root(x.server.ip)).collect();
    // Whose connection it is: as joined legs, or as a request that waited for it tell; else whose it can only be.
    let whose = |flow: &FlowFacts| -> Option<IpAddr> {
        let root = hosts.root(flow.client.ip);
        if gateways.contains(&root) {
            return Some(root);
        }
        if let Some((behind, confidence)) = owners.get(&flow.id) {
            let server = by_id.get(behind).filter(|_| *confidence >= Confidence::Likely)?.server.ip;
            return Some(hosts.root(server));
        }
        let only = gateways.iter().next().filter(|_| gateways.len() == 1 && !callers.contains(&flow.client.ip));
        only.copied().filter(|gateway| !hosts.same(*gateway, flow.server.ip))
    };
    let of: Vec<(&FlowFacts, IpAddr)> = lone.iter().filter_map(|flow| Some((*flow, whose(flow)?))).collect();
    // Whoever got an answer from a backend meanwhile does not take all of them for dead.
    let mut served: Map<IpAddr, Vec<_>> = Map::default();
    for x in by_time.iter().filter(|x| x.status().is_some_and(|status| status < 500)) {
        served.entry(hosts.root(x.client.ip)).or_default().push(x.request.first);
        if x.status() == Some(101) {
            served.entry(hosts.root(x.server.ip)).or_default().push(x.request.first);
        }
    }
    for (flow, whose) in of.iter().filter(|(flow, _)| !failed(flow) && flow.state == ConnectState::Established) {
        served.entry(*whose).or_default().push(flow.syn_at);
    }
    served.values_mut().for_each(|times| times.sort_unstable());
    for x in by_time.iter().filter(stuck).filter(|x| !asked.contains(&x.id)) {
        let root = hosts.root(x.server.ip);
        let horizon = x.request.first - Nanos::from_secs(limits::FAILED_REMEMBERED_S);
        let until = of.partition_point(|(flow, _)| flow.syn_at < x.request.first);
        let before = of.iter().take(until).rev().take_while(|(flow, _)| flow.syn_at >= horizon);
        let over = |flow: &FlowFacts| flow.end_at.is_none_or(|end| end <= x.request.first);
        let mine = before.take(limits::JOIN_CANDIDATES * 4).filter(|(flow, whose)| {
            *whose == root && failed(flow) && over(flow) && flow.client != x.client && flow.server != x.server
        });
        let mine: Vec<&FlowFacts> = mine.map(|(flow, _)| *flow).collect();
        // One refused connection of which it is not known whose it is may be anybody's.
        let known = |flow: &&FlowFacts| hosts.same(root, flow.client.ip) || owners.contains_key(&flow.id);
        let Some(first) = mine.last().filter(|_| mine.len() > 1 || mine.iter().any(known)) else { continue };
        // A host's addresses need not be known to be one's.
        let alive = |host: IpAddr| {
            let times = served.get(&host).map_or(&[][..], Vec::as_slice);
            let later = times.partition_point(|at| *at < first.syn_at);
            times.get(later).is_some_and(|at| *at <= x.request.first)
        };
        if alive(root) || mine.iter().any(|flow| alive(hosts.root(flow.client.ip))) {
            continue;
        }
        let last = mine.iter().take(limits::TRIES_REMEMBERED).rev();
        tried.extend(last.map(|flow| Attempted { behind: x.id, flow: flow.id, confidence: Confidence::Likely }));
    }
}

/// Whether a connection came to nothing.
fn failed(flow: &FlowFacts) -> bool {
    match flow.state {
        ConnectState::Refused => true,
        ConnectState::Unanswered => flow.syns > 1 || flow.rejected.is_some(),
        ConnectState::Established => flow.said.as_ref().is_some_and(|said| said.broken.is_some()),
        ConnectState::Midstream => false,
    }
}

/// How long behind its answer a hop may take to close what it tried in vain.
const CLOSED_BEHIND: Nanos = Nanos::from_millis(limits::AT_ONCE_MS);

/// The leg during which the connection was opened, by its server's host where that is known; where it is
/// not, by who waited and then failed.
fn belongs_to(flow: &FlowFacts, by_time: &[&Exchange], hosts: &Hosts) -> Option<Belongs> {
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
        [x] => return Some(of(x, Confidence::Certain).into()),
        [first, ..] => {
            // The only one that waited all the time that the try took.
            let waited = |x: &&&&&Exchange| {
                let told = x.response.as_ref().map(|r| r.first);
                x.request.first <= flow.syn_at && told.is_none_or(|told| flow.end_at.is_none_or(|end| told >= end))
            };
            let waited: Vec<&&&&Exchange> = known.iter().filter(waited).collect();
            return Some(match waited.as_slice() {
                [x] => of(x, Confidence::Likely).into(),
                several => {
                    let several = several.iter().take(limits::TRIES_SPREAD).map(|x| x.id).collect();
                    Belongs { to: of(first, Confidence::Possible), several }
                }
            });
        }
        [] => {}
    }
    let failed = |x: &&&&Exchange| x.status().is_none_or(|status| status >= 500) && x.client.ip != flow.client.ip;
    // Of the legs of one journey, the last: who asked another hop did not connect to a backend as well.
    let asked_on = |x: &Exchange| waiting.iter().any(|y| y.id != x.id && hosts.same(y.client.ip, x.server.ip));
    let failed: Vec<&&&Exchange> = waiting.iter().filter(failed).filter(|x| !asked_on(x)).collect();
    let likely = match failed.as_slice() {
        [x] => Some(of(x, Confidence::Likely)),
        // Of several, the one whose client was told first after the try had failed: a hop says so at once.
        several => {
            // Of what is still open at the end, the one that asked last before it was begun.
            let Some(failed_at) = flow.end_at else {
                return several.first().map(|x| of(x, Confidence::Possible).into());
            };
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
    };
    likely.map(Belongs::from)
}
