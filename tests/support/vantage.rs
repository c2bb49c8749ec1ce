//! Where a [`Net`] is captured: one file of everything, or one for each leg, each with a clock of its
//! own; and which packet of which file begins which leg.

use etherparse::TcpOptionElement;
use serde_json::Value;
use tempfile::TempDir;

use super::file::Format;
use super::journey::{Flow, Journey, Net};
use super::link::{self, Link, Packet};
use super::script::{START_NS, Segment, Side};
use super::{run, wrap};

/// A capture file, and what it sees.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub name: &'static str,
    /// Only connections with so many hops between them and the client; empty: all.
    pub depths: Vec<usize>,
    /// How far its clock is ahead of the others'.
    pub ahead_ms: i64,
    /// So long after the start it begins.
    pub since_us: u64,
    /// Interfaces that see each packet (pcapng where there are several).
    pub interfaces: u32,
}

/// Captures in a folder of their own, and the truth about them.
pub(crate) struct Made {
    pub folder: TempDir,
    pub names: Vec<&'static str>,
    pub journeys: Vec<Journey>,
    /// For each journey and leg, the packets that begin its request: (input, packet number).
    pub begins: Vec<Vec<Vec<(u64, u64)>>>,
    /// Segments that were captured, copies too.
    pub packets: usize,
}

impl Place {
    pub(crate) fn of(name: &'static str, depths: &[usize]) -> Place {
        Place { name, depths: depths.to_vec(), ahead_ms: 0, since_us: 0, interfaces: 1 }
    }

    pub(crate) fn ahead_ms(self, ahead_ms: i64) -> Place {
        Place { ahead_ms, ..self }
    }

    pub(crate) fn since_us(self, since_us: u64) -> Place {
        Place { since_us, ..self }
    }

    pub(crate) fn interfaces(self, interfaces: u32) -> Place {
        Place { interfaces, ..self }
    }
}

impl Made {
    pub(crate) fn report(&self, arguments: &[&str]) -> Value {
        run::report_in(self.folder.path(), &self.names, arguments)
    }

    /// What the lines of `--format ndjson` amount to, in the form of a report.
    pub(crate) fn streamed(&self) -> Value {
        run::streamed_in(self.folder.path(), &self.names)
    }
}

impl Net {
    /// One capture of everything.
    pub(crate) fn capture(self) -> Made {
        self.captures(&[Place::of("all.pcap", &[])])
    }

    pub(crate) fn captures(self, places: &[Place]) -> Made {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut begins: Vec<Vec<Vec<(u64, u64)>>> =
            self.journeys.iter().map(|journey| vec![Vec::new(); journey.legs.len()]).collect();
        let mut count = 0;
        for (input, place) in (0..).zip(places) {
            let seen = self.seen(place);
            count += seen.len();
            for (number, (_, begun)) in (1..).zip(&seen) {
                if let Some((journey, leg)) = begun {
                    begins[*journey][*leg].push((input, number));
                }
            }
            let packets: Vec<Packet> = seen.into_iter().map(|(packet, _)| packet).collect();
            let format = match place.interfaces {
                1 => Format::pcap(Link::Ethernet),
                n => Format::pcapng(&vec![Link::Ethernet; n as usize]),
            };
            let file = Format { nanoseconds: true, ..format }.write(&packets);
            std::fs::write(folder.path().join(place.name), file).expect("room for a capture");
        }
        let names = places.iter().map(|place| place.name).collect();
        Made { folder, names, journeys: self.journeys, begins, packets: count }
    }

    /// The packets that come by, each with the leg that it begins.
    pub(crate) fn seen(&self, place: &Place) -> Vec<(Packet, Option<(usize, usize)>)> {
        let mut seen = Vec::new();
        for (number, flow) in self.flows.iter().enumerate() {
            if !place.depths.is_empty() && !place.depths.contains(&flow.depth) {
                continue;
            }
            for (packet, begun) in packets(flow, number) {
                if packet.at_ns < START_NS + place.since_us * 1_000 {
                    continue;
                }
                for interface in 0..place.interfaces {
                    // A copy comes some microseconds later.
                    let at_ns = packet.at_ns + u64::from(interface) * 4_000;
                    let at_ns = at_ns.checked_add_signed(place.ahead_ms * 1_000_000).expect("a time");
                    seen.push((Packet { at_ns, interface, ..packet.clone() }, begun));
                }
            }
        }
        seen.sort_by_key(|(packet, _)| packet.at_ns);
        seen
    }
}

/// All packets of a connection with time stamps (RFC 7323), as both sides of its translator show them.
fn packets(flow: &Flow, number: usize) -> Vec<(Packet, Option<(usize, usize)>)> {
    // Each end counts milliseconds from a number of its own.
    let base = |side: Side| (number as u32 * 2 + 1 + u32::from(side == Side::Server)).wrapping_mul(0x2545_f491);
    let mut last = [0_u32; 2];
    let mut out = Vec::new();
    for (at, segment) in flow.script().clone().segments().iter().enumerate() {
        let stamp = base(segment.from).wrapping_add(((segment.at_ns - START_NS) / 1_000_000) as u32);
        let (own, peer) = if segment.from == Side::Client { (0, 1) } else { (1, 0) };
        last[own] = stamp;
        let stamps = TcpOptionElement::Timestamp(stamp, last[peer]);
        let begun = flow.asked.iter().find(|(begins, _)| *begins == at).map(|(_, leg)| *leg);
        out.push((packet(segment, stamps.clone(), at), begun));
        if let Some(nat) = flow.nat {
            let mut beyond = segment.clone();
            (beyond.client, beyond.server) = (nat.client, nat.server);
            beyond.at_ns += 30_000;
            beyond.seq = beyond.seq.wrapping_add(nat.shift[own]);
            if beyond.flags.ack {
                beyond.ack = beyond.ack.wrapping_add(nat.shift[peer]);
            }
            out.push((packet(&beyond, stamps, at), begun));
        }
    }
    out
}

fn packet(segment: &Segment, stamps: TcpOptionElement, at: usize) -> Packet {
    use TcpOptionElement::{MaximumSegmentSize, Noop, SelectiveAcknowledgementPermitted, WindowScale};
    let options = match segment.flags.syn {
        true => vec![MaximumSegmentSize(1_460), SelectiveAcknowledgementPermitted, stamps, Noop, WindowScale(7)],
        false => vec![Noop, Noop, stamps],
    };
    let mut packet = link::packet_with(segment, Link::Ethernet, &[], &options);
    if packet.data[14] >> 4 == 4 {
        // An identification, by which a copy is told from a segment that was sent again.
        packet.data[18..20].copy_from_slice(&(at as u16 + 1).to_be_bytes());
        let header: [u8; 20] = packet.data[14..34].try_into().expect("twenty bytes");
        packet.data[14..34].copy_from_slice(&wrap::checked(header));
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::super::hop::{Edit, Head, key};
    use super::super::journey::{Forward, Nat, Way};
    use super::super::script;
    use super::*;

    const CLIENT: &str = "198.51.100.7:40000";
    const LISTEN: &str = "203.0.113.9:80";
    const UPSTREAM: &str = "192.0.2.2";
    const BACKEND: &str = "192.0.2.20:8080";

    fn asked() -> Head {
        Head::of(&script::upgrade_request(&key("a")))
    }

    fn everything() -> Place {
        Place::of("all.pcap", &[])
    }

    #[test]
    fn a_hop_asks_after_it_was_asked_and_answers_after_it_was_answered() {
        let mut net = Net::default();
        let edits = [Edit::ForwardedFor, Edit::Prefix("/chat", "/app/chat"), Edit::NewKey];
        net.visit(CLIENT, LISTEN, 0, &asked(), &Way::through(UPSTREAM, BACKEND, &edits));
        let order: Vec<(SocketPair, String)> = net
            .seen(&everything())
            .iter()
            .filter_map(|(packet, _)| {
                let text = String::from_utf8_lossy(&packet.data);
                let at = text.find("GET ").or_else(|| text.find("HTTP/1.1 1"))?;
                Some((ports(packet), text[at..].to_owned()))
            })
            .collect();
        let places: Vec<SocketPair> = order.iter().map(|(pair, _)| *pair).collect();
        assert_eq!(places, [(40_000, 80), (32_769, 8080), (8080, 32_769), (80, 40_000)]);
        assert!(order[1].1.starts_with("GET /app/chat HTTP/1.1\r\n") && order[1].1.contains("198.51.100.7"));
        assert!(!order[1].1.contains(&key("a")), "a key of its own upstream");
        assert!(order[2].1.contains("101") && order[3].1.contains(&script::upgrade_response(&key("a"))[100..]));
        assert_eq!(net.journeys[0].legs.iter().map(|leg| leg.status).collect::<Vec<_>>(), [Some(101), Some(101)]);
        assert_eq!(net.path(0), [0, 1]);
    }

    type SocketPair = (u16, u16);

    fn ports(packet: &Packet) -> SocketPair {
        let port = |at: usize| u16::from_be_bytes([packet.data[at], packet.data[at + 1]]);
        (port(34), port(36))
    }

    #[test]
    fn the_packets_that_begin_legs_are_numbered_as_the_files_have_them() {
        let mut net = Net::default();
        net.visit(CLIENT, LISTEN, 0, &asked(), &Way::through(UPSTREAM, BACKEND, &[]));
        let made = net.captures(&[Place::of("a.pcap", &[0]), Place::of("b.pcap", &[1]).interfaces(2)]);
        // Three packets of the TCP handshake come first, each twice in the second file.
        assert_eq!(made.begins, [[vec![(0, 4)], vec![(1, 7), (1, 8)]]]);
        let file = std::fs::read(made.folder.path().join("b.pcap")).unwrap();
        assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    }

    #[test]
    fn a_translator_keeps_time_stamps_and_payload_and_shifts_the_numbers() {
        let mut net = Net::default();
        let flow = net.connect(CLIENT, LISTEN, 0);
        let shift = [1_000, 0xffff_0000];
        let nat = Nat { client: "203.0.113.1:61000".parse().unwrap(), server: LISTEN.parse().unwrap(), shift };
        net.flows[flow].nat = Some(nat);
        net.ask(flow, 0, &asked(), &Way::Backend);
        let seen = net.seen(&everything());
        let number = |packet: &Packet, at: usize| u32::from_be_bytes(packet.data[at..at + 4].try_into().unwrap());
        for pair in seen.chunks(2) {
            let (a, b) = (&pair[0].0, &pair[1].0);
            let client = ports(a).1 == 80;
            assert_eq!(ports(b), if client { (61_000, 80) } else { (80, 61_000) });
            let (own, peer) = if client { (shift[0], shift[1]) } else { (shift[1], shift[0]) };
            assert_eq!(number(b, 38), number(a, 38).wrapping_add(own));
            assert!(number(a, 42) == 0 || number(b, 42) == number(a, 42).wrapping_add(peer));
            assert_eq!(a.data[54..], b.data[54..], "options and payload");
        }
    }

    #[test]
    fn a_retry_is_a_second_leg_of_the_same_leg() {
        let mut net = Net::default();
        let tries = vec![
            Forward::new(UPSTREAM, "192.0.2.21:8080", &[], Way::Reset),
            Forward::new(UPSTREAM, "192.0.2.22:8080", &[], Way::NobodyListens),
            Forward::new(UPSTREAM, BACKEND, &[], Way::Backend),
        ];
        let journey = net.visit(CLIENT, LISTEN, 0, &asked(), &Way::On(tries));
        let legs: Vec<_> = net.journeys[journey].legs.iter().map(|leg| (leg.parent, leg.status)).collect();
        assert_eq!(legs, [(None, Some(101)), (Some(0), None), (Some(0), Some(101))]);
        assert_eq!((net.flows.len(), net.path(journey)), (4, vec![0, 3]));
    }
}
