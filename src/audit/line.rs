//! How a line of a card is made: from findings of rules, or from what was counted.

use crate::model::{self, Chain, Exchange, FaultClass, Finding, Severity};
use crate::report::document as doc;
use crate::report::mask::{self, Masker};
use crate::report::passed::Passed;
use crate::rules;

use super::scope::Scope;

/// Chains and packets named by one line.
const CHAINS: usize = 10;
const EVIDENCE: usize = 10;

/// What came of looking at one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    NotObserved,
    Pass,
    Warn,
    Fail,
}

impl Status {
    /// Of a fault.
    pub(super) fn of(severity: Severity) -> Status {
        match severity {
            Severity::Error => Status::Fail,
            Severity::Warning | Severity::Info => Status::Warn,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Status::NotObserved => "not-observed",
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) status: Status,
    pub(super) severity: Severity,
    pub(super) text: String,
    pub(super) rules: Vec<String>,
    pub(super) chains: Vec<i64>,
    pub(super) evidence: Vec<doc::Evidence>,
    pub(super) fixes: Vec<doc::Fix>,
    pub(super) references: Vec<String>,
}

/// Makes the lines of one card.
pub(super) struct Maker<'m, 's> {
    scope: &'m Scope<'s>,
    pub(super) masker: &'m mut Masker,
    pub(super) lines: Vec<Line>,
}

/// Exchanges with and without a fault.
#[derive(Default)]
pub(super) struct Tally<'a> {
    pub(super) good: u64,
    pub(super) bad: Vec<(&'a Chain, Vec<&'a Exchange>)>,
}

impl<'a> Tally<'a> {
    /// One more. `good`: `None` where there is nothing to say of it.
    pub(super) fn add(&mut self, good: Option<bool>, chain: &'a Chain, legs: Vec<&'a Exchange>) {
        match good {
            Some(true) => self.good += 1,
            Some(false) => self.bad.push((chain, legs)),
            None => {}
        }
    }

    pub(super) fn all(&self) -> u64 {
        self.good + self.bad.len() as u64
    }
}

impl<'m, 's> Maker<'m, 's> {
    pub(super) fn new(scope: &'m Scope<'s>, masker: &'m mut Masker) -> Self {
        Maker { scope, masker, lines: Vec::new() }
    }

    /// A line of which no more is to say.
    pub(super) fn plain(&mut self, id: &'static str, title: &'static str, status: Status, text: String) -> &mut Line {
        let severity = match status {
            Status::Fail => Severity::Error,
            Status::Warn => Severity::Warning,
            Status::Pass | Status::NotObserved => Severity::Info,
        };
        let (rules, chains, evidence) = (Vec::new(), Vec::new(), Vec::new());
        let (fixes, references) = (Vec::new(), Vec::new());
        self.lines.push(Line { id, title, status, severity, text, rules, chains, evidence, fixes, references });
        // It was pushed a line ago.
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    /// A line from the findings of some rules. Without one: passed where there were `seen` occasions, told by `good`.
    pub(super) fn found(&mut self, id: &'static str, title: &'static str, slugs: &[&str], seen: u64, good: &str) {
        let found = self.scope.findings(slugs);
        if found.is_empty() {
            match seen {
                0 => self.plain(id, title, Status::NotObserved, "nothing of it was seen".to_owned()),
                _ => self.plain(id, title, Status::Pass, good.to_owned()),
            };
            return;
        }
        self.from(id, title, &found);
    }

    /// A line from findings, of which there is at least one: as bad as the worst.
    pub(super) fn from(&mut self, id: &'static str, title: &'static str, found: &[(&Chain, &Finding)]) {
        let Some(&(_, worst)) = found.iter().max_by_key(|(_, f)| f.severity) else { return };
        let status = Status::of(worst.severity);
        let text = once_of(found.len(), &self.masker.text(&worst.message));
        let severity = worst.severity;
        let (fixes, references) = self.mending(found, worst);
        let line = self.plain(id, title, status, text);
        line.severity = severity;
        line.rules = found.iter().map(|(_, f)| mask::own(&f.rule)).collect();
        line.rules.sort_unstable();
        line.rules.dedup();
        line.chains = some_chains(found.iter().map(|(chain, _)| *chain));
        line.evidence = found.iter().flat_map(|(_, f)| &f.evidence).take(EVIDENCE).map(evidence).collect();
        (line.fixes, line.references) = (fixes, references);
    }

    /// A line from what was counted at its hops. `class`: what mends it.
    pub(super) fn tallied(
        &mut self,
        (id, title): (&'static str, &'static str),
        tally: &Tally<'_>,
        bad: Status,
        [good_words, bad_words]: [&str; 2],
        class: Option<FaultClass>,
    ) {
        let all = tally.all();
        if all == 0 {
            self.plain(id, title, Status::NotObserved, "nothing of it was seen".to_owned());
            return;
        }
        if tally.bad.is_empty() {
            self.plain(id, title, Status::Pass, format!("{good_words} ({all} of {all})"));
            return;
        }
        let fixes = class.map(|class| self.fixes_of(class)).unwrap_or_default();
        let line = self.plain(id, title, bad, format!("{bad_words} ({} of {all})", tally.bad.len()));
        line.fixes = fixes;
        line.chains = some_chains(tally.bad.iter().map(|(chain, _)| *chain));
        let heads = tally.bad.iter().flat_map(|(_, legs)| legs).map(|x| x.request.at);
        line.evidence = heads
            .take(EVIDENCE)
            .map(|at| doc::Evidence { input: at.input(), packet: at.number(), direction: None, bytes: None })
            .collect();
    }

    /// What mends a class of faults in this intermediary's own language, or in words.
    pub(super) fn fixes_of(&self, class: FaultClass) -> Vec<doc::Fix> {
        let known = self.scope.proxy.product.as_ref().and_then(|p| self.scope.products.get(&p.slug));
        let own = known.map(|product| self.scope.products.fixes(product, class)).unwrap_or_default();
        match own.is_empty() {
            true => fixes(self.scope.products.class_fixes(class).get(..1).unwrap_or_default()),
            false => fixes(&own),
        }
    }

    fn mending(&self, found: &[(&Chain, &Finding)], worst: &Finding) -> (Vec<doc::Fix>, Vec<String>) {
        let rule = rules::find(&worst.rule);
        let references = rule.map(|r| r.refs.iter().map(|&r| r.to_owned()).collect()).unwrap_or_default();
        // The chain's own fix is the one for the version that was seen.
        let verdict = found.iter().find(|(chain, f)| chain.verdict.rule == f.rule && !chain.verdict.fix.is_empty());
        if let Some((chain, _)) = verdict {
            return (fixes(&chain.verdict.fix), references);
        }
        (rule.and_then(|r| r.fix).map(|class| self.fixes_of(class)).unwrap_or_default(), references)
    }
}

/// What was found once, told for all of them.
pub(super) fn once_of(times: usize, text: &str) -> String {
    if times > 1 { format!("{times} times; once: {text}") } else { text.to_owned() }
}

/// Both legs of a hop.
pub(super) fn both<'a>(p: &Passed<'_, 'a>) -> Vec<&'a Exchange> {
    vec![p.near, p.far]
}

fn some_chains<'a>(chains: impl Iterator<Item = &'a Chain>) -> Vec<i64> {
    let mut ids: Vec<i64> = Vec::new();
    for chain in chains {
        if ids.len() < CHAINS && !ids.contains(&chain.id) {
            ids.push(chain.id);
        }
    }
    ids
}

fn evidence(e: &model::Evidence) -> doc::Evidence {
    doc::Evidence {
        input: e.at.input(),
        packet: e.at.number(),
        direction: e.direction.map(|d| d.word().into()),
        bytes: e.bytes.as_ref().filter(|b| b.start < b.end).map(|b| (b.start, b.end)),
    }
}

fn fixes(all: &[model::Fix]) -> Vec<doc::Fix> {
    let own = |words: &str| mask::own(words);
    all.iter().map(|f| doc::Fix { product: own(&f.product), versions: own(&f.versions), text: own(&f.text) }).collect()
}
