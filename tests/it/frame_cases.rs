//! One conversation for each fault of frames, byte by byte, and one beside it that is right.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::model::FrameFaultKind as Kind;

use crate::support::frames::{
    self, BINARY, CLOSE, CONTINUATION, Deflater, FIN, PING, PONG, RSV1, TEXT, TRAILER, frame, frame_of, header,
};
use crate::support::script::Side;

const DEFLATE: &str = "permessage-deflate";
/// Windows of 512 bytes, and each message by itself.
pub(crate) const SMALL: &str = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9";
const FORGETS: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What is said in one breath.
pub(crate) type Words = (Side, Vec<u8>);

/// What the number that belongs to a fault is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Detail {
    Is(u64),
    More(u64),
}

pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) extensions: &'static str,
    pub(crate) words: Vec<Words>,
    /// Which of the words hold it, and where in them its header begins.
    pub(crate) fault: usize,
    pub(crate) at: usize,
    pub(crate) detail: Detail,
    /// What looks like it and is right.
    pub(crate) right: (&'static str, Vec<Words>),
}

impl Case {
    /// The last words hold the fault, from their first byte on; and its number is 0.
    fn new(kind: Kind, extensions: &'static str, words: Vec<Words>, right: Vec<Words>) -> Case {
        let fault = words.len() - 1;
        Case { kind, extensions, words, fault, at: 0, detail: Detail::Is(0), right: (extensions, right) }
    }

    fn detail(self, detail: u64) -> Case {
        Case { detail: Detail::Is(detail), ..self }
    }

    fn at(self, fault: usize, at: usize) -> Case {
        Case { fault, at, ..self }
    }
}

/// From the server.
pub(crate) fn s(first: u8, payload: &[u8]) -> Words {
    (Side::Server, frame(first, payload, None))
}

/// From the client, with a mask that differs with what is said.
pub(crate) fn c(first: u8, payload: &[u8]) -> Words {
    let mask = frames::crc(&[&[first], payload].concat()) | 1;
    masked(first, payload, mask)
}

fn masked(first: u8, payload: &[u8], mask: u32) -> Words {
    (Side::Client, frame(first, payload, Some(mask.to_be_bytes())))
}

/// All of it in one breath of the server.
fn together(words: Vec<Words>) -> Words {
    (Side::Server, words.into_iter().flat_map(|(_, bytes)| bytes).collect())
}

fn headers() -> Vec<Case> {
    const T: u8 = FIN | TEXT;
    let bare = |first, payload: &[u8]| (Side::Client, frame(first, payload, None));
    let long = |payload: &[u8], form| (Side::Server, frame_of(T, payload, None, form));
    let announced = |length| (Side::Server, header(FIN | BINARY, length, None, 8));
    let hello = Deflater::new(15, false, 6).message(b"Hello");
    let halves = hello.split_at(3);
    vec![
        Case::new(Kind::MaskMissing, "", vec![bare(T, b"a")], vec![c(T, b"a")]),
        Case::new(Kind::MaskUnexpected, "", vec![(Side::Server, frame(T, b"a", Some([1, 2, 3, 4])))], vec![s(T, b"a")]),
        Case::new(
            Kind::MaskConstant,
            "",
            (0..4).map(|n| masked(T, &[b'a' + n], 0x37fa_213d)).collect(),
            (0..9).map(|n| masked(T, &[b'a' + n], 0x37fa_213d + u32::from(n) / 3)).collect(),
        )
        .detail(0x37fa_213d),
        Case::new(Kind::MaskZero, "", vec![masked(T, b"a", 0)], vec![masked(T, b"a", 1)]),
        Case::new(Kind::RsvSet, "", vec![s(T | 0x20, b"a")], vec![s(T, b"a")]).detail(0b010),
        Case::new(Kind::RsvSet, "", vec![c(T | 0x10, b"a")], vec![c(T, b"a")]).detail(0b001),
        Case {
            right: (DEFLATE, vec![s(T | RSV1, &hello)]),
            ..Case::new(Kind::Rsv1WithoutExtension, "", vec![s(T | RSV1, &hello)], vec![])
        },
        Case::new(Kind::Rsv1OnControl, DEFLATE, vec![s(FIN | RSV1 | PING, b"a")], vec![s(FIN | PING, b"a")]),
        Case::new(
            Kind::Rsv1OnContinuation,
            DEFLATE,
            vec![s(TEXT | RSV1, halves.0), s(FIN | RSV1, halves.1)],
            vec![s(TEXT | RSV1, halves.0), s(FIN, halves.1)],
        ),
        Case::new(Kind::OpcodeReserved, "", vec![s(FIN | 3, b"a")], vec![s(FIN | BINARY, b"\0")]).detail(3),
        Case::new(Kind::OpcodeReserved, "", vec![c(FIN | 0xb, b"a")], vec![c(FIN | PONG, b"")]).detail(0xb),
        Case::new(Kind::ControlTooLong, "", vec![s(FIN | PING, &[b'a'; 126])], vec![s(FIN | PING, &[b'a'; 125])])
            .detail(126),
        Case::new(Kind::ControlFragmented, "", vec![c(PING, b"a")], vec![c(FIN | PING, b"a")]),
        Case::new(Kind::LengthNotMinimal, "", vec![long(&[b'a'; 125], 2)], vec![long(&[b'a'; 126], 2)]).detail(125),
        Case::new(Kind::LengthNotMinimal, "", vec![long(&[b'a'; 300], 8)], vec![long(&[b'a'; 65_536], 8)]).detail(300),
        Case::new(Kind::LengthMsb, "", vec![announced(1 << 63 | 5)], vec![announced(65_536)]).detail(1 << 63 | 5),
        Case::new(Kind::FrameHuge, "", vec![announced((16 << 20) + 1)], vec![announced((16 << 20) - 1)])
            .detail((16 << 20) + 1),
        Case::new(Kind::ContinuationUnexpected, "", vec![s(FIN, b"a")], vec![s(TEXT, b"a"), s(FIN, b"b")]),
        Case::new(Kind::ContinuationMissing, "", vec![s(TEXT, b"a"), s(T, b"b")], vec![s(TEXT, b"a"), s(FIN, b"b")]),
        Case::new(
            Kind::ControlInterleaved,
            "",
            vec![s(TEXT, b"a"), s(FIN | PING, b"p"), s(FIN, b"b")],
            vec![s(TEXT, b"a"), s(FIN, b"b"), s(FIN | PING, b"p")],
        )
        .at(1, 0),
        Case::new(
            Kind::DataAfterClose,
            "",
            vec![s(FIN | CLOSE, &[3, 232]), s(T, b"a")],
            vec![s(T, b"a"), s(FIN | CLOSE, &[3, 232]), c(T, b"a"), c(FIN | CLOSE, &[3, 232])],
        ),
        Case::new(
            Kind::PongMismatch,
            "",
            vec![s(FIN | PING, b"a"), c(FIN | PONG, b"b")],
            vec![s(FIN | PING, b"a"), c(FIN | PONG, b"a"), c(FIN | PONG, b"")],
        ),
    ]
}

fn contents() -> Vec<Case> {
    const T: u8 = FIN | TEXT;
    let empty = |n| {
        let fragments = (0..n).map(|_| s(CONTINUATION, b""));
        vec![together([s(TEXT, b"a")].into_iter().chain(fragments).chain([s(FIN, b"b")]).collect())]
    };
    vec![
        Case::new(Kind::Utf8Invalid, "", vec![s(T, b"ab\xff")], vec![s(T, "ab\u{ff}".as_bytes())]).detail(2),
        // A character that does not end; one that is longer than it must be; half of a pair.
        Case::new(Kind::Utf8Invalid, "", vec![s(T, b"abc\xe2\x82")], vec![s(T, b"abc\xe2\x82\xac")]).detail(3),
        Case::new(Kind::Utf8Invalid, "", vec![c(T, b"\xc0\xaf")], vec![c(T, b"/")]),
        Case::new(Kind::Utf8Invalid, "", vec![s(T, b"a\xed\xa0\x80")], vec![s(T, b"a\xed\x9f\xbf")]).detail(1),
        Case::new(Kind::Utf8Invalid, "", vec![s(T, b"\xf4\x90\x80\x80")], vec![s(T, b"\xf4\x8f\xbf\xbf")]),
        // Across fragments, with a Ping between them.
        Case::new(
            Kind::Utf8Invalid,
            "",
            vec![s(TEXT, b"a\xe2"), s(FIN, b"\x28\xac")],
            vec![s(TEXT, b"a\xe2"), s(CONTINUATION, b""), s(CONTINUATION, b"\x82"), s(FIN, b"\xac")],
        )
        .detail(1)
        .at(0, 0),
        Case::new(
            Kind::JsonAsBinary,
            "",
            vec![s(FIN | BINARY, b"{\"type\":1,\"a\":[true]}")],
            vec![
                s(T, b"{\"type\":1,\"a\":[true]}"),
                s(FIN | BINARY, b"{\"type\":1,\"a\":[tru"),
                s(FIN | BINARY, b"\x01{\"type\":1}"),
            ],
        ),
        Case::new(Kind::EmptyFragments, "", empty(101), empty(100)).detail(101).at(0, 3 + 100 * 2),
    ]
}

/// Bytes of which none like them come again.
pub(crate) fn noise() -> Vec<u8> {
    (1_u32..=700).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7f).collect()
}

fn compressed() -> Vec<Case> {
    const Z: u8 = FIN | RSV1 | BINARY;
    const ZT: u8 = FIN | RSV1 | TEXT;
    let noise = noise();
    let once = |bits, content: &[u8]| Deflater::new(bits, false, 9).message(content);
    let both = |forgets, first: &[u8], second: &[u8]| {
        let mut deflater = Deflater::new(15, forgets, 9);
        vec![s(Z, &deflater.message(first)), s(Z, &deflater.message(second))]
    };
    let text = once(15, b"a sentence that is long enough to be cut, a sentence that is cut");
    let with_trailer = [&text[..], TRAILER].concat();
    let zeros = |n: usize| s(Z, &once(15, &vec![0; n]));
    let useless = |content: &dyn Fn(usize) -> Vec<u8>| {
        let mut deflater = Deflater::new(15, true, 6);
        vec![together((0..101).map(|n| s(Z, &deflater.message(&content(n)))).collect())]
    };
    vec![
        // The other message is where it refers to.
        Case::new(Kind::DeflateWindow, SMALL, both(false, &noise, &noise[..200]), vec![s(Z, &once(9, &noise))])
            .detail(9),
        Case::new(Kind::DeflateContext, FORGETS, both(false, &noise, &noise), both(true, &noise, &noise)),
        Case::new(Kind::DeflateTruncated, DEFLATE, vec![s(ZT, &text[..text.len() / 2])], vec![s(ZT, &text)]),
        Case::new(
            Kind::DeflateTrailer,
            DEFLATE,
            vec![s(ZT, &with_trailer)],
            vec![s(ZT, &text), s(FIN | BINARY, TRAILER)],
        ),
        // A block of type 3 is none (RFC 1951 §3.2.3). Blocks that are stored, or called the last, or several, are
        // right (RFC 7692 §7.2.3.3 to 5).
        Case::new(
            Kind::DeflateData,
            DEFLATE,
            vec![s(Z, b"\x06\x00\x00")],
            vec![
                s(ZT, b"\x00\x05\x00\xfa\xffHello\x00"),
                s(ZT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
                s(ZT, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                s(ZT, b"\x00"),
            ],
        ),
        Case {
            detail: Detail::More(1_000_000),
            ..Case::new(Kind::DeflateBomb, DEFLATE, vec![zeros(4 << 20)], vec![zeros(100_000)])
        },
        Case::new(
            Kind::DeflateUseless,
            DEFLATE,
            useless(&|n| noise[n..n + 20].to_vec()),
            useless(&|n| [n as u8; 60].to_vec()),
        )
        // The hundredth of them shows it.
        .at(0, 99 * 24),
        Case::new(Kind::Utf8Invalid, DEFLATE, vec![s(ZT, &once(15, b"abab\xff"))], vec![s(ZT, &once(15, b"abab"))])
            .detail(4),
    ]
}

pub(crate) fn all() -> Vec<Case> {
    headers().into_iter().chain(contents()).chain(compressed()).collect()
}
