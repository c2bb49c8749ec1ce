//! What digest an accept can be read as: the ways in which servers write one.

use super::hash::unhex;
use super::key::decode;

/// The longest text that is read at all, in bytes: SHA-512 in hex, in base64 twice, has 232.
const LONGEST: usize = 256;

/// Bytes of a digest that must be there before a match means anything: 2⁻⁶⁴ is the chance of one by
/// accident for each try.
const SHORTEST: usize = 8;

/// How the digest was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Base64,
    UrlSafe,
    /// Base64 of the base64 text.
    Base64Twice,
    Hex,
    /// Base64 of the hex digits.
    Base64OfHex {
        upper: bool,
    },
    /// Base64 of the digest with the bytes of each 32-bit word in reverse.
    WordsSwapped,
}

impl Encoding {
    /// Completes "SHA-1 of …": empty where it is as it should be.
    pub(super) fn words(self) -> &'static str {
        match self {
            Encoding::Base64 => "",
            Encoding::UrlSafe => ", in the URL-safe base64 alphabet",
            Encoding::Base64Twice => ", in base64 twice",
            Encoding::Hex => ", in hex instead of base64",
            Encoding::Base64OfHex { .. } => ", as hex digits in base64",
            Encoding::WordsSwapped => ", with the bytes of each 32-bit word in reverse",
        }
    }
}

/// One way of reading an accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The digest, or its first bytes; 8 at least.
    pub(super) digest: Vec<u8>,
    pub(super) encoding: Encoding,
}

impl Reading {
    /// Whether `sum` is this digest, or begins with it: then the accept was cut.
    pub(super) fn is(&self, sum: &[u8]) -> bool {
        sum.starts_with(&self.digest)
    }
}

/// All ways of reading an accept, the plain one first. White space, quotes and NUL around or in it
/// are passed over.
pub(super) fn readings(found: &[u8]) -> Vec<Reading> {
    let text = strip(found);
    if text.len() > LONGEST {
        return Vec::new();
    }
    let mut all = Vec::new();
    let mut add = |digest: Vec<u8>, encoding| {
        if (SHORTEST..=64).contains(&digest.len()) {
            all.push(Reading { digest, encoding });
        }
    };
    if let Some(digest) = unhex(&text) {
        add(digest, Encoding::Hex);
    }
    if let Some(raw) = decode(&text) {
        let url_safe = text.iter().any(|b| matches!(b, b'-' | b'_'));
        if let Some(digest) = unhex(&raw) {
            add(digest, Encoding::Base64OfHex { upper: raw.iter().any(u8::is_ascii_uppercase) });
        }
        if let Some(digest) = decode(strip(&raw).as_slice()) {
            add(digest, Encoding::Base64Twice);
        }
        let (words, rest) = raw.as_chunks::<4>();
        if rest.is_empty() {
            add(words.iter().flat_map(|&[a, b, c, d]| [d, c, b, a]).collect(), Encoding::WordsSwapped);
        }
        add(raw, if url_safe { Encoding::UrlSafe } else { Encoding::Base64 });
    }
    all.reverse();
    all
}

/// Without white space, quotes and NUL anywhere.
pub(super) fn strip(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hex_digest_is_read_as_hex() {
        let all = readings(b"b37a4f2cc0624f1690f64606cf385945b2bec4ea");
        assert!(all.iter().any(|r| r.encoding == Encoding::Hex && r.digest.len() == 20));
    }

    #[test]
    fn what_is_no_text_of_a_digest_is_read_as_nothing() {
        assert!(readings(b"").is_empty());
        assert!(readings(b"!!!").is_empty());
        assert!(readings(b"AAAA").is_empty());
        assert!(readings(&[b'A'; 100_000]).is_empty());
    }
}
