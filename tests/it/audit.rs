//! `hopscope audit`: cards, exit codes, what changed, its schema, and what it says of the lab's proxies.

use std::path::Path;

use serde_json::Value;

use crate::lab_truth::{Scenario, scenarios};
use crate::sources;
use crate::support::{hostile, run};

const BROKEN: [&str; 2] =
    ["samples/nginx-forgets-upgrade-client-side.pcap", "samples/nginx-forgets-upgrade-server-side.pcap"];
const RIGHT: [&str; 2] = ["samples/nginx-right-client-side.pcap", "samples/nginx-right-server-side.pcap"];

fn audit(files: &[&str], more: &[&str]) -> (i32, String) {
    let output = run::hopscope().arg("audit").args(files).args(more).output().expect("a start");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("a code"), String::from_utf8(output.stdout).expect("UTF-8"))
}

fn json(files: &[&str], more: &[&str]) -> (i32, Value) {
    let (code, text) = audit(files, &[more, &["--format", "json"]].concat());
    (code, serde_json::from_str(&text).expect("JSON"))
}

/// What a line of a card says: `pass`, `warn`, `fail` or `not-observed`.
fn status<'a>(card: &'a Value, id: &str) -> &'a str {
    let lines = card["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["id"] == id).unwrap_or_else(|| panic!("no line {id}"));
    line["status"].as_str().expect("a word")
}

#[test]
fn a_proxy_that_forgets_the_upgrade_fails_and_one_that_does_not_passes() {
    let (code, broken) = json(&BROKEN, &[]);
    assert_eq!((code, &broken["cards"][0]["status"]), (1, &Value::from("fail")));
    assert_eq!(broken["cards"][0]["product"]["name"], "nginx");
    for id in ["upgrade-passed", "connection-passed", "http-version"] {
        assert_eq!(status(&broken["cards"][0], id), "fail", "{id}");
    }
    let (code, right) = json(&RIGHT, &[]);
    assert_eq!(code, 0);
    for id in [
        "upgrade-passed",
        "connection-passed",
        "http-version",
        "key-passed",
        "accept-passed",
        "websocket-version",
        "answers-passed",
        "tunnel",
    ] {
        assert_eq!(status(&right["cards"][0], id), "pass", "{id}");
    }
}

#[test]
fn how_bad_a_line_must_be_is_the_users_choice() {
    assert_eq!(audit(&BROKEN, &["--fail-on", "never"]).0, 0);
    // What is only noted of the good one (it tells its version) is an info.
    assert_eq!(audit(&RIGHT, &["--fail-on", "info"]).0, 1);
    let output = run::hopscope().args(["audit", "Cargo.toml"]).output().expect("a start");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_earlier_audit_tells_what_a_change_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = folder.path().join("before.json");
    let before = before.to_str().expect("UTF-8");
    audit(&BROKEN, &["--format", "json", "-o", before]);
    // The good sample has other addresses only if it was captured elsewhere.
    let (_, now) = json(&RIGHT, &["--baseline", before]);
    let changes = now["baseline"]["changes"].as_array().expect("changes");
    let better: Vec<&Value> = changes.iter().filter(|c| c["kind"] == "better").map(|c| &c["line"]).collect();
    for id in ["upgrade-passed", "connection-passed", "http-version"] {
        assert!(better.contains(&&Value::from(id)), "{changes:#?}");
    }
    assert_eq!(now["baseline"]["worse"], 0, "{changes:#?}");
    let (_, text) = audit(&RIGHT, &["--baseline", before]);
    assert!(text.contains("0 worse") && text.contains("upgrade-passed"), "{text}");
    let (_, same) = json(&BROKEN, &["--baseline", before]);
    assert_eq!(same["baseline"]["changes"], Value::from(Vec::<Value>::new()));
    let output = run::hopscope().args(["audit", RIGHT[0], "--baseline", "Cargo.toml"]).output().expect("a start");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("audit --format json"));
}

#[test]
fn every_audit_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(&sources::read(Path::new("docs/audit.schema.json"))).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let printed = run::output(&["audit", "--schema"]).stdout;
    assert_eq!(String::from_utf8(printed).expect("UTF-8"), sources::read(Path::new("docs/audit.schema.json")));
    for files in [BROKEN, RIGHT] {
        let (_, audit) = json(&files, &[]);
        let errors: Vec<String> = validator.iter_errors(&audit).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        let mut lacks = audit.clone();
        lacks["cards"][0].as_object_mut().expect("a card").remove("lines");
        assert!(!validator.is_valid(&lacks));
    }
}

#[test]
fn without_both_sides_of_a_proxy_it_says_what_to_capture() {
    let (code, text) = audit(&["samples/accept-in-hex.pcap"], &[]);
    assert_eq!(code, 0);
    assert!(text.contains("No intermediary was seen on both of its sides"), "{text}");
}

#[test]
fn strangers_words_mean_nothing_in_any_format_of_an_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("evil.pcap");
    std::fs::write(&path, hostile::capture()).expect("room for a capture");
    let path = path.to_str().expect("UTF-8");
    for format in ["text", "json", "markdown", "html"] {
        let (_, text) = audit(&[path], &["--format", format, "--fail-on", "never"]);
        assert!(text.contains("evil"), "{format}: something of theirs is told\n{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{format}");
        if format == "html" {
            assert_eq!((text.matches("<script").count(), text.matches("<b>").count()), (1, 0));
        }
        if format == "markdown" {
            assert!(!text.replace("\\<", "").contains("<script"), "{text}");
        }
    }
}

/// By scenario of the lab, what lines of the card of its proxy must say. It is data: no source knows a scenario.
fn expected() -> std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> {
    serde_json::from_str(include_str!("../audit/lab.json")).expect("tests/audit/lab.json")
}

#[test]
fn a_scenario_of_each_proxy_is_judged_with_a_line_that_fails_and_one_that_passes() {
    let expected = expected();
    for product in ["nginx", "haproxy", "apache", "envoy", "varnish", "squid"] {
        let lines: Vec<&str> = expected
            .iter()
            .filter(|(name, _)| name.starts_with(product))
            .flat_map(|(_, lines)| lines.values().map(String::as_str))
            .collect();
        assert!(lines.iter().any(|line| line.starts_with("fail")) && lines.contains(&"pass"), "{product}: {lines:?}");
    }
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_labs_proxies_get_the_lines_that_they_deserve() {
    let all = scenarios();
    let mut wrong = Vec::new();
    for (name, lines) in &expected() {
        let scenario: &Scenario = all.iter().find(|s| s.name == *name).unwrap_or_else(|| panic!("no scenario {name}"));
        let files: Vec<&str> = scenario.files.iter().map(|p| p.to_str().expect("UTF-8")).collect();
        let output =
            run::hopscope().arg("audit").args(&files).args(["--format", "json", "--quiet"]).output().expect("a start");
        let audit: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Some(card) = audit["cards"].get(0) else {
            wrong.push(format!("{name}: no card"));
            continue;
        };
        for (id, allowed) in lines {
            let said = status(card, id);
            if !allowed.split('|').any(|a| a == said) {
                wrong.push(format!("{name}: {id} is {said}, not {allowed}"));
            }
        }
        let fails = card["status"] == "fail";
        assert_eq!(output.status.code() == Some(1), fails, "{name}: the exit code is the card's");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
