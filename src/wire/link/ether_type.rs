//! What an EtherType says is inside, VLAN tags (IEEE 802.1Q, 802.1ad) taken off on the way.

use super::Stripped;

/// Tags one frame may carry.
const TAGS: usize = 8;

/// From the EtherType and what stands behind it.
pub(crate) fn strip(mut ether_type: u16, mut rest: &[u8]) -> Stripped<'_> {
    for _ in 0..=TAGS {
        match ether_type {
            0x0800 => return Stripped::Ipv4(rest),
            0x86dd => return Stripped::Ipv6(rest),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let [_, _, a, b, inner @ ..] = rest else { return Stripped::Cut };
                ether_type = u16::from_be_bytes([*a, *b]);
                rest = inner;
            }
            _ => return Stripped::Other,
        }
    }
    Stripped::Other
}

/// By the version in the first half-byte, where nothing else tells.
pub(crate) fn by_version(packet: &[u8]) -> Stripped<'_> {
    match packet.first().map(|b| b >> 4) {
        Some(4) => Stripped::Ipv4(packet),
        Some(6) => Stripped::Ipv6(packet),
        Some(_) => Stripped::Other,
        None => Stripped::Cut,
    }
}
