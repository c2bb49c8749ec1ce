//! Ethernet II (IEEE 802.3).

use etherparse::Ethernet2Slice;

use super::{Link, Stripped, ether_type};

pub(super) static ETHERNET: Link = Link { number: 1, name: "EN10MB", strip };

/// Inlined into the fast path of the decoder too.
#[inline]
pub(crate) fn strip(frame: &[u8]) -> Stripped<'_> {
    match Ethernet2Slice::from_slice_without_fcs(frame) {
        Ok(eth) => ether_type::strip(eth.ether_type().0, eth.payload_slice()),
        Err(_) => Stripped::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_vlan_tags_are_taken_off() {
        let mut frame = vec![0; 12];
        frame.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x08, 0, 0x45]);
        assert_eq!(strip(&frame), Stripped::Ipv4(&[0x45]));
    }

    #[test]
    fn arp_is_other_and_a_short_frame_is_cut() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x06, 0, 0]);
        assert_eq!(strip(&frame), Stripped::Other);
        assert_eq!(strip(&frame[..13]), Stripped::Cut);
    }
}
