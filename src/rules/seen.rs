//! What a rule may know of the other exchanges of the capture: bounded memories of keys, accepts and
//! attempts. In a whole-file report it is filled with all exchanges before any rule runs; while
//! streaming it holds what came in the last `limits::SEEN_S` of packet time.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;

use crate::base::{ExchangeId, PacketRef, Timestamp, limits};
use crate::model::Exchange;
use crate::wire::accept;

/// Bounded memory of exchanges. At most `limits::SEEN_KEYS` entries of each sort; the oldest go first.
#[derive(Debug, Default)]
pub struct Seen {
    attempts: VecDeque<Attempt>,
    by_key: HashMap<Box<[u8]>, VecDeque<u64>>,
    by_expected: HashMap<String, VecDeque<u64>>,
    by_accept: HashMap<Box<[u8]>, VecDeque<u64>>,
    /// Granted attempts, by client and target.
    granted: HashMap<u64, VecDeque<u64>>,
    first: u64,
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
    /// As sent, to find a retry.
    pub target: Box<[u8]>,
    pub key: Option<Box<[u8]>>,
    /// As sent; `None` where there was no 101.
    pub accept: Option<Box<[u8]>>,
    /// A 101 whose accept fits its key (or that is not WebSocket).
    pub granted: bool,
    /// As sent, to see what a retry changed.
    pub version: Option<Box<[u8]>>,
    /// Fingerprint of the User-Agent; equal values, equal fingerprints.
    pub agent: u64,
    /// Fingerprint of Authorization, Proxy-Authorization and Cookie.
    pub credentials: u64,
}

impl Attempt {
    /// What is remembered of this exchange.
    pub fn new(x: &Exchange) -> Attempt {
        Attempt::with_expected(x).0
    }

    /// And the accept that belongs to its key.
    fn with_expected(x: &Exchange) -> (Attempt, Option<String>) {
        let key: Option<Box<[u8]>> = x.request.first_value("sec-websocket-key").map(Into::into);
        let response = x.response.as_ref().filter(|r| r.status() == Some(101));
        let accept: Option<Box<[u8]>> = response.and_then(|r| r.first_value("sec-websocket-accept")).map(Into::into);
        let expected = key.as_deref().map(accept::expected);
        let granted = match (&expected, &accept) {
            (Some(want), Some(got)) => want.as_bytes() == &**got,
            (None, _) => response.is_some(),
            _ => false,
        };
        let attempt = Attempt {
            id: x.id,
            at: x.request.first,
            packet: x.request.at,
            client: x.client.ip,
            server: x.server.ip,
            server_port: x.server.port,
            target: x.request.target().into(),
            key,
            accept,
            granted,
            version: x.request.first_value("sec-websocket-version").map(Into::into),
            agent: fingerprint(&[x.request.first_value("user-agent")]),
            credentials: fingerprint(
                &["authorization", "proxy-authorization", "cookie"].map(|name| x.request.first_value(name)),
            ),
        };
        (attempt, expected)
    }

    fn place(&self) -> u64 {
        place(self.client, &self.target)
    }
}

impl Seen {
    /// Remembers an exchange; forgets what is older than the limits allow. `window`: whether age
    /// counts too (streaming).
    pub fn learn(&mut self, x: &Exchange, window: bool) {
        let (attempt, expected) = Attempt::with_expected(x);
        let number = self.first + self.attempts.len() as u64;
        if let Some(key) = &attempt.key {
            self.by_key.entry(key.clone()).or_default().push_back(number);
        }
        if let Some(expected) = expected {
            self.by_expected.entry(expected).or_default().push_back(number);
        }
        if let Some(found) = &attempt.accept {
            self.by_accept.entry(found.clone()).or_default().push_back(number);
        }
        if attempt.granted {
            self.granted.entry(attempt.place()).or_default().push_back(number);
        }
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

    /// The attempts with this key, in the order in which they were learnt.
    pub fn with_key<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = &'a Attempt> + 'a {
        self.numbers(self.by_key.get(key))
    }

    /// The attempts whose key makes this accept the right one.
    pub fn with_expected<'a>(&'a self, accept: &[u8]) -> impl Iterator<Item = &'a Attempt> + 'a {
        self.numbers(std::str::from_utf8(accept).ok().and_then(|a| self.by_expected.get(a)))
    }

    /// The attempts that were answered with this accept.
    pub fn with_accept<'a>(&'a self, accept: &[u8]) -> impl Iterator<Item = &'a Attempt> + 'a {
        self.numbers(self.by_accept.get(accept))
    }

    /// The attempts of this client at this target that were granted and began at `after` or later, in
    /// the order in which they were learnt: at most `limits::RETRIES_COMPARED`.
    pub fn granted_after<'a>(
        &'a self,
        client: IpAddr,
        target: &'a [u8],
        after: Timestamp,
    ) -> impl Iterator<Item = &'a Attempt> + 'a {
        let numbers = self.granted.get(&place(client, target));
        // Learnt in the order of time, but for what little overtakes: a binary search is near enough.
        let from = numbers.map_or(0, |n| n.partition_point(|&n| self.attempt(n).is_some_and(|a| a.at < after)));
        let later = numbers.into_iter().flat_map(move |n| n.range(from..));
        let attempts = later.take(limits::RETRIES_COMPARED).filter_map(|&n| self.attempt(n));
        attempts.filter(move |a| a.at >= after && a.client == client && *a.target == *target)
    }

    /// All attempts, in the order in which they were learnt.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    fn numbers<'a>(&'a self, numbers: Option<&'a VecDeque<u64>>) -> impl Iterator<Item = &'a Attempt> + 'a {
        numbers.into_iter().flatten().filter_map(|&n| self.attempt(n))
    }

    fn attempt(&self, number: u64) -> Option<&Attempt> {
        self.attempts.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn forget_oldest(&mut self) {
        let Some(gone) = self.attempts.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        if let Some(key) = &gone.key {
            forget(&mut self.by_key, key, number);
            let expected = accept::expected(key);
            if let Some(list) = self.by_expected.get_mut(&expected) {
                if list.front() == Some(&number) {
                    list.pop_front();
                }
                if list.is_empty() {
                    self.by_expected.remove(&expected);
                }
            }
        }
        if let Some(found) = &gone.accept {
            forget(&mut self.by_accept, found, number);
        }
        if gone.granted
            && let Some(list) = self.granted.get_mut(&gone.place())
        {
            if list.front() == Some(&number) {
                list.pop_front();
            }
            if list.is_empty() {
                self.granted.remove(&gone.place());
            }
        }
    }
}

/// Where a client's attempts at one target are found.
fn place(client: IpAddr, target: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    target.hash(&mut hasher);
    hasher.finish()
}

fn fingerprint(values: &[Option<&[u8]>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

fn forget(map: &mut HashMap<Box<[u8]>, VecDeque<u64>>, key: &[u8], number: u64) {
    if let Some(list) = map.get_mut(key) {
        if list.front() == Some(&number) {
            list.pop_front();
        }
        if list.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::rules::response::testing::*;

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
        let mut late = exchange(ASK, None);
        late.request.first = at(0) + Nanos::from_secs(limits::SEEN_S + 1);
        seen.learn(&late, true);
        assert_eq!(seen.attempts().count(), 1);
        assert!(seen.granted.is_empty() && seen.by_accept.is_empty());
        assert_eq!(seen.with_key(b"dGhlIHNhbXBsZSBub25jZQ==").count(), 1);
    }
}
