//! The frames that nearly all are: a short data message, whole in one segment, at which nothing is out of the
//! ordinary. They change the counters and two cache lines and go no other way; all others are left to the
//! [`Listener`](super::listener::Listener), which would do the same with these.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Digest, Direction, FrameRecord};
use crate::wire::websocket::{self, unmask_into};

use super::frames::Frames;
use super::messages::beat_key;
use super::tunnel::{Tunnel, flag, state};

/// Longest payload of one, in bytes: its length stands in its second byte.
const LONGEST: usize = 125;

impl Tunnel {
    /// Takes ordinary messages off the front of a segment. How many bytes they are. `offset`: of its first byte in
    /// its direction's stream.
    #[inline(never)]
    pub(super) fn ordinary(
        &mut self,
        frames: &mut Frames,
        side: usize,
        data: &[u8],
        ts: Timestamp,
        at: PacketRef,
        offset: u64,
    ) -> usize {
        let s = &mut self.sides[side];
        let busy = state::MESSAGE | state::CLOSED | state::LOST | state::CONTROL;
        if !frames.is_between() || s.state & busy != 0 {
            return 0;
        }
        let client = side == 0;
        let keeps = self.both.flags & flag::KEEPS != 0;
        if keeps && s.live.as_ref().is_none_or(|live| live.rare.messages.len() < limits::MESSAGES_KEPT) {
            return 0;
        }
        let mut done = 0;
        while let Some(one) = data.get(done..).and_then(|rest| One::read(rest, client)) {
            let begins = offset + done as u64;
            let mut plain = [0; LONGEST];
            let content = one.plain(&mut plain);
            let same = client && s.mask == one.mask;
            let constant = same && self.both.same_masks[0] >= super::listener::SAME_MASKS - 1;
            let text = one.bits & 0x0f == websocket::TEXT;
            if constant || text && !content.is_ascii() && std::str::from_utf8(content).is_err() {
                break;
            }
            let bytes = u32::from(one.length);
            let sum;
            if content.len() <= limits::BEAT_BYTES {
                sum = Digest::of_small(content);
                let key = beat_key(sum, bytes, one.bits & 0x0f);
                let recent = &mut self.both.recent[side];
                if recent.contains(&key) || s.live.as_ref().is_some_and(|live| live.beat_keys.contains(&key)) {
                    break;
                }
                *recent = [key, recent[0]];
            } else {
                sum = crc32c::crc32c(content);
            }
            if let Some(live) = &mut s.live {
                (live.has_content, live.begun, live.message) = (false, Some((at, begins)), None);
            }
            let same_masks = &mut self.both.same_masks[side];
            *same_masks = if same { same_masks.saturating_add(1) } else { 0 };
            (s.at, s.bits, s.mask, s.phase, s.opcode) = (at, one.bits, one.mask, 0, one.bits & 0x0f);
            (s.bytes, s.wire) = (bytes, bytes);
            s.state |= state::WHOLE;
            let largest = if text { &mut s.largest_text } else { &mut s.largest_binary };
            *largest = bytes.max(*largest);
            if text {
                s.text_bytes = s.text_bytes.saturating_add(u64::from(bytes));
            }
            if s.state & state::NO_DIGEST == 0 {
                if bytes.saturating_add(s.digest_bytes) > limits::DIGEST_BYTES {
                    s.state |= state::NO_DIGEST;
                } else {
                    s.digest_sum = Digest::add(s.digest_sum, sum, bytes);
                    s.digest_bytes += bytes;
                }
            }
            frames.ordinary(text, client, u64::from(bytes));
            if let Some(log) = &mut self.both.log {
                log.add(one.record(ts, at, begins));
            }
            done += one.whole();
        }
        done
    }
}

/// The beginning of a segment that may be an ordinary message.
struct One<'a> {
    /// FIN, RSV bits and opcode.
    bits: u8,
    /// All zero for a server's.
    mask: [u8; 4],
    /// Bytes of its payload.
    length: u8,
    payload: &'a [u8],
}

impl<'a> One<'a> {
    /// Reads it, where it is whole, data, and masked as its side should (RFC 6455 §5.1).
    #[inline]
    fn read(bytes: &'a [u8], client: bool) -> Option<Self> {
        let [bits @ (0x81 | 0x82), second, rest @ ..] = bytes else { return None };
        let (masked, length) = (second & 0x80 != 0, second & 0x7f);
        if masked != client || usize::from(length) > LONGEST {
            return None;
        }
        let (mask, rest) = if masked { rest.split_first_chunk::<4>()? } else { (&[0; 4], rest) };
        if masked && *mask == [0; 4] {
            return None;
        }
        Some(One { bits: *bits, mask: *mask, length, payload: rest.get(..usize::from(length))? })
    }

    /// What it says.
    #[inline]
    fn plain<'b>(&self, out: &'b mut [u8; LONGEST]) -> &'b [u8]
    where
        'a: 'b,
    {
        if self.mask == [0; 4] {
            return self.payload;
        }
        let out = &mut out[..self.payload.len()];
        unmask_into(out, self.payload, self.mask, 0);
        out
    }

    fn record(&self, ts: Timestamp, at: PacketRef, offset: u64) -> FrameRecord {
        let masked = self.mask != [0; 4];
        let from = if masked { Direction::ClientToServer } else { Direction::ServerToClient };
        FrameRecord { at, ts, offset, payload: self.length.into(), bits: self.bits, masked, from }
    }

    /// Bytes of its header and payload.
    fn whole(&self) -> usize {
        self.payload.len() + if self.mask == [0; 4] { 2 } else { 6 }
    }
}
