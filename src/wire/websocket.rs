//! WebSocket frame headers (RFC 6455 §5.2).

/// A frame header, read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub fin: bool,
    /// RSV1 to RSV3 in bits 2 to 0.
    pub rsv: u8,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    /// Payload length in bytes.
    pub payload: u64,
    /// Bytes of the header itself, 2 to 14.
    pub length: u8,
}

/// Longest header in bytes.
pub const HEADER_BYTES: usize = 14;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

impl Header {
    pub fn rsv1(&self) -> bool {
        self.rsv & 0b100 != 0
    }

    pub fn is_control(&self) -> bool {
        self.opcode & 0x8 != 0
    }

    /// FIN, RSV1 to RSV3 and the opcode, as on the wire.
    pub fn bits(&self) -> u8 {
        u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode
    }

    /// Whether its length is written in as few bytes as can be (RFC 6455 §5.2).
    #[inline]
    pub fn is_minimal(&self) -> bool {
        match self.length - if self.mask.is_some() { 4 } else { 0 } {
            2 => true,
            4 => self.payload > 125,
            _ => self.payload > 0xffff,
        }
    }

    /// Whether an endpoint that follows RFC 6455 could have sent it (any extension may use RSV1).
    pub fn is_plausible(&self) -> bool {
        let control = !self.is_control() || (self.fin && self.payload <= 125);
        self.may_begin() && control && self.payload >> 63 == 0
    }

    /// Whether its first byte is one that RFC 6455 knows.
    pub fn may_begin(&self) -> bool {
        matches!(self.opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) && self.rsv & 0b011 == 0
    }
}

/// Reads the header at the start of `bytes`. `None`: more bytes are needed; never for 14 or more.
#[inline]
pub fn header(bytes: &[u8]) -> Option<Header> {
    let [first, second, rest @ ..] = bytes else { return None };
    let masked = second & 0x80 != 0;
    let (payload, extended): (u64, u8) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        short => (u64::from(short), 0),
    };
    let mask = if masked { Some(*rest.get(usize::from(extended)..)?.first_chunk::<4>()?) } else { None };
    let length = 2 + extended + if masked { 4 } else { 0 };
    Some(Header { fin: first & 0x80 != 0, rsv: first >> 4 & 0b111, opcode: first & 0x0f, mask, payload, length })
}

/// Whether `bytes` start with a chain of frames one endpoint could have sent: at least `least` whole
/// headers, or frames that end exactly where the bytes end. For finding the way back after a loss.
pub fn looks_like_frames(bytes: &[u8], masked: bool, least: usize) -> bool {
    let mut rest = bytes;
    let mut count = 0;
    while count < least {
        let Some(header) = header(rest) else { return false };
        if !header.is_plausible() || header.mask.is_some() != masked {
            return false;
        }
        count += 1;
        let frame = usize::try_from(header.payload).ok().and_then(|p| p.checked_add(usize::from(header.length)));
        match frame.map(|f| (f, rest.get(f..))) {
            Some((_, Some([]))) => return true,
            Some((_, Some(next))) => rest = next,
            _ => return count >= least,
        }
    }
    true
}

/// As [`unmask`], from one place to another of the same length.
#[inline]
pub fn unmask_into(out: &mut [u8], payload: &[u8], mut mask: [u8; 4], at: usize) {
    mask.rotate_left(at % 4);
    let word = u64::from(u32::from_ne_bytes(mask)) * 0x1_0000_0001;
    let (mut to, mut from) = (out.chunks_exact_mut(8), payload.chunks_exact(8));
    for (to, from) in (&mut to).zip(&mut from) {
        if let (Ok(to), Ok(from)) = (<&mut [u8; 8]>::try_from(to), <[u8; 8]>::try_from(from)) {
            *to = (u64::from_ne_bytes(from) ^ word).to_ne_bytes();
        }
    }
    let rest = to.into_remainder().iter_mut().zip(from.remainder());
    for ((to, from), key) in rest.zip(mask.into_iter().cycle()) {
        *to = from ^ key;
    }
}

/// Undoes the masking (RFC 6455 §5.3); `at`: the first byte's place in the payload.
pub fn unmask(payload: &mut [u8], mut mask: [u8; 4], at: usize) {
    mask.rotate_left(at % 4);
    let word = u64::from(u32::from_ne_bytes(mask)) * 0x1_0000_0001;
    let mut words = payload.chunks_exact_mut(8);
    for bytes in &mut words {
        if let Ok(bytes) = <&mut [u8; 8]>::try_from(bytes) {
            *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
    }
    let mask = mask.into_iter().cycle();
    for (byte, key) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_lengths_are_read() {
        assert_eq!(header(&[0x81, 5]).map(|h| (h.payload, h.length)), Some((5, 2)));
        assert_eq!(header(&[0x82, 126, 1, 0]).map(|h| (h.payload, h.length)), Some((256, 4)));
        assert_eq!(header(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).map(|h| (h.payload, h.length)), Some((65_536, 10)));
    }

    #[test]
    fn a_masked_header_waits_for_its_mask() {
        assert_eq!(header(&[0x81, 0x85, 1, 2, 3]), None);
        let h = header(&[0x81, 0x85, 1, 2, 3, 4]);
        assert_eq!(h.map(|h| (h.mask, h.length)), Some((Some([1, 2, 3, 4]), 6)));
    }

    #[test]
    fn unmasking_goes_on_anywhere_in_a_payload() {
        let plain: Vec<u8> = (0..23).collect();
        let mask = [9, 8, 7, 6];
        for at in 0..9 {
            let mut bytes: Vec<u8> = plain.iter().enumerate().map(|(i, b)| b ^ mask[(at + i) % 4]).collect();
            let mut out = vec![0; bytes.len()];
            unmask_into(&mut out, &bytes, mask, at);
            unmask(&mut bytes, mask, at);
            assert_eq!((&bytes, &out), (&plain, &plain), "{at}");
        }
    }

    #[test]
    fn chains_of_frames_are_recognised() {
        assert!(looks_like_frames(&[0x81, 1, b'a', 0x89, 0], false, 3));
        assert!(!looks_like_frames(b"GET / HTTP/1.1", false, 3));
        assert!(!looks_like_frames(&[0x81, 1, b'a', 0x89, 0], true, 3));
    }
}
