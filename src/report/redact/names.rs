//! Pseudonyms: an address becomes one of the ranges for tests and documents (RFC 2544, RFC 3849), a host
//! `host-N.example` (RFC 6761); the same value always the same one. What stands in captured text is found by its shape.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// 198.18.0.0/15 is for tests; where it is used up, 240.0.0.0/4 is nobody's.
const TEST_V4: u32 = 0xc612_0000;
const TEST_V4_SIZE: u32 = 1 << 17;
const RESERVED_V4: u32 = 0xf000_0000;
/// 2001:db8::/32 is for documents.
const DOCUMENT_V6: u128 = 0x2001_0db8 << 96;

/// Fields whose values name protocols and products, never hosts: only what is known as a host is replaced there.
const PLAIN: [&str; 20] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "pragma",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "server",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-powered-by",
];

/// What each address and host is called instead.
#[derive(Debug, Default)]
pub(super) struct Names {
    v4: u32,
    v6: u128,
    addresses: HashMap<IpAddr, IpAddr>,
    hosts: HashMap<Vec<u8>, Vec<u8>>,
    /// Pseudonyms are as long as what they stand for: for packets, where nothing can move.
    same_length: bool,
    /// By the digits of its four parts: how many addresses there are.
    v4_by_digits: HashMap<[u8; 4], u32>,
    /// By length: how many hosts and secrets there are.
    by_length: HashMap<usize, u64>,
    secrets: HashMap<Vec<u8>, Vec<u8>>,
    /// Something had no room for a pseudonym of its own.
    pub(super) full: bool,
}

/// How eagerly words are taken for hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eager {
    /// Our own words: addresses, and known hosts of several labels.
    Little,
    /// And every known host.
    Known,
    /// And all that looks like a host's name.
    Shape,
}

impl Names {
    /// Pseudonyms as long as what they stand for.
    pub(super) fn same_length() -> Self {
        Names { same_length: true, ..Names::default() }
    }

    /// What stands for a secret, in as many bytes.
    pub(super) fn secret(&mut self, secret: &[u8]) -> Vec<u8> {
        if let Some(known) = self.secrets.get(secret) {
            return known.clone();
        }
        let new = self.numbered(secret.len(), b'x');
        self.secrets.insert(secret.to_vec(), new.clone());
        new
    }

    /// The next word of this length: letters, and a number in base 36 at its end.
    fn numbered(&mut self, length: usize, letter: u8) -> Vec<u8> {
        let count = self.by_length.entry(length).or_default();
        *count += 1;
        let (mut rest, mut word) = (*count, vec![letter; length]);
        for place in word.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
            *place = usize::try_from(rest % 36).ok().and_then(|at| DIGITS.get(at)).copied().unwrap_or(letter);
            rest /= 36;
        }
        self.full |= rest != 0;
        word
    }

    /// The next address whose parts have as many digits.
    fn with_digits(&mut self, ip: Ipv4Addr) -> Ipv4Addr {
        let digits = ip.octets().map(|part| {
            if part > 99 {
                3
            } else if part > 9 {
                2
            } else {
                1
            }
        });
        let count = self.v4_by_digits.entry(digits).or_default();
        *count += 1;
        let mut rest = *count;
        let mut parts = [0_u8; 4];
        for (part, digits) in parts.iter_mut().zip(digits).rev() {
            let (first, size) = match digits {
                1 => (0, 10),
                2 => (10, 90),
                _ => (100, 156),
            };
            *part = first + u8::try_from(rest % size).unwrap_or(0);
            rest /= size;
        }
        // The last one of all comes around to the first, which no other has.
        Ipv4Addr::from(parts)
    }

    /// The pseudonym of an address. Loopback and the unspecified address tell nothing and stay.
    pub(super) fn address(&mut self, ip: IpAddr) -> IpAddr {
        if ip.is_loopback() || ip.is_unspecified() {
            return ip;
        }
        if let IpAddr::V6(v6) = ip
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return match self.address(v4.into()) {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
                other @ IpAddr::V6(_) => other,
            };
        }
        if let Some(known) = self.addresses.get(&ip) {
            return *known;
        }
        let new = match ip {
            IpAddr::V4(v4) if self.same_length => self.with_digits(v4).into(),
            IpAddr::V4(_) => {
                self.v4 += 1;
                let n = self.v4;
                let value = if n < TEST_V4_SIZE { TEST_V4 + n } else { RESERVED_V4.wrapping_add(n) };
                Ipv4Addr::from(value).into()
            }
            IpAddr::V6(_) => {
                self.v6 += 1;
                Ipv6Addr::from(DOCUMENT_V6 + self.v6).into()
            }
        };
        self.addresses.insert(ip, new);
        new
    }

    /// From here on this is known as a host, with or without a port; an address is none.
    pub(super) fn learn(&mut self, authority: &[u8]) {
        let authority = authority.trim_ascii();
        let authority = authority.rsplit(|&b| b == b'@').next().unwrap_or_default();
        let (name, _) = split_port(authority);
        let text = String::from_utf8_lossy(name);
        let is_address = text.parse::<IpAddr>().is_ok() || name.starts_with(b"[");
        if name.is_empty()
            || is_address
            || name.eq_ignore_ascii_case(b"localhost")
            || !name.iter().all(|&b| is_token(b))
        {
            return;
        }
        self.host(name);
    }

    /// Learns the hosts of all URLs in a text.
    pub(super) fn learn_urls(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = rest.windows(3).position(|w| w == b"://") {
            rest = rest.get(at + 3..).unwrap_or_default();
            let end = rest.iter().position(|b| b"/?#\"' ,;<>".contains(b)).unwrap_or(rest.len());
            self.learn(rest.get(..end).unwrap_or_default());
        }
    }

    /// The value of a field.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) -> Vec<u8> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if ["host", ":authority", "x-forwarded-host", "x-forwarded-server", "x-original-host"].iter().any(|n| is(n)) {
            return self.authorities(value);
        }
        self.text(value, if PLAIN.iter().any(|n| is(n)) { Eager::Known } else { Eager::Shape })
    }

    /// A list of authorities: whatever is none of our own pseudonyms is one.
    pub(super) fn authorities(&mut self, list: &[u8]) -> Vec<u8> {
        let parts = list.split(|&b| b == b',').map(|part| {
            let bare = part.trim_ascii();
            self.learn(bare);
            self.text(part, Eager::Known)
        });
        parts.collect::<Vec<_>>().join(&b',')
    }

    /// Any captured text.
    pub(super) fn text(&mut self, text: &[u8], eager: Eager) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if byte == b'%' && text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                out.extend(text.get(at..at + 3).unwrap_or_default());
                at += 3;
                continue;
            }
            if !is_token(byte) {
                out.push(byte);
                at += 1;
                continue;
            }
            let length = text.get(at..).unwrap_or_default().iter().take_while(|&&b| is_token(b)).count();
            let run = text.get(at..at + length).unwrap_or_default();
            let before = text.get(..at).unwrap_or_default();
            let authority = before.ends_with(b"://") || before.ends_with(b"@") || before.ends_with(b"%2F%2F");
            let path = before.ends_with(b"/") && !authority;
            self.run(run, eager, authority, path, &mut out);
            at += length;
        }
        out
    }

    fn run(&mut self, run: &[u8], eager: Eager, authority: bool, path: bool, out: &mut Vec<u8>) {
        // What ends a sentence is no part of it.
        let end = run.iter().rposition(|b| !matches!(b, b'.' | b':' | b'-' | b'_')).map_or(0, |at| at + 1);
        let (word, tail) = run.split_at(end.min(run.len()));
        let text = String::from_utf8_lossy(word);
        if let Ok(end) = text.parse::<SocketAddr>() {
            out.extend(SocketAddr::new(self.address(end.ip()), end.port()).to_string().bytes());
        } else if let Ok(ip) = text.parse::<IpAddr>() {
            out.extend(self.address(ip).to_string().bytes());
        } else if let Some(ip) = bracketed(&text) {
            out.extend(format!("[{}]", self.address(ip)).bytes());
        } else {
            let (name, port) = split_port(word);
            let labels = name.iter().filter(|&&b| b == b'.').count() + 1;
            let known = self.hosts.contains_key(&name.to_ascii_lowercase()) && (eager != Eager::Little || labels > 1);
            let shaped = eager == Eager::Shape && !path && looks_like_host(name);
            let named =
                authority && eager != Eager::Little && !name.is_empty() && !name.eq_ignore_ascii_case(b"localhost");
            if known || shaped || named {
                let host = self.host(name);
                out.extend(host);
                out.extend(port);
            } else {
                self.quads(word, out);
            }
        }
        out.extend(tail);
    }

    /// Addresses inside of a longer word: `upstream_10.0.0.1:80`, `::ffff…` apart.
    fn quads(&mut self, word: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < word.len() {
            let rest = word.get(at..).unwrap_or_default();
            let length = rest.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
            if length == 0 {
                let next = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len()).max(1);
                out.extend(rest.get(..next).unwrap_or_default());
                at += next;
                continue;
            }
            let digits = rest.get(..length).unwrap_or_default();
            match str::from_utf8(digits).ok().and_then(|d| d.trim_end_matches('.').parse::<Ipv4Addr>().ok()) {
                Some(ip) => {
                    out.extend(self.address(ip.into()).to_string().bytes());
                    out.extend(std::iter::repeat_n(b'.', digits.iter().rev().take_while(|b| **b == b'.').count()));
                }
                None => out.extend(digits),
            }
            at += length;
        }
    }

    fn host(&mut self, name: &[u8]) -> Vec<u8> {
        let next = self.hosts.len() + 1;
        let name = name.to_ascii_lowercase();
        // A pseudonym stays what it is.
        if name.starts_with(b"host-") && name.ends_with(b".example") {
            return name;
        }
        if self.same_length {
            if let Some(known) = self.hosts.get(&name) {
                return known.clone();
            }
            // A pseudonym of this sort looks like no host of several labels; it is none anew.
            if self.hosts.values().any(|known| *known == name) {
                return name;
            }
            let new = self.numbered(name.len(), b'h');
            self.hosts.insert(name, new.clone());
            return new;
        }
        self.hosts.entry(name).or_insert_with(|| format!("host-{next}.example").into_bytes()).clone()
    }
}

/// An address in brackets, as URLs have it.
fn bracketed(word: &str) -> Option<IpAddr> {
    word.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Host and `:port`; the port is empty where there is none.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    match authority.iter().rposition(|&b| b == b':') {
        Some(at) if authority.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            authority.split_at(at)
        }
        _ => (authority, &[]),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
}

/// Several labels, the last one of letters: `web-07.example.org`, but not `1.22.1` or `nginx`.
fn looks_like_host(name: &[u8]) -> bool {
    let labels: Vec<&[u8]> = name.split(|&b| b == b'.').collect();
    let fine =
        |label: &&[u8]| !label.is_empty() && label.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    labels.len() >= 2
        && labels.iter().all(fine)
        && labels.last().is_some_and(|last| last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &mut Names, text: &str, eager: Eager) -> String {
        String::from_utf8_lossy(&names.text(text.as_bytes(), eager)).into_owned()
    }

    #[test]
    fn the_same_value_has_the_same_pseudonym_wherever_it_stands() {
        let mut n = Names::default();
        n.learn(b"chat.example.org:8080");
        let t = |n: &mut Names, s: &str| text(n, s, Eager::Shape);
        assert_eq!(t(&mut n, "for=10.0.0.1;by=\"[2001:db8:5::1]:80\""), "for=198.18.0.1;by=\"[2001:db8::1]:80\"");
        assert_eq!(t(&mut n, "10.0.0.1, 10.0.0.2:80"), "198.18.0.1, 198.18.0.2:80");
        assert_eq!(
            t(&mut n, "https://Chat.example.org:8080/x.html?u=http%3A%2F%2Fchat.example.org"),
            "https://host-1.example:8080/x.html?u=http%3A%2F%2Fhost-1.example"
        );
        assert_eq!(t(&mut n, "1.1 web-07.corp.example (squid/5.7)"), "1.1 host-2.example (squid/5.7)");
        assert_eq!(t(&mut n, "node_10.0.0.1-a"), "node_198.18.0.1-a");
        assert_eq!(t(&mut n, "nginx/1.22.1 at 127.0.0.1."), "nginx/1.22.1 at 127.0.0.1.");
        assert_eq!(t(&mut n, "host-1.example"), "host-1.example");
    }

    #[test]
    fn our_own_words_lose_addresses_and_hosts_and_nothing_else() {
        let mut n = Names::default();
        n.learn(b"backend");
        n.learn(b"chat.example.org");
        assert_eq!(
            text(&mut n, "the backend 10.0.0.1:80 of chat.example.org.", Eager::Little),
            "the backend 198.18.0.1:80 of host-2.example."
        );
        assert_eq!(text(&mut n, "RFC 6455 §4.1; a.conf", Eager::Little), "RFC 6455 §4.1; a.conf");
        assert_eq!(text(&mut n, "backend", Eager::Known), "host-1.example");
    }

    #[test]
    fn any_host_is_a_host_where_one_must_stand() {
        let mut n = Names::default();
        assert_eq!(n.field(b"Host", b"app:8080"), b"host-1.example:8080");
        assert_eq!(n.field(b"Origin", b"http://intranet"), b"http://host-2.example");
        assert_eq!(n.field(b"Server", b"nginx/1.22.1"), b"nginx/1.22.1");
        assert_eq!(n.field(b"Sec-WebSocket-Protocol", b"v4.channel.k8s.io"), b"v4.channel.k8s.io");
    }
}
