//! FDDI (ISO 9314-2): frame control, two addresses, then LLC in LLC frames.

use crate::wire::inside::{Inside, OTHER, Opened, behind};

use super::Link;

pub(super) static FDDI: Link = Link { number: 10, name: "FDDI", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    // Frame control 01 in its format bits, or the synchronous 11: LLC.
    match frame.first().map(|control| control & 0x30) {
        Some(0x10) | None => behind(frame, 13, Inside::Llc),
        Some(_) => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::inside::CUT;

    #[test]
    fn llc_stands_behind_the_addresses() {
        let mut frame = vec![0x50];
        frame.extend([0; 12]);
        frame.push(0xaa);
        assert_eq!(strip(&frame), (Inside::Llc, &[0xaa][..]));
        assert_eq!(strip(&frame[..12]), CUT);
        // A token.
        frame[0] = 0x80;
        assert_eq!(strip(&frame), OTHER);
    }
}
