//! A hop: what stands between two legs of a chain, how the legs were joined, and the intermediary that
//! it is one appearance of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::{Endpoint, ExchangeId, FlowId, Nanos};
use crate::model::{Confidence, FlowFacts, Lasted, Text};

/// What a hop does with what it relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// Reads HTTP and writes it anew: the rules on fields apply.
    Http,
    /// Relays bytes of TCP as they are: no rule on fields applies, every rule on endings does.
    Relay,
}

/// Why two legs are one journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchKey {
    /// The same `Sec-WebSocket-Key`, which no other leg of that time has.
    Key,
    /// The same `Sec-WebSocket-Accept`.
    Accept,
    /// A request id or trace id.
    RequestId,
    /// X-Forwarded-For, Forwarded or X-Real-IP names the near leg's client.
    Forwarded,
    /// The PROXY protocol header names the near leg's client.
    ProxyProtocol,
    /// The same bytes in both directions.
    Bytes,
    /// The same target, or the same behind a prefix that the hop rewrites.
    Target,
    Host,
    Origin,
    /// Cookie or Authorization.
    Credentials,
    UserAgent,
    Subprotocols,
    /// The same messages after the upgrade.
    Messages,
    /// As many bytes.
    Size,
    /// The far leg lies inside the near one in time.
    Time,
    /// Other pairs show that these addresses belong to one host, or the user says so.
    Topology,
}

impl MatchKey {
    /// As reports spell it.
    pub fn word(self) -> &'static str {
        match self {
            MatchKey::Key => "key",
            MatchKey::Accept => "accept",
            MatchKey::RequestId => "request-id",
            MatchKey::Forwarded => "forwarded",
            MatchKey::ProxyProtocol => "proxy-protocol",
            MatchKey::Bytes => "bytes",
            MatchKey::Target => "target",
            MatchKey::Host => "host",
            MatchKey::Origin => "origin",
            MatchKey::Credentials => "credentials",
            MatchKey::UserAgent => "user-agent",
            MatchKey::Subprotocols => "subprotocols",
            MatchKey::Messages => "messages",
            MatchKey::Size => "size",
            MatchKey::Time => "time",
            MatchKey::Topology => "topology",
        }
    }
}

/// One hop of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The leg nearer the client and the one behind the hop.
    pub between: (ExchangeId, ExchangeId),
    pub kind: HopKind,
    /// The hop's own: where the near leg goes to, where the far leg comes from; the other way round where they are not one
    /// host's (`unseen`). Without repeats.
    pub addresses: Vec<IpAddr>,
    /// The far leg was not asked for by whoever the near one goes to: another program stands between them, whose own leg is
    /// not in view. Which of them did what is not known.
    pub unseen: bool,
    /// The port that clients of this hop connect to, where other programs of its host stand on the path too. `None`:
    /// its address alone tells it.
    pub port: Option<u16>,
    /// As the user named it (`--hop`).
    pub name: Option<String>,
    /// `None` where nothing tells.
    pub product: Option<Software>,
    /// Strongest first.
    pub joined_by: Vec<MatchKey>,
    pub confidence: Confidence,
    /// From the near request's first byte to the far one's. `None` where clocks cannot be compared that
    /// finely.
    pub forward: Option<Nanos>,
    /// From the far response's first byte to the near one's. `None` also where one is missing.
    pub back: Option<Nanos>,
}

/// A connection in TLS that was not read and belongs to a chain, or may: by time, size and topology that is never
/// more than possible.
#[derive(Clone, Debug)]
pub struct Beside {
    pub flow: Box<FlowFacts>,
    pub stands: Stands,
    /// The leg that it stands beside. `None`: the chain's own connection.
    pub of: Option<ExchangeId>,
    /// Empty for the chain's own connection.
    pub joined_by: Vec<MatchKey>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is what the chain is about.
    Itself,
    /// Nearer the client than the first leg in view.
    Before,
    /// Behind the last leg in view.
    Behind,
}

impl Stands {
    /// As reports spell it.
    pub fn word(self) -> &'static str {
        match self {
            Stands::Itself => "itself",
            Stands::Before => "before",
            Stands::Behind => "behind",
        }
    }
}

impl Hop {
    /// The address that blame names: the one that clients of this hop connect to.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }

    /// That address, with the port where it takes both to tell the hop.
    pub fn place(&self) -> Option<String> {
        self.address().map(|ip| place(ip, self.port))
    }
}

/// Software, and how it was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Its file's name among the products; empty for what has no file.
    pub slug: String,
    /// As its makers write it.
    pub name: String,
    /// `None` where it does not tell.
    pub version: Option<String>,
    pub confidence: Confidence,
    /// The signs, strongest first.
    pub evidence: Vec<Text>,
}

/// A proxy, over all chains that went through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intermediary {
    /// Sorted.
    pub addresses: Vec<IpAddr>,
    /// As of [`Hop::port`].
    pub port: Option<u16>,
    pub name: Option<String>,
    pub product: Option<Software>,
    /// Chains that went through it, and those that ended upgraded.
    pub chains: u64,
    pub upgraded: u64,
    /// Chains whose `Upgrade` it passed on, of those with a leg behind it.
    pub kept_upgrade: u64,
    /// Verdicts of these chains, `ok` left out.
    pub verdicts: BTreeMap<String, u64>,
    /// The silences, and the lives, of its WebSockets.
    pub idle: Lasted,
    pub lifetime: Lasted,
}

impl Intermediary {
    /// Whether connections to this end are to it.
    pub fn is_at(&self, end: Endpoint) -> bool {
        self.addresses.contains(&end.ip) && self.port.is_none_or(|port| port == end.port)
    }

    /// Its addresses, with the port where it takes both to tell it.
    pub fn places(&self) -> Vec<String> {
        self.addresses.iter().map(|ip| place(*ip, self.port)).collect()
    }
}

fn place(ip: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) => Endpoint { ip, port }.to_string(),
        None => ip.to_string(),
    }
}

/// A connection without a request that belongs to a chain: what a hop tried towards a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// The leg whose server tried it.
    pub behind: ExchangeId,
    pub flow: FlowId,
    pub confidence: Confidence,
}
