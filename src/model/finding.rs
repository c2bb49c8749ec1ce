//! What is wrong (or worth knowing), how sure we are, and where it can be seen.

use std::borrow::Cow;
use std::ops::Range;

use crate::base::{ExchangeId, FlowId, PacketRef};
use crate::model::{Direction, Text};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A fact worth showing.
    Info,
    /// Works by luck, or will break with another peer.
    Warning,
    /// The handshake or connection cannot work, or a standard is broken with effect.
    Error,
}

/// How sure we are. Orders from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    Possible,
    Likely,
    /// The bytes were seen, without a gap.
    Certain,
}

impl Confidence {
    /// One step less sure.
    pub fn lower(self) -> Confidence {
        match self {
            Confidence::Certain => Confidence::Likely,
            Confidence::Likely | Confidence::Possible => Confidence::Possible,
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Chain(i64),
    Exchange(ExchangeId),
    Flow(FlowId),
    /// Index of the input.
    Input(u16),
    /// All inputs together.
    Capture,
}

/// A place in the capture that proves a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The packet that first carried the first of the bytes.
    pub at: PacketRef,
    pub direction: Option<Direction>,
    /// Offsets in that direction's innermost stream, in bytes. `None` where the packet itself is the
    /// evidence (a SYN, a RST).
    pub bytes: Option<Range<u64>>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's slug, its identity in every output.
    pub rule: Cow<'static, str>,
    pub severity: Severity,
    pub confidence: Confidence,
    pub subject: Subject,
    /// One or two sentences for a person.
    pub message: Text,
    /// What should have been there; empty where that has no meaning.
    pub expected: Text,
    /// What was there.
    pub found: Text,
    pub evidence: Vec<Evidence>,
    /// More specific causes than the rule's own, ranked; empty: use the rule's.
    pub causes: Vec<Cow<'static, str>>,
    /// Known to the user and allowed (`--allow`).
    pub allowed: bool,
}
