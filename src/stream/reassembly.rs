//! One flow's segments to in-order chunks. Read with RFC 9293 §3.4 and §3.10.7.4 open.
//!
//! Bytes are passed on as soon as they are next in line *and* the peer's bytes that their sender had
//! acknowledged have been passed on. What cannot be passed on is held, in order, until it can, or
//! until a limit says that the missing bytes are lost; then the hole is told as a gap of known length.
//! First bytes win; later ones for the same place are compared where both are at hand.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::base::{Counters, Nanos, PacketRef, Timestamp, limits};
use crate::wire::tcp::Flags;

use super::flow::{Opened, Side, Track, flag};
use super::{Chunk, CloseHow, Context, GapWhy, Handler, Interest, What};

/// A segment of a known flow.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub side: Side,
    pub ts: Timestamp,
    pub at: PacketRef,
    pub seq: u32,
    pub ack: u32,
    pub flags: Flags,
    pub payload: &'a [u8],
    /// Bytes of payload the snap length took, behind those of `payload`.
    pub cut: u32,
}

/// All that is held back, of all flows.
#[derive(Default)]
pub struct Held {
    flows: HashMap<u32, Box<Queues>, foldhash::fast::RandomState>,
    /// With what each piece takes beside its data: many small ones must count for what they are.
    bytes: usize,
}

impl Held {
    /// Drops what a flow holds back.
    pub(super) fn forget(&mut self, index: u32) {
        if let Some(queues) = self.flows.remove(&index) {
            let pieces: usize = queues.sides.iter().map(VecDeque::len).sum();
            let bytes: usize = queues.bytes.iter().sum();
            self.bytes = self.bytes.saturating_sub(bytes + pieces * size_of::<Piece>());
        }
    }
}

/// What one flow holds back.
#[derive(Default)]
struct Queues {
    sides: [VecDeque<Piece>; 2],
    bytes: [usize; 2],
}

/// A held part of a segment, or a mark behind one.
struct Piece {
    seq: u32,
    ack: Option<u32>,
    ts: Timestamp,
    at: PacketRef,
    data: Box<[u8]>,
    cut: u32,
    mark: Option<CloseHow>,
    /// Its segment also brought bytes that had been seen: it is no first sending.
    again: bool,
}

impl Piece {
    /// The first `n` bytes and the rest; a mark stays behind the rest.
    fn split(self, n: u32) -> (Piece, Piece) {
        let n = n.min(self.len());
        let (data, rest) = self.data.split_at((n as usize).min(self.data.len()));
        let first_cut = n - len32(data);
        let first = Piece { data: data.into(), cut: first_cut, mark: None, ..self.head() };
        let second = Piece {
            seq: self.seq.wrapping_add(n),
            data: rest.into(),
            cut: self.cut - first_cut,
            mark: self.mark,
            ..self.head()
        };
        (first, second)
    }

    /// All but what it holds.
    fn head(&self) -> Piece {
        Piece { data: Box::default(), cut: 0, mark: None, ..*self }
    }

    fn len(&self) -> u32 {
        len32(&self.data).wrapping_add(self.cut)
    }
}

/// A window of TCP is at most 1 GiB (RFC 7323 §2.2); what is farther ahead is of no connection.
const WINDOW: i32 = 1 << 30;

/// Segments an unopened direction is held for, in the hope of its SYN.
const START_SEGMENTS: usize = 4;
const START_WAIT: Nanos = Nanos::from_millis(200);
const WAIT: Nanos = Nanos::from_millis(limits::REORDER_MS);

/// One flow under work: its record, its index, what is held, and whom to tell.
pub(super) struct Flow<'a, H: Handler> {
    pub(super) index: u32,
    pub(super) track: &'a mut Track,
    pub(super) opened: &'a Opened,
    pub(super) inline: &'a mut H::Inline,
    pub(super) held: &'a mut Held,
    pub(super) handler: &'a mut H,
    pub(super) counters: &'a mut Counters,
}

impl<H: Handler> Flow<'_, H> {
    /// Takes one segment. The caller has dealt with SYNs that open another connection.
    #[inline]
    pub(super) fn segment(&mut self, s: &Segment<'_>) {
        let side = s.side;
        let plain = s.flags.0 & (Flags::SYN | Flags::RST | Flags::FIN) == 0;
        let s_started = self.track.is(flag::STARTED, side);
        // The common case first: next in line, nothing held, no news about the connection.
        if plain
            && s_started
            && s.cut == 0
            && !self.track.has(flag::HELD)
            && s.seq == self.track.next[side.index()]
            && self.satisfied(side, Some(s.ack))
        {
            self.track.set(flag::SEEN, side);
            if !s.payload.is_empty() {
                self.data(side, s.ts, s.at, s.payload);
            }
            return;
        }
        self.slow(s);
    }

    #[inline(never)]
    fn slow(&mut self, s: &Segment<'_>) {
        let side = s.side;
        self.track.set(flag::SEEN, side);
        let mut seq = s.seq;
        if s.flags.syn() {
            self.opening(s);
            // The SYN takes one number (RFC 9293 §3.4); what it carries stands behind it.
            seq = seq.wrapping_add(1);
        }
        let ack = (s.flags.ack() && !s.flags.rst()).then_some(s.ack);
        if !self.track.is(flag::STARTED, side) {
            if s.flags.rst() && s.payload.is_empty() {
                // Nothing of this side can be in order any more: the reset itself is the news.
                self.close(side, s.ts, s.at, CloseHow::Rst);
                return;
            }
            if s.payload.is_empty() && s.cut == 0 && !s.flags.fin() {
                return;
            }
            self.hold_segment(s, seq, ack);
            self.start_when_due(s.ts);
            return;
        }
        if self.track.has(flag::HELD) && ack.is_some_and(|ack| self.answers_held(side, ack)) {
            // The peer's bytes arrived at their end: its SYN will not come any more.
            self.start_now();
            self.drain();
        }
        let rel = seq.wrapping_sub(self.track.next[side.index()]).cast_signed();
        if s.flags.rst() && (!(0..WINDOW).contains(&rel) || !self.track.has(flag::HELD)) && s.payload.is_empty() {
            self.close(side, s.ts, s.at, CloseHow::Rst);
            return;
        }
        if rel >= WINDOW || rel <= -WINDOW {
            self.counters.out_of_window += 1;
            return;
        }
        let fin_or_rst = s.flags.fin() || s.flags.rst();
        if !s.payload.is_empty() || s.cut != 0 || fin_or_rst {
            if rel == 0 && self.satisfied(side, ack) && !self.track.has(flag::HELD) {
                self.in_order(s);
            } else {
                if rel > 0 {
                    self.counters.reordered += 1;
                }
                self.hold_segment(s, seq, ack);
            }
        }
        if self.track.has(flag::HELD) {
            self.drain();
            self.give_up(Some(s.ts));
        }
    }

    /// Passes on a segment that is next in line.
    fn in_order(&mut self, s: &Segment<'_>) {
        let side = s.side;
        if !s.payload.is_empty() {
            self.data(side, s.ts, s.at, s.payload);
        }
        if s.cut != 0 {
            self.gap(side, s.ts, s.at, u64::from(s.cut), GapWhy::Cut);
        }
        if s.flags.fin() {
            self.close(side, s.ts, s.at, CloseHow::Fin);
        }
        if s.flags.rst() {
            self.close(side, s.ts, s.at, CloseHow::Rst);
        }
    }

    /// A SYN or SYN-ACK: where its side starts, and who is client.
    fn opening(&mut self, s: &Segment<'_>) {
        let side = s.side;
        let t = &mut *self.track;
        t.set(flag::SYN, side);
        if s.flags.ack() {
            if t.client().is_none() {
                t.set(flag::CLIENT, side.other());
            }
            if !t.is(flag::STARTED, side.other()) {
                start(t, side.other(), s.ack);
            }
        } else {
            if t.client().is_none() {
                t.set(flag::CLIENT, side);
            }
            t.syns = t.syns.saturating_add(1);
        }
        if !t.is(flag::STARTED, side) {
            start(t, side, s.seq.wrapping_add(1));
        }
    }

    /// Opens directions of which no SYN is in view, once waiting for one has no more sense.
    fn start_when_due(&mut self, now: Timestamp) {
        let Some(queues) = self.held.flows.get(&self.index) else { return };
        let count = queues.sides[0].len() + queues.sides[1].len();
        let oldest = queues.sides.iter().flatten().map(|p| p.ts).min();
        if count >= START_SEGMENTS || oldest.is_some_and(|t| now.since(t) > START_WAIT) {
            self.start_now();
            self.drain();
            self.give_up(Some(now));
        }
    }

    /// Whether an acknowledgement of this side covers bytes that the peer's direction, not opened yet,
    /// holds.
    fn answers_held(&self, side: Side, ack: u32) -> bool {
        let peer = side.other();
        let held = self.held.flows.get(&self.index).and_then(|q| q.sides[peer.index()].front());
        !self.track.is(flag::STARTED, peer) && held.is_some_and(|p| ack.wrapping_sub(p.seq).cast_signed() > 0)
    }

    /// Opens the directions that hold something at the lowest place held. `true`: there was one.
    fn start_now(&mut self) -> bool {
        let mut any = false;
        let Some(queues) = self.held.flows.get(&self.index) else { return any };
        for side in Side::BOTH {
            if !self.track.is(flag::STARTED, side) {
                let pieces = &queues.sides[side.index()];
                let Some(first) = pieces.front().map(|p| p.seq) else { continue };
                let lowest = pieces
                    .iter()
                    .map(|p| p.seq)
                    .fold(first, |low, seq| if seq.wrapping_sub(low).cast_signed() < 0 { seq } else { low });
                start(self.track, side, lowest);
                any = true;
            }
        }
        any
    }

    /// Whether the peer's bytes that `ack` acknowledges were passed on.
    #[inline]
    fn satisfied(&self, side: Side, ack: Option<u32>) -> bool {
        let peer = side.other();
        let Some(ack) = ack else { return true };
        if !self.track.is(flag::STARTED, peer) {
            return true;
        }
        let ahead = ack.wrapping_sub(self.track.next[peer.index()]).cast_signed();
        // An acknowledgement far beyond any window is of no meaning.
        ahead <= 0 || ahead >= WINDOW
    }

    /// Keeps a segment, less what was passed on or is held already.
    fn hold_segment(&mut self, s: &Segment<'_>, seq: u32, ack: Option<u32>) {
        let side = s.side;
        let total = len32(s.payload).saturating_add(s.cut);
        let mut seq = seq;
        let mut payload = s.payload;
        let mut cut = s.cut;
        if self.track.is(flag::STARTED, side) && total != 0 {
            let behind = self.track.next[side.index()].wrapping_sub(seq).cast_signed();
            if behind > 0 {
                let behind = (behind.unsigned_abs()).min(total);
                let again = payload.get(..payload.len().min(behind as usize)).unwrap_or_default();
                if total > 1 || !again.is_empty() {
                    self.counters.retransmissions += 1;
                }
                if let Some(offset) =
                    self.track.offset(side).checked_sub(u64::from(self.track.next[side.index()].wrapping_sub(seq)))
                {
                    let mut tag = self.track.tag;
                    self.handler.again(
                        Context { track: self.track, opened: self.opened },
                        &mut tag,
                        side,
                        offset,
                        again,
                    );
                    self.track.tag = tag;
                }
                seq = seq.wrapping_add(behind);
                let from_payload = (behind as usize).min(payload.len());
                let (passed, rest) = payload.split_at(from_payload);
                cut -= behind - len32(passed);
                payload = rest;
            }
        }
        let mark = match (s.flags.rst(), s.flags.fin()) {
            (true, _) => Some(CloseHow::Rst),
            (_, true) => Some(CloseHow::Fin),
            _ => None,
        };
        let end = seq.wrapping_add(len32(payload)).wrapping_add(cut);
        let queues = self.held.flows.entry(self.index).or_default();
        let before = queues.bytes[side.index()];
        let pieces_before = queues.sides[side.index()].len();
        let queue = &mut queues.sides[side.index()];
        let mut conflict = false;
        let mut added = 0;
        if !payload.is_empty() || cut != 0 {
            let again = seq != s.seq.wrapping_add(u32::from(s.flags.syn()));
            added = insert(queue, seq, payload, cut, ack, s, again, &mut conflict);
            if queue.len() == pieces_before {
                self.counters.retransmissions += 1;
            }
        }
        if let Some(mark) = mark {
            let at = place(queue, end, true);
            let known = queue.range_mut(..at).rev().take_while(|p| p.seq == end).find(|p| p.mark == Some(mark));
            if let Some(known) = known {
                if earlier(ack, known.ack) {
                    known.ack = ack;
                }
            } else {
                queue.insert(
                    at,
                    Piece {
                        seq: end,
                        ack,
                        ts: s.ts,
                        at: s.at,
                        data: Box::default(),
                        cut: 0,
                        mark: Some(mark),
                        again: false,
                    },
                );
            }
        }
        queues.bytes[side.index()] = before + added;
        let more = queues.sides[side.index()].len() - pieces_before;
        self.held.bytes += added + more * size_of::<Piece>();
        let empty = queues.sides.iter().all(VecDeque::is_empty);
        if empty {
            self.held.flows.remove(&self.index);
            self.track.flags &= !flag::HELD;
        } else {
            self.track.flags |= flag::HELD;
        }
        if conflict {
            self.counters.overlap_conflicts += 1;
            let mut tag = self.track.tag;
            self.handler.conflict(Context { track: self.track, opened: self.opened }, &mut tag);
            self.track.tag = tag;
        }
    }

    /// Passes on all that is next in line, of both sides, as long as there is something.
    fn drain(&mut self) {
        loop {
            let mut moved = false;
            for side in Side::BOTH {
                while let Some(piece) = self.take_ready(side) {
                    moved = true;
                    self.pass(side, piece);
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// Where each side's next piece waits for the other's, nothing is missing: one of them repeats old
    /// bytes with a newer acknowledgement. Of this one the bytes that the other acknowledges go on first.
    /// `true`: something was passed on.
    fn untangle(&mut self) -> bool {
        let Some(queues) = self.held.flows.get(&self.index) else { return false };
        let mut found: Option<((bool, PacketRef), Side, usize)> = None;
        let mut whole = true;
        for side in Side::BOTH {
            let peer = side.other();
            let (Some(piece), Some(Piece { ack: Some(ack), .. })) =
                (queues.sides[side.index()].front(), queues.sides[peer.index()].front())
            else {
                return false;
            };
            let next = self.track.next[side.index()];
            let left = piece.seq.wrapping_add(piece.len()).wrapping_sub(next).cast_signed();
            let wanted = ack.wrapping_sub(next).cast_signed();
            let first = piece.seq.wrapping_sub(next).cast_signed() <= 0;
            if !first || !self.track.is(flag::STARTED, side) || self.satisfied(side, piece.ack) {
                return false;
            }
            // A piece whose segment brought bytes already seen, or that goes on behind what is wanted of
            // it, repeats; else the one captured first goes.
            let order = (!piece.again && wanted >= left, piece.at);
            if found.is_none_or(|(known, ..)| order < known) {
                whole = wanted >= left;
                found = Some((order, side, wanted.min(left).max(0).unsigned_abs() as usize));
            }
        }
        let Some((_, side, wanted)) = found else { return false };
        let part = queues.sides[side.index()].front().filter(|_| !whole).and_then(|piece| {
            let behind = self.track.next[side.index()].wrapping_sub(piece.seq) as usize;
            let bytes: Box<[u8]> = piece.data.get(behind..behind.checked_add(wanted)?)?.into();
            (!bytes.is_empty()).then_some((piece.ts, piece.at, bytes))
        });
        match part {
            Some((ts, at, bytes)) => self.data(side, ts, at, &bytes),
            None => {
                let Some(piece) = self.take_first(side) else { return false };
                self.pass(side, piece);
            }
        }
        true
    }

    fn pass(&mut self, side: Side, piece: Piece) {
        // What was held with a place already passed is cut off; its first bytes came before.
        let behind = self.track.next[side.index()].wrapping_sub(piece.seq) as usize;
        let data = piece.data.get(behind.min(piece.data.len())..).unwrap_or_default();
        let cut = (piece.len() as usize).saturating_sub(behind).saturating_sub(data.len());
        if !data.is_empty() {
            self.data(side, piece.ts, piece.at, data);
        }
        if cut != 0 {
            self.gap(side, piece.ts, piece.at, cut as u64, GapWhy::Cut);
        }
        if let Some(how) = piece.mark {
            self.close(side, piece.ts, piece.at, how);
        }
    }

    /// Takes the first held piece of a side if nothing stands before it.
    fn take_ready(&mut self, side: Side) -> Option<Piece> {
        if !self.track.is(flag::STARTED, side) {
            return None;
        }
        let queues = self.held.flows.get(&self.index)?;
        let first = queues.sides[side.index()].front()?;
        let rel = first.seq.wrapping_sub(self.track.next[side.index()]).cast_signed();
        if rel > 0 || !self.satisfied(side, first.ack) {
            return None;
        }
        self.take_first(side)
    }

    fn take_first(&mut self, side: Side) -> Option<Piece> {
        let queues = self.held.flows.get_mut(&self.index)?;
        let queue = &mut queues.sides[side.index()];
        let piece = queue.pop_front()?;
        queues.bytes[side.index()] = queues.bytes[side.index()].saturating_sub(piece.data.len());
        self.held.bytes = self.held.bytes.saturating_sub(piece.data.len() + size_of::<Piece>());
        if queues.sides.iter().all(VecDeque::is_empty) {
            self.held.flows.remove(&self.index);
            self.track.flags &= !flag::HELD;
        }
        Some(piece)
    }

    /// Gives up waiting for what is missing: all of it (`now` is `None`), or as far as time and
    /// limits demand.
    fn give_up(&mut self, now: Option<Timestamp>) {
        while self.track.has(flag::HELD) {
            let Some(queues) = self.held.flows.get(&self.index) else { break };
            let full = queues.bytes.iter().any(|&b| b > limits::REORDER_BYTES)
                || queues.sides.iter().any(|s| s.len() > limits::REORDER_SEGMENTS)
                || self.held.bytes > limits::REORDER_TOTAL_BYTES;
            let late =
                now.is_none_or(|now| queues.sides.iter().filter_map(|s| s.front()).any(|p| now.since(p.ts) > WAIT));
            if !full && !late {
                break;
            }
            if full && !late {
                self.counters.evicted += 1;
            }
            self.step_over(if full && !late { GapWhy::Evicted } else { GapWhy::Lost });
            self.drain();
        }
    }

    /// Makes one held piece the next in line.
    fn step_over(&mut self, why: GapWhy) {
        if self.start_now() {
            // What was held for its SYN only may be next in line as it is.
            return;
        }
        // Only now: until here the first sending of what was sent again might have come.
        if self.untangle() {
            return;
        }
        let Some(queues) = self.held.flows.get(&self.index) else { return };
        // The piece that came first in the capture goes on first.
        let Some((side, piece)) = Side::BOTH
            .into_iter()
            .filter_map(|s| queues.sides[s.index()].front().map(|p| (s, p)))
            .min_by_key(|(_, p)| p.at)
        else {
            return;
        };
        let (ts, at, seq, ack) = (piece.ts, piece.at, piece.seq, piece.ack);
        let rel = seq.wrapping_sub(self.track.next[side.index()]).cast_signed();
        if rel > 0 {
            self.gap(side, ts, at, u64::from(rel.unsigned_abs()), why);
            return;
        }
        // It waits for the peer's bytes: these are missing, or wait for it in turn.
        let peer = side.other();
        let next = self.track.next[peer.index()];
        let behind = queues.sides[peer.index()].front().map(|p| p.seq.wrapping_sub(next).cast_signed());
        match (ack, behind) {
            (_, Some(..=0)) | (None, _) => {
                if let Some(piece) = self.take_first(side) {
                    self.pass(side, piece);
                }
            }
            (Some(ack), behind) => {
                let mut missing = ack.wrapping_sub(next);
                if let Some(hole) = behind {
                    missing = missing.min(hole.unsigned_abs());
                }
                if self.track.is(flag::FIN, peer) {
                    // Behind its FIN the peer has no bytes: what is acknowledged there never was.
                    if let Some(piece) = self.take_first(side) {
                        self.pass(side, piece);
                    }
                } else {
                    self.gap(peer, ts, at, u64::from(missing), why);
                }
            }
        }
    }

    /// The end of the flow in this capture: everything held is passed on, then the end is told.
    pub(super) fn finish(&mut self, ts: Timestamp, at: PacketRef, how: CloseHow) {
        self.start_now();
        self.drain();
        self.give_up(None);
        if !self.track.has(flag::IGNORED) {
            self.tell(Chunk { side: Side::Low, ts, at, offset: self.track.offset(Side::Low), what: What::Close(how) });
        }
        self.forget_held();
    }

    /// Drops all that is held.
    pub(super) fn forget_held(&mut self) {
        if self.track.has(flag::HELD) {
            self.held.forget(self.index);
        }
        self.track.flags &= !flag::HELD;
    }

    #[inline]
    fn data(&mut self, side: Side, ts: Timestamp, at: PacketRef, data: &[u8]) {
        let offset = self.track.offset(side);
        self.track.flags |= flag::PAYLOAD;
        self.track.advance(side, data.len() as u64);
        self.tell(Chunk { side, ts, at, offset, what: What::Data(data) });
    }

    fn gap(&mut self, side: Side, ts: Timestamp, at: PacketRef, len: u64, why: GapWhy) {
        let offset = self.track.offset(side);
        self.track.flags |= flag::PAYLOAD;
        self.track.advance(side, len);
        self.counters.gaps += 1;
        self.counters.gap_bytes += len;
        self.tell(Chunk { side, ts, at, offset, what: What::Gap { len, why } });
    }

    fn close(&mut self, side: Side, ts: Timestamp, at: PacketRef, how: CloseHow) {
        let offset = self.track.offset(side);
        match how {
            // A direction ends once.
            CloseHow::Fin if self.track.is(flag::FIN, side) => return,
            CloseHow::Fin => {
                self.track.set(flag::FIN, side);
                if self.track.is(flag::STARTED, side) {
                    self.track.advance(side, 1);
                }
            }
            _ => self.track.set(flag::RST, side),
        }
        self.tell(Chunk { side, ts, at, offset, what: What::Close(how) });
    }

    #[inline]
    fn tell(&mut self, chunk: Chunk<'_>) {
        if self.track.has(flag::IGNORED) {
            return;
        }
        let mut tag = self.track.tag;
        let context = Context { track: self.track, opened: self.opened };
        let interest = self.handler.chunk(context, &mut tag, self.inline, chunk);
        self.track.tag = tag;
        if interest == Interest::Nothing {
            self.track.flags |= flag::IGNORED;
            self.forget_held();
        }
    }
}

fn start(track: &mut Track, side: Side, base: u32) {
    track.set(flag::STARTED, side);
    track.base[side.index()] = base;
    track.next[side.index()] = base;
    track.wraps[side.index()] = 0;
}

/// How many pieces stand before this place of the stream. Pieces do not overlap, so their ends are in
/// order as their beginnings are.
fn count_before(queue: &VecDeque<Piece>, before: impl Fn(&Piece) -> bool) -> usize {
    // Most segments come in order among themselves: behind all that is held.
    if queue.back().is_none_or(&before) { queue.len() } else { queue.partition_point(before) }
}

/// Where a piece with this sequence number goes; marks stand behind data of the same number.
fn place(queue: &VecDeque<Piece>, seq: u32, mark: bool) -> usize {
    count_before(queue, |p| {
        let rel = seq.wrapping_sub(p.seq).cast_signed();
        rel > 0 || (rel == 0 && (mark || p.mark.is_none()))
    })
}

/// Puts the parts of a segment that are not held yet into the queue; compares those that are.
/// Returns the bytes added.
#[expect(clippy::too_many_arguments, reason = "the parts of one segment, trimmed")]
fn insert(
    queue: &mut VecDeque<Piece>,
    seq: u32,
    payload: &[u8],
    cut: u32,
    ack: Option<u32>,
    s: &Segment<'_>,
    again: bool,
    conflict: &mut bool,
) -> usize {
    let total = len32(payload).wrapping_add(cut);
    // The first piece that ends behind the segment's beginning; those before it have no part in this.
    let mut at = count_before(queue, |p| p.seq.wrapping_add(p.len()).wrapping_sub(seq).cast_signed() <= 0);
    // From here on everything is counted from `seq`: what of the segment is dealt with.
    let (mut done, mut added) = (0_u32, 0);
    let ends = seq.wrapping_add(total);
    let again = again || queue.get(at).is_some_and(|p| p.len() != 0 && p.seq.wrapping_sub(ends).cast_signed() < 0);
    while done < total {
        // The next piece that holds data, and how far the segment is free before it.
        let next = queue.get(at).map(|p| p.seq.wrapping_sub(seq).cast_signed().max(0).unsigned_abs());
        let free_to = next.unwrap_or(total).min(total);
        if done < free_to {
            let data = part(payload, done, free_to);
            let cut = free_to - done - len32(data);
            added += data.len();
            let seq = seq.wrapping_add(done);
            queue.insert(at, Piece { seq, ack, ts: s.ts, at: s.at, data: data.into(), cut, mark: None, again });
            at += 1;
            done = free_to;
        }
        let Some(p) = queue.get(at).filter(|_| done < total) else { break };
        // What both have must be the same (first kept).
        let theirs_from = seq.wrapping_add(done).wrapping_sub(p.seq);
        let to = done.saturating_add(p.len().saturating_sub(theirs_from)).min(total);
        let ours = part(payload, done, to);
        let theirs = part(&p.data, theirs_from, theirs_from.saturating_add(to - done));
        let n = ours.len().min(theirs.len());
        *conflict |= ours[..n] != theirs[..n];
        let common = to.saturating_sub(done);
        done = to.max(done);
        // Nothing in common (a mark): it is passed over, or this would never end.
        at = if common != 0 && earlier(ack, p.ack) { lower_ack(queue, at, theirs_from, common, ack) } else { at + 1 };
    }
    added
}

/// Whether the first acknowledgement is the older one.
fn earlier(a: Option<u32>, b: Option<u32>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.wrapping_sub(b).cast_signed() < 0,
        (None, b) => b.is_some(),
        (Some(_), None) => false,
    }
}

/// Bytes sent again carry the acknowledgement of their second sending, which may be of bytes that
/// answer them. What both copies have waits only for what the older one acknowledged. Returns the
/// place behind the part they share.
fn lower_ack(queue: &mut VecDeque<Piece>, at: usize, from: u32, len: u32, ack: Option<u32>) -> usize {
    let Some(whole) = queue.remove(at) else { return at + 1 };
    let (before, rest) = whole.split(from);
    let (mut shared, after) = rest.split(len);
    shared.ack = ack;
    let mut place = at;
    for (piece, counts) in [(before, true), (shared, true), (after, false)] {
        if piece.len() != 0 || piece.mark.is_some() {
            queue.insert(if counts { place } else { place.min(queue.len()) }, piece);
            place += usize::from(counts);
        }
    }
    place
}

/// Payloads of packets are far below 4 GiB.
fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// `bytes[from..to]` as far as there are bytes.
fn part(bytes: &[u8], from: u32, to: u32) -> &[u8] {
    let len = bytes.len();
    bytes.get((from as usize).min(len)..(to as usize).min(len)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(seq: u32, data: &[u8], ack: u32, mark: Option<CloseHow>) -> Piece {
        let at = PacketRef::new(0, 1);
        Piece { seq, ack: Some(ack), ts: Timestamp(0), at, data: data.into(), cut: 0, mark, again: false }
    }

    fn put(queue: &mut VecDeque<Piece>, seq: u32, payload: &[u8], ack: u32) -> bool {
        let (side, ts, at) = (Side::Low, Timestamp(0), PacketRef::new(0, 2));
        let s = Segment { side, ts, at, seq, ack, flags: Flags(Flags::ACK), payload, cut: 0 };
        let mut conflict = false;
        insert(queue, seq, payload, 0, Some(ack), &s, false, &mut conflict);
        conflict
    }

    fn held(queue: &VecDeque<Piece>) -> Vec<(u32, String, Option<u32>, bool)> {
        queue.iter().map(|p| (p.seq, String::from_utf8_lossy(&p.data).into_owned(), p.ack, p.mark.is_some())).collect()
    }

    #[test]
    fn a_segment_over_a_held_fin_with_a_newer_acknowledgement_ends() {
        let mut queue = VecDeque::from([piece(10, b"", 9, Some(CloseHow::Fin))]);
        assert!(!put(&mut queue, 5, b"0123456789", 1));
        let bytes: usize = queue.iter().map(|p| p.data.len()).sum();
        assert_eq!((bytes, queue.iter().filter(|p| p.mark.is_some()).count()), (10, 1));
    }

    #[test]
    fn what_two_copies_share_waits_for_the_older_acknowledgement() {
        let mut queue = VecDeque::from([piece(10, b"abcdef", 9, None)]);
        assert!(!put(&mut queue, 12, b"cd", 1));
        let want = [(10, "ab", 9), (12, "cd", 1), (14, "ef", 9)];
        assert_eq!(held(&queue), want.map(|(seq, text, ack)| (seq, text.to_owned(), Some(ack), false)));
    }

    #[test]
    fn other_bytes_for_a_held_place_are_a_conflict_and_the_first_stay() {
        let mut queue = VecDeque::from([piece(10, b"abcdef", 1, None)]);
        assert!(put(&mut queue, 8, b"xxaXcdefyy", 2));
        let text: String = held(&queue).into_iter().map(|(_, text, ..)| text).collect();
        assert_eq!(text, "xxabcdefyy");
    }
}
