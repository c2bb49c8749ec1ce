//! The frames that nearly all are: a short data message, at which nothing is out of the ordinary. They change the
//! counters and two cache lines and go no other way; all others are left to the
//! [`Listener`](super::listener::Listener), which would do the same with these.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Digest, Direction, FrameRecord};
use crate::wire::short::Short;

use super::frames::Frames;
use super::listener::SAME_MASKS;
use super::messages::beat_key;
use super::tunnel::{Tunnel, flag, state};

impl Tunnel {
    /// Takes ordinary messages off the front of a segment. How many bytes they are. `offset`: of its first byte in
    /// its direction's stream.
    pub(super) fn ordinary(
        &mut self,
        frames: &mut Frames,
        side: usize,
        data: &[u8],
        ts: Timestamp,
        at: PacketRef,
        offset: u64,
    ) -> usize {
        let mut done = 0;
        while let Some(short) = data.get(done..).and_then(Short::first) {
            let key = key(&short);
            if !self.takes(frames, side, &short, key) {
                break;
            }
            self.take(frames, side, (&short, key), (ts, at, offset + done as u64));
            done += short.bytes();
        }
        done
    }

    /// A segment that is one short frame by itself. `false`: nothing was done, and its bytes are wanted.
    #[inline]
    pub fn short(
        &mut self,
        frames: &mut Frames,
        from: Direction,
        short: &Short,
        (ts, at, offset): (Timestamp, PacketRef, u64),
    ) -> bool {
        let (side, key) = (usize::from(from == Direction::ServerToClient), key(short));
        let takes = self.takes(frames, side, short, key);
        if takes {
            self.spoke(ts);
            self.take(frames, side, (short, key), (ts, at, offset));
        }
        takes
    }

    /// Whether all that this frame says can be noted here.
    #[inline(always)]
    fn takes(&self, frames: &Frames, side: usize, short: &Short, key: u32) -> bool {
        let s = &self.sides[side];
        let busy = state::MESSAGE | state::CLOSED | state::LOST | state::CONTROL;
        let client = side == 0;
        let constant = s.mask == short.mask && self.both.same_masks[side] >= SAME_MASKS - 1;
        if !frames.is_between() || s.state & busy != 0 || short.masked != client || client && constant {
            return false;
        }
        let keeps = self.both.flags & flag::KEEPS != 0;
        match &s.live {
            _ if self.both.recent[side].contains(&key) => false,
            // Three more lines that are in no cache, for nearly every frame, unless this stands in the first one.
            _ if self.both.flags & flag::QUIET << side != 0 => true,
            Some(live) => !(keeps && live.rare.messages.len() < limits::MESSAGES_KEPT || live.beat_keys.contains(&key)),
            None => !keeps,
        }
    }

    /// Notes it.
    #[inline(always)]
    fn take(
        &mut self,
        frames: &mut Frames,
        side: usize,
        (short, key): (&Short, u32),
        (ts, at, offset): (Timestamp, PacketRef, u64),
    ) {
        let s = &mut self.sides[side];
        let recent = &mut self.both.recent[side];
        *recent = [key, recent[0]];
        let quiet = flag::QUIET << side;
        if self.both.flags & quiet == 0 && s.live.as_ref().is_none_or(|live| live.rare.beats.is_empty()) {
            self.both.flags |= quiet;
        }
        let bytes = u32::from(short.length);
        let same = short.masked && s.mask == short.mask;
        let same_masks = &mut self.both.same_masks[side];
        *same_masks = if same { same_masks.saturating_add(1) } else { 0 };
        (s.at, s.bits, s.mask) = (at, short.bits, short.mask);
        s.state |= state::WHOLE;
        let largest = if short.is_text() { &mut s.largest_text } else { &mut s.largest_binary };
        *largest = bytes.max(*largest);
        if short.is_text() {
            s.text_bytes = s.text_bytes.saturating_add(u64::from(bytes));
        }
        if s.state & state::NO_DIGEST == 0 {
            if bytes.saturating_add(s.digest_bytes) > limits::DIGEST_BYTES {
                s.state |= state::NO_DIGEST;
            } else {
                s.digest_sum = Digest::add(s.digest_sum, short.sum, bytes);
                s.digest_bytes += bytes;
            }
        }
        frames.ordinary(short.is_text(), short.masked, u64::from(bytes));
        if let Some(log) = &mut self.both.log {
            let from = if short.masked { Direction::ClientToServer } else { Direction::ServerToClient };
            let (bits, masked) = (short.bits, short.masked);
            log.add(FrameRecord { at, ts, offset, payload: bytes, bits, masked, from }, &mut self.both.logged);
        }
    }
}

/// What tells it from other messages.
#[inline]
fn key(short: &Short) -> u32 {
    beat_key(short.sum, short.length.into(), short.bits & 0x0f)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::{Talk, WsTotals};
    use crate::proto::websocket::Common;
    use proptest::prelude::*;

    /// A frame: its first byte, content and, of a client's, its key.
    type Frame = (bool, u8, Vec<u8>, [u8; 4]);

    fn written((client, first, content, key): &Frame) -> Vec<u8> {
        let mut frame = vec![*first, content.len() as u8 | u8::from(*client) << 7];
        if *client {
            frame.extend_from_slice(key);
            frame.extend(content.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            frame.extend_from_slice(content);
        }
        frame
    }

    #[derive(Clone, Copy, PartialEq)]
    enum How {
        /// As a segment with one frame is told.
        Glanced,
        /// Whole, as bytes.
        Pushed,
        /// So that nothing is whole anywhere.
        InPieces,
    }

    fn told(frames: &[Frame], how: How) -> (WsTotals, Box<Talk>, usize) {
        told_by(frames, how, Common::default())
    }

    fn told_by(frames: &[Frame], how: How, mut common: Common) -> (WsTotals, Box<Talk>, usize) {
        let mut tunnel = Tunnel::default();
        let mut sides = [Frames::default(), Frames::default()];
        let (mut offsets, mut glanced) = ([0; 2], 0);
        tunnel.opened(Timestamp(0), Some(b""));
        for frame in frames {
            let (bytes, side) = (written(frame), usize::from(!frame.0));
            let from = if frame.0 { Direction::ClientToServer } else { Direction::ServerToClient };
            let when = (Timestamp(1_000_000_000), PacketRef::new(0, 1));
            let short = Short::whole(&bytes).filter(|_| how == How::Glanced);
            let place = (when.0, when.1, offsets[side]);
            if short.is_some_and(|short| tunnel.short(&mut sides[side], from, &short, place)) {
                sides[side].last = when.0;
                offsets[side] += bytes.len() as u64;
                glanced += 1;
                continue;
            }
            for piece in bytes.chunks(if how == How::InPieces { 1 } else { bytes.len() }) {
                let place = (when.0, when.1, offsets[side]);
                tunnel.push(&mut sides[side], from, piece, place, &mut common);
                sides[side].last = when.0;
                offsets[side] += piece.len() as u64;
            }
        }
        let (totals, talk) = tunnel.tell([&sides[0], &sides[1]], &mut common);
        (totals, talk, glanced)
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let first = prop_oneof![20 => Just(0x81_u8), 10 => Just(0x82), 1 => Just(0x89), 1 => Just(0x8a), 1 => Just(1)];
        let content = prop_oneof![
            10 => proptest::collection::vec(b'a'..=b'z', 0..20),
            3 => proptest::collection::vec(b'a'..=b'b', 1..2),
            2 => proptest::collection::vec(any::<u8>(), 0..70),
            1 => Just("gr\u{fc}n".as_bytes().to_vec()),
        ];
        let key = prop_oneof![10 => any::<[u8; 4]>(), 1 => Just([0; 4]), 3 => Just([7; 4])];
        proptest::collection::vec((any::<bool>(), first, content, key), 30..60)
    }

    proptest! {
        #[test]
        fn what_goes_the_short_way_is_told_as_what_goes_the_long_one(frames in frames()) {
            let (totals, talk, _) = told(&frames, How::InPieces);
            for how in [How::Glanced, How::Pushed] {
                let (short_totals, short_talk, _) = told(&frames, how);
                prop_assert_eq!(short_totals, totals);
                prop_assert_eq!(&short_talk, &talk);
            }
        }

        #[test]
        fn where_nobody_looks_at_single_frames_all_else_is_told_the_same(frames in frames()) {
            let (totals, mut talk, _) = told(&frames, How::Pushed);
            prop_assert!(talk.frames.len() > limits::FRAMES_FIRST);
            (talk.frames, talk.first_frames) = (Box::default(), 0);
            for how in [How::Glanced, How::Pushed, How::InPieces] {
                let (other_totals, other, _) = told_by(&frames, how, Common { no_frames: true, ..Common::default() });
                prop_assert_eq!(other_totals, totals);
                prop_assert_eq!(&other, &talk);
            }
        }
    }

    #[test]
    fn most_short_messages_go_the_short_way() {
        let all: Vec<Frame> =
            (0..40_u8).map(|n| (n % 2 == 0, 0x81, vec![b'0' + n; usize::from(n)], [n + 1; 4])).collect();
        let (totals, talk, glanced) = told(&all, How::Glanced);
        assert_eq!((totals.client.messages, totals.server.messages), (20, 20));
        assert_eq!(glanced, 40 - 2 * limits::MESSAGES_KEPT);
        assert_eq!((talk.client.largest_text, talk.server.largest_text), (38, 39));
        assert_eq!(talk.client.text_bytes, (0..40).step_by(2).sum::<u64>());
    }
}
