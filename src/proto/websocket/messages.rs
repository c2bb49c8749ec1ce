//! Data messages of one direction: begun, read, ended.

use memchr::memmem;

use crate::base::limits;
use crate::model::{Beat, Digest, FrameFaultKind as Kind, Message, NotInflated, Period};
use crate::wire::mqtt;
use crate::wire::websocket::{BINARY, CONTINUATION, Header, TEXT};

use super::inflate::{Inflate, PIECE, Stop};
use super::listener::{Listener, Place};
use super::live::Live;
use super::tunnel::{flag, state};
use super::utf8::Utf8;

impl Listener<'_> {
    /// A data frame's header, at `offset`. `true`: its payload is to be read.
    #[inline]
    pub(super) fn data_frame(&mut self, h: &Header, offset: u64) -> bool {
        let payload = u32::try_from(h.payload).unwrap_or(u32::MAX);
        let deflate = self.tunnel.both.flags & flag::DEFLATE != 0;
        let s = self.speaker();
        let begins = h.opcode != CONTINUATION;
        if begins && h.opcode <= BINARY {
            s.opcode = h.opcode;
            (s.crc, s.bytes, s.wire, s.utf8) = (0, 0, 0, Utf8::default());
            // What RSV bits made of it without an agreement is not known.
            let agreed = h.rsv == 0 || h.rsv == 0b100 && deflate;
            let read = if agreed { state::WHOLE } else { 0 };
            let text = if h.opcode == TEXT && agreed { state::TEXT } else { 0 };
            s.state = s.state & !(state::COMPRESSED | state::TEXT | state::WHOLE | state::LOST)
                | state::MESSAGE
                | read
                | text;
            self.begin_message(h, offset);
        } else if h.opcode != CONTINUATION || self.speaker().state & state::MESSAGE == 0 {
            // An opcode that nobody knows, or a continuation of what was lost, or of nothing.
            if h.opcode > BINARY {
                self.live().other_bytes += h.payload;
            } else if h.fin {
                self.speaker().state &= !state::LOST;
            }
            return false;
        } else {
            self.continue_message(h, offset);
        }
        let s = self.speaker();
        s.wire = s.wire.saturating_add(payload);
        if s.opcode == TEXT {
            s.text_bytes = s.text_bytes.saturating_add(h.payload);
        }
        // Its end must be heard in any case, and where there is a payload that is heard behind it.
        true
    }

    /// Anything that is not said of every message.
    #[inline]
    fn begin_message(&mut self, h: &Header, offset: u64) {
        self.fresh = true;
        self.common.beat.clear();
        let at = self.at;
        if let Some(live) = &mut self.speaker().live {
            (live.has_content, live.begun) = (false, Some((at, offset)));
        }
        let compressed = h.rsv1() && self.tunnel.both.flags & flag::DEFLATE != 0;
        if compressed {
            self.begin_compressed();
        }
        let keeps = self.tunnel.both.flags & flag::KEEPS != 0;
        let s = self.speaker();
        // Nothing to say of it that is not said already, in most.
        if s.live.is_none() && !keeps {
            return;
        }
        let kept = s.live.as_ref().map_or(0, |live| live.rare.messages.len());
        let all = kept >= limits::MESSAGES_KEPT || !keeps;
        let made = if s.live.is_some() { 0 } else { size_of::<Live>() };
        if all || !self.may_keep(size_of::<Message>() + made) {
            if !all {
                self.tunnel.both.flags &= !flag::KEEPS;
            }
            self.speaker().live.iter_mut().for_each(|live| live.message = None);
            return;
        }
        let (ts, at) = (self.ts, self.at);
        let live = self.live();
        (live.empty_fragments, live.begun) = (0, Some((at, offset)));
        live.message = Some(Message {
            ts,
            at,
            offset,
            crc: 0,
            bytes: 0,
            wire_bytes: 0,
            mask: h.mask.unwrap_or_default(),
            opcode: h.opcode,
            frames: 1,
            compressed,
            whole: false,
        });
    }

    #[cold]
    fn continue_message(&mut self, h: &Header, offset: u64) {
        if let Some(message) = self.speaker().live.as_mut().and_then(|live| live.message.as_mut()) {
            message.frames = message.frames.saturating_add(1);
        }
        if h.payload == 0 && !h.fin {
            let live = self.live();
            live.empty_fragments = live.empty_fragments.saturating_add(1);
            let n = live.empty_fragments;
            if n > limits::EMPTY_FRAGMENTS {
                let place = (self.at, offset, u32::from(h.length));
                self.fault(Kind::EmptyFragments, u64::from(n), place);
            }
        }
    }

    /// A message goes on in another segment.
    #[cold]
    pub(super) fn keep_content(&mut self) {
        let content = self.common.beat.as_slice();
        let s = &mut self.tunnel.sides[self.side];
        let kept = s.live.as_ref().is_some_and(|live| live.message.is_some());
        if kept || s.wire as usize <= limits::BEAT_BYTES || s.state & state::COMPRESSED != 0 {
            let live = s.live.get_or_insert_default();
            live.content.clear();
            live.content.extend_from_slice(content);
            live.has_content = true;
        }
    }

    /// A message goes on that another segment began.
    #[inline]
    pub(super) fn restore_content(&mut self) {
        let s = &mut self.tunnel.sides[self.side];
        if let Some(live) = &mut s.live
            && live.has_content
            && s.state & state::MESSAGE != 0
        {
            live.has_content = false;
            self.common.beat.clear();
            self.common.beat.extend_from_slice(&live.content);
            self.fresh = true;
        }
    }

    /// The next bytes of a message, unmasked.
    #[inline]
    pub(super) fn content(&mut self, bytes: &[u8]) {
        if self.speaker().state & state::COMPRESSED == 0 {
            self.plain(bytes);
        } else {
            self.inflate(|inflate, out, sink| inflate.push(bytes, out, sink));
        }
    }

    /// The next bytes of what a message says.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) {
        let fresh = self.fresh;
        let s = self.speaker();
        let before = s.bytes;
        s.bytes = s.bytes.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        if s.state & state::TEXT != 0
            && let Err(place) = s.utf8.push(bytes)
        {
            s.state &= !state::TEXT;
            self.not_utf8(i64::from(before).saturating_add(place));
        }
        let s = self.speaker();
        s.crc = crc32c::crc32c_append(s.crc, bytes);
        if fresh && self.common.beat.len() <= limits::BEAT_BYTES {
            let n = bytes.len().min(limits::BEAT_BYTES + 1 - self.common.beat.len());
            self.common.beat.extend_from_slice(&bytes[..n]);
        }
    }

    #[cold]
    fn not_utf8(&mut self, before: i64) {
        // In a message that is not whole the beginning of a character may be what is missing.
        if self.speaker().state & state::WHOLE == 0 {
            return;
        }
        let place = self.message_place();
        self.fault(Kind::Utf8Invalid, u64::try_from(before).unwrap_or(0), place);
    }

    /// Where the message under way begins; where that is not kept, what is looked at of it.
    fn message_place(&mut self) -> Place {
        let here = self.here();
        self.speaker().live.as_ref().and_then(|live| live.begun).map_or(here, |(at, offset)| (at, offset, 2))
    }

    /// Bytes of this direction are missing.
    pub(super) fn broken(&mut self) {
        let side = self.side;
        self.fresh = false;
        let s = self.speaker();
        s.live.iter_mut().for_each(|live| live.has_content = false);
        s.state = s.state & !(state::WHOLE | state::TEXT) | state::NO_DIGEST;
        if s.live.as_ref().is_some_and(|live| live.inflate.is_some()) {
            self.stop_inflating(NotInflated::Gap);
        }
        self.tunnel.cold.broken[side] = true;
    }

    /// A data frame's payload is over.
    #[inline]
    pub(super) fn frame_over(&mut self) {
        let s = self.speaker();
        if s.bits & 0x80 == 0 || s.state & state::MESSAGE == 0 {
            return;
        }
        if !self.fresh {
            self.restore_content();
        }
        let s = self.speaker();
        if s.state & state::COMPRESSED != 0 {
            self.end_compressed();
        }
        let s = self.speaker();
        if s.state & state::TEXT != 0 && s.utf8.begun() != 0 {
            let place = i64::from(s.bytes) - i64::from(s.utf8.begun());
            self.not_utf8(place);
        }
        let side = self.side;
        let small = self.fresh && self.speaker().bytes as usize <= limits::BEAT_BYTES;
        let sum = if small { Digest::of_small(&self.common.beat) } else { self.speaker().crc };
        let s = self.speaker();
        let whole = s.state & state::WHOLE != 0;
        s.state &= !(state::MESSAGE | state::COMPRESSED | state::TEXT);
        let largest = if s.opcode == TEXT { &mut s.largest_text } else { &mut s.largest_binary };
        *largest = s.wire.max(*largest);
        if s.state & state::NO_DIGEST == 0 {
            if !whole || !small && s.bytes as usize <= limits::BEAT_BYTES {
                s.state |= state::NO_DIGEST;
                self.tunnel.cold.broken[side] = true;
            } else if s.bytes.saturating_add(s.digest_bytes) > limits::DIGEST_BYTES {
                s.state |= state::NO_DIGEST;
            } else {
                s.digest_sum = Digest::add(s.digest_sum, sum, s.bytes);
                s.digest_bytes += s.bytes;
            }
        }
        let s = self.speaker();
        let told = s.live.is_some() && self.keep_message(whole);
        if whole && small && !told {
            self.beat(sum);
        }
    }

    /// The message that is to be kept is over. `true`: it may be a refusal, or says how often more will come, and is
    /// among the beats.
    fn keep_message(&mut self, whole: bool) -> bool {
        let ts = self.ts;
        let json = self.fresh && is_json(&self.common.beat);
        let opcode = self.speaker().opcode;
        let refuses = self.side == SERVER && self.fresh && may_refuse(opcode, &self.common.beat);
        let s = self.speaker();
        let (crc, bytes, wire, opcode) = (s.crc, s.bytes, s.wire, s.opcode);
        let Some(live) = &mut s.live else { return false };
        let Some(message) = live.message.take() else { return false };
        let room = live.rare.beats.len() < limits::REFUSALS;
        let is_first = live.rare.messages.is_empty();
        let place = (message.at, message.offset, bytes.saturating_add(2));
        live.rare.messages.push(Message { ts, crc, bytes, wire_bytes: wire, whole, ..message });
        if json && opcode == BINARY && whole {
            self.fault(Kind::JsonAsBinary, 0, place);
        }
        let may_promise = self.side != SERVER && self.fresh && whole && opcode == BINARY;
        let speaks = may_promise && self.connects(is_first) || refuses && whole && room;
        if speaks {
            let small = bytes as usize <= limits::BEAT_BYTES;
            let sum = if small { Digest::of_small(&self.common.beat) } else { crc };
            self.beats(beat_key(sum, bytes, opcode));
        }
        speaks
    }

    /// Whether the message that is over is the one with which a CONNECT of MQTT has told its keep-alive. Its bytes are
    /// then those of the CONNECT: MQTT does not care where messages begin (MQTT 3.1.1 §6.0), and some send each field in
    /// one of its own.
    fn connects(&mut self, first: bool) -> bool {
        let (said, kept) = (&mut self.common.beat, &mut self.tunnel.cold.connect);
        if kept.is_none() && !(first && said.first() == Some(&mqtt::CONNECT)) {
            return false;
        }
        let connect = kept.get_or_insert_default();
        connect.extend_from_slice(said);
        connect.truncate(limits::BEAT_BYTES + 1);
        if mqtt::keep_alive(connect).is_none() {
            // It would have stood there.
            if connect.len() > CONNECT_BYTES {
                *kept = None;
            }
            return false;
        }
        *said = kept.take().map_or_else(Vec::new, |connect| *connect);
        true
    }

    /// A small message: whether it comes again and again.
    #[inline]
    fn beat(&mut self, sum: u32) {
        let side = self.side;
        let s = self.speaker();
        let key = beat_key(sum, s.bytes, s.opcode);
        let recent = &mut self.tunnel.both.recent[side];
        let again = recent.contains(&key);
        *recent = if recent[0] == key { *recent } else { [key, recent[0]] };
        let is_known = |live: &Live| live.beat_keys.contains(&key);
        if again || self.speaker().live.as_ref().is_some_and(|live| is_known(live)) {
            self.beats(key);
        }
    }

    #[cold]
    fn beats(&mut self, key: u32) {
        let (ts, at) = (self.ts, self.at);
        let content: Box<[u8]> = self.common.beat.as_slice().into();
        let opcode = self.speaker().opcode;
        self.tunnel.both.flags &= !(flag::QUIET << self.side);
        let live = self.live();
        let known = live.beat_keys.iter().position(|known| *known == key).filter(|at| *at < live.rare.beats.len());
        if let Some(beat) = known.and_then(|known| live.rare.beats.get_mut(known)) {
            beat.period.add(ts);
            beat.at = at;
            return;
        }
        let n = live.rare.beats.len();
        if let Some(place) = live.beat_keys.get_mut(n) {
            *place = key;
            let mut period = Period::default();
            period.add(ts);
            live.rare.beats.push(Beat { opcode, content, period, at });
        }
    }

    #[cold]
    fn begin_compressed(&mut self) {
        let side = self.side;
        let deflate = self.tunnel.cold.deflate;
        let busy = self.common.inflaters >= limits::INFLATERS;
        let lost = self.tunnel.cold.broken[side];
        let s = self.speaker();
        s.state |= state::COMPRESSED;
        let live = s.live.get_or_insert_default();
        let (bits, alone) = match (deflate, side) {
            (Some(d), 0) => (d.client_bits, d.client_no_context_takeover),
            (Some(d), _) => (d.server_bits, d.server_no_context_takeover),
            (None, _) => (15, false),
        };
        // Where messages refer to each other, who was not there from the first one cannot read any. Where they
        // do not, the next one may be read again, unless they are at fault.
        let may = match live.rare.not_inflated {
            None => true,
            Some(NotInflated::Gap | NotInflated::Busy) => alone,
            Some(NotInflated::Budget | NotInflated::Fault) => false,
        };
        if live.inflate.is_none() && may {
            if busy {
                live.rare.not_inflated = Some(NotInflated::Busy);
                self.common.uninflated += 1;
            } else if lost && !alone {
                live.rare.not_inflated = Some(NotInflated::Gap);
            } else {
                live.inflate = Some(Box::new(Inflate::new(bits, alone)));
                self.common.inflaters += 1;
            }
        }
        let s = self.speaker();
        match s.live.as_mut().and_then(|live| live.inflate.as_mut()) {
            Some(inflate) => inflate.begin(),
            None => s.state &= !(state::WHOLE | state::TEXT),
        }
    }

    #[cold]
    fn end_compressed(&mut self) {
        let Some(live) = &mut self.speaker().live else { return };
        let Some(inflate) = &live.inflate else { return };
        let trailer = inflate.has_trailer();
        let mut read = (0, 0);
        self.inflate(|inflate, out, sink| {
            read = inflate.end(out, sink)?;
            Ok(())
        });
        let Some(live) = &mut self.speaker().live else { return };
        let Some(inflate) = &mut live.inflate else { return };
        live.rare.deflated_bytes += read.0;
        live.rare.inflated_messages = live.rare.inflated_messages.saturating_add(1);
        let (messages, wire, plain) = inflate.gain;
        let (messages, wire, plain) = (messages.saturating_add(1), wire + read.0, plain + read.1);
        inflate.gain = (messages, wire, plain);
        let useless = messages == limits::USELESS_MESSAGES && wire >= plain;
        let place = self.message_place();
        if trailer {
            self.fault(Kind::DeflateTrailer, 0, place);
        }
        if useless {
            self.fault(Kind::DeflateUseless, 0, place);
        }
    }

    /// Reads compressed bytes.
    #[cold]
    fn inflate(&mut self, read: impl FnOnce(&mut Inflate, &mut [u8], &mut dyn FnMut(&[u8])) -> Result<(), Stop>) {
        let Some(live) = &mut self.speaker().live else { return };
        let Some(mut inflate) = live.inflate.take() else { return };
        let mut out = std::mem::take(&mut self.common.inflated);
        out.resize(PIECE, 0);
        let mut bytes = 0;
        let result = read(&mut inflate, &mut out, &mut |plain| {
            bytes += plain.len() as u64;
            self.plain(plain);
        });
        self.common.inflated = out;
        let live = self.live();
        live.rare.inflated_bytes += bytes;
        live.inflate = Some(inflate);
        let Err(stop) = result else { return };
        let place = self.message_place();
        let why = match stop {
            Stop::Fault(kind) => {
                let detail = match (kind, self.tunnel.cold.deflate) {
                    (Kind::DeflateWindow, Some(d)) => {
                        u64::from(if self.side == 0 { d.client_bits } else { d.server_bits })
                    }
                    _ => 0,
                };
                self.fault(kind, detail, place);
                NotInflated::Fault
            }
            Stop::Bomb(gave) => {
                self.fault(Kind::DeflateBomb, gave, place);
                NotInflated::Budget
            }
            Stop::Budget => NotInflated::Budget,
            Stop::Forgot => NotInflated::Gap,
        };
        self.stop_inflating(why);
    }

    fn stop_inflating(&mut self, why: NotInflated) {
        let s = self.speaker();
        if s.state & state::COMPRESSED != 0 {
            s.state &= !(state::WHOLE | state::TEXT);
        }
        let live = self.live();
        let was = live.inflate.take().is_some();
        live.rare.not_inflated.get_or_insert(why);
        if was {
            self.common.inflaters -= 1;
            self.common.uninflated += 1;
        }
    }
}

/// What tells a small message from others: never 0.
#[inline]
pub(super) fn beat_key(sum: u32, bytes: u32, opcode: u8) -> u32 {
    (sum ^ bytes.rotate_left(20) ^ u32::from(opcode).rotate_left(28)).max(1)
}

/// Bytes of a CONNECT within which its keep-alive stands: type, length, name, level, flags.
const CONNECT_BYTES: usize = 1 + 4 + 8 + 1 + 1 + 2;

/// The server's place among the sides of a tunnel.
const SERVER: usize = 1;

/// Whether what begins so may be a refusal. What it is indeed is told by who knows the protocols.
fn may_refuse(opcode: u8, begins: &[u8]) -> bool {
    const STEMS: [&[u8]; 8] = [b"rror", b"RROR", b"nvalid", b"nauth", b"disconnect", b"reject", b":false", b"[3,"];
    match begins {
        // CONNACK of MQTT.
        [0x20, _, _, code, ..] => opcode == BINARY && *code != 0,
        // DISCONNECT of MQTT 5.
        [0xE0, _, code, ..] => opcode == BINARY && *code >= 0x80,
        [b'4', b'4', ..] | [b'c', b'[', b'1' | b'2' | b'4', ..] => opcode == TEXT,
        [b'{' | b'[' | b'<' | b'E', ..] if opcode == TEXT => {
            STEMS.iter().any(|stem| memmem::find(begins, stem).is_some())
        }
        _ => false,
    }
}

/// Whether a small content is a JSON object or list.
fn is_json(content: &[u8]) -> bool {
    let whole =
        |open, close| content.starts_with(open) && (content.len() > limits::BEAT_BYTES || content.ends_with(close));
    let form = whole(b"{\"", b"}") || whole(b"[\"", b"]") || whole(b"[{\"", b"]");
    form && content.iter().all(|b| b.is_ascii_graphic() || b" \t\r\n".contains(b) || *b >= 0x80)
}
