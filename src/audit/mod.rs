//! The audit: one score card for each intermediary, made of lines that each pass, warn, fail or could not be observed.
//! What comes in: a finished analysis. What goes out: a document, and that as text, JSON, Markdown or HTML.
//!
//! A line rests on findings of the rules and on what the hop did to heads on its two sides; nothing here looks for
//! faults that no rule knows, but for what is a matter of taste and security and breaks no upgrade.

use std::borrow::Cow;

use crate::model::{Intermediary, Severity};
use crate::products::Products;
use crate::report::mask::{self, Masker};
use crate::report::{build, passed};
use crate::store::Analysis;

pub mod baseline;
pub mod document;
mod fields;
mod line;
mod measured;
mod scope;
mod security;
mod tunnels;
pub mod write;

use line::{Line, Maker};
use scope::Scope;

/// Makes lines of a card.
type Lines = fn(&Scope<'_>, &mut Maker<'_, '_>);

/// Every group of lines, in the order of the card.
const GROUPS: &[(&str, Lines)] = &[
    ("upgrade", fields::faults),
    ("upgrade", fields::upgrade),
    ("fields", fields::others),
    ("tunnel", tunnels::lines),
    ("limits", measured::lines),
    ("security", security::lines),
];

/// The cards of all intermediaries: first those of which both sides were seen, by address.
pub fn audit(a: &Analysis, products: &Products, masker: &mut Masker) -> document::Audit {
    let alone = scope::alone(a, products);
    let all = a.intermediaries.iter().chain(&alone);
    let cards: Vec<document::Card> = all.map(|proxy| card(a, proxy, products, masker)).collect();
    document::Audit {
        schema: Cow::Borrowed(document::SCHEMA),
        tool: build::tool(),
        inputs: build::inputs(&a.inputs),
        counters: build::counters(&a.counters),
        chains: a.chains.iter().filter(|c| !c.legs.is_empty()).count() as u64,
        cards,
        baseline: None,
    }
}

/// The worst that a line says, a failed one counting as an error. `None`: all passed.
pub fn worst(audit: &document::Audit) -> Option<Severity> {
    let of = |line: &document::Line| match &*line.status {
        "fail" => Some(Severity::Error),
        "warn" if line.severity == "info" => Some(Severity::Info),
        "warn" => Some(Severity::Warning),
        _ => None,
    };
    audit.cards.iter().flat_map(|card| &card.lines).filter_map(of).max()
}

fn card(a: &Analysis, proxy: &Intermediary, products: &Products, masker: &mut Masker) -> document::Card {
    let scope = Scope::new(a, proxy, products);
    let told = passed::intermediary(proxy, masker);
    let mut lines = Vec::new();
    for (group, make) in GROUPS {
        let mut maker = Maker::new(&scope, masker);
        make(&scope, &mut maker);
        lines.extend(maker.lines.into_iter().map(|line| finish(group, line)));
    }
    // A note makes no card worse.
    let count = |status: &str| {
        lines.iter().filter(|l: &&document::Line| l.status == status && l.severity != "info").count() as u64
    };
    let (failed, warned) = (count("fail"), count("warn"));
    document::Card {
        addresses: told.addresses,
        name: told.name,
        product: told.product,
        status: Cow::Borrowed(match (failed, warned) {
            (0, 0) => "pass",
            (0, _) => "warn",
            _ => "fail",
        }),
        asked: scope.fronts.len() as u64,
        kept: scope.passed_on(),
        upgraded: scope.upgraded(),
        verdicts: scope.verdicts().into_iter().map(|(rule, n)| (mask::own(rule), n)).collect(),
        lines,
    }
}

fn finish(group: &'static str, line: Line) -> document::Line {
    document::Line {
        id: Cow::Borrowed(line.id),
        group: Cow::Borrowed(group),
        title: Cow::Borrowed(line.title),
        status: Cow::Borrowed(line.status.word()),
        severity: Cow::Borrowed(line.severity.word()),
        text: line.text,
        rules: line.rules,
        chains: line.chains,
        evidence: line.evidence,
        fixes: line.fixes,
        references: line.references,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    fn audited(a: &Analysis) -> document::Audit {
        audit(a, Products::builtin(), &mut Masker::new(false))
    }

    fn status<'a>(card: &'a document::Card, id: &str) -> &'a str {
        &card.lines.iter().find(|line| line.id == id).unwrap().status
    }

    #[test]
    fn a_proxy_that_loses_the_upgrade_fails_with_its_fix() {
        let audit = audited(&testing::journeys());
        let card = audit.cards.iter().find(|card| card.addresses.contains(&"10.0.0.2".to_owned())).unwrap();
        assert_eq!(card.status, "fail");
        assert_eq!(status(card, "upgrade-passed"), "fail");
        assert_eq!(status(card, "http-version"), "fail");
        assert_eq!(status(card, "key-passed"), "pass");
        let line = card.lines.iter().find(|line| line.id == "upgrade-passed").unwrap();
        assert!(line.fixes.iter().any(|fix| fix.product == "nginx"), "{line:#?}");
        assert!(!line.evidence.is_empty() && !line.chains.is_empty());
        assert_eq!(worst(&audit), Some(Severity::Error));
    }

    #[test]
    fn what_is_allowed_fails_nothing() {
        let mut a = testing::journeys();
        let before = audited(&a);
        a.findings.iter_mut().for_each(|f| f.allowed = true);
        let after = audited(&a);
        let fails = |audit: &document::Audit| {
            audit.cards.iter().flat_map(|c| &c.lines).filter(|l| l.status == "fail" && !l.rules.is_empty()).count()
        };
        assert!(fails(&before) > 0 && fails(&after) < fails(&before));
    }

    #[test]
    fn each_line_has_an_id_of_its_own_and_every_status_is_known() {
        let audit = audited(&testing::journeys());
        for card in &audit.cards {
            let mut ids: Vec<&str> = card.lines.iter().map(|line| &*line.id).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all);
            for line in &card.lines {
                assert!(["pass", "warn", "fail", "not-observed"].contains(&&*line.status));
                assert!(!line.text.is_empty(), "{}", line.id);
            }
        }
    }

    #[test]
    fn a_proxy_has_a_card_where_it_is_to_blame_and_without_one_there_is_none() {
        let mut a = testing::sample();
        let cards = audited(&a).cards;
        assert_eq!((cards.len(), &cards[0].addresses[0]), (1, &"10.0.0.2".to_owned()));
        assert_eq!(status(&cards[0], "no-fault"), "fail");
        a.chains.iter_mut().for_each(|chain| std::sync::Arc::make_mut(&mut chain.verdict).blame = None);
        assert!(audited(&a).cards.is_empty());
        assert_eq!(worst(&audited(&Analysis::default())), None);
    }

    #[test]
    fn every_rule_about_hops_has_a_line() {
        let lines = [include_str!("fields.rs"), include_str!("tunnels.rs"), include_str!("measured.rs")].concat();
        // Counted at the heads themselves, or no fault at all.
        let others = ["hop-stripped-upgrade", "hop-stripped-connection", "hop-downgraded-http10", "hop-refragmented"];
        let all = crate::rules::all().map(|rule| rule.id).filter(|id| id.starts_with("hop-"));
        let missing: Vec<&str> =
            all.filter(|id| !others.contains(id) && !lines.contains(&format!("\"{id}\""))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
