//! All flows: finds the flow of each segment, opens and closes flows, bounds their number.
//! Works on batches: all look-ups of a batch are started before the first is used.

mod fetch;
mod finish;
mod glimpses;
mod notes;
mod signs;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::base::{Counters, FlowId, Nanos, PacketRef, Timestamp, limits};
use crate::model::Layer;
use crate::wire::short::Short;
use crate::wire::tcp::Flags;

use super::another::{is_another, was_reset};
use super::flow::{FlowKey, Key4, Opened, Side, Track, flag, hint};
use super::namesakes::{Namesakes, fits};
use super::reassembly::{Flow, Held, Segment, is_known};
use super::segments::{CLOSES_WINDOW, Entry, Segments};
use super::slots::{Hasher, Slots};
use super::{CloseHow, Context, Handler, Inline, reset};

use fetch::fetch_record;
use glimpses::{glimpse, new_bytes, over};
use signs::{is_ahead, is_probe, tell_signs};

/// Records are kept in blocks of this many, so that growing moves none.
const BLOCK: usize = 1024;

/// Sides of a record are fetched apart: the first line is the track, then the handler's lines.
#[repr(C, align(64))]
struct Record<I> {
    track: Track,
    inline: I,
}

/// A block of records, and beside it what is seldom asked for of them.
struct Block<I> {
    records: Box<[Record<I>]>,
    opened: Box<[Opened]>,
}

/// The handler's first word ends the track's line.
const _: () = assert!(std::mem::offset_of!(Record<u64>, inline) == 56);

/// All flows of an analysis.
pub struct Table<I> {
    slots: Slots,
    hasher: Hasher,
    blocks: Vec<Block<I>>,
    free: Vec<u32>,
    used: u32,
    held: Held,
    /// Ended flows in the order of their end, to be forgotten.
    ended: VecDeque<(Timestamp, u32, FlowId)>,
    /// Flows with a reset that waits, in the order of the resets.
    resets: VecDeque<(Timestamp, u32, FlowId)>,
    /// Stacks of wrappers by their numbers.
    stacks: Vec<Arc<[Layer]>>,
    /// What the packets of each side of a record's flow are wrapped in; empty until any are.
    vias: Vec<[u16; 2]>,
    namesakes: Namesakes,
    /// Scratch of a batch: the record of each entry.
    flows: Vec<u32>,
    /// The same of the batch behind it, begun early; whether they are right is asked when it comes.
    next: Vec<u32>,
    /// Where that batch begins among its segments.
    next_at: usize,
    /// A record changed hands within this batch: what was looked up for it may no longer hold.
    stale: bool,
    next_id: u32,
    limit: usize,
    hand: usize,
    /// When silent flows were looked for last, and the block where that goes on.
    swept: Timestamp,
    sweep_next: usize,
    /// When something of all this is to be looked at next.
    due: Timestamp,
}

/// Flows compared when one has to go.
const SAMPLE: usize = 32;
const NONE: u32 = u32::MAX;
const LINGER: Nanos = Nanos::from_secs(limits::FLOW_LINGER_S);
const SWEEP: Nanos = Nanos::from_secs(limits::FLOW_SWEEP_S);

/// Flows whose records are fetched ahead when all of them end, and whose handler's lines.
const FAR: usize = 16;
const NEAR: usize = 8;
/// And what these lead to.
const NEXT: usize = 4;

/// Segments between what is worked on and what the handler's lines lead to.
const BEHIND: usize = 6;
/// And to what that leads to.
const FURTHER: usize = 3;

/// A flow's record, what is kept beside it, and what all flows share.
struct Found<'a, I> {
    record: &'a mut Record<I>,
    opened: &'a mut Opened,
    held: &'a mut Held,
}

impl<I: Inline> Table<I> {
    /// `limit`: flows held at most; see `limits::FLOWS`.
    pub fn new(limit: usize) -> Self {
        Table {
            slots: Slots::default(),
            hasher: Hasher::default(),
            blocks: Vec::new(),
            free: Vec::new(),
            used: 0,
            held: Held::default(),
            ended: VecDeque::new(),
            resets: VecDeque::new(),
            stacks: Vec::new(),
            vias: Vec::new(),
            namesakes: Namesakes::default(),
            flows: Vec::with_capacity(limits::BATCH_PACKETS),
            next: Vec::with_capacity(limits::BATCH_PACKETS),
            next_at: 0,
            stale: false,
            next_id: 0,
            limit: limit.max(1),
            hand: 0,
            swept: Timestamp(i64::MIN),
            sweep_next: 0,
            due: Timestamp(i64::MIN),
        }
    }

    /// Where segments for this table are gathered.
    pub fn segments(&self) -> Segments {
        Segments::new(self.hasher.clone())
    }

    /// Flows held now.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes some of the segments, whose payloads stand in `bytes`; all look-ups are started before the
    /// first is used, so that `limits::BATCH_PACKETS` are a good number. `current` is set to the entry
    /// under work, so that a fault in the handler can be laid at one flow's door; what comes before it
    /// is done.
    pub fn batch<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        segments: &Segments,
        range: Range<usize>,
        handler: &mut H,
        counters: &mut Counters,
        current: &mut usize,
    ) {
        let range = (*current).max(range.start)..range.end;
        let Some(entries) = segments.entries.get(range.clone()) else { return };
        self.stale = false;
        let (first, stacks) = &segments.stacks;
        if let Some(new) = self.stacks.len().checked_sub(*first).and_then(|known| stacks.get(known..)) {
            self.stacks.extend_from_slice(new);
        }
        if self.next.len() == entries.len() && self.next_at == range.start {
            std::mem::swap(&mut self.flows, &mut self.next);
        } else {
            self.fetch_slots(entries);
            self.flows.clear();
            self.flows.extend(entries.iter().map(|entry| fetch_record(&self.slots, &self.blocks, entry)));
        }
        self.next.clear();
        self.next_at = range.end;
        let following = segments.entries.get(range.end..).unwrap_or_default();
        let following = following.get(..limits::BATCH_PACKETS).unwrap_or(following);
        self.fetch_slots(following);
        // The records are under way; those of interest need the handler's line too.
        let leads_on = self.fetch_handlers(bytes, segments, range.clone(), handler);
        let (mut behind, mut further) = (leads_on >> BEHIND, leads_on >> FURTHER);
        // What the next batch needs comes while this one is worked on.
        self.next.extend(following.iter().map(|entry| fetch_record(&self.slots, &self.blocks, entry)));
        for (entry, number) in entries.iter().zip(0..) {
            *current = range.start + number;
            if behind & 1 != 0 {
                self.fetch_behind(entries, number + BEHIND, |entry, record| {
                    handler.prefetch_behind(record.track.tag, entry.side, &record.inline, entry.payload_len);
                });
            }
            if further & 1 != 0 {
                self.fetch_behind(entries, number + FURTHER, |entry, record| {
                    handler.prefetch_further(record.track.tag, entry.side);
                });
            }
            (behind, further) = (behind >> 1, further >> 1);
            self.entry(bytes, segments, (entry, *current), number, handler, counters);
        }
        *current = range.end;
    }

    /// Does what is due by now.
    #[cold]
    fn keep_house<H: Handler<Inline = I>>(&mut self, now: Timestamp, handler: &mut H, counters: &mut Counters) {
        while self.ended.front().is_some_and(|(ended, ..)| now.since(*ended) > LINGER) {
            self.forget_oldest();
        }
        if self.resets.front().is_some_and(|(ts, ..)| now.since(*ts) > reset::WAIT) {
            self.decide_resets(now, handler, counters);
        }
        // Once a second, and where time goes back.
        if now.0.wrapping_sub(self.swept.0).cast_unsigned() >= SWEEP.0.cast_unsigned() {
            self.sweep(now, handler, counters);
        }
        let front = |queue: &VecDeque<(Timestamp, u32, FlowId)>, wait| Some(later(queue.front()?.0, wait));
        let waiting = [front(&self.ended, LINGER), front(&self.resets, reset::WAIT)];
        self.due = waiting.into_iter().flatten().fold(later(self.swept, SWEEP), Timestamp::min);
    }

    /// House is to be kept by then at the latest.
    fn is_due(&mut self, at: Timestamp) {
        self.due = self.due.min(at);
    }

    #[inline]
    fn entry<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        segments: &Segments,
        (d, at): (&Entry, usize),
        number: usize,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        // Before the packet, not behind the batch: where batches begin and end must not show.
        if d.ts >= self.due || d.ts < self.swept {
            self.keep_house(d.ts, handler, counters);
        }
        if d.is_aside() {
            if !d.is_copy() {
                self.note(bytes, segments, d, handler);
            }
            return;
        }
        let mut index = self.flows[number];
        // The flow may have come or gone within this batch.
        if index == NONE || self.stale && !self.is(index, segments, d) {
            index = match self.find(segments, d) {
                Some(index) => index,
                None => self.open(segments, d, 0, handler, counters),
            };
        }
        if d.via != 0 || !self.vias.is_empty() {
            index = self.of_its_network(index, segments, d, handler, counters);
        }
        let mut short = segments.short(at);
        match self.quick(index, d, short, handler) {
            Some(true) => return,
            Some(false) => short = None,
            None => {}
        }
        let Some(Found { record, opened, .. }) = self.found(index) else { return };
        let track = &mut record.track;
        if d.ts > track.last {
            track.last = d.ts;
        }
        if track.has(flag::IGNORED) && d.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0 {
            track.set(flag::SEEN, d.side);
            if track.tag & H::GLIMPSED != 0 {
                let new = new_bytes(track, d);
                let nothing_new = || d.payload_len != 0 || is_probe(track, d);
                if track.tag & H::WATCHED != 0 || new.is_none() && nothing_new() {
                    tell_signs(track, &record.inline, opened, d, handler);
                }
                let from = (d.ts, d.at);
                let Some(new) = new else { return };
                if record.inline.glimpse(d.side, from, (d.payload_len, d.cut()), d.ends_with_alert()) {
                    track.advance(d.side, new);
                } else {
                    glimpse(record, opened, d, segments.payload(d, bytes), handler);
                }
            }
            return;
        }
        if d.flags.syn() && is_another(track, d) {
            if d.flags.ack() {
                // Whatever the reset said, somebody listens.
                track.hints |= hint::ANSWERED << d.side.index();
            }
            self.replace(index, segments, d, handler, counters);
        }
        if d.via != 0 && self.vias.get(index as usize).is_none_or(|known| known[d.side.index()] == 0) {
            self.wrapped(index, d, handler);
        }
        let Some(Found { record, opened, held }) = self.found(index) else { return };
        let track = &mut record.track;
        let payload = segments.payload(d, bytes);
        if d.flags.syn() && opened.ttl[d.side.index()] == 0 {
            opened.ttl[d.side.index()] = d.ttl();
        }
        // The client's first word after the SYN-ACK ends the handshake.
        let timing = track.is_timing() && track.is(flag::SYN, d.side.other()) && track.is(flag::CLIENT, d.side);
        if timing && !d.flags.syn() {
            opened.set_rtt(d.ts.since(opened.first));
            track.hints |= hint::TIMED;
        }
        let segment = Segment {
            side: d.side,
            ts: d.ts,
            at: d.at,
            seq: d.seq,
            ack: d.ack,
            flags: d.flags,
            payload,
            cut: d.cut(),
            short,
            ready: segments.ready(at),
        };
        let news = d.flags.0 & (Flags::RST | CLOSES_WINDOW) != 0 || track.tag & H::WATCHED != 0;
        let heeded = !track.has(flag::IGNORED) || track.tag & H::GLIMPSED != 0;
        if heeded && (news || is_probe(track, d) || is_ahead(track, d)) {
            tell_signs(track, &record.inline, opened, d, handler);
        }
        if track.has(flag::IGNORED) {
            if track.tag & H::GLIMPSED != 0 {
                glimpse(record, opened, d, payload, handler);
            }
            let t = &mut record.track;
            t.set(flag::SEEN, d.side);
            if d.flags.fin() {
                t.set(flag::FIN, d.side);
            }
            if d.flags.rst() {
                t.set(flag::RST, d.side);
            }
        } else {
            Flow { index, track, opened, inline: &mut record.inline, held, handler, counters }.segment(&segment);
        }
        let track = &mut record.track;
        if d.flags.0 & (Flags::FIN | Flags::RST) != 0 || track.flags & (0b11 * (flag::FIN | flag::RST)) != 0 {
            if track.waits_for_reset() && held.reset_at(index) == Some(d.at) {
                let id = opened.id;
                self.resets.push_back((d.ts, index, id));
                self.is_due(later(d.ts, reset::WAIT));
            }
            self.note_end(index, d.ts);
            self.tell_over(index, handler);
        }
    }

    /// A segment that is next in line and at which nothing is to be looked at but its payload: one short frame, or bytes
    /// that are passed over. As [`Table::entry`] would, but most packets are such. `false`: the frame's bytes are wanted.
    /// `None`: it was not taken here.
    #[inline]
    fn quick<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        d: &Entry,
        short: Option<&Short>,
        handler: &mut H,
    ) -> Option<bool> {
        const NEWS: u8 = Flags::SYN | Flags::FIN | Flags::RST | CLOSES_WINDOW;
        const STARTED: u16 = 0b11 * flag::STARTED;
        const BUSY: u16 = flag::IGNORED | flag::HELD | (0b11 * (flag::FIN | flag::RST));
        let (block, at) = split(index);
        let Record { track, inline } = self.blocks.get_mut(block)?.records.get_mut(at)?;
        let ordinary = (d.flags.0 & NEWS, d.via, d.cut(), track.flags & (STARTED | BUSY)) == (0, 0, 0, STARTED)
            && track.tag & H::WATCHED == 0
            && d.payload_len != 0
            && d.seq == track.next[d.side.index()]
            // The client's first word ends the handshake, which is to be noted.
            && !track.is_timing()
            && is_known(track, d.side, d.ack);
        if !ordinary {
            return None;
        }
        let taken = match short {
            Some(short) => handler.short(track.tag, inline, short, (d.side, d.ts, d.at, track.offset(d.side))),
            None => false,
        };
        let taken = taken || handler.pass(track.tag, inline, (d.side, d.ts, d.at), d.payload_len, d.ends_with_alert());
        if taken {
            track.last = d.ts.max(track.last);
            track.flags |= flag::PAYLOAD | flag::of(flag::SEEN, d.side);
            track.advance(d.side, d.payload_len.into());
        }
        (taken || short.is_some()).then_some(taken)
    }

    /// Tells the end of a flow of no interest, where that was waited for.
    fn tell_over<H: Handler<Inline = I>>(&mut self, index: u32, handler: &mut H) {
        let Some(Found { record, opened, .. }) = self.found(index) else { return };
        if record.track.has(flag::ENDED) {
            over(record, opened, handler);
        }
    }

    /// Puts a flow that is over among those that are to be forgotten.
    fn note_end(&mut self, index: u32, now: Timestamp) {
        let Some(Found { record: Record { track, .. }, opened, .. }) = self.found(index) else { return };
        let over = Side::BOTH.into_iter().all(|s| track.is(flag::FIN, s)) || was_reset(track);
        if over && !track.has(flag::ENDED) {
            track.flags |= flag::ENDED;
            let id = opened.id;
            let refused = was_reset(track) && !track.has(flag::IGNORED);
            self.ended.push_back((now, index, id));
            self.is_due(later(now, LINGER));
            if refused {
                self.resets.push_back((now, index, id));
                self.is_due(later(now, reset::WAIT));
            }
            if self.ended.len() > self.limit {
                self.forget_oldest();
            }
        }
    }

    /// Tells the resets that have waited long enough.
    #[cold]
    fn decide_resets<H: Handler<Inline = I>>(&mut self, now: Timestamp, handler: &mut H, counters: &mut Counters) {
        while let Some((ts, index, id)) = self.resets.pop_front_if(|(ts, ..)| now.since(*ts) > reset::WAIT) {
            let Some(Found { record, opened, held }) = self.found(index) else { continue };
            let (track, inline) = (&mut record.track, &mut record.inline);
            if opened.id != id || track.has(flag::IGNORED) {
                continue;
            }
            // Another may wait meanwhile.
            if held.reset_ts(index) == Some(ts) {
                Flow { index, track, opened, inline, held, handler, counters }.decide_reset();
                self.note_end(index, now);
            } else if was_reset(track) && !track.has_payload() {
                // A SYN was answered by it, and nothing has come in spite of that.
                self.end(index, CloseHow::Replaced, PacketRef::default(), handler, counters);
            }
        }
    }

    /// Tells what a side's packets are wrapped in, the first time.
    #[cold]
    fn wrapped<H: Handler<Inline = I>>(&mut self, index: u32, d: &Entry, handler: &mut H) {
        let track = self.track(index);
        if track.has(flag::IGNORED) {
            return;
        }
        let id = self.id(index);
        let at = index as usize;
        if self.vias.len() <= at {
            self.vias.resize(at + 1, [0; 2]);
        }
        if let Some(known) = self.vias.get_mut(at).map(|v| &mut v[d.side.index()]).filter(|v| **v == 0) {
            *known = d.via;
            let layers = self.stacks.get(usize::from(d.via));
            handler.wrapped(id, d.side, layers.map_or(&[], |stack| stack));
        }
    }

    /// Gives up the flow of this entry: a fault in the handler came up with it.
    pub fn ignore(&mut self, segments: &Segments, number: usize) {
        let Some(index) = segments.entries.get(number).and_then(|entry| self.find(segments, entry)) else { return };
        if let Some(Found { record, held, .. }) = self.found(index) {
            record.track.flags |= flag::IGNORED;
            record.track.flags &= !flag::HELD;
            // Nor is its end waited for.
            record.track.tag = 0;
            held.forget(index);
        }
    }

    fn end<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        how: CloseHow,
        at_packet: PacketRef,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        let Some(Found { record, opened, held }) = self.found(index) else { return };
        let ts = record.track.last;
        let (track, inline) = (&mut record.track, &mut record.inline);
        Flow { index, track, opened, inline, held, handler, counters }.finish(ts, at_packet, how);
        over(record, opened, handler);
    }

    /// The flow's addresses now serve another connection.
    fn replace<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        segments: &Segments,
        entry: &Entry,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        self.end(index, CloseHow::Replaced, entry.at, handler, counters);
        let number = self.key(index).number();
        self.renew(index, segments, entry, number, handler, counters);
    }

    fn open<H: Handler<Inline = I>>(
        &mut self,
        segments: &Segments,
        entry: &Entry,
        namesake: u16,
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
                    let records = (0..BLOCK).map(|_| Record { track: Track::default(), inline: I::default() });
                    let opened = vec![Opened::default(); BLOCK].into_boxed_slice();
                    self.blocks.push(Block { records: records.collect(), opened });
                }
                index
            }
        };
        let hash = if namesake == 0 { entry.hash } else { self.hash(&segments.key(entry).namesake(namesake)) };
        self.slots.insert(hash, index);
        self.renew(index, segments, entry, namesake, handler, counters);
        index
    }

    fn hash(&self, key: &FlowKey) -> u64 {
        match key {
            FlowKey::V4(key) => self.hasher.v4(*key),
            FlowKey::V6(key) => self.hasher.v6(key),
        }
    }

    /// The flow that is meant, where a segment is wrapped otherwise than those of the flow with its name.
    fn of_its_network<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        segments: &Segments,
        d: &Entry,
        handler: &mut H,
        counters: &mut Counters,
    ) -> u32 {
        let track = self.track(index);
        let via = |side: Side| self.vias.get(index as usize).map_or(0, |vias| vias[side.index()]);
        let seen = |side: Side| track.is(flag::SEEN, side);
        // Alone so far, or wrapped as before.
        let other = d.side.other();
        let as_before = if seen(d.side) { via(d.side) == d.via } else { !seen(other) || via(other) == d.via };
        if as_before {
            return index;
        }
        self.namesake(index, segments, d, handler, counters)
    }

    #[cold]
    fn namesake<H: Handler<Inline = I>>(
        &mut self,
        first: u32,
        segments: &Segments,
        d: &Entry,
        handler: &mut H,
        counters: &mut Counters,
    ) -> u32 {
        let name = segments.key(d);
        let fitting = |index: &u32| self.has_name(*index, &name) && fits(self.track(*index), d);
        if let Some(known) = self.namesakes.known(d).filter(fitting) {
            return known;
        }
        let mut others = self.namesakes.others(d).to_vec();
        others.retain(|index| self.has_name(*index, &name));
        let index = match std::iter::once(first).chain(others.iter().copied()).find(fitting) {
            Some(index) => index,
            None => {
                let taken = |number: &u16| others.iter().any(|other| self.key(*other).number() == *number);
                let Some(number) = (1..=limits::NAMESAKES).find(|number| !taken(number)) else {
                    counters.evicted += 1;
                    return first;
                };
                let index = self.open(segments, d, number, handler, counters);
                others.push(index);
                self.namesakes.set(d, others);
                index
            }
        };
        if !self.namesakes.remember(d, index) {
            counters.evicted += 1;
        }
        index
    }

    /// Whether a record is of a connection with this name.
    fn has_name(&self, index: u32, name: &FlowKey) -> bool {
        self.key(index).namesake(0) == *name
    }

    /// The identity of a record's flow.
    fn key(&self, index: u32) -> FlowKey {
        let (block, at) = split(index);
        let block = &self.blocks[block];
        Context { track: &block.records[at].track, opened: &block.opened[at] }.key()
    }

    fn renew<H: Handler<Inline = I>>(
        &mut self,
        index: u32,
        segments: &Segments,
        entry: &Entry,
        namesake: u16,
        handler: &mut H,
        counters: &mut Counters,
    ) {
        self.next_id = self.next_id.saturating_add(1);
        counters.flows += 1;
        let id = FlowId(self.next_id);
        let Some(Found { record, opened, .. }) = self.found(index) else { return };
        (opened.first, opened.id, opened.rtt_us) = (entry.ts, id, 0);
        opened.ttl = [0; 2];
        opened.ttl[entry.side.index()] = entry.ttl();
        opened.stamp = if entry.flags.syn() && !entry.flags.ack() { entry.ack } else { 0 };
        let key = match segments.key(entry).namesake(namesake) {
            FlowKey::V4(key) => key,
            FlowKey::V6(key) => {
                opened.key6 = key;
                Key4::of_v6(0)
            }
        };
        record.track = Track { key, last: entry.ts, ..Track::default() };
        record.inline = I::default();
        handler.opened(Context { track: &record.track, opened }, &mut record.inline, entry.at);
        if let Some(via) = self.vias.get_mut(index as usize) {
            *via = [0; 2];
        }
    }

    /// Makes room: an ended flow if there is one, else the one idle longest of a sample.
    fn evict<H: Handler<Inline = I>>(&mut self, handler: &mut H, counters: &mut Counters) {
        while let Some((_, index, id)) = self.ended.pop_front() {
            if self.id(index) == id {
                self.end(index, CloseHow::Replaced, PacketRef::default(), handler, counters);
                self.remove(index);
                return;
            }
        }
        let (sample, hand) = self.slots.sample(self.hand, SAMPLE);
        self.hand = hand;
        if let Some(index) = sample.into_iter().min_by_key(|index| self.track(*index).last) {
            counters.evicted += 1;
            self.end(index, CloseHow::Replaced, PacketRef::default(), handler, counters);
            self.remove(index);
        }
    }

    /// Forgets the flow that ended first. One that goes on after its RST, or whose handler still waits,
    /// stays to the end.
    fn forget_oldest(&mut self) {
        let Some((_, index, id)) = self.ended.pop_front() else { return };
        if self.id(index) == id && self.track(index).has(flag::IGNORED) {
            self.remove(index);
        }
    }

    /// Gives up flows of one block that were silent for long, counted back from the look before: one packet with a wrong
    /// time must not end them all. A block at a time, so that however times go it costs little.
    #[cold]
    fn sweep<H: Handler<Inline = I>>(&mut self, now: Timestamp, handler: &mut H, counters: &mut Counters) {
        let then = std::mem::replace(&mut self.swept, now).min(now);
        if self.sweep_next >= self.blocks.len() {
            self.sweep_next = 0;
        }
        let Some(block) = self.blocks.get(self.sweep_next) else { return };
        let from = u32::try_from(self.sweep_next * BLOCK).unwrap_or(NONE);
        self.sweep_next += 1;
        let mut silent = Vec::new();
        for ((Record { track, .. }, Opened { id, .. }), index) in block.records.iter().zip(&block.opened).zip(from..) {
            // Of what nobody looks at, or where nothing was said, nothing is lost.
            let ignored = track.has(flag::IGNORED) && track.tag & H::GLIMPSED == 0;
            let unwanted = ignored || !track.has(flag::IGNORED) && !track.has_payload();
            let patience = if unwanted { limits::FLOW_IDLE_S } else { limits::FLOW_SILENT_S };
            if then.since(track.last) > Nanos::from_secs(patience) && *id != FlowId::default() {
                silent.push((*id, index, ignored, unwanted));
            }
        }
        silent.sort_unstable();
        for (_, index, ignored, unwanted) in silent {
            counters.evicted += u64::from(!unwanted);
            if !ignored {
                self.end(index, CloseHow::Replaced, PacketRef::default(), handler, counters);
            }
            self.remove(index);
        }
    }

    fn remove(&mut self, index: u32) {
        let (block, at) = split(index);
        let Some(b) = self.blocks.get_mut(block) else { return };
        let (Some(record), Some(opened)) = (b.records.get_mut(at), b.opened.get_mut(at)) else { return };
        let key = Context { track: &record.track, opened }.key();
        record.track = Track::default();
        opened.id = FlowId::default();
        let hash = self.hash(&key);
        if self.slots.remove(hash, index) {
            self.stale = true;
            self.held.forget(index);
            self.free.push(index);
        }
    }

    /// Whether a record is of this segment's flow.
    #[inline]
    fn is(&self, index: u32, segments: &Segments, entry: &Entry) -> bool {
        let (block, at) = split(index);
        is_of(&self.blocks[block], at, segments, entry)
    }

    /// The flow of a segment.
    fn find(&self, segments: &Segments, entry: &Entry) -> Option<u32> {
        let v6 = entry.key.is_v6().then(|| segments.key6(entry));
        self.slots.find(entry.hash, |flow| {
            let (block, at) = split(flow);
            let block = &self.blocks[block];
            let key = block.records[at].track.key;
            match &v6 {
                None => key == entry.key,
                Some(v6) => key.is_v6() && block.opened[at].key6 == *v6,
            }
        })
    }

    /// The number of a record's flow. Default: there is none.
    fn id(&self, index: u32) -> FlowId {
        let (block, at) = split(index);
        self.blocks[block].opened[at].id
    }

    #[inline]
    fn track(&self, index: u32) -> &Track {
        let (block, at) = split(index);
        &self.blocks[block].records[at].track
    }

    #[inline]
    fn found(&mut self, index: u32) -> Option<Found<'_, I>> {
        let (block, at) = split(index);
        let block = self.blocks.get_mut(block)?;
        Some(Found { record: block.records.get_mut(at)?, opened: block.opened.get_mut(at)?, held: &mut self.held })
    }
}

/// Whether the record at this place of a block is of the segment's flow.
#[inline]
fn is_of<I>(block: &Block<I>, at: usize, segments: &Segments, entry: &Entry) -> bool {
    let key = block.records[at].track.key;
    key == entry.key || entry.key.is_v6() && key.is_v6() && block.opened[at].key6 == segments.key6(entry)
}

fn later(ts: Timestamp, by: Nanos) -> Timestamp {
    Timestamp(ts.0.saturating_add(by.0))
}

#[inline]
fn split(index: u32) -> (usize, usize) {
    (index as usize / BLOCK, index as usize % BLOCK)
}
