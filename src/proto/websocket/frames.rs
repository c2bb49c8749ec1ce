//! Frames of one direction, counted in place: less than 64 bytes of state, payloads passed over, nothing allocated. What it takes: in-order bytes and gaps. What it gives: counts, and
//! what an [`Ear`] asks for.

use crate::model::WsCounts;
use crate::wire::websocket::{self, Header};

/// One direction. Counters saturate.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub struct Frames {
    /// Bytes of the current payload still to pass over.
    skip: u64,
    payload: u64,
    frames: u32,
    messages: u32,
    text: u32,
    binary: u32,
    ping: u32,
    pong: u32,
    close: u8,
    flags: u8,
    partial_len: u8,
    partial: [u8; 13],
}

const MASKED: u8 = 1;
const UNMASKED: u8 = 1 << 1;
const RSV1: u8 = 1 << 2;
/// Somebody wants the current payload.
const HEARD: u8 = 1 << 3;
/// No frame can be read here any more.
const BROKEN: u8 = 1 << 4;
/// Bytes were lost across a header: look for the way back at the next edge.
const LOST: u8 = 1 << 5;

/// Frames that must follow each other plausibly after a loss.
const RESYNC: usize = 3;

/// Hears what frames bring, beside their counts.
pub trait Ear {
    /// A frame's header, which ends `end` bytes into what was pushed. `true`: its payload is wanted.
    fn frame(&mut self, header: &Header, end: usize) -> bool;
    /// The next bytes of a wanted payload, as on the wire.
    fn payload(&mut self, bytes: &[u8]);
    /// A wanted payload is over.
    fn over(&mut self);
    /// Bytes of a wanted payload are not there. `over`: to its end.
    fn missed(&mut self, over: bool);
    /// Bytes were lost across a header.
    fn lost(&mut self);
    /// A length that no frame can have: nothing behind it can be read.
    fn endless(&mut self, header: &Header, end: usize);
}

impl Frames {
    /// In-order bytes of one segment. `client`: who sent them, so whether they should be masked.
    #[inline]
    pub fn push(&mut self, data: &[u8], client: bool, ear: &mut impl Ear) {
        if self.flags & (BROKEN | LOST) != 0 && !self.resync(data, client) {
            return;
        }
        let mut rest = data;
        while !rest.is_empty() {
            if self.skip != 0 {
                let n = usize::try_from(self.skip).map_or(rest.len(), |skip| skip.min(rest.len()));
                let (payload, behind) = rest.split_at(n);
                self.skip -= n as u64;
                if self.flags & HEARD != 0 {
                    ear.payload(payload);
                    if self.skip == 0 {
                        self.flags &= !HEARD;
                        ear.over();
                    }
                }
                rest = behind;
                continue;
            }
            let Some(behind) = self.header(data, rest, client, ear) else { return };
            rest = behind;
        }
    }

    /// Bytes that are not there.
    pub fn gap(&mut self, len: u64, ear: &mut impl Ear) {
        if self.flags & BROKEN != 0 {
            return;
        }
        if len <= self.skip && self.partial_len == 0 {
            self.skip -= len;
            if self.flags & HEARD != 0 {
                ear.missed(self.skip == 0);
                if self.skip == 0 {
                    self.flags &= !HEARD;
                }
            }
        } else {
            self.skip = 0;
            self.partial_len = 0;
            self.flags = self.flags & !HEARD | LOST;
            ear.lost();
        }
    }

    /// Between two frames, and what was read so far was read well.
    #[inline]
    pub fn is_between(&self) -> bool {
        self.skip == 0 && self.partial_len == 0 && self.flags & (BROKEN | LOST | HEARD) == 0 && self.frames != 0
    }

    /// Counts a data message of one frame that lay whole in a segment and is passed over.
    #[inline]
    pub fn ordinary(&mut self, text: bool, masked: bool, bytes: u64) {
        self.several(if text { (1, 0) } else { (0, 1) }, masked, bytes);
    }

    /// The same of so many messages of text and of binary.
    #[inline]
    pub fn several(&mut self, (text, binary): (u32, u32), masked: bool, bytes: u64) {
        self.frames = self.frames.saturating_add(text + binary);
        self.messages = self.messages.saturating_add(text + binary);
        self.payload = self.payload.saturating_add(bytes);
        self.flags |= if masked { MASKED } else { UNMASKED };
        self.text = self.text.saturating_add(text);
        self.binary = self.binary.saturating_add(binary);
    }

    pub fn counts(&self) -> WsCounts {
        WsCounts {
            frames: self.frames,
            messages: self.messages,
            payload_bytes: self.payload,
            text: self.text,
            binary: self.binary,
            ping: self.ping,
            pong: self.pong,
            close: self.close.into(),
            masked: self.flags & MASKED != 0,
            unmasked: self.flags & UNMASKED != 0,
            broken: self.flags & BROKEN != 0,
            lost: self.flags & LOST != 0,
        }
    }

    /// A frame had RSV1 set.
    pub fn compressed(&self) -> bool {
        self.flags & RSV1 != 0
    }

    /// Reads a header at the start of `rest`, which is the end of `data`, across segments where it must; returns
    /// what stands behind it.
    #[inline]
    fn header<'a>(&mut self, data: &[u8], rest: &'a [u8], client: bool, ear: &mut impl Ear) -> Option<&'a [u8]> {
        let header;
        let behind;
        if self.partial_len == 0
            && let Some(whole) = websocket::header(rest)
        {
            header = whole;
            behind = rest.get(usize::from(whole.length)..)?;
        } else {
            // Byte by byte: at most 14 times for one header.
            let mut joined = [0; websocket::HEADER_BYTES];
            let held = usize::from(self.partial_len);
            joined[..held].copy_from_slice(&self.partial[..held]);
            let take = rest.len().min(websocket::HEADER_BYTES - held);
            joined[held..held + take].copy_from_slice(&rest[..take]);
            match websocket::header(&joined[..held + take]) {
                Some(whole) => {
                    header = whole;
                    behind = rest.get(usize::from(whole.length).saturating_sub(held)..)?;
                    self.partial_len = 0;
                }
                None => {
                    let kept = (held + take).min(self.partial.len());
                    self.partial[..kept].copy_from_slice(&joined[..kept]);
                    self.partial_len = u8::try_from(kept).unwrap_or(0);
                    return None;
                }
            }
        }
        self.count(&header, data.len() - behind.len(), behind.len(), client, ear).then_some(behind)
    }

    /// Counts a frame, behind whose header this segment has `behind` bytes. `false`: this was no frame.
    #[inline]
    fn count(&mut self, h: &Header, end: usize, behind: usize, client: bool, ear: &mut impl Ear) -> bool {
        // The first bytes of a direction must read as a frame, or as one with a fault: whole, with FIN, and masked as
        // it should be. Later faults are a peer's own and the lengths still carry on. A length beyond 2^63 cannot be
        // passed over (RFC 6455 §5.2).
        let faulty = || h.fin && h.mask.is_some() == client && h.payload <= behind as u64;
        if (self.frames == 0 && !h.is_plausible() && !faulty()) || h.payload >> 63 != 0 {
            self.flags |= BROKEN;
            if h.payload >> 63 != 0 && (self.frames != 0 || h.may_begin()) {
                ear.endless(h, end);
            }
            return false;
        }
        self.frames = self.frames.saturating_add(1);
        self.payload = self.payload.saturating_add(h.payload);
        self.flags |= if h.mask.is_some() { MASKED } else { UNMASKED };
        if h.rsv1() {
            self.flags |= RSV1;
        }
        if h.fin && !h.is_control() {
            self.messages = self.messages.saturating_add(1);
        }
        match h.opcode {
            websocket::TEXT => self.text = self.text.saturating_add(1),
            websocket::BINARY => self.binary = self.binary.saturating_add(1),
            websocket::PING => self.ping = self.ping.saturating_add(1),
            websocket::PONG => self.pong = self.pong.saturating_add(1),
            websocket::CLOSE => self.close = self.close.saturating_add(1),
            _ => {}
        }
        self.skip = h.payload;
        if ear.frame(h, end) {
            if h.payload == 0 {
                ear.over();
            } else {
                self.flags |= HEARD;
            }
        }
        true
    }

    fn resync(&mut self, data: &[u8], client: bool) -> bool {
        if self.flags & BROKEN != 0 || !websocket::looks_like_frames(data, client, RESYNC) {
            return false;
        }
        self.flags &= !LOST;
        true
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Hears Close frames alone.
    #[derive(Default)]
    struct Closes {
        bytes: Vec<u8>,
        over: usize,
    }

    impl Ear for Closes {
        fn frame(&mut self, header: &Header, _: usize) -> bool {
            header.opcode == websocket::CLOSE
        }
        fn payload(&mut self, bytes: &[u8]) {
            self.bytes.extend_from_slice(bytes);
        }
        fn over(&mut self) {
            self.over += 1;
        }
        fn missed(&mut self, _: bool) {}
        fn lost(&mut self) {}
        fn endless(&mut self, _: &Header, _: usize) {}
    }

    fn run(pieces: &[&[u8]], client: bool) -> (WsCounts, Vec<u8>) {
        let mut frames = Frames::default();
        let mut closes = Closes::default();
        for piece in pieces {
            frames.push(piece, client, &mut closes);
        }
        assert_eq!(closes.over, usize::try_from(frames.counts().close).unwrap());
        (frames.counts(), closes.bytes)
    }

    const SERVER: &[u8] =
        &[0x01, 2, b'a', b'b', 0x80, 1, b'c', 0x89, 1, b'p', 0x82, 126, 0, 3, 1, 2, 3, 0x88, 4, 3, 0xe8, b'o', b'k'];

    #[test]
    fn a_direction_is_one_cache_line() {
        assert_eq!(size_of::<Frames>(), 64);
    }

    #[test]
    fn frames_and_messages_are_counted() {
        let (counts, close) = run(&[SERVER], false);
        assert_eq!((counts.frames, counts.messages, counts.payload_bytes), (5, 2, 11));
        assert_eq!((counts.text, counts.binary, counts.ping, counts.close), (1, 1, 1, 1));
        assert_eq!(close, b"\x03\xe8ok");
    }

    #[test]
    fn any_split_gives_the_same_counts() {
        let whole = run(&[SERVER], false);
        for a in 0..SERVER.len() {
            for b in a..SERVER.len() {
                assert_eq!(run(&[&SERVER[..a], &SERVER[a..b], &SERVER[b..]], false), whole, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_gap_in_a_payload_is_stepped_over() {
        let mut frames = Frames::default();
        let mut nothing = Closes::default();
        frames.push(&[0x82, 10, 1, 2], false, &mut nothing);
        frames.gap(5, &mut nothing);
        frames.push(&[8, 9, 10, 0x81, 1, b'x'], false, &mut nothing);
        assert_eq!((frames.counts().frames, frames.counts().text), (2, 1));
    }

    #[test]
    fn after_a_lost_header_three_good_frames_lead_back() {
        let mut frames = Frames::default();
        let mut nothing = Closes::default();
        frames.push(&[0x82, 1, 1], false, &mut nothing);
        frames.gap(5, &mut nothing);
        frames.push(b"not a frame", false, &mut nothing);
        assert_eq!(frames.counts().frames, 1);
        frames.push(&[0x81, 0, 0x81, 0, 0x81, 0], false, &mut nothing);
        assert_eq!(frames.counts().frames, 4);
    }

    #[test]
    fn what_is_no_frame_breaks_the_count() {
        let (counts, _) = run(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], false);
        assert!(counts.broken);
        assert_eq!(counts.frames, 0);
    }
}
