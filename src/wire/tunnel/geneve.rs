//! GENEVE (RFC 8926 §3.4): options of told length, a protocol type, a VNI.

use crate::model::{Layer, Stack};
use crate::wire::Inside;
use crate::wire::inside::{Opened, of_ether_type};

use super::{By, Outer, Tunnel, plausible};

pub(super) static GENEVE: Tunnel = Tunnel { name: "geneve", by: &[By::Udp(6081), By::AnyUdp], open };

/// Transparent Ethernet bridging.
const ETHERNET: u16 = 0x6558;

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let header = bytes.first_chunk::<8>()?;
    // Version 0; the option length counts words.
    if header[0] >> 6 != 0 {
        return None;
    }
    let rest = bytes.get(8 + usize::from(header[0] & 0x3f) * 4..)?;
    let protocol = u16::from_be_bytes([header[2], header[3]]);
    let inside = if protocol == ETHERNET { Inside::Ethernet } else { of_ether_type(protocol) };
    if outer.by == By::AnyUdp {
        let zero = header[1] & 0x3f == 0 && header[7] == 0;
        let sure = match inside {
            Inside::Ethernet => plausible::ethernet(rest),
            Inside::Ipv4 | Inside::Ipv6 => plausible::ip(rest),
            _ => false,
        };
        if !zero || !sure {
            return None;
        }
    }
    stack.push(Layer::Geneve(u32::from_be_bytes([0, header[4], header[5], header[6]])));
    Some((inside, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::{ethernet, opened};
    use super::*;

    #[test]
    fn options_are_passed_over() {
        let mut bytes = vec![1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 4];
        bytes.extend(ethernet());
        for by in [By::Udp(6081), By::AnyUdp] {
            let found = opened(&GENEVE, by, &bytes).unwrap();
            assert_eq!(found, ((Inside::Ethernet, &bytes[12..]), vec![Layer::Geneve(42)]));
        }
        bytes[1] = 1;
        assert_eq!(opened(&GENEVE, By::AnyUdp, &bytes), None);
        bytes[0] = 0x41;
        assert_eq!(opened(&GENEVE, By::Udp(6081), &bytes), None);
    }
}
