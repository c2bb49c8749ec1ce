//! IP in IP in all four combinations: protocol 4 (RFC 2003, RFC 2473) and 41 (RFC 4213, RFC 2473).

use crate::model::{Layer, Stack};
use crate::wire::inside::{Inside, Opened};

use super::{By, Outer, Tunnel};

pub(super) static IP_IN_IP: Tunnel = Tunnel { name: "ip-in-ip", by: &[By::IpProtocol(4), By::IpProtocol(41)], open };

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    stack.push(Layer::IpInIp(outer.from, outer.to));
    Some((if outer.by == By::IpProtocol(4) { Inside::Ipv4 } else { Inside::Ipv6 }, bytes))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn the_outer_addresses_are_told() {
        let (inside, layers) = opened(&IP_IN_IP, By::IpProtocol(4), &[0x45]).unwrap();
        assert_eq!(
            (inside, layers[0].to_string().as_str()),
            ((Inside::Ipv4, &[0x45][..]), "ip-in-ip 10.0.0.1>10.0.0.2")
        );
        assert_eq!(opened(&IP_IN_IP, By::IpProtocol(41), &[0x60]).unwrap().0, (Inside::Ipv6, &[0x60][..]));
    }
}
