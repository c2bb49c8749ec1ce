//! Teredo (RFC 4380 §5.1.1): IPv6 in UDP, perhaps behind an authentication and an origin indication.

use crate::model::{Layer, Stack};
use crate::wire::inside::{Inside, Opened, u16_at};

use super::{By, Outer, Tunnel, plausible};

pub(super) static TEREDO: Tunnel = Tunnel { name: "teredo", by: &[By::Udp(3544), By::AnyUdp], open };

/// 2001::/32, as RFC 4380 §2.6 has it.
const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let mut packet = bytes;
    if packet.starts_with(&[0, 1]) {
        // Lengths of a client identifier and a value, both of these, a nonce, a confirmation.
        let (id, value) = (usize::from(*packet.get(2)?), usize::from(*packet.get(3)?));
        packet = packet.get(4 + id + value + 9..)?;
    }
    if packet.starts_with(&[0, 0]) {
        packet = packet.get(8..)?;
    }
    if packet.first()? >> 4 != 6 {
        return None;
    }
    if outer.by == By::AnyUdp {
        let exact = u16_at(packet, 4).is_some_and(|length| usize::from(length) + 40 == packet.len());
        let of_teredo = [8, 24].into_iter().any(|at| packet.get(at..at + 4) == Some(&PREFIX[..]));
        if !exact || !of_teredo || !plausible::ip(packet) {
            return None;
        }
    }
    stack.push(Layer::Teredo);
    Some((Inside::Ipv6, packet))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 1, 6, 64, 0x20, 1, 0, 0];
        packet.extend([1; 29]);
        packet
    }

    #[test]
    fn indications_are_passed_over() {
        let mut bytes = vec![0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        bytes.extend([0, 0, 0xf0, 0xf1, 1, 2, 3, 4]);
        bytes.extend(packet());
        let found = opened(&TEREDO, By::Udp(3544), &bytes).unwrap();
        assert_eq!(found, ((Inside::Ipv6, &packet()[..]), vec![Layer::Teredo]));
    }

    #[test]
    fn on_other_ports_it_must_be_unmistakable() {
        assert!(opened(&TEREDO, By::AnyUdp, &packet()).is_some());
        let mut other = packet();
        other[9] = 2;
        assert_eq!(opened(&TEREDO, By::AnyUdp, &other), None);
        assert_eq!(opened(&TEREDO, By::AnyUdp, &packet()[..40]), None);
    }
}
