//! Connections that a hop tried in vain, where its address towards its backends is not known.

use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Side, head, together, upgrade_request};

const KEYS: [&str; 3] = ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA==", "aG9wc2NvcGUtdGVzdGtleQ=="];

#[test]
fn two_dead_backends_at_once_are_told_each_by_whose_client_was_answered() {
    let asked = |n: usize, after_ms: u64, answered_ms: u64| {
        let client = format!("198.51.100.{}:40000", n + 7);
        Script::midstream(&client, "203.0.113.9:80")
            .wait_ms(after_ms)
            .handshake()
            .client(head(&upgrade_request(KEYS[n])))
            .wait_ms(answered_ms)
            .server(head("HTTP/1.1 502 Bad Gateway\nContent-Length: 0"))
    };
    let tried = |server: &str, after_ms: u64| {
        Script::midstream("192.0.2.10:50000", server).wait_ms(after_ms).syn().wait_ms(1).rst(Side::Server)
    };
    // Both wait while either try fails; who asked first is answered last.
    let segments =
        together([asked(0, 0, 30), asked(1, 5, 5), tried("192.0.2.21:8080", 7), tried("192.0.2.22:8080", 26)]);
    let bytes = Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet));
    let report = report_on_bytes(&bytes);
    let chains = report["chains"].as_array().expect("chains");
    assert_eq!(chains.len(), 2);
    for (chain, (server, confidence)) in
        chains.iter().zip([("192.0.2.22:8080", "likely"), ("192.0.2.21:8080", "possible")])
    {
        assert_eq!(chain["verdict"]["rule"], "backend-refused", "{chain:#}");
        let of = |finding: &&Value| finding["rule"] == "backend-refused" && finding["subject"]["id"] == chain["id"];
        let found = report["findings"].as_array().and_then(|all| all.iter().find(of)).expect("a finding");
        assert!(found["message"].as_str().is_some_and(|said| said.contains(server)), "{found:#}");
        assert_eq!(found["confidence"], confidence, "while one alone waits, it is likely");
    }
}

#[test]
fn of_tries_at_one_time_each_request_that_waited_gets_one() {
    let asked = |n: usize, answered_ms: u64| {
        Script::midstream(&format!("198.51.100.7:{}", 40_000 + n), "203.0.113.9:80")
            .wait_ms(n as u64)
            .handshake()
            .client(head(&upgrade_request(KEYS[n])))
            .wait_ms(answered_ms)
            .server(head("HTTP/1.1 502 Bad Gateway\nContent-Length: 0"))
    };
    let tried = |port: u16, after_ms: u64| {
        Script::midstream(&format!("203.0.113.9:{port}"), "192.0.2.21:8080").wait_ms(after_ms).syn().rst(Side::Server)
    };
    // The first try is behind three requests, the last is begun while the first client is told.
    let tries = [tried(50_000, 8), tried(50_001, 14), tried(50_002, 15)];
    let segments = together([asked(0, 10), asked(1, 14), asked(2, 14)].into_iter().chain(tries));
    let bytes = Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet));
    let report = report_on_bytes(&bytes);
    let rules: Vec<&Value> =
        report["chains"].as_array().expect("chains").iter().map(|chain| &chain["verdict"]["rule"]).collect();
    assert_eq!(rules, ["backend-refused"; 3]);
}

/// The verdict on one request that HAProxy refused, `asked_ms` behind the first of two checks of its backend; the
/// connection behind them is accepted or not.
fn behind_checks(asked_ms: u64, alive: bool) -> Value {
    let check = |port: u16, after_ms: u64| {
        Script::midstream(&format!("192.0.2.10:{port}"), "192.0.2.21:8080").wait_ms(after_ms)
    };
    let refused = |port: u16, after_ms: u64| check(port, after_ms).syn().wait_ms(1).rst(Side::Server);
    let third = if alive { check(50_002, 4_000).handshake().rst(Side::Client) } else { refused(50_002, 4_000) };
    let asked = Script::midstream("198.51.100.7:40000", "203.0.113.9:80")
        .wait_ms(asked_ms)
        .handshake()
        .client(head(&upgrade_request(KEYS[0])))
        .server(head("HTTP/1.0 503 Service Unavailable\ncache-control: no-cache"));
    let checks = [refused(50_000, 0), refused(50_001, 2_000), third];
    let segments = together(checks.into_iter().chain([asked]));
    let bytes = Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet));
    let report = report_on_bytes(&bytes);
    let chains = report["chains"].as_array().expect("chains");
    chains.iter().find(|chain| chain["id"].as_i64() > Some(0)).expect("a chain of a request")["verdict"].clone()
}

#[test]
fn checks_that_failed_before_explain_what_a_proxy_refused_without_a_try() {
    let verdict = behind_checks(5_000, false);
    assert_eq!(verdict["rule"], "backend-refused", "{verdict:#}");
    assert_eq!(verdict["blame"]["address"], "192.0.2.21");
    let said = verdict["summary"].as_str().expect("words");
    assert!(said.contains("answered its client 503 1.0 s later without another try"), "{said}");
    for (asked_ms, alive) in [(5_000, true), (40_000, false)] {
        let verdict = behind_checks(asked_ms, alive);
        assert_eq!(verdict["rule"], "refused-503", "one succeeded since, or it is long ago: {verdict:#}");
    }
}

#[test]
fn a_refused_check_of_a_hop_whose_upgrades_went_well_is_a_warning() {
    let granted = format!(
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {}",
        hopscope::wire::accept::expected(KEYS[0].as_bytes())
    );
    let leg = |client: &str, server: &str, after_ms: u64, answered_ms: u64| {
        Script::midstream(client, server)
            .wait_ms(after_ms)
            .handshake()
            .client(head(&upgrade_request(KEYS[0])))
            .wait_ms(answered_ms)
            .server(head(&granted))
    };
    let near = leg("198.51.100.7:40000", "203.0.113.9:80", 0, 20);
    let far = leg("192.0.2.10:50000", "192.0.2.21:8080", 5, 5);
    let check =
        |client: &str| Script::midstream(client, "192.0.2.22:8080").wait_ms(500).syn().wait_ms(1).rst(Side::Server);
    let severity = |check: Script| {
        let segments = together([near.clone(), far.clone(), check]);
        let bytes = Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet));
        let report = report_on_bytes(&bytes);
        let refused = |chain: &&Value| chain["verdict"]["rule"] == "connect-refused";
        let chain = report["chains"].as_array().and_then(|all| all.iter().find(refused)).expect("a refused connection");
        chain["verdict"]["severity"].clone()
    };
    assert_eq!(severity(check("192.0.2.10:50001")), "warning", "its upgrades in view all went elsewhere");
    assert_eq!(severity(check("198.51.100.8:50001")), "error", "a client");
}

#[test]
fn a_refused_connection_seen_on_both_sides_of_address_translation_is_told_once() {
    let refused = |client: &str, server: &str, after_ms: u64| {
        Script::midstream(client, server).wait_ms(after_ms).syn().wait_ms(3).rst(Side::Server)
    };
    let servers = |segments: Vec<_>| -> Vec<Value> {
        let report = report_on_bytes(&Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet)));
        let chains = report["chains"].as_array().expect("chains").iter();
        chains.map(|chain| chain["verdict"]["blame"]["address"].clone()).collect()
    };
    let outer = || refused("198.51.100.7:40000", "203.0.113.9:80", 0);
    let inner = "172.17.0.2:8000";
    assert_eq!(servers(together([outer(), refused("198.51.100.7:40000", inner, 1)])), ["172.17.0.2"]);
    for other in [refused("198.51.100.7:40001", inner, 1), refused("198.51.100.7:40000", inner, 900)] {
        assert_eq!(servers(together([outer(), other])), ["203.0.113.9", "172.17.0.2"], "another port, or later");
    }
}
