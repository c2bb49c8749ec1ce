//! Read with RFC 4648 §4 open. The form of `Sec-WebSocket-Key`: strict base64 of 16 octets
//! (RFC 6455 §4.1 item 7).

/// What a key looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// Base64 of 16 octets.
    Good,
    /// Base64, but of this many octets.
    Octets(usize),
    /// No base64; why, in words that go on "the key".
    Malformed(&'static str),
}

/// Judges a key as sent, without the white space around it.
pub(super) fn key_form(key: &[u8]) -> KeyForm {
    let body = key.strip_suffix(b"==").or_else(|| key.strip_suffix(b"=")).unwrap_or(key);
    if let [b'"', .., b'"'] | [b'\'', .., b'\''] = key {
        return KeyForm::Malformed("is in quotes");
    }
    if body.contains(&b'=') {
        return KeyForm::Malformed("has padding (`=`) where none belongs");
    }
    if body.iter().any(|b| matches!(b, b'-' | b'_')) {
        return KeyForm::Malformed("uses the URL-safe alphabet (`-`, `_`) instead of `+` and `/`");
    }
    if body.iter().any(|&b| sextet(b).is_none()) {
        return KeyForm::Malformed("has a character that base64 does not know");
    }
    if !key.len().is_multiple_of(4) || body.len() % 4 == 1 {
        return KeyForm::Malformed("has wrong or missing padding (`=`)");
    }
    // Two or three characters in the last group leave four or two bits that must be zero.
    let unused = match body.len() % 4 {
        2 => 0x0f,
        3 => 0x03,
        _ => 0,
    };
    if body.last().and_then(|&b| sextet(b)).is_some_and(|last| last & unused != 0) {
        return KeyForm::Malformed("has bits set in its last character that must be zero");
    }
    match body.len() / 4 * 3 + (body.len() % 4).saturating_sub(1) {
        16 => KeyForm::Good,
        octets => KeyForm::Octets(octets),
    }
}

/// The six bits of a base64 character; `None` for any other.
fn sextet(b: u8) -> Option<u8> {
    match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_sixteen_octets_is_good() {
        assert_eq!(key_form(b"dGhlIHNhbXBsZSBub25jZQ=="), KeyForm::Good);
        assert_eq!(key_form(b"AAAAAAAAAAAAAAAAAAAAAA=="), KeyForm::Good);
        assert_eq!(key_form(b"/+8AAAAAAAAAAAAAAAAAAA=="), KeyForm::Good);
    }

    #[test]
    fn other_lengths_are_counted() {
        assert_eq!(key_form(b""), KeyForm::Octets(0));
        assert_eq!(key_form(b"c2hvcnQ="), KeyForm::Octets(5));
        assert_eq!(key_form(b"MDAwMDAwMDAwMDAwMDAwMAo="), KeyForm::Octets(17));
        assert_eq!(key_form(b"AAAA"), KeyForm::Octets(3));
    }

    #[test]
    fn wrong_base64_is_told_apart() {
        for key in [
            &b"dGhlIHNhbXBsZSBub25jZQ"[..],
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZR==",
            b"dGhlIHNhbXBs ZSBub25jZQ==",
            b"dGhl=HNhbXBsZSBub25jZQ==",
            b"dGhlIHNhbXBsZS_ub25jZQ==",
            b"\"dGhlIHNhbXBsZSBub25jZQ==\"",
            b"====",
            b"=",
            b"A",
            b"\xff\xfe",
        ] {
            assert!(matches!(key_form(key), KeyForm::Malformed(_)), "{}", String::from_utf8_lossy(key));
        }
    }
}
