//! BSD loopback: four bytes of address family, in the byte order of the machine that captured (NULL)
//! or of the network (LOOP).

use super::{Link, Stripped};

pub(super) static NULL: Link = Link { number: 0, name: "NULL", strip };
pub(super) static LOOP: Link = Link { number: 108, name: "LOOP", strip };

fn strip(frame: &[u8]) -> Stripped<'_> {
    let [a, b, c, d, rest @ ..] = frame else { return Stripped::Cut };
    // Either byte order: a family below 256 has three zero bytes on one side.
    let family = match (*a, *b, *c, *d) {
        (f, 0, 0, 0) | (0, 0, 0, f) => f,
        _ => return Stripped::Other,
    };
    match family {
        2 => Stripped::Ipv4(rest),
        // AF_INET6 of Linux, NetBSD/OpenBSD, FreeBSD, macOS.
        10 | 24 | 28 | 30 => Stripped::Ipv6(rest),
        _ => Stripped::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(strip(&[2, 0, 0, 0, 9]), Stripped::Ipv4(&[9]));
        assert_eq!(strip(&[0, 0, 0, 30, 9]), Stripped::Ipv6(&[9]));
        assert_eq!(strip(&[0, 1, 0, 30, 9]), Stripped::Other);
    }
}
