//! What servers do to the key before they hash it, though they must not (RFC 6455 §4.2.2 item 5.4).

use std::borrow::Cow;

use super::hash::hex;
use super::key::decode;

/// The longest key whose alterations are tried, in bytes. A good one has 24.
const LONGEST: usize = 128;

/// Text put around the key, and how to say it.
const WRAPS: [(&str, &str, &str); 20] = [
    ("", "\n", "the key with a line feed behind it"),
    ("", "\r\n", "the key with its line end (CR LF) behind it"),
    (" ", "", "the key with the space before it"),
    ("", " ", "the key with a space behind it"),
    ("", "\0", "the key with the NUL that ends a C string"),
    ("\"", "\"", "the key in double quotes"),
    ("'", "'", "the key in single quotes"),
    ("b'", "'", "the key as Python prints bytes (b'…')"),
    ("", "\r", "the key with a CR behind it"),
    ("\n", "", "the key with a line feed before it"),
    (" ", " ", "the key with spaces around it"),
    ("", "\t", "the key with a tab behind it"),
    ("", "=", "the key with one more ="),
    ("", "==", "the key with two more ="),
    ("Sec-WebSocket-Key: ", "", "the whole field line, not its value"),
    ("Sec-WebSocket-Key: ", "\r\n", "the whole field line with its line end"),
    ("Sec-WebSocket-Key:", "", "the whole field line without its space"),
    ("sec-websocket-key: ", "", "the whole field line in lower case"),
    (": ", "", "the key with the colon and space before it"),
    (":", "", "the key with the colon before it"),
];

/// Words hashed in place of the key.
const LITERALS: [&str; 11] =
    ["", "null", "undefined", "None", "nil", "[object Object]", "NULL", "(null)", "NaN", "false", "0"];

/// What was done to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyWay {
    AsSent,
    /// Its 16 bytes.
    Decoded,
    DecodedHex {
        upper: bool,
    },
    /// Its 16 bytes, each taken for a character and written in UTF-8.
    DecodedUtf8,
    /// Its 16 bytes, what is not UTF-8 among them replaced by U+FFFD.
    DecodedLossy,
    /// An entry of [`WRAPS`].
    Wrapped(usize),
    /// An entry of [`LITERALS`].
    Literal(usize),
    Lower,
    Upper,
    NoPadding,
    /// `+` made a space and `%XX` a byte, as in a form.
    FormDecoded,
    PercentDecoded,
    PercentEncoded,
    UrlSafe,
    /// Only its first characters.
    First(usize),
    /// Without its first characters.
    From(usize),
    Reversed,
    Base64Again,
}

impl KeyWay {
    /// The likeliest few.
    pub(super) const MAIN: [KeyWay; 6] = [
        KeyWay::AsSent,
        KeyWay::Decoded,
        KeyWay::NoPadding,
        KeyWay::Wrapped(0),
        KeyWay::Wrapped(1),
        KeyWay::Literal(0),
    ];

    /// Every way for a key of `len` bytes, the likely first.
    pub(super) fn all(len: usize) -> Vec<KeyWay> {
        let mut all = vec![KeyWay::AsSent, KeyWay::Decoded, KeyWay::NoPadding];
        all.extend((0..WRAPS.len()).map(KeyWay::Wrapped));
        all.extend((0..LITERALS.len()).map(KeyWay::Literal));
        all.extend([
            KeyWay::Lower,
            KeyWay::Upper,
            KeyWay::DecodedHex { upper: false },
            KeyWay::DecodedHex { upper: true },
            KeyWay::FormDecoded,
            KeyWay::PercentDecoded,
            KeyWay::PercentEncoded,
            KeyWay::UrlSafe,
            KeyWay::DecodedUtf8,
            KeyWay::DecodedLossy,
            KeyWay::Base64Again,
            KeyWay::Reversed,
        ]);
        let len = len.min(LONGEST);
        all.extend((1..len).rev().map(KeyWay::First));
        all.extend((1..len).map(KeyWay::From));
        all
    }

    /// The bytes that are hashed for this key. `None` where this way leaves the key as it is, or does
    /// not apply to it.
    pub(super) fn apply<'a>(self, key: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self == KeyWay::AsSent {
            return Some(Cow::Borrowed(key));
        }
        if key.len() > LONGEST {
            return None;
        }
        let made: Cow<'a, [u8]> = match self {
            KeyWay::AsSent => Cow::Borrowed(key),
            KeyWay::Decoded => Cow::Owned(decode(key)?),
            KeyWay::DecodedHex { upper } => Cow::Owned(hex(&decode(key)?, upper)),
            KeyWay::DecodedUtf8 => {
                Cow::Owned(decode(key)?.into_iter().map(char::from).collect::<String>().into_bytes())
            }
            KeyWay::DecodedLossy => {
                let bytes = decode(key)?;
                Cow::Owned(String::from_utf8_lossy(&bytes).into_owned().into_bytes())
            }
            KeyWay::Wrapped(i) => {
                let (before, behind, _) = WRAPS.get(i)?;
                Cow::Owned([before.as_bytes(), key, behind.as_bytes()].concat())
            }
            KeyWay::Literal(i) => Cow::Borrowed(LITERALS.get(i)?.as_bytes()),
            KeyWay::Lower => Cow::Owned(key.to_ascii_lowercase()),
            KeyWay::Upper => Cow::Owned(key.to_ascii_uppercase()),
            KeyWay::NoPadding => Cow::Borrowed(without_padding(key)),
            KeyWay::FormDecoded => Cow::Owned(percent_decoded(key, true)),
            KeyWay::PercentDecoded => Cow::Owned(percent_decoded(key, false)),
            KeyWay::PercentEncoded => Cow::Owned(percent_encoded(key)),
            KeyWay::UrlSafe => Cow::Owned(url_safe(key)),
            // Cutting the padding alone is `NoPadding`.
            KeyWay::First(n) if n == without_padding(key).len() => return None,
            KeyWay::First(n) => Cow::Borrowed(key.get(..n)?),
            KeyWay::From(n) => Cow::Borrowed(key.get(n..)?),
            KeyWay::Reversed => Cow::Owned(key.iter().rev().copied().collect()),
            KeyWay::Base64Again => {
                use base64::Engine as _;
                Cow::Owned(base64::engine::general_purpose::STANDARD.encode(key).into_bytes())
            }
        };
        (made != key).then_some(made)
    }

    /// What was hashed for the key, in words: "the key with …".
    pub(super) fn words(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            KeyWay::AsSent => "the key",
            KeyWay::Decoded => "the bytes that the key decodes to (it must be hashed as the text that was sent)",
            KeyWay::DecodedHex { .. } => "the bytes that the key decodes to, written in hex",
            KeyWay::DecodedUtf8 => "the bytes that the key decodes to, taken for characters and written in UTF-8",
            KeyWay::DecodedLossy => "the bytes that the key decodes to, forced into UTF-8",
            KeyWay::Wrapped(i) => WRAPS.get(i).map_or("the key with text around it", |w| w.2),
            KeyWay::Literal(0) => "an empty key (the field was not found or not read)",
            KeyWay::Literal(i) => {
                let word = LITERALS.get(i).copied().unwrap_or_default();
                return Cow::Owned(format!(
                    "the word \"{word}\" in place of the key (the field was not found or not read)"
                ));
            }
            KeyWay::Lower => "the key in lower case",
            KeyWay::Upper => "the key in upper case",
            KeyWay::NoPadding => "the key without its padding (=)",
            KeyWay::FormDecoded => "the key decoded as if it stood in a form (+ made a space)",
            KeyWay::PercentDecoded => "the key percent-decoded",
            KeyWay::PercentEncoded => "the key percent-encoded",
            KeyWay::UrlSafe => "the key in the URL-safe alphabet (- and _ for + and /)",
            KeyWay::First(n) => {
                return Cow::Owned(format!("only the first {n} characters of the key (cut by a buffer)"));
            }
            KeyWay::From(1) => "the key without its first character",
            KeyWay::From(n) => return Cow::Owned(format!("the key without its first {n} characters")),
            KeyWay::Reversed => "the key backwards",
            KeyWay::Base64Again => "the key encoded in base64 once more",
        })
    }

    /// The kind of the closed list. `None`: the key as sent.
    pub(super) fn kind(self) -> Option<&'static str> {
        Some(match self {
            KeyWay::AsSent => return None,
            KeyWay::Decoded | KeyWay::DecodedHex { .. } | KeyWay::DecodedUtf8 | KeyWay::DecodedLossy => "key-decoded",
            KeyWay::Literal(_) => "key-literal",
            _ => "key-altered",
        })
    }
}

fn without_padding(key: &[u8]) -> &[u8] {
    let padding = key.iter().rev().take_while(|&&b| b == b'=').count();
    key.get(..key.len() - padding).unwrap_or_default()
}

fn percent_decoded(key: &[u8], form: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key;
    loop {
        rest = match rest {
            [] => return out,
            [b'%', high, low, tail @ ..] => match super::hash::unhex(&[*high, *low]).as_deref() {
                Some([byte]) => {
                    out.push(*byte);
                    tail
                }
                _ => {
                    out.push(b'%');
                    rest.get(1..).unwrap_or_default()
                }
            },
            [b'+', tail @ ..] if form => {
                out.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

fn percent_encoded(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    for &b in key {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(b);
        } else {
            out.push(b'%');
            out.extend(hex(&[b], true));
        }
    }
    out
}

fn url_safe(key: &[u8]) -> Vec<u8> {
    key.iter()
        .map(|b| match b {
            b'+' => b'-',
            b'/' => b'_',
            b => *b,
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_changes_nothing_is_no_way() {
        assert_eq!(KeyWay::Lower.apply(b"abc"), None);
        assert_eq!(KeyWay::FormDecoded.apply(b"abc=="), None);
        assert_eq!(KeyWay::Decoded.apply(b"!"), None);
    }

    #[test]
    fn forms_and_percent_signs_are_decoded() {
        assert_eq!(&*KeyWay::FormDecoded.apply(b"a+b%3D%zz%").unwrap(), b"a b=%zz%");
        assert_eq!(&*KeyWay::PercentDecoded.apply(b"a+b%3d").unwrap(), b"a+b=");
        assert_eq!(&*KeyWay::PercentEncoded.apply(b"a+/=").unwrap(), b"a%2B%2F%3D");
    }

    #[test]
    fn a_huge_key_is_tried_as_sent_only() {
        let key = vec![b'A'; 100_000];
        assert!(KeyWay::all(key.len()).into_iter().filter(|w| w.apply(&key).is_some()).count() == 1);
    }
}
