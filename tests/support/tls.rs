//! TLS as rustls speaks it, in memory: what went over the wire, what was sent inside, and the key log.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, KeyLog, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite,
};

/// What a connection came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    /// Whether the client sent it, and the bytes, in order.
    pub wire: Vec<(bool, Vec<u8>)>,
    /// What the client, then the server, sent inside.
    pub sent: [Vec<u8>; 2],
    pub key_log: String,
}

/// What a step of a connection is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say<'a> {
    Client(&'a [u8]),
    Server(&'a [u8]),
    /// New keys for what the client, or else the server, sends (RFC 8446 §4.6.3).
    Rekey(bool),
    Close(bool),
}

/// Both ends, and what they remember from one connection to the next.
pub(crate) struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().expect("nobody panicked").push_str(&line);
    }
}

/// All suites that rustls has and that a certificate with a P-256 key allows.
pub(crate) fn suites() -> Vec<SupportedCipherSuite> {
    let rsa = |s: &SupportedCipherSuite| format!("{:?}", s.suite()).contains("RSA");
    ring::ALL_CIPHER_SUITES.iter().filter(|s| !rsa(s)).copied().collect()
}

pub(crate) fn suite(name: &str) -> SupportedCipherSuite {
    let found = suites().into_iter().find(|s| format!("{:?}", s.suite()).contains(name));
    found.unwrap_or_else(|| panic!("rustls has no {name}"))
}

impl Ends {
    pub(crate) fn new(suite: SupportedCipherSuite) -> Self {
        Self::with(suite, ring::ALL_KX_GROUPS, ring::ALL_KX_GROUPS, [true, true])
    }

    /// The client's first key share is of no use to the server.
    pub(crate) fn that_retry(suite: SupportedCipherSuite) -> Self {
        Self::with(
            suite,
            &[ring::kx_group::X25519, ring::kx_group::SECP384R1],
            &[ring::kx_group::SECP384R1],
            [false; 2],
        )
    }

    fn with(
        suite: SupportedCipherSuite,
        client_groups: &[&'static dyn SupportedKxGroup],
        server_groups: &[&'static dyn SupportedKxGroup],
        [client_early, server_early]: [bool; 2],
    ) -> Self {
        let provider = |groups: &[_]| {
            let provider = ring::default_provider();
            Arc::new(CryptoProvider { cipher_suites: vec![suite], kx_groups: groups.to_vec(), ..provider })
        };
        let made = rcgen::generate_simple_self_signed(["ends.example".to_owned()]).expect("a certificate");
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("our own certificate");
        let log = Arc::new(Log::default());
        let mut client = ClientConfig::builder_with_provider(provider(client_groups))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.key_log = log.clone();
        client.enable_early_data = client_early;
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut server = ServerConfig::builder_with_provider(provider(server_groups))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a key that fits");
        server.max_early_data_size = if server_early { 16_384 } else { 0 };
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ends { client: Arc::new(client), server: Arc::new(server), log }
    }

    /// From now on the server refuses early data.
    pub(crate) fn refuse_early_data(&mut self) {
        let mut server = ServerConfig::clone(&self.server);
        server.max_early_data_size = 0;
        self.server = Arc::new(server);
    }

    /// One connection. `early`: what the client sends before the server's answer, if it may; where the server
    /// refuses it, the client sends it again.
    pub(crate) fn talk(&self, early: &[u8], steps: &[Say<'_>]) -> Talk {
        let name = ServerName::try_from("ends.example").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).expect("a client");
        let mut server = ServerConnection::new(Arc::clone(&self.server)).expect("a server");
        client.set_buffer_limit(None);
        server.set_buffer_limit(None);
        let mut talk = Talk::default();
        let mut early_sent = false;
        if !early.is_empty()
            && let Some(mut data) = client.early_data()
        {
            data.write_all(early).expect("room for early data");
            early_sent = true;
            talk.sent[0].extend_from_slice(early);
        }
        pump(&mut client, &mut server, &mut talk);
        assert!(!client.is_handshaking() && !server.is_handshaking());
        if early_sent && !client.is_early_data_accepted() {
            client.writer().write_all(early).expect("a buffer");
            pump(&mut client, &mut server, &mut talk);
        }
        for step in steps {
            match *step {
                Say::Client(bytes) => {
                    talk.sent[0].extend_from_slice(bytes);
                    client.writer().write_all(bytes).expect("a buffer");
                }
                Say::Server(bytes) => {
                    talk.sent[1].extend_from_slice(bytes);
                    server.writer().write_all(bytes).expect("a buffer");
                }
                Say::Rekey(true) => client.refresh_traffic_keys().expect("TLS 1.3"),
                Say::Rekey(false) => server.refresh_traffic_keys().expect("TLS 1.3"),
                Say::Close(true) => client.send_close_notify(),
                Say::Close(false) => server.send_close_notify(),
            }
            pump(&mut client, &mut server, &mut talk);
        }
        talk.key_log.clone_from(&self.log.0.lock().expect("nobody panicked"));
        talk
    }
}

/// Carries bytes both ways until there are none.
fn pump(client: &mut ClientConnection, server: &mut ServerConnection, talk: &mut Talk) {
    loop {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("memory");
        }
        let from_client = !flight.is_empty();
        if from_client {
            talk.wire.push((true, flight.clone()));
            let mut rest = flight.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("memory");
                server.process_new_packets().expect("right records");
                let mut sink = Vec::new();
                if let Some(mut early) = server.early_data() {
                    let _ = early.read_to_end(&mut sink);
                }
                let _ = server.reader().read_to_end(&mut sink);
            }
        }
        flight.clear();
        while server.wants_write() {
            server.write_tls(&mut flight).expect("memory");
        }
        if flight.is_empty() && !from_client {
            return;
        }
        if !flight.is_empty() {
            talk.wire.push((false, flight.clone()));
            let mut rest = flight.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("memory");
                client.process_new_packets().expect("right records");
                let _ = client.reader().read_to_end(&mut Vec::new());
            }
        }
    }
}
