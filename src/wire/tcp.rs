//! IP and TCP headers: from a network packet to the parts of a segment.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6ExtensionsSlice, Ipv6HeaderSlice, TcpSlice};

/// TCP control bits (RFC 9293 §3.1), as in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;

    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// A TCP segment as captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub seq: u32,
    /// What is acknowledged. A SYN without ACK acknowledges nothing: of it, its timestamp (RFC 7323 §3.2), by
    /// which two captures of one connection are known; 0 without one.
    pub ack: u32,
    pub flags: Flags,
    pub window: u16,
    /// TTL (RFC 791) or hop limit (RFC 8200) of its packet; 0 where that is not known.
    pub ttl: u8,
    /// What a copy of the packet has too and another packet most likely has not: the TCP checksum, and above
    /// it the identification of the IPv4 packet (0: none).
    pub mark: u32,
    /// What was captured of the payload.
    pub payload: &'a [u8],
    /// Bytes of payload that were on the wire and not in the capture (snap length).
    pub cut: u32,
}

/// What a network packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network<'a, A> {
    Tcp(A, A, Tcp<'a>),
    /// A fragment of a datagram.
    Fragment,
    /// Another protocol over IP.
    Other,
    /// Claims to be IP (and TCP) and is not, or its headers are cut.
    Bad,
}

/// Reads an IPv4 packet (RFC 791). `missing`: bytes of it that the snap length took from its end.
/// A total length of zero (segmentation offload) means: to the end of the capture.
pub fn ipv4(packet: &[u8], missing: u32) -> Network<'_, Ipv4Addr> {
    read4(packet, missing, tcp)
}

/// As [`ipv4`], of a packet with a TCP header that is whole, which most are. `None`: [`ipv4`] tells what it is.
// The straight road of every packet: called out of line it costs 40 instructions more.
#[inline(always)]
pub fn straight(packet: &[u8], missing: u32) -> Option<(Ipv4Addr, Ipv4Addr, Tcp<'_>)> {
    match read4(packet, missing, whole) {
        Network::Tcp(from, to, tcp) => Some((from, to, tcp)),
        _ => None,
    }
}

#[inline(always)]
fn read4<'a>(
    packet: &'a [u8],
    missing: u32,
    tcp: impl FnOnce(&'a [u8], u32) -> Option<Tcp<'a>>,
) -> Network<'a, Ipv4Addr> {
    let Ok(header) = Ipv4HeaderSlice::from_slice(packet) else { return Network::Bad };
    if header.is_fragmenting_payload() {
        return Network::Fragment;
    }
    if header.protocol() != IpNumber::TCP {
        return Network::Other;
    }
    let header_len = header.slice().len();
    let rest = packet.get(header_len..).unwrap_or_default();
    let total = usize::from(header.total_len());
    let claimed = if total == 0 { None } else { total.checked_sub(header_len) };
    let (payload, cut) = limit(rest, claimed, total != 0, missing);
    match tcp(payload, cut) {
        Some(mut tcp) => {
            tcp.mark |= u32::from(header.identification()) << 16;
            tcp.ttl = header.ttl();
            Network::Tcp(header.source_addr(), header.destination_addr(), tcp)
        }
        None => Network::Bad,
    }
}

/// Reads an IPv6 packet (RFC 8200) with extension headers. `missing` as for [`ipv4`].
pub fn ipv6(packet: &[u8], missing: u32) -> Network<'_, Ipv6Addr> {
    let Ok(header) = Ipv6HeaderSlice::from_slice(packet) else { return Network::Bad };
    let rest = packet.get(header.slice().len()..).unwrap_or_default();
    let length = usize::from(header.payload_length());
    // Zero: a jumbogram, or segmentation offload.
    let claimed = if length == 0 { None } else { Some(length) };
    let (rest, cut) = limit(rest, claimed, length != 0, missing);
    let (extensions, next, rest, _) = Ipv6ExtensionsSlice::from_slice_lax(header.next_header(), rest);
    if extensions.is_fragmenting_payload() {
        return Network::Fragment;
    }
    if next != IpNumber::TCP {
        return Network::Other;
    }
    match tcp(rest, cut) {
        Some(mut tcp) => {
            tcp.ttl = header.hop_limit();
            Network::Tcp(header.source_addr(), header.destination_addr(), tcp)
        }
        None => Network::Bad,
    }
}

/// The payload that the header claims, out of what was captured, and how much of it is not there.
pub(super) fn limit(rest: &[u8], claimed: Option<usize>, known: bool, missing: u32) -> (&[u8], u32) {
    match claimed {
        Some(claimed) if claimed <= rest.len() => (&rest[..claimed], 0),
        Some(claimed) => (rest, u32::try_from(claimed - rest.len()).unwrap_or(u32::MAX)),
        // No length, or one shorter than the header: all that was captured.
        None => (rest, if known { 0 } else { missing }),
    }
}

/// Reads a TCP header (RFC 9293 §3.1). A header whose options are cut off still gives its fixed part.
/// `cut`: bytes that are missing behind `segment`. `None`: this is none.
pub fn tcp(segment: &[u8], cut: u32) -> Option<Tcp<'_>> {
    if let Some(tcp) = whole(segment, cut) {
        return Some(tcp);
    }
    let fixed = segment.first_chunk::<20>()?;
    let header_len = u32::from(fixed[12] >> 4) * 4;
    let there = u32::try_from(segment.len()).ok()?;
    // Shorter than 20 is no TCP header; longer than what is there is one whose options were cut.
    let options_missing = header_len.checked_sub(there).filter(|_| header_len >= 20)?;
    Some(Tcp {
        source_port: u16::from_be_bytes([fixed[0], fixed[1]]),
        destination_port: u16::from_be_bytes([fixed[2], fixed[3]]),
        seq: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ack: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        flags: Flags(fixed[13]),
        window: u16::from_be_bytes([fixed[14], fixed[15]]),
        ttl: 0,
        mark: u16::from_be_bytes([fixed[16], fixed[17]]).into(),
        payload: &[],
        cut: cut.checked_sub(options_missing)?,
    })
}

/// A header that is whole.
#[inline(always)]
fn whole(segment: &[u8], cut: u32) -> Option<Tcp<'_>> {
    let tcp = TcpSlice::from_slice(segment).ok()?;
    let flags = tcp.header_slice().get(13).copied().unwrap_or_default();
    Some(Tcp {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        seq: tcp.sequence_number(),
        ack: if flags & (Flags::SYN | Flags::ACK) == Flags::SYN {
            stamp(tcp.options())
        } else {
            tcp.acknowledgment_number()
        },
        flags: Flags(flags),
        window: tcp.window_size(),
        ttl: 0,
        mark: tcp.checksum().into(),
        payload: tcp.payload(),
        cut,
    })
}

/// The timestamp among these options (RFC 7323 §3.2); 0 where there is none.
#[cold]
fn stamp(mut options: &[u8]) -> u32 {
    loop {
        options = match options {
            [8, 10, a, b, c, d, ..] => return u32::from_be_bytes([*a, *b, *c, *d]),
            [1, rest @ ..] => rest,
            [0, ..] | [] | [_] => return 0,
            [_, length, ..] if *length >= 2 => options.get(usize::from(*length)..).unwrap_or_default(),
            _ => return 0,
        };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use etherparse::PacketBuilder;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(4000, 80, 7, 1024).ack(9);
        let mut out = Vec::new();
        builder.write(&mut out, payload).unwrap();
        out
    }

    fn segment(bytes: &[u8], missing: u32) -> Tcp<'_> {
        match ipv4(bytes, missing) {
            Network::Tcp(_, _, tcp) => tcp,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_syn_tells_its_timestamp_in_place_of_an_acknowledgement() {
        assert_eq!(stamp(&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7]), 258);
        assert_eq!(stamp(&[1, 1, 8, 10, 0, 0, 0, 9]), 9);
        for none in [&[][..], &[2, 4, 5, 180], &[0, 8, 10, 1, 1, 1, 1], &[8, 0], &[3, 1], &[8, 10, 1]] {
            assert_eq!(stamp(none), 0);
        }
    }

    #[test]
    fn padding_behind_the_total_length_is_no_payload() {
        let mut bytes = packet(b"hi");
        bytes.extend([0; 6]);
        let tcp = segment(&bytes, 0);
        assert_eq!((tcp.payload, tcp.cut, tcp.seq, tcp.ack), (&b"hi"[..], 0, 7, 9));
    }

    #[test]
    fn what_the_snap_length_took_is_counted() {
        let bytes = packet(b"hello");
        let tcp = segment(&bytes[..42], 3);
        assert_eq!((tcp.payload, tcp.cut), (&b"he"[..], 3));
    }

    #[test]
    fn a_total_length_of_zero_means_all_that_is_there() {
        let mut bytes = packet(b"hello");
        bytes[2..4].fill(0);
        assert_eq!(segment(&bytes, 0).payload, b"hello");
    }

    #[test]
    fn cut_options_leave_the_fixed_part() {
        let mut bytes = packet(b"hello world!");
        bytes[32] = 0x80; // data offset 8: 12 bytes of "options"
        let tcp = segment(&bytes[..44], 8);
        assert_eq!((tcp.seq, tcp.payload, tcp.cut), (7, &b""[..], 0));
    }

    #[test]
    fn ipv6_extension_headers_are_passed_over() {
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64).tcp(4000, 80, 7, 1024);
        let mut plain = Vec::new();
        builder.write(&mut plain, b"x").unwrap();
        let mut bytes = plain[..40].to_vec();
        bytes[6] = 0; // hop-by-hop options next
        bytes.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        bytes.extend(&plain[40..]);
        let length = u16::try_from(bytes.len() - 40).unwrap();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        match ipv6(&bytes, 0) {
            Network::Tcp(_, _, tcp) => assert_eq!(tcp.payload, b"x"),
            other => panic!("{other:?}"),
        }
    }
}
