//! What bytes look like that are not what they should be. Not a rule: several rules word it.

/// What these first bytes of a stream look like, with an article: `a TLS alert`. Never empty.
pub(in crate::rules) fn looks_like(bytes: &[u8]) -> &'static str {
    if let Some((_, name)) = PREFIXES.iter().find(|(prefix, _)| bytes.starts_with(prefix)) {
        return name;
    }
    match bytes {
        [] => "nothing",
        // RFC 8446 §5.1: content type, then the record version 3.x.
        [0x15, 3, 0..=4, ..] => "a TLS alert (this port speaks TLS)",
        [0x14..=0x17, 3, 0..=4, ..] => "TLS",
        // RFC 9113 §4.1: a server's connection preface is a SETTINGS frame on stream 0.
        [0, 0, _, 4, 0 | 1, 0, 0, 0, 0, ..] => "an HTTP/2 SETTINGS frame (this port speaks HTTP/2 only)",
        [0x81 | 0x82 | 0x88 | 0x89 | 0x8a, 0..=127, ..] => "a WebSocket frame",
        // MySQL: three bytes of length, sequence 0, protocol 10, then the version as text.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] => "a MySQL greeting",
        _ if bytes.trim_ascii_start().starts_with(b"<") => "HTML without a status line (HTTP/0.9)",
        _ if bytes.trim_ascii_start().starts_with(b"{") => "JSON without a status line",
        _ if is_request(bytes) => REQUEST,
        _ if is_text(bytes) => "text that is no status line",
        _ => "binary data",
    }
}

/// What stands where a method and a path do.
pub(super) const REQUEST: &str = "an HTTP request";

/// Whether it begins with a method in capitals and a path (RFC 9112 §3).
fn is_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|b| b.is_ascii_uppercase()).count();
    (3..=10).contains(&method) && bytes.get(method..).is_some_and(|rest| rest.starts_with(b" /"))
}

/// Longer before shorter, where one begins with the other.
const PREFIXES: &[(&[u8], &str)] = &[
    (b"SSH-", "an SSH banner"),
    (b"220-", "an SMTP or FTP greeting"),
    (b"220 ", "an SMTP or FTP greeting"),
    (b"554 ", "an SMTP or FTP greeting"),
    (b"421 ", "an SMTP or FTP greeting"),
    (b"+OK", "a POP3 greeting or a Redis answer"),
    (b"-ERR", "a POP3 or Redis error"),
    (b"* OK", "an IMAP greeting"),
    (b"RFB 00", "a VNC greeting"),
    (b"AMQP", "AMQP"),
    (b"PRI * HTTP/2", "an HTTP/2 client's preface"),
    (b"PROXY ", "a PROXY protocol header"),
    (b"\r\n\r\n\0\r\nQUIT\n", "a PROXY protocol header"),
    (b"INFO {", "a NATS greeting"),
    (b"HTTP/2", "an HTTP/2 status line in text"),
    (b"HTTP/", "a malformed status line"),
    (b"ICY ", "a Shoutcast status line"),
    (b"RTSP/", "an RTSP status line"),
    (b"SIP/", "a SIP status line"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xff\xfb", "Telnet"),
    (b"\xff\xfd", "Telnet"),
];

/// Whether it reads as text: printable or white space throughout.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|s| s.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_protocols_are_recognised() {
        for (bytes, name) in [
            (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "a TLS alert (this port speaks TLS)"),
            (b"\x16\x03\x03\x00\x05", "TLS"),
            (b"SSH-2.0-OpenSSH_9\r\n", "an SSH banner"),
            (b"220 mail ESMTP\r\n", "an SMTP or FTP greeting"),
            (b"\0\0\x06\x04\0\0\0\0\0", "an HTTP/2 SETTINGS frame (this port speaks HTTP/2 only)"),
            (b"\x81\x05hello", "a WebSocket frame"),
            (b" <html>", "HTML without a status line (HTTP/0.9)"),
            (b"oops\n", "text that is no status line"),
            (b"GET /status HTTP", "an HTTP request"),
            (b"GO /", "text that is no status line"),
            (b"\x01\x02\xff", "binary data"),
            (b"", "nothing"),
        ] {
            assert_eq!(looks_like(bytes), name);
        }
    }
}
