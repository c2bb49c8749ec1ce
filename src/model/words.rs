//! The words of the closed lists, as every output and the filter language spell them.

use crate::model::{AcceptVerdict, Confidence, Direction, EndHow, HopKind, Mechanism, Outcome, Role, Severity};

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Upgraded => "upgraded",
            Outcome::Broken => "broken",
            Outcome::Refused => "refused",
            Outcome::Redirected => "redirected",
            Outcome::Unanswered => "unanswered",
            Outcome::Unknown => "unknown",
        }
    }
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl HopKind {
    pub fn word(self) -> &'static str {
        match self {
            HopKind::Http => "http",
            HopKind::Relay => "relay",
        }
    }
}

impl Confidence {
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        }
    }
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Hop => "hop",
            Role::Server => "server",
            Role::Unknown => "unknown",
        }
    }
}

impl Mechanism {
    pub fn word(self) -> &'static str {
        match self {
            Mechanism::Http1Upgrade => "http1-upgrade",
            Mechanism::Http2ExtendedConnect => "http2-extended-connect",
            Mechanism::Connect => "connect",
            Mechanism::None => "none",
        }
    }
}

impl AcceptVerdict {
    pub fn word(self) -> &'static str {
        match self {
            AcceptVerdict::Valid => "valid",
            AcceptVerdict::Invalid => "invalid",
            AcceptVerdict::Missing => "missing",
            AcceptVerdict::Unverifiable => "unverifiable",
            AcceptVerdict::NotApplicable => "not-applicable",
        }
    }
}

impl EndHow {
    pub fn word(self) -> &'static str {
        match self {
            EndHow::CloseFrame => "close-frame",
            EndHow::Fin => "fin",
            EndHow::Rst => "rst",
            EndHow::Silent => "silent",
            EndHow::Open => "open",
        }
    }
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Direction::ClientToServer => "client-to-server",
            Direction::ServerToClient => "server-to-client",
        }
    }

    /// The other way.
    pub fn other(self) -> Self {
        match self {
            Direction::ClientToServer => Direction::ServerToClient,
            Direction::ServerToClient => Direction::ClientToServer,
        }
    }

    /// Who sends this way.
    pub fn sender(self) -> &'static str {
        match self {
            Direction::ClientToServer => "client",
            Direction::ServerToClient => "server",
        }
    }
}
