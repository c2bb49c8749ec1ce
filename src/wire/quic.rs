//! QUIC's Initial packets (RFC 9000 §17.2.2, RFC 9369): a client's first words, protected by keys that everybody knows
//! (RFC 9001 §5.2). Nothing else of QUIC can be read from outside.

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aead::inout::InOutBuf;
use hkdf::Hkdf;
use sha2::Sha256;

/// A client's Initial packet, whose tag fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    pub version: Version,
    /// The connection id that the client made up for its server (RFC 9000 §7.2): equal for all first packets of one
    /// connection. At most 20 bytes.
    pub connection: Box<[u8]>,
    /// Pieces of the handshake with their offsets in it (RFC 9000 §19.6), in the order of the packet.
    pub crypto: Vec<(u64, Box<[u8]>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9000.
    One,
    /// RFC 9369.
    Two,
}

/// Longest connection id (RFC 9000 §17.2).
const ID_BYTES: usize = 20;
const TAG_BYTES: usize = 16;
/// Bytes by which the header is protected (RFC 9001 §5.4.2).
const SAMPLE_BYTES: usize = 16;
/// Pieces of a handshake that one packet may have; clients send a few.
const PIECES: usize = 64;

impl Version {
    fn of(number: u32) -> Option<Version> {
        match number {
            1 => Some(Version::One),
            0x6b33_43cf => Some(Version::Two),
            _ => None,
        }
    }

    /// The type of an Initial packet in its first byte (RFC 9000 §17.2, RFC 9369 §3.2).
    fn initial(self) -> u8 {
        match self {
            Version::One => 0b00,
            Version::Two => 0b01,
        }
    }

    /// RFC 9001 §5.2, RFC 9369 §3.3.1.
    fn salt(self) -> [u8; 20] {
        match self {
            Version::One => [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
                0xbb, 0x7f, 0x0a,
            ],
            Version::Two => [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
                0xbd, 0x2e, 0xd9,
            ],
        }
    }

    /// Labels of key, initial value and header protection (RFC 9001 §5.1, RFC 9369 §3.3.2).
    fn labels(self) -> [&'static [u8]; 3] {
        match self {
            Version::One => [b"quic key", b"quic iv", b"quic hp"],
            Version::Two => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
        }
    }
}

/// Whether a datagram begins like an Initial packet of a known version: a few comparisons.
#[inline]
pub fn looks_initial(datagram: &[u8]) -> bool {
    let &[first, a, b, c, d, ..] = datagram else { return false };
    // Long header and fixed bit.
    first & 0xc0 == 0xc0
        && Version::of(u32::from_be_bytes([a, b, c, d])).is_some_and(|version| first >> 4 & 0b11 == version.initial())
}

/// The client's Initial packet that this datagram begins with. `None`: it is none, or its tag does not fit, as that of
/// a server's, and of one that was cut.
pub fn client_initial(datagram: &[u8]) -> Option<Initial> {
    if !looks_initial(datagram) {
        return None;
    }
    let mut rest = Take(datagram);
    let first = *rest.take(1)?.first()?;
    let version = Version::of(u32::from_be_bytes(*rest.take(4)?.first_chunk()?))?;
    let connection = rest.id()?;
    rest.id()?;
    let token = rest.number()?;
    rest.take(usize::try_from(token).ok()?)?;
    let length = usize::try_from(rest.number()?).ok()?;
    let number_at = datagram.len() - rest.0.len();
    let body = rest.take(length)?;
    // The sample is taken as if the packet number had four bytes.
    let sample: &[u8; SAMPLE_BYTES] = body.get(4..)?.first_chunk()?;
    let keys = Keys::of_client(version, connection)?;
    let mask = keys.mask(sample);
    let first = first ^ mask[0] & 0x0f;
    let number_bytes = usize::from(first & 0b11) + 1;
    let mut header = datagram.get(..number_at + number_bytes)?.to_vec();
    *header.first_mut()? = first;
    let mut number = 0_u64;
    for (byte, mask) in header.iter_mut().skip(number_at).zip(&mask[1..]) {
        *byte ^= mask;
        number = number << 8 | u64::from(*byte);
    }
    let (text, tag) = body.get(number_bytes..)?.split_at_checked(body.len().checked_sub(number_bytes + TAG_BYTES)?)?;
    let mut plain = vec![0; text.len()];
    keys.open(number, &header, text, tag, &mut plain)?;
    Some(Initial { version, connection: connection.into(), crypto: crypto(&plain) })
}

struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    header: [u8; 16],
}

impl Keys {
    /// RFC 9001 §5.2.
    fn of_client(version: Version, connection: &[u8]) -> Option<Keys> {
        let (initial, _) = Hkdf::<Sha256>::extract(Some(&version.salt()), connection);
        let mut secret = [0; 32];
        expand(&initial, b"client in", &mut secret)?;
        let [key, iv, header] = version.labels();
        let mut keys = Keys { key: [0; 16], iv: [0; 12], header: [0; 16] };
        expand(&secret, key, &mut keys.key)?;
        expand(&secret, iv, &mut keys.iv)?;
        expand(&secret, header, &mut keys.header)?;
        Some(keys)
    }

    /// RFC 9001 §5.4.3.
    fn mask(&self, sample: &[u8; SAMPLE_BYTES]) -> [u8; 5] {
        let mut block = Block::from(*sample);
        Aes128::new(&self.header.into()).encrypt_block(&mut block);
        let mut mask = [0; 5];
        mask.iter_mut().zip(block).for_each(|(out, byte)| *out = byte);
        mask
    }

    /// RFC 9001 §5.3.
    fn open(&self, number: u64, header: &[u8], text: &[u8], tag: &[u8], out: &mut [u8]) -> Option<()> {
        let mut nonce = self.iv;
        nonce.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(byte, n)| *byte ^= n);
        let both = InOutBuf::new(text, out).ok()?;
        let tag = tag.try_into().ok()?;
        Aes128Gcm::new(&self.key.into()).decrypt_inout_detached(&nonce.into(), header, both, tag).ok()
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1) with an empty context.
fn expand(secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let named = u8::try_from(b"tls13 ".len() + label.len()).ok()?;
    let info = [&length[..], &[named], b"tls13 ", label, &[0]];
    Hkdf::<Sha256>::from_prk(secret).ok()?.expand_multi_info(&info, out).ok()
}

/// The pieces of the handshake in the frames of an Initial packet, which has few kinds of them (RFC 9000 §12.4).
fn crypto(plain: &[u8]) -> Vec<(u64, Box<[u8]>)> {
    let mut rest = Take(plain);
    let mut out = Vec::new();
    while out.len() < PIECES && frame(&mut rest, &mut out).is_some() {}
    out
}

/// `None`: no frame is left that is read.
fn frame(rest: &mut Take<'_>, out: &mut Vec<(u64, Box<[u8]>)>) -> Option<()> {
    match rest.number()? {
        // PADDING, PING.
        0 | 1 => {}
        // ACK, without and with counts of ECN.
        kind @ (2 | 3) => {
            let (_largest, _delay) = (rest.number()?, rest.number()?);
            let ranges = rest.number()?;
            let _first = rest.number()?;
            for _ in 0..ranges {
                let (_gap, _range) = (rest.number()?, rest.number()?);
            }
            for _ in 0..if kind == 3 { 3 } else { 0 } {
                rest.number()?;
            }
        }
        6 => {
            let offset = rest.number()?;
            let length = usize::try_from(rest.number()?).ok()?;
            out.push((offset, rest.take(length)?.into()));
        }
        _ => return None,
    }
    Some(())
}

/// What is left to read.
struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    /// A connection id behind its length.
    fn id(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.take(1)?.first()?);
        (length <= ID_BYTES).then(|| self.take(length))?
    }

    /// A number of one to eight bytes (RFC 9000 §16).
    fn number(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Some(number & !(0b11 << (8 * bytes.len() - 2)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) mod tests {
    use super::*;

    fn number(n: usize) -> [u8; 2] {
        (u16::try_from(n).unwrap() | 0x4000).to_be_bytes()
    }

    /// A client's Initial packet with these frames, padded and protected (RFC 9001 §5).
    pub(crate) fn sealed(version: Version, connection: &[u8], frames: &[u8]) -> Vec<u8> {
        let mut plain = frames.to_vec();
        plain.resize(plain.len().max(1_162), 0);
        let (wire, kind) = match version {
            Version::One => (1_u32, 0xc3_u8),
            Version::Two => (0x6b33_43cf, 0xd3),
        };
        let mut header = [&[kind][..], &wire.to_be_bytes()].concat();
        header.push(u8::try_from(connection.len()).unwrap());
        header.extend_from_slice(connection);
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&number(4 + plain.len() + TAG_BYTES));
        header.extend_from_slice(&2_u32.to_be_bytes());
        let keys = Keys::of_client(version, connection).unwrap();
        let mut nonce = keys.iv;
        nonce[11] ^= 2;
        let mut text = vec![0; plain.len()];
        let both = InOutBuf::new(&plain, &mut text).unwrap();
        let cipher = Aes128Gcm::new(&keys.key.into());
        let tag = cipher.encrypt_inout_detached(&nonce.into(), &header, both).unwrap();
        let mask = keys.mask(text.first_chunk().unwrap());
        let number_at = header.len() - 4;
        header[0] ^= mask[0] & 0x0f;
        header[number_at..].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        [header, text, tag.to_vec()].concat()
    }

    fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_keys_are_those_of_rfc_9001_and_rfc_9369() {
        let connection = hex("8394c8f03e515708");
        let keys = Keys::of_client(Version::One, &connection).unwrap();
        assert_eq!(keys.key.to_vec(), hex("1f369613dd76d5467730efcbe3b1a22d"));
        assert_eq!(keys.iv.to_vec(), hex("fa044b2f42a3fd3b46fb255c"));
        assert_eq!(keys.header.to_vec(), hex("9f50449e04a0e810283a1e9933adedd2"));
        // RFC 9001 §A.2.
        let sample = hex("d1b1c98dd7689fb8ec11d242b123dc9b");
        assert_eq!(keys.mask(sample.first_chunk().unwrap()).to_vec(), hex("437b9aec36"));
        let keys = Keys::of_client(Version::Two, &connection).unwrap();
        assert_eq!(keys.key.to_vec(), hex("8b1a0bc121284290a29e0971b5cd045d"));
        assert_eq!(keys.iv.to_vec(), hex("91f73e2351d8fa91660e909f"));
        assert_eq!(keys.header.to_vec(), hex("45b95e15235d6f45a6b19cbcb0294ba9"));
    }

    #[test]
    fn pieces_of_the_handshake_are_read_and_a_flipped_bit_is_none() {
        for version in [Version::One, Version::Two] {
            let frames = [&[1, 6, 5, 3][..], b"abc", &[2, 0, 0, 0, 0, 6, 0, 2], b"xy"].concat();
            let packet = sealed(version, b"12345678", &frames);
            let read = client_initial(&packet).unwrap();
            assert_eq!((read.version, &*read.connection), (version, &b"12345678"[..]));
            let pieces: Vec<(u64, &[u8])> = read.crypto.iter().map(|(at, bytes)| (*at, &**bytes)).collect();
            assert_eq!(pieces, [(5, &b"abc"[..]), (0, b"xy")]);
            for at in (0..packet.len()).step_by(7) {
                let mut bad = packet.clone();
                bad[at] ^= 0x10;
                assert_eq!(client_initial(&bad), None, "byte {at}");
            }
            for length in (0..packet.len()).step_by(11) {
                assert_eq!(client_initial(&packet[..length]), None, "cut to {length}");
            }
        }
    }

    #[test]
    fn odd_frames_end_the_reading() {
        assert!(crypto(&[6, 0, 0xff]).is_empty() && crypto(&[0x1c, 6, 0, 0]).is_empty());
        let acks = [2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        assert!(crypto(&acks).is_empty(), "as many ranges as it says are not there");
        assert_eq!(crypto(&[6, 0, 0].repeat(1_000)).len(), PIECES);
    }
}
