//! The look-up from a flow's identity to its record: open addressing with linear probing, keys in the
//! slots, so that one cache line answers. The hash is keyed per process: addresses come from the wire.

use std::hash::{BuildHasher as _, Hasher as _};

use prefetch_index::prefetch_index;

use super::flow::{Key4, Key6};

/// Something that can be looked up.
pub trait Key: Copy + Eq + Default {
    fn feed(&self, hasher: &mut foldhash::fast::FoldHasher<'_>);
}

impl Key for Key4 {
    #[inline]
    fn feed(&self, hasher: &mut foldhash::fast::FoldHasher<'_>) {
        hasher.write_u64(self.0);
        hasher.write_u64(self.1);
    }
}

impl Key for Key6 {
    fn feed(&self, hasher: &mut foldhash::fast::FoldHasher<'_>) {
        for word in self.low.into_iter().chain(self.high) {
            hasher.write_u64(word);
        }
        hasher.write_u64(self.rest);
    }
}

const EMPTY: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot<K> {
    key: K,
    flow: u32,
}

/// Identity to index.
pub struct Slots<K> {
    slots: Vec<Slot<K>>,
    len: usize,
    state: foldhash::fast::RandomState,
}

impl<K: Key> Slots<K> {
    pub fn new() -> Self {
        Slots { slots: Vec::new(), len: 0, state: foldhash::fast::RandomState::default() }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn hash(&self, key: &K) -> u64 {
        let mut hasher = self.state.build_hasher();
        key.feed(&mut hasher);
        hasher.finish()
    }

    /// Starts fetching the slot of this hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if !self.slots.is_empty() {
            prefetch_index(&self.slots, self.home(hash));
        }
    }

    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        loop {
            let slot = &self.slots[at];
            if slot.flow == EMPTY {
                return None;
            }
            if slot.key == *key {
                return Some(slot.flow);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a key that is not there.
    pub fn insert(&mut self, hash: u64, key: K, flow: u32) {
        // At most three quarters full.
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(hash, key, flow);
    }

    /// Takes a key away, closing the hole behind it.
    pub fn remove(&mut self, key: &K) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.home(self.hash(key));
        loop {
            let slot = &self.slots[at];
            if slot.flow == EMPTY {
                return None;
            }
            if slot.key == *key {
                break;
            }
            at = (at + 1) & mask;
        }
        let gone = self.slots[at].flow;
        let mut hole = at;
        let mut next = (at + 1) & mask;
        while self.slots[next].flow != EMPTY {
            let home = self.home(self.hash(&self.slots[next].key));
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
        Some(gone)
    }

    /// All keys and their flows, in no order that may show.
    pub fn iter(&self) -> impl Iterator<Item = (K, u32)> + '_ {
        self.slots.iter().filter(|s| s.flow != EMPTY).map(|s| (s.key, s.flow))
    }

    /// Up to `n` keys and their flows from slot `from` on, and the slot to go on from.
    pub fn sample(&self, from: usize, n: usize) -> (Vec<(K, u32)>, usize) {
        let size = self.slots.len();
        let mut out = Vec::with_capacity(n);
        let mut at = from.checked_rem(size).unwrap_or(0);
        for _ in 0..size.min(n * 64) {
            let slot = &self.slots[at];
            if slot.flow != EMPTY {
                out.push((slot.key, slot.flow));
            }
            at = (at + 1) & (size - 1);
            if out.len() == n {
                break;
            }
        }
        (out, at)
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        // The upper half is the better mixed one; the length is a power of two.
        (hash >> 20) as usize & (self.slots.len() - 1)
    }

    fn place(&mut self, hash: u64, key: K, flow: u32) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        while self.slots[at].flow != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { key, flow };
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        let empty = vec![Slot { key: K::default(), flow: EMPTY }; size];
        let old = std::mem::replace(&mut self.slots, empty);
        for slot in old.into_iter().filter(|s| s.flow != EMPTY) {
            let hash = self.hash(&slot.key);
            self.place(hash, slot.key, slot.flow);
        }
    }
}

impl<K: Key> Default for Slots<K> {
    fn default() -> Self {
        Slots::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_as_a_map_does_through_growth_and_removal() {
        let mut slots = Slots::new();
        let mut map = std::collections::HashMap::new();
        let mut seed = 1_u64;
        for i in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = Key4(seed >> 50, seed >> 40 & 7);
            if seed >> 33 & 3 == 0 {
                assert_eq!(slots.remove(&key), map.remove(&(key.0, key.1)));
            } else if slots.get(slots.hash(&key), &key).is_none() {
                slots.insert(slots.hash(&key), key, i);
                map.insert((key.0, key.1), i);
            }
            assert_eq!(slots.get(slots.hash(&key), &key), map.get(&(key.0, key.1)).copied());
        }
        assert_eq!(slots.len(), map.len());
        assert_eq!(slots.iter().count(), map.len());
    }
}
