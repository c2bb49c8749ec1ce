//! QUIC, from capture bytes to reports: it is recognised, counted and named, and nothing more is claimed. The datagrams
//! are written by tests/support/quic/make.py.

use crate::support::file::Format;
use crate::support::link::{Link, Packet};
use crate::support::run::report_on_bytes;

fn datagram(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).expect("digits"), 16).expect("a byte");
    digits.chunks(2).map(byte).collect()
}

fn first() -> [Vec<u8>; 2] {
    [datagram(include_str!("../support/quic/v1.hex")), datagram(include_str!("../support/quic/v2.hex"))]
}

/// UDP in IPv4 (RFC 768, RFC 791), without checksums.
fn packet(number: u64, payload: &[u8]) -> Packet {
    let length = |n: usize| u16::try_from(n).expect("a datagram").to_be_bytes();
    let mut data = vec![0x45, 0];
    data.extend(length(28 + payload.len()));
    data.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 198, 51, 100, 7, 203, 0, 113, 9]);
    data.extend(50_000_u16.to_be_bytes());
    data.extend(443_u16.to_be_bytes());
    data.extend(length(8 + payload.len()));
    data.extend([0, 0]);
    data.extend(payload);
    let at_ns = 1_772_366_400_000_000_000 + number * 1_000_000;
    Packet { at_ns, interface: 0, wire_len: u32::try_from(data.len()).expect("a length"), data }
}

fn capture(datagrams: &[&[u8]]) -> Vec<u8> {
    let packets: Vec<Packet> = (0..).zip(datagrams).map(|(number, payload)| packet(number, payload)).collect();
    Format::pcap(Link::Raw).write(&packets)
}

fn said(datagrams: &[&[u8]]) -> Option<String> {
    let report = report_on_bytes(&capture(datagrams));
    let found = report["findings"].as_array().expect("a list").iter().find(|f| f["rule"] == "cap-quic")?.clone();
    assert_eq!(found["severity"], "info");
    assert_eq!(report["exchanges"].as_array().map(Vec::len), Some(0), "nothing more is claimed");
    found["message"].as_str().map(str::to_owned)
}

#[test]
fn quic_of_either_version_is_counted_once_and_named() {
    let [one, two] = first();
    let told = said(&[&one, &two, &one, b"\x40 a short header"]).expect("it is told");
    let expected = "2 QUIC connections were opened: WebSocket over HTTP/3 would be here; not decoded. \
        They are for chat.example (2).";
    assert_eq!(told, expected);
}

#[test]
fn what_only_looks_like_quic_is_not_told() {
    for datagram in first() {
        for at in [0, 1, 6, 20, 40, 600, datagram.len() - 1] {
            let mut other = datagram.clone();
            other[at] ^= 0x20;
            assert_eq!(said(&[&other]), None, "byte {at} is another");
        }
        assert_eq!(said(&[&datagram[..datagram.len() - 1]]), None, "it is cut");
    }
}
