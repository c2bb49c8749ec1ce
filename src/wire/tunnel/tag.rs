//! Tags of port extenders: E-TAG (IEEE 802.1BR §7.5) and Cisco's VNTag.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Opened, of_ether_type, u16_at};

use super::{By, Outer, Tunnel};

pub(super) static E_TAG: Tunnel = Tunnel { name: "e-tag", by: &[By::EtherType(0x893f)], open: e_tag };
pub(super) static VN_TAG: Tunnel = Tunnel { name: "vntag", by: &[By::EtherType(0x8926)], open: vn_tag };

/// Six bytes: priority and ingress E-CID, group and E-CID base, extensions; then an EtherType.
fn e_tag<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(base), Some(ether_type), Some(rest)) = (u16_at(bytes, 2), u16_at(bytes, 6), bytes.get(8..)) else {
        return Some(CUT);
    };
    stack.push(Layer::ETag(base & 0x0fff));
    Some((of_ether_type(ether_type), rest))
}

/// Four bytes: direction, pointer, destination, loop, version, source; then an EtherType.
fn vn_tag<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(first), Some(ether_type), Some(rest)) = (u16_at(bytes, 0), u16_at(bytes, 4), bytes.get(6..)) else {
        return Some(CUT);
    };
    stack.push(Layer::VnTag(first & 0x3fff));
    Some((of_ether_type(ether_type), rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;
    use crate::wire::Inside;

    #[test]
    fn an_ether_type_stands_behind_each() {
        let bytes = [0, 1, 0x20, 5, 0, 0, 8, 0, 0x45];
        let found = opened(&E_TAG, By::EtherType(0x893f), &bytes).unwrap();
        assert_eq!(found, ((Inside::Ipv4, &[0x45][..]), vec![Layer::ETag(5)]));
        let found = opened(&VN_TAG, By::EtherType(0x8926), &[0x80, 9, 0, 1, 0x81, 0, 0]).unwrap();
        assert_eq!(found, ((Inside::EtherType(0x8100), &[0][..]), vec![Layer::VnTag(9)]));
        assert_eq!(opened(&VN_TAG, By::EtherType(0x8926), &bytes[..5]).unwrap().0, CUT);
    }
}
