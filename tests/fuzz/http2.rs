//! HTTP/2: frames, field blocks, whole connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hopscope::base::{PacketRef, Timestamp, limits};
use hopscope::model::{Direction, LineFaults};
use hopscope::proto::http2::{Block, Ended, Facts, Fault, Http2, Mark, News, Output, Stream};
use hopscope::stream::CloseHow;
use hopscope::wire::h2::{self, ChainAt, FrameHeader, Front};
use hopscope::wire::hpack::{Decoder, List, START, huffman};

/// Frame headers and fronts; a chain begins where its headers can be read.
pub fn frames(input: &[u8]) {
    if let Some(header) = FrameHeader::read(input) {
        let front = input.get(h2::HEADER_BYTES..).and_then(|rest| Front::read(&header, rest));
        if front.is_none() {
            assert!(input.len() < h2::HEADER_BYTES + header.least() as usize);
        }
        assert!(!header.is_plausible(1 << 24) || header.fault().is_none());
    }
    let whole = h2::find_chain(input, 0, 3, 16_384);
    if let ChainAt::Found(at) = whole {
        assert!(FrameHeader::read(&input[at..]).is_some_and(|header| header.is_plausible(16_384)));
        assert_eq!(h2::find_chain(&input[at..], 0, 3, 16_384), ChainAt::Found(0));
    }
    // Looking at a part first changes nothing.
    let (part, _) = input.split_at(input.len() / 2);
    let from = match h2::find_chain(part, 0, 3, 16_384) {
        ChainAt::Found(at) => return assert_eq!(whole, ChainAt::Found(at)),
        ChainAt::NotBefore(from) => from,
    };
    assert_eq!(h2::find_chain(input, from, 3, 16_384), whole);
}

/// Field blocks, each behind its length; a length of 255 is a lost one.
pub fn field_blocks(mut input: &[u8]) {
    let mut decoders = [Decoder::new(), Decoder::midstream()];
    let mut lists = [List::default(), List::default()];
    let mut out = Vec::new();
    if huffman::decode(input, &mut out, 1_000).is_ok() {
        assert!(out.len() <= 1_000 && out.len() <= input.len() * 8 / 5);
    }
    while let Some((&length, rest)) = input.split_first() {
        if length == 255 {
            decoders.iter_mut().for_each(Decoder::lost);
            input = rest;
            continue;
        }
        let (block, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        for (decoder, list) in decoders.iter_mut().zip(&mut lists) {
            decoder.decode(block, list);
            assert!(list.text.starts_with(START) && list.text.len() <= limits::HPACK_LIST_BYTES);
            assert!(list.fields.len() <= limits::HEAD_FIELDS.min(block.len()));
            assert!(decoder.table_size().0 <= limits::HPACK_TABLE_BYTES as u64);
            for field in &list.fields {
                for range in [&field.name, &field.value] {
                    assert!(list.text.get(range.start as usize..range.end as usize).is_some());
                }
            }
        }
        // Who joined late never claims other than who was there, and is sure where it claims.
        let [all, late] = &lists;
        for (a, b) in all.fields.iter().zip(&late.fields) {
            let doubt = LineFaults(LineFaults::UNKNOWN.0 | LineFaults::POSSIBLE.0);
            if !a.faults.has(doubt) && !b.faults.has(doubt) {
                assert_eq!((all.bytes(&a.name), all.bytes(&a.value)), (late.bytes(&b.name), late.bytes(&b.value)));
            }
        }
    }
}

/// What a connection told, in a form that does not depend on how its bytes were cut.
#[derive(Default, PartialEq, Debug)]
struct Told {
    lines: String,
    content: BTreeMap<(u32, bool), (u64, Vec<u8>)>,
}

impl Told {
    fn block(&mut self, word: &str, stream: &Stream, block: &Block<'_>) {
        let head = block.head();
        assert!(head.range.start < head.range.end && head.coded);
        let _ = writeln!(self.lines, "{word} {} {:?} {:?}", stream.id, block.list, head.range);
    }
}

impl Output for Told {
    fn request(&mut self, stream: &Stream, head: &Block<'_>) {
        self.block("request", stream, head);
    }

    fn interim(&mut self, stream: &Stream, head: &Block<'_>) {
        self.block("interim", stream, head);
    }

    fn response(&mut self, stream: &Stream, head: &Block<'_>) {
        self.block("response", stream, head);
    }

    fn trailers(&mut self, stream: &Stream, _: Direction, fields: &Block<'_>) {
        self.block("trailers", stream, fields);
    }

    fn data(&mut self, stream: &Stream, from: Direction, bytes: &[u8], mark: Mark) {
        let (sum, content) = self.content.entry((stream.id, from == Direction::ClientToServer)).or_default();
        content.extend_from_slice(bytes);
        for i in 0..bytes.len() as u64 {
            *sum = sum.wrapping_mul(31).wrapping_add(mark.offset + i);
        }
    }

    fn data_lost(&mut self, stream: &Stream, from: Direction, bytes: u64, _: Mark) {
        let (sum, _) = self.content.entry((stream.id, from == Direction::ClientToServer)).or_default();
        *sum = sum.wrapping_add(bytes << 32);
    }

    fn ended(&mut self, stream: &Stream, ended: Ended) {
        let _ = writeln!(self.lines, "ended {} {:?}", stream.id, ended.how);
    }

    fn connection(&mut self, news: News, _: &Facts) {
        let word = match news {
            News::Settings { .. } => "settings",
            News::SettingsAcked { .. } => "acked",
            News::GoAway { .. } => "goaway",
            News::Stalled { .. } => "stalled",
            News::Lost { .. } => "lost",
            News::Found { .. } => "found",
        };
        let _ = writeln!(self.lines, "{word}");
    }

    fn fault(&mut self, fault: Fault) {
        let _ = writeln!(self.lines, "{:?} {}", fault.what, fault.stream);
    }
}

/// A byte says how the connection began and how its bytes are cut. Then come steps of a control byte, a length and
/// so many bytes: as they are, as a frame, or as a hole.
pub fn connections(input: &[u8]) {
    let Some((&how, steps)) = input.split_first() else { return };
    let whole = connection(how, steps, usize::MAX);
    let cut = connection(how, steps, usize::from(how >> 2) + 1);
    assert_eq!(whole, cut);
}

fn connection(how: u8, mut steps: &[u8], cut: usize) -> Told {
    let mut told = Told::default();
    let mut machine = match how & 3 {
        0 => Http2::new(),
        1 => Http2::upgraded(Some(b"AAMAAABkAAQAoAAAAAIAAAAA"), Mark::default()),
        _ => Http2::midstream(),
    };
    let (mut at, mut now) = ([0_u64; 2], 0_i64);
    let mut push = |machine: &mut Http2, told: &mut Told, side: usize, from, bytes: &[u8], now: i64| {
        for piece in bytes.chunks(cut.min(bytes.len().max(1))) {
            let mark = Mark { ts: Timestamp(now), at: PacketRef::default(), offset: at[side] };
            machine.push(from, piece, mark, told);
            at[side] += piece.len() as u64;
        }
        at[side]
    };
    if how & 3 == 0 {
        push(&mut machine, &mut told, 0, Direction::ClientToServer, h2::PREFACE, 0);
    }
    while let [control, length, rest @ ..] = steps {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        steps = rest;
        now += if control & 0x80 == 0 { 1 } else { 700_000_000 };
        let side = usize::from(control & 1);
        let from = [Direction::ClientToServer, Direction::ServerToClient][side];
        match (control >> 1 & 3, bytes) {
            (0, _) => drop(push(&mut machine, &mut told, side, from, bytes, now)),
            (1, _) => {
                let offset = push(&mut machine, &mut told, side, from, &[], now);
                let mark = Mark { ts: Timestamp(now), at: PacketRef::default(), offset };
                machine.gap(from, u64::from(*length), mark, &mut told);
            }
            (_, [kind, flags, stream, payload @ ..]) => {
                let length = u32::try_from(payload.len()).expect("a byte").to_be_bytes();
                let frame = [&length[1..], &[kind % 11, *flags, 0, 0, 0, stream % 16], payload].concat();
                push(&mut machine, &mut told, side, from, &frame, now);
            }
            _ => {}
        }
    }
    machine.close(Direction::ClientToServer, CloseHow::CaptureEnd, Mark::default(), &mut told);
    told
}
