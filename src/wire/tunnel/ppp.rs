//! PPP (RFC 1661): perhaps an address and a control byte (RFC 1662), a protocol of one byte or two.

use crate::model::Stack;
use crate::wire::inside::{CUT, Inside, OTHER, Opened};

use super::{By, Outer, Tunnel};

/// In GRE, where its protocol type is 0x880b.
pub(super) static PPP: Tunnel = Tunnel { name: "ppp", by: &[By::EtherType(0x880b)], open };

fn open<'a>(_: &Outer, bytes: &'a [u8], _: &mut Stack) -> Option<Opened<'a>> {
    Some(frame(bytes))
}

/// What a PPP frame holds.
pub fn frame(bytes: &[u8]) -> Opened<'_> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let (protocol, rest) = match bytes {
        // Protocol-field compression (§6.5): the first byte of two is even.
        [short, rest @ ..] if short & 1 != 0 => (u16::from(*short), rest),
        [a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), rest),
        _ => return CUT,
    };
    match protocol {
        0x0021 => (Inside::Ipv4, rest),
        0x0057 => (Inside::Ipv6, rest),
        0x0281 => (Inside::EtherType(0x8847), rest),
        0x0283 => (Inside::EtherType(0x8848), rest),
        // Multilink (RFC 1990 §3): a packet that begins and ends in one fragment.
        0x003d => match rest {
            [flags, _, _, _, whole @ ..] if flags & 0xc0 == 0xc0 => (Inside::Ppp, whole),
            _ => OTHER,
        },
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_protocol_may_be_compressed() {
        for bytes in [&[0xff, 3, 0, 0x21, 0x45][..], &[0, 0x21, 0x45], &[0x21, 0x45], &[0xff, 3, 0x21, 0x45]] {
            assert_eq!(frame(bytes), (Inside::Ipv4, &[0x45][..]));
        }
        assert_eq!(frame(&[0, 0x57, 0x60]), (Inside::Ipv6, &[0x60][..]));
        assert_eq!(frame(&[0xc0, 0x21, 1]), OTHER);
        assert_eq!(frame(&[0xff, 3, 0]), CUT);
    }

    #[test]
    fn a_whole_packet_in_multilink_is_read() {
        assert_eq!(frame(&[0, 0x3d, 0xc0, 0, 0, 1, 0x21, 0x45]), (Inside::Ppp, &[0x21, 0x45][..]));
        assert_eq!(frame(&[0, 0x3d, 0x80, 0, 0, 1, 0x21, 0x45]), OTHER);
    }
}
