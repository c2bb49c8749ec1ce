//! Captures that other projects published, some of them hostile on purpose: each is read or refused
//! with a sentence, and every handshake is found. Ignored by default: `.ci/run` runs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hopscope::base::Counters;
use hopscope::capture::{Merged, Source, Window};
use hopscope::stream::Decoder;
use serde_json::Value;

use crate::shared::{self, Tally};

/// How many files and handshakes must be scored at least.
const FILES: usize = 250;
const HANDSHAKE_FILES: usize = 26;
const LINK_FILES: usize = 75;

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

/// Every file of link and network layers: as many connections and requests as tshark finds, or more
/// (it merges equal addresses of different networks).
#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_link_layer_and_tunnel_is_read() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 4)) {
            continue;
        }
        let over_sctp = entry["protocols"].as_array().into_iter().flatten().any(|p| text(p).contains(":sctp:http"));
        if over_sctp {
            tally.leave_out(name, "HTTP over SCTP");
            continue;
        }
        match shared::report(&[folder.join(name)], LIMIT) {
            Err(why) => tally.fail(name, &why),
            Ok((report, _)) => {
                let short = |own: &str, theirs: &str| {
                    let (own, theirs) = (report["counters"][own].as_u64(), entry["tshark"][theirs].as_u64());
                    own < theirs
                };
                let found = [short("flows", "tcp_streams"), short("http_requests", "http_requests")];
                tally.score(name, &["[false, false]".to_owned()], &format!("{found:?}"));
            }
        }
    }
    tally.judge("public link layers", LINK_FILES);
}

/// Every TCP segment that tshark finds in the files of link and network layers is found, whatever it is
/// wrapped in; those inside ICMP errors are no segments.
#[test]
#[ignore = "needs captures outside this repository, and tshark: .ci/run"]
fn every_segment_is_found() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 4)) {
            continue;
        }
        let path = folder.join(name);
        let output = Command::new("tshark")
            .args(["-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-e", "tcp.seq_raw", "-r"])
            .arg(&path)
            .output()
            .expect("tshark starts");
        let theirs: usize = String::from_utf8_lossy(&output.stdout).lines().map(|l| l.split(',').count()).sum();
        let own = segments(std::fs::read(&path).expect("a capture"));
        tally.score(name, &["fewer: false".to_owned()], &format!("fewer: {}", own < theirs));
        if own != theirs {
            println!("{name}: {own} segments, {theirs} of tshark");
        }
    }
    tally.judge("public segments", LINK_FILES);
}

/// TCP segments in a capture.
fn segments(capture: Vec<u8>) -> usize {
    let source = Source::from_bytes("-", capture);
    let Ok(mut inputs) = Merged::from_sources(vec![source], &Window::default()) else { return 0 };
    let (mut decoder, mut counters, mut found) = (Decoder::default(), Counters::default(), 0);
    while let Ok(Some(batch)) = inputs.next_batch() {
        decoder.begin();
        for r in batch.records {
            let missing = r.wire_len.saturating_sub(r.cap_len);
            let (at, len) = (r.off as usize, r.cap_len as usize);
            let mut next = decoder.frame(r.link.0, batch.bytes, at, len, missing, r.ts, batch.point, &mut counters);
            while next.is_some() {
                found += 1;
                next = decoder.next_of_frame();
            }
        }
    }
    found
}

fn manifest(folder: &Path) -> Vec<Value> {
    let manifest = shared::json(&folder.join("MANIFEST.json"));
    manifest.as_array().expect("a list of files").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
