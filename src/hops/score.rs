//! How well two exchanges fit as the two legs of one hop: evidence for and against, in points. A hundred
//! points are proof by themselves.

use std::net::IpAddr;

use crate::base::{Nanos, limits};
use crate::model::{Confidence, MatchKey};

use super::Map;
use super::card::Card;
use super::hosts::Hosts;

/// Evidence that makes a pair worth joining, where no other fits nearly as well.
pub(super) const ENOUGH: i32 = 50;
/// By how much a pair must be better than any other that one of its legs could make.
pub(super) const MARGIN: i32 = 6;
/// Evidence that is proof by itself.
pub(super) const PROOF: i32 = 100;
/// For each time that a value halves the number of candidates.
const BIT: i32 = 8;
/// For the only partner that either leg has.
pub(super) const ALONE: i32 = 15;

/// How well two legs fit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Score {
    pub points: i32,
    /// What speaks for it and how much, strongest first.
    pub why: Vec<Sign>,
}

/// Something that speaks for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub points: i32,
    pub key: MatchKey,
    /// It names this one connection, whatever others share.
    exact: bool,
}

impl Score {
    /// Weighs evidence by how well it tells candidates apart. `sharing`: how many candidates of a leg have the
    /// value in common with it, and how many there are: at the leg where it tells less.
    pub(super) fn weigh(&mut self, sharing: impl Fn(MatchKey) -> (u32, u32)) {
        for sign in &mut self.why {
            if sign.exact || matches!(sign.key, MatchKey::Time | MatchKey::Topology) {
                continue;
            }
            let (shared, of) = sharing(sign.key);
            let doubled = |n: u32| i32::try_from(n.max(1).ilog2()).unwrap_or(0);
            // The more have it in common, the less it says; the more do not, the more.
            let left = (sign.points * (6 - doubled(shared)).max(0)) / 6;
            let telling = doubled(of / shared.max(1)) * BIT;
            self.points += left + telling - sign.points;
            sign.points = left + telling;
        }
        self.why.retain(|sign| sign.points > 0);
        self.why.sort_by_key(|sign| (std::cmp::Reverse(sign.points), sign.key));
    }

    /// What the addresses are worth, seen over all candidates.
    pub(super) fn support(&mut self, points: i32) {
        self.points += points;
        if points > 0 && !self.why.iter().any(|sign| sign.key == MatchKey::Topology) {
            self.why.push(Sign { points, key: MatchKey::Topology, exact: false });
        }
    }

    /// What speaks for it, each once, strongest first.
    pub(super) fn keys(&self) -> Vec<MatchKey> {
        let mut keys: Vec<MatchKey> = Vec::with_capacity(self.why.len());
        for sign in &self.why {
            if !keys.contains(&sign.key) {
                keys.push(sign.key);
            }
        }
        keys
    }

    /// How sure a join by these points is.
    pub(super) fn confidence(&self) -> Confidence {
        match self.points {
            p if p >= PROOF => Confidence::Certain,
            p if p >= ENOUGH + 20 => Confidence::Likely,
            _ => Confidence::Possible,
        }
    }
}

/// What joined legs taught of the hops: which addresses belong together, and how they rewrite targets.
#[derive(Clone, Debug, Default)]
pub(super) struct Topology {
    pub hosts: Hosts,
    /// By how much the clocks of two inputs may still be apart.
    slack: Nanos,
    /// How many sure pairs went from this server address on from that client address.
    pairs: Map<(IpAddr, IpAddr), u32>,
    /// How many sure pairs went on from this server address.
    from: Map<IpAddr, u32>,
    /// Fingerprints of the paths before and behind a hop, by its address.
    paths: Map<(IpAddr, u64), u64>,
}

impl Topology {
    pub(super) fn new(hosts: Hosts, slack: Nanos) -> Self {
        Topology { hosts, slack, ..Topology::default() }
    }

    /// A pair beyond doubt.
    pub(super) fn learn(&mut self, near: &Card, far: &Card) {
        if near.server == far.server {
            // Of a transparent proxy that address is not the hop's.
            return;
        }
        *self.pairs.entry((near.server.ip, far.client.ip)).or_default() += 1;
        *self.from.entry(near.server.ip).or_default() += 1;
        self.paths.insert((near.server.ip, near.path), far.path);
    }

    /// Points for the addresses alone.
    fn points(&self, near: &Card, far: &Card) -> i32 {
        let (hop, next) = (near.server.ip, far.client.ip);
        if near.client.ip == next && hop == next || [near.client.ip, hop, next].iter().all(IpAddr::is_loopback) {
            // All on one host, as between a sidecar and its application: it tells nothing.
            return 0;
        }
        if self.hosts.is_pinned(hop) && self.hosts.is_pinned(next) {
            return if self.hosts.same(hop, next) { 40 } else { -40 };
        }
        let own = near.key.is_some() && near.key == far.key;
        // A loopback address may be another host's.
        let leads_back = || self.pairs.contains_key(&(far.server.ip, near.client.ip));
        let round = near.client.ip == far.server.ip || !far.server.ip.is_loopback() && leads_back();
        if round && !(own && is_named(near, far)) {
            // The hop in front of the near leg would ask itself, by way of the next one.
            return -PROOF;
        }
        // What a pair taught by itself is no evidence for it.
        let known = self.pairs.get(&(hop, next)).copied().unwrap_or(0);
        if near.server == far.server {
            // A transparent proxy took the connection to itself.
            return 0;
        }
        if hop == next || known > u32::from(own) {
            return 25;
        }
        // Many pairs, and none of them from there.
        if self.from.get(&hop).is_some_and(|&n| n >= 3) { -15 } else { 0 }
    }
}

/// How well `near` and `far` fit; `None` where they cannot be neighbours.
pub(super) fn score(near: &Card, far: &Card, topology: &Topology) -> Option<Score> {
    let mut tally = Tally::default();
    if near.flow == far.flow || near.server == far.server && !is_intercepted(near, far) {
        return None;
    }
    // The loopback addresses of two captures are two hosts', and a hop is on one.
    if near.input != far.input && near.server.ip.is_loopback() && far.client.ip.is_loopback() {
        return None;
    }
    // Two connections of one host to different servers stand side by side; but on one host alone, as any is that reaches
    // a loopback address, all have its address, and a transparent proxy speaks with its client's.
    let one_host = near.client.ip == near.server.ip || near.server.ip.is_loopback();
    if near.client.ip == far.client.ip && !one_host && near.client != far.client {
        return None;
    }
    time(near, far, topology, &mut tally)?;
    identity(near, far, &mut tally);
    fields(near, far, topology, &mut tally);
    after(near, far, &mut tally);
    let place = topology.points(near, far);
    tally.add(place, MatchKey::Topology);
    Some(tally.score())
}

/// Whether a proxy that took the connection to itself stands between (a transparent one): both legs are to the same
/// server then, one with what the proxy wrote into the request.
fn is_intercepted(near: &Card, far: &Card) -> bool {
    let same = near.key.is_some() && near.key == far.key;
    let marked = far.forwarded.last == Some(near.client.ip) || far.via.1 > near.via.1;
    same && marked && near.client.ip != far.client.ip
}

/// The far leg begins and is answered inside the near one.
fn time(near: &Card, far: &Card, topology: &Topology, tally: &mut Tally) -> Option<()> {
    let places = near.input != far.input;
    let slack = if places { topology.slack } else { Nanos::from_millis(limits::JOIN_SLACK_MS) };
    let forward = far.from.since(near.from);
    if forward.0 < -slack.0 || forward > Nanos::from_secs(limits::JOIN_S) {
        return None;
    }
    if let Some(over) = near.over {
        // A hop that answers before it asks is at fault, but may exist: its far leg begins soon behind.
        let fabricated = near.status == Some(101) && near.key.is_some() && near.key == far.key;
        let late = far.from.since(over);
        if late > slack && (late > Nanos::from_secs(1) || !fabricated && !is_bridged(near, far)) {
            return None;
        }
    }
    // Within the slack either may be the nearer; by the clock it is the earlier.
    let mut points = if forward.0 < 0 { -disorder(forward) } else { 12 - doublings(forward) * 3 / 4 };
    let mut nested = true;
    if let (Some(near_at), Some(far_at)) = (near.answered, far.answered) {
        let back = near_at.since(far_at);
        if places && near_at.since(near.from) < far_at.since(far.from) && !is_bridged(near, far) {
            // By any clocks, the near leg takes longer.
            tally.points -= 30;
        }
        nested = back.0 >= -slack.0;
        points += match back.0 {
            0.. => 8 - doublings(back) / 2,
            _ if !nested && is_bridged(near, far) => 0,
            _ if nested => -disorder(back),
            _ => -60,
        };
    } else if near.answered.is_none() && near.over.is_some_and(|over| far.answered.is_some_and(|at| at > over + slack))
    {
        nested = false;
    }
    tally.points += points;
    if nested && points > 0 {
        tally.why.push(Sign { points, key: MatchKey::Time, exact: false });
    }
    Some(())
}

/// Whether the hop may be an application that accepts its client's WebSocket and then opens one of its own, with its own
/// key: what the client said in one was said in the other, and what was answered does not contradict; or a field names
/// the client.
fn is_bridged(near: &Card, far: &Card) -> bool {
    let granted = [near.status, far.status] == [Some(101), Some(101)];
    if !granted || near.key.is_none() || far.key.is_none() || near.key == far.key {
        return false;
    }
    if is_named(near, far) {
        return true;
    }
    let [asked, answered] = [0, 1].map(|side| near.said[side].points(&far.said[side]));
    asked.is_some_and(|points| points > 0) && answered.is_none_or(|points| points > 0)
}

/// Whether a field of the far leg names the near one's client.
fn is_named(near: &Card, far: &Card) -> bool {
    far.forwarded.last == Some(near.client.ip)
}

/// What names one journey by itself.
fn identity(near: &Card, far: &Card, tally: &mut Tally) {
    match (near.key, far.key) {
        (Some(a), Some(b)) if a == b => tally.add(100, MatchKey::Key),
        // A hop that ends WebSocket makes a key of its own.
        (Some(_), Some(_)) => tally.points -= 10,
        _ => {}
    }
    if near.ids.iter().any(|id| far.ids.contains(id)) {
        tally.add(95, MatchKey::RequestId);
    }
    match far.proxied {
        Some(source) if source == near.client => tally.name(MatchKey::ProxyProtocol),
        Some(source) if near.proxied == Some(source) => tally.add(20, MatchKey::ProxyProtocol),
        Some(_) => tally.points -= PROOF,
        None => {}
    }
    let (f, known) = (&far.forwarded, &near.forwarded);
    if known.last == Some(far.client.ip) && f.last.is_none() {
        // The near leg is forwarded for the far one's client: it is the other way round.
        tally.points -= PROOF;
    } else if known.last.is_some() && f.last.is_none() && near.server.ip != far.client.ip {
        // Hops seldom take away for whom it was forwarded: rather it is the other way round.
        tally.points -= if is_bridged(near, far) { 12 } else { 30 };
    }
    if let Some(ip) = f.last {
        let grown = known.last.is_none() || f.others.last().copied() == known.last || f.others.is_empty();
        if ip == near.client.ip {
            match f.last_port {
                Some(port) if port == near.client.port => tally.name(MatchKey::Forwarded),
                Some(_) => tally.points -= PROOF,
                None => tally.add(if grown { 35 } else { 20 }, MatchKey::Forwarded),
            }
        } else if known.last == f.last && known.others == f.others {
            // Passed on as it came.
        } else if f.others.contains(&near.client.ip) {
            // The near leg's client, but a hop earlier: this is not the next leg.
            tally.add(10, MatchKey::Forwarded);
        } else {
            tally.points -= 40;
        }
    }
    // The hop received it by another protocol: there is a leg between, whichever of the two comes first.
    let between = |before: &Card, behind: &Card| {
        let differs = behind.via.0.zip(before.version).is_some_and(|(received, version)| received != version);
        behind.via.1 > before.via.1 && differs
    };
    if between(near, far) || between(far, near) {
        tally.points -= 2 * PROOF;
    }
    if let (Some(a), Some(b)) = (near.accept, far.accept)
        && a == b
    {
        tally.add(if near.key == far.key { 5 } else { 60 }, MatchKey::Accept);
    }
}

/// Fields that most hops pass on.
fn fields(near: &Card, far: &Card, topology: &Topology, tally: &mut Tally) {
    if near.request == far.request {
        tally.add(10, MatchKey::Bytes);
    }
    if near.path == far.path {
        tally.add(if near.query == far.query { 20 } else { 14 }, MatchKey::Target);
    } else if topology.paths.get(&(near.server.ip, near.path)) == Some(&far.path) {
        tally.add(16, MatchKey::Target);
    } else if near.last_segment == far.last_segment {
        tally.add(10, MatchKey::Target);
    } else if near.query.is_some() && near.query == far.query {
        tally.add(6, MatchKey::Target);
    } else {
        tally.points -= 15;
    }
    if near.method != far.method {
        tally.points -= 10;
    }
    let mut compare = |a: Option<u64>, b: Option<u64>, same: i32, other: i32, gone: i32, key: MatchKey| match (a, b) {
        (Some(a), Some(b)) if a == b => tally.add(same, key),
        (Some(_), Some(_)) => tally.points += other,
        (None, None) => {}
        _ => tally.points += gone,
    };
    compare(near.host, far.host, 6, 0, 0, MatchKey::Host);
    compare(near.origin, far.origin, 10, -10, -3, MatchKey::Origin);
    compare(near.cookie, far.cookie, 40, -15, -5, MatchKey::Credentials);
    compare(near.authorization, far.authorization, 30, -10, -5, MatchKey::Credentials);
    compare(near.agent, far.agent, 8, -12, -2, MatchKey::UserAgent);
    compare(near.subprotocols, far.subprotocols, 8, -10, -3, MatchKey::Subprotocols);
    if near.response.is_some() && near.response == far.response {
        tally.points += 6;
    } else if near.status.is_some() && near.status == far.status {
        tally.points += 4;
    } else if matches!(near.status, Some(502..=504 | 520..=524)) && far.status.is_some_and(|status| status >= 400) {
        // A gateway says that what it got was of no use.
        tally.points += 8;
    } else if matches!(near.status, Some(502..=504 | 520..=524)) && far.answered.is_none() {
        // Or that it got nothing, which says more than clocks that were compared by little.
        tally.points += GATEWAY;
    } else if matches!(far.status, Some(502..=504 | 520..=524)) && near.answered.is_none() {
        tally.points -= GATEWAY;
    }
}

/// For a gateway's error before a leg that nobody answered.
const GATEWAY: i32 = 20;

/// What went through the tunnels.
fn after(near: &Card, far: &Card, tally: &mut Tally) {
    let mut same = 0;
    let first = near.first.iter().zip(&far.first);
    for ((a, b), (said, heard)) in first.zip(near.said.iter().zip(&far.said)) {
        // What is known of whole messages goes before how the first of them begins.
        if let Some(points) = said.points(heard) {
            same += points;
            continue;
        }
        match a.as_ref().zip(b.as_ref()).and_then(|(a, b)| a.same(b)) {
            Some(true) => same += 8,
            Some(false) => same -= 12,
            None => {}
        }
    }
    if let (Some(a), Some(b)) = (near.messages, far.messages)
        && a.iter().any(|side| side.1 > 0)
    {
        same += if a == b { 12 } else { -8 };
    }
    // That a hop changed what was said is no sign that it is another journey, where it says whose it is.
    tally.add(if is_named(near, far) { same.max(-8) } else { same }, MatchKey::Messages);
}

/// Points against a pair that stands the wrong way round by so much, within the slack: one for each twentieth
/// of a millisecond, 20 at most.
fn disorder(time: Nanos) -> i32 {
    i32::try_from(time.0.unsigned_abs() / 50_000).unwrap_or(i32::MAX).min(20)
}

/// How often a length of time doubles a tenth of a millisecond: 0 below that, 3 for a millisecond, 13 for
/// a second.
fn doublings(time: Nanos) -> i32 {
    let tenths = time.0.max(0) / 100_000;
    i32::try_from(64 - (tenths + 1).leading_zeros()).unwrap_or(64) - 1
}

/// Points as they come together.
#[derive(Default)]
struct Tally {
    points: i32,
    why: Vec<Sign>,
}

impl Tally {
    fn add(&mut self, points: i32, key: MatchKey) {
        self.points += points;
        if points > 0 {
            self.why.push(Sign { points, key, exact: false });
        }
    }

    /// Proof by itself.
    fn name(&mut self, key: MatchKey) {
        self.points += PROOF;
        self.why.push(Sign { points: PROOF, key, exact: true });
    }

    fn score(self) -> Score {
        Score { points: self.points, why: self.why }
    }
}
