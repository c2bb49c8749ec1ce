//! Whether a Sec-WebSocket-Key is what RFC 6455 §4.1 item 7 asks for: 16 bytes in base64.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Decodes what base64 libraries of servers accept too: padding or none, unused bits of any value.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// 16 bytes in base64: 22 characters and `==`.
    Good,
    /// Good base64 (RFC 4648 §4) of another number of bytes, 0 for an empty key.
    NotSixteenBytes { len: usize },
    /// No base64. `why` completes a sentence that begins with "the key".
    BadBase64 { why: &'static str },
}

/// Judges a key, taken without the white space around it. Strict: alphabet, padding, and zero in the
/// unused bits of the last character (RFC 4648 §3.5).
pub fn key_form(key: &[u8]) -> KeyForm {
    let padding = key.iter().rev().take_while(|&&b| b == b'=').count();
    let text = key.get(..key.len() - padding).unwrap_or_default();
    if let Some(why) = foreign(text) {
        return KeyForm::BadBase64 { why };
    }
    // Each character carries six bits; one character alone in a group of four carries no whole byte.
    let (want, unused) = match text.len() % 4 {
        0 => (0, 0),
        2 => (2, 0b1111),
        3 => (1, 0b11),
        _ => return KeyForm::BadBase64 { why: "has a length that base64 cannot have" },
    };
    if padding != want {
        let why = match padding {
            0 => "lacks its padding (=)",
            p if p < want => "lacks a part of its padding (=)",
            _ => "has too much padding (=)",
        };
        return KeyForm::BadBase64 { why };
    }
    if text.last().and_then(|&b| sextet(b)).is_some_and(|bits| bits & unused != 0) {
        return KeyForm::BadBase64 { why: "sets bits of its last character that must be zero" };
    }
    match text.len() * 3 / 4 {
        16 => KeyForm::Good,
        len => KeyForm::NotSixteenBytes { len },
    }
}

/// The bytes that a lenient base64 decoder makes of `text`, either alphabet. `None` where it is no
/// base64 at all.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().any(|b| matches!(b, b'-' | b'_')) {
        let standard: Vec<u8> = text
            .iter()
            .map(|b| match b {
                b'-' => b'+',
                b'_' => b'/',
                b => *b,
            })
            .collect();
        return LENIENT.decode(standard).ok();
    }
    LENIENT.decode(text).ok()
}

/// Why the text cannot be base64, going by its characters alone.
fn foreign(text: &[u8]) -> Option<&'static str> {
    let odd = text.iter().copied().find(|&b| sextet(b).is_none())?;
    Some(match odd {
        b'-' | b'_' => "uses the URL-safe alphabet (- and _ where + and / belong)",
        b'"' | b'\'' => "stands in quotes",
        b' ' | b'\t' | b'\r' | b'\n' => "has white space in it",
        b',' => "holds a comma, as if two keys were joined",
        b'=' => "has padding (=) before its end",
        b'%' => "is percent-encoded",
        0..=0x1f | 0x7f => "holds a control character",
        0x80.. => "holds a character that is not ASCII",
        _ => "holds a character that base64 does not have",
    })
}

/// The six bits of a base64 character (RFC 4648 §4).
fn sextet(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_in_base64_are_good() {
        assert_eq!(key_form(b"dGhlIHNhbXBsZSBub25jZQ=="), KeyForm::Good);
        assert_eq!(key_form(b"AAAAAAAAAAAAAAAAAAAAAA=="), KeyForm::Good);
    }

    #[test]
    fn another_number_of_bytes_is_told() {
        assert_eq!(key_form(b""), KeyForm::NotSixteenBytes { len: 0 });
        assert_eq!(key_form(b"Zm9v"), KeyForm::NotSixteenBytes { len: 3 });
        assert_eq!(key_form(b"MDAwMDAwMDAwMDAwMDAwMAo="), KeyForm::NotSixteenBytes { len: 17 });
        assert_eq!(key_form(&[b'A'; 44]), KeyForm::NotSixteenBytes { len: 33 });
    }

    #[test]
    fn base64_is_judged_strictly() {
        for (key, part) in [
            (&b"dGhlIHNhbXBsZSBub25jZQ"[..], "lacks its padding"),
            (b"dGhlIHNhbXBsZSBub25jZQ=", "lacks a part"),
            (b"dGhlIHNhbXBsZSBub25jZQ===", "too much padding"),
            (b"dGhlIHNhbXBsZSBub25jZR==", "must be zero"),
            (b"dGhlIHNhbXBsZSBub25j_Q==", "URL-safe"),
            (b"\"dGhlIHNhbXBsZSBub25jZQ==\"", "quotes"),
            (b"dGhlIHNh bXBsZSBub25jZQ==", "white space"),
            (b"dGhl=HNhbXBsZSBub25jZQ==", "before its end"),
            (b"dGhlI", "length"),
            (b"hello world!", "white space"),
            (b"hello!!!", "does not have"),
            (b"\xff\xfe", "not ASCII"),
        ] {
            match key_form(key) {
                KeyForm::BadBase64 { why } => assert!(why.contains(part), "{why}"),
                other => panic!("{} is {other:?}", String::from_utf8_lossy(key)),
            }
        }
    }

    #[test]
    fn a_key_of_padding_alone_is_no_base64() {
        assert!(matches!(key_form(b"===="), KeyForm::BadBase64 { .. }));
    }
}
