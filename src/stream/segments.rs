//! Segments on their way to the flow table: a cache line each, with all that the table asks first.

use crate::base::{PacketRef, Timestamp};
use crate::wire::tcp::Flags;

use super::decode::Decoded;
use super::flow::{FlowKey, Key4, Key6, Side};
use super::slots::Hasher;

/// A segment and the packet it came in. Its payload is named by place.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Entry {
    /// Of IPv6, the place of the key among those of its [`Segments`].
    pub(super) key: Key4,
    pub(super) hash: u64,
    pub ts: Timestamp,
    pub at: PacketRef,
    pub seq: u32,
    pub ack: u32,
    /// Place of the payload in the bytes it came in.
    pub payload_at: u32,
    pub payload_len: u32,
    /// Bytes of payload the snap length took.
    pub cut: u32,
    pub flags: Flags,
    pub side: Side,
}

/// Segments in the order of their packets.
pub struct Segments {
    pub(super) entries: Vec<Entry>,
    pub(super) keys6: Vec<Key6>,
    hasher: Hasher,
}

impl Segments {
    /// None yet; `hasher` is the table's.
    pub(super) fn new(hasher: Hasher) -> Self {
        Segments { entries: Vec::new(), keys6: Vec::new(), hasher }
    }

    /// None yet, for the same table.
    pub fn another(&self) -> Self {
        Segments::new(self.hasher.clone())
    }

    #[inline]
    pub fn push(&mut self, d: &Decoded, ts: Timestamp, at: PacketRef) {
        let (key, hash) = match d.key {
            FlowKey::V4(key) => (key, self.hasher.v4(key)),
            FlowKey::V6(key) => self.v6(key),
        };
        self.entries.push(Entry {
            key,
            hash,
            ts,
            at,
            seq: d.seq,
            ack: d.ack,
            payload_at: d.payload_at,
            payload_len: d.payload_len,
            cut: d.cut,
            flags: d.flags,
            side: d.side,
        });
    }

    #[inline(never)]
    fn v6(&mut self, key: Key6) -> (Key4, u64) {
        self.keys6.push(key);
        (Key4::of_v6(self.keys6.len() as u64 - 1), self.hasher.v6(&key))
    }

    /// The packet and the flow of each segment.
    pub fn iter(&self) -> impl Iterator<Item = (PacketRef, FlowKey)> {
        self.entries.iter().map(|entry| (entry.at, self.key(entry)))
    }

    fn key(&self, entry: &Entry) -> FlowKey {
        if entry.key.is_v6() { FlowKey::V6(self.key6(entry)) } else { FlowKey::V4(entry.key) }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.keys6.clear();
    }

    pub fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
    }

    /// The IPv6 key that an entry's key stands for.
    pub(super) fn key6(&self, entry: &Entry) -> Key6 {
        usize::try_from(entry.key.0).ok().and_then(|at| self.keys6.get(at)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }
}
