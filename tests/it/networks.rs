//! One connection in several networks, several connections of one name, packets captured twice.
#![allow(clippy::cast_possible_truncation, clippy::vec_box, reason = "test captures are small; exchanges come boxed")]

use hopscope::base::Counters;
use hopscope::model::{Exchange, Wrapper};
use proptest::prelude::*;

use crate::engine::run;
use crate::support::file::Format;
use crate::support::link::{self, Link, Packet};
use crate::support::script::{Script, Segment, Side};
use crate::support::wrap::{self, Unit, Wrap};

const KEYS: [&str; 2] = ["q83vASNFZ4mrze8BI0VniQ==", "EjRWeJq83vASNFZ4mrze8A=="];

/// An upgrade, frames and a goodbye between always the same addresses and ports. `which`: sequence
/// numbers and key of which connection.
fn conversation(which: usize, six: bool) -> Vec<Segment> {
    let (client, server) = match six {
        true => ("[2001:db8:7::7]:40000", "[2001:db8:9::9]:80"),
        false => ("198.51.100.7:40000", "203.0.113.9:80"),
    };
    let script = Script::between(client, server).upgrade(KEYS[which]);
    let script = script.frame(Side::Server, 1, &[b'x'; 900]).frame(Side::Client, 2, &[7; 300]);
    let mut segments = script.goodbye().segments();
    let shift = 0x5000_0000 * which as u32;
    for s in &mut segments {
        s.seq = s.seq.wrapping_add(shift);
        // The first segment acknowledges nothing.
        s.ack = if s.flags.ack { s.ack.wrapping_add(shift) } else { 0 };
    }
    segments
}

/// A packet as it is captured on Ethernet; IPv4 packets get an identification.
fn captured(segment: &Segment, id: u16, wraps: &[Wrap]) -> Packet {
    let mut packet = link::packet(segment, Link::Raw, &[]);
    if packet.data[0] >> 4 == 4 {
        packet.data[4..6].copy_from_slice(&id.to_be_bytes());
    }
    let unit = wraps.iter().rev().fold(Unit::Ip(packet.data.clone()), |unit, wrap| wrap.put(unit));
    let data = wrap::linked(1, unit);
    Packet { wire_len: data.len() as u32, data, ..packet }
}

fn read(packets: &[Packet]) -> (Vec<Box<Exchange>>, Counters) {
    let (collected, counters) = run(Format::pcap(Link::Ethernet).write(packets));
    (collected.exchanges, counters)
}

fn keys(exchanges: &[Box<Exchange>]) -> Vec<String> {
    let key =
        |x: &Exchange| x.request.first_value("sec-websocket-key").map(|k| String::from_utf8_lossy(k).into_owned());
    let mut keys: Vec<String> = exchanges.iter().filter_map(|x| key(x)).collect();
    keys.sort();
    keys
}

fn via(x: &Exchange) -> Vec<String> {
    let text = |w: &Wrapper| match w {
        Wrapper::Link(text) => text.to_string(),
        _ => "not a link".to_owned(),
    };
    x.via.iter().map(text).collect()
}

fn frames(x: &Exchange) -> (u32, u32) {
    x.ws.map_or((0, 0), |ws| (ws.client.frames, ws.server.frames))
}

#[test]
fn two_connections_of_one_name_in_two_networks_are_two_flows() {
    let pairs = [
        ([Wrap::Vlan(10)], [Wrap::Vlan(20)]),
        ([Wrap::Vxlan(10, 4789)], [Wrap::Vxlan(20, 4789)]),
        ([Wrap::Mpls(100)], [Wrap::Mpls(200)]),
        ([Wrap::Gtp(1)], [Wrap::Gtp(2)]),
    ];
    for six in [false, true] {
        for (one, other) in pairs {
            let mut packets = Vec::new();
            for (n, (a, b)) in conversation(0, six).iter().zip(&conversation(1, six)).enumerate() {
                packets.push(captured(a, n as u16, &one));
                packets.push(captured(b, n as u16 + 5_000, &other));
            }
            let (exchanges, counters) = read(&packets);
            assert_eq!(keys(&exchanges), [KEYS[1], KEYS[0]], "{one:?}");
            assert!(exchanges.iter().all(|x| x.status() == Some(101) && frames(x) == (2, 2)), "{one:?}");
            assert_eq!((counters.flows, counters.gaps, counters.duplicate_packets), (2, 0, 0), "{one:?}");
            assert_ne!(via(&exchanges[0]), via(&exchanges[1]));
        }
    }
}

#[test]
fn two_connections_of_one_name_with_other_networks_each_way_are_two_flows() {
    let networks = |which: u16, side: Side| [Wrap::Vlan(10 + which * 2 + u16::from(side == Side::Server))];
    let mut packets = Vec::new();
    for (n, (a, b)) in conversation(0, false).iter().zip(&conversation(1, false)).enumerate() {
        packets.push(captured(a, n as u16, &networks(0, a.from)));
        packets.push(captured(b, n as u16 + 5_000, &networks(1, b.from)));
    }
    let (exchanges, counters) = read(&packets);
    assert_eq!(keys(&exchanges), [KEYS[1], KEYS[0]]);
    assert_eq!((counters.flows, counters.gaps), (2, 0));
    assert_eq!(via(&exchanges[0]), ["vlan 10 (client) / 11 (server)"]);
    assert_eq!(via(&exchanges[1]), ["vlan 12 (client) / 13 (server)"]);
}

#[test]
fn one_connection_with_another_network_each_way_is_one_flow() {
    let pairs = [
        (vec![Wrap::Vlan(10)], vec![Wrap::Vlan(20)]),
        (vec![Wrap::Vxlan(10, 4789)], vec![Wrap::Vxlan(20, 4789)]),
        (vec![Wrap::Mpls(100)], vec![Wrap::Mpls(200)]),
        (vec![Wrap::Gtp(1)], vec![Wrap::Gtp(2)]),
        (vec![Wrap::Vlan(10)], vec![]),
        (vec![], vec![Wrap::Vlan(10)]),
    ];
    for six in [false, true] {
        for (there, back) in &pairs {
            let way = |s: &Segment| if s.from == Side::Client { there } else { back };
            let packets: Vec<Packet> =
                conversation(0, six).iter().zip(0..).map(|(s, n)| captured(s, n, way(s))).collect();
            let (exchanges, counters) = read(&packets);
            assert_eq!(keys(&exchanges), [KEYS[0]], "{there:?}");
            assert_eq!((counters.flows, counters.gaps, frames(&exchanges[0])), (1, 0, (2, 2)), "{there:?}");
        }
    }
}

#[test]
fn a_connection_that_moves_to_another_network_goes_on() {
    let segments = conversation(0, false);
    let half = segments.len() / 2;
    let network = |n: usize| [Wrap::Vlan(if n < half { 10 } else { 20 })];
    let packets: Vec<Packet> = segments.iter().enumerate().map(|(n, s)| captured(s, n as u16, &network(n))).collect();
    let (exchanges, counters) = read(&packets);
    assert_eq!((keys(&exchanges).len(), counters.flows, frames(&exchanges[0])), (1, 1, (2, 2)));
}

/// Every packet again, a little later, wrapped otherwise.
fn twice(segments: &[Segment], first: &[Wrap], second: &[Wrap], later_ns: u64) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (s, n) in segments.iter().zip(1..) {
        packets.push(captured(s, n, first));
        let copy = captured(s, n, second);
        packets.push(Packet { at_ns: copy.at_ns + later_ns, ..copy });
    }
    packets.sort_by_key(|p| p.at_ns);
    packets
}

#[test]
fn copies_inside_and_outside_a_tunnel_or_on_any_are_one_packet() {
    let segments = conversation(0, false);
    for (first, second, later_ns) in [
        (vec![], vec![], 2_000),
        (vec![], vec![Wrap::Vxlan(42, 4789)], 40_000),
        (vec![Wrap::Vlan(7)], vec![], 900_000),
        // So late that others come between.
        (vec![Wrap::Vlan(7)], vec![Wrap::Vlan(8)], 3_000_000),
    ] {
        let (exchanges, counters) = read(&twice(&segments, &first, &second, later_ns));
        assert_eq!((keys(&exchanges), frames(&exchanges[0])), (vec![KEYS[0].to_owned()], (2, 2)));
        // Two packets of one place in the bounded memory push each other out, in a few of a hundred runs: what is
        // forgotten is a segment sent again.
        let missed = (segments.len() as u64).checked_sub(counters.duplicate_packets).expect("no copy of a copy");
        assert!(missed <= 4, "{first:?} {second:?}: {missed} copies are not known");
        assert!(counters.retransmissions <= missed, "{first:?} {second:?}");
        assert_eq!((counters.flows, counters.reordered), (1, 0), "{first:?} {second:?}");
    }
}

#[test]
fn a_segment_sent_again_is_no_copy() {
    let segments = conversation(0, false);
    let again = |s: &Segment, n: u16| {
        let packet = captured(s, n + 900, &[]);
        Packet { at_ns: packet.at_ns + 50_000, ..packet }
    };
    let packets: Vec<Packet> = segments.iter().zip(1..).flat_map(|(s, n)| [captured(s, n, &[]), again(s, n)]).collect();
    let (exchanges, counters) = read(&packets);
    assert_eq!(keys(&exchanges).len(), 1);
    assert_eq!(counters.duplicate_packets, 0);
    assert!(counters.retransmissions > 0);
}

#[test]
fn more_namesakes_than_are_told_apart_are_counted() {
    let mut packets = Vec::new();
    for n in 0..200_u16 {
        for s in conversation(0, false).iter().take(4) {
            let mut s = s.clone();
            let shift = u32::from(n).wrapping_mul(0x9e37_79b1);
            s.seq = s.seq.wrapping_add(shift);
            s.ack = if s.flags.ack { s.ack.wrapping_add(shift) } else { 0 };
            packets.push(captured(&s, n, &[Wrap::Vlan(n + 1)]));
        }
    }
    let (_, counters) = read(&packets);
    assert!(counters.evicted > 0 && counters.flows >= 40, "{counters:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However two connections of one name in two networks are interleaved, each is read as if alone.
    #[test]
    fn namesakes_do_not_disturb_each_other(order in prop::collection::vec(any::<bool>(), 64), six: bool) {
        let (mut a, mut b) = (conversation(0, six).into_iter(), conversation(1, six).into_iter());
        let mut packets = Vec::new();
        let (mut n, mut order) = (0_u16, order.into_iter().cycle());
        let mut now = a.as_slice()[0].at_ns;
        while !a.as_slice().is_empty() || !b.as_slice().is_empty() {
            let first = order.next().unwrap_or(true);
            let next = if first { a.next().map(|s| (s, 10)) } else { b.next().map(|s| (s, 20)) };
            let Some((segment, vlan)) = next else { continue };
            n += 1;
            now += 50_000;
            packets.push(Packet { at_ns: now, ..captured(&segment, n, &[Wrap::Vlan(vlan)]) });
        }
        let (exchanges, counters) = read(&packets);
        prop_assert_eq!(keys(&exchanges), [KEYS[1], KEYS[0]]);
        prop_assert!(exchanges.iter().all(|x| x.status() == Some(101) && frames(x) == (2, 2)));
        prop_assert_eq!(counters.gaps, 0);
    }
}
