//! Per-packet information: a header of told length before a frame of another link type
//! (LINKTYPE_PPI at tcpdump.org).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, u16_le_at, u32_le_at};

use super::Link;

pub(super) static PPI: Link = Link { number: 192, name: "PPI", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    let (Some(length), Some(dlt)) = (u16_le_at(frame, 2), u32_le_at(frame, 4)) else { return CUT };
    match u16::try_from(dlt) {
        // Version 0; a header takes eight bytes at least.
        Ok(dlt) if frame.first() == Some(&0) && length >= 8 => behind(frame, usize::from(length), Inside::Link(dlt)),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_type_inside_is_told() {
        assert_eq!(strip(&[0, 0, 9, 0, 105, 0, 0, 0, 1, 0x08]), (Inside::Link(105), &[0x08][..]));
        assert_eq!(strip(&[0, 0, 9, 0, 105, 0, 0]), CUT);
        assert_eq!(strip(&[0, 0, 7, 0, 105, 0, 0, 0, 1]), OTHER);
    }
}
