//! Cisco HDLC: an address, a control byte, an EtherType (LINKTYPE_C_HDLC at tcpdump.org).

use crate::wire::inside::{CUT, Opened, of_ether_type};

use super::Link;

pub(super) static C_HDLC: Link = Link { number: 104, name: "C_HDLC", strip };
pub(super) static C_HDLC_WITH_DIR: Link =
    Link { number: 205, name: "C_HDLC_WITH_DIR", strip: |frame| strip(frame.get(1..).unwrap_or_default()) };

pub(super) fn strip(frame: &[u8]) -> Opened<'_> {
    match frame {
        [_, _, a, b, rest @ ..] => (of_ether_type(u16::from_be_bytes([*a, *b])), rest),
        _ => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Inside;

    #[test]
    fn the_ether_type_stands_behind_address_and_control() {
        assert_eq!(strip(&[0x0f, 0, 8, 0, 0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!((C_HDLC_WITH_DIR.strip)(&[1, 0x0f, 0, 8, 0, 0x45]), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(strip(&[0x0f, 0, 8]), CUT);
    }
}
