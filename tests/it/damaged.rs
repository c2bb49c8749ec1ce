//! The program itself on damaged captures, in a process of its own: it ends within its time and its
//! address space, and tells in words what it could not read. `HOPSCOPE_MUTATE_SECONDS` sets for how long.

#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::mutate::{LARGEST, Random, damaged, files};
use crate::shared;

/// Address space of the process in KiB.
const SPACE_KIB: u64 = 2 << 20;

/// One process must end within this.
const LIMIT: Duration = Duration::from_secs(5);

/// Captures that one process reads together, at most.
const TOGETHER: usize = 3;

#[test]
fn the_program_survives_damaged_samples_in_little_memory() {
    damage(&files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")), 5, 1);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_program_survives_damaged_captures_in_little_memory() {
    let mut captures = files(&shared::captures("public"));
    captures.extend(files(&shared::captures("lab")));
    damage(&captures, 25, 2);
}

fn damage(files: &[PathBuf], seconds: u64, seed: u64) {
    assert!(!files.is_empty());
    let seconds = std::env::var("HOPSCOPE_MUTATE_SECONDS").ok().map_or(seconds, |s| s.parse().expect("whole seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut runs, mut read, mut slowest, mut random) = (0_u64, 0_u64, Duration::ZERO, Random(seed));
    while Instant::now() < end {
        let seed = random.0;
        let together: Vec<PathBuf> = (0..=random.below(TOGETHER))
            .map(|n| {
                let bytes = damaged(&files[random.below(files.len())], &mut random);
                let path = folder.path().join(format!("{n}.pcap"));
                std::fs::write(&path, bytes).expect("room for a file");
                path
            })
            .collect();
        let arguments: &[&str] = match random.below(6) {
            0 => &["report"],
            1 => &["report", "--format", "ndjson"],
            2 => &["report", "--format", "csv"],
            3 => &["extract", "-Y", "", "-o", "/dev/null"],
            _ => &["report", "--format", "json"],
        };
        let began = Instant::now();
        if let Err(why) = run(arguments, &together) {
            panic!("{arguments:?} from {seed:#x}: {why}; its inputs are in {}", folder.keep().display());
        }
        slowest = slowest.max(began.elapsed());
        (runs, read) = (runs + 1, read + together.len() as u64);
    }
    println!(
        "{read} damaged captures of {} (up to {LARGEST} bytes) in {runs} processes, the slowest took {slowest:?}",
        files.len()
    );
}

/// Why it did not end as it must.
fn run(arguments: &[&str], files: &[PathBuf]) -> Result<(), String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {SPACE_KIB} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_hopscope")])
        .args(arguments)
        .args(files)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("still running after {LIMIT:?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    // Warnings are few: they fit into the pipe.
    let mut words = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut words).map_err(|err| err.to_string())?;
    match status.code() {
        _ if words.contains("panicked") => Err(words),
        Some(0) => Ok(()),
        Some(2) if !words.trim().is_empty() => Ok(()),
        _ => Err(format!("{status}: {words}")),
    }
}
