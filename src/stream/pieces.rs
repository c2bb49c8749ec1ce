//! What is held back of a flow, in order of its sequence numbers. First bytes win; later ones for the same
//! place are compared.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::base::{Nanos, PacketRef, Timestamp, limits};

use super::flow::Side;
use super::reassembly::Segment;
use super::{CloseHow, GapWhy};

/// All that is held back, of all flows.
#[derive(Default)]
pub struct Held {
    pub(super) flows: HashMap<u32, Box<Queues>, foldhash::fast::RandomState>,
    /// With what each piece takes beside its data: many small ones must count for what they are.
    pub(super) bytes: usize,
}

impl Held {
    /// The reset that waits of a flow.
    fn reset(&self, index: u32) -> Option<&Reset> {
        self.flows.get(&index)?.reset.as_ref()
    }

    /// Its packet, and its time.
    pub(super) fn reset_at(&self, index: u32) -> Option<PacketRef> {
        self.reset(index).map(|reset| reset.at)
    }

    pub(super) fn reset_ts(&self, index: u32) -> Option<Timestamp> {
        self.reset(index).map(|reset| reset.ts)
    }

    /// Drops what a flow holds back.
    pub(super) fn forget(&mut self, index: u32) {
        if let Some(queues) = self.flows.remove(&index) {
            let pieces: usize = queues.sides.iter().map(VecDeque::len).sum();
            let bytes: usize = queues.bytes.iter().sum();
            self.bytes = self.bytes.saturating_sub(bytes + pieces * size_of::<Piece>());
        }
    }
}

/// What one flow holds back.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) sides: [VecDeque<Piece>; 2],
    pub(super) bytes: [usize; 2],
    /// The newest acknowledgement of each side since something is held. `None`: none came.
    pub(super) acked: [Option<u32>; 2],
    /// When each side's newest one came.
    heard: [Option<Timestamp>; 2],
    /// A reset that nothing has shown to be heeded or passed over.
    pub(super) reset: Option<Reset>,
}

/// A reset that is not told yet.
#[derive(Clone, Copy)]
pub(super) struct Reset {
    pub(super) side: Side,
    pub(super) ts: Timestamp,
    pub(super) at: PacketRef,
    /// Sequence number of each side up to which it was seen, or acknowledged, before the reset.
    pub(super) seen: [u32; 2],
    /// The same, with what the reset tells was said before it.
    pub(super) ends: [u32; 2],
}

impl Queues {
    /// Nothing is held, nor waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.sides.iter().all(VecDeque::is_empty) && self.reset.is_none()
    }

    /// Whether a piece of this side that begins here stands behind a reset.
    pub(super) fn behind_reset(&self, side: Side, seq: u32) -> bool {
        self.reset.is_some_and(|reset| seq.wrapping_sub(reset.ends[side.index()]).cast_signed() >= 0)
    }

    /// This side acknowledged as far as here.
    pub(super) fn note_ack(&mut self, side: Side, ack: u32, now: Timestamp) {
        self.heard[side.index()] = Some(now);
        let known = &mut self.acked[side.index()];
        if known.is_none_or(|known| ack.wrapping_sub(known).cast_signed() > 0) {
            *known = Some(ack);
        }
    }

    /// Whether the peer of this side lacks the bytes from `next` on, by its newest acknowledgement.
    fn lacks(&self, side: Side, next: u32) -> bool {
        self.acked[side.other().index()] == Some(next)
    }

    /// Why the bytes between `next` and what this side holds are missing, where it is not the capture: both sides went on
    /// for a while, and the receiver lacks them still. What stands too far ahead for one flight is not believed.
    pub(super) fn undelivered(&self, side: Side, next: u32) -> Option<GapWhy> {
        let held = &self.sides[side.index()];
        let first = held.front()?;
        let [Some(low), Some(high)] = self.heard else { return None };
        let heard = low.min(high);
        let near = first.seq.wrapping_sub(next) as usize <= limits::REORDER_BYTES;
        // Behind a hole that was given up it is further back.
        let acked = self.acked[side.other().index()]?;
        let lacks = acked.wrapping_sub(next).cast_signed() <= 0;
        let lost = near && lacks && heard.since(first.ts) >= UNDELIVERED;
        let largest = held.iter().map(Piece::len).max().unwrap_or_default();
        lost.then_some(GapWhy::Undelivered { heard, largest })
    }

    /// Whether what this side holds first has waited long enough for the bytes before it, of which `next`
    /// of each side is the first.
    pub(super) fn is_late(&self, side: Side, next: [u32; 2], now: Timestamp) -> bool {
        let Some(first) = self.sides[side.index()].front() else { return false };
        let next = next[side.index()];
        let hole = first.seq.wrapping_sub(next).cast_signed() > 0;
        // The peer lacks them too: they were lost before the capture and will be sent again.
        let lacked = hole && self.lacks(side, next);
        now.since(first.ts) > if lacked { RESEND } else { WAIT }
    }
}

/// So long both sides must go on: a sender's first time-outs may pass.
const UNDELIVERED: Nanos = Nanos::from_secs(1);
const WAIT: Nanos = Nanos::from_millis(limits::REORDER_MS);
const RESEND: Nanos = Nanos::from_millis(limits::RESEND_MS);

/// A held part of a segment, or a mark behind one.
pub(super) struct Piece {
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) ts: Timestamp,
    pub(super) at: PacketRef,
    pub(super) data: Box<[u8]>,
    pub(super) cut: u32,
    pub(super) mark: Option<CloseHow>,
    /// Its segment also brought bytes that had been seen: it is no first sending.
    pub(super) again: bool,
}

impl Piece {
    /// What a segment without bytes acknowledged, to be held until that was passed on.
    pub(super) fn acknowledgement(seq: u32, ack: u32, s: &Segment<'_>) -> Piece {
        Piece { seq, ack: Some(ack), ts: s.ts, at: s.at, data: Box::default(), cut: 0, mark: None, again: false }
    }

    /// Whether it holds nothing but an acknowledgement.
    fn is_acknowledgement(&self) -> bool {
        self.mark.is_none() && self.len() == 0
    }

    /// The first `n` bytes and the rest; a mark stays behind the rest.
    fn split(self, n: u32) -> (Piece, Piece) {
        let n = n.min(self.len());
        let (data, rest) = self.data.split_at((n as usize).min(self.data.len()));
        let first_cut = n - len32(data);
        let first = Piece { data: data.into(), cut: first_cut, mark: None, ..self.head() };
        let second = Piece {
            seq: self.seq.wrapping_add(n),
            data: rest.into(),
            cut: self.cut - first_cut,
            mark: self.mark,
            ..self.head()
        };
        (first, second)
    }

    /// All but what it holds.
    fn head(&self) -> Piece {
        Piece { data: Box::default(), cut: 0, mark: None, ..*self }
    }

    /// What it counts for among all that is held, in bytes.
    pub(super) fn size(&self) -> usize {
        self.data.len() + size_of::<Piece>()
    }

    pub(super) fn len(&self) -> u32 {
        len32(&self.data).wrapping_add(self.cut)
    }
}

/// How many pieces stand before this place of the stream. Pieces do not overlap, so their ends are in
/// order as their beginnings are.
fn count_before(queue: &VecDeque<Piece>, before: impl Fn(&Piece) -> bool) -> usize {
    // Most segments come in order among themselves: behind all that is held.
    if queue.back().is_none_or(&before) { queue.len() } else { queue.partition_point(before) }
}

/// Where a piece with this sequence number goes; marks stand behind data of the same number.
pub(super) fn place(queue: &VecDeque<Piece>, seq: u32, mark: bool) -> usize {
    count_before(queue, |p| {
        let rel = seq.wrapping_sub(p.seq).cast_signed();
        rel > 0 || (rel == 0 && (mark || p.mark.is_none()))
    })
}

/// Puts an acknowledgement into the queue. Of those at one place two are kept, the oldest and the newest:
/// the one waits for its own time, the other knows how much there is. Returns the pieces added.
pub(super) fn insert_ack(queue: &mut VecDeque<Piece>, piece: Piece) -> usize {
    // Before the bytes of its number: they were sent later. Behind them, ends would not be in order.
    let at = count_before(queue, |p| {
        let rel = piece.seq.wrapping_sub(p.seq).cast_signed();
        rel > 0 || rel == 0 && p.is_acknowledgement()
    });
    let mut known = queue.range_mut(..at).rev().take_while(|p| p.seq == piece.seq && p.is_acknowledgement());
    match (known.next(), known.next()) {
        (Some(newest), Some(_)) => {
            if earlier(newest.ack, piece.ack) {
                *newest = piece;
            }
            0
        }
        (Some(only), None) if !earlier(only.ack, piece.ack) => 0,
        _ => {
            queue.insert(at, piece);
            1
        }
    }
}

/// Puts the parts of a segment that are not held yet into the queue; compares those that are.
/// Returns the bytes added.
#[expect(clippy::too_many_arguments, reason = "the parts of one segment, trimmed")]
pub(super) fn insert(
    queue: &mut VecDeque<Piece>,
    seq: u32,
    payload: &[u8],
    cut: u32,
    ack: Option<u32>,
    s: &Segment<'_>,
    again: bool,
    conflict: &mut bool,
) -> usize {
    let total = len32(payload).wrapping_add(cut);
    // The first piece that ends behind the segment's beginning; those before it have no part in this.
    let mut at = count_before(queue, |p| p.seq.wrapping_add(p.len()).wrapping_sub(seq).cast_signed() <= 0);
    // From here on everything is counted from `seq`: what of the segment is dealt with.
    let (mut done, mut added) = (0_u32, 0);
    let ends = seq.wrapping_add(total);
    let again = again || queue.get(at).is_some_and(|p| p.len() != 0 && p.seq.wrapping_sub(ends).cast_signed() < 0);
    while done < total {
        // The next piece that holds data, and how far the segment is free before it.
        let next = queue.get(at).map(|p| p.seq.wrapping_sub(seq).cast_signed().max(0).unsigned_abs());
        let free_to = next.unwrap_or(total).min(total);
        if done < free_to {
            let data = part(payload, done, free_to);
            let cut = free_to - done - len32(data);
            added += data.len();
            let seq = seq.wrapping_add(done);
            queue.insert(at, Piece { seq, ack, ts: s.ts, at: s.at, data: data.into(), cut, mark: None, again });
            at += 1;
            done = free_to;
        }
        let Some(p) = queue.get(at).filter(|_| done < total) else { break };
        // What both have must be the same (first kept).
        let theirs_from = seq.wrapping_add(done).wrapping_sub(p.seq);
        let to = done.saturating_add(p.len().saturating_sub(theirs_from)).min(total);
        let ours = part(payload, done, to);
        let theirs = part(&p.data, theirs_from, theirs_from.saturating_add(to - done));
        let n = ours.len().min(theirs.len());
        *conflict |= ours[..n] != theirs[..n];
        let common = to.saturating_sub(done);
        done = to.max(done);
        // Nothing in common (a mark): it is passed over, or this would never end.
        at = if common != 0 && earlier(ack, p.ack) { lower_ack(queue, at, theirs_from, common, ack) } else { at + 1 };
    }
    added
}

/// Whether the first acknowledgement is the older one.
pub(super) fn earlier(a: Option<u32>, b: Option<u32>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.wrapping_sub(b).cast_signed() < 0,
        (None, b) => b.is_some(),
        (Some(_), None) => false,
    }
}

/// Bytes sent again carry the acknowledgement of their second sending, which may be of bytes that
/// answer them. What both copies have waits only for what the older one acknowledged. Returns the
/// place behind the part they share.
fn lower_ack(queue: &mut VecDeque<Piece>, at: usize, from: u32, len: u32, ack: Option<u32>) -> usize {
    let Some(whole) = queue.remove(at) else { return at + 1 };
    let (before, rest) = whole.split(from);
    let (mut shared, after) = rest.split(len);
    shared.ack = ack;
    let mut place = at;
    for (piece, counts) in [(before, true), (shared, true), (after, false)] {
        if piece.len() != 0 || piece.mark.is_some() {
            queue.insert(if counts { place } else { place.min(queue.len()) }, piece);
            place += usize::from(counts);
        }
    }
    place
}

/// Payloads of packets are far below 4 GiB.
pub(super) fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// `bytes[from..to]` as far as there are bytes.
fn part(bytes: &[u8], from: u32, to: u32) -> &[u8] {
    let len = bytes.len();
    bytes.get((from as usize).min(len)..(to as usize).min(len)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tcp::Flags;

    fn piece(seq: u32, data: &[u8], ack: u32, mark: Option<CloseHow>) -> Piece {
        let at = PacketRef::new(0, 1);
        Piece { seq, ack: Some(ack), ts: Timestamp(0), at, data: data.into(), cut: 0, mark, again: false }
    }

    fn put(queue: &mut VecDeque<Piece>, seq: u32, payload: &[u8], ack: u32) -> bool {
        let (side, ts, at) = (Side::Low, Timestamp(0), PacketRef::new(0, 2));
        let s = Segment { side, ts, at, seq, ack, flags: Flags(Flags::ACK), payload, cut: 0, short: None, ready: None };
        let mut conflict = false;
        insert(queue, seq, payload, 0, Some(ack), &s, false, &mut conflict);
        conflict
    }

    fn held(queue: &VecDeque<Piece>) -> Vec<(u32, String, Option<u32>, bool)> {
        queue.iter().map(|p| (p.seq, String::from_utf8_lossy(&p.data).into_owned(), p.ack, p.mark.is_some())).collect()
    }

    #[test]
    fn a_segment_over_a_held_fin_with_a_newer_acknowledgement_ends() {
        let mut queue = VecDeque::from([piece(10, b"", 9, Some(CloseHow::Fin))]);
        assert!(!put(&mut queue, 5, b"0123456789", 1));
        let bytes: usize = queue.iter().map(|p| p.data.len()).sum();
        assert_eq!((bytes, queue.iter().filter(|p| p.mark.is_some()).count()), (10, 1));
    }

    #[test]
    fn an_acknowledgement_stands_before_the_bytes_of_its_number() {
        let mut queue = VecDeque::from([piece(10, b"ab", 9, None)]);
        let s = Segment {
            side: Side::Low,
            ts: Timestamp(0),
            at: PacketRef::new(0, 2),
            seq: 10,
            ack: 12,
            flags: Flags(Flags::ACK),
            payload: b"",
            cut: 0,
            short: None,
            ready: None,
        };
        assert_eq!(insert_ack(&mut queue, Piece::acknowledgement(10, 12, &s)), 1);
        let want = [(10, "", 12), (10, "ab", 9)];
        assert_eq!(held(&queue), want.map(|(seq, text, ack)| (seq, text.to_owned(), Some(ack), false)));
    }

    #[test]
    fn what_two_copies_share_waits_for_the_older_acknowledgement() {
        let mut queue = VecDeque::from([piece(10, b"abcdef", 9, None)]);
        assert!(!put(&mut queue, 12, b"cd", 1));
        let want = [(10, "ab", 9), (12, "cd", 1), (14, "ef", 9)];
        assert_eq!(held(&queue), want.map(|(seq, text, ack)| (seq, text.to_owned(), Some(ack), false)));
    }

    #[test]
    fn other_bytes_for_a_held_place_are_a_conflict_and_the_first_stay() {
        let mut queue = VecDeque::from([piece(10, b"abcdef", 1, None)]);
        assert!(put(&mut queue, 8, b"xxaXcdefyy", 2));
        let text: String = held(&queue).into_iter().map(|(_, text, ..)| text).collect();
        assert_eq!(text, "xxabcdefyy");
    }
}
