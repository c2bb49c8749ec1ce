//! Runs both programs in turn on one file, and checks what the report says of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::generate::Written;

/// Whether the report was right, within its memory, and within `max_ratio` of tcpdump's time.
pub(crate) fn run(file: &Path, written: &Written, runs: usize, max_ratio: f64) -> bool {
    let mut good = check_report(file, written);
    let (mut ours, mut json, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(time(hopscope(file, "text", Path::new("/dev/null"))));
        theirs.push(time(tcpdump(file)));
        json.push(time(hopscope(file, "json", Path::new("/dev/null"))));
    }
    let (ours, json, theirs) = (median(ours), median(json), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let fast = ratio <= max_ratio;
    println!(
        "  hopscope {:.3} s ({:.2} GB/s, {:.0} ns a packet), tcpdump {:.3} s: ratio {ratio:.2}, {} {max_ratio:.2}",
        ours.as_secs_f64(),
        written.bytes as f64 / 1e9 / ours.as_secs_f64(),
        ours.as_secs_f64() * 1e9 / written.packets as f64,
        theirs.as_secs_f64(),
        if fast { "within" } else { "FAILED: above" },
    );
    println!(
        "  the same with every exchange written out as JSON: ratio {:.2}",
        json.as_secs_f64() / theirs.as_secs_f64()
    );
    good &= fast;
    good
}

/// The same for the capture compressed by gzip, beside `gzip -dc FILE | tcpdump -r - -w /dev/null`.
pub(crate) fn run_gz(file: &Path, written: &Written, runs: usize, max_ratio: f64) -> bool {
    let packed = compress(file);
    let good = check_report(&packed, written);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(time(hopscope(&packed, "text", Path::new("/dev/null"))));
        theirs.push(time(gzip_and_tcpdump(&packed)));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let fast = ratio <= max_ratio;
    println!(
        "  .gz: hopscope {:.3} s ({:.2} GB/s unpacked), gzip and tcpdump {:.3} s: ratio {ratio:.2}, {} {max_ratio:.2}",
        ours.as_secs_f64(),
        written.bytes as f64 / 1e9 / ours.as_secs_f64(),
        theirs.as_secs_f64(),
        if fast { "within" } else { "FAILED: above" },
    );
    let _ = std::fs::remove_file(&packed);
    good && fast
}

/// The report on one capture beside that on another, in turn: whether it takes at most `max_ratio` of its time.
pub(crate) fn run_pair(one: &Path, other: &Path, runs: usize, max_ratio: f64) -> bool {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(time(hopscope(one, "text", Path::new("/dev/null"))));
        theirs.push(time(hopscope(other, "text", Path::new("/dev/null"))));
    }
    let ratio = median(ours).as_secs_f64() / median(theirs).as_secs_f64();
    let fast = ratio <= max_ratio;
    println!(
        "  tls takes {ratio:.2} of opaque's time, {} {max_ratio:.2}",
        if fast { "within" } else { "FAILED: above" }
    );
    fast
}

/// `FILE.gz` beside the capture.
fn compress(file: &Path) -> PathBuf {
    let packed = file.with_extension("pcap.gz");
    let to = std::fs::File::create(&packed).expect("room on the disk");
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
    std::io::copy(&mut std::fs::File::open(file).expect("the capture"), &mut encoder).expect("room on the disk");
    encoder.finish().expect("room on the disk");
    packed
}

/// One run that is not timed: its report is read and its memory watched.
fn check_report(file: &Path, written: &Written) -> bool {
    let out = file.with_extension("report.json");
    let mut child = hopscope(file, "json", &out).spawn().expect("hopscope starts");
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = peak_kib.max(peak_memory(child.id()));
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    assert!(status.success(), "hopscope ended with {status}");
    let report: Value = serde_json::from_slice(&std::fs::read(&out).expect("a report")).expect("a report is JSON");
    let _ = std::fs::remove_file(&out);
    let none = Vec::new();
    let exchanges = report["exchanges"].as_array().unwrap_or(&none);
    let sum = |pointer: &str| exchanges.iter().filter_map(|x| x.pointer(pointer)?.as_u64()).sum::<u64>();
    let with = |pointer: &str, value: &str| {
        exchanges.iter().filter(|x| x.pointer(pointer).and_then(Value::as_str) == Some(value)).count() as u64
    };
    let counter = |name: &str| report["counters"][name].as_u64().unwrap_or(0);
    let counts = &written.counts;
    let mut good = true;
    for (what, found, want) in [
        ("packets", counter("packets"), written.packets),
        ("flows", counter("flows"), counts.flows),
        ("requests", counter("http_requests"), counts.requests),
        ("responses", counter("http_responses"), counts.responses),
        ("evicted", counter("evicted"), 0),
        ("gaps", counter("gaps"), 0),
        ("undecodable packets", counter("undecodable"), 0),
        ("upgrades", with("/outcome", "upgraded"), counts.upgrades),
        ("valid accepts", with("/handshake/accept_verdict", "valid"), counts.upgrades),
        ("client frames", sum("/websocket/client/frames"), counts.client_frames),
        ("server frames", sum("/websocket/server/frames"), counts.server_frames),
    ] {
        if found != want {
            println!("  FAILED: {found} {what} reported, {want} written");
            good = false;
        }
    }
    // 64 MiB, 256 B a flow, 2 KiB an exchange.
    let allowed_kib = (64 << 10) + counts.flows * 256 / 1024 + exchanges.len() as u64 * 2;
    let within = peak_kib <= allowed_kib;
    println!(
        "  counts {}; peak memory {} MiB, {} {} MiB",
        if good { "right" } else { "WRONG" },
        peak_kib >> 10,
        if within { "within" } else { "FAILED: above" },
        allowed_kib >> 10
    );
    good && within
}

fn hopscope(file: &Path, format: &str, out: &Path) -> Command {
    let built = env!("CARGO_BIN_EXE_hopscope").into();
    let mut command = Command::new(std::env::var_os("HOPSCOPE_PROGRAM").unwrap_or(built));
    command.arg("report").arg(file).args(["--format", format, "--quiet", "-o"]).arg(out);
    command.stdout(Stdio::null());
    command
}

fn tcpdump(file: &Path) -> Command {
    let mut command = Command::new("tcpdump");
    command.arg("-r").arg(file).args(["-w", "/dev/null"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn gzip_and_tcpdump(packed: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "gzip -dc \"$0\" | tcpdump -r - -w /dev/null"]).arg(packed);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn time(mut command: Command) -> Duration {
    let started = Instant::now();
    let status = command.status().unwrap_or_else(|e| panic!("{:?}: {e}", command.get_program()));
    let took = started.elapsed();
    assert!(status.success(), "{:?} ended with {status}", command.get_program());
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The most memory a running process ever had (VmHWM), in KiB; 0 once it has ended. Looking often
/// enough misses less than what a process can allocate in half a millisecond.
fn peak_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
