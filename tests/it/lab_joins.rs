//! Which exchanges of the lab's captures are two legs of one request, and which a report joins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lab_truth::{Scenario, endpoint, find, scenarios, text};
use crate::shared::Tally;
use crate::support::read;
use crate::support::streams::{self, Stream};

/// Pairs of the truth that must be there to be joined; raise it when more captures can be read.
const PAIRS: usize = 439;
/// Pairs that must be joined: may rise, never fall. The goal is all of them.
const JOINED: usize = 439;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_legs_of_a_request_are_joined_and_no_others() {
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                wrong.push(format!("{}: {why}", scenario.name));
                continue;
            }
        };
        let ids = ids(&report, &scenario);
        let names: BTreeMap<u64, &str> = ids.iter().map(|(name, id)| (*id, name.as_str())).collect();
        let name = |id: u64| names.get(&id).map_or_else(|| format!("exchange {id}"), |name| (*name).to_owned());
        let joined = edges(&report);
        let right = pairs(&scenario);
        for (a, b) in &joined {
            if !right.contains(&(name(*a), name(*b))) {
                wrong.push(format!("{}: {} joined to {}", scenario.name, name(*a), name(*b)));
            }
        }
        if let Some(why) = scenario.needs() {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let heads = Heads::of(&scenario);
        for hop in scenario.hops() {
            let (Some(a), Some(b)) = (hop["downstream"].as_str(), hop["upstream"].as_str()) else { continue };
            let what = format!("{} {a} {b}", scenario.name);
            if is_no_exchange(&scenario, b) {
                tally.leave_out(what, "the leg behind it carries no request that can be read");
            } else if !heads.are_whole(&scenario, &[a, b]) {
                tally.leave_out(what, "not both request heads are whole in the files");
            } else {
                let found = match (ids.get(a), ids.get(b)) {
                    (Some(a), Some(b)) if joined.contains(&(*a, *b)) => "joined",
                    (Some(_), Some(_)) => "not joined",
                    _ => "not listed",
                };
                tally.score(&what, &["joined".to_owned()], found);
            }
        }
    }
    let (right, all) = (tally.right(), tally.scored());
    let held = tally.hold("pairs of legs", PAIRS, JOINED);
    println!("joined {right} of {all}, wrong {}", wrong.len());
    held.unwrap();
    assert!(wrong.is_empty(), "wrongly joined:\n{}", wrong.join("\n"));
}

/// Every edge of every chain, client's side first.
pub(crate) fn edges(report: &Value) -> BTreeSet<(u64, u64)> {
    let chains = report["chains"].as_array().into_iter().flatten();
    let hops = chains.flat_map(|chain| chain["hops"].as_array().into_iter().flatten());
    let ends = |hop: &Value| (hop["between"][0].as_u64(), hop["between"][1].as_u64());
    hops.map(ends).map(|(a, b)| (a.expect("an id"), b.expect("an id"))).collect()
}

/// Every edge that is right, also between requests that are no upgrades.
fn pairs(scenario: &Scenario) -> BTreeSet<(String, String)> {
    let of_hops = scenario.hops().iter().map(|hop| (&hop["downstream"], &hop["upstream"]));
    let of_exchanges = scenario.exchanges().iter().map(|x| (&x["id"], &x["pair"]));
    let all = of_hops.chain(of_exchanges).map(|(a, b)| (text(a).to_owned(), text(b).to_owned()));
    all.filter(|(a, b)| !a.is_empty() && !b.is_empty()).collect()
}

fn is_no_exchange(scenario: &Scenario, id: &str) -> bool {
    let kind = scenario.exchange(id).map_or("", |x| text(&x["kind"]));
    ["tcp-only", "tls-undecrypted", "no-request", "partial-request", ""].contains(&kind)
}

/// The report's id of each exchange of the truth that it lists.
pub(crate) fn ids(report: &Value, scenario: &Scenario) -> BTreeMap<String, u64> {
    let none = Vec::new();
    let listed = report["exchanges"].as_array().unwrap_or(&none);
    let (mut used, mut ids) = (Vec::new(), BTreeMap::new());
    let mut rest = Vec::new();
    for truth in scenario.exchanges().iter().filter(|x| x["method"].is_string()) {
        match find(report, truth, &used) {
            Some(index) => {
                used.push(index);
                ids.insert(text(&truth["id"]).to_owned(), listed[index]["id"].as_u64().expect("an id"));
            }
            None => rest.push(truth),
        }
    }
    // Of a cut head neither key nor path need be there; then its ends and its place tell.
    for truth in rest {
        let ends = [&truth["src"], &truth["dst"]].map(|end| endpoint(text(end)));
        let fits = |x: &Value| {
            ["client", "server"].map(|side| format!("{}:{}", text(&x[side]["ip"]), x[side]["port"])) == ends
        };
        let found = listed.iter().enumerate().find(|(index, x)| !used.contains(index) && fits(x));
        if let Some((index, x)) = found {
            used.push(index);
            ids.insert(text(&truth["id"]).to_owned(), x["id"].as_u64().expect("an id"));
        }
    }
    ids
}

/// Which request heads the published files hold from their first byte to their last.
pub(crate) struct Heads {
    /// `None`: all that was on the wire.
    streams: Option<Vec<Stream>>,
}

impl Heads {
    pub(crate) fn of(scenario: &Scenario) -> Heads {
        if scenario.cuts_evidence().is_none() {
            return Heads { streams: None };
        }
        let files = scenario.files.iter().map(|file| read::captured(&std::fs::read(file).expect("a capture")));
        Heads { streams: Some(files.flat_map(|captured| streams::all(&captured)).collect()) }
    }

    pub(crate) fn are_whole(&self, scenario: &Scenario, ids: &[&str]) -> bool {
        ids.iter().all(|id| scenario.exchange(id).is_some_and(|x| self.is_whole(x)))
    }

    fn is_whole(&self, truth: &Value) -> bool {
        let Some(streams) = &self.streams else { return true };
        let line = format!("{} {} ", text(&truth["method"]), text(&truth["target"]));
        let word = truth["key"].as_str().unwrap_or(&line);
        let ends = [&truth["src"], &truth["dst"]].map(|end| endpoint(text(end)));
        let own = streams.iter().filter(|s| [s.from, s.to].map(|end| format!("{}:{}", end.ip(), end.port())) == ends);
        own.into_iter().any(|stream| stream.whole_head(word).is_some())
    }
}
