//! OpenBSD's packet filter log: its own length in the first byte, then IP (LINKTYPE_PFLOG at
//! tcpdump.org).

use crate::wire::inside::{CUT, Inside, Opened, behind};

use super::Link;

pub(super) static PFLOG: Link = Link { number: 117, name: "PFLOG", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    match frame.first() {
        // The length leaves the padding to a word out.
        Some(length) => behind(frame, usize::from(*length).next_multiple_of(4), Inside::Ip),
        None => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_rounded_up_to_a_word() {
        let mut frame = vec![61, 2];
        frame.extend([0; 62]);
        frame.push(0x45);
        assert_eq!(strip(&frame), (Inside::Ip, &[0x45][..]));
        assert_eq!(strip(&frame[..40]), CUT);
    }
}
