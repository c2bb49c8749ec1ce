//! What a running capture may still do, whom it runs as, and what `interfaces` says to whom.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::run;

/// A user without rights.
const NOBODY: u32 = 65_534;

/// A capture on `lo` that has begun, beside a silent pipe, for which it has a thread.
struct Capture {
    program: Child,
}

impl Capture {
    fn begin(more: &[&str]) -> Self {
        let mut program = run::hopscope()
            .args(["report", "-", "-i", "lo", "-f", "tcp port 9", "--format", "ndjson"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut capture = Capture { program };
        assert!(line.contains("start"), "it did not begin (this test needs root): {}", capture.said());
        capture
    }

    /// What its system says of each of its threads.
    fn threads(&self) -> Vec<String> {
        let tasks = format!("/proc/{}/task", self.program.id());
        let tasks = std::fs::read_dir(tasks).unwrap().flatten();
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok()).collect()
    }

    fn said(&mut self) -> String {
        let _ = self.program.kill();
        let mut said = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect()
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn no_thread_of_a_running_capture_has_a_right_or_a_way_to_one() {
    let capture = Capture::begin(&[]);
    let threads = capture.threads();
    assert!(threads.len() >= 2, "the pipe has a thread: {threads:?}");
    for status in threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), ["0000000000000000"], "{set} in {status}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), ["1"], "{status}");
    }
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_capture_becomes_the_user_that_is_named_and_no_group_of_root_stays() {
    let capture = Capture::begin(&["--user", "nobody"]);
    let id = NOBODY.to_string();
    for status in capture.threads() {
        assert_eq!(field(&status, "Uid"), [id.as_str(); 4], "{status}");
        assert_eq!(field(&status, "Gid"), [id.as_str(); 4], "{status}");
        assert!(!field(&status, "Groups").contains(&"0"), "{status}");
        assert_eq!(field(&status, "CapEff"), ["0000000000000000"], "{status}");
    }
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_report_goes_where_root_alone_could_write_since_it_is_opened_before() {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let report = place.path().join("report.json");
    let said = run::output(&[
        "report".as_ref(),
        "-i".as_ref(),
        "lo".as_ref(),
        "--duration".as_ref(),
        "100ms".as_ref(),
        "--format".as_ref(),
        "json".as_ref(),
        "-o".as_ref(),
        report.as_os_str(),
    ]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(std::fs::read_to_string(report).unwrap().contains("hopscope-report/1"));
}

#[test]
#[ignore = "becomes another user, which needs root: .ci/run"]
fn who_may_not_capture_sees_that_in_the_list_and_what_to_do() {
    let (place, program) = program();
    let said = Command::new(&program).arg("interfaces").uid(NOBODY).gid(NOBODY).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("lo ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("no permission") && line.contains("127.0.0.1"), "{text}");
    let path = program.to_str().unwrap();
    let to_do = format!("To capture: run as root, or: sudo setcap cap_net_raw,cap_net_admin+ep {path}\n");
    assert!(text.ends_with(&to_do), "{text}");
    assert_eq!(said.status.code(), Some(0));
    drop(place);

    let root = run::output(&["interfaces"]);
    let text = String::from_utf8(root.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("lo ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("can be captured") && !text.contains("setcap"), "{text}");
}

#[test]
#[ignore = "becomes another user, which needs root: .ci/run"]
fn what_was_done_by_setcap_as_it_is_printed_lets_a_user_capture() {
    let (place, program) = program();
    let done = Command::new("setcap").arg("cap_net_raw,cap_net_admin+ep").arg(&program).status().expect("setcap");
    assert!(done.success());
    let said = Command::new(&program)
        .args(["report", "-i", "lo", "-f", "tcp port 9", "--duration", "100ms", "--format", "json"])
        .current_dir(place.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn nobody_becomes_a_user_that_is_not_there() {
    let said = run::output(&["report", "-i", "lo", "--user", "no such user"]);
    let words = String::from_utf8(said.stderr).unwrap();
    // Who may not capture fails before.
    assert!(words.contains("--user no such user: ") || words.contains("permission denied"), "{words}");
    assert_eq!(said.status.code(), Some(2));
}

/// The program, where everybody can start it; it is gone with the folder.
fn program() -> (TempDir, std::path::PathBuf) {
    let place = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = place.path().join("hopscope");
    std::fs::copy(Path::new(run::hopscope().get_program()), &program).unwrap();
    (place, program)
}
