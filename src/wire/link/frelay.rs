//! Frame relay (Q.922 address; RFC 2427 §3, or Cisco's EtherType).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, of_ether_type};

use super::Link;

pub(super) static FRELAY: Link = Link { number: 107, name: "FRELAY", strip };
pub(super) static FRELAY_WITH_DIR: Link =
    Link { number: 206, name: "FRELAY_WITH_DIR", strip: |frame| strip(frame.get(1..).unwrap_or_default()) };

fn strip(frame: &[u8]) -> Opened<'_> {
    // The last byte of the address, of two to four, has its lowest bit set.
    let Some(last) = frame.iter().take(4).position(|byte| byte & 1 != 0) else {
        return if frame.len() < 4 { CUT } else { OTHER };
    };
    match frame.get(last + 1..).unwrap_or_default() {
        // Unnumbered information, perhaps a pad, NLPID.
        [3, 0xcc, rest @ ..] => (Inside::Ipv4, rest),
        [3, 0x8e, rest @ ..] => (Inside::Ipv6, rest),
        // SNAP: an organisation, 0 for EtherTypes.
        [3, 0x80, 0, 0, 0, a, b, rest @ ..] | [3, 0, 0x80, 0, 0, 0, a, b, rest @ ..] => {
            (of_ether_type(u16::from_be_bytes([*a, *b])), rest)
        }
        [3, ..] => OTHER,
        [a, b, rest @ ..] => (of_ether_type(u16::from_be_bytes([*a, *b])), rest),
        _ => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nlpid_snap_and_ether_type_are_read() {
        assert_eq!(strip(&[0x18, 0x41, 3, 0xcc, 0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(strip(&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 0x86, 0xdd, 0x60]), (Inside::Ipv6, &[0x60][..]));
        assert_eq!(strip(&[0x18, 0x41, 8, 0, 0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(strip(&[0x18]), CUT);
    }
}
