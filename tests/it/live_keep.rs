//! Keeping a live capture: `-w` and `--ring`, with the built program on `lo`, which needs root.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::live::{ANSWER, Capture, REFUSED, REQUEST, listener, speak};
use crate::support::run;

/// An answer with an accept that belongs to another key.
const WRONG: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: hHLtf2V1k8aDQZfNjw3Ia1hCwt0=\r\n\r\n";

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Verdict, outcome and legs of each chain, in their order.
fn verdicts(chains: &[Value]) -> Vec<Value> {
    let mut all: Vec<_> =
        chains.iter().map(|c| serde_json::json!([c["id"], c["outcome"], c["verdict"]["rule"], c["legs"]])).collect();
    all.sort_by_key(|chain| chain[0].as_i64());
    all
}

/// The last line of each chain until the summary, and the summary.
fn rest(capture: &mut Capture) -> (Vec<Value>, Value) {
    let mut chains: Vec<Value> = Vec::new();
    loop {
        let line = capture.any_line();
        match line["type"].as_str().unwrap() {
            "chain" => {
                chains.retain(|known| known["id"] != line["id"]);
                chains.push(line);
            }
            "summary" => return (chains, line),
            _ => {}
        }
    }
}

/// What tshark says of a file, in these columns.
fn tshark(file: &Path, fields: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.args(["-r", path(file), "-T", "fields"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_kept_capture_says_the_same_when_it_is_read_again_and_names_the_findings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.pcapng");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["-w", path(&file)]);
    speak(&listener, ANSWER);
    speak(&listener, WRONG);
    speak(&listener, REFUSED);
    std::thread::sleep(Duration::from_millis(300));
    capture.signal("INT");
    let (live, summary) = rest(&mut capture);
    let said = capture.words();
    let packets = summary["inputs"][0]["packets"].as_u64().unwrap();
    assert!(said.contains(&format!("{packets} packets kept in {}\n", file.display())), "{said}");

    let again = run::report(&[&file]);
    assert_eq!(verdicts(again["chains"].as_array().unwrap()), verdicts(&live));
    let rules: Vec<_> = live.iter().map(|c| c["verdict"]["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"accept-mismatch"), "{rules:?}");
    let input = &again["inputs"][0];
    assert_eq!((&input["packets"], &input["damage"]), (&packets.into(), &Value::Null));
    assert_eq!(input["link_types"], serde_json::json!(["EN10MB"]));
    // Nanoseconds: of so many packets one at least is not on a whole microsecond.
    let seen = tshark(&file, &["frame.number", "frame.interface_name", "frame.time_epoch", "frame.comment"]);
    assert_eq!(seen.lines().count() as u64, packets);
    assert!(seen.lines().all(|line| line.split('\t').nth(1) == Some("lo")), "{seen}");
    assert!(seen.lines().any(|line| !line.split('\t').nth(2).unwrap().ends_with("000")), "{seen}");
    // The finding stands at the packet that the report names.
    let finding = again["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "accept-mismatch").unwrap();
    let number = finding["evidence"][0]["packet"].as_u64().unwrap();
    let line = seen.lines().nth(usize::try_from(number).unwrap() - 1).unwrap();
    assert!(line.contains("hopscope: accept-mismatch (error"), "{number}: {seen}");
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_ring_keeps_the_last_files_and_each_can_be_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let listener = listener();
    let named = folder.path().join("ring.pcapng");
    let mut capture = Capture::begin(&listener, &["-w", path(&named), "--ring", "8K,3"]);
    for _ in 0..40 {
        speak(&listener, ANSWER);
    }
    std::thread::sleep(Duration::from_millis(300));
    capture.signal("INT");
    let (_, summary) = rest(&mut capture);
    assert_eq!(summary["counters"]["flows"], 40);
    capture.words();
    let files = files(folder.path());
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("ring_000") && name.ends_with(".pcapng"), "{name}");
        assert!(std::fs::metadata(file).unwrap().len() <= 8 << 10, "{name}");
        let report = run::report(&[file]);
        assert_eq!(report["inputs"][0]["damage"], Value::Null);
        assert!(report["inputs"][0]["packets"].as_u64().unwrap() > 10);
    }
    // Together they are one capture.
    let together = run::report(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let upgraded = together["chains"].as_array().unwrap().iter().filter(|c| c["outcome"] == "upgraded").count();
    let alone: usize = files.iter().map(|file| run::report(&[file])["chains"].as_array().unwrap().len()).sum();
    assert!(upgraded >= 5 && upgraded <= alone, "{upgraded} of {alone}");
}

/// A file system of this size, gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", path(folder.path())].map(str::to_owned);
        assert!(Command::new("mount").args(mount).status().unwrap().success(), "mount needs root");
        Disk(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Sends so many bytes over a connection.
fn pour(listener: &TcpListener, bytes: usize) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let sink = std::thread::spawn(move || std::io::copy(&mut server, &mut std::io::sink()).unwrap());
    client.write_all(&vec![b'x'; bytes]).unwrap();
    drop(client);
    sink.join().unwrap();
}

#[test]
#[ignore = "captures on lo and mounts a file system, which needs root: .ci/run"]
fn a_full_disk_is_told_once_and_the_capture_goes_on_and_what_was_written_is_whole() {
    let disk = Disk::of("256k");
    let file = disk.0.path().join("kept.pcapng");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["-w", path(&file)]);
    speak(&listener, ANSWER);
    std::thread::sleep(Duration::from_millis(1_500));
    pour(&listener, 2 << 20);
    std::thread::sleep(Duration::from_millis(1_500));
    speak(&listener, REFUSED);
    std::thread::sleep(Duration::from_millis(1_500));
    capture.signal("INT");
    let (live, summary) = rest(&mut capture);
    assert_eq!(live.len(), 2, "both upgrades were seen: {live:?}");
    let not_kept = summary["counters"]["packets_not_kept"].as_u64().unwrap_or_default();
    let captured = summary["inputs"][0]["packets"].as_u64().unwrap();
    let (code, said) = capture.end();
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.matches("cannot be written: the disk is full; the capture goes on").count(), 1, "{said}");
    let report = run::report(&[&file]);
    let kept = report["inputs"][0]["packets"].as_u64().unwrap();
    assert_eq!(report["inputs"][0]["damage"], Value::Null, "{report}");
    assert!(kept >= 8 && kept < captured, "{kept} of {captured}");
    assert!(said.contains(&format!("{kept} packets kept in")), "{kept}: {said}");
    assert!(not_kept > 0 && not_kept <= captured - kept, "{not_kept} told, {kept} of {captured} kept");
    assert!(said.contains(&format!("{} were not kept", captured - kept)), "{kept} of {captured}: {said}");
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn root_keeps_a_file_in_the_folder_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    // Once rights are given up, root may make nothing there any more.
    std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
    let file = folder.path().join("kept.pcapng");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["-w", path(&file)]);
    speak(&listener, ANSWER);
    capture.line("exchange");
    capture.signal("INT");
    rest(&mut capture);
    assert_eq!(capture.code(), Some(0));
    assert_eq!(run::report(&[&file])["exchanges"][0]["outcome"], "upgraded");
}

#[test]
#[ignore = "captures on lo and mounts a file system, which needs root: .ci/run"]
fn when_the_disk_has_room_again_keeping_goes_on_and_says_what_is_missing() {
    let disk = Disk::of("256k");
    let file = disk.0.path().join("kept.pcapng");
    let ballast = disk.0.path().join("ballast");
    let listener = listener();
    std::fs::write(&ballast, vec![0; 240 << 10]).unwrap();
    let mut capture = Capture::begin(&listener, &["-w", path(&file)]);
    pour(&listener, 64 << 10);
    std::thread::sleep(Duration::from_millis(2_000));
    std::fs::remove_file(&ballast).unwrap();
    std::thread::sleep(Duration::from_secs(11));
    speak(&listener, ANSWER);
    std::thread::sleep(Duration::from_millis(1_500));
    capture.signal("INT");
    rest(&mut capture);
    assert_eq!(capture.code(), Some(2));
    let report = run::report(&[&file]);
    assert_eq!(report["exchanges"][0]["outcome"], "upgraded");
    let comments = tshark(&file, &["frame.comment"]);
    assert!(comments.contains("packets before this one are not kept: the disk is full"), "{comments}");
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_finding_that_comes_late_stands_at_a_later_packet_and_names_the_one_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.pcapng");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["-w", path(&file)]);
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(REQUEST.replace("Version: 13", "Version: 8").as_bytes()).unwrap();
    server.read_exact(&mut vec![0; REQUEST.len() - 1]).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    server.write_all(REFUSED.as_bytes()).unwrap();
    drop(server);
    std::thread::sleep(Duration::from_millis(1_500));
    speak(&listener, ANSWER);
    std::thread::sleep(Duration::from_millis(300));
    capture.signal("INT");
    rest(&mut capture);
    capture.words();
    let seen = tshark(&file, &["frame.number", "frame.comment"]);
    let report = run::report(&[&file]);
    let about = |f: &&Value| f["evidence"][0]["packet"] == 4 && f["subject"]["kind"] == "exchange";
    let finding = report["findings"].as_array().unwrap().iter().find(about).unwrap();
    let rule = finding["rule"].as_str().unwrap();
    let line = seen.lines().find(|line| line.contains(&format!("hopscope: {rule} ("))).expect(rule);
    assert!(line.contains("[packet 4 of input 0]"), "{seen}");
    assert!(line.split('\t').next().unwrap().parse::<u64>().unwrap() > 4, "{seen}");
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_report_of_people_can_be_kept_too_and_what_cannot_be_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.pcapng");
    let said = run::hopscope()
        .args(["report", "-i", "lo", "-f", "tcp port 9 and tcp port 10", "--duration", "300ms", "-w", path(&file)])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&said.stderr).contains("0 packets kept in"));
    let report = run::report(&[&file]);
    // The silent device is described all the same.
    assert_eq!(report["inputs"][0]["link_types"], serde_json::json!(["EN10MB"]));
    for (place, words) in [("-", "standard output is for the report"), ("/nosuch/a.pcapng", "cannot write there")] {
        let said = run::hopscope().args(["report", "-i", "lo", "--duration", "1s", "-w", place]).output().unwrap();
        let words_said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.code() == Some(2) && words_said.contains(words), "{words_said}");
    }
}
