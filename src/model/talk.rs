//! What was said in an upgraded WebSocket connection, as far as it is kept: what its rules, the hops between
//! its legs and people ask for. Payloads are not among it.

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Direction, Rejected};

/// Both directions of one WebSocket, from the 101 on. Counts of frames are in [`crate::model::WsTotals`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Talk {
    pub client: Spoken,
    pub server: Spoken,
    /// permessage-deflate as this leg's 101 agreed on it (RFC 7692 §7.1). `None`: it did not.
    pub deflate: Option<Deflate>,
    /// The first frames of both directions in the order of the capture, then the last ones; at most
    /// `limits::FRAMES_FIRST` and `limits::FRAMES_LAST`, while all of a capture take less than `limits::TALK_BYTES`.
    /// Empty where nobody is going to look at single frames.
    pub frames: Box<[FrameRecord]>,
    /// How many of `frames` are the first ones. What came between these and the rest is not kept.
    pub first_frames: usize,
    /// The longest time without a payload byte in either direction, between two that were seen (the 101 counts as
    /// one); whole milliseconds. `None`: nothing came behind the 101.
    pub silence: Option<Silence>,
    /// The same, before the last payload byte of all.
    pub before_last: Option<Silence>,
    /// What TCP tells of the time after the 101. `None`: nothing out of the ordinary.
    pub transport: Option<Box<Transport>>,
}

/// One direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// Payload bytes of text (binary) messages, as on the wire, continuations included.
    pub text_bytes: u64,
    pub binary_bytes: u64,
    /// The largest message of each sort in payload bytes as on the wire; stops at its largest value.
    pub largest_text: u32,
    pub largest_binary: u32,
    /// The last frame. `None`: there was none.
    pub last: Option<LastFrame>,
    pub digest: Digest,
    /// What few directions have. `None`: nothing of it.
    pub rare: Option<Box<Rare>>,
}

/// What few directions have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rare {
    /// The first of each kind, in the order in which they came.
    pub faults: Vec<FrameFault>,
    /// The first data messages, at most `limits::MESSAGES_KEPT`, while all of a capture take less than
    /// `limits::TALK_BYTES`.
    pub messages: Vec<Message>,
    /// Its Pings, and what came back.
    pub pings: Option<Box<Pings>>,
    /// Small messages that came again and again, and those among a server's first that may refuse the client, by how
    /// they begin; at most `limits::BEATS`.
    pub beats: Vec<Beat>,
    /// Its first Close frame.
    pub close: Option<Box<SentClose>>,
    /// Bytes of its compressed messages, and what was inflated from them.
    pub deflated_bytes: u64,
    pub inflated_bytes: u64,
    /// Compressed messages that were inflated to their end.
    pub inflated_messages: u32,
    /// Why not all of its compressed messages were read. `None`: they were, or there are none.
    pub not_inflated: Option<NotInflated>,
}

/// Why compressed messages were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInflated {
    /// More would have come out than `limits::INFLATED_BYTES`.
    Budget,
    /// Bytes are missing, and what follows refers to them.
    Gap,
    /// The data cannot be inflated: a fault says so.
    Fault,
    /// `limits::INFLATERS` others were at it.
    Busy,
}

/// The last frame of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFrame {
    /// The packet that brought its header's last byte.
    pub at: PacketRef,
    /// When its last byte came that is in the capture.
    pub ts: Timestamp,
    /// FIN, RSV1 to RSV3 and the opcode, as on the wire.
    pub bits: u8,
}

/// A time without payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    pub from: Timestamp,
    pub length: Nanos,
}

/// A fingerprint of what one direction said: of the contents of its data messages in their order, unmasked, inflated
/// where they were compressed, whatever frames they came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Of the sum and length of each message, one after the other: [`Digest::add`]. The sum is [`Digest::of_small`]
    /// of what is no longer than `limits::BEAT_BYTES`, and CRC-32C of what is longer.
    pub sum: u32,
    /// Bytes of content that it covers, at most `limits::DIGEST_BYTES`: whole messages.
    pub bytes: u32,
    /// Bytes were lost, or not inflated: from there on nothing was added.
    pub broken: bool,
}

/// permessage-deflate (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// `client_max_window_bits` and `server_max_window_bits`, 8 to 15; 15 where nothing was said.
    pub client_bits: u8,
    pub server_bits: u8,
    pub client_no_context_takeover: bool,
    pub server_no_context_takeover: bool,
}

/// A frame's header as it is kept to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameRecord {
    /// The packet that brought the header's last byte.
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Of the header's first byte in its direction's stream.
    pub offset: u64,
    /// Payload bytes, stops at its largest value.
    pub payload: u32,
    /// FIN, RSV1 to RSV3 and the opcode, as on the wire.
    pub bits: u8,
    pub masked: bool,
    pub from: Direction,
}

/// A data message, whatever frames it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Of every tunnel there are up to 16: a twelfth less of each.
#[repr(Rust, packed(4))]
pub struct Message {
    /// When its last byte came.
    pub ts: Timestamp,
    /// The packet of its first header.
    pub at: PacketRef,
    /// Of its first header's first byte in its direction's stream.
    pub offset: u64,
    /// CRC-32C of its content, unmasked and inflated.
    pub crc: u32,
    /// Bytes of its content, stops at its largest value.
    pub bytes: u32,
    /// Bytes of its payloads as on the wire, stops at its largest value.
    pub wire_bytes: u32,
    /// The first frame's masking key. All zero where there is none.
    pub mask: [u8; 4],
    /// `TEXT` or `BINARY` of `wire::websocket`.
    pub opcode: u8,
    /// Frames it came in, stops at its largest value.
    pub frames: u8,
    pub compressed: bool,
    /// Whether `crc` and `bytes` are of all of it: nothing was lost, and it was inflated where it is compressed.
    pub whole: bool,
}

/// Pings of one direction (RFC 6455 §5.5.2), and the Pongs of the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pings {
    /// Answered, by a Pong of their own or of a later Ping.
    pub answered: u32,
    /// The quickest and slowest answers.
    pub quickest: Option<Nanos>,
    pub slowest: Option<Nanos>,
    /// Those that wait for an answer still, the oldest first, at most `limits::PINGS_OPEN`; and how many more do.
    pub open: Vec<OpenPing>,
    pub open_more: u32,
    pub period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPing {
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Of its header's first byte in its direction's stream.
    pub offset: u64,
    /// Header and payload.
    pub length: u32,
    /// CRC-32C of its payload.
    pub crc: u32,
}

/// How often something came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub count: u32,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The shortest and longest time between two that followed each other; zero before the second.
    pub shortest: Nanos,
    pub longest: Nanos,
}

impl Period {
    /// The mean time between two. `None` where there were fewer than two.
    pub fn mean(&self) -> Option<Nanos> {
        let gaps = i64::from(self.count.checked_sub(1).filter(|gaps| *gaps > 0)?);
        Some(Nanos(self.last.since(self.first).0 / gaps))
    }

    /// Another one.
    pub fn add(&mut self, ts: Timestamp) {
        if self.count == 0 {
            self.first = ts;
        } else {
            let gap = ts.since(self.last);
            self.shortest = if self.count == 1 { gap } else { self.shortest.min(gap) };
            self.longest = self.longest.max(gap);
        }
        self.count = self.count.saturating_add(1);
        self.last = ts;
    }
}

/// A small message that came again and again, or one that may be a refusal, or an MQTT client's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// `TEXT` or `BINARY` of `wire::websocket`.
    pub opcode: u8,
    /// Its content, unmasked and inflated; of one that is longer, one byte more than `limits::BEAT_BYTES`.
    pub content: Box<[u8]>,
    pub period: Period,
    /// The packet of the last one.
    pub at: PacketRef,
}

/// A Close frame (RFC 6455 §5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentClose {
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Of its header's first byte in its direction's stream.
    pub offset: u64,
    /// Bytes of header and payload.
    pub length: u32,
    /// Payload bytes: 0, or 2 and more; 1 is a fault.
    pub payload: u32,
    /// `None`: it has none (or it was not captured).
    pub code: Option<u16>,
    /// Unmasked, as far as it was captured.
    pub reason: Box<[u8]>,
}

/// What TCP tells of the time after the 101.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// TTL (hop limit) that the packets of the side that reset the connection had, and that of its RST, where they
    /// differ.
    pub rst_ttl: Option<(u8, u8)>,
    /// Bytes of client (server) that could not go on because the receiver's window was zero (RFC 9293 §3.8.6.1): the
    /// longest such time.
    pub stalls: [Option<Stall>; 2],
    /// Bytes that were sent again and again, and nothing came back.
    pub resent: Option<Resent>,
    /// Bytes that were sent again most often before the other side gave a sign of life, which may not have been about
    /// them; at least twice.
    pub overcome: Option<Resent>,
    /// The first bytes that one side sent again and the other never acknowledged.
    pub swallowed: Option<Swallowed>,
    /// Bytes that never came to the place of capture, nor to their receiver behind it: the first ones.
    pub undelivered: Option<Undelivered>,
    /// Keep-alive probes that got no answer (RFC 9293 §3.8.4); `at` and `first` are of the first of them.
    pub probed: Option<Resent>,
    /// What ICMP says of packets that did not arrive.
    pub rejected: Option<Rejected>,
    /// Bytes that one side had sent, as its own later packets show, and that neither came by nor were acknowledged: while an
    /// answer is waited for.
    pub unseen: Option<Unseen>,
    /// SYN-ACKs that were sent again behind the first bytes: what its sender was sent since, it did not take.
    pub greeted_again: u32,
}

impl Transport {
    /// The longest time for which what this side sends could not go on.
    pub fn stall_of(&self, sender: Direction) -> Option<Stall> {
        self.stalls[usize::from(sender == Direction::ServerToClient)]
    }

    /// Moves all of its times: another clock is believed.
    pub(super) fn shift(&mut self, by: Nanos) {
        let move_on = |ts: &mut Timestamp| *ts = *ts + by;
        self.stalls.iter_mut().flatten().for_each(|stall| move_on(&mut stall.from));
        let sent = [&mut self.resent, &mut self.overcome, &mut self.probed];
        for resent in sent.into_iter().flatten() {
            move_on(&mut resent.first);
            move_on(&mut resent.last);
        }
        if let Some(swallowed) = &mut self.swallowed {
            move_on(&mut swallowed.first);
            move_on(&mut swallowed.last);
        }
        if let Some(lost) = &mut self.undelivered {
            move_on(&mut lost.first);
            move_on(&mut lost.last);
        }
        if let Some(unseen) = &mut self.unseen {
            move_on(&mut unseen.ts);
        }
        if let Some(told) = &mut self.rejected {
            move_on(&mut told.ts);
            move_on(&mut told.last);
        }
    }
}

/// A time in which a receiver took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The packet that closed the window.
    pub at: PacketRef,
    pub from: Timestamp,
    pub length: Nanos,
    /// How often the window was closed.
    pub times: u32,
    /// It was not opened any more.
    pub lasts: bool,
}

/// Bytes that were sent again at the end, without a sign of life from the other side behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resent {
    pub by: Direction,
    /// How often they were sent again.
    pub times: u32,
    /// The packet that sent them first.
    pub at: PacketRef,
    pub first: Timestamp,
    /// When they were sent for the last time.
    pub last: Timestamp,
}

/// Bytes that were sent again and never acknowledged, whatever else the other side said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swallowed {
    pub by: Direction,
    /// How often they were sent again.
    pub times: u32,
    /// Bytes of payload of the smallest segment that brought them again.
    pub smallest: u32,
    /// Bytes of their direction that came before them.
    pub before: u64,
    /// Packets with something new of the other side, a second and more behind the first sending again, each of which
    /// acknowledged only what came before.
    pub signs: u32,
    /// Those of them before the last sending again: a side that was gone and came back gives none.
    pub between: u32,
    /// Packets of the other side, a second and more behind the first sending again, that brought again what had been
    /// acknowledged to it: it does not hear that either.
    pub deaf: u32,
    /// The packet that began their side's last frame before they were sent again.
    pub at: PacketRef,
    /// When they were sent again for the first time.
    pub first: Timestamp,
    /// When they were sent for the last time.
    pub last: Timestamp,
}

/// Bytes that were sent and never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    pub by: Direction,
    pub bytes: u64,
    /// The packet whose sequence number shows it, and when that was.
    pub at: PacketRef,
    pub ts: Timestamp,
}

/// Bytes that were lost before the place of capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    pub by: Direction,
    pub bytes: u64,
    /// Bytes of the largest segment that came behind them.
    pub largest: u32,
    /// The first packet that brought what was sent behind them, and when that was.
    pub at: PacketRef,
    pub first: Timestamp,
    /// Until then both sides went on; the receiver lacked them still.
    pub last: Timestamp,
}

/// Something wrong with the frames of one direction; the first of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFault {
    pub kind: FrameFaultKind,
    /// The packet that brought it.
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Where it stands in its direction's stream.
    pub offset: u64,
    /// Bytes of it: of a header, or of a whole short frame.
    pub length: u32,
    /// A number that belongs to the kind.
    pub detail: u64,
    /// How many there were, stops at its largest value.
    pub count: u32,
}

/// Kinds of [`FrameFault`]. In brackets what `detail` is; else it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameFaultKind {
    /// A client's frame without a mask (RFC 6455 §5.1).
    MaskMissing,
    /// A server's frame with one.
    MaskUnexpected,
    /// The same mask, not zero, four frames in a row (the mask).
    MaskConstant,
    /// A mask of zero.
    MaskZero,
    /// RSV2 or RSV3, and no extension was agreed on (RSV1 to RSV3 as bits 2 to 0).
    RsvSet,
    /// RSV1, and no extension was agreed on.
    Rsv1WithoutExtension,
    Rsv1OnControl,
    Rsv1OnContinuation,
    /// (The opcode.)
    OpcodeReserved,
    /// (Payload bytes.)
    ControlTooLong,
    ControlFragmented,
    /// (Payload bytes.)
    LengthNotMinimal,
    /// A length beyond 2^63; nothing behind it can be read. (The length.)
    LengthMsb,
    /// More than `limits::FRAME_HUGE_BYTES`. (Payload bytes.)
    FrameHuge,
    /// A continuation of nothing.
    ContinuationUnexpected,
    /// A new message inside another.
    ContinuationMissing,
    /// A control frame inside a fragmented message; it may stand there (RFC 6455 §5.4).
    ControlInterleaved,
    /// A text message that is not UTF-8 (bytes of the message before the fault).
    Utf8Invalid,
    /// A binary message that is JSON text.
    JsonAsBinary,
    /// More than `limits::EMPTY_FRAGMENTS` fragments without a byte in one message (their number).
    EmptyFragments,
    /// A compressed message refers to bytes further back than the window that was agreed on (the window's bits).
    DeflateWindow,
    /// It refers to earlier messages, whose bytes its sender was to forget; the first message was fine.
    DeflateContext,
    /// It ends inside a block.
    DeflateTruncated,
    /// It ends in 00 00 ff ff, which its sender had to take off (RFC 7692 §7.2.1).
    DeflateTrailer,
    /// It is no DEFLATE data.
    DeflateData,
    /// What comes out is more than `limits::BOMB_RATIO` times what goes in, or more than
    /// `limits::INFLATED_MESSAGE_BYTES` (the bytes that came out).
    DeflateBomb,
    /// Compressed messages were as large as what is in them, over `limits::USELESS_MESSAGES` of them.
    DeflateUseless,
    /// A data frame behind its sender's own Close.
    DataAfterClose,
    /// A Pong with a payload, and no Ping that waits has it.
    PongMismatch,
}

impl Digest {
    /// What the sum over all messages becomes by one more.
    #[must_use]
    pub fn add(all: u32, sum: u32, bytes: u32) -> u32 {
        // Any order of steps that no other messages undo: each multiplies by an odd number.
        (all.rotate_left(5) ^ sum).wrapping_mul(0x9e37_79b1) ^ bytes
    }

    /// What tells a small content from others: eight bytes at a time, which takes a third of the time of a CRC.
    #[inline]
    #[must_use]
    pub fn of_small(content: &[u8]) -> u32 {
        Digest::of_words(content, |word, _| word)
    }

    /// The same of words that `read` makes something else of before. It is told which of a word's bits are the
    /// content's, and must leave the others zero.
    #[inline]
    pub fn of_words(content: &[u8], mut read: impl FnMut(u64, u64) -> u64) -> u32 {
        let mix = |sum: u64, word: u64| {
            let sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sum ^ sum >> 32
        };
        let mut words = content.chunks_exact(8);
        let mut sum = content.len() as u64;
        for word in &mut words {
            sum = mix(sum, read(<[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes), u64::MAX));
        }
        let rest = words.remainder();
        let bits = 8 * rest.len();
        let last = match (content.last_chunk::<8>(), rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            _ if rest.is_empty() => 0,
            (Some(eight), ..) => u64::from_le_bytes(*eight) >> (64 - bits),
            (_, Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (bits - 32)
            }
            _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let last = if rest.is_empty() { 0 } else { read(last, u64::MAX >> (64 - bits)) };
        u32::try_from(mix(sum, last) >> 32).unwrap_or(0)
    }
}

impl Talk {
    /// What this side said.
    pub fn of(&self, from: Direction) -> &Spoken {
        match from {
            Direction::ClientToServer => &self.client,
            Direction::ServerToClient => &self.server,
        }
    }

    /// Moves all of its times: another clock is believed.
    pub fn shift(&mut self, by: Nanos) {
        let move_on = |ts: &mut Timestamp| *ts = *ts + by;
        for silence in [&mut self.silence, &mut self.before_last].into_iter().flatten() {
            move_on(&mut silence.from);
        }
        self.frames.iter_mut().for_each(|frame| move_on(&mut frame.ts));
        for spoken in [&mut self.client, &mut self.server] {
            spoken.last.iter_mut().for_each(|last| move_on(&mut last.ts));
            if let Some(rare) = &mut spoken.rare {
                rare.shift(by);
            }
        }
        self.transport.iter_mut().for_each(|transport| transport.shift(by));
    }
}

impl Rare {
    fn shift(&mut self, by: Nanos) {
        let move_on = |ts: &mut Timestamp| *ts = *ts + by;
        self.faults.iter_mut().for_each(|fault| move_on(&mut fault.ts));
        for message in &mut self.messages {
            let mut ts = message.ts;
            move_on(&mut ts);
            message.ts = ts;
        }
        self.close.iter_mut().for_each(|close| move_on(&mut close.ts));
        let periods = self.beats.iter_mut().map(|beat| &mut beat.period);
        let pings = self.pings.iter_mut().flat_map(|pings| {
            pings.open.iter_mut().for_each(|ping| move_on(&mut ping.ts));
            [&mut pings.period]
        });
        for period in periods.chain(pings) {
            move_on(&mut period.first);
            move_on(&mut period.last);
        }
    }
}

impl Spoken {
    pub fn faults(&self) -> &[FrameFault] {
        self.rare.as_ref().map_or(&[], |rare| &rare.faults)
    }

    /// The first of this kind. `None`: there is none.
    pub fn fault(&self, kind: FrameFaultKind) -> Option<&FrameFault> {
        self.faults().iter().find(|fault| fault.kind == kind)
    }

    pub fn messages(&self) -> &[Message] {
        self.rare.as_ref().map_or(&[], |rare| &rare.messages)
    }

    pub fn pings(&self) -> Option<&Pings> {
        self.rare.as_ref()?.pings.as_deref()
    }

    pub fn beats(&self) -> &[Beat] {
        self.rare.as_ref().map_or(&[], |rare| &rare.beats)
    }

    pub fn close(&self) -> Option<&SentClose> {
        self.rare.as_ref()?.close.as_deref()
    }
}

impl FrameRecord {
    pub fn fin(&self) -> bool {
        self.bits & 0x80 != 0
    }

    /// RSV1 to RSV3 in bits 2 to 0.
    pub fn rsv(&self) -> u8 {
        self.bits >> 4 & 0b111
    }

    pub fn opcode(&self) -> u8 {
        self.bits & 0x0f
    }
}
