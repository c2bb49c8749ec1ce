//! What follows a 101: first bytes kept, frames counted, Close frames read, the end told.

use crate::base::limits;
use crate::model::Close;
use crate::wire::websocket::{Header, unmask};

/// A Close frame as far as it was seen.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    header: Option<Header>,
    payload: Vec<u8>,
}

/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES: usize = 125;

/// Gathers a Close frame from what the frame counter passes on.
pub fn collect(closing: &mut Option<Closing>, header: Option<&Header>, bytes: &[u8]) {
    let closing = closing.get_or_insert_default();
    if let Some(header) = header {
        closing.header = Some(*header);
    }
    let room = CONTROL_BYTES.saturating_sub(closing.payload.len());
    closing.payload.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl Closing {
    /// Adds what a later segment brought.
    pub fn join(&mut self, more: &Closing) {
        if self.header.is_none() {
            self.header = more.header;
        }
        let room = CONTROL_BYTES.saturating_sub(self.payload.len());
        self.payload.extend_from_slice(&more.payload[..more.payload.len().min(room)]);
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

/// Adds to a preview up to its limit. `true`: it is full.
pub fn preview(kept: &mut Vec<u8>, data: &[u8]) -> bool {
    let room = limits::ODD_PREVIEW_BYTES.saturating_sub(kept.len());
    kept.extend_from_slice(&data[..data.len().min(room)]);
    kept.len() >= limits::ODD_PREVIEW_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::websocket::header;

    #[test]
    fn a_masked_close_is_read_across_pieces() {
        let frame = [0x88, 0x84, 1, 2, 3, 4, 3 ^ 1, 0xe8 ^ 2, b'o' ^ 3, b'k' ^ 4];
        let head = header(&frame);
        let mut first = None;
        collect(&mut first, head.as_ref(), &frame[6..7]);
        let mut second = None;
        collect(&mut second, None, &frame[7..]);
        let mut closing = first.unwrap_or_default();
        closing.join(&second.unwrap_or_default());
        assert_eq!(closing.read(), Close { code: Some(1000), reason: b"ok"[..].into() });
    }
}
