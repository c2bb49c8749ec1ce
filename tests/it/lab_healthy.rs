//! Scenarios in which nothing is wrong: nothing may be called wrong in them.

use serde_json::Value;

use crate::lab_truth::{Scenario, folder, right_rules, scenarios, text};
use crate::shared::{self, Tally};

/// How many must be scored at least; raise it when there are more.
const HEALTHY: usize = 77;
/// How many must be clean: may rise, never fall. The goal is all of them.
const CLEAN: usize = 77;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn a_healthy_scenario_has_only_good_verdicts_and_no_error() {
    let list = shared::json(&folder().join("verdicts.json"));
    let mut tally = Tally::default();
    for scenario in scenarios() {
        if right_rules(&list, text(&scenario.truth["verdict"])) != ["ok"] {
            continue;
        }
        match scenario.report() {
            Ok(report) => tally.check(&scenario.name, &wrong(&scenario, &report)),
            Err(why) => tally.fail(&scenario.name, &why),
        }
    }
    tally.hold("healthy scenarios", HEALTHY, CLEAN).unwrap();
}

/// What is called wrong; empty: nothing.
fn wrong(scenario: &Scenario, report: &Value) -> String {
    // What cannot be read need not be called good.
    let unread = scenario.needs().or_else(|| scenario.cuts_evidence()).is_some();
    let list = |name: &str| report[name].as_array().into_iter().flatten();
    let chains = list("chains").filter_map(|chain| {
        let rule = text(&chain["verdict"]["rule"]);
        let fine = rule == "ok" || unread && rule == "unknown";
        (!fine).then(|| format!("chain {} has {rule}", chain["id"]))
    });
    let findings = list("findings").filter(|finding| finding["severity"] == "error");
    let findings = findings
        .map(|f| format!("error {} on {} {}", text(&f["rule"]), text(&f["subject"]["kind"]), f["subject"]["id"]));
    chains.chain(findings).collect::<Vec<_>>().join("; ")
}
