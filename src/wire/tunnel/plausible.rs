//! Whether bytes are what they are taken for, where only they can tell.

use crate::wire::inside::u16_at;

/// An IP packet whose header fits itself: an IPv4 header with the right checksum, or an IPv6 header
/// whose length does not leave bytes over and whose addresses are set.
pub(super) fn ip(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        _ => false,
    }
}

/// An Ethernet frame with such a packet in it, behind two VLAN tags at most.
pub(super) fn ethernet(frame: &[u8]) -> bool {
    let mut at = 12;
    for _ in 0..3 {
        let packet = frame.get(at + 2..).unwrap_or_default();
        match u16_at(frame, at) {
            Some(0x0800) => return ipv4(packet),
            Some(0x86dd) => return ipv6(packet),
            Some(0x8100 | 0x88a8) => at += 4,
            _ => return false,
        }
    }
    false
}

fn ipv4(packet: &[u8]) -> bool {
    let Some(first) = packet.first() else { return false };
    let length = usize::from(first & 0x0f) * 4;
    let Some(header) = packet.get(..length).filter(|header| header.len() >= 20 && first >> 4 == 4) else {
        return false;
    };
    let total = u16_at(packet, 2).map_or(0, usize::from);
    let words = header.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    // Ones' complement (RFC 1071): a right header sums up to all ones.
    let right = (folded & 0xffff) + (folded >> 16) == 0xffff;
    right && (total == 0 || total >= length)
}

fn ipv6(packet: &[u8]) -> bool {
    let Some(header) = packet.first_chunk::<40>() else { return false };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A snap length cuts, padding is short.
    let fits = length == 0 || length + 40 + 46 >= packet.len();
    let known = matches!(header[6], 0 | 4 | 6 | 17 | 41 | 43 | 44 | 47 | 50 | 51 | 58 | 60 | 132);
    header[0] >> 4 == 6 && fits && known && header[7] != 0 && header[24..40] != [0; 16]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tunnel::testing;

    #[test]
    fn a_wrong_checksum_is_not_plausible() {
        assert!(ip(&testing::IPV4) && ethernet(&testing::ethernet()));
        let mut wrong = testing::IPV4;
        wrong[15] += 1;
        assert!(!ip(&wrong) && !ip(&wrong[..19]) && !ip(&[]));
    }

    #[test]
    fn an_ipv6_header_must_fit_its_packet() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 4, 6, 64];
        packet.extend([1; 36]);
        assert!(ip(&packet));
        packet.extend([0; 100]);
        assert!(!ip(&packet));
    }
}
