//! Resets: real ones end a connection, whatever comes late behind them; of forged ones that neither end heeds
//! nothing comes but their count.

#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a failing test prints what it found"
)]

use hopscope::base::Counters;
use hopscope::engine::Collected;
use hopscope::model::{ConnectState, EndHow};

use crate::engine::run;
use crate::support::script::{self, Flags, Segment, Side};
use crate::tcp::{ACK, C, FIN_ACK, Hand, RST, RST_ACK, S, SYN, SYN_ACK, capture, request, response, rules};

fn read(hand: &Hand) -> (Collected, Counters) {
    run(capture(&hand.0))
}

fn after_request() -> i32 {
    1 + request().len() as i32
}

fn after_answer() -> i32 {
    1 + response().len() as i32
}

/// Frames each way behind the handshake, each acknowledged.
fn frames(hand: Hand) -> Hand {
    let (r, a) = (after_request(), after_answer());
    hand.send(C, ACK, r, a, script::frame(1, b"hi", true))
        .send(S, ACK, a, r + 8, script::frame(1, b"hello", false))
        .send(C, ACK, r + 8, a + 7, "")
}

/// What a reset at this place does before the answer, and behind it.
fn places(reset: impl Fn(Hand, i32, i32) -> Hand) -> [Hand; 3] {
    let (r, a) = (after_request(), after_answer());
    let answered = |hand: Hand| hand.send(S, ACK, 1, r, response()).send(C, ACK, r, a, "");
    let before = reset(Hand::opened().send(C, ACK, 1, 1, request()), r, 1);
    let behind = reset(answered(Hand::opened().send(C, ACK, 1, 1, request())), r, a);
    let between = reset(Hand::opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, ""), r, 1);
    [frames(answered(before)), frames(behind), frames(answered(between))]
}

/// The flags, sequence and acknowledgement numbers of resets that are in the window.
fn resets() -> Vec<(&'static str, Side, Flags, i32)> {
    let mut all = Vec::new();
    for side in [C, S] {
        for flags in [RST, RST_ACK] {
            for (name, off) in [("exact", 0), ("ahead", 1460), ("far ahead", 60_000), ("behind", -20)] {
                all.push((name, side, flags, off));
            }
        }
    }
    all
}

#[test]
fn a_connection_that_goes_on_behind_a_reset_is_read_on() {
    for (name, side, flags, off) in resets() {
        let reset = |hand: Hand, c: i32, s: i32| {
            let (seq, ack) = if side == C { (c, s) } else { (s, c) };
            hand.send(side, flags, seq + off, ack, "")
        };
        for (place, hand) in places(reset).iter().enumerate() {
            let (found, counters) = read(hand);
            let what = format!("{name} {side:?} {flags:?} at place {place}");
            assert_eq!((found.exchanges.len(), counters.flows, counters.gaps), (1, 1, 0), "{what}");
            let x = &found.exchanges[0];
            assert_eq!((x.status(), x.end.tcp_by, counters.resets_unheeded), (Some(101), None, 1), "{what}");
            assert_eq!(x.ws.map(|ws| (ws.client.frames, ws.server.frames)), Some((1, 1)), "{what}");
        }
    }
}

#[test]
fn a_reset_behind_a_forged_one_ends_the_connection() {
    let (r, a) = (after_request(), after_answer());
    let [_, hand, _] = places(|hand, c, s| hand.send(S, RST_ACK, s, c, ""));
    let (found, counters) = read(&hand.send(C, RST_ACK, r + 8, a + 7, ""));
    let x = &found.exchanges[0];
    assert_eq!((x.end.tcp_how, x.end.tcp_by.is_some(), counters.resets_unheeded), (EndHow::Rst, true, 1));
    assert_eq!((x.ws.map(|ws| ws.server.frames), counters.gaps), (Some(1), 0));
}

#[test]
fn what_comes_late_behind_a_real_reset_revives_nothing() {
    let (r, a) = (after_request(), after_answer());
    let asked = || Hand::opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, "");
    let dead = [
        // The server goes on for a while, and is told again and again.
        asked().send(C, RST_ACK, r, 1, "").send(S, ACK, 1, r, response()).send(C, RST, r, 0, ""),
        asked().send(C, RST_ACK, r, 1, "").send(S, ACK, 1, r, response()).send(C, RST_ACK, r, a, ""),
        // Somebody on the way reset it towards the client alone; it sends nothing more.
        asked().send(S, RST_ACK, 1, r, "").send(S, ACK, 1, r, response()).wait_ms(300).send(S, ACK, 1, r, response()),
        // The client's last words were under way.
        asked().send(S, RST, 1, 0, "").send(C, ACK, r, 1, script::frame(1, b"hi", true)).send(S, RST, 1, 0, ""),
        // One side acknowledges and says nothing.
        asked().send(S, RST, 1, 0, "").send(S, ACK, 1, r, response()).send(C, ACK, r, a, ""),
        // Both say something, and neither has got it.
        asked()
            .send(S, RST, 1, 0, "")
            .send(S, ACK, 1, r, response())
            .send(C, ACK, r, 1, script::frame(1, b"hi", true))
            .send(S, FIN_ACK, a, r, ""),
    ];
    for (n, hand) in dead.iter().enumerate() {
        let (found, counters) = read(hand);
        let x = &found.exchanges[0];
        assert_eq!((found.exchanges.len(), x.status(), x.end.tcp_how), (1, None, EndHow::Rst), "case {n}");
        assert_eq!((counters.resets_unheeded, x.end.tcp_at.is_some()), (0, true), "case {n}");
    }
}

#[test]
fn what_was_said_before_a_reset_and_comes_behind_it_is_read() {
    let (r, a) = (after_request(), after_answer());
    for reset in [(C, RST_ACK, r, a), (S, RST, a, 0), (S, RST_ACK, a, r)] {
        let (side, flags, seq, ack) = reset;
        let hand = Hand::opened().send(C, ACK, 1, 1, request()).send(side, flags, seq, ack, "");
        let (found, counters) = read(&hand.send(S, ACK, 1, r, response()));
        let x = &found.exchanges[0];
        assert_eq!((x.status(), counters.gaps, x.end.tcp_how), (Some(101), 0, EndHow::Rst), "{reset:?}");
    }
}

#[test]
fn a_reset_without_meaning_in_its_acknowledgement_leaves_no_hole() {
    let r = after_request();
    for ack in [i32::MAX, i32::MIN, -1_000_000] {
        let (found, counters) = read(&Hand::opened().send(C, ACK, 1, 1, request()).send(C, RST_ACK, r, ack, ""));
        assert_eq!((found.exchanges[0].status(), counters.gaps), (None, 0), "{ack}");
    }
    let mut zero = Hand::opened().send(C, ACK, 1, 1, request()).send(C, RST_ACK, r, 1, "");
    zero.0.last_mut().expect("the reset").ack = 0;
    assert_eq!(read(&zero).1.gaps, 0);
}

#[test]
fn a_port_that_is_used_again_behind_a_reset_is_another_connection() {
    let (r, a) = (after_request(), after_answer());
    let first = Hand::opened().send(C, ACK, 1, 1, request()).send(S, RST_ACK, 1, r, "");
    let n = 1_000_000;
    let again = first.send(C, SYN, n, 0, "").send(S, SYN_ACK, n, n + 1, "").send(C, ACK, n + 1, n + 1, "");
    let hand = again.send(C, ACK, n + 1, n + 1, request()).send(S, ACK, n + 1, n + r, response());
    let (found, counters) = read(&hand.send(C, ACK, n + r, n + a, ""));
    let said: Vec<_> = found.exchanges.iter().map(|x| (x.status(), x.end.tcp_how)).collect();
    assert_eq!((counters.flows, counters.resets_unheeded), (2, 0));
    assert_eq!(said, [(None, EndHow::Rst), (Some(101), EndHow::Open)]);
}

#[test]
fn a_reset_does_not_wait_for_ever() {
    let (r, a) = (after_request(), after_answer());
    let hand = Hand::opened().send(C, ACK, 1, 1, request()).send(S, RST, 1, 0, "").wait_ms(11_000);
    let hand = hand.send(S, ACK, 1, r, response()).send(C, ACK, r, a, script::frame(1, b"hi", true));
    let (found, counters) =
        read(&hand.send(S, ACK, a, r + 8, script::frame(1, b"hello", false)).send(C, ACK, r + 8, a + 7, ""));
    assert_eq!((found.exchanges[0].status(), found.exchanges[0].end.tcp_how), (None, EndHow::Rst));
    assert_eq!(counters.resets_unheeded, 0);
}

#[test]
fn what_waits_behind_a_reset_is_bounded() {
    let r = after_request();
    let mut hand = Hand::opened().send(C, ACK, 1, 1, request()).send(S, RST, 1, 0, "");
    for n in 0..1_200 {
        hand = hand.send(S, ACK, 1 + n * 1_000, r, [b'x'; 1_000]);
    }
    let (found, counters) = read(&hand);
    assert_eq!((found.exchanges[0].status(), found.exchanges[0].end.tcp_how), (None, EndHow::Rst));
    assert_eq!((counters.evicted, counters.resets_unheeded), (1, 0));
}

fn refused(segments: &[Segment]) -> bool {
    rules(segments).iter().any(|r| r == "connect-refused")
}

#[test]
fn a_reset_that_a_syn_ack_or_bytes_follow_refused_nothing() {
    let r = after_request();
    let syn = || Hand::default().send(C, SYN, 0, 0, "");
    assert!(refused(&syn().send(S, RST_ACK, 77, 1, "").0));
    let forged = || syn().send(S, RST_ACK, 77, 1, "");
    let opened = || forged().send(S, SYN_ACK, 0, 1, "");
    assert!(!refused(&opened().0), "a SYN-ACK");
    assert!(!refused(&opened().send(C, ACK, 1, 1, "").send(C, ACK, 1, 1, request()).0), "a connection");
    let (found, counters) = read(&opened().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, response()));
    assert_eq!((found.exchanges[0].status(), counters.http_requests), (Some(101), 1));
    // The SYN-ACK itself is not in the capture.
    let unseen = forged().send(C, ACK, 1, 1, request()).send(S, ACK, 1, r, response());
    assert!(!refused(&unseen.0), "bytes");
    assert_eq!(read(&unseen).0.exchanges[0].status(), Some(101));
    assert!(!refused(&forged().send(C, ACK, 1, 1, "").send(S, ACK, 1, 1, "").0), "the client's acknowledgement");
    // Neither of them: it was refused, once and again.
    let twice = forged().wait_ms(500).0;
    assert!(refused(&twice.into_iter().filter(|s| s.flags != ACK).collect::<Vec<_>>()));
    let again = forged().send(C, SYN, 0, 0, "").send(S, RST_ACK, 77, 1, "");
    assert!(refused(&again.0));
    let lone = &read(&again).0.lone;
    assert_eq!((lone.len(), lone[0].state, lone[0].end.map(|at| at.number())), (1, ConnectState::Refused, Some(2)));
}
