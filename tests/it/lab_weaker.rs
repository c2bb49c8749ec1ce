//! The lab's captures with less in them than was captured: a verdict may become weaker, never a false one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab_judge::{chains, is_granted, root, symptoms};
use crate::lab_metamorphic::{captures, report, whole_scenarios};
use crate::lab_truth::{Scenario, endpoint, matches, text};
use crate::mutate::Random;
use crate::shared::Tally;
use crate::support::link;
use crate::support::read::Captured;
use crate::support::{dissect, streams};

/// How many weakened captures must be compared at least.
const WITHOUT_LEG_2: usize = 150;
const CUT: usize = 189;
const LOSSY: usize = 706;
/// How many of them must be right: may rise, never fall. The goal is all of them.
const RIGHT_WITHOUT_LEG_2: usize = 150;
const RIGHT_CUT: usize = 189;
const RIGHT_LOSSY: usize = 706;

/// Enough for the headers of TCP and the start of a head.
const SNAPLEN: usize = 96;
/// Packets of heads to lose for each scenario, one by one.
const LOSSES: usize = 6;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn without_the_second_leg_no_verdict_becomes_a_false_one() {
    weaken("captures of the first leg alone", [WITHOUT_LEG_2, RIGHT_WITHOUT_LEG_2], |scenario, captures, _| {
        let behind = |x: &&Value| x["leg"].as_u64().is_some_and(|leg| leg > 1);
        let ends: BTreeSet<[String; 2]> = scenario.exchanges().iter().filter(behind).map(ends).collect();
        if ends.is_empty() {
            return Vec::new();
        }
        let on_first =
            |(from, to): (String, String)| !ends.contains(&[from.clone(), to.clone()]) && !ends.contains(&[to, from]);
        vec![("leg 2".to_owned(), keep(captures, |_, packet, link| between(packet, link).is_none_or(on_first)))]
    });
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn cut_to_96_bytes_no_verdict_becomes_a_false_one() {
    weaken("captures cut to 96 bytes", [CUT, RIGHT_CUT], |_, captures, _| {
        let mut cut = captures.to_vec();
        cut.iter_mut().for_each(|captured| link::snap(&mut captured.packets, SNAPLEN));
        vec![("snaplen".to_owned(), cut)]
    });
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn without_one_packet_of_a_head_no_verdict_becomes_a_false_one() {
    weaken("captures without one packet of a head", [LOSSY, RIGHT_LOSSY], |scenario, captures, random| {
        let mut packets: Vec<(usize, usize)> = packets_of_heads(scenario, captures).into_iter().collect();
        let mut weaker = Vec::new();
        while !packets.is_empty() && weaker.len() < LOSSES {
            let (file, packet) = packets.swap_remove(random.below(packets.len()));
            let kept = captures.iter().enumerate().map(|(n, captured)| {
                let mut captured = captured.clone();
                if n == file {
                    captured.packets.remove(packet);
                }
                captured
            });
            weaker.push((format!("packet {} of file {file}", packet + 1), kept.collect()));
        }
        weaker
    });
}

/// What to take away: what that is called, and what is left.
type Weaker = fn(&Scenario, &[Captured], &mut Random) -> Vec<(String, Vec<Captured>)>;

fn weaken(title: &str, [at_least, right]: [usize; 2], weaker: Weaker) {
    let mut tally = Tally::default();
    let folder = tempfile::tempdir().expect("a folder");
    for (scenario, mut random) in whole_scenarios(&mut tally) {
        let seed = random.0;
        let whole = captures(&scenario);
        let original = match report(folder.path(), &whole) {
            Ok(original) => original,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        for (without, captures) in weaker(&scenario, &whole, &mut random) {
            let wrong = match report(folder.path(), &captures) {
                Ok(report) => false_verdicts(&scenario, &original, &report),
                Err(why) => why,
            };
            tally.check(&format!("{} without {without}, seed {seed:#x}", scenario.name), &wrong);
        }
    }
    tally.hold(title, at_least, right).unwrap();
}

/// The verdicts that are neither those of the whole capture, nor symptoms of them, nor weaker.
fn false_verdicts(scenario: &Scenario, original: &Value, report: &Value) -> String {
    let wrong = chains(report).filter_map(|chain| {
        let rule = text(&chain["verdict"]["rule"]);
        let own = connections(report, chain);
        // Where no request is left, any of them can be what is left of it.
        let same = |other: &&Value| own.is_empty() || !connections(original, other).is_disjoint(&own);
        let mut allowed: Vec<String> = Vec::new();
        for other in chains(original).filter(same) {
            allowed.push(text(&other["verdict"]["rule"]).to_owned());
            // What was found in all of it is true of a part.
            let findings = original["findings"].as_array().into_iter().flatten();
            let own = findings.filter(|f| other["findings"].as_array().is_some_and(|ids| ids.contains(&f["id"])));
            allowed.extend(own.map(|f| text(&f["rule"]).to_owned()));
        }
        allowed.extend(symptoms(&allowed));
        allowed.push("unknown".to_owned());
        for truth in scenario.exchanges().iter().filter(|x| own.contains(&ends(x))) {
            allowed.extend(truth["status"].as_u64().map(|status| format!("refused-{status}")));
            let client_side = root(scenario, text(&truth["id"]));
            allowed.extend(client_side.filter(|x| is_granted(x)).map(|_| "ok".to_owned()));
            // Where it is all that is left of its journey, it is judged as what it was.
            allowed.extend((own.len() == 1 && is_granted(truth)).then(|| "ok".to_owned()));
        }
        // A connection that was refused shows so itself, whoever opened it and whatever became of it.
        if own.is_empty() && chain["flow"].is_u64() {
            allowed.push("connect-refused".to_owned());
        }
        allowed.sort();
        allowed.dedup();
        let fits = allowed.iter().any(|pattern| matches(pattern, rule));
        (!fits).then(|| format!("chain {} has {rule}, not one of {}", chain["id"], allowed.join(", ")))
    });
    wrong.collect::<Vec<_>>().join("; ")
}

/// The ends of every leg of a chain.
fn connections(report: &Value, chain: &Value) -> BTreeSet<[String; 2]> {
    let legs = chain["legs"].as_array().map_or(&[][..], Vec::as_slice);
    let own = report["exchanges"].as_array().into_iter().flatten().filter(|x| legs.contains(&x["id"]));
    own.map(|x| ["client", "server"].map(|side| format!("{}:{}", text(&x[side]["ip"]), x[side]["port"]))).collect()
}

fn ends(truth: &Value) -> [String; 2] {
    [&truth["src"], &truth["dst"]].map(|end| endpoint(text(end)))
}

fn keep(captures: &[Captured], test: impl Fn(usize, &link::Packet, u16) -> bool) -> Vec<Captured> {
    let mut kept = captures.to_vec();
    for captured in &mut kept {
        let links = captured.links.clone();
        let mut n = 0;
        captured.packets.retain(|packet| {
            n += 1;
            test(n - 1, packet, links[packet.interface as usize].number())
        });
    }
    kept
}

/// The ends of the TCP connection that a packet belongs to.
fn between(packet: &link::Packet, link: u16) -> Option<(String, String)> {
    let (from, to) = dissect::ends(&packet.data, &dissect::frame(&packet.data, link))?;
    Some((format!("{}:{}", from.ip(), from.port()), format!("{}:{}", to.ip(), to.port())))
}

/// File and place of each packet that carries a part of a request's or an answer's head.
fn packets_of_heads(scenario: &Scenario, captures: &[Captured]) -> BTreeSet<(usize, usize)> {
    let mut packets = BTreeSet::new();
    for (file, captured) in captures.iter().enumerate() {
        let streams = streams::all(captured);
        for truth in scenario.upgrades() {
            let request = truth["key"].as_str().map(str::to_owned);
            let answer = truth["status"].as_u64().map(|status| format!("HTTP/1.1 {status} "));
            let [from, to] = ends(truth);
            for (word, from, to) in [(request, &from, &to), (answer, &to, &from)] {
                let Some(word) = word else { continue };
                let own = streams.iter().filter(|s| {
                    [s.from, s.to].map(|end| format!("{}:{}", end.ip(), end.port())) == [from.as_str(), to.as_str()]
                });
                for stream in own {
                    let head = stream.whole_head(&word);
                    packets.extend(head.iter().flat_map(|head| stream.packets(head)).map(|packet| (file, packet)));
                }
            }
        }
    }
    packets
}
