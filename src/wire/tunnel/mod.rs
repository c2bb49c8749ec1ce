//! What packets are wrapped in: tags, labels, tunnels. One file each; the list below is the registry.

pub mod amsdu;
mod erspan;
mod ether_ip;
mod fabric_path;
mod geneve;
mod gre;
mod gtp;
mod ip_in_ip;
pub mod llc;
mod mpls;
mod nsh;
mod pbb;
mod plausible;
pub mod ppp;
mod pppoe;
mod tag;
mod teredo;
mod tzsp;
mod vlan;
mod vxlan;
pub mod wlan;

use std::net::IpAddr;

use crate::model::Stack;

use super::Opened;

/// One kind of wrapper.
pub struct Tunnel {
    pub name: &'static str,
    /// What announces it.
    pub by: &'static [By],
    /// Takes it off, and notes what it was. `None`: this is not one, whatever announced it.
    pub open: for<'a> fn(&Outer, &'a [u8], &mut Stack) -> Option<Opened<'a>>,
}

/// What announces a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    EtherType(u16),
    IpProtocol(u8),
    /// One of the two ports.
    Udp(u16),
    /// Any UDP datagram: `open` must be sure from the bytes alone.
    AnyUdp,
}

/// What stands around a wrapper.
#[derive(Clone, Copy, Debug)]
pub struct Outer {
    /// What announced it.
    pub by: By,
    /// Sender and receiver in the IP header before it; unspecified where there was none.
    pub from: IpAddr,
    pub to: IpAddr,
}

/// Every wrapper that can be taken off, by name.
pub static TUNNELS: &[&Tunnel] = &[
    &erspan::ERSPAN,
    &tag::E_TAG,
    &ether_ip::ETHER_IP,
    &fabric_path::FABRIC_PATH,
    &geneve::GENEVE,
    &gre::GRE,
    &gtp::GTP_U,
    &ip_in_ip::IP_IN_IP,
    &mpls::MPLS,
    &nsh::NSH,
    &pbb::PBB,
    &ppp::PPP,
    &pppoe::PPPOE,
    &teredo::TEREDO,
    &tzsp::TZSP,
    &vlan::VLAN,
    &tag::VN_TAG,
    &vxlan::VXLAN,
    &vxlan::VXLAN_GPE,
];

/// Takes off the first wrapper that is announced so and is one.
pub fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let announced = TUNNELS.iter().filter(|tunnel| tunnel.by.contains(&outer.by));
    announced.into_iter().find_map(|tunnel| (tunnel.open)(outer, bytes, stack))
}

#[cfg(test)]
mod testing {
    //! What the tests of this folder share.
    use std::net::Ipv4Addr;

    use super::*;
    use crate::model::Layer;

    /// Takes a wrapper off, as announced, between 10.0.0.1 and 10.0.0.2.
    pub(super) fn opened<'a>(tunnel: &Tunnel, by: By, bytes: &'a [u8]) -> Option<(Opened<'a>, Vec<Layer>)> {
        assert!(tunnel.by.contains(&by));
        let mut stack = Stack::default();
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let inside = (tunnel.open)(&Outer { by, from: address(1), to: address(2) }, bytes, &mut stack)?;
        Some((inside, stack.layers().to_vec()))
    }

    /// RFC 791: a header alone, protocol 6, with its checksum.
    pub(super) const IPV4: [u8; 20] = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 6, 0x66, 0xe1, 10, 0, 0, 1, 10, 0, 0, 2];

    /// An Ethernet frame with that in it.
    pub(super) fn ethernet() -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend(IPV4);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_are_sorted_and_announced() {
        let key = |t: &Tunnel| t.name.replace('-', "");
        assert!(TUNNELS.windows(2).all(|w| key(w[0]) < key(w[1])));
        assert!(TUNNELS.iter().all(|t| !t.by.is_empty()));
    }

    #[test]
    fn no_tunnel_panics_on_short_or_odd_bytes() {
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        let mut stack = Stack::default();
        for tunnel in TUNNELS {
            for &by in tunnel.by {
                for first in 0..=255 {
                    for fill in [0_u8, 1, 0x45, 0x60, 0xff] {
                        for len in [0, 1, 2, 3, 4, 7, 8, 11, 12, 16, 20, 40] {
                            let mut bytes = vec![fill; len];
                            bytes.iter_mut().take(1).for_each(|b| *b = first);
                            (tunnel.open)(&Outer { by, from: unspecified, to: unspecified }, &bytes, &mut stack);
                        }
                    }
                }
            }
        }
    }
}
