//! BSD loopback: four bytes of address family, in the byte order of the machine that captured (NULL)
//! or of the network (LOOP).

use crate::wire::inside::{CUT, Inside, OTHER, Opened};

use super::Link;

pub(super) static NULL: Link = Link { number: 0, name: "NULL", strip };
pub(super) static LOOP: Link = Link { number: 108, name: "LOOP", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    let [a, b, c, d, rest @ ..] = frame else { return CUT };
    // Either byte order: a family below 256 has three zero bytes on one side.
    match (*a, *b, *c, *d) {
        (f, 0, 0, 0) | (0, 0, 0, f) => (of_family(f), rest),
        _ => OTHER,
    }
}

/// What an address family stands for: AF_INET everywhere, AF_INET6 of Linux, NetBSD and OpenBSD,
/// FreeBSD, macOS.
pub(super) fn of_family(family: u8) -> Inside {
    match family {
        2 => Inside::Ipv4,
        10 | 24 | 28 | 30 => Inside::Ipv6,
        _ => Inside::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(strip(&[2, 0, 0, 0, 9]), (Inside::Ipv4, &[9][..]));
        assert_eq!(strip(&[0, 0, 0, 30, 9]), (Inside::Ipv6, &[9][..]));
        assert_eq!(strip(&[0, 1, 0, 30, 9]), OTHER);
    }
}
