//! Which addresses belong to one host: as the user says, and as joined legs show.

use super::{Map, Set};
use std::net::IpAddr;

/// A host that the user named: `--hop NAME=IP[,IP:PORT]…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub name: String,
    /// Its addresses; with a port, only connections to that one are the host's.
    pub addresses: Vec<(IpAddr, Option<u16>)>,
}

/// Sets of addresses, each of one host.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    parent: Map<IpAddr, IpAddr>,
    names: Map<IpAddr, String>,
    /// Addresses that were named without a port.
    whole: Set<IpAddr>,
    /// Names that hold for one port only.
    ports: Map<(IpAddr, u16), String>,
}

impl Hosts {
    /// With what the user says.
    pub fn new(pins: &[Pin]) -> Self {
        let mut hosts = Hosts::default();
        for pin in pins {
            hosts.whole.extend(pin.addresses.iter().filter(|(_, port)| port.is_none()).map(|(ip, _)| *ip));
            let mut whole = pin.addresses.iter().filter(|(_, port)| port.is_none()).map(|(ip, _)| *ip);
            if let Some(first) = whole.next() {
                hosts.names.insert(first, pin.name.clone());
                whole.for_each(|ip| hosts.unite(first, ip));
            }
            for (ip, port) in &pin.addresses {
                if let Some(port) = port {
                    hosts.ports.insert((*ip, *port), pin.name.clone());
                }
            }
        }
        hosts
    }

    /// Addresses that were found to be of the host of another one.
    pub fn united(&self) -> usize {
        self.parent.len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.parent.is_empty() && self.names.is_empty() && self.ports.is_empty()
    }

    /// Both addresses belong to one host. Two hosts that the user gave different names stay apart.
    pub fn unite(&mut self, a: IpAddr, b: IpAddr) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        match (self.names.get(&a), self.names.get(&b)) {
            (Some(x), Some(y)) if x != y => return,
            (None, Some(_)) => {
                if let Some(name) = self.names.get(&b).cloned() {
                    self.names.insert(a, name);
                }
            }
            _ => {}
        }
        self.parent.insert(b, a);
    }

    /// Whether both are known to belong to one host.
    pub fn same(&self, a: IpAddr, b: IpAddr) -> bool {
        a == b || self.root(a) == self.root(b)
    }

    /// The address that stands for this one's host.
    pub fn root(&self, mut ip: IpAddr) -> IpAddr {
        while let Some(&up) = self.parent.get(&ip) {
            ip = up;
        }
        ip
    }

    /// What the user calls the host at this address; `port`: where connections to it go. `None`: nothing.
    pub fn name(&self, ip: IpAddr, port: Option<u16>) -> Option<&str> {
        if let Some(name) = port.and_then(|port| self.ports.get(&(ip, port))) {
            return Some(name);
        }
        // Named for some of its ports only: of the others nothing was said.
        let only_ports = self.ports.keys().any(|(pinned, _)| *pinned == ip) && !self.whole.contains(&ip);
        self.names.get(&self.root(ip)).filter(|_| !only_ports).map(String::as_str)
    }

    /// Whether the user said something of this host.
    pub fn is_pinned(&self, ip: IpAddr) -> bool {
        self.names.contains_key(&self.root(ip)) || self.ports.keys().any(|(pinned, _)| *pinned == ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn what_is_united_is_one_host_by_any_of_its_addresses() {
        let mut hosts = Hosts::default();
        hosts.unite(ip(1), ip(2));
        hosts.unite(ip(3), ip(4));
        assert!(hosts.same(ip(1), ip(2)) && !hosts.same(ip(1), ip(3)));
        hosts.unite(ip(2), ip(4));
        assert!(hosts.same(ip(1), ip(3)));
    }

    #[test]
    fn a_name_holds_for_all_addresses_of_its_host_and_keeps_two_named_hosts_apart() {
        let pin = |name: &str, addresses| Pin { name: name.to_owned(), addresses };
        let mut hosts = Hosts::new(&[
            pin("edge", vec![(ip(1), None), (ip(2), None)]),
            pin("app", vec![(ip(3), None)]),
            pin("admin", vec![(ip(1), Some(8080))]),
        ]);
        assert_eq!(hosts.name(ip(2), None), Some("edge"));
        assert_eq!(hosts.name(ip(1), Some(8080)), Some("admin"));
        hosts.unite(ip(2), ip(3));
        assert!(!hosts.same(ip(2), ip(3)));
        hosts.unite(ip(9), ip(3));
        assert_eq!(hosts.name(ip(9), None), Some("app"));
    }
}
