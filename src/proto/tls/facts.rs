//! What hellos tell of a connection.

use crate::base::limits;
use crate::wire::tls::hello::{ClientHello, ServerHello};
use crate::wire::tls::suite::{self, Suite};

/// What is known of a connection from its handshake. The latest handshake counts, where there are several
/// (renegotiation, RFC 5246 §7.4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The ClientHello's random, by which key logs are read. `None`: no ClientHello was seen.
    pub client_random: Option<[u8; 32]>,
    pub server_random: Option<[u8; 32]>,
    /// The name that the client asks for (SNI, RFC 6066 §3), as it stands there. `None`: none. Of a hello that
    /// is encrypted (RFC 9849) it is the outer name.
    pub server_name: Option<Box<[u8]>>,
    /// Protocols that the client offers (RFC 7301), in its order, at most `limits::TLS_ALPN`.
    pub alpn_offered: Vec<Box<[u8]>>,
    /// The protocol chosen. `None`: none, or not known: in TLS 1.3 it is encrypted.
    pub alpn: Option<Box<[u8]>>,
    /// Versions that the client offers by extension; empty where it knows no TLS 1.3.
    pub versions_offered: Vec<u16>,
    /// The version chosen, as on the wire (0x0304 is TLS 1.3). `None`: no ServerHello was seen.
    pub version: Option<u16>,
    /// Suites that the client offers, in its order, at most `limits::TLS_SUITES`.
    pub suites_offered: Vec<u16>,
    /// The number of the suite chosen. `None`: no ServerHello was seen.
    pub suite: Option<u16>,
    /// The server asked for another ClientHello (RFC 8446 §4.1.4).
    pub hello_retry: bool,
    /// An earlier session goes on. `None`: no ServerHello was seen. With tickets of TLS 1.2 (RFC 5077) it shows
    /// by the session id that the server repeats.
    pub resumed: Option<bool>,
    /// `None`: the client sent no early data (RFC 8446 §2.3).
    pub early_data: Option<Early>,
    /// Records are encrypted, then MACed (RFC 7366).
    pub encrypt_then_mac: bool,
    /// The client's hello may hold an encrypted one (RFC 9849), or random bytes in its place.
    pub encrypted_hello: bool,
    /// Handshakes after the first on this connection.
    pub renegotiations: u32,
}

/// What became of early data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// What the server does with it is not known, or not yet.
    Offered,
    Accepted,
    Refused,
}

impl Facts {
    /// The suite chosen. `None`: not known, or not in the table.
    pub fn suite(&self) -> Option<&'static Suite> {
        self.suite.and_then(suite::find)
    }

    pub(super) fn client(&mut self, hello: &ClientHello<'_>) {
        let again = self.client_random.is_some_and(|random| random != *hello.random);
        let (retry, early) = (self.hello_retry && !again, self.early_data);
        *self = Facts {
            client_random: Some(*hello.random),
            server_name: hello.server_name().map(Into::into),
            alpn_offered: hello.alpn().take(limits::TLS_ALPN).map(Into::into).collect(),
            versions_offered: hello.versions().take(limits::TLS_ALPN).collect(),
            suites_offered: hello.suites().take(limits::TLS_SUITES).collect(),
            hello_retry: retry,
            // After a HelloRetryRequest nothing more of it is sent (RFC 8446 §4.1.2).
            early_data: if retry { early } else { hello.early_data().then_some(Early::Offered) },
            encrypted_hello: hello.encrypted_hello(),
            renegotiations: self.renegotiations + u32::from(again),
            ..Facts::default()
        };
    }

    pub(super) fn server(&mut self, hello: &ServerHello<'_>, session_id: &[u8]) {
        self.server_random = Some(*hello.random);
        self.version = Some(hello.version());
        self.suite = Some(hello.suite);
        self.alpn = hello.alpn().map(Into::into);
        self.encrypt_then_mac = hello.encrypt_then_mac();
        let repeated = !session_id.is_empty() && session_id == hello.session_id;
        self.resumed =
            Some(if hello.version() >= crate::wire::tls::TLS_1_3 { hello.pre_shared_key() } else { repeated });
    }

    /// Whether the version chosen has the keys and records of TLS 1.3.
    pub(super) fn is_1_3(&self) -> bool {
        self.version == Some(crate::wire::tls::TLS_1_3)
    }
}
