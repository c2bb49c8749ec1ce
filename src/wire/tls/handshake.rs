//! The header of a handshake message (RFC 8446 §4, RFC 5246 §7.4).

/// Bytes of the header.
pub const HEADER_BYTES: usize = 4;

/// Message types.
pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const END_OF_EARLY_DATA: u8 = 5;
pub const ENCRYPTED_EXTENSIONS: u8 = 8;
pub const FINISHED: u8 = 20;
pub const KEY_UPDATE: u8 = 24;

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    /// Bytes of the body, up to 2^24 - 1.
    pub length: u32,
}

/// Reads a message's header. `None`: fewer than four bytes.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let &[kind, a, b, c] = bytes.first_chunk()?;
    Some(Header { kind, length: u32::from_be_bytes([0, a, b, c]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_three_bytes() {
        assert_eq!(header(&[1, 1, 2, 3, 9]), Some(Header { kind: 1, length: 0x01_0203 }));
        assert_eq!(header(&[1, 1, 2]), None);
    }
}
