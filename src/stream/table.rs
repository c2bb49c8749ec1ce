//! All flows: finds the flow of each segment, opens and closes flows, bounds their number.
//! Works on batches: all look-ups of a batch are started before the first is used.

use std::collections::VecDeque;

use prefetch_index::prefetch_index;

use crate::base::{Counters, FlowId, Nanos, PacketRef, Timestamp, limits};
use crate::wire::tcp::Flags;

use super::decode::Decoded;
use super::flow::{FlowKey, Key4, Key6, Side, Track, flag};
use super::reassembly::{Flow, Held, Segment};
use super::slots::Slots;
use super::{CloseHow, Context, Handler, Inline};

/// Records are kept in blocks of this many, so that growing moves none.
const BLOCK: usize = 1024;

/// Sides of a record are fetched apart: the first line is the track, then the handler's lines.
#[repr(C, align(64))]
struct Record<I> {
    track: Track,
    inline: I,
}

/// A segment of a batch, with the packet it came in.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub segment: Decoded,
    pub ts: Timestamp,
    pub at: PacketRef,
}

/// All flows of an analysis.
pub struct Table<I> {
    v4: Slots<Key4>,
    v6: Slots<Key6>,
    blocks: Vec<Box<[Record<I>]>>,
    free: Vec<u32>,
    used: u32,
    held: Held,
    /// Ended flows in the order of their end, to be forgotten.
    ended: VecDeque<(Timestamp, u32, FlowId, FlowKey)>,
    /// Scratch of a batch: hash and record of each entry.
    hashes: Vec<u64>,
    flows: Vec<u32>,
    /// A record changed hands within this batch: what was looked up for it no longer holds.
    stale: bool,
    next_id: u32,
    limit: usize,
    hand: usize,
}

/// Flows compared when one has to go.
const SAMPLE: usize = 32;
const NONE: u32 = u32::MAX;
const LINGER: Nanos = Nanos::from_secs(limits::FLOW_LINGER_S);

impl<I: Inline> Table<I> {
    /// `limit`: flows held at most; see `limits::FLOWS`.
    pub fn new(limit: usize) -> Self {
        Table {
            v4: Slots::new(),
            v6: Slots::new(),
            blocks: Vec::new(),
            free: Vec::new(),
            used: 0,
            held: Held::default(),
            ended: VecDeque::new(),
            hashes: Vec::with_capacity(limits::BATCH_PACKETS),
            flows: Vec::with_capacity(limits::BATCH_PACKETS),
            stale: false,
            next_id: 0,
            limit: limit.max(1),
            hand: 0,
        }
    }

    /// Flows held now.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a batch of segments whose payloads stand in `bytes`. `current` is set to the entry under
    /// work, so that a fault in the handler can be laid at one flow's door.
    pub fn batch<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        entries: &[Entry],
        handler: &mut H,
        counters: &mut Counters,
        current: &mut usize,
    ) {
        self.hashes.clear();
        self.flows.clear();
        self.stale = false;
        for entry in entries {
            let hash = match &entry.segment.key {
                FlowKey::V4(key) => {
                    let hash = self.v4.hash(key);
                    self.v4.prefetch(hash);
                    hash
                }
                FlowKey::V6(key) => {
                    let hash = self.v6.hash(key);
                    self.v6.prefetch(hash);
                    hash
                }
            };
            self.hashes.push(hash);
        }
        for (entry, &hash) in entries.iter().zip(&self.hashes) {
            let flow = self.find(hash, &entry.segment.key).unwrap_or(NONE);
            if flow != NONE {
                let (block, at) = split(flow);
                prefetch_index(&self.blocks[block], at);
            }
            self.flows.push(flow);
        }
        // The records are under way; those of interest need the handler's line too.
        for (entry, &flow) in entries.iter().zip(&self.flows) {
            if flow != NONE {
                let record = self.record(flow);
                if !record.track.has(flag::IGNORED) {
                    record.inline.prefetch(entry.segment.side);
                    handler.prefetch(record.track.tag, entry.segment.side);
                }
            }
        }
        while let Some(entry) = entries.get(*current) {
            self.entry(bytes, entry, *current, handler, counters);
            *current += 1;
        }
        if let Some(last) = entries.last() {
            self.forget_ended(last.ts);
        }
    }

    #[inline]
    fn entry<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        entry: &Entry,
        number: usize,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        let d = &entry.segment;
        let (hash, mut index) = (self.hashes[number], self.flows[number]);
        // The flow may have come or gone within this batch.
        if index == NONE || self.stale {
            index = match self.find(hash, &d.key) {
                Some(index) => index,
                None => self.open(hash, entry, handler, counters),
            };
        }
        let (block, at) = split(index);
        let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) else { return };
        let track = &mut record.track;
        if entry.ts > track.last {
            track.last = entry.ts;
        }
        if track.has(flag::IGNORED) && d.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0 {
            track.set(flag::SEEN, d.side);
            return;
        }
        if d.flags.syn() && !d.flags.ack() && is_another(track, d) {
            self.replace(index, entry, handler, counters);
        }
        let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) else { return };
        let track = &mut record.track;
        let payload = bytes.get(d.payload_at as usize..(d.payload_at + d.payload_len) as usize).unwrap_or_default();
        // The client's first word after the SYN-ACK ends the handshake.
        if !d.flags.syn() && track.is(flag::SYN, d.side.other()) && track.is(flag::CLIENT, d.side) {
            track.set_rtt(entry.ts.since(track.first));
        }
        let segment = Segment {
            side: d.side,
            ts: entry.ts,
            at: entry.at,
            seq: d.seq,
            ack: d.ack,
            flags: d.flags,
            payload,
            cut: d.cut,
        };
        let mut flow =
            Flow { index, key: &d.key, track, inline: &mut record.inline, held: &mut self.held, handler, counters };
        if flow.track.has(flag::IGNORED) {
            let t = &mut flow.track;
            t.set(flag::SEEN, d.side);
            if d.flags.fin() {
                t.set(flag::FIN, d.side);
            }
            if d.flags.rst() {
                t.set(flag::RST, d.side);
            }
        } else {
            flow.segment(&segment);
        }
        if d.flags.0 & (Flags::FIN | Flags::RST) != 0 || track.flags & (0b11 * (flag::FIN | flag::RST)) != 0 {
            let over = |t: &Track| {
                Side::BOTH.into_iter().all(|s| t.is(flag::FIN, s)) || Side::BOTH.into_iter().any(|s| t.is(flag::RST, s))
            };
            if over(track) && !track.has(flag::ENDED) {
                track.flags |= flag::ENDED;
                self.ended.push_back((entry.ts, index, track.id, d.key));
                if self.ended.len() > self.limit {
                    self.forget_oldest();
                }
            }
        }
    }

    /// Gives up the flow of this entry: a fault in the handler came up with it.
    pub fn ignore(&mut self, entry: &Entry) {
        let hash = match &entry.segment.key {
            FlowKey::V4(key) => self.v4.hash(key),
            FlowKey::V6(key) => self.v6.hash(key),
        };
        if let Some(index) = self.find(hash, &entry.segment.key) {
            let (block, at) = split(index);
            if let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) {
                record.track.flags |= flag::IGNORED;
                record.track.flags &= !flag::HELD;
            }
            self.held.forget(index);
        }
    }

    /// The capture is over: every flow that is still of interest is brought to its end, in the order
    /// in which the flows began.
    pub fn finish<H: Handler<Inline = I>>(&mut self, handler: &mut H, counters: &mut Counters) {
        let mut rest: Vec<(FlowId, FlowKey, u32)> = Vec::new();
        let v4 = self.v4.iter().map(|(k, i)| (FlowKey::V4(k), i));
        let v6 = self.v6.iter().map(|(k, i)| (FlowKey::V6(k), i));
        for (key, index) in v4.chain(v6) {
            let track = &self.record(index).track;
            if !track.has(flag::IGNORED) {
                rest.push((track.id, key, index));
            }
        }
        rest.sort_unstable_by_key(|(id, ..)| *id);
        for (_, key, index) in rest {
            self.end(index, &key, CloseHow::CaptureEnd, PacketRef::default(), handler, counters);
        }
    }

    fn end<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        key: &FlowKey,
        how: CloseHow,
        at_packet: PacketRef,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        let (block, at) = split(index);
        let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) else { return };
        let ts = record.track.last;
        Flow {
            index,
            key,
            track: &mut record.track,
            inline: &mut record.inline,
            held: &mut self.held,
            handler,
            counters,
        }
        .finish(ts, at_packet, how);
    }

    /// The flow's addresses now serve another connection.
    fn replace<H: Handler<Inline = I>>(&mut self, index: u32, entry: &Entry, handler: &mut H, counters: &mut Counters) {
        self.end(index, &entry.segment.key, CloseHow::Replaced, entry.at, handler, counters);
        self.renew(index, entry, handler, counters);
    }

    fn open<H: Handler<Inline = I>>(
        &mut self,
        hash: u64,
        entry: &Entry,
        handler: &mut H,
        counters: &mut Counters,
    ) -> u32 {
        if self.len() >= self.limit {
            self.evict(handler, counters);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = self.used;
                self.used += 1;
                if split(index).0 >= self.blocks.len() {
                    let block: Vec<Record<I>> =
                        (0..BLOCK).map(|_| Record { track: Track::default(), inline: I::default() }).collect();
                    self.blocks.push(block.into_boxed_slice());
                }
                index
            }
        };
        match entry.segment.key {
            FlowKey::V4(key) => self.v4.insert(hash, key, index),
            FlowKey::V6(key) => self.v6.insert(hash, key, index),
        }
        self.renew(index, entry, handler, counters);
        index
    }

    fn renew<H: Handler<Inline = I>>(&mut self, index: u32, entry: &Entry, handler: &mut H, counters: &mut Counters) {
        self.next_id = self.next_id.saturating_add(1);
        counters.flows += 1;
        let (block, at) = split(index);
        let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) else { return };
        record.track = Track { id: FlowId(self.next_id), first: entry.ts, last: entry.ts, ..Track::default() };
        record.inline = I::default();
        handler.opened(Context { key: &entry.segment.key, track: &record.track }, &mut record.inline, entry.at);
    }

    /// Makes room: an ended flow if there is one, else the one idle longest of a sample.
    fn evict<H: Handler<Inline = I>>(&mut self, handler: &mut H, counters: &mut Counters) {
        while let Some((_, index, id, key)) = self.ended.pop_front() {
            if self.record(index).track.id == id {
                self.end(index, &key, CloseHow::Replaced, PacketRef::default(), handler, counters);
                self.remove(&key);
                return;
            }
        }
        let (four, hand) = self.v4.sample(self.hand, SAMPLE);
        let (six, _) = self.v6.sample(self.hand, SAMPLE);
        self.hand = hand;
        let sample = four.into_iter().map(|(k, i)| (FlowKey::V4(k), i));
        let sample = sample.chain(six.into_iter().map(|(k, i)| (FlowKey::V6(k), i)));
        if let Some((key, index)) = sample.min_by_key(|(_, i)| self.record(*i).track.last) {
            counters.evicted += 1;
            self.end(index, &key, CloseHow::Replaced, PacketRef::default(), handler, counters);
            self.remove(&key);
        }
    }

    /// Forgets flows that ended long enough ago.
    fn forget_ended(&mut self, now: Timestamp) {
        while let Some((ended, ..)) = self.ended.front().copied() {
            if now.since(ended) <= LINGER {
                break;
            }
            self.forget_oldest();
        }
    }

    /// Forgets the flow that ended first. One that goes on after its RST, or whose handler still waits,
    /// stays to the end.
    fn forget_oldest(&mut self) {
        let Some((_, index, id, key)) = self.ended.pop_front() else { return };
        let track = &self.record(index).track;
        if track.id == id && track.has(flag::IGNORED) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &FlowKey) {
        let index = match key {
            FlowKey::V4(key) => self.v4.remove(key),
            FlowKey::V6(key) => self.v6.remove(key),
        };
        if let Some(index) = index {
            self.stale = true;
            self.held.forget(index);
            let (block, at) = split(index);
            if let Some(record) = self.blocks.get_mut(block).and_then(|b| b.get_mut(at)) {
                record.track = Track::default();
            }
            self.free.push(index);
        }
    }

    #[inline]
    fn find(&self, hash: u64, key: &FlowKey) -> Option<u32> {
        match key {
            FlowKey::V4(key) => self.v4.get(hash, key),
            FlowKey::V6(key) => self.v6.get(hash, key),
        }
    }

    #[inline]
    fn record(&self, index: u32) -> &Record<I> {
        let (block, at) = split(index);
        &self.blocks[block][at]
    }
}

#[inline]
fn split(index: u32) -> (usize, usize) {
    (index as usize / BLOCK, index as usize % BLOCK)
}

/// Whether a SYN opens another connection than the one that has this flow's addresses.
fn is_another(track: &Track, d: &Decoded) -> bool {
    let side = d.side;
    if track.is(flag::SYN, side) {
        return track.base[side.index()] != d.seq.wrapping_add(1);
    }
    // Joined midstream: a SYN for a place that was passed belongs to another connection; one that
    // fits the start of what was seen has only come late.
    track.is(flag::STARTED, side) && track.base[side.index()] != d.seq.wrapping_add(1) || track.has(flag::ENDED)
}
