//! The opening handshake's two values, computed here and not by the program under test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2 item 5.4).
pub(crate) fn accept(key: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(key.as_bytes());
    sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha.finalize())
}

/// A valid key from any 16 bytes (RFC 6455 §4.1 item 7).
pub(crate) fn key(bytes: [u8; 16]) -> String {
    STANDARD.encode(bytes)
}
