//! Network service header (RFC 8300 §2).

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened, u32_at};

use super::{By, Outer, Tunnel};

pub(super) static NSH: Tunnel = Tunnel { name: "nsh", by: &[By::EtherType(0x894f)], open };

fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(header), Some(path)) = (bytes.first_chunk::<4>(), u32_at(bytes, 4)) else { return Some(CUT) };
    // Version 0. Six bits of length in words, the two headers among them; four bits unassigned.
    let words = usize::from(header[1] & 0x3f);
    if header[0] >> 6 != 0 || words < 2 {
        return Some(OTHER);
    }
    let Some(rest) = bytes.get(words * 4..) else { return Some(CUT) };
    let inside = match header[3] {
        1 => Inside::Ipv4,
        2 => Inside::Ipv6,
        3 => Inside::Ethernet,
        4 => Inside::EtherType(0x894f),
        5 => Inside::EtherType(0x8847),
        _ => Inside::Other,
    };
    stack.push(Layer::Nsh(path >> 8));
    Some((inside, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn metadata_is_passed_over() {
        // Type 1: four words of context behind the two headers.
        let mut bytes = vec![0x0f, 0xc6, 1, 1, 0, 0, 9, 255];
        bytes.extend([0; 16]);
        bytes.push(0x45);
        let found = opened(&NSH, By::EtherType(0x894f), &bytes).unwrap();
        assert_eq!(found, ((Inside::Ipv4, &[0x45][..]), vec![Layer::Nsh(9)]));
        assert_eq!(opened(&NSH, By::EtherType(0x894f), &bytes[..20]).unwrap().0, CUT);
    }
}
