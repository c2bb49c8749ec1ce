//! Provider backbone bridging (IEEE 802.1ah, I-TAG of IEEE 802.1Q §9.7): a customer's whole frame.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, Opened, u32_at};

use super::{By, Outer, Tunnel};

pub(super) static PBB: Tunnel = Tunnel { name: "pbb", by: &[By::EtherType(0x88e7)], open };

fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(tag), Some(rest)) = (u32_at(bytes, 0), bytes.get(4..)) else { return Some(CUT) };
    stack.push(Layer::Pbb(tag & 0x00ff_ffff));
    Some((Inside::Ethernet, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn the_service_is_told() {
        let found = opened(&PBB, By::EtherType(0x88e7), &[0x60, 1, 0, 2, 9]).unwrap();
        assert_eq!(found, ((Inside::Ethernet, &[9][..]), vec![Layer::Pbb(0x1_0002)]));
        assert_eq!(opened(&PBB, By::EtherType(0x88e7), &[0x60, 1, 0]).unwrap().0, CUT);
    }
}
