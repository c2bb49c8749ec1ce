//! PROXY protocol headers, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt, revision 2020/03/05):
//! what a proxy writes before the first byte of a connection, to tell whose connection it passes on.
//! A faulty header is read as far as it goes, and its fault named: that is what must be shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{Endpoint, limits};

/// The first bytes of a version 2 header (§2.2).
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The first bytes of a version 1 header (§2.1).
pub const V1: &[u8; 6] = b"PROXY ";

/// Longest version 1 header in bytes, CRLF included (§2.1).
const V1_BYTES: usize = 107;

/// Bytes of a version 2 header before its addresses (§2.2).
const V2_FIXED: usize = 16;

/// TLV types (§2.2.1 to §2.2.7).
pub const ALPN: u8 = 0x01;
pub const AUTHORITY: u8 = 0x02;
pub const CRC32C: u8 = 0x03;
pub const NOOP: u8 = 0x04;
pub const UNIQUE_ID: u8 = 0x05;
pub const SSL: u8 = 0x20;
pub const SSL_VERSION: u8 = 0x21;
pub const SSL_CN: u8 = 0x22;
pub const NETNS: u8 = 0x30;

/// A header, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// 1 or 2.
    pub version: u8,
    /// Bytes of the whole header, as it says itself; what it belongs to begins behind them.
    pub length: usize,
    /// `UNKNOWN` (version 1) or LOCAL (version 2): the proxy speaks for itself.
    pub local: bool,
    /// Who opened the connection that is passed on, and to where. `None` where the header does not
    /// say, or not for TCP over IP.
    pub source: Option<Endpoint>,
    pub destination: Option<Endpoint>,
    /// In order; those inside PP2_TYPE_SSL follow it. At most `limits::PROXY_TLVS`.
    pub tlvs: Vec<Tlv<'a>>,
    /// The first thing that is wrong with it, in words. `None`: nothing is.
    pub fault: Option<&'static str>,
}

/// A type, and what stands in it. Of PP2_TYPE_SSL only its flags and the result of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    pub kind: u8,
    pub value: &'a [u8],
}

/// What the first bytes of a connection are, as far as the PROXY protocol is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// No PROXY header.
    No,
    /// It may be one, or is one that goes on: more bytes are needed.
    More,
    Header(Header<'a>),
}

/// Whether a PROXY header begins here. `None`: more bytes are needed.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    for start in [&SIGNATURE[..], &V1[..]] {
        let n = bytes.len().min(start.len());
        if bytes.get(..n) == start.get(..n) {
            return (n == start.len()).then_some(true);
        }
    }
    Some(false)
}

/// Reads the header at the start of `bytes`. Of a version 2 header no more than
/// `limits::PROXY_HEADER_BYTES` are waited for; what lies behind is part of `length` and not read.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    match begins(bytes) {
        None => Parsed::More,
        Some(false) => Parsed::No,
        Some(true) if bytes.starts_with(V1) => v1(bytes),
        Some(true) => v2(bytes),
    }
}

fn v1(bytes: &[u8]) -> Parsed<'_> {
    let window = bytes.get(..V1_BYTES).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', window) else {
        if window.len() < V1_BYTES {
            return Parsed::More;
        }
        let fault = Some("no line end in its first 107 bytes");
        return Parsed::Header(Header { version: 1, length: V1_BYTES, fault, ..Header::default() });
    };
    let mut header = Header { version: 1, length: end + 1, ..Header::default() };
    let line = window.get(V1.len()..end).unwrap_or_default();
    header.fault = match line.strip_suffix(b"\r") {
        None => Some("its line ends in a bare LF"),
        Some(line) => v1_words(line, &mut header).err(),
    };
    Parsed::Header(header)
}

/// `TCP4 source destination port port` (§2.1): one space between, numbers without leading zeros.
fn v1_words(line: &[u8], header: &mut Header<'_>) -> Result<(), &'static str> {
    let mut words = line.split(|&b| b == b' ');
    let family = words.next().unwrap_or_default();
    if family == b"UNKNOWN" {
        header.local = true;
        return Ok(());
    }
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let (source, destination, from, to) = (word(), word(), word(), word());
    let (source, destination) = match family {
        b"TCP4" => (ip::<Ipv4Addr>(source), ip::<Ipv4Addr>(destination)),
        b"TCP6" => (ip::<Ipv6Addr>(source), ip::<Ipv6Addr>(destination)),
        _ => return Err("its protocol is none of TCP4, TCP6 and UNKNOWN"),
    };
    let (Some(source), Some(destination)) = (source, destination) else {
        return Err("an address is missing or not of the family it names");
    };
    let (Some(from), Some(to)) = (port(from), port(to)) else { return Err("a port is missing or no number") };
    if words.next().is_some() {
        return Err("more words than addresses and ports");
    }
    header.source = Some(Endpoint::new(source, from));
    header.destination = Some(Endpoint::new(destination, to));
    Ok(())
}

fn ip<A: std::str::FromStr + Into<IpAddr>>(word: Option<&str>) -> Option<IpAddr> {
    word?.parse::<A>().ok().map(Into::into)
}

fn port(word: Option<&str>) -> Option<u16> {
    let word = word.filter(|w| w.bytes().all(|b| b.is_ascii_digit()) && (*w == "0" || !w.starts_with('0')))?;
    word.parse().ok()
}

fn v2(bytes: &[u8]) -> Parsed<'_> {
    let Some([version, family, a, b]) = bytes.get(SIGNATURE.len()..V2_FIXED) else { return Parsed::More };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([*a, *b]));
    let kept = length.min(limits::PROXY_HEADER_BYTES);
    let Some(whole) = bytes.get(..kept) else { return Parsed::More };
    let body = whole.get(V2_FIXED..).unwrap_or_default();
    let mut header = Header { version: 2, length, ..Header::default() };
    if kept < length {
        header.fault = Some("longer than any proxy writes; its end was not read");
    }
    match version {
        0x20 => header.local = true,
        0x21 => {}
        _ if version >> 4 != 2 => header.fault = Some("its version is not 2"),
        _ => header.fault = Some("its command is neither LOCAL nor PROXY"),
    }
    let addresses = match family >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => {
            header.fault = header.fault.or(Some("its address family is unknown"));
            return Parsed::Header(header);
        }
    };
    let Some((ends, tlvs)) = body.split_at_checked(addresses) else {
        // A LOCAL header may leave them out (§2.2).
        if !header.local {
            header.fault = header.fault.or(Some("shorter than the addresses it announces"));
        }
        return Parsed::Header(header);
    };
    if *family & 0xf > 2 {
        header.fault = header.fault.or(Some("its transport is unknown"));
    }
    // What a LOCAL header says of addresses is to be ignored (§2.2).
    if !header.local
        && *family & 0xf == 1
        && let Some((source, destination)) = v2_ends(ends)
    {
        (header.source, header.destination) = (Some(source), Some(destination));
    }
    read_tlvs(tlvs, kept < length, &mut header);
    if kept == length && crc_at(tlvs).is_some_and(|at| !crc_fits(whole, V2_FIXED + addresses + at)) {
        header.fault = header.fault.or(Some("its CRC-32C does not fit"));
    }
    Parsed::Header(header)
}

fn v2_ends(ends: &[u8]) -> Option<(Endpoint, Endpoint)> {
    let port = |at: usize| Some(u16::from_be_bytes(*ends.get(at..)?.first_chunk()?));
    let (source, destination, ports): (IpAddr, IpAddr, usize) = match ends.len() {
        12 => {
            let four = |at: usize| Some(Ipv4Addr::from(*ends.get(at..)?.first_chunk::<4>()?));
            (four(0)?.into(), four(4)?.into(), 8)
        }
        36 => {
            let six = |at: usize| Some(Ipv6Addr::from(*ends.get(at..)?.first_chunk::<16>()?));
            (six(0)?.into(), six(16)?.into(), 32)
        }
        _ => return None,
    };
    Some((Endpoint::new(source, port(ports)?), Endpoint::new(destination, port(ports + 2)?)))
}

/// TLVs one behind the other (§2.2). `cut`: bytes behind these were not read.
fn read_tlvs<'a>(mut rest: &'a [u8], cut: bool, header: &mut Header<'a>) {
    while let Some((kind, value, behind)) = tlv(rest) {
        rest = behind;
        if header.tlvs.len() >= limits::PROXY_TLVS {
            header.fault = header.fault.or(Some("more TLVs than were read"));
            return;
        }
        if kind != SSL {
            if kind != NOOP {
                header.tlvs.push(Tlv { kind, value });
            }
            continue;
        }
        // One byte of flags, four of the certificate check's result, then TLVs again (§2.2.6).
        let (fixed, mut inner) = value.split_at_checked(5).unwrap_or((value, &[]));
        header.tlvs.push(Tlv { kind, value: fixed });
        while let Some((kind, value, behind)) = tlv(inner).filter(|_| header.tlvs.len() < limits::PROXY_TLVS) {
            header.tlvs.push(Tlv { kind, value });
            inner = behind;
        }
        if !inner.is_empty() || fixed.len() < 5 {
            header.fault = header.fault.or(Some("a TLV inside PP2_TYPE_SSL does not fit into it"));
        }
    }
    if !rest.is_empty() && !cut {
        header.fault = header.fault.or(Some("its last TLV goes beyond its end"));
    }
}

fn tlv(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, a, b], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([a, b])))?;
    Some((kind, value, rest))
}

/// Where the value of the first PP2_TYPE_CRC32C stands among TLVs.
fn crc_at(tlvs: &[u8]) -> Option<usize> {
    let mut rest = tlvs;
    while let Some((kind, value, behind)) = tlv(rest) {
        if kind == CRC32C {
            return tlvs.len().checked_sub(behind.len() + value.len());
        }
        rest = behind;
    }
    None
}

/// Whether the checksum at this place fits the header with its own four bytes taken as zero (§2.2.3).
fn crc_fits(header: &[u8], at: usize) -> bool {
    let Some(told) = header.get(at..).and_then(<[u8]>::first_chunk) else { return false };
    let (before, behind) = (header.get(..at).unwrap_or_default(), header.get(at + 4..).unwrap_or_default());
    let sum = [before, &[0; 4], behind].into_iter().fold(0, crc32c::crc32c_append);
    sum == u32::from_be_bytes(*told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> Header<'_> {
        match parse(bytes) {
            Parsed::Header(header) => header,
            other => panic!("{other:?}"),
        }
    }

    /// A version 2 header around a body.
    fn two(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap_or(u16::MAX);
        [SIGNATURE, &[command, family][..], &len.to_be_bytes(), body].concat()
    }

    const ENDS: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x9c, 0x40, 0, 80];

    #[test]
    fn version_1_tells_both_ends_as_section_2_1_has_it() {
        let h = header(b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 80\r\nGET /");
        assert_eq!((h.version, h.length, h.local, h.fault), (1, 44, false, None));
        assert_eq!(h.source.map(|e| e.to_string()).as_deref(), Some("192.0.2.1:40000"));
        assert_eq!(h.destination.map(|e| e.to_string()).as_deref(), Some("198.51.100.2:80"));
        let six = header(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
        assert_eq!(six.source.map(|e| e.to_string()).as_deref(), Some("[2001:db8::1]:1"));
        let unknown = header(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n");
        assert_eq!((unknown.local, unknown.source, unknown.fault), (true, None, None));
    }

    #[test]
    fn a_faulty_version_1_header_is_told_and_not_dropped() {
        for (line, fault) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 40000 80\n", "its line ends in a bare LF"),
            ("PROXY UDP4 192.0.2.1 198.51.100.2 40000 80\r\n", "its protocol is none of TCP4, TCP6 and UNKNOWN"),
            ("PROXY TCP4 ::1 198.51.100.2 40000 80\r\n", "an address is missing or not of the family it names"),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n", "a port is missing or no number"),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 040000 80\r\n", "a port is missing or no number"),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 80 x\r\n", "more words than addresses and ports"),
        ] {
            let h = header(line.as_bytes());
            assert_eq!((h.fault, h.length), (Some(fault), line.len()), "{line}");
            assert_eq!(h.source, None, "{line}");
        }
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        let endless = header(&endless);
        assert_eq!((endless.fault, endless.length), (Some("no line end in its first 107 bytes"), 107));
    }

    #[test]
    fn version_2_tells_both_ends_and_its_tlvs() {
        let ssl = [&[7, 0, 0, 0, 0, SSL_VERSION, 0, 7][..], b"TLSv1.3", &[SSL_CN, 0, 2], b"me"].concat();
        let tlvs = [
            &[ALPN, 0, 8][..],
            b"http/1.1",
            &[AUTHORITY, 0, 4],
            b"a.b.",
            &[NOOP, 0, 1, 0, SSL, 0, u8::try_from(ssl.len()).unwrap_or(u8::MAX)],
            &ssl,
            &[0xea, 0, 1, 9],
        ];
        let bytes = two(0x21, 0x11, &[&ENDS[..], &tlvs.concat()].concat());
        let h = header(&bytes);
        assert_eq!((h.version, h.length, h.fault), (2, bytes.len(), None));
        assert_eq!(h.source.map(|e| e.to_string()).as_deref(), Some("192.0.2.1:40000"));
        let kinds: Vec<(u8, &[u8])> = h.tlvs.iter().map(|t| (t.kind, t.value)).collect();
        let expected: [(u8, &[u8]); 6] = [
            (ALPN, b"http/1.1"),
            (AUTHORITY, b"a.b."),
            (SSL, &[7, 0, 0, 0, 0]),
            (SSL_VERSION, b"TLSv1.3"),
            (SSL_CN, b"me"),
            (0xea, &[9]),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn version_2_of_a_local_or_unknown_connection_tells_no_ends() {
        for bytes in [two(0x20, 0x00, &[]), two(0x20, 0x11, &ENDS), two(0x21, 0x00, &[]), two(0x20, 0x11, &[])] {
            let h = header(&bytes);
            assert_eq!((h.source, h.destination, h.fault), (None, None, None), "{bytes:?}");
        }
        let six = [&[0; 15][..], &[1], &[0; 15], &[2, 0, 1, 0, 2]].concat();
        assert_eq!(header(&two(0x21, 0x21, &six)).source.map(|e| e.to_string()).as_deref(), Some("[::1]:1"));
        assert_eq!(header(&two(0x21, 0x31, &[b'/'; 216])).fault, None, "a UNIX socket");
    }

    #[test]
    fn a_faulty_version_2_header_is_told_and_its_length_still_holds() {
        for (bytes, fault) in [
            (two(0x11, 0x11, &ENDS), "its version is not 2"),
            (two(0x22, 0x11, &ENDS), "its command is neither LOCAL nor PROXY"),
            (two(0x21, 0x41, &ENDS), "its address family is unknown"),
            (two(0x21, 0x11, &ENDS[..8]), "shorter than the addresses it announces"),
            (two(0x21, 0x11, &[&ENDS[..], &[1, 0, 9, b'h']].concat()), "its last TLV goes beyond its end"),
            (
                two(0x21, 0x11, &[&ENDS[..], &[SSL, 0, 2, 1, 0]].concat()),
                "a TLV inside PP2_TYPE_SSL does not fit into it",
            ),
            (two(0x21, 0x11, &[&ENDS[..], &[CRC32C, 0, 4, 1, 2, 3, 4]].concat()), "its CRC-32C does not fit"),
        ] {
            let h = header(&bytes);
            assert_eq!((h.fault, h.length), (Some(fault), bytes.len()));
        }
        let many = [&ENDS[..], &[0xe0, 0, 0].repeat(limits::PROXY_TLVS + 1)].concat();
        let bytes = two(0x21, 0x11, &many);
        let h = header(&bytes);
        assert_eq!((h.fault, h.tlvs.len()), (Some("more TLVs than were read"), limits::PROXY_TLVS));
    }

    #[test]
    fn the_checksum_is_that_of_rfc_3720_and_leaves_itself_out() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        let mut bytes = two(0x21, 0x11, &[&ENDS[..], &[CRC32C, 0, 4, 0, 0, 0, 0]].concat());
        let crc = crc32c::crc32c(&bytes);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(header(&bytes).fault, None);
    }

    #[test]
    fn a_header_that_goes_on_is_waited_for_and_one_that_is_too_long_is_not() {
        let bytes = two(0x21, 0x11, &ENDS);
        for n in 0..bytes.len() {
            assert_eq!(parse(&bytes[..n]), Parsed::More, "{n}");
        }
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 80\r\n";
        for n in 0..line.len() {
            assert_eq!(parse(&line[..n]), Parsed::More, "{n}");
        }
        let long = two(0x21, 0x11, &[&ENDS[..], &[0xe0; 60_000]].concat());
        let h = header(&long[..limits::PROXY_HEADER_BYTES]);
        assert_eq!((h.length, h.source.is_some()), (60_028, true));
        assert_eq!(h.fault, Some("longer than any proxy writes; its end was not read"));
        for other in [&b"PROPFIND / HTTP/1.1"[..], b"\r\nGET /", b"PROXYISH", b"GET"] {
            assert_eq!(parse(other), Parsed::No);
        }
    }
}
