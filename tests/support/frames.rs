//! WebSocket frames as bytes and back (RFC 6455 §5), and permessage-deflate around messages (RFC 7692 §7): what
//! one direction of a connection says, written and read without the program under test.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV1 to RSV3 and the opcode.
    pub first: u8,
    pub mask: Option<[u8; 4]>,
    /// Unmasked.
    pub payload: Vec<u8>,
    /// Where its header begins among the bytes that were read, and its bytes altogether.
    pub at: usize,
    pub length: usize,
}

/// A data message that was said to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub opcode: u8,
    /// Unmasked and inflated.
    pub content: Vec<u8>,
    pub compressed: bool,
    /// Payload bytes on the wire, and the frames that they came in.
    pub wire: usize,
    pub frames: usize,
    /// Of its first frame.
    pub at: usize,
    pub mask: Option<[u8; 4]>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) fn is_control(&self) -> bool {
        self.first & 8 != 0
    }
}

/// One frame in its shortest form; `first` holds FIN, RSV1 to RSV3 and the opcode.
pub(crate) fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let form = match payload.len() {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    frame_of(first, payload, mask, form)
}

/// One frame with its length in a field of 0, 2 or 8 bytes more.
pub(crate) fn frame_of(first: u8, payload: &[u8], mask: Option<[u8; 4]>, form: usize) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, mask, form);
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header alone; what it announces need not follow.
pub(crate) fn header(first: u8, payload: u64, mask: Option<[u8; 4]>, form: usize) -> Vec<u8> {
    let short = match form {
        0 => payload as u8,
        2 => 126,
        _ => 127,
    };
    let mut bytes = vec![first, short | if mask.is_some() { 0x80 } else { 0 }];
    bytes.extend_from_slice(&payload.to_be_bytes()[8 - form..]);
    bytes.extend(mask.into_iter().flatten());
    bytes
}

/// All whole frames at the start of these bytes.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut at, mut all) = (0, Vec::new());
    while let Some(frame) = frame_at(bytes, at) {
        at += frame.length;
        all.push(frame);
    }
    all
}

fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let rest = bytes.get(at..)?;
    let (first, second) = (*rest.first()?, *rest.get(1)?);
    let form = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let field = rest.get(2..2 + form)?.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
    let payload = if form == 0 { usize::from(second & 0x7f) } else { field };
    let mask: Option<[u8; 4]> = match second & 0x80 {
        0 => None,
        _ => Some(rest.get(2 + form..6 + form)?.try_into().expect("four bytes")),
    };
    let begin = 2 + form + mask.map_or(0, |mask| mask.len());
    let masked = rest.get(begin..begin.checked_add(payload)?)?;
    let key = mask.unwrap_or_default();
    let payload = masked.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(Frame { first, mask, payload, at, length: begin + masked.len() })
}

/// The data messages of these frames, each inflated where it has RSV1. Panics where that fails.
pub(crate) fn messages(frames: &[Frame], mut inflater: Option<Inflater>) -> Vec<Message> {
    let (mut all, mut open): (Vec<Message>, Option<Message>) = (Vec::new(), None);
    // What a reserved opcode begins is no message.
    for frame in frames.iter().filter(|frame| frame.opcode() <= BINARY) {
        let message = open.get_or_insert_with(|| Message {
            opcode: frame.opcode(),
            content: Vec::new(),
            compressed: frame.first & RSV1 != 0,
            wire: 0,
            frames: 0,
            at: frame.at,
            mask: frame.mask,
        });
        message.content.extend_from_slice(&frame.payload);
        message.wire += frame.payload.len();
        message.frames += 1;
        if frame.first & FIN != 0
            && let Some(mut message) = open.take()
        {
            if message.compressed {
                let inflater = inflater.as_mut().expect("compression was agreed on");
                message.content = inflater.message(&message.content);
            }
            all.push(message);
        }
    }
    all
}

pub(crate) fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 != 0 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Compresses the messages of one direction (RFC 7692 §7.2.1).
pub(crate) struct Deflater {
    deflate: Compress,
    forgets: bool,
}

impl Deflater {
    /// `bits`: of the window, 9 to 15. `forgets`: no_context_takeover.
    pub(crate) fn new(bits: u8, forgets: bool, level: u32) -> Deflater {
        Deflater { deflate: Compress::new_with_window_bits(Compression::new(level), false, bits), forgets }
    }

    pub(crate) fn message(&mut self, content: &[u8]) -> Vec<u8> {
        // An empty block, of which all but its first byte is taken off (RFC 7692 §7.2.3.6).
        if content.is_empty() {
            return vec![0];
        }
        let mut bytes = self.flushed(content);
        assert!(bytes.ends_with(TRAILER), "a flush ends in an empty block");
        bytes.truncate(bytes.len() - TRAILER.len());
        bytes
    }

    /// With the four bytes that its sender has to take off.
    pub(crate) fn flushed(&mut self, content: &[u8]) -> Vec<u8> {
        if self.forgets {
            self.deflate.reset();
        }
        let mut bytes = Vec::with_capacity(content.len() + content.len() / 8 + 1_024);
        self.deflate.compress_vec(content, &mut bytes, FlushCompress::Sync).expect("memory takes it");
        assert!(bytes.len() < bytes.capacity(), "all of it came out");
        bytes
    }
}

/// What stands behind each flush.
pub(crate) const TRAILER: &[u8] = &[0, 0, 0xff, 0xff];

/// Inflates the messages of one direction (RFC 7692 §7.2.2), whatever window they were compressed with.
pub(crate) struct Inflater {
    inflate: Decompress,
    forgets: bool,
}

impl Inflater {
    pub(crate) fn new(forgets: bool) -> Inflater {
        Inflater { inflate: Decompress::new(false), forgets }
    }

    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.forgets {
            self.inflate.reset(false);
        }
        let bytes = [payload, TRAILER].concat();
        let (begin, mut content) = (self.inflate.total_in(), Vec::new());
        loop {
            let used = (self.inflate.total_in() - begin) as usize;
            content.reserve(64 << 10);
            let status = self
                .inflate
                .decompress_vec(&bytes[used..], &mut content, FlushDecompress::Sync)
                .expect("compressed data");
            assert!(status != Status::StreamEnd, "no last block in what is inflated here");
            if content.len() < content.capacity() && (self.inflate.total_in() - begin) as usize == bytes.len() {
                return content;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6455_are_written_and_read() {
        let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(frame(FIN | TEXT, b"Hello", mask), masked);
        assert_eq!(frame(TEXT, b"Hel", None), [0x01, 0x03, 0x48, 0x65, 0x6c]);
        assert_eq!(frame(FIN | BINARY, &[0; 256], None)[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(frame(FIN | BINARY, &[0; 65_536], None)[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        let bytes = [&masked[..], &frame(TEXT, b"a", None), &frame(FIN, b"b", None), &[0x81, 0x02, 0x61]].concat();
        let read = frames(&bytes);
        assert_eq!(
            read.iter().map(|f| (f.first, f.at, f.length)).collect::<Vec<_>>(),
            [(0x81, 0, 11), (0x01, 11, 3), (0x80, 14, 3)]
        );
        assert_eq!((read[0].mask, read[0].payload.as_slice()), (mask, &b"Hello"[..]));
        let said = messages(&read, None);
        assert_eq!(
            said.iter().map(|m| (m.content.as_slice(), m.frames)).collect::<Vec<_>>(),
            [(&b"Hello"[..], 1), (&b"ab"[..], 2)]
        );
    }

    #[test]
    fn the_examples_of_rfc_7692_are_written_and_read() {
        // §7.2.3.1, §7.2.3.2.
        let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let mut deflater = Deflater::new(15, false, 6);
        assert_eq!(deflater.message(b"Hello"), first);
        assert_eq!(deflater.message(b"Hello"), [0xf2, 0x00, 0x11, 0x00, 0x00]);
        let mut forgetful = Deflater::new(15, true, 6);
        assert_eq!([forgetful.message(b"Hello"), forgetful.message(b"Hello")], [first, first]);
        let mut inflater = Inflater::new(false);
        assert_eq!(inflater.message(&first), b"Hello");
        assert_eq!(inflater.message(&[0xf2, 0x00, 0x11, 0x00, 0x00]), b"Hello");
        assert_eq!(inflater.message(&[0]), b"");
    }

    #[test]
    fn what_was_compressed_is_inflated_again_for_every_window() {
        let content: Vec<u8> = (0..70_000_u32).flat_map(|n| (n / 7 * n).to_be_bytes()).collect();
        for (bits, forgets) in (9..=15).flat_map(|bits| [(bits, false), (bits, true)]) {
            let (mut deflater, mut inflater) = (Deflater::new(bits, forgets, 6), Inflater::new(forgets));
            for part in [&content[..], &[], &content[..100], &content[50..90_000]] {
                assert_eq!(inflater.message(&deflater.message(part)), part, "{bits} {forgets}");
            }
        }
    }
}
