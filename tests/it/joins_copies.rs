//! One connection that was captured twice, or on both sides of a translator of addresses, is one leg;
//! a relay of plain TCP, whose bytes are the same, is a hop.

use std::collections::BTreeSet;

use crate::joins::{BACKEND, HOP, INNER, INNER_LISTEN, INNER_UPSTREAM, LISTEN, STRIPPED, UPSTREAM, asked, client};
use crate::support::hop::Edit;
use crate::support::joined::{Joined, list};
use crate::support::journey::{Nat, Net, Way};
use crate::support::vantage::Place;

/// What clients have behind a translator, and what it makes of it.
const INSIDE: &str = "10.1.2.3";
const OUTSIDE: &str = "198.51.100.250";

/// Ten clients over a hop that forgets nothing, or with these edits.
fn clients(edits: &[Edit]) -> Net {
    let mut net = Net::default();
    for n in 0..10 {
        let way = Way::through(UPSTREAM, BACKEND, edits);
        net.visit(&client(n), LISTEN, n as u64 * 1_700, &asked(&format!("client {n}")), &way);
    }
    net
}

/// Ten clients of one address, captured on both sides of a translator; the sequence numbers of each
/// connection are shifted by a constant of its own each way.
fn translated(shifted: bool, way: &Way) -> Net {
    let mut net = Net::default();
    for n in 0..10_u16 {
        let flow = net.connect(&format!("{INSIDE}:{}", 40_000 + n), LISTEN, u64::from(n) * 1_700);
        let any = |seed: u32| seed.wrapping_mul(u32::from(n) + 3);
        let shift = if shifted { [any(0x1234_5677), any(0xfedc_ba99)] } else { [0, 0] };
        let outside = format!("{OUTSIDE}:{}", 61_000 + n).parse().expect("an address and a port");
        net.flows[flow].nat = Some(Nat { client: outside, server: LISTEN.parse().expect("the same"), shift });
        let journey = net.ask(flow, u64::from(n) * 1_700, &asked(&format!("client {n}")), way);
        if net.journeys[journey].legs[0].status == Some(101) {
            net.talk(journey);
        }
    }
    net
}

/// Relays of plain TCP: an open connection upstream for each client, and segments of another size.
fn relayed(then: impl Fn() -> Way, to: &str) -> Net {
    let mut net = Net::default();
    for n in 0..10 {
        let at_us = n as u64 * 1_700;
        let flow = net.connect(&client(n), LISTEN, at_us);
        let upstream = net.keep(UPSTREAM, to, at_us + 150, 1);
        net.segment_bytes(upstream, 90 + n);
        let journey = net.ask(flow, at_us, &asked(&format!("client {n}")), &Way::over(upstream, &[], then()));
        match net.journeys[journey].legs[0].status {
            Some(101) => net.talk(journey),
            _ => net.close(flow),
        }
    }
    net
}

/// All legs in both files; or the client's leg in both, and the other in one.
fn in_two_files(depths: [&[usize]; 2]) -> [Place; 2] {
    [Place::of("a.pcap", depths[0]), Place::of("b.pcap", depths[1])]
}

/// One leg for each of ten clients, and no hop.
fn has_one_leg_for_each(joined: &Joined) {
    joined.joins_nothing_wrong();
    assert_eq!(list(&joined.report["exchanges"]).len(), 10, "each upgrade once");
    let chains = list(&joined.report["chains"]);
    assert_eq!(chains.len(), 10);
    for chain in chains {
        assert_eq!((list(&chain["legs"]).len(), list(&chain["hops"]).len()), (1, 0), "{chain}");
        assert_eq!(chain["verdict"]["rule"], "ok");
    }
}

fn has_nat_as_info(joined: &Joined) {
    let severities: BTreeSet<_> = list(&joined.report["findings"])
        .iter()
        .filter(|f| f["rule"] == "cap-nat")
        .map(|f| f["severity"].as_str().expect("a severity"))
        .collect();
    assert_eq!(severities, BTreeSet::from(["info"]), "told, and as no fault");
}

#[test]
fn every_capture_holds_its_copies_and_relays() {
    let twice = clients(&[]).captures(&in_two_files([&[0], &[0]]));
    assert!(twice.begins.iter().all(|legs| legs[0].len() == 2 && legs[1].is_empty()));
    let interfaces = clients(&[]).captures(&[Place::of("any.pcapng", &[0]).interfaces(2)]);
    assert!(interfaces.begins.iter().all(|legs| legs[0].len() == 2));
    assert_eq!(twice.packets, interfaces.packets);
    let nat = translated(true, &Way::Backend).capture();
    assert!(nat.begins.iter().all(|legs| legs.len() == 1 && legs[0].len() == 2));
    assert_eq!(nat.report(&[])["counters"]["flows"], 20);
    let beyond = translated(false, &Way::through(UPSTREAM, BACKEND, &[])).capture();
    assert_eq!(beyond.report(&[])["counters"]["flows"], 30);
    for (then, to, flows) in [
        ((&|| Way::Backend) as &dyn Fn() -> Way, BACKEND, 20),
        (&|| Way::through(INNER_UPSTREAM, BACKEND, &[]), INNER_LISTEN, 30),
        (&|| Way::through(INNER_UPSTREAM, BACKEND, &[Edit::StripUpgrade]), INNER_LISTEN, 30),
    ] {
        let joined = Joined::read(relayed(then, to).capture(), &[]);
        joined.holds_what_was_made();
        assert_eq!(joined.report["counters"]["flows"], flows);
        // A relay adds nothing and leaves nothing out.
        let fields = |leg: usize| joined.exchange(3, leg)["request"]["fields"].clone();
        assert_eq!(fields(0), fields(1));
    }
}

#[test]
fn a_leg_in_two_files_is_one_leg() {
    has_one_leg_for_each(&Joined::read(clients(&[]).captures(&in_two_files([&[0], &[0]])), &[]));
    // Their clocks do not agree either.
    let [a, b] = in_two_files([&[0], &[0]]);
    let joined = Joined::read(clients(&[]).captures(&[a, b.ahead_ms(700)]), &[]);
    has_one_leg_for_each(&joined);
}

#[test]
fn a_leg_on_two_interfaces_of_one_file_is_one_leg() {
    let made = clients(&[]).captures(&[Place::of("any.pcapng", &[0]).interfaces(2)]);
    has_one_leg_for_each(&Joined::read(made, &[]));
}

#[test]
fn a_leg_in_two_files_is_joined_to_the_next_leg_once() {
    for depths in [[&[0][..], &[0, 1]], [&[0, 1], &[1]], [&[0, 1], &[0, 1]]] {
        let joined = Joined::read(clients(&[Edit::StripUpgrade]).captures(&in_two_files(depths)), &[]);
        joined.joins_all();
        for n in 0..10 {
            assert_eq!(list(&joined.chain(n)["hops"]).len(), 1);
            assert!(STRIPPED.contains(&joined.rule(n)), "{n}: {}", joined.rule(n));
            joined.blames(n, "hop", &HOP);
        }
    }
}

#[test]
fn both_sides_of_a_translator_are_one_leg() {
    for shifted in [false, true] {
        let joined = Joined::read(translated(shifted, &Way::Backend).capture(), &[]);
        has_one_leg_for_each(&joined);
        has_nat_as_info(&joined);
    }
}

#[test]
fn a_hop_behind_a_translator_is_joined_still() {
    for shifted in [false, true] {
        let good = Way::through(UPSTREAM, BACKEND, &[Edit::ForwardedFor]);
        let joined = Joined::read(translated(shifted, &good).capture(), &[]);
        joined.joins_all();
        has_nat_as_info(&joined);
        assert!((0..10).all(|n| joined.rule(n) == "ok"));
        let bad = Way::through(UPSTREAM, BACKEND, &[Edit::StripUpgrade]);
        let joined = Joined::read(translated(shifted, &bad).capture(), &[]);
        joined.joins_all();
        (0..10).for_each(|n| joined.blames(n, "hop", &HOP));
    }
}

#[test]
fn a_relay_of_plain_tcp_is_a_hop_that_no_header_rule_judges() {
    let joined = Joined::read(relayed(|| Way::Backend, BACKEND).capture(), &[]);
    joined.joins_all();
    for n in 0..10 {
        let chain = joined.chain(n);
        assert_eq!((joined.rule(n), &chain["outcome"]), ("ok", &"upgraded".into()));
        let hop = &chain["hops"][0];
        for head in ["request", "response"] {
            for change in ["removed", "added", "changed"] {
                assert!(list(&hop[head][change]).is_empty(), "{hop}");
            }
        }
        let header_rules: Vec<_> = joined
            .findings(n)
            .into_iter()
            .filter(|(rule, _)| rule.starts_with("hop-") || rule.starts_with("xff"))
            .collect();
        assert!(header_rules.is_empty(), "{header_rules:?}");
    }
    assert!(!joined.has_finding("cap-nat"), "other sequence numbers and segments: no translator");
}

#[test]
fn an_http_hop_behind_a_relay_is_the_third_leg_and_the_guilty_one() {
    let good = || Way::through(INNER_UPSTREAM, BACKEND, &[Edit::ForwardedFor]);
    let joined = Joined::read(relayed(good, INNER_LISTEN).capture(), &[]);
    joined.joins_all();
    assert!((0..10).all(|n| joined.rule(n) == "ok" && list(&joined.chain(n)["legs"]).len() == 3));
    let bad = || Way::through(INNER_UPSTREAM, BACKEND, &[Edit::StripUpgrade]);
    let joined = Joined::read(relayed(bad, INNER_LISTEN).capture(), &[]);
    joined.joins_all();
    for n in 0..10 {
        assert!(STRIPPED.contains(&joined.rule(n)), "{n}: {}", joined.rule(n));
        joined.blames(n, "hop", &INNER);
    }
}
