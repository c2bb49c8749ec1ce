//! Whether a connection that was joined while it ran speaks HTTP/2. Only what is unmistakable counts: frames that
//! follow each other from the edge of a segment on without a fault, in both directions, and a field block that says
//! who is client.
//!
//! What comes in: segments in order. What it keeps: the chunks from the first frame on, at most
//! `limits::H2_MIDSTREAM_HELD_BYTES`, for the machine that takes over.

use crate::base::limits;
use crate::stream::{Chunk, Side};
use crate::wire::h2::{self, FrameHeader, HEADER_BYTES};

use super::held::HeldChunk;

/// One connection.
#[derive(Default)]
pub(super) struct Trial {
    sides: [Half; 2],
    client: Option<Side>,
    held: Vec<HeldChunk>,
    held_bytes: usize,
    /// It is none, or it is looked for no more.
    given_up: bool,
}

#[derive(Default)]
struct Half {
    /// Bytes of the frame under way that are still to come.
    left: u32,
    /// The beginning of a header.
    begun: Vec<u8>,
    /// The first bytes of a frame with fields, until they tell; and how many stand before the fields.
    fields: Option<(Vec<u8>, usize)>,
    /// Frames in a row.
    frames: u32,
    /// Segments at whose edge none began.
    failed: u8,
}

/// Frames that must be seen of one side, and of the other; or of one side alone.
const OF_ONE: u32 = 3;
const OF_THE_OTHER: u32 = 1;
const ALONE: u32 = 8;

/// Bytes of a payload, from its beginning, that tell a request from a response.
const FRONT: usize = 16;

impl Trial {
    /// A segment. The client, where it is certain that this is HTTP/2.
    pub(super) fn segment(&mut self, chunk: &Chunk<'_>, data: &[u8]) -> Option<Side> {
        if self.given_up {
            return None;
        }
        let half = &mut self.sides[chunk.side.index()];
        let in_frames = half.frames > 0 || half.left > 0;
        let mut told = None;
        if half.take(data, &mut told) {
            self.held.push(HeldChunk::of(chunk));
            self.held_bytes += data.len();
        } else {
            // Whoever was joined inside a long frame finds the next edge; who spoke it once never errs.
            half.failed += 1;
            if in_frames || half.failed >= limits::MIDSTREAM_TRIES {
                self.give_up();
                return None;
            }
        }
        if let Some(by_client) = told {
            self.client = self.client.or(Some(if by_client { chunk.side } else { chunk.side.other() }));
        }
        if self.held_bytes > limits::H2_MIDSTREAM_HELD_BYTES || self.held.len() > limits::H2_RESYNC_PIECES {
            self.give_up();
            return None;
        }
        let [a, b] = [0, 1].map(|side: usize| self.sides[side].frames);
        let enough = a.max(b) >= OF_ONE && a.min(b) >= OF_THE_OTHER || a.max(b) >= ALONE;
        self.client.filter(|_| enough)
    }

    /// Whether frames were seen; then it ends by itself.
    pub(super) fn is_promising(&self) -> bool {
        self.sides.iter().any(|half| half.frames > 0)
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, side: Side) {
        self.sides[side.index()] = Half::default();
        self.held.retain(|held| held.as_chunk().side != side);
    }

    /// What was held, for the machine that takes over.
    pub(super) fn take(&mut self) -> Vec<HeldChunk> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn give_up(&mut self) {
        *self = Trial { given_up: true, ..Trial::default() };
    }
}

impl Half {
    /// `false`: there are other bytes than frames in it. `told`: whether a request's field block stands in it, or a
    /// response's.
    fn take(&mut self, mut data: &[u8], told: &mut Option<bool>) -> bool {
        while !data.is_empty() {
            let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
            let (payload, rest) = data.split_at(passed);
            (self.left, data) = (self.left.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX)), rest);
            if let Some((block, front)) = &mut self.fields {
                let room = (*front + FRONT).saturating_sub(block.len());
                block.extend_from_slice(payload.get(..room).unwrap_or(payload));
                if self.left == 0 || block.len() >= *front + FRONT {
                    *told = told.or_else(|| is_request(block.get(*front..).unwrap_or_default()));
                    self.fields = None;
                }
            }
            if data.is_empty() {
                break;
            }
            let n = data.len().min(HEADER_BYTES.saturating_sub(self.begun.len()));
            let (front, rest) = data.split_at(n);
            self.begun.extend_from_slice(front);
            data = rest;
            let Some(header) = FrameHeader::read(&self.begun) else { break };
            self.begun.clear();
            if !header.is_plausible(limits::H2_RESYNC_FRAME_BYTES) {
                *self = Half { failed: self.failed, ..Half::default() };
                return false;
            }
            self.frames += 1;
            self.left = header.length;
            if header.kind == h2::HEADERS {
                self.fields = Some((Vec::new(), usize::try_from(header.least()).unwrap_or_default()));
            }
        }
        true
    }
}

/// Whether a field block begins with a pseudo-field of a request, or else of a response, by the static table (RFC
/// 7541 Appendix A) or in letters. `None`: neither can be told.
fn is_request(block: &[u8]) -> Option<bool> {
    let index = match *block.first()? {
        0x00 | 0x10 | 0x40 => {
            let name = block.get(2..).unwrap_or_default();
            return if name.starts_with(b":status") {
                Some(false)
            } else if [&b":method"[..], b":path", b":scheme", b":authority", b":protocol"]
                .iter()
                .any(|own| name.starts_with(own))
            {
                Some(true)
            } else {
                None
            };
        }
        // An entry of the table.
        byte @ 0x80.. => byte & 0x7f,
        // A literal with the name of one, indexed or not.
        byte @ 0x40..0x80 => byte & 0x3f,
        byte @ 0x00..0x20 => byte & 0x0f,
        // The size of the dynamic table comes first.
        0x20..0x40 => return None,
    };
    match index {
        1..=7 => Some(true),
        8..=14 => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::stream::What;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
    }

    /// The client that is told after these segments.
    fn told(segments: &[(Side, Vec<u8>)]) -> Option<Side> {
        let mut trial = Trial::default();
        segments.iter().find_map(|(side, data)| {
            let what = What::Data(data);
            let chunk = Chunk { side: *side, ts: Timestamp(0), at: PacketRef::default(), offset: 0, what };
            trial.segment(&chunk, data)
        })
    }

    fn talk() -> Vec<(Side, Vec<u8>)> {
        vec![
            (Side::High, frame(0, 0, 1, b"data")),
            (Side::Low, frame(8, 0, 0, &[0, 0, 1, 0])),
            (Side::High, frame(1, 4, 3, &[0x82, 0x84])),
            (Side::Low, frame(1, 4, 3, &[0x88])),
            (Side::High, frame(0, 1, 3, b"more")),
        ]
    }

    #[test]
    fn frames_of_both_sides_and_a_request_are_unmistakable_however_they_are_cut() {
        assert_eq!(told(&talk()), Some(Side::High));
        for size in [1, 2, 5] {
            let cut: Vec<(Side, Vec<u8>)> =
                talk().iter().flat_map(|(side, data)| data.chunks(size).map(|c| (*side, c.to_vec()))).collect();
            assert_eq!(told(&cut), Some(Side::High), "in pieces of {size}");
        }
    }

    #[test]
    fn one_side_alone_few_frames_and_no_fields_are_not_enough() {
        let of = |side: Side| talk().into_iter().filter(|(by, _)| *by == side).collect::<Vec<_>>();
        assert_eq!(told(&of(Side::High)), None);
        assert_eq!(told(&talk()[..3]), None);
        let data: Vec<_> = (0..20).map(|n| ([Side::Low, Side::High][n % 2], frame(0, 0, 1, b"data"))).collect();
        assert_eq!(told(&data), None, "who is client is not known");
    }

    #[test]
    fn one_byte_amiss_is_another_protocol() {
        for at in [3, 4, 5] {
            let mut talk = talk();
            talk[2].1[at] ^= 0xc0;
            assert_eq!(told(&talk), None, "byte {at}");
        }
    }
}
