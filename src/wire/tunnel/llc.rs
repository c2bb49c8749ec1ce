//! LLC (IEEE 802.2) and SNAP (IEEE 802 §9.5; RFC 1042; bridged frames: RFC 2684 §5.2).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, of_ether_type};

/// What an LLC header announces.
pub fn open(bytes: &[u8]) -> Opened<'_> {
    match bytes {
        [0xaa | 0xab, 0xaa | 0xab, 3, o1, o2, o3, a, b, rest @ ..] => {
            snap([*o1, *o2, *o3], u16::from_be_bytes([*a, *b]), rest)
        }
        // The SAP of IP.
        [6, 6, 3, rest @ ..] => (Inside::Ipv4, rest),
        // NLPID (RFC 2684 §5.1).
        [0xfe, 0xfe, 3, 0xcc, rest @ ..] => (Inside::Ipv4, rest),
        [0xfe, 0xfe, 3, 0x8e, rest @ ..] => (Inside::Ipv6, rest),
        [0xaa | 0xab, 0xaa | 0xab, 3, ..] | [_, _] | [_] | [] => CUT,
        _ => OTHER,
    }
}

fn snap(organisation: [u8; 3], kind: u16, rest: &[u8]) -> Opened<'_> {
    match (organisation, kind) {
        // Encapsulated Ethernet (RFC 1042), and bridge tunnel (IEEE 802.1H).
        ([0, 0, 0] | [0, 0, 0xf8], ether_type) => (of_ether_type(ether_type), rest),
        ([0, 0x80, 0xc2], 1 | 7) => (Inside::Ethernet, rest.get(2..).unwrap_or_default()),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snap_gives_an_ether_type() {
        assert_eq!(open(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(open(&[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x81, 0, 1]), (Inside::EtherType(0x8100), &[1][..]));
        assert_eq!(open(&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0, 9]), (Inside::Ethernet, &[9][..]));
        assert_eq!(open(&[0xaa, 0xaa, 3, 0, 0, 0, 8]), CUT);
    }

    #[test]
    fn what_is_no_ip_is_other() {
        // Spanning tree, CDP.
        assert_eq!(open(&[0x42, 0x42, 3, 0, 0]), OTHER);
        assert_eq!(open(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2]), OTHER);
        assert_eq!(open(&[6, 6, 3, 0x45]), (Inside::Ipv4, &[0x45][..]));
    }
}
