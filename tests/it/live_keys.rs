//! Secrets that come while a capture runs: a connection in TLS over `lo`, which needs root, and its key log later.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::live::{ANSWER, Capture, REQUEST, listener};
use crate::support::tls::{Ends, Say, Talk, suite};

const SUITES: [&str; 2] = ["TLS13_AES_128_GCM_SHA256", "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

/// A WebSocket that opens inside TLS, and closes.
fn talk(name: &str) -> Talk {
    let (request, answer) = (REQUEST.as_bytes(), ANSWER.as_bytes());
    let hello = b"\x81\x82\x01\x02\x03\x04\x69\x6b";
    Ends::of_http1(suite(name)).talk(b"", &[Say::Client(request), Say::Server(answer), Say::Client(hello)])
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn secrets_that_come_behind_the_handshake_open_the_connection_that_waits_for_them() {
    for name in SUITES {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("keys.log");
        let listener = listener();
        // The file is not there yet.
        let mut capture = Capture::begin(&listener, &["--keylog", log.to_str().unwrap()]);
        let talk = talk(name);
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let (last, rest) = talk.wire.split_last().unwrap();
        let mut carry = |(from_client, bytes): &(bool, Vec<u8>)| {
            let (from, to) = if *from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
            from.write_all(bytes).unwrap();
            to.read_exact(&mut vec![0; bytes.len()]).unwrap();
        };
        rest.iter().for_each(&mut carry);
        std::thread::sleep(Duration::from_millis(400));
        // In two steps, the first of which ends inside a line.
        let (first, second) = talk.key_log.split_at(talk.key_log.len() / 2 + 7);
        let mut file = std::fs::File::create(&log).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        file.write_all(second.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(600));
        carry(last);
        let exchange = capture.line("exchange");
        assert_eq!((&exchange["outcome"], &exchange["final"]), (&"upgraded".into(), &false.into()), "{name}");
        let via = exchange["via"][0].as_str().unwrap();
        assert!(via.starts_with("tls 1."), "{via}");
        capture.signal("INT");
        let summary = capture.line("summary");
        assert_eq!(summary["counters"]["http_requests"], 1, "{name}");
        assert_eq!(capture.code(), Some(0));
    }
}

#[test]
#[ignore = "captures on lo, which needs root: .ci/run"]
fn without_its_secrets_it_stays_shut() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("keys.log");
    let listener = listener();
    let mut capture = Capture::begin(&listener, &["--keylog", log.to_str().unwrap()]);
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for (from_client, bytes) in talk(SUITES[0]).wire {
        let (from, to) = if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        from.write_all(&bytes).unwrap();
        to.read_exact(&mut vec![0; bytes.len()]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    capture.signal("INT");
    let summary = capture.line("summary");
    assert_eq!(summary["counters"]["http_requests"], 0);
    let (code, said) = capture.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("not used"), "{said}");
}
