//! Ethernet in IP: EtherIP (RFC 3378 §3) with two bytes before the frame, and the bare frame of protocol
//! 143 (RFC 8986 §9.1).

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened};

use super::{By, Outer, Tunnel};

pub(super) static ETHER_IP: Tunnel = Tunnel { name: "etherip", by: &[By::IpProtocol(97), By::IpProtocol(143)], open };

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let frame = match (outer.by, bytes) {
        (By::IpProtocol(143), frame) => frame,
        // Version 3.
        (_, [0x30, 0, frame @ ..]) => frame,
        (_, [_, _, ..]) => return Some(OTHER),
        _ => return Some(CUT),
    };
    stack.push(Layer::EtherIp);
    Some((Inside::Ethernet, frame))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn version_three_and_srv6_are_read() {
        let expected = ((Inside::Ethernet, &[9][..]), vec![Layer::EtherIp]);
        assert_eq!(opened(&ETHER_IP, By::IpProtocol(97), &[0x30, 0, 9]).unwrap(), expected);
        assert_eq!(opened(&ETHER_IP, By::IpProtocol(143), &[9]).unwrap(), expected);
        assert_eq!(opened(&ETHER_IP, By::IpProtocol(97), &[0x20, 0, 9]).unwrap().0, OTHER);
    }
}
