//! Segments on their way to the flow table: a cache line each, with all that the table asks first.

use std::sync::Arc;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::Layer;
use crate::wire::scratch::Scratch;
use crate::wire::short::Short;
use crate::wire::tcp::Flags;
use crate::wire::tls::record;

use super::copies::Copies;
use super::decode::{Aside, Decoded, Place};
use super::flow::{FlowKey, Key4, Key6, Side};
use super::ready::{Offer, Ready};
use super::slots::Hasher;
use super::via::Vias;

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
    /// Place of the payload in the bytes it came in, or, with [`SPARE`], in those beside the segments.
    place: u32,
    pub payload_len: u32,
    /// Bytes of payload the snap length took, below [`TTL_SHIFT`]; above it the TTL.
    cut: u32,
    /// What it was wrapped in; 0: nothing.
    pub via: u16,
    /// As in the header, but for [`CLOSES_WINDOW`], [`LOOKED`] and [`ALERT`].
    pub flags: Flags,
    pub side: Side,
}

/// Its sender takes nothing more for now; in the place of URG, which nobody asks for.
pub(super) const CLOSES_WINDOW: u8 = 0x20;
/// The end of its payload was looked at for a TLS alert; in the place of PSH, which is asked for that alone.
const LOOKED: u8 = Flags::PSH;
/// There may be one; in the place of ECE.
const ALERT: u8 = 0x40;

/// Bytes of payload up to which a segment is short.
const SHORT: u32 = 128;

/// No packet lacks more than 2^24 bytes.
const TTL_SHIFT: u32 = 24;

/// Bits of [`Entry::place`]; no read buffer is that large.
const SPARE: u32 = 1 << 31;
/// It is a copy of a packet that came before.
const COPY: u32 = 1 << 30;
/// Its payload begins with a head that was read ahead.
const READY: u32 = 1 << 29;

/// It is an ICMP message about such a segment, which stands in the place of its payload.
const NOTE: u32 = 1 << 28;

const BITS: u32 = SPARE | COPY | READY | NOTE;

/// Places in a read buffer are below all bits.
const _: () = assert!(limits::RECORD_BYTES + limits::READ_BUFFER_BYTES < NOTE as usize);

impl Entry {
    /// Where its payload begins in the bytes it came in, near enough to fetch it.
    #[inline]
    pub(super) fn payload_at(&self) -> usize {
        (self.place & !BITS) as usize
    }

    /// Bytes of payload the snap length took.
    #[inline]
    pub(super) fn cut(&self) -> u32 {
        self.cut & ((1 << TTL_SHIFT) - 1)
    }

    /// Its packet's TTL or hop limit.
    #[inline]
    pub(super) fn ttl(&self) -> u8 {
        (self.cut >> TTL_SHIFT) as u8
    }

    /// Its sender had nothing more to say for now (RFC 9293 §3.9.1, PSH), or it is short: its end may be the end of all.
    #[inline]
    fn may_be_last(&self) -> bool {
        self.flags.0 & Flags::PSH != 0 || self.payload_len <= SHORT
    }

    /// Whether its payload may end with the record of a TLS alert. `None`: more was to follow it at once, or its end is
    /// not there, so that nobody looked.
    #[inline]
    pub(super) fn ends_with_alert(&self) -> Option<bool> {
        (self.flags.0 & LOOKED != 0).then_some(self.flags.0 & ALERT != 0)
    }

    /// A copy of a packet that came before: not looked at again.
    #[inline]
    pub(super) fn is_copy(&self) -> bool {
        self.place & COPY != 0
    }

    /// No segment to be followed: a copy, or a note.
    #[inline]
    pub(super) fn is_aside(&self) -> bool {
        self.place & (COPY | NOTE) != 0
    }

    /// An ICMP message about a segment of this flow and side: `payload` gives its IP packet.
    #[inline]
    pub(super) fn is_note(&self) -> bool {
        self.place & NOTE != 0
    }
}

/// Segments in the order of their packets.
pub struct Segments {
    pub(super) entries: Vec<Entry>,
    /// Heads that were read ahead.
    ready: Vec<Offer>,
    /// Bytes that they take, roughly.
    ready_bytes: usize,
    /// Scratch for their fields.
    fields: Scratch,
    /// What payloads of the first entries are, where each is one short frame by itself. Where it is a head that was read
    /// ahead there is none, and its sum is the place of that.
    shorts: Vec<Short>,
    pub(super) keys6: Vec<Key6>,
    /// Payloads that stand in no read buffer: of datagrams that were put together from fragments.
    spare: Vec<u8>,
    /// Stacks of wrappers that were new here, and the number of the first.
    pub(super) stacks: (usize, Vec<Arc<[Layer]>>),
    hasher: Hasher,
}

impl Segments {
    /// None yet; `hasher` is the table's.
    pub(super) fn new(hasher: Hasher) -> Self {
        Segments {
            entries: Vec::new(),
            ready: Vec::new(),
            ready_bytes: 0,
            fields: Scratch::default(),
            shorts: Vec::new(),
            keys6: Vec::new(),
            spare: Vec::new(),
            stacks: (0, Vec::new()),
            hasher,
        }
    }

    /// None yet, for the same table.
    pub fn another(&self) -> Self {
        Segments::new(self.hasher.clone())
    }

    /// Adds a segment whose packet may be a copy, which [`Segments::mark_copies`] tells. `aside`: the decoder's.
    #[inline(always)]
    pub fn push_once(&mut self, d: &Decoded, aside: Aside<'_>, ts: Timestamp, at: PacketRef, copies: &mut Copies) {
        self.push(d, aside, ts, at);
        // Routers say the same again and again.
        if let Some(entry) = self.entries.last().filter(|_| d.place != Place::Note) {
            copies.ask(entry.hash, d, ts, self.entries.len() - 1);
        }
    }

    /// Marks the copies among the segments that were added last. How many there are.
    pub fn mark_copies(&mut self, copies: &mut Copies) -> u64 {
        let mut count = 0;
        copies.answer(|segment| {
            if let Some(entry) = self.entries.get_mut(segment) {
                entry.place |= COPY;
                count += 1;
            }
        });
        count
    }

    /// Adds a segment, whatever came before. `aside`: the decoder's.
    #[inline(always)]
    pub fn push(&mut self, d: &Decoded, aside: Aside<'_>, ts: Timestamp, at: PacketRef) {
        let place = match d.place {
            Place::Read => d.payload_at,
            Place::Spare => self.set_aside(d, aside.spare),
            Place::Note => d.payload_at | NOTE,
        };
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
            place,
            payload_len: d.payload_len,
            cut: d.cut.min((1 << TTL_SHIFT) - 1) | u32::from(d.ttl) << TTL_SHIFT,
            via: d.via,
            flags: Flags(d.flags.0 & !(CLOSES_WINDOW | ALERT) | if d.closes_window { CLOSES_WINDOW } else { 0 }),
            side: d.side,
        });
    }

    /// Looks at the payloads that were added last, which `bytes` holds: whoever follows the flows need not fetch those
    /// that say all they have to say here.
    pub fn look(&mut self, bytes: &[u8]) {
        let Segments { entries, shorts, spare, ready, ready_bytes, fields, .. } = self;
        let from = shorts.len();
        let new = entries.get_mut(from..).unwrap_or_default();
        shorts.extend(new.iter_mut().map(|entry| {
            let Some(payload) = payload(entry, bytes, spare).filter(|_| entry.cut() == 0 && !entry.is_note()) else {
                entry.flags.0 &= !LOOKED;
                return Short::default();
            };
            let mut none = Short::default();
            if *ready_bytes < limits::READY_BYTES
                && let Some(head) = Ready::of(payload, fields)
            {
                *ready_bytes += head.bytes();
                // No frame begins as a head does.
                none.sum = u32::try_from(ready.len()).unwrap_or(u32::MAX);
                ready.push(Offer::new(head));
                entry.place |= READY;
            }
            let short = Short::whole(payload);
            if entry.may_be_last() {
                let alert = short.is_none() && record::alert_at_end(payload) != 0;
                entry.flags.0 |= LOOKED | if alert { ALERT } else { 0 };
            } else {
                entry.flags.0 &= !LOOKED;
            }
            short.unwrap_or(none)
        }));
    }

    /// The head that the payload of entry number `at` begins with, where it was read ahead.
    #[inline]
    pub(super) fn ready(&self, at: usize) -> Option<&Offer> {
        if self.entries.get(at)?.place & READY == 0 {
            return None;
        }
        self.ready.get(self.shorts.get(at)?.sum as usize)
    }

    /// The short frame that the payload of entry number `at` is.
    #[inline]
    pub(super) fn short(&self, at: usize) -> Option<&Short> {
        self.shorts.get(at).filter(|short| short.bits != 0)
    }

    /// Notes the stacks of wrappers that came up since this was last asked; `told`: how many had.
    pub fn wrappers(&mut self, vias: &Vias, told: &mut usize) {
        let Some(new) = vias.stacks().get(*told..).filter(|new| !new.is_empty()) else { return };
        if self.stacks.1.is_empty() {
            self.stacks.0 = *told;
        }
        self.stacks.1.extend_from_slice(new);
        *told += new.len();
    }

    /// A segment's payload. `bytes`: what it came in.
    #[inline]
    pub(super) fn payload<'a>(&'a self, entry: &Entry, bytes: &'a [u8]) -> &'a [u8] {
        payload(entry, bytes, &self.spare).unwrap_or_default()
    }

    #[inline(never)]
    fn set_aside(&mut self, d: &Decoded, spare: &[u8]) -> u32 {
        let at = d.payload_at as usize;
        let place = u32::try_from(self.spare.len()).unwrap_or(u32::MAX) | SPARE;
        self.spare.extend_from_slice(spare.get(at..at + d.payload_len as usize).unwrap_or_default());
        place
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

    /// The name of an entry's flow.
    pub(super) fn key(&self, entry: &Entry) -> FlowKey {
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
        self.shorts.clear();
        self.ready.clear();
        self.ready_bytes = 0;
        self.keys6.clear();
        self.spare.clear();
        self.stacks.1.clear();
    }

    pub fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        self.shorts.reserve(more);
    }

    /// The IPv6 key that an entry's key stands for.
    pub(super) fn key6(&self, entry: &Entry) -> Key6 {
        usize::try_from(entry.key.0).ok().and_then(|at| self.keys6.get(at)).copied().unwrap_or_default()
    }
}

#[inline]
fn payload<'a>(entry: &Entry, bytes: &'a [u8], spare: &'a [u8]) -> Option<&'a [u8]> {
    let from = if entry.place & SPARE == 0 { bytes } else { spare };
    let at = (entry.place & !BITS) as usize;
    from.get(at..at + entry.payload_len as usize)
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }

    #[test]
    fn an_alert_is_looked_for_where_a_segment_is_short_or_nothing_follows_it_at_once() {
        let mut bytes = vec![7; 1_000];
        bytes.extend([23, 3, 3, 0, 19]);
        bytes.resize(1_024, 7);
        let seen = |from: usize, cut: u32, flags: u8| {
            let packet = Decoded {
                key: FlowKey::V4(Key4(1, 2)),
                side: Side::Low,
                flags: Flags(flags),
                place: Place::Read,
                seq: 7,
                ack: 8,
                payload_at: from.try_into().expect("small"),
                payload_len: (bytes.len() - from).try_into().expect("small"),
                cut,
                ttl: 64,
                closes_window: false,
                mark: 0,
                via: 0,
            };
            let mut segments = Segments::new(Hasher::default());
            let vias = Vias::default();
            segments.push(&packet, Aside { spare: &[], vias: &vias }, Timestamp(5), PacketRef::new(0, 1));
            segments.look(&bytes);
            segments.entries[0].ends_with_alert()
        };
        const ECE: u8 = 0x40;
        assert_eq!(seen(0, 0, Flags::ACK), None, "more follows");
        assert_eq!(seen(0, 0, Flags::ACK | Flags::PSH), Some(true));
        assert_eq!(seen(1_000, 0, Flags::ACK), Some(true), "short");
        assert_eq!(seen(1_001, 0, Flags::ACK | ECE), Some(false));
        assert_eq!(seen(0, 9, Flags::ACK | Flags::PSH), None, "its end is not there");
    }
}
