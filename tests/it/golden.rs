//! Every sample's report, byte for byte. To accept a change: run the tests with INSTA_UPDATE=always,
//! and read the difference.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::sources;
use crate::support::run;

/// Exchanges beyond which a golden report holds the first few only.
const MANY: usize = 20;

#[test]
fn every_sample_gives_its_report() {
    let schema: Value = serde_json::from_str(&sources::read(Path::new("docs/report.schema.json"))).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("docs/report.schema.json is a JSON Schema");
    for sample in samples() {
        let report = run::report(&[&sample]);
        let errors: Vec<String> = schema.iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{}: not as docs/report.schema.json says:\n{}", sample.display(), errors.join("\n"));
        let name = sample.file_name().and_then(|n| n.to_str()).expect("UTF-8").replace('.', "-");
        insta::with_settings!({
            snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(name, format!("{:#}", shortened(report)));
        });
    }
}

#[test]
fn a_file_and_standard_input_give_the_same_report() {
    for sample in samples() {
        let mut from_file = run::report(&[&sample]);
        let mut from_stdin = run::report_on_stdin(&std::fs::read(sources::root().join(&sample)).expect("a sample"));
        for report in [&mut from_file, &mut from_stdin] {
            report["inputs"][0]["path"] = json!("the same");
        }
        assert_eq!(from_file, from_stdin, "{}", sample.display());
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for sample in samples() {
        for format in ["json", "ndjson", "csv", "text", "markdown", "html", "mermaid", "sarif", "junit"] {
            let bytes = || {
                run::hopscope().arg("report").arg(&sample).args(["--format", format]).output().expect("a start").stdout
            };
            assert!(bytes() == bytes(), "{} as {format}", sample.display());
        }
    }
}

/// Relative to the root, where the program runs, so that no path of this machine is in a report.
fn samples() -> Vec<PathBuf> {
    let samples = sources::files("samples", &["pcap", "pcapng"]);
    assert!(!samples.is_empty());
    samples
}

/// Without the version, and with the first few of very many exchanges.
fn shortened(mut report: Value) -> Value {
    report["tool"]["version"] = json!("[version]");
    let exchanges = report["exchanges"].as_array().map_or(0, Vec::len);
    if exchanges > MANY {
        for list in ["exchanges", "chains", "findings"] {
            if let Some(list) = report[list].as_array_mut() {
                list.truncate(3);
            }
        }
        report["not_in_this_golden_file"] = json!(format!("{} more exchanges", exchanges - 3));
    }
    report
}
