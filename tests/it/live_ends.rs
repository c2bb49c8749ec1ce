//! How a live capture ends, and several inputs at once, with the built program, which needs root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::live::{ANSWER, Capture, REFUSED, listener, speak};
use crate::support::run;

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A device that nothing is connected to; gone when dropped.
struct Dummy(&'static str);

impl Dummy {
    fn new(name: &'static str) -> Self {
        let _ = Command::new("ip").args(["link", "del", name]).output();
        ip(&format!("link add {name} type veth peer name {name}p"));
        ip(&format!("link set {name} up"));
        Dummy(name)
    }
}

impl Drop for Dummy {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", self.0]).output();
    }
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_reader_that_leaves_ends_the_capture_well_and_what_was_kept_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.pcapng");
    let listener = listener();
    let filter = format!("tcp port {}", listener.local_addr().unwrap().port());
    let mut program = run::hopscope()
        .args(["report", "-i", "lo", "-f", &filter, "--format", "ndjson", "-w", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"type\":\"start\""), "{first}");
    // Nobody reads any more; the next line tells so.
    speak(&listener, REFUSED);
    let ended = program.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let report = run::report(&[&file]);
    assert_eq!((&report["inputs"][0]["damage"], &report["chains"][0]["outcome"]), (&Value::Null, &"refused".into()));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_second_signal_ends_it_at_once() {
    let listener = listener();
    let capture = Capture::begin(&listener, &[]);
    let id = capture.program.id();
    let both = format!("kill -INT {id}; sleep 0.03; kill -INT {id}");
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    assert_eq!(capture.code(), Some(130));
}

#[test]
#[ignore = "makes a network device, which needs root: .ci/run"]
fn a_device_that_goes_away_ends_its_part_and_what_was_seen_is_reported() {
    for format in ["text", "ndjson"] {
        let dummy = Dummy::new("hopscope-t0");
        let mut program = run::hopscope()
            .args(["report", "-i", dummy.0, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(1));
        drop(dummy);
        let began = Instant::now();
        while program.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(10), "it goes on without its device");
            std::thread::sleep(Duration::from_millis(50));
        }
        let ended = program.wait_with_output().unwrap();
        let (out, said) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
        assert_eq!(ended.status.code(), Some(2), "{out}{said}");
        assert!(said.contains("hopscope-t0: the device went away while capturing; "), "{said}");
        assert!(!out.contains("damaged at packet") && !out.contains("file is damaged"), "{out}");
        assert!(out.contains("broke off behind packet "), "{out}");
    }
}

#[test]
#[ignore = "captures on lo and makes a network device, which needs root: .ci/run"]
fn where_one_of_two_devices_goes_away_the_other_goes_on() {
    let dummy = Dummy::new("hopscope-t1");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["-i", dummy.0]);
    drop(dummy);
    std::thread::sleep(Duration::from_millis(500));
    speak(&listener, ANSWER);
    assert_eq!(capture.line("exchange")["outcome"], "upgraded");
    capture.signal("TERM");
    let summary = capture.line("summary");
    assert_eq!((&summary["inputs"][0]["damage"], &summary["counters"]["flows"]), (&Value::Null, &1.into()));
    assert_eq!(capture.code(), Some(2));
}

#[test]
#[ignore = "captures on all devices, which needs root: .ci/run"]
fn any_is_captured_with_the_number_of_each_device() {
    let listener = listener();
    let filter = format!("tcp port {}", listener.local_addr().unwrap().port());
    let mut program = run::hopscope()
        .args(["report", "-i", "any", "-f", &filter, "--duration", "2s", "--format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(program.try_wait().unwrap().is_none());
    speak(&listener, ANSWER);
    let report: Value = serde_json::from_slice(&program.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(report["inputs"][0]["link_types"], serde_json::json!(["LINUX_SLL2"]));
    // On `lo` a packet comes in and goes out: it counts once.
    assert_eq!((&report["counters"]["flows"], &report["exchanges"][0]["outcome"]), (&1.into(), &"upgraded".into()));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_silent_pipe_holds_a_device_up_for_a_moment_only() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let listener = listener();
    // Held open for writing, as ssh does, with the head of a capture and no packet.
    let place = pipe.clone();
    let writer = std::thread::spawn(move || {
        let mut writer = std::fs::File::options().write(true).open(place).unwrap();
        let head = [&0xa1b2_c3d4_u32.to_le_bytes()[..], &[2, 0, 4, 0], &[0; 8], &[0, 0, 4, 0], &[1, 0, 0, 0]].concat();
        writer.write_all(&head).unwrap();
        writer
    });
    let mut capture = Capture::begin(&listener, &[pipe.to_str().unwrap()]);
    let writer = writer.join().unwrap();
    let began = Instant::now();
    speak(&listener, ANSWER);
    assert_eq!(capture.line("exchange")["outcome"], "upgraded");
    // 200 ms, and what a busy machine needs beside them.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(writer);
    capture.signal("INT");
    let summary = capture.line("summary");
    assert_eq!((&summary["inputs"][0]["format"], &summary["inputs"][0]["packets"]), (&"pcap".into(), &0.into()));
    assert_eq!(capture.code(), Some(0));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_sort_of_time_stamps_that_the_device_lacks_stops_nothing_and_one_that_is_none_is_refused() {
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["--time-stamp-type", "adapter_unsynced"]);
    speak(&listener, ANSWER);
    capture.line("exchange");
    capture.signal("INT");
    capture.line("summary");
    let (code, said) = capture.end();
    assert_eq!(code, Some(0), "{said}");
    let mut wrong = run::hopscope();
    let said = wrong.args(["report", "-i", "lo", "--time-stamp-type", "sundial"]).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
}
