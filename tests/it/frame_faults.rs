//! The fault of each conversation of `frame_cases.rs` is told where it is, alone, however the bytes are cut; and what
//! looks like it and is right raises nothing.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::model::{Direction, Exchange, FrameFaultKind as Kind, Spoken};

use crate::frame_cases::{Case, Detail, SMALL, Words, all, c, noise, s};
use crate::oracle::analysed;
use crate::support::frames::{self, BINARY, Deflater, FIN, RSV1, TEXT};
use crate::support::script::{Segment, Side};
use crate::support::shape;
use crate::talk::opened;

/// A conversation with these words, each in a packet of its own, and the place of the first of them among the
/// packets and in the streams of client and server.
fn conversation(extensions: &'static str, words: &[Words]) -> (Vec<Segment>, Vec<usize>, Vec<usize>) {
    let script = opened(extensions).segment_bytes(60_000);
    let first = [c(FIN | TEXT, b"hello"), s(FIN | TEXT, b"welcome")];
    let script = first.iter().fold(script, |script, (side, bytes)| script.say(*side, bytes)).acknowledge(false);
    let (mut packets, mut script) = (Vec::new(), script);
    for (side, bytes) in words {
        packets.push(script.len());
        script = script.say(*side, bytes);
    }
    let segments = script.fin(Side::Server).fin(Side::Client).segments();
    let offset = |packet: &usize| {
        let before = segments[..*packet].iter().filter(|s| s.from == segments[*packet].from);
        before.map(|s| s.payload.len()).sum()
    };
    let offsets = packets.iter().map(offset).collect();
    (segments, packets, offsets)
}

fn spoken(x: &Exchange, side: Side) -> &Spoken {
    let direction = match side {
        Side::Client => Direction::ClientToServer,
        Side::Server => Direction::ServerToClient,
    };
    x.talk.as_ref().expect("talk behind the 101").of(direction)
}

/// All faults of both sides: kind, whether the client's, packet, offset, number.
fn faults(x: &Exchange) -> Vec<(Kind, Side, u64, u64, u64)> {
    [Side::Client, Side::Server]
        .into_iter()
        .flat_map(|side| spoken(x, side).faults().iter().map(move |f| (side, f)))
        .map(|(side, f)| (f.kind, side, f.at.number(), f.offset, f.detail))
        .collect()
}

impl Case {
    /// What is wrong with what is told of it; empty: nothing.
    fn wrong(&self, found: &[(Kind, Side, u64, u64, u64)], packets: &[u64], offset: usize) -> String {
        let detail = |found| match self.detail {
            Detail::Is(number) => found == number,
            Detail::More(number) => found > number,
        };
        let side = self.words[self.fault].0;
        match found {
            [(kind, from, packet, at, number)]
                if (*kind, *from, *at) == (self.kind, side, offset as u64)
                    && packets.contains(packet)
                    && detail(*number) =>
            {
                String::new()
            }
            _ => format!(
                "{:?} of {side:?} in packet {packets:?} at {offset}, {:?}, expected; found {found:?}",
                self.kind, self.detail
            ),
        }
    }
}

#[test]
fn each_fault_is_told_alone_with_its_packet_its_place_and_its_number() {
    let mut failed = Vec::new();
    for (n, case) in all().iter().enumerate() {
        let (segments, packets, offsets) = conversation(case.extensions, &case.words);
        let found = faults(&analysed(&segments));
        let wrong = case.wrong(&found, &[packets[case.fault] as u64 + 1], offsets[case.fault] + case.at);
        failed.extend((!wrong.is_empty()).then(|| format!("case {n}: {wrong}")));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_looks_like_a_fault_and_is_right_raises_nothing() {
    let mut failed = Vec::new();
    for (n, case) in all().iter().enumerate() {
        let found = faults(&analysed(&conversation(case.right.0, &case.right.1).0));
        failed.extend((!found.is_empty()).then(|| format!("case {n}, beside {:?}: {found:?}", case.kind)));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_fault_is_the_same_wherever_its_bytes_are_cut() {
    let mut failed = Vec::new();
    for (n, case) in all().iter().enumerate() {
        let (segments, _, offsets) = conversation(case.extensions, &case.words);
        let offset = offsets[case.fault];
        let (side, end) = (case.words[case.fault].0, offset + case.words[case.fault].1.len());
        let longest = case.words.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(1);
        // Each place is the end of a piece of some length; of long words some of them.
        for size in (1..=longest).step_by(longest.div_ceil(150)) {
            let cut = shape::split(segments.clone(), &[size]);
            let mut sent = 0;
            let mut packets = Vec::new();
            for (index, segment) in cut.iter().enumerate().filter(|(_, s)| s.from == side) {
                if sent < end && sent + segment.payload.len() > offset {
                    packets.push(index as u64 + 1);
                }
                sent += segment.payload.len();
            }
            let wrong = case.wrong(&faults(&analysed(&cut)), &packets, offset + case.at);
            if !wrong.is_empty() {
                failed.push(format!("case {n} in pieces of {size}: {wrong}"));
                break;
            }
        }
        let (right, ..) = conversation(case.right.0, &case.right.1);
        for size in [1, 2, 3, 5, 7] {
            let found = faults(&analysed(&shape::split(right.clone(), &[size])));
            if !found.is_empty() {
                failed.push(format!("case {n}, beside {:?}, in pieces of {size}: {found:?}", case.kind));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A receiver with that window has lost what is referred to, wherever in the message it stood.
#[test]
fn a_reference_beyond_the_window_inside_one_message_is_told() {
    let content = [noise(), noise()[..200].to_vec()].concat();
    let said = |bits| {
        let words = s(FIN | RSV1 | BINARY, &Deflater::new(bits, false, 9).message(&content));
        let x = analysed(&conversation(SMALL, &[words]).0);
        let kinds: Vec<(Kind, u64)> = faults(&x).into_iter().map(|(kind, _, _, _, detail)| (kind, detail)).collect();
        let last = spoken(&x, Side::Server).messages().last().copied().expect("a message");
        (kinds, last.crc == frames::crc(&content))
    };
    assert_eq!(said(15).0, [(Kind::DeflateWindow, 9)]);
    assert_eq!(said(9), (vec![], true));
}

#[test]
fn every_kind_of_fault_has_a_case() {
    // A kind that is new does not compile here until it is counted.
    let number = |kind| match kind {
        Kind::MaskMissing => 0,
        Kind::MaskUnexpected => 1,
        Kind::MaskConstant => 2,
        Kind::MaskZero => 3,
        Kind::RsvSet => 4,
        Kind::Rsv1WithoutExtension => 5,
        Kind::Rsv1OnControl => 6,
        Kind::Rsv1OnContinuation => 7,
        Kind::OpcodeReserved => 8,
        Kind::ControlTooLong => 9,
        Kind::ControlFragmented => 10,
        Kind::LengthNotMinimal => 11,
        Kind::LengthMsb => 12,
        Kind::FrameHuge => 13,
        Kind::ContinuationUnexpected => 14,
        Kind::ContinuationMissing => 15,
        Kind::ControlInterleaved => 16,
        Kind::Utf8Invalid => 17,
        Kind::JsonAsBinary => 18,
        Kind::EmptyFragments => 19,
        Kind::DeflateWindow => 20,
        Kind::DeflateContext => 21,
        Kind::DeflateTruncated => 22,
        Kind::DeflateTrailer => 23,
        Kind::DeflateData => 24,
        Kind::DeflateBomb => 25,
        Kind::DeflateUseless => 26,
        Kind::DataAfterClose => 27,
        Kind::PongMismatch => 28,
    };
    let mut cases: Vec<u8> = all().iter().map(|case| number(case.kind)).collect();
    cases.sort_unstable();
    cases.dedup();
    assert_eq!(cases, (0..29).collect::<Vec<u8>>());
}
