//! The flow table and reassembly alone: whatever happened to segments on their way into the capture,
//! each direction gives its bytes in order, once, and none before the bytes it answers.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::base::{Counters, PacketRef, Timestamp};
use hopscope::stream::{Chunk, CloseHow, Context, Decoder, Handler, Interest, Side, Table, What};
use proptest::prelude::*;

use crate::support::link::{self, Link};
use crate::support::script::{self, Flags, START_NS, Segment};

/// What one flow gave, per side: bytes (0 in holes), and holes as offset and length.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Heard {
    bytes: [Vec<u8>; 2],
    gaps: [Vec<(u64, u64)>; 2],
    fins: [u32; 2],
    ends: Vec<CloseHow>,
}

/// Keeps all that is told.
#[derive(Default)]
struct Recorder {
    flows: Vec<Heard>,
    /// For each side: from which offset on its bytes come behind how many of the peer's.
    after: [Vec<(u64, u64)>; 2],
    conflicts: u32,
}

impl Handler for Recorder {
    type Inline = ();

    fn opened(&mut self, _: Context<'_>, (): &mut (), _: PacketRef) {
        self.flows.push(Heard::default());
    }

    fn chunk(&mut self, flow: Context<'_>, _: &mut u64, (): &mut (), chunk: Chunk<'_>) -> Interest {
        let heard = &mut self.flows[flow.id().0 as usize - 1];
        let s = chunk.side.index();
        match chunk.what {
            What::Data(data) => {
                assert_eq!(chunk.offset, heard.bytes[s].len() as u64, "offsets go on");
                heard.bytes[s].extend_from_slice(data);
                let last = chunk.offset + data.len() as u64 - 1;
                let needed = self.after[s].iter().rev().find(|(from, _)| *from <= last).map_or(0, |(_, n)| *n);
                let peer = heard.bytes[1 - s].len() as u64;
                assert!(peer >= needed, "side {s}, byte {last}: {peer} of the peer's {needed} bytes were told");
            }
            What::Gap { len, .. } => {
                assert_eq!(chunk.offset, heard.bytes[s].len() as u64, "offsets go on");
                heard.gaps[s].push((chunk.offset, len));
                heard.bytes[s].extend(std::iter::repeat_n(0, len as usize));
            }
            What::Close(CloseHow::Fin) => heard.fins[s] += 1,
            What::Close(how) => heard.ends.push(how),
        }
        Interest::All
    }

    fn again(&mut self, _: Context<'_>, _: &mut u64, _: &mut (), _: Side, _: (u64, &[u8])) {}

    fn conflict(&mut self, _: Context<'_>, _: &mut u64) {
        self.conflicts += 1;
    }
}

/// Sends segments through a table, in batches of a few.
fn hear(segments: &[Segment], after: [Vec<(u64, u64)>; 2]) -> (Recorder, Counters) {
    let (mut table, mut counters, mut decoder) = (Table::new(100), Counters::default(), Decoder::default());
    let mut recorder = Recorder { after, ..Recorder::default() };
    let mut found = table.segments();
    for (b, batch) in segments.chunks(5).enumerate() {
        let mut bytes = Vec::new();
        found.clear();
        for (i, segment) in batch.iter().enumerate() {
            let packet = link::packet(segment, Link::Raw, &[]);
            let at = bytes.len();
            bytes.extend_from_slice(&packet.data);
            let ts = Timestamp(i64::try_from(segment.at_ns).unwrap());
            let decoded = decoder.frame(101, &bytes, at, packet.data.len(), 0, ts, 0, &mut counters).expect("TCP");
            found.push(&decoded, decoder.aside(), ts, PacketRef::new(0, (b * 5 + i) as u64 + 1));
        }
        table.batch(&bytes, &found, 0..found.len(), &mut recorder, &mut counters, &mut 0);
    }
    table.finish(&mut recorder, &mut counters);
    (recorder, counters)
}

/// A conversation: turns of (server speaks, length), with a segment length.
struct Said {
    segments: Vec<Segment>,
    bytes: [Vec<u8>; 2],
    after: [Vec<(u64, u64)>; 2],
}

/// The client is the lower address, so sides are client and server.
fn say(turns: &[(bool, usize)], mss: usize, bases: [u32; 2]) -> Said {
    let mut said = Said { segments: Vec::new(), bytes: Default::default(), after: Default::default() };
    let segment = |server: bool, next: [u32; 2], flags: Flags, payload: Vec<u8>, n: usize| Segment {
        at_ns: START_NS + n as u64 * 1_000,
        from: if server { script::Side::Server } else { script::Side::Client },
        client: "198.51.100.7:40000".parse().unwrap(),
        server: "203.0.113.9:80".parse().unwrap(),
        seq: next[usize::from(server)],
        ack: if flags.ack { next[usize::from(!server)] } else { 0 },
        flags,
        payload,
        look: Default::default(),
    };
    let ack = Flags { ack: true, ..Flags::default() };
    let mut next = bases;
    said.segments.push(segment(false, next, Flags { syn: true, ..Flags::default() }, vec![], 0));
    next[0] = next[0].wrapping_add(1);
    said.segments.push(segment(true, next, Flags { syn: true, ..ack }, vec![], 1));
    next[1] = next[1].wrapping_add(1);
    for &(server, len) in turns {
        let s = usize::from(server);
        let from = said.bytes[s].len();
        // Bytes that tell their place, never 0.
        let payload: Vec<u8> = (from..from + len).map(|i| 1 + ((i * 7 + i / 251 + s * 100) % 255) as u8).collect();
        let peer = said.bytes[1 - s].len() as u64;
        said.after[s].push((from as u64, peer));
        for piece in payload.chunks(mss) {
            said.segments.push(segment(server, next, ack, piece.to_vec(), said.segments.len()));
            next[s] = next[s].wrapping_add(piece.len() as u32);
        }
        said.bytes[s].extend_from_slice(&payload);
    }
    for server in [true, false] {
        said.segments.push(segment(server, next, Flags { fin: true, ..ack }, vec![], said.segments.len()));
        next[usize::from(server)] = next[usize::from(server)].wrapping_add(1);
    }
    said
}

/// Moves each segment back by up to a few places; times stay in order.
fn jitter(segments: &mut [Segment], late: &[u8]) {
    let times: Vec<u64> = segments.iter().map(|s| s.at_ns).collect();
    let mut places: Vec<usize> = (0..segments.len()).collect();
    places.sort_by_key(|&i| i + late.get(i % late.len().max(1)).map_or(0, |&l| usize::from(l)));
    let moved: Vec<Segment> = places.iter().map(|&i| segments[i].clone()).collect();
    segments.clone_from_slice(&moved);
    segments.iter_mut().zip(times).for_each(|(s, t)| s.at_ns = t);
}

fn turns() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((any::<bool>(), 1_usize..400), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(512), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_within_a_window_repeated_and_overlapping_gives_the_bytes_once(
        turns in turns(),
        mss in 1_usize..300,
        bases in any::<[u32; 2]>(),
        near_the_end in any::<bool>(),
        late in prop::collection::vec(0_u8..3, 1..40),
        again in prop::collection::vec(0_u8..9, 1..40),
        back in prop::collection::vec(0_usize..60, 1..20),
    ) {
        let bases = if near_the_end { [u32::MAX - bases[0] % 600, u32::MAX - bases[1] % 600] } else { bases };
        let said = say(&turns, mss, bases);
        let mut segments = Vec::new();
        let mut sent: [Vec<u8>; 2] = Default::default();
        for (i, segment) in said.segments.iter().enumerate() {
            let mut segment = segment.clone();
            let own = &mut sent[usize::from(segment.from == script::Side::Server)];
            own.extend_from_slice(&segment.payload);
            if !segment.payload.is_empty() {
                // Starts earlier, with bytes of its own turn: older ones would claim to answer newer.
                let s = usize::from(segment.from == script::Side::Server);
                let start = own.len() - segment.payload.len();
                let turn = said.after[s].iter().rev().find(|(from, _)| *from as usize <= start).unwrap().0 as usize;
                let more = back[i % back.len()].min(start - turn);
                segment.seq = segment.seq.wrapping_sub(more as u32);
                segment.payload = own[start - more..].to_vec();
            }
            segments.push(segment.clone());
            if again[i % again.len()] == 0 && !segment.flags.syn {
                segments.push(segment);
            }
        }
        jitter(&mut segments, &late);
        let (recorder, counters) = hear(&segments, said.after.clone());
        prop_assert_eq!(recorder.flows.len(), 1);
        let heard = &recorder.flows[0];
        prop_assert_eq!(&heard.gaps, &[vec![], vec![]]);
        prop_assert_eq!(&heard.bytes, &said.bytes);
        prop_assert_eq!(heard.fins, [1, 1]);
        prop_assert_eq!((recorder.conflicts, counters.overlap_conflicts, counters.gaps), (0, 0, 0));
    }

    #[test]
    fn what_is_lost_is_a_hole_of_its_length_and_all_else_is_there(
        turns in turns(),
        mss in 1_usize..300,
        bases in any::<[u32; 2]>(),
        late in prop::collection::vec(0_u8..3, 1..40),
        lose in prop::collection::vec(0_u8..6, 1..40),
    ) {
        let said = say(&turns, mss, bases);
        let mut expected = said.bytes.clone();
        let mut lost = 0;
        let mut segments = Vec::new();
        for (i, segment) in said.segments.iter().enumerate() {
            if !segment.payload.is_empty() && lose[i % lose.len()] == 0 {
                let s = usize::from(segment.from == script::Side::Server);
                let at = segment.seq.wrapping_sub(bases[s]).wrapping_sub(1) as usize;
                expected[s][at..at + segment.payload.len()].fill(0);
                lost += segment.payload.len() as u64;
            } else {
                segments.push(segment.clone());
            }
        }
        jitter(&mut segments, &late);
        let (recorder, counters) = hear(&segments, Default::default());
        prop_assert_eq!(recorder.flows.len(), 1);
        prop_assert_eq!(&recorder.flows[0].bytes, &expected);
        prop_assert_eq!(counters.gap_bytes, lost);
        prop_assert_eq!(counters.overlap_conflicts, 0);
    }
}

#[test]
fn of_different_bytes_for_one_place_the_first_are_kept_and_it_is_counted() {
    let said = say(&[(false, 40)], 10, [1, 1]);
    let mut segments = said.segments.clone();
    let mut other = segments[4].clone();
    other.payload = vec![0xee; 15];
    // The third piece, then a longer one for its place, both before the first.
    segments.swap(2, 4);
    segments.insert(3, other);
    let (recorder, counters) = hear(&segments, Default::default());
    let mut expected = said.bytes[0].clone();
    expected[30..35].fill(0xee);
    assert_eq!(recorder.flows[0].bytes[0], expected, "behind the first piece the second was first");
    assert!(recorder.conflicts >= 1 && counters.overlap_conflicts >= 1);
}

#[test]
fn addresses_that_are_used_again_are_another_flow() {
    let first = say(&[(false, 30), (true, 20)], 10, [100, 200]);
    let second = say(&[(false, 50)], 10, [90_000, 7]);
    let mut segments = first.segments.clone();
    segments.extend(second.segments.iter().map(|s| Segment { at_ns: s.at_ns + 1_000_000, ..s.clone() }));
    let (recorder, counters) = hear(&segments, Default::default());
    assert_eq!((recorder.flows.len(), counters.flows), (2, 2));
    assert_eq!(recorder.flows[0].bytes, first.bytes);
    assert_eq!(recorder.flows[1].bytes, second.bytes);
    assert_eq!(recorder.flows[0].ends, [CloseHow::Replaced]);
}

#[test]
fn a_server_whose_syn_ack_is_missing_opens_no_hole_in_its_client() {
    let said = say(&[(false, 30), (true, 20), (false, 30)], 100, [100, 200]);
    let mut segments = said.segments;
    segments.remove(1);
    // The client's next word comes long after the server's.
    for segment in &mut segments[3..] {
        segment.at_ns += 5_000_000_000;
    }
    let (recorder, counters) = hear(&segments, said.after);
    assert_eq!(counters.gaps, 0, "{:?}", recorder.flows[0].gaps);
    assert_eq!(recorder.flows[0].bytes, said.bytes);
}
