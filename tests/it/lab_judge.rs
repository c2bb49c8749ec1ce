//! What is right and what is wrong in a report on a scenario of the lab: verdict, blame and fix.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lab_joins::{Heads, ids};
use crate::lab_setting::{names_setting, settings};
use crate::lab_truth::{Scenario, matches, right_rules, text};

/// What is wrong with the verdict, the blame and the fix of a scenario; empty: nothing. `None`: they are
/// not scored.
pub(crate) struct Judged {
    pub(crate) verdict: String,
    pub(crate) blame: Option<String>,
    pub(crate) fix: Option<String>,
}

impl Judged {
    pub(crate) fn of(scenario: &Scenario, report: &Value, list: &Value) -> Judged {
        let roots = Roots::of(scenario, report);
        let heads = Heads::of(scenario);
        let chains: Vec<&Value> = chains(report).collect();
        let last_decides = scenario.verdict() == "ok-after-retry";
        let skip = if last_decides { chains.len().saturating_sub(1) } else { 0 };
        let (mut wrong, mut blames, mut fixes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut told, mut fine) = (0, Vec::new());
        for chain in &chains[skip..] {
            let root = roots.of_chain(chain);
            let mut rules = expected(scenario, root, &heads, list);
            if root.is_none() {
                // A connection without a request is one leg of something, and has that leg's symptom.
                rules = symptoms(&rules);
            }
            let rule = text(&chain["verdict"]["rule"]);
            let what = format!("chain {} of {}", chain["id"], root.map_or("no request", |x| text(&x["id"])));
            let fault = !rules.iter().any(|r| r == "ok");
            if rules.iter().any(|pattern| matches(pattern, rule)) {
                told += usize::from(fault);
            } else if fault && rule == "ok" && root.is_none_or(is_granted) {
                fine.push(what.clone());
            } else {
                wrong.push(format!("{what} should have {}, but has {rule}", rules.join(" or ")));
            }
            if rule != "ok" {
                blames.extend(wrong_blame(scenario, chain).map(|blame| format!("{what}: {blame}")));
                fixes.extend(missing_fix(scenario, chain).map(|fix| format!("{what}: {fix}")));
            }
        }
        let faulty = scenario.verdict() == "mixed" || !is_fine(list, scenario.verdict());
        // One request of several may well have come through, but not all of them.
        if faulty && told == 0 {
            wrong.extend(fine.into_iter().map(|what| format!("{what} has ok")));
            if wrong.is_empty() {
                wrong.push("no chain tells it".to_owned());
            }
        }
        if faulty && chains[skip..].iter().all(|chain| chain["verdict"]["rule"] == "ok") {
            blames.push("nobody is blamed".to_owned());
            fixes.push("no fix".to_owned());
        }
        if chains.is_empty() && scenario.upgrades().next().is_some() {
            wrong.push("no chain in the report".to_owned());
        }
        let blame_scored = faulty && scenario.truth["blame"].is_string();
        let fix_scored =
            blame_scored && scenario.software().is_some() && !settings(text(&scenario.truth["fix"])).is_empty();
        Judged {
            verdict: wrong.join("; "),
            blame: blame_scored.then(|| blames.join("; ")),
            fix: fix_scored.then(|| fixes.join("; ")),
        }
    }
}

/// The exchange of the truth with which the request of a reported exchange began, at the client.
pub(crate) struct Roots<'a> {
    by_id: BTreeMap<u64, &'a Value>,
}

impl<'a> Roots<'a> {
    pub(crate) fn of(scenario: &'a Scenario, report: &Value) -> Roots<'a> {
        let by_id = ids(report, scenario).into_iter().filter_map(|(name, id)| Some((id, root(scenario, &name)?)));
        Roots { by_id: by_id.collect() }
    }

    pub(crate) fn of_chain(&self, chain: &Value) -> Option<&'a Value> {
        chain["legs"].as_array()?.iter().find_map(|leg| self.by_id.get(&leg.as_u64()?).copied())
    }
}

pub(crate) fn root<'a>(scenario: &'a Scenario, id: &str) -> Option<&'a Value> {
    match scenario.hops().iter().find(|hop| hop["upstream"] == id) {
        Some(hop) => root(scenario, text(&hop["downstream"])),
        None => scenario.exchange(id),
    }
}

/// The verdicts of the truth that fit a request: of a mixed scenario, what became of it tells which.
pub(crate) fn slugs(scenario: &Scenario, root: Option<&Value>) -> Vec<String> {
    let all = scenario.slugs();
    let (Some(root), true) = (root, all[0] == "mixed") else { return all };
    if is_granted(root) {
        return vec!["ok".to_owned()];
    }
    // What a proxy answered itself went no further.
    let fits = |slug: &&String| match upstream(scenario, root) {
        Some(_) => *slug != "mixed" && !slug.starts_with("proxy-refused-"),
        None => slug.ends_with(&format!("-{}", root["status"])),
    };
    all.iter().filter(fits).cloned().collect()
}

/// The rules that are right for a chain, given what the files hold.
fn expected(scenario: &Scenario, root: Option<&Value>, heads: &Heads, list: &Value) -> Vec<String> {
    let by_proxy = text(&scenario.truth["blame"]).starts_with("proxy");
    let both_legs = root.is_some_and(|x| {
        let blamed = scenario.hops().iter().filter(|hop| hop["hop"] == scenario.truth["blame"]);
        let ends = blamed.filter_map(|hop| Some([hop["downstream"].as_str()?, hop["upstream"].as_str()?]));
        let own = ends.filter(|[down, _]| scenario.root_of(down) == Some(x));
        own.into_iter().any(|ends| heads.are_whole(scenario, &ends))
    });
    let mut right = Vec::new();
    for slug in slugs(scenario, root) {
        let rules = right_rules(list, &slug);
        let local = rules.iter().any(|r| r == "hop-answered-locally");
        let told_by_both = rules.iter().any(|r| r.starts_with("hop-")) && by_proxy && (both_legs || local);
        right.extend(rules.into_iter().filter(|rule| !told_by_both || !is_half(rule)));
    }
    right.sort();
    right.dedup();
    right
}

/// Whether a rule tells what one leg shows of a fault that two legs explain.
fn is_half(rule: &str) -> bool {
    let whole = ["hop-", "redirect", "req-head-too-large", "connect-refused-by-proxy"];
    !whole.iter().any(|start| rule.starts_with(start))
}

fn wrong_blame(scenario: &Scenario, chain: &Value) -> Option<String> {
    let blame = &chain["verdict"]["blame"];
    let (role, address) = (text(&blame["role"]), text(&blame["address"]));
    let right = match text(&scenario.truth["blame"]) {
        "client" => role == "client",
        "backend" => role == "server",
        hop => role == "hop" && scenario.addresses(hop).iter().any(|a| a == address),
    };
    (!right).then(|| format!("should blame the {}, but blames {blame}", text(&scenario.truth["blame"])))
}

fn missing_fix(scenario: &Scenario, chain: &Value) -> Option<String> {
    let software = scenario.software()?;
    let fixes = chain["verdict"]["fix"].as_array().into_iter().flatten();
    let own = fixes.filter(|fix| is_same_product(software, text(&fix["product"])));
    let written = own.map(|fix| text(&fix["text"])).collect::<Vec<_>>().join("\n");
    let alternatives = settings(text(&scenario.truth["fix"]));
    if alternatives.iter().any(|all| all.iter().all(|setting| names_setting(&written, setting))) {
        return None;
    }
    let all = alternatives.iter().map(|all| all.join(" and ")).collect::<Vec<_>>().join(", or ");
    Some(format!("should name {all} of {software}, but says {written:?}"))
}

/// Whether a product's name means this software: its whole name, or its first word.
pub(crate) fn is_same_product(software: &str, product: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
    let first = |name: &str| name.to_lowercase().split([' ', '-']).next().unwrap_or_default().to_owned();
    plain(software) == plain(product) || first(software) == first(product)
}

/// Every rule that the program calls a symptom of one of these, near or far.
pub(crate) fn symptoms(rules: &[String]) -> Vec<String> {
    let mut found: Vec<String> = rules.to_vec();
    let mut from = 0;
    while from < found.len() {
        let cause = found[from].clone();
        let next: Vec<String> = hopscope::rules::all()
            .filter(|rule| rule.symptom_of.contains(&cause.as_str()) && !rule.id.ends_with("<code>"))
            .map(|rule| rule.id.to_owned())
            .filter(|rule| !found.contains(rule))
            .collect();
        found.extend(next);
        from += 1;
    }
    found
}

pub(crate) fn chains(report: &Value) -> impl Iterator<Item = &Value> {
    report["chains"].as_array().into_iter().flatten()
}

pub(crate) fn is_granted(truth: &Value) -> bool {
    truth["status"] == 101 && truth["accept_valid"] != false
}

fn is_fine(list: &Value, verdict: &str) -> bool {
    right_rules(list, verdict) == ["ok"]
}

fn upstream<'a>(scenario: &'a Scenario, truth: &Value) -> Option<&'a str> {
    scenario.hops().iter().find(|hop| hop["downstream"] == truth["id"])?["upstream"].as_str()
}

impl Scenario {
    pub(crate) fn verdict(&self) -> &str {
        text(&self.truth["verdict"])
    }

    fn root_of(&self, id: &str) -> Option<&Value> {
        root(self, id)
    }

    /// The product of the proxy that is to blame.
    fn software(&self) -> Option<&str> {
        let hosts = self.truth["topology"].as_array()?;
        let blamed = hosts.iter().find(|host| host["name"] == self.truth["blame"])?;
        text(&blamed["name"]).starts_with("proxy").then(|| text(&blamed["software"]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scenario(verdict: &str, blame: &str, status: [u16; 2]) -> Scenario {
        let exchange = |id: &str, src: &str, dst: &str, status: u16| {
            json!({"id": id, "kind": "websocket", "src": src, "dst": dst, "method": "GET", "target": "/", "key": "k",
                   "status": status, "accept_valid": status == 101})
        };
        let truth = json!({
            "verdict": verdict, "also": ["by-other"], "blame": blame, "fix": "x_set 1; or send it",
            "topology": [
                {"name": "client", "address": "192.0.2.1"},
                {"name": "proxy1", "software": "acme", "listen": "192.0.2.2:80", "upstream_address": "192.0.2.3"},
                {"name": "backend", "listen": "192.0.2.4:80"}],
            "exchanges": [
                exchange("leg1#0", "192.0.2.1:4000", "192.0.2.2:80", status[0]),
                exchange("leg2#0", "192.0.2.3:5000", "192.0.2.4:80", status[1])],
            "hops": [{"hop": "proxy1", "downstream": "leg1#0", "upstream": "leg2#0"}],
        });
        Scenario {
            name: "s".into(),
            variant: "pcap".into(),
            has_secrets: false,
            keylog: None,
            truth,
            files: Vec::new(),
        }
    }

    fn list() -> Value {
        json!({"ok": ["ok"], "by-proxy": ["hop-stripped-upgrade", "req-orphan-key"], "by-backend": ["refused-*"],
               "by-other": ["hop-host-rewritten"], "mixed": [], "accept_kinds": {}})
    }

    /// The two legs as one chain, or each as its own with the same verdict.
    fn report(joined: bool, rule: &str, blame: &Value) -> Value {
        let exchange = |id: u64, from: (&str, u16), to: &str| {
            json!({"id": id, "client": {"ip": from.0, "port": from.1}, "server": {"ip": to, "port": 80},
                   "request": {"target": "/"}, "handshake": {"key": "k"}})
        };
        let verdict = json!({"rule": rule, "blame": blame,
                             "fix": [{"product": "Acme Proxy", "text": "x_set 1;"}, {"product": "any", "text": ""}]});
        let chains = match joined {
            true => json!([{"id": 1, "legs": [1, 2], "hops": [{"between": [1, 2]}], "verdict": verdict}]),
            false => json!([{"id": 1, "legs": [1], "verdict": verdict}, {"id": 2, "legs": [2], "verdict": verdict}]),
        };
        json!({"chains": chains, "exchanges": [
            exchange(1, ("192.0.2.1", 4000), "192.0.2.2"), exchange(2, ("192.0.2.3", 5000), "192.0.2.4")]})
    }

    fn judged(scenario: &Scenario, rule: &str, blame: &Value) -> (bool, Option<bool>, Option<bool>) {
        let judged = Judged::of(scenario, &report(true, rule, blame), &list());
        (judged.verdict.is_empty(), judged.blame.map(|b| b.is_empty()), judged.fix.map(|f| f.is_empty()))
    }

    #[test]
    fn with_both_legs_in_view_the_symptom_of_one_is_half_the_answer() {
        let scenario = scenario("by-proxy", "proxy1", [426, 426]);
        let hop = json!({"role": "hop", "address": "192.0.2.3"});
        assert_eq!(judged(&scenario, "hop-stripped-upgrade", &hop), (true, Some(true), Some(true)));
        assert_eq!(judged(&scenario, "hop-host-rewritten", &hop), (true, Some(true), Some(true)), "also right");
        assert_eq!(judged(&scenario, "req-orphan-key", &hop), (false, Some(true), Some(true)));
        assert_eq!(judged(&scenario, "ok", &Value::Null), (false, Some(false), Some(false)));
    }

    #[test]
    fn a_hop_is_blamed_by_role_and_address_and_an_end_by_its_role() {
        let of =
            |blamed: &str, blame: Value| judged(&scenario("by-backend", blamed, [500, 500]), "refused-500", &blame).1;
        assert_eq!(of("proxy1", json!({"role": "hop", "address": "192.0.2.2"})), Some(true));
        assert_eq!(of("proxy1", json!({"role": "hop", "address": "192.0.2.4"})), Some(false));
        assert_eq!(of("proxy1", json!({"role": "server", "address": "192.0.2.2"})), Some(false));
        assert_eq!(of("backend", json!({"role": "server", "address": "192.0.2.9"})), Some(true));
        assert_eq!(of("client", json!({"role": "hop", "address": "192.0.2.1"})), Some(false));
    }

    #[test]
    fn where_all_is_well_a_fault_is_wrong_and_neither_blame_nor_fix_is_scored() {
        let mut fine = scenario("ok", "", [101, 101]);
        (fine.truth["blame"], fine.truth["also"]) = (Value::Null, json!([]));
        assert_eq!(judged(&fine, "ok", &Value::Null), (true, None, None));
        assert_eq!(judged(&fine, "refused-426", &json!({"role": "server"})), (false, None, None));
    }

    #[test]
    fn a_mixed_scenario_is_judged_by_what_became_of_each_request() {
        let mixed = |status: u16, passed_on: bool| {
            let mut mixed = scenario("mixed", "proxy1", [status, 200]);
            mixed.truth["also"] = json!(["by-proxy", "proxy-refused-503"]);
            if !passed_on {
                mixed.truth["hops"] = json!([]);
            }
            slugs(&mixed, mixed.exchange("leg1#0"))
        };
        assert_eq!(mixed(101, true), ["ok"]);
        assert_eq!(mixed(404, true), ["by-proxy"]);
        assert_eq!(mixed(503, false), ["proxy-refused-503"]);
    }

    #[test]
    fn each_leg_that_stands_alone_must_be_right_as_well() {
        let scenario = scenario("by-backend", "backend", [500, 500]);
        let blame = json!({"role": "server"});
        assert_eq!(Judged::of(&scenario, &report(false, "refused-500", &blame), &list()).verdict, "");
        let mut one_wrong = report(false, "refused-500", &blame);
        one_wrong["chains"][1]["verdict"]["rule"] = json!("req-http10");
        let judged = Judged::of(&scenario, &one_wrong, &list());
        assert!(judged.verdict.contains("chain 2 of leg1#0 should have"), "{}", judged.verdict);
    }

    #[test]
    fn edges_and_names_are_read_from_the_report() {
        let report = report(true, "ok", &Value::Null);
        assert_eq!(crate::lab_joins::edges(&report), [(1, 2)].into());
        let ids = ids(&report, &scenario("ok", "", [101, 101]));
        assert_eq!(ids, [("leg1#0".to_owned(), 1), ("leg2#0".to_owned(), 2)].into());
    }
}
