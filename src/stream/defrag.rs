//! Fragments of IP datagrams (RFC 791 §3.2, RFC 8200 §4.5) to datagrams, in any order. First bytes win;
//! what disagrees with them is counted. Bounded by `limits::FRAGMENT*` and `limits::DATAGRAM_BYTES`: an
//! attack costs memory up to these, and time linear in its packets.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::base::{Counters, Nanos, Timestamp, limits};
use crate::wire::ip::Fragment;

use super::trace::Packets;

const LIFETIME: Nanos = Nanos::from_secs(limits::FRAGMENT_S);

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub from: IpAddr,
    pub to: IpAddr,
    pub id: u32,
    /// In IPv4 two protocols may number alike; 0 in IPv6, where the first fragment alone names it.
    pub protocol: u8,
    /// Capture point, and what it is wrapped in: the same addresses may live in two networks.
    pub point: u16,
    pub via: u16,
}

/// One fragment as captured.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub place: Fragment,
    /// What it says the payload is.
    pub protocol: u8,
    pub bytes: &'a [u8],
    /// Bytes that are not in the capture, behind those.
    pub missing: u32,
    /// The packets that it came in, where they are asked for; else none.
    pub packets: &'a Packets,
}

/// A datagram's payload put together.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    pub protocol: u8,
    /// Up to the first byte that the snap length took.
    pub bytes: Vec<u8>,
    /// Bytes behind those.
    pub missing: u32,
    /// The packets of all its pieces, where they were asked for.
    pub packets: Packets,
}

/// All datagrams that wait for fragments.
#[derive(Default)]
pub struct Defrag {
    waiting: HashMap<Key, Datagram, foldhash::fast::RandomState>,
    /// In the order in which they were begun; the number tells whether an entry still holds.
    order: VecDeque<(Key, u64, Timestamp)>,
    begun: u64,
    /// Of all datagrams, as [`Datagram::cost`] counts.
    bytes: usize,
}

/// A datagram with holes.
struct Datagram {
    number: u64,
    protocol: u8,
    /// Its length, once its last fragment was seen.
    total: Option<u32>,
    data: Vec<u8>,
    /// Disjoint, in order of their place.
    parts: Vec<Part>,
    /// Bytes that the parts cover.
    covered: u32,
    fragments: u64,
    /// Not part of its cost: what is given up must not hang on whether they are asked for.
    packets: Packets,
}

/// Bytes of one fragment: `start..end` of the datagram, captured up to `have`.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    have: u32,
    end: u32,
}

impl Datagram {
    fn cost(&self) -> usize {
        size_of::<Key>() + size_of::<Self>() + self.data.capacity() + self.parts.capacity() * size_of::<Part>()
    }

    /// Adds what is new in a piece that reaches to `end`.
    fn put(&mut self, piece: &Piece<'_>, end: u32, counters: &mut Counters) {
        let (at, have) = (piece.place.at, end - piece.missing);
        if at == 0 {
            self.protocol = piece.protocol;
        }
        let mut conflict = match (piece.place.more, self.total) {
            (false, None) => {
                self.total = Some(end);
                self.parts.last().is_some_and(|part| part.end > end)
            }
            (false, Some(total)) => total != end,
            (true, Some(total)) => total < end,
            (true, None) => false,
        };
        let mut cursor = at;
        let mut index = self.parts.partition_point(|part| part.end <= at);
        while cursor < end {
            let known = self.parts.get(index).copied().filter(|part| part.start < end);
            let until = known.map_or(end, |part| part.start);
            if cursor < until {
                self.insert(index, Part { start: cursor, have: have.clamp(cursor, until), end: until }, piece);
                index += 1;
            }
            let Some(known) = known else { break };
            let (from, to) = (at.max(known.start), have.min(known.have));
            conflict |= from < to && range(&self.data, from, to) != range(piece.bytes, from - at, to - at);
            cursor = known.end.max(until);
            index += 1;
        }
        counters.fragment_conflicts += u64::from(conflict);
    }

    fn insert(&mut self, index: usize, part: Part, piece: &Piece<'_>) {
        let at = piece.place.at;
        let bytes = range(piece.bytes, part.start - at, part.have - at);
        let (from, to) = (part.start as usize, part.have as usize);
        if self.data.len() < to {
            self.data.resize(to, 0);
        }
        if let Some(place) = self.data.get_mut(from..to)
            && place.len() == bytes.len()
        {
            place.copy_from_slice(bytes);
        }
        self.covered += part.end - part.start;
        self.parts.insert(index, part);
    }

    fn is_whole(&self) -> bool {
        // The parts are disjoint: that they cover as much as the last one's end means there is no hole.
        let end = self.parts.last().map_or(0, |part| part.end);
        self.total.is_some_and(|total| end >= total && self.covered == end)
    }

    fn into_whole(self) -> Whole {
        let total = self.total.unwrap_or(0);
        let cut = self.parts.iter().find(|part| part.have < part.end);
        let have = cut.map_or(total, |part| part.have).min(total);
        let mut bytes = self.data;
        bytes.truncate(have as usize);
        Whole { protocol: self.protocol, bytes, missing: total - have, packets: self.packets }
    }
}

impl Defrag {
    /// Takes a fragment. The datagram, where this one completes it.
    pub fn add(&mut self, key: Key, piece: &Piece<'_>, now: Timestamp, counters: &mut Counters) -> Option<Whole> {
        counters.fragments += 1;
        self.forget_old(now, counters);
        let length = u32::try_from(piece.bytes.len()).ok()?.saturating_add(piece.missing);
        let end = piece.place.at.saturating_add(length);
        if end > limits::DATAGRAM_BYTES || length == 0 {
            counters.fragments_lost += 1;
            return None;
        }
        if !self.waiting.contains_key(&key) {
            self.begin(key, now, counters);
        }
        let datagram = self.waiting.get_mut(&key)?;
        let before = datagram.cost();
        datagram.fragments += 1;
        datagram.packets.add(piece.packets);
        datagram.put(piece, end, counters);
        let full = datagram.parts.len() > limits::FRAGMENTS;
        let done = !full && datagram.is_whole();
        self.bytes = self.bytes + datagram.cost() - before;
        if full {
            self.give_up(&key, counters);
            return None;
        }
        if done {
            let datagram = self.waiting.remove(&key)?;
            self.bytes -= datagram.cost();
            return Some(datagram.into_whole());
        }
        while self.bytes > limits::FRAGMENT_BYTES {
            self.give_up_oldest(counters)?;
        }
        None
    }

    /// Fragments of datagrams that are still not whole.
    pub fn waiting(&self) -> u64 {
        self.waiting.values().map(|d| d.fragments).sum()
    }

    fn begin(&mut self, key: Key, now: Timestamp, counters: &mut Counters) {
        if self.waiting.len() >= limits::FRAGMENTED_DATAGRAMS {
            self.give_up_oldest(counters);
        }
        // Entries of datagrams that became whole stay until their turn comes, but not without end.
        if self.order.len() > 4 * limits::FRAGMENTED_DATAGRAMS {
            let waiting = &self.waiting;
            self.order.retain(|(key, number, _)| waiting.get(key).is_some_and(|d| d.number == *number));
        }
        self.begun += 1;
        self.order.push_back((key, self.begun, now));
        let datagram = Datagram {
            number: self.begun,
            protocol: key.protocol,
            total: None,
            data: Vec::new(),
            parts: Vec::new(),
            covered: 0,
            fragments: 0,
            packets: Packets::default(),
        };
        self.bytes += datagram.cost();
        self.waiting.insert(key, datagram);
    }

    /// Gives up what waits too long: the identification may be in use again.
    fn forget_old(&mut self, now: Timestamp, counters: &mut Counters) {
        while self.order.front().is_some_and(|(.., begun)| now.since(*begun) > LIFETIME) {
            self.drop_front(counters);
        }
    }

    /// Makes room. `None`: nothing waits.
    fn give_up_oldest(&mut self, counters: &mut Counters) -> Option<()> {
        // Entries of datagrams that became whole free nothing.
        while !self.drop_front(counters)? {}
        Some(())
    }

    /// Whether what was begun first still waited.
    fn drop_front(&mut self, counters: &mut Counters) -> Option<bool> {
        let (key, number, _) = self.order.pop_front()?;
        let waits = self.waiting.get(&key).is_some_and(|d| d.number == number);
        if waits {
            self.give_up(&key, counters);
        }
        Some(waits)
    }

    fn give_up(&mut self, key: &Key, counters: &mut Counters) {
        if let Some(datagram) = self.waiting.remove(key) {
            counters.fragments_lost += datagram.fragments;
            self.bytes -= datagram.cost();
        }
    }
}

fn range(bytes: &[u8], from: u32, to: u32) -> &[u8] {
    bytes.get(from as usize..to as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;

    static NOBODY: Packets = Packets { list: Vec::new(), left_out: 0 };

    fn key(id: u32) -> Key {
        let from = IpAddr::from([10, 0, 0, 1]);
        Key { from, to: from, id, protocol: 6, point: 0, via: 0 }
    }

    fn piece(at: u32, more: bool, bytes: &[u8]) -> Piece<'_> {
        Piece { place: Fragment { id: 1, at, more }, protocol: 6, bytes, missing: 0, packets: &NOBODY }
    }

    /// What comes out of these pieces, a millisecond apart.
    fn join(pieces: &[Piece<'_>]) -> (Option<Whole>, Counters) {
        let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
        let mut whole = None;
        for (n, piece) in pieces.iter().enumerate() {
            assert_eq!(whole, None, "whole before its last fragment");
            let now = Timestamp(i64::try_from(n).unwrap_or(0) * 1_000_000);
            whole = defrag.add(key(1), piece, now, &mut counters);
        }
        assert_eq!(defrag.bytes == 0, defrag.waiting.is_empty());
        (whole, counters)
    }

    fn whole(bytes: &[u8], missing: u32) -> Option<Whole> {
        Some(Whole { protocol: 6, bytes: bytes.to_vec(), missing, packets: Packets::default() })
    }

    #[test]
    fn any_order_gives_the_datagram() {
        let pieces = [piece(0, true, b"abcdefgh"), piece(8, true, b"ijklmnop"), piece(16, false, b"qr")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (found, counters) = join(&order.map(|n| pieces[n]));
            assert_eq!(found, whole(b"abcdefghijklmnopqr", 0), "{order:?}");
            assert_eq!((counters.fragments, counters.fragments_lost, counters.fragment_conflicts), (3, 0, 0));
        }
    }

    #[test]
    fn the_first_bytes_win_and_a_conflict_is_counted() {
        let pieces = [piece(8, true, b"ijklmnop"), piece(0, true, b"abcdefghXXXX"), piece(4, false, b"efghijklmnopqr")];
        let (found, counters) = join(&pieces);
        assert_eq!((found, counters.fragment_conflicts), (whole(b"abcdefghijklmnopqr", 0), 1));
        // The same fragment twice is no conflict; another end is one.
        let pieces =
            [piece(8, false, b"ij"), piece(8, false, b"ij"), piece(8, false, b"ijk"), piece(0, true, b"abcdefgh")];
        let (found, counters) = join(&pieces);
        assert_eq!((found, counters.fragment_conflicts), (whole(b"abcdefghij", 0), 1));
    }

    #[test]
    fn what_the_snap_length_took_is_missing_from_there_on() {
        let mut first = piece(0, true, b"abcd");
        first.missing = 4;
        let (found, _) = join(&[piece(8, false, b"ij"), first]);
        assert_eq!(found, whole(b"abcd", 6));
    }

    #[test]
    fn a_datagram_knows_the_packets_of_its_pieces_and_of_no_other() {
        let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
        let packets = [1, 2, 3, 4].map(|no| Packets { list: vec![PacketRef::new(0, no)], left_out: 0 });
        let from = |n: usize, piece: Piece<'static>| Piece { packets: &packets[n], ..piece };
        let now = Timestamp(0);
        defrag.add(key(1), &from(0, piece(8, true, b"ijklmnop")), now, &mut counters);
        defrag.add(key(2), &from(1, piece(0, true, b"abcdefgh")), now, &mut counters);
        defrag.add(key(1), &from(2, piece(16, false, b"qr")), now, &mut counters);
        let whole = defrag.add(key(1), &from(3, piece(0, true, b"abcdefgh")), now, &mut counters);
        let found = whole.map(|whole| whole.packets.list).unwrap_or_default();
        assert_eq!(found, [1, 3, 4].map(|no| PacketRef::new(0, no)));
    }

    #[test]
    fn an_identification_may_be_used_again_after_a_while() {
        let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
        let late = Timestamp((limits::FRAGMENT_S + 1) * 1_000_000_000);
        assert_eq!(defrag.add(key(1), &piece(8, false, b"ij"), Timestamp(0), &mut counters), None);
        assert_eq!(defrag.add(key(1), &piece(0, true, b"abcdefgh"), late, &mut counters), None);
        assert_eq!(counters.fragments_lost, 1);
        let found = defrag.add(key(1), &piece(8, false, b"kl"), late, &mut counters);
        assert_eq!(found, whole(b"abcdefghkl", 0));
        assert_eq!((defrag.waiting(), defrag.bytes), (0, 0));
    }

    #[test]
    fn a_flood_of_first_fragments_stays_within_the_limits() {
        let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
        let big = vec![7; 60_000];
        for id in 0..20_000 {
            let place = if id % 2 == 0 { piece(0, true, &big[..8]) } else { piece(0, true, &big) };
            assert_eq!(defrag.add(key(id), &place, Timestamp(0), &mut counters), None);
            assert!(defrag.waiting.len() <= limits::FRAGMENTED_DATAGRAMS && defrag.bytes <= limits::FRAGMENT_BYTES);
            assert!(defrag.order.len() <= 4 * limits::FRAGMENTED_DATAGRAMS + 1);
        }
        assert_eq!(counters.fragments_lost + defrag.waiting(), 20_000);
    }

    #[test]
    fn a_datagram_in_too_many_pieces_is_given_up() {
        let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
        for n in 0..4_000 {
            defrag.add(key(1), &piece(n * 16, true, b"abcdefgh"), Timestamp(0), &mut counters);
            assert!(defrag.waiting.values().all(|d| d.parts.len() <= limits::FRAGMENTS));
        }
        assert!(counters.fragments_lost > 2_000, "{counters:?}");
    }
}
