//! Ethernet II and 802.3 (IEEE 802.3 §3.2).

use crate::wire::inside::{CUT, Inside, Opened, of_ether_type};

use super::Link;

pub(crate) static ETHERNET: Link = Link { number: 1, name: "EN10MB", strip };

pub(crate) fn strip(frame: &[u8]) -> Opened<'_> {
    let Some((header, rest)) = frame.split_first_chunk::<14>() else { return CUT };
    match u16::from_be_bytes([header[12], header[13]]) {
        ether_type @ 1_536.. => (of_ether_type(ether_type), rest),
        length => with_length(length, rest),
    }
}

/// The IPv4 packet that a frame holds, without a tag. `None`: it holds something else.
#[inline(always)]
pub(crate) fn ipv4(frame: &[u8]) -> Option<&[u8]> {
    let (header, packet) = frame.split_first_chunk::<14>()?;
    (header[12..] == [0x08, 0x00]).then_some(packet)
}

/// A length where the EtherType would be: LLC, and padding behind it. IPX without LLC begins with FFFF.
#[cold]
fn with_length(length: u16, rest: &[u8]) -> Opened<'_> {
    if rest.starts_with(&[0xff, 0xff]) {
        return (Inside::Other, rest);
    }
    (Inside::Llc, rest.get(..usize::from(length)).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ether_type_says_what_is_inside() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x06, 0, 0]);
        assert_eq!(strip(&frame), (Inside::EtherType(0x0806), &[0, 0][..]));
        assert_eq!(strip(&frame[..13]), CUT);
        frame[13] = 0;
        assert_eq!(strip(&frame), (Inside::Ipv4, &[0, 0][..]));
    }

    #[test]
    fn a_length_means_llc_without_the_padding() {
        let mut frame = vec![0; 12];
        frame.extend([0, 3, 0x42, 0x42, 3, 0, 0, 0]);
        assert_eq!(strip(&frame), (Inside::Llc, &[0x42, 0x42, 3][..]));
    }
}
