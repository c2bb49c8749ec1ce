//! TLS as bytes (RFC 5246, RFC 8446): records, handshake messages, hellos, alerts, suites. Pure
//! functions; what is cut short or malformed gives `None` or less, never a panic.

pub mod alert;
pub mod handshake;
pub mod hello;
pub mod reader;
pub mod record;
pub mod suite;

/// Versions as they stand on the wire (RFC 8446 §4.2.1).
pub const TLS_1_2: u16 = 0x0303;
pub const TLS_1_3: u16 = 0x0304;

/// A version in words. `None`: not one of SSL 3.0 to TLS 1.3.
pub fn version_name(version: u16) -> Option<&'static str> {
    match version {
        0x0300 => Some("SSL 3.0"),
        0x0301 => Some("TLS 1.0"),
        0x0302 => Some("TLS 1.1"),
        TLS_1_2 => Some("TLS 1.2"),
        TLS_1_3 => Some("TLS 1.3"),
        _ => None,
    }
}
