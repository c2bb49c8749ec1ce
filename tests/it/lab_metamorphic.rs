//! The lab's conversations in other surroundings: between other machines, among the traffic of others, ten
//! at once. Nothing that a report says of them may change.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::lab_truth::{Scenario, scenarios, text};
use crate::mutate::Random;
use crate::shared::{self, Tally};
use crate::support::link::{self, Link};
use crate::support::read::{self, Captured};
use crate::support::rewrite::Renaming;
use crate::support::script::{self, Script, Segment};
use crate::support::streams::{self, Stream};

/// How many scenarios, and groups of ten, must be compared at least.
const RENAMED: usize = 189;
const AMONG_OTHERS: usize = 189;
const TOGETHER: usize = 19;

const LIMIT: Duration = Duration::from_secs(30);
const GROUP: usize = 10;
/// When scenarios that are put together end, or a little later: 2033-05-18T03:33:20Z.
const END_NS: u64 = 2_000_000_000_000_000_000;
/// Strangers whose requests are mixed in.
const STRANGERS: usize = 12;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn nothing_depends_on_addresses_ports_times_and_names() {
    let mut tally = Tally::default();
    let folder = tempfile::tempdir().expect("a folder");
    for (scenario, mut random) in whole_scenarios(&mut tally) {
        let what = format!("{} renamed from seed {:#x}", scenario.name, random.0);
        let captures = captures(&scenario);
        let renaming = renamed(&scenario, &captures, &mut Vec::new(), &mut random);
        let changed: Vec<Captured> = captures.iter().map(|captured| renaming.apply(captured)).collect();
        assert_eq!(old_names(&renaming, &changed), [""; 0], "{what}");
        tally.check(&what, &difference(&scenario, &renaming, &report(folder.path(), &changed)));
    }
    tally.judge("renamed scenarios", RENAMED);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_traffic_of_others_changes_nothing() {
    let mut tally = Tally::default();
    let folder = tempfile::tempdir().expect("a folder");
    for (scenario, mut random) in whole_scenarios(&mut tally) {
        let what = format!("{} among others from seed {:#x}", scenario.name, random.0);
        let mut captures = captures(&scenario);
        let others = others(&captures, &mut random);
        // They pass the point where one of the files was captured.
        let at = random.below(captures.len());
        captures[at] = Captured::merged([captures[at].clone(), others]);
        tally.check(&what, &difference(&scenario, &Renaming::default(), &report(folder.path(), &captures)));
    }
    tally.judge("scenarios among others", AMONG_OTHERS);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn ten_scenarios_at_once_are_told_as_each_alone() {
    let mut tally = Tally::default();
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = whole_scenarios(&mut tally);
    // Clocks of files that differ are told from the files, which one capture has not.
    all.retain(|(scenario, _)| scenario.variant != "skew");
    let mut random = Random(seed());
    for n in (1..all.len()).rev() {
        all.swap(n, random.below(n + 1));
    }
    for group in all.chunks_mut(GROUP) {
        let (mut parts, mut taken, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (scenario, random) in group.iter_mut() {
            let captures = captures(scenario);
            let mut renaming = renamed(scenario, &captures, &mut taken, random);
            // All of them end within a tenth of a second, so that none is waited for longer than alone.
            let end = captures.iter().flat_map(|c| &c.packets).map(|p| p.at_ns).max().unwrap_or_default();
            renaming.later_ns = END_NS - end + random.below(100_000_000) as u64;
            parts.extend(captures.iter().map(|captured| renaming.apply(captured)));
            match scenario.report() {
                Ok(report) => expected.extend(told(&report, &renaming, false)),
                Err(why) => tally.fail(&scenario.name, &why),
            }
        }
        let names: Vec<&str> = group.iter().map(|(scenario, _)| scenario.name.as_str()).collect();
        let what = format!("{} at once from seed {:#x}", names.join(", "), seed());
        let wrong = match report(folder.path(), &[Captured::merged(parts)]) {
            Ok(report) => compare(expected, told(&report, &Renaming::default(), false)),
            Err(why) => why,
        };
        tally.check(&what, &wrong);
    }
    tally.judge("groups of scenarios", TOGETHER);
}

/// Where the dice start; another number tries other captures.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("HOPSCOPE_LAB_SEED").ok();
    given.map_or(1, |given| given.parse().expect("a number in HOPSCOPE_LAB_SEED"))
}

/// The scenarios of which all is published and can be read, each with dice of its own.
pub(crate) fn whole_scenarios(tally: &mut Tally) -> Vec<(Scenario, Random)> {
    let (mut whole, mut random) = (Vec::new(), Random(seed()));
    for scenario in scenarios() {
        random.below(2);
        // Names inside field blocks cannot be replaced byte for byte.
        let coded = scenario.exchanges().iter().any(|x| x["kind"] == "h2-websocket").then_some("names are under HPACK");
        match scenario.needs().or(coded).or_else(|| scenario.cuts_evidence()) {
            Some(why) => tally.leave_out(&scenario.name, why),
            None if scenario.has_secrets => tally.leave_out(&scenario.name, "encrypted bytes cannot be rewritten"),
            None => whole.push((scenario, Random(random.0))),
        }
    }
    whole
}

pub(crate) fn captures(scenario: &Scenario) -> Vec<Captured> {
    scenario.files.iter().map(|file| read::captured(&std::fs::read(file).expect("a capture"))).collect()
}

/// The report on these captures, written into this folder.
pub(crate) fn report(folder: &std::path::Path, captures: &[Captured]) -> Result<Value, String> {
    let files = captures.iter().enumerate().map(|(n, captured)| {
        let path = folder.join(format!("{n}.pcapng"));
        std::fs::write(&path, captured.write()).expect("room for a file");
        path
    });
    match shared::report(&files.collect::<Vec<PathBuf>>(), LIMIT)? {
        (report, output) if output.status.success() => Ok(report),
        (_, output) => Err(format!("exit code 2: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Other addresses, ports, MACs, times, hosts and paths.
fn renamed(scenario: &Scenario, captures: &[Captured], taken: &mut Vec<IpAddr>, random: &mut Random) -> Renaming {
    let mut dice = |below| random.below(below);
    let mut renaming = Renaming::of(captures, taken, &mut dice);
    let mut names = Vec::new();
    for truth in scenario.upgrades().filter(|x| text(&x["kind"]).starts_with("websocket")) {
        let path = text(&truth["target"]).split(['?', ':']).next().unwrap_or_default();
        names.extend(path.split('/').filter(|part| part.len() > 2).map(str::to_owned));
        let host = text(&truth["host"]).split(':').next().unwrap_or_default();
        names.extend(Some(host.to_owned()).filter(|host| host.contains('.') && host.parse::<IpAddr>().is_err()));
    }
    names.sort();
    names.dedup();
    renaming.rename(names, &mut dice);
    renaming.later_ns = dice(1_000_000_000) as u64 * 1_000;
    renaming
}

/// Addresses and hosts that were to be renamed and are still there.
fn old_names(renaming: &Renaming, captures: &[Captured]) -> Vec<String> {
    let ips = renaming.ips.iter().filter(|(from, to)| from != to).map(|(from, _)| from.to_string());
    let hosts = renaming.names.keys().filter(|name| name.contains('.')).cloned();
    let streams: Vec<Stream> = captures.iter().flat_map(streams::all).collect();
    let ends: Vec<String> = streams.iter().flat_map(|s| [s.from, s.to]).map(|end| end.ip().to_string()).collect();
    let said = |word: &str| streams.iter().any(|s| memchr::memmem::find(&s.bytes, word.as_bytes()).is_some());
    ips.chain(hosts).filter(|word| ends.contains(word) || said(word)).collect()
}

/// Requests of strangers through the same machines, none of them an upgrade, in the same time.
fn others(captures: &[Captured], random: &mut Random) -> Captured {
    let ends: Vec<String> = {
        let streams = captures.iter().flat_map(streams::all);
        streams.filter(|s| s.to.port() < 10_000 && s.to.is_ipv4()).map(|s| s.to.to_string()).collect()
    };
    let mut scripts = Vec::new();
    for n in 0..STRANGERS {
        let stranger = format!("198.51.100.{}:{}", 1 + random.below(250), 20_000 + n);
        let known = (!ends.is_empty() && random.below(2) == 0).then(|| ends[random.below(ends.len())].clone());
        let server = known.unwrap_or_else(|| format!("203.0.113.{}:80", 1 + random.below(250)));
        let mut script = Script::between(&stranger, &server);
        for _ in 0..=random.below(3) {
            let (path, size) = (random.below(1_000), random.below(3_000));
            script = script
                .head(script::Side::Client, &format!("GET /file/{path} HTTP/1.1\nHost: files.example.org"))
                .head(script::Side::Server, &format!("HTTP/1.1 200 OK\nContent-Length: {size}"))
                .server(vec![b'x'; size])
                .wait_ms(random.below(40) as u64);
        }
        scripts.push(script.fin(script::Side::Client).fin(script::Side::Server));
    }
    let mut segments: Vec<Segment> = script::together(scripts);
    let times = || captures.iter().flat_map(|c| &c.packets).map(|p| p.at_ns);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    let length = segments.last().map_or(1, |s| s.at_ns - script::START_NS).max(1);
    // A capture that goes on longer shows more of what it waits for.
    for segment in &mut segments {
        let at = u128::from(segment.at_ns - script::START_NS) * u128::from(last - first) / u128::from(length);
        segment.at_ns = first + u64::try_from(at).expect("less than the capture's length");
    }
    Captured { links: vec![Link::Ethernet], packets: link::packets(&segments, Link::Ethernet) }
}

/// What a report on a changed capture says otherwise than that on the scenario; empty: nothing.
fn difference(scenario: &Scenario, renaming: &Renaming, changed: &Result<Value, String>) -> String {
    match (scenario.report(), changed) {
        (Ok(original), Ok(changed)) => {
            compare(told(&original, renaming, true), told(changed, &Renaming::default(), true))
        }
        (Err(why), _) => why,
        (_, Err(why)) => why.clone(),
    }
}

fn compare(mut expected: Vec<String>, mut found: Vec<String>) -> String {
    expected.sort();
    found.sort();
    let lacking = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("lost: {line}"));
    let more = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("new: {line}"));
    let mut all: Vec<String> = lacking.chain(more).collect();
    if all.is_empty() && expected.len() != found.len() {
        all.push(format!("{} chains instead of {}", found.len(), expected.len()));
    }
    all.join("\n    ")
}

/// A line on each chain: its legs, verdict, blame and fix, renamed. Where the clock is known otherwise
/// (`sure` is false), how sure it is may differ.
fn told(report: &Value, renaming: &Renaming, sure: bool) -> Vec<String> {
    let list = |name: &str| report[name].as_array().into_iter().flatten();
    let ip = |written: &Value| match text(written).parse::<IpAddr>() {
        Ok(ip) => renaming.ip(ip).to_string(),
        Err(_) => written.to_string(),
    };
    let end = |end: &Value| format!("{}:{}", ip(&end["ip"]), renamed_port(renaming, &end["port"]));
    let legs: BTreeMap<u64, String> = list("exchanges")
        .map(|x| {
            let ends = format!("{} to {}", end(&x["client"]), end(&x["server"]));
            (x["id"].as_u64().expect("an id"), format!("{ends} key {}", x["handshake"]["key"]))
        })
        .collect();
    list("chains")
        .map(|chain| {
            let own = chain["legs"].as_array().into_iter().flatten().filter_map(|leg| legs.get(&leg.as_u64()?));
            let own = own.map(String::as_str).collect::<Vec<_>>().join(", then ");
            let verdict = &chain["verdict"];
            let blame = &verdict["blame"];
            let fixes = verdict["fix"].as_array().into_iter().flatten();
            let fixes =
                fixes.map(|fix| format!("{} {} {:.40}", fix["product"], fix["versions"], fix["text"].to_string()));
            format!(
                "{own}: {} {} {} blames {} {} {} fix {}",
                verdict["rule"],
                verdict["severity"],
                if sure { verdict["confidence"].to_string() } else { String::new() },
                blame["role"],
                ip(&blame["address"]),
                blame["product"],
                fixes.collect::<Vec<_>>().join(", "),
            )
        })
        .collect()
}

fn renamed_port(renaming: &Renaming, port: &Value) -> u64 {
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    u64::from(*renaming.ports.get(&port).unwrap_or(&port))
}
