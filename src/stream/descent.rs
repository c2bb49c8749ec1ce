//! From a frame to the TCP segments in it, through whatever it is wrapped in: the road off the straight
//! one. At most `limits::NESTING` wrappers deep.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Counters, Timestamp, limits};
use crate::model::Stack;
use crate::wire::ip::{self, Extension};
use crate::wire::tunnel::{self, By, Outer, amsdu, llc, ppp, wlan};
use crate::wire::{Inside, link, tcp};

use super::decode::{Decoded, Place, segment};
use super::defrag::{Defrag, Key, Piece};
use super::via::Vias;

/// What the descent keeps between frames.
#[derive(Default)]
pub(super) struct Descent {
    pub(super) vias: Vias,
    defrag: Defrag,
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
    /// These bytes are of a datagram put together, and not in the frame's buffer.
    spare: bool,
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
        let spot = Spot { inside, rest, missing, depth: 0, from: nobody, to: nobody, spare: false };
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
                    let packet = if four { ip::v4(spot.rest, spot.missing) } else { ip::v6(spot.rest, spot.missing) }?;
                    (spot.missing, spot.from, spot.to) = (packet.missing, packet.from, packet.to);
                    if let Some(place) = packet.fragment {
                        let protocol = packet.protocol;
                        let piece = Piece { place, protocol, bytes: packet.payload, missing: packet.missing };
                        return self.fragment(frame, &piece, protocol, spot, counters);
                    }
                    (Inside::IpProtocol(packet.protocol), packet.payload)
                }
                Inside::IpProtocol(6) => {
                    let tcp = tcp::tcp(spot.rest, spot.missing)?;
                    self.segment(frame, &tcp, &spot, counters);
                    return Some(());
                }
                Inside::IpProtocol(17) => match self.udp(&mut spot, counters) {
                    Some(opened) => opened,
                    None => return Some(()),
                },
                Inside::IpProtocol(protocol) => match ip::extension(protocol, spot.rest) {
                    Extension::Next(next, rest) => (Inside::IpProtocol(next), rest),
                    Extension::Fragment(protocol, place, bytes) => {
                        let piece = Piece { place, protocol, bytes, missing: spot.missing };
                        return self.fragment(frame, &piece, 0, spot, counters);
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
        [By::Udp(to), By::Udp(from), By::AnyUdp].into_iter().find_map(|by| self.open(by, spot, counters))
    }

    /// A datagram that becomes whole is gone on with as if it had come so.
    fn fragment(
        &mut self,
        frame: Frame<'_>,
        piece: &Piece<'_>,
        protocol: u8,
        spot: Spot<'_>,
        counters: &mut Counters,
    ) -> Option<()> {
        let via = self.vias.id(self.stack.layers(), counters);
        let key = Key { from: spot.from, to: spot.to, id: piece.place.id, protocol, point: frame.point, via };
        let Some(whole) = self.defrag.add(key, piece, frame.ts, counters) else { return Some(()) };
        let inside = Inside::IpProtocol(whole.protocol);
        self.walk(frame, Spot { inside, rest: &whole.bytes, missing: whole.missing, spare: true, ..spot }, counters)
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

    fn segment(&mut self, frame: Frame<'_>, tcp: &tcp::Tcp<'_>, spot: &Spot<'_>, counters: &mut Counters) {
        let mut decoded = segment(frame.buffer, spot.from, spot.to, tcp, frame.point);
        if spot.spare {
            decoded.place = Place::Spare;
            decoded.payload_at = u32::try_from(self.spare.len()).unwrap_or(u32::MAX);
            decoded.payload_len = u32::try_from(tcp.payload.len()).unwrap_or(0);
            self.spare.extend_from_slice(tcp.payload);
        }
        decoded.via = self.vias.id(self.stack.layers(), counters);
        self.found.push(decoded);
    }
}
