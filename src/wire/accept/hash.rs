//! The digests that servers put into an accept, right and wrong.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A digest of at most 64 bytes.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    bytes: [u8; 64],
    len: usize,
}

impl Sum {
    fn new(digest: &[u8]) -> Self {
        let mut sum = Sum { bytes: [0; 64], len: digest.len().min(64) };
        for (to, from) in sum.bytes.iter_mut().zip(digest) {
            *to = *from;
        }
        sum
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a server hashed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    /// SHA-1 of the 20 bytes of SHA-1.
    Sha1Twice,
    /// SHA-1 of the 40 hex digits of SHA-1.
    Sha1OfHex,
    Md5,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The wrong ones, the likely first.
    pub(super) const WRONG: [Hash; 7] =
        [Hash::Sha256, Hash::Md5, Hash::Sha512, Hash::Sha1Twice, Hash::Sha1OfHex, Hash::Sha384, Hash::Sha224];

    pub(super) fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha1Twice => "SHA-1 of the SHA-1",
            Hash::Sha1OfHex => "SHA-1 of the hex digits of the SHA-1",
            Hash::Md5 => "MD5",
            Hash::Sha224 => "SHA-224",
            Hash::Sha256 => "SHA-256",
            Hash::Sha384 => "SHA-384",
            Hash::Sha512 => "SHA-512",
        }
    }

    /// Length of its digest, in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Hash::Sha1 | Hash::Sha1Twice | Hash::Sha1OfHex => 20,
            Hash::Md5 => 16,
            Hash::Sha224 => 28,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }

    /// The digest of the parts, one behind the other.
    pub(super) fn of(self, parts: &[&[u8]]) -> Sum {
        match self {
            Hash::Sha1 => digest::<Sha1>(parts),
            Hash::Sha1Twice => digest::<Sha1>(&[digest::<Sha1>(parts).as_slice()]),
            Hash::Sha1OfHex => digest::<Sha1>(&[&hex(digest::<Sha1>(parts).as_slice(), false)]),
            Hash::Md5 => digest::<Md5>(parts),
            Hash::Sha224 => digest::<Sha224>(parts),
            Hash::Sha256 => digest::<Sha256>(parts),
            Hash::Sha384 => digest::<Sha384>(parts),
            Hash::Sha512 => digest::<Sha512>(parts),
        }
    }

    /// The HMAC (RFC 2104); `None` for a hash it is not tried with.
    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Option<Sum> {
        match self {
            Hash::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
                mac.update(message);
                Some(Sum::new(&mac.finalize().into_bytes()))
            }
            Hash::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
                mac.update(message);
                Some(Sum::new(&mac.finalize().into_bytes()))
            }
            _ => None,
        }
    }
}

/// Hex digits of `bytes`.
pub(super) fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    let digit = |n: u8| match n {
        0..=9 => b'0' + n,
        _ if upper => b'A' + (n - 10),
        _ => b'a' + (n - 10),
    };
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes that hex digits stand for. `None` where they are not all hex digits, or an odd number.
pub(super) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Sum {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    Sum::new(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        assert_eq!(hex(&[0x0f, 0xa0], false), b"0fa0");
        assert_eq!(hex(&[0x0f, 0xa0], true), b"0FA0");
        assert_eq!(unhex(b"0fA0"), Some(vec![0x0f, 0xa0]));
        assert_eq!(unhex(b"0fa"), None);
        assert_eq!(unhex(b"0g"), None);
    }

    #[test]
    fn every_digest_has_its_length() {
        for hash in Hash::WRONG.into_iter().chain([Hash::Sha1]) {
            assert_eq!(hash.of(&[b"a", b"b"]).as_slice().len(), hash.len(), "{}", hash.name());
        }
    }
}
