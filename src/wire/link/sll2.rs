//! Linux cooked capture, version 2: 20 bytes, the protocol first.

use super::{Link, Stripped, ether_type};

pub(super) static SLL2: Link = Link { number: 276, name: "LINUX_SLL2", strip };

fn strip(frame: &[u8]) -> Stripped<'_> {
    let Some((header, rest)) = frame.split_at_checked(20) else { return Stripped::Cut };
    let protocol = u16::from_be_bytes([header[0], header[1]]);
    ether_type::strip(protocol, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_stands_in_the_first_two_bytes() {
        let mut frame = vec![0x08, 0x00];
        frame.extend([0; 18]);
        frame.push(0x45);
        assert_eq!(strip(&frame), Stripped::Ipv4(&[0x45]));
        assert_eq!(strip(&frame[..19]), Stripped::Cut);
    }
}
