//! What a rule may know of the other exchanges of the capture: bounded memories of keys, accepts and
//! attempts. In a whole-file report it is filled with all exchanges before any rule runs; while
//! streaming it holds what came in the last `limits::SEEN_S` of packet time.

use std::collections::{HashMap, VecDeque};
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
}

impl Seen {
    /// Remembers an exchange; forgets what is older than the limits allow. `window`: whether age
    /// counts too (streaming).
    pub fn learn(&mut self, x: &Exchange, window: bool) {
        let key: Option<Box<[u8]>> = x.request.first_value("sec-websocket-key").map(Into::into);
        let response = x.response.as_ref().filter(|r| r.status() == Some(101));
        let found: Option<Box<[u8]>> = response.and_then(|r| r.first_value("sec-websocket-accept")).map(Into::into);
        let expected = key.as_deref().map(accept::expected);
        let granted = match (&expected, &found) {
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
            key: key.clone(),
            accept: found.clone(),
            granted,
        };
        let number = self.first + self.attempts.len() as u64;
        if let Some(key) = key {
            self.by_key.entry(key).or_default().push_back(number);
        }
        if let Some(expected) = expected {
            self.by_expected.entry(expected).or_default().push_back(number);
        }
        if let Some(found) = found {
            self.by_accept.entry(found).or_default().push_back(number);
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

    /// All attempts, in the order in which they were learnt.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    fn numbers<'a>(&'a self, numbers: Option<&'a VecDeque<u64>>) -> impl Iterator<Item = &'a Attempt> + 'a {
        numbers.into_iter().flatten().filter_map(|&n| {
            let index = usize::try_from(n.checked_sub(self.first)?).ok()?;
            self.attempts.get(index)
        })
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
    }
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
