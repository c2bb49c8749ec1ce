//! Where the headers of a frame are: link layer, IP, TCP, also behind VLAN tags and inside VXLAN. It knows
//! what the captures beside the repository hold and looks at nothing else.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// The parts of a frame, as offsets into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Six bytes each.
    pub macs: Vec<usize>,
    /// Outermost first.
    pub ips: Vec<Ip>,
    /// UDP headers of tunnels.
    pub udps: Vec<usize>,
    /// The TCP header behind the last IP header.
    pub tcp: Option<Tcp>,
}

/// An IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    pub at: usize,
    pub v6: bool,
}

/// A TCP header and its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub at: usize,
    /// What was captured of the payload.
    pub payload: Range<usize>,
}

impl Ip {
    /// Where source and destination stand.
    pub(crate) fn addresses(self) -> [Range<usize>; 2] {
        let (first, size) = if self.v6 { (self.at + 8, 16) } else { (self.at + 12, 4) };
        [first..first + size, first + size..first + 2 * size]
    }
}

/// All that is known of a frame of this link type (LINKTYPE_ of tcpdump.org).
pub(crate) fn frame(data: &[u8], link: u16) -> Frame {
    let mut frame = Frame::default();
    // A cut frame ends wherever it was cut.
    let _ = link_layer(data, link, &mut frame);
    frame
}

/// The ends of a TCP segment, from and to.
pub(crate) fn ends(data: &[u8], frame: &Frame) -> Option<(SocketAddr, SocketAddr)> {
    let tcp = frame.tcp.as_ref()?;
    let [from, to] = frame.ips.last()?.addresses().map(|range| address(&data[range]));
    Some((SocketAddr::new(from, word(data, tcp.at)?), SocketAddr::new(to, word(data, tcp.at + 2)?)))
}

/// An address of four or of sixteen bytes.
pub(crate) fn address(bytes: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => four.into(),
        Err(_) => <[u8; 16]>::try_from(bytes).expect("sixteen bytes").into(),
    }
}

/// Makes the checksums of the IPv4 and TCP headers right, or zero where not all of the segment is there.
pub(crate) fn checksums(data: &mut [u8], frame: &Frame) {
    for ip in frame.ips.iter().filter(|ip| !ip.v6) {
        let end = ip.at + usize::from(data[ip.at] & 15) * 4;
        put(data, ip.at + 10, 0);
        let sum = checksum(&data[ip.at..end.min(data.len())], 0);
        put(data, ip.at + 10, sum);
    }
    // UDP may do without (RFC 768), and tunnels do.
    frame.udps.iter().for_each(|udp| put(data, udp + 6, 0));
    let (Some(tcp), Some(ip)) = (&frame.tcp, frame.ips.last()) else { return };
    put(data, tcp.at + 16, 0);
    let length = tcp.payload.end - tcp.at;
    let whole = match ip.v6 {
        true => word(data, ip.at + 4).map(usize::from) == Some(tcp.payload.end - ip.at - 40),
        false => word(data, ip.at + 2).map(usize::from) == Some(tcp.payload.end - ip.at),
    };
    if whole {
        let [from, to] = ip.addresses();
        // The pseudo-header (RFC 9293 §3.1): addresses, protocol, length.
        let start = sum(&data[from.start..to.end], 6 + length as u32);
        let sum = checksum(&data[tcp.at..tcp.payload.end], start);
        put(data, tcp.at + 16, sum);
    }
}

fn link_layer(data: &[u8], link: u16, frame: &mut Frame) -> Option<()> {
    match link {
        1 => ethernet(data, 0, frame),
        101 => ip(data, 0, frame),
        113 => {
            frame.macs.push(6);
            network(data, 16, word(data, 14)?, frame)
        }
        276 => {
            frame.macs.push(12);
            network(data, 20, word(data, 0)?, frame)
        }
        other => panic!("frames of link type {other} are not read here"),
    }
}

fn ethernet(data: &[u8], at: usize, frame: &mut Frame) -> Option<()> {
    frame.macs.extend([at, at + 6]);
    network(data, at + 14, word(data, at + 12)?, frame)
}

/// What an EtherType announces.
fn network(data: &[u8], at: usize, ethertype: u16, frame: &mut Frame) -> Option<()> {
    match ethertype {
        0x8100 | 0x88a8 => network(data, at + 4, word(data, at + 2)?, frame),
        0x0800 | 0x86dd => ip(data, at, frame),
        _ => None,
    }
}

fn ip(data: &[u8], at: usize, frame: &mut Frame) -> Option<()> {
    let v6 = data.get(at)? >> 4 == 6;
    let header = if v6 { 40 } else { usize::from(data.get(at)? & 15) * 4 };
    data.get(at..at + header)?;
    frame.ips.push(Ip { at, v6 });
    let protocol = if v6 { data[at + 6] } else { data[at + 9] };
    let total = usize::from(word(data, at + if v6 { 4 } else { 2 })?) + if v6 { 40 } else { 0 };
    // A length of zero stands for a packet longer than it can say (segmentation offload).
    let end = if total == 0 { data.len() } else { (at + total).min(data.len()) };
    let next = at + header;
    match protocol {
        6 => {
            let payload = next + usize::from(data.get(next + 12)? >> 4) * 4;
            data.get(next..payload.max(next + 20))?;
            frame.tcp = Some(Tcp { at: next, payload: payload..end.max(payload) });
            Some(())
        }
        17 if word(data, next + 2)? == 4789 => {
            frame.udps.push(next);
            ethernet(data, next + 16, frame)
        }
        _ => None,
    }
}

pub(crate) fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn put(data: &mut [u8], at: usize, value: u16) {
    data[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn sum(bytes: &[u8], start: u32) -> u32 {
    let words = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |b| u32::from(*b)));
    words.fold(start, |sum, word| sum + word)
}

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = sum(bytes, start);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::super::link::{self, Link};
    use super::super::script::Script;
    use super::*;

    const LINKS: [Link; 4] = [Link::Ethernet, Link::Raw, Link::LinuxSll, Link::LinuxSll2];

    #[test]
    fn the_ends_and_the_payload_of_a_segment_are_found_in_every_link_type() {
        let four = Script::flow().client("hello").segments();
        let six = Script::between("[2001:db8::1]:40000", "[2001:db8::2]:80").client("hello").segments();
        for (segment, link) in [&four[3], &six[3]].into_iter().flat_map(|s| LINKS.map(|link| (s, link))) {
            let packet = link::packet(segment, link, &[]);
            let frame = frame(&packet.data, link.number());
            assert_eq!(ends(&packet.data, &frame), Some((segment.client, segment.server)), "{link:?}");
            assert_eq!(&packet.data[frame.tcp.unwrap().payload], b"hello");
        }
        let tagged = link::packet(&four[3], Link::Ethernet, &[7, 8]).data;
        assert_eq!(&tagged[frame(&tagged, 1).tcp.unwrap().payload], b"hello");
    }

    #[test]
    fn checksums_come_out_as_another_encoder_has_them() {
        for (client, server) in [("198.51.100.7:4", "203.0.113.9:80"), ("[2001:db8::1]:4", "[2001:db8::2]:80")] {
            let segment = &Script::between(client, server).client("hello").segments()[3];
            let mut data = link::packet(segment, Link::Ethernet, &[]).data;
            let frame = frame(&data, 1);
            let right = data.clone();
            put(&mut data, frame.tcp.as_ref().unwrap().at + 16, 0xabcd);
            checksums(&mut data, &frame);
            assert_eq!(data, right);
        }
    }

    #[test]
    fn a_cut_frame_is_read_as_far_as_it_goes() {
        let data = link::packet(&Script::flow().client("hello").segments()[3], Link::Ethernet, &[]).data;
        for len in 0..data.len() {
            let mut cut = data[..len].to_vec();
            let frame = frame(&cut, 1);
            assert_eq!(frame.tcp.is_some(), len >= 54, "{len}");
            checksums(&mut cut, &frame);
            assert!(frame.tcp.is_none() || len >= 59 || cut[50..52] == [0, 0]);
        }
    }
}
