//! What hostile captures can cost: time stays near linear and memory within `limits`. Times are
//! asserted many times above what they are, so that a slow machine passes and a square does not.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use std::time::{Duration, Instant};

use hopscope::base::{Counters, PacketRef, Timestamp, limits};
use hopscope::engine::{Collected, Engine, judge};
use hopscope::products::Products;
use hopscope::proto::{Inline, Protocols};
use hopscope::stream::{Decoder, Segments, Table};

use crate::engine::run;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::{self, Flags, START_NS, Script, Segment, Side};

/// Feeds segments one by one, so that none has to be kept.
pub(crate) struct Feed {
    decoder: Decoder,
    table: Table<Inline>,
    segments: Segments,
    protocols: Protocols<Collected>,
    counters: Counters,
    packets: u64,
    began: Instant,
}

impl Feed {
    pub(crate) fn new(flows: usize) -> Feed {
        let table = Table::new(flows);
        Feed {
            decoder: Decoder::default(),
            segments: table.segments(),
            table,
            protocols: Protocols::new(Collected::default()),
            counters: Counters::default(),
            packets: 0,
            began: Instant::now(),
        }
    }

    pub(crate) fn segment(&mut self, segment: &Segment) {
        let packet = link::packet(segment, Link::Raw, &[]);
        let ts = Timestamp(i64::try_from(segment.at_ns).unwrap());
        let len = packet.data.len();
        let decoded = self.decoder.frame(101, &packet.data, 0, len, 0, ts, 0, &mut self.counters);
        self.segments.clear();
        self.segments.push(&decoded.expect("TCP"), self.decoder.aside(), ts, PacketRef::new(0, self.packets));
        self.packets += 1;
        self.table.batch(&packet.data, &self.segments, 0..1, &mut self.protocols, &mut self.counters, &mut 0);
    }

    /// The end; asserts how long it all took.
    pub(crate) fn end(mut self, name: &str, at_most: Duration) -> (Collected, Counters) {
        self.table.finish(&mut self.protocols, &mut self.counters);
        let took = self.began.elapsed();
        println!("{name}: {} packets in {took:?}, {} MiB resident at most", self.packets, peak_mib());
        assert!(took < at_most, "{name} took {took:?}");
        // Of all tests of this process together; the flows, heads and held bytes of one take far less.
        assert!(peak_mib() < 1_536, "{name}: {} MiB", peak_mib());
        let of_protocols = &self.protocols.shared.counters;
        self.counters.http_requests += of_protocols.http_requests;
        self.counters.evicted += of_protocols.evicted;
        (self.protocols.sink, self.counters)
    }
}

/// The most memory this process ever had, in MiB; 0 where that is not told.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

pub(crate) fn data(from: Side, seq: u32, payload: &[u8]) -> Segment {
    Segment {
        at_ns: START_NS,
        from,
        client: "198.51.100.7:40000".parse().unwrap(),
        server: "203.0.113.9:80".parse().unwrap(),
        seq,
        ack: 1,
        flags: Flags { ack: true, ..Flags::default() },
        payload: payload.to_vec(),
        look: Default::default(),
    }
}

pub(crate) fn syn(from: Side) -> Segment {
    let flags = Flags { syn: true, ack: from == Side::Server, ..Flags::default() };
    Segment { flags, ..data(from, 0, b"") }
}

pub(crate) fn opened(flows: usize) -> Feed {
    let mut feed = Feed::new(flows);
    feed.segment(&syn(Side::Client));
    feed.segment(&syn(Side::Server));
    feed
}

#[test]
fn a_flood_of_syns_holds_no_more_flows_than_allowed() {
    let mut feed = Feed::new(10_000);
    for i in 0..200_000_u32 {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + i / 50_000 * 7919);
        let port = u16::try_from(1_024 + i % 50_000).unwrap();
        feed.segment(&Segment { client: (ip, port).into(), ..syn(Side::Client) });
        assert!(feed.table.len() <= 10_000);
    }
    let (found, counters) = feed.end("a flood of SYNs", Duration::from_secs(60));
    assert_eq!(counters.flows, 200_000);
    assert_eq!(counters.evicted, 190_000);
    assert_eq!(found.lone.len(), limits::LONE_FLOWS);
}

#[test]
fn endless_data_behind_a_hole_is_passed_on() {
    let mut feed = opened(10);
    let (mut seq, piece) = (1_001_u32, [b'x'; 1_400]);
    for _ in 0..100_000 {
        feed.segment(&data(Side::Client, seq, &piece));
        seq += 1_400;
    }
    let (_, counters) = feed.end("140 MB behind a hole", Duration::from_secs(60));
    assert!(counters.gap_bytes >= 1_000 || counters.evicted >= 1, "{counters:?}");
}

#[test]
fn small_pieces_out_of_order_take_linear_time() {
    for (name, step, down) in [("every other byte", 2_u32, false), ("backwards", 1, true)] {
        let mut feed = opened(10);
        for i in 0..100_000_u32 {
            let place = if down { 100_000 - i } else { i };
            feed.segment(&data(Side::Client, 10 + place * step, b"x"));
        }
        feed.end(&format!("10^5 bytes out of order, {name}"), Duration::from_secs(30));
    }
    // All places of a window in an order without order.
    let mut feed = opened(10);
    for i in 0..100_000_u32 {
        feed.segment(&data(Side::Client, 10 + i.wrapping_mul(7_919) % 100_003, b"x"));
    }
    feed.end("10^5 bytes out of order, scattered", Duration::from_secs(30));
}

#[test]
fn fins_without_end_are_told_once() {
    let mut feed = opened(10);
    for i in 0..200_000_u32 {
        let fin = Flags { fin: true, ack: true, ..Flags::default() };
        feed.segment(&Segment { flags: fin, ..data(Side::Client, 1 + i, b"") });
    }
    feed.end("200,000 FINs", Duration::from_secs(30));
}

#[test]
fn a_million_fields_in_one_head_are_cut_at_the_limits() {
    let mut feed = opened(10);
    let mut seq = 1_u32;
    let mut say = |feed: &mut Feed, text: &[u8]| {
        for piece in text.chunks(60_000) {
            feed.segment(&data(Side::Client, seq, piece));
            seq = seq.wrapping_add(u32::try_from(piece.len()).unwrap());
        }
    };
    say(&mut feed, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n");
    let fields = b"a: b\r\n".repeat(10_000);
    for _ in 0..100 {
        say(&mut feed, &fields);
    }
    let (found, counters) = feed.end("a head of 10^6 fields", Duration::from_secs(30));
    assert_eq!((found.exchanges.len(), counters.gaps), (1, 0));
    let head = &found.exchanges[0].request;
    assert!(head.text.len() <= limits::HEAD_BYTES && head.fields.len() <= limits::HEAD_FIELDS && !head.complete);
}

#[test]
fn a_head_of_a_gigabyte_keeps_its_beginning_only() {
    let mut feed = opened(10);
    feed.segment(&data(Side::Client, 1, b"GET / HTTP/1.1\r\nUpgrade: "));
    let mut seq = 26_u32;
    let piece = data(Side::Client, seq, &[b'x'; 60_000]);
    for _ in 0..(1 << 30) / 60_000 {
        feed.segment(&Segment { seq, ..piece.clone() });
        seq = seq.wrapping_add(60_000);
    }
    let (found, _) = feed.end("a head of 1 GiB", Duration::from_secs(120));
    assert!(found.exchanges.len() <= 1);
}

#[test]
fn a_head_that_comes_byte_by_byte_takes_linear_time() {
    for filler in ["\r\n", "a: b\r\n", "x"] {
        let mut feed = opened(10);
        feed.segment(&data(Side::Client, 1, b"GET / HTTP/1.1\r\n"));
        for (i, byte) in filler.bytes().cycle().take(limits::HEAD_BYTES).enumerate() {
            feed.segment(&data(Side::Client, 17 + u32::try_from(i).unwrap(), &[byte]));
        }
        for (i, byte) in filler.bytes().cycle().take(limits::HEAD_BYTES).enumerate() {
            feed.segment(&data(Side::Server, 1 + u32::try_from(i).unwrap(), &[byte]));
        }
        feed.end(&format!("heads of single bytes, {filler:?}"), Duration::from_secs(60));
    }
}

#[test]
fn a_million_pipelined_requests_are_bounded() {
    let mut feed = opened(10);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let many = request.repeat(1_000);
    let mut seq = 1_u32;
    for _ in 0..1_000 {
        feed.segment(&data(Side::Client, seq, &many));
        seq += u32::try_from(many.len()).unwrap();
    }
    let (_, counters) = feed.end("10^6 pipelined requests", Duration::from_secs(60));
    assert_eq!(counters.http_requests, 1_000_000);
    assert_eq!(counters.evicted, 1_000_000 - limits::PIPELINE as u64);
}

#[test]
fn judging_many_alike_takes_linear_time() {
    let wrong = |key: &str, accept: &str| {
        let head = |lines: &str| script::head(lines);
        let request = head(&script::upgrade_request(key));
        let lines = format!("HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {accept}");
        (request, head(&lines))
    };
    let key = "AQIDBAUGBwgJCgsMDQ4PEA==";
    let same = |_: u32| wrong(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let different = |i: u32| wrong(key, &format!("{i:027}="));
    let all: [(&str, &dyn Fn(u32) -> (Vec<u8>, Vec<u8>)); 2] = [
        ("with the same key and the same wrong accept", &same),
        ("with wrong accepts that nothing explains", &different),
    ];
    for (name, make) in all {
        let few = judged(name, 2_000, make);
        let many = judged(name, 20_000, make);
        // Ten times as many take ten times as long; a hundred would be the square.
        assert!(many < few * 40 + Duration::from_secs(10), "{name}: {few:?}, then {many:?}");
    }
}

/// How long so many upgrades, each on a connection of its own, take to be judged.
fn judged(name: &str, count: u32, make: &dyn Fn(u32) -> (Vec<u8>, Vec<u8>)) -> Duration {
    let mut feed = Feed::new(limits::FLOWS);
    for i in 0..count {
        let client = (std::net::Ipv4Addr::from(0x0a00_0000 + i / 50_000), 1_024 + u16::try_from(i % 50_000).unwrap());
        let (request, response) = make(i);
        let at_ns = START_NS + u64::from(i) * 1_000_000;
        for segment in [
            syn(Side::Client),
            syn(Side::Server),
            data(Side::Client, 1, &request),
            Segment { ack: 1 + u32::try_from(request.len()).unwrap(), ..data(Side::Server, 1, &response) },
        ] {
            feed.segment(&Segment { at_ns, client: client.into(), ..segment });
        }
    }
    let (collected, counters) = feed.end(&format!("{count} {name}, read"), Duration::from_secs(60));
    assert_eq!(collected.exchanges.len(), count as usize);
    let began = Instant::now();
    let analysis = judge::whole(collected, counters, Vec::new(), Products::builtin(), &|_, _| false);
    let took = began.elapsed();
    println!("{count} {name}: judged in {took:?}");
    assert_eq!(analysis.chains.len(), count as usize);
    took
}

#[test]
fn a_flow_evicted_within_a_batch_takes_nothing_of_its_successor() {
    // More connections than may be held, mixed so that most are evicted in the batch in which the next
    // segment comes.
    let scripts =
        (0..40_u32).map(|i| Script::between(&format!("198.51.100.7:{}", 40_000 + i), "203.0.113.9:80").upgrade("a"));
    let capture = Format::pcap(Link::Ethernet).write(&link::packets(&script::together(scripts), Link::Ethernet));
    let (whole, _) = run(capture.clone());
    assert_eq!(whole.exchanges.len(), 40);
    let source = hopscope::capture::Source::from_bytes("test", capture);
    let mut inputs = hopscope::capture::Merged::from_sources(vec![source], &Default::default()).unwrap();
    let mut engine = Engine::with_flow_limit(Collected::default(), 4);
    hopscope::engine::read(&mut inputs, &mut engine, &mut |_| true).unwrap();
    let (found, counters) = engine.finish();
    assert_eq!(counters.bugs, 0);
    for x in &found.exchanges {
        assert_eq!(x.client.ip.to_string(), "198.51.100.7");
        assert_eq!((x.request.at.number() - 1) % 40, u64::from(x.client.port) - 40_000, "its own packet");
    }
}

/// So many seconds after the start, from a client of its own.
fn later(second: u64, number: u32, segment: Segment) -> Segment {
    let client = (std::net::Ipv4Addr::from(0x0a00_0000 + number), 40_000).into();
    Segment { at_ns: START_NS + second * 1_000_000_000, client, ..segment }
}

#[test]
fn flows_that_were_silent_for_long_go_and_those_that_are_looked_at_are_counted() {
    let request = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n";
    let [idle, silent] = [limits::FLOW_IDLE_S, limits::FLOW_SILENT_S].map(|s| usize::try_from(s).unwrap());
    let mut feed = Feed::new(1_000_000);
    for number in 0..2_000 {
        feed.segment(&later(0, number, syn(Side::Client)));
        feed.segment(&later(0, number, data(Side::Client, 1, request)));
    }
    // An opening a second that nobody answers, for more than a day: those of the last hour are held.
    for second in 1..silent as u64 {
        feed.segment(&later(second, 100_000 + second as u32, syn(Side::Client)));
    }
    let held = feed.table.len() - 2_000;
    assert!((idle..idle + 100).contains(&held), "{held}");
    for second in silent as u64..silent as u64 + 100 {
        feed.segment(&later(second, 300_000 + second as u32, syn(Side::Client)));
    }
    let held = feed.table.len();
    assert!((idle..idle + 100).contains(&held), "{held}");
    let (found, counters) = feed.end("silent flows", Duration::from_secs(120));
    assert_eq!((counters.evicted, found.exchanges.len()), (2_000, 2_000));
}

#[test]
fn one_packet_with_a_wrong_time_ends_no_flow() {
    let mut feed = opened(10);
    feed.segment(&data(Side::Client, 1, b"GET / HTTP/1.1\r\nHost: h\r\n"));
    for wrong in [0, 10 * 366 * 24 * 3_600] {
        for second in 1..5 {
            feed.segment(&later(second, 7, syn(Side::Client)));
        }
        feed.segment(&Segment { at_ns: START_NS + wrong * 1_000_000_000, ..later(0, 8, syn(Side::Client)) });
    }
    feed.segment(&later(6, 7, syn(Side::Client)));
    assert_eq!(feed.table.len(), 3);
}
