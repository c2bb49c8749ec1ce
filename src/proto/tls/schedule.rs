//! From secrets to keys (RFC 5246 §5, §6.3; RFC 8446 §7).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _};
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use super::open::Opener;
use super::secrets::Secret;
use crate::wire::tls::suite::Suite;

/// Longest key block: two keys, two MAC keys, two initial values (RFC 5246 §6.3).
const BLOCK_BYTES: usize = 2 * (32 + 48 + 12);

/// Label and all of HkdfLabel (RFC 8446 §7.1) with an empty context.
const INFO_BYTES: usize = 2 + 1 + 32 + 1;

/// The keys of both directions of TLS 1.2, the client's first. `None`: a suite that is not read.
pub(super) fn of_master(
    suite: &Suite,
    encrypt_then_mac: bool,
    master: &Secret,
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> Option<[Opener; 2]> {
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    let seed = [server_random.as_slice(), client_random].concat();
    prf(suite.sha384(), master.bytes(), b"key expansion", &seed, block.as_mut_slice())?;
    let mac_bytes = suite.cipher.mac().map_or(0, |m| m.bytes());
    let key_bytes = suite.cipher.key_bytes();
    let iv_bytes = super::open::fixed_iv_bytes(suite.cipher);
    let mut rest = block.as_slice();
    let mut two = |n: usize| {
        let (both, behind) = rest.split_at_checked(2 * n)?;
        rest = behind;
        both.split_at_checked(n)
    };
    let (macs, keys, ivs) = (two(mac_bytes)?, two(key_bytes)?, two(iv_bytes)?);
    Some([
        Opener::tls_1_2(suite.cipher, keys.0, ivs.0, macs.0, encrypt_then_mac)?,
        Opener::tls_1_2(suite.cipher, keys.1, ivs.1, macs.1, encrypt_then_mac)?,
    ])
}

/// The keys of a traffic secret of TLS 1.3 (RFC 8446 §7.3). `None`: the secret is not of this suite, or the
/// suite is not read.
pub(super) fn of_traffic(suite: &Suite, secret: &Secret) -> Option<Opener> {
    let mut key = Zeroizing::new([0; 32]);
    let key = key.get_mut(..suite.cipher.key_bytes())?;
    let mut iv = Zeroizing::new([0; 12]);
    expand(suite, secret, b"key", key)?;
    expand(suite, secret, b"iv", iv.as_mut_slice())?;
    Opener::tls_1_3(suite.cipher, key, &iv)
}

/// The secret after a KeyUpdate (RFC 8446 §7.2).
pub(super) fn updated(suite: &Suite, secret: &Secret) -> Option<Secret> {
    let mut next = Zeroizing::new([0; 48]);
    let next = next.get_mut(..hash_bytes(suite))?;
    expand(suite, secret, b"traffic upd", next)?;
    Secret::of(next)
}

fn hash_bytes(suite: &Suite) -> usize {
    if suite.sha384() { 48 } else { 32 }
}

/// HKDF-Expand-Label (RFC 8446 §7.1) with an empty context.
fn expand(suite: &Suite, secret: &Secret, label: &[u8], out: &mut [u8]) -> Option<()> {
    if secret.bytes().len() != hash_bytes(suite) {
        return None;
    }
    const PREFIX: &[u8] = b"tls13 ";
    let mut info = [0; INFO_BYTES];
    let parts = [
        &u16::try_from(out.len()).ok()?.to_be_bytes()[..],
        &[u8::try_from(PREFIX.len() + label.len()).ok()?],
        PREFIX,
        label,
        &[0],
    ];
    let mut used = 0;
    for part in parts {
        info.get_mut(used..used + part.len())?.copy_from_slice(part);
        used += part.len();
    }
    let info = info.get(..used)?;
    if suite.sha384() {
        Hkdf::<Sha384>::from_prk(secret.bytes()).ok()?.expand(info, out).ok()
    } else {
        Hkdf::<Sha256>::from_prk(secret.bytes()).ok()?.expand(info, out).ok()
    }
}

/// The PRF of TLS 1.2 (RFC 5246 §5).
fn prf(sha384: bool, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) -> Option<()> {
    if sha384 {
        let keyed = Hmac::<Sha384>::new_from_slice(secret).ok()?;
        p_hash(|parts| hashed(keyed.clone(), parts), label, seed, out);
    } else {
        let keyed = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        p_hash(|parts| hashed(keyed.clone(), parts), label, seed, out);
    }
    Some(())
}

fn hashed<M: hmac::Mac>(mut keyed: M, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    for part in parts {
        keyed.update(part);
    }
    Zeroizing::new(keyed.finalize().into_bytes().to_vec())
}

/// P_hash (RFC 5246 §5): `mac` is the HMAC, keyed with the secret.
fn p_hash(mac: impl Fn(&[&[u8]]) -> Zeroizing<Vec<u8>>, label: &[u8], seed: &[u8], out: &mut [u8]) {
    let mut a = mac(&[label, seed]);
    let mut rest = out;
    while !rest.is_empty() {
        let piece = mac(&[&a, label, seed]);
        let n = piece.len().min(rest.len());
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&piece[..n]);
        rest = later;
        a = mac(&[&a]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
mod tests {
    use super::*;
    use crate::wire::tls::suite;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_keys_of_rfc_8448_section_3_come_out() {
        // The server's handshake traffic secret there, and the key and iv that follow from it.
        let secret = Secret::of(&hex(
            "b6 7b 7d 69 0c c1 6c 4e 75 e5 42 13 cb 2d 37 b4 e9 c9 12 bc de d9 10 5d 42 be fd 59 d3 91 ad 38",
        ))
        .unwrap();
        let suite = suite::find(0x1301).unwrap();
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand(suite, &secret, b"key", &mut key).unwrap();
        expand(suite, &secret, b"iv", &mut iv).unwrap();
        assert_eq!(key.as_slice(), hex("3f ce 51 60 09 c2 17 27 d0 f2 e4 e8 6e e4 03 bc"));
        assert_eq!(iv.as_slice(), hex("5d 31 3e b2 67 12 76 ee 13 00 0b 30"));
    }

    #[test]
    fn a_secret_of_another_hash_gives_no_keys() {
        let secret = Secret::of(&[1; 32]).unwrap();
        assert!(of_traffic(suite::find(0x1301).unwrap(), &secret).is_some());
        assert!(of_traffic(suite::find(0x1302).unwrap(), &secret).is_none());
        assert!(updated(suite::find(0x1302).unwrap(), &secret).is_none());
    }

    #[test]
    fn the_prf_gives_the_known_answer() {
        // The SHA-256 vector that circulates on the TLS working group's list since 2010.
        let (secret, seed) = (hex("9bbe436ba940f017b17652849a71db35"), hex("a0ba9f936cda311827a6f796ffd5198c"));
        let mut out = [0; 32];
        prf(false, &secret, b"test label", &seed, &mut out).unwrap();
        assert_eq!(out.as_slice(), hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"));
    }
}
