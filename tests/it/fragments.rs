//! `hopscope extract` where datagrams came in fragments: every fragment of a kept one is written, and none
//! of another.
#![allow(clippy::cast_possible_truncation, clippy::type_complexity, reason = "numbers of a small capture")]

use std::collections::BTreeSet;

use hopscope::base::limits;
use proptest::prelude::*;

use crate::extract::{Folder, exchanges, extract, number, packets, run_extract};
use crate::extract_report::told;
use crate::support::file::Format;
use crate::support::link::{Link, Packet};
use crate::support::run;
use crate::support::script::{Script, Side};
use crate::support::wrap::{self, Unit, Wrap};
use crate::tunnels::{any_wrap, on_known_ports, raw, through};

/// Connections of a capture, and how many of each travel at once.
const CONNECTIONS: usize = 4;

/// The packets of connections that run side by side, as IP packets: whose, and what.
fn side_by_side(six: bool) -> Vec<(usize, Packet)> {
    let keys = [
        "q83vASNFZ4mrze8BI0VniQ==",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "AQIDBAUGBwgJCgsMDQ4PEA==",
        "x3JJHMbDL1EzLkh9GBhXDw==",
    ];
    let mut all = Vec::new();
    for (n, key) in keys.into_iter().enumerate().take(CONNECTIONS) {
        let (client, server) = match six {
            true => (format!("[2001:db8:7::7]:4000{n}"), "[2001:db8:9::9]:80"),
            false => (format!("198.51.100.7:4000{n}"), "203.0.113.9:80"),
        };
        let script = Script::between(&client, server).upgrade(key);
        let script = script.frame(Side::Server, 1, &vec![b'x'; 700 + n]).frame(Side::Client, 2, &[7; 300]).goodbye();
        all.push(raw(&script.segments()));
    }
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|at| all.iter().enumerate().filter_map(move |(n, of)| Some((n, of.get(at)?.clone()))))
        .collect()
}

/// All packets in fragments, a few of different connections mixed: whose, and what.
fn shuffled(
    packets: &[(usize, Packet)],
    make: &dyn Fn(&Packet, u32) -> Vec<Packet>,
    swaps: &[u16],
) -> Vec<(usize, Packet)> {
    let mut captured = Vec::new();
    for (n, chunk) in packets.chunks(CONNECTIONS).enumerate() {
        let mut pieces: Vec<(usize, Packet)> = Vec::new();
        for (id, (of, packet)) in chunk.iter().enumerate() {
            let id = (n * CONNECTIONS + id) as u32;
            pieces.extend(make(packet, id).into_iter().map(|piece| (*of, piece)));
        }
        let len = pieces.len();
        for (at, swap) in swaps.iter().enumerate() {
            pieces.swap(at % len, usize::from(*swap) % len);
        }
        captured.extend(pieces);
    }
    for (n, (_, packet)) in captured.iter_mut().enumerate() {
        // In the order of time, a microsecond apart, so that nothing is sorted anew.
        packet.at_ns = n as u64 * 1_000;
    }
    captured
}

/// Extracts each connection alone: it is reported as it was, from its own packets and no other.
fn each_connection_alone(captured: &[(usize, Packet)], link: Link) -> Result<(), TestCaseError> {
    let folder = Folder::new();
    let file: Vec<Packet> = captured.iter().map(|(_, packet)| packet.clone()).collect();
    let file = folder.file("a.pcap", &Format::pcap(link).write(&file));
    let before = run::report(&[&file]);
    prop_assert_eq!(exchanges(&before).len(), CONNECTIONS);
    for x in exchanges(&before) {
        let out = extract(&folder, &[&file], &["--exchange", &x["id"].to_string()]);
        let after = run::report(&[&out]);
        let flow = BTreeSet::from([number(&x["flow"])]);
        prop_assert_eq!(told(&after, None), told(&before, Some(&flow)));
        prop_assert_eq!(after["counters"]["fragments_lost"].as_u64().unwrap_or(0), 0);
        let port = number(&x["client"]["port"]) as usize;
        let own: Vec<&[u8]> =
            captured.iter().filter(|(of, _)| 40_000 + of == port).map(|(_, packet)| &packet.data[..]).collect();
        let written = packets(&out);
        prop_assert!(written.iter().map(|p| &p.data[..]).eq(own), "other packets for port {}", port);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_extract_holds_every_fragment_of_its_connection_and_no_other(
        six in any::<bool>(),
        sizes in prop::collection::vec(0_usize..60, 1..6),
        swaps in prop::collection::vec(any::<u16>(), 0..60),
        mut outside in prop::collection::vec(any_wrap(), 0..3),
        mut inside in prop::collection::vec(any_wrap(), 0..3),
    ) {
        on_known_ports(&mut outside);
        on_known_ports(&mut inside);
        // A fragment is authenticated before it is one, and is no packet that is plain to see.
        if let Some(last @ (Wrap::Authenticated | Wrap::Vxlan(_, 9_999) | Wrap::Geneve(_, 9_999))) = outside.last_mut()
        {
            *last = Wrap::InIpv4;
        }
        let make = |packet: &Packet, id: u32| {
            let whole = ip(through(&inside, packet.data.clone()));
            let pieces = wrap::fragments(&whole, &sizes, id).into_iter();
            pieces.map(|piece| frame(wrap::linked(1, through(&outside, piece)), packet)).collect()
        };
        each_connection_alone(&shuffled(&side_by_side(six), &make, &swaps), Link::Ethernet)?;
    }

    #[test]
    fn fragments_in_tunnels_that_are_fragmented_themselves_are_all_written(
        six in any::<bool>(),
        outer in prop::collection::vec(3_usize..20, 1..4),
        inner in prop::collection::vec(3_usize..20, 1..4),
        swaps in prop::collection::vec(any::<u16>(), 0..40),
    ) {
        let make = |packet: &Packet, id: u32| {
            let pieces = wrap::fragments(&packet.data, &inner, id).into_iter().enumerate();
            pieces.flat_map(|(n, piece)| {
                let tunnel = ip(Wrap::Vxlan(42, 4_789).put(Unit::Ip(piece)));
                let pieces = wrap::fragments(&tunnel, &outer, id << 8 | n as u32);
                pieces.into_iter().map(|data| frame(wrap::linked(1, Unit::Ip(data)), packet)).collect::<Vec<_>>()
            })
            .collect()
        };
        each_connection_alone(&shuffled(&side_by_side(six), &make, &swaps), Link::Ethernet)?;
    }
}

#[test]
fn what_is_too_much_to_write_of_one_datagram_is_told() {
    let mut captured = Vec::new();
    for (id, (of, packet)) in side_by_side(false).into_iter().enumerate() {
        let pieces = wrap::fragments(&packet.data, &[2], id as u32);
        // The first of one datagram over and over again.
        let again = if of == 1 && id == 1 { limits::FRAGMENT_PACKETS } else { 1 };
        for (n, piece) in pieces.into_iter().enumerate() {
            let times = if n == 0 { again } else { 1 };
            captured.extend(std::iter::repeat_n(frame(piece, &packet), times));
        }
    }
    for (n, packet) in captured.iter_mut().enumerate() {
        packet.at_ns = n as u64 * 1_000;
    }
    let folder = Folder::new();
    let file = folder.file("a.pcap", &Format::pcap(Link::Raw).write(&captured));
    let out = folder.path("out.pcapng");
    let output = run_extract(&[&file], &["-Y", ""], &out);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.contains("left out: 1 packet that brought fragments"), "{words}");
    assert_eq!(told(&run::report(&[&out]), None), told(&run::report(&[&file]), None));
}

fn ip(unit: Unit) -> Vec<u8> {
    match unit {
        Unit::Ip(packet) => packet,
        frame => ip(Wrap::EtherIp.put(frame)),
    }
}

fn frame(data: Vec<u8>, like: &Packet) -> Packet {
    Packet { wire_len: data.len() as u32, data, ..like.clone() }
}
