//! Starts the program as a user would.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program, told nothing by its surroundings: no colour, no key log, UTC.
pub(crate) fn hopscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopscope"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("SSLKEYLOGFILE").env("NO_COLOR", "1").env("TZ", "UTC");
    command
}

/// Its output for these arguments, whatever the exit code.
pub(crate) fn output<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    hopscope().args(arguments).output().expect("the program starts")
}

/// The JSON report on these files; damage (exit code 2) is accepted, since the report comes all the same.
pub(crate) fn report(files: &[&Path]) -> Value {
    let output = hopscope().arg("report").args(files).args(["--format", "json"]).output().expect("the program starts");
    parse(&output, &format!("{files:?}"))
}

/// The JSON report on these files of a folder, named as they are called there, with more arguments.
pub(crate) fn report_in(folder: &Path, files: &[&str], arguments: &[&str]) -> Value {
    let mut command = hopscope();
    command.current_dir(folder).arg("report").args(files).args(["--format", "json"]).args(arguments);
    parse(&command.output().expect("the program starts"), &format!("{files:?} {arguments:?}"))
}

/// What the lines of ndjson on these files of a folder amount to, in the form of a report: of the lines
/// with one id the later wins.
pub(crate) fn streamed_in(folder: &Path, files: &[&str]) -> Value {
    let mut command = hopscope();
    command.current_dir(folder).arg("report").args(files).args(["--format", "ndjson"]);
    let output = command.output().expect("the program starts");
    gathered(&String::from_utf8(output.stdout).expect("UTF-8"))
}

/// What lines of ndjson amount to.
pub(crate) fn gathered(lines: &str) -> Value {
    let mut report = serde_json::json!({});
    let mut things: BTreeMap<(String, i64), Value> = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        match line["type"].as_str().expect("a type") {
            "start" => {}
            "summary" => report = line,
            kind => drop(things.insert((kind.to_owned(), line["id"].as_i64().expect("an id")), line)),
        }
    }
    for (kind, list) in [("exchange", "exchanges"), ("chain", "chains"), ("finding", "findings")] {
        let of_kind = things.iter().filter(|((k, _), _)| k == kind).map(|(_, line)| line.clone());
        report[list] = of_kind.collect();
    }
    report
}

/// The JSON report on a capture given to standard input.
pub(crate) fn report_on_stdin(capture: &[u8]) -> Value {
    let mut child = hopscope()
        .args(["report", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let capture = capture.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&capture));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("no panic").expect("all of it was read");
    parse(&output, "standard input")
}

/// The JSON report on the bytes of a capture file.
pub(crate) fn report_on_bytes(capture: &[u8]) -> Value {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(capture).expect("room for a capture");
    report(&[file.path()])
}

fn parse(output: &Output, what: &str) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{what}: {}: {words}", output.status);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{what}: not JSON: {e}: {}: {words}", String::from_utf8_lossy(&output.stdout)))
}
