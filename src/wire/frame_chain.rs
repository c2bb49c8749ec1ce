//! Whether bytes are WebSocket frames although no handshake says so (RFC 6455 §5). One direction; bytes
//! come in segments, since frames mostly end where segments do. A chain is a run of headers without a
//! fault; evidence is counted in bits, each a halving of the chance that any other bytes read like that.

use crate::base::limits;

use super::websocket::{self, Header};

/// A run of frames of one direction. Begins at the first byte it is given.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Bytes of the current payload still to come.
    skip: u64,
    partial: [u8; websocket::HEADER_BYTES],
    partial_len: usize,
    frames: u32,
    bits: u32,
    /// Whether its frames are masked. `None`: no frame yet.
    masked: Option<bool>,
    /// A fragmented message is under way. `None`: it may be, its start was not seen.
    fragments: Option<bool>,
    /// A Close was sent: nothing may follow.
    closed: bool,
    text: Text,
}

/// The first bytes of a text, which must be UTF-8 (RFC 6455 §5.6).
#[derive(Clone, Debug, Default)]
struct Text {
    bytes: [u8; TEXT_BYTES],
    len: usize,
    /// How many there will be; 0 where none are looked at.
    due: usize,
    whole: bool,
    mask: [u8; 4],
}

/// Bytes of a text that are looked at.
const TEXT_BYTES: usize = 8;

// How unlikely a header without a fault is among random bytes: of 256 first bytes 13 can stand at the
// start of a chain, 11 later (5 inside a message); the mask bit must be that of the frames before.
const FIRST_HEADER: u32 = 4;
const NEXT_HEADER: u32 = 5;
/// A length of at least seven bits that leads to the very end of a segment.
const SEGMENT_END: u32 = 7;

impl Chain {
    /// The next segment's bytes. `false`: they are no frames, or none that follow the others.
    pub fn segment(&mut self, mut data: &[u8]) -> bool {
        if data.is_empty() {
            return true;
        }
        while !data.is_empty() {
            if self.skip != 0 {
                let n = usize::try_from(self.skip).map_or(data.len(), |skip| skip.min(data.len()));
                let (payload, rest) = data.split_at(n);
                self.skip -= n as u64;
                if !self.text.take(payload, &mut self.bits) {
                    return false;
                }
                data = rest;
                continue;
            }
            if self.closed {
                return false;
            }
            let Some((&first, rest)) = data.split_first() else { break };
            let Some(place) = self.partial.get_mut(self.partial_len) else { return false };
            *place = first;
            self.partial_len += 1;
            data = rest;
            let Some(header) = self.partial.get(..self.partial_len).and_then(websocket::header) else { continue };
            // One byte again and again reads as masked frames of one byte.
            let monotone = header.mask == Some([first; 4]) && self.partial.first() == Some(&first);
            self.partial_len = 0;
            if monotone || !self.accepts(&header) {
                return false;
            }
        }
        if self.skip == 0 && self.partial_len == 0 {
            self.bits = self.bits.saturating_add(SEGMENT_END);
        }
        true
    }

    /// Frames whose headers were read.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Evidence so far, in bits.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether its frames are masked, as a client's are. `None`: no frame yet.
    pub fn masked(&self) -> Option<bool> {
        self.masked
    }

    fn accepts(&mut self, h: &Header) -> bool {
        let control = h.is_control();
        let starts = matches!(h.opcode, websocket::TEXT | websocket::BINARY);
        // RFC 6455 §5.2: the shortest form of a length is the only one.
        let least = match usize::from(h.length) - if h.mask.is_some() { 6 } else { 2 } {
            2 => 126,
            8 => 65_536,
            _ => 0,
        };
        let fits = h.is_plausible()
            // RFC 7692 §6.1: only the first frame of a message tells that it is compressed.
            && (!h.rsv1() || starts)
            && h.payload >= least
            && h.payload <= limits::MIDSTREAM_PAYLOAD_BYTES
            // Allowed, but nobody sends it; runs of zeros read like that.
            && (h.fin || h.payload > 0)
            // RFC 6455 §5.5.1: a Close has a code or nothing.
            && !(h.opcode == websocket::CLOSE && h.payload == 1)
            && self.masked.is_none_or(|masked| masked == h.mask.is_some());
        // RFC 6455 §5.4.
        let follows = control
            || match self.fragments {
                None => true,
                Some(open) => open != starts,
            };
        if !fits || !follows {
            return false;
        }
        // The rest of a message whose start was not seen proves nothing: lengths with a zero before them
        // read like that.
        let proves = control || starts || self.fragments == Some(true);
        if proves {
            self.bits = self.bits.saturating_add(if self.frames == 0 { FIRST_HEADER } else { NEXT_HEADER });
            self.frames = self.frames.saturating_add(1);
        }
        if !control {
            self.fragments = if starts || h.fin || self.fragments.is_some() { Some(!h.fin) } else { None };
        }
        self.masked = Some(h.mask.is_some());
        self.closed = h.opcode == websocket::CLOSE;
        self.skip = h.payload;
        self.text = Text::default();
        if h.opcode == websocket::TEXT && !h.rsv1() {
            let due = usize::try_from(h.payload).unwrap_or(usize::MAX).min(TEXT_BYTES);
            let whole = h.fin && h.payload <= TEXT_BYTES as u64;
            self.text = Text { due, whole, mask: h.mask.unwrap_or_default(), ..Text::default() };
        }
        true
    }
}

impl Text {
    /// Looks at bytes of the payload; adds what they prove. `false`: this is no text.
    fn take(&mut self, payload: &[u8], bits: &mut u32) -> bool {
        if self.due == 0 {
            return true;
        }
        for &byte in payload {
            let Some(place) = self.bytes.get_mut(self.len).filter(|_| self.len < self.due) else { break };
            *place = byte ^ self.mask.get(self.len % 4).copied().unwrap_or_default();
            self.len += 1;
        }
        if self.len < self.due {
            return true;
        }
        let text = self.bytes.get(..self.len).unwrap_or_default();
        self.due = 0;
        match std::str::from_utf8(text) {
            Err(e) if e.error_len().is_some() || self.whole => return false,
            _ => {}
        }
        // Among random bytes fewer than every second is one of these.
        if text.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\n' | b'\r' | b'\t')) {
            *bits = bits.saturating_add(u32::try_from(text.len()).unwrap_or(0));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segments: &[&[u8]]) -> Option<Chain> {
        let mut chain = Chain::default();
        segments.iter().all(|s| chain.segment(s)).then_some(chain)
    }

    fn chain(segments: &[&[u8]]) -> Chain {
        run(segments).unwrap_or_default()
    }

    #[test]
    fn frames_follow_each_other_across_segments_and_add_up() {
        let chain = chain(&[&[0x81, 2, b'h', b'i'], &[0x82, 1], &[7, 0x89], &[0]]);
        assert_eq!((chain.frames(), chain.masked()), (3, Some(false)));
        // Three headers, a text of two bytes, two segments that end with a frame.
        assert_eq!(chain.bits(), 4 + 5 + 5 + 2 + 7 + 7);
    }

    #[test]
    fn what_no_endpoint_sends_ends_a_chain() {
        for (frames, why) in [
            (&[0x83, 0][..], "an unknown opcode"),
            (&[0xa1, 0], "RSV2"),
            (&[0xc9, 0], "RSV1 on a control frame"),
            (&[0xc0, 0], "RSV1 on a continuation"),
            (&[0x09, 0], "a fragmented control frame"),
            (&[0x01, 0], "an empty fragment"),
            (&[0x82, 126, 0, 5], "a length that is not the shortest"),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 1, 0], "the same of eight bytes"),
            (&[0x88, 1, 0], "half a close code"),
            (&[0x88, 0, 0x81, 0], "a frame behind a Close"),
            (&[0x81, 1, 0xff], "a text that is no UTF-8"),
            (&[0x81, 0, 0x80, 0], "a continuation of nothing"),
            (&[0x01, 1, b'a', 0x81, 0], "a message inside another"),
            (&[0x81, 0, 0x81, 0x80, 1, 2, 3, 4], "masked behind unmasked"),
        ] {
            assert!(run(&[frames]).is_none(), "{why}");
        }
    }

    #[test]
    fn compression_fragments_and_masks_are_allowed() {
        assert!(run(&[&[0xc1, 2, 0xff, 0xff, 0x41, 1, 0xff, 0x89, 0, 0x80, 1, 9]]).is_some());
        let masked = chain(&[&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2, 0x8a, 0x80, 0, 0, 0, 0]]);
        assert_eq!((masked.frames(), masked.masked(), masked.bits()), (2, Some(true), 4 + 2 + 5 + 7));
    }

    #[test]
    fn messages_with_a_length_of_two_bytes_before_them_prove_nothing() {
        // DNS over TCP: 00 xx and a message of xx bytes, again and again.
        let message = [&[0, 29][..], &[7; 29]].concat();
        let chain = chain(&[&message, &message, &message, &message]);
        assert_eq!(chain.frames(), 0);
    }
}
