//! Finds the way back to frames in a direction of which nobody knows where one begins.

use crate::base::limits;
use crate::wire::h2::{self, ChainAt};

use super::Mark;

/// Bytes of one direction in which a chain of frame headers is looked for. At most
/// `limits::H2_RESYNC_BYTES` and `H2_RESYNC_PIECES`.
#[derive(Default)]
pub(super) struct Search {
    bytes: Vec<u8>,
    /// Where each piece begins in `bytes`, and what brought it.
    pieces: Vec<(usize, Mark)>,
    /// No chain begins before this place.
    from: usize,
}

/// What was found: bytes that begin with a frame, and which packets brought them.
pub(super) struct Found {
    bytes: Vec<u8>,
    pieces: Vec<(usize, Mark)>,
    from: usize,
}

impl Search {
    /// More of the direction, in order.
    pub(super) fn add(&mut self, data: &[u8], mark: Mark) {
        // Only the last of a large piece can be held.
        let over = data.len().saturating_sub(limits::H2_RESYNC_BYTES / 2);
        let (data, mark) = (data.get(over..).unwrap_or_default(), mark.plus(over));
        if over > 0 || self.pieces.len() >= limits::H2_RESYNC_PIECES {
            self.clear();
        }
        if self.bytes.len().saturating_add(data.len()) > limits::H2_RESYNC_BYTES {
            self.shorten(limits::H2_RESYNC_BYTES / 2);
        }
        self.pieces.push((self.bytes.len(), mark));
        self.bytes.extend_from_slice(data);
    }

    /// Bytes are missing behind those that were added.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.from = 0;
    }

    /// A chain, if there is one now; then nothing is left here.
    pub(super) fn find(&mut self) -> Option<Found> {
        let least = limits::H2_RESYNC_FRAMES;
        match h2::find_chain(&self.bytes, self.from, least, limits::H2_RESYNC_FRAME_BYTES) {
            ChainAt::Found(from) => {
                let all = std::mem::take(self);
                Some(Found { bytes: all.bytes, pieces: all.pieces, from })
            }
            ChainAt::NotBefore(from) => {
                self.from = from;
                None
            }
        }
    }

    /// Drops what lies before the place where a chain may begin, and so much that this many bytes are left.
    fn shorten(&mut self, most: usize) {
        let n = self.from.max(self.bytes.len().saturating_sub(most)).min(self.bytes.len());
        self.bytes.drain(..n);
        self.from = self.from.saturating_sub(n);
        let last_before = self.pieces.iter().rposition(|(at, _)| *at <= n).unwrap_or(0);
        self.pieces.drain(..last_before);
        for (place, mark) in &mut self.pieces {
            *mark = mark.plus(n.saturating_sub(*place));
            *place = place.saturating_sub(n);
        }
    }
}

impl Found {
    /// Its pieces, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Mark)> {
        let ends = self.pieces.iter().skip(1).map(|(at, _)| *at).chain([self.bytes.len()]);
        self.pieces.iter().zip(ends).filter_map(|((at, mark), end)| {
            let start = self.from.max(*at);
            let bytes = self.bytes.get(start..end).filter(|bytes| !bytes.is_empty())?;
            Some((bytes, mark.plus(start - at)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64) -> Mark {
        Mark { offset, ..Mark::default() }
    }

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn what_is_found_keeps_the_places_of_its_bytes() {
        let mut search = Search::default();
        let mut offset = 0;
        let stream = [&[b'x'; 100_000][..], &PING, &PING, &PING].concat();
        for piece in stream.chunks(997) {
            search.add(piece, mark(offset));
            assert!(search.bytes.len() <= limits::H2_RESYNC_BYTES);
            offset += piece.len() as u64;
            let Some(found) = search.find() else { continue };
            let pieces: Vec<(Vec<u8>, u64)> = found.iter().map(|(b, m)| (b.to_vec(), m.offset)).collect();
            assert_eq!(pieces.first().map(|(_, at)| *at), Some(100_000));
            for (bytes, at) in pieces {
                let at = usize::try_from(at).unwrap_or(0);
                assert_eq!(bytes, stream[at..at + bytes.len()]);
            }
            return;
        }
        panic!("not found");
    }

    #[test]
    fn small_and_large_pieces_are_held_within_the_bounds() {
        let mut search = Search::default();
        for n in 0..10_000 {
            search.add(b"x", mark(n));
            search.find();
            assert!(search.pieces.len() <= limits::H2_RESYNC_PIECES);
        }
        search.add(&vec![0; 1 << 20], mark(0));
        assert!(search.bytes.len() <= limits::H2_RESYNC_BYTES);
        search.add(&PING.repeat(3), mark(1 << 20));
        let found = search.find().map(|found| found.iter().map(|(_, m)| m.offset).collect::<Vec<_>>());
        assert_eq!(found, Some(vec![1 << 20]));
    }
}
