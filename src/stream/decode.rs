//! From a captured frame to what the flow table needs. The straight road is Ethernet, IP, TCP; all else
//! goes through `descent`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{Counters, PacketRef, Timestamp};
use crate::model::Layer;
use crate::wire::icmp::Told;
use crate::wire::link::{self, Link, ethernet};
use crate::wire::tcp::{self, Flags, Network, Tcp};
use crate::wire::{Inside, Opened};

use super::descent::{Descent, Frame};
use super::flow::{FlowKey, Key4, Key6, Side};
use super::trace::Packets;
use super::via::Vias;

/// A TCP segment found in a frame. Its payload is named by place, so that batches of these can be
/// kept without borrowing the read buffer.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    pub key: FlowKey,
    pub side: Side,
    pub flags: Flags,
    /// Which buffer the payload stands in.
    pub place: Place,
    pub seq: u32,
    pub ack: u32,
    /// Place of the payload in its buffer, in bytes.
    pub payload_at: u32,
    pub payload_len: u32,
    /// Bytes of payload the snap length took.
    pub cut: u32,
    /// [`Tcp::ttl`].
    pub ttl: u8,
    /// Its sender takes nothing more for now (RFC 9293 §3.8.6.1).
    pub closes_window: bool,
    /// [`Tcp::mark`].
    pub mark: u32,
    /// What it was wrapped in: a number of [`Vias`], equal for equal stacks; 0 for nothing.
    pub via: u16,
}

/// Which buffer a payload stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one the frame was in.
    Read,
    /// [`Aside::spare`].
    Spare,
    /// It is no payload, but an IP packet with an ICMP message about such a segment, in the buffer of the frame.
    Note,
}

/// What the decoder knows of the segments of a batch beside them.
#[derive(Clone, Copy)]
pub struct Aside<'a> {
    /// Payloads of datagrams that were put together from fragments.
    pub spare: &'a [u8],
    /// What [`Decoded::via`] means.
    pub vias: &'a Vias,
}

/// The road of nearly every packet: an Ethernet frame at `bytes[at..at + len]` with IPv4 and a whole TCP header in it,
/// and nothing else around these. `None`: it is not such a one, and [`Decoder::frame`] is to be asked.
// All that it finds stays in registers, as long as nobody else can have found it.
#[inline(always)]
pub fn straight(link_type: u16, bytes: &[u8], at: usize, len: usize, missing: u32, point: u16) -> Option<Decoded> {
    if link_type != ethernet::ETHERNET.number {
        return None;
    }
    let packet = ethernet::ipv4(bytes.get(at..at + len)?)?;
    let (from, to, tcp) = tcp::straight(packet, missing)?;
    Some(segment4(bytes, from, to, &tcp, point))
}

/// Takes frames apart. Keeps the link type used last, what packets were wrapped in, and fragments.
#[derive(Default)]
pub struct Decoder {
    last: Option<&'static Link>,
    /// Segments of the last frame beyond its first.
    more: bool,
    descent: Descent,
}

impl Decoder {
    /// Begins a batch: payloads in the spare buffer are needed no more.
    pub fn begin(&mut self) {
        if !self.descent.spare.is_empty() {
            self.descent.spare.clear();
            self.descent.spare.shrink_to(SPARE_BYTES);
        }
    }

    /// What belongs to the segments found since [`Decoder::begin`].
    pub fn aside(&self) -> Aside<'_> {
        Aside { spare: &self.descent.spare, vias: &self.descent.vias }
    }

    /// Finds the TCP segment in `bytes[at..at + len]` off the [`straight`] road. `missing`: bytes of the frame the snap
    /// length took. `None`: no segment; what claims to be one and is none is counted. A frame may hold more
    /// than one: [`Decoder::next_of_frame`].
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each packet: a struct would be filled only to be taken apart"
    )]
    pub fn frame(
        &mut self,
        link_type: u16,
        bytes: &[u8],
        at: usize,
        len: usize,
        missing: u32,
        ts: Timestamp,
        point: u16,
        counters: &mut Counters,
    ) -> Option<Decoded> {
        let frame = bytes.get(at..at + len)?;
        let opened =
            if link_type == ethernet::ETHERNET.number { ethernet::strip(frame) } else { self.strip(link_type, frame) };
        if missing != 0 {
            counters.snapped += 1;
        }
        match opened.0 {
            Inside::Ipv4 => {
                if let Network::Tcp(from, to, tcp) = tcp::ipv4(opened.1, missing) {
                    return Some(segment4(bytes, from, to, &tcp, point));
                }
            }
            Inside::Ipv6 => {
                if let Network::Tcp(from, to, tcp) = tcp::ipv6(opened.1, missing) {
                    return Some(segment6(bytes, from, to, &tcp, point));
                }
            }
            Inside::EtherType(0x8100 | 0x88a8) => {
                if let Some(found) = self.tagged(bytes, opened.1, missing, point, counters) {
                    return Some(found);
                }
            }
            _ => {}
        }
        self.descend(Frame { buffer: bytes, ts, point }, opened, missing, counters)
    }

    /// Whether the frame that [`Decoder::frame`] found a segment in last has another.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Another segment of the frame that [`Decoder::frame`] was called for last. Only a frame that
    /// gave one may have another (aggregated 802.11 frames have).
    #[inline]
    pub fn next_of_frame(&mut self) -> Option<Decoded> {
        if self.more { self.next_found() } else { None }
    }

    /// Fragments that still wait for others.
    pub fn waiting_fragments(&self) -> u64 {
        self.descent.waiting()
    }

    /// From now on, notes which packets bring each segment. The next frame is in this one; to be called
    /// before each.
    pub fn trace(&mut self, at: PacketRef) {
        self.descent.trace.begin(at);
    }

    /// For each segment since [`Decoder::trace`], the packets that brought it; none where it was that one
    /// alone.
    pub fn traced(&mut self) -> impl Iterator<Item = Packets> + '_ {
        self.descent.trace.segments.drain(..)
    }

    /// One VLAN tag before IPv4 and TCP: what most mirrors show, and worth a short cut.
    #[inline(never)]
    fn tagged(
        &mut self,
        bytes: &[u8],
        tag: &[u8],
        missing: u32,
        point: u16,
        counters: &mut Counters,
    ) -> Option<Decoded> {
        let ([a, b, 0x08, 0x00], packet) = tag.split_first_chunk::<4>()? else { return None };
        let Network::Tcp(from, to, tcp) = tcp::ipv4(packet, missing) else { return None };
        let mut found = segment4(bytes, from, to, &tcp, point);
        let id = u16::from_be_bytes([*a, *b]) & 0x0fff;
        if id != 0 {
            found.via = self.descent.vias.id(&[Layer::Vlan(id)], counters);
        }
        Some(found)
    }

    #[cold]
    #[inline(never)]
    fn descend(
        &mut self,
        frame: Frame<'_>,
        opened: Opened<'_>,
        missing: u32,
        counters: &mut Counters,
    ) -> Option<Decoded> {
        self.descent.found.clear();
        self.descent.frame(frame, opened, missing, counters);
        self.descent.found.reverse();
        self.next_found()
    }

    #[cold]
    fn next_found(&mut self) -> Option<Decoded> {
        let next = self.descent.found.pop();
        self.more = !self.descent.found.is_empty();
        next
    }

    #[inline(never)]
    fn strip<'a>(&mut self, link_type: u16, frame: &'a [u8]) -> Opened<'a> {
        if self.last.is_none_or(|l| l.number != link_type) {
            self.last = link::find(link_type);
        }
        match self.last {
            Some(link) => (link.strip)(frame),
            None => (Inside::Cut, &[]),
        }
    }
}

/// Bytes of the spare buffer that are kept from batch to batch.
const SPARE_BYTES: usize = 256 << 10;

/// A segment between two addresses of one family.
pub(super) fn segment(bytes: &[u8], from: IpAddr, to: IpAddr, tcp: &Tcp<'_>, point: u16) -> Decoded {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => segment4(bytes, from, to, tcp, point),
        (from, to) => segment6(bytes, six(from), six(to), tcp, point),
    }
}

/// An ICMP message about a segment, as if that had come here. `packet`: the whole IP packet.
pub(super) fn note(bytes: &[u8], packet: &[u8], told: &Told, point: u16) -> Decoded {
    let tcp = Tcp {
        source_port: told.from.1,
        destination_port: told.to.1,
        seq: told.seq,
        ack: 0,
        flags: Flags(0),
        window: 1,
        payload: packet,
        cut: 0,
        ttl: 0,
        mark: 0,
    };
    Decoded { place: Place::Note, ..segment(bytes, told.from.0, told.to.0, &tcp, point) }
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

#[inline(always)]
fn segment4(bytes: &[u8], from: Ipv4Addr, to: Ipv4Addr, tcp: &Tcp<'_>, point: u16) -> Decoded {
    let (key, side) = Key4::new((from, tcp.source_port), (to, tcp.destination_port), point);
    decoded(bytes, FlowKey::V4(key), side, tcp)
}

fn segment6(bytes: &[u8], from: Ipv6Addr, to: Ipv6Addr, tcp: &Tcp<'_>, point: u16) -> Decoded {
    let (key, side) = Key6::new((from, tcp.source_port), (to, tcp.destination_port), point);
    decoded(bytes, FlowKey::V6(key), side, tcp)
}

#[inline(always)]
fn decoded(bytes: &[u8], key: FlowKey, side: Side, tcp: &Tcp<'_>) -> Decoded {
    let at = (tcp.payload.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    // A payload that is not a part of the buffer (the empty one of a cut header) has no place.
    let len = if at + tcp.payload.len() <= bytes.len() { tcp.payload.len() } else { 0 };
    Decoded {
        key,
        side,
        flags: tcp.flags,
        place: Place::Read,
        seq: tcp.seq,
        ack: tcp.ack,
        payload_at: u32::try_from(at).unwrap_or(0),
        payload_len: u32::try_from(len).unwrap_or(0),
        cut: tcp.cut,
        ttl: tcp.ttl,
        closes_window: tcp.window == 0 && tcp.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0,
        mark: tcp.mark,
        via: 0,
    }
}
