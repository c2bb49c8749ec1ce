//! Captures that other projects published, some of them hostile on purpose: each is read or refused
//! with a sentence, and every handshake is found. Ignored by default: `.ci/run` runs it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::shared::{self, Tally};

/// How many files and handshakes must be scored at least.
const FILES: usize = 250;
const HANDSHAKE_FILES: usize = 26;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_file_is_read_or_refused_with_a_sentence() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        match shared::report(&[folder.join(name)], LIMIT) {
            Err(why) => tally.fail(name, &why),
            Ok((report, output)) => {
                let words = String::from_utf8_lossy(&output.stderr);
                let fine = !words.contains("panicked") && (report.is_object() || words.trim().len() > 20);
                tally.score(
                    name,
                    &["read or refused with a sentence".to_owned()],
                    match fine {
                        true => "read or refused with a sentence",
                        false => words.trim(),
                    },
                );
            }
        }
    }
    tally.judge("public files", FILES);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_handshake_is_found_and_judged() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 1)) {
            continue;
        }
        let path = folder.join(name);
        if layers(&entry).iter().any(|layer| ["gre", "gtp", "vxlan"].contains(layer)) {
            tally.leave_out(name, "needs a tunnel");
            continue;
        }
        let truth = &entry["tshark"];
        if !truth["keys"].is_array() {
            tally.leave_out(name, "no truth for it");
            continue;
        }
        let report = match shared::report(&[path], LIMIT) {
            Ok((report, _)) => report,
            Err(why) => {
                tally.fail(name, &why);
                continue;
            }
        };
        let found = |field: &str| -> Vec<String> {
            let exchanges = report["exchanges"].as_array().into_iter().flatten();
            exchanges.filter_map(|x| x["handshake"][field].as_str()).map(str::to_owned).collect()
        };
        let missing = |field: &str, list: &str| -> Vec<String> {
            let found = found(field);
            let wanted = truth[list].as_array().into_iter().flatten().map(text);
            wanted.filter(|w| !found.iter().any(|f| f == w)).map(str::to_owned).collect()
        };
        let verdicts = found("accept_verdict");
        let count = |verdict: &str| verdicts.iter().filter(|v| *v == verdict).count();
        tally.score(
            name,
            &[format!("missing [] [], valid {}, invalid {}", truth["accept_ok"], truth["accept_mismatch"])],
            &format!(
                "missing {:?} {:?}, valid {}, invalid {}",
                missing("key", "keys"),
                missing("accept", "accepts"),
                count("valid"),
                count("invalid")
            ),
        );
    }
    tally.judge("public handshakes", HANDSHAKE_FILES);
}

fn manifest(folder: &Path) -> Vec<Value> {
    let manifest = shared::json(&folder.join("MANIFEST.json"));
    manifest.as_array().expect("a list of files").clone()
}

/// Every protocol that tshark names in a file (`eth:ethertype:ip:tcp x8`).
fn layers(entry: &Value) -> Vec<&str> {
    let stacks = entry["protocols"].as_array().into_iter().flatten().map(text);
    stacks.flat_map(|stack| stack.split([':', ' '])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
