//! Whatever a conversation's packets are wrapped in, and however they are fragmented: its exchanges are
//! the same, and what stood around them is told.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::base::{Counters, limits};
use hopscope::model::Wrapper;
use proptest::prelude::*;

use crate::engine::{conversations, run, text_of};
use crate::support::file::Format;
use crate::support::link::{self, Link, Packet};
use crate::support::script::{Script, Segment, Side};
use crate::support::wrap::{self, Unit, Wrap};

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

/// What a capture is read as: exchanges without their wrappers, the wrappers of each, what was counted.
fn read(link: Link, packets: &[Packet]) -> (Vec<String>, Vec<Vec<String>>, Counters) {
    let (collected, counters) = run(Format::pcap(link).write(packets));
    let via = |w: &Wrapper| match w {
        Wrapper::Link(text) => text.to_string(),
        _ => "not a link".to_owned(),
    };
    let vias = collected.exchanges.iter().map(|x| x.via.iter().map(via).collect()).collect();
    let texts = collected
        .exchanges
        .iter()
        .map(|x| {
            let mut x = x.clone();
            x.via.clear();
            text_of(&x)
        })
        .collect();
    (texts, vias, counters)
}

/// All segments as IP packets.
pub(crate) fn raw(segments: &[Segment]) -> Vec<Packet> {
    link::packets(segments, Link::Raw)
}

/// One upgrade with a refusal before it and frames behind it.
fn conversation(six: bool) -> Vec<Segment> {
    let (client, server) = match six {
        true => ("[2001:db8:7::7]:40000", "[2001:db8:9::9]:80"),
        false => ("198.51.100.7:40000", "203.0.113.9:80"),
    };
    Script::between(client, server)
        .head(Side::Client, "GET /chat HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade")
        .head(Side::Server, "HTTP/1.1 400 Bad Request\nContent-Length: 3")
        .server("no\n")
        .upgrade(KEY)
        .frame(Side::Server, 1, &[b'x'; 900])
        .frame(Side::Client, 2, &[7; 300])
        .goodbye()
        .segments()
}

/// From the innermost, which stands last, outwards.
pub(crate) fn through(wraps: &[Wrap], packet: Vec<u8>) -> Unit {
    wraps.iter().rev().fold(Unit::Ip(packet), |unit, wrap| wrap.put(unit))
}

pub(crate) fn any_wrap() -> impl Strategy<Value = Wrap> {
    prop_oneof![
        (1_u16..4_095).prop_map(Wrap::Vlan),
        (1_u16..4_095).prop_map(Wrap::ServiceVlan),
        (16_u32..1 << 20).prop_map(Wrap::Mpls),
        any::<u16>().prop_map(Wrap::Pppoe),
        Just(Wrap::Snap),
        (0_u32..1 << 24).prop_map(Wrap::Pbb),
        (0_u32..1 << 24, prop_oneof![Just(4789_u16), Just(8472), Just(9999)])
            .prop_map(|(id, port)| Wrap::Vxlan(id, port)),
        (0_u32..1 << 24, prop_oneof![Just(6081_u16), Just(9999)]).prop_map(|(id, port)| Wrap::Geneve(id, port)),
        (0_u32..1 << 24).prop_map(Wrap::Nsh),
        (any::<Option<u32>>(), any::<bool>(), any::<bool>()).prop_map(|(key, sequence, checksum)| Wrap::Gre {
            key,
            sequence,
            checksum
        }),
        any::<u16>().prop_map(Wrap::Pptp),
        (1_u8..4, 0_u16..1_024).prop_map(|(kind, session)| Wrap::Erspan(kind, session)),
        Just(Wrap::InIpv4),
        Just(Wrap::InIpv6),
        Just(Wrap::EtherIp),
        any::<u32>().prop_map(Wrap::Gtp),
        Just(Wrap::Tzsp),
        Just(Wrap::Authenticated),
    ]
}

/// On ports of others a tunnel is recognised where an IP packet is plain to see in it.
pub(crate) fn on_known_ports(wraps: &mut [Wrap]) {
    let beyond_the_innermost = wraps.len().saturating_sub(1);
    for wrap in &mut wraps[..beyond_the_innermost] {
        match wrap {
            Wrap::Vxlan(_, port) if *port == 9_999 => *port = 4_789,
            Wrap::Geneve(_, port) if *port == 9_999 => *port = 6_081,
            _ => {}
        }
    }
}

/// Wrappers that need an IP packet carry a frame in EtherIP first, which counts too.
fn nesting(wraps: &[Wrap]) -> usize {
    let mut frame = false;
    let mut depth = 0;
    for wrap in wraps.iter().rev() {
        let needs_ip = matches!(
            wrap,
            Wrap::Pppoe(_) | Wrap::Pptp(_) | Wrap::InIpv4 | Wrap::InIpv6 | Wrap::Gtp(_) | Wrap::Authenticated
        );
        depth += 1 + usize::from(needs_ip && frame);
        frame = matches!(
            wrap,
            Wrap::Vlan(_)
                | Wrap::ServiceVlan(_)
                | Wrap::Mpls(_)
                | Wrap::Pppoe(_)
                | Wrap::Snap
                | Wrap::Pbb(_)
                | Wrap::Nsh(_)
        );
    }
    depth + usize::from(frame)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_nesting_of_wrappers_gives_the_same_exchanges(
        mut wraps in prop::collection::vec(any_wrap(), 0..9),
        six in any::<bool>(),
        number in prop_oneof![Just(1_u16), Just(9), Just(101), Just(127), Just(192), Just(239), Just(258)],
    ) {
        on_known_ports(&mut wraps);
        prop_assume!(nesting(&wraps) <= limits::NESTING);
        let packets = raw(&conversation(six));
        let expected = read(Link::Raw, &packets);
        let wrapped: Vec<Packet> = packets.iter().map(|packet| {
            let data = wrap::linked(number, through(&wraps, packet.data.clone()));
            Packet { wire_len: data.len() as u32, data, ..packet.clone() }
        }).collect();
        let found = read(Link::Other(number), &wrapped);
        prop_assert!(found.0 == expected.0, "other exchanges: {:?}", found.1);
        prop_assert_eq!((found.2.undecodable, found.2.too_deep, found.2.flows), (0, 0, 1));
    }

    #[test]
    fn fragments_in_any_order_give_the_same_exchanges(
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
        let packets = raw(&conversation(six));
        let expected = read(Link::Raw, &packets);
        let mut captured = Vec::new();
        for (id, packet) in packets.iter().enumerate() {
            // Tunnels in fragments, fragments in tunnels.
            let unit = through(&inside, packet.data.clone());
            let Unit::Ip(whole) = (match unit { Unit::Ip(_) => unit, frame => Wrap::EtherIp.put(frame) }) else {
                panic!("EtherIP is IP")
            };
            let mut pieces = wrap::fragments(&whole, &sizes, id as u32);
            for (n, swap) in swaps.iter().enumerate() {
                let len = pieces.len();
                pieces.swap(n % len, usize::from(*swap) % len);
            }
            for piece in pieces {
                let data = wrap::linked(1, through(&outside, piece));
                captured.push(Packet { wire_len: data.len() as u32, data, ..packet.clone() });
            }
        }
        let found = read(Link::Ethernet, &captured);
        prop_assert!(found.0 == expected.0, "other exchanges: {:?}", found.1);
        prop_assert_eq!((found.2.undecodable, found.2.fragments_lost, found.2.fragment_conflicts), (0, 0, 0));
    }
}

#[test]
fn every_conversation_comes_through_a_tunnel_unchanged() {
    let tunnel = [Wrap::Vlan(3), Wrap::Vxlan(42, 4789), Wrap::Gre { key: Some(42), sequence: true, checksum: true }];
    for (name, segments) in conversations() {
        let packets = raw(&segments);
        let wrapped: Vec<Packet> =
            packets.iter().map(|p| wrap::captured(through(&tunnel, p.data.clone()), p).1).collect();
        let (expected, found) = (read(Link::Raw, &packets), read(Link::Ethernet, &wrapped));
        assert_eq!(found.0, expected.0, "{name}");
        assert!(found.1.iter().all(|via| *via == ["vlan 3", "vxlan 42", "gre 0x2a"]), "{name}: {:?}", found.1);
        assert!(expected.1.iter().all(Vec::is_empty));
    }
}

#[test]
fn another_tunnel_each_way_is_one_connection_and_both_are_told() {
    let segments = conversation(false);
    let wrapped: Vec<Packet> = raw(&segments)
        .iter()
        .zip(&segments)
        .map(|(packet, segment)| {
            let number = if segment.from == Side::Client { 42 } else { 43 };
            let wraps = [Wrap::Vlan(number), Wrap::Mpls(16), Wrap::Gtp(u32::from(number))];
            wrap::captured(through(&wraps, packet.data.clone()), packet).1
        })
        .collect();
    let (exchanges, vias, counters) = read(Link::Ethernet, &wrapped);
    assert_eq!((exchanges.len(), counters.flows), (2, 1));
    for via in vias {
        assert_eq!(via, ["vlan 42 (client) / 43 (server)", "mpls 16", "gtp-u 0x2a (client) / 0x2b (server)"]);
    }
}

#[test]
fn more_wrappers_than_allowed_are_counted() {
    let packets = raw(&conversation(false));
    let wraps = [Wrap::InIpv4; 9];
    let wrapped: Vec<Packet> = packets.iter().map(|p| wrap::captured(through(&wraps, p.data.clone()), p).1).collect();
    let (exchanges, _, counters) = read(Link::Raw, &wrapped);
    assert_eq!((exchanges.len(), counters.flows), (0, 0));
    assert_eq!(counters.too_deep, packets.len() as u64);
    let fewer: Vec<Packet> =
        packets.iter().map(|p| wrap::captured(through(&wraps[1..], p.data.clone()), p).1).collect();
    assert_eq!(read(Link::Raw, &fewer).0.len(), 2);
}

#[test]
fn the_snap_length_takes_from_the_innermost_payload_alone() {
    let segments = conversation(false);
    let tunnel = [Wrap::Vlan(3), Wrap::Vxlan(42, 4789)];
    let mut plain = raw(&segments);
    let mut wrapped: Vec<Packet> =
        plain.iter().map(|p| wrap::captured(through(&tunnel, p.data.clone()), p).1).collect();
    let around = wrapped[0].data.len() - plain[0].data.len();
    link::snap(&mut plain, 400);
    link::snap(&mut wrapped, 400 + around);
    let (expected, found) = (read(Link::Raw, &plain), read(Link::Ethernet, &wrapped));
    assert_eq!(found.0, expected.0);
    assert!(found.2.gap_bytes > 0 || found.2.snapped > 0);
    assert_eq!((found.2.snapped, found.2.undecodable), (expected.2.snapped, 0));
}

#[test]
fn aggregated_frames_give_all_their_segments() {
    let packets = raw(&conversation(false));
    let expected = read(Link::Raw, &packets);
    let aggregated: Vec<Packet> = packets
        .chunks(3)
        .map(|chunk| {
            let inside: Vec<Vec<u8>> = chunk.iter().map(|p| p.data.clone()).collect();
            let data = wrap::aggregated(&inside);
            Packet { wire_len: data.len() as u32, data, ..chunk[0].clone() }
        })
        .collect();
    assert_eq!(read(Link::Other(127), &aggregated).0, expected.0);
}

#[test]
fn a_datagram_whose_fragments_never_come_is_counted_and_hides_nothing_else() {
    let packets = raw(&conversation(false));
    let mut captured = Vec::new();
    for packet in &packets {
        let mut stray = wrap::fragments(&packet.data, &[1], 77);
        stray.truncate(1);
        captured.push(Packet { wire_len: stray[0].len() as u32, data: stray.remove(0), ..packet.clone() });
        captured.push(packet.clone());
    }
    let (found, expected) = (read(Link::Raw, &captured), read(Link::Raw, &packets));
    assert_eq!(found.0, expected.0);
    assert_eq!(found.2.fragments_lost, packets.len() as u64);
}

#[test]
fn overlapping_fragments_that_disagree_are_counted_and_the_first_are_believed() {
    let packets = raw(&conversation(false));
    let expected = read(Link::Raw, &packets);
    let mut captured = Vec::new();
    for (id, packet) in packets.iter().enumerate() {
        let pieces = wrap::fragments(&packet.data, &[2], id as u32);
        let mut other = pieces[0].clone();
        *other.last_mut().unwrap() ^= 0xff;
        for data in [pieces[0].clone(), other].into_iter().chain(pieces[1..].iter().cloned()) {
            captured.push(Packet { wire_len: data.len() as u32, data, ..packet.clone() });
        }
    }
    let found = read(Link::Raw, &captured);
    assert_eq!((&found.0, found.2.fragment_conflicts), (&expected.0, packets.len() as u64));
}

#[test]
fn a_link_type_that_is_not_read_is_named() {
    let packets = raw(&conversation(false));
    let report = crate::support::run::report_on_bytes(&Format::pcap(Link::Other(189)).write(&packets));
    let findings = report["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["rule"], "cap-linktype");
    assert!(findings[0].to_string().contains("LINKTYPE_USB_LINUX (189) is not read"), "{findings:?}");
}
