//! What packets were wrapped in on their way: VLANs, labels, tunnels, outermost first.

use std::fmt;
use std::net::IpAddr;

use crate::base::limits;
use crate::model::Wrapper;

/// One wrapper around a packet that is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// VLAN identifier, 1 to 4095 (IEEE 802.1Q; a priority tag, VLAN 0, is no layer).
    Vlan(u16),
    /// E-VID (IEEE 802.1BR).
    ETag(u16),
    /// Destination virtual interface (Cisco VNTag).
    VnTag(u16),
    /// I-SID (IEEE 802.1ah).
    Pbb(u32),
    /// Forwarding tag (Cisco FabricPath).
    FabricPath(u16),
    /// Label (RFC 3032).
    Mpls(u32),
    /// Session (RFC 2516).
    Pppoe(u16),
    /// VNI (RFC 7348).
    Vxlan(u32),
    /// VNI (RFC 8926).
    Geneve(u32),
    /// Service path (RFC 8300).
    Nsh(u32),
    /// Key (RFC 2890). `None` without one.
    Gre(Option<u32>),
    /// Call (RFC 2637).
    Pptp(u16),
    /// Session. `None` in type I, which has none.
    Erspan(Option<u16>),
    /// IP in IP, any versions (RFC 2003, RFC 2473, RFC 4213): sender and receiver of the outer header.
    IpInIp(IpAddr, IpAddr),
    /// Ethernet in IP (RFC 3378, RFC 8986).
    EtherIp,
    /// RFC 4380.
    Teredo,
    /// TEID (3GPP TS 29.281).
    Gtp(u32),
    /// TaZmen sniffer protocol.
    Tzsp,
    /// Layers beyond `limits::LAYERS`, or stacks beyond `limits::STACKS`.
    More,
}

impl Layer {
    /// What it is called, without its number.
    fn kind(self) -> &'static str {
        match self {
            Layer::Vlan(_) => "vlan",
            Layer::ETag(_) => "e-tag",
            Layer::VnTag(_) => "vntag",
            Layer::Pbb(_) => "pbb",
            Layer::FabricPath(_) => "fabricpath",
            Layer::Mpls(_) => "mpls",
            Layer::Pppoe(_) => "pppoe",
            Layer::Vxlan(_) => "vxlan",
            Layer::Geneve(_) => "geneve",
            Layer::Nsh(_) => "nsh",
            Layer::Gre(_) => "gre",
            Layer::Pptp(_) => "pptp",
            Layer::Erspan(_) => "erspan",
            Layer::IpInIp(..) => "ip-in-ip",
            Layer::EtherIp => "etherip",
            Layer::Teredo => "teredo",
            Layer::Gtp(_) => "gtp-u",
            Layer::Tzsp => "tzsp",
            Layer::More => "…",
        }
    }

    /// Its number in words; empty where it has none.
    fn number(self) -> String {
        match self {
            Layer::Vlan(n) | Layer::ETag(n) | Layer::VnTag(n) | Layer::FabricPath(n) | Layer::Pptp(n) => n.to_string(),
            Layer::Pbb(n) | Layer::Mpls(n) | Layer::Vxlan(n) | Layer::Geneve(n) | Layer::Nsh(n) => n.to_string(),
            Layer::Pppoe(n) => format!("0x{n:x}"),
            Layer::Gtp(n) | Layer::Gre(Some(n)) => format!("0x{n:x}"),
            Layer::Erspan(Some(n)) => n.to_string(),
            Layer::IpInIp(from, to) => format!("{from}>{to}"),
            Layer::Gre(None) | Layer::Erspan(None) | Layer::EtherIp | Layer::Teredo | Layer::Tzsp | Layer::More => {
                String::new()
            }
        }
    }

    /// Whether this is the same wrapper on the way back.
    fn is_reverse_of(self, other: Layer) -> bool {
        match (self, other) {
            (Layer::IpInIp(a, b), Layer::IpInIp(c, d)) => a == d && b == c,
            _ => self == other,
        }
    }
}

/// `vlan 42`, `gre 0x2a`, `ip-in-ip 10.0.0.1>10.0.0.2`, `teredo`.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            number if number.is_empty() => f.write_str(self.kind()),
            number => write!(f, "{} {number}", self.kind()),
        }
    }
}

/// The layers of one packet, outermost first; at most `limits::LAYERS`, the last of which is then
/// [`Layer::More`].
#[derive(Clone, Debug, Default)]
pub struct Stack(Vec<Layer>);

impl Stack {
    pub fn push(&mut self, layer: Layer) {
        match self.0.len() {
            n if n + 1 < limits::LAYERS => self.0.push(layer),
            n if n < limits::LAYERS => self.0.push(Layer::More),
            _ => {}
        }
    }

    pub fn layers(&self) -> &[Layer] {
        &self.0
    }

    /// Takes off all but the outermost `n`.
    pub fn truncate(&mut self, n: usize) {
        self.0.truncate(n);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What an exchange's packets were wrapped in, outermost first. `None`: no packet of that direction
/// was seen. Where the two directions differ, both are told.
pub fn wrappers(client: Option<&[Layer]>, server: Option<&[Layer]>) -> Vec<Wrapper> {
    let texts: Vec<String> = match (client, server) {
        (None, None) => Vec::new(),
        (Some(layers), None) | (None, Some(layers)) => layers.iter().map(Layer::to_string).collect(),
        (Some(client), Some(server)) => both(client, server),
    };
    texts.into_iter().map(|text| Wrapper::Link(text.into())).collect()
}

fn both(client: &[Layer], server: &[Layer]) -> Vec<String> {
    let joins = |(a, b): &(&Layer, &Layer)| a.kind() == b.kind();
    let mut out = Vec::new();
    let head = client.iter().zip(server).take_while(joins).count();
    let (client_rest, server_rest) = (&client[head..], &server[head..]);
    let tail = client_rest.iter().rev().zip(server_rest.iter().rev()).take_while(joins).count();
    let (client_only, client_tail) = client_rest.split_at(client_rest.len() - tail);
    let (server_only, server_tail) = server_rest.split_at(server_rest.len() - tail);
    out.extend(client[..head].iter().zip(server).map(|(a, b)| told(*a, *b)));
    out.extend(client_only.iter().map(|layer| format!("{layer} (client)")));
    out.extend(server_only.iter().map(|layer| format!("{layer} (server)")));
    out.extend(client_tail.iter().zip(server_tail).map(|(a, b)| told(*a, *b)));
    out
}

/// One wrapper of both directions.
fn told(client: Layer, server: Layer) -> String {
    if client.is_reverse_of(server) {
        return client.to_string();
    }
    let number = |layer: Layer| Some(layer.number()).filter(|n| !n.is_empty()).unwrap_or_else(|| "none".to_owned());
    format!("{} {} (client) / {} (server)", client.kind(), number(client), number(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(client: Option<&[Layer]>, server: Option<&[Layer]>) -> Vec<String> {
        let text = |w: Wrapper| match w {
            Wrapper::Link(text) => text.to_string(),
            _ => String::new(),
        };
        wrappers(client, server).into_iter().map(text).collect()
    }

    #[test]
    fn equal_directions_are_told_once() {
        let stack = [Layer::Vlan(42), Layer::Vxlan(7), Layer::Gre(Some(42)), Layer::Gre(None)];
        assert_eq!(words(Some(&stack), Some(&stack)), ["vlan 42", "vxlan 7", "gre 0x2a", "gre"]);
        assert_eq!(words(None, Some(&stack[..1])), ["vlan 42"]);
        assert!(words(Some(&[]), Some(&[])).is_empty());
    }

    #[test]
    fn directions_that_differ_are_both_told() {
        let (client, server) = ([Layer::Vlan(1), Layer::Vxlan(42)], [Layer::Vlan(1), Layer::Vxlan(43)]);
        assert_eq!(words(Some(&client), Some(&server)), ["vlan 1", "vxlan 42 (client) / 43 (server)"]);
        assert_eq!(words(Some(&client), Some(&[])), ["vlan 1 (client)", "vxlan 42 (client)"]);
        let labels = [Layer::Vlan(1), Layer::Mpls(16), Layer::Vxlan(42)];
        assert_eq!(words(Some(&labels), Some(&client)), ["vlan 1", "mpls 16 (client)", "vxlan 42"]);
        assert_eq!(
            words(Some(&[Layer::Gre(None)]), Some(&[Layer::Gre(Some(1))])),
            ["gre none (client) / 0x1 (server)"]
        );
    }

    #[test]
    fn the_way_back_through_a_tunnel_is_the_same_tunnel() {
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let told = words(Some(&[Layer::IpInIp(a, b)]), Some(&[Layer::IpInIp(b, a)]));
        assert_eq!(told, ["ip-in-ip 10.0.0.1>10.0.0.2"]);
    }

    #[test]
    fn a_stack_ends_where_it_must() {
        let mut stack = Stack::default();
        (0..100).for_each(|n| stack.push(Layer::Vlan(n)));
        assert_eq!((stack.layers().len(), stack.layers().last()), (limits::LAYERS, Some(&Layer::More)));
    }
}
