//! However a stream's bytes are cut into segments, swapped, repeated and overlapped on their way into
//! the capture: the exchanges are the same.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run;
use crate::support::script::{self, Script, Segment, Side};
use crate::support::shape;

/// What it is compared with: the same conversation, untouched.
static WHOLE: LazyLock<Value> = LazyLock::new(|| {
    let whole = exchanges(&capture(&conversation()));
    assert_eq!(whole["exchanges"].as_array().map(Vec::len), Some(3), "{whole:#}");
    assert_eq!(whole["http_requests"], 5);
    whole
});

proptest! {
    // Each case starts the program.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_exchanges(sizes in prop::collection::vec(1_usize..200, 1..12)) {
        let cut = shape::split(conversation(), &sizes);
        prop_assert_eq!(exchanges(&capture(&cut)), WHOLE.clone());
    }

    #[test]
    fn any_reordering_duplication_and_overlap_gives_the_same_exchanges(
        sizes in prop::collection::vec(1_usize..200, 1..8),
        back in prop::collection::vec(0_u8..60, 1..8),
        twice in prop::collection::vec(any::<bool>(), 0..60),
        swaps in prop::collection::vec(0_u8..4, 0..80),
    ) {
        let shaped = shape::split(conversation(), &sizes);
        let shaped = shape::overlap(shaped, &back);
        let shaped = shape::duplicate(shaped, &twice);
        let shaped = shape::reorder(shaped, &swaps);
        prop_assert_eq!(exchanges(&capture(&shaped)), WHOLE.clone());
    }
}

#[test]
fn one_byte_a_segment_gives_the_same_exchanges() {
    assert_eq!(exchanges(&capture(&shape::split(conversation(), &[1]))), *WHOLE);
}

// Two that proptest found, kept because they are what captures on busy machines look like.

#[test]
fn an_answer_captured_before_the_end_of_its_request_gives_the_same_exchanges() {
    let shaped = shape::overlap(shape::split(conversation(), &[31, 42, 119, 117, 22]), &[1]);
    let shaped = shape::duplicate(shaped, &[false, false, false, false, true, true]);
    let swaps = [
        0, 0, 0, 0, 0, 1, 2, 3, 1, 0, 0, 2, 2, 3, 1, 0, 2, 3, 1, 1, 0, 3, 1, 2, 2, 1, 2, 3, 1, 3, 0, 1, 3, 0, 3, 2, 0,
        1, 0, 0, 2, 1, 1, 2, 1, 1, 1, 2, 0, 1, 2, 2,
    ];
    assert_eq!(exchanges(&capture(&shape::reorder(shaped, &swaps))), *WHOLE);
}

/// A segment sent again carries the acknowledgement of its own time: its bytes wait for server bytes
/// that were sent after the server had read these very bytes.
#[test]
fn bytes_sent_again_with_a_newer_acknowledgement_give_the_same_exchanges() {
    let shaped = shape::overlap(shape::split(conversation(), &[72, 78]), &[5]);
    let shaped = shape::duplicate(shaped, &[false, false, false, false, true, true, true, true, true]);
    let swaps: Vec<u8> = std::iter::repeat_n(0, 37).chain([2, 1, 1, 1, 1, 3]).collect();
    assert_eq!(exchanges(&capture(&shape::reorder(shaped, &swaps))), *WHOLE);
}

/// Keep-alive requests with bodies of both kinds, an interim response, a refusal and a success on one
/// connection; a stripped request on another.
fn conversation() -> Vec<Segment> {
    let key = "q83vASNFZ4mrze8BI0VniQ==";
    let main = Script::flow()
        .head(Side::Client, "GET /a.txt HTTP/1.1\nHost: chat.example.org")
        .head(Side::Server, "HTTP/1.1 200 OK\nContent-Length: 300")
        .server([b'x'; 300])
        .head(Side::Client, "POST /b HTTP/1.1\nHost: chat.example.org\nTransfer-Encoding: chunked")
        .client("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n")
        .head(Side::Server, "HTTP/1.1 100 Continue")
        .head(Side::Server, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked")
        .server("3\r\nabc\r\n0\r\n\r\n")
        .head(Side::Client, &script::upgrade_request(key))
        .head(Side::Server, "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic\nContent-Length: 4")
        .server("nope")
        .upgrade(key)
        .frame(Side::Server, 1, b"welcome")
        .frame(Side::Client, 2, &[7; 300])
        .frame(Side::Server, 9, b"ping")
        .frame(Side::Client, 10, b"ping")
        .goodbye();
    let stripped = Script::between("198.51.100.8:40001", "203.0.113.9:80")
        .head(
            Side::Client,
            "GET /chat HTTP/1.0\nHost: chat.example.org\nConnection: close\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\n\
             Sec-WebSocket-Version: 13",
        )
        .head(Side::Server, "HTTP/1.0 426 Upgrade Required\nUpgrade: websocket\nContent-Length: 2")
        .server("no")
        .fin(Side::Server)
        .fin(Side::Client);
    script::together([main, stripped])
}

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

/// The exchanges of a report without packet numbers, times and what follows from them.
fn exchanges(capture: &[u8]) -> Value {
    let report = run::report_on_bytes(capture);
    let head = |h: &Value| json!([h["method"], h["target"], h["status"], h["reason"], h["version"], h["fields"]]);
    let list = report["exchanges"].as_array().expect("a list of exchanges");
    // Which flow's request came first may depend on the order of packets.
    let mut exchanges: Vec<Value> = list
        .iter()
        .map(|x| {
            json!({
                "client": x["client"], "server": x["server"], "mechanism": x["mechanism"], "protocol": x["protocol"],
                "request": head(&x["request"]), "interim": x["interim"], "response": head(&x["response"]),
                "handshake": x["handshake"], "outcome": x["outcome"], "websocket": x["websocket"],
                "end": [x["end"]["by"], x["end"]["how"], x["end"]["close_code"], x["end"]["close_reason"]],
            })
        })
        .collect();
    exchanges.sort_by_key(|x| x["client"].to_string());
    json!({
        "exchanges": exchanges,
        "flows": report["counters"]["flows"],
        "http_requests": report["counters"]["http_requests"],
        "http_responses": report["counters"]["http_responses"],
    })
}
