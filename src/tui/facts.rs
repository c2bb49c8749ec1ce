//! What lists and the timeline ask of every chain, side by side in little memory: so that a million of them are counted
//! between two frames.

use std::collections::{BTreeSet, HashMap};

use crate::base::{FlowId, Timestamp};
use crate::model::{Chain, Exchange, Finding, Outcome, Severity};
use crate::store::Analysis;

use super::shared::Mark;

/// Nobody.
const NONE: u32 = u32::MAX;

/// For each chain of an analysis, by its index.
#[derive(Default)]
pub struct Facts {
    marks: Vec<Mark>,
    /// When it began and ended, as far as is known.
    spans: Vec<Option<(Timestamp, Timestamp)>>,
    /// Which rules it has findings of: an index of `kinds`.
    kind: Vec<u32>,
    kinds: Vec<Vec<Found>>,
    rules: Vec<Box<str>>,
    /// Findings of no chain.
    lone: Vec<usize>,
    /// How many connections it has.
    connections: Vec<u32>,
    /// For each exchange, and each connection without a request, its chain.
    of_row: Vec<u32>,
    of_flow: Vec<u32>,
}

/// What a chain has found of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// An index of all rules with findings.
    pub rule: u32,
    pub count: u32,
    /// The worst of them.
    pub severity: Severity,
    /// All of them are known and allowed.
    pub allowed: bool,
}

impl Facts {
    /// `flow`: finds a connection among the analysis' flows.
    pub fn new(a: &Analysis, flow: &dyn Fn(FlowId) -> Option<usize>) -> Facts {
        let mut facts = Facts {
            marks: a.chains.iter().map(|chain| mark(a, chain)).collect(),
            of_row: vec![NONE; a.rows.len()],
            of_flow: vec![NONE; a.flows.len()],
            ..Facts::default()
        };
        let mut owners = vec![NONE; a.findings.len()];
        let mut listed = Vec::new();
        for (chain, at) in a.chains.iter().zip(0_u32..) {
            let legs: Vec<usize> = chain.legs.iter().filter_map(|id| a.place(*id)).collect();
            for leg in &legs {
                own(&mut facts.of_row, *leg, at);
            }
            findings(a, chain, &legs, &mut listed);
            for finding in &listed {
                own(&mut owners, *finding, at);
            }
            let lone = chain.flow.and_then(flow);
            let tried = chain.tried.iter().filter_map(|tried| flow(tried.flow));
            let mut alone = 0;
            for flow in lone.into_iter().chain(tried) {
                own(&mut facts.of_flow, flow, at);
                alone += 1;
            }
            let rows = || legs.iter().filter_map(|at| a.rows.get(*at)).map(|row| &*row.exchange);
            let beside = u32::try_from(chain.beside().count()).unwrap_or(NONE);
            facts.connections.push(connections(rows()) + alone + beside);
            let lone = lone.and_then(|at| a.flows.get(at));
            let first = chain.legs.first().and_then(|id| a.place(*id)).and_then(|at| a.rows.get(at));
            let began = first.map(|row| row.exchange.request.first).or_else(|| lone.map(|flow| flow.syn_at));
            let ended = rows().filter_map(ended).max();
            let ended = ended.or_else(|| lone.map(|flow| flow.end_at.unwrap_or(flow.syn_at)));
            facts.spans.push(began.zip(ended));
        }
        facts.sort_out(a, &owners);
        facts
    }

    /// Notes which rules each chain has findings of. `owners`: the chain of each finding.
    fn sort_out(&mut self, a: &Analysis, owners: &[u32]) {
        self.lone = owners.iter().enumerate().filter(|(_, owner)| **owner == NONE).map(|(at, _)| at).collect();
        let mut rules: HashMap<&str, u32> = HashMap::new();
        let mut kinds: HashMap<Vec<Found>, u32> = HashMap::new();
        let mut listed = Vec::new();
        for (chain, at) in a.chains.iter().zip(0_u32..) {
            let legs: Vec<usize> = chain.legs.iter().filter_map(|id| a.place(*id)).collect();
            findings(a, chain, &legs, &mut listed);
            let mut found: Vec<Found> = Vec::new();
            for finding in listed.iter().filter(|i| owners.get(**i) == Some(&at)).filter_map(|i| a.findings.get(*i)) {
                let next = u32::try_from(rules.len()).unwrap_or(NONE);
                add(&mut found, *rules.entry(&*finding.rule).or_insert(next), finding);
            }
            found.sort_unstable_by_key(|found| found.rule);
            let next = u32::try_from(kinds.len()).unwrap_or(NONE);
            self.kind.push(match kinds.get(&found) {
                Some(kind) => *kind,
                None => {
                    kinds.insert(found.clone(), next);
                    self.kinds.push(found);
                    next
                }
            });
        }
        let mut named: Vec<(&str, u32)> = rules.into_iter().collect();
        named.sort_unstable_by_key(|(_, rule)| *rule);
        self.rules = named.into_iter().map(|(name, _)| name.into()).collect();
    }

    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub fn mark(&self, index: usize) -> Option<Mark> {
        self.marks.get(index).copied()
    }

    /// When the chain with this index began and ended.
    pub fn span(&self, index: usize) -> Option<(Timestamp, Timestamp)> {
        self.spans.get(index).copied().flatten()
    }

    /// What it has findings of: an index of [`Facts::kinds`].
    pub fn kind(&self, index: usize) -> Option<usize> {
        self.kind.get(index).and_then(|kind| usize::try_from(*kind).ok())
    }

    /// All that chains have findings of, each once.
    pub fn kinds(&self) -> &[Vec<Found>] {
        &self.kinds
    }

    /// The name of a rule of [`Found`].
    pub fn rule(&self, rule: u32) -> &str {
        usize::try_from(rule).ok().and_then(|at| self.rules.get(at)).map_or("", |name| name)
    }

    /// Findings that are about no chain.
    pub fn lone(&self) -> &[usize] {
        &self.lone
    }

    /// How many connections the chain with this index has.
    pub fn connections(&self, index: usize) -> usize {
        self.connections.get(index).map_or(0, |count| *count as usize)
    }

    /// The chain of the exchange, or of the connection, at this place of the analysis.
    pub fn of_row(&self, place: usize) -> Option<usize> {
        owner(&self.of_row, place)
    }

    pub fn of_flow(&self, place: usize) -> Option<usize> {
        owner(&self.of_flow, place)
    }
}

fn own(owners: &mut [u32], place: usize, chain: u32) {
    if let Some(owner) = owners.get_mut(place) {
        *owner = chain;
    }
}

fn owner(owners: &[u32], place: usize) -> Option<usize> {
    owners.get(place).filter(|chain| **chain != NONE).and_then(|chain| usize::try_from(*chain).ok())
}

/// Findings of a chain and its legs, each once, ascending.
fn findings(a: &Analysis, chain: &Chain, legs: &[usize], out: &mut Vec<usize>) {
    out.clear();
    out.extend(&chain.findings);
    out.extend(legs.iter().filter_map(|at| a.rows.get(*at)).flat_map(|row| &row.findings));
    out.sort_unstable();
    out.dedup();
}

fn add(all: &mut Vec<Found>, rule: u32, finding: &Finding) {
    match all.iter_mut().find(|found| found.rule == rule) {
        Some(found) => {
            found.count += 1;
            found.severity = found.severity.max(finding.severity);
            found.allowed &= finding.allowed;
        }
        None => all.push(Found { rule, count: 1, severity: finding.severity, allowed: finding.allowed }),
    }
}

/// How many connections these exchanges used.
fn connections<'a>(legs: impl Iterator<Item = &'a Exchange>) -> u32 {
    let flows: BTreeSet<FlowId> = legs.map(|x| x.flow).collect();
    u32::try_from(flows.len()).unwrap_or(NONE)
}

/// When the last packet of an exchange came.
pub(super) fn ended(x: &Exchange) -> Option<Timestamp> {
    [x.times.last, x.end.tcp_at, x.end.at, Some(x.request.last)].into_iter().flatten().max()
}

/// What a row's mark is.
pub(super) fn mark(a: &Analysis, chain: &Chain) -> Mark {
    let v = &chain.verdict;
    let allowed = || {
        let all = chain.findings.iter().filter_map(|&i| a.findings.get(i));
        all.filter(|f| f.rule == v.rule).any(|f| f.allowed)
    };
    match (&*v.rule, chain.outcome) {
        ("unknown", _) | ("ok", Outcome::Unknown) => Mark::Unknown,
        ("ok", Outcome::Upgraded) => Mark::Good,
        ("ok", _) => Mark::Plain,
        _ if allowed() => Mark::Plain,
        _ => Mark::of(v.severity),
    }
}
