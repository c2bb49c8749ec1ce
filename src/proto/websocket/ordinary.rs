//! The frames that nearly all are: a short data message, at which nothing is out of the ordinary, where it cannot be
//! noted in the lane ([`Lanes::note`](super::Lanes::note)). They change the counters and two cache lines and go no other
//! way; all others are left to the [`Listener`](super::listener::Listener), which would do the same with these.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Digest, Direction, FrameRecord};
use crate::wire::short::Short;

use super::lane::key;
use super::listener::SAME_MASKS;
use super::tunnel::{Beside, Tunnel, flag, state};

impl Tunnel {
    /// Takes ordinary messages off the front of a segment. How many bytes they are. `offset`: of its first byte in
    /// its direction's stream.
    pub(super) fn ordinary(&mut self, side: usize, data: &[u8], ts: Timestamp, at: PacketRef, offset: u64) -> usize {
        let mut done = 0;
        while let Some(short) = data.get(done..).and_then(Short::first) {
            let key = key(&short);
            if !self.takes(side, &short, key) {
                break;
            }
            self.take(side, (&short, key), (ts, at, offset + done as u64));
            done += short.bytes();
        }
        done
    }

    /// A segment that is one short frame by itself. `false`: nothing was done, and its bytes are wanted.
    pub fn short(
        &mut self,
        beside: Beside<'_>,
        from: Direction,
        short: &Short,
        (ts, at, offset): (Timestamp, PacketRef, u64),
    ) -> bool {
        let Beside { heard, lane } = beside;
        let (side, key) = (usize::from(from == Direction::ServerToClient), key(short));
        self.settle(side, lane, *heard);
        let takes = self.takes(side, short, key);
        if takes {
            self.spoke(heard, ts);
            self.take(side, (short, key), (ts, at, offset));
            lane.last = ts;
            self.take_up(side, lane);
        }
        takes
    }

    /// Whether all that this frame says can be noted here.
    #[inline(always)]
    fn takes(&self, side: usize, short: &Short, key: u32) -> bool {
        let s = &self.sides[side];
        let busy = state::MESSAGE | state::CLOSED | state::LOST | state::CONTROL;
        let client = side == 0;
        let constant = s.mask == short.mask && self.both.same_masks[side] >= SAME_MASKS - 1;
        if !self.frames[side].is_between() || s.state & busy != 0 || short.masked != client || client && constant {
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
    fn take(&mut self, side: usize, (short, key): (&Short, u32), (ts, at, offset): (Timestamp, PacketRef, u64)) {
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
        self.frames[side].ordinary(short.is_text(), short.masked, u64::from(bytes));
        if let Some(log) = &mut self.both.log {
            let from = if short.masked { Direction::ClientToServer } else { Direction::ServerToClient };
            let (bits, masked) = (short.bits, short.masked);
            log.add(FrameRecord { at, ts, offset, payload: bytes, bits, masked, from }, &mut self.both.logged);
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::{Talk, WsTotals};
    use crate::proto::websocket::{Common, Lanes};
    use proptest::prelude::*;

    /// A frame: whether the client's, its first byte, content and, of a client's, its key; and milliseconds before it.
    type Frame = (bool, u8, Vec<u8>, [u8; 4], u16);

    fn written((client, first, content, key, _): &Frame) -> Vec<u8> {
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
        let (mut tunnel, mut lanes) = (Tunnel::default(), Lanes::default());
        let (mut offsets, mut glanced, mut now) = ([0; 2], 0, Timestamp(0));
        tunnel.opened(now, Some(b""), &mut lanes);
        for frame in frames {
            let (bytes, side) = (written(frame), usize::from(!frame.0));
            let from = if frame.0 { Direction::ClientToServer } else { Direction::ServerToClient };
            now.0 += 1_000_000 * i64::from(frame.4);
            let when = (now, PacketRef::new(0, 1));
            let short = Short::whole(&bytes).filter(|_| how == How::Glanced);
            let place = (when.0, when.1, offsets[side]);
            let noted =
                |short: &Short| lanes.note(side, short, when) || tunnel.short(lanes.beside(side), from, short, place);
            if short.as_ref().is_some_and(noted) {
                offsets[side] += bytes.len() as u64;
                glanced += 1;
                continue;
            }
            for piece in bytes.chunks(if how == How::InPieces { 1 } else { bytes.len() }) {
                let place = (when.0, when.1, offsets[side]);
                tunnel.push(lanes.beside(side), from, piece, place, &mut common);
                lanes.sides[side].last = when.0;
                offsets[side] += piece.len() as u64;
            }
        }
        let (totals, talk) = tunnel.tell(&lanes, 0, &mut common);
        (totals, talk, glanced)
    }

    /// Before the last piece of a frame there was another.
    fn as_in_pieces(mut talk: Box<Talk>) -> Box<Talk> {
        talk.before_last = None;
        talk
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
        let wait = prop_oneof![2 => Just(0), 10 => 1_u16..50, 1 => any::<u16>()];
        proptest::collection::vec((any::<bool>(), first, content, key, wait), 30..600)
    }

    proptest! {
        #[test]
        fn what_goes_the_short_way_is_told_as_what_goes_the_long_one(frames in frames()) {
            let (totals, talk, _) = told(&frames, How::InPieces);
            let talk = as_in_pieces(talk);
            for how in [How::Glanced, How::Pushed] {
                let (short_totals, short_talk, _) = told(&frames, how);
                prop_assert_eq!(short_totals, totals);
                prop_assert_eq!(&as_in_pieces(short_talk), &talk);
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
                if how == How::InPieces {
                    prop_assert_eq!(as_in_pieces(other), as_in_pieces(talk.clone()));
                } else {
                    prop_assert_eq!(&other, &talk);
                }
            }
        }
    }

    /// Of so many messages in turns, each at its time in milliseconds, which were noted in a lane.
    fn noted(times: impl Iterator<Item = i64>, mut common: Common) -> (Vec<bool>, Box<Talk>) {
        let (mut tunnel, mut lanes) = (Tunnel::default(), Lanes::default());
        tunnel.opened(Timestamp(0), None, &mut lanes);
        let mut offsets = [0; 2];
        let noted = times.zip(0_u32..).map(|(ms, n)| {
            let client = n % 2 == 0;
            let frame = written(&(client, 0x82, n.to_le_bytes().to_vec(), (n + 1).to_le_bytes(), 0));
            let (side, when) = (usize::from(!client), (Timestamp(ms * 1_000_000), PacketRef::new(0, n.into())));
            let (short, place) = (Short::whole(&frame), (when.0, when.1, offsets[side]));
            offsets[side] += frame.len() as u64;
            let from = if client { Direction::ClientToServer } else { Direction::ServerToClient };
            let noted = short.as_ref().is_some_and(|short| lanes.note(side, short, when));
            if !noted && !short.as_ref().is_some_and(|short| tunnel.short(lanes.beside(side), from, short, place)) {
                tunnel.push(lanes.beside(side), from, &frame, place, &mut common);
                lanes.sides[side].last = when.0;
            }
            noted
        });
        let noted = noted.collect();
        (noted, tunnel.tell(&lanes, 0, &mut common).1)
    }

    #[test]
    fn ordinary_messages_are_noted_in_their_lane_but_for_the_first_and_those_behind_the_longest_silence() {
        let first = 2 * limits::MESSAGES_KEPT;
        let of_frames = || Common { no_frames: true, ..Common::default() };
        let (seen, talk) = noted((0..1_000).map(|n| n * 10), of_frames());
        assert!(seen[..first].iter().all(|noted| !noted));
        let others = seen[first..].iter().filter(|noted| !**noted).count();
        // A lane is brought home whenever it has no room for another message.
        assert_eq!(others, 2);
        assert_eq!((talk.client.text_bytes, talk.client.binary_bytes), (0, 2_000));
        let before = talk.before_last.map(|silence| (silence.from.0, silence.length.0));
        assert_eq!(before, Some((9_980_000_000, 10_000_000)));
        // Each silence longer than all before: it is told with the time since when, which no lane knows.
        let (seen, talk) = noted((0..100).map(|n| n * n * 10), of_frames());
        assert!(seen.iter().all(|noted| !noted));
        assert_eq!(talk.silence.map(|silence| silence.length.0), Some(1_970_000_000));
        // Where frames are shown each is kept.
        assert!(noted((0..100).map(|n| n * 10), Common::default()).0.iter().all(|noted| !noted));
    }

    #[test]
    fn most_short_messages_go_the_short_way() {
        let all: Vec<Frame> =
            (0..40_u8).map(|n| (n % 2 == 0, 0x81, vec![b'0' + n; usize::from(n)], [n + 1; 4], 7)).collect();
        let (totals, talk, glanced) = told(&all, How::Glanced);
        assert_eq!((totals.client.messages, totals.server.messages), (20, 20));
        assert_eq!(glanced, 40 - 2 * limits::MESSAGES_KEPT);
        assert_eq!((talk.client.largest_text, talk.server.largest_text), (38, 39));
        assert_eq!(talk.client.text_bytes, (0..40).step_by(2).sum::<u64>());
    }
}
