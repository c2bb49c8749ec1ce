//! The captures that are not part of this repository: where they are, and how a run over them tells
//! what it did.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::run;

/// The folder with `captures/`, from HOPSCOPE_SHARED.
pub(crate) fn captures(folder: &str) -> PathBuf {
    let root = std::env::var_os("HOPSCOPE_SHARED")
        .expect("HOPSCOPE_SHARED names the folder with captures/: .ci/run sets it and runs this test");
    let path = PathBuf::from(root).join("captures").join(folder);
    assert!(path.is_dir(), "{}: no such folder: HOPSCOPE_SHARED is wrong", path.display());
    // The program runs in the folder of Cargo.toml, so a relative path would lead elsewhere.
    path.canonicalize().expect("an existing folder has a full path")
}

pub(crate) fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The JSON report on these files, or why there is none: within `limit`, without a signal or a panic.
pub(crate) fn report(files: &[PathBuf], limit: Duration) -> Result<(Value, Output), String> {
    report_with(files, None, limit)
}

/// The same, with the secrets of a key log.
pub(crate) fn report_with(
    files: &[PathBuf],
    keylog: Option<&Path>,
    limit: Duration,
) -> Result<(Value, Output), String> {
    let output = run_within(files, keylog, limit)?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => {}
        Some(2) if !words.trim().is_empty() => {}
        Some(2) => return Err("exit code 2 without a word on stderr".to_owned()),
        _ => return Err(format!("{}: {words}", output.status)),
    }
    let report = if output.stdout.is_empty() {
        if output.status.success() {
            return Err("exit code 0 without a report".to_owned());
        }
        Value::Null
    } else {
        serde_json::from_slice(&output.stdout).map_err(|e| format!("the report is not JSON: {e}"))?
    };
    Ok((report, output))
}

fn run_within(files: &[PathBuf], keylog: Option<&Path>, limit: Duration) -> Result<Output, String> {
    // Files take what is written, so that a full pipe cannot make the program wait for us.
    let (out, err) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
    let copy = |f: &std::fs::File| Stdio::from(f.try_clone().expect("a handle"));
    let mut child = run::hopscope()
        .arg("report")
        .args(files)
        .args(["--format", "json"])
        .args(keylog.into_iter().flat_map(|log| [Path::new("--keylog"), log]))
        .stdin(Stdio::null())
        .stdout(copy(&out))
        .stderr(copy(&err))
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if started.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("still running after {} s", limit.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ok(Output { status, stdout: read(out), stderr: read(err) })
}

fn read(mut file: std::fs::File) -> Vec<u8> {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("our own file");
    bytes
}

/// What a run did: scored, left out with the reason, failed.
#[derive(Default)]
pub(crate) struct Tally {
    scored: usize,
    left_out: Vec<(String, String)>,
    failed: Vec<String>,
}

impl Tally {
    /// One thing scored; `found` must be one of `expected`.
    pub(crate) fn score(&mut self, what: &str, expected: &[String], found: &str) {
        self.scored += 1;
        if !expected.iter().any(|e| e == found) {
            self.failed.push(format!("{what}: expected {}, found {found}", expected.join(" or ")));
        }
    }

    pub(crate) fn fail(&mut self, what: &str, why: &str) {
        self.scored += 1;
        self.failed.push(format!("{what}: {why}"));
    }

    /// One thing scored; `wrong` says what is wrong with it, and is empty where nothing is.
    pub(crate) fn check(&mut self, what: &str, wrong: &str) {
        self.scored += 1;
        if !wrong.is_empty() {
            self.failed.push(format!("{what}: {wrong}"));
        }
    }

    pub(crate) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push((why.into(), what.into()));
    }

    pub(crate) fn scored(&self) -> usize {
        self.scored
    }

    pub(crate) fn right(&self) -> usize {
        self.scored - self.failed.len()
    }

    /// Prints it all. An error where fewer than `at_least` were scored or fewer than `held` were right: what
    /// was reached once is not lost again.
    pub(crate) fn hold(mut self, title: &str, at_least: usize, held: usize) -> Result<(), String> {
        self.print(title);
        let (scored, right) = (self.scored, self.right());
        println!("{title}: {right} of {scored} right, {held} held");
        match (scored >= at_least, right >= held) {
            (false, _) => Err(format!("{title}: {scored} scored, but {at_least} are there to be scored")),
            (_, false) => Err(format!("{title}: {right} of {scored} right, but {held} were before")),
            _ => Ok(()),
        }
    }

    fn print(&mut self, title: &str) {
        self.left_out.sort();
        println!("{title}: {} scored, {} left out, {} failed", self.scored, self.left_out.len(), self.failed.len());
        for (why, what) in &self.left_out {
            println!("  left out: {what}: {why}");
        }
        for failure in &self.failed {
            println!("  failed: {failure}");
        }
    }

    /// Prints it all; fails where something failed or fewer than `at_least` were scored.
    pub(crate) fn judge(mut self, title: &str, at_least: usize) {
        self.print(title);
        assert!(
            self.failed.is_empty(),
            "{title}: {} of {} failed:\n{}",
            self.failed.len(),
            self.scored,
            self.failed.join("\n")
        );
        assert!(self.scored >= at_least, "{title}: {} scored, but {at_least} are there to be scored", self.scored);
    }
}
