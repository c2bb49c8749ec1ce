//! A leg that was captured on both sides of a box which drops what passes it.

use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Side, head, together, upgrade_request, upgrade_response};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// On the client's side of the box, and behind it.
const SERVERS: [&str; 2] = ["203.0.113.9:80", "192.0.2.30:8080"];
/// A text message.
const TEXT: u8 = 1;

/// One side of the box: the request, and the answer as long after it as it takes from there.
fn side(which: usize) -> Script {
    Script::midstream("198.51.100.7:40000", SERVERS[which])
        .wait_ms(which as u64)
        .handshake()
        .client(head(&upgrade_request(KEY)))
        .wait_ms(if which == 0 { 5 } else { 2 })
}

fn answered(which: usize) -> Script {
    side(which).server(head(&upgrade_response(KEY)))
}

/// The one verdict on a leg that looks like this on the two sides, in a capture that goes on for a minute.
fn verdict(near: Script, far: Script) -> Value {
    let last = Script::midstream("198.51.100.8:40000", "203.0.113.10:25").wait_ms(60_000).handshake();
    let segments = together([near, far, last]);
    let report = report_on_bytes(&Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet)));
    let chains = report["chains"].as_array().expect("chains");
    assert_eq!(chains.len(), 1, "one leg, captured twice: {chains:#?}");
    chains[0]["verdict"].clone()
}

fn is_lost(verdict: &Value, said: &str) {
    assert_eq!(verdict["rule"], "lost-between", "{verdict:#}");
    assert_eq!((&verdict["blame"]["role"], &verdict["blame"]["address"]), (&"unknown".into(), &Value::Null));
    assert!(verdict["summary"].as_str().is_some_and(|words| words.starts_with(said)), "{verdict:#}");
}

#[test]
fn an_answer_that_never_came_out_of_the_box_is_told() {
    let gave_up = side(0).wait_ms(5_000).fin(Side::Client);
    is_lost(&verdict(gave_up, answered(1)), "The answer was captured near the server and never came");
    let left_at_once = side(0).fin(Side::Client);
    assert_ne!(verdict(left_at_once, answered(1))["rule"], "lost-between");
}

#[test]
fn frames_that_were_sent_again_and_never_came_out_of_the_box_are_told_in_either_direction() {
    let said = |which: usize| answered(which).frame(Side::Client, TEXT, b"hello").wait_ms(4_000);
    is_lost(
        &verdict(said(0).unheard(Side::Client, "x", 5), said(1)),
        "After 4.0 s of silence the last frame of the client was captured near",
    );
    is_lost(
        &verdict(said(0), said(1).unheard(Side::Server, "x", 5)),
        "After 4.0 s of silence the last frame of the server was captured near",
    );
}

#[test]
fn what_came_to_both_places_and_what_was_sent_once_are_not() {
    let said = |which: usize| answered(which).frame(Side::Client, TEXT, b"hello").wait_ms(4_000);
    let both = verdict(said(0).unheard(Side::Client, "x", 5), said(1).unheard(Side::Client, "x", 5));
    assert_ne!(both["rule"], "lost-between", "nobody heard it behind the second place");
    let once = verdict(said(0).frame(Side::Client, TEXT, b"again"), said(1));
    assert_ne!(once["rule"], "lost-between", "the capture may have missed it");
}
