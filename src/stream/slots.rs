//! The look-up from a flow's hash to its record: open addressing with linear probing. A slot is eight
//! bytes, so that all slots of many flows stay in the cache; whether the flow is the one meant, the
//! record tells, which is wanted next anyway. The hash is keyed per process: addresses come from the
//! wire.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;

use prefetch_index::prefetch_index;

use super::flow::{Key4, Key6};

/// The keyed hash of flows. All of a process give equal hashes.
#[derive(Clone)]
pub struct Hasher(foldhash::fast::RandomState);

impl Default for Hasher {
    fn default() -> Self {
        Hasher(STATE.clone())
    }
}

impl Hasher {
    #[inline]
    pub fn v4(&self, key: Key4) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(key.0);
        hasher.write_u64(key.1);
        hasher.finish()
    }

    pub fn v6(&self, key: &Key6) -> u64 {
        let mut hasher = self.0.build_hasher();
        for word in key.low.into_iter().chain(key.high) {
            hasher.write_u64(word);
        }
        hasher.write_u64(key.rest);
        hasher.finish()
    }
}

const EMPTY: u32 = u32::MAX;

/// One for the process: a capture that is read twice loses the same flows at `limits::FLOWS` both times.
static STATE: LazyLock<foldhash::fast::RandomState> = LazyLock::new(foldhash::fast::RandomState::default);

/// `tag`: the part of the hash that says where the slot belongs, and then some.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    flow: u32,
}

/// Hash to index.
#[derive(Default)]
pub struct Slots {
    slots: Vec<Slot>,
    len: usize,
}

impl Slots {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Starts fetching the slot of this hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch_index(&self.slots, self.home(tag(hash)));
    }

    /// The flow with this hash of which `is` says that it is the one.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let (mask, tag) = (self.slots.len() - 1, tag(hash));
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot.flow == EMPTY {
                return None;
            }
            if slot.tag == tag && is(slot.flow) {
                return Some(slot.flow);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a flow that is not there.
    pub fn insert(&mut self, hash: u64, flow: u32) {
        // At most three quarters full.
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(Slot { tag: tag(hash), flow });
    }

    /// Takes a flow away, closing the hole behind it. `true`: it was there.
    pub fn remove(&mut self, hash: u64, flow: u32) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.home(tag(hash));
        while self.slots[at].flow != flow {
            if self.slots[at].flow == EMPTY {
                return false;
            }
            at = (at + 1) & mask;
        }
        let mut hole = at;
        let mut next = (at + 1) & mask;
        while self.slots[next].flow != EMPTY {
            let home = self.home(self.slots[next].tag);
            // Move it back unless its home lies behind the hole.
            let reach = next.wrapping_sub(home) & mask;
            let distance = next.wrapping_sub(hole) & mask;
            if reach >= distance {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[hole].flow = EMPTY;
        self.len -= 1;
        true
    }

    /// All flows, in no order that may show.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().map(|s| s.flow).filter(|flow| *flow != EMPTY)
    }

    /// Up to `n` flows from slot `from` on, and the slot to go on from.
    pub fn sample(&self, from: usize, n: usize) -> (Vec<u32>, usize) {
        let size = self.slots.len();
        let mut out = Vec::with_capacity(n);
        let mut at = from.checked_rem(size).unwrap_or(0);
        for _ in 0..size.min(n * 64) {
            let slot = self.slots[at];
            if slot.flow != EMPTY {
                out.push(slot.flow);
            }
            at = (at + 1) & (size - 1);
            if out.len() == n {
                break;
            }
        }
        (out, at)
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        // The length is a power of two, or 0, and then nothing is looked for.
        tag as usize & self.slots.len().wrapping_sub(1)
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(slot.tag);
        while self.slots[at].flow != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        let empty = vec![Slot { tag: 0, flow: EMPTY }; size];
        let old = std::mem::replace(&mut self.slots, empty);
        for slot in old.into_iter().filter(|s| s.flow != EMPTY) {
            self.place(slot);
        }
    }
}

/// The better mixed part of a hash.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_as_a_map_does_through_growth_and_removal() {
        let (mut slots, hasher) = (Slots::default(), Hasher::default());
        let mut map = std::collections::HashMap::new();
        let mut keys = Vec::new();
        let mut seed = 1_u64;
        for i in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = Key4(seed >> 50, seed >> 40 & 7);
            keys.push(key);
            let hash = hasher.v4(key);
            let is = |flow: u32| keys[flow as usize] == key;
            if seed >> 33 & 3 == 0 {
                let gone = map.remove(&(key.0, key.1));
                assert_eq!(slots.find(hash, is), gone);
                assert_eq!(gone.is_some_and(|flow| slots.remove(hash, flow)), gone.is_some());
            } else if slots.find(hash, is).is_none() {
                slots.insert(hash, i);
                map.insert((key.0, key.1), i);
            }
            assert_eq!(slots.find(hash, is), map.get(&(key.0, key.1)).copied());
        }
        assert_eq!(slots.len(), map.len());
        assert_eq!(slots.iter().count(), map.len());
    }
}
