//! A TLS handshake that came to no end.

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Direction, Transport};

/// How a TLS handshake was broken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Who broke it off: who sent the alert, or the end where there was none; who should have answered.
    pub by: Direction,
    pub how: BrokenHow,
    pub after: HandshakeStep,
    /// The packet that did it, and when; of a silence the end of it.
    pub at: PacketRef,
    pub ts: Timestamp,
    /// How long the server was silent upon the ClientHello, where that is how it failed. Zero: until the capture's end.
    pub waited: Nanos,
    /// The client answered a request for its certificate with an empty one (RFC 5246 §7.4.6, RFC 8446 §4.4.2). `false`
    /// also where that cannot be seen.
    pub no_certificate: bool,
    /// Bytes of the server came, and those before them never did; or it sent them again and again, and they were never
    /// acknowledged.
    pub torn: bool,
    /// Protocols that the client offered (ALPN, RFC 7301), in its order.
    pub alpn_offered: Box<[Box<[u8]>]>,
    /// What TCP says of the ClientHello, beside its bytes. `None`: nothing, or the server had answered.
    pub transport: Option<Box<Transport>>,
    /// The ClientHello came to another place of capture, too, and was not acknowledged there either.
    pub reached: bool,
    /// The connection's SYN at another place of capture, which saw it open and no byte of it, nor its reset. `None`: there is
    /// no such place.
    pub unseen_at: Option<PacketRef>,
}

/// By what a handshake was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenHow {
    /// An alert that was read; its description (RFC 8446 §6).
    Alert(u8),
    /// An encrypted record as long as an alert is, and then the end.
    SealedAlert,
    Fin,
    Rst,
    /// The server said nothing at all, until the client gave up.
    Silence,
}

/// How far a handshake had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HandshakeStep {
    /// The client had asked, and the server had said nothing of TLS.
    ClientHello,
    /// The server had answered: its certificate went by with that, unless an earlier session was taken up.
    ServerHello,
    /// The client was done with its part.
    ClientFinished,
    /// Both were done, and nothing was sent inside: some clients look at a certificate only then.
    Complete,
}

impl Broken {
    /// Broken off so, by the packet `at`, at `ts`; of which nothing else is known yet.
    pub fn new(by: Direction, how: BrokenHow, after: HandshakeStep, (at, ts): (PacketRef, Timestamp)) -> Self {
        Broken {
            by,
            how,
            after,
            at,
            ts,
            waited: Nanos::ZERO,
            no_certificate: false,
            torn: false,
            alpn_offered: Box::default(),
            transport: None,
            reached: false,
            unseen_at: None,
        }
    }

    pub(super) fn shift(&mut self, by: Nanos) {
        self.ts = self.ts + by;
        if let Some(transport) = &mut self.transport {
            transport.shift(by);
        }
    }
}
