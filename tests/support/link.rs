//! Segments into packets: TCP and IP by etherparse, the link layer by hand.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, TcpOptionElement};

use super::script::{Segment, Side};

/// What stands before the IP header; numbers as LINKTYPE_ in the registry of tcpdump.org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// BSD loopback: the address family in the capturing machine's byte order.
    Null,
    Ethernet,
    /// BSD loopback: the address family in network byte order.
    Loop,
    Raw,
    LinuxSll,
    LinuxSll2,
    /// Any other: its frames are made elsewhere (`wrap`).
    Other(u16),
}

impl Link {
    pub(crate) fn number(self) -> u16 {
        match self {
            Link::Null => 0,
            Link::Ethernet => 1,
            Link::Raw => 101,
            Link::Loop => 108,
            Link::LinuxSll => 113,
            Link::LinuxSll2 => 276,
            Link::Other(number) => number,
        }
    }

    pub(crate) fn parse(name: &str) -> Link {
        match name {
            "null" => Link::Null,
            "ethernet" => Link::Ethernet,
            "loop" => Link::Loop,
            "raw" => Link::Raw,
            "sll" => Link::LinuxSll,
            "sll2" => Link::LinuxSll2,
            "usb" => Link::Other(189),
            other => panic!("no link type {other}"),
        }
    }
}

/// A packet as a capture holds it.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Index of the interface (pcapng).
    pub interface: u32,
    /// Bytes on the wire; `data` may be less.
    pub wire_len: u32,
    pub data: Vec<u8>,
}

/// One segment as a packet with these VLAN tags, outermost first (Ethernet only).
pub(crate) fn packet(segment: &Segment, link: Link, vlans: &[u16]) -> Packet {
    packet_with(segment, link, vlans, &[])
}

/// As [`packet`], with TCP options.
pub(crate) fn packet_with(segment: &Segment, link: Link, vlans: &[u16], options: &[TcpOptionElement]) -> Packet {
    let (source, destination) = match segment.from {
        Side::Client => (segment.client, segment.server),
        Side::Server => (segment.server, segment.client),
    };
    let mut data = Vec::new();
    put_link(&mut data, link, vlans, source.is_ipv6(), segment.from);
    put_ip(&mut data, segment, source, destination, options);
    // Ethernet pads short frames to 60 bytes, which must not be taken for payload.
    if link == Link::Ethernet && data.len() < 60 {
        data.resize(60, 0);
    }
    Packet { at_ns: segment.at_ns, interface: 0, wire_len: data.len() as u32, data }
}

/// What a router says of a segment that it does not let pass, right behind it (RFC 1812 §5.2.7.1).
pub(crate) fn rejection(segment: &Segment, link: Link) -> Packet {
    told(segment, link, if segment.client.is_ipv6() { (1, 1) } else { (3, 13) })
}

/// The same with another type and code; its other bytes say an MTU of 1300.
pub(crate) fn told(segment: &Segment, link: Link, (kind, code): (u8, u8)) -> Packet {
    let (source, destination) = match segment.from {
        Side::Client => (segment.client, segment.server),
        Side::Server => (segment.server, segment.client),
    };
    let mut about = Vec::new();
    put_ip(&mut about, segment, source, destination, &[]);
    let mut data = Vec::new();
    put_link(&mut data, link, &[], source.is_ipv6(), segment.from.other());
    let (type_u8, code_u8, bytes5to8) = (kind, code, [0, 0, 5, 20]);
    let written = match source.ip() {
        IpAddr::V4(to) => PacketBuilder::ipv4([203, 0, 113, 1], to.octets(), 64)
            .icmpv4(Icmpv4Type::Unknown { type_u8, code_u8, bytes5to8 })
            .write(&mut data, &about),
        IpAddr::V6(to) => PacketBuilder::ipv6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets(), to.octets(), 64)
            .icmpv6(Icmpv6Type::Unknown { type_u8, code_u8, bytes5to8 })
            .write(&mut data, &about),
    };
    written.expect("a vector takes any packet");
    Packet { at_ns: segment.at_ns + 50_000, interface: 0, wire_len: data.len() as u32, data }
}

/// All segments as packets of one link type.
pub(crate) fn packets(segments: &[Segment], link: Link) -> Vec<Packet> {
    segments.iter().map(|s| packet(s, link, &[])).collect()
}

/// Cuts packets to a snap length.
pub(crate) fn snap(packets: &mut [Packet], bytes: usize) {
    for packet in packets {
        packet.data.truncate(bytes);
    }
}

fn put_link(data: &mut Vec<u8>, link: Link, vlans: &[u16], ipv6: bool, from: Side) {
    let ethertype: u16 = if ipv6 { 0x86dd } else { 0x0800 };
    // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 30 on macOS, 24 on NetBSD.
    let family: u32 = if ipv6 { 30 } else { 2 };
    let own = if from == Side::Client { 1 } else { 2 };
    match link {
        Link::Null => data.extend_from_slice(&family.to_le_bytes()),
        Link::Loop => data.extend_from_slice(&family.to_be_bytes()),
        Link::Raw => {}
        // What usbmon writes before the bytes of a transfer; what follows is no network.
        Link::Other(189) => data.extend_from_slice(&[0; 48]),
        Link::Other(number) => panic!("frames of link type {number} are not made here"),
        Link::Ethernet => {
            data.extend_from_slice(&[2, 0, 0, 0, 0, 3 - own]);
            data.extend_from_slice(&[2, 0, 0, 0, 0, own]);
            for (depth, vlan) in vlans.iter().enumerate() {
                // IEEE 802.1ad for the outer of two tags, 802.1Q for the last.
                let tag: u16 = if depth + 1 < vlans.len() { 0x88a8 } else { 0x8100 };
                data.extend_from_slice(&tag.to_be_bytes());
                data.extend_from_slice(&vlan.to_be_bytes());
            }
            data.extend_from_slice(&ethertype.to_be_bytes());
        }
        Link::LinuxSll => {
            // Packet type (0 to us, 4 from us), ARPHRD_ETHER, address length, address, protocol.
            data.extend_from_slice(&[0, if from == Side::Client { 0 } else { 4 }, 0, 1, 0, 6]);
            data.extend_from_slice(&[2, 0, 0, 0, 0, own, 0, 0]);
            data.extend_from_slice(&ethertype.to_be_bytes());
        }
        Link::LinuxSll2 => {
            // Protocol, reserved, interface index, ARPHRD_ETHER, packet type, address length, address.
            data.extend_from_slice(&ethertype.to_be_bytes());
            data.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 1]);
            data.extend_from_slice(&[if from == Side::Client { 0 } else { 4 }, 6]);
            data.extend_from_slice(&[2, 0, 0, 0, 0, own, 0, 0]);
        }
    }
}

fn put_ip(
    data: &mut Vec<u8>,
    segment: &Segment,
    source: SocketAddr,
    destination: SocketAddr,
    options: &[TcpOptionElement],
) {
    let ip = match (source.ip(), destination.ip()) {
        (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), segment.look.ttl),
        (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), segment.look.ttl),
        _ => panic!("{source} and {destination} are of two families"),
    };
    let mut tcp = ip.tcp(source.port(), destination.port(), segment.seq, segment.look.window);
    if segment.flags.syn {
        tcp = tcp.syn();
    }
    if segment.flags.ack {
        tcp = tcp.ack(segment.ack);
    }
    if segment.flags.fin {
        tcp = tcp.fin();
    }
    if segment.flags.rst {
        tcp = tcp.rst();
    }
    if !segment.payload.is_empty() {
        tcp = tcp.psh();
    }
    tcp = tcp.options(options).expect("at most 40 bytes of options");
    tcp.write(data, &segment.payload).expect("a vector takes any packet");
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    #[test]
    fn every_link_type_leads_to_the_ip_header() {
        let segments = Script::flow().segments();
        for (link, at) in [
            (Link::Null, 4),
            (Link::Ethernet, 14),
            (Link::Loop, 4),
            (Link::Raw, 0),
            (Link::LinuxSll, 16),
            (Link::LinuxSll2, 20),
        ] {
            assert_eq!(packet(&segments[0], link, &[]).data[at], 0x45, "{link:?}");
        }
        assert_eq!(packet(&segments[0], Link::Ethernet, &[7, 8]).data[22], 0x45);
        let six = Script::between("[2001:db8::1]:40000", "[2001:db8::2]:80").segments();
        assert_eq!(packet(&six[0], Link::Raw, &[]).data[0], 0x60);
    }
}
