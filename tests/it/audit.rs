//! `hopscope audit`: cards, exit codes, what changed, its schema, and what it says of the lab's proxies.

use std::net::SocketAddr;
use std::path::Path;

use hopscope::audit;
use hopscope::engine::Collected;
use hopscope::model::{Chain, Role, Severity};
use hopscope::products::Products;
use hopscope::report::mask::Masker;
use serde_json::Value;

use crate::lab_truth::{Scenario, scenarios};
use crate::support::{hostile, run};
use crate::{sources, watched};

const BROKEN: [&str; 2] =
    ["samples/nginx-forgets-upgrade-client-side.pcap", "samples/nginx-forgets-upgrade-server-side.pcap"];
const RIGHT: [&str; 2] = ["samples/nginx-right-client-side.pcap", "samples/nginx-right-server-side.pcap"];

fn printed(files: &[&str], more: &[&str]) -> (i32, String) {
    let output = run::hopscope().arg("audit").args(files).args(more).output().expect("a start");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("a code"), String::from_utf8(output.stdout).expect("UTF-8"))
}

fn json(files: &[&str], more: &[&str]) -> (i32, Value) {
    let (code, text) = printed(files, &[more, &["--format", "json"]].concat());
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
fn a_proxy_of_which_only_the_side_behind_was_captured_fails_for_what_it_sent() {
    let (code, cards) = json(&BROKEN[1..], &[]);
    let card = &cards["cards"][0];
    assert_eq!((code, status(card, "no-fault"), &card["verdicts"]["req-http10"]), (1, "fail", &Value::from(1)));
    let text = printed(&BROKEN[1..], &["--format", "text"]).1;
    assert!(text.contains("The WebSocket handshake from nginx at "), "{text}");
}

#[test]
fn what_the_hop_behind_answers_by_itself_is_no_fault_of_the_one_before_it() {
    let case = sources::root().join("tests/field/four-hops-cdn-waf-ingress-pod-waf-answers-406-to-missing-user-agent");
    let mut files: Vec<_> = std::fs::read_dir(case).expect("a case").map(|e| e.expect("a file").path()).collect();
    files.sort();
    let files: Vec<&str> = files.iter().filter_map(|path| path.to_str()).collect();
    let (_, cards) = json(&files, &[]);
    let told: Vec<(&str, &str, &str)> = (cards["cards"].as_array().expect("cards").iter())
        .map(|card| {
            let name = card["product"]["name"].as_str().expect("a name");
            (name, card["status"].as_str().expect("a word"), status(card, "answers-passed"))
        })
        .collect();
    assert_eq!(told, [("Varnish", "pass", "pass"), ("HAProxy", "fail", "fail"), ("nginx", "pass", "pass")]);
}

/// Cards that fail though no verdict blames their proxy for an error, and why that is right.
const FAIL_ALL_THE_SAME: &[(&str, &str)] = &[
    ("backend-on-localhost-only-edge-turns-503-into-200-html", "it hides 503 behind 200; the backend is to blame"),
    ("nginx-socketio-stuck-on-polling-400", "it loses the upgrade; polling works, so the verdict is a warning"),
    ("span-duplicates-apache-403-origin", "it replaces Host; the server minds the Origin of one client alone"),
];

/// What is to blame in a report fails in the audit, and nothing else does.
#[test]
fn a_card_fails_where_the_report_blames_its_proxy_for_an_error() {
    let mut wrong = Vec::new();
    let mut failed = 0;
    for case in std::fs::read_dir(sources::root().join("tests/field")).expect("cases") {
        let case = case.expect("a case").path();
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        if !case.is_dir() || FAIL_ALL_THE_SAME.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let (_, a) = watched::of(&case, Collected::default(), Products::builtin(), |sink| sink);
        let audit = audit::audit(&a, Products::builtin(), &mut Masker::new(true));
        let guilty = |chain: &&Chain| {
            let v = &chain.verdict;
            v.severity == Severity::Error
                && v.blame.as_ref().is_some_and(|b| b.role == Role::Hop && b.address.is_some())
        };
        let mut blamed: Vec<&str> = a
            .chains
            .iter()
            .filter(guilty)
            .filter_map(|chain| chain.verdict.blame.as_ref()?.address.as_deref())
            .collect();
        for card in &audit.cards {
            // An address may have a port, and a card's too.
            let of = |address: &str| {
                let host =
                    |text: &str| text.parse::<SocketAddr>().map_or_else(|_| text.to_owned(), |s| s.ip().to_string());
                card.addresses.iter().any(|own| own == address || host(own) == address || own == &host(address))
            };
            let is_blamed = blamed.iter().any(|address| of(address));
            blamed.retain(|address| !of(address));
            failed += usize::from(is_blamed);
            if is_blamed != (card.status == "fail") {
                wrong.push(format!("{name}: {:?} is {}, blamed: {is_blamed}", card.addresses, card.status));
            }
        }
        wrong.extend(blamed.iter().map(|address| format!("{name}: {address} has no card")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(failed > 300, "{failed}");
}

#[test]
fn how_bad_a_line_must_be_is_the_users_choice() {
    assert_eq!(printed(&BROKEN, &["--fail-on", "never"]).0, 0);
    // What is only noted of the good one (it tells its version) is an info.
    assert_eq!(printed(&RIGHT, &["--fail-on", "info"]).0, 1);
    let output = run::hopscope().args(["audit", "Cargo.toml"]).output().expect("a start");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_earlier_audit_tells_what_a_change_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = folder.path().join("before.json");
    let before = before.to_str().expect("UTF-8");
    printed(&BROKEN, &["--format", "json", "-o", before]);
    // The good sample has other addresses only if it was captured elsewhere.
    let (_, now) = json(&RIGHT, &["--baseline", before]);
    let changes = now["baseline"]["changes"].as_array().expect("changes");
    let better: Vec<&Value> = changes.iter().filter(|c| c["kind"] == "better").map(|c| &c["line"]).collect();
    for id in ["upgrade-passed", "connection-passed", "http-version"] {
        assert!(better.contains(&&Value::from(id)), "{changes:#?}");
    }
    assert_eq!(now["baseline"]["worse"], 0, "{changes:#?}");
    let (_, text) = printed(&RIGHT, &["--baseline", before]);
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
    let (code, text) = printed(&["samples/accept-in-hex.pcap"], &[]);
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
        let (_, text) = printed(&[path], &["--format", format, "--fail-on", "never"]);
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
