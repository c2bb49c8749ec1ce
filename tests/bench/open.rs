//! The program with its UI open in tmux, beside the same program that writes a report, on the mixed capture.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::generate::{self, Sort};

/// What the UI may add to the time.
const MORE: f64 = 1.05;
/// The longest wait for a screen.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether all is on the screen in hardly more time than a report takes.
pub(crate) fn compare(size: &str, runs: usize) -> bool {
    let bytes = match size.strip_suffix('G') {
        Some(n) => n.parse::<u64>().expect("a size such as 1G") * 1_000_000_000,
        None => size.trim_end_matches('M').parse::<u64>().expect("a size such as 100M") * 1_000_000,
    };
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("screens-{size}.pcap"));
    let written = generate::write(&file, Sort::Mixed, bytes, generate::FLOWS_PER_GB);
    println!("mixed: {}", written.summary());
    let (mut report, mut screen) = (Vec::new(), Vec::new());
    for run in 0..runs {
        report.push(in_tmux(2 * run, &file, "report --quiet -o /dev/null", "done"));
        screen.push(in_tmux(2 * run + 1, &file, "", " pkts "));
    }
    generate::remove(&file);
    let (report, screen) = (median(report), median(screen));
    let ratio = screen.as_secs_f64() / report.as_secs_f64();
    let good = ratio <= MORE;
    println!(
        "  a report after {:.3} s, all on the screen after {:.3} s: ratio {ratio:.3}, {} {MORE:.2}",
        report.as_secs_f64(),
        screen.as_secs_f64(),
        if good { "within" } else { "FAILED: above" }
    );
    good
}

/// Until these words stand on the screen.
fn in_tmux(number: usize, file: &Path, how: &str, words: &str) -> Duration {
    // A server of its own each time: the one before may still be going away.
    let socket = format!("hopscope-bench-{}-{number}", std::process::id());
    let tmux = |arguments: &[&str]| {
        let mut command = Command::new("tmux");
        command.args(["-L", &socket, "-f", "/dev/null"]).args(arguments).stderr(Stdio::null());
        command.output().expect("tmux is installed").stdout
    };
    let program = env!("CARGO_BIN_EXE_hopscope");
    let line = format!("export LC_ALL=C.UTF-8; {program} {how} {}; echo done; exec sleep 600", file.display());
    tmux(&["new-session", "-d", "-x", "160", "-y", "48", "exec sleep 600"]);
    let began = Instant::now();
    tmux(&["respawn-pane", "-k", &line]);
    while !String::from_utf8_lossy(&tmux(&["capture-pane", "-p"])).contains(words) {
        assert!(began.elapsed() < PATIENCE, "{words} never came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = began.elapsed();
    tmux(&["kill-server"]);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
