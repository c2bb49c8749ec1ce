//! Sec-WebSocket-Accept (RFC 6455 §4.2.2): the right one for a key, what is wrong with a key, and
//! how a wrong accept was probably computed.

mod explain;
mod guid_way;
mod hash;
mod key;
mod key_way;
mod reading;
mod recipe;
mod search;
mod shape;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

pub use explain::{explain, explain_within, what_it_is};
pub use key::{KeyForm, key_form};
pub use recipe::Recipe;

/// The GUID of RFC 6455 §1.3.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The accept that belongs to a key: base64 of SHA-1 of key and GUID. The key is taken as it stands,
/// without the white space around it.
pub fn expected(key: &[u8]) -> String {
    let mut sha = Sha1::new();
    sha.update(key);
    sha.update(GUID.as_bytes());
    STANDARD.encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_rfc_6455_gives_its_accept() {
        assert_eq!(expected(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_constant_key_of_an_http2_bridge_gives_its_accept() {
        assert_eq!(expected(b"MDAwMDAwMDAwMDAwMDAwMA=="), "tb403IRLas8CVkLDneo/uRhHmBg=");
    }
}
