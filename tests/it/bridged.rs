//! Applications that accept their client's WebSocket and then open one of their own for it.

use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Side, together};

const KEYS: [&str; 2] = ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA=="];

/// The chains of a client's leg, granted at once, and of one that begins behind it with another key, where these are
/// said.
fn chains([asked, passed_on]: [&str; 2], [answered, came]: [&str; 2]) -> Vec<Value> {
    let leg = |script: Script, key: &str, said: &str, heard: &str| {
        let asked = script.handshake().upgrade(key).frame(Side::Client, 1, said.as_bytes());
        asked.wait_ms(10).frame(Side::Server, 1, heard.as_bytes())
    };
    let near = Script::midstream("198.51.100.7:40000", "203.0.113.9:80");
    let near = leg(near, KEYS[0], asked, answered).wait_ms(30).goodbye();
    let far = Script::midstream("203.0.113.9:50000", "192.0.2.21:8080").wait_ms(20);
    let far = leg(far, KEYS[1], passed_on, came).wait_ms(30).goodbye();
    let bytes = Format::pcap(Link::Ethernet).write(&link::packets(&together([near, far]), Link::Ethernet));
    report_on_bytes(&bytes)["chains"].as_array().expect("chains").clone()
}

#[test]
fn legs_that_carry_the_same_are_joined_though_the_first_was_granted_before_the_second_began() {
    let joined = chains(["subscribe to the news", "subscribe to the news"], ["the news", "the news"]);
    assert_eq!(joined.len(), 1, "{joined:#?}");
    assert_eq!((&joined[0]["legs"].as_array().map(Vec::len), &joined[0]["verdict"]["rule"]), (&Some(2), &"ok".into()));
}

#[test]
fn legs_that_carry_other_things_are_two_chains() {
    assert_eq!(chains(["subscribe to the news", "subscribe to sports"], ["the news", "the news"]).len(), 2);
    assert_eq!(chains(["subscribe to the news", "subscribe to the news"], ["the news", "the sports"]).len(), 2);
}
