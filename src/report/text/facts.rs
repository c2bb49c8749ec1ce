//! What became of each chain, and which broken ones are alike.

use std::collections::HashMap;

use crate::base::escape::escape;
use crate::base::{Endpoint, Timestamp};
use crate::model::{Chain, Exchange, Finding, Outcome, Severity, Subject};
use crate::report::build;
pub(super) use crate::report::build::{flow, flow_by_id};
use crate::report::text::legs;
use crate::rules;
use crate::store::{Analysis, Row};

/// What became of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fate {
    /// Upgraded, and nothing to explain.
    Worked,
    /// Upgraded, but something is wrong that fails with another peer.
    Warned,
    /// Upgraded; then it failed or was cut.
    Cut,
    Failed,
    /// Not upgraded, and no fault: a 401 that a later try settled.
    Settled,
    /// The capture cannot tell.
    Unknown,
    /// A connection that never carried a request.
    NoRequest,
    /// Asks for an upgrade by mistake on every request, not to be counted.
    Forced,
    /// Its fault is known and allowed.
    Allowed,
}

/// Broken chains with one verdict at one server.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rule: String,
    pub(super) server: Option<Endpoint>,
    pub(super) severity: Severity,
    /// Indices of chains, in order of time.
    pub(super) chains: Vec<usize>,
}

pub(super) struct Facts {
    /// For each chain of the analysis.
    pub(super) fates: Vec<Fate>,
    /// Worst and largest first.
    pub(super) groups: Vec<Group>,
    /// For each chain, the one that is the same upgrade one leg farther on, and nearer the client.
    pub(super) legs: Vec<legs::Neighbours>,
    /// Earliest packet, or earliest request.
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Facts {
    pub(super) fn new(a: &Analysis) -> Self {
        let fates: Vec<Fate> = a.chains.iter().map(|c| fate(a, c)).collect();
        let first = a.inputs.iter().filter_map(|i| i.first).min();
        let last = a.inputs.iter().filter_map(|i| i.last).max();
        let first = first.or_else(|| a.rows.first().map(|r| r.exchange.request.first));
        let mut groups = groups(a, &fates);
        let legs = legs::neighbours(a);
        sort(&mut groups, &fates, &legs);
        Facts { groups, fates, legs, first, last }
    }

    pub(super) fn count(&self, fate: Fate) -> u64 {
        self.fates.iter().filter(|&&f| f == fate).count() as u64
    }

    /// Chains in which an upgrade was asked for.
    pub(super) fn tried(&self) -> u64 {
        self.fates.len() as u64 - self.count(Fate::NoRequest) - self.count(Fate::Forced)
    }
}

/// What an input is called: the name of its file where no other input has the same, else as it was given.
pub(super) fn input_name(a: &Analysis, index: usize) -> String {
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(path) = a.inputs.get(index).map(|i| i.path.as_str()) else { return format!("input {index}") };
    let name = base(path);
    let alone = a.inputs.iter().filter(|i| base(&i.path) == name).count() == 1;
    let file = !name.is_empty() && !path.starts_with("/dev/");
    escape(if file && alone { name.as_bytes() } else { path.as_bytes() })
}

/// The leg that the client saw.
pub(super) fn first_leg<'a>(a: &'a Analysis, chain: &Chain) -> Option<&'a Row> {
    chain.legs.first().and_then(|&leg| build::row(a, leg))
}

/// When the client began.
pub(super) fn began(a: &Analysis, chain: &Chain) -> Option<Timestamp> {
    first_leg(a, chain).map(|row| row.exchange.request.first).or_else(|| flow(a, chain).map(|f| f.syn_at))
}

/// Indices of all findings of a chain and its legs, each once, in report order.
pub(super) fn findings(a: &Analysis, chain: &Chain) -> Vec<usize> {
    let legs = chain.legs.iter().filter_map(|&leg| build::row(a, leg)).flat_map(|row| &row.findings);
    let mut all: Vec<usize> = chain.findings.iter().chain(legs).copied().filter(|&i| i < a.findings.len()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The findings from which the verdict comes.
pub(super) fn behind_verdict<'a>(a: &'a Analysis, chain: &Chain) -> Vec<&'a Finding> {
    let all = findings(a, chain).into_iter().filter_map(|i| a.findings.get(i));
    all.filter(|f| f.rule == chain.verdict.told_by()).collect()
}

/// Which leg of several a finding is about: `leg 2`, or `legs 1 and 2` where it is about the hop between
/// them. Empty where there is but one leg, or it is about all.
pub(super) fn legs_of(a: &Analysis, chain: &Chain, finding: &Finding) -> String {
    let about = |x: &Exchange| match finding.subject {
        Subject::Exchange(id) => x.id == id,
        Subject::Chain(_) => finding
            .evidence
            .iter()
            .any(|e| [Some(&x.request), x.response.as_ref()].into_iter().flatten().any(|head| head.at == e.at)),
        _ => false,
    };
    let numbered = chain.legs.iter().zip(1_usize..);
    let legs = numbered.filter(|(id, _)| build::leg(a, **id).is_some_and(about)).map(|(_, leg)| leg.to_string());
    match legs.collect::<Vec<_>>().as_slice() {
        _ if chain.legs.len() < 2 => String::new(),
        [one] => format!("leg {one}"),
        [one, two] => format!("legs {one} and {two}"),
        _ => String::new(),
    }
}

fn fate(a: &Analysis, chain: &Chain) -> Fate {
    let rule = &*chain.verdict.rule;
    if rule != "ok" && behind_verdict(a, chain).first().is_some_and(|f| f.allowed) {
        return Fate::Allowed;
    }
    let forced = || findings(a, chain).iter().any(|&i| a.findings.get(i).is_some_and(|f| f.rule == "upgrade-forced"));
    match (chain.outcome, rule) {
        _ if chain.legs.is_empty() => Fate::NoRequest,
        (_, "ok" | "upgrade-forced") if forced() => Fate::Forced,
        (Outcome::Upgraded, "ok") => Fate::Worked,
        (_, "unknown") | (Outcome::Unknown, "ok") => Fate::Unknown,
        (_, "ok") => Fate::Settled,
        (Outcome::Upgraded, _) if chain.verdict.severity < Severity::Error && !rules::is_of_an_end(rule) => {
            Fate::Warned
        }
        (Outcome::Upgraded, _) => Fate::Cut,
        _ => Fate::Failed,
    }
}

fn groups(a: &Analysis, fates: &[Fate]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<(&str, Option<Endpoint>), usize> = HashMap::new();
    for (index, (chain, fate)) in a.chains.iter().zip(fates).enumerate() {
        let broken = matches!(fate, Fate::Warned | Fate::Cut | Fate::Failed | Fate::Unknown | Fate::NoRequest);
        if !broken || (chain.verdict.rule == "ok" && *fate == Fate::NoRequest) {
            continue;
        }
        // A chain without a fault whose end the capture does not show is told as the unknown one it is.
        let rule = if *fate == Fate::Unknown { "unknown" } else { &*chain.verdict.rule };
        let leg = first_leg(a, chain).map(|row| row.exchange.server);
        let server = leg.or_else(|| flow(a, chain).map(|f| f.server));
        let at = *known.entry((rule, server)).or_insert_with(|| {
            let severity = if rule == "unknown" { Severity::Info } else { chain.verdict.severity };
            groups.push(Group { rule: rule.to_owned(), server, severity, chains: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            if rule != "unknown" {
                group.severity = group.severity.max(chain.verdict.severity);
            }
            group.chains.push(index);
        }
    }
    groups
}

/// Worst and largest first.
fn sort(groups: &mut [Group], fates: &[Fate], legs: &[legs::Neighbours]) {
    // What only passes on the failure of the leg behind it comes after that.
    let relays = |group: &Group| {
        let next = group.chains.first().and_then(|&i| legs.get(i)?.next);
        next.and_then(|i| fates.get(i)).is_some_and(|fate| matches!(fate, Fate::Failed | Fate::Cut))
    };
    groups.sort_by(|x, y| {
        let worse = y.severity.cmp(&x.severity).then_with(|| relays(x).cmp(&relays(y)));
        worse.then_with(|| y.chains.len().cmp(&x.chains.len()))
    });
}
