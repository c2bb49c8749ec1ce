//! MPLS without anything before it.

use crate::wire::Inside;

use super::Link;

pub(super) static MPLS: Link = Link { number: 219, name: "MPLS", strip: |frame| (Inside::EtherType(0x8847), frame) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_stands_first() {
        // RFC 3032 §2.1: label 16, bottom of stack, TTL 64; then IPv4.
        let frame = [0, 1, 0x01, 64, 0x45];
        assert_eq!((MPLS.strip)(&frame), (Inside::EtherType(0x8847), &frame[..]));
    }
}
