//! A TCP connection, as far as a rule may ask about it.

use crate::base::{Endpoint, FlowId, Nanos, PacketRef, Timestamp};
use crate::model::{Broken, End, Preview, Proxied, Rejected, Sealed, Wrapper, WsTotals};

/// How the connection's opening went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectState {
    /// SYN and SYN-ACK seen, or what only an open connection has: bytes, an acknowledgement of the SYN-ACK.
    #[default]
    Established,
    /// The SYN was answered by RST.
    Refused,
    /// SYNs without any answer.
    Unanswered,
    /// No SYN in view.
    Midstream,
}

/// A flow that never carried a request and is worth a finding, such as a refused connection.
#[derive(Clone, Debug)]
pub struct FlowFacts {
    pub id: FlowId,
    pub client: Endpoint,
    pub server: Endpoint,
    pub state: ConnectState,
    /// The first SYN.
    pub syn: PacketRef,
    pub syn_at: Timestamp,
    /// How many SYNs were seen.
    pub syns: u32,
    /// The packet that answered or ended it.
    pub end: Option<PacketRef>,
    pub end_at: Option<Timestamp>,
    /// Why nobody answered its SYN, as ICMP says; then that message is its end. `None`: nobody said so.
    pub rejected: Option<Rejected>,
    /// What it carried. `None`: no payload at all.
    pub said: Option<Box<Said>>,
    /// Its SYN at another place of capture, where it was answered, which it was not at this one. `None`: no other place
    /// saw that.
    pub answered_at: Option<PacketRef>,
    /// Of one that was not answered, or refused: a packet of the same two hosts at another place of capture, which saw neither
    /// its SYN nor who refused it. `None`: there is no such place.
    pub unseen_at: Option<PacketRef>,
}

impl FlowFacts {
    /// Moves all of its times: another clock is believed.
    pub fn shift(&mut self, by: Nanos) {
        self.syn_at = self.syn_at + by;
        self.end_at = self.end_at.map(|at| at + by);
        self.rejected.iter_mut().for_each(|told| (told.ts, told.last) = (told.ts + by, told.last + by));
        let Some(said) = &mut self.said else { return };
        said.first.iter_mut().flatten().for_each(|preview| preview.ts = preview.ts + by);
        for time in [&mut said.end.at, &mut said.end.tcp_at] {
            *time = time.map(|at| at + by);
        }
        if let Some(proxied) = &mut said.proxied {
            proxied.ts = proxied.ts + by;
        }
        if let Some(sealed) = &mut said.sealed {
            sealed.shift(by);
        }
        if let Some(broken) = &mut said.broken {
            broken.shift(by);
        }
    }
}

impl FlowFacts {
    /// The name that its ClientHello asks for (SNI, RFC 6066 §3). Captured bytes. `None`: none, or it was not read.
    pub fn server_name(&self) -> Option<&[u8]> {
        self.said.as_ref()?.via.iter().rev().find_map(|wrapper| match wrapper {
            Wrapper::Tls(tls) => tls.server_name.as_deref(),
            _ => None,
        })
    }

    /// What is known of it as TLS that was not read. `None`: it is none.
    pub fn sealed(&self) -> Option<&Sealed> {
        self.said.as_ref()?.sealed.as_deref()
    }
}

/// What a connection without a request carried, as far as it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// As in an exchange; previews count from inside of it.
    pub via: Vec<Wrapper>,
    pub proxied: Option<Box<Proxied>>,
    /// First bytes of client and server behind what precedes them. `None`: it said nothing.
    pub first: [Option<Preview>; 2],
    /// A WebSocket without its handshake: the frames that were seen.
    pub ws: Option<WsTotals>,
    /// TLS that was not read. Its hellos' facts stand in `via`. `None`: it is none, or its end came before the
    /// ServerHello.
    pub sealed: Option<Box<Sealed>>,
    /// A TLS handshake that failed. `None`: there was none, or it did not.
    pub broken: Option<Box<Broken>>,
    /// A SOCKS proxy's refusal. `None`: there was none.
    pub socks: Option<Box<SocksRefused>>,
    /// Bytes of the connection were lost to the capture.
    pub gap: bool,
    pub end: End,
}

/// What a SOCKS proxy refused, and how (RFC 1928, RFC 1929).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksRefused {
    /// 4 or 5.
    pub version: u8,
    /// `host:port`, an IPv6 address in brackets. Captured bytes. `None`: it was refused before it was said.
    pub target: Option<Box<[u8]>>,
    pub how: SocksAnswer,
}

/// By which message a SOCKS proxy refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksAnswer {
    /// None of the ways to authenticate that the client offered (RFC 1928 §3).
    NoMethod,
    /// User name and password were not accepted; its status (RFC 1929 §2).
    Credentials(u8),
    /// The reply to the request; its code (RFC 1928 §6, SOCKS 4).
    Reply(u8),
}
