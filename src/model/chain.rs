//! A chain: the legs of one request's journey, and the verdict on it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::ExchangeId;
use crate::model::{Attempted, Beside, Confidence, Hop, Severity, Stands, Text};

/// What became of the upgrade, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Granted, and nothing says that a conforming client must fail it.
    Upgraded,
    /// Granted, but a conforming client must fail it (RFC 6455 §4.1).
    Broken,
    Refused,
    Redirected,
    Unanswered,
    /// The capture cannot tell.
    Unknown,
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Client,
    Hop,
    Server,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    pub role: Role,
    /// `None` where it is not known.
    pub address: Option<String>,
    pub product: Option<String>,
}

impl Blame {
    /// Something between the ends whose address is not known.
    pub fn nobody() -> Self {
        Blame { role: Role::Unknown, address: None, product: None }
    }
}

/// A change that mends it, in a product's own configuration language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub product: Cow<'static, str>,
    /// The versions it is right for; empty: all.
    pub versions: Cow<'static, str>,
    pub text: Cow<'static, str>,
}

/// The answer to "what went wrong?" for one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// A rule's slug, `ok` or `unknown`.
    pub rule: Cow<'static, str>,
    /// The rule whose finding says why, where `rule` says what was done: a limit, where a hop ended a tunnel. `None`:
    /// `rule` says it all.
    pub because: Option<Cow<'static, str>>,
    pub severity: Severity,
    pub confidence: Confidence,
    /// `None` when ok.
    pub blame: Option<Blame>,
    /// One sentence a person can act on.
    pub summary: Text,
    pub fix: Vec<Fix>,
}

impl Verdict {
    /// The rule whose finding tells most: summary and fix are its.
    pub fn told_by(&self) -> &str {
        self.because.as_deref().unwrap_or(&self.rule)
    }
}

/// One journey.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its first leg's id; the negative flow id for a flow without a request.
    pub id: i64,
    /// Client side first.
    pub legs: Vec<ExchangeId>,
    /// Set only where there is no leg.
    pub flow: Option<crate::base::FlowId>,
    /// The edges between the legs, nearest to the client first; a hop that tried again has several.
    pub hops: Box<[Hop]>,
    /// What hops tried towards backends without getting a request through.
    pub tried: Box<[Attempted]>,
    /// Connections in TLS that were not read: its own, or those that may be its legs. Most chains have none.
    pub sealed: Box<[Beside]>,
    pub outcome: Outcome,
    /// Of many chains the same one.
    pub verdict: Arc<Verdict>,
    /// Indices into the analysis' findings, in report order: those about the chain and its hops, and
    /// those about its legs.
    pub findings: Vec<usize>,
}

impl Chain {
    /// Connections in TLS that were not read and may be its legs: at most one before its first leg, and one behind its
    /// last.
    pub fn beside(&self) -> impl Iterator<Item = &Beside> {
        self.sealed.iter().filter(|beside| beside.stands != Stands::Itself)
    }
}

/// What failed chains share and the others do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Failed chains that share it.
    pub chains: u64,
    /// `server`, `client`, `host`, `path`, `user-agent`, …
    pub field: &'static str,
    pub value: Text,
    /// Failed chains with this value, of all chains with it: 0 to 1.
    pub failed_share: f64,
    /// Failed chains without it, of all chains without it: 0 to 1.
    pub others_failed_share: f64,
    /// When the first of them failed.
    pub since: crate::base::Timestamp,
}
