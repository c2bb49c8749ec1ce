//! The dynamic table (RFC 7541 §2.3.2, §4), as somebody has it who may have joined late, may have lost
//! field blocks, and keeps no more than `limits::HPACK_TABLE_BYTES`.
//!
//! An index counts from the newest entry. So entries kept for too long harm nobody, and only those do
//! that were inserted by a block which was lost: all older ones then stand at another place.

use std::collections::VecDeque;

use crate::base::limits;
use crate::model::LineFaults;

/// What an entry counts beside its bytes (RFC 7541 §4.1).
const OVERHEAD: u64 = 32;

pub(super) struct Table {
    entries: VecDeque<Entry>,
    /// Names and values of all entries, the oldest first.
    bytes: VecDeque<u8>,
    /// Bytes that were dropped in front of these.
    dropped: u64,
    /// As RFC 7541 §4.1 counts.
    size: u64,
    /// What the encoder keeps at most, as far as it is known.
    limit: u64,
    /// The newest entries, whose places are certain.
    certain: usize,
    /// Entries may exist, or have existed, that were never seen.
    unseen: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Where its name begins, counted as `dropped` is.
    at: u64,
    name: u32,
    value: u32,
    faults: LineFaults,
}

/// An entry found.
pub(super) struct Found {
    at: usize,
    name: usize,
    value: usize,
    /// What is not known of it.
    pub(super) faults: LineFaults,
}

impl Found {
    /// Bytes of name and value.
    pub(super) fn len(&self) -> usize {
        self.name.saturating_add(self.value)
    }
}

impl Table {
    pub(super) fn new(limit: u32, unseen: bool) -> Self {
        Table {
            entries: VecDeque::new(),
            bytes: VecDeque::new(),
            dropped: 0,
            size: 0,
            limit: u64::from(limit),
            certain: 0,
            unseen,
        }
    }

    /// Entries from now on may stand at other places than they seem to.
    pub(super) fn lost(&mut self) {
        self.certain = 0;
        self.unseen = true;
    }

    /// Whether an index that nothing is known of can be a right one.
    pub(super) fn has_unseen(&self) -> bool {
        self.unseen
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A dynamic table size update (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, limit: u32) {
        self.limit = u64::from(limit);
        if limit == 0 {
            // Whatever was not seen is gone too.
            self.evict(0);
            self.unseen = false;
        }
        self.evict(self.kept());
    }

    /// The entry of this place, the newest having 0. `None`: nothing is known of it.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<Found> {
        let entry = self.entries.get(self.entries.len().checked_sub(place.checked_add(1)?)?)?;
        let mut faults = entry.faults;
        if place >= self.certain {
            faults.add(LineFaults::POSSIBLE);
        }
        let at = usize::try_from(entry.at.checked_sub(self.dropped)?).ok()?;
        Some(Found { at, name: entry.name as usize, value: entry.value as usize, faults })
    }

    /// Appends its name.
    pub(super) fn name(&self, found: &Found, out: &mut Vec<u8>) {
        self.copy(found.at, found.name, out);
    }

    /// Appends its value.
    pub(super) fn value(&self, found: &Found, out: &mut Vec<u8>) {
        self.copy(found.at.saturating_add(found.name), found.value, out);
    }

    /// Inserts an entry (RFC 7541 §4.4). `faults`: what is not known of it.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], faults: LineFaults) {
        let need = (name.len() as u64).saturating_add(value.len() as u64).saturating_add(OVERHEAD);
        if need > self.limit && !self.unseen && !faults.has(LineFaults::UNKNOWN) {
            // The encoder's table is empty now.
            self.evict(0);
            return;
        }
        self.unseen |= faults.has(LineFaults::UNKNOWN);
        // Too large only for this table: its place is kept.
        let (name, value, need, faults) = if need > self.kept() {
            let mut faults = faults;
            faults.add(LineFaults::UNKNOWN);
            self.unseen = true;
            (&[][..], &[][..], OVERHEAD, faults)
        } else {
            (name, value, need, faults)
        };
        if need > self.kept() {
            return;
        }
        self.evict(self.kept().saturating_sub(need));
        let at = self.dropped.saturating_add(self.bytes.len() as u64);
        self.bytes.extend(name);
        self.bytes.extend(value);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.entries.push_back(Entry { at, name: length(name), value: length(value), faults });
        self.size = self.size.saturating_add(need);
        self.certain = self.certain.saturating_add(1);
    }

    /// What is kept at most. Where the encoder's bound is not known for sure, all that there is room for.
    fn kept(&self) -> u64 {
        let own = limits::HPACK_TABLE_BYTES as u64;
        if self.unseen { own } else { own.min(self.limit) }
    }

    fn evict(&mut self, until: u64) {
        if until < self.size && self.limit > self.kept() {
            self.unseen = true;
        }
        while self.size > until {
            let Some(entry) = self.entries.pop_front() else { break };
            let length = u64::from(entry.name).saturating_add(u64::from(entry.value));
            let n = usize::try_from(length).unwrap_or(usize::MAX).min(self.bytes.len());
            self.bytes.drain(..n);
            self.dropped = self.dropped.saturating_add(length);
            self.size = self.size.saturating_sub(length.saturating_add(OVERHEAD));
        }
        self.certain = self.certain.min(self.entries.len());
    }

    fn copy(&self, at: usize, length: usize, out: &mut Vec<u8>) {
        let (front, back) = self.bytes.as_slices();
        let end = at.saturating_add(length);
        let clip = |place: usize, slice: &[u8]| place.min(slice.len());
        out.extend_from_slice(front.get(clip(at, front)..clip(end, front)).unwrap_or_default());
        let (at, end) = (at.saturating_sub(front.len()), end.saturating_sub(front.len()));
        out.extend_from_slice(back.get(clip(at, back)..clip(end, back)).unwrap_or_default());
    }
}
