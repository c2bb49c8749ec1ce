//! Connections in TLS that were not read, beside what was: which of them may be the leg before or behind a chain, by
//! time, size and topology. That is never more than possible, and where several fit nothing is said.

use std::ops::RangeInclusive;

use crate::base::{Endpoint, Nanos, Timestamp, limits};
use crate::model::{Beside, Direction, Exchange, FlowFacts, MatchKey, SealedRecord, Stands};

use super::hosts::Hosts;
use super::{Map, Set};

/// Such connections, to be asked for.
pub struct Around<'a> {
    hosts: &'a Hosts,
    all: &'a [FlowFacts],
    /// By the host at their server's (client's) end, in the order of their beginning.
    to: Map<std::net::IpAddr, Vec<Span>>,
    from: Map<std::net::IpAddr, Vec<Span>>,
    by_begin: Vec<Span>,
}

/// A connection by its number, and when a request may have gone by in it: one look rules out most of them.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    begin: Timestamp,
    /// Of the client's first and last record with data that are known. The first is after the last where there are
    /// none.
    asked: [Timestamp; 2],
}

/// How long a hop may take from one leg to the other.
const HOP: Nanos = Nanos::from_secs(2);
const SLACK: Nanos = Nanos::from_millis(limits::JOIN_SLACK_MS);

/// Bytes that TLS and a hop's own fields may add to a head.
const ADDED: u64 = 400;

impl<'a> Around<'a> {
    pub fn new(all: &'a [FlowFacts], hosts: &'a Hosts) -> Self {
        let mut around = Around { hosts, all, to: Map::default(), from: Map::default(), by_begin: Vec::new() };
        around.by_begin = all.iter().enumerate().map(|(at, flow)| Span::of(at, flow)).collect();
        around.by_begin.sort_by_key(|span| (span.begin, all.get(span.at).map(|flow| flow.id)));
        for &span in &around.by_begin {
            let Some(flow) = all.get(span.at) else { continue };
            around.to.entry(hosts.root(flow.server.ip)).or_default().push(span);
            around.from.entry(hosts.root(flow.client.ip)).or_default().push(span);
        }
        around
    }

    /// What may be the leg before this one, or behind it.
    pub fn of<'s>(&'s self, x: &Exchange, stands: Stands) -> Option<Beside> {
        if self.all.is_empty() {
            return None;
        }
        let (known, host) = match stands {
            Stands::Before => (&self.to, x.client.ip),
            Stands::Behind => (&self.from, x.server.ip),
            Stands::Itself => return None,
        };
        let of_host = known.get(&self.hosts.root(host)).map_or(&[][..], Vec::as_slice);
        let when = asked_when(x, stands);
        // In the order of their beginning backwards, as they are asked for.
        let near = |list: &'s [Span]| {
            let until = list.partition_point(|span| span.begin <= x.request.first + HOP);
            let latest = list.get(..until).unwrap_or_default().iter().rev().take(limits::JOIN_CANDIDATES * 4);
            let when = when.clone();
            latest
                .filter(move |span| span.asked[0] <= *when.end() && span.asked[1] >= *when.start())
                .map(|span| span.at)
                .filter(|at| self.all.get(*at).is_some_and(|flow| in_time(flow, x, stands)))
        };
        let each_once = |all: &mut dyn Iterator<Item = usize>| {
            let mut once: Vec<usize> = Vec::new();
            for at in all.filter(|at| self.all.get(*at).is_some()) {
                match once.iter_mut().find(|known| self.are_twins(**known, at)) {
                    // The list runs backwards: the one that began first is nearer to whoever opened it.
                    Some(known) => *known = at,
                    None => once.push(at),
                }
            }
            once
        };
        let sized = |at: &usize| self.all.get(*at).is_some_and(|flow| in_size(flow, x, stands));
        let here = each_once(&mut near(of_host));
        let by_size: Vec<usize> = here.iter().copied().filter(sized).take(2).collect();
        let (at, why): (usize, &[MatchKey]) = match (here.as_slice(), by_size.as_slice()) {
            (_, [one]) => (*one, &[MatchKey::Time, MatchKey::Size, MatchKey::Topology]),
            ([one], []) => (*one, &[MatchKey::Time, MatchKey::Topology]),
            ([], _) => {
                // Of a host with several addresses, not all may be known.
                let anywhere = each_once(&mut near(&self.by_begin).take(3));
                match anywhere.as_slice() {
                    [one] if sized(one) => (*one, &[MatchKey::Time, MatchKey::Size]),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let flow = self.all.get(at)?.clone();
        Some(Beside { flow: Box::new(flow), stands, of: Some(x.id), joined_by: why.into() })
    }

    /// Whether two are one that was captured at two places, on both sides of a router, which keeps at least its port where it
    /// can.
    fn are_twins(&self, a: usize, b: usize) -> bool {
        self.all.get(a).zip(self.all.get(b)).is_some_and(|(a, b)| are_twins(a, b))
    }

    /// This connection, and what was captured of it elsewhere.
    pub fn copies<'s>(&'s self, flow: &'s FlowFacts) -> impl Iterator<Item = &'s FlowFacts> {
        let known = self.to.get(&self.hosts.root(flow.server.ip)).map_or(&[][..], Vec::as_slice);
        // Both saw it begin at one time.
        let from = known.partition_point(|span| span.begin + HOP < flow.syn_at);
        let near = known.get(from..).unwrap_or_default().iter().take_while(|span| span.begin <= flow.syn_at + HOP);
        let others = near.filter_map(|span| self.all.get(span.at)).filter(|other| are_twins(flow, other));
        std::iter::once(flow).chain(others.take(limits::JOIN_INPUTS))
    }

    /// Connections that both ends sent into in vain, as captures at its two places show: the path between broke. By the
    /// client's port and the server.
    pub fn torn(&self) -> Set<(u16, Endpoint)> {
        let asked = |flow: &FlowFacts| Some(flow.sealed()?.transport.as_ref()?.resent?.by);
        let mut of: Map<(u16, Endpoint), Vec<&FlowFacts>> = Map::default();
        for flow in self.all.iter().filter(|flow| asked(flow).is_some()) {
            of.entry((flow.client.port, flow.server)).or_default().push(flow);
        }
        let both =
            |all: &Vec<&FlowFacts>| all.iter().any(|a| all.iter().any(|b| are_twins(a, b) && asked(a) != asked(b)));
        of.into_iter().filter(|(_, all)| all.len() <= limits::JOIN_INPUTS && both(all)).map(|(ends, _)| ends).collect()
    }

    /// What may be the leg before this connection, which is not read either, or behind it.
    pub fn of_flow(&self, flow: &FlowFacts, stands: Stands) -> Option<Beside> {
        let (known, host) = match stands {
            Stands::Before => (&self.to, flow.client.ip),
            Stands::Behind => (&self.from, flow.server.ip),
            Stands::Itself => return None,
        };
        let list = known.get(&self.hosts.root(host))?;
        let may = |other: &FlowFacts| {
            let (near, far) = if stands == Stands::Before { (other, flow) } else { (flow, other) };
            let ends = near.end_at.zip(far.end_at);
            ends.is_some_and(|(a, b)| a.0.abs_diff(b.0) <= HOP.0.unsigned_abs())
                && may_be_legs(near, far)
                && may_be_by_size(near, far)
        };
        let fitting: Vec<&FlowFacts> =
            list.iter().rev().filter_map(|span| self.all.get(span.at)).filter(|other| may(other)).take(2).collect();
        let [one] = fitting.as_slice() else { return None };
        let joined_by = vec![MatchKey::Time, MatchKey::Size, MatchKey::Topology];
        Some(Beside { flow: Box::new((*one).clone()), stands, of: None, joined_by })
    }
}

/// Connections in TLS that were not read and that their servers ended, by the time of that.
pub struct Ended<'a>(Vec<(Timestamp, &'a FlowFacts)>);

/// How soon behind one leg a hop ends the other.
const PASSED_ON: Nanos = Nanos::from_millis(100);

impl<'a> Ended<'a> {
    pub fn new(flows: impl Iterator<Item = &'a FlowFacts>) -> Self {
        let mut all: Vec<_> = flows.filter_map(|flow| Some((ended(flow)?, flow))).collect();
        all.sort_unstable_by_key(|(at, flow)| (*at, flow.id));
        Ended(all)
    }

    /// Whether the end of this connection may only have been passed on by its server, from a leg behind it that ended
    /// right before.
    pub fn came_from_behind(&self, near: &FlowFacts) -> bool {
        let Some(at) = ended(near) else { return false };
        let from = self.0.partition_point(|(end, _)| *end < at - PASSED_ON);
        let before = self.0.get(from..).unwrap_or_default().iter().take_while(|(end, _)| *end <= at + SLACK);
        before
            .take(limits::JOIN_CANDIDATES)
            .any(|(_, far)| far.syn_at > near.syn_at && far.client.ip != near.client.ip && may_be_legs(near, far))
    }
}

fn are_twins(a: &FlowFacts, b: &FlowFacts) -> bool {
    a.syn.input() != b.syn.input() && (a.client.port, a.server) == (b.client.port, b.server)
}

fn ended(flow: &FlowFacts) -> Option<Timestamp> {
    flow.said.as_ref()?.end.at
}

/// Whether two connections may be legs before and behind one hop, by when they were opened and to whom.
fn may_be_legs(near: &FlowFacts, far: &FlowFacts) -> bool {
    let opened = near.syn_at <= far.syn_at + SLACK && far.syn_at.since(near.syn_at) <= Nanos::from_secs(limits::JOIN_S);
    near.id != far.id && near.server != far.server && opened
}

/// The same, by how much was sent. Of a short life the handshakes are the most, and theirs differ.
fn may_be_by_size(near: &FlowFacts, far: &FlowFacts) -> bool {
    near.sealed().zip(far.sealed()).is_some_and(|(a, b)| {
        a.sides.iter().zip(&b.sides).all(|(a, b)| a.bytes.abs_diff(b.bytes) <= a.bytes.max(b.bytes) / 2)
    })
}

impl Span {
    fn of(at: usize, flow: &FlowFacts) -> Self {
        let mut asked = [Timestamp(i64::MAX), Timestamp(i64::MIN)];
        for record in data(flow, Direction::ClientToServer) {
            asked = [asked[0].min(record.ts), asked[1].max(record.ts)];
        }
        Span { at, begin: flow.syn_at, asked }
    }
}

/// Whether the connection carried something when this leg was asked and answered, in the order in which a hop would
/// pass it on.
fn in_time(flow: &FlowFacts, x: &Exchange, stands: Stands) -> bool {
    let open = flow.syn_at <= x.request.first + HOP && flow.end_at.is_none_or(|end| end + SLACK >= x.request.first);
    let other = match stands {
        Stands::Before => flow.client != x.server && flow.server != x.server,
        _ => flow.server != x.client && flow.client != x.client,
    };
    let answered = x.response.as_ref().is_none_or(|answer| {
        let from = |n: Timestamp| match stands {
            Stands::Before => answer.first - SLACK..=n + HOP,
            _ => x.request.first - SLACK..=n + SLACK,
        };
        data(flow, Direction::ServerToClient).any(|r| from(answer.first).contains(&r.ts))
    });
    flow.id != x.flow && open && other && answered && asked(flow, x, stands).next().is_some()
}

/// Records in which the request may have been.
fn asked<'f>(flow: &'f FlowFacts, x: &Exchange, stands: Stands) -> impl Iterator<Item = &'f SealedRecord> {
    let when = asked_when(x, stands);
    data(flow, Direction::ClientToServer).filter(move |record| when.contains(&record.ts))
}

/// When the request may have gone by on the other leg.
fn asked_when(x: &Exchange, stands: Stands) -> RangeInclusive<Timestamp> {
    let at = x.request.first;
    match stands {
        Stands::Before => at - HOP..=at + SLACK,
        _ => at - SLACK..=at + HOP,
    }
}

/// Whether a record is as long as the request's head is, give or take what a hop changes.
fn in_size(flow: &FlowFacts, x: &Exchange, stands: Stands) -> bool {
    let head = x.request.range.end.saturating_sub(x.request.range.start);
    asked(flow, x, stands).any(|record| u64::from(record.bytes).abs_diff(head) <= (head / 2).min(ADDED))
}

fn data(flow: &FlowFacts, from: Direction) -> impl Iterator<Item = &SealedRecord> {
    flow.sealed().into_iter().flat_map(move |sealed| sealed.of(from).data())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Endpoint, FlowId, PacketRef};
    use crate::model::{ConnectState, End, Said};

    /// Opened and ended at these milliseconds, between these hosts.
    fn flow(id: u32, [opened, over]: [i64; 2], [client, server]: [u8; 2]) -> FlowFacts {
        let at = |ms: i64| Timestamp(ms * 1_000_000);
        let end = End { at: Some(at(over)), ..End::default() };
        FlowFacts {
            answered_at: None,
            unseen_at: None,
            id: FlowId(id),
            client: Endpoint::new([192, 0, 2, client].into(), 40_000),
            server: Endpoint::new([192, 0, 2, server].into(), 443),
            state: ConnectState::Established,
            syn: PacketRef::default(),
            syn_at: at(opened),
            syns: 1,
            end: None,
            end_at: Some(at(over)),
            rejected: None,
            said: Some(Box::new(Said { end, ..Said::default() })),
        }
    }

    #[test]
    fn an_end_came_from_behind_where_a_connection_that_was_opened_later_ended_right_before() {
        let near = flow(1, [0, 5_000], [1, 2]);
        let behind = |far: FlowFacts| Ended::new([&near, &far].into_iter()).came_from_behind(&near);
        assert!(behind(flow(2, [3, 4_999], [3, 4])));
        assert!(!behind(flow(2, [3, 5_400], [3, 4])), "after it");
        assert!(!behind(flow(2, [3, 4_000], [3, 4])), "long before");
        assert!(!behind(flow(2, [-3, 4_999], [3, 4])), "it was opened before");
        assert!(!behind(flow(2, [3, 4_999], [1, 4])), "the same client's");
        assert!(!behind(flow(2, [3, 4_999], [3, 2])), "to the same server");
    }
}
