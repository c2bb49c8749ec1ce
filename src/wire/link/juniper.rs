//! Juniper's header before Ethernet: `MGC`, flags, extensions, and perhaps no Ethernet at all
//! (print-juniper.c of tcpdump).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, u16_at};

use super::Link;

pub(super) static JUNIPER_ETHER: Link = Link { number: 178, name: "JUNIPER_ETHER", strip };

const NO_LINK_HEADER: u8 = 0x02;
const EXTENSIONS: u8 = 0x80;

fn strip(frame: &[u8]) -> Opened<'_> {
    let [magic @ .., flags] = frame.first_chunk::<4>().copied().unwrap_or_default();
    if frame.len() < 4 {
        return CUT;
    }
    if magic != *b"MGC" {
        return OTHER;
    }
    let mut at = 4;
    if flags & EXTENSIONS != 0 {
        let Some(length) = u16_at(frame, at) else { return CUT };
        at += 2 + usize::from(length);
    }
    if flags & NO_LINK_HEADER != 0 {
        // Four bytes of protocol family, then IP.
        return behind(frame, at + 4, Inside::Ip);
    }
    behind(frame, at, Inside::Ethernet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_passed_over() {
        assert_eq!(strip(b"MGC\x81\0\x03xyz\x05"), (Inside::Ethernet, &[5][..]));
        assert_eq!(strip(b"MGC\x02\0\0\0\x02\x45"), (Inside::Ip, &[0x45][..]));
        assert_eq!(strip(b"MGC\x81\0\x03xy"), CUT);
        assert_eq!(strip(b"MCG\x01"), OTHER);
    }
}
