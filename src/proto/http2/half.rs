//! One direction's reader: what it is in the middle of.

use crate::base::limits;
use crate::wire::h2::{FrameHeader, HEADER_BYTES};
use crate::wire::hpack::Decoder;

use super::Mark;
use super::search::Search;

pub(super) struct Half {
    pub(super) state: State,
    /// The beginning of what is read next, as far as it came: preface, frame header, front of a payload.
    partial: [u8; PARTIAL],
    partial_len: usize,
    /// Where it began.
    pub(super) began: Mark,
    /// The frame under way.
    pub(super) frame: FrameHeader,
    /// Where it began.
    pub(super) frame_at: Mark,
    /// Bytes of its payload that are still to come, padding included.
    pub(super) left: u32,
    /// Bytes of padding among them.
    pub(super) padding: u32,
    /// Part of its payload is not in the capture, or breaks the rules: the rest means nothing.
    pub(super) spoilt: bool,
    /// The field block under way.
    pub(super) block: Option<BlockBegun>,
    /// Its bytes, so far. At most `limits::H2_BLOCK_BYTES`.
    pub(super) fragments: Vec<u8>,
    pub(super) decoder: Decoder,
    pub(super) search: Option<Box<Search>>,
    /// Frames were found by their looks: a header that cannot be leads back to the search.
    pub(super) unsure: bool,
    pub(super) resyncs: u32,
    /// No frame was read yet.
    pub(super) first: bool,
    /// FIN.
    pub(super) closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the client's preface, of which so many bytes came.
    Preface(usize),
    Header,
    /// In the first bytes of a payload that have a meaning of their own; so many are needed.
    Front(usize),
    Payload,
    /// Nobody knows where a frame begins.
    Search,
    /// Left alone.
    Done,
}

/// A field block whose first frame came.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockBegun {
    pub(super) stream: u32,
    /// The stream that a PUSH_PROMISE speaks of.
    pub(super) promised: Option<u32>,
    pub(super) first: Mark,
    pub(super) ends_stream: bool,
    /// Not all of it is there.
    pub(super) lost: bool,
    pub(super) too_large: bool,
    /// Frames of it.
    pub(super) frames: u32,
}

/// The longest of what is gathered: a frame header, 8 bytes of GOAWAY, 6 of HEADERS.
const PARTIAL: usize = HEADER_BYTES;

impl Half {
    pub(super) fn new(state: State, decoder: Decoder) -> Self {
        Half {
            state,
            partial: [0; PARTIAL],
            partial_len: 0,
            began: Mark::default(),
            frame: FrameHeader::default(),
            frame_at: Mark::default(),
            left: 0,
            padding: 0,
            spoilt: false,
            block: None,
            fragments: Vec::new(),
            decoder,
            search: None,
            unsure: false,
            resyncs: 0,
            first: true,
            closed: false,
        }
    }

    /// Takes from `rest` what is missing to `need` bytes (at most [`PARTIAL`]); how many it took. When
    /// `gathered` has them, they are all there.
    #[inline]
    pub(super) fn gather(&mut self, need: usize, rest: &[u8], mark: Mark) -> usize {
        if self.partial_len == 0 {
            self.began = mark;
        }
        let room = self.partial.get_mut(self.partial_len..need).unwrap_or_default();
        let n = room.len().min(rest.len());
        for (place, byte) in room.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.partial_len += n;
        n
    }

    /// The bytes gathered, if they are so many; from then on there are none.
    #[inline]
    pub(super) fn gathered(&mut self, need: usize) -> Option<[u8; PARTIAL]> {
        if self.partial_len < need {
            return None;
        }
        self.partial_len = 0;
        Some(self.partial)
    }

    /// Whether some bytes came of what is gathered.
    pub(super) fn is_inside(&self) -> bool {
        self.partial_len != 0
    }

    /// Forgets what was gathered; how many bytes that was.
    pub(super) fn ungather(&mut self) -> u32 {
        u32::try_from(std::mem::take(&mut self.partial_len)).unwrap_or(0)
    }

    /// Bytes of a field block.
    pub(super) fn fragment(&mut self, bytes: &[u8]) {
        let Some(block) = &mut self.block else { return };
        if block.lost || block.too_large {
            return;
        }
        if self.fragments.len().saturating_add(bytes.len()) > limits::H2_BLOCK_BYTES {
            block.too_large = true;
            self.fragments.clear();
            return;
        }
        self.fragments.extend_from_slice(bytes);
    }
}
