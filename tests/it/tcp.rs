//! TCP as it is captured: openings of every kind, repeated and early and forged segments, clocks that run
//! backwards, and one segment that is missing. What was said is found all the same, and what cannot be
//! known is not made up.
#![allow(clippy::use_debug, clippy::cast_possible_truncation, reason = "a failing test prints what it found")]

use hopscope::base::{Counters, PacketRef};
use hopscope::engine::Collected;
use hopscope::model::{ConnectState, Direction, Exchange};
use serde_json::Value;

use crate::engine::run;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{self, Flags, START_NS, Script, Segment, Side};
use crate::support::shape;

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";
pub(crate) const C: Side = Side::Client;
pub(crate) const S: Side = Side::Server;

pub(crate) const ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: false };
pub(crate) const SYN: Flags = Flags { syn: true, ack: false, fin: false, rst: false };
pub(crate) const SYN_ACK: Flags = Flags { syn: true, ack: true, fin: false, rst: false };
pub(crate) const RST: Flags = Flags { syn: false, ack: false, fin: false, rst: true };
pub(crate) const RST_ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: true };
pub(crate) const FIN_ACK: Flags = Flags { syn: false, ack: true, fin: true, rst: false };

/// Where the numbers of client and server begin: both wrap.
const BASES: [u32; 2] = [0xffff_ffe0, 0xffff_fff0];

/// Segments by hand: sequence and acknowledgement numbers count from each side's SYN, which is 0.
#[derive(Clone, Default)]
pub(crate) struct Hand(pub(crate) Vec<Segment>);

impl Hand {
    /// One segment, 200 µs behind the one before.
    pub(crate) fn send(mut self, from: Side, flags: Flags, seq: i32, ack: i32, payload: impl AsRef<[u8]>) -> Hand {
        let at_ns = self.0.last().map_or(START_NS, |s| s.at_ns + 200_000);
        let own = usize::from(from == S);
        self.0.push(Segment {
            at_ns,
            from,
            client: "198.51.100.7:40000".parse().expect("an address"),
            server: "203.0.113.9:80".parse().expect("an address"),
            seq: BASES[own].wrapping_add_signed(seq),
            ack: if flags.ack { BASES[1 - own].wrapping_add_signed(ack) } else { 0 },
            flags,
            payload: payload.as_ref().to_vec(),
            look: Default::default(),
        });
        self
    }

    /// The next segment comes so much later.
    pub(crate) fn wait_ms(mut self, ms: u64) -> Hand {
        // An acknowledgement that says nothing new carries the time.
        let last = self.0.last().expect("a segment").clone();
        self.0.push(Segment { at_ns: last.at_ns + ms * 1_000_000, payload: Vec::new(), flags: ACK, ..last });
        self
    }

    /// The usual opening.
    pub(crate) fn opened() -> Hand {
        Hand::default().send(C, SYN, 0, 0, "").send(S, SYN_ACK, 0, 1, "").send(C, ACK, 1, 1, "")
    }

    /// An upgrade, its answer and a frame each way; both sides are at 1.
    fn upgrade(self) -> Hand {
        let (request, response) = (request(), response());
        let (r, a) = (1 + request.len() as i32, 1 + response.len() as i32);
        self.send(C, ACK, 1, 1, &request)
            .send(S, ACK, 1, r, &response)
            .send(C, ACK, r, a, script::frame(1, b"hi", true))
            .send(S, ACK, a, r + 8, script::frame(1, b"hello", false))
    }
}

pub(crate) fn request() -> Vec<u8> {
    script::head(&script::upgrade_request(KEY))
}

pub(crate) fn response() -> Vec<u8> {
    script::head(&script::upgrade_response(KEY))
}

pub(crate) fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn read(segments: &[Segment]) -> (Collected, Counters) {
    run(capture(segments))
}

pub(crate) fn rules(segments: &[Segment]) -> Vec<String> {
    let report = report_on_bytes(&capture(segments));
    let findings = report["findings"].as_array().expect("findings").iter();
    let rules = findings.filter_map(|f: &Value| f["rule"].as_str());
    rules.filter(|rule| *rule != "still-open").map(str::to_owned).collect()
}

/// The WebSocket that [`Hand::upgrade`] opens is there, whole, with one frame each way, on one connection.
#[track_caller]
fn upgraded(segments: &[Segment]) -> (Box<Exchange>, Counters) {
    let (mut found, counters) = read(segments);
    assert_eq!((counters.flows, found.exchanges.len()), (1, 1), "{:#?}", found.exchanges);
    let x = found.exchanges.remove(0);
    whole(&x);
    (x, counters)
}

#[track_caller]
fn whole(x: &Exchange) {
    assert_eq!((x.status(), x.request.complete, x.client.port), (Some(101), true, 40_000));
    let ws = x.ws.expect("frames");
    assert_eq!((ws.client.frames, ws.server.frames), (1, 1));
}

/// Nothing is wrong with the WebSocket, nor with the capture.
#[track_caller]
fn clean(segments: &[Segment]) {
    let (x, counters) = upgraded(segments);
    assert!(!x.quality.gap && !x.quality.overlap_conflict && !x.quality.midstream, "{:?}", x.quality);
    assert_eq!((counters.gaps, counters.overlap_conflicts, counters.out_of_window), (0, 0, 0));
    let rules = rules(segments);
    assert!(rules.iter().all(|r| r == "cap-nonmonotonic"), "{rules:?}");
}

// Openings.

#[test]
fn a_split_handshake_is_one_connection_and_its_client_is_who_began() {
    // RFC 9293 §3.5 allows the server's SYN and ACK in two segments.
    let four = Hand::default().send(C, SYN, 0, 0, "").send(S, SYN, 0, 0, "").send(C, SYN_ACK, 0, 1, "");
    clean(&four.send(S, ACK, 1, 1, "").upgrade().0);
    let five = Hand::default().send(C, SYN, 0, 0, "").send(S, ACK, 1, 1, "").send(S, SYN, 0, 0, "");
    clean(&five.send(C, SYN_ACK, 0, 1, "").send(S, ACK, 1, 1, "").upgrade().0);
}

#[test]
fn who_answers_a_syn_with_a_syn_is_no_client() {
    let open = Hand::default().send(C, SYN, 0, 0, "").send(S, SYN, 0, 0, "").send(C, SYN_ACK, 0, 1, "");
    let (found, _) = read(&open.send(S, ACK, 1, 1, "").send(S, RST_ACK, 1, 1, "").0);
    let lone = &found.lone[0];
    assert_eq!((lone.client.port, lone.state), (40_000, ConnectState::Established));
}

#[test]
fn a_simultaneous_open_is_one_connection() {
    // RFC 9293 figure 8.
    let open = Hand::default().send(C, SYN, 0, 0, "").send(S, SYN, 0, 0, "");
    clean(&open.send(S, SYN_ACK, 0, 1, "").send(C, SYN_ACK, 0, 1, "").upgrade().0);
}

#[test]
fn a_request_in_the_syn_is_read() {
    // RFC 7413: the server takes the data with the SYN.
    let (request, response) = (request(), response());
    let (r, a) = (1 + request.len() as i32, 1 + response.len() as i32);
    let rest = |hand: Hand| {
        hand.send(C, ACK, r, a, script::frame(1, b"hi", true)).send(S, ACK, a, r + 8, script::frame(1, b"hello", false))
    };
    let taken = Hand::default().send(C, SYN, 0, 0, &request).send(S, SYN_ACK, 0, r, "").send(S, ACK, 1, r, &response);
    clean(&rest(taken).0);
    // The answer in the SYN-ACK.
    let both = Hand::default().send(C, SYN, 0, 0, &request).send(S, SYN_ACK, 0, r, &response);
    clean(&rest(both).0);
    // The first half in the SYN.
    let (first, second) = request.split_at(50);
    let half = Hand::default().send(C, SYN, 0, 0, first).send(S, SYN_ACK, 0, 51, "");
    clean(&rest(half.send(C, ACK, 51, 1, second).send(S, ACK, 1, r, &response)).0);
    // Refused by a server that knows no such cookie: all of it comes again.
    let refused = Hand::default().send(C, SYN, 0, 0, &request).send(S, SYN_ACK, 0, 1, "");
    clean(&refused.upgrade().0);
    // Lost on the way, and tried again without it.
    let again = Hand::default().send(C, SYN, 0, 0, &request).wait_ms(1000).send(C, SYN, 0, 0, "");
    clean(&again.send(S, SYN_ACK, 0, 1, "").upgrade().0);
}

#[test]
fn a_syn_sent_again_is_the_same_connection() {
    let again = Hand::default().send(C, SYN, 0, 0, "").wait_ms(1000).send(C, SYN, 0, 0, "").wait_ms(2000);
    let answered = again.send(C, SYN, 0, 0, "").send(S, SYN_ACK, 0, 1, "").wait_ms(1000);
    clean(&answered.send(S, SYN_ACK, 0, 1, "").upgrade().0);
}

#[test]
fn a_client_that_resets_an_older_connection_and_begins_anew_is_heard() {
    // RFC 9293 §3.5.1: the server still knows a connection with these ports.
    let old = Hand::default().send(C, SYN, 0, 0, "").send(S, ACK, 4_000_000, 5_000_000, "");
    let hand = old.send(C, RST, 5_000_000, 0, "").wait_ms(1000).send(C, SYN, 0, 0, "").send(S, SYN_ACK, 0, 1, "");
    let (found, counters) = read(&hand.upgrade().0);
    assert_eq!((found.exchanges.len(), counters.http_requests), (1, 1));
    whole(&found.exchanges[0]);
    assert_eq!(found.exchanges[0].times.rtt.map(|t| t.0), Some(400_000), "from the SYN that was answered");
}

#[test]
fn a_connection_that_opens_in_spite_of_a_forged_reset_is_heard() {
    // The reset answers the SYN with a right number; the client has reasons not to believe it.
    let forged = Hand::default().send(C, SYN, 0, 0, "").send(S, RST_ACK, 77, 1, "").send(S, FIN_ACK, 77, 1, "");
    let hand = forged.send(C, RST, 1, 0, "").send(S, SYN_ACK, 0, 1, "").send(C, ACK, 1, 1, "");
    let (found, counters) = read(&hand.upgrade().0);
    assert_eq!((found.exchanges.len(), counters.http_requests), (1, 1));
    whole(&found.exchanges[0]);
}

#[test]
fn a_refused_connection_that_is_tried_again_with_the_same_number_stays_one() {
    // As Windows does three times.
    let once = |hand: Hand| hand.send(C, SYN, 0, 0, "").send(S, RST_ACK, 0, 1, "");
    let (found, counters) = read(&once(once(once(Hand::default()))).0);
    assert_eq!((found.lone.len(), counters.flows), (1, 1));
}

#[test]
fn a_reset_far_outside_the_window_ends_nothing() {
    // RFC 9293 §3.10.7.4: its receiver drops it.
    let hand = Hand::opened().send(S, RST_ACK, 0x5000_0000, 1, "").send(C, RST, -0x5000_0000, 0, "");
    let (x, counters) = upgraded(&hand.upgrade().0);
    assert_eq!((x.end.tcp_by, counters.out_of_window), (None, 2));
}

// What comes twice, early or late.

#[test]
fn keep_alives_repeat_a_byte_and_say_nothing() {
    // RFC 9293 §3.8.4: one byte of old sequence number, whatever it is, or none.
    let (r, a) = (1 + request().len() as i32, 1 + response().len() as i32);
    let alive = |hand: Hand| {
        hand.send(C, ACK, r - 1, a, [0]).send(S, ACK, a, r, "").send(S, ACK, a - 1, r, [0xee]).send(
            C,
            ACK,
            r - 1,
            a,
            "",
        )
    };
    let hand = Hand::opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, response());
    let hand = alive(alive(hand).wait_ms(45_000));
    let hand = hand
        .send(C, ACK, r, a, script::frame(1, b"hi", true))
        .send(S, ACK, a, r + 8, script::frame(1, b"hello", false))
        .send(C, ACK, r + 7, a + 7, [0])
        .send(S, ACK, a + 6, r + 8, [0]);
    clean(&hand.0);
}

#[test]
fn zero_window_probes_are_the_next_byte_and_nothing_more() {
    // RFC 9293 §3.8.6.1: a byte of new data, which is sent again until it is taken.
    let response = response();
    let (r, a) = (1 + request().len() as i32, 1 + response.len() as i32);
    let hand = Hand::opened().send(C, ACK, 1, 1, request());
    let probe = |hand: Hand| hand.send(S, ACK, 1, r, &response[..1]).send(C, ACK, r, 1, "");
    let hand = probe(probe(probe(hand).wait_ms(500)).wait_ms(1000));
    let hand = hand.send(S, ACK, 1, r, &response).send(C, ACK, r, a, script::frame(1, b"hi", true)).send(
        S,
        ACK,
        a,
        r + 8,
        script::frame(1, b"hello", false),
    );
    clean(&hand.0);
}

#[test]
fn segments_that_stand_before_the_syn_in_the_file_are_put_behind_it() {
    let all = Hand::opened().upgrade().0;
    let times: Vec<u64> = all.iter().map(|s| s.at_ns).collect();
    for order in [
        &[3, 0, 1, 2, 4, 5, 6][..],
        &[3, 1, 0, 2, 4, 5, 6],
        &[1, 4, 0, 2, 3, 5, 6],
        &[1, 4, 6, 0, 2, 3, 5],
        &[2, 3, 0, 1, 4, 5, 6],
        &[0, 2, 3, 1, 4, 5, 6],
    ] {
        // With the clock of the file, and with the times that the packets had.
        let mut moved: Vec<Segment> = order.iter().map(|&i| all[i].clone()).collect();
        clean(&moved);
        moved.iter_mut().zip(&times).for_each(|(s, &t)| s.at_ns = t);
        clean(&moved);
    }
}

#[test]
fn a_request_before_an_answer_without_its_beginning_is_read_where_the_opening_is_missing() {
    // The answer's end acknowledges the request; the next request begins at that number.
    let plain = b"GET /page HTTP/1.1\r\nHost: chat.example.org\r\n\r\n";
    let (p, lost, a) = (1 + plain.len() as i32, 2000, 3000);
    let r = p + request().len() as i32;
    let hand = Hand::default()
        .send(C, ACK, 1, 1, plain)
        .send(S, ACK, 1 + lost, p, [b'x'; 999])
        .send(C, ACK, p, a, request())
        .send(S, ACK, a, r, response());
    assert_eq!(read(&hand.0).1.http_requests, 2);
}

#[test]
fn pieces_of_a_request_in_any_order_before_the_syn_are_one_request() {
    let whole = shape::split(Hand::opened().upgrade().0, &[100]);
    let pieces: Vec<Segment> = whole.iter().filter(|s| s.from == C && s.payload.len() >= 10).cloned().collect();
    let rest = |s: &&Segment| !pieces.contains(s);
    assert!(pieces.len() >= 2);
    for order in [[0, 1], [1, 0]] {
        let mut moved: Vec<Segment> = order.iter().map(|&i| pieces[i].clone()).collect();
        moved.extend(whole.iter().filter(rest).take(3).cloned());
        moved.extend(pieces[2..].iter().cloned());
        moved.extend(whole.iter().filter(rest).skip(3).cloned());
        assert_eq!(moved.len(), whole.len());
        moved.iter_mut().zip(&whole).for_each(|(s, w)| s.at_ns = w.at_ns);
        clean(&moved);
    }
}

#[test]
fn a_clock_that_goes_backwards_changes_nothing() {
    let mut segments = Hand::opened().upgrade().0;
    let n = segments.len();
    for (i, segment) in segments.iter_mut().enumerate() {
        // An hour back with every packet.
        segment.at_ns = START_NS + (n - i) as u64 * 3_600_000_000_000;
    }
    clean(&segments);
    assert_eq!(rules(&segments), ["cap-nonmonotonic"]);
    // One step, anywhere.
    for at in 3..n {
        let mut segments = Hand::opened().upgrade().0;
        segments[at..].iter_mut().for_each(|s| s.at_ns -= 60_000_000_000);
        clean(&segments);
        assert_eq!(rules(&segments), ["cap-nonmonotonic"], "{at}");
    }
}

#[test]
fn a_second_answer_to_one_request_is_told_and_the_first_is_kept() {
    // QUANTUMINSERT: somebody near the client answers before the server does.
    let forged = script::head("HTTP/1.1 302 Found\nLocation: http://evil.example/\nContent-Length: 0");
    let r = 1 + request().len() as i32;
    for fin in [ACK, FIN_ACK] {
        for late in [0, 30] {
            let hand = Hand::opened().send(C, ACK, 1, 1, request()).send(S, fin, 1, r, &forged);
            let hand = if late == 0 { hand } else { hand.wait_ms(late) };
            let segments = hand.send(S, ACK, 1, r, response()).send(C, ACK, r, 1 + forged.len() as i32, "").0;
            let (found, counters) = read(&segments);
            let x = &found.exchanges[0];
            assert_eq!((x.status(), x.quality.overlap_conflict), (Some(302), true));
            assert!(counters.overlap_conflicts > 0);
            assert!(rules(&segments).iter().any(|r| r == "cap-overlap-conflict"));
        }
    }
    // The other way round, the forged one is late; and while both are held back.
    let late =
        Hand::opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, response()).send(S, ACK, 1, r, &forged).0;
    let held =
        Hand::opened().send(S, ACK, 1, r, response()).send(S, ACK, 1, r, &forged).send(C, ACK, 1, 1, request()).0;
    for segments in [late, held] {
        let (found, _) = read(&segments);
        assert_eq!((found.exchanges[0].status(), found.exchanges[0].quality.overlap_conflict), (Some(101), true));
        assert!(rules(&segments).iter().any(|r| r == "cap-overlap-conflict"));
    }
}

#[test]
fn a_segment_that_its_receiver_lacks_is_waited_for_until_it_is_sent_again() {
    // Lost before the capture, not to it: the acknowledgements say so.
    let request = request();
    let (first, rest) = request.split_at(40);
    let (second, third) = rest.split_at(60);
    let (r, a) = (1 + request.len() as i32, 1 + response().len() as i32);
    let hand = Hand::opened().send(C, ACK, 1, 1, first).send(S, ACK, 1, 41, "").send(C, ACK, 101, 1, third);
    let hand = (0..5).fold(hand, |hand, _| hand.send(S, ACK, 1, 41, "").wait_ms(1500));
    let hand = hand
        .send(C, ACK, 41, 1, second)
        .send(S, ACK, 1, r, response())
        .send(C, ACK, r, a, script::frame(1, b"hi", true))
        .send(S, ACK, a, r + 8, script::frame(1, b"hello", false));
    let (x, counters) = upgraded(&hand.0);
    assert_eq!((x.quality.gap, counters.gaps), (false, 0), "slow, but whole");
}

#[test]
fn a_segment_that_its_receiver_has_is_lost_to_the_capture_and_not_waited_for() {
    let request = request();
    let (first, rest) = request.split_at(40);
    let third = &rest[60..];
    let (r, a) = (1 + request.len() as i32, 1 + response().len() as i32);
    let hand = Hand::opened().send(C, ACK, 1, 1, first).send(S, ACK, 1, 41, "").send(C, ACK, 101, 1, third);
    // Even what comes all the same, later, was not waited for.
    let hand = hand.send(S, ACK, 1, r, "").wait_ms(2100).send(C, ACK, 41, 1, &rest[..60]);
    let (found, counters) = read(&hand.send(S, ACK, 1, r, response()).send(C, ACK, r, a, "").0);
    assert_eq!((counters.gaps, counters.gap_bytes), (1, 60));
    assert_eq!((found.exchanges[0].status(), found.exchanges[0].quality.request_gap), (Some(101), true));
}

#[test]
fn of_two_holes_only_the_one_that_is_lost_to_the_capture_is_given_up() {
    // A pipelined upgrade request lost its beginning before the capture, the answer before it lost its own to
    // the capture.
    let plain = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = [&b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"[..], &[b'x'; 500]].concat();
    let (request, response) = (request(), response());
    let (p, r) = (1 + plain.len() as i32, 1 + (plain.len() + request.len()) as i32);
    let (a, b) = (1 + answer.len() as i32, 1 + (answer.len() + response.len()) as i32);
    let hand = Hand::opened()
        .send(C, ACK, 1, 1, plain)
        .send(C, ACK, p + 40, 1, &request[40..])
        .send(S, ACK, 1 + 200, p, &answer[200..])
        .send(C, ACK, r, a, "")
        .wait_ms(2500)
        .send(S, ACK, a, p, "")
        .wait_ms(500)
        .send(C, ACK, p, a, &request[..40])
        .send(S, ACK, a, r, response)
        .send(C, ACK, r, b, script::frame(1, b"hi", true));
    let (found, counters) = read(&hand.0);
    assert_eq!((counters.gaps, counters.gap_bytes), (1, 200));
    let x = &found.exchanges[0];
    assert_eq!((x.status(), x.request.complete, x.quality.request_gap), (Some(101), true, false));
}

#[test]
fn a_server_goes_on_behind_its_clients_fin() {
    let (r, a) = (1 + request().len() as i32, 1 + response().len() as i32);
    let hand = Hand::opened()
        .send(C, FIN_ACK, 1, 1, [request(), script::frame(1, b"hi", true)].concat())
        .send(S, ACK, 1, r + 9, response())
        .send(S, FIN_ACK, a, r + 9, script::frame(1, b"hello", false));
    let (x, _) = upgraded(&hand.0);
    assert!(!x.quality.gap);
}

// One segment is missing.

fn plain(script: Script, n: usize) -> Script {
    script
        .head(C, &format!("GET /{n} HTTP/1.1\nHost: a\nCookie: {}", "c".repeat(400)))
        .head(S, &format!("HTTP/1.1 200 OK\nServer: {}\nContent-Length: 500", "s".repeat(300)))
        .server([b'x'; 500])
}

#[test]
fn a_frame_captured_before_one_that_its_sender_had_is_told_behind_it() {
    let (mut c, mut s) = (1 + request().len() as i32, 1 + response().len() as i32);
    let mut hand = Hand::opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, c, response());
    // The client's masks differ, as they should.
    let said = |n: u8, masked: bool| match masked {
        true => [&[0x81, 0x83, n, 7, 9, 1][..], &[b'a', b'0' ^ 7, b'z' ^ 9]].concat(),
        false => script::frame(1, &[b'a' + n, b'0' + n, b'z'], false),
    };
    // Enough that nothing more of them is kept, so that they go the short way.
    for n in 0..20 {
        hand = hand.send(C, ACK, c, s, said(n, true));
        c += said(n, true).len() as i32;
        hand = hand.send(S, ACK, s, c, said(n, false));
        s += said(n, false).len() as i32;
    }
    let length = said(20, false).len() as i32;
    hand = hand.send(C, ACK, c, s + length, said(20, true)).send(S, ACK, s, c, said(20, false));
    let (found, counters) = read(&hand.0);
    let talk = found.exchanges[0].talk.as_ref().expect("a tunnel");
    let order: Vec<(bool, PacketRef)> =
        talk.frames.iter().map(|f| (f.from == Direction::ClientToServer, f.at)).collect();
    let packet = |n: usize| PacketRef::new(0, n as u64);
    let all = hand.0.len();
    assert_eq!(order[order.len() - 2..], [(false, packet(all)), (true, packet(all - 1))]);
    assert_eq!((counters.gaps, counters.retransmissions), (0, 0));
}

#[test]
fn whatever_segment_is_missing_the_upgrade_behind_it_is_found() {
    // Two requests, then an upgrade; heads and contents in several segments, all acknowledged.
    let script = plain(plain(Script::flow().segment_bytes(200), 1), 2);
    let before = script.clone().segments().len();
    let whole = script.upgrade(KEY).frame(C, 1, b"hi").frame(S, 1, b"hello").segments();
    for lost in 0..before {
        for late in [false, true] {
            let mut segments = shape::lose(whole.clone(), &[lost]);
            if late {
                segments[lost..].iter_mut().for_each(|s| s.at_ns += 10_000_000_000);
            }
            let (found, counters) = read(&segments);
            assert_eq!((counters.flows, found.exchanges.len()), (1, 1), "without {lost}");
            let x = &found.exchanges[0];
            let whole = x.request.complete && x.response.as_ref().is_some_and(|r| r.complete);
            assert_eq!((x.status(), whole), (Some(101), true), "without {lost}");
            assert_eq!(x.quality.gap, counters.gaps > 0, "without {lost}");
            assert_eq!(x.ws.map(|w| (w.client.frames, w.server.frames)), Some((1, 1)), "without {lost}");
            let n = counters.http_requests;
            assert!((2..=3).contains(&n), "without {lost}: {n} requests");
        }
    }
}

#[test]
fn a_hole_in_an_upgrades_own_head_is_told_and_the_frames_are_counted() {
    let script = Script::flow().segment_bytes(100).upgrade(KEY).segment_bytes(1448);
    let before = script.clone().segments().len();
    let whole = (0..5).fold(script, |s, _| s.frame(C, 1, b"hi").frame(S, 1, b"hello")).segments();
    for lost in 3..before {
        if whole[lost].payload.is_empty() {
            continue;
        }
        let segments = shape::lose(whole.clone(), &[lost]);
        let (found, _) = read(&segments);
        assert_eq!(found.exchanges.len(), 1, "without {lost}");
        let x = &found.exchanges[0];
        assert!(x.quality.gap && (x.quality.request_gap || x.quality.response_gap), "without {lost}: {:?}", x.quality);
        let report = report_on_bytes(&capture(&segments));
        for finding in report["findings"].as_array().expect("findings") {
            // What the capture lacks is sure, a fault is not.
            let fault = finding["severity"] == "error";
            assert!(!fault || finding["confidence"] != "certain", "without {lost}: {finding}");
        }
    }
}

#[test]
fn a_hole_inside_a_frame_costs_no_other_frame() {
    // The last of its segments brings the next frame, so that no edge leads back.
    let both = [script::frame(2, &[7; 1000], false), script::frame(1, b"hello", false)].concat();
    let script = Script::flow().upgrade(KEY).segment_bytes(300).server(both).segment_bytes(1448);
    let whole = script.frame(C, 1, b"hi").goodbye().segments();
    let parts: Vec<usize> = (0..whole.len()).filter(|&i| whole[i].payload.starts_with(&[7; 200])).collect();
    let last = *parts.last().expect("the frame has several segments");
    for lost in parts.into_iter().filter(|&lost| lost != last) {
        let (found, counters) = read(&shape::lose(whole.clone(), &[lost]));
        let ws = found.exchanges[0].ws.expect("frames");
        assert_eq!((ws.client.frames, ws.server.frames, ws.server.text), (2, 3, 1), "without {lost}");
        assert_eq!(counters.gaps, 1, "without {lost}");
    }
}

#[test]
fn a_hole_in_chunked_content_costs_nothing_but_itself() {
    let script =
        Script::flow().head(C, "GET /a HTTP/1.1\nHost: a").head(S, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked");
    let from = script.clone().segments().len();
    let script = script.segment_bytes(100).server(b"384\r\n").server([b'x'; 900]).server(b"\r\n0\r\n\r\n");
    let to = script.clone().segments().len();
    let whole = script.segment_bytes(1448).upgrade(KEY).frame(C, 1, b"hi").frame(S, 1, b"hello").segments();
    for lost in from..to {
        let (found, counters) = read(&shape::lose(whole.clone(), &[lost]));
        assert_eq!((found.exchanges.len(), counters.http_requests), (1, 2), "without {lost}");
        assert_eq!(found.exchanges[0].status(), Some(101), "without {lost}");
    }
}

#[test]
fn a_hole_inside_content_costs_no_message_behind_it() {
    // What is behind the hole ends the content, and in the same segment another message begins.
    let (get, ok) = ("GET /a HTTP/1.1\nHost: a", "HTTP/1.1 200 OK\nContent-Length: 2000");
    let chunked = |start: &str| format!("{start}\nTransfer-Encoding: chunked");
    let last = |message: Vec<u8>| [vec![b'x'; 500], message].concat();
    let in_chunk = |message: Vec<u8>| [vec![b'x'; 500], b"\r\n0\r\n\r\n".to_vec(), message].concat();
    let flow = || Script::flow().acknowledge(false);
    let posted = |start: &str, first: &str, end: Vec<u8>| {
        let script = flow().head(C, start).client([first.as_bytes(), &[b'x'; 500]].concat());
        script.client([b'x'; 1000]).client(end).head(S, "HTTP/1.1 204 No Content").server(response())
    };
    let answered = |start: &str, first: &str, end: Vec<u8>| {
        let script = flow().client([script::head(get), request()].concat()).head(S, start);
        script.server([first.as_bytes(), &[b'x'; 500]].concat()).server([b'x'; 1000]).server(end)
    };
    for (name, script) in [
        ("a request's", posted("POST /a HTTP/1.1\nHost: a\nContent-Length: 2000", "", last(request()))),
        ("a request's chunk", posted(&chunked("POST /a HTTP/1.1\nHost: a"), "7d0\r\n", in_chunk(request()))),
        ("a response's", answered(ok, "", last(response()))),
        ("a response's chunk", answered(&chunked("HTTP/1.1 200 OK"), "7d0\r\n", in_chunk(response()))),
    ] {
        let whole = script.frame(C, 1, b"hi").frame(S, 1, b"hello").segments();
        let lost = whole.iter().position(|s| s.payload == [b'x'; 1000]).expect("it is there");
        let (found, counters) = read(&shape::lose(whole, &[lost]));
        assert_eq!((counters.gaps, counters.gap_bytes, counters.http_requests), (1, 1000, 2), "{name}");
        assert_eq!(found.exchanges.len(), 1, "{name}");
        let x = &found.exchanges[0];
        whole_but_for_a_gap(x, name);
    }
}

#[track_caller]
fn whole_but_for_a_gap(x: &Exchange, name: &str) {
    whole(x);
    let q = x.quality;
    assert_eq!((q.gap, q.request_gap, q.response_gap), (true, false, false), "{name}");
}

// The capture begins in the middle.

#[test]
fn an_upgrade_behind_the_rest_of_a_message_is_found_wherever_the_capture_begins() {
    let long = |script: Script| {
        script
            .segment_bytes(500)
            .head(C, "POST /a HTTP/1.1\nHost: a\nContent-Length: 20000")
            .client([0xc3; 20_000])
            .head(S, "HTTP/1.1 200 OK\nContent-Length: 20000")
            .server([0xc3; 20_000])
    };
    let script = long(Script::flow());
    let before = script.clone().segments().len();
    let whole = script.upgrade(KEY).frame(C, 1, b"hi").frame(S, 1, b"hello").segments();
    for from in 3..before {
        let segments = whole[from..].to_vec();
        let (found, counters) = read(&segments);
        assert_eq!((counters.flows, found.exchanges.len()), (1, 1), "from {from}");
        let x = &found.exchanges[0];
        assert_eq!((x.status(), x.quality.midstream), (Some(101), true), "from {from}");
        assert!(x.before_response.is_none() && x.odd_response.is_none(), "from {from}");
        assert_eq!(x.ws.map(|w| (w.client.frames, w.server.frames)), Some((1, 1)), "from {from}");
    }
}

// What is said.

#[test]
fn several_messages_in_one_segment_are_several() {
    let (r, a) = ("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let requests = [r.as_bytes(), r.as_bytes(), &request()].concat();
    let answers = [a.as_bytes(), a.as_bytes(), &response(), &script::frame(1, b"hello", false)].concat();
    let segments = Script::flow().client(requests).server(answers).frame(C, 1, b"hi").goodbye().segments();
    let (found, counters) = read(&segments);
    assert_eq!((counters.http_requests, counters.http_responses, found.exchanges.len()), (3, 3, 1));
    assert_eq!(found.exchanges[0].ws.map(|w| (w.client.frames, w.server.frames)), Some((2, 2)));
}

#[test]
fn http_is_known_on_any_port_and_nothing_else_is_taken_for_it() {
    for port in [1, 22, 25, 53, 179, 443, 3306, 5222, 6379, 8009, 65_535] {
        let script = Script::between("198.51.100.7:40000", &format!("203.0.113.9:{port}"));
        let (found, counters) = read(&script.upgrade(KEY).goodbye().segments());
        assert_eq!((found.exchanges.len(), counters.http_requests), (1, 1), "port {port}");
    }
    let ssh = Script::between("198.51.100.7:40000", "203.0.113.9:80");
    let (found, counters) = read(&ssh.server("SSH-2.0-x\r\n").client("SSH-2.0-y\r\n").segments());
    assert_eq!((found.exchanges.len(), counters.flows_http1), (0, 0));
}

#[test]
fn http_0_9_is_left_alone() {
    // RFC 1945 §4.1: a line, and content until the connection ends.
    for line in ["GET /\r\n", "GET /index.html\n", "GET /a\r\n\r\n"] {
        let segments = Script::flow().client(line).server("<html>hello</html>").fin(S).fin(C).segments();
        let (found, counters) = read(&segments);
        assert_eq!((found.exchanges.len(), counters.flows), (0, 1));
        assert_eq!(rules(&segments), [""; 0], "{line:?}");
    }
}

#[test]
fn unusual_methods_are_requests() {
    let long = format!("/{}", "x".repeat(200));
    for method in ["M-SEARCH", "VERSION-CONTROL", "MKCALENDAR", "RPC_IN_DATA", "QUERY", "BREW", "get", "X"] {
        for target in ["/a", "*", &long] {
            // A short or small method and no version in sight could be anything.
            if target.len() > 100 && (method.len() < 3 || method == "get") {
                continue;
            }
            let script = Script::flow().head(C, &format!("{method} {target} HTTP/1.1\nHost: a\nContent-Length: 0"));
            let script = script.head(S, "HTTP/1.1 405 Method Not Allowed\nContent-Length: 0").upgrade(KEY).goodbye();
            let whole = script.segments();
            for segments in [whole.clone(), shape::split(whole, &[7])] {
                let (found, counters) = read(&segments);
                assert_eq!((found.exchanges.len(), counters.http_requests), (1, 2), "{method} {target}");
            }
        }
    }
}
