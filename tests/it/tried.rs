//! Connections that a hop tried in vain, where its address towards its backends is not known.

use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Side, head, together, upgrade_request};

const KEYS: [&str; 2] = ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA=="];

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
