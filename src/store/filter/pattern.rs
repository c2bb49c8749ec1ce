//! Patterns over bytes: a whole value with `*` for anything, a part of a value, or an address in a network.

use std::net::{IpAddr, SocketAddr};

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The pieces between the stars. One piece: no star, the whole value.
    pieces: Vec<Vec<u8>>,
    exact_case: bool,
    /// It is an address in this network, with or without a port; then there are no pieces.
    network: Option<Network>,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    of: IpAddr,
    bits: u8,
}

impl Network {
    fn has(self, ip: IpAddr) -> bool {
        match (self.of, ip) {
            (IpAddr::V4(of), IpAddr::V4(ip)) => (of.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.bits),
            (IpAddr::V6(of), IpAddr::V6(ip)) => (of.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.bits),
            _ => false,
        }
    }
}

impl Pattern {
    /// The whole value; `*` stands for anything.
    pub(super) fn whole(text: &str, exact_case: bool) -> Self {
        Pattern { pieces: text.split('*').map(|p| p.as_bytes().to_vec()).collect(), exact_case, network: None }
    }

    /// `10.0.0.0/8`. `None`: it is no network.
    pub(super) fn network(text: &str) -> Option<Self> {
        let (of, bits) = text.split_once('/')?;
        let of: IpAddr = of.parse().ok()?;
        let most = if of.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Pattern { pieces: Vec::new(), exact_case: false, network: Some(Network { of, bits }) })
    }

    /// A part of the value.
    pub(super) fn part(text: &str, exact_case: bool) -> Self {
        Pattern::whole(&format!("*{text}*"), exact_case)
    }

    /// What every value that matches must hold, in small letters unless their case counts: the longest piece. Empty: nothing.
    pub(super) fn needle(&self) -> Vec<u8> {
        let longest = self.pieces.iter().max_by_key(|piece| piece.len()).map(Vec::as_slice).unwrap_or_default();
        if self.exact_case { longest.to_vec() } else { longest.to_ascii_lowercase() }
    }

    /// Linear in the value's length for each piece: every piece is looked for once, from the left.
    pub(super) fn matches(&self, value: &[u8]) -> bool {
        if let Some(network) = self.network {
            let address = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())));
            return address.is_some_and(|ip| network.has(ip));
        }
        let (Some((first, rest)), Some(last)) = (self.pieces.split_first(), self.pieces.last()) else { return true };
        if rest.is_empty() {
            return value.len() == first.len() && self.equal(value, first);
        }
        if value.len() < first.len() + last.len() {
            return false;
        }
        let (head, tail) = (value.get(..first.len()), value.get(value.len() - last.len()..));
        if !head.is_some_and(|head| self.equal(head, first)) || !tail.is_some_and(|tail| self.equal(tail, last)) {
            return false;
        }
        let mut left = value.get(first.len()..value.len() - last.len()).unwrap_or_default();
        for piece in rest.iter().take(rest.len() - 1).filter(|p| !p.is_empty()) {
            let Some(at) = left.windows(piece.len()).position(|window| self.equal(window, piece)) else { return false };
            left = left.get(at + piece.len()..).unwrap_or_default();
        }
        true
    }

    fn equal(&self, a: &[u8], b: &[u8]) -> bool {
        if self.exact_case { a == b } else { a.eq_ignore_ascii_case(b) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let whole = |pattern: &str, value: &str| Pattern::whole(pattern, false).matches(value.as_bytes());
        assert!(whole("abc", "ABC") && !whole("abc", "abcd"));
        assert!(whole("a*", "a") && whole("*", "") && whole("a*c", "abc") && whole("a*b*c", "a-b-b-c"));
        assert!(!whole("a*a", "a") && !whole("a*b*c", "acb") && !whole("*b*", "ac"));
        assert!(!Pattern::whole("abc", true).matches(b"ABC"));
        assert!(Pattern::part("b*d", false).matches(b"abcde"));
    }
}
