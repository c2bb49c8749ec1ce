//! What a header says is inside, so that one loop can go on from any of them.

/// What the bytes behind a header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// An Ethernet frame, from its destination address on.
    Ethernet,
    /// What this EtherType says; below 1,536 it is a length, and LLC follows.
    EtherType(u16),
    /// An LLC header (IEEE 802.2).
    Llc,
    /// A PPP frame, from its protocol on or from the address before it (RFC 1661).
    Ppp,
    /// An 802.11 frame. `padded`: to a multiple of four bytes behind its header.
    Wlan {
        padded: bool,
    },
    /// Several 802.11 subframes (A-MSDU).
    Subframes,
    /// A frame of another LINKTYPE_.
    Link(u16),
    /// IPv4 or IPv6, as its first half-byte says.
    Ip,
    Ipv4,
    Ipv6,
    /// What this protocol number of IP says.
    IpProtocol(u8),
    /// Nothing that leads to TCP (ARP, LLDP, an encrypted frame …).
    Other,
    /// The header itself is cut.
    Cut,
}

/// What stands behind a header, and its bytes.
pub type Opened<'a> = (Inside, &'a [u8]);

/// A header that is cut.
pub(crate) const CUT: Opened<'static> = (Inside::Cut, &[]);
/// Nothing to go on with.
pub(crate) const OTHER: Opened<'static> = (Inside::Other, &[]);

/// What an EtherType says.
#[inline]
pub(crate) fn of_ether_type(ether_type: u16) -> Inside {
    match ether_type {
        0x0800 => Inside::Ipv4,
        0x86dd => Inside::Ipv6,
        other => Inside::EtherType(other),
    }
}

/// Behind a header of fixed length.
pub(crate) fn behind(bytes: &[u8], header: usize, inside: Inside) -> Opened<'_> {
    bytes.get(header..).map_or(CUT, |rest| (inside, rest))
}

/// A 16-bit number in network byte order. `None` behind the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// As [`u16_at`], 32 bits.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// As [`u16_at`], in little-endian order.
pub(crate) fn u16_le_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

/// As [`u32_at`], in little-endian order.
pub(crate) fn u32_le_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}
