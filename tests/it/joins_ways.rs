//! What hops do that makes joining hard: they speak for themselves, lose what names the upgrade, try
//! again, choose among backends; and clients that try again, which are journeys of their own.

use std::collections::BTreeSet;

use crate::joins::{BACKEND, HOP, LISTEN, UPSTREAM, asked, client, scattered};
use crate::support::hop::{Edit, Head};
use crate::support::joined::{Joined, list};
use crate::support::journey::{Forward, Net, Way};
use crate::support::vantage::Made;

/// A hop that ends WebSocket: its own key upstream, another path and Host. What is left to tell forty
/// clients apart: a cookie, a user agent, a time.
pub(crate) fn gateway() -> Made {
    let mut net = Net::default();
    let edits =
        [Edit::NewKey, Edit::Prefix("/chat", "/internal/chat"), Edit::Set("Host", "app.internal"), Edit::Reorder];
    for n in 0..40 {
        let request = asked(&format!("client {n}")).with("Cookie", &format!("session={n:08}"));
        let request = request.with("User-Agent", if n % 2 == 0 { "Mozilla/5.0 (X11)" } else { "Mozilla/5.0 (Mac)" });
        let one = Forward::new(UPSTREAM, BACKEND, &edits, Way::Backend);
        let forward = Forward { takes_us: 100 + scattered(n, 5_000), ..one };
        net.visit(&client(n), LISTEN, n as u64 * 400, &request, &Way::On(vec![forward]));
    }
    net.capture()
}

/// A hop that passes an upgrade on as a plain request with a shorter path, among others that were plain
/// from the beginning: pages, and the very path of the upgrade.
pub(crate) fn all_is_lost() -> Made {
    let mut net = Net::default();
    let edits = [Edit::StripWebSocket, Edit::Prefix("/api/chat", "/chat"), Edit::ForwardedFor];
    for n in 0..30 {
        let mut upgrade = asked(&format!("client {n}"));
        upgrade.start = upgrade.start.replace("/chat", "/api/chat/room");
        let request = match n % 3 {
            0 => upgrade,
            1 => Head::of("GET /style.css HTTP/1.1\nHost: chat.example.org"),
            _ => Head::of("GET /api/chat/room HTTP/1.1\nHost: chat.example.org"),
        };
        net.visit(&client(n), LISTEN, n as u64 * 900, &request, &Way::through(UPSTREAM, BACKEND, &edits));
    }
    net.capture()
}

const SICK: &str = "192.0.2.21:8080";

/// Twelve clients over a hop whose first backend always fails: so that it answers or so that it does not.
pub(crate) fn retried(first: &Way) -> Made {
    let mut net = Net::default();
    for n in 0..12 {
        let tries = vec![
            Forward::new(UPSTREAM, SICK, &[Edit::ForwardedFor], first.clone()),
            Forward::new(UPSTREAM, BACKEND, &[Edit::ForwardedFor], Way::Backend),
        ];
        net.visit(&client(n), LISTEN, n as u64 * 1_700, &asked(&format!("client {n}")), &Way::On(tries));
    }
    net.capture()
}

fn unavailable() -> Way {
    Way::Answer("HTTP/1.1 503 Service Unavailable", "starting")
}

/// Journeys 0 and 1 are two rounds of one client on one connection, 2 and 3 those of another that is
/// redirected and connects anew. Both rounds of both have one key, as careless clients do.
fn second_rounds() -> Made {
    let mut net = Net::default();
    let edits = [Edit::ForwardedFor];
    let on = |then: Way| Way::on(UPSTREAM, BACKEND, &edits, then);
    let flow = net.connect(&client(0), LISTEN, 0);
    let unauthorized = Way::Answer("HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"", "who");
    net.ask(flow, 0, &asked("one"), &on(unauthorized));
    let known = asked("one").with("Authorization", "Basic dXNlcjpwYXNz");
    let granted = net.ask(flow, 9_000, &known, &on(Way::Backend));
    net.talk(granted);
    let moved = Way::Answer("HTTP/1.1 307 Temporary Redirect\nLocation: ws://chat.example.org/chat/", "");
    net.visit(&client(1), LISTEN, 1_000, &asked("two"), &on(moved));
    let mut followed = asked("two");
    followed.start = followed.start.replace("/chat", "/chat/");
    net.visit("198.51.100.2:40900", LISTEN, 12_000, &followed, &on(Way::Backend));
    net.capture()
}

/// The same key from the same client over the same hop, thirty seconds later; and once more from the
/// same port.
pub(crate) fn replayed() -> Made {
    let mut net = Net::default();
    let way = Way::through(UPSTREAM, BACKEND, &[Edit::ForwardedFor]);
    for (port, at_s) in [(40_000, 0), (40_001, 30), (40_000, 300)] {
        net.visit(&format!("198.51.100.1:{port}"), LISTEN, at_s * 1_000_000, &asked("ever the same"), &way);
    }
    net.capture()
}

/// A balancer and ten backends of which the eighth is wrong; a hundred clients.
pub(crate) fn ten_backends() -> Made {
    let mut net = Net::default();
    for n in 0..100 {
        let turn = n * 7 % 10;
        let then = if turn == 7 { Way::Answer("HTTP/1.1 500 Internal Server Error", "oops") } else { Way::Backend };
        let way = Way::on(UPSTREAM, &format!("192.0.2.{}:8080", 30 + turn), &[Edit::ForwardedFor], then);
        net.visit(&client(n), LISTEN, n as u64 * 500, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

/// A hop with two addresses for clients and one upstream, and another program at another port of one of
/// them, which has an address of its own upstream.
fn two_faces() -> Made {
    let mut net = Net::default();
    for (n, listen) in [(0, "203.0.113.9:80"), (1, "203.0.113.10:80"), (2, "203.0.113.10:81")] {
        let upstream = if n == 2 { "192.0.2.3" } else { UPSTREAM };
        let way = Way::through(upstream, BACKEND, &[Edit::ForwardedFor]);
        net.visit(&client(n), listen, n as u64 * 20_000, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

#[test]
fn every_capture_holds_the_ways_that_it_says() {
    for (name, made, journeys, legs, upgraded) in [
        ("gateway", gateway(), 40, 80, 40),
        ("all is lost", all_is_lost(), 30, 60, 0),
        ("503", retried(&unavailable()), 12, 36, 12),
        ("reset", retried(&Way::Reset), 12, 36, 12),
        ("refused", retried(&Way::NobodyListens), 12, 24, 12),
        ("second rounds", second_rounds(), 4, 8, 2),
        ("replayed", replayed(), 3, 6, 3),
        ("ten backends", ten_backends(), 100, 200, 90),
        ("two faces", two_faces(), 3, 6, 3),
    ] {
        assert_eq!(made.journeys.len(), journeys, "{name}");
        assert_eq!(made.journeys.iter().map(|j| j.legs.len()).sum::<usize>(), legs, "{name}");
        assert_eq!(made.journeys.iter().filter(|j| j.legs[0].status == Some(101)).count(), upgraded, "{name}");
        Joined::read(made, &[]).holds_what_was_made();
    }
}

#[test]
fn both_sides_of_a_gateway_verify_and_share_no_key() {
    let joined = Joined::read(gateway(), &[]);
    let hands = list(&joined.report["exchanges"]).iter().map(|x| &x["handshake"]);
    assert!(hands.clone().all(|h| h["accept_verdict"] == "valid"));
    let keys: BTreeSet<_> = hands.map(|h| h["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 80);
}

#[test]
fn a_hop_with_keys_of_its_own_is_joined_by_what_it_keeps() {
    let joined = Joined::read(gateway(), &[]);
    joined.joins_all();
    for n in 0..40 {
        let hop = &joined.chain(n)["hops"][0];
        assert_eq!((&hop["key_kept"], &hop["upgrade_kept"]), (&false.into(), &true.into()));
        assert!(!list(&hop["joined_by"]).iter().any(|by| by == "key"), "{hop}");
        assert!(joined.findings(n).contains(&("hop-key-changed", "info")), "{:?}", joined.findings(n));
        assert_eq!(joined.rule(n), "ok");
    }
}

#[test]
fn a_leg_that_lost_every_field_of_the_upgrade_is_listed_and_joined() {
    let joined = Joined::read(all_is_lost(), &[]);
    joined.joins_all();
    assert_eq!(list(&joined.report["exchanges"]).len(), 20, "ten upgrades, two legs each, and nothing else");
    for n in (0..30).step_by(3) {
        let lost = joined.exchange(n, 1);
        assert_eq!((&lost["mechanism"], &lost["protocol"]), (&"none".into(), &().into()));
        assert_eq!(joined.exchange(n, 0)["mechanism"], "http1-upgrade");
        let rule = joined.rule(n);
        assert!(rule.starts_with("hop-stripped-"), "{n}: {rule}");
        joined.blames(n, "hop", &HOP);
        let hop = &joined.chain(n)["hops"][0];
        assert_eq!([&hop["upgrade_kept"], &hop["connection_kept"], &hop["key_kept"]], [false; 3]);
    }
}

#[test]
fn a_hop_that_tries_a_second_backend_makes_a_tree() {
    for first in [unavailable(), Way::Reset] {
        let joined = Joined::read(retried(&first), &[]);
        joined.joins_all();
        for n in 0..12 {
            assert_eq!((joined.rule(n), &joined.chain(n)["outcome"]), ("ok", &"upgraded".into()));
            assert!(joined.findings(n).contains(&("hop-retried", "warning")), "{:?}", joined.findings(n));
            assert_eq!(joined.exchange(n, 1)["server"]["ip"], "192.0.2.21");
        }
    }
}

#[test]
fn a_backend_that_refuses_the_connection_is_no_leg_of_the_journey_that_went_elsewhere() {
    let joined = Joined::read(retried(&Way::NobodyListens), &[]);
    joined.joins_all();
    for n in 0..12 {
        assert_eq!((joined.rule(n), &joined.chain(n)["outcome"]), ("ok", &"upgraded".into()));
    }
}

#[test]
fn a_second_round_of_the_client_is_a_journey_of_its_own() {
    let joined = Joined::read(second_rounds(), &[]);
    joined.joins_all();
    let statuses = |n: usize| [0, 1].map(|leg| joined.exchange(n, leg)["response"]["status"].as_u64().unwrap());
    assert_eq!([0, 1, 2, 3].map(statuses), [[401; 2], [101; 2], [307; 2], [101; 2]]);
    let outcomes = [0, 1, 2, 3].map(|n| joined.chain(n)["outcome"].as_str().unwrap());
    assert_eq!(outcomes, ["refused", "upgraded", "redirected", "upgraded"]);
    assert!(!joined.has_finding("hop-retried"), "the client tried again, not the hop");
}

#[test]
fn a_key_that_comes_again_later_begins_another_journey() {
    let joined = Joined::read(replayed(), &[]);
    joined.joins_all();
    assert!(!joined.has_finding("hop-retried") && !joined.has_finding("join-ambiguous"));
    assert!(joined.has_finding("req-key-constant"));
}

#[test]
fn the_wrong_one_of_ten_backends_is_blamed_and_is_what_the_failures_share() {
    let joined = Joined::read(ten_backends(), &[]);
    joined.joins_all();
    for n in 0..100 {
        if n * 7 % 10 == 7 {
            assert_eq!(joined.rule(n), "refused-500", "{n}");
            joined.blames(n, "server", &["192.0.2.37"]);
        } else {
            assert_eq!(joined.rule(n), "ok", "{n}");
        }
    }
    let patterns = list(&joined.report["patterns"]);
    let pattern = patterns.iter().find(|p| p["field"] == "server").expect("what they share is the server");
    assert_eq!((&pattern["value"], &pattern["chains"]), (&"192.0.2.37:8080".into(), &10.into()));
    assert_eq!([&pattern["failed_share"], &pattern["others_failed_share"]], [1.0, 0.0]);
}

#[test]
fn a_hop_that_the_user_names_has_its_name_and_all_its_addresses() {
    let joined = Joined::read(two_faces(), &["--hop", "edge=203.0.113.9,203.0.113.10:80,192.0.2.2"]);
    joined.joins_all();
    let names = [0, 1, 2].map(|n| joined.chain(n)["hops"][0]["name"].clone());
    assert_eq!(names, ["edge".into(), "edge".into(), serde_json::Value::Null]);
    let named: Vec<_> = list(&joined.report["intermediaries"]).iter().filter(|i| i["name"] == "edge").collect();
    assert_eq!(named.len(), 1, "one intermediary with all addresses");
    let addresses: BTreeSet<_> = list(&named[0]["addresses"]).iter().map(|a| a.as_str().unwrap()).collect();
    // An address that was named with a port is that address and port.
    assert!(addresses.is_superset(&BTreeSet::from(["203.0.113.9", "192.0.2.2"])), "{addresses:?}");
    assert!(addresses.iter().any(|a| a.starts_with("203.0.113.10")), "{addresses:?}");
    assert_eq!(named[0]["chains"], 2);
}
