//! Two ends of tungstenite talk to each other: messages in any fragments, Pings between them, a Close with a code
//! and a reason, compressed or not. Captured however, their talk is read as they had it.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::model::{Deflate, Direction, EndHow, Exchange};
use proptest::prelude::*;

use crate::engine::run;
use crate::support::file::Format;
use crate::support::frames::Deflater;
use crate::support::link::{self, Link};
use crate::support::peers::{Agreed, Held, Session, Words};
use crate::support::script::{Segment, Side};
use crate::support::{cases, shape};
use crate::talk::{Said, differences, opened};

fn segments(held: &Held, extensions: &str) -> Vec<Segment> {
    let script = held.spoken.iter().fold(opened(extensions), |script, (side, bytes)| script.say(*side, bytes));
    script.fin(Side::Server).fin(Side::Client).segments()
}

fn said(held: &Held, extensions: &str, forgets: Option<[bool; 2]>) -> [Said; 2] {
    let heads = opened(extensions).segments();
    [Side::Client, Side::Server].map(|side| {
        let of_head = heads.iter().filter(|s| s.from == side).flat_map(|s| s.payload.clone());
        let spoken = held.spoken.iter().filter(|(from, _)| *from == side).flat_map(|(_, bytes)| bytes.clone());
        let stream: Vec<u8> = of_head.chain(spoken).collect();
        Said::of(&stream, forgets.map(|forgets| forgets[usize::from(side == Side::Server)]))
    })
}

/// The one exchange of a capture.
pub(crate) fn analysed(segments: &[Segment]) -> Box<Exchange> {
    let file = Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet));
    let (mut collected, _) = run(file);
    assert_eq!(collected.exchanges.len(), 1);
    collected.exchanges.remove(0)
}

/// What is wrong with what is told of a session that was captured like this.
fn judged(session: &Session, shaped: &dyn Fn(Vec<Segment>) -> Vec<Segment>) -> Vec<String> {
    let field = session.agreed.map(Agreed::field).unwrap_or_default();
    let held = session.hold();
    let said = said(&held, &field, session.agreed.map(|a| a.forgets));
    // The peers and the reader of this test agree on what was said: neither can hide a mistake of the other.
    for (side, own) in said.iter().enumerate() {
        let wanted: Vec<&[u8]> = session.words[side].iter().map(|words| words.content.as_slice()).collect();
        let read: Vec<&[u8]> = own.messages.iter().map(|message| message.content.as_slice()).collect();
        assert!(read == wanted, "the reader of this test is wrong");
        let peer = &held.ends[1 - side];
        assert_eq!(peer.read.len(), wanted.len());
        if session.agreed.is_none() {
            assert!(peer.read == wanted, "the peer read something else");
        }
    }
    let closed = Some((session.code, session.reason.clone()));
    assert_eq!(held.ends[1 - session.closes].closed, closed);

    let x = analysed(&shaped(segments(&held, &field)));
    let mut wrong = differences(&x, [&said[0], &said[1]]);
    let by = [Direction::ClientToServer, Direction::ServerToClient][session.closes];
    let close =
        x.end.close.as_ref().map(|close| (close.code.unwrap_or(0), String::from_utf8_lossy(&close.reason).into()));
    if (x.end.by, x.end.how, &close) != (Some(by), EndHow::CloseFrame, &closed) {
        wrong.push(format!("end: {:?} found, {closed:?} by {by:?} said", x.end));
    }
    let agreed = session.agreed.map(|a| Deflate {
        client_bits: a.bits[0],
        server_bits: a.bits[1],
        client_no_context_takeover: a.forgets[0],
        server_no_context_takeover: a.forgets[1],
    });
    let found = x.talk.as_ref().and_then(|talk| talk.deflate);
    if found != agreed {
        wrong.push(format!("deflate: {found:?} found, {agreed:?} agreed on"));
    }
    wrong
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..200,
        2 => prop_oneof![Just(0_usize), Just(1), Just(125), Just(126), Just(127)],
        1 => 200_usize..5_000,
        1 => prop_oneof![Just(65_535_usize), Just(65_536)],
        1 => 5_000_usize..70_000,
    ]
}

fn words() -> impl Strategy<Value = Words> {
    let cuts = prop::collection::vec((0_usize..=1_000, prop::option::weighted(0.2, 0_usize..=121)), 0..4);
    (any::<(bool, bool, bool)>(), lengths(), any::<u32>(), cuts).prop_map(
        |((text, compressed, dull), length, seed, cuts)| Words {
            text,
            compressed,
            content: content(text, dull, length, seed),
            cuts,
        },
    )
}

/// So many bytes: text of characters of one to four bytes, or binary that no JSON begins like. `dull`: what comes
/// again and again.
fn content(text: bool, dull: bool, length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut dice = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        let n = if dull { bytes.len() as u32 / 4 % 61 } else { dice() };
        if text {
            let pick = ['a', 'Z', '7', 'é', 'ж', '€', '語', '😀', '\u{7ff}', '\u{10ffff}'][n as usize % 10];
            let pick = if bytes.len() + pick.len_utf8() > length { 'x' } else { pick };
            bytes.extend_from_slice(pick.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(if bytes.is_empty() { 0 } else { n as u8 });
        }
    }
    bytes
}

fn agreed() -> impl Strategy<Value = Agreed> {
    // An end may use a smaller window than it may.
    let window = || (9_u8..=15).prop_flat_map(|bits| (9..=bits, Just(bits)));
    (window(), window(), any::<[bool; 2]>(), 0_u32..=9).prop_map(|(client, server, forgets, level)| Agreed {
        bits: [client.1, server.1],
        used: [client.0, server.0],
        forgets,
        level,
    })
}

fn sessions(compressed: bool) -> impl Strategy<Value = Session> {
    let words = || prop::collection::vec(words(), 0..12);
    let close =
        (0_usize..2, prop_oneof![Just(1000_u16), Just(1001), Just(1008), Just(1011), 3000_u16..5000], 0_usize..=123);
    let agreed: BoxedStrategy<Option<Agreed>> = match compressed {
        true => agreed().prop_map(Some).boxed(),
        false => Just(None).boxed(),
    };
    (agreed, words(), words(), prop::collection::vec(any::<(bool, bool)>(), 0..40), close, any::<u32>()).prop_map(
        |(agreed, client, server, turns, (closes, code, length), seed)| {
            let reason = String::from_utf8(content(true, false, length, seed)).expect("text");
            Session { agreed, words: [client, server], turns, closes, code, reason }
        },
    )
}

/// What happens to segments on their way into the capture.
#[derive(Clone, Debug)]
struct Shape {
    sizes: Vec<usize>,
    swaps: Vec<u8>,
    twice: Vec<bool>,
    back: Vec<u8>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let (swaps, twice) = (prop::collection::vec(any::<u8>(), 0..60), prop::collection::vec(any::<bool>(), 0..60));
    let sizes = prop::collection::vec(prop_oneof![1_usize..20, 1_usize..1_460], 1..6);
    (sizes, swaps, twice, prop::collection::vec(0_u8..20, 0..5)).prop_map(|(sizes, swaps, twice, back)| Shape {
        sizes,
        swaps,
        twice,
        back,
    })
}

impl Shape {
    fn shape(&self, segments: Vec<Segment>) -> Vec<Segment> {
        // Large talk in small pieces would take most of the time and show nothing more.
        let bytes: usize = segments.iter().map(|s| s.payload.len()).sum();
        let sizes: Vec<usize> = self.sizes.iter().map(|size| size * (1 + bytes / 20_000)).collect();
        let segments = shape::overlap(shape::split(segments, &sizes), &self.back);
        shape::reorder(shape::duplicate(segments, &self.twice), &self.swaps)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_two_peers_say_is_read_as_they_said_it(session in sessions(false), shape in shapes()) {
        prop_assert_eq!(judged(&session, &|segments| shape.shape(segments)), Vec::<String>::new());
    }

    #[test]
    fn what_two_peers_say_compressed_is_read_as_they_said_it(session in sessions(true), shape in shapes()) {
        prop_assert_eq!(judged(&session, &|segments| shape.shape(segments)), Vec::<String>::new());
    }
}

#[test]
fn every_window_with_and_without_memory_is_inflated() {
    let content = |n: usize| content(false, n.is_multiple_of(2), 3_000 * (n + 1), n as u32);
    let mut failed = Vec::new();
    for (client, server) in (9..=15).map(|bits| (bits, 24 - bits)) {
        for forgets in [[false, false], [false, true], [true, false], [true, true]] {
            let bits = [client, server];
            let words = |_| {
                (0..6)
                    .map(|n| Words { text: false, compressed: true, content: content(n % 4), cuts: Vec::new() })
                    .collect()
            };
            let session = Session {
                agreed: Some(Agreed { bits, used: bits, forgets, level: 6 }),
                words: [0, 1].map(words),
                turns: Vec::new(),
                closes: 0,
                code: 1000,
                reason: String::new(),
            };
            failed.extend(
                judged(&session, &|segments| segments).into_iter().map(|w| format!("{bits:?} {forgets:?} {w}")),
            );
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_peer_is_no_mirror_of_the_reader() {
    // Compressed text goes as binary through the peers, and as text over the wire.
    let words = |text| Words { text, compressed: true, content: b"hello".to_vec(), cuts: vec![(500, Some(3))] };
    let session = Session {
        agreed: Some(Agreed { bits: [15, 15], used: [15, 15], forgets: [false, false], level: 6 }),
        words: [vec![words(true)], vec![]],
        turns: Vec::new(),
        closes: 1,
        code: 1000,
        reason: "bye".to_owned(),
    };
    let held = session.hold();
    let said = said(&held, "", Some([false, false]));
    let firsts: Vec<u8> = said[0].frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x41, 0x89, 0x80, 0x88]);
    assert!(said[0].frames.iter().all(|frame| frame.mask.is_some()));
    assert_eq!(said[1].frames.iter().map(|frame| frame.first).collect::<Vec<_>>(), [0x8a, 0x88]);
    assert_eq!(said[0].messages[0].content, b"hello");
    assert_eq!(held.ends[1].read, [Deflater::new(15, false, 6).message(b"hello")]);
}
