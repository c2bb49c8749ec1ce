//! Captures of real proxies with known truth, scored. Ignored by default: `.ci/run` runs it with
//! HOPSCOPE_SHARED set. What is scored is chosen by what a scenario needs, never by its name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lab_lacking as lacking;
use crate::lab_truth::{
    Scenario, describe, expected, find, folder, is_about_frames, matches, right_rules, scenarios, strings, text,
};
use crate::shared::{self, Tally};
use crate::sources;

/// How many things must be scored at least; raise it when more can be.
const EXCHANGES: usize = 956;
const PLAIN: usize = 9;
const VERDICTS: usize = 53;
const ACCEPT_KINDS: usize = 20;
const PROXY_HEADERS: usize = 3;
const MIDSTREAM: usize = 2;

/// Ways of capturing that must be among what is scored.
const VARIANTS: [&str; 18] = [
    "pcap",
    "pcapng",
    "gz",
    "bigendian",
    "nsec",
    "vlan",
    "qinq",
    "vxlan",
    "sll",
    "sll2",
    "rawip",
    "multi-if",
    "reorder",
    "midstream",
    "lossy",
    "snap128",
    "skew",
    "leg1only",
];

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_exchange_has_its_status_key_accept_and_outcome() {
    let mut tally = Tally::default();
    let mut variants: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for scenario in scenarios() {
        if let Some(why) = scenario.needs() {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let (scored, lacking) = variants.entry(scenario.variant.clone()).or_default();
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        let mut used = Vec::new();
        for truth in scenario.upgrades() {
            let what = format!("{} {}", scenario.name, text(&truth["id"]));
            if let Some(lacks) = scenario.not_in_the_files(truth) {
                let what = format!("{what}, {}", lacks.why);
                match lacking::said(&report, truth, &lacks, &mut used) {
                    Some(found) => {
                        *lacking += 1;
                        tally.score(&what, &["no more than the files hold".to_owned()], &found);
                    }
                    None => tally.leave_out(
                        what,
                        "nothing that is left of it shows an upgrade, and no finding says that it was cut",
                    ),
                }
                continue;
            }
            *scored += 1;
            match find(&report, truth, &used) {
                None => tally.fail(&what, "no such exchange in the report"),
                Some(index) => {
                    used.push(index);
                    let found = &report["exchanges"][index];
                    let facts = describe(found, truth);
                    tally.score(&what, &expected(truth), &facts);
                }
            }
        }
    }
    for (variant, (scored, lacking)) in &variants {
        println!("exchanges of {variant}: {scored} as the truth says, {lacking} that the files hold in part or not");
    }
    let missing: Vec<&str> = VARIANTS.into_iter().filter(|v| !variants.contains_key(*v)).collect();
    assert!(missing.is_empty(), "nothing scored of {missing:?}");
    tally.judge("exchanges", EXCHANGES);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn plain_requests_are_counted() {
    let mut tally = Tally::default();
    for scenario in scenarios() {
        if !scenario.exchanges().iter().any(|e| e["kind"] == "plain") {
            continue;
        }
        if let Some(why) = scenario.needs().or_else(|| scenario.cuts_evidence()) {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let requests = scenario.exchanges().iter().filter(|e| e["method"].is_string()).count();
        match scenario.report() {
            Err(why) => tally.fail(&scenario.name, &why),
            Ok(report) => {
                let counted = &report["counters"]["http_requests"];
                tally.score(&scenario.name, &[format!("{requests} requests")], &format!("{counted} requests"));
            }
        }
    }
    tally.judge("plain requests", PLAIN);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn one_leg_has_its_verdict_and_its_blame() {
    let list = shared::json(&folder().join("verdicts.json"));
    let mut tally = Tally::default();
    for scenario in scenarios() {
        if scenario.has_proxies() {
            continue;
        }
        let verdict = text(&scenario.truth["verdict"]);
        let left_out = scenario
            .needs()
            .or_else(|| scenario.cuts_evidence())
            .or_else(|| is_about_frames(verdict).then_some("the form of frames is not judged yet"));
        if let Some(why) = left_out {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        match scenario.report() {
            Err(why) => tally.fail(&scenario.name, &why),
            Ok(report) => score_verdict(&mut tally, &scenario, &report, &list),
        }
    }
    tally.judge("one-leg verdicts", VERDICTS);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_wrong_accept_has_its_kind() {
    let list = shared::json(&folder().join("verdicts.json"));
    let mut tally = Tally::default();
    for scenario in scenarios() {
        let slugs = scenario.slugs();
        let kinds: Vec<String> = slugs
            .iter()
            .filter_map(|slug| slug.strip_prefix("accept-mismatch-"))
            .flat_map(|kind| strings(&list["accept_kinds"][kind]))
            .collect();
        if kinds.is_empty() {
            continue;
        }
        if let Some(why) = scenario.needs().or_else(|| scenario.cuts_evidence()) {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        for truth in scenario.upgrades().filter(|e| e["accept_valid"] == false) {
            let what = format!("{} {}", scenario.name, text(&truth["id"]));
            match find(&report, truth, &[]) {
                None => tally.fail(&what, "no such exchange in the report"),
                Some(index) => {
                    tally.score(&what, &kinds, text(&report["exchanges"][index]["handshake"]["accept_kind"]));
                }
            }
        }
    }
    tally.judge("kinds of a wrong accept", ACCEPT_KINDS);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn a_proxy_header_that_nobody_reads_is_told_and_laid_at_the_proxy_that_wrote_it() {
    let list = shared::json(&folder().join("verdicts.json"));
    let mut tally = Tally::default();
    for scenario in scenarios().iter().filter(|s| text(&s.truth["verdict"]).starts_with("proxy-protocol-")) {
        // The header is in clear whatever the client's side speaks.
        if let Some(why) = scenario.needs().filter(|why| *why != "needs the secrets of TLS") {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let rules = right_rules(&list, text(&scenario.truth["verdict"]));
        let blamed = scenario.addresses(text(&scenario.truth["blame"]));
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        let chains = report["chains"].as_array().into_iter().flatten();
        let told: Vec<&Value> = chains.filter(|c| rules.iter().any(|r| c["verdict"]["rule"] == **r)).collect();
        let found = told.iter().map(|c| text(&c["verdict"]["blame"]["address"])).collect::<Vec<_>>().join(" ");
        tally.score(&scenario.name, &blamed, &found);
    }
    tally.judge("PROXY headers", PROXY_HEADERS);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn a_websocket_without_its_handshake_is_told_with_its_frames() {
    let mut tally = Tally::default();
    for scenario in scenarios().iter().filter(|s| s.variant == "midstream") {
        if let Some(why) = scenario.needs() {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        for truth in scenario.upgrades().filter(|e| e["status"] == 101 && scenario.not_in_the_files(e).is_some()) {
            let ends = format!("between {} and {}", text(&truth["src"]), text(&truth["dst"]));
            let findings = report["findings"].as_array().into_iter().flatten();
            let told = findings.filter(|f| f["rule"] == "cap-midstream" && f["subject"]["kind"] == "flow");
            let found = told.map(|f| text(&f["message"])).find(|message| message.contains(&ends));
            let what = format!("{} {}", scenario.name, text(&truth["id"]));
            tally.score(&what, &["told".to_owned()], if found.is_some() { "told" } else { "not told" });
        }
    }
    tally.judge("WebSockets without their handshakes", MIDSTREAM);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn no_source_file_knows_a_scenario() {
    let mut words: Vec<String> = Vec::new();
    for scenario in scenarios() {
        // Short names are words of the trade.
        words.extend(Some(scenario.name.clone()).filter(|n| n.len() > 10));
        for host in scenario.truth["topology"].as_array().into_iter().flatten() {
            let addresses = ["address", "listen"].iter().filter_map(|k| host[k].as_str());
            // Loopback is everybody's.
            words.extend(addresses.filter(|a| !a.starts_with("127.") && !a.contains("::1")).map(str::to_owned));
        }
    }
    words.sort();
    words.dedup();
    for folder in ["src", "tests", "samples"] {
        for path in sources::files(folder, &["rs", "toml", "sh"]) {
            let source = sources::read(&path);
            for word in &words {
                assert!(!source.contains(word.as_str()), "{} mentions {word}", path.display());
            }
        }
    }
}

fn score_verdict(tally: &mut Tally, scenario: &Scenario, report: &Value, list: &Value) {
    let slugs = scenario.slugs();
    let rules: Vec<String> = slugs.iter().flat_map(|slug| right_rules(list, slug)).collect();
    let none = Vec::new();
    let chains = report["chains"].as_array().unwrap_or(&none);
    if chains.is_empty() {
        tally.fail(&scenario.name, "no chain in the report");
    }
    let skip = if slugs[0] == "ok-after-retry" { chains.len().saturating_sub(1) } else { 0 };
    for chain in &chains[skip..] {
        let what = format!("{} chain {}", scenario.name, chain["id"]);
        let verdict = &chain["verdict"];
        let rule = text(&verdict["rule"]);
        let fits = rules.iter().any(|pattern| matches(pattern, rule));
        tally.score(&what, &rules, if fits { &rules[0] } else { rule });
        let role = match text(&scenario.truth["blame"]) {
            "client" => "client",
            "backend" => "server",
            _ => continue,
        };
        tally.score(&format!("{what} blame"), &[role.to_owned()], text(&verdict["blame"]["role"]));
    }
}
