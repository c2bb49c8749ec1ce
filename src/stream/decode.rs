//! From a captured frame to what the flow table needs. The fast path is Ethernet, IPv4, TCP.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::base::Counters;
use crate::wire::link::{self, Link, Stripped, ethernet};
use crate::wire::tcp::{self, Flags, Network, Tcp};

use super::flow::{FlowKey, Key4, Key6, Side};

/// A TCP segment found in a frame. Its payload is named by place, so that batches of these can be
/// kept without borrowing the read buffer.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    pub key: FlowKey,
    pub side: Side,
    pub flags: Flags,
    pub seq: u32,
    pub ack: u32,
    /// Place of the payload in the frame's buffer, in bytes.
    pub payload_at: u32,
    pub payload_len: u32,
    /// Bytes of payload the snap length took.
    pub cut: u32,
}

/// Takes frames apart. Keeps nothing but the link type used last.
#[derive(Default)]
pub struct Decoder {
    last: Option<&'static Link>,
}

impl Decoder {
    /// Finds the TCP segment in `bytes[at..at + len]`. `missing`: bytes of the frame the snap length
    /// took. `None`: no segment; what claims to be one and is none is counted.
    #[inline]
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
        point: u16,
        counters: &mut Counters,
    ) -> Option<Decoded> {
        let frame = bytes.get(at..at + len)?;
        let stripped = if link_type == 1 { ethernet::strip(frame) } else { self.strip(link_type, frame) };
        if missing != 0 {
            counters.snapped += 1;
        }
        let decoded = match stripped {
            Stripped::Ipv4(packet) => match tcp::ipv4(packet, missing) {
                Network::Tcp(from, to, tcp) => Some(segment4(bytes, from, to, &tcp, point)),
                Network::Bad => None,
                Network::Fragment | Network::Other => return None,
            },
            Stripped::Ipv6(packet) => match tcp::ipv6(packet, missing) {
                Network::Tcp(from, to, tcp) => Some(segment6(bytes, from, to, &tcp, point)),
                Network::Bad => None,
                Network::Fragment | Network::Other => return None,
            },
            Stripped::Other => return None,
            Stripped::Cut => None,
        };
        if decoded.is_none() {
            counters.undecodable += 1;
        }
        decoded
    }

    fn strip<'a>(&mut self, link_type: u16, frame: &'a [u8]) -> Stripped<'a> {
        if self.last.is_none_or(|l| l.number != link_type) {
            self.last = link::find(link_type);
        }
        match self.last {
            Some(link) => (link.strip)(frame),
            None => Stripped::Cut,
        }
    }
}

#[inline]
fn segment4(bytes: &[u8], from: Ipv4Addr, to: Ipv4Addr, tcp: &Tcp<'_>, point: u16) -> Decoded {
    let (key, side) = Key4::new((from, tcp.source_port), (to, tcp.destination_port), point);
    segment(bytes, FlowKey::V4(key), side, tcp)
}

fn segment6(bytes: &[u8], from: Ipv6Addr, to: Ipv6Addr, tcp: &Tcp<'_>, point: u16) -> Decoded {
    let (key, side) = Key6::new((from, tcp.source_port), (to, tcp.destination_port), point);
    segment(bytes, FlowKey::V6(key), side, tcp)
}

#[inline]
fn segment(bytes: &[u8], key: FlowKey, side: Side, tcp: &Tcp<'_>) -> Decoded {
    let at = (tcp.payload.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    // A payload that is not a part of the buffer (the empty one of a cut header) has no place.
    let len = if at + tcp.payload.len() <= bytes.len() { tcp.payload.len() } else { 0 };
    Decoded {
        key,
        side,
        flags: tcp.flags,
        seq: tcp.seq,
        ack: tcp.ack,
        payload_at: u32::try_from(at).unwrap_or(0),
        payload_len: u32::try_from(len).unwrap_or(0),
        cut: tcp.cut,
    }
}
