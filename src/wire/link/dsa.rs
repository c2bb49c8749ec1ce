//! Ethernet as a switch's processor port sees it, with the switch's tag: Marvell's of four bytes or, with
//! an EtherType of its own, eight; Broadcom's of four behind or before the addresses (LINKTYPE_DSA_TAG_*
//! at tcpdump.org).

use crate::wire::inside::{CUT, Inside, Opened, behind, of_ether_type, u16_at};

use super::Link;

pub(super) static BRCM: Link = Link { number: 281, name: "DSA_TAG_BRCM", strip: |frame| tagged(frame, 4) };
pub(super) static BRCM_PREPEND: Link =
    Link { number: 282, name: "DSA_TAG_BRCM_PREPEND", strip: |frame| behind(frame, 4, Inside::Ethernet) };
pub(super) static DSA: Link = Link { number: 284, name: "DSA_TAG_DSA", strip: |frame| tagged(frame, 4) };
pub(super) static EDSA: Link = Link { number: 285, name: "DSA_TAG_EDSA", strip: |frame| tagged(frame, 8) };

/// With a tag of so many bytes behind the two addresses.
fn tagged(frame: &[u8], tag: usize) -> Opened<'_> {
    u16_at(frame, 12 + tag).map_or(CUT, |ether_type| behind(frame, 14 + tag, of_ether_type(ether_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_passed_over() {
        let mut frame = vec![0; 12];
        frame.extend([0xc0, 0x0a, 0, 0, 8, 0, 0x45]);
        assert_eq!((DSA.strip)(&frame), (Inside::Ipv4, &[0x45][..]));
        assert_eq!((DSA.strip)(&frame[..17]), CUT);
        frame.splice(12..12, [0xda, 0xda, 0, 0]);
        assert_eq!((EDSA.strip)(&frame), (Inside::Ipv4, &[0x45][..]));
        assert_eq!((BRCM_PREPEND.strip)(&frame), (Inside::Ethernet, &frame[4..]));
    }
}
