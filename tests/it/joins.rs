//! Legs of one journey become one chain, whoever else is on the way at the same time. The truth about
//! which leg is whose comes from the maker of the captures; exchanges are known by the packet that
//! begins them, so that no clock and no address has to be believed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::hop::{Edit, Head, key};
use crate::support::joined::{Joined, list, nanoseconds};
use crate::support::journey::{Forward, Net, Way};
use crate::support::script;
use crate::support::vantage::Made;

/// Where clients find the hop, what it calls backends from, and a backend.
pub(crate) const LISTEN: &str = "203.0.113.9:80";
pub(crate) const UPSTREAM: &str = "192.0.2.2";
pub(crate) const BACKEND: &str = "192.0.2.20:8080";
/// The addresses of that hop, and of one behind it.
pub(crate) const HOP: [&str; 2] = ["203.0.113.9", "192.0.2.2"];
pub(crate) const INNER_LISTEN: &str = "192.0.2.10:80";
pub(crate) const INNER_UPSTREAM: &str = "192.0.2.11";
pub(crate) const INNER: [&str; 2] = ["192.0.2.10", "192.0.2.11"];
/// What a hop that took Upgrade and Connection away is blamed for.
pub(crate) const STRIPPED: [&str; 2] = ["hop-stripped-connection", "hop-stripped-upgrade"];

/// The n-th client, counted from 0: each has an address of its own.
pub(crate) fn client(n: usize) -> String {
    format!("198.51.100.{}:{}", n + 1, 40_000 + n)
}

/// A faultless request with a key that belongs to these words.
pub(crate) fn asked(words: &str) -> Head {
    Head::of(&script::upgrade_request(&key(words)))
}

/// Any number below `below`, another for each `n`.
pub(crate) fn scattered(n: usize, below: u64) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % below
}

/// 200 clients within 60 ms. The hop forgets Upgrade for some, speaks HTTP/1.0 for some and refuses some
/// on its own.
pub(crate) fn two_hundred_clients() -> Made {
    let mut net = Net::default();
    for n in 0..200 {
        let way = match n % 5 {
            0 => Way::through(UPSTREAM, BACKEND, &[Edit::StripUpgrade, Edit::ForwardedFor]),
            1 => Way::through(UPSTREAM, BACKEND, &[Edit::Downgrade]),
            3 => Way::Answer("HTTP/1.1 503 Service Unavailable\nServer: edge", "busy"),
            _ => Way::through(UPSTREAM, BACKEND, &[Edit::Reorder, Edit::Recase, Edit::ForwardedFor]),
        };
        net.visit(&client(n), LISTEN, n as u64 * 300, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

/// 100 clients with one key, whom the hop keeps waiting so differently that their order is lost.
pub(crate) fn one_key_for_all(edits: &[Edit]) -> Made {
    let mut net = Net::default();
    for n in 0..100 {
        let forward =
            Forward { takes_us: 100 + scattered(n, 30_000), ..Forward::new(UPSTREAM, BACKEND, edits, Way::Backend) };
        net.visit(&client(n), LISTEN, n as u64 * 300, &asked("everybody"), &Way::On(vec![forward]));
    }
    net.capture()
}

/// Two hops in a row with these edits; twenty clients.
pub(crate) fn two_hops(first: &[Edit], second: &[Edit]) -> Made {
    let mut net = Net::default();
    for n in 0..20 {
        let way = Way::on(UPSTREAM, INNER_LISTEN, first, Way::through(INNER_UPSTREAM, BACKEND, second));
        net.visit(&client(n), LISTEN, n as u64 * 1_700, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

/// One connection upstream for everybody: plain requests and refused upgrades, at last one that is
/// granted and keeps it. A second such connection is used by others at the same time.
pub(crate) fn shared_upstream() -> Made {
    let mut net = Net::default();
    let kept = [0, 50].map(|at_us| net.keep(UPSTREAM, BACKEND, at_us, 1));
    let plain = Head::of("GET /page HTTP/1.1\nHost: chat.example.org");
    for n in 0..40 {
        let at_us = 2_000 + n as u64 * 1_500;
        let (over, turn) = (kept[n % 2], n / 2);
        let (request, then) = match (turn, turn % 4) {
            (19, _) => (asked(&format!("client {n}")), Way::Backend),
            (_, 0 | 2) => (plain.clone(), Way::Backend),
            (_, 1) => (asked(&format!("client {n}")), Way::Answer("HTTP/1.1 403 Forbidden", "no")),
            _ => (asked(&format!("client {n}")), Way::Answer("HTTP/1.1 404 Not Found", "nothing")),
        };
        net.visit(&client(n), LISTEN, at_us, &request, &Way::over(over, &[Edit::ForwardedFor], then));
    }
    net.capture()
}

#[test]
fn every_capture_holds_the_legs_that_it_says() {
    let strip = [Edit::StripUpgrade];
    for (made, journeys, legs, granted) in [
        (two_hundred_clients(), 200, 360, 80),
        (one_key_for_all(&[Edit::ForwardedFor]), 100, 200, 100),
        (one_key_for_all(&[]), 100, 200, 100),
        (two_hops(&[], &strip), 20, 60, 0),
        (two_hops(&strip, &[]), 20, 60, 0),
        (shared_upstream(), 40, 80, 2),
    ] {
        assert_eq!(made.journeys.len(), journeys);
        assert_eq!(made.journeys.iter().map(|j| j.legs.len()).sum::<usize>(), legs);
        assert_eq!(made.journeys.iter().filter(|j| j.legs[0].status == Some(101)).count(), granted);
        Joined::read(made, &[]).holds_what_was_made();
    }
}

#[test]
fn clients_with_one_key_overtake_each_other_in_the_hop() {
    let made = one_key_for_all(&[]);
    let at = |leg: usize| made.begins.iter().map(move |legs| legs[leg][0].1).collect::<Vec<u64>>();
    let overtaken = at(1).windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(at(0).is_sorted() && overtaken > 30, "{overtaken}");
}

#[test]
fn the_check_accepts_the_truth_and_sees_every_wrong_join() {
    let made = two_hops(&[], &[Edit::StripUpgrade]);
    let read = Joined::read(made, &[]);
    let Joined { made, mut report, ids } = read;
    let chain = |legs: &[u64], edges: &[[u64; 2]]| {
        let hops: Vec<Value> = edges.iter().map(|edge| json!({"between": edge})).collect();
        json!({"id": legs[0], "legs": legs, "hops": hops})
    };
    let ids: Vec<Vec<u64>> = ids.iter().map(|legs| legs.concat()).collect();
    let right: Vec<Value> = ids.iter().map(|l| chain(l, &[[l[0], l[1]], [l[1], l[2]]])).collect();
    let mut holder = Some(made);
    let mut fails = |chains: Vec<Value>| {
        report["chains"] = chains.into();
        let joined = Joined::with(holder.take().unwrap(), report.clone());
        let fails = |check: &dyn Fn(&Joined)| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&joined))).is_err()
        };
        let result = (fails(&Joined::joins_nothing_wrong), fails(&Joined::joins_all));
        holder = Some(joined.made);
        result
    };
    assert_eq!(fails(right.clone()), (false, false));
    let changed = |chains: &[(usize, Value)], right: &[Value]| {
        let mut all = right.to_vec();
        chains.iter().for_each(|(at, chain)| all[*at] = chain.clone());
        all
    };
    let (a, b) = (ids[0].clone(), ids[1].clone());
    // Two journeys whose last legs are swapped; one in the wrong order; one with a wrong edge.
    let swapped = [
        (0, chain(&[a[0], a[1], b[2]], &[[a[0], a[1]], [a[1], b[2]]])),
        (1, chain(&[b[0], b[1], a[2]], &[[b[0], b[1]], [b[1], a[2]]])),
    ];
    assert_eq!(fails(changed(&swapped, &right)), (true, true));
    let order = chain(&[a[0], a[2], a[1]], &[[a[0], a[1]], [a[1], a[2]]]);
    assert_eq!(fails(changed(&[(0, order)], &right)), (false, true));
    let edge = chain(&a, &[[a[0], a[1]], [a[0], a[2]]]);
    assert_eq!(fails(changed(&[(0, edge)], &right)), (false, true));
    // One that was not joined, and one that is missing.
    let mut apart = changed(&[(0, chain(&a[..2], &[[a[0], a[1]]]))], &right);
    apart.push(chain(&a[2..], &[]));
    assert_eq!(fails(apart), (false, true));
    assert_eq!(fails(right[1..].to_vec()), (true, true));
}

#[test]
fn two_hundred_clients_at_once_have_their_own_legs_and_verdicts() {
    let joined = Joined::read(two_hundred_clients(), &[]);
    joined.holds_what_was_made();
    joined.joins_all();
    for n in 0..200 {
        let rule = joined.rule(n);
        match n % 5 {
            0 => {
                assert!(STRIPPED.contains(&rule), "{n}: {rule}");
                joined.blames(n, "hop", &HOP);
            }
            1 => {
                assert_eq!(rule, "hop-downgraded-http10", "{n}");
                joined.blames(n, "hop", &HOP);
            }
            3 => {
                assert!(["hop-answered-locally", "refused-503"].contains(&rule), "{n}: {rule}");
                joined.blames(n, "hop", &HOP);
            }
            _ => assert_eq!(rule, "ok", "{n}"),
        }
    }
}

#[test]
fn a_hop_tells_what_it_changed_and_how_long_it_took() {
    let joined = Joined::read(two_hundred_clients(), &[]);
    let hop = |n: usize| &joined.chain(n)["hops"][0];
    assert_eq!(hop(1)["versions"], json!(["HTTP/1.1", "HTTP/1.0"]));
    let nothing = json!([]);
    let changes =
        json!({"removed": [["Upgrade", "websocket"]], "added": [], "changed": [["Connection", "Upgrade", "close"]]});
    assert_eq!((&hop(1)["request"], &hop(1)["response"]["changed"]), (&changes, &nothing));
    // Order and case of names are no change.
    let forwarded = json!([["X-Forwarded-For", "198.51.100.3"]]);
    let request = &hop(2)["request"];
    assert_eq!([&request["removed"], &request["added"], &request["changed"]], [&nothing, &forwarded, &nothing]);
    for n in [0, 1, 2, 4] {
        let at = |leg: usize, head: &str| nanoseconds(&joined.exchange(n, leg)[head]["at"]);
        assert_eq!(hop(n)["forward_ns"], at(1, "request") - at(0, "request"), "{n}");
        assert_eq!(hop(n)["return_ns"], at(0, "response") - at(1, "response"), "{n}");
    }
}

#[test]
fn one_key_for_everybody_is_joined_by_the_forwarded_address() {
    let joined = Joined::read(one_key_for_all(&[Edit::ForwardedFor]), &[]);
    joined.joins_all();
    assert!((0..100).all(|n| joined.chain(n)["outcome"] == "upgraded"));
}

#[test]
fn one_key_for_everybody_and_nothing_else_is_ambiguous() {
    let joined = Joined::read(one_key_for_all(&[]), &[]);
    joined.joins_nothing_wrong();
    let ambiguous: Vec<_> = list(&joined.report["findings"]).iter().filter(|f| f["rule"] == "join-ambiguous").collect();
    assert!(!ambiguous.is_empty() && ambiguous.iter().all(|f| f["severity"] == "info"), "{ambiguous:?}");
    assert!((0..100).all(|n| joined.chain(n)["outcome"] == "upgraded"));
}

#[test]
fn the_wrong_one_of_two_hops_is_blamed() {
    for (first, second, guilty, kept) in [
        (vec![Edit::ForwardedFor], vec![Edit::StripUpgrade], INNER, [true, false]),
        (vec![Edit::StripUpgrade], vec![Edit::ForwardedFor], HOP, [false, false]),
    ] {
        let joined = Joined::read(two_hops(&first, &second), &[]);
        joined.joins_all();
        for n in 0..20 {
            assert!(STRIPPED.contains(&joined.rule(n)), "{n}: {}", joined.rule(n));
            joined.blames(n, "hop", &guilty);
            let hops = list(&joined.chain(n)["hops"]);
            assert_eq!(hops[0]["upgrade_kept"], kept[0]);
            // What the second hop never got it could not keep: either answer is right.
            assert!(hops[1]["upgrade_kept"] == kept[1] || (!kept[0] && hops[1]["upgrade_kept"].is_null()));
            for (hop, addresses) in hops.iter().zip([HOP, INNER]) {
                let found: Vec<_> = list(&hop["addresses"]).iter().filter_map(Value::as_str).collect();
                assert_eq!(found, addresses, "the address that it was asked at, and the one that it asks from");
            }
        }
    }
}

#[test]
fn a_connection_upstream_that_many_share_gives_each_its_own_leg() {
    let joined = Joined::read(shared_upstream(), &[]);
    joined.holds_what_was_made();
    joined.joins_all();
    let over = |n: usize| joined.exchange(n, 1)["flow"].as_u64().unwrap();
    let flows: BTreeSet<u64> = (0..40).filter(|n| !joined.made.journeys[*n].plain).map(over).collect();
    assert_eq!(flows.len(), 2, "two connections upstream");
    assert_eq!((joined.rule(38), joined.rule(39)), ("ok", "ok"));
    joined.blames(2, "server", &["192.0.2.20"]);
}
