//! Redacted packets: addresses are replaced, heads that were read are written with pseudonyms of the same length, and
//! all other payload is cut off. What cannot be done like that is refused with its reason.
//!
//! A packet's place in its stream is known by its sequence number, so a value may lie in several packets, and come again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::base::{Endpoint, FlowId};
use crate::model::{Exchange, Head, LinkType, StartLine};
use crate::report::mask;
use crate::report::redact::names::{Eager, Names};
use crate::store::Analysis;
use crate::wire::icmp;

/// Bytes of an ICMP message before the packet that it is about.
const ICMP_HEADER: usize = 8;
/// Bytes of a segment of which nothing has to be hidden.
const PORTS_AND_NUMBER: usize = 8;

/// LINKTYPE_ numbers of the registry at tcpdump.org whose headers are known here, with their lengths.
const ETHERNET: u16 = 1;
const RAW: [u16; 3] = [101, 228, 229];
const SLL: u16 = 113;
const SLL2: u16 = 276;

/// By sender and receiver: where a head begins (its sequence number), and its bytes.
type Heads = HashMap<(Endpoint, Endpoint), Vec<(u32, Vec<u8>)>>;

/// Rewrites packets of some connections.
#[derive(Debug)]
pub struct Packets {
    names: Names,
    heads: Heads,
    /// By what stands in packets.
    hardware: HashMap<[u8; 6], [u8; 6]>,
}

impl Packets {
    /// Prepares for the connections that are `wanted`, and redacts the analysis with the same pseudonyms. The error
    /// says why that cannot be done.
    pub fn new(a: &mut Analysis, wanted: &dyn Fn(FlowId) -> bool) -> Result<Packets, String> {
        if a.counters.fragments != 0 {
            return Err("the captures hold IP fragments, whose contents lie in several packets".to_owned());
        }
        let mut names = Names::same_length();
        super::learn(&mut names, a);
        let mut heads = Heads::new();
        for x in a.rows.iter().map(|row| &*row.exchange).filter(|x| wanted(x.flow)) {
            plain(x).map_err(|why| format!("exchange {}: {why}", x.id))?;
            let answers = x.interim.iter().chain(&x.response).map(|head| (head, [x.server, x.client], x.seq[1]));
            for (head, [from, to], first) in [(&x.request, [x.client, x.server], x.seq[0])].into_iter().chain(answers) {
                let first = first.ok_or_else(|| format!("exchange {}: its connection's beginning is missing", x.id))?;
                let bytes = redacted(&mut names, head).map_err(|why| format!("exchange {}: {why}", x.id))?;
                // Sequence numbers come around.
                let place = u32::try_from(head.range.start % (1 << 32)).unwrap_or(0);
                heads.entry((from, to)).or_default().push((first.wrapping_add(place), bytes));
            }
        }
        if names.full {
            return Err("there are more short hosts or tokens than made-up ones of their length".to_owned());
        }
        super::rewrite(&mut names, a);
        Ok(Packets { names, heads, hardware: HashMap::new() })
    }

    /// The packet as it may be handed on, perhaps shorter. The error says why there is none.
    pub fn packet(&mut self, link: LinkType, data: &[u8]) -> Result<Vec<u8>, String> {
        let wrapped = || "a packet is wrapped in something that is not taken apart here".to_owned();
        let cut = || "a packet was cut inside its headers".to_owned();
        let mut out = data.to_vec();
        let ip = self.link(link, &mut out).ok_or_else(wrapped)?;
        let version = data.get(ip).ok_or_else(cut)? >> 4;
        if let Some(kept) = self.message(data, &mut out, ip) {
            out.truncate(kept);
            return Ok(out);
        }
        let (tcp, end, pseudo) = match version {
            4 => ipv4(data, ip).ok_or_else(wrapped)?,
            6 => ipv6(data, ip).ok_or_else(wrapped)?,
            _ => return Err(wrapped()),
        };
        let header = data.get(tcp..tcp + 20).ok_or_else(cut)?;
        let word = |at: usize| {
            u16::from_be_bytes([header.get(at).copied().unwrap_or(0), header.get(at + 1).copied().unwrap_or(0)])
        };
        let seq = u32::from(word(4)) << 16 | u32::from(word(6));
        let syn = header.get(13).is_some_and(|flags| flags & 2 != 0);
        let length = usize::from(header.get(12).copied().unwrap_or(0) >> 4) * 4;
        let payload = tcp + length.max(20)..end.min(data.len()).max(tcp + length.max(20));
        if payload.start > data.len() {
            return Err(cut());
        }
        let [from, to] = pseudo.clone().map(|range| address(data.get(range).unwrap_or_default()));
        let (Some(from), Some(to)) = (from, to) else { return Err(cut()) };
        let ends = (Endpoint::new(from, word(0)), Endpoint::new(to, word(2)));
        let kept = self.heads_in(ends, seq.wrapping_add(u32::from(syn)), &mut out, payload);
        out.truncate(kept);
        self.addresses(data, &mut out, &pseudo);
        // What was right is right again, and what was wrong stays so.
        let addresses = pseudo[0].start..pseudo[1].end;
        if version == 4 {
            mend(&mut out, data, ip + 10, std::slice::from_ref(&addresses));
        }
        mend(&mut out, data, tcp + 16, &[addresses, tcp..kept]);
        Ok(out)
    }

    /// Where `ip` begins an ICMP message about a segment: replaces its addresses and those of that segment, of which no
    /// more than ports and number is kept. Where that ends; `None`: it is no such message.
    fn message(&mut self, data: &[u8], out: &mut [u8], ip: usize) -> Option<usize> {
        icmp::told(data.get(ip..)?)?;
        let outer = network(data, ip)?;
        let about = outer.0 + ICMP_HEADER;
        let inner = network(data, about)?;
        let kept = inner.0 + PORTS_AND_NUMBER;
        out.get(..kept)?;
        self.addresses(data, out, &outer.1);
        self.addresses(data, out, &inner.1);
        let of = |[from, to]: [Range<usize>; 2]| from.start..to.end;
        let (outer_addresses, inner_addresses) = (of(outer.1), of(inner.1));
        let is_four = |at: usize| data.get(at).is_some_and(|first| first >> 4 == 4);
        if is_four(about) {
            mend(out, data, about + 10, std::slice::from_ref(&inner_addresses));
        }
        if is_four(ip) {
            mend(out, data, ip + 10, std::slice::from_ref(&outer_addresses));
            mend(out, data, outer.0 + 2, std::slice::from_ref(&(about..kept)));
        } else {
            mend(out, data, outer.0 + 2, &[outer_addresses, about..kept]);
        }
        Some(kept)
    }

    /// Replaces the addresses at these places.
    fn addresses(&mut self, data: &[u8], out: &mut [u8], places: &[Range<usize>]) {
        for range in places {
            let Some(ip) = data.get(range.clone()).and_then(address) else { continue };
            let new = match self.names.address(ip) {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            if let Some(place) = out.get_mut(range.clone()) {
                place.copy_from_slice(&new);
            }
        }
    }

    /// Puts what is known of heads into the payload; where the last of it ends. Bytes before it that are none become 0.
    fn heads_in(&self, ends: (Endpoint, Endpoint), seq: u32, out: &mut [u8], payload: Range<usize>) -> usize {
        let mut kept = payload.start;
        let Some(place) = out.get_mut(payload.clone()) else { return kept };
        place.fill(0);
        for (first, bytes) in self.heads.get(&ends).into_iter().flatten() {
            // Where the payload begins in the head, or the head in the payload.
            let behind = usize::try_from(seq.wrapping_sub(*first)).unwrap_or(usize::MAX);
            let before = usize::try_from(first.wrapping_sub(seq)).unwrap_or(usize::MAX);
            let (from, head) = if behind < bytes.len() { (0, behind) } else { (before, 0) };
            if from >= place.len() {
                continue;
            }
            let bytes = bytes.get(head..).unwrap_or_default();
            let length = bytes.len().min(place.len() - from);
            if let (Some(to), Some(bytes)) = (place.get_mut(from..from + length), bytes.get(..length)) {
                to.copy_from_slice(bytes);
                kept = kept.max(payload.start + from + length);
            }
        }
        kept
    }

    /// Replaces hardware addresses; where the IP header begins. `None` for what is not known.
    fn link(&mut self, link: LinkType, out: &mut [u8]) -> Option<usize> {
        let kind = |out: &[u8], at: usize| Some(u16::from_be_bytes([*out.get(at)?, *out.get(at + 1)?]));
        let is_ip = |kind: u16| matches!(kind, 0x0800 | 0x86dd);
        match link.0 {
            ETHERNET => {
                kind(out, 12).filter(|kind| is_ip(*kind))?;
                self.hardware(out, 0);
                self.hardware(out, 6);
                Some(14)
            }
            SLL => {
                kind(out, 14).filter(|kind| is_ip(*kind))?;
                self.hardware(out, 6);
                out.get_mut(12..14)?.fill(0);
                Some(16)
            }
            SLL2 => {
                kind(out, 0).filter(|kind| is_ip(*kind))?;
                self.hardware(out, 12);
                out.get_mut(18..20)?.fill(0);
                Some(20)
            }
            raw if RAW.contains(&raw) => Some(0),
            _ => None,
        }
    }

    fn hardware(&mut self, out: &mut [u8], at: usize) {
        let Some(place) = out.get_mut(at..at + 6) else { return };
        let mut old = [0; 6];
        old.copy_from_slice(place);
        if old == [0; 6] || old == [0xff; 6] {
            return;
        }
        let next = u32::try_from(self.hardware.len() + 1).unwrap_or(u32::MAX).to_be_bytes();
        // Of nobody: locally administered.
        let new = self.hardware.entry(old).or_insert([2, 0, next[0], next[1], next[2], next[3]]);
        place.copy_from_slice(new);
    }
}

/// Whether its heads stand in its packets as they were read.
fn plain(x: &Exchange) -> Result<(), &'static str> {
    if x.is_stream() {
        return Err("HTTP/2 compresses its heads: nothing in them can be replaced by others of the same length");
    }
    if x.is_inside_tls() {
        return Err("it is inside TLS, whose records cannot be written anew");
    }
    if !x.via.is_empty() || x.proxied.is_some() {
        return Err("it is inside of something else (a tunnel, a PROXY header), which is not rewritten");
    }
    Ok(())
}

/// A head with pseudonyms in as many bytes. The error says what has no room.
fn redacted(names: &mut Names, head: &Head) -> Result<Vec<u8>, String> {
    let whole = usize::try_from(head.range.end.saturating_sub(head.range.start)).ok() == Some(head.text.len());
    if !whole {
        return Err("its head was not seen whole".to_owned());
    }
    let mut out = head.text.to_vec();
    let mut known = vec![false; out.len()];
    let at = |range: &Range<u32>| usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
    let mut put = |range: Range<usize>, bytes: &[u8], what: &str| -> Result<(), String> {
        let room = out.get_mut(range.clone()).filter(|room| room.len() == bytes.len());
        let room = room.ok_or_else(|| format!("no made-up value is as long as what stands in {what}"))?;
        room.copy_from_slice(bytes);
        known.get_mut(range).unwrap_or_default().fill(true);
        Ok(())
    };
    let hidden = |names: &mut Names, value: &[u8], secrets: &[Range<usize>]| -> Vec<u8> {
        let mut value = value.to_vec();
        for range in secrets.iter().filter(|range| !range.is_empty()) {
            if let Some(place) = value.get_mut(range.clone()) {
                let new = names.secret(place);
                place.copy_from_slice(&new);
            }
        }
        value
    };
    match &head.start {
        StartLine::Request { method, target, version } => {
            let value = hidden(names, head.target(), &mask::secrets_of_url(head.target()));
            let value = match head.method() {
                b"CONNECT" => names.authorities(&value),
                _ => names.text(&value, Eager::Known),
            };
            put(at(target), &value, "the target")?;
            put(at(method), head.method(), "the method")?;
            put(at(version), head.version(), "the version")?;
        }
        StartLine::Response { version, reason, .. } => {
            put(at(version), head.version(), "the version")?;
            put(at(reason), &names.text(head.reason(), Eager::Shape), "the reason")?;
            // The status between them.
            let status = at(version).end..at(reason).start.max(at(version).end);
            let digits: Vec<u8> = head.text.get(status.clone()).unwrap_or_default().to_vec();
            if digits.iter().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace()) {
                put(status, &digits, "the status")?;
            }
        }
    }
    for field in head.fields.iter() {
        let (name, value) = (head.name(field), head.value(field));
        put(at(&field.name), name, "a field's name")?;
        let hidden = hidden(names, value, &mask::secrets_of_field(name, value));
        let new = names.field(name, &hidden);
        put(at(&field.value), &new, &crate::base::escape::escape(name))?;
    }
    // What was read as nothing may be anything.
    for (byte, _) in out.iter_mut().zip(known).filter(|(byte, known)| !known && !b": \t\r\n".contains(byte)) {
        *byte = b'x';
    }
    Ok(out)
}

/// Where the TCP header begins, where the packet ends, and where its addresses stand.
type Network = (usize, usize, [Range<usize>; 2]);

/// An IPv4 packet without options that is no fragment and holds TCP (RFC 791).
fn ipv4(data: &[u8], ip: usize) -> Option<Network> {
    let header = data.get(ip..ip + 20)?;
    let [first, _, high, low, _, _, fragment, offset, _, protocol, ..] = *header else { return None };
    let whole = fragment & 0x3f == 0 && offset == 0;
    let length = usize::from(u16::from_be_bytes([high, low]));
    // Offloading leaves the length out.
    let end = if length == 0 { data.len() } else { ip + length };
    (first == 0x45 && protocol == 6 && whole).then_some((ip + 20, end, [ip + 12..ip + 16, ip + 16..ip + 20]))
}

/// Where an IP header without options or extension headers ends, whatever it holds, and its addresses.
fn network(data: &[u8], ip: usize) -> Option<(usize, [Range<usize>; 2])> {
    match data.get(ip)? {
        0x45 => Some((ip + 20, [ip + 12..ip + 16, ip + 16..ip + 20])),
        0x60..=0x6f => Some((ip + 40, [ip + 8..ip + 24, ip + 24..ip + 40])),
        _ => None,
    }
}

/// An IPv6 packet without extension headers that holds TCP (RFC 8200).
fn ipv6(data: &[u8], ip: usize) -> Option<Network> {
    let header = data.get(ip..ip + 40)?;
    let [_, _, _, _, high, low, next, ..] = *header else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let end = if length == 0 { data.len() } else { ip + 40 + length };
    (next == 6).then_some((ip + 40, end, [ip + 8..ip + 24, ip + 24..ip + 40]))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Mends a checksum of which these ranges changed (RFC 1624); nothing where it was not captured.
fn mend(out: &mut [u8], old: &[u8], at: usize, ranges: &[Range<usize>]) {
    let (Some(&[high, low]), Some(_)) = (old.get(at..at + 2).and_then(|b| b.first_chunk::<2>()), out.get(at..at + 2))
    else {
        return;
    };
    let was = u16::from_be_bytes([high, low]);
    let mut sum = u64::from(!was);
    for range in ranges {
        // Both have the checksum itself, unchanged.
        sum += u64::from(!fold(words(old.get(range.clone()).unwrap_or_default())));
        sum += u64::from(fold(words(out.get(range.clone()).unwrap_or_default())));
    }
    let new = !fold(sum);
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&new.to_be_bytes());
    }
}

fn words(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
