//! VLAN tags (IEEE 802.1Q §9.6), of customers, of providers (0x88a8), and what came before these
//! (0x9100, 0x9200). All tags of a frame are taken off together, however many they are.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, Opened, of_ether_type};

use super::{By, Outer, Tunnel};

pub(super) static VLAN: Tunnel = Tunnel {
    name: "vlan",
    by: &[By::EtherType(0x8100), By::EtherType(0x88a8), By::EtherType(0x9100), By::EtherType(0x9200)],
    open,
};

fn open<'a>(_: &Outer, mut bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    loop {
        let Some(([a, b, c, d], rest)) = bytes.split_first_chunk::<4>() else { return Some(CUT) };
        // Twelve bits; 0 gives a priority and no VLAN.
        match u16::from_be_bytes([*a, *b]) & 0x0fff {
            0 => {}
            id => stack.push(Layer::Vlan(id)),
        }
        match u16::from_be_bytes([*c, *d]) {
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => bytes = rest,
            length @ 0..=1_535 => return Some((Inside::Llc, rest.get(..usize::from(length)).unwrap_or(rest))),
            other => return Some((of_ether_type(other), rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn any_number_of_tags_is_taken_off() {
        let mut bytes = vec![0x20, 5, 0x81, 0, 0, 6, 0x91, 0, 0, 0, 0x92, 0];
        bytes.extend([0, 7, 0x81, 0].repeat(20));
        bytes.extend([0, 8, 8, 0, 0x45]);
        let (inside, layers) = opened(&VLAN, By::EtherType(0x88a8), &bytes).unwrap();
        assert_eq!(inside, (Inside::Ipv4, &[0x45][..]));
        assert_eq!(layers[..3], [Layer::Vlan(5), Layer::Vlan(6), Layer::Vlan(7)]);
        assert_eq!(layers.last(), Some(&Layer::More));
        let (inside, _) = opened(&VLAN, By::EtherType(0x8100), &bytes[..7]).unwrap();
        assert_eq!(inside, CUT);
    }

    #[test]
    fn a_length_behind_a_tag_means_llc() {
        let (inside, layers) = opened(&VLAN, By::EtherType(0x8100), &[0, 0, 0, 1, 0xaa, 0]).unwrap();
        assert_eq!((inside, layers.len()), ((Inside::Llc, &[0xaa][..]), 0));
    }
}
