//! Linux netfilter log: four bytes, then TLVs, one of which is the packet (LINKTYPE_NFLOG at
//! tcpdump.org).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, u16_at, u16_le_at};

use super::Link;

pub(super) static NFLOG: Link = Link { number: 239, name: "NFLOG", strip };

/// NFULA_PAYLOAD of linux/netfilter/nfnetlink_log.h.
const PAYLOAD: u16 = 9;

fn strip(frame: &[u8]) -> Opened<'_> {
    let [_family, version, _, _, tlvs @ ..] = frame else { return CUT };
    if *version != 0 {
        return OTHER;
    }
    // In the byte order of the machine that captured: a first length above 255 would be odd.
    let little = u16_le_at(tlvs, 0).unwrap_or(0) <= u16_at(tlvs, 0).unwrap_or(0);
    let number = if little { u16_le_at } else { u16_at };
    let mut at = 0;
    while let (Some(length), Some(kind)) = (number(tlvs, at), number(tlvs, at + 2)) {
        let length = usize::from(length);
        if length < 4 {
            return OTHER;
        }
        if kind & 0x7fff == PAYLOAD {
            let rest = tlvs.get(at + 4..).unwrap_or_default();
            return (Inside::Ip, rest.get(..length - 4).unwrap_or(rest));
        }
        at += length.next_multiple_of(4);
    }
    // The packet is what was cut, or there was none.
    CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found_behind_other_tlvs_in_either_byte_order() {
        let little = [2, 0, 0, 5, 5, 0, 10, 0, b'x', 0, 0, 0, 6, 0, 9, 0, 0x45, 1, 0, 0];
        assert_eq!(strip(&little), (Inside::Ip, &[0x45, 1][..]));
        let big = [2, 0, 0, 5, 0, 5, 0, 10, b'x', 0, 0, 0, 0, 6, 0, 9, 0x45, 1];
        assert_eq!(strip(&big), (Inside::Ip, &[0x45, 1][..]));
        assert_eq!(strip(&little[..12]), CUT);
        assert_eq!(strip(&[2, 0, 0, 5, 0, 0, 0, 0]), OTHER);
    }
}
