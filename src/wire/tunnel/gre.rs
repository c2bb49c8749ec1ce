//! GRE (RFC 2784, RFC 2890, routing of RFC 1701) and PPTP's variant of it (RFC 2637 §4.1); what some
//! vendors put into it: ERSPAN, WCCP's redirect header, Aruba's 802.11 frames.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, of_ether_type, u16_at, u32_at};

use super::{By, Outer, Tunnel, erspan};

pub(super) static GRE: Tunnel = Tunnel { name: "gre", by: &[By::IpProtocol(47)], open };

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Of PPTP.
const ACKNOWLEDGEMENT: u16 = 0x0080;

fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(flags), Some(protocol)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else { return Some(CUT) };
    Some(match (flags & 7, protocol) {
        (0, _) => plain(flags, protocol, bytes, stack).unwrap_or(CUT),
        (1, 0x880b) => pptp(flags, bytes, stack).unwrap_or(CUT),
        _ => OTHER,
    })
}

/// `None`: cut.
fn plain<'a>(flags: u16, protocol: u16, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let mut at = 4;
    if flags & (CHECKSUM | ROUTING) != 0 {
        at += 4;
    }
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(u32_at(bytes, at)?);
        at += 4;
    }
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & ROUTING != 0 {
        // Source route entries: family, offset, length, and so many bytes; an empty one is the last.
        loop {
            let (family, [_, length]) = (u16_at(bytes, at)?, *bytes.get(at + 2..)?.first_chunk::<2>()?);
            at += 4 + usize::from(length);
            if family == 0 && length == 0 {
                break;
            }
        }
    }
    let rest = bytes.get(at..)?;
    if let 0x88be | 0x22eb = protocol {
        return Some(erspan::open(protocol, flags & SEQUENCE != 0, rest, stack));
    }
    stack.push(Layer::Gre(key));
    Some(match protocol {
        0x6558 => (Inside::Ethernet, rest),
        // WCCP: version 2 has four bytes before the packet, and none of them begins like IPv4.
        0x883e if rest.first().is_some_and(|first| first >> 4 == 4) => (Inside::Ipv4, rest),
        0x883e => behind(rest, 4, Inside::Ipv4),
        0x8200..=0x8210 | 0x8300..=0x8310 | 0x9000 => (Inside::Wlan { padded: false }, rest),
        // ISIS and other OSI traffic has small numbers; 802.3 lengths mean nothing here.
        0..=1_535 => OTHER,
        other => (of_ether_type(other), rest),
    })
}

/// `None`: cut.
fn pptp<'a>(flags: u16, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (length, call) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
    if flags & SEQUENCE == 0 || length == 0 {
        // An acknowledgement alone.
        return Some(OTHER);
    }
    let at = if flags & ACKNOWLEDGEMENT != 0 { 16 } else { 12 };
    let rest = bytes.get(at..)?;
    stack.push(Layer::Pptp(call));
    Some((Inside::Ppp, rest.get(..usize::from(length)).unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    fn read(bytes: &[u8]) -> (Opened<'_>, Vec<Layer>) {
        opened(&GRE, By::IpProtocol(47), bytes).unwrap()
    }

    #[test]
    fn key_sequence_checksum_and_routing_are_passed_over() {
        assert_eq!(read(&[0, 0, 8, 0, 0x45]), ((Inside::Ipv4, &[0x45][..]), vec![Layer::Gre(None)]));
        let all = [
            0xf0, 0, 8, 0, 0xaa, 0xbb, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1, // checksum, offset, key, sequence
            8, 0, 0, 4, 10, 0, 0, 9, 0, 0, 0, 0, // one route entry, the end of them
            0x45,
        ];
        assert_eq!(read(&all), ((Inside::Ipv4, &[0x45][..]), vec![Layer::Gre(Some(42))]));
        for len in 0..all.len() - 1 {
            assert_eq!(read(&all[..len]).0, CUT, "{len}");
        }
    }

    #[test]
    fn ethernet_and_802_11_and_wccp_may_be_inside() {
        assert_eq!(read(&[0, 0, 0x65, 0x58, 1]).0, (Inside::Ethernet, &[1][..]));
        assert_eq!(read(&[0, 0, 0x82, 0, 8]).0, (Inside::Wlan { padded: false }, &[8][..]));
        assert_eq!(read(&[0, 0, 0x88, 0x3e, 0, 0, 0, 0, 0x45]).0, (Inside::Ipv4, &[0x45][..]));
        assert_eq!(read(&[0, 0, 0x88, 0x3e, 0x45]).0, (Inside::Ipv4, &[0x45][..]));
    }

    #[test]
    fn pptp_carries_ppp() {
        let data = [0x30, 0x81, 0x88, 0x0b, 0, 3, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0x21, 0x45, 1];
        assert_eq!(read(&data), ((Inside::Ppp, &[0x21, 0x45, 1][..]), vec![Layer::Pptp(7)]));
        assert_eq!(read(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 2]).0, OTHER);
        assert_eq!(read(&[0, 2, 8, 0, 0x45]).0, OTHER);
    }
}
