//! What stands beside a flow's record for each direction: one line of the cache, which nearly every segment changes.
//! While only ordinary messages come, it is the only line of their tunnel that they touch: what they change is noted
//! here, and [`Tunnel::settle`](super::Tunnel::settle) brings it to where everything else is counted.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::Digest;
use crate::wire::short::Short;

use super::listener::SAME_MASKS;
use super::messages::beat_key;

/// Both directions of a stream.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Lanes {
    /// When the last payload byte of either direction came, of a stream that was upgraded to WebSocket; at first the
    /// 101. Beside the lanes, so that it is in the line before them.
    pub(super) heard: Timestamp,
    /// By the stream's sides.
    pub sides: [Lane; 2],
}

/// One direction. What its words mean depends on what is spoken.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Bytes of an HTTP body, or of a record of TLS, still to pass over.
    pub skip: u64,
    /// When this direction's last payload byte arrived.
    pub last: Timestamp,
    /// Of a [`Brief`] the last frame's packet.
    word: u64,
    /// Of a [`Brief`] what tells the last two small messages apart.
    second: u64,
    brief: Brief,
}

/// What ordinary messages changed since [`Lane::take_up`], and what is asked of the next one. It holds while it is
/// taken up; all else is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) digest_sum: u32,
    pub(super) digest_bytes: u32,
    /// The last frame's masking key.
    pub(super) mask: [u8; 4],
    /// A silence of so many nanoseconds would be the longest.
    pub(super) quiet_below: u32,
    /// Nanoseconds of silence before the last frame.
    pub(super) gap: u32,
    /// Of the messages that were noted here.
    pub(super) text_bytes: u16,
    pub(super) binary_bytes: u16,
    pub(super) texts: u8,
    pub(super) binaries: u8,
    pub(super) largest_text: u8,
    pub(super) largest_binary: u8,
    /// Frames in a row that had the mask of the one before.
    pub(super) same_masks: u8,
    /// The last frame's FIN, RSV bits and opcode.
    pub(super) bits: u8,
    pub(super) flags: u8,
}

/// Bits of [`Brief::flags`].
pub(super) mod flag {
    /// It holds.
    pub(in super::super) const TAKEN_UP: u8 = 1;
    /// Nothing more goes into the digest.
    pub(in super::super) const NO_DIGEST: u8 = 1 << 1;
    /// The client's.
    pub(in super::super) const CLIENT: u8 = 1 << 2;
}

/// Each direction has a line of its own.
const _: () = assert!(size_of::<Lane>() == 64 && size_of::<Lanes>() == 136);

/// As many messages as fit in [`Brief`] fit in its bytes.
const _: () = assert!(limits::BEAT_BYTES * (u8::MAX as usize) <= u16::MAX as usize && limits::BEAT_BYTES <= 255);

impl Lanes {
    /// A segment of this side that is one short frame, if it can be noted in its lane. `false`: nothing was done.
    #[inline]
    pub fn note(&mut self, side: usize, short: &Short, when: (Timestamp, PacketRef)) -> bool {
        self.sides[side].note(&mut self.heard, short, when)
    }

    /// A WebSocket begins.
    pub(crate) fn begin(&mut self, ts: Timestamp) {
        self.heard = ts;
        for lane in &mut self.sides {
            lane.brief.flags = 0;
        }
    }
}

impl Lane {
    /// A word of the handler's own, where no frames are counted.
    pub fn set_word(&mut self, word: u64) {
        self.word = word;
    }

    pub fn word(&self) -> u64 {
        self.word
    }

    /// Another one.
    pub fn set_second(&mut self, word: u64) {
        self.second = word;
    }

    pub fn second(&self) -> u64 {
        self.second
    }

    /// Forgets all but when somebody last spoke: another stream begins.
    pub fn restart(&mut self) {
        *self = Lane { last: self.last, ..Lane::default() };
    }

    /// Ordinary messages are noted here.
    #[inline]
    pub fn is_taken_up(&self) -> bool {
        self.brief.flags & flag::TAKEN_UP != 0
    }

    /// From here on they are.
    #[inline]
    pub(super) fn take_up(&mut self, at: PacketRef, recent: [u32; 2], brief: Brief) {
        self.word = at.to_bits();
        self.second = u64::from(recent[0]) << 32 | u64::from(recent[1]);
        self.brief = brief;
    }

    /// What was noted, with the last frame's packet and what tells the last two messages apart.
    pub(super) fn noted(&self) -> Option<(PacketRef, [u32; 2], Brief)> {
        self.is_taken_up().then(|| (PacketRef::from_bits(self.word), self.recent(), self.brief))
    }

    /// From here on they are not.
    #[inline]
    pub(super) fn put_down(&mut self) {
        self.brief.flags = 0;
    }

    #[expect(clippy::cast_possible_truncation, reason = "its halves")]
    fn recent(&self) -> [u32; 2] {
        [(self.second >> 32) as u32, self.second as u32]
    }

    /// See [`Lanes::note`].
    #[inline]
    fn note(&mut self, heard: &mut Timestamp, short: &Short, (ts, at): (Timestamp, PacketRef)) -> bool {
        let b = &mut self.brief;
        let client = b.flags & flag::CLIENT != 0;
        // Where time goes back, or stood still for longer than fits, it cannot be told here.
        let quiet = ts.0.checked_sub(heard.0).and_then(|quiet| u32::try_from(quiet).ok()).unwrap_or(0);
        let key = key(short);
        let (recent, before) = (self.second >> 32, self.second & 0xffff_ffff);
        let same = client && b.mask == short.mask;
        let bytes = u32::from(short.length);
        let digest = if b.flags & flag::NO_DIGEST == 0 { b.digest_bytes + bytes } else { 0 };
        let takes = b.flags & flag::TAKEN_UP != 0
            && short.masked == client
            && !(same && b.same_masks >= SAME_MASKS - 1)
            && recent != u64::from(key)
            && before != u64::from(key)
            // Not at once, so that who of the two spoke last can be told.
            && quiet != 0
            && quiet < b.quiet_below
            && b.texts.max(b.binaries) != u8::MAX
            && digest <= limits::DIGEST_BYTES;
        if !takes {
            return false;
        }
        *heard = ts;
        self.last = ts;
        self.word = at.to_bits();
        self.second = u64::from(key) << 32 | recent;
        b.gap = quiet;
        b.same_masks = if same { b.same_masks + 1 } else { 0 };
        (b.mask, b.bits) = (short.mask, short.bits);
        let (count, sum, largest) = if short.is_text() {
            (&mut b.texts, &mut b.text_bytes, &mut b.largest_text)
        } else {
            (&mut b.binaries, &mut b.binary_bytes, &mut b.largest_binary)
        };
        *count += 1;
        *sum += u16::from(short.length);
        *largest = short.length.max(*largest);
        if b.flags & flag::NO_DIGEST == 0 {
            b.digest_sum = Digest::add(b.digest_sum, short.sum, bytes);
            b.digest_bytes = digest;
        }
        true
    }
}

/// What tells it from other messages.
#[inline]
pub(super) fn key(short: &Short) -> u32 {
    beat_key(short.sum, short.length.into(), short.bits & 0x0f)
}
