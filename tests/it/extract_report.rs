//! `hopscope extract`: its result is reported as the original was. Of chains that are written whole, everything is;
//! of legs that are written alone, what they are and what came of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::Value;

use crate::extract::{BROKEN, Folder, MANY, exchanges, extract, number, run_extract, upgrade};
use crate::shared::{self, Tally};
use crate::sources;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run;
use crate::support::scene;
use crate::support::script::{self, Script, Segment, Side};

const BEHIND: &str = "samples/nginx-forgets-upgrade-server-side.pcap";

#[test]
fn every_sample_is_reported_from_its_extract_as_it_was() {
    for sample in sources::files("samples", &["pcap", "pcapng"]) {
        let before = run::report(&[&sample]);
        assert_eq!(told(&extracted(&[&sample], &["-Y", ""]), None), told(&before, None), "{}", sample.display());
        // Of many, some will do. One leg says less than its chain, but what it is stays.
        let exchanges = exchanges(&before);
        for x in exchanges.iter().step_by(exchanges.len().div_ceil(6).max(1)) {
            let after = extracted(&[&sample], &["--exchange", &x["id"].to_string()]);
            let flow = BTreeSet::from([number(&x["flow"])]);
            assert_eq!(facts(&after, None), facts(&before, Some(&flow)), "{} {}", sample.display(), x["id"]);
        }
    }
}

#[test]
fn a_chain_is_written_with_all_its_legs_and_said_of_as_before() {
    let both = [Path::new(BROKEN), Path::new(BEHIND)];
    let before = run::report(&both);
    for choice in [&["--chain", "1"], &["-Y", "rule:hop-downgraded-http10"], &["-Y", "status:505"]] {
        let after = extracted(&both, choice);
        assert_eq!(told(&after, None), told(&before, None));
        assert_eq!(after["chains"][0]["legs"].as_array().map(Vec::len), Some(2));
    }
    let one = extracted(&both, &["--exchange", "2"]);
    assert_eq!((exchanges(&one).len(), number(&one["counters"]["packets"])), (1, 10));
    assert_eq!(facts(&one, None), facts(&before, Some(&BTreeSet::from([2]))));
}

#[test]
fn legs_by_clocks_that_differ_are_written_by_one() {
    let mut bytes = fs::read(sources::root().join(BEHIND)).unwrap();
    let mut at = 24;
    while at < bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (seconds, length) = (word(at) + 137, word(at + 8) as usize);
        bytes[at..at + 4].copy_from_slice(&seconds.to_le_bytes());
        at += 16 + length;
    }
    let folder = Folder::new();
    let ahead = folder.file("ahead.pcap", &bytes);
    let both = [Path::new(BROKEN), &ahead];
    let before = run::report(&both);
    assert_eq!(before["chains"][0]["legs"].as_array().map(Vec::len), Some(2));
    assert!(before["inputs"][1]["clock_offset_ns"].as_i64().is_some_and(|ns| ns < -136_000_000_000));
    let after = extracted(&both, &["--chain", "1"]);
    // How long the hop took is not told where two clocks were compared; in one file it is.
    assert_eq!(facts(&after, None), facts(&before, None));
    for part in ["rule", "blame", "fix"] {
        assert_eq!(after["chains"][0]["verdict"][part], before["chains"][0]["verdict"][part]);
    }
}

#[test]
fn what_a_hop_tried_in_vain_is_written_with_its_chain() {
    let folder = Folder::new();
    for (name, tried) in [("backend-refused", 1), ("hop-retried", 0)] {
        let text = fs::read_to_string(sources::root().join(format!("samples/scenes/{name}.toml"))).unwrap();
        let file = folder.file("a.pcap", &scene::parse(name, &text).capture_file());
        let before = run::report(&[&file]);
        assert_eq!(before["chains"][0]["tried"].as_array().map_or(0, Vec::len), tried, "{name}");
        let after = extracted(&[&file], &["--chain", &before["chains"][0]["id"].to_string()]);
        assert_eq!(told(&after, None), told(&before, None), "{name}");
        assert_eq!(after["counters"]["flows"], before["counters"]["flows"], "{name}");
        // Its leg alone is written alone.
        let leg = before["chains"][0]["legs"][0].to_string();
        assert_eq!(number(&extracted(&[&file], &["--exchange", &leg])["counters"]["flows"]), 1, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_choice_of_exchanges_is_reported_as_it_was(ids in subsequence((1..=216_u64).collect::<Vec<_>>(), 1..30)) {
        let before = run::report(&[Path::new(MANY)]);
        let flows: BTreeSet<u64> = exchanges(&before)
            .iter()
            .filter(|x| ids.contains(&number(&x["id"])))
            .map(|x| number(&x["flow"]))
            .collect();
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let after = extracted(&[Path::new(MANY)], &["--exchange", &ids.join(",")]);
        prop_assert_eq!(facts(&after, None), facts(&before, Some(&flows)));
        prop_assert_eq!(number(&after["counters"]["flows"]), flows.len() as u64);
    }
}

#[test]
fn every_scene_is_reported_from_its_extract_as_it_was() {
    let folder = Folder::new();
    let mut written = 0;
    for (name, text) in scene::all() {
        let scene = scene::parse(&name, &text);
        if scene.capture.damage > 0 {
            // Exit code 2; there is a test of that below.
            continue;
        }
        let file = folder.file("scene", &scene.capture_file());
        let before = run::report(&[&file]);
        if before["chains"].as_array().is_some_and(|c| !c.is_empty()) {
            written += 1;
            assert_eq!(told(&extracted(&[&file], &["-Y", ""]), None), told(&before, None), "{name}");
        }
    }
    assert!(written > 40, "{written}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_any_damaged_file_something_is_written_or_the_reason_is_told(
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..12), cut in any::<usize>()
    ) {
        let mut bytes = fs::read(sources::root().join(BROKEN)).unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut % 80);
        let folder = Folder::new();
        let (file, out) = (folder.file("a.pcap", &bytes), folder.path("out.pcapng"));
        let output = run_extract(&[&file], &["-Y", ""], &out);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        prop_assert!(matches!(output.status.code(), Some(0 | 2)), "{}: {words}", output.status);
        prop_assert!(!words.contains("changed") && !words.contains("panicked"), "{words}");
        if out.exists() {
            prop_assert_eq!(told(&run::report(&[&out]), None), told(&run::report(&[&file]), None));
        }
    }
}

#[test]
fn chains_and_filters_choose_as_in_the_report() {
    let before = run::report(&[Path::new(MANY)]);
    let chosen = |has: &dyn Fn(&Value) -> bool| -> Vec<&Value> {
        let chains = before["chains"].as_array().unwrap().iter();
        chains
            .filter(|chain| {
                let of = |x: &&Value| chain["legs"].as_array().unwrap().contains(&x["id"]);
                exchanges(&before).iter().filter(of).any(has)
            })
            .collect()
    };
    let no_backend = |x: &Value| x["response"]["status"] == 503;
    let lost = |x: &Value| x["request"]["target"] == "/old";
    for (filter, legs, has) in
        [("status:503", 1, &no_backend as &dyn Fn(&Value) -> bool), ("path:/old", 2, &lost as &dyn Fn(&Value) -> bool)]
    {
        let chains = chosen(has);
        assert_eq!(chains.len(), 24, "{filter}");
        assert!(chains.iter().all(|chain| chain["legs"].as_array().map(Vec::len) == Some(legs)), "{filter}");
        let ids: Vec<String> = chains.iter().map(|chain| chain["id"].to_string()).collect();
        let legs = chains.iter().flat_map(|chain| chain["legs"].as_array().unwrap());
        let of = |leg: &Value| number(&exchanges(&before).iter().find(|x| x["id"] == *leg).unwrap()["flow"]);
        let flows: BTreeSet<u64> = legs.map(of).collect();
        for choice in [["--chain", &ids.join(",")], ["-Y", filter]] {
            let after = extracted(&[Path::new(MANY)], &choice);
            assert_eq!(number(&after["counters"]["flows"]), flows.len() as u64, "{filter}");
            assert_eq!(facts(&after, None), facts(&before, Some(&flows)), "{filter}");
            // What is alone is known to stand behind a proxy by chains that were not chosen.
            if filter == "path:/old" {
                assert_eq!(told(&after, None), told(&before, Some(&flows)));
            }
        }
    }
}

#[test]
fn a_refused_connection_is_a_chain_that_can_be_written() {
    let refused = Script::between("198.51.100.8:41000", "203.0.113.9:81").wait_ms(1).segments();
    let mut refused: Vec<Segment> = refused.into_iter().take(1).collect();
    let answer = Segment { from: Side::Server, seq: 0, ack: refused[0].seq.wrapping_add(1), ..refused[0].clone() };
    refused.push(Segment { flags: script::Flags { rst: true, ack: true, ..Default::default() }, ..answer });
    let mut all = upgrade("198.51.100.7:40000").segments();
    all.extend(refused);
    let folder = Folder::new();
    let file = folder.file("a.pcap", &Format::pcap(Link::Ethernet).write(&link::packets(&all, Link::Ethernet)));
    let before = run::report(&[&file]);
    let chain = before["chains"].as_array().unwrap().iter().find(|c| c["legs"] == Value::Array(vec![])).unwrap();
    let flow = BTreeSet::from([number(&chain["flow"])]);
    let after = extracted(&[&file], &["--chain", &chain["id"].to_string()]);
    assert_eq!((number(&after["counters"]["packets"]), told(&after, None)), (2, told(&before, Some(&flow))));
}

// On real captures.

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_lab_capture_is_reported_from_its_extract_as_it_was() {
    let folder = shared::captures("lab");
    let index = shared::json(&folder.join("INDEX.json"));
    let mut tally = Tally::default();
    for entry in index["scenarios"].as_array().expect("a list of scenarios") {
        let name = entry["scenario"].as_str().expect("a name");
        let captures = entry["captures"].as_array().expect("captures").iter();
        let files: Vec<PathBuf> = captures.map(|c| folder.join(name).join(c.as_str().expect("a name"))).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let output = run::hopscope().arg("report").args(&files).args(["--format", "json"]).output().expect("a start");
        let Ok(before) = serde_json::from_slice::<Value>(&output.stdout) else {
            tally.leave_out(name, "hopscope cannot read it yet");
            continue;
        };
        if before["chains"].as_array().is_none_or(Vec::is_empty) {
            tally.leave_out(name, "no upgrade to be seen in it");
            continue;
        }
        let after = extracted(&files, &["-Y", ""]);
        tally.score(name, &[facts(&before, None).join("\n")], &facts(&after, None).join("\n"));
        // One file is one place: what a leg alone says because nothing was seen behind it goes with the places.
        let doubtful = |chain: &Value| chain["verdict"]["confidence"] == "possible";
        if files.len() > 1 && before["chains"].as_array().is_some_and(|all| all.iter().any(doubtful)) {
            tally.leave_out(format!("{name}, joined"), "where one of the captures ends takes certainty off");
        } else {
            let (before_legs, after_legs) = (in_several_legs(&before), in_several_legs(&after));
            let (joined, after_joined) = (told(&before, Some(&before_legs)), told(&after, Some(&after_legs)));
            tally.score(&format!("{name}, joined"), &[joined.join("\n")], &after_joined.join("\n"));
        }
        for x in exchanges(&before).iter().take(4) {
            let after = extracted(&files, &["--exchange", &x["id"].to_string()]);
            let flow = BTreeSet::from([number(&x["flow"])]);
            if x["handshake"]["accept_kind"] == "other-exchange" {
                tally.leave_out(format!("{name} {}", x["id"]), "judged by another exchange");
                continue;
            }
            if x["mechanism"] == "none" && x["handshake"]["version"].is_null() {
                tally.leave_out(format!("{name} {}", x["id"]), "a plain request is a leg behind an upgrade only");
                continue;
            }
            let (before, after) = (facts(&before, Some(&flow)), facts(&after, None));
            tally.score(&format!("{name} {}", x["id"]), &[before.join("\n")], &after.join("\n"));
        }
    }
    tally.judge("lab captures, extracted", 400);
}

// Helpers.

/// The report on what `extract` writes.
pub(crate) fn extracted(inputs: &[&Path], choice: &[&str]) -> Value {
    let folder = Folder::new();
    run::report(&[&extract(&folder, inputs, choice)])
}

/// Everything a report says of its chains but ids and packet numbers, in an order that does not hang on
/// these. `flows`: of these connections only.
pub(crate) fn told(report: &Value, flows: Option<&BTreeSet<u64>>) -> Vec<String> {
    let of_flow = |flow: &Value| flows.is_none_or(|flows| flows.contains(&number(flow)));
    let finding = |id: &Value| {
        let all = report["findings"].as_array().expect("findings");
        let found = all.iter().find(|f| f["id"] == *id).expect("a finding");
        let parts = ["rule", "severity", "confidence", "message", "expected", "found", "causes", "fixes"];
        blur(&parts.map(|part| found[part].to_string()).join(" "))
    };
    let mut all = Vec::new();
    for chain in report["chains"].as_array().expect("chains") {
        let findings = |ids: &Value| {
            let mut all: Vec<String> = ids.as_array().expect("ids").iter().map(finding).collect();
            all.sort();
            all.join("\n  ")
        };
        let legs = chain["legs"].as_array().expect("legs");
        let legs = legs.iter().map(|leg| exchanges(report).iter().find(|x| x["id"] == *leg).expect("a leg"));
        let legs: Vec<&Value> = legs.filter(|x| of_flow(&x["flow"])).collect();
        if legs.is_empty() && (chain["flow"].is_null() || !of_flow(&chain["flow"])) {
            continue;
        }
        let mut text = format!("{} {}", chain["outcome"], blur(&chain["verdict"].to_string()));
        for hop in chain["hops"].as_array().into_iter().flatten() {
            let parts = ["addresses", "versions", "upgrade_kept", "key_kept", "request", "response"];
            text.push_str(&format!("\n  {}", parts.map(|part| hop[part].to_string()).join(" ")));
        }
        text.push_str(&format!("\n  {}", findings(&chain["findings"])));
        for leg in legs {
            text.push_str(&format!("\n  {}\n  {}", fact(leg), findings(&leg["findings"])));
        }
        all.push(text);
    }
    all.sort();
    all
}

/// Everything a report says of its exchanges by themselves, and what came of each, but ids, packet numbers and
/// findings, in an order that does not hang on these. `flows`: of these connections only.
fn facts(report: &Value, flows: Option<&BTreeSet<u64>>) -> Vec<String> {
    let of_flow = |x: &&Value| flows.is_none_or(|flows| flows.contains(&number(&x["flow"])));
    let mut all: Vec<String> = exchanges(report).iter().filter(of_flow).map(fact).collect();
    all.sort();
    all
}

/// The connections of chains of several legs.
fn in_several_legs(report: &Value) -> BTreeSet<u64> {
    let chains = report["chains"].as_array().expect("chains").iter();
    let legs = chains.filter_map(|chain| chain["legs"].as_array()).filter(|legs| legs.len() > 1).flatten();
    let of = |leg: &Value| exchanges(report).iter().find(|x| x["id"] == *leg).map(|x| number(&x["flow"]));
    legs.filter_map(of).collect()
}

fn fact(x: &Value) -> String {
    let mut x = x.clone();
    for part in ["id", "flow", "findings"] {
        x[part] = Value::Null;
    }
    for head in ["request", "response"] {
        if x[head].is_object() {
            (x[head]["input"], x[head]["packet"]) = (Value::Null, Value::Null);
        }
    }
    x.to_string()
}

/// Ids of exchanges and numbers of packets that sentences name, taken out.
fn blur(text: &str) -> String {
    let mut parts = text.split("(packet");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |all, part| format!("{all}(packet{}", &part[part.find(')').unwrap_or(0)..]));
    let mut parts = text.split("exchange ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == part.len() { format!("{all}exchange {part}") } else { format!("{all}exchange N{rest}") }
    })
}
