//! From a frame to the TCP segments in it, through whatever it is wrapped in: the road off the straight
//! one. At most `limits::NESTING` wrappers deep.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Counters, Timestamp, limits};
use crate::model::Stack;
use crate::wire::ip::{self, Extension, Fragment};
use crate::wire::tunnel::{self, By, Outer, amsdu, llc, ppp, wlan};
use crate::wire::{Inside, icmp, link, tcp};

use super::decode::{Decoded, Place, note, segment};
use super::defrag::{Defrag, Key, Piece};
use super::quic::Quic;
use super::trace::Trace;
use super::via::Vias;

/// What the descent keeps between frames.
#[derive(Default)]
pub(super) struct Descent {
    pub(super) vias: Vias,
    defrag: Defrag,
    quic: Quic,
    pub(super) trace: Trace,
    stack: Stack,
    /// Segments of the frame under work.
    pub(super) found: Vec<Decoded>,
    /// Payloads that stand nowhere else: of datagrams put together.
    pub(super) spare: Vec<u8>,
}

/// The frame under work.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The buffer in which payloads have their place.
    pub(super) buffer: &'a [u8],
    pub(super) ts: Timestamp,
    pub(super) point: u16,
}

/// Where in a frame.
#[derive(Clone, Copy)]
struct Spot<'a> {
    inside: Inside,
    rest: &'a [u8],
    /// Bytes that the snap length took behind `rest`.
    missing: u32,
    /// Wrappers passed.
    depth: usize,
    from: IpAddr,
    to: IpAddr,
    /// Identification of the innermost IPv4 packet.
    id: u16,
    /// The innermost IP packet.
    packet: &'a [u8],
    /// How often fragments were put together to come here. More than never: these bytes are not in the
    /// frame's buffer.
    joined: usize,
}

impl Descent {
    /// Looks for segments in what stands behind a link header; they are left in `found`.
    #[inline(never)]
    pub(super) fn frame(
        &mut self,
        frame: Frame<'_>,
        (inside, rest): (Inside, &[u8]),
        missing: u32,
        counters: &mut Counters,
    ) {
        self.stack.clear();
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let spot = Spot { inside, rest, missing, depth: 0, from: nobody, to: nobody, id: 0, packet: &[], joined: 0 };
        if self.walk(frame, spot, counters).is_none() {
            counters.undecodable += 1;
        }
    }

    /// Fragments that wait for others.
    pub(super) fn waiting(&self) -> u64 {
        self.defrag.waiting()
    }

    /// `None`: what claims to lead to TCP does not, or its headers are cut.
    fn walk(&mut self, frame: Frame<'_>, mut spot: Spot<'_>, counters: &mut Counters) -> Option<()> {
        loop {
            let (inside, rest) = match spot.inside {
                Inside::Cut => return None,
                Inside::Other => return Some(()),
                Inside::Ethernet => link::ethernet::strip(spot.rest),
                Inside::Llc => llc::open(spot.rest),
                Inside::Ppp => ppp::frame(spot.rest),
                Inside::Wlan { padded } => wlan::open(spot.rest, padded),
                Inside::Link(number) => (link::find(number)?.strip)(spot.rest),
                Inside::EtherType(0x0800) => (Inside::Ipv4, spot.rest),
                Inside::EtherType(0x86dd) => (Inside::Ipv6, spot.rest),
                Inside::EtherType(ether_type) => match self.open(By::EtherType(ether_type), &mut spot, counters) {
                    Some(opened) => opened,
                    None => return Some(()),
                },
                Inside::Ip => match spot.rest.first()? >> 4 {
                    4 => (Inside::Ipv4, spot.rest),
                    6 => (Inside::Ipv6, spot.rest),
                    _ => return Some(()),
                },
                Inside::Ipv4 | Inside::Ipv6 => {
                    let four = spot.inside == Inside::Ipv4;
                    spot.packet = spot.rest;
                    let packet = if four { ip::v4(spot.rest, spot.missing) } else { ip::v6(spot.rest, spot.missing) }?;
                    (spot.missing, spot.from, spot.to, spot.id) = (packet.missing, packet.from, packet.to, packet.id);
                    if let Some(place) = packet.fragment {
                        let protocol = packet.protocol;
                        let spot = Spot { rest: packet.payload, ..spot };
                        return self.fragment(frame, place, (protocol, protocol), spot, counters);
                    }
                    (Inside::IpProtocol(packet.protocol), packet.payload)
                }
                Inside::IpProtocol(6) => {
                    let tcp = tcp::tcp(spot.rest, spot.missing)?;
                    self.segment(frame, &tcp, &spot, counters);
                    return Some(());
                }
                Inside::IpProtocol(icmp::V4 | icmp::V6) => {
                    self.note(frame, &spot);
                    return Some(());
                }
                Inside::IpProtocol(17) => match self.udp(&mut spot, counters) {
                    Some(opened) => opened,
                    None => return Some(()),
                },
                Inside::IpProtocol(protocol) => match ip::extension(protocol, spot.rest) {
                    Extension::Next(next, rest) => (Inside::IpProtocol(next), rest),
                    Extension::Fragment(protocol, place, bytes) => {
                        let spot = Spot { rest: bytes, ..spot };
                        return self.fragment(frame, place, (protocol, 0), spot, counters);
                    }
                    Extension::Cut => return None,
                    Extension::None => match self.open(By::IpProtocol(protocol), &mut spot, counters) {
                        Some(opened) => opened,
                        None => return Some(()),
                    },
                },
                Inside::Subframes => return self.subframes(frame, &spot, counters),
            };
            (spot.inside, spot.rest) = (inside, rest);
        }
    }

    /// Takes off a wrapper, unless there were too many. `None`: there is none that is known.
    fn open<'a>(&mut self, by: By, spot: &mut Spot<'a>, counters: &mut Counters) -> Option<(Inside, &'a [u8])> {
        let outer = Outer { by, from: spot.from, to: spot.to };
        let layers = self.stack.layers().len();
        let opened = tunnel::open(&outer, spot.rest, &mut self.stack)?;
        if spot.depth >= limits::NESTING {
            counters.too_deep += 1;
            self.stack.truncate(layers);
            return None;
        }
        spot.depth += 1;
        Some(opened)
    }

    fn udp<'a>(&mut self, spot: &mut Spot<'a>, counters: &mut Counters) -> Option<(Inside, &'a [u8])> {
        let (from, to, payload) = ip::udp(spot.rest)?;
        spot.rest = payload;
        // The receiver's port says more than the sender's.
        let opened = [By::Udp(to), By::Udp(from), By::AnyUdp].into_iter().find_map(|by| self.open(by, spot, counters));
        if opened.is_none() {
            self.quic.datagram(payload, counters);
        }
        opened
    }

    /// A datagram that becomes whole is gone on with as if it had come so. `protocol`: what this fragment
    /// says, and what tells datagrams apart.
    fn fragment(
        &mut self,
        frame: Frame<'_>,
        place: Fragment,
        (protocol, apart): (u8, u8),
        spot: Spot<'_>,
        counters: &mut Counters,
    ) -> Option<()> {
        let via = self.vias.id(self.stack.layers(), counters);
        let key = Key { from: spot.from, to: spot.to, id: place.id, protocol: apart, point: frame.point, via };
        let packets = &self.trace.around;
        let piece = Piece { place, protocol, bytes: spot.rest, missing: spot.missing, packets };
        let Some(whole) = self.defrag.add(key, &piece, frame.ts, counters) else { return Some(()) };
        // A datagram may hold nothing but a fragment of another, and so on.
        if spot.joined >= limits::NESTING {
            counters.too_deep += 1;
            return Some(());
        }
        let (inside, joined) = (Inside::IpProtocol(whole.protocol), spot.joined + 1);
        let around = std::mem::replace(&mut self.trace.around, whole.packets);
        let spot = Spot { inside, rest: &whole.bytes, missing: whole.missing, joined, ..spot };
        let fine = self.walk(frame, spot, counters);
        self.trace.around = around;
        fine
    }

    fn subframes(&mut self, frame: Frame<'_>, spot: &Spot<'_>, counters: &mut Counters) -> Option<()> {
        let layers = self.stack.layers().len();
        let mut fine = Some(());
        if spot.depth >= limits::NESTING {
            counters.too_deep += 1;
            return fine;
        }
        for (rest, missing) in amsdu::subframes(spot.rest) {
            let inside = Spot { inside: Inside::Llc, rest, missing, depth: spot.depth + 1, ..*spot };
            fine = self.walk(frame, inside, counters).and(fine);
            self.stack.truncate(layers);
        }
        fine
    }

    /// Keeps an ICMP message about a segment among the segments, in its place.
    fn note(&mut self, frame: Frame<'_>, spot: &Spot<'_>) {
        let Some(told) = icmp::told(spot.packet).filter(|_| spot.joined == 0) else { return };
        self.trace.segment();
        self.found.push(note(frame.buffer, spot.packet, &told, frame.point));
    }

    fn segment(&mut self, frame: Frame<'_>, tcp: &tcp::Tcp<'_>, spot: &Spot<'_>, counters: &mut Counters) {
        let mut decoded = segment(frame.buffer, spot.from, spot.to, tcp, frame.point);
        decoded.mark |= u32::from(spot.id) << 16;
        if spot.joined != 0 {
            decoded.place = Place::Spare;
            decoded.payload_at = u32::try_from(self.spare.len()).unwrap_or(u32::MAX);
            decoded.payload_len = u32::try_from(tcp.payload.len()).unwrap_or(0);
            self.spare.extend_from_slice(tcp.payload);
        }
        decoded.via = self.vias.id(self.stack.layers(), counters);
        self.trace.segment();
        self.found.push(decoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv6 packet with a fragment header (RFC 8200 §4.5) and eight or more bytes of its datagram.
    fn fragment(id: u8, next: u8, first: bool, bytes: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(bytes.len() + 8).unwrap_or(0), 44, 64];
        packet.extend([1; 32]);
        packet.extend(header(id, next, first));
        packet.extend(bytes);
        packet
    }

    fn header(id: u8, next: u8, first: bool) -> [u8; 8] {
        [next, 0, 0, if first { 1 } else { 8 }, 0, 0, 0, id]
    }

    /// Datagrams that hold a fragment of the one before, all but their first eight bytes sent; the last
    /// packet completes them all.
    fn chain(levels: u8) -> (usize, Counters) {
        let (mut descent, mut counters) = (Descent::default(), Counters::default());
        let mut datagram = vec![0; 24];
        datagram[12] = 0x50;
        let mut protocol = 6;
        let mut send = |packet: &[u8]| {
            descent.found.clear();
            let frame = Frame { buffer: packet, ts: Timestamp(0), point: 0 };
            descent.frame(frame, (Inside::Ipv6, packet), 0, &mut counters);
            descent.found.len()
        };
        for id in 0..levels {
            assert_eq!(send(&fragment(id, protocol, false, &datagram[8..])), 0);
            datagram = [&header(id, protocol, true)[..], &datagram[..8]].concat();
            protocol = 44;
        }
        let mut last = vec![0x60, 0, 0, 0, 0, 16, 44, 64];
        last.extend([1; 32]);
        last.extend(&datagram);
        let found = send(&last);
        (found, counters)
    }

    #[test]
    fn fragments_of_fragments_end_somewhere() {
        let (found, counters) = chain(8);
        assert_eq!((found, counters.too_deep, counters.fragments), (1, 0, 16));
        let (found, counters) = chain(200);
        assert_eq!((found, counters.too_deep), (0, 1));
    }
}
