//! Both directions of one WebSocket while it is open. What a frame out of the ordinary touches is three cache lines;
//! they can be fetched before they are needed. Ordinary ones are noted in the direction's [`Lane`], as long as that is
//! taken up.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::base::{Counters, Nanos, PacketRef, Timestamp, limits};
use crate::model::{
    Close, Deflate, Digest, Direction, FrameRecord, LastFrame, Rejected, Silence, Spoken, Talk, Undelivered, WsTotals,
};

use crate::stream::Signs;

use super::frames::Frames;
use super::lane::{Brief, Lane, Lanes, flag as brief};
use super::listener::Listener;
use super::live::Live;
use super::signs::Watched;

/// An upgraded connection's stream.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Tunnel {
    pub(super) both: Both,
    /// Client, server.
    pub(super) sides: [Speaker; 2],
    pub(super) frames: [Frames; 2],
    pub(super) cold: Cold,
}

/// What stands beside the flow for one direction: when anybody was last heard in its tunnel, and its lane.
pub struct Beside<'a> {
    pub(super) heard: &'a mut Timestamp,
    pub(super) lane: &'a mut Lane,
}

impl Lanes {
    /// That of this side of the stream.
    #[inline]
    pub fn beside(&mut self, side: usize) -> Beside<'_> {
        Beside { heard: &mut self.heard, lane: &mut self.sides[side] }
    }
}

/// What both directions touch.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct Both {
    /// When the 101 came.
    opened: Timestamp,
    /// When the last payload byte of either direction came that was not noted in a lane, at first the 101; and the one
    /// before.
    heard: Timestamp,
    before: Timestamp,
    /// The longest time without one, and since when, in milliseconds, from the 101 on; they stop at 49 days.
    longest_ms: u32,
    longest_from_ms: u32,
    /// What tells the last two small messages of each direction apart.
    pub(super) recent: [[u32; 2]; 2],
    pub(super) log: Option<Box<Log>>,
    /// Frames that were put into it.
    pub(super) logged: u32,
    /// Frames of each direction in a row that had the mask of the one before.
    pub(super) same_masks: [u8; 2],
    pub(super) flags: u8,
}

/// Bits of [`Both::flags`].
pub(super) mod flag {
    /// permessage-deflate was agreed on.
    pub(in super::super) const DEFLATE: u8 = 1;
    /// Another extension may have been: what RSV bits mean is not known.
    pub(in super::super) const UNKNOWN_EXTENSION: u8 = 1 << 1;
    /// The first frames are still to be kept.
    pub(in super::super) const LOGS: u8 = 1 << 2;
    /// Something was heard behind the 101.
    pub(in super::super) const HEARD: u8 = 1 << 3;
    /// The first Close of all was seen.
    pub(in super::super) const CLOSED: u8 = 1 << 4;
    /// The first messages are still to be kept.
    pub(in super::super) const KEEPS: u8 = 1 << 5;
    /// What is [`Live`](super::Live) of the client (the server, one bit higher) says nothing to an ordinary message:
    /// its messages are kept, and no beats are known.
    pub(in super::super) const QUIET: u8 = 1 << 6;
}

/// One direction: what nearly every frame changes.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct Speaker {
    /// The last frame's packet.
    pub(super) at: PacketRef,
    pub(super) text_bytes: u64,
    pub(super) live: Option<Box<Live>>,
    pub(super) largest_text: u32,
    pub(super) largest_binary: u32,
    /// Of the message under way: CRC-32C and bytes of its content, and bytes of its payloads.
    pub(super) crc: u32,
    pub(super) bytes: u32,
    pub(super) wire: u32,
    pub(super) digest_sum: u32,
    pub(super) digest_bytes: u32,
    /// The last frame's masking key.
    pub(super) mask: [u8; 4],
    pub(super) utf8: super::utf8::Utf8,
    /// The last frame's FIN, RSV bits and opcode.
    pub(super) bits: u8,
    pub(super) state: u8,
    /// Where in its mask the next payload byte stands.
    pub(super) phase: u8,
    /// TEXT or BINARY of the message under way.
    pub(super) opcode: u8,
}

/// Bits of [`Speaker::state`].
pub(super) mod state {
    /// Inside a data message.
    pub(in super::super) const MESSAGE: u8 = 1;
    /// It is compressed.
    pub(in super::super) const COMPRESSED: u8 = 1 << 1;
    /// All of it was seen, and read.
    pub(in super::super) const WHOLE: u8 = 1 << 2;
    /// It is text that can still be UTF-8.
    pub(in super::super) const TEXT: u8 = 1 << 3;
    /// The frame under way is a control frame.
    pub(in super::super) const CONTROL: u8 = 1 << 4;
    /// It sent its Close.
    pub(in super::super) const CLOSED: u8 = 1 << 5;
    /// Frames were lost: whether a message is under way is not known.
    pub(in super::super) const LOST: u8 = 1 << 6;
    /// Nothing more goes into the digest.
    pub(in super::super) const NO_DIGEST: u8 = 1 << 7;
}

/// What is seldom touched.
#[derive(Default)]
pub(super) struct Cold {
    pub(super) deflate: Option<Deflate>,
    pub(super) closed: Option<Closed>,
    pub(super) signs: Option<Box<Watched>>,
    /// Of a client of MQTT: its CONNECT, as far as it came in messages that are over, until it told its keep-alive.
    #[expect(clippy::box_collection, reason = "few have one, and every tunnel has the place")]
    pub(super) connect: Option<Box<Vec<u8>>>,
    /// Digests that ended because something was missing.
    pub(super) broken: [bool; 2],
    /// Messages of each direction that are kept, and not counted among the rare.
    pub(super) kept_bytes: u32,
}

/// The first Close of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub by: Direction,
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Bytes of header and payload.
    pub length: u32,
}

/// Frames kept to be shown: the first ones, and a ring of the last ones. One piece of memory, and how many frames there
/// were is elsewhere, so that a frame touches nothing of it but its own place.
pub(super) struct Log([FrameRecord; limits::FRAMES_FIRST + limits::FRAMES_LAST]);

/// What all tunnels of an analysis share.
#[derive(Default)]
pub struct Common {
    /// Bytes that kept frames and messages take.
    pub(super) kept: usize,
    /// Nobody is going to look at single frames: none are kept to be shown.
    pub no_frames: bool,
    /// Directions that are being inflated.
    pub(super) inflaters: usize,
    /// The content of the small message that this segment brought, as far as it came.
    pub(super) beat: Vec<u8>,
    /// Unmasked, and inflated, bytes on their way.
    pub(super) plain: Vec<u8>,
    pub(super) inflated: Vec<u8>,
    /// Tunnels of which no frames and messages were kept, and directions that were not inflated.
    pub unkept: u64,
    pub uninflated: u64,
}

impl Common {
    /// Adds its counts.
    pub fn count(&self, counters: &mut Counters) {
        counters.talks_not_kept += self.unkept;
        counters.not_inflated += self.uninflated;
    }
}

impl Tunnel {
    /// The 101 is out. `extensions`: what it agreed on, as it said; `None` where that is not known. `lanes`: of the
    /// stream in which it runs.
    pub fn opened(&mut self, ts: Timestamp, extensions: Option<&[u8]>, lanes: &mut Lanes) {
        *self = Tunnel::default();
        lanes.begin(ts);
        self.both.heard = ts;
        self.both.before = ts;
        self.both.opened = ts;
        self.cold.deflate = extensions.and_then(crate::wire::extensions::agreed);
        let others = extensions.is_none_or(|list| {
            crate::wire::extensions::parse(list).is_ok_and(|all| all.iter().any(|one| !one.is_deflate()))
        });
        self.both.flags = flag::LOGS
            | flag::KEEPS
            | if self.cold.deflate.is_some() { flag::DEFLATE } else { 0 }
            | if others { flag::UNKNOWN_EXTENSION } else { 0 };
    }

    /// Starts fetching what a frame of this direction touches.
    #[inline]
    pub fn prefetch(&self, from: Direction) {
        let side = usize::from(from == Direction::ServerToClient);
        prefetch_index(from_ref(&self.both), 0);
        prefetch_index(&self.sides, side);
        prefetch_index(&self.frames, side);
    }

    /// Starts fetching all of it.
    pub fn prefetch_all(&self) {
        prefetch_index(from_ref(&self.both), 0);
        for side in [0, 1] {
            prefetch_index(&self.sides, side);
            prefetch_index(&self.frames, side);
        }
        prefetch_index(from_ref(&self.cold.closed), 0);
        prefetch_index(from_ref(&self.cold.deflate), 0);
    }

    /// Starts fetching the place of the next frame that is kept to be shown, and what is seldom touched of this
    /// direction where a frame may touch it.
    #[inline]
    pub fn prefetch_behind(&self, from: Direction) {
        let side = usize::from(from == Direction::ServerToClient);
        if self.both.flags & flag::QUIET << side == 0
            && let Some(live) = &self.sides[side].live
        {
            live.prefetch();
        }
        if let Some(log) = &self.both.log {
            prefetch_index(log.0.as_slice(), Log::place(self.both.logged));
        }
    }

    /// In-order bytes of one segment. `offset`: of the first one in its direction's stream. `true`: the first
    /// Close of all was in them.
    #[inline]
    pub fn push(
        &mut self,
        beside: Beside<'_>,
        from: Direction,
        data: &[u8],
        (ts, at, offset): (Timestamp, PacketRef, u64),
        common: &mut Common,
    ) -> bool {
        let Beside { heard, lane } = beside;
        let side = usize::from(from == Direction::ServerToClient);
        self.settle(side, lane, *heard);
        self.spoke(heard, ts);
        let done = self.ordinary(side, data, ts, at, offset);
        let closes = done != data.len() && self.others(side, &data[done..], (ts, at, offset + done as u64), common);
        self.take_up(side, lane);
        closes
    }

    /// Bytes at which not all is ordinary.
    #[inline(never)]
    fn others(
        &mut self,
        side: usize,
        data: &[u8],
        (ts, at, offset): (Timestamp, PacketRef, u64),
        common: &mut Common,
    ) -> bool {
        let had = self.both.flags & flag::CLOSED;
        let mut frames = std::mem::take(&mut self.frames[side]);
        let mut listener = Listener::new(self, side, (ts, at, offset), common);
        frames.push(data, side == 0, &mut listener);
        listener.end();
        self.frames[side] = frames;
        had != self.both.flags & flag::CLOSED
    }

    /// Bytes that are not there.
    pub fn gap(&mut self, beside: Beside<'_>, from: Direction, len: u64, common: &mut Common) {
        let Beside { heard, lane } = beside;
        let side = usize::from(from == Direction::ServerToClient);
        self.settle(side, lane, *heard);
        let mut frames = std::mem::take(&mut self.frames[side]);
        let mut listener = Listener::new(self, side, (*heard, PacketRef::default(), 0), common);
        frames.gap(len, &mut listener);
        self.frames[side] = frames;
    }

    /// From here on ordinary messages of this side are noted in its lane, where nothing is asked of one that does not
    /// stand there.
    #[inline]
    pub(super) fn take_up(&mut self, side: usize, lane: &mut Lane) {
        let (s, both) = (&self.sides[side], &mut self.both);
        let busy = state::MESSAGE | state::CLOSED | state::LOST | state::CONTROL;
        if both.log.is_some() || s.state & busy != 0 || !self.frames[side].is_between() {
            return;
        }
        let quiet = flag::QUIET << side;
        if both.flags & quiet == 0 {
            let keeps = both.flags & flag::KEEPS != 0;
            let is_quiet = match &s.live {
                Some(live) => {
                    live.rare.beats.is_empty() && !(keeps && live.rare.messages.len() < limits::MESSAGES_KEPT)
                }
                None => !keeps,
            };
            if !is_quiet {
                return;
            }
            both.flags |= quiet;
        }
        let longest = (u64::from(both.longest_ms) + 1) * 1_000_000;
        let no_digest = if s.state & state::NO_DIGEST == 0 { 0 } else { brief::NO_DIGEST };
        let client = if side == 0 { brief::CLIENT } else { 0 };
        let noted = Brief {
            digest_sum: s.digest_sum,
            digest_bytes: s.digest_bytes,
            mask: s.mask,
            quiet_below: u32::try_from(longest).unwrap_or(u32::MAX),
            same_masks: both.same_masks[side],
            bits: s.bits,
            flags: brief::TAKEN_UP | no_digest | client,
            ..Brief::default()
        };
        lane.take_up(s.at, both.recent[side], noted);
    }

    /// Brings what was noted in a lane to where everything else is counted. From here on nothing is noted there.
    #[inline]
    pub(super) fn settle(&mut self, side: usize, lane: &mut Lane, heard: Timestamp) {
        self.read(side, lane, heard);
        lane.put_down();
    }

    #[inline]
    fn read(&mut self, side: usize, lane: &Lane, heard: Timestamp) {
        let Some((at, recent, noted)) = lane.noted() else { return };
        let messages = (u32::from(noted.texts), u32::from(noted.binaries));
        if messages == (0, 0) {
            return;
        }
        // It spoke last of all: nobody did at the same time.
        if lane.last == heard && heard != self.both.heard {
            (self.both.before, self.both.heard) = (Timestamp(heard.0 - i64::from(noted.gap)), heard);
        }
        let (text_bytes, binary_bytes) = (u64::from(noted.text_bytes), u64::from(noted.binary_bytes));
        self.frames[side].several(messages, side == 0, text_bytes + binary_bytes);
        let s = &mut self.sides[side];
        (s.at, s.bits, s.mask) = (at, noted.bits, noted.mask);
        s.state |= state::WHOLE;
        s.text_bytes = s.text_bytes.saturating_add(text_bytes);
        s.largest_text = s.largest_text.max(noted.largest_text.into());
        s.largest_binary = s.largest_binary.max(noted.largest_binary.into());
        (s.digest_sum, s.digest_bytes) = (noted.digest_sum, noted.digest_bytes);
        self.both.recent[side] = recent;
        self.both.same_masks[side] = noted.same_masks;
    }

    /// Bytes were lost on their way, which end there in their direction's stream.
    #[cold]
    pub fn undelivered(&mut self, bytes: Undelivered, to: u64) {
        self.cold.signs.get_or_insert_default().undelivered(bytes, to);
    }

    /// Bytes of this side came again, which its peer should have had. `of`: where they stand in their direction's stream,
    /// and how many they are.
    #[cold]
    pub fn again(&mut self, beside: Beside<'_>, by: Direction, ts: Timestamp, of: (u64, usize)) {
        let Beside { heard, lane } = beside;
        let side = usize::from(by == Direction::ServerToClient);
        self.settle(side, lane, *heard);
        let at = self.sides[side].at;
        // Inside TLS what stands beside the flow knows nothing of the tunnel.
        let heard = self.both.heard.max(*heard);
        self.cold.signs.get_or_insert_default().again(by, at, (heard, ts), of);
    }

    /// A packet did not arrive, as ICMP says.
    #[cold]
    pub fn rejected(&mut self, told: Rejected) {
        self.cold.signs.get_or_insert_default().rejected(told);
    }

    /// What a segment of this side says beside its bytes; `usual`: the TTL that its packets have, 0 where that is not
    /// known. `true`: what the next ones say is wanted too.
    #[cold]
    pub fn signs(&mut self, from: Direction, usual: u8, signs: Signs) -> bool {
        self.cold.signs.get_or_insert_default().take(from, usual, signs)
    }

    /// The first Close of all. `None`: there was none.
    pub fn closed(&self) -> Option<Closed> {
        self.cold.closed
    }

    /// What the first Close of this side said.
    pub fn close_of(&self, by: Direction) -> Option<Close> {
        let live = self.sides[usize::from(by == Direction::ServerToClient)].live.as_ref()?;
        let close = live.rare.close.as_ref()?;
        Some(Close { code: close.code, reason: close.reason.clone() })
    }

    /// It is over: what is to be told of it. `lanes`: of the stream in which it ran; `client`: the client's side of it.
    pub fn tell(&mut self, lanes: &Lanes, client: usize, common: &mut Common) -> (WsTotals, Box<Talk>) {
        let heard = lanes.heard;
        let lanes = [&lanes.sides[client], &lanes.sides[1 - client]];
        for (side, lane) in lanes.into_iter().enumerate() {
            self.read(side, lane, heard);
        }
        let totals = WsTotals {
            client: self.frames[0].counts(),
            server: self.frames[1].counts(),
            compressed: self.frames.iter().any(Frames::compressed),
        };
        let mut talk = Box::<Talk>::default();
        for (side, spoken) in [&mut talk.client, &mut talk.server].into_iter().enumerate() {
            *spoken = self.spoken(side, lanes[side].last, common);
        }
        talk.deflate = self.cold.deflate;
        if let Some(log) = self.both.log.take() {
            (talk.first_frames, talk.frames) = log.tell(self.both.logged);
        }
        common.kept = common.kept.saturating_sub(self.cold.kept_bytes as usize);
        common.kept += talk.frames.len() * size_of::<FrameRecord>();
        if self.both.flags & flag::HEARD != 0 {
            let millis = |ms| Nanos::from_millis(i64::from(ms));
            let from = self.both.opened + millis(self.both.longest_from_ms);
            talk.silence = Some(Silence { from, length: millis(self.both.longest_ms) });
            let length = self.both.heard.since(self.both.before).max(Nanos::ZERO);
            talk.before_last = Some(Silence { from: self.both.before, length });
        }
        talk.transport = self.cold.signs.take().and_then(|signs| signs.tell());
        (totals, talk)
    }

    /// Somebody spoke, and that is not noted in a lane.
    #[inline]
    pub(super) fn spoke(&mut self, heard: &mut Timestamp, ts: Timestamp) {
        let both = &mut self.both;
        both.flags |= flag::HEARD;
        let quiet = ts.since(*heard).0;
        if quiet >= (i64::from(both.longest_ms) + 1) * 1_000_000 {
            both.longest_ms = millis(quiet);
            both.longest_from_ms = millis(heard.since(both.opened).0);
        }
        both.before = *heard;
        *heard = ts.max(*heard);
        both.heard = *heard;
    }

    /// `last`: when it last spoke.
    fn spoken(&mut self, side: usize, last: Timestamp, common: &mut Common) -> Spoken {
        let s = &mut self.sides[side];
        let counts = self.frames[side].counts();
        let mut live = s.live.take();
        if let Some(live) = &mut live {
            common.inflaters -= usize::from(live.inflate.take().is_some());
        }
        let other = live.as_ref().map_or(0, |live| live.other_bytes);
        let rare = live.filter(|live| live.is_worth_telling()).map(|live| {
            let mut rare = Box::new(live.rare);
            rare.faults.shrink_to_fit();
            rare.messages.shrink_to_fit();
            rare
        });
        Spoken {
            text_bytes: s.text_bytes,
            binary_bytes: counts.payload_bytes.saturating_sub(s.text_bytes).saturating_sub(other),
            largest_text: s.largest_text,
            largest_binary: s.largest_binary,
            last: (counts.frames != 0).then_some(LastFrame { at: s.at, ts: last, bits: s.bits }),
            digest: Digest { sum: s.digest_sum, bytes: s.digest_bytes, broken: self.cold.broken[side] },
            rare,
        }
    }
}

impl Speaker {
    /// Whether anybody wants what its message says.
    #[inline]
    pub(super) fn is_read(&self) -> bool {
        self.state & (state::TEXT | state::COMPRESSED) != 0
            || self.state & state::NO_DIGEST == 0
            || self.wire as usize <= limits::BEAT_BYTES
            || self.live.as_ref().is_some_and(|live| live.message.is_some())
    }
}

impl Log {
    /// What one takes.
    pub(super) const BYTES: usize = size_of::<Log>();

    /// `count`: of the frames before.
    #[inline]
    pub(super) fn add(&mut self, frame: FrameRecord, count: &mut u32) {
        if let Some(place) = self.0.get_mut(Log::place(*count)) {
            *place = frame;
        }
        // Where it would overflow it goes on with another of the same place in the ring.
        *count = count.checked_add(1).unwrap_or(FULL);
    }

    /// Where a frame goes that comes behind so many.
    #[inline]
    fn place(count: u32) -> usize {
        let n = count as usize;
        n.checked_sub(limits::FRAMES_FIRST).map_or(n, |n| limits::FRAMES_FIRST + n % limits::FRAMES_LAST)
    }

    /// How many are the first ones, and all, in their order. `count`: of all that were added.
    fn tell(mut self, count: u32) -> (usize, Box<[FrameRecord]>) {
        let count = count as usize;
        if let Some(over) = count.checked_sub(self.0.len()) {
            self.0[limits::FRAMES_FIRST..].rotate_left(over % limits::FRAMES_LAST);
        }
        let kept = count.min(self.0.len());
        (kept.min(limits::FRAMES_FIRST), self.0[..kept].into())
    }
}

/// Frames that fill it.
const FULL: u32 = 16;
const _: () = assert!(FULL as usize == limits::FRAMES_FIRST + limits::FRAMES_LAST);

impl Default for Log {
    fn default() -> Self {
        Log([FrameRecord::default(); limits::FRAMES_FIRST + limits::FRAMES_LAST])
    }
}

fn millis(nanos: i64) -> u32 {
    u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_touches_beside_its_lane_is_three_cache_lines() {
        assert_eq!((size_of::<Both>(), size_of::<Speaker>(), size_of::<Frames>()), (64, 64, 64));
        assert!(size_of::<Tunnel>() <= 6 * 64, "{}", size_of::<Tunnel>());
    }

    #[test]
    fn first_and_last_frames_are_kept_in_their_order() {
        for n in [0_u64, 3, 8, 11, 16, 17, 40] {
            let (mut log, mut count) = (Log::default(), 0);
            for offset in 0..n {
                let record = FrameRecord {
                    at: PacketRef::default(),
                    ts: Timestamp(0),
                    offset,
                    payload: 0,
                    bits: 0x81,
                    masked: false,
                    from: Direction::ServerToClient,
                };
                log.add(record, &mut count);
            }
            let (first, all) = log.tell(count);
            let offsets: Vec<u64> = all.iter().map(|f| f.offset).collect();
            let expected: Vec<u64> = (0..n.min(8)).chain(n.saturating_sub(8).max(8)..n).collect();
            assert_eq!((first as u64, offsets), (n.min(8), expected), "{n}");
        }
    }
}
