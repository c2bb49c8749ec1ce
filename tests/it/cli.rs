//! The program as its user meets it: commands, exit codes, and what it says to wrong input.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::{contains, is_empty};
use serde_json::Value;

use crate::support::run;

/// An upgrade that nginx broke, one that works, and many of both.
const BROKEN: &str = "samples/nginx-forgets-upgrade-client-side.pcap";
const RIGHT: &str = "samples/nginx-right-client-side.pcap";
const MANY: &str = "samples/120-clients-three-locations.pcapng";
const WRONG_ACCEPT: &str = "samples/accept-in-hex.pcap";
const SECRET: &str = "samples/401-then-upgrade.sll2.pcap";

/// The sample of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn hopscope(arguments: &[&str]) -> Assert {
    Command::from_std(run::hopscope()).args(arguments).assert()
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(hopscope(arguments).success().get_output().stdout.clone()).expect("UTF-8")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).expect("JSON")
}

// Wrong input: exit code 2, and one sentence that names the file and says what it looks like.

#[test]
fn a_text_file_is_called_one() {
    hopscope(&["report", "Cargo.toml"]).code(2).stdout(is_empty()).stderr(contains("Cargo.toml").and(contains("text")));
}

#[test]
fn an_empty_file_is_called_empty() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    hopscope(&["report", path]).code(2).stdout(is_empty()).stderr(contains(path).and(contains("empty")));
}

#[test]
fn a_directory_is_called_one() {
    hopscope(&["report", "samples"]).code(2).stdout(is_empty()).stderr(contains("samples").and(contains("directory")));
}

#[test]
fn a_missing_file_is_named() {
    hopscope(&["report", "no/such.pcap"]).code(2).stdout(is_empty()).stderr(
        contains("no/such.pcap").and(predicate::str::is_match("(?i)no such file|not found").expect("a pattern")),
    );
}

#[test]
fn a_file_without_permission_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where nobody may not reach it, the copy of the program is.
    let program = folder.path().join("hopscope");
    fs::copy(env!("CARGO_BIN_EXE_hopscope"), &program).expect("room for a copy");
    set_mode(folder.path(), 0o755);
    set_mode(&program, 0o755);
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).expect("a folder");
    let capture = locked.join("capture.pcap");
    fs::copy(run_path(RIGHT), &capture).expect("room for a sample");
    set_mode(&locked, 0o000);
    let readable = fs::File::open(&capture).is_ok();
    let mut command = if readable { Process::new("setpriv") } else { Process::new(&program) };
    if readable {
        // We are root, whom no mode stops.
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&program);
    }
    let output = command.arg("report").arg(&capture).current_dir("/").output();
    set_mode(&locked, 0o755);
    match output {
        Err(why) if readable => println!("SKIPPED: running as root, and setpriv cannot be started: {why}"),
        output => {
            let output = output.expect("the program starts");
            let words = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words}");
            assert!(words.contains("capture.pcap") && words.to_lowercase().contains("permission"), "{words}");
        }
    }
}

#[test]
fn one_bad_file_among_good_ones_is_exit_code_2() {
    hopscope(&["report", RIGHT, "no/such.pcap", "--format", "json"]).code(2).stderr(contains("no/such.pcap"));
}

#[test]
fn damage_in_the_middle_is_reported_with_what_was_read() {
    let mut bytes = fs::read(run_path(BROKEN)).expect("a sample");
    let whole = bytes.clone();
    // The second record's captured length becomes impossible.
    let second = 24 + 16 + usize::from(u16::from_le_bytes([bytes[32], bytes[33]]));
    bytes[second + 8..second + 12].copy_from_slice(&[0xff; 4]);
    let (path, _kept) = temporary(&bytes);
    let output = hopscope(&["report", &path, "--format", "json"]).code(2).get_output().clone();
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report all the same");
    assert_eq!(report["inputs"][0]["damage"]["packet"], 2, "{report:#}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("packet 2"));

    let (path, _kept) = temporary(&whole[..whole.len() - 10]);
    hopscope(&["report", &path, "--format", "json"]).success().stderr(is_empty().not());
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["report"] as &[&str],
        &["report", RIGHT, "--format", "nonsense"],
        &["report", RIGHT, "--fail-on", "nonsense"],
        &["report", RIGHT, "-Y", "nonsense:1"],
        &["report", RIGHT, "--since", "nonsense"],
        &["report", RIGHT, "--nonsense"],
        &["nonsense-command"],
        &["accept"],
        &["explain"],
    ] {
        hopscope(arguments).code(2).stdout(is_empty()).stderr(is_empty().not());
    }
}

// Output.

#[test]
fn what_helps_nothing_is_told() {
    hopscope(&["report", "--keylog", "README.md", RIGHT])
        .success()
        .stderr(contains("--keylog README.md: no secret of TLS stands in it"));
    let stray = "a=198.51.100.9";
    hopscope(&["report", "--hop", stray, RIGHT])
        .success()
        .stderr(contains("--hop: no upgrade came from or went to 198.51.100.9\n"));
    hopscope(&["report", "--quiet", "--hop", stray, RIGHT]).success().stderr(is_empty());
}

#[test]
fn a_closed_pipe_is_success() {
    for format in ["json", "ndjson", "text", "csv", "markdown", "html", "mermaid", "sarif", "junit"] {
        let mut child = run::hopscope()
            .args(["report", MANY, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut first = [0; 1];
        let mut pipe = child.stdout.take().expect("a pipe");
        pipe.read_exact(&mut first).expect("a byte of output");
        drop(pipe);
        let output = child.wait_with_output().expect("the program ends");
        assert!(output.status.success(), "{format}: {}", output.status);
        assert!(output.stderr.is_empty(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_report_to_a_file_leaves_stdout_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.json");
    let path_text = path.to_str().expect("UTF-8");
    hopscope(&["report", RIGHT, "--format", "json", "-o", path_text]).success().stdout(is_empty());
    let written: Value = serde_json::from_slice(&fs::read(&path).expect("a report")).expect("JSON");
    assert_eq!(written["schema"], "hopscope-report/1");
    hopscope(&["report", RIGHT, "-o", "/no/such/folder/out.json"]).code(2).stderr(contains("/no/such/folder"));
}

#[test]
fn text_names_what_to_look_up() {
    let text = stdout(&["report", BROKEN]);
    let report = json(&["report", BROKEN, "--format", "json"]);
    let client = &report["exchanges"][0]["client"];
    assert!(text.contains("frame.number in {"), "a Wireshark filter:\n{text}");
    assert!(text.contains(&format!("{}:{}", client["ip"].as_str().expect("an address"), client["port"])), "{text}");
    assert!(text.contains(report["chains"][0]["verdict"]["rule"].as_str().expect("a slug")), "{text}");
    assert!(!text.contains('\x1b'), "no colour where stdout is no terminal");
}

#[test]
fn colour_comes_when_asked_for() {
    assert!(stdout(&["report", BROKEN, "--color", "always"]).contains("\x1b["));
    assert!(!stdout(&["report", BROKEN, "--color", "never"]).contains('\x1b'));
}

#[test]
fn ndjson_starts_with_start_and_ends_with_summary() {
    let text = stdout(&["report", MANY, "--format", "ndjson"]);
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON a line")).collect();
    let kind = |v: &Value| v["type"].as_str().expect("a type").to_owned();
    assert_eq!(kind(&lines[0]), "start");
    assert_eq!(lines[0]["schema"], "hopscope-report/1");
    assert_eq!(kind(lines.last().expect("a line")), "summary");
    let report = json(&["report", MANY, "--format", "json"]);
    // The later line of an exchange wins.
    let mut ids: Vec<u64> =
        lines.iter().filter(|l| kind(l) == "exchange").map(|l| l["id"].as_u64().expect("an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), report["exchanges"].as_array().expect("a list").len());
}

#[test]
fn csv_has_a_line_for_each_exchange_under_its_header() {
    let text = stdout(&["report", WRONG_ACCEPT, "--format", "csv"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    let columns = |line: &str| line.matches(',').count();
    assert!(text.lines().next().is_some_and(|header| header.contains("status") && columns(header) > 5), "{text}");
}

#[test]
fn the_schema_is_json() {
    let schema = json(&["report", "--schema"]);
    assert!(schema["properties"]["exchanges"].is_object(), "{schema:#}");
}

// Findings and exit codes.

#[test]
fn findings_decide_the_exit_code_only_when_asked() {
    hopscope(&["report", WRONG_ACCEPT]).code(0);
    hopscope(&["report", WRONG_ACCEPT, "--fail-on", "never"]).code(0);
    for level in ["error", "warning", "info"] {
        hopscope(&["report", WRONG_ACCEPT, "--fail-on", level]).code(1).stdout(is_empty().not());
    }
    hopscope(&["report", RIGHT, "--fail-on", "error"]).code(0);
}

#[test]
fn an_allowed_finding_is_shown_and_fails_nothing() {
    let report = json(&["report", WRONG_ACCEPT, "--format", "json"]);
    let mut arguments = vec!["report", WRONG_ACCEPT, "--format", "json", "--fail-on", "info"];
    let findings = report["findings"].as_array().expect("a list");
    for finding in findings {
        arguments.extend(["--allow", finding["rule"].as_str().expect("a slug")]);
    }
    let allowed = json(&arguments);
    let marks: Vec<&Value> = allowed["findings"].as_array().expect("a list").iter().map(|f| &f["allowed"]).collect();
    assert!(!marks.is_empty() && marks.iter().all(|mark| **mark == Value::Bool(true)), "{marks:?}");
}

#[test]
fn a_filter_keeps_what_it_names() {
    let all = json(&["report", MANY, "--format", "json"]);
    let filtered = json(&["report", MANY, "--format", "json", "-Y", "status:101"]);
    let granted = |report: &Value| -> Vec<u64> {
        let list = report["exchanges"].as_array().expect("a list");
        list.iter().filter(|x| x["response"]["status"] == 101).map(|x| x["id"].as_u64().expect("an id")).collect()
    };
    assert_eq!(granted(&filtered), granted(&all), "what matches stays, with its id");
    assert_eq!(filtered["exchanges"].as_array().map(Vec::len), Some(granted(&all).len()), "and nothing else does");
    let none = json(&["report", MANY, "--format", "json", "--filter", "status:999"]);
    assert_eq!(none["exchanges"].as_array().map(Vec::len), Some(0));
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let masked = json(&["report", SECRET, "--format", "json"]);
    let open = json(&["report", SECRET, "--format", "json", "--show-secrets"]);
    let authorization = |report: &Value| -> Vec<String> {
        let exchanges = report["exchanges"].as_array().expect("a list");
        let fields = exchanges.iter().flat_map(|x| x["request"]["fields"].as_array().expect("fields"));
        let named = fields.filter(|f| f[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case("authorization")));
        named.map(|f| f[1].as_str().expect("a value").to_owned()).collect()
    };
    let (masked_values, open_values) = (authorization(&masked), authorization(&open));
    assert!(!open_values.is_empty(), "the sample has credentials");
    assert!(masked_values.iter().all(|v| v.contains("[redacted #1]")), "{masked_values:?}");
    let words = format!("{masked} {}", stdout(&["report", SECRET]));
    for value in open_values {
        let secret = value.rsplit(' ').next().expect("a word");
        assert!(!words.contains(secret), "{secret} is in the report");
    }
}

#[test]
fn times_outside_since_and_until_are_skipped() {
    let all = json(&["report", MANY, "--format", "json"]);
    let last = all["inputs"][0]["last"].as_str().expect("a time");
    let packets = |report: &Value| report["counters"]["packets"].as_u64().expect("a count");
    let late = json(&["report", MANY, "--format", "json", "--since", last]);
    assert!(packets(&late) < packets(&all), "{} of {}", packets(&late), packets(&all));
    let none = json(&["report", MANY, "--format", "json", "--until", "2001-01-01T00:00:00Z"]);
    assert_eq!(none["exchanges"].as_array().map(Vec::len), Some(0));
}

// The other commands.

#[test]
fn accept_computes_and_judges() {
    hopscope(&["accept", KEY]).success().stdout(contains(ACCEPT));
    hopscope(&["accept", KEY, ACCEPT]).success();
    let hex = "b37a4f2cc0624f1690f64606cf385945b2bec4ea";
    hopscope(&["accept", KEY, hex]).code(1).stdout(contains("hex").and(contains(ACCEPT)));
    let no_guid = "hHLtf2V1k8aDQZfNjw3Ia1hCwt0=";
    hopscope(&["accept", KEY, no_guid]).code(1).stdout(contains("guid-missing").or(contains("GUID")));
}

#[test]
fn explain_tells_a_rule_and_suggests_one_for_a_typo() {
    hopscope(&["explain", "accept-mismatch"]).success().stdout(contains("RFC 6455"));
    hopscope(&["explain", "refused-403"]).success().stdout(contains("403").or(contains("refused")));
    hopscope(&["explain", "accept-mismach"]).code(2).stdout(is_empty()).stderr(contains("accept-mismatch"));
}

#[test]
fn rules_are_listed_for_people_and_for_the_documentation() {
    let listed = stdout(&["rules"]);
    for rule in hopscope::rules::all() {
        assert!(listed.contains(rule.id), "{} is not listed", rule.id);
    }
    hopscope(&["rules", "--format", "markdown"]).success().stdout(contains("# ").and(contains("accept-mismatch")));
}

#[test]
fn completions_and_the_manual_come_from_the_program() {
    hopscope(&["completions", "bash"]).success().stdout(contains("hopscope"));
    hopscope(&["man"]).success().stdout(contains(".TH"));
    let version = String::from_utf8(hopscope(&["--version"]).success().get_output().stdout.clone()).expect("UTF-8");
    let begins: Vec<&str> = version.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(begins, ["hopscope", "commit", "features", "target"], "{version}");
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert_eq!(version.contains("live"), cfg!(feature = "live"), "{version}");
    hopscope(&["--help"]).success().stdout(contains("report"));
}

#[test]
fn standard_input_a_pipe_and_several_files_are_inputs() {
    let bytes = fs::read(run_path(RIGHT)).expect("a sample");
    let whole = json(&["report", RIGHT, "--format", "json"]);
    assert_eq!(run::report_on_stdin(&bytes)["exchanges"], whole["exchanges"]);

    let script = format!("cat {RIGHT} | \"$0\" report /dev/fd/0 --format json");
    let output = Process::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_hopscope")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("a shell");
    let piped: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(piped["exchanges"], whole["exchanges"]);

    let both = json(&["report", RIGHT, "samples/nginx-right-server-side.pcap", "--format", "json"]);
    assert_eq!(both["inputs"].as_array().map(Vec::len), Some(2));
    let inputs: Vec<&Value> =
        both["exchanges"].as_array().expect("a list").iter().map(|x| &x["request"]["input"]).collect();
    assert_eq!(inputs, [0, 1], "each packet keeps its file");
}

fn run_path(sample: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(sample)
}

/// A file with these bytes, and what keeps it alive.
fn temporary(bytes: &[u8]) -> (String, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("room for it");
    (file.path().to_str().expect("UTF-8").to_owned(), file)
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[test]
fn every_command_that_the_manual_names_has_a_page() {
    let main = String::from_utf8(hopscope(&["man"]).success().get_output().stdout.clone()).expect("UTF-8");
    let named: Vec<&str> =
        main.lines().filter_map(|line| line.strip_prefix("hopscope\\-")?.strip_suffix("(1)")).collect();
    assert!(named.contains(&"audit") && named.contains(&"extract"), "{named:?}");
    for name in named {
        hopscope(&["man", name]).success().stdout(contains(format!("hopscope\\-{name}")));
    }
    hopscope(&["man", "nonsense"]).code(2).stderr(contains("no command"));
}

#[test]
fn no_result_is_written_over_what_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mine = folder.path().join("mine.pcap");
    let sample = fs::read(BROKEN).expect("a sample");
    fs::write(&mine, &sample).expect("room for a file");
    let name = mine.to_str().expect("UTF-8");
    for command in ["report", "audit"] {
        hopscope(&[command, "-o", name, name]).code(2).stderr(contains("one of the inputs; name another file"));
        assert!(fs::read(&mine).expect("it is still there") == sample, "{command}");
    }
}
