//! VXLAN (RFC 7348 §5) and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe §3).

use crate::model::{Layer, Stack};
use crate::wire::inside::{Inside, Opened, u32_at};

use super::{By, Outer, Tunnel, plausible};

/// 8472 is what Linux used before the port was assigned, and still uses where none is set.
pub(super) static VXLAN: Tunnel =
    Tunnel { name: "vxlan", by: &[By::Udp(4789), By::Udp(8472), By::AnyUdp], open: vxlan };
pub(super) static VXLAN_GPE: Tunnel = Tunnel { name: "vxlan-gpe", by: &[By::Udp(4790), By::Udp(4789)], open: gpe };

/// Flag I: there is a VNI. Flag P: there is a next protocol.
const I: u8 = 0x08;
const P: u8 = 0x04;

fn vxlan<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (header, rest) = bytes.split_first_chunk::<8>()?;
    let sure = match outer.by {
        // Flags other than I have had meanings (group policy); P means another protocol than Ethernet.
        By::Udp(_) => header[0] & (I | P) == I,
        _ => header[..4] == [I, 0, 0, 0] && header[7] == 0 && plausible::ethernet(rest),
    };
    if !sure {
        return None;
    }
    stack.push(Layer::Vxlan(u32_at(header, 4)? >> 8));
    Some((Inside::Ethernet, rest))
}

fn gpe<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (header, rest) = bytes.split_first_chunk::<8>()?;
    let inside = match (header[0] & P, header[3]) {
        (0, _) | (_, 3) => Inside::Ethernet,
        (_, 1) => Inside::Ipv4,
        (_, 2) => Inside::Ipv6,
        (_, 4) => Inside::EtherType(0x894f),
        (_, 5) => Inside::EtherType(0x8847),
        _ => return None,
    };
    if header[0] & I != 0 {
        stack.push(Layer::Vxlan(u32_at(header, 4)? >> 8));
    }
    Some((inside, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::{ethernet, opened};
    use super::*;

    fn wrapped(header: [u8; 8]) -> Vec<u8> {
        let mut bytes = header.to_vec();
        bytes.extend(ethernet());
        bytes
    }

    #[test]
    fn the_network_identifier_is_told() {
        let bytes = wrapped([8, 0, 0, 0, 0, 1, 2, 0]);
        let found = opened(&VXLAN, By::Udp(4789), &bytes).unwrap();
        assert_eq!(found, ((Inside::Ethernet, &bytes[8..]), vec![Layer::Vxlan(0x102)]));
        assert_eq!(opened(&VXLAN, By::Udp(4789), &bytes[..7]), None);
        assert_eq!(opened(&VXLAN, By::Udp(4789), &wrapped([0; 8])), None);
        // Group policy sets another flag and 16 bits.
        assert!(opened(&VXLAN, By::Udp(8472), &wrapped([0x88, 0, 0, 9, 0, 1, 2, 0])).is_some());
    }

    #[test]
    fn on_other_ports_it_must_be_unmistakable() {
        let bytes = wrapped([8, 0, 0, 0, 0, 1, 2, 0]);
        assert!(opened(&VXLAN, By::AnyUdp, &bytes).is_some());
        assert_eq!(opened(&VXLAN, By::AnyUdp, &wrapped([8, 0, 0, 1, 0, 1, 2, 0])), None);
        let mut wrong = bytes;
        wrong[8 + 14 + 10] ^= 1;
        assert_eq!(opened(&VXLAN, By::AnyUdp, &wrong), None);
    }

    #[test]
    fn the_next_protocol_of_gpe_is_followed() {
        let found = opened(&VXLAN_GPE, By::Udp(4790), &[0x0c, 0, 0, 4, 0, 0, 7, 0, 9]).unwrap();
        assert_eq!(found, ((Inside::EtherType(0x894f), &[9][..]), vec![Layer::Vxlan(7)]));
        assert_eq!(opened(&VXLAN_GPE, By::Udp(4790), &[0x0c, 0, 0, 9, 0, 0, 7, 0, 9]), None);
    }
}
