//! WebSockets whose handshake is not in the capture are known by their frames, and nothing else is taken
//! for one.
#![allow(clippy::use_debug, clippy::cast_possible_truncation, reason = "a failing test prints what it found")]

use hopscope::base::{Counters, limits};
use hopscope::model::{EndHow, Said};
use proptest::prelude::*;

use crate::engine::run;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::{self, Script, Segment, Side};
use crate::support::shape;

const C: Side = Side::Client;
const S: Side = Side::Server;

fn flow() -> Script {
    Script::midstream("198.51.100.7:40000", "203.0.113.9:3306")
}

fn told(segments: &[Segment]) -> (Option<Said>, Counters) {
    let (found, counters) = run(Format::pcap(Link::Raw).write(&link::packets(segments, Link::Raw)));
    assert!(found.exchanges.is_empty(), "{:#?}", found.exchanges);
    (found.lone.into_iter().find_map(|f| f.said).map(|s| *s), counters)
}

/// A talk as chat programs have it.
fn talk(script: Script) -> Script {
    script
        .frame(C, 1, b"{\"type\":\"hello\"}")
        .frame(S, 1, b"{\"type\":\"welcome\"}")
        .frame(C, 2, &[0, 1, 2, 3])
        .frame(S, 9, b"")
        .frame(C, 10, b"")
        .frame(S, 2, &[200; 300])
}

#[test]
fn what_the_client_sends_behind_the_servers_fin_breaks_no_silence_before_it() {
    let script = talk(flow()).wait_ms(60_000).fin(S).frame(C, 1, b"still here?").rst(C);
    let end = told(&script.segments()).0.expect("a WebSocket").end;
    assert_eq!((end.how, end.idle_before.map(|idle| idle.0 / 1_000_000_000)), (EndHow::Fin, Some(60)));
}

#[test]
fn frames_are_counted_and_the_end_is_known() {
    let (said, counters) = told(&talk(flow()).goodbye().segments());
    let said = said.expect("a WebSocket");
    let ws = said.ws.expect("frames");
    assert_eq!((ws.client.frames, ws.server.frames), (4, 4));
    assert_eq!((ws.client.text, ws.client.pong, ws.server.ping, ws.server.binary), (1, 1, 1, 1));
    assert_eq!((said.end.how, said.end.close.and_then(|c| c.code)), (EndHow::CloseFrame, Some(1000)));
    assert_eq!((counters.flows_websocket_midstream, counters.http_requests), (1, 0));
}

#[test]
fn the_report_says_what_is_missing_and_how_to_get_it() {
    let file = Format::pcap(Link::Raw).write(&link::packets(&talk(flow()).segments(), Link::Raw));
    let report = crate::support::run::report_on_bytes(&file);
    assert_eq!(report["chains"][0]["verdict"]["rule"], "unknown");
    assert_eq!(report["chains"][0]["flow"], 1);
    let summary = report["chains"][0]["verdict"]["summary"].as_str().expect("words");
    assert!(summary.contains("tcpdump -i any -s 0 -w again.pcap 'host 198.51.100.7 and port 3306'"), "{summary}");
    assert_eq!(report["findings"][0]["rule"], "cap-midstream");
    assert_eq!(report["findings"][0]["subject"]["kind"], "flow");
}

#[test]
fn one_direction_is_enough_and_tells_who_is_client() {
    for (from, frames) in [(C, [6, 0]), (S, [0, 6])] {
        let script = (0..6).fold(flow(), |s, i| s.frame(C, 1, &[b'a' + i; 12]).frame(S, 1, &[b'b' + i; 20]));
        let (said, _) = told(&shape::one_way(script.segments(), from));
        let ws = said.expect("a WebSocket").ws.expect("frames");
        assert_eq!([ws.client.frames, ws.server.frames], frames);
    }
}

#[test]
fn compressed_frames_and_a_capture_that_begins_inside_a_frame_are_known() {
    let compressed = |payload: &[u8], masked: bool| {
        let mut frame = script::frame(1, payload, masked);
        frame[0] |= 0x40;
        frame
    };
    let script = (0..4).fold(flow().server([0xee; 700]), |s, i| {
        s.client(compressed(&[0xf0 | i; 20], true)).server(compressed(&[0xe0 | i; 40], false))
    });
    let (said, _) = told(&script.segments());
    let ws = said.expect("a WebSocket").ws.expect("frames");
    assert!(ws.compressed && ws.client.frames == 4, "{ws:?}");
    assert!(ws.server.frames >= 3, "{ws:?}");
}

#[test]
fn http_at_the_edge_of_a_segment_is_found_behind_the_rest_of_a_body() {
    let key = "q83vASNFZ4mrze8BI0VniQ==";
    let script = flow().server([0xee; 700]).upgrade(key).frame(C, 1, b"hi").goodbye();
    let (found, _) = run(Format::pcap(Link::Raw).write(&link::packets(&script.segments(), Link::Raw)));
    assert_eq!(found.exchanges[0].status(), Some(101));
}

#[test]
fn behind_an_answer_to_an_unseen_request_the_next_answer_is_found() {
    // The grant of a CONNECT: without a length, and no content either.
    let script = flow().head(S, "HTTP/1.1 200 Connection established").upgrade("q83vASNFZ4mrze8BI0VniQ==");
    let (found, _) = run(Format::pcap(Link::Raw).write(&link::packets(&talk(script).segments(), Link::Raw)));
    let statuses: Vec<_> = found.exchanges.iter().map(|x| x.status()).collect();
    assert_eq!(statuses, [Some(101)]);
}

#[test]
fn an_answer_that_the_capture_lost_is_not_called_silence() {
    let request = script::upgrade_request("q83vASNFZ4mrze8BI0VniQ==");
    let conversation = || {
        let script = Script::between("198.51.100.7:40000", "203.0.113.9:80");
        script
            .head(C, "GET /a HTTP/1.1\nHost: a")
            .head(S, "HTTP/1.1 200 OK\nContent-Length: 0")
            .head(C, request.trim_end())
    };
    let whole = conversation().head(S, "HTTP/1.1 403 Forbidden\nContent-Length: 0").fin(S).segments();
    let from_server = |s: &Segment| s.from == S && !s.payload.is_empty();
    let answers: Vec<usize> = (0..whole.len()).filter(|&n| from_server(&whole[n])).collect();
    let syn_ack = whole.iter().position(|s| s.from == S && s.flags.syn).expect("a SYN-ACK");
    let outcome = |segments: &[Segment]| {
        let file = Format::pcap(Link::Raw).write(&link::packets(segments, Link::Raw));
        let report = crate::support::run::report_on_bytes(&file);
        report["exchanges"][0]["outcome"].as_str().expect("an outcome").to_owned()
    };
    assert_eq!(outcome(&whole), "refused");
    assert_eq!(outcome(&conversation().fin(S).segments()), "unanswered");
    // Both answers: the hole begins while the plain request is the first that waits.
    assert_eq!(outcome(&shape::lose(whole.clone(), &answers)), "unknown");
    // With the SYN-ACK, there is no hole to be seen.
    assert_eq!(outcome(&shape::lose(whole, &[&[syn_ack], &answers[..]].concat())), "unknown");
}

#[test]
fn a_connection_seen_from_its_start_is_never_taken_for_one() {
    let (said, counters) = told(&talk(Script::flow()).goodbye().segments());
    assert!(said.is_none());
    assert_eq!(counters.flows_websocket_midstream, 0);
}

type Turns = Vec<(Side, Vec<u8>)>;

/// What both sides of other protocols send in the middle of a connection, turn by turn.
fn others() -> Vec<(&'static str, Turns)> {
    let noise = |seed: u8, len: usize| -> Vec<u8> {
        let mut x = u32::from(seed).wrapping_mul(2_654_435_761) | 1;
        let next = |_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            (x >> 8) as u8
        };
        (0..len).map(next).collect()
    };
    let turns = |client: Vec<Vec<u8>>, server: Vec<Vec<u8>>| -> Turns {
        let pairs = client.into_iter().zip(server);
        pairs.flat_map(|(c, s)| [(C, c), (S, s)]).filter(|(_, bytes)| !bytes.is_empty()).collect()
    };
    let eight = |f: &dyn Fn(u8) -> Vec<u8>| (0..8).map(f).collect::<Vec<_>>();
    let tls = |i: u8| [&[0x17, 3, 3, 0, 60][..], &noise(i, 60)].concat();
    let ssh = |i: u8| noise(i.wrapping_mul(7) + 100, 36 + usize::from(i) * 16);
    let dns =
        |i: u8| [&[0, 30 + i][..], &[i, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &vec![b'a'; usize::from(18 + i)]].concat();
    let subscribe = |i: u8| [&[0x82, 10, 0, i, 0, 5][..], b"a/b/c", &[0]].concat();
    let suback = |i: u8| vec![0x90, 3, 0, i, 0];
    let publish = |i: u8| [&[0x32, 9, 0, 3][..], b"a/b", &[0, i, b'x', b'y']].concat();
    let puback = |i: u8| vec![0x40, 2, 0, i];
    let amqp = |i: u8| {
        let head = [&[1, 0, 1, 0, 0, 0, 9, 0, 60, 0, 40, 0, 0, 0, i, 0][..], &[0xce]].concat();
        [head, vec![8, 0, 0, 0, 0, 0, 0, 0xce]].concat()
    };
    let query = |i: u8| [&[17 + i, 0, 0, 0, 3][..], b"SELECT 1 FROM x;", &vec![b' '; usize::from(i)]].concat();
    let rows = |i: u8| {
        [&[1, 0, 0, 1, 1][..], &[23, 0, 0, 2, 3, b'd', b'e', b'f'], &noise(i, 20), &[5, 0, 0, 3, 0xfe, 0, 0, 2, 0]]
            .concat()
    };
    let redis = |i: u8| format!("*3\r\n$3\r\nSET\r\n$2\r\nk{i}\r\n$5\r\nAAAAA\r\n").into_bytes();
    let h2 = |i: u8| [&[0, 0, 40 + i, 0, 0, 0, 0, 0, 1 + 2 * i][..], &noise(i, 40 + usize::from(i))].concat();
    let h2_small =
        |_: u8| vec![0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let postgres =
        |i: u8| [&b"D\0\0\0\x0b\0\x01\0\0\0\x01"[..], &[b'0' + i], b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"].concat();
    let text = |i: u8| format!("AABBAABB line {i} of a text that begins with letters, ABABABAB\r\n").into_bytes();
    let zmtp = |i: u8| [&[1, 5][..], b"hello", &[0, 3 + i], &vec![b'w'; usize::from(3 + i)]].concat();
    let rpc = |i: u8| [&[0x80, 0, 0, 44][..], &noise(i, 44)].concat();
    let ones = |_: u8| vec![0x81; 64];
    let zeros = |_: u8| vec![0; 64];
    vec![
        ("TLS", turns(eight(&tls), eight(&|i| tls(i + 9)))),
        ("SSH", turns(eight(&ssh), eight(&|i| ssh(i + 9)))),
        ("DNS over TCP", turns(eight(&dns), eight(&|i| dns(i + 20)))),
        ("MQTT, subscribing", turns(eight(&subscribe), eight(&suback))),
        ("MQTT, publishing", turns(eight(&publish), eight(&puback))),
        ("MQTT, being told", turns(eight(&puback), eight(&publish))),
        ("MQTT, keeping alive", turns(eight(&|_| vec![0xc0, 0]), eight(&|_| vec![0xd0, 0]))),
        ("AMQP", turns(eight(&amqp), eight(&amqp))),
        ("MySQL", turns(eight(&query), eight(&rows))),
        ("Redis", turns(eight(&redis), eight(&|_| b"+OK\r\n".to_vec()))),
        ("HTTP/2", turns(eight(&h2), eight(&h2_small))),
        ("PostgreSQL", turns(eight(&|_| b"Q\0\0\0\x0dSELECT 1\0".to_vec()), eight(&postgres))),
        ("a text", turns(eight(&text), eight(&|_| b"B ok\r\n".to_vec()))),
        ("ZMTP", turns(eight(&zmtp), eight(&zmtp))),
        ("ONC RPC", turns(eight(&rpc), eight(&rpc))),
        ("zeros", turns(eight(&zeros), eight(&zeros))),
        ("one byte again and again", turns(eight(&ones), eight(&ones))),
        ("BitTorrent", turns(eight(&|i| vec![0, 0, 0, 5, 4, 0, 0, 0, i]), eight(&|_| vec![0, 0, 0, 1, 1]))),
    ]
}

#[test]
fn no_other_protocol_is_taken_for_one_in_both_or_one_direction() {
    for (name, turns) in others() {
        let segments = turns.iter().fold(flow(), |s, (from, bytes)| s.say(*from, bytes)).segments();
        for shaped in [segments.clone(), shape::split(segments.clone(), &[1448])] {
            assert!(told(&shaped).0.is_none(), "{name}");
        }
        // Of MQTT's client, subscribing and nothing else, one direction alone has the very form of frames.
        for from in [C, S].into_iter().filter(|_| name != "MQTT, subscribing") {
            assert!(told(&shape::one_way(segments.clone(), from)).0.is_none(), "{name}, one way");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a talk is cut: with enough of it, it is known, and counted to the last frame.
    #[test]
    fn any_split_of_a_talk_gives_the_same_frames(sizes in prop::collection::vec(4_usize..200, 1..10)) {
        let script = (0..4).fold(flow(), |s, _| talk(s)).goodbye();
        let (said, _) = told(&shape::split(script.segments(), &sizes));
        let ws = said.expect("a WebSocket").ws.expect("frames");
        prop_assert_eq!((ws.client.frames, ws.server.frames, ws.client.close, ws.server.close), (13, 13, 1, 1));
    }
}

/// The evidence that is asked for keeps random bytes below one in a million, and 24,000 connections of them
/// are none.
#[test]
fn random_bytes_are_no_websocket() {
    let tries = 2.0 * f64::from(limits::MIDSTREAM_TRIES);
    assert!(tries * 0.5_f64.powi(limits::MIDSTREAM_BITS as i32) < 1e-6);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut scripts = Vec::new();
    for i in 0..4_000_u32 {
        let client = format!("10.{}.{}.1:4000", i >> 8 & 0xff, i & 0xff);
        let mut script = Script::midstream(&client, "203.0.113.9:80").acknowledge(false);
        for turn in 0..8 {
            let len = 1 + random() % 60;
            let bytes: Vec<u8> = (0..len).map(|_| (random() >> 32) as u8).collect();
            script = script.say(if turn % 2 == 0 { C } else { S }, &bytes);
        }
        scripts.push(script);
    }
    let (_, counters) = told(&script::together(scripts));
    assert_eq!(counters.flows_websocket_midstream, 0);
}

/// How many bits of evidence random bytes reach: as often as is claimed, or more seldom.
#[test]
fn a_bit_of_evidence_is_worth_a_half() {
    use hopscope::wire::frame_chain::Chain;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut reached = [0_u32; 64];
    let runs = 400_000;
    for _ in 0..runs {
        let len = 1 + random() % 180;
        let bytes: Vec<u8> = (0..len).map(|_| (random() >> 32) as u8).collect();
        let mut chain = Chain::default();
        if chain.segment(&bytes) {
            for slot in reached.iter_mut().take(chain.bits() as usize + 1) {
                *slot += 1;
            }
        }
    }
    for (bits, &count) in reached.iter().enumerate().skip(1) {
        let share = f64::from(count) / f64::from(runs);
        assert!(share <= 2.0 * 0.5_f64.powi(bits as i32) + 1e-4, "{bits} bits are reached by {share}");
    }
}
