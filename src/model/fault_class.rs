//! Kinds of mending: which of a product's fixes a rule calls for.

/// A class of faults that one change of configuration mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultClass {
    /// The backend computes a wrong Sec-WebSocket-Accept.
    Accept,
    /// The backend's own handshake is wrong; no proxy setting helps.
    Backend,
    /// The client's own request is wrong; no proxy setting helps.
    Client,
    /// Compression agreed on one leg only.
    Comp,
    /// A rule of a hop adds, changes or removes a field.
    Fields,
    /// Re-create Upgrade and Connection on the next leg.
    Fwd,
    /// HTTP/2 where HTTP/1.1 is needed, or the other way round.
    H2,
    /// Request heads larger than a hop or the backend takes.
    Head,
    /// Keep Host and Origin.
    Host,
    /// Idle limits and heartbeats.
    Idle,
    /// Limits on the whole life of a tunnel, busy or not.
    Life,
    /// Refused on purpose, as somebody configured it: rate limits and access rules.
    Limit,
    /// Path and query on the way to the backend.
    Path,
    /// One side writes a PROXY header and the other expects none, or the other way round.
    ProxyProtocol,
    /// Nothing takes connections at the address that is asked.
    Reach,
    /// A program that does not read, or answers no Ping.
    Read,
    /// Redirects that a WebSocket client does not follow.
    Redir,
    /// The server does not allow an Origin that agrees with Host: no proxy before it changed one of them.
    Origin,
    /// Reloads that cut tunnels.
    Reload,
    /// TLS on one side and none on the other.
    Scheme,
    /// The server failed, hangs or is slow: its own log tells why.
    Server,
    /// Session affinity.
    Stick,
    /// Names, trust and certificates of TLS.
    Tls,
}

impl FaultClass {
    /// All classes, in the order of the documentation.
    pub const ALL: [FaultClass; 23] = [
        FaultClass::Fwd,
        FaultClass::Idle,
        FaultClass::Life,
        FaultClass::Host,
        FaultClass::Origin,
        FaultClass::Path,
        FaultClass::Redir,
        FaultClass::H2,
        FaultClass::Comp,
        FaultClass::Stick,
        FaultClass::Reload,
        FaultClass::Head,
        FaultClass::ProxyProtocol,
        FaultClass::Tls,
        FaultClass::Limit,
        FaultClass::Fields,
        FaultClass::Reach,
        FaultClass::Scheme,
        FaultClass::Server,
        FaultClass::Read,
        FaultClass::Accept,
        FaultClass::Backend,
        FaultClass::Client,
    ];

    /// The word used in product files.
    pub fn word(self) -> &'static str {
        match self {
            FaultClass::Accept => "accept",
            FaultClass::Backend => "backend",
            FaultClass::Client => "client",
            FaultClass::Comp => "comp",
            FaultClass::Fields => "fields",
            FaultClass::Fwd => "fwd",
            FaultClass::H2 => "h2",
            FaultClass::Head => "head",
            FaultClass::Host => "host",
            FaultClass::Idle => "idle",
            FaultClass::Life => "life",
            FaultClass::Limit => "limit",
            FaultClass::Origin => "origin",
            FaultClass::Path => "path",
            FaultClass::ProxyProtocol => "proxy-protocol",
            FaultClass::Reach => "reach",
            FaultClass::Read => "read",
            FaultClass::Redir => "redir",
            FaultClass::Reload => "reload",
            FaultClass::Scheme => "scheme",
            FaultClass::Server => "server",
            FaultClass::Stick => "stick",
            FaultClass::Tls => "tls",
        }
    }
}
