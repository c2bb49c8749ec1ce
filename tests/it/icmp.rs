//! What ICMP says of segments: it explains what happened, and changes nothing of what was said.

use hopscope::model::Exchange;
use proptest::prelude::*;
use serde_json::Value;

use crate::engine::{run, text_of};
use crate::support::file::Format;
use crate::support::link::{self, Link, Packet};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Segment, Side};

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

fn ends(six: bool) -> (&'static str, &'static str) {
    if six { ("[2001:db8:7::7]:40000", "[2001:db8:9::9]:80") } else { ("198.51.100.7:40000", "203.0.113.9:80") }
}

fn syn_only(six: bool, ttl: u8) -> Vec<Segment> {
    let (client, server) = ends(six);
    Script::midstream(client, server).ttl(Side::Client, ttl).syn().segments()
}

fn talk(six: bool) -> Script {
    let (client, server) = ends(six);
    Script::between(client, server)
        .upgrade(KEY)
        .frame(Side::Client, 1, b"hello")
        .frame(Side::Server, 1, b"welcome")
        .wait_ms(300)
}

fn file(mut packets: Vec<Packet>) -> Vec<u8> {
    packets.sort_by_key(|packet| packet.at_ns);
    Format::pcap(Link::Raw).write(&packets)
}

/// All rules that found something, and who is to blame for the first chain.
fn told(segments: &[Segment], more: impl IntoIterator<Item = Packet>) -> (Vec<String>, Value) {
    let mut packets = link::packets(segments, Link::Raw);
    packets.extend(more);
    let report = report_on_bytes(&file(packets));
    let rule = |finding: &Value| finding["rule"].as_str().unwrap_or_default().to_owned();
    let rules = report["findings"].as_array().map(|all| all.iter().map(rule).collect()).unwrap_or_default();
    (rules, report["chains"][0]["verdict"]["blame"].clone())
}

fn has(rules: &[String], rule: &str) -> bool {
    rules.iter().any(|found| found == rule)
}

const PROHIBITED: (u8, u8) = (3, 13);
const NO_ROUTE: (u8, u8) = (3, 0);
const TIME_EXCEEDED: (u8, u8) = (11, 0);

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn messages_of_any_kind_about_any_place_change_nothing_of_what_was_said(
        six: bool,
        notes in proptest::collection::vec((0..40_usize, 0..15_u8, 0..16_u8, any::<u32>(), any::<bool>()), 0..12),
    ) {
        let segments = talk(six).goodbye().segments();
        let plain = link::packets(&segments, Link::Raw);
        let about = |&(at, kind, code, seq, exact): &(usize, u8, u8, u32, bool)| {
            let of = segments[at % segments.len()].clone();
            let seq = if exact { of.seq } else { seq };
            link::told(&Segment { seq, ..of }, Link::Raw, (kind, code))
        };
        let noted = plain.iter().cloned().chain(notes.iter().map(about)).collect();
        let read = |packets| {
            let (collected, _) = run(file(packets));
            let said = |x: &Exchange| {
                let mut x = x.clone();
                // Packets have other numbers.
                x.talk = None;
                text_of(&x)
            };
            collected.exchanges.iter().map(|x| said(x)).collect::<Vec<_>>()
        };
        prop_assert_eq!(read(noted), read(plain));
    }
}

#[test]
fn a_syn_that_is_rejected_is_told_by_whom_and_one_that_is_refused_or_taken_later_is_not() {
    for six in [false, true] {
        let syn = syn_only(six, 64);
        let (rules, blame) = told(&syn, [link::rejection(&syn[0], Link::Raw)]);
        assert_eq!(rules, ["syn-rejected"], "{six}");
        assert_eq!(blame["address"], if six { "2001:db8::1" } else { "203.0.113.1" });
    }
    let all = talk(false).goodbye().segments();
    let (rules, _) = told(&all, [link::rejection(&all[0], Link::Raw)]);
    assert!(!has(&rules, "syn-rejected"), "{rules:?}");
    // The server says no itself, a little later.
    let refused = Script::midstream(ends(false).0, ends(false).1).syn().wait_ms(10).rst(Side::Server).segments();
    let (rules, blame) = told(&refused, [link::rejection(&refused[0], Link::Raw)]);
    assert_eq!((rules, &blame["address"]), (vec!["connect-refused".to_owned()], &Value::from("203.0.113.9")));
    // Another connection of the same ends, long ago.
    let old = Segment { seq: all[0].seq ^ 0x8000_0000, ..all[0].clone() };
    let (rules, _) = told(&[all[0].clone()], [link::rejection(&old, Link::Raw)]);
    assert!(!has(&rules, "syn-rejected"), "{rules:?}");
}

#[test]
fn a_probe_that_was_to_end_on_its_way_is_not_rejected() {
    let probe = syn_only(false, 5);
    let (rules, _) = told(&probe, [link::told(&probe[0], Link::Raw, TIME_EXCEEDED)]);
    assert!(rules.is_empty(), "{rules:?}");
    let looped = syn_only(false, 64);
    let (rules, _) = told(&looped, [link::told(&looped[0], Link::Raw, TIME_EXCEEDED)]);
    assert_eq!(rules, ["syn-rejected"]);
}

/// The last so many segments as a router rejects them.
fn last(segments: &[Segment], n: usize, kind: (u8, u8)) -> Vec<Packet> {
    segments[segments.len() - n..].iter().map(|segment| link::told(segment, Link::Raw, kind)).collect()
}

#[test]
fn a_route_that_was_gone_for_a_while_is_not_blamed_for_what_is_lost_later() {
    let flap = talk(false).unheard(Side::Client, "lost", 4).segments();
    let flapping = last(&flap, 5, NO_ROUTE);
    let (rules, _) = told(&flap, flapping.clone());
    assert!(has(&rules, "tunnel-rejected"), "{rules:?}");
    // The words arrive at last, and much later others do not.
    let later = talk(false)
        .unheard(Side::Client, "lost", 4)
        .wait_ms(200)
        .frame(Side::Server, 1, b"thanks")
        .wait_ms(60_000)
        .frame(Side::Client, 1, b"one more")
        .frame(Side::Server, 1, b"well")
        .unheard(Side::Client, "gone", 5)
        .segments();
    let (rules, _) = told(&later, flapping);
    assert!(has(&rules, "peer-vanished") && !has(&rules, "tunnel-rejected"), "{rules:?}");
}

#[test]
fn the_rule_of_a_firewall_is_told_rather_than_the_route_that_was_gone_before() {
    let all = talk(false).unheard(Side::Client, "lost", 6).segments();
    let mut more = last(&all, 6, PROHIBITED);
    more.push(link::told(&all[all.len() - 7], Link::Raw, NO_ROUTE));
    let mut packets = link::packets(&all, Link::Raw);
    packets.extend(more);
    let report = report_on_bytes(&file(packets));
    let found = report["findings"].as_array().and_then(|all| all.iter().find(|f| f["rule"] == "tunnel-rejected"));
    let message = found.map(|finding| finding["message"].to_string()).unwrap_or_default();
    assert!(message.contains("6 times") && message.contains("administratively prohibited"), "{message}");
}
