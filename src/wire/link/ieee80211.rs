//! 802.11, bare and behind what capturing radios put before it: radiotap (radiotap.org), Prism, AVS.

use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, u16_le_at, u32_at, u32_le_at};

use super::Link;

const PLAIN: Inside = Inside::Wlan { padded: false };

pub(super) static IEEE802_11: Link = Link { number: 105, name: "IEEE802_11", strip: |frame| (PLAIN, frame) };
pub(super) static PRISM: Link = Link { number: 119, name: "PRISM_HEADER", strip: prism };
pub(super) static RADIOTAP: Link = Link { number: 127, name: "IEEE802_11_RADIO", strip: radiotap };
pub(super) static AVS: Link = Link { number: 163, name: "IEEE802_11_RADIO_AVS", strip: avs };

/// Version 0, a pad, the header's length, words that say which fields are present; in the field of
/// flags, 0x20 tells of a payload padded to four bytes.
fn radiotap(frame: &[u8]) -> Opened<'_> {
    let (Some(length), Some(first)) = (u16_le_at(frame, 2), u32_le_at(frame, 4)) else { return CUT };
    if frame.first() != Some(&0) {
        return OTHER;
    }
    // Fields begin behind the last of the words; bit 31 announces another.
    let mut at = 8;
    let mut word = first;
    while word & 1 << 31 != 0 {
        let Some(next) = u32_le_at(frame, at) else { return CUT };
        word = next;
        at += 4;
    }
    // Before the flags stands the clock, if there is one: eight bytes, aligned.
    if first & 1 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let padded = first & 2 != 0 && frame.get(at).is_some_and(|flags| flags & 0x20 != 0);
    behind(frame, usize::from(length), Inside::Wlan { padded })
}

/// Prism's monitor header says its length in the second word, in the order of the machine that
/// captured; an AVS header may be in its place.
fn prism(frame: &[u8]) -> Opened<'_> {
    if u32_at(frame, 0).is_some_and(|magic| magic & 0xffff_f000 == 0x8021_1000) {
        return avs(frame);
    }
    let (Some(little), Some(big)) = (u32_le_at(frame, 4), u32_at(frame, 4)) else { return CUT };
    behind(frame, usize::try_from(little.min(big)).unwrap_or(usize::MAX), PLAIN)
}

/// Version, length, in network byte order.
fn avs(frame: &[u8]) -> Opened<'_> {
    let Some(length) = u32_at(frame, 4) else { return CUT };
    behind(frame, usize::try_from(length).unwrap_or(usize::MAX), PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// radiotap.org: TSFT and flags present, in two words.
    #[test]
    fn radiotap_tells_of_padding() {
        let mut frame = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        frame.extend([0; 8]);
        frame.extend([0x20, 0x08]);
        assert_eq!(radiotap(&frame), (Inside::Wlan { padded: true }, &[0x08][..]));
        frame[24] = 0x10;
        assert_eq!(radiotap(&frame), (PLAIN, &[0x08][..]));
        assert_eq!(radiotap(&frame[..10]), CUT);
    }

    #[test]
    fn prism_and_avs_say_their_length() {
        let mut frame = vec![0x44, 0, 0, 0, 144, 0, 0, 0];
        frame.extend([0; 136]);
        frame.push(0x08);
        assert_eq!(prism(&frame), (PLAIN, &[0x08][..]));
        assert_eq!(prism(&[0x80, 0x21, 0x10, 1, 0, 0, 0, 8, 0x08]), (PLAIN, &[0x08][..]));
        assert_eq!(avs(&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64, 0x08]), CUT);
    }
}
