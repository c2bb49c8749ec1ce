//! Memory over many short connections: what is over leaves once it was told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::Script;
use crate::support::{accept, run};

/// Connections that begin in a second of packet time.
const A_SECOND: u64 = 200;
/// Connections of all; more are given by `HOPSCOPE_CHURN`.
const CONNECTIONS: u64 = 40_000;
/// Bytes of the head of a pcap file.
const HEAD: usize = 24;

/// The packets of one connection, as records of a pcap file: a WebSocket is opened and closed, from an address of its
/// own, with a key of its own.
fn connection(number: u64, format: &Format) -> Vec<u8> {
    let client = std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(number % 0x00ff_ffff).unwrap());
    let at = 1_772_366_400_000_000_000 + number * (1_000_000_000 / A_SECOND);
    let script = Script::midstream(&format!("{client}:40000"), "203.0.113.9:80").not_before(at).handshake();
    let key = accept::key((u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c).to_be_bytes());
    let packets = link::packets(&script.upgrade(&key).goodbye().segments(), Link::Raw);
    format.write(&packets).split_off(HEAD)
}

fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Resident memory after each tenth of the connections, in KiB, and the summary.
fn churn(connections: u64) -> (Vec<u64>, Value) {
    let mut program = run::hopscope()
        .args(["report", "--format", "ndjson", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = program.id();
    let mut input = program.stdin.take().unwrap();
    let output = BufReader::new(program.stdout.take().unwrap());
    let told = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let last = scope.spawn(|| {
            let mut last = String::new();
            for line in output.lines() {
                last = line.unwrap();
                told.fetch_add(u64::from(last.starts_with("{\"type\":\"chain\"")), Ordering::Relaxed);
            }
            serde_json::from_str(&last).unwrap()
        });
        let format = Format { nanoseconds: true, ..Format::pcap(Link::Raw) };
        input.write_all(&format.write(&[])).unwrap();
        let mut sizes = Vec::new();
        for number in 0..connections {
            input.write_all(&connection(number, &format)).unwrap();
            if (number + 1) % (connections / 10) == 0 {
                sizes.push(resident_kib(id));
            }
        }
        // Those of the last seconds wait to be joined; all others have been told.
        let waiting = connections - told.load(Ordering::Relaxed);
        drop(input);
        assert!(waiting < 20 * A_SECOND, "{waiting}");
        let told = (sizes, last.join().unwrap());
        assert!(program.wait().unwrap().success());
        told
    })
}

#[test]
#[ignore = "takes long without optimisation: .ci/run"]
fn memory_stays_flat_over_connections_that_come_and_go() {
    let connections = std::env::var("HOPSCOPE_CHURN").ok().map_or(CONNECTIONS, |n| n.parse().unwrap());
    let (sizes, summary) = churn(connections);
    let words: Vec<String> = sizes.iter().map(u64::to_string).collect();
    println!("{connections} connections; KiB resident after each tenth: {}", words.join(" "));
    let counters = &summary["counters"];
    assert_eq!((&counters["flows"], &counters["evicted"]), (&connections.into(), &0.into()));
    // An ended connection is remembered for a minute of packet time: from the fourth tenth on nothing is new.
    let (early, late) = (sizes[3], sizes[9]);
    assert!(late < early + early / 5 + 4_096, "{sizes:?}");
}
