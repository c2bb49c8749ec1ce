//! Linux cooked capture, version 1: 16 bytes, the protocol last.

use super::{Link, Stripped, ether_type};

pub(super) static SLL: Link = Link { number: 113, name: "LINUX_SLL", strip };

fn strip(frame: &[u8]) -> Stripped<'_> {
    let Some((header, rest)) = frame.split_at_checked(16) else { return Stripped::Cut };
    let protocol = u16::from_be_bytes([header[14], header[15]]);
    ether_type::strip(protocol, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_stands_in_bytes_14_and_15() {
        let mut frame = vec![0; 14];
        frame.extend([0x86, 0xdd, 0x60]);
        assert_eq!(strip(&frame), Stripped::Ipv6(&[0x60]));
        assert_eq!(strip(&frame[..15]), Stripped::Cut);
    }
}
