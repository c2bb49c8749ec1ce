//! Linux cooked capture, version 1: 16 bytes, the protocol last (LINKTYPE_LINUX_SLL at tcpdump.org).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, of_ether_type};

use super::Link;

pub(super) static SLL: Link = Link { number: 113, name: "LINUX_SLL", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    let Some((header, rest)) = frame.split_first_chunk::<16>() else { return CUT };
    inside(u16::from_be_bytes([header[2], header[3]]), u16::from_be_bytes([header[14], header[15]]), rest)
}

/// What the kind of device (ARPHRD_) and the protocol say.
pub(super) fn inside(device: u16, protocol: u16, rest: &[u8]) -> Opened<'_> {
    match (device, protocol) {
        // First what nearly all are; the devices below have protocols of their own.
        (_, 0x0800) => (Inside::Ipv4, rest),
        // ARPHRD_NETLINK: its own messages.
        (824, _) => OTHER,
        // ARPHRD_IEEE80211_RADIOTAP, ARPHRD_IEEE80211_PRISM, ARPHRD_IEEE80211.
        (803, _) => (Inside::Link(127), rest),
        (802, _) => (Inside::Link(119), rest),
        (801, _) => (Inside::Wlan { padded: false }, rest),
        // ETH_P_802_2: an LLC header follows. ETH_P_802_3: IPX without one.
        (_, 4) => (Inside::Llc, rest),
        (_, 0..=1_535) => OTHER,
        (_, ether_type) => (of_ether_type(ether_type), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_stands_in_bytes_14_and_15() {
        let mut frame = vec![0; 14];
        frame.extend([0x86, 0xdd, 0x60]);
        assert_eq!(strip(&frame), (Inside::Ipv6, &[0x60][..]));
        assert_eq!(strip(&frame[..15]), CUT);
        frame[14..16].copy_from_slice(&[0, 4]);
        assert_eq!(strip(&frame), (Inside::Llc, &[0x60][..]));
    }
}
