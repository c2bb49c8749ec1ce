//! Both directions of a WebSocket behind a fixed handshake: what is fuzzed is only what is said in it.
//!
//! The first byte says what the 101 agrees on: bits 0 to 1 whether client and server forget (no_context_takeover),
//! bits 2 to 4 and 5 to 7 their windows, 9 to 15 bits; 0 in both: no permessage-deflate at all. Then steps of a
//! control byte, a length byte and so many bytes: bit 0 the server says them · bit 1 they are one frame's payload,
//! whose first byte is the first of them · bit 2 in pieces of three bytes · bit 3 lost before the capture · bit 4
//! behind a wait of ten seconds · bit 5 in one go with the next step of the same side · bit 6 its sender ends, by
//! FIN · bit 7 said again.

const ACK: u8 = 0x10;

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

#[derive(Default)]
struct Capture {
    file: Vec<u8>,
    now_us: u32,
    /// Next sequence number of client and server.
    next: [u32; 2],
    /// What waits to be sent in one go with what follows.
    held: [Vec<u8>; 2],
}

/// A pcap file of raw IPv4 packets.
pub(crate) fn capture(input: &[u8]) -> Vec<u8> {
    let (&agreed, mut steps) = input.split_first().unwrap_or((&0, &[]));
    let mut capture = Capture { next: [u32::MAX - 100, 1_000], ..Capture::default() };
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        capture.file.extend_from_slice(&word.to_le_bytes());
    }
    capture.put(0, 0x02, &[], true);
    capture.put(1, 0x12, &[], true);
    capture.put(0, ACK, REQUEST.as_bytes(), true);
    capture.put(1, ACK, format!("{RESPONSE}{}\r\n", extensions(agreed)).as_bytes(), true);
    while let [control, length, rest @ ..] = steps {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        steps = rest;
        let bit = |n: u8| control >> n & 1 == 1;
        let from = usize::from(bit(0));
        capture.now_us += if bit(4) { 10_000_000 } else { 200 };
        let said = match bytes.split_first() {
            Some((&first, payload)) if bit(1) => frame(first, payload, from == 0),
            _ => bytes.to_vec(),
        };
        let mut said = [std::mem::take(&mut capture.held[from]), said].concat();
        if bit(5) {
            std::mem::swap(&mut capture.held[from], &mut said);
        }
        let size = if bit(2) { 3 } else { 60_000 };
        for piece in said.chunks(size) {
            capture.put(from, ACK, piece, !bit(3));
            if bit(7) {
                capture.next[from] = capture.next[from].wrapping_sub(piece.len() as u32);
                capture.put(from, ACK, piece, true);
            }
        }
        if bit(6) {
            capture.put(from, ACK | 0x01, &[], true);
        }
    }
    capture.file
}

/// The field of the 101.
fn extensions(agreed: u8) -> String {
    let bits = [agreed >> 2 & 7, agreed >> 5];
    if bits == [0, 0] {
        return String::new();
    }
    let mut field = "Sec-WebSocket-Extensions: permessage-deflate".to_owned();
    for (side, name) in ["client", "server"].into_iter().enumerate() {
        if agreed >> side & 1 == 1 {
            field += &format!("; {name}_no_context_takeover");
        }
        field += &format!("; {name}_max_window_bits={}", 8 + bits[side]);
    }
    field + "\r\n"
}

/// A frame with its length in the shortest form, so that mutations of the payload need not mend it.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        n @ 0..=125 => bytes.push(mask_bit | n as u8),
        n => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    if masked {
        bytes.extend_from_slice(&mask);
    }
    let key = if masked { mask } else { [0; 4] };
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl Capture {
    /// One segment; not written where it was lost.
    fn put(&mut self, from: usize, flags: u8, payload: &[u8], captured: bool) {
        let ends = [([192, 0, 2, 1], 40_000_u16), ([192, 0, 2, 2], 80)];
        let (own, peer) = (ends[from], ends[1 - from]);
        let length = 40 + payload.len() as u32;
        if captured {
            for word in [self.now_us / 1_000_000, self.now_us % 1_000_000, length, length] {
                self.file.extend_from_slice(&word.to_le_bytes());
            }
            let file = &mut self.file;
            file.extend_from_slice(&[0x45, 0]);
            file.extend_from_slice(&(length as u16).to_be_bytes());
            file.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
            file.extend_from_slice(&own.0);
            file.extend_from_slice(&peer.0);
            file.extend_from_slice(&own.1.to_be_bytes());
            file.extend_from_slice(&peer.1.to_be_bytes());
            file.extend_from_slice(&self.next[from].to_be_bytes());
            let ack = if flags & ACK == 0 { 0 } else { self.next[1 - from] };
            file.extend_from_slice(&ack.to_be_bytes());
            file.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            file.extend_from_slice(payload);
        }
        let takes = payload.len() as u32 + u32::from(flags & 0x03 != 0);
        self.next[from] = self.next[from].wrapping_add(takes);
    }
}
