//! What a report says of the proxies of the lab: what each changed in a request and its answer, which
//! addresses and which product it is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab_joins::{Heads, ids};
use crate::lab_judge::is_same_product;
use crate::lab_truth::{Scenario, scenarios, text};
use crate::shared::Tally;

/// Hops, named products and proxies that must be there to be scored; raise it when more can be read.
const HOPS: usize = 344;
const PRODUCTS: usize = 326;
const PROXIES: usize = 163;
/// How many must be right: may rise, never fall. The goal is all hops and proxies.
const RIGHT_HOPS: usize = 339;
const RIGHT_PRODUCTS: usize = 318;
const RIGHT_PROXIES: usize = 163;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_hop_is_told_with_what_it_changed() {
    let (mut changes, mut products, mut proxies) = (Tally::default(), Tally::default(), Tally::default());
    for scenario in scenarios() {
        if let Some(why) = scenario.needs().or_else(|| scenario.cuts_evidence()) {
            changes.leave_out(&scenario.name, why);
            continue;
        }
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                changes.fail(&scenario.name, &why);
                continue;
            }
        };
        let ids = ids(&report, &scenario);
        let heads = Heads::of(&scenario);
        let mut seen = BTreeSet::new();
        // Only of hops that were compared is known what they changed.
        for truth in scenario.hops().iter().filter(|hop| hop["paired_by"].is_string()) {
            let (down, up) = (text(&truth["downstream"]), text(&truth["upstream"]));
            if !heads.are_whole(&scenario, &[down, up]) {
                continue;
            }
            seen.insert(text(&truth["hop"]));
            let what = format!("{} {down} {up}", scenario.name);
            let found = ids.get(down).zip(ids.get(up)).and_then(|(a, b)| hop_between(&report, *a, *b));
            changes.check(&what, &found.map_or_else(|| "not joined".to_owned(), |hop| wrong_hop(truth, hop)));
            let software = software(&scenario, text(&truth["hop"]));
            if !software.starts_with("hand-made") {
                let product = found.map_or("", |hop| text(&hop["product"]["name"]));
                let named = is_same_product(software, product);
                products.check(&what, &if named { String::new() } else { format!("{software} is called {product:?}") });
            }
        }
        for name in seen {
            proxies.check(&format!("{} {name}", scenario.name), &wrong_proxy(&report, &scenario.addresses(name)));
        }
    }
    let held = [
        changes.hold("hops", HOPS, RIGHT_HOPS),
        products.hold("products", PRODUCTS, RIGHT_PRODUCTS),
        proxies.hold("proxies", PROXIES, RIGHT_PROXIES),
    ];
    held.into_iter().for_each(Result::unwrap);
}

fn hop_between(report: &Value, a: u64, b: u64) -> Option<&Value> {
    let chains = report["chains"].as_array()?.iter();
    let mut hops = chains.flat_map(|chain| chain["hops"].as_array().into_iter().flatten());
    hops.find(|hop| hop["between"][0] == a && hop["between"][1] == b)
}

fn software<'a>(scenario: &'a Scenario, name: &str) -> &'a str {
    let hosts = scenario.truth["topology"].as_array().into_iter().flatten();
    hosts.filter(|host| host["name"] == name).map(|host| text(&host["software"])).next().unwrap_or("")
}

/// What is wrong with what is said of a hop; empty: nothing.
fn wrong_hop(truth: &Value, hop: &Value) -> String {
    let mut wrong = Vec::new();
    let facts = [
        ("upgrade_kept", &truth["upgrade_kept"]),
        ("connection_kept", &truth["connection_kept"]),
        ("key_kept", &truth["upstream_key_same"]),
        ("versions", &truth["version_seen"]),
    ];
    for (name, right) in facts {
        if hop[name] != *right {
            wrong.push(format!("{name} is {}, not {right}", hop[name]));
        }
    }
    let response = &truth["response"];
    for (side, right, found) in [("request", truth, &hop["request"]), ("response", response, &hop["response"])] {
        for (what, key) in [("removed", "headers_removed"), ("added", "headers_added"), ("changed", "headers_changed")]
        {
            let (right, found) = (names_in_truth(&right[key]), names_in_report(&found[what]));
            if right != found {
                wrong.push(format!("{side}: {what} {found:?}, not {right:?}"));
            }
        }
    }
    wrong.join("; ")
}

/// The fields of a list, in small letters; those that changed in letter case alone are left out.
fn names_in_truth(list: &Value) -> BTreeSet<String> {
    let fields = list.as_array().into_iter().flatten();
    let other = fields.filter(|f| !f["from"].is_string() || differ(&f["from"], &f["to"]));
    other.map(|f| text(&f["name"]).to_lowercase()).collect()
}

fn names_in_report(list: &Value) -> BTreeSet<String> {
    let fields = list.as_array().into_iter().flatten();
    let other = fields.filter(|f| f.as_array().is_some_and(|parts| parts.len() < 3) || differ(&f[1], &f[2]));
    other.map(|f| text(&f[0]).to_lowercase()).collect()
}

fn differ(from: &Value, to: &Value) -> bool {
    !text(from).eq_ignore_ascii_case(text(to))
}

/// What is wrong with the list of intermediaries as to one that has these addresses; empty: nothing.
fn wrong_proxy(report: &Value, addresses: &[String]) -> String {
    let right: BTreeSet<&str> = addresses.iter().map(String::as_str).filter(|a| !a.is_empty()).collect();
    let listed = report["intermediaries"].as_array().into_iter().flatten();
    let listed = listed.map(|i| i["addresses"].as_array().into_iter().flatten().map(text).collect::<BTreeSet<&str>>());
    let own: Vec<BTreeSet<&str>> = listed.filter(|found| !found.is_disjoint(&right)).collect();
    match own.as_slice() {
        [] => format!("{right:?} is not listed"),
        [one] if *one == right => String::new(),
        [one] => format!("listed with {one:?}, not with {right:?}"),
        several => format!("listed as {several:?}, not once"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_hop_changed_is_compared_by_name_and_not_by_letter_case() {
        let truth = json!({
            "upgrade_kept": false, "connection_kept": true, "upstream_key_same": true, "version_seen": ["1", "0"],
            "headers_removed": [{"name": "upgrade", "value": "x"}], "headers_added": [],
            "headers_changed": [{"name": "connection", "from": "Upgrade", "to": "upgrade"}],
            "response": {"headers_added": [{"name": "server", "value": "y"}]}});
        let hop = json!({
            "upgrade_kept": false, "connection_kept": true, "key_kept": true, "versions": ["1", "0"],
            "request": {"removed": [["Upgrade", "x"]], "added": [], "changed": []},
            "response": {"added": [["Server", "y"]], "changed": [["Connection", "Close", "close"]]}});
        assert_eq!(wrong_hop(&truth, &hop), "");
        for (name, wrong) in [("upgrade_kept", json!(true)), ("versions", json!(["1", "1"])), ("request", json!({}))] {
            let mut other = hop.clone();
            other[name] = wrong;
            assert!(wrong_hop(&truth, &other).contains(if name == "request" { "removed" } else { name }));
        }
    }

    #[test]
    fn a_proxy_is_listed_once_with_both_its_addresses() {
        let report = |lists: &[&[&str]]| json!({"intermediaries": lists.iter().map(|list| json!({"addresses": list})).collect::<Vec<_>>()});
        let own = ["192.0.2.2".to_owned(), "192.0.2.3".to_owned(), String::new()];
        assert_eq!(wrong_proxy(&report(&[&["192.0.2.9"], &["192.0.2.2", "192.0.2.3"]]), &own), "");
        for wrong in [&[][..], &[&["192.0.2.2"][..]], &[&["192.0.2.2"], &["192.0.2.3"]]] {
            assert!(!wrong_proxy(&report(wrong), &own).is_empty());
        }
    }
}
