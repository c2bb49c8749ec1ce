//! What looks like the next leg and is none, what looks unlike and is one, and what must not matter:
//! the order of the inputs, the format, the moment at which a capture begins.

use crate::joins::{
    BACKEND, HOP, LISTEN, UPSTREAM, asked, client, one_key_for_all, scattered, shared_upstream, two_hops,
    two_hundred_clients,
};
use crate::joins_ways::{all_is_lost, gateway, replayed, retried};
use crate::support::hop::Edit;
use crate::support::joined::{Joined, list};
use crate::support::journey::{Forward, Net, Way};
use crate::support::vantage::{Made, Place};

/// Servers that open a WebSocket to somebody else, for their own ends, before they answer.
fn own_calls() -> Made {
    const ASKS: &str = "GET /v2/events?topic=42 HTTP/1.1\nHost: events.internal\nUpgrade: websocket\n\
                        Connection: Upgrade\nSec-WebSocket-Key: x\nSec-WebSocket-Version: 13\n\
                        User-Agent: Go-http-client/1.1";
    let mut net = Net::default();
    for n in 0..10 {
        let request = asked(&format!("client {n}")).with("User-Agent", "Mozilla/5.0").with("Cookie", &format!("s={n}"));
        let way = Way::through("203.0.113.9", BACKEND, &[Edit::Instead(ASKS), Edit::NewKey]);
        let journey = net.visit(&client(n), LISTEN, n as u64 * 15_000, &request, &way);
        net.part_last_leg(journey);
    }
    net.capture()
}

/// The addresses of a second hop beside the first.
const BESIDE: [&str; 2] = ["203.0.113.19:80", "192.0.2.12"];

/// Two hops side by side before one backend. All clients have one key, and while one hop works for one
/// of them, the other serves another: each leg upstream lies within both clients' legs, and whose client
/// asked first asks last upstream. Only in the beginning and at the end each hop is alone (`rounds` more
/// than `together`).
fn side_by_side(rounds: usize, together: usize) -> Made {
    let mut net = Net::default();
    let slow = |from, takes_us| Way::On(vec![Forward { takes_us, ..Forward::new(from, BACKEND, &[], Way::Backend) }]);
    for n in 0..rounds {
        let at_us = n as u64 * 60_000;
        if n < (rounds + together) / 2 {
            net.visit(&client(n), LISTEN, at_us, &asked("everybody"), &slow(UPSTREAM, 5_000));
        }
        if n >= (rounds - together) / 2 {
            net.visit(&client(n + 100), BESIDE[0], at_us + 1_000, &asked("everybody"), &slow(BESIDE[1], 3_800));
        }
    }
    net.capture()
}

/// Fifty clients of one address with one key: their ports alone tell them apart, if the hop names them.
fn behind_one_address(edits: &[Edit]) -> Made {
    let mut net = Net::default();
    for n in 0..50 {
        let one = Forward::new(UPSTREAM, BACKEND, edits, Way::Backend);
        let forward = Forward { takes_us: 100 + scattered(n, 20_000), ..one };
        let client = format!("198.51.100.7:{}", 40_000 + n);
        net.visit(&client, LISTEN, n as u64 * 300, &asked("everybody"), &Way::On(vec![forward]));
    }
    net.capture()
}

/// Clients on a connection upstream that was open before the capture began.
fn begun_late() -> Made {
    let mut net = Net::default();
    let kept = net.keep(UPSTREAM, BACKEND, 0, 1);
    let other = net.keep(UPSTREAM, "192.0.2.21:8080", 0, 1);
    for n in 0..10 {
        let (over, then) = match n {
            9 => (kept, Way::Backend),
            _ if n % 2 == 0 => (kept, Way::Answer("HTTP/1.1 403 Forbidden", "no")),
            _ => (other, Way::Answer("HTTP/1.1 404 Not Found", "nothing")),
        };
        let way = Way::over(over, &[Edit::ForwardedFor], then);
        net.visit(&client(n), LISTEN, 10_000 + n as u64 * 3_000, &asked(&format!("client {n}")), &way);
    }
    net.captures(&[Place::of("all.pcap", &[]).since_us(5_000)])
}

/// The same requests through the same hop, apart by what a client sends along and the hop passes on.
fn told_apart_by(field: &str) -> Made {
    let mut net = Net::default();
    for n in 0..50 {
        let one = Forward::new(UPSTREAM, BACKEND, &[Edit::NewKey], Way::Backend);
        let forward = Forward { takes_us: 100 + scattered(n, 20_000), ..one };
        let value = match field {
            "traceparent" => format!("00-{n:032x}-00f067aa0ba902b7-01"),
            "Cookie" => format!("theme=dark; session={n:08x}"),
            _ => format!("id-{n:08x}"),
        };
        let request = asked(&format!("client {n}")).with(field, &value);
        net.visit(&client(n), LISTEN, n as u64 * 300, &request, &Way::On(vec![forward]));
    }
    net.capture()
}

/// Clients over IPv6, a hop that speaks IPv4 to its backend; one key for all.
fn two_families() -> Made {
    let mut net = Net::default();
    for n in 0..20 {
        let one = Forward::new(UPSTREAM, BACKEND, &[Edit::ForwardedFor], Way::Backend);
        let forward = Forward { takes_us: 100 + scattered(n, 20_000), ..one };
        let client = format!("[2001:db8:7::{n:x}]:{}", 40_000 + n);
        net.visit(&client, "[2001:db8:9::9]:80", n as u64 * 300, &asked("everybody"), &Way::On(vec![forward]));
    }
    net.capture()
}

/// The backend runs on the hop's own machine: nothing but loopback stands on the second leg.
fn over_loopback(edits: &[Edit]) -> Made {
    let mut net = Net::default();
    for n in 0..20 {
        let way = Way::through("127.0.0.1", "127.0.0.1:8080", edits);
        net.visit(&client(n), LISTEN, n as u64 * 2_500, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

/// Clients that leave before the backend has answered; and after them others, for whom the hop gives up.
fn answered_too_late() -> Made {
    let mut net = Net::default();
    net.patience_us(Some(20_000));
    for n in 0..10 {
        let way = Way::on(UPSTREAM, BACKEND, &[Edit::ForwardedFor], Way::Late(500_000));
        net.visit(&client(n), LISTEN, n as u64 * 1_700, &asked(&format!("client {n}")), &way);
    }
    net.patience_us(None);
    for n in 10..20 {
        let way = Way::on(UPSTREAM, BACKEND, &[Edit::ForwardedFor], Way::Silent(3_000_000));
        net.visit(&client(n), LISTEN, n as u64 * 1_700, &asked(&format!("client {n}")), &way);
    }
    net.capture()
}

/// Every capture in which all can be joined.
fn all_sorts() -> Vec<(&'static str, Made)> {
    vec![
        ("two hundred clients", two_hundred_clients()),
        ("two hops", two_hops(&[Edit::ForwardedFor], &[Edit::StripUpgrade])),
        ("shared upstream", shared_upstream()),
        ("gateway", gateway()),
        ("all is lost", all_is_lost()),
        ("retried", retried(&Way::Reset)),
        ("replayed", replayed()),
    ]
}

#[test]
fn every_capture_holds_the_traps_that_it_says() {
    for (name, made, journeys, legs) in [
        ("own calls", own_calls(), 20, 20),
        ("side by side", side_by_side(20, 14), 34, 68),
        ("side by side, once", side_by_side(1, 1), 2, 4),
        ("Forwarded", behind_one_address(&[Edit::Forwarded]), 50, 100),
        ("PROXY", behind_one_address(&[Edit::ProxyHeader]), 50, 100),
        ("begun late", begun_late(), 10, 20),
        ("told apart", told_apart_by("X-Request-ID"), 50, 100),
        ("two families", two_families(), 20, 40),
        ("loopback", over_loopback(&[]), 20, 40),
        ("too late", answered_too_late(), 20, 40),
    ] {
        assert_eq!(made.journeys.len(), journeys, "{name}");
        assert_eq!(made.journeys.iter().map(|j| j.legs.len()).sum::<usize>(), legs, "{name}");
        Joined::read(made, &[]).holds_what_was_made();
    }
}

#[test]
fn legs_upstream_of_hops_side_by_side_lie_within_the_legs_of_both_clients() {
    let made = side_by_side(20, 14);
    // Journeys 3 and 4 are the first that are together.
    let begins = |journey: usize, leg: usize| made.begins[journey][leg][0].1;
    let order = [begins(3, 0), begins(4, 0), begins(4, 1), begins(3, 1)];
    assert!(order.is_sorted(), "{order:?}");
    let joined = Joined::read(made, &[]);
    let answered = |journey: usize, leg: usize| joined.exchange(journey, leg)["response"]["packet"].as_u64().unwrap();
    let last_upstream = answered(3, 1).max(answered(4, 1));
    assert!(last_upstream < answered(3, 0).min(answered(4, 0)));
}

#[test]
fn the_second_leg_shows_the_address_in_a_proxy_header() {
    let joined = Joined::read(behind_one_address(&[Edit::ProxyHeader]), &[]);
    assert_eq!(joined.exchange(9, 1)["via"], serde_json::json!(["proxy-protocol v1"]));
    assert!(joined.exchange(9, 0)["via"] == serde_json::json!([]));
}

#[test]
fn connections_upstream_began_before_the_capture() {
    let joined = Joined::read(begun_late(), &[]);
    let first = joined.report["inputs"][0]["first"].as_str().unwrap();
    let asked = joined.exchange(0, 0)["request"]["at"].as_str().unwrap();
    assert!(first < asked && joined.report["counters"]["flows"] == 12);
    assert_eq!(joined.exchange(9, 1)["flow"], joined.exchange(0, 1)["flow"]);
}

#[test]
fn a_server_that_calls_another_service_for_its_own_ends_is_no_hop() {
    let joined = Joined::read(own_calls(), &[]);
    joined.holds_what_was_made();
    joined.joins_all();
}

#[test]
fn two_hops_side_by_side_are_told_apart_by_their_addresses() {
    let joined = Joined::read(side_by_side(20, 14), &[]);
    joined.joins_all();
    for n in 0..joined.made.journeys.len() {
        let chain = joined.chain(n);
        let slow = joined.exchange(n, 0)["server"]["ip"] == HOP[0];
        assert_eq!(list(&chain["hops"][0]["addresses"])[1], if slow { UPSTREAM } else { BESIDE[1] });
    }
}

#[test]
fn what_is_ambiguous_is_not_once_the_user_says_whose_the_addresses_are() {
    let alone = Joined::read(side_by_side(1, 1), &[]);
    alone.joins_nothing_wrong();
    assert!(alone.has_finding("join-ambiguous"));
    let hops = ["--hop", "slow=203.0.113.9,192.0.2.2", "--hop", "beside=203.0.113.19,192.0.2.12"];
    let joined = Joined::read(side_by_side(1, 1), &hops);
    joined.joins_all();
    assert_eq!([0, 1].map(|n| joined.chain(n)["hops"][0]["name"].as_str().unwrap()), ["slow", "beside"]);
}

#[test]
fn clients_of_one_address_are_joined_by_the_port_that_the_hop_names() {
    for edits in [[Edit::Forwarded], [Edit::ProxyHeader]] {
        Joined::read(behind_one_address(&edits), &[]).joins_all();
    }
}

#[test]
fn clients_of_one_address_and_one_key_are_ambiguous_to_a_hop_that_names_the_address_alone() {
    let joined = Joined::read(behind_one_address(&[Edit::ForwardedFor]), &[]);
    joined.joins_nothing_wrong();
    assert!(joined.has_finding("join-ambiguous"));
}

#[test]
fn whatever_a_client_alone_sends_along_tells_it_apart() {
    for field in ["X-Request-ID", "traceparent", "Cookie", "Authorization", "Sec-WebSocket-Protocol"] {
        Joined::read(told_apart_by(field), &[]).joins_all();
    }
}

#[test]
fn connections_upstream_that_were_open_before_the_capture_are_joined() {
    let joined = Joined::read(begun_late(), &[]);
    joined.joins_all();
    assert_eq!(joined.rule(9), "ok");
}

#[test]
fn a_hop_between_two_families_of_addresses_is_joined() {
    let joined = Joined::read(two_families(), &[]);
    joined.joins_all();
    assert_eq!(joined.chain(7)["hops"][0]["addresses"], serde_json::json!(["2001:db8:9::9", UPSTREAM]));
}

#[test]
fn a_leg_over_loopback_is_joined_though_no_address_of_the_hop_stands_on_it() {
    Joined::read(over_loopback(&[]), &[]).joins_all();
    let joined = Joined::read(over_loopback(&[Edit::StripUpgrade]), &[]);
    joined.joins_all();
    (0..20).for_each(|n| joined.blames(n, "hop", &[HOP[0], "127.0.0.1"]));
}

#[test]
fn a_leg_that_was_answered_too_late_or_never_is_joined() {
    let joined = Joined::read(answered_too_late(), &[]);
    joined.joins_all();
    for n in 0..20 {
        let outcome = if n < 10 { "unanswered" } else { "refused" };
        assert_eq!(joined.chain(n)["outcome"], outcome, "as the client saw it");
        let upstream = &joined.exchange(n, 1)["response"];
        assert_eq!(upstream["status"] == 101, n < 10, "{upstream}");
    }
}

#[test]
fn the_order_of_the_inputs_does_not_matter() {
    for ahead_ms in [0, 137_000, -600_000] {
        for swapped in [false, true] {
            let made = {
                let mut net = Net::default();
                for n in 0..20 {
                    let way = Way::through(UPSTREAM, BACKEND, &[Edit::StripUpgrade, Edit::ForwardedFor]);
                    net.visit(&client(n), LISTEN, n as u64 * 90_000, &asked(&format!("client {n}")), &way);
                }
                let mut places = [Place::of("a.pcap", &[0]), Place::of("b.pcap", &[1]).ahead_ms(ahead_ms)];
                if swapped {
                    places.reverse();
                }
                net.captures(&places)
            };
            let joined = Joined::read(made, &[]);
            joined.joins_all();
            (0..20).for_each(|n| joined.blames(n, "hop", &HOP));
            let offset = |input: usize| joined.report["inputs"][input]["clock_offset_ns"].as_i64().unwrap();
            let ahead = if swapped { ahead_ms } else { -ahead_ms } * 1_000_000;
            assert!((offset(1) - offset(0) - ahead).abs() < 50_000_000, "{ahead_ms} ms, {swapped}");
        }
    }
}

#[test]
fn what_is_streamed_is_joined_as_what_is_collected() {
    for (name, made) in all_sorts() {
        println!("{name}");
        let (collected, streamed) = (made.report(&[]), made.streamed());
        let streamed = Joined::with(made, streamed);
        streamed.joins_all();
        for n in (0..streamed.made.journeys.len()).filter(|n| !streamed.made.journeys[*n].plain) {
            let chain = streamed.chain(n);
            let same = list(&collected["chains"]).iter().find(|c| c["id"] == chain["id"]).expect("the same chain");
            assert_eq!(chain["outcome"], same["outcome"]);
            assert_eq!(chain["verdict"]["rule"], same["verdict"]["rule"], "{name}: {chain}");
        }
    }
}

#[test]
fn the_same_captures_give_the_same_report() {
    let mut made = all_sorts();
    made.push(("one key", one_key_for_all(&[])));
    for (name, made) in made {
        let first = made.report(&[]);
        assert!((0..3).all(|_| made.report(&[]) == first), "{name}");
    }
}

#[test]
fn what_is_streamed_holds_the_same_exchanges() {
    for (_, made) in all_sorts() {
        let streamed = made.streamed();
        Joined::with(made, streamed).holds_what_was_made();
    }
}

#[test]
fn a_request_of_another_head_shares_nothing_with_the_clients() {
    let joined = Joined::read(own_calls(), &[]);
    let [mine, own] = [0, 1].map(|n| {
        let fields = joined.exchange(n, 0)["request"]["fields"].clone();
        list(&fields).iter().map(|f| f.to_string()).collect::<Vec<_>>()
    });
    let shared: Vec<_> = mine.iter().filter(|f| own.contains(f)).collect();
    assert_eq!(shared.len(), 3, "what every upgrade has: {shared:?}");
}
