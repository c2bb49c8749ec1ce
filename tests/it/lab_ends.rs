//! How every upgraded exchange of the lab ended: who ended it, how, and with which code, as its truth says.

use std::net::SocketAddr;

use serde_json::Value;

use crate::lab_truth::{Scenario, find, scenarios, text};
use crate::shared::Tally;
use crate::support::{dissect, read};

/// How many must be scored at least; raise it when there are more.
const ENDS: usize = 711;
/// How many must be right: may rise, never fall. The goal is 98 in a hundred.
const RIGHT: usize = 711;

const OPEN: &str = "open by nobody code null";

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_upgraded_exchange_ends_as_it_did() {
    let mut tally = Tally::default();
    for scenario in scenarios() {
        if let Some(why) = scenario.needs() {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        let report = match scenario.report() {
            Ok(report) => report,
            Err(why) => {
                tally.fail(&scenario.name, &why);
                continue;
            }
        };
        let mut used = Vec::new();
        for truth in scenario.upgrades().filter(|x| x["outcome"] == "upgraded") {
            let what = format!("{} {}", scenario.name, text(&truth["id"]));
            let Some(index) = find(&report, truth, &used) else {
                match scenario.not_in_the_files(truth) {
                    Some(lacks) => tally.leave_out(what, format!("its heads are not in the files: {}", lacks.why)),
                    None => tally.fail(&what, "no such exchange in the report"),
                }
                continue;
            };
            used.push(index);
            let end = &report["exchanges"][index]["end"];
            tally.score(&what, &right(&scenario, truth), &found(end));
        }
    }
    tally.hold("ends of upgraded exchanges", ENDS, RIGHT).unwrap();
}

/// What is right for it. Where packets are missing, one whose end is not in the files is open.
fn right(scenario: &Scenario, truth: &Value) -> Vec<String> {
    let lost = scenario.cuts_evidence().is_some() && !closes_in_the_files(scenario, truth);
    if lost { vec![expected(truth), OPEN.to_owned()] } else { vec![expected(truth)] }
}

/// Whether the files hold a FIN or RST of its connection.
fn closes_in_the_files(scenario: &Scenario, truth: &Value) -> bool {
    let ends =
        [&truth["src"], &truth["dst"]].map(|end| text(end).parse::<SocketAddr>().expect("an address and a port"));
    scenario.files.iter().any(|file| {
        let captured = read::captured(&std::fs::read(file).expect("a capture"));
        captured.packets.iter().any(|packet| {
            let frame = dissect::frame(&packet.data, captured.link_of(packet));
            let (Some((from, to)), Some(tcp)) = (dissect::ends(&packet.data, &frame), &frame.tcp) else { return false };
            let closes = packet.data.get(tcp.at + 13).is_some_and(|flags| flags & 0b101 != 0);
            closes && ([from, to] == ends || [to, from] == ends)
        })
    })
}

fn found(end: &Value) -> String {
    facts(text(&end["by"]), text(&end["how"]), &end["close_code"])
}

fn expected(truth: &Value) -> String {
    let close = &truth["close"];
    if close.is_null() {
        return OPEN.to_owned();
    }
    facts(role(text(&close["by"]), truth["leg"].as_u64()), text(&close["how"]), &close["code"])
}

/// Which end of this leg a host of the topology is: leg n leads from proxy n-1 to proxy n.
fn role(name: &str, leg: Option<u64>) -> &'static str {
    let proxy = name.strip_prefix("proxy").and_then(|n| n.parse::<u64>().ok());
    match (name, proxy, leg) {
        ("client", ..) => "client",
        ("backend", ..) => "server",
        (_, Some(proxy), Some(leg)) if proxy == leg => "server",
        (_, Some(proxy), Some(leg)) if proxy + 1 == leg => "client",
        _ => panic!("{name} is no end of leg {leg:?}"),
    }
}

fn facts(by: &str, how: &str, code: &Value) -> String {
    format!("{how} by {} code {code}", if by.is_empty() { "nobody" } else { by })
}

#[test]
fn a_proxy_is_the_server_of_one_leg_and_the_client_of_the_next() {
    let close = |by: &str, leg: u64| {
        let truth = serde_json::json!({"leg": leg, "close": {"by": by, "how": "close-frame", "code": 1000}});
        expected(&truth)
    };
    assert_eq!(close("proxy1", 1), "close-frame by server code 1000");
    assert_eq!(close("proxy1", 2), "close-frame by client code 1000");
    assert_eq!(close("proxy2", 2), "close-frame by server code 1000");
    assert_eq!(close("client", 1), "close-frame by client code 1000");
    assert_eq!(close("backend", 3), "close-frame by server code 1000");
    assert_eq!(expected(&serde_json::json!({"leg": 1, "close": null})), "open by nobody code null");
}
