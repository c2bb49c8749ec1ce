//! ClientHello, ServerHello and EncryptedExtensions (RFC 8446 §4.1, RFC 5246 §7.4.1) as views of their
//! bytes. Read as far as they make sense: a list that is cut short gives what it has.

use super::reader::Reader;
use super::{TLS_1_2, TLS_1_3};

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
pub const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Extension types.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// The body of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    pub legacy_version: u16,
    pub random: &'a [u8; 32],
    pub session_id: &'a [u8],
    /// Two bytes each.
    suites: &'a [u8],
    extensions: &'a [u8],
}

/// The body of a ServerHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    pub legacy_version: u16,
    pub random: &'a [u8; 32],
    pub session_id: &'a [u8],
    pub suite: u16,
    extensions: &'a [u8],
}

/// The body of EncryptedExtensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptedExtensions<'a> {
    extensions: &'a [u8],
}

/// Reads the body of a ClientHello, without its handshake header. `None`: cut before its suites end, or it has what no
/// hello has (RFC 8446 §4.1.2).
pub fn client(body: &[u8]) -> Option<ClientHello<'_>> {
    let mut r = Reader(body);
    let legacy_version = version(&mut r)?;
    let random = r.take(32)?.first_chunk()?;
    let session_id = session_id(&mut r)?;
    let suites = r.vec16().filter(|suites| !suites.is_empty() && suites.len() % 2 == 0)?;
    let rest = r.vec8().and_then(|_compressions| r.vec16_cut());
    Some(ClientHello { legacy_version, random, session_id, suites, extensions: rest.unwrap_or_default() })
}

/// Reads the body of a ServerHello, without its handshake header. `None`: cut before its suite, or it has
/// what no hello has.
pub fn server(body: &[u8]) -> Option<ServerHello<'_>> {
    let mut r = Reader(body);
    let legacy_version = version(&mut r)?;
    let random = r.take(32)?.first_chunk()?;
    let session_id = session_id(&mut r)?;
    let suite = r.u16()?;
    let rest = r.u8().and_then(|_compression| r.vec16_cut());
    Some(ServerHello { legacy_version, random, session_id, suite, extensions: rest.unwrap_or_default() })
}

/// Reads the body of EncryptedExtensions.
pub fn encrypted_extensions(body: &[u8]) -> EncryptedExtensions<'_> {
    EncryptedExtensions { extensions: Reader(body).vec16_cut().unwrap_or_default() }
}

impl<'a> ClientHello<'a> {
    /// The suites offered, in the client's order; values that only keep servers flexible (RFC 8701) too.
    pub fn suites(&self) -> impl Iterator<Item = u16> + 'a {
        pairs(self.suites)
    }

    /// The name that is asked for (RFC 6066 §3), as it stands there. `None`: none is.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = Reader(Reader(extension(self.extensions, SERVER_NAME)?).vec16_cut()?);
        while let Some(kind) = list.u8() {
            let name = list.vec16()?;
            if kind == 0 {
                return Some(name);
            }
        }
        None
    }

    /// The protocols offered (RFC 7301), in the client's order.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        protocols(self.extensions)
    }

    /// The versions offered (RFC 8446 §4.2.1); none by a client that knows no TLS 1.3.
    pub fn versions(&self) -> impl Iterator<Item = u16> + 'a {
        pairs(extension(self.extensions, SUPPORTED_VERSIONS).and_then(|e| Reader(e).vec8()).unwrap_or_default())
    }

    /// Whether TLS 1.3 is offered.
    pub fn offers_1_3(&self) -> bool {
        self.versions().any(|v| v == TLS_1_3)
    }

    /// Whether early data follows (RFC 8446 §4.2.10).
    pub fn early_data(&self) -> bool {
        extension(self.extensions, EARLY_DATA).is_some()
    }

    /// Whether a session is to be resumed by a pre-shared key (RFC 8446 §4.2.11).
    pub fn pre_shared_key(&self) -> bool {
        extension(self.extensions, PRE_SHARED_KEY).is_some()
    }

    /// Whether the real hello is encrypted (RFC 9849); many clients send this with random bytes, which looks
    /// the same.
    pub fn encrypted_hello(&self) -> bool {
        extension(self.extensions, ENCRYPTED_CLIENT_HELLO).is_some()
    }

    /// Whether encrypt-then-MAC is offered (RFC 7366).
    pub fn encrypt_then_mac(&self) -> bool {
        extension(self.extensions, ENCRYPT_THEN_MAC).is_some()
    }
}

impl<'a> ServerHello<'a> {
    /// The version chosen (RFC 8446 §4.2.1).
    pub fn version(&self) -> u16 {
        let chosen = extension(self.extensions, SUPPORTED_VERSIONS).and_then(|e| Reader(e).u16());
        chosen.unwrap_or(self.legacy_version.min(TLS_1_2))
    }

    /// Whether this asks for another ClientHello (RFC 8446 §4.1.4).
    pub fn is_retry(&self) -> bool {
        *self.random == RETRY_RANDOM
    }

    /// The protocol chosen, up to TLS 1.2. `None`: none, or it comes in EncryptedExtensions.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        protocols(self.extensions).next()
    }

    /// Whether encrypt-then-MAC is in force for suites that have a MAC (RFC 7366).
    pub fn encrypt_then_mac(&self) -> bool {
        extension(self.extensions, ENCRYPT_THEN_MAC).is_some()
    }

    /// Whether the pre-shared key was taken (RFC 8446 §4.2.11).
    pub fn pre_shared_key(&self) -> bool {
        extension(self.extensions, PRE_SHARED_KEY).is_some()
    }
}

impl<'a> EncryptedExtensions<'a> {
    /// The protocol chosen (RFC 7301). `None`: none.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        protocols(self.extensions).next()
    }

    /// Whether the early data was taken (RFC 8446 §4.2.10).
    pub fn early_data(&self) -> bool {
        extension(self.extensions, EARLY_DATA).is_some()
    }
}

/// The content of the first extension of this type.
fn extension(extensions: &[u8], kind: u16) -> Option<&[u8]> {
    let mut r = Reader(extensions);
    loop {
        let found = r.u16()?;
        // The last one may be cut; what is there of it is not read.
        let content = r.vec16()?;
        if found == kind {
            return Some(content);
        }
    }
}

fn protocols(extensions: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = extension(extensions, ALPN).and_then(|e| Reader(e).vec16_cut());
    let mut r = Reader(list.unwrap_or_default());
    std::iter::from_fn(move || r.vec8())
}

fn pairs(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.chunks_exact(2).filter_map(|two| two.first_chunk().copied().map(u16::from_be_bytes))
}

/// The version field, which says 3.x in SSL 3.0 and every TLS (RFC 8446 §D).
fn version(r: &mut Reader<'_>) -> Option<u16> {
    r.u16().filter(|version| version >> 8 == 3)
}

/// At most 32 bytes (RFC 8446 §4.1.2).
fn session_id<'a>(r: &mut Reader<'a>) -> Option<&'a [u8]> {
    r.vec8().filter(|id| id.len() <= 32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
mod tests {
    use super::*;

    fn vec16(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn ext(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vec16(content)].concat()
    }

    fn client_body() -> Vec<u8> {
        let name = [&[0][..], &vec16(b"example.com")].concat();
        let extensions = [
            ext(SERVER_NAME, &vec16(&name)),
            ext(ALPN, &vec16(b"\x02h2\x08http/1.1")),
            ext(SUPPORTED_VERSIONS, &[4, 3, 4, 3, 3]),
            ext(EARLY_DATA, &[]),
        ]
        .concat();
        [&[3, 3][..], &[7; 32], &[1, 9], &vec16(&[0x13, 1, 0xc0, 0x2f]), &[1, 0], &vec16(&extensions)].concat()
    }

    #[test]
    fn a_client_hello_says_what_it_asks_for() {
        let body = client_body();
        let hello = client(&body).unwrap();
        assert_eq!((hello.random, hello.session_id), (&[7; 32], &[9][..]));
        assert_eq!(hello.suites().collect::<Vec<_>>(), [0x1301, 0xc02f]);
        assert_eq!(hello.server_name(), Some(&b"example.com"[..]));
        assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.versions().collect::<Vec<_>>(), [0x0304, 0x0303]);
        assert!(hello.offers_1_3() && hello.early_data() && !hello.pre_shared_key() && !hello.encrypt_then_mac());
    }

    #[test]
    fn a_hello_that_is_cut_anywhere_gives_less_and_never_fails() {
        let body = client_body();
        for n in 0..body.len() {
            if let Some(hello) = client(&body[..n]) {
                hello.suites().count();
                hello.alpn().count();
                assert!(hello.server_name().is_none_or(|name| name == b"example.com"));
            }
            server(&body[..n]).map(|s| (s.version(), s.alpn().is_some()));
        }
    }

    #[test]
    fn noise_is_no_hello() {
        let body = client_body();
        let with = |at: usize, byte: u8| {
            let mut body = body.clone();
            body[at] = byte;
            body
        };
        assert_eq!(client(&with(0, 2)), None, "version 2.3");
        assert_eq!(client(&with(34, 33)), None, "a session's id of 33 bytes");
        assert_eq!(client(&with(37, 3)), None, "a suite and a half");
        assert_eq!(client(&with(37, 0)), None, "no suite");
        let server_body = [&[3, 3][..], &[8; 32], &[0], &[0x13, 2], &[0]].concat();
        assert!(server(&server_body).is_some());
        assert_eq!(server(&[&[1], &server_body[1..]].concat()), None, "version 1.3");
    }

    #[test]
    fn a_server_hello_tells_its_version_by_its_extension() {
        let start = [&[3, 3][..], &[8; 32], &[0], &[0x13, 2], &[0]].concat();
        let with = [&start[..], &vec16(&ext(SUPPORTED_VERSIONS, &[3, 4]))].concat();
        assert_eq!(server(&with).unwrap().version(), TLS_1_3);
        assert_eq!(server(&start).unwrap().version(), TLS_1_2);
        assert_eq!(server(&start).unwrap().suite, 0x1302);
        assert!(!server(&start).unwrap().is_retry());
        let mut retry = start;
        retry[2..34].copy_from_slice(&RETRY_RANDOM);
        assert!(server(&retry).unwrap().is_retry());
    }

    #[test]
    fn encrypted_extensions_tell_the_protocol() {
        let body = vec16(&[ext(ALPN, &vec16(b"\x02h2")), ext(EARLY_DATA, &[])].concat());
        let read = encrypted_extensions(&body);
        assert_eq!((read.alpn(), read.early_data()), (Some(&b"h2"[..]), true));
        assert_eq!(encrypted_extensions(&[]).alpn(), None);
    }
}
