//! What a rule may know of the other exchanges of the capture: bounded memories of keys, accepts and
//! attempts. In a whole-file report it is filled with all exchanges before any rule runs; while
//! streaming it holds what came in the last `limits::SEEN_S` of packet time.

mod index;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::base::{Endpoint, ExchangeId, PacketRef, Timestamp, limits};
use crate::model::{ConnectState, EndHow, Exchange, FlowFacts, Head, KnownLimit, Mechanism, Wrapper};
use crate::rules::polls::Polls;
use crate::rules::request::is_forced;
use crate::rules::tunnels::Tunnels;
use crate::wire::accept;

use index::{Index, Seldom};

/// Bounded memory of exchanges. At most `limits::SEEN_KEYS` entries of each sort; the oldest go first.
#[derive(Debug, Default)]
pub struct Seen {
    attempts: VecDeque<Attempt>,
    by_key: Index,
    /// Indexes that are made when something goes wrong, and kept up from then on.
    by_expected: Seldom,
    by_accept: Seldom,
    /// Granted attempts, by client and target.
    granted: Seldom,
    /// Attempts that were answered 401, by client and path.
    unauthorized: Seldom,
    /// Attempts with credentials, by client and path.
    signed: Seldom,
    /// Servers that answered behind a PROXY header as if it were none of their worries; at most
    /// `limits::PROXY_PEERS`, the first ones.
    proxy_peers: HashSet<Endpoint>,
    /// Servers that were seen to speak TLS; at most `limits::PROXY_PEERS`, the first ones.
    tls_servers: HashSet<Endpoint, RandomState>,
    /// The first request over each hop that has Upgrade forced on it, by the address of its sender and its
    /// server; at most `limits::SEEN_KEYS`, the first ones.
    forced: HashMap<(IpAddr, Endpoint), ExchangeId>,
    /// Ports at which a client was refused by a server, at most `limits::SCANNED_PORTS` of each pair; at most
    /// `limits::SEEN_KEYS` pairs, the first ones.
    refused: HashMap<(IpAddr, IpAddr), Vec<u16>, RandomState>,
    /// Addresses that were asked to CONNECT; at most `limits::PROXY_PEERS`, the first ones.
    forward_proxies: HashSet<IpAddr>,
    /// Addresses of the hops of chains, once these are joined: what they opened besides was for no request in view.
    pub hops: HashSet<IpAddr>,
    /// What clients did who got no WebSocket.
    pub polls: Polls,
    /// How tunnels ended.
    pub tunnels: Tunnels,
    /// After how long products end tunnels; empty until that matters.
    pub limits: Vec<KnownLimit>,
    first: u64,
    /// For all fingerprints; another one in each run, so that no capture can aim at collisions.
    state: RandomState,
    /// Entries that had to go because of `limits::SEEN_KEYS`.
    pub evicted: u64,
}

/// What is remembered of one upgrade candidate.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: ExchangeId,
    pub at: Timestamp,
    pub packet: PacketRef,
    pub client: IpAddr,
    pub server: IpAddr,
    pub server_port: u16,
    /// A 101 whose accept fits its key (or that is not WebSocket).
    pub granted: bool,
    /// Fingerprint of the User-Agent; equal values, equal fingerprints.
    pub agent: u64,
    /// Fingerprint of Host, or what stands for it.
    pub host: u64,
    /// Fingerprint of Authorization, Proxy-Authorization and Cookie.
    pub credentials: u64,
    /// Target, key, accept and version, one behind the other: one piece of memory instead of four.
    text: Box<[u8]>,
    /// Where each of them ends in it.
    ends: [u32; 4],
    /// Which of them there are, by bits.
    parts: u16,
    /// The accept that belongs to the key, where it is not the accept that was sent.
    expected: Option<Box<Accept>>,
}

/// Attempts on their way into [`Seen`].
pub struct Notes {
    attempts: Vec<Attempt>,
    /// Of each.
    more: Vec<Noted>,
}

/// What is noted of an attempt besides.
struct Noted {
    /// Where it will stand in the index of keys.
    key: Option<u64>,
    /// It tells more than of itself.
    seldom: bool,
}

/// A bit of [`Attempt::parts`]: the accept sent is the one that belongs to the key.
const EXPECTED: u16 = 1 << 7;
/// Another: it was answered 401.
const UNAUTHORIZED: u16 = 1 << 6;
/// Two more: Upgrade, or Connection, is spelt otherwise than mostly.
const ODD_UPGRADE: u16 = 1 << 5;
const ODD_CONNECTION: u16 = 1 << 4;
/// A subprotocol is offered.
const OFFERS: u16 = 1 << 8;
/// There are credentials in it.
const SIGNED: u16 = 1 << 9;

/// The fields that say who asks.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Base64 of 20 bytes.
type Accept = [u8; 28];

impl Attempt {
    /// As sent, to find a retry.
    pub fn target(&self) -> &[u8] {
        self.part(0).unwrap_or_default()
    }

    /// The first key of the request.
    pub fn key(&self) -> Option<&[u8]> {
        self.part(1)
    }

    /// As sent; `None` where there was no 101.
    pub fn accept(&self) -> Option<&[u8]> {
        self.part(2)
    }

    /// As sent, to see what a retry changed.
    pub fn version(&self) -> Option<&[u8]> {
        self.part(3)
    }

    /// How Upgrade and Connection were spelt, as a number: one where each is as most clients write it, another where
    /// one or both are not.
    pub fn spelling(&self) -> u16 {
        self.parts & (ODD_UPGRADE | ODD_CONNECTION)
    }

    /// Whether it offers a subprotocol.
    pub fn offers(&self) -> bool {
        self.parts & OFFERS != 0
    }

    /// The accept that belongs to the key.
    fn expected(&self) -> Option<&[u8]> {
        match &self.expected {
            Some(other) => Some(other.as_slice()),
            None if self.parts & EXPECTED != 0 => self.accept(),
            None => None,
        }
    }

    fn part(&self, at: usize) -> Option<&[u8]> {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let there = self.parts & 1 << at != 0;
        there.then(|| self.text.get(from as usize..self.ends[at] as usize).unwrap_or_default())
    }
}

impl Seen {
    /// What is remembered of this exchange. Its fingerprints can be compared with those of this memory.
    pub fn attempt(&self, x: &Exchange) -> Attempt {
        let target = x.request.target();
        let key = x.request.whole_value("sec-websocket-key");
        let response = x.granted();
        let accept = response.and_then(|r| r.first_value("sec-websocket-accept"));
        let version = x.request.first_value("sec-websocket-version");
        let expected: Option<Accept> = key.and_then(|key| accept::expected(key).as_bytes().try_into().ok());
        let granted = match (&expected, accept) {
            (Some(want), Some(got)) => want == got,
            _ if x.is_stream() => response.is_some(),
            (None, _) => response.is_some(),
            _ => false,
        };
        let all = [Some(target), key, accept, version];
        let mut text = Vec::with_capacity(all.iter().flatten().map(|part| part.len()).sum());
        let mut parts = 0;
        let ends = [0, 1, 2, 3].map(|at: usize| {
            if let Some(part) = all[at] {
                text.extend_from_slice(part);
                parts |= 1 << at;
            }
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        let is_accept = expected.as_ref().is_some_and(|expected| accept == Some(expected));
        if is_accept {
            parts |= EXPECTED;
        }
        if x.status() == Some(401) {
            parts |= UNAUTHORIZED;
        }
        if x.request.first_value("upgrade") != Some(b"websocket") {
            parts |= ODD_UPGRADE;
        }
        if x.request.first_value("connection") != Some(b"Upgrade") {
            parts |= ODD_CONNECTION;
        }
        if x.request.has("sec-websocket-protocol") {
            parts |= OFFERS;
        }
        let (signed, credentials) = self.credentials(&x.request);
        if signed {
            parts |= SIGNED;
        }
        Attempt {
            id: x.id,
            at: x.request.first,
            packet: x.request.at,
            client: x.client.ip,
            server: x.server.ip,
            server_port: x.server.port,
            granted,
            agent: self.fingerprint(&[x.request.first_value("user-agent")]),
            host: self.fingerprint(&[x.request.host()]),
            credentials,
            text: text.into_boxed_slice(),
            ends,
            parts,
            expected: expected.filter(|_| !is_accept).map(Box::new),
        }
    }

    /// What [`Seen::learn_noted`] will remember of these exchanges: what can be found out beside other work.
    pub fn note_all<'x>(&self, all: impl ExactSizeIterator<Item = &'x Exchange>) -> Notes {
        let mut notes = Notes { attempts: Vec::with_capacity(all.len()), more: Vec::with_capacity(all.len()) };
        for x in all {
            let (attempt, more) = self.note(x);
            notes.attempts.push(attempt);
            notes.more.push(more);
        }
        notes
    }

    /// Remembers exchanges, as [`Seen::learn`] does each. `notes`: what was noted of them.
    pub fn learn_noted<'x>(&mut self, notes: Notes, all: impl Iterator<Item = &'x Exchange>) {
        let Notes { attempts, more } = notes;
        let indexes = [&self.by_expected, &self.by_accept, &self.granted, &self.unauthorized, &self.signed];
        if !self.attempts.is_empty()
            || attempts.len() > limits::SEEN_KEYS
            || indexes.iter().any(|index| index.is_made())
        {
            for ((attempt, more), x) in attempts.into_iter().zip(more).zip(all) {
                self.add(attempt, &more, x, false);
            }
            return;
        }
        // The first of all: they stand as they are to stand, and are not moved.
        self.by_key.reserve(attempts.len());
        self.attempts = attempts.into();
        for ((more, x), number) in more.iter().zip(all).zip(self.first..) {
            if more.seldom {
                self.learn_seldom(x);
            }
            self.by_key.add(more.key, number);
        }
    }

    /// Remembers an exchange; forgets what is older than the limits allow. `window`: whether age
    /// counts too (streaming).
    pub fn learn(&mut self, x: &Exchange, window: bool) {
        let (attempt, more) = self.note(x);
        self.add(attempt, &more, x, window);
    }

    /// Remembers what a plain request tells that is no leg of anything.
    pub fn learn_plain(&mut self, x: &Exchange) {
        self.polls.learn(x);
        self.learn_proxied(x);
    }

    fn note(&self, x: &Exchange) -> (Attempt, Noted) {
        let attempt = self.attempt(x);
        let through_proxy = x.mechanism == Mechanism::Connect
            || x.via.iter().any(|around| matches!(around, Wrapper::Connect(_)))
            || x.proxied.is_some();
        let key = self.of_key(&attempt);
        (attempt, Noted { key, seldom: through_proxy || !x.has_websocket_fields() || x.is_inside_tls() })
    }

    fn add(&mut self, attempt: Attempt, more: &Noted, x: &Exchange, window: bool) {
        if more.seldom {
            self.learn_seldom(x);
        }
        let number = self.first + self.attempts.len() as u64;
        self.by_key.add(more.key, number);
        let [expected, accept, granted, unauthorized, signed] = self.of_seldom(&attempt);
        self.by_expected.add(expected, number);
        self.by_accept.add(accept, number);
        self.granted.add(granted, number);
        self.unauthorized.add(unauthorized, number);
        self.signed.add(signed, number);
        let now = attempt.at;
        self.attempts.push_back(attempt);
        while self.attempts.len() > limits::SEEN_KEYS {
            self.evicted += 1;
            self.forget_oldest();
        }
        if window {
            let horizon = now - crate::base::Nanos::from_secs(limits::SEEN_S);
            while self.attempts.front().is_some_and(|a| a.at < horizon) {
                self.forget_oldest();
            }
        }
    }

    /// Whether this server was seen to take connections that begin with a PROXY header.
    pub fn takes_proxy_header(&self, server: Endpoint) -> bool {
        !self.proxy_peers.is_empty() && self.proxy_peers.contains(&server)
    }

    /// Remembers a server that speaks TLS.
    pub fn learn_tls(&mut self, server: Endpoint) {
        self.evicted += keep(&mut self.tls_servers, server);
    }

    /// Remembers a connection in TLS that was not read. Of any other, nothing.
    pub fn learn_sealed(&mut self, flow: &FlowFacts) {
        self.tunnels.learn_sealed(flow);
        if flow.sealed().is_some() {
            self.learn_tls(flow.server);
        }
    }

    /// Remembers a connection that was refused. Of any other, nothing.
    pub fn learn_refused(&mut self, flow: &FlowFacts) {
        if flow.state != ConnectState::Refused {
            return;
        }
        let pair = (flow.client.ip, flow.server.ip);
        if self.refused.len() >= limits::SEEN_KEYS && !self.refused.contains_key(&pair) {
            self.evicted += 1;
            return;
        }
        let ports = self.refused.entry(pair).or_default();
        if ports.len() < limits::SCANNED_PORTS && !ports.contains(&flow.server.port) {
            ports.push(flow.server.port);
        }
    }

    /// Whether the client of this connection was refused at so many ports of its server that it looks for open ones.
    pub fn is_scan(&self, flow: &FlowFacts) -> bool {
        let ports = self.refused.get(&(flow.client.ip, flow.server.ip));
        ports.is_some_and(|ports| ports.len() >= limits::SCANNED_PORTS)
    }

    /// Whether this server was seen to speak TLS.
    pub fn speaks_tls(&self, server: Endpoint) -> bool {
        !self.tls_servers.is_empty() && self.tls_servers.contains(&server)
    }

    /// Whether this address was asked to CONNECT (RFC 9110 §9.3.6).
    pub fn is_forward_proxy(&self, server: IpAddr) -> bool {
        !self.forward_proxies.is_empty() && self.forward_proxies.contains(&server)
    }

    /// Whether another request over this hop (from this address to this server) came before with Upgrade
    /// and without a WebSocket field.
    pub fn forced_before(&self, x: &Exchange) -> bool {
        self.forced.get(&(x.client.ip, x.server)).is_some_and(|first| *first != x.id)
    }

    #[cold]
    fn learn_seldom(&mut self, x: &Exchange) {
        if x.proxied.is_some() {
            self.learn_proxied(x);
        }
        if !x.has_websocket_fields() {
            self.learn_forced(x);
        }
        if x.is_inside_tls() && !x.via.iter().any(|around| matches!(around, Wrapper::Connect(_) | Wrapper::Socks(..))) {
            self.learn_tls(x.server);
        }
        if x.mechanism == Mechanism::Connect || x.via.iter().any(|around| matches!(around, Wrapper::Connect(_))) {
            self.learn_forward_proxy(x);
        }
    }

    #[cold]
    fn learn_forward_proxy(&mut self, x: &Exchange) {
        self.evicted += keep(&mut self.forward_proxies, x.server.ip);
    }

    #[cold]
    fn learn_forced(&mut self, x: &Exchange) {
        if !is_forced(x) || self.forced.contains_key(&(x.client.ip, x.server)) {
            return;
        }
        if self.forced.len() < limits::SEEN_KEYS {
            self.forced.insert((x.client.ip, x.server), x.id);
        } else {
            self.evicted += 1;
        }
    }

    #[cold]
    fn learn_proxied(&mut self, x: &Exchange) {
        let fine = x.proxied.as_ref().is_some_and(|p| p.fault.is_none());
        if fine && x.status().is_some_and(|code| code < 400) {
            self.evicted += keep(&mut self.proxy_peers, x.server);
        }
    }

    /// The attempts with this key, in the order in which they were learnt.
    pub fn with_key(&self, key: &[u8]) -> impl Iterator<Item = &Attempt> {
        self.numbers(&self.by_key, self.hash(key)).filter(move |a| a.key() == Some(key))
    }

    /// The attempts whose key makes this accept the right one.
    pub fn with_expected(&self, accept: &[u8]) -> impl Iterator<Item = &Attempt> {
        let is = move |a: &&Attempt| a.expected() == Some(accept);
        self.numbers(self.seldom(&self.by_expected, Seen::of_expected), self.hash(accept)).filter(is)
    }

    /// The attempts that were answered with this accept.
    pub fn with_accept(&self, accept: &[u8]) -> impl Iterator<Item = &Attempt> {
        self.numbers(self.seldom(&self.by_accept, Seen::of_accept), self.hash(accept))
            .filter(move |a| a.accept() == Some(accept))
    }

    /// The attempts of this client at this target that were granted and began at `after` or later, in
    /// the order in which they were learnt: at most `limits::RETRIES_COMPARED`.
    pub fn granted_after(&self, client: IpAddr, target: &[u8], after: Timestamp) -> impl Iterator<Item = &Attempt> {
        let granted = self.after(self.seldom(&self.granted, Seen::of_granted), self.place(client, target), after);
        granted.filter(move |a| a.client == client && a.target() == target)
    }

    /// Of an index's attempts those that began at `after` or later, as [`Seen::granted_after`].
    fn after<'a>(&'a self, index: &'a Index, hash: u64, after: Timestamp) -> impl Iterator<Item = &'a Attempt> {
        let before = |n: &u64| self.attempt_at(*n).is_some_and(|a| a.at < after);
        // Learnt in the order of time, but for what little overtakes: a binary search is near enough.
        let [early, late] = match index.get(hash) {
            [_, late] if late.first().is_some_and(before) => [&[], late.split_at(late.partition_point(before)).1],
            [early, late] => [early.split_at(early.partition_point(before)).1, late],
        };
        let later = early.iter().chain(late).take(limits::RETRIES_COMPARED).filter_map(|&n| self.attempt_at(n));
        later.filter(move |a| a.at >= after)
    }

    /// The first attempt of this client at this server and path that was answered 401 and began within
    /// `limits::RETRY_S` after `after`.
    pub fn unauthorized_after(&self, x: &Exchange, after: Timestamp) -> Option<&Attempt> {
        let asked = path(x.request.target());
        let soon = after..=after + crate::base::Nanos::from_secs(limits::RETRY_S);
        let index = self.seldom(&self.unauthorized, Seen::of_unauthorized);
        self.numbers(index, self.place(x.client.ip, asked)).take(limits::RETRIES_COMPARED).find(|a| {
            let same = a.client == x.client.ip && (a.server, a.server_port) == (x.server.ip, x.server.port);
            same && path(a.target()) == asked && soon.contains(&a.at)
        })
    }

    /// Whether the client of this refusal was asked for credentials and gave up: its connection is over, and it did not
    /// come to the same path with others behind it, as far as `limits::RETRIES_COMPARED` of its later attempts show.
    pub fn gave_up(&self, x: &Exchange) -> bool {
        let over = matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst);
        let Some(refusal) = x.response.as_ref().filter(|_| over) else { return false };
        let (asked, sent) = (path(x.request.target()), self.credentials(&x.request).1);
        let index = self.seldom(&self.signed, Seen::of_signed);
        let mut signed = self.after(index, self.place(x.client.ip, asked), refusal.first);
        !signed.any(|a| a.client == x.client.ip && path(a.target()) == asked && a.credentials != sent)
    }

    /// All attempts, in the order in which they were learnt.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    /// Those that this server granted, of the first `limits::SEEN_COMPARED`.
    pub fn granted_at(&self, server: Endpoint) -> impl Iterator<Item = &Attempt> {
        let here = (server.ip, server.port);
        self.attempts().take(limits::SEEN_COMPARED).filter(move |a| a.granted && (a.server, a.server_port) == here)
    }

    /// Those that began at `after` or later, but for what little overtakes.
    pub fn attempts_after(&self, after: Timestamp) -> impl Iterator<Item = &Attempt> {
        let from = self.attempts.partition_point(|a| a.at < after);
        self.attempts.range(from..)
    }

    fn numbers(&self, index: &Index, hash: u64) -> impl Iterator<Item = &Attempt> {
        let [early, late] = index.get(hash);
        early.iter().chain(late).filter_map(|&n| self.attempt_at(n))
    }

    fn attempt_at(&self, number: u64) -> Option<&Attempt> {
        self.attempts.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn forget_oldest(&mut self) {
        let Some(gone) = self.attempts.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        let (key, [expected, accept, granted, unauthorized, signed]) = (self.of_key(&gone), self.of_seldom(&gone));
        self.by_key.forget(key, number);
        self.by_expected.forget(expected, number);
        self.by_accept.forget(accept, number);
        self.granted.forget(granted, number);
        self.unauthorized.forget(unauthorized, number);
        self.signed.forget(signed, number);
    }

    /// Where an attempt stands in the index of keys; `None` where it does not.
    fn of_key(&self, a: &Attempt) -> Option<u64> {
        a.key().map(|key| self.hash(key))
    }

    fn of_expected(&self, a: &Attempt) -> Option<u64> {
        a.expected().map(|expected| self.hash(expected))
    }

    fn of_accept(&self, a: &Attempt) -> Option<u64> {
        a.accept().map(|accept| self.hash(accept))
    }

    fn of_granted(&self, a: &Attempt) -> Option<u64> {
        a.granted.then(|| self.place(a.client, a.target()))
    }

    fn of_unauthorized(&self, a: &Attempt) -> Option<u64> {
        (a.parts & UNAUTHORIZED != 0).then(|| self.place(a.client, path(a.target())))
    }

    fn of_signed(&self, a: &Attempt) -> Option<u64> {
        (a.parts & SIGNED != 0).then(|| self.place(a.client, path(a.target())))
    }

    /// Where it stands in those of the other indexes that are made.
    fn of_seldom(&self, a: &Attempt) -> [Option<u64>; 5] {
        [
            self.by_expected.is_made().then(|| self.of_expected(a)).flatten(),
            self.by_accept.is_made().then(|| self.of_accept(a)).flatten(),
            self.granted.is_made().then(|| self.of_granted(a)).flatten(),
            self.unauthorized.is_made().then(|| self.of_unauthorized(a)).flatten(),
            self.signed.is_made().then(|| self.of_signed(a)).flatten(),
        ]
    }

    /// An index of all attempts.
    fn seldom<'a>(&'a self, index: &'a Seldom, of: fn(&Seen, &Attempt) -> Option<u64>) -> &'a Index {
        index.get_or_make(|| {
            let mut index = Index::default();
            for (attempt, number) in self.attempts.iter().zip(self.first..) {
                index.add(of(self, attempt), number);
            }
            index
        })
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        self.state.hash_one(bytes)
    }

    /// Where a client's attempts at one target are found.
    fn place(&self, client: IpAddr, target: &[u8]) -> u64 {
        self.state.hash_one((client, target))
    }

    /// Whether there are credentials in a request, and their fingerprint.
    fn credentials(&self, request: &Head) -> (bool, u64) {
        let all = CREDENTIALS.map(|name| request.first_value(name));
        (all.iter().any(Option::is_some), self.fingerprint(&all))
    }

    fn fingerprint(&self, values: &[Option<&[u8]>]) -> u64 {
        self.state.hash_one(values)
    }
}

/// Keeps the first `limits::PROXY_PEERS` different ones. How many found no place.
fn keep<T: Eq + Hash, S: BuildHasher>(all: &mut HashSet<T, S>, one: T) -> u64 {
    if all.len() < limits::PROXY_PEERS {
        all.insert(one);
        return 0;
    }
    u64::from(!all.contains(&one))
}

/// A target without its query, in which tokens stand that change.
pub(super) fn path(target: &[u8]) -> &[u8] {
    target.split(|&b| b == b'?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::rules::response::testing::*;

    /// Has all indexes made.
    fn ask_all(seen: &Seen) {
        let client = exchange(ASK, None).client.ip;
        let _ = (seen.with_expected(b"x").count(), seen.with_accept(b"x").count());
        let _ = seen.granted_after(client, b"x", at(0)).count();
        let _ = seen.unauthorized_after(&exchange(ASK, None), at(0));
    }

    fn is_empty(index: &Seldom) -> bool {
        index.is_made_and_empty()
    }

    #[test]
    fn a_401_soon_after_is_found_whatever_its_query() {
        let mut seen = Seen::default();
        let mut refused = exchange(&ASK.replace("/chat", "/chat?token=2"), Some("HTTP/1.1 401 No\r\n\r\n"));
        refused.request.first = at(5_000);
        let x = exchange(&ASK.replace("/chat", "/chat?token=1"), Some(GRANT));
        seen.learn(&x, false);
        assert!(seen.unauthorized_after(&x, at(1_000)).is_none());
        seen.learn(&refused, false);
        let found = |after| seen.unauthorized_after(&x, at(after)).map(|a| a.at);
        assert_eq!((found(1_000), found(5_001)), (Some(at(5_000)), None));
        let mut early = exchange(ASK, None);
        early.server.port += 1;
        assert!(seen.unauthorized_after(&early, at(1_000)).is_none(), "at another server");
        assert!(seen.unauthorized_after(&x, at(5_000) - Nanos::from_secs(limits::RETRY_S + 1)).is_none());
    }

    #[test]
    fn what_is_learnt_all_at_once_is_what_is_learnt_one_by_one() {
        let refused = exchange(ASK, Some("HTTP/1.1 401 No\r\n\r\n"));
        let connect = exchange("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", None);
        let all = [exchange(ASK, Some(GRANT)), refused, connect, exchange(ASK, Some(GRANT))];
        let told = |seen: &Seen, x: &Exchange| {
            let key = x.key().unwrap_or_default();
            let accept = accept::expected(key);
            let found = seen.with_key(key).count();
            (
                found,
                seen.with_accept(accept.as_bytes()).count(),
                seen.is_forward_proxy(x.server.ip),
                seen.attempts.len(),
            )
        };
        let mut one_by_one = Seen::default();
        all.iter().for_each(|x| one_by_one.learn(x, false));
        for before in [0, 1] {
            let mut at_once = Seen::default();
            all.iter().take(before).for_each(|x| at_once.learn(x, false));
            let notes = at_once.note_all(all[before..].iter());
            at_once.learn_noted(notes, all[before..].iter());
            assert!(all.iter().all(|x| told(&at_once, x) == told(&one_by_one, x)), "{before} before");
        }
        assert_eq!(told(&one_by_one, &all[0]), (3, 2, true, 4));
    }

    #[test]
    fn an_index_made_late_is_as_one_made_early() {
        let found = |early: bool| {
            let mut seen = Seen::default();
            if early {
                ask_all(&seen);
            }
            for ms in 0..4 {
                let mut x = exchange(ASK, Some(GRANT));
                x.request.first = at(ms);
                seen.learn(&x, false);
            }
            seen.forget_oldest();
            let client = exchange(ASK, None).client.ip;
            let times = |all: &mut dyn Iterator<Item = &Attempt>| all.map(|a| a.at).collect::<Vec<_>>();
            let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
            [
                times(&mut seen.with_expected(accept)),
                times(&mut seen.with_accept(accept)),
                times(&mut seen.granted_after(client, b"/chat", at(0))),
            ]
        };
        assert_eq!(found(true), found(false));
        assert!(found(false).iter().all(|times| *times == (1..4).map(at).collect::<Vec<_>>()));
    }

    #[test]
    fn granted_attempts_are_found_by_client_target_and_time() {
        let mut seen = Seen::default();
        for (ms, response) in [(0, "HTTP/1.1 401 No\r\n\r\n"), (100, GRANT), (200, GRANT)] {
            let mut x = exchange(ASK, Some(response));
            x.request.first = at(ms);
            seen.learn(&x, false);
        }
        let client = exchange(ASK, None).client.ip;
        let times = |from, target| seen.granted_after(client, target, at(from)).map(|a| a.at).collect::<Vec<_>>();
        assert_eq!(times(0, b"/chat"), [at(100), at(200)]);
        assert_eq!(times(101, b"/chat"), [at(200)]);
        assert!(times(0, b"/other").is_empty());
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_everywhere() {
        let mut seen = Seen::default();
        seen.learn(&exchange(ASK, Some(GRANT)), true);
        ask_all(&seen);
        let mut late = exchange(ASK, None);
        late.request.first = at(0) + Nanos::from_secs(limits::SEEN_S + 1);
        seen.learn(&late, true);
        assert_eq!(seen.attempts().count(), 1);
        assert!([&seen.granted, &seen.by_accept].iter().all(|index| is_empty(index)));
        assert_eq!(seen.with_key(b"dGhlIHNhbXBsZSBub25jZQ==").count(), 1);
    }

    #[test]
    fn a_value_that_comes_again_is_found_in_the_order_of_learning_until_it_is_forgotten() {
        let mut seen = Seen::default();
        for ms in 0..5 {
            let mut x = exchange(ASK, Some(GRANT));
            x.request.first = at(ms);
            seen.learn(&x, false);
        }
        let key = b"dGhlIHNhbXBsZSBub25jZQ==";
        let times = |seen: &Seen| seen.with_key(key).map(|a| a.at).collect::<Vec<_>>();
        assert_eq!(times(&seen), (0..5).map(at).collect::<Vec<_>>());
        seen.forget_oldest();
        assert_eq!(times(&seen), (1..5).map(at).collect::<Vec<_>>());
        assert_eq!(seen.with_expected(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").count(), 4);
        assert_eq!(seen.with_accept(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").count(), 4);
        assert_eq!(seen.with_key(b"another").count(), 0);
        (0..4).for_each(|_| seen.forget_oldest());
        assert!(seen.by_key.is_empty() && is_empty(&seen.by_expected));
    }

    #[test]
    fn an_attempt_tells_what_was_sent() {
        let a = Seen::default().attempt(&exchange(ASK, Some(GRANT)));
        assert_eq!(a.target(), b"/chat");
        assert_eq!(a.key(), Some(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]));
        assert_eq!(a.accept(), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
        assert_eq!(a.version(), Some(&b"13"[..]));
        assert!(a.granted);
        let bare = Seen::default().attempt(&exchange("GET /x HTTP/1.1\r\nSec-WebSocket-Key: \r\n\r\n", None));
        assert_eq!((bare.key(), bare.accept(), bare.version()), (Some(&b""[..]), None, None));
    }
}
