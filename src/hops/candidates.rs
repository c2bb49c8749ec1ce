//! Which exchanges may be legs of one journey, found by what they share, so that not every two have to be
//! compared: a key, an id, an address that a field or a PROXY header names; else the end of their paths
//! while the near leg waits for its answer.

use std::net::IpAddr;

use crate::base::{Nanos, limits};
use crate::model::{Exchange, Mechanism};

use super::card::{self, Fingerprints, last_segment, split_target};
use super::join::Twin;
use super::{Map, Set};

/// What exchanges share.
pub(super) struct Candidates<'a> {
    all: &'a [Box<Exchange>],
    prints: &'a Fingerprints,
    /// Exchanges of several connections with one key or id, in the order of their ids.
    groups: Vec<Vec<usize>>,
    /// Requests whose fields, or whose PROXY headers, name the client of the leg before.
    forwarded: Vec<usize>,
    /// Requests without a key of their own, and those whose key no other exchange has.
    keyless: Vec<usize>,
    loners: Vec<usize>,
    /// Extended CONNECTs without a key: behind them a bridge makes one.
    streams: Vec<usize>,
    /// Members of small groups with one key: that of a bridge may go on over further hops.
    carried: Vec<usize>,
    gone: Set<usize>,
    /// By how many nanoseconds a far leg may seem to begin before the near one.
    slack: i64,
}

/// When a request began and when nothing more can belong to its exchange, in nanoseconds.
type Span = (i64, i64);

impl<'a> Candidates<'a> {
    /// `slack`: by how much a far leg may seem to begin before the near one.
    pub(super) fn new(all: &'a [Box<Exchange>], prints: &'a Fingerprints, slack: Nanos) -> Self {
        let mut found = Candidates {
            all,
            prints,
            groups: Vec::new(),
            forwarded: Vec::new(),
            keyless: Vec::new(),
            loners: Vec::new(),
            streams: Vec::new(),
            carried: Vec::new(),
            gone: Set::default(),
            slack: slack.0,
        };
        // Legs of one journey go to different servers, or are in different captures.
        let same = |a: &Exchange, b: &Exchange| a.server == b.server && a.request.at.input() == b.request.at.input();
        // Those of a transparent proxy are told by other clients.
        let same = |a: &Exchange, b: &Exchange| same(a, b) && a.client.ip == b.client.ip;
        let several = all.first().is_some_and(|first| all.iter().any(|x| !same(first, x)));
        found.sort_out();
        if !several {
            // Only what was captured twice is left to be found.
            found.forwarded.clear();
            found.keyless.clear();
            found.loners.clear();
            found.streams.clear();
            found.carried.clear();
        }
        found
    }

    fn sort_out(&mut self) {
        // A fingerprint, the exchange, and whether it is its key.
        let mut shared: Vec<(u64, u32, bool)> = Vec::with_capacity(self.all.len());
        for (at, x) in self.all.iter().enumerate() {
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            match self.prints.key(x) {
                Some(key) => shared.push((key, place, true)),
                None => {
                    self.keyless.push(at);
                    if x.mechanism == Mechanism::Http2ExtendedConnect {
                        self.streams.push(at);
                    }
                }
            }
            if let Some(stream) = self.prints.stream(x) {
                shared.push((stream, place, false));
            }
            if card::has_ids(&x.request) {
                shared.extend(self.prints.ids(&x.request).iter().map(|&id| (id, place, false)));
            }
            if x.proxied.is_some() || card::is_forwarded(&x.request) {
                self.forwarded.push(at);
            }
        }
        shared.sort_unstable();
        for run in shared.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, at, is_key)] = run {
                if *is_key {
                    self.loners.push(*at as usize);
                }
                continue;
            }
            let flow = |&(_, at, _): &(u64, u32, bool)| self.all.get(at as usize).map(|x| x.flow);
            if run.iter().any(|(.., is_key)| *is_key) && run.len() <= limits::JOIN_CARRIED {
                self.carried.extend(run.iter().map(|&(_, at, _)| at as usize));
            }
            if run.first().is_some_and(|first| run.iter().any(|other| flow(other) != flow(first))) {
                self.groups.push(run.iter().map(|&(_, at, _)| at as usize).collect());
            }
        }
        self.loners.sort_unstable();
        if self.streams.is_empty() {
            self.carried.clear();
        }
    }

    /// Whether no exchange can have a partner.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.forwarded.is_empty() && self.keyless.is_empty() && self.loners.is_empty()
    }

    /// Exchanges that share a key or id, group by group.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.groups.iter().map(Vec::as_slice)
    }

    /// Two exchanges in different inputs, each the only one there with their key or id.
    pub(super) fn sure_pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let input = |at: usize| self.all.get(at).map(|x| x.request.at.input());
        let sure = move |group: &&Vec<usize>| {
            let mut inputs: Vec<_> = group.iter().take(limits::JOIN_INPUTS + 1).map(|&at| input(at)).collect();
            inputs.sort_unstable();
            inputs.windows(2).all(|pair| pair.first() != pair.last()) && group.len() <= limits::JOIN_INPUTS
        };
        self.groups.iter().filter(sure).flat_map(|group| {
            group.iter().enumerate().flat_map(|(at, &a)| group.iter().skip(at + 1).map(move |&b| (a, b)))
        })
    }

    /// Two exchanges in one input with other servers, the only ones with their key or id.
    pub(super) fn pairs_in_one(&self) -> impl Iterator<Item = (usize, usize)> {
        self.groups.iter().filter_map(|group| {
            let [a, b] = group.as_slice() else { return None };
            let (x, y) = (self.all.get(*a)?, self.all.get(*b)?);
            let one = x.request.at.input() == y.request.at.input() && x.server.ip != y.server.ip;
            one.then_some((*a, *b))
        })
    }

    /// The second copies of what was captured twice have no partners of their own.
    pub(super) fn drop_twins(&mut self, twins: &[Twin]) {
        self.gone.extend(twins.iter().map(|twin| twin.other));
    }

    /// Pairs worth a closer look, near and far, each once. Of requests whose key no other has only the first
    /// `limits::JOIN_LONERS` are looked at.
    pub(super) fn pairs(&self, shift: &dyn Fn(&Exchange) -> Nanos) -> Vec<(usize, usize)> {
        if self.groups.is_empty() && self.forwarded.is_empty() && self.keyless.is_empty() && self.loners.len() < 2 {
            return Vec::new();
        }
        let spans: Vec<Span> = self.all.iter().map(|x| span(x, shift(x))).collect();
        let mut out = Vec::new();
        for group in &self.groups {
            let list = self.by_time(group.iter().copied(), &spans);
            for &(_, far) in &list {
                self.look_back(&list, far, &spans, limits::JOIN_CANDIDATES, &mut out);
            }
        }
        self.by_address(&spans, &mut out);
        let mut loners = self.likely_loners();
        loners.truncate(limits::JOIN_LONERS);
        self.by_path(self.keyless.iter().chain(&self.carried).copied().chain(loners), &spans, &mut out);
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Whether there are more requests whose key no other has than `pairs` looks at.
    pub(super) fn has_more(&self) -> bool {
        self.loners.len() > limits::JOIN_LONERS
    }

    /// The same of the other requests whose key no other has, of these clients: hops that were found to make keys
    /// of their own.
    pub(super) fn more(&self, hops: &Set<IpAddr>, shift: &dyn Fn(&Exchange) -> Nanos) -> Vec<(usize, usize)> {
        if hops.is_empty() {
            return Vec::new();
        }
        let is = |at: &usize| self.all.get(*at).is_some_and(|x| hops.contains(&x.client.ip));
        let rest: Vec<usize> = self.likely_loners().into_iter().skip(limits::JOIN_LONERS).filter(is).collect();
        let mut out = Vec::new();
        if !rest.is_empty() {
            let spans: Vec<Span> = self.all.iter().map(|x| span(x, shift(x))).collect();
            self.by_path(rest.into_iter(), &spans, &mut out);
        }
        out
    }

    /// The near leg's client is whom the far leg was forwarded for.
    fn by_address(&self, spans: &[Span], out: &mut Vec<(usize, usize)>) {
        if self.forwarded.is_empty() {
            return;
        }
        let mut by_client: Map<IpAddr, Vec<usize>> = Map::default();
        for (at, x) in self.all.iter().enumerate() {
            by_client.entry(x.client.ip).or_default().push(at);
        }
        let lists: Map<IpAddr, Vec<(i64, usize)>> =
            by_client.into_iter().map(|(ip, list)| (ip, self.by_time(list.into_iter(), spans))).collect();
        for &far in &self.forwarded {
            let Some(x) = self.all.get(far) else { continue };
            let fields = card::forwarded(&x.request);
            let header = x.proxied.as_ref().and_then(|p| p.source).map(|source| source.ip);
            for ip in [fields.last, header].into_iter().flatten() {
                if let Some(list) = lists.get(&ip) {
                    self.look_back(list, far, spans, limits::JOIN_CANDIDATES, out);
                }
            }
        }
    }

    /// Without anything that names the journey: the same end of the path, or simply the latest.
    fn by_path(&self, fars: impl Iterator<Item = usize>, spans: &[Span], out: &mut Vec<(usize, usize)>) {
        let mut fars = fars.peekable();
        if fars.peek().is_none() {
            return;
        }
        let segment = |at: usize| {
            let target = self.all.get(at).map(|x| x.request.target()).unwrap_or_default();
            self.prints.of(last_segment(split_target(target).0))
        };
        let asks = |x: &Exchange| matches!(x.mechanism, Mechanism::Http1Upgrade | Mechanism::Http2ExtendedConnect);
        let nears = (0..self.all.len()).filter(|&at| self.all.get(at).is_some_and(|x| asks(x)));
        let everyone = self.by_time(nears.clone(), spans);
        let mut by_segment: Map<u64, Vec<usize>> = Map::default();
        for at in nears {
            by_segment.entry(segment(at)).or_default().push(at);
        }
        let lists: Map<u64, Vec<(i64, usize)>> =
            by_segment.into_iter().map(|(s, list)| (s, self.by_time(list.into_iter(), spans))).collect();
        for far in fars {
            if let Some(list) = lists.get(&segment(far)) {
                self.look_back(list, far, spans, limits::JOIN_CANDIDATES, out);
            }
            self.look_back(&everyone, far, spans, limits::JOIN_CANDIDATES / 4, out);
        }
    }

    /// Requests with a key that no other has, from a client that sends at least a fifth as many as some
    /// server gets: a hop that makes keys of its own does, a client among many does not.
    fn likely_loners(&self) -> Vec<usize> {
        if self.loners.len() + self.streams.len() < 2 {
            return Vec::new();
        }
        let mut sent: Map<IpAddr, usize> = Map::default();
        let mut got: Map<IpAddr, usize> = Map::default();
        for &at in self.loners.iter().chain(&self.streams) {
            if let Some(x) = self.all.get(at) {
                *sent.entry(x.client.ip).or_default() += 1;
                *got.entry(x.server.ip).or_default() += 1;
            }
        }
        // The smallest number that any other server got decides.
        let mut fewest: Vec<(usize, IpAddr)> = got.into_iter().map(|(ip, n)| (n, ip)).collect();
        fewest.sort_unstable();
        let likely = |x: &Exchange| {
            let other = fewest.iter().find(|(_, ip)| *ip != x.server.ip);
            let mine = sent.get(&x.client.ip).copied().unwrap_or(0);
            other.is_some_and(|(n, _)| mine * 5 >= *n)
        };
        self.loners.iter().copied().filter(|&at| self.all.get(at).is_some_and(|x| likely(x))).collect()
    }

    fn by_time(&self, list: impl Iterator<Item = usize>, spans: &[Span]) -> Vec<(i64, usize)> {
        let mut out: Vec<(i64, usize)> =
            list.filter(|at| !self.gone.contains(at)).map(|at| (spans.get(at).map_or(0, |s| s.0), at)).collect();
        out.sort_unstable();
        out
    }

    /// The latest of a list that were still open when `far` began.
    fn look_back(&self, list: &[(i64, usize)], far: usize, spans: &[Span], most: usize, out: &mut Vec<(usize, usize)>) {
        let (Some(x), Some(&(from, _))) = (self.all.get(far), spans.get(far)) else { return };
        if self.gone.contains(&far) {
            return;
        }
        let until = list.partition_point(|&(at, _)| at <= from.saturating_add(self.slack));
        let horizon = from.saturating_sub(limits::JOIN_S * 1_000_000_000);
        let mut left = most;
        // Closed ones are passed over, but not without end.
        for &(began, near) in list.iter().take(until).rev().take(most * 16) {
            if began < horizon || left == 0 {
                break;
            }
            let open = spans.get(near).is_some_and(|&(_, over)| over.saturating_add(1_000_000_000) >= from);
            let fits = |n: &Exchange| n.flow != x.flow && (n.server != x.server || n.client.ip != x.client.ip);
            if near != far && open && self.all.get(near).is_some_and(|n| fits(n)) {
                out.push((near, far));
                left -= 1;
            }
        }
    }
}

/// `shift`: to be added to the times of its input.
fn span(x: &Exchange, shift: Nanos) -> Span {
    let over = x.response.as_ref().map(|r| r.first).or(x.end.at).or(x.end.tcp_at);
    (x.request.first.0.saturating_add(shift.0), over.map_or(i64::MAX, |at| at.0.saturating_add(shift.0)))
}
