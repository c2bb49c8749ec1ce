//! Cisco FabricPath: two addresses, EtherType 0x8903, a tag of ten bits and a time to live of six, then
//! the whole frame (packet-cfp.c of Wireshark).

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, Opened, u16_at};

use super::{By, Outer, Tunnel};

pub(super) static FABRIC_PATH: Tunnel = Tunnel { name: "fabricpath", by: &[By::EtherType(0x8903)], open };

fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(tag), Some(rest)) = (u16_at(bytes, 0), bytes.get(2..)) else { return Some(CUT) };
    stack.push(Layer::FabricPath(tag >> 6));
    Some((Inside::Ethernet, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn the_tag_is_the_upper_ten_bits() {
        let found = opened(&FABRIC_PATH, By::EtherType(0x8903), &[0x01, 0x60, 9]).unwrap();
        assert_eq!(found, ((Inside::Ethernet, &[9][..]), vec![Layer::FabricPath(5)]));
    }
}
