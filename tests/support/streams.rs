//! Puts the payload of TCP segments together, each direction of a connection by itself, and puts changed
//! bytes back into the packets that they came from.

use std::net::SocketAddr;
use std::ops::Range;

use super::dissect::{self, Frame};
use super::read::Captured;

/// What one end sent to another on one connection, as far as it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Zeros where nothing was captured.
    pub bytes: Vec<u8>,
    pub held: Vec<bool>,
    pub pieces: Vec<Piece>,
    /// The sequence number of the first byte, as far as the capture tells.
    first: u32,
    /// Whether a SYN told that.
    opened: bool,
}

/// The payload of one packet.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Index of the packet in its capture.
    pub packet: usize,
    /// Where it stands in the packet.
    pub at: Range<usize>,
    pub seq: u32,
}

/// Longer streams are not what these captures hold; a wrong sequence number would make one.
const LONGEST: u32 = 1 << 24;

/// All streams, in the order of their first packets.
pub(crate) fn all(captured: &Captured) -> Vec<Stream> {
    let frames: Vec<Frame> = captured.packets.iter().map(|p| dissect::frame(&p.data, captured.link_of(p))).collect();
    let mut streams: Vec<Stream> = Vec::new();
    for (packet, (p, frame)) in captured.packets.iter().zip(&frames).enumerate() {
        let (Some((from, to)), Some(tcp)) = (dissect::ends(&p.data, frame), &frame.tcp) else { continue };
        let seq = u32::from_be_bytes(p.data[tcp.at + 4..tcp.at + 8].try_into().expect("four bytes"));
        let syn = p.data[tcp.at + 13] & 2 != 0;
        // A SYN with other numbers opens another connection between the same ends.
        let known = streams
            .iter()
            .rposition(|s| (s.from, s.to) == (from, to) && !(syn && s.opened && s.first != seq.wrapping_add(1)));
        let stream = known.unwrap_or_else(|| {
            let (bytes, held, pieces) = (Vec::new(), Vec::new(), Vec::new());
            streams.push(Stream { from, to, bytes, held, pieces, first: seq, opened: false });
            streams.len() - 1
        });
        let stream = &mut streams[stream];
        if syn {
            (stream.first, stream.opened) = (seq.wrapping_add(1), true);
        } else if !stream.opened && stream.first.wrapping_sub(seq) < LONGEST {
            stream.first = seq;
        }
        if !tcp.payload.is_empty() {
            let seq = seq.wrapping_add(u32::from(syn));
            stream.pieces.push(Piece { packet, at: tcp.payload.clone(), seq });
        }
    }
    for stream in &mut streams {
        stream.fill(captured);
    }
    streams
}

/// Writes what a stream now holds over what its packets held.
pub(crate) fn put_back(stream: &Stream, captured: &mut Captured) {
    for piece in &stream.pieces {
        for (n, at) in piece.at.clone().enumerate() {
            if let Some(place) = stream.place(piece, n) {
                captured.packets[piece.packet].data[at] = stream.bytes[place];
            }
        }
    }
}

impl Stream {
    /// Where the n-th byte of a piece stands. `None`: before the first, as a keep-alive's does.
    fn place(&self, piece: &Piece, n: usize) -> Option<usize> {
        let place = piece.seq.wrapping_add(n as u32).wrapping_sub(self.first);
        (place < LONGEST).then_some(place as usize)
    }

    /// Of bytes that came twice, the first stay.
    fn fill(&mut self, captured: &Captured) {
        for piece in self.pieces.clone() {
            for (n, at) in piece.at.clone().enumerate() {
                let Some(place) = self.place(&piece, n) else { continue };
                if place >= self.bytes.len() {
                    self.bytes.resize(place + 1, 0);
                    self.held.resize(place + 1, false);
                }
                if !self.held[place] {
                    (self.bytes[place], self.held[place]) = (captured.packets[piece.packet].data[at], true);
                }
            }
        }
    }

    /// The heads of messages that hold this word and are there from their first byte to the empty line.
    pub(crate) fn whole_head(&self, word: &str) -> Option<Range<usize>> {
        let end_of_head = |from: usize| memchr::memmem::find(&self.bytes[from..], b"\r\n\r\n").map(|at| from + at + 4);
        memchr::memmem::find_iter(&self.bytes, word.as_bytes()).find_map(|at| {
            let start = memchr::memmem::rfind(&self.bytes[..at], b"\r\n\r\n").map_or(0, |before| before + 4);
            let head = start..end_of_head(at)?;
            let begins =
                self.opened || start > 0 || self.bytes.starts_with(b"GET ") || self.bytes.starts_with(b"HTTP/");
            (begins && self.held[head.clone()].iter().all(|h| *h)).then_some(head)
        })
    }

    /// The packets that carry a byte of this range.
    pub(crate) fn packets(&self, range: &Range<usize>) -> Vec<usize> {
        let touches = |piece: &&Piece| {
            let places = (0..piece.at.len()).filter_map(|n| self.place(piece, n));
            places.into_iter().any(|place| range.contains(&place))
        };
        self.pieces.iter().filter(touches).map(|piece| piece.packet).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::{self, Link};
    use super::super::script::{Script, Segment, Side};
    use super::super::shape;
    use super::*;

    fn capture(segments: &[Segment]) -> Captured {
        Captured { links: vec![Link::Ethernet], packets: link::packets(segments, Link::Ethernet) }
    }

    #[test]
    fn what_was_said_comes_out_however_it_was_cut_and_changes_go_back_where_it_was() {
        let script = Script::flow().client("hello ").client("server").server("hello");
        let segments = shape::split(script.segments(), &[1, 4]);
        let segments = shape::reorder(shape::overlap(segments, &[0, 2]), &[2, 3, 1]);
        let mut captured = capture(&segments);
        let mut streams = all(&captured);
        assert_eq!(streams.iter().map(|s| s.bytes.as_slice()).collect::<Vec<_>>(), [&b"hello server"[..], b"hello"]);
        assert!(streams[0].held.iter().all(|h| *h));
        streams[0].bytes.make_ascii_uppercase();
        put_back(&streams[0], &mut captured);
        let again = all(&captured);
        assert_eq!((again[0].bytes.as_slice(), again[1].bytes.as_slice()), (&b"HELLO SERVER"[..], &b"hello"[..]));
    }

    #[test]
    fn a_second_connection_between_the_same_ends_is_a_stream_of_its_own() {
        let mut segments = Script::flow().client("one").segments();
        let second: Vec<Segment> = Script::flow().client("two").segments();
        segments.extend(second.into_iter().map(|s| {
            let own = if s.from == Side::Client { 900_000 } else { 70_000 };
            Segment { seq: s.seq.wrapping_add(own), ..s }
        }));
        let streams = all(&capture(&segments));
        assert_eq!(streams.iter().filter(|s| !s.bytes.is_empty()).count(), 2);
    }

    #[test]
    fn a_head_with_a_hole_is_not_whole() {
        let head = "GET /a HTTP/1.1\r\nHost: chat.example.org\r\nKey: abc\r\n\r\n";
        let segments = Script::flow().segment_bytes(9).client(head).segments();
        let streams = all(&capture(&segments));
        assert_eq!(streams[0].whole_head("Key: abc"), Some(0..head.len()));
        assert_eq!(streams[0].packets(&(8..10)), [3, 4]);
        for lost in 3..segments.len() - 1 {
            let streams = all(&capture(&shape::lose(segments.clone(), &[lost])));
            assert_eq!(streams[0].whole_head("Key: abc"), None, "{lost}");
        }
    }
}
