//! Resets. One that stands where it must ends the connection; but some are forged, or never arrive, and both
//! ends go on. So a reset waits for a while, and all that comes behind it. It is told when its time is over,
//! and forgotten where both sides are seen to go on and to acknowledge each other. Read with RFC 5961 §3 open.

use crate::base::{Nanos, limits};

use super::flow::{Side, Track, flag, hint};
use super::pieces::{Queues, Reset};
use super::reassembly::{Flow, Segment, WINDOW};
use super::{CloseHow, GapWhy, Handler};

/// How long a reset waits in packet time.
pub(super) const WAIT: Nanos = Nanos::from_millis(limits::RESET_MS);

impl<H: Handler> Flow<'_, H> {
    /// Takes a reset without bytes of a side that has started. `ack`: what it acknowledges.
    pub(super) fn reset(&mut self, s: &Segment<'_>, ack: Option<u32>) {
        let side = s.side;
        if self.track.has(flag::HELD) {
            self.start_now();
            self.drain();
        }
        let ahead = s.seq.wrapping_sub(self.track.next[side.index()]).cast_signed() > 0;
        let nothing_missing = !ahead && self.satisfied(side, ack);
        let closing = Side::BOTH.into_iter().any(|side| self.track.is(flag::FIN, side));
        let one_sided = !self.track.is(flag::STARTED, side.other());
        // Where nothing was said, or one side has closed, there is nothing to go on with.
        let nothing_more = !self.track.has_payload() || closing && nothing_missing;
        if one_sided || nothing_more && !self.track.has(flag::HELD) {
            self.pass_all();
            self.close(side, s.ts, s.at, CloseHow::Rst);
            return;
        }
        let queues = self.held.flows.entry(self.index).or_default();
        let track = &mut *self.track;
        let waits = queues.reset;
        // Only the first may have ended it. What later ones tell of what was said before it counts all the same.
        let mut reset = waits.unwrap_or(Reset { side, ts: s.ts, at: s.at, seen: [0; 2], ends: [0; 2] });
        for of in Side::BOTH {
            let end = &mut reset.ends[of.index()];
            if waits.is_none() {
                let acked = queues.acked[of.other().index()].filter(|&acked| may_be_said(track, of, acked));
                *end = later(end_of(queues, track, of), acked.unwrap_or(track.next[of.index()]));
                reset.seen[of.index()] = *end;
            } else if queues.sides[of.index()].iter().any(|piece| !is_behind(*end, piece.seq)) {
                continue;
            }
            let told = if of == side { Some(s.seq) } else { ack };
            *end = told.filter(|&told| may_be_said(track, of, told)).map_or(*end, |told| later(*end, told));
        }
        queues.reset = Some(reset);
        track.hints |= hint::RESET;
        self.track.flags |= flag::HELD;
        self.drain();
    }

    /// Forgets a reset that neither side heeded: behind it both said more, and each acknowledged the other.
    pub(super) fn disprove_reset(&mut self) {
        let Some(queues) = self.held.flows.get_mut(&self.index) else { return };
        let Some(reset) = queues.reset else { return };
        let goes_on = |side: Side| {
            let seen = reset.seen[side.index()];
            let said = end_of(queues, self.track, side);
            let acked = queues.acked[side.other().index()];
            acked.is_some_and(|acked| is_behind(acked, seen) && !is_behind(acked, said))
        };
        if !Side::BOTH.into_iter().all(goes_on) {
            return;
        }
        queues.reset = None;
        self.track.hints &= !hint::RESET;
        self.counters.resets_unheeded += 1;
        if queues.is_empty() {
            self.forget_held();
        }
        self.drain();
    }

    /// Tells a reset that waits: nothing has shown that the connection went on. What came behind it is
    /// dropped.
    pub(super) fn decide_reset(&mut self) {
        let Some(queues) = self.held.flows.get_mut(&self.index) else { return };
        let Some(Reset { side, ts, at, ends, .. }) = queues.reset.take() else { return };
        self.track.hints &= !hint::RESET;
        for of in Side::BOTH {
            let end = ends[of.index()];
            let queue = &mut queues.sides[of.index()];
            while queue.back().is_some_and(|piece| !is_behind(end, piece.seq)) {
                let Some(piece) = queue.pop_back() else { break };
                queues.bytes[of.index()] = queues.bytes[of.index()].saturating_sub(piece.data.len());
                self.held.bytes = self.held.bytes.saturating_sub(piece.size());
            }
        }
        if queues.is_empty() {
            self.forget_held();
        }
        self.pass_all();
        for of in [side.other(), side] {
            let missing = ends[of.index()].wrapping_sub(self.track.next[of.index()]).cast_signed();
            if missing > 0 && self.track.is(flag::STARTED, of) {
                self.gap(of, ts, at, u64::from(missing.unsigned_abs()), GapWhy::Lost);
            }
        }
        self.close(side, ts, at, CloseHow::Rst);
    }
}

/// Whether a side may have said as much as this, though it was not seen.
fn may_be_said(track: &Track, side: Side, place: u32) -> bool {
    let ahead = place.wrapping_sub(track.next[side.index()]).cast_signed();
    track.is(flag::STARTED, side) && !track.is(flag::FIN, side) && (0..WINDOW).contains(&ahead)
}

/// Behind the last of what a side was seen to say.
fn end_of(queues: &Queues, track: &Track, side: Side) -> u32 {
    let next = track.next[side.index()];
    let Some(last) = queues.sides[side.index()].back() else { return next };
    let end = last.seq.wrapping_add(last.len()).wrapping_add(u32::from(last.mark == Some(CloseHow::Fin)));
    if track.is(flag::STARTED, side) { later(next, end) } else { end }
}

fn is_behind(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

fn later(a: u32, b: u32) -> u32 {
    if is_behind(b, a) { b } else { a }
}
