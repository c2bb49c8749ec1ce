//! AES-CBC with HMAC (RFC 5246 §6.2.3.2), and the same with encrypt-then-MAC (RFC 7366). Nothing here is
//! secret from the one who measures times: the keys come from a file.

use aes::{Aes128Dec, Aes256Dec};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use crate::wire::tls::record;
use crate::wire::tls::suite::{Cipher, Mac};

const BLOCK: usize = 16;

pub(super) struct Cbc {
    aes: Aes,
    mac: Keyed,
    mac_bytes: usize,
    encrypt_then_mac: bool,
}

enum Aes {
    Aes128(Aes128Dec),
    Aes256(Aes256Dec),
}

enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

impl Cbc {
    /// `None`: another cipher, or keys of other lengths.
    pub(super) fn new(cipher: Cipher, key: &[u8], mac_key: &[u8], encrypt_then_mac: bool) -> Option<Self> {
        let aes = match cipher {
            Cipher::Aes128Cbc(_) => Aes::Aes128(Aes128Dec::new_from_slice(key).ok()?),
            Cipher::Aes256Cbc(_) => Aes::Aes256(Aes256Dec::new_from_slice(key).ok()?),
            _ => return None,
        };
        let mac = match cipher.mac()? {
            Mac::Sha1 => Keyed::Sha1(Hmac::new_from_slice(mac_key).ok()?),
            Mac::Sha256 => Keyed::Sha256(Hmac::new_from_slice(mac_key).ok()?),
            Mac::Sha384 => Keyed::Sha384(Hmac::new_from_slice(mac_key).ok()?),
        };
        Some(Cbc { aes, mac, mac_bytes: cipher.mac()?.bytes(), encrypt_then_mac })
    }

    /// Decrypts a record's body into the front of `out`. Bytes of its content; `None`: the MAC or the padding
    /// does not fit, and what stands in `out` means nothing.
    pub(super) fn open(&self, seq: u64, header: &record::Header, body: &[u8], out: &mut [u8]) -> Option<usize> {
        let (sealed, mac) = if self.encrypt_then_mac {
            body.split_at_checked(body.len().checked_sub(self.mac_bytes)?)?
        } else {
            (body, &[][..])
        };
        if self.encrypt_then_mac && !self.mac_fits(seq, header, sealed, mac) {
            return None;
        }
        let (iv, text) = sealed.split_first_chunk::<BLOCK>()?;
        let out = out.get_mut(..text.len())?;
        match &self.aes {
            Aes::Aes128(aes) => decrypt(aes, iv, text, out)?,
            Aes::Aes256(aes) => decrypt(aes, iv, text, out)?,
        }
        // The padding's length, and so often the same byte before it.
        let &padding = out.last()?;
        let unpadded = out.len().checked_sub(usize::from(padding) + 1)?;
        if out.get(unpadded..)?.iter().any(|&b| b != padding) {
            return None;
        }
        if self.encrypt_then_mac {
            return Some(unpadded);
        }
        let (content, mac) = out.get(..unpadded)?.split_at_checked(unpadded.checked_sub(self.mac_bytes)?)?;
        self.mac_fits(seq, header, content, mac).then_some(content.len())
    }

    /// `covered`: what the MAC is over, behind the sequence number and a header with its length.
    fn mac_fits(&self, seq: u64, header: &record::Header, covered: &[u8], mac: &[u8]) -> bool {
        let Ok(length) = u16::try_from(covered.len()) else { return false };
        let front = record::Header { length, ..*header }.bytes();
        let seq = seq.to_be_bytes();
        match &self.mac {
            Keyed::Sha1(keyed) => {
                keyed.clone().chain_update(seq).chain_update(front).chain_update(covered).verify_slice(mac).is_ok()
            }
            Keyed::Sha256(keyed) => {
                keyed.clone().chain_update(seq).chain_update(front).chain_update(covered).verify_slice(mac).is_ok()
            }
            Keyed::Sha384(keyed) => {
                keyed.clone().chain_update(seq).chain_update(front).chain_update(covered).verify_slice(mac).is_ok()
            }
        }
    }
}

fn decrypt<C>(aes: &C, iv: &[u8; BLOCK], text: &[u8], out: &mut [u8]) -> Option<()>
where
    C: BlockCipherDecrypt<BlockSize = ccm::consts::U16>,
{
    Decryptor::inner_iv_init(aes, iv.into()).decrypt_padded_b2b::<NoPadding>(text, out).ok().map(|_| ())
}
