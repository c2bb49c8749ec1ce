//! Captures of real proxies and backends in trouble, each with what is true of it (`tests/field/expected.json`): who is
//! to blame, by which rule, and whose fix is told. Addresses are of network namespaces; nobody's traffic is in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::read::{self, Captured};
use crate::support::run;

#[test]
fn every_trouble_is_laid_at_the_right_door() {
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(&fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, case) in &expected {
        let (want, got) = (&case["verdicts"], verdicts(&folder().join(name)));
        if *want != got {
            wrong.push(format!("{name}: {}\n  expected {want}\n  got      {got}", case["what"]));
        }
    }
    let folders = fs::read_dir(folder()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(expected.len(), folders, "every folder has its truth");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a person reads of TLS that came to nothing.
#[test]
fn a_tls_handshake_that_failed_is_told_with_its_cause_and_no_talk_of_secrets() {
    let inputs = ["1-client.pcap", "2-backend.pcap"].map(|name| folder().join("haproxy-strict-sni-nokeys").join(name));
    let text =
        String::from_utf8(run::hopscope().args(["report", "--quiet"]).args(inputs).output().unwrap().stdout).unwrap();
    for line in [
        "  - TLS was not agreed on, so that no request could be sent: see below\n",
        "  server sent the alert unrecognized_name (112).\n",
        "  likely cause the server has no certificate for the name that was asked for (SNI)\n",
        "  ended        the server closed the connection (FIN) 1.49 ms later, without a request\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    assert!(!text.contains("the upgrades are encrypted (wss://)"), "{text}");
}

/// A WebSocket that was open before is none that came to nothing, and what was not captured took no time.
#[test]
fn what_began_before_the_capture_is_told_as_that() {
    let text = |case: &str, inputs: &[&str]| {
        let inputs = inputs.iter().map(|name| folder().join(case).join(name));
        let out = run::hopscope().arg("report").args(inputs).output().unwrap();
        String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let open = text("opened-before-capture-plus-new-handshake-404", &["leg1.pcap", "leg2.pcap"]);
    assert!(open.contains("- 2 WebSockets were open before the capture began"), "{open}");
    assert!(!open.contains("never got as far as a request"), "{open}");
    let answer = text("begins-after-request-slow-101-healthy", &["leg1.pcap"]);
    assert!(answer.contains(" 101 to a request that is not in view, 12 frames"), "{answer}");
}

/// Of sessions that look slow, or end together, and are in order not even a warning is told.
#[test]
fn what_is_slow_by_design_or_by_the_network_is_no_warning() {
    for case in [
        "client-link-outage-2s-tunnel-survives-healthy",
        "client-writes-its-head-slowly-healthy",
        "go-style-close-and-fin-at-once-healthy",
        "network-outage-2s-tunnel-survives-healthy",
        "pipelined-behind-a-long-poll-healthy",
        "pipelined-behind-a-long-poll-through-nginx-healthy",
    ] {
        let inputs = fs::read_dir(folder().join(case)).unwrap().map(|entry| entry.unwrap().path());
        let out = run::hopscope().args(["report", "--quiet", "--format", "json"]).args(inputs).output().unwrap();
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        let told: Vec<&Value> =
            report["findings"].as_array().unwrap().iter().filter(|found| found["severity"] != "info").collect();
        assert!(told.is_empty(), "{case}: {told:#?}");
    }
}

/// Whoever captures all legs into one file, or merges the files, is told the same.
#[test]
fn legs_in_one_file_are_joined_as_in_several() {
    let merged = tempfile::tempdir().unwrap();
    for case in [
        "backend-431-header-fields-too-large-cookies-pass-two-proxies",
        "caddy-two-gateways-cdn-ipv6-to-ipv4-healthy",
        "cdn-101-to-client-but-backend-saw-no-upgrade",
        "chain3-middle-haproxy",
        "four-hops-cdn-waf-ingress-pod-waf-answers-406-to-missing-user-agent",
        "middle-leg-missing-second-haproxy-cuts-query-401",
        "nginx-regex-location-for-pages-and-exact-location-for-ws-healthy",
    ] {
        let legs = inputs(&folder().join(case)).1.into_iter().map(|path| read::captured(&fs::read(path).unwrap()));
        let file = merged.path().join("legs.pcapng");
        fs::write(&file, Captured::merged(legs).write()).unwrap();
        assert_eq!(verdicts_of(&[], &[file]), verdicts(&folder().join(case)), "{case}");
    }
}

/// A capture of what is behind a hop that ended too early says nothing of later answers.
#[test]
fn what_came_behind_the_end_of_one_capture_is_no_certain_answer_of_the_hops_own() {
    let case = folder().join("apache-location-root-below-location-ws-overrides-it-426");
    let cut = tempfile::tempdir().unwrap();
    let mut backend = read::captured(&fs::read(case.join("2-backend.pcap")).unwrap());
    let all = backend.packets.len();
    backend.packets.truncate(all * 3 / 4);
    let file = cut.path().join("backend.pcapng");
    fs::write(&file, backend.write()).unwrap();
    let confidence = |far: PathBuf| -> Vec<Value> {
        let inputs = [case.join("1-client.pcap"), far];
        let out = run::hopscope().args(["report", "--quiet", "--format", "json"]).args(inputs).output().unwrap();
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        let own = |found: &&Value| found["rule"] == "hop-answered-locally";
        report["findings"].as_array().unwrap().iter().filter(own).map(|found| found["confidence"].clone()).collect()
    };
    assert!(confidence(case.join("2-backend.pcap")).is_empty());
    let early = confidence(file);
    assert!(!early.is_empty() && early.iter().all(|sure| *sure != "certain"), "{early:?}");
}

/// Of those that are only counted the report names who is guilty, not where their clients went.
#[test]
fn the_guilty_one_of_those_that_are_counted_is_named() {
    let inputs = inputs(&folder().join("haproxy-502-backend-101-has-illegal-field-name")).1;
    let out = run::hopscope().args(["report", "--quiet"]).args(inputs).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("… and 2 more like it: res-line-format at 10.2.0.21, "), "{text}");
}

/// Verdicts of all chains, equal ones counted, in order of their words.
fn verdicts(folder: &Path) -> Value {
    let (keys, inputs) = inputs(folder);
    verdicts_of(&keys, &inputs)
}

/// The key logs of a case, and its captures.
fn inputs(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs.into_iter().partition(|path| path.ends_with("keys.log"))
}

fn verdicts_of(keys: &[PathBuf], inputs: &[PathBuf]) -> Value {
    let mut command = run::hopscope();
    command.args(["report", "--quiet", "--format", "json"]);
    for keys in keys {
        command.arg("--keylog").arg(keys);
    }
    let out = command.args(inputs).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut counted: BTreeMap<String, (u64, Value)> = BTreeMap::new();
    for chain in report["chains"].as_array().unwrap() {
        let (verdict, blame) = (&chain["verdict"], &chain["verdict"]["blame"]);
        let told = json!({
            "rule": verdict["rule"], "role": blame["role"], "address": blame["address"], "product": blame["product"],
            "fix": verdict["fix"][0]["product"],
        });
        counted.entry(told.to_string()).or_insert((0, told)).0 += 1;
    }
    let with_count = |(chains, mut told): (u64, Value)| {
        told["chains"] = chains.into();
        told
    };
    counted.into_values().map(with_count).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field")
}
