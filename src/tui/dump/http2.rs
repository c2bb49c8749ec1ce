//! Where the frames of an HTTP/2 connection begin, read from the bytes that are looked at (RFC 9113 §4.1).

use crate::base::limits;
use crate::engine::stretch::{Part, Stretch};
use crate::model::Direction;
use crate::wire::h2::{self, FrameHeader, HEADER_BYTES, PREFACE};

/// One frame, and where its header begins.
pub(super) struct Frame {
    pub(super) offset: u64,
    header: FrameHeader,
}

/// All frames of a direction whose first bytes are there: from the preface on, until bytes of a header are missing. None
/// where it does not begin as HTTP/2 does.
pub(super) fn frames(stretch: &Stretch, way: Direction) -> Vec<Frame> {
    let mut out = Vec::new();
    let mut next = if way == Direction::ClientToServer { PREFACE.len() as u64 } else { 0 };
    let mut header: Vec<u8> = Vec::new();
    let mut seen = 0;
    for piece in stretch.pieces.iter().filter(|piece| piece.from == way) {
        let Part::Bytes(_) = &piece.what else { continue };
        let bytes = stretch.of(&piece.what);
        // What follows a hole is a header only where the hole lay inside of a frame.
        if piece.offset > seen && (!header.is_empty() || next < piece.offset) {
            break;
        }
        let begin = usize::try_from(piece.offset).ok().and_then(|at| PREFACE.get(at..)).unwrap_or_default();
        if way == Direction::ClientToServer && begin.iter().zip(bytes).any(|(expected, byte)| expected != byte) {
            break;
        }
        seen = piece.offset.saturating_add(bytes.len() as u64);
        while next.saturating_add(header.len() as u64) < seen && out.len() < limits::STRETCH_PIECES {
            let at = next.saturating_add(header.len() as u64).saturating_sub(piece.offset);
            let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
            header.extend_from_slice(rest.get(..HEADER_BYTES - header.len()).unwrap_or(rest));
            let Some(read) = FrameHeader::read(&header) else { break };
            if read.fault().is_some() || out.is_empty() && read.kind != h2::SETTINGS {
                return out;
            }
            out.push(Frame { offset: next, header: read });
            next = next.saturating_add(HEADER_BYTES as u64 + u64::from(read.length));
            header.clear();
        }
    }
    out
}

impl Frame {
    /// `SETTINGS ACK`, `DATA of stream 1, 15 B`.
    pub(super) fn words(&self) -> String {
        let h = &self.header;
        let name = match h.kind {
            h2::DATA => "DATA",
            h2::HEADERS => "HEADERS",
            h2::PRIORITY => "PRIORITY",
            h2::RST_STREAM => "RST_STREAM",
            h2::SETTINGS => "SETTINGS",
            h2::PUSH_PROMISE => "PUSH_PROMISE",
            h2::PING => "PING",
            h2::GOAWAY => "GOAWAY",
            h2::WINDOW_UPDATE => "WINDOW_UPDATE",
            h2::CONTINUATION => "CONTINUATION",
            _ => "a frame of an extension",
        };
        let ack = if matches!(h.kind, h2::SETTINGS | h2::PING) && h.has(h2::ACK) { " ACK" } else { "" };
        let stream = if h.stream == 0 { String::new() } else { format!(" of stream {}", h.stream) };
        let end = if h.ends_stream() { ", END_STREAM" } else { "" };
        format!("{name}{ack}{stream}, {} B{end}", h.length)
    }

    /// Its first bytes that are no content of somebody's.
    pub(super) fn shown(&self) -> u64 {
        let payload = match self.header.kind {
            h2::SETTINGS | h2::PING | h2::RST_STREAM | h2::WINDOW_UPDATE | h2::PRIORITY => self.header.length,
            // Behind the last stream and the reason stands what may be anything.
            h2::GOAWAY => self.header.length.min(8),
            _ => 0,
        };
        HEADER_BYTES as u64 + u64::from(payload)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::PacketRef;
    use crate::engine::stretch::Piece;
    use crate::stream::GapWhy;

    const UP: Direction = Direction::ClientToServer;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn whole() -> Vec<u8> {
        let frames = [
            frame(h2::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
            frame(h2::HEADERS, h2::END_HEADERS, 1, &[0x82, 0x87]),
            frame(h2::SETTINGS, h2::ACK, 0, &[]),
            frame(h2::DATA, h2::END_STREAM, 1, &[7; 40]),
            frame(h2::GOAWAY, 0, 0, &[9; 20]),
        ];
        [&PREFACE[..], &frames.concat()].concat()
    }

    /// The bytes in pieces that end at these places.
    fn stretch(bytes: &[u8], cuts: &[usize]) -> Stretch {
        let mut all = Stretch { bytes: bytes.to_vec(), ends: bytes.len() as u64, ..Stretch::default() };
        let mut from = 0;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
        cuts.sort_unstable();
        for to in cuts.into_iter().filter(|to| *to > 0) {
            let what = Part::Bytes(from..to);
            all.pieces.push(Piece {
                from: UP,
                offset: from as u64,
                at: PacketRef::default(),
                ts: Default::default(),
                what,
            });
            from = to;
        }
        all
    }

    fn words(stretch: &Stretch) -> Vec<(u64, String, u64)> {
        frames(stretch, UP).iter().map(|f| (f.offset, f.words(), f.shown())).collect()
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(cuts in prop::collection::vec(0_usize..200, 0..12)) {
            let expected = [
                (24, "SETTINGS, 6 B", 15),
                (39, "HEADERS of stream 1, 2 B", 9),
                (50, "SETTINGS ACK, 0 B", 9),
                (59, "DATA of stream 1, 40 B, END_STREAM", 9),
                (108, "GOAWAY, 20 B", 17),
            ];
            let found = words(&stretch(&whole(), &cuts));
            let found: Vec<_> = found.iter().map(|(at, words, shown)| (*at, words.as_str(), *shown)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_hole_inside_of_a_frame_is_passed_over_and_one_in_a_header_ends_it() {
        let lose = |from: u64, to: u64| {
            let (a, b) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
            let mut all = stretch(&whole(), &[a, b]);
            if let Some(piece) = all.pieces.iter_mut().find(|piece| piece.offset == from) {
                piece.what = Part::Hole(Some(to - from), GapWhy::Lost);
            }
            words(&all).into_iter().map(|(at, ..)| at).collect::<Vec<_>>()
        };
        assert_eq!(lose(70, 100), [24, 39, 50, 59, 108]);
        assert_eq!(lose(70, 112), [24, 39, 50, 59]);
        assert_eq!(lose(52, 100), [24, 39]);
    }

    #[test]
    fn what_does_not_begin_as_http2_has_no_frames() {
        assert!(words(&stretch(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n and more than a preface", &[])).is_empty());
        assert!(words(&stretch(&[&PREFACE[..], &frame(h2::DATA, 0, 1, b"x")].concat(), &[])).is_empty());
        let behind = Stretch { pieces: stretch(&whole(), &[30]).pieces.split_off(1), ..stretch(&whole(), &[]) };
        assert!(words(&behind).is_empty(), "it begins in the middle");
    }
}
