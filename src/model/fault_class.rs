//! Kinds of mending: which of a product's fixes a rule calls for.

/// A class of faults that one change of configuration mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultClass {
    /// The backend's own handshake is wrong; no proxy setting helps.
    Backend,
    /// The client's own request is wrong; no proxy setting helps.
    Client,
    /// Compression agreed on one leg only.
    Comp,
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
    /// Redirects that a WebSocket client does not follow.
    Redir,
    /// Reloads that cut tunnels.
    Reload,
    /// Session affinity.
    Stick,
    /// Names, trust and certificates of TLS.
    Tls,
}

impl FaultClass {
    /// All classes, in the order of the documentation.
    pub const ALL: [FaultClass; 16] = [
        FaultClass::Fwd,
        FaultClass::Idle,
        FaultClass::Life,
        FaultClass::Host,
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
        FaultClass::Backend,
        FaultClass::Client,
    ];

    /// The word used in product files.
    pub fn word(self) -> &'static str {
        match self {
            FaultClass::Backend => "backend",
            FaultClass::Client => "client",
            FaultClass::Comp => "comp",
            FaultClass::Fwd => "fwd",
            FaultClass::H2 => "h2",
            FaultClass::Head => "head",
            FaultClass::Host => "host",
            FaultClass::Idle => "idle",
            FaultClass::Life => "life",
            FaultClass::Limit => "limit",
            FaultClass::Path => "path",
            FaultClass::ProxyProtocol => "proxy-protocol",
            FaultClass::Redir => "redir",
            FaultClass::Reload => "reload",
            FaultClass::Stick => "stick",
            FaultClass::Tls => "tls",
        }
    }
}
