//! The same conversations between other machines: addresses, ports, MACs and times changed, and names
//! inside the text changed for others of the same length, so that no segment grows.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::dissect;
use super::read::Captured;
use super::streams;

/// What becomes what. Whatever is not named stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renaming {
    /// Written in as many characters as before.
    pub ips: BTreeMap<IpAddr, IpAddr>,
    /// With as many digits as before.
    pub ports: BTreeMap<u16, u16>,
    pub macs: BTreeMap<[u8; 6], [u8; 6]>,
    /// Hosts and parts of paths, each for one of the same length.
    pub names: BTreeMap<String, String>,
    /// Added to every time.
    pub later_ns: u64,
}

/// A number below that given, at random.
pub(crate) type Dice<'a> = dyn FnMut(usize) -> usize + 'a;

impl Renaming {
    /// Other addresses, ports and MACs for all that these captures hold, none of them in `taken`, which
    /// they are added to.
    pub(crate) fn of(captures: &[Captured], taken: &mut Vec<IpAddr>, dice: &mut Dice<'_>) -> Renaming {
        let mut renaming = Renaming::default();
        for captured in captures {
            for p in &captured.packets {
                let frame = dissect::frame(&p.data, captured.link_of(p));
                for range in frame.ips.iter().flat_map(|ip| ip.addresses()) {
                    renaming.ips.entry(dissect::address(&p.data[range])).or_insert_with_key(|ip| {
                        taken.push(*ip);
                        *ip
                    });
                }
                let (from, to) = dissect::ends(&p.data, &frame).map_or((0, 0), |(from, to)| (from.port(), to.port()));
                renaming.ports.extend([from, to].map(|port| (port, port)));
                for mac in frame.macs.iter().filter_map(|at| p.data.get(*at..at + 6)) {
                    let mac: [u8; 6] = mac.try_into().expect("six bytes");
                    renaming.macs.insert(mac, mac);
                }
            }
        }
        for new in renaming.ips.values_mut() {
            *new = other_address(*new, taken, dice);
            taken.push(*new);
        }
        let mut ports: Vec<u16> = renaming.ports.keys().copied().collect();
        // Ports below 1024 say which service it is, and that of HTTP is left out of Host.
        for new in renaming.ports.values_mut().filter(|port| **port >= 1024) {
            *new = other_port(*new, &ports, dice);
            ports.push(*new);
        }
        // Group addresses and zeros mean something.
        for new in renaming.macs.values_mut().filter(|mac| mac[0] & 1 == 0 && **mac != [0; 6]) {
            *new = std::array::from_fn(|_| dice(256) as u8);
            new[0] = 2;
        }
        renaming
    }

    /// Takes these names for others: letters become letters.
    pub(crate) fn rename(&mut self, names: impl IntoIterator<Item = String>, dice: &mut Dice<'_>) {
        for name in names {
            let other = name.chars().map(|c| if c.is_ascii_lowercase() { (b'a' + dice(26) as u8) as char } else { c });
            self.names.insert(name.clone(), other.collect());
        }
    }

    pub(crate) fn ip(&self, ip: IpAddr) -> IpAddr {
        self.ips.get(&ip).copied().unwrap_or(ip)
    }

    fn port(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }

    pub(crate) fn end(&self, end: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(end.ip()), self.port(end.port()))
    }

    /// The same packets, renamed. Only what carries TCP is kept.
    pub(crate) fn apply(&self, captured: &Captured) -> Captured {
        let mut renamed = captured.clone();
        for stream in &mut streams::all(captured) {
            self.text(&mut stream.bytes);
            self.proxy_header(&mut stream.bytes);
            streams::put_back(stream, &mut renamed);
        }
        let links = captured.links.clone();
        renamed.packets.retain_mut(|p| {
            let frame = dissect::frame(&p.data, links[p.interface as usize].number());
            let Some(tcp) = &frame.tcp else { return false };
            for at in frame.macs.iter().copied() {
                let mac: [u8; 6] = p.data[at..at + 6].try_into().expect("six bytes");
                p.data[at..at + 6].copy_from_slice(self.macs.get(&mac).unwrap_or(&mac));
            }
            for range in frame.ips.iter().flat_map(|ip| ip.addresses()) {
                let ip = self.ip(dissect::address(&p.data[range.clone()]));
                put_address(&mut p.data[range], ip);
            }
            for at in [tcp.at, tcp.at + 2] {
                let port = dissect::word(&p.data, at).expect("a TCP header");
                dissect::put(&mut p.data, at, self.port(port));
            }
            dissect::checksums(&mut p.data, &frame);
            p.at_ns += self.later_ns;
            true
        });
        renamed
    }

    /// Addresses, ports behind them and names, all at once.
    pub(crate) fn text(&self, bytes: &mut [u8]) {
        let ips = self.ips.iter().map(|(from, to)| (from.to_string(), to.to_string()));
        let names = self.names.iter().map(|(from, to)| (from.clone(), to.clone()));
        let mut words: Vec<(String, String)> = ips.chain(names).filter(|(from, to)| from != to).collect();
        // The longest that fits is meant.
        words.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        let before = bytes.to_vec();
        let is_part = |at: usize| before.get(at).is_some_and(|b| b.is_ascii_alphanumeric());
        let mut at = 0;
        while at < before.len() {
            let fits = |(from, _): &&(String, String)| {
                let end = at + from.len();
                before[at..].starts_with(from.as_bytes()) && !(at > 0 && is_part(at - 1)) && !is_part(end)
            };
            if let Some((from, to)) = words.iter().find(fits) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                at += from.len();
            } else if let Some((length, to)) = self.port_at(&before, at) {
                bytes[at + 1..at + 1 + length].copy_from_slice(to.as_bytes());
                at += 1 + length;
            } else {
                at += 1;
            }
        }
    }

    /// The digits of a renamed port behind a colon that ends a host.
    fn port_at(&self, bytes: &[u8], at: usize) -> Option<(usize, String)> {
        let host = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b']');
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if bytes[at] != b':' || !host || !(4..=5).contains(&digits) {
            return None;
        }
        let port: u16 = std::str::from_utf8(&bytes[at + 1..at + 1 + digits]).ok()?.parse().ok()?;
        Some((digits, self.ports.get(&port)?.to_string()))
    }

    /// The header of the PROXY protocol, in which addresses stand in binary or ports as words.
    fn proxy_header(&self, bytes: &mut [u8]) {
        if bytes.starts_with(b"PROXY TCP") {
            let line = bytes.iter().position(|b| *b == b'\r').expect("a line");
            let words: Vec<String> = String::from_utf8_lossy(&bytes[..line]).split(' ').map(str::to_owned).collect();
            let ports = words.iter().map(|w| w.parse().map_or_else(|_| w.clone(), |port| self.port(port).to_string()));
            let renamed = ports.collect::<Vec<_>>().join(" ");
            bytes[..line].copy_from_slice(renamed.as_bytes());
        }
        if bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
            let size = match bytes[13] >> 4 {
                1 => 4,
                2 => 16,
                _ => return,
            };
            for at in [16, 16 + size] {
                let ip = self.ip(dissect::address(&bytes[at..at + size]));
                put_address(&mut bytes[at..at + size], ip);
            }
            for at in [16 + 2 * size, 18 + 2 * size] {
                let port = dissect::word(bytes, at).expect("a port");
                dissect::put(bytes, at, self.port(port));
            }
        }
    }
}

fn put_address(bytes: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => bytes.copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()),
    }
}

/// Another address that is written with as many characters and is of the same kind.
fn other_address(ip: IpAddr, taken: &[IpAddr], dice: &mut Dice<'_>) -> IpAddr {
    let written = ip.to_string();
    let fixed = match ip {
        IpAddr::V4(v4) if v4.is_loopback() => written.rfind('.').map_or(0, |at| at + 1),
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() => return ip,
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_multicast() || v6.is_loopback() || v6.is_unspecified() => return ip,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => return ip,
        // Local or global stays what it is.
        IpAddr::V6(_) => 2,
    };
    loop {
        let other: String = written
            .char_indices()
            .map(|(at, c)| match c {
                _ if at < fixed => c,
                '.' | ':' => c,
                _ if ip.is_ipv4() => char::from(b'0' + dice(10) as u8),
                _ => char::from_digit(dice(16) as u32, 16).expect("a digit"),
            })
            .collect();
        // Zeros in front and what is too large make no address, or another text.
        let Ok(other) = other.parse::<IpAddr>().map_err(drop) else { continue };
        let usual = match other {
            IpAddr::V4(v4) => {
                v4.is_loopback() == (fixed > 0) && !v4.is_multicast() && v4.octets()[0] > 0 && v4.octets()[0] < 224
            }
            IpAddr::V6(_) => true,
        };
        if usual && other.to_string().len() == written.len() && !taken.contains(&other) {
            return other;
        }
    }
}

fn other_port(port: u16, taken: &[u16], dice: &mut Dice<'_>) -> u16 {
    let (least, most) = if port < 10_000 { (1_024, 9_999) } else { (10_000, 65_535) };
    loop {
        let other = (least + dice(most - least + 1)) as u16;
        if !taken.contains(&other) {
            return other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::{self, Link};
    use super::super::script::{Script, Side};
    use super::*;

    fn dice() -> impl FnMut(usize) -> usize {
        let mut state = 7_u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        }
    }

    #[test]
    fn addresses_ports_and_names_are_changed_in_headers_and_text_and_nothing_grows() {
        let text = "GET /chat HTTP/1.1\r\nHost: 203.0.113.9:8080\r\nX: 198.51.100.7, 198.51.100.77\r\nY: chat.x\r\n";
        let script = Script::between("198.51.100.7:40000", "203.0.113.9:8080").segment_bytes(5).client(text);
        let captured =
            Captured { links: vec![Link::Ethernet], packets: link::packets(&script.segments(), Link::Ethernet) };
        let (mut dice, mut taken) = (dice(), Vec::new());
        let mut renaming = Renaming::of(std::slice::from_ref(&captured), &mut taken, &mut dice);
        renaming.rename(["chat".to_owned()], &mut dice);
        renaming.later_ns = 5;
        let renamed = renaming.apply(&captured);
        let stream = &streams::all(&renamed)[0];
        let client = renaming.end("198.51.100.7:40000".parse().unwrap());
        let server = renaming.end("203.0.113.9:8080".parse().unwrap());
        let chat = &renaming.names["chat"];
        assert!(client.ip().to_string() != "198.51.100.7" && server.port() != 8080 && chat != "chat");
        assert_eq!((stream.from, stream.to), (client, server));
        let expected =
            format!("GET /{chat} HTTP/1.1\r\nHost: {server}\r\nX: {}, 198.51.100.77\r\nY: {chat}.x\r\n", client.ip());
        assert_eq!(String::from_utf8_lossy(&stream.bytes), expected);
        assert_eq!(expected.len(), text.len());
        assert_eq!(renamed.packets[0].at_ns, captured.packets[0].at_ns + 5);
    }

    #[test]
    fn a_proxy_header_is_changed_in_both_of_its_forms() {
        let line = b"PROXY TCP4 198.51.100.7 203.0.113.9 40000 80\r\n".to_vec();
        let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        binary.extend([198, 51, 100, 7, 203, 0, 113, 9, 0x9c, 0x40, 0, 80]);
        let ips = [("198.51.100.7", "192.168.44.5"), ("203.0.113.9", "10.20.30.40")];
        let renaming = Renaming {
            ips: ips.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).into(),
            ports: [(40_000, 50_001)].into(),
            ..Renaming::default()
        };
        for (header, expected) in [
            (line, b"PROXY TCP4 192.168.44.5 10.20.30.40 50001 80\r\n".to_vec()),
            (binary, {
                let mut right = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
                right.extend([192, 168, 44, 5, 10, 20, 30, 40, 0xc3, 0x51, 0, 80]);
                right
            }),
        ] {
            let mut bytes = header;
            renaming.text(&mut bytes);
            renaming.proxy_header(&mut bytes);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn an_address_keeps_its_length_and_its_kind() {
        let mut dice = dice();
        for written in ["198.51.100.7", "127.0.0.1", "2001:db8::17", "fd00:1::10", "fe80::1", "224.0.0.1", "::1"] {
            let ip: IpAddr = written.parse().unwrap();
            let other = other_address(ip, &[ip], &mut dice);
            assert_eq!(other.to_string().len(), written.len());
            assert_eq!(other.is_loopback(), ip.is_loopback());
            assert_eq!(other.is_multicast(), ip.is_multicast());
            assert_eq!(other == ip, written.starts_with("fe80") || ip.is_multicast() || written == "::1", "{written}");
        }
    }

    #[test]
    fn what_is_said_by_the_server_is_renamed_too() {
        let script = Script::flow().head(Side::Client, "GET / HTTP/1.1\nHost: a").server("from 203.0.113.9:80.");
        let captured = Captured { links: vec![Link::Raw], packets: link::packets(&script.segments(), Link::Raw) };
        let renaming = Renaming {
            ips: [("203.0.113.9".parse().unwrap(), "10.20.30.40".parse().unwrap())].into(),
            ..Renaming::default()
        };
        let renamed = streams::all(&renaming.apply(&captured));
        assert!(renamed.iter().any(|s| s.bytes == b"from 10.20.30.40:80."));
    }
}
