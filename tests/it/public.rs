//! Captures that other projects published, some of them hostile on purpose: each is read or refused
//! with a sentence, and every handshake is found. Ignored by default: `.ci/run` runs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hopscope::base::Counters;
use hopscope::capture::{Merged, Source, Window};
use hopscope::stream::Decoder;
use serde_json::Value;

use crate::shared::{self, Tally};

/// How many files and handshakes must be scored at least.
const FILES: usize = 250;
const HANDSHAKE_FILES: usize = 26;
const LINK_FILES: usize = 75;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_file_is_read_or_refused_with_a_sentence() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        match shared::report(&[folder.join(name)], LIMIT) {
            Err(why) => tally.fail(name, &why),
            Ok((report, output)) => {
                let words = String::from_utf8_lossy(&output.stderr);
                let fine = !words.contains("panicked") && (report.is_object() || words.trim().len() > 20);
                tally.score(
                    name,
                    &["read or refused with a sentence".to_owned()],
                    match fine {
                        true => "read or refused with a sentence",
                        false => words.trim(),
                    },
                );
            }
        }
    }
    tally.judge("public files", FILES);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_handshake_is_found_and_judged() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 1)) {
            continue;
        }
        let path = folder.join(name);
        let truth = &entry["tshark"];
        if !truth["keys"].is_array() {
            tally.leave_out(name, "no truth for it");
            continue;
        }
        let report = match shared::report(&[path], LIMIT) {
            Ok((report, _)) => report,
            Err(why) => {
                tally.fail(name, &why);
                continue;
            }
        };
        let found = |field: &str| -> Vec<String> {
            let exchanges = report["exchanges"].as_array().into_iter().flatten();
            exchanges.filter_map(|x| x["handshake"][field].as_str()).map(str::to_owned).collect()
        };
        let missing = |field: &str, list: &str| -> Vec<String> {
            let found = found(field);
            let wanted = truth[list].as_array().into_iter().flatten().map(text);
            wanted.filter(|w| !found.iter().any(|f| f == w)).map(str::to_owned).collect()
        };
        let verdicts = found("accept_verdict");
        let count = |verdict: &str| verdicts.iter().filter(|v| *v == verdict).count();
        tally.score(
            name,
            &[format!("missing [] [], valid {}, invalid {}", truth["accept_ok"], truth["accept_mismatch"])],
            &format!(
                "missing {:?} {:?}, valid {}, invalid {}",
                missing("key", "keys"),
                missing("accept", "accepts"),
                count("valid"),
                count("invalid")
            ),
        );
    }
    tally.judge("public handshakes", HANDSHAKE_FILES);
}

/// Every file of link and network layers: as many connections and requests as tshark finds, or more
/// (it merges equal addresses of different networks).
#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_link_layer_and_tunnel_is_read() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 4)) {
            continue;
        }
        let over_sctp = entry["protocols"].as_array().into_iter().flatten().any(|p| text(p).contains(":sctp:http"));
        if over_sctp {
            tally.leave_out(name, "HTTP over SCTP");
            continue;
        }
        match shared::report(&[folder.join(name)], LIMIT) {
            Err(why) => tally.fail(name, &why),
            Ok((report, _)) => {
                let short = |own: &str, theirs: &str| {
                    let (own, theirs) = (report["counters"][own].as_u64(), entry["tshark"][theirs].as_u64());
                    own < theirs
                };
                let found = [short("flows", "tcp_streams"), short("http_requests", "http_requests")];
                tally.score(name, &["[false, false]".to_owned()], &format!("{found:?}"));
            }
        }
    }
    tally.judge("public link layers", LINK_FILES);
}

/// Every TCP segment that tshark finds in the files of link and network layers is found, whatever it is
/// wrapped in; those inside ICMP errors are no segments.
#[test]
#[ignore = "needs captures outside this repository, and tshark: .ci/run"]
fn every_segment_is_found() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        if !entry["kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == 4)) {
            continue;
        }
        let path = folder.join(name);
        let output = Command::new("tshark")
            .args(["-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-e", "tcp.seq_raw", "-r"])
            .arg(&path)
            .output()
            .expect("tshark starts");
        let theirs: usize = String::from_utf8_lossy(&output.stdout).lines().map(|l| l.split(',').count()).sum();
        let own = segments(std::fs::read(&path).expect("a capture"));
        tally.score(name, &["fewer: false".to_owned()], &format!("fewer: {}", own < theirs));
        if own != theirs {
            println!("{name}: {own} segments, {theirs} of tshark");
        }
    }
    tally.judge("public segments", LINK_FILES);
}

/// HTTP requests that tshark counts and hopscope rightly does not: the file, how many, and why. Packet
/// numbers are tshark's; each was looked at by hand.
const NO_REQUESTS: &[(&str, u64, &str)] = &[
    ("ntop__nDPI/1kxun.pcap", 111, "SSDP over UDP: M-SEARCH, packets 3 to 1031"),
    ("ntop__nDPI/gnutella.pcap", 46, "SSDP over UDP: M-SEARCH, packets 82 to 3897"),
    ("arkime__arkime/sctp-www.pcap", 3, "HTTP over SCTP: packets 5, 21 and 27"),
];

/// Packets that tshark counts and that are none: the file, how many, and why.
const NO_PACKETS: &[(&str, u64, &str)] = &[
    ("hadrielk__pcapng-test-generator/output_le_basic/test018.pcapng", 4, "custom blocks: packets 1, 4, 6 and 8"),
    ("hadrielk__pcapng-test-generator/output_le_difficult/test202.pcapng", 3, "custom blocks: packets 1, 7 and 10"),
];

/// WebSocket frames that no capture without its handshake proves: tshark was told the port.
const UNPROVEN_FRAMES: &[(&str, u64, &str)] = &[(
    "eririmba__socket.io-sample/websocket.pcap",
    1,
    "packet 10 is all there is of its connection, and one frame proves nothing",
)];

/// Connections that tshark counts twice, or that are none.
const NO_FLOWS: &[(&str, u64, &str)] = &[
    (
        "simsong__tcpflow/tests/test5-lines-randomized.pcap",
        1,
        "shuffled: by their times its packets are of one connection, whose SYN is packet 10",
    ),
    (
        "OISF__suricata-verify/drop-protocol-change/input.pcap",
        1,
        "packet 7 says that its TCP header has 8 bytes: no port of it can be believed",
    ),
    (
        "OISF__suricata-verify/split-handshake-5whs.pcap",
        1,
        "packet 3 is the other half of a split handshake, which tshark takes for a new connection",
    ),
];

/// Requests that may lie inside HTTP/2, or inside TLS whose secrets are not at hand.
fn is_hidden(protocols: &str) -> bool {
    protocols.split(':').any(|p| p == "tls" || p == "http2")
}

/// All files: packets, connections, keys, accepts, WebSocket frames and requests in clear are found, as
/// many as tshark finds in the better of its two settings, or more.
#[test]
#[ignore = "needs captures outside this repository, and tshark: .ci/run"]
fn nothing_that_tshark_finds_is_missed() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    let mut excused = Vec::new();
    for entry in manifest(&folder) {
        let name = text(&entry["file"]);
        let path = folder.join(name);
        let keylog = entry["tshark"]["keylog"].as_str().map(|log| folder.join(log)).filter(|log| log.is_file());
        let (report, output) = match shared::report_with(std::slice::from_ref(&path), keylog.as_deref(), LIMIT) {
            Ok(found) => found,
            Err(why) => {
                tally.fail(name, &why);
                continue;
            }
        };
        if report.is_null() {
            let words = String::from_utf8_lossy(&output.stderr);
            let told = REFUSED.iter().find(|(file, _)| *file == name).is_some_and(|(_, why)| words.contains(why));
            tally.score(
                name,
                &["refused, as it must be".to_owned()],
                if told { "refused, as it must be" } else { &words },
            );
            continue;
        }
        let better = |field: &str| {
            let of = |v: &Value| v[field].as_u64().unwrap_or(0);
            let other = ["tshark_default_prefs", "tshark_with_out_of_order_reassembly"];
            other.iter().map(|o| of(&entry[o])).fold(of(&entry["tshark"]), u64::max)
        };
        let counted = |field: &str| report["counters"][field].as_u64().unwrap_or(0);
        let in_tls = entry["protocols"].as_array().into_iter().flatten().map(text).any(is_hidden);
        let mut requests = better("http_requests");
        if in_tls && counted("http_requests") < requests {
            let (clear, all) = (requests_in_clear(&path), requests);
            let fewer = all - clear.min(all);
            let read = counted("http_requests").saturating_sub(clear);
            excused
                .push(format!("{name}: {} requests fewer: they lie inside TLS or HTTP/2", fewer.saturating_sub(read)));
            requests = clear;
        }
        let mut short = Vec::new();
        let mut wants = |what: &str, own: u64, theirs: u64, less: &[(&str, u64, &str)]| {
            let excuse = less.iter().find(|(file, ..)| *file == name);
            if let Some((_, n, why)) = excuse {
                excused.push(format!("{name}: {n} {what} fewer: {why}"));
            }
            // What is excused and found all the same is a wrong excuse.
            let least = theirs - excuse.map_or(0, |(_, n, _)| *n);
            if own < least || excuse.is_some() && own != least {
                short.push(format!("{own} {what} of {least}"));
            }
        };
        wants("packets", counted("packets"), entry["packets"].as_u64().unwrap_or(0), NO_PACKETS);
        wants("connections", counted("flows"), better("tcp_streams"), NO_FLOWS);
        wants("requests", counted("http_requests"), requests, NO_REQUESTS);
        // 99 in a hundred, rounded up.
        wants("frames", frames(&report), (better("websocket_frames") * 99).div_ceil(100), UNPROVEN_FRAMES);
        for (field, list) in [("key", "keys"), ("accept", "accepts")] {
            let exchanges = || report["exchanges"].as_array().into_iter().flatten();
            for wanted in entry["tshark"][list].as_array().into_iter().flatten() {
                if !exchanges().any(|x| x["handshake"][field] == *wanted) {
                    short.push(format!("{field} {wanted} missing"));
                }
            }
        }
        tally.score(name, &["all".to_owned()], if short.is_empty() { "all" } else { "" });
        if !short.is_empty() {
            println!("{name} falls short: {}", short.join(", "));
        }
    }
    for line in excused {
        println!("{line}");
    }
    tally.judge("public files beside tshark", FILES);
}

/// What it cannot read, and what its sentence must say.
const REFUSED: &[(&str, &str)] = &[
    ("seladb__PcapPlusPlus/solaris.snoop", "snoop capture of Solaris"),
    ("the-tcpdump-group__libpcap/pcap-invalid-version-1.pcap", "pcap file of version 1.4"),
    ("the-tcpdump-group__libpcap/pcapng-invalid-vers-1.pcapng", "pcapng file of version 0.1"),
    ("the-tcpdump-group__libpcap/linktype-reserved-field-not-zero.pcap", "has reserved bits set"),
];

/// Frames of all WebSockets, also of those without a handshake.
pub(crate) fn frames(report: &Value) -> u64 {
    let of = |ws: &Value| ["client", "server"].iter().filter_map(|s| ws[s]["frames"].as_u64()).sum::<u64>();
    let opened: u64 = report["exchanges"].as_array().into_iter().flatten().map(|x| of(&x["websocket"])).sum();
    let findings = report["findings"].as_array().into_iter().flatten();
    let midstream = findings.filter(|f| f["rule"] == "cap-midstream" && f["subject"]["kind"] == "flow");
    let words = midstream.map(|f| text(&f["message"]));
    // "… the client sent 2 frames, the server 3 frames."
    let counted = words.flat_map(|w| w.split([' ', ',', '.']).collect::<Vec<_>>());
    let words: Vec<&str> = counted.collect();
    let pairs = words.windows(2).filter(|pair| pair[1].starts_with("frame"));
    opened + pairs.filter_map(|pair| pair[0].parse::<u64>().ok()).sum::<u64>()
}

/// Requests that tshark finds outside of TLS and HTTP/2, in the better of its two settings.
fn requests_in_clear(path: &Path) -> u64 {
    let count = |order: &str| {
        let output = Command::new("tshark")
            .args(["-o", &format!("tcp.reassemble_out_of_order:{order}"), "-Y", "http.request"])
            .args(["-T", "fields", "-e", "frame.protocols", "-r"])
            .arg(path)
            .output()
            .expect("tshark starts");
        String::from_utf8_lossy(&output.stdout).lines().filter(|l| !is_hidden(l)).count() as u64
    };
    count("TRUE").max(count("FALSE"))
}

/// TCP segments in a capture.
fn segments(capture: Vec<u8>) -> usize {
    let source = Source::from_bytes("-", capture);
    let Ok(mut inputs) = Merged::from_sources(vec![source], &Window::default()) else { return 0 };
    let (mut decoder, mut counters, mut found) = (Decoder::default(), Counters::default(), 0);
    while let Ok(Some(batch)) = inputs.next_batch() {
        decoder.begin();
        for r in batch.records {
            let missing = r.wire_len.saturating_sub(r.cap_len);
            let (at, len) = (r.off as usize, r.cap_len as usize);
            let mut next = decoder.frame(r.link.0, batch.bytes, at, len, missing, r.ts, batch.point, &mut counters);
            while next.is_some() {
                found += 1;
                next = decoder.next_of_frame();
            }
        }
    }
    found
}

pub(crate) fn manifest(folder: &Path) -> Vec<Value> {
    let manifest = shared::json(&folder.join("MANIFEST.json"));
    manifest.as_array().expect("a list of files").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
