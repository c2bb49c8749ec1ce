//! Captures that lose packets: a verdict may become weaker by what is missing, never another one. Each
//! conversation is judged whole, then without every few of its packets.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of a test are small"
)]

use std::collections::BTreeMap;

use hopscope::engine::judge;
use hopscope::model::{Confidence, Severity};
use hopscope::products::Products;
use hopscope::store::Analysis;

use crate::engine::run;
use crate::support::script::{self, Segment};
use crate::support::shape;
use crate::tcp::{ACK, C, FIN_ACK, Hand, RST, RST_ACK, S, SYN, SYN_ACK, capture};

const KEYS: [&str; 2] = ["q83vASNFZ4mrze8BI0VniQ==", "dGhlIHNhbXBsZSBub25jZQ=="];

fn judged(segments: &[Segment]) -> Analysis {
    let (collected, counters) = run(capture(segments));
    judge::whole(collected, counters, Vec::new(), Products::builtin(), &|_, _| false)
}

/// A rule, and whether it is sure.
type Verdict = (String, bool);

/// What was said: of each key the verdict; and of what has none.
struct Said {
    by_key: BTreeMap<String, Verdict>,
    other: Vec<Verdict>,
    faults: Vec<String>,
}

fn said(a: &Analysis) -> Said {
    let (mut by_key, mut other) = (BTreeMap::new(), Vec::new());
    for chain in &a.chains {
        let row = chain.legs.first().and_then(|id| a.rows.iter().find(|row| row.exchange.id == *id));
        let key = row.and_then(|row| row.exchange.key()).map(|k| String::from_utf8_lossy(k).into_owned());
        let rule = (chain.verdict.rule.to_string(), chain.verdict.confidence == Confidence::Certain);
        match key {
            Some(key) => assert!(by_key.insert(key, rule).is_none(), "one exchange for each key"),
            None => other.push(rule),
        }
    }
    let certain = a.findings.iter().filter(|f| f.severity == Severity::Error && f.confidence == Confidence::Certain);
    Said { by_key, other, faults: certain.map(|f| f.rule.to_string()).collect() }
}

/// Without up to `most` of its packets, nothing else is said of a conversation than with them. Returns
/// how often that was tried.
#[track_caller]
fn weaker_never_wrong(name: &str, segments: &[Segment], most: u32) -> usize {
    let whole = said(&judged(segments));
    let n = segments.len();
    assert!(n < 20, "{name}: {n} packets are too many");
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for mask in (1_u32..1 << n).filter(|m| m.count_ones() <= most) {
        let lost: Vec<usize> = (0..n).filter(|i| mask >> i & 1 == 1).collect();
        if !can_tell(segments, &lost) {
            continue;
        }
        tried += 1;
        let part = said(&judged(&shape::lose(segments.to_vec(), &lost)));
        let right =
            |(rule, certain): &Verdict| !certain || whole.by_key.values().chain(&whole.other).any(|w| w.0 == *rule);
        // Without its end a tunnel is as good as one that goes on.
        let same = |w: &str, rule: &str| w == rule || rule == "ok" && w.starts_with("end-");
        let keys = part
            .by_key
            .iter()
            .all(|(key, (rule, certain))| !certain || whole.by_key.get(key).is_some_and(|w| same(&w.0, rule)));
        let faults = part.faults.iter().all(|f| whole.faults.contains(f));
        if !keys || !part.other.iter().all(right) || !faults {
            wrong.push(format!("without {lost:?}: {:?} {:?} {:?}", part.by_key, part.other, part.faults));
        }
    }
    let shown = wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{name}: {:?} {:?}; {} wrong\n{shown}", whole.by_key, whole.other, wrong.len());
    tried
}

/// Whether what is left shows that something is missing: of lost bytes, a later segment of their sender that
/// says something, or an acknowledgement; of a lost SYN-ACK, anything that only an open connection has.
fn can_tell(segments: &[Segment], lost: &[usize]) -> bool {
    let left = || segments.iter().enumerate().filter(|(i, _)| !lost.contains(i)).map(|(_, s)| s);
    let behind = |a: u32, b: u32| a.wrapping_sub(b).cast_signed() > 0;
    // Without any SYN a capture began behind whatever came before its first bytes.
    let midstream = !left().any(|s| s.flags.syn);
    lost.iter().map(|&i| &segments[i]).all(|gone| {
        let before = left().filter(|s| s.from == C && !s.payload.is_empty()).all(|s| behind(s.seq, gone.seq));
        if midstream && gone.from == C && !gone.payload.is_empty() && before {
            return false;
        }
        let says = |s: &Segment| !s.payload.is_empty() || s.flags.fin || s.flags.rst;
        if gone.flags.syn && gone.flags.ack {
            return left().any(|s| if s.from == C { s.flags.ack } else { !s.flags.rst || !s.flags.ack });
        }
        gone.payload.is_empty()
            || left().any(|s| {
                let told = if s.from == gone.from { says(s).then_some(s.seq) } else { s.flags.ack.then_some(s.ack) };
                told.is_some_and(|told| behind(told, gone.seq))
            })
    })
}

fn upgrade(n: usize) -> Vec<u8> {
    script::head(&script::upgrade_request(KEYS[n]))
}

fn granted(n: usize) -> Vec<u8> {
    script::head(&script::upgrade_response(KEYS[n]))
}

fn refused() -> Vec<u8> {
    script::head("HTTP/1.1 403 Forbidden\nContent-Length: 0")
}

fn plain(n: usize) -> Vec<u8> {
    script::head(&format!("GET /{n} HTTP/1.1\nHost: a"))
}

fn okay() -> Vec<u8> {
    script::head("HTTP/1.1 200 OK\nContent-Length: 0")
}

/// How a conversation ends, with both sides at these numbers.
fn endings(hand: &Hand, c: i32, s: i32) -> Vec<(&'static str, Hand)> {
    let h = || hand.clone();
    let farewell = |h: Hand| h.send(S, FIN_ACK, s, c + 1, "").send(C, ACK, c + 1, s + 1, "");
    vec![
        ("client resets", h().send(C, RST, c, 0, "")),
        ("client resets and acknowledges", h().send(C, RST_ACK, c, s, "")),
        ("client resets twice", h().send(C, RST_ACK, c, s, "").send(C, RST, c, 0, "")),
        ("client closes", farewell(h().send(C, FIN_ACK, c, s, ""))),
        ("client closes, server resets", h().send(C, FIN_ACK, c, s, "").send(S, RST_ACK, s, c + 1, "")),
        ("server resets", h().send(S, RST, s, 0, "")),
        ("server resets and acknowledges", h().send(S, RST_ACK, s, c, "")),
        ("server closes", h().send(S, FIN_ACK, s, c, "").send(C, FIN_ACK, c, s + 1, "").send(S, ACK, s + 1, c + 1, "")),
        (
            "server closes, client resets",
            h().send(S, FIN_ACK, s, c, "").send(C, ACK, c, s + 1, "").send(C, RST_ACK, c, s + 1, ""),
        ),
        ("silence", h().wait_ms(6_000).send(C, ACK, c, s, "").send(S, ACK, s, c, "")),
        ("keep-alives", h().wait_ms(6_000).send(C, ACK, c - 1, s, "").send(S, ACK, s, c, "")),
    ]
}

/// Says pieces in turn, each acknowledged by its receiver.
fn talk(turns: &[(script::Side, Vec<u8>)]) -> (Hand, i32, i32) {
    turns.iter().fold((Hand::opened(), 1, 1), |(hand, c, s), (from, bytes)| {
        let n = bytes.len() as i32;
        if *from == C {
            (hand.send(C, ACK, c, s, bytes).send(S, ACK, s, c + n, ""), c + n, s)
        } else {
            (hand.send(S, ACK, s, c, bytes).send(C, ACK, c, s + n, ""), c, s + n)
        }
    })
}

#[track_caller]
fn with_all_endings(name: &str, turns: &[(script::Side, Vec<u8>)], most: u32) {
    let (hand, c, s) = talk(turns);
    for (end, hand) in endings(&hand, c, s) {
        weaker_never_wrong(&format!("{name}, {end}"), &hand.0, most);
    }
}

#[test]
fn a_refused_upgrade_without_any_of_its_packets_is_refused_or_unknown() {
    with_all_endings("refused", &[(C, upgrade(0)), (S, refused())], 4);
}

#[test]
fn an_unanswered_upgrade_without_any_of_its_packets_is_unanswered_or_unknown() {
    with_all_endings("unanswered", &[(C, upgrade(0))], 6);
}

#[test]
fn an_answer_in_pieces_without_any_of_them_is_what_it_was_or_unknown() {
    let answer = refused();
    let (a, b) = answer.split_at(30);
    with_all_endings("in pieces", &[(C, upgrade(0)), (S, a.into()), (S, b.into())], 4);
}

#[test]
fn a_websocket_without_any_of_its_packets_is_fine_or_unknown() {
    let turns =
        [(C, upgrade(0)), (S, granted(0)), (C, script::frame(1, b"hi", true)), (S, script::frame(1, b"hello", false))];
    with_all_endings("granted", &turns, 3);
}

#[test]
fn an_upgrade_behind_another_request_without_any_packets_is_what_it_was_or_unknown() {
    with_all_endings("second", &[(C, plain(1)), (S, okay()), (C, upgrade(0)), (S, refused())], 3);
    with_all_endings("second, unanswered", &[(C, plain(1)), (S, okay()), (C, upgrade(0))], 4);
    with_all_endings("again", &[(C, upgrade(0)), (S, refused()), (C, upgrade(1)), (S, granted(1))], 3);
}

#[test]
fn pipelined_requests_without_any_packets_get_no_others_answer() {
    let turns = [(C, upgrade(0)), (C, upgrade(1)), (S, refused()), (S, granted(1))];
    with_all_endings("pipelined", &turns, 3);
    let turns = [(C, plain(1)), (C, upgrade(1)), (S, okay()), (S, refused())];
    with_all_endings("pipelined behind a plain one", &turns, 3);
}

#[test]
fn a_connection_without_a_request_is_not_called_refused_for_what_is_missing() {
    let opened = Hand::opened();
    for (end, hand) in endings(&opened, 1, 1) {
        weaker_never_wrong(&format!("empty, {end}"), &hand.0, 12);
    }
    let refused = Hand::default().send(C, SYN, 0, 0, "").send(S, RST_ACK, 0, 1, "");
    weaker_never_wrong("refused", &refused.0, 12);
    let twice = Hand::default().send(C, SYN, 0, 0, "").send(C, SYN, 0, 0, "").send(S, SYN_ACK, 0, 1, "");
    weaker_never_wrong("slow", &twice.send(C, RST, 1, 0, "").0, 12);
}

#[test]
fn an_acknowledgement_that_stands_before_what_it_acknowledges_leaves_no_hole() {
    // As packets of several queues of a network card, or of two interfaces, are written; for five seconds.
    let (n, slot_ns) = (100, 50_000_000);
    let turns = [vec![(C, upgrade(0)), (S, granted(0))], vec![(S, script::frame(1, b"hello", false)); n]].concat();
    let segments = talk(&turns).0.0;
    let (opening, frames) = segments.split_at(segments.len() - 2 * n);
    for late in [0, 1, 5] {
        let mut moved = opening.to_vec();
        let from = opening.last().expect("an opening").at_ns;
        let mut put = |place: usize, segment: &Segment| {
            moved.push(Segment { at_ns: from + place as u64 * slot_ns, ..segment.clone() });
        };
        for place in 0..n + late {
            if let Some(pair) = frames.chunks(2).nth(place) {
                put(place, &pair[1]);
            }
            if let Some(pair) = place.checked_sub(late).and_then(|place| frames.chunks(2).nth(place)) {
                put(place, &pair[0]);
            }
        }
        let (found, counters) = run(capture(&moved));
        let counted = found.exchanges[0].ws.map(|ws| ws.server.frames);
        assert_eq!((found.exchanges.len(), counters.gaps, counted), (1, 0, Some(n as u32)), "{late} places late");
    }
}

#[test]
fn an_acknowledged_answer_that_never_comes_is_a_hole_as_long_as_it() {
    let (hand, c, s) = talk(&[(C, upgrade(0)), (S, refused()[..20].to_vec()), (S, refused()[20..].to_vec())]);
    // Both acknowledgements of the answer are there, and nothing of it.
    let lost: Vec<usize> = (5..hand.0.len()).filter(|&i| !hand.0[i].payload.is_empty()).collect();
    let segments = shape::lose(hand.send(C, RST, c, 0, "").0, &lost);
    let (found, counters) = run(capture(&segments));
    assert_eq!((lost.len(), counters.gap_bytes), (2, s as u64 - 1));
    assert!(found.exchanges[0].quality.response_gap);
}

#[test]
fn many_acknowledgements_of_what_is_missing_take_no_room() {
    let (hand, c, s) = talk(&[(C, upgrade(0))]);
    let acked = (1..6_000).fold(hand, |hand, n| hand.send(C, ACK, c, s + n, ""));
    let (found, counters) = run(capture(&acked.0));
    assert_eq!((counters.evicted, counters.gap_bytes), (0, 5_999));
    assert!(found.exchanges[0].quality.response_gap);
}

#[test]
fn where_the_first_bytes_of_a_connection_are_lost_an_upgrade_may_have_been_missed() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let whole = || script::Script::between("198.51.100.7:40000", "203.0.113.9:80").upgrade(key).goodbye();
    let holed = |lost: &[u8]| {
        let other = script::Script::between("198.51.100.8:40000", "203.0.113.9:80")
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let other =
            other.server(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").server(b"ab").server(b"cd").fin(S).fin(C);
        let mut segments = script::together([whole(), other]);
        segments.retain(|segment| segment.payload.is_empty() || !segment.payload.starts_with(lost));
        let a = judged(&segments);
        assert_eq!((a.rows.len(), a.counters.gaps), (1, 1));
        a.counters.starts_lost
    };
    assert_eq!(holed(b"GET / "), 1, "what that asked for is not known");
    assert_eq!(holed(b"ab"), 0, "a hole in a page hides no upgrade");
}
