//! A flow's identity and its record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{Endpoint, FlowId, Nanos, Timestamp};
use crate::model::ConnectState;

use super::segments::Entry;

/// Which end of the canonical pair sent it. Who is client is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    Low = 0,
    High = 1,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Low, Side::High];

    pub fn other(self) -> Side {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }

    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Identity of an IPv4 flow in two words: address and port of each end, the lower end first, and the
/// capture point in the upper bits of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key4(pub u64, pub u64);

/// Identity of an IPv6 flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key6 {
    /// Addresses as two words each: aligned as everything else, it does not make the key larger.
    pub low: [u64; 2],
    pub high: [u64; 2],
    /// Low port, high port, capture point.
    pub rest: u64,
}

/// Identity of any flow: the pair of endpoints and the capture point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowKey {
    V4(Key4),
    V6(Key6),
}

impl Key4 {
    /// Marks the key of an IPv6 flow; no IPv4 end has this bit. The first word is then the place of the
    /// [`Key6`] among others, or nothing.
    const IPV6: u64 = 1 << 63;

    /// Bits that tell connections apart that have the same name in different networks.
    const NAMESAKE: u64 = 0x7fff << 48;

    /// The same name, of the connection with this number.
    pub(super) fn namesake(self, number: u16) -> Key4 {
        Key4(self.0, self.1 & !Key4::NAMESAKE | u64::from(number & 0x7fff) << 48)
    }

    /// Stands for the IPv6 key at this place.
    pub(super) fn of_v6(place: u64) -> Key4 {
        Key4(place, Key4::IPV6)
    }

    #[inline]
    pub(super) fn is_v6(self) -> bool {
        self.1 & Key4::IPV6 != 0
    }

    /// The key of a packet from `source` to `destination`, and which side its source is.
    #[inline]
    pub fn new(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), point: u16) -> (Key4, Side) {
        let end = |(ip, port): (Ipv4Addr, u16)| u64::from(u32::from(ip)) << 16 | u64::from(port);
        let (from, to) = (end(source), end(destination));
        let point = u64::from(point) << 48;
        if from <= to { (Key4(from | point, to), Side::Low) } else { (Key4(to | point, from), Side::High) }
    }
}

impl Key6 {
    /// As [`Key4::new`].
    pub fn new(source: (Ipv6Addr, u16), destination: (Ipv6Addr, u16), point: u16) -> (Key6, Side) {
        let end = |(ip, port): (Ipv6Addr, u16)| {
            let bits = ip.to_bits();
            let word = |b: [u8; 16], at: usize| b[at..at + 8].iter().fold(0, |w, &x| w << 8 | u64::from(x));
            ([word(bits.to_be_bytes(), 0), word(bits.to_be_bytes(), 8)], port)
        };
        let (from, to) = (end(source), end(destination));
        let (low, high, side) = if from <= to { (from, to, Side::Low) } else { (to, from, Side::High) };
        let rest = u64::from(low.1) | u64::from(high.1) << 16 | u64::from(point) << 32;
        (Key6 { low: low.0, high: high.0, rest }, side)
    }
}

impl FlowKey {
    /// The same name, of the connection with this number; 0 is the first.
    #[must_use]
    pub fn namesake(self, number: u16) -> FlowKey {
        match self {
            FlowKey::V4(key) => FlowKey::V4(key.namesake(number)),
            FlowKey::V6(key) => {
                let rest = key.rest & 0xffff_ffff_ffff | u64::from(number) << 48;
                FlowKey::V6(Key6 { rest, ..key })
            }
        }
    }

    /// Which connection of its name it is, from 0.
    pub fn number(self) -> u16 {
        let bits = match self {
            FlowKey::V4(key) => key.1 & Key4::NAMESAKE,
            FlowKey::V6(key) => key.rest,
        };
        low16(bits >> 48)
    }

    /// One end's address and port.
    pub fn endpoint(&self, side: Side) -> Endpoint {
        match (self, side) {
            (FlowKey::V4(key), Side::Low) => v4(key.0),
            (FlowKey::V4(key), Side::High) => v4(key.1),
            (FlowKey::V6(key), Side::Low) => v6(key.low, low16(key.rest)),
            (FlowKey::V6(key), Side::High) => v6(key.high, low16(key.rest >> 16)),
        }
    }
}

fn v4(end: u64) -> Endpoint {
    let [_, _, a, b, c, d, p, q] = end.to_be_bytes();
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([p, q]))
}

fn v6([high, low]: [u64; 2], port: u16) -> Endpoint {
    let bits = u128::from(high) << 64 | u128::from(low);
    Endpoint::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), port)
}

fn low16(word: u64) -> u16 {
    (word & 0xffff) as u16
}

/// What is kept of every flow: one cache line, less a word for the handler, which stands behind it.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Track {
    /// The last packet's time.
    pub last: Timestamp,
    /// The handler's own.
    pub(super) tag: u64,
    /// Its identity; of IPv6 only that it is IPv6: the rest is in [`Opened`].
    pub(super) key: Key4,
    /// Next sequence number expected of each side, once it has started.
    pub(super) next: [u32; 2],
    /// Sequence number of each side's first payload byte, once it has started.
    pub(super) base: [u32; 2],
    /// How often the offset of a side passed 2^32.
    pub(super) wraps: [u16; 2],
    pub(super) flags: u16,
    /// SYNs of the client seen, saturating.
    pub(super) syns: u8,
    /// More bits, of what is seldom asked: see [`hint`].
    pub(super) hints: u8,
}

/// What is seldom asked for of a flow, apart from its [`Track`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Opened {
    /// The first packet's time.
    pub first: Timestamp,
    pub id: FlowId,
    /// From the client's SYN to its handshake's last ACK in microseconds; 0 where it was not seen.
    pub(super) rtt_us: u32,
    /// The timestamp of the SYN that opened it (RFC 7323 §3.2); 0 where there was none.
    pub stamp: u32,
    /// TTL or hop limit of each side's SYN, or of the first packet of all; 0 where there was none.
    pub ttl: [u8; 2],
    /// Its identity, where it is IPv6.
    pub(super) key6: Key6,
}

/// Bits of [`Track::flags`]; those of the high side are one further left.
pub(super) mod flag {
    use super::Side;

    pub(crate) const SEEN: u16 = 1;
    pub(crate) const STARTED: u16 = 1 << 2;
    pub(crate) const SYN: u16 = 1 << 4;
    pub(crate) const FIN: u16 = 1 << 6;
    pub(crate) const RST: u16 = 1 << 8;
    /// A SYN without ACK: this side is the client.
    pub(crate) const CLIENT: u16 = 1 << 10;
    /// Nobody wants the bytes of this flow.
    pub(crate) const IGNORED: u16 = 1 << 12;
    /// Its end was told.
    pub(crate) const ENDED: u16 = 1 << 13;
    /// Payload was seen.
    pub(crate) const PAYLOAD: u16 = 1 << 14;
    /// Something is held back.
    pub(crate) const HELD: u16 = 1 << 15;

    pub(crate) fn of(bit: u16, side: Side) -> u16 {
        bit << side.index()
    }
}

/// Bits of [`Track::hints`]; those of the high side are one further left, but for those of either side.
pub(super) mod hint {
    /// The peer acknowledged this side when neither SYN nor bytes of it had been seen: as far as its `base`,
    /// until it has started.
    pub(crate) const ANSWERED: u8 = 1;
    /// That acknowledgement is of a SYN alone: there this side's bytes begin.
    pub(crate) const BEGINS: u8 = 1 << 2;
    /// Bytes are missing before the first that were seen.
    pub(crate) const LACKS: u8 = 1 << 6;
    /// A reset waits for what may yet show that nobody heeded it; of either side.
    pub(crate) const RESET: u8 = 1 << 4;
    /// How long the handshake took was measured; of either side.
    pub(crate) const TIMED: u8 = 1 << 5;
}

impl Default for Track {
    fn default() -> Self {
        Track {
            last: Timestamp(0),
            tag: 0,
            key: Key4::default(),
            next: [0; 2],
            base: [0; 2],
            wraps: [0; 2],
            flags: 0,
            syns: 0,
            hints: 0,
        }
    }
}

impl Opened {
    /// From the client's SYN to the last ACK of the handshake. `None`: not seen whole.
    pub fn rtt(&self) -> Option<Nanos> {
        (self.rtt_us != 0).then(|| Nanos(i64::from(self.rtt_us) * 1_000))
    }

    pub(super) fn set_rtt(&mut self, rtt: Nanos) {
        self.rtt_us = u32::try_from((rtt.0 / 1_000).max(1)).unwrap_or(u32::MAX);
    }
}

impl Track {
    #[inline]
    pub(super) fn is(&self, bit: u16, side: Side) -> bool {
        self.flags & flag::of(bit, side) != 0
    }

    #[inline]
    pub(super) fn set(&mut self, bit: u16, side: Side) {
        self.flags |= flag::of(bit, side);
    }

    #[inline]
    pub(super) fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }

    #[inline]
    pub(super) fn hinted(&self, hint: u8, side: Side) -> bool {
        self.hints & hint << side.index() != 0
    }

    /// Whether a reset is not told yet.
    pub(super) fn waits_for_reset(&self) -> bool {
        self.hints & hint::RESET != 0
    }

    /// Who sent the SYN; the receiver of a SYN-ACK where the SYN itself is missing. `None`: not seen.
    pub fn client(&self) -> Option<Side> {
        Side::BOTH.into_iter().find(|&s| self.is(flag::CLIENT, s))
    }

    /// Whether any packet of this side was seen.
    pub fn seen(&self, side: Side) -> bool {
        self.is(flag::SEEN, side)
    }

    /// Whether a SYN or SYN-ACK of either side was seen.
    pub fn from_the_start(&self) -> bool {
        Side::BOTH.into_iter().any(|s| self.is(flag::SYN, s))
    }

    /// Whether this side's SYN or SYN-ACK was seen.
    pub fn syn(&self, side: Side) -> bool {
        self.is(flag::SYN, side)
    }

    /// Whether the SYN of this side is missing although the other side's was seen and answered.
    pub fn lost_syn(&self, side: Side) -> bool {
        self.is(flag::SYN, side.other()) && !self.is(flag::SYN, side) && self.seen(side)
    }

    /// Whether bytes of this side are known to be missing before its first ones, of a connection whose
    /// beginning was not seen.
    pub fn lacks_first(&self, side: Side) -> bool {
        self.hinted(hint::LACKS, side)
    }

    /// Whether no byte of this side was seen, nor a hole where one was; a FIN may have been.
    pub fn is_silent(&self, side: Side) -> bool {
        !self.is(flag::STARTED, side) || self.offset(side) <= 1
    }

    /// Whether bytes wait behind a hole.
    pub fn holds(&self) -> bool {
        self.has(flag::HELD)
    }

    /// Whether this side sent a FIN (it may wait behind a hole), or a RST.
    pub fn fin(&self, side: Side) -> bool {
        self.is(flag::FIN, side)
    }

    pub fn rst(&self, side: Side) -> bool {
        self.is(flag::RST, side)
    }

    /// Whether a handshake is under way, or was, whose time was not measured.
    #[inline]
    pub(super) fn is_timing(&self) -> bool {
        self.hints & hint::TIMED == 0 && self.flags & (0b11 * flag::SYN) != 0
    }

    /// How the opening went.
    pub fn connect_state(&self) -> ConnectState {
        let Some(client) = self.client() else { return ConnectState::Midstream };
        let server = client.other();
        // What the client acknowledges it has got: its SYN was answered, though that is not in view.
        let answered = self.is(flag::SYN, server) || self.hinted(hint::ANSWERED, server);
        if answered || self.has(flag::PAYLOAD) {
            ConnectState::Established
        } else if self.is(flag::RST, server) {
            ConnectState::Refused
        } else {
            ConnectState::Unanswered
        }
    }

    /// Whether any payload was seen or missed.
    pub fn has_payload(&self) -> bool {
        self.has(flag::PAYLOAD)
    }

    /// SYNs of the client, up to 255.
    pub fn syns(&self) -> u32 {
        u32::from(self.syns)
    }

    /// Sequence number of this side's first payload byte. `None` while it is not known.
    pub fn first_seq(&self, side: Side) -> Option<u32> {
        self.is(flag::STARTED, side).then(|| self.base[side.index()])
    }

    /// Bytes of this side passed so far: the offset of the next one.
    pub fn offset(&self, side: Side) -> u64 {
        let s = side.index();
        u64::from(self.wraps[s]) << 32 | u64::from(self.next[s].wrapping_sub(self.base[s]))
    }

    /// Bytes of the other side's stream that this segment acknowledges, of those that were passed. `None`: none.
    pub(super) fn acked(&self, d: &Entry) -> Option<u64> {
        let other = d.side.other();
        let behind = self.next[other.index()].wrapping_sub(d.ack).cast_signed();
        let tells = d.flags.ack() && self.is(flag::STARTED, other);
        tells.then(|| self.offset(other).saturating_sub(u64::from(behind.max(0).unsigned_abs())))
    }

    /// Moves a side on by `n` bytes.
    #[inline]
    pub(super) fn advance(&mut self, side: Side, n: u64) {
        let s = side.index();
        let low = u64::from(self.next[s].wrapping_sub(self.base[s]));
        let to = low.saturating_add(n);
        self.next[s] = self.base[s].wrapping_add((to & 0xffff_ffff) as u32);
        if to >> 32 != 0 {
            self.wraps[s] = self.wraps[s].saturating_add(u16::try_from(to >> 32).unwrap_or(u16::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_cache_line_with_a_word_of_the_handler() {
        assert_eq!(size_of::<Track>(), 64 - 8);
    }

    #[test]
    fn both_directions_have_one_key() {
        let (a, b) = ((Ipv4Addr::new(10, 0, 0, 1), 5), (Ipv4Addr::new(10, 0, 0, 2), 80));
        let (there, from) = Key4::new(a, b, 3);
        let (back, to) = Key4::new(b, a, 3);
        assert_eq!(there, back);
        assert_eq!((from, to), (Side::Low, Side::High));
        let key = FlowKey::V4(there);
        assert_eq!(key.endpoint(Side::Low).to_string(), "10.0.0.1:5");
        assert_eq!(key.endpoint(Side::High).to_string(), "10.0.0.2:80");
        let six = Key6::new((Ipv6Addr::LOCALHOST, 9), (Ipv6Addr::UNSPECIFIED, 8), 0);
        assert_eq!(six.1, Side::High);
        assert_eq!(FlowKey::V6(six.0).endpoint(Side::High).to_string(), "[::1]:9");
    }

    #[test]
    fn offsets_pass_four_gibibytes() {
        let mut track = Track::default();
        track.base[0] = 0xffff_fff0;
        track.next[0] = 0xffff_fff0;
        for _ in 0..6 {
            track.advance(Side::Low, 1 << 30);
        }
        assert_eq!(track.offset(Side::Low), 6 << 30);
    }
}
