//! What a rule is, and where it puts what it finds.

use std::borrow::Cow;

use crate::base::{Counters, limits};
use crate::model::{
    Confidence, Direction, Evidence, Exchange, FaultClass, Finding, FlowFacts, Handshake, Head, InputFacts, Severity,
    Subject, Text,
};
use crate::rules::Seen;
use crate::rules::journey::{HopView, Journey};
use crate::rules::tunnels::Tunnels;

/// One rule of the catalogue. Its `id` is its identity in every output; the rest is what
/// `hopscope explain` and docs/rules.md say.
pub struct Rule {
    /// The slug. A family ends in `-<code>`.
    pub id: &'static str,
    /// The worst it can be.
    pub severity: Severity,
    /// What is wrong, in one line without a full stop.
    pub title: &'static str,
    /// What it checks and why that breaks upgrades, in plain English; paragraphs parted by a blank line.
    pub about: &'static str,
    /// `RFC 6455 §4.1`, …
    pub refs: &'static [&'static str],
    /// What usually causes it, likeliest first.
    pub causes: &'static [&'static str],
    /// Which of a product's fixes applies; `None` where there is nothing to mend.
    pub fix: Option<FaultClass>,
    /// Which outcomes it can explain; empty: a note, never a verdict.
    pub explains: &'static [Explains],
    /// Rules whose presence in a chain makes this one a mere symptom of theirs.
    pub symptom_of: &'static [&'static str],
    pub check: Check,
}

/// What a finding can be the explanation of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explains {
    Refused,
    Redirected,
    Broken,
    Unanswered,
    /// An upgraded tunnel that was cut.
    Ended,
}

/// What a rule looks at.
pub enum Check {
    /// One exchange; `Seen` knows the others.
    Exchange(ExchangeCheck),
    /// One exchange and the judgement on its accept.
    Handshake(fn(&Exchange, &Handshake, &Seen, &mut Findings<'_>)),
    /// A flow without any request; `Seen` knows the exchanges.
    Flow(FlowCheck),
    /// The same fault shows in several places: in an exchange, in a flow that has none, in a whole chain.
    Several { exchange: Option<ExchangeCheck>, flow: Option<FlowCheck>, chain: Option<ChainCheck> },
    /// One input.
    Input(fn(&InputFacts, &mut Findings<'_>)),
    /// All inputs together, by what was counted in them; told once.
    Capture(fn(&Counters, &mut Findings<'_>)),
    /// How the tunnels of the capture ended; told once.
    Tunnels(fn(&Tunnels, &mut Findings<'_>)),
    /// One hop of a chain, with the legs on its two sides.
    Hop(HopCheck),
    /// The same, and a whole chain, where the hop's other leg may be none at all.
    HopOrChain(HopCheck, ChainCheck),
    /// A whole chain, also of one leg.
    Chain(ChainCheck),
}

pub type ExchangeCheck = fn(&Exchange, &Seen, &mut Findings<'_>);
pub type FlowCheck = fn(&FlowFacts, &Seen, &mut Findings<'_>);
pub type HopCheck = fn(&HopView<'_>, &Seen, &mut Findings<'_>);
pub type ChainCheck = fn(&Journey<'_>, &Seen, &mut Findings<'_>);

impl Check {
    /// What it asks of an exchange alone.
    pub fn of_exchange(&self) -> Option<ExchangeCheck> {
        match self {
            Check::Exchange(check) => Some(*check),
            Check::Several { exchange, .. } => *exchange,
            _ => None,
        }
    }

    /// What it asks of a flow without a request.
    pub fn of_flow(&self) -> Option<FlowCheck> {
        match self {
            Check::Flow(check) => Some(*check),
            Check::Several { flow, .. } => *flow,
            _ => None,
        }
    }

    /// What it asks of a hop.
    pub fn of_hop(&self) -> Option<HopCheck> {
        match self {
            Check::Hop(check) | Check::HopOrChain(check, _) => Some(*check),
            _ => None,
        }
    }

    /// What it asks of a whole chain.
    pub fn of_chain(&self) -> Option<ChainCheck> {
        match self {
            Check::Chain(check) | Check::HopOrChain(_, check) => Some(*check),
            Check::Several { chain, .. } => *chain,
            _ => None,
        }
    }
}

/// Two lists of slugs as one, for `symptom_of`. `N`: how many they are together.
pub const fn both<const N: usize>(a: &[&'static str], b: &[&'static str]) -> [&'static str; N] {
    let mut out = [""; N];
    let mut at = 0;
    while at < N {
        out[at] = if at < a.len() { a[at] } else { b[at - a.len()] };
        at += 1;
    }
    out
}

/// Collects what one rule finds about one subject.
pub struct Findings<'a> {
    rule: &'static Rule,
    subject: Subject,
    out: &'a mut Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub fn new(rule: &'static Rule, subject: Subject, out: &'a mut Vec<Finding>) -> Self {
        Findings { rule, subject, out }
    }

    /// Adds a finding of the rule's own severity, `certain` unless changed afterwards by the builder.
    pub fn add(&mut self, message: Text) -> Builder<'_> {
        let finding = Finding {
            rule: Cow::Borrowed(self.rule.id),
            severity: self.rule.severity,
            confidence: Confidence::Certain,
            subject: self.subject,
            message,
            expected: Text::new(),
            found: Text::new(),
            evidence: Vec::new(),
            causes: Vec::new(),
            allowed: false,
        };
        if self.out.len() < limits::FINDINGS_PER_SUBJECT {
            if self.out.is_empty() {
                // Most have one, and a list would begin with room for four.
                self.out.reserve_exact(1);
            }
            self.out.push(finding);
        } else if let Some(last) = self.out.last_mut() {
            *last = finding;
        }
        match self.out.last_mut() {
            Some(finding) => Builder { finding },
            None => unreachable!("a finding was pushed or replaced just above"),
        }
    }
}

/// Fills in the finding just added.
pub struct Builder<'a> {
    finding: &'a mut Finding,
}

impl Builder<'_> {
    pub fn severity(self, severity: Severity) -> Self {
        self.finding.severity = severity;
        self
    }

    /// How sure the bytes in view make it; what the capture lacks of them is taken off by `run`.
    pub fn confidence(self, confidence: Confidence) -> Self {
        self.finding.confidence = confidence;
        self
    }

    pub fn expected(self, text: Text) -> Self {
        self.finding.expected = text;
        self
    }

    pub fn found(self, text: Text) -> Self {
        self.finding.found = text;
        self
    }

    /// A cause more specific than the rule's own; the first added is the likeliest.
    pub fn cause(self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.finding.causes.push(cause.into());
        self
    }

    /// Another slug of the rule's family (`refused-403` of `refused-<code>`).
    pub fn slug(self, slug: impl Into<Cow<'static, str>>) -> Self {
        self.finding.rule = slug.into();
        self
    }

    pub fn evidence(self, evidence: Evidence) -> Self {
        self.finding.evidence.push(evidence);
        self
    }

    /// Evidence: the whole head.
    pub fn head(self, head: &Head, direction: Direction) -> Self {
        self.evidence(Evidence { at: head.at, direction: Some(direction), bytes: Some(head.range.clone()) })
    }

    /// Evidence: the start line of a head.
    pub fn start_line(self, head: &Head, direction: Direction) -> Self {
        self.evidence(Evidence { at: head.at, direction: Some(direction), bytes: Some(head.start_range()) })
    }

    /// Evidence: every field line of this name; the whole head where there is none.
    pub fn field(mut self, head: &Head, name: &str, direction: Direction) -> Self {
        let mut any = false;
        for field in head.lines(name) {
            any = true;
            self = self.evidence(Evidence {
                at: head.at,
                direction: Some(direction),
                bytes: Some(head.field_range(field)),
            });
        }
        if any { self } else { self.head(head, direction) }
    }
}
