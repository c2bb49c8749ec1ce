//! Findings on their way to the packets that prove them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::mpsc::Sender;

use crate::base::{PacketRef, limits};
use crate::engine::Judge;
use crate::model::{Exchange, Finding, FlowFacts};
use crate::products::Products;
use crate::proto::Sink;
use crate::report::comments::sentence;
use crate::report::mask::Masker;
use crate::stream::Context;

use super::Message;

/// Tells whoever keeps packets what they are evidence of.
pub(in super::super) struct Notes {
    to: Sender<Message>,
    masker: Masker,
    /// What was told already.
    told: HashSet<(PacketRef, Cow<'static, str>)>,
}

impl Notes {
    pub(super) fn new(to: Sender<Message>, show_secrets: bool) -> Self {
        Notes { to, masker: Masker::new(show_secrets), told: HashSet::new() }
    }

    pub(in super::super) fn take(&mut self, findings: &[Finding]) {
        for finding in findings {
            for evidence in &finding.evidence {
                if self.told.len() >= limits::KEEP_NOTED {
                    self.told.clear();
                }
                if self.told.insert((evidence.at, finding.rule.clone())) {
                    let words = sentence(finding, &mut self.masker);
                    // Keeping may be over already.
                    let _ = self.to.send(Message::Note(evidence.at, words));
                }
            }
        }
    }
}

/// Judges exchanges on their way, each by itself, so that findings can stand in the file that keeps the packets. For
/// those who judge only at the end.
pub(in super::super) struct Noted<'p, S> {
    pub(in super::super) inner: S,
    notes: Option<(Judge<'p>, Notes)>,
}

impl<'p, S> Noted<'p, S> {
    /// Without `notes` it does nothing.
    pub(in super::super) fn new(inner: S, products: &'p Products, notes: Option<Notes>) -> Self {
        Noted { inner, notes: notes.map(|notes| (Judge::new(products), notes)) }
    }

    /// What was asked for, and what takes notes.
    pub(in super::super) fn into_parts(self) -> (S, Option<Notes>) {
        (self.inner, self.notes.map(|(_, notes)| notes))
    }

    fn look(&mut self, x: &Exchange, decided: bool) {
        if let Some((judge, notes)) = &mut self.notes
            && !x.tentative
        {
            if decided || x.response.is_none() {
                judge.seen.learn(x, true);
            }
            notes.take(&judge.exchange(x).findings);
        }
    }
}

impl<S: Sink> Sink for Noted<'_, S> {
    fn asked(&mut self, x: &Exchange) {
        self.inner.asked(x);
    }

    fn decided(&mut self, x: &Exchange) {
        self.look(x, true);
        self.inner.decided(x);
    }

    fn ended(&mut self, x: Box<Exchange>) {
        self.look(&x, false);
        self.inner.ended(x);
    }

    fn lone(&mut self, flow: FlowFacts) {
        self.inner.lone(flow);
    }

    fn sealed(&mut self, flow: FlowFacts) {
        self.inner.sealed(flow);
    }

    fn opened(&mut self, context: Context<'_>, at: PacketRef) {
        self.inner.opened(context, at);
    }
}
