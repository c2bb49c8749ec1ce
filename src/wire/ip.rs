//! IP headers off the straight road: fragments, extension headers, what is carried beside TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::inside::u16_at;
use super::tcp::limit;

/// An IP packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub from: IpAddr,
    pub to: IpAddr,
    /// What the payload is, as the header says.
    pub protocol: u8,
    /// What was captured of the payload, without padding behind it.
    pub payload: &'a [u8],
    /// Bytes of payload that are not in the capture.
    pub missing: u32,
    /// The identification of an IPv4 packet; 0 for IPv6.
    pub id: u16,
    /// `None`: the payload is whole.
    pub fragment: Option<Fragment>,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Its place in the datagram's payload, in bytes.
    pub at: u32,
    /// Others follow it.
    pub more: bool,
}

/// Reads an IPv4 header (RFC 791 §3.1). `missing`: bytes that the snap length took from the end. A total
/// length of zero (segmentation offload, BIG TCP) means: to the end. `None`: none, or cut.
pub fn v4(packet: &[u8], missing: u32) -> Option<Packet<'_>> {
    let fixed: &[u8; 20] = packet.first_chunk()?;
    let header = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || header < 20 {
        return None;
    }
    let rest = packet.get(header..)?;
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let (payload, missing) = limit(rest, total.checked_sub(header), total != 0, missing);
    let place = u16::from_be_bytes([fixed[6], fixed[7]]);
    let (more, at) = (place & 0x2000 != 0, u32::from(place & 0x1fff) * 8);
    let id = u16::from_be_bytes([fixed[4], fixed[5]]);
    Some(Packet {
        from: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
        to: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
        protocol: fixed[9],
        payload,
        missing,
        id,
        fragment: (more || at != 0).then_some(Fragment { id: id.into(), at, more }),
    })
}

/// Reads the fixed IPv6 header (RFC 8200 §3); extension headers are the payload's. `missing` as for
/// [`v4`]; a payload length of zero (a jumbogram, RFC 2675) means: to the end.
pub fn v6(packet: &[u8], missing: u32) -> Option<Packet<'_>> {
    let (fixed, rest) = packet.split_first_chunk::<40>()?;
    if fixed[0] >> 4 != 6 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let (payload, missing) = limit(rest, (length != 0).then_some(length), length != 0, missing);
    let address = |at: usize| fixed.get(at..).and_then(<[u8]>::first_chunk::<16>).map(|b| Ipv6Addr::from(*b));
    Some(Packet {
        from: address(8)?.into(),
        to: address(24)?.into(),
        protocol: fixed[6],
        payload,
        missing,
        id: 0,
        fragment: None,
    })
}

/// An extension header of IPv6, or an authentication header of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension<'a> {
    /// What comes next, and its bytes.
    Next(u8, &'a [u8]),
    /// A part of something that has this protocol.
    Fragment(u8, Fragment, &'a [u8]),
    /// This protocol is no extension header.
    None,
    /// It is cut.
    Cut,
}

/// Reads an extension header (RFC 8200 §4; AH: RFC 4302 §2; Mobility, HIP, Shim6 have the same form).
/// A fragment that is the whole (RFC 6946) is none.
pub fn extension(protocol: u8, bytes: &[u8]) -> Extension<'_> {
    let unit = match protocol {
        0 | 43 | 60 | 135 | 139 | 140 => 8,
        51 => 4,
        44 => {
            let Some((header, rest)) = bytes.split_first_chunk::<8>() else { return Extension::Cut };
            let place = u16::from_be_bytes([header[2], header[3]]);
            let (at, more) = (u32::from(place & 0xfff8), place & 1 != 0);
            if at == 0 && !more {
                return Extension::Next(header[0], rest);
            }
            let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            return Extension::Fragment(header[0], Fragment { id, at, more }, rest);
        }
        _ => return Extension::None,
    };
    let [next, length, ..] = bytes else { return Extension::Cut };
    // AH counts in words, without two of them; the others in units of eight, without the first.
    let header = if unit == 4 { (usize::from(*length) + 2) * 4 } else { (usize::from(*length) + 1) * 8 };
    bytes.get(header..).map_or(Extension::Cut, |rest| Extension::Next(*next, rest))
}

/// Ports and payload of a UDP datagram (RFC 768). `None`: cut. Its length is not believed: IP's is.
pub fn udp(datagram: &[u8]) -> Option<(u16, u16, &[u8])> {
    let payload = datagram.get(8..)?;
    Some((u16_at(datagram, 0)?, u16_at(datagram, 2)?, payload))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// RFC 791 §3.1, byte by byte: identification 7, more fragments, offset 2 × 8, protocol 17.
    fn packet() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 24, 0, 7, 0x20, 2, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([1, 2, 3, 4, 0, 0]);
        packet
    }

    #[test]
    fn a_fragment_of_ipv4_has_its_place_and_no_padding() {
        let bytes = packet();
        let read = v4(&bytes, 0).unwrap();
        assert_eq!(read.fragment, Some(Fragment { id: 7, at: 16, more: true }));
        assert_eq!((read.protocol, read.payload, read.missing), (17, &[1, 2, 3, 4][..], 0));
        assert_eq!(v4(&packet()[..22], 4).unwrap().missing, 2);
        assert_eq!(v4(&packet()[..19], 0), None);
    }

    #[test]
    fn a_total_length_of_zero_reaches_to_the_end() {
        let mut bytes = packet();
        bytes[2..4].fill(0);
        let read = v4(&bytes, 9).unwrap();
        assert_eq!((read.payload.len(), read.missing), (6, 9));
    }

    /// RFC 2675: payload length 0; the jumbo option stands in the hop-by-hop header.
    #[test]
    fn a_jumbogram_reaches_to_the_end() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
        bytes.extend([1; 32]);
        bytes.extend([6, 0, 0xc2, 4, 0, 1, 0, 9, b'x']);
        let read = v6(&bytes, 0).unwrap();
        assert_eq!((read.protocol, read.payload.len()), (0, 9));
        assert_eq!(extension(0, read.payload), Extension::Next(6, b"x"));
    }

    #[test]
    fn extension_headers_are_told_apart() {
        // RFC 8200 §4.5: next 6, reserved, offset 8 and M, identification.
        let part = [6, 0, 0, 9, 0, 0, 0, 5, b'x'];
        assert_eq!(extension(44, &part), Extension::Fragment(6, Fragment { id: 5, at: 8, more: true }, b"x"));
        // RFC 6946: an atomic fragment.
        assert_eq!(extension(44, &[6, 0, 0, 0, 0, 0, 0, 5, b'x']), Extension::Next(6, b"x"));
        // RFC 4302 §2.2: length 4 is six words.
        let mut ah = vec![6, 4];
        ah.extend([0; 22]);
        ah.push(b'x');
        assert_eq!(extension(51, &ah), Extension::Next(6, b"x"));
        assert_eq!(extension(51, &ah[..20]), Extension::Cut);
        assert_eq!(extension(6, &ah), Extension::None);
    }
}
