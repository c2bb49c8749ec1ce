//! Linux cooked capture, version 2: 20 bytes, the protocol first (LINKTYPE_LINUX_SLL2 at tcpdump.org).

use crate::wire::inside::{CUT, Opened};

use super::{Link, sll};

pub(super) static SLL2: Link = Link { number: 276, name: "LINUX_SLL2", strip };

fn strip(frame: &[u8]) -> Opened<'_> {
    let Some((header, rest)) = frame.split_first_chunk::<20>() else { return CUT };
    sll::inside(u16::from_be_bytes([header[8], header[9]]), u16::from_be_bytes([header[0], header[1]]), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Inside;

    #[test]
    fn the_protocol_stands_in_the_first_two_bytes() {
        let mut frame = vec![0x08, 0x00];
        frame.extend([0; 18]);
        frame.push(0x45);
        assert_eq!(strip(&frame), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(strip(&frame[..19]), CUT);
    }
}
