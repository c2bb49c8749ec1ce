//! Large files are read on a thread of their own, pipes are not: both give the same report.
#![allow(clippy::cast_possible_truncation, reason = "test captures are small")]

use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link, Packet};
use crate::support::run;
use crate::support::script::{Script, Side};
use crate::support::wrap::{self, Unit, Wrap};

/// A key for each connection: with one for all, and the sequence numbers of scripts, they would be one
/// connection seen at several places.
fn key(n: u16) -> String {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// More than `limits::THREAD_BYTES`: connections over both families, bare, tagged, in tunnels and in
/// fragments, one after the other and side by side, among packets that are no TCP.
fn capture(port: u16, connections: u16) -> Vec<Packet> {
    let mut packets = Vec::new();
    for n in 0..connections {
        let (client, server) = match n % 3 {
            0 => (format!("[2001:db8:7::{n:x}]:40000"), format!("[2001:db8:9::9]:{port}")),
            _ => (format!("198.51.{}.{}:{}", n >> 8, n & 255, 40_000 + n % 97), format!("203.0.113.9:{port}")),
        };
        let script = Script::between(&client, &server).upgrade(&key(n));
        let script = (0_u8..20).fold(script, |s, k| s.frame(Side::Server, 1, &vec![b'x'; 1_200 + usize::from(k)]));
        for (segment, place) in script.frame(Side::Client, 2, &[7; 300]).goodbye().segments().iter().zip(0_u64..) {
            let raw = link::packet(segment, Link::Raw, &[]);
            // Eight connections go on at a time.
            let at_ns = raw.at_ns + u64::from(n / 8) * 3_000_000 + place * 20_000 + u64::from(n % 8);
            let pieces = match n % 5 {
                4 => wrap::fragments(&raw.data, &[600, 600], u32::from(n) << 8 | place as u32),
                _ => vec![raw.data.clone()],
            };
            for data in pieces {
                let unit = match n % 4 {
                    1 => Wrap::Vlan(n % 4_000 + 1).put(Unit::Ip(data)),
                    2 => Wrap::Vxlan(u32::from(n), 4789).put(Unit::Ip(data)),
                    _ => Unit::Ip(data),
                };
                let data = wrap::linked(1, unit);
                packets.push(Packet { at_ns, wire_len: data.len() as u32, data, interface: 0 });
            }
        }
    }
    packets.sort_by_key(|p| p.at_ns);
    packets
}

/// A datagram of UDP to nobody, as large as a frame may be.
fn noise(at_ns: u64) -> Packet {
    let builder = etherparse::PacketBuilder::ipv4([198, 51, 100, 1], [203, 0, 113, 5], 64).udp(5_000, 9);
    let mut data = Vec::new();
    builder.write(&mut data, &[0; 1_400]).expect("a packet");
    let data = wrap::linked(1, Unit::Ip(data));
    Packet { at_ns, wire_len: data.len() as u32, data, interface: 0 }
}

fn normal(mut report: Value) -> Value {
    for input in report["inputs"].as_array_mut().expect("inputs") {
        input["path"] = Value::Null;
    }
    report
}

fn written(folder: &Path, name: &str, packets: &[Packet]) -> (std::path::PathBuf, Vec<u8>) {
    let bytes = Format::pcap(Link::Ethernet).write(packets);
    assert!(bytes.len() as u64 > hopscope::base::limits::THREAD_BYTES, "{} bytes", bytes.len());
    let path = folder.join(name);
    std::fs::write(&path, &bytes).expect("a capture");
    (path, bytes)
}

#[test]
fn a_large_file_is_read_as_a_pipe_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, bytes) = written(folder.path(), "large.pcap", &capture(80, 300));
    let from_file = normal(run::report(&[&path]));
    assert_eq!(from_file["exchanges"].as_array().expect("exchanges").len(), 300);
    assert!(from_file["exchanges"].as_array().expect("exchanges").iter().all(|x| x["outcome"] == "upgraded"));
    assert_eq!(from_file["counters"]["gaps"], 0);
    assert_eq!(from_file, normal(run::report_on_stdin(&bytes)));
    // And again: where one thread is ahead of the other must not show.
    for _ in 0..3 {
        assert_eq!(from_file, normal(run::report(&[&path])));
    }
}

#[test]
fn two_large_files_side_by_side_are_one_timeline() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = capture(80, 500);
    let halves: [Vec<Packet>; 2] =
        [0, 1].map(|half| all.iter().enumerate().filter(|(n, _)| n % 2 == half).map(|(_, p)| p.clone()).collect());
    let (one, _) = written(folder.path(), "one.pcap", &halves[0]);
    let (other, _) = written(folder.path(), "other.pcap", &halves[1]);
    let first = normal(run::report(&[&one, &other]));
    assert_eq!(first["counters"]["packets"], all.len());
    assert_eq!(first, normal(run::report(&[&one, &other])));
}

#[test]
fn a_large_file_without_tcp_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let packets: Vec<Packet> = (0..8_000).map(|n| noise(1_772_366_400_000_000_000 + n * 1_000)).collect();
    let (path, _) = written(folder.path(), "noise.pcap", &packets);
    let report = run::report(&[&path]);
    assert_eq!((&report["counters"]["packets"], &report["counters"]["flows"]), (&8_000.into(), &0.into()));
}

#[test]
fn a_few_segments_among_much_else_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut packets = Vec::new();
    for (n, packet) in (0_u64..).zip(capture(80, 8)) {
        packets.extend((0..40).map(|k| noise(packet.at_ns - 40 + k)));
        packets.push(packet);
        if n > 150 {
            break;
        }
    }
    let (path, bytes) = written(folder.path(), "few.pcap", &packets);
    let report = normal(run::report(&[&path]));
    assert!(!report["exchanges"].as_array().expect("exchanges").is_empty());
    assert_eq!(report, normal(run::report_on_stdin(&bytes)));
}
