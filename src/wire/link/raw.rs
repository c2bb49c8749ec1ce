//! Raw IP: no link header at all.

use crate::wire::inside::{CUT, Inside, OTHER, Opened};

use super::Link;

pub(super) static RAW: Link = Link { number: 101, name: "RAW", strip: by_version };
/// DLT_RAW of BSD, found in files of some writers.
pub(super) static RAW_BSD: Link = Link { number: 12, name: "RAW", strip: by_version };
/// DLT_RAW of OpenBSD.
pub(super) static RAW_OPENBSD: Link = Link { number: 14, name: "RAW", strip: by_version };
pub(super) static IPV4: Link = Link { number: 228, name: "IPV4", strip: |p| (Inside::Ipv4, p) };
pub(super) static IPV6: Link = Link { number: 229, name: "IPV6", strip: |p| (Inside::Ipv6, p) };

/// The first half-byte tells.
fn by_version(packet: &[u8]) -> Opened<'_> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => (Inside::Ipv4, packet),
        Some(6) => (Inside::Ipv6, packet),
        Some(_) => OTHER,
        None => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_at_once() {
        assert_eq!(by_version(&[0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(by_version(&[0x60]), (Inside::Ipv6, &[0x60][..]));
        assert_eq!((by_version(&[0x50]), by_version(&[])), (OTHER, CUT));
    }
}
