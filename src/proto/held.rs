//! Chunks kept until it is known whose they are.

use crate::base::{PacketRef, Timestamp};
use crate::stream::{Chunk, Side, What};

/// A chunk with bytes of its own. Offsets count from the beginning of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChunk {
    side: Side,
    ts: Timestamp,
    at: PacketRef,
    offset: u64,
    data: Vec<u8>,
    other: Option<What<'static>>,
}

impl HeldChunk {
    pub fn of(chunk: &Chunk<'_>) -> Self {
        let (data, other) = match chunk.what {
            What::Data(data) => (data.to_vec(), None),
            What::Gap { len, why } => (Vec::new(), Some(What::Gap { len, why })),
            What::Close(how) => (Vec::new(), Some(What::Close(how))),
        };
        HeldChunk { side: chunk.side, ts: chunk.ts, at: chunk.at, offset: chunk.offset, data, other }
    }

    pub fn as_chunk(&self) -> Chunk<'_> {
        let what = self.other.unwrap_or(What::Data(&self.data));
        Chunk { side: self.side, ts: self.ts, at: self.at, offset: self.offset, what }
    }

    /// Bytes of payload in it.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

/// What is left of a chunk of data behind its first `used` bytes.
pub fn behind<'a>(chunk: &Chunk<'a>, used: usize) -> Chunk<'a> {
    match chunk.what {
        What::Data(data) => Chunk {
            offset: chunk.offset.saturating_add(used.min(data.len()) as u64),
            what: What::Data(data.get(used..).unwrap_or_default()),
            ..*chunk
        },
        _ => *chunk,
    }
}
