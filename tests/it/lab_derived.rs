//! What is not published of the lab, made from its captures: the same packets as other ways of capturing
//! would have left them. What is not cut must be read as the truth says; of what is cut, nothing untrue
//! may be said.

use std::path::Path;

use serde_json::Value;

use crate::lab_lacking as lacking;
use crate::lab_truth::{Lacks, Scenario, describe, expected, find, scenarios, text};
use crate::shared::Tally;

/// How many things must be scored at least, of what is cut and of what is not.
const DERIVED: usize = 2_075;

/// A way of capturing.
struct Way {
    name: &'static str,
    /// Whether less is in the files than was on the wire.
    cuts: bool,
    derive: fn(&[Packet]) -> Vec<Packet>,
}

const WAYS: [Way; 11] = [
    Way { name: "dups", cuts: false, derive: |all| all.iter().flat_map(|p| [p.clone(), p.later(3)]).collect() },
    Way {
        name: "reorder",
        cuts: false,
        derive: |all| all.chunks(2).flat_map(|two| two.iter().rev().cloned()).collect(),
    },
    Way { name: "skew", cuts: false, derive: |all| all.iter().map(|p| p.later(7_000_000)).collect() },
    Way { name: "snap128", cuts: true, derive: |all| all.iter().map(|p| p.cut(128)).collect() },
    Way { name: "snap300", cuts: true, derive: |all| all.iter().map(|p| p.cut(300)).collect() },
    Way { name: "midstream", cuts: true, derive: |all| all.iter().skip(4).cloned().collect() },
    Way { name: "lossy", cuts: true, derive: |all| without(all, |n, _| n % 7 == 4) },
    Way { name: "lossy, others", cuts: true, derive: |all| without(all, |n, _| n % 7 == 5) },
    Way { name: "lossy, more", cuts: true, derive: |all| without(all, |n, _| n % 3 == 2) },
    Way { name: "oneway, the client's", cuts: true, derive: |all| without(all, |_, p| p.is_from(all, false)) },
    Way { name: "oneway, the server's", cuts: true, derive: |all| without(all, |_, p| p.is_from(all, true)) },
];

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn other_ways_of_capturing_say_the_same_or_less() {
    let mut tally = Tally::default();
    let folder = tempfile::tempdir().expect("a folder");
    for scenario in scenarios() {
        if let Some(why) = scenario.needs().or_else(|| scenario.cuts_evidence()) {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        if scenario.has_secrets {
            tally.leave_out(&scenario.name, "what is left of it cannot be told by its bytes: it is encrypted");
            continue;
        }
        let files: Option<Vec<Capture>> = scenario.files.iter().map(|file| Capture::read(file)).collect();
        let Some(files) = files else {
            tally.leave_out(&scenario.name, "no small little-endian pcap of Ethernet");
            continue;
        };
        let whole = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        for way in &WAYS {
            let mut derived = Scenario {
                variant: way.name.to_owned(),
                files: Vec::new(),
                truth: scenario.truth.clone(),
                name: scenario.name.clone(),
                has_secrets: scenario.has_secrets,
                keylog: scenario.keylog.clone(),
            };
            for (n, file) in files.iter().enumerate() {
                let path = folder.path().join(format!("{n}.pcap"));
                std::fs::write(&path, file.write(&(way.derive)(&file.packets))).expect("room for a file");
                derived.files.push(path);
            }
            score(&mut tally, &derived, way, &whole);
        }
    }
    tally.judge("exchanges captured otherwise", DERIVED);
}

/// `whole`: the report on all that was captured.
fn score(tally: &mut Tally, scenario: &Scenario, way: &Way, whole: &Value) {
    let what = format!("{} {}", scenario.name, way.name);
    let report = match scenario.report() {
        Ok(report) => report,
        Err(why) => return tally.fail(&what, &why),
    };
    let mut used = Vec::new();
    for truth in scenario.upgrades() {
        let what = format!("{what} {}", text(&truth["id"]));
        let found = find(&report, truth, &used);
        let facts = found.map(|index| describe(&report["exchanges"][index], truth));
        let exact = facts.as_ref().is_some_and(|facts| expected(truth).contains(facts));
        match (found, way.cuts) {
            (Some(index), _) if exact => {
                used.push(index);
                tally.score(&what, &[String::new()], "");
            }
            (_, true) => {
                let rules = rules(whole, truth);
                let lacks = Lacks { why: "", connection: false, request: true, status: true, accept: true, rules };
                match lacking::said(&report, truth, &lacks, &mut used) {
                    // Nobody sends on behind a reset, and what its acknowledgement tells is not heeded yet.
                    Some(found) if found == "outcome unanswered" && truth["close"]["how"] == "rst" => {
                        tally.leave_out(what, "an answer that is lost before a reset leaves no hole");
                    }
                    Some(found) => tally.score(&what, &["no more than the files hold".to_owned()], &found),
                    None => tally.leave_out(what, "nothing that is left of it shows an upgrade"),
                }
            }
            (Some(_), false) => tally.score(&what, &expected(truth), &facts.unwrap_or_default()),
            (None, false) => tally.fail(&what, "no such exchange in the report"),
        }
    }
    let more = report["exchanges"].as_array().map_or(0, Vec::len).saturating_sub(scenario.exchanges().len());
    if more > 0 {
        tally.fail(&what, &format!("{more} exchanges more than there were"));
    }
}

/// What was found in the chain of an exchange of which all was captured: other legs may prove what this one
/// does not show any more.
fn rules(whole: &Value, truth: &Value) -> Vec<String> {
    let Some(index) = find(whole, truth, &[]) else { return Vec::new() };
    let id = &whole["exchanges"][index]["id"];
    let all = |name: &str| whole[name].as_array().into_iter().flatten();
    let holds = |chain: &&Value| chain["legs"].as_array().is_some_and(|legs| legs.contains(id));
    let found = all("chains").find(holds).and_then(|chain| chain["findings"].as_array());
    let ids: Vec<&Value> = found.into_iter().flatten().collect();
    all("findings").filter(|f| ids.contains(&&f["id"])).map(|f| text(&f["rule"]).to_owned()).collect()
}

/// A pcap file of microseconds or nanoseconds.
struct Capture {
    header: [u8; 24],
    packets: Vec<Packet>,
}

#[derive(Clone)]
struct Packet {
    seconds: u32,
    /// Microseconds or nanoseconds.
    fraction: u32,
    wire_len: u32,
    data: Vec<u8>,
}

impl Capture {
    /// Larger ones would take long and show no more.
    const LARGEST: usize = 200_000;

    /// `None`: another format, another link type, or too large.
    fn read(path: &Path) -> Option<Capture> {
        let bytes = std::fs::read(path).expect("a capture");
        let magic = [[0xd4, 0xc3, 0xb2, 0xa1], [0x4d, 0x3c, 0xb2, 0xa1]];
        let header: [u8; 24] = bytes.get(..24)?.try_into().ok()?;
        if !magic.iter().any(|m| header.starts_with(m)) || header[20..] != [1, 0, 0, 0] || bytes.len() > Self::LARGEST {
            return None;
        }
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (mut at, mut packets) = (24, Vec::new());
        while let (Some(seconds), Some(fraction), Some(len), Some(wire_len)) =
            (word(at), word(at + 4), word(at + 8), word(at + 12))
        {
            let data = bytes.get(at + 16..at + 16 + len as usize)?.to_vec();
            packets.push(Packet { seconds, fraction, wire_len, data });
            at += 16 + len as usize;
        }
        Some(Capture { header, packets })
    }

    fn write(&self, packets: &[Packet]) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        for p in packets {
            let len = u32::try_from(p.data.len()).expect("a short packet");
            bytes.extend([p.seconds, p.fraction, len, p.wire_len].into_iter().flat_map(u32::to_le_bytes));
            bytes.extend(&p.data);
        }
        bytes
    }
}

impl Packet {
    fn cut(&self, len: usize) -> Packet {
        let mut packet = self.clone();
        packet.data.truncate(len);
        packet
    }

    /// By so many of its units, without a carry: `later(1_000_000)` and more by whole seconds.
    fn later(&self, units: u32) -> Packet {
        let mut packet = self.clone();
        packet.seconds += units / 1_000_000;
        packet.fraction = (packet.fraction + units % 1_000_000).min(999_999.max(packet.fraction));
        packet
    }

    /// Of a TCP segment in IPv4: the ends, and whether it is a SYN that opens a connection.
    fn ends(&self) -> Option<([u8; 6], [u8; 6], bool)> {
        let ip = self.data.get(14..).filter(|_| self.data.get(12..14) == Some(&[8, 0]))?;
        let tcp = ip.get(usize::from(ip.first()? & 15) * 4..).filter(|_| ip.get(9) == Some(&6))?;
        let end = |at: usize, port: usize| -> Option<[u8; 6]> {
            [ip.get(at..at + 4)?, tcp.get(port..port + 2)?].concat().try_into().ok()
        };
        Some((end(12, 0)?, end(16, 2)?, tcp.get(13)? & 0x12 == 2))
    }

    /// Whether it comes from the client (or the server) of its connection.
    fn is_from(&self, all: &[Packet], client: bool) -> bool {
        let Some((from, to, _)) = self.ends() else { return false };
        let opened = |a, b| all.iter().filter_map(Packet::ends).any(|(f, t, syn)| syn && (f, t) == (a, b));
        if client { opened(from, to) } else { opened(to, from) }
    }
}

fn without(all: &[Packet], drop: impl Fn(usize, &Packet) -> bool) -> Vec<Packet> {
    all.iter().enumerate().filter(|(n, packet)| !drop(*n, packet)).map(|(_, packet)| packet.clone()).collect()
}

#[test]
fn a_connection_has_two_directions() {
    let ip = |from: u8, to: u8, flags: u8| {
        let mut data = vec![0; 14 + 40];
        (data[12], data[14], data[23]) = (8, 0x45, 6);
        (data[14 + 15], data[14 + 19], data[14 + 21], data[14 + 23]) = (from, to, from, to);
        data[14 + 33] = flags;
        Packet { seconds: 1, fraction: 2, wire_len: 54, data }
    };
    let all = [ip(1, 2, 2), ip(2, 1, 0x12), ip(1, 2, 0x10)];
    assert_eq!(all.each_ref().map(|p| p.is_from(&all, true)), [true, false, true]);
    assert_eq!(without(&all, |_, p| p.is_from(&all, true)).len(), 1);
    let capture = Capture { header: [0; 24], packets: vec![] };
    assert_eq!(capture.write(&all).len(), 24 + 3 * 70);
}
