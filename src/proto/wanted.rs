//! What upgrades were asked for lately, so that a plain request which may be a leg of one is kept: one that
//! lost Upgrade, Connection and every WebSocket field on its way.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::base::limits;
use crate::wire::polling;

/// Marks of the last upgrade requests; at most `limits::WANTED`, the oldest go first.
#[derive(Default)]
pub(super) struct Wanted {
    ring: VecDeque<u64>,
    counts: HashMap<u64, u32, foldhash::fast::RandomState>,
    state: foldhash::fast::RandomState,
    /// Plain requests kept so far, and answers without a request.
    kept: usize,
    halves: usize,
}

/// What a mark is of: equal bytes of different sorts are no match.
#[derive(Hash)]
enum Mark {
    LastSegment,
    Cookie,
}

impl Wanted {
    /// An upgrade was asked for by this client.
    pub(super) fn learn(&mut self, target: &[u8], cookie: Option<&[u8]>, client: IpAddr) {
        let last = last_segment(target);
        self.add(self.hash(Mark::LastSegment, last));
        if last == b"websocket" {
            // A client of SockJS may poll next, by other names.
            polling::SOCKJS.iter().for_each(|name| self.add(self.hash(Mark::LastSegment, name)));
        }
        self.add(self.state.hash_one(client));
        if let Some(cookie) = cookie {
            self.add(self.hash(Mark::Cookie, cookie));
        }
    }

    /// Whether this plain request may be a leg of such an upgrade; `forwarded`: its X-Forwarded-For. At most
    /// `limits::TENTATIVE` times.
    #[inline]
    pub(super) fn is(&self, target: &[u8], cookie: Option<&[u8]>, forwarded: Option<&[u8]>) -> bool {
        !self.ring.is_empty() && self.kept < limits::TENTATIVE && self.matches(target, cookie, forwarded)
    }

    /// Whether an upgrade was asked for, of which an answer may come by another name, and another answer may be kept: at most
    /// `limits::HALVES`.
    pub(super) fn may_be_answered(&self) -> bool {
        !self.ring.is_empty() && self.halves < limits::HALVES
    }

    /// An answer without a request is kept.
    pub(super) fn keep_half(&mut self) {
        self.halves += 1;
    }

    /// Whether another may be kept.
    pub(super) fn has_room(&self) -> bool {
        self.kept < limits::TENTATIVE
    }

    /// One is kept.
    pub(super) fn keep(&mut self) {
        self.kept += 1;
    }

    fn matches(&self, target: &[u8], cookie: Option<&[u8]>, forwarded: Option<&[u8]>) -> bool {
        let has = |mark, bytes: &[u8]| self.counts.contains_key(&self.hash(mark, bytes));
        let last_hop = || {
            let last = forwarded?.rsplit(|&b| b == b',').next()?;
            std::str::from_utf8(last).ok()?.trim().parse::<IpAddr>().ok()
        };
        has(Mark::LastSegment, last_segment(target))
            || cookie.is_some_and(|cookie| has(Mark::Cookie, cookie))
            || last_hop().is_some_and(|client| self.counts.contains_key(&self.state.hash_one(client)))
    }

    fn add(&mut self, hash: u64) {
        // The same again and again pushes nothing out.
        if self.ring.back() == Some(&hash) {
            return;
        }
        self.ring.push_back(hash);
        *self.counts.entry(hash).or_default() += 1;
        while self.ring.len() > limits::WANTED {
            let Some(gone) = self.ring.pop_front() else { break };
            if let Some(count) = self.counts.get_mut(&gone) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&gone);
                }
            }
        }
    }

    fn hash(&self, mark: Mark, bytes: &[u8]) -> u64 {
        self.state.hash_one((mark, bytes))
    }
}

/// The end of a target's path: what a hop that rewrites prefixes leaves.
fn last_segment(target: &[u8]) -> &[u8] {
    let path = target.split(|&b| b == b'?').next().unwrap_or_default();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.rsplit(|&b| b == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn the_end_of_a_path_is_remembered_until_newer_ones_push_it_out() {
        let mut wanted = Wanted::default();
        assert!(!wanted.is(b"/chat", None, None));
        wanted.learn(b"/app/chat?x=1", None, CLIENT);
        assert!(
            wanted.is(b"/chat", None, None) && wanted.is(b"/v2/chat/", None, None) && !wanted.is(b"/chats", None, None)
        );
        for n in 0..limits::WANTED {
            wanted.learn(format!("/{n}").as_bytes(), None, CLIENT);
        }
        assert!(!wanted.is(b"/chat", None, None));
        assert!(wanted.ring.len() <= limits::WANTED && wanted.counts.len() <= limits::WANTED);
    }

    #[test]
    fn no_more_are_kept_than_the_limit_says() {
        let mut wanted = Wanted::default();
        wanted.learn(b"/chat", None, CLIENT);
        (0..limits::TENTATIVE).for_each(|_| wanted.keep());
        assert!(!wanted.is(b"/chat", None, None));
    }
}
