//! Takes the protection off one direction's records (RFC 5246 §6.2.3, RFC 8446 §5.2). Authenticated: what does
//! not fit its tag or MAC gives nothing.

use super::aead::{Aead, NONCE_BYTES};
use super::cbc::Cbc;
use crate::wire::tls::record;
use crate::wire::tls::suite::Cipher;

/// Bytes of the part of a nonce that stands in the record (RFC 5288 §3, RFC 6655 §3).
const EXPLICIT_BYTES: usize = 8;

/// Keys of one direction, ready to use.
pub(super) struct Opener {
    how: How,
    /// Bytes that protection adds to a record's content and header. `None`: it depends.
    overhead: Option<u64>,
}

enum How {
    /// TLS 1.3: the nonce is never sent, and the content type stands inside.
    Inner {
        aead: Box<Aead>,
        iv: [u8; NONCE_BYTES],
        tag: usize,
    },
    /// TLS 1.2 with a nonce that is never sent (RFC 7905 §2).
    Implicit {
        aead: Box<Aead>,
        iv: [u8; NONCE_BYTES],
        tag: usize,
    },
    /// TLS 1.2 with half of the nonce in the record.
    Explicit {
        aead: Box<Aead>,
        salt: [u8; NONCE_BYTES - EXPLICIT_BYTES],
        tag: usize,
    },
    Cbc(Box<Cbc>),
}

/// What was inside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Content type.
    pub(super) kind: u8,
    /// Bytes at the front of the buffer that was given.
    pub(super) length: usize,
}

/// Bytes of initial values that a key block of TLS 1.2 has for each direction.
pub(super) fn fixed_iv_bytes(cipher: Cipher) -> usize {
    match cipher {
        Cipher::ChaCha20Poly1305 => NONCE_BYTES,
        Cipher::Aes128Cbc(_) | Cipher::Aes256Cbc(_) | Cipher::Unread => 0,
        _ => NONCE_BYTES - EXPLICIT_BYTES,
    }
}

impl Opener {
    pub(super) fn tls_1_2(cipher: Cipher, key: &[u8], iv: &[u8], mac_key: &[u8], etm: bool) -> Option<Self> {
        if cipher.mac().is_some() {
            return Some(Opener { how: How::Cbc(Box::new(Cbc::new(cipher, key, mac_key, etm)?)), overhead: None });
        }
        let aead = Box::new(Aead::new(cipher, key)?);
        let tag = cipher.tag_bytes();
        let how = match cipher {
            Cipher::ChaCha20Poly1305 => How::Implicit { aead, iv: iv.try_into().ok()?, tag },
            _ => How::Explicit { aead, salt: iv.try_into().ok()?, tag },
        };
        let explicit = if matches!(how, How::Explicit { .. }) { EXPLICIT_BYTES } else { 0 };
        Some(Opener { how, overhead: Some((record::HEADER_BYTES + explicit + tag) as u64) })
    }

    pub(super) fn tls_1_3(cipher: Cipher, key: &[u8], iv: &[u8; NONCE_BYTES]) -> Option<Self> {
        let (aead, tag) = (Box::new(Aead::new(cipher, key)?), cipher.tag_bytes());
        let overhead = Some((record::HEADER_BYTES + 1 + tag) as u64);
        Some(Opener { how: How::Inner { aead, iv: *iv, tag }, overhead })
    }

    /// Bytes that a record is longer than its content, without padding. `None`: with CBC it depends.
    pub(super) fn overhead(&self) -> Option<u64> {
        self.overhead
    }

    /// The content of a record, written to the front of `out`, which must hold `limits::TLS_RECORD_BYTES`.
    /// `None`: it does not fit its tag or MAC, or there is no sense in it.
    #[inline]
    pub(super) fn open(&self, seq: u64, header: &record::Header, body: &[u8], out: &mut [u8]) -> Option<Content> {
        match &self.how {
            How::Inner { aead, iv, tag } => {
                let (text, tag) = body.split_at_checked(body.len().checked_sub(*tag)?)?;
                let room = out.get_mut(..text.len())?;
                if !aead.open(nonce(iv, seq), &header.bytes(), text, tag, room) {
                    return None;
                }
                // The content type is the last byte that is not padding (RFC 8446 §5.4).
                let length = room.iter().rposition(|&b| b != 0)?;
                Some(Content { kind: *room.get(length)?, length })
            }
            How::Implicit { aead, iv, tag } => {
                let (text, tag) = body.split_at_checked(body.len().checked_sub(*tag)?)?;
                let room = out.get_mut(..text.len())?;
                let fits = aead.open(nonce(iv, seq), &aad(seq, header, text.len())?, text, tag, room);
                fits.then_some(Content { kind: header.kind, length: text.len() })
            }
            How::Explicit { aead, salt, tag } => {
                let (explicit, rest) = body.split_first_chunk::<EXPLICIT_BYTES>()?;
                let (text, tag) = rest.split_at_checked(rest.len().checked_sub(*tag)?)?;
                let room = out.get_mut(..text.len())?;
                let mut nonce = [0; NONCE_BYTES];
                let (front, back) = nonce.split_at_mut(salt.len());
                front.copy_from_slice(salt);
                back.copy_from_slice(explicit);
                let fits = aead.open(nonce, &aad(seq, header, text.len())?, text, tag, room);
                fits.then_some(Content { kind: header.kind, length: text.len() })
            }
            How::Cbc(cbc) => {
                let length = cbc.open(seq, header, body, out)?;
                Some(Content { kind: header.kind, length })
            }
        }
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        match &mut self.how {
            How::Inner { iv, .. } | How::Implicit { iv, .. } => iv.zeroize(),
            How::Explicit { salt, .. } => salt.zeroize(),
            How::Cbc(_) => {}
        }
    }
}

/// RFC 8446 §5.3, RFC 7905 §2.
fn nonce(iv: &[u8; NONCE_BYTES], seq: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = *iv;
    for (byte, s) in nonce.iter_mut().skip(NONCE_BYTES - 8).zip(seq.to_be_bytes()) {
        *byte ^= s;
    }
    nonce
}

/// RFC 5246 §6.2.3.3.
fn aad(seq: u64, header: &record::Header, length: usize) -> Option<[u8; 13]> {
    let mut aad = [0; 13];
    let (front, back) = aad.split_at_mut(8);
    front.copy_from_slice(&seq.to_be_bytes());
    back.copy_from_slice(&record::Header { length: u16::try_from(length).ok()?, ..*header }.bytes());
    Some(aad)
}
