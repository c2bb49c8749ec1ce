//! ICMP messages that say why a TCP segment was not delivered (RFC 792, RFC 4443 §3). Each holds the beginning of the
//! packet that it is about: its IP header and at least eight bytes, so its ports and sequence number.

use std::net::IpAddr;

use crate::model::IcmpWhy;

use super::ip;

/// One such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who sent it.
    pub by: IpAddr,
    pub why: IcmpWhy,
    /// Of the segment that it is about.
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    pub seq: u32,
}

/// ICMP's numbers among the protocols of IP.
pub const V4: u8 = 1;
pub const V6: u8 = 58;

/// Bytes of a message's header.
const HEADER: usize = 8;

/// Reads an IP packet. `None`: it is no such message, or it is about something other than a TCP segment that its
/// receiver had sent.
pub fn told(packet: &[u8]) -> Option<Told> {
    let (outer, protocol) = open(packet)?;
    let (header, original) = outer.payload.split_first_chunk::<HEADER>()?;
    let why = match protocol {
        V4 => why4(*header)?,
        V6 => why6(*header)?,
        _ => return None,
    };
    let (inner, protocol) = open(original)?;
    let ports: &[u8; 8] = inner.payload.first_chunk().filter(|_| protocol == 6 && inner.fragment.is_none())?;
    let [a, b, c, d, e, f, g, h] = *ports;
    let told = Told {
        by: outer.from,
        why,
        from: (inner.from, u16::from_be_bytes([a, b])),
        to: (inner.to, u16::from_be_bytes([c, d])),
        seq: u32::from_be_bytes([e, f, g, h]),
    };
    (outer.to == inner.from).then_some(told)
}

/// An IP packet without options and extension headers, which routers do not write, and which the ends of a connection
/// hardly do; and what it holds. Most of what a message is about is not in it, so what lengths say does not count.
fn open(packet: &[u8]) -> Option<(ip::Packet<'_>, u8)> {
    let ip = match packet.first()? {
        0x45 => ip::v4(packet, 0)?,
        0x60..=0x6f => ip::v6(packet, 0)?,
        _ => return None,
    };
    Some((ip, ip.protocol))
}

fn why4([kind, code, _, _, _, _, a, b]: [u8; HEADER]) -> Option<IcmpWhy> {
    Some(match (kind, code) {
        (3, 0 | 5..=8 | 11 | 12) => IcmpWhy::NetUnreachable,
        (3, 1) => IcmpWhy::HostUnreachable,
        (3, 2 | 3) => IcmpWhy::PortUnreachable,
        // RFC 1191 §4.
        (3, 4) => IcmpWhy::TooBig(u16::from_be_bytes([a, b]).into()),
        (3, 9 | 10 | 13..=15) => IcmpWhy::Prohibited,
        (11, _) => IcmpWhy::TtlExceeded,
        _ => return None,
    })
}

fn why6([kind, code, _, _, a, b, c, d]: [u8; HEADER]) -> Option<IcmpWhy> {
    Some(match (kind, code) {
        (1, 1 | 5 | 6) => IcmpWhy::Prohibited,
        (1, 3) => IcmpWhy::HostUnreachable,
        (1, 4) => IcmpWhy::PortUnreachable,
        (1, _) => IcmpWhy::NetUnreachable,
        (2, _) => IcmpWhy::TooBig(u32::from_be_bytes([a, b, c, d])),
        (3, _) => IcmpWhy::TtlExceeded,
        _ => return None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An IPv4 packet.
    fn v4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8], claimed: usize) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet[2..4].copy_from_slice(&((20 + claimed) as u16).to_be_bytes());
        packet.extend(from);
        packet.extend(to);
        packet.extend(payload);
        packet
    }

    fn v6(next: u8, from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
        packet.extend([from; 16]);
        packet.extend([to; 16]);
        packet.extend(payload);
        packet
    }

    const SEGMENT: [u8; 8] = [0x95, 0xc8, 0x1f, 0x90, 1, 2, 3, 4];
    const CLIENT: [u8; 4] = [10, 1, 0, 2];
    const SERVER: [u8; 4] = [10, 2, 0, 2];

    fn message(kind: u8, code: u8, mtu: u16, about: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0, 0, 0];
        message.extend(mtu.to_be_bytes());
        message.extend(about);
        message
    }

    fn router(message: &[u8]) -> Vec<u8> {
        v4(V4, [10, 1, 0, 1], CLIENT, message, message.len())
    }

    #[test]
    fn what_a_router_says_of_a_segment_is_read_though_most_of_that_is_not_there() {
        let about = v4(6, CLIENT, SERVER, &SEGMENT, 60);
        let said = told(&router(&message(3, 13, 0, &about))).unwrap();
        assert_eq!((said.by, said.why), ([10, 1, 0, 1].into(), IcmpWhy::Prohibited));
        assert_eq!((said.from, said.to, said.seq), ((CLIENT.into(), 38_344), (SERVER.into(), 8_080), 0x0102_0304));
        let why = |kind, code| told(&router(&message(kind, code, 1_300, &about))).map(|told| told.why);
        assert_eq!(why(3, 1), Some(IcmpWhy::HostUnreachable));
        assert_eq!(why(3, 3), Some(IcmpWhy::PortUnreachable));
        assert_eq!(why(3, 4), Some(IcmpWhy::TooBig(1_300)));
        assert_eq!(why(11, 0), Some(IcmpWhy::TtlExceeded));
        assert_eq!(why(8, 0), None, "an echo request");
        // About a datagram of UDP, and about a segment that this host did not send.
        let udp = v4(17, CLIENT, SERVER, &SEGMENT, 60);
        assert_eq!(told(&router(&message(3, 3, 0, &udp))), None);
        let others = v4(6, SERVER, CLIENT, &SEGMENT, 60);
        assert_eq!(told(&router(&message(3, 3, 0, &others))), None);
    }

    #[test]
    fn icmpv6_has_numbers_of_its_own() {
        let about = v6(6, 1, 2, &SEGMENT);
        let why = |kind, code| {
            let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0x14];
            message.extend(&about);
            told(&v6(V6, 9, 1, &message)).map(|told| told.why)
        };
        assert_eq!(why(1, 1), Some(IcmpWhy::Prohibited));
        assert_eq!(why(1, 3), Some(IcmpWhy::HostUnreachable));
        assert_eq!(why(1, 0), Some(IcmpWhy::NetUnreachable));
        assert_eq!(why(2, 0), Some(IcmpWhy::TooBig(1_300)));
        assert_eq!(why(128, 0), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), four: bool) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = if four { 0x45 } else { 0x60 };
            }
            told(&bytes);
        }
    }
}
