//! Wrong accepts that show in the text itself: the right digest, written wrongly.

use super::expected;
use super::hash::Hash;
use super::key::decode;
use super::reading::{Encoding, Reading, strip};
use super::recipe::{Recipe, encoding_kind};

/// Characters of the right value that must be there before a cut one is recognised.
const ENOUGH: usize = 4;

/// The recipe of a wrong accept that needs no guess about what was hashed. `None`: not this.
pub(super) fn shape(key: &[u8], found: &[u8], readings: &[Reading]) -> Option<Recipe> {
    let right = expected(key);
    let right = right.as_bytes();
    if found.is_empty() {
        return Some(Recipe::shape("truncated", "the field is there but its value is empty"));
    }
    if let Some(rest) = right.strip_prefix(found) {
        if rest == b"=" {
            return Some(Recipe::shape("padding", "it is the right value without its padding (the = at the end)"));
        }
        if found.len() >= ENOUGH {
            let words = format!("it is the right value cut after {} of its {} characters", found.len(), right.len());
            return Some(Recipe::shape("truncated", words));
        }
    }
    if found.strip_prefix(right).is_some_and(|rest| rest.iter().all(|&b| b == b'=')) {
        return Some(Recipe::shape("padding", "it is the right value with more padding (=) than belongs there"));
    }
    if found.eq_ignore_ascii_case(right) {
        let to = match (found.iter().any(u8::is_ascii_uppercase), found.iter().any(u8::is_ascii_lowercase)) {
            (false, _) => "made lower case",
            (_, false) => "made upper case",
            _ => "of another case",
        };
        let words = format!("it is the right value with letters {to}; in base64 a and A are two different values");
        return Some(Recipe::shape("case-changed", words));
    }
    let bare = strip(found);
    if bare == right {
        return Some(Recipe::shape("whitespace-quoted", "it is the right value with quotes, white space or NUL in it"));
    }
    if bare == key {
        return Some(Recipe::shape("echoed-key", "it is the key of the request, sent back without hashing"));
    }
    if !key.is_empty() && decode(&bare).as_deref() == Some(key) {
        return Some(Recipe::shape("echoed-key", "it is the key of the request in base64, without hashing"));
    }
    digest(key, readings).or_else(|| around(found, right))
}

/// The right digest in another encoding, or cut.
fn digest(key: &[u8], readings: &[Reading]) -> Option<Recipe> {
    let sum = Hash::Sha1.of(&[key, super::GUID.as_bytes()]);
    let reading = readings.iter().find(|r| r.is(sum.as_slice()))?;
    let cut = reading.digest.len() < sum.as_slice().len();
    let mut words = match reading.encoding {
        Encoding::Base64 if cut => "it is the right digest".to_owned(),
        Encoding::Base64 => {
            "it is the right digest, but its last base64 character sets bits that must be zero".to_owned()
        }
        Encoding::UrlSafe => "it is the right value in the URL-safe base64 alphabet (- and _ for + and /)".to_owned(),
        Encoding::Base64Twice => "it is the right value encoded in base64 a second time".to_owned(),
        Encoding::Hex => "it is the right digest in hex; it must be in base64".to_owned(),
        Encoding::Base64OfHex { upper } => format!(
            "it is base64 of the right digest's hex digits ({} case); it must be base64 of the 20 bytes themselves",
            if upper { "upper" } else { "lower" }
        ),
        Encoding::WordsSwapped => {
            "it is the right digest with the bytes of each 32-bit word in reverse: a SHA-1 that mistakes the byte order"
                .to_owned()
        }
    };
    if cut {
        words.push_str(&format!(", cut to its first {} of {} bytes", reading.digest.len(), sum.as_slice().len()));
    }
    Some(Recipe::shape(encoding_kind(reading.encoding, cut), words))
}

/// The right value with foreign text around it. No kind of the list has a name for that.
fn around(found: &[u8], right: &[u8]) -> Option<Recipe> {
    let at = memchr::memmem::find(found, right)?;
    let behind = found.len() - at - right.len();
    let words = match (at, behind) {
        (0, n) => format!("it is the right value with {n} more characters behind it"),
        (n, 0) => format!("it is the right value with {n} more characters before it"),
        (n, m) => format!("it is the right value with {n} more characters before and {m} behind it"),
    };
    Some(Recipe::shape("unexplained", words))
}
