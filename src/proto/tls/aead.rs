//! The authenticated ciphers. AES-GCM and ChaCha20-Poly1305 by RustCrypto or, with the feature
//! `fast-crypto`, by aws-lc-rs; AES-CCM always by RustCrypto, since nothing else has it.

use aes::{Aes128, Aes256};
use ccm::aead::inout::InOutBuf;
use ccm::consts::{U8, U12, U16};
use ccm::{AeadInOut, Ccm, KeyInit};

use crate::wire::tls::suite::Cipher;

pub(super) const NONCE_BYTES: usize = 12;

pub(super) enum Aead {
    #[cfg(not(feature = "fast-crypto"))]
    Aes128Gcm(aes_gcm::Aes128Gcm),
    #[cfg(not(feature = "fast-crypto"))]
    Aes256Gcm(aes_gcm::Aes256Gcm),
    #[cfg(not(feature = "fast-crypto"))]
    ChaCha20Poly1305(chacha20poly1305::ChaCha20Poly1305),
    #[cfg(feature = "fast-crypto")]
    Fast(aws_lc_rs::aead::LessSafeKey),
    Aes128Ccm(Ccm<Aes128, U16, U12>),
    Aes256Ccm(Ccm<Aes256, U16, U12>),
    Aes128Ccm8(Ccm<Aes128, U8, U12>),
    Aes256Ccm8(Ccm<Aes256, U8, U12>),
}

impl Aead {
    /// `None`: no AEAD, or a key of another length.
    pub(super) fn new(cipher: Cipher, key: &[u8]) -> Option<Self> {
        Some(match cipher {
            #[cfg(not(feature = "fast-crypto"))]
            Cipher::Aes128Gcm => Aead::Aes128Gcm(KeyInit::new_from_slice(key).ok()?),
            #[cfg(not(feature = "fast-crypto"))]
            Cipher::Aes256Gcm => Aead::Aes256Gcm(KeyInit::new_from_slice(key).ok()?),
            #[cfg(not(feature = "fast-crypto"))]
            Cipher::ChaCha20Poly1305 => Aead::ChaCha20Poly1305(KeyInit::new_from_slice(key).ok()?),
            #[cfg(feature = "fast-crypto")]
            Cipher::Aes128Gcm => fast(&aws_lc_rs::aead::AES_128_GCM, key)?,
            #[cfg(feature = "fast-crypto")]
            Cipher::Aes256Gcm => fast(&aws_lc_rs::aead::AES_256_GCM, key)?,
            #[cfg(feature = "fast-crypto")]
            Cipher::ChaCha20Poly1305 => fast(&aws_lc_rs::aead::CHACHA20_POLY1305, key)?,
            Cipher::Aes128Ccm => Aead::Aes128Ccm(KeyInit::new_from_slice(key).ok()?),
            Cipher::Aes256Ccm => Aead::Aes256Ccm(KeyInit::new_from_slice(key).ok()?),
            Cipher::Aes128Ccm8 => Aead::Aes128Ccm8(KeyInit::new_from_slice(key).ok()?),
            Cipher::Aes256Ccm8 => Aead::Aes256Ccm8(KeyInit::new_from_slice(key).ok()?),
            Cipher::Aes128Cbc(_) | Cipher::Aes256Cbc(_) | Cipher::Unread => return None,
        })
    }

    /// Decrypts `text` into `out`, which is as long. `false`: the tag does not fit, and what stands in `out`
    /// means nothing.
    pub(super) fn open(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], text: &[u8], tag: &[u8], out: &mut [u8]) -> bool {
        match self {
            #[cfg(not(feature = "fast-crypto"))]
            Aead::Aes128Gcm(key) => soft(key, nonce, aad, text, tag, out),
            #[cfg(not(feature = "fast-crypto"))]
            Aead::Aes256Gcm(key) => soft(key, nonce, aad, text, tag, out),
            #[cfg(not(feature = "fast-crypto"))]
            Aead::ChaCha20Poly1305(key) => soft(key, nonce, aad, text, tag, out),
            #[cfg(feature = "fast-crypto")]
            Aead::Fast(key) => {
                let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, aws_lc_rs::aead::Aad::from(aad), text, tag, out).is_ok()
            }
            Aead::Aes128Ccm(key) => soft(key, nonce, aad, text, tag, out),
            Aead::Aes256Ccm(key) => soft(key, nonce, aad, text, tag, out),
            Aead::Aes128Ccm8(key) => soft(key, nonce, aad, text, tag, out),
            Aead::Aes256Ccm8(key) => soft(key, nonce, aad, text, tag, out),
        }
    }
}

#[cfg(feature = "fast-crypto")]
fn fast(algorithm: &'static aws_lc_rs::aead::Algorithm, key: &[u8]) -> Option<Aead> {
    let key = aws_lc_rs::aead::UnboundKey::new(algorithm, key).ok()?;
    Some(Aead::Fast(aws_lc_rs::aead::LessSafeKey::new(key)))
}

#[inline]
fn soft<A: AeadInOut<NonceSize = U12>>(
    key: &A,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    text: &[u8],
    tag: &[u8],
    out: &mut [u8],
) -> bool {
    let Ok(tag) = tag.try_into() else { return false };
    let Ok(both) = InOutBuf::new(text, out) else { return false };
    key.decrypt_inout_detached(&nonce.into(), aad, both, tag).is_ok()
}
