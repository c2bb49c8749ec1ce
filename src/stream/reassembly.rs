//! One flow's segments to in-order chunks. Read with RFC 9293 §3.4 and §3.10.7.4 open.
//!
//! Bytes are passed on as soon as they are next in line *and* the peer's bytes that their sender had
//! acknowledged have been passed on. What cannot be passed on is held, in order, until it can, or
//! until a limit says that the missing bytes are lost; then the hole is told as a gap of known length.
//! First bytes win; later ones for the same place are compared where both are at hand.

use crate::base::{Counters, Nanos, PacketRef, Timestamp, limits};
use crate::wire::short::Short;
use crate::wire::tcp::Flags;

use super::flow::{Opened, Side, Track, flag, hint};
pub use super::pieces::Held;
use super::pieces::{Piece, earlier, insert, insert_ack, len32, place};
use super::ready::Offer;
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
    /// What the payload is, where it is one short frame by itself.
    pub short: Option<&'a Short>,
    /// What it begins with, where that was read ahead.
    pub ready: Option<&'a Offer>,
}

/// A window of TCP is at most 1 GiB (RFC 7323 §2.2); what is farther ahead is of no connection.
pub(super) const WINDOW: i32 = 1 << 30;

/// Segments an unopened direction is held for, in the hope of its SYN.
const START_SEGMENTS: usize = 4;
const START_WAIT: Nanos = Nanos::from_millis(200);

/// In which order held pieces go on: what repeats first, then by their times, since the capture's numbers are not in the order
/// of these where packets stand a little late.
type Order = (bool, Timestamp, PacketRef);

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

/// Whether what this side acknowledges of its peer, which has started, was passed on.
#[inline]
pub(super) fn is_known(track: &Track, side: Side, ack: u32) -> bool {
    let ahead = ack.wrapping_sub(track.next[side.other().index()]).cast_signed();
    // An acknowledgement far beyond any window is of no meaning.
    ahead <= 0 || ahead >= WINDOW
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
            && self.expected(side, s.ack)
        {
            self.track.set(flag::SEEN, side);
            if !s.payload.is_empty() && !s.short.is_some_and(|short| self.short(s, short)) {
                match s.ready {
                    None => self.data(side, s.ts, s.at, s.payload),
                    Some(offer) => self.data_read(s, offer),
                }
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
        // Nobody acknowledges nothing; resets of some make are full of zeros.
        let ack = (s.flags.ack() && !(s.flags.rst() && s.ack == 0)).then_some(s.ack);
        if let Some(ack) = ack
            && !s.flags.rst()
        {
            self.note_ack(s, ack);
        }
        if !self.track.is(flag::STARTED, side) && !begins(self.track, side, seq) {
            if s.flags.rst() && s.payload.is_empty() {
                // Nothing of this side can be in order any more: the reset itself is the news.
                self.pass_all();
                note_lack(self.track, side, seq);
                if ack != Some(self.track.next[side.other().index()]) {
                    // No answer to a SYN (RFC 9293 §3.10.7.1): it was answered before.
                    self.track.hints |= hint::ANSWERED << side.index();
                }
                self.close(side, s.ts, s.at, CloseHow::Rst);
                return;
            }
            if s.payload.is_empty() && s.cut == 0 && !s.flags.fin() {
                note_lack(self.track, side, seq);
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
        if rel >= WINDOW || rel <= -WINDOW {
            // Not even a reset: its receiver passes it over (RFC 9293 §3.10.7.4).
            self.counters.out_of_window += 1;
            return;
        }
        if s.flags.rst() && s.payload.is_empty() {
            self.reset(s, ack);
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
        } else if let Some(ack) = ack
            && !self.satisfied(side, Some(ack))
        {
            self.hold_ack(s, seq, ack);
        }
        if self.track.has(flag::HELD) {
            self.drain();
            self.disprove_reset();
            self.give_up(Some(s.ts));
        }
    }

    /// Remembers what an acknowledgement tells beside what is passed on.
    fn note_ack(&mut self, s: &Segment<'_>, ack: u32) {
        let (side, peer) = (s.side, s.side.other());
        if self.track.has(flag::HELD)
            && let Some(queues) = self.held.flows.get_mut(&self.index)
        {
            queues.note_ack(side, ack, s.ts);
        }
        // Of bytes that are held it says where they end, not where they begin.
        let of_held = self.track.has(flag::HELD) && self.answers_held(side, ack);
        let t = &mut *self.track;
        if !of_held && !t.is(flag::STARTED, peer) && !t.hinted(hint::ANSWERED, peer) {
            t.hints |= hint::ANSWERED << peer.index();
            t.base[peer.index()] = ack;
            // The first that a client says behind its SYN acknowledges the SYN-ACK and nothing else.
            if t.is(flag::SYN, side) && s.seq == t.base[side.index()] {
                t.hints |= hint::BEGINS << peer.index();
            }
        }
    }

    /// Holds what a segment without bytes acknowledges until it comes: else it is missing.
    fn hold_ack(&mut self, s: &Segment<'_>, seq: u32, ack: u32) {
        let side = s.side;
        let next = self.track.next[side.index()];
        let seq = if seq.wrapping_sub(next).cast_signed() < 0 { next } else { seq };
        let queues = self.held.flows.entry(self.index).or_default();
        queues.note_ack(side, ack, s.ts);
        let added = insert_ack(&mut queues.sides[side.index()], Piece::acknowledgement(seq, ack, s));
        self.held.bytes += added * size_of::<Piece>();
        self.track.flags |= flag::HELD;
    }

    /// Passes on a segment that is next in line.
    fn in_order(&mut self, s: &Segment<'_>) {
        let side = s.side;
        match s.ready {
            Some(offer) => self.data_read(s, offer),
            None if s.payload.is_empty() => {}
            None => self.data(side, s.ts, s.at, s.payload),
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

    /// Whether an acknowledgement says nothing that is not known.
    #[inline]
    fn expected(&self, side: Side, ack: u32) -> bool {
        let peer = side.other();
        if self.track.is(flag::STARTED, peer) {
            self.satisfied(side, Some(ack))
        } else {
            self.track.hinted(hint::ANSWERED, peer)
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
    pub(super) fn start_now(&mut self) -> bool {
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
                start_at(self.track, side, lowest);
                any = true;
            }
        }
        any
    }

    /// Whether the peer's bytes that `ack` acknowledges were passed on.
    #[inline]
    pub(super) fn satisfied(&self, side: Side, ack: Option<u32>) -> bool {
        let peer = side.other();
        let Some(ack) = ack else { return true };
        !self.track.is(flag::STARTED, peer) || is_known(self.track, side, ack)
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
                // One byte, the last that was sent, whatever its value: a keep-alive (RFC 9293 §3.8.4).
                let alive = total == 1 && self.track.next[side.index()].wrapping_sub(seq) == 1;
                if !alive {
                    self.counters.retransmissions += 1;
                }
                if let Some(offset) =
                    self.track.offset(side).checked_sub(u64::from(self.track.next[side.index()].wrapping_sub(seq)))
                    && !alive
                {
                    let mut tag = self.track.tag;
                    self.handler.again(
                        Context { track: self.track, opened: self.opened },
                        &mut tag,
                        self.inline,
                        side,
                        (offset, again),
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
        if let Some(ack) = ack.filter(|_| !s.flags.rst()) {
            queues.note_ack(side, ack, s.ts);
        }
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
        if queues.is_empty() {
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
    pub(super) fn drain(&mut self) {
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
        let mut found: Option<(Order, Side, usize)> = None;
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
            let order: Order = (!piece.again && wanted >= left, piece.ts, piece.at);
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
        if rel > 0 || !self.satisfied(side, first.ack) || queues.behind_reset(side, first.seq) {
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
        if queues.is_empty() {
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
            if now.is_some() && queues.reset.is_some() {
                // What may show that the reset was not heeded waits too.
                if full {
                    self.counters.evicted += 1;
                    self.decide_reset();
                }
                break;
            }
            let next = self.track.next;
            // Whether each side's bytes have waited long enough.
            let late = Side::BOTH.map(|side| now.is_none_or(|now| queues.is_late(side, next, now)));
            let any = late.contains(&true);
            if !full && !any {
                break;
            }
            if any {
                self.step_over(GapWhy::Lost, late);
            } else {
                self.counters.evicted += 1;
                self.step_over(GapWhy::Evicted, [true; 2]);
            }
            self.drain();
        }
    }

    /// Makes one held piece the next in line, of the sides whose turn it is.
    fn step_over(&mut self, why: GapWhy, turns: [bool; 2]) {
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
            .filter(|s| turns[s.index()])
            .filter_map(|s| queues.sides[s.index()].front().map(|p| (s, p)))
            .min_by_key(|(_, p)| (p.ts, p.at))
        else {
            return;
        };
        let (ts, at, seq, ack) = (piece.ts, piece.at, piece.seq, piece.ack);
        let rel = seq.wrapping_sub(self.track.next[side.index()]).cast_signed();
        if rel > 0 {
            let why = match queues.undelivered(side, self.track.next[side.index()]) {
                Some(undelivered) if why == GapWhy::Lost => undelivered,
                _ => why,
            };
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
        self.decide_reset();
        self.pass_all();
        if !self.track.has(flag::IGNORED) {
            self.tell(Chunk { side: Side::Low, ts, at, offset: self.track.offset(Side::Low), what: What::Close(how) });
        }
        self.forget_held();
    }

    /// Passes on all that is held, without waiting for what is missing.
    pub(super) fn pass_all(&mut self) {
        if self.track.has(flag::HELD) {
            self.start_now();
            self.drain();
            self.give_up(None);
        }
    }

    /// Drops all that is held.
    pub(super) fn forget_held(&mut self) {
        if self.track.has(flag::HELD) {
            self.held.forget(self.index);
        }
        self.track.flags &= !flag::HELD;
        self.track.hints &= !hint::RESET;
    }

    /// Tells a segment that is one short frame by itself. `false`: its bytes are wanted.
    #[inline]
    fn short(&mut self, s: &Segment<'_>, short: &Short) -> bool {
        let place = (s.side, s.ts, s.at, self.track.offset(s.side));
        let taken = !self.track.has(flag::IGNORED) && self.handler.short(self.track.tag, self.inline, short, place);
        if taken {
            self.track.flags |= flag::PAYLOAD;
            self.track.advance(s.side, s.payload.len() as u64);
        }
        taken
    }

    /// Passes on a segment of which the beginning was read ahead.
    #[inline(never)]
    fn data_read(&mut self, s: &Segment<'_>, offer: &Offer) {
        self.handler.ready(offer.take(), s.payload);
        self.data(s.side, s.ts, s.at, s.payload);
        self.handler.ready(None, s.payload);
    }

    #[inline]
    fn data(&mut self, side: Side, ts: Timestamp, at: PacketRef, data: &[u8]) {
        let offset = self.track.offset(side);
        self.track.flags |= flag::PAYLOAD;
        self.track.advance(side, data.len() as u64);
        self.tell(Chunk { side, ts, at, offset, what: What::Data(data) });
    }

    pub(super) fn gap(&mut self, side: Side, ts: Timestamp, at: PacketRef, len: u64, why: GapWhy) {
        let offset = self.track.offset(side);
        self.track.flags |= flag::PAYLOAD;
        self.track.advance(side, len);
        self.counters.gaps += 1;
        self.counters.gap_bytes += len;
        match why {
            GapWhy::Cut => {
                self.counters.gaps_cut += 1;
                self.counters.gap_bytes_cut += len;
            }
            GapWhy::Undelivered { .. } => {
                self.counters.gaps_undelivered += 1;
                self.counters.gap_bytes_undelivered += len;
            }
            GapWhy::Lost | GapWhy::Evicted => {}
        }
        self.tell(Chunk { side, ts, at, offset, what: What::Gap { len, why } });
    }

    pub(super) fn close(&mut self, side: Side, ts: Timestamp, at: PacketRef, how: CloseHow) {
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

/// Opens a direction whose SYN is missing where its peer's first acknowledgement said that it begins, or
/// where that went as far as this. `false`: neither is so.
fn begins(track: &mut Track, side: Side, seq: u32) -> bool {
    let base = track.base[side.index()];
    let ahead = seq.wrapping_sub(base).cast_signed();
    let begins = if track.hinted(hint::BEGINS, side) {
        (0..WINDOW).contains(&ahead)
    } else {
        track.hinted(hint::ANSWERED, side) && ahead == 0
    };
    if begins {
        start(track, side, base);
    }
    begins
}

/// Opens a direction of which no SYN is in view, at the lowest place seen.
fn start_at(track: &mut Track, side: Side, lowest: u32) {
    if !begins(track, side, lowest) {
        note_lack(track, side, lowest);
        start(track, side, lowest);
    }
}

/// What is seen first of a direction: its peer may have acknowledged less before.
fn note_lack(track: &mut Track, side: Side, seq: u32) {
    let ahead = seq.wrapping_sub(track.base[side.index()]).cast_signed();
    if track.hinted(hint::ANSWERED, side) && (1..WINDOW).contains(&ahead) {
        track.hints |= hint::LACKS << side.index();
    }
}
