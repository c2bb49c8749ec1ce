//! What follows a 101, or frames without their handshake: first bytes kept, the first Close frame read.

use crate::base::limits;
use crate::model::Close;
use crate::wire::websocket::{self, Header, unmask};

use super::websocket::Ear;

/// The first Close frame of one direction, as far as it was seen. Hears nothing else.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    header: Option<Header>,
    payload: Vec<u8>,
}

/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES: usize = 125;

impl Closing {
    /// Whether there was one.
    pub fn is_seen(&self) -> bool {
        self.header.is_some()
    }

    /// The code and reason (RFC 6455 §5.5.1), as far as they were seen.
    pub fn read(&self) -> Close {
        let mut payload = self.payload.clone();
        if let Some(mask) = self.header.and_then(|h| h.mask) {
            unmask(&mut payload, mask, 0);
        }
        match payload.as_slice() {
            [a, b, reason @ ..] => Close { code: Some(u16::from_be_bytes([*a, *b])), reason: reason.into() },
            _ => Close::default(),
        }
    }
}

impl Ear for Closing {
    fn frame(&mut self, header: &Header, _: usize) -> bool {
        let first = header.opcode == websocket::CLOSE && self.header.is_none();
        if first {
            self.header = Some(*header);
        }
        first
    }

    fn payload(&mut self, bytes: &[u8]) {
        let room = CONTROL_BYTES.saturating_sub(self.payload.len());
        self.payload.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn over(&mut self) {}
    fn missed(&mut self, _: bool) {}
    fn lost(&mut self) {}
    fn endless(&mut self, _: &Header, _: usize) {}
}

/// Adds to a preview up to its limit. `true`: it is full.
pub fn preview(kept: &mut Vec<u8>, data: &[u8]) -> bool {
    let room = limits::ODD_PREVIEW_BYTES.saturating_sub(kept.len());
    kept.extend_from_slice(&data[..data.len().min(room)]);
    kept.len() >= limits::ODD_PREVIEW_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::websocket::Frames;

    #[test]
    fn a_masked_close_is_read_across_pieces() {
        let frame = [0x88, 0x84, 1, 2, 3, 4, 3 ^ 1, 0xe8 ^ 2, b'o' ^ 3, b'k' ^ 4];
        for cut in 0..=frame.len() {
            let (mut frames, mut closing) = (Frames::default(), Closing::default());
            for piece in [&frame[..cut], &frame[cut..]] {
                frames.push(piece, true, &mut closing);
            }
            assert_eq!(closing.read(), Close { code: Some(1000), reason: b"ok"[..].into() });
        }
    }
}
