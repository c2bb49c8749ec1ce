//! Live capture with the built program: on `lo`, which needs root, and what is said where it cannot be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::support::run;

/// The sample of RFC 6455 §1.3.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
pub(crate) const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
pub(crate) const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// One connection of a client and a server on this machine.
pub(crate) fn speak(listener: &TcpListener, answer: &str) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(REQUEST.as_bytes()).unwrap();
    server.read_exact(&mut vec![0; REQUEST.len()]).unwrap();
    server.write_all(answer.as_bytes()).unwrap();
    client.read_exact(&mut vec![0; answer.len()]).unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

/// A capture on `lo` of what is said to this listener, that has begun.
pub(crate) struct Capture {
    pub(crate) program: Child,
    lines: BufReader<ChildStdout>,
    start: Value,
}

impl Capture {
    pub(crate) fn begin(listener: &TcpListener, more: &[&str]) -> Self {
        let filter = format!("tcp port {}", listener.local_addr().unwrap().port());
        let mut program = run::hopscope()
            .args(["report", "-i", "lo", "-f", &filter, "--format", "ndjson"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let start = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            program.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not begin (this test needs root): {said}")
        });
        Capture { program, lines, start }
    }

    /// The next line of this type.
    pub(crate) fn line(&mut self, kind: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "no line of type {kind}");
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["type"] == kind {
                return value;
            }
        }
    }

    /// The next line, whatever it is.
    pub(crate) fn any_line(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "no more lines");
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.program.id().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its exit code, and what it said beside the lines.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.program.wait().unwrap().code(), said)
    }

    /// What it said, having ended well.
    pub(crate) fn words(self) -> String {
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
        said
    }

    pub(crate) fn code(mut self) -> Option<i32> {
        self.program.wait().unwrap().code()
    }
}

pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn what_is_said_on_lo_is_told_as_it_happens_and_an_interrupt_is_the_normal_end() {
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["--fail-on", "error"]);
    assert_eq!(
        (&capture.start["inputs"][0]["path"], &capture.start["inputs"][0]["format"]),
        (&"lo".into(), &"live".into())
    );
    speak(&listener, ANSWER);
    let exchange = capture.line("exchange");
    assert_eq!((&exchange["outcome"], &exchange["final"]), (&"upgraded".into(), &false.into()));
    // No packet follows: the time that passes makes it final.
    let began = Instant::now();
    let chain = capture.line("chain");
    assert_eq!((&chain["verdict"]["rule"], &chain["final"]), (&"end-without-close".into(), &true.into()));
    assert!(began.elapsed() > Duration::from_secs(5), "before the time to join was over");
    capture.signal("INT");
    let summary = capture.line("summary");
    assert_eq!((&summary["counters"]["flows"], &summary["counters"]["dropped_kernel"]), (&1.into(), &0.into()));
    assert!(summary["inputs"][0]["packets"].as_u64().unwrap() >= 8, "{summary}");
    assert_eq!(capture.code(), Some(0));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_terminated_capture_tells_all_it_saw_and_findings_make_its_exit_code() {
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["--fail-on", "info"]);
    speak(&listener, REFUSED);
    capture.signal("TERM");
    assert_eq!(capture.line("chain")["outcome"], "refused");
    capture.line("summary");
    assert_eq!(capture.code(), Some(1));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_capture_ends_after_so_many_packets() {
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["--count", "5"]);
    speak(&listener, ANSWER);
    let summary = capture.line("summary");
    assert_eq!((&summary["counters"]["packets"], &summary["inputs"][0]["packets"]), (&5.into(), &5.into()));
    assert_eq!(capture.code(), Some(0));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_silent_link_does_not_hold_up_the_end_nor_packets_of_a_file_beside_it() {
    let began = Instant::now();
    let report = Command::from_std(run::hopscope())
        .args(["report", "samples/nginx-right-client-side.pcap", "-i", "lo", "-f", "tcp port 9 and tcp port 10"])
        .args(["--duration", "1s", "--format", "json"])
        .assert()
        .success();
    assert!((1..10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let report: Value = serde_json::from_slice(&report.get_output().stdout).unwrap();
    assert_eq!(report["exchanges"][0]["outcome"], "upgraded");
    assert_eq!((&report["inputs"][0]["format"], &report["inputs"][1]["packets"]), (&"pcap".into(), &0.into()));
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn a_wrong_filter_is_refused_in_the_words_of_its_compiler() {
    let mut program = Command::from_std(run::hopscope());
    program
        .args(["report", "-i", "lo", "-f", "tcp prt 80"])
        .assert()
        .code(2)
        .stderr(contains("-f 'tcp prt 80': ").and(contains("syntax error")));
}

#[test]
#[ignore = "becomes another user, which needs root: .ci/run"]
fn who_may_not_capture_is_told_what_to_do() {
    use std::os::unix::process::CommandExt as _;
    // Where that user can read it.
    let place =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = place.path().join("hopscope");
    std::fs::copy(run::hopscope().get_program(), &program).unwrap();
    let said =
        std::process::Command::new(&program).args(["report", "-i", "lo"]).uid(65_534).gid(65_534).output().unwrap();
    let words = String::from_utf8(said.stderr).unwrap();
    assert!(
        words.contains(
            "lo: cannot capture: permission denied (run as root, or: sudo setcap cap_net_raw,cap_net_admin+ep"
        ),
        "{words}"
    );
    assert_eq!(said.status.code(), Some(2));
}

#[test]
fn a_device_that_is_not_there_is_named_with_those_that_are() {
    let mut program = Command::from_std(run::hopscope());
    program.args(["report", "-i", "nosuch0"]).assert().code(2).stderr(contains("nosuch0: no such device (there are: "));
}

#[test]
fn options_of_live_capture_want_a_device() {
    for option in [["--duration", "1s"], ["--count", "1"], ["-f", "tcp"], ["--snaplen", "100"]] {
        let mut program = Command::from_std(run::hopscope());
        program
            .args(["report", "samples/accept-in-hex.pcap"])
            .args(option)
            .assert()
            .code(2)
            .stderr(contains("--interface"));
    }
}
