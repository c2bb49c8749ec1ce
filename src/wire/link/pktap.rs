//! Apple's PKTAP: a header that names the link type of what follows (bsd/net/pktap.h of XNU;
//! LINKTYPE_PKTAP at tcpdump.org). macOS also writes it under DLT_USER2.

use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, u32_le_at};

use super::Link;

pub(super) static PKTAP: Link = Link { number: 258, name: "PKTAP", strip };
pub(super) static PKTAP_USER2: Link = Link { number: 149, name: "USER2", strip };

/// Record type of a packet.
const PACKET: u32 = 1;

/// Length of this header, type of record, DLT of what follows; always little-endian.
fn strip(frame: &[u8]) -> Opened<'_> {
    let (Some(length), Some(kind), Some(dlt)) = (u32_le_at(frame, 0), u32_le_at(frame, 4), u32_le_at(frame, 8)) else {
        return CUT;
    };
    match (usize::try_from(length), u16::try_from(dlt)) {
        // The header has 108 bytes at least, and is not as large as a packet.
        (Ok(length @ 108..=1_024), Ok(dlt)) if kind == PACKET => behind(frame, length, Inside::Link(dlt)),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_type_inside_is_told() {
        let mut frame = vec![108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        frame.extend([0; 96]);
        frame.push(7);
        assert_eq!(strip(&frame), (Inside::Link(1), &[7][..]));
        assert_eq!(strip(&frame[..50]), CUT);
        frame[4] = 0;
        assert_eq!(strip(&frame), OTHER);
    }
}
