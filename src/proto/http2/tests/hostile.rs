//! Floods: bounded memory, and each bound counted. They are so large that what is not linear in their bytes
//! would take minutes, and be stopped.

use super::*;
use crate::base::limits;

#[test]
fn a_million_empty_continuations_are_read_and_called_a_flood_once() {
    let mut run = Run::opened();
    run.push(C, &frame(h2::HEADERS, 0, 1, &block(GET)));
    let thousand = frame(h2::CONTINUATION, 0, 1, &[]).repeat(1_000);
    for _ in 0..1_000 {
        run.push(C, &thousand);
    }
    run.push(C, &frame(h2::CONTINUATION, h2::END_HEADERS, 1, &[]));
    assert_eq!(run.log.of("fault"), ["fault Flood 1 client"]);
    assert_eq!(run.log.of("request 1 :method=GET").len(), 1);
    assert_eq!((run.machine.facts().floods, run.machine.facts().frames_of(C, h2::CONTINUATION)), (1, 1_000_001));
}

#[test]
fn a_field_block_larger_than_is_kept_is_given_up_and_what_follows_is_read() {
    let mut run = Run::opened();
    run.push(C, &frame(h2::HEADERS, 0, 1, &block(GET)));
    for _ in 0..1_000 {
        run.push(C, &frame(h2::CONTINUATION, 0, 1, &[0; 16_384]));
        assert!(run.machine.halves[0].fragments.capacity() <= 2 * limits::H2_BLOCK_BYTES);
    }
    run.push(C, &frame(h2::CONTINUATION, h2::END_HEADERS, 1, &[])).push(C, &headers(3, 0, GET));
    assert_eq!(run.log.of("fault"), ["fault Flood 1 client", "fault BlockTooLarge 1 client"]);
    assert_eq!(run.log.of("request 3").len(), 1);
    assert_eq!(run.machine.facts().blocks_lost, 1);
    assert!(run.machine.halves[0].fragments.capacity() < 1_024);
}

#[test]
fn settings_and_pings_in_masses_leave_nothing_behind() {
    let mut run = Run::opened();
    for id in 0..500 {
        run.push(C, &headers(2 * id + 1, 0, GET));
    }
    run.log.lines.clear();
    let all: Vec<(u16, u32)> = (0..2_700).map(|n| (h2::INITIAL_WINDOW_SIZE, n)).collect();
    let frames = settings(&all);
    for _ in 0..300 {
        run.push(C, &frames);
    }
    let pings = frame(h2::PING, 0, 0, &[0; 8]).repeat(1_000);
    for _ in 0..300 {
        run.push(C, &pings);
    }
    assert_eq!(run.lines().len(), 300, "one line for each SETTINGS");
    assert_eq!(run.machine.facts().frames_of(C, h2::PING), 300_000);
}

#[test]
fn streams_opened_and_reset_or_left_open_in_masses_stay_within_the_bound() {
    for reset in [true, false] {
        let mut run = Run::opened();
        for n in 0..100_000_u32 {
            let id = 2 * n + 1;
            run.ts += 1;
            run.push(C, &frame(h2::HEADERS, 4, id, &[0x82, 0x87, 0x84]));
            if reset {
                run.push(C, &frame(h2::RST_STREAM, 0, id, &[0, 0, 0, 8]));
            }
            run.log.lines.clear();
        }
        let facts = run.machine.facts().clone();
        assert_eq!(facts.streams, 100_000);
        if reset {
            assert_eq!(facts.streams_evicted, 0);
        } else {
            let kept = run.machine.streams.ids(|_| true);
            assert!(kept.len() <= limits::H2_STREAMS && facts.streams_evicted as usize + kept.len() == 100_000);
            assert_eq!(kept.last(), Some(&199_999));
        }
    }
}

#[test]
fn the_stream_that_is_used_is_not_the_one_that_goes() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, CONNECT));
    for n in 1..5_000_u32 {
        run.ts += 1;
        run.push(C, &headers(2 * n + 1, 0, GET)).push(C, &frame(h2::DATA, 0, 1, b"x"));
    }
    run.log.lines.clear();
    run.push(C, &frame(h2::DATA, 0, 1, b"still here"));
    assert_eq!(run.log.of("data 1").len(), 1);
    assert!(run.machine.facts().streams_evicted > 3_000);
}

#[test]
fn giant_frames_go_by() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, GET));
    let length = 0xff_ffff_u32;
    for kind in [h2::DATA, h2::HEADERS, h2::GOAWAY, 0xfe] {
        let stream = u32::from(kind < h2::SETTINGS);
        run.push(C, &[&length.to_be_bytes()[1..], &[kind, 0], &stream.to_be_bytes()].concat());
        let piece = vec![b'x'; 1 << 16];
        let mut left = length as usize;
        while left > 0 {
            let n = left.min(piece.len());
            run.push(C, &piece[..n]);
            left -= n;
        }
        assert!(run.machine.halves[0].fragments.capacity() <= 2 * limits::H2_BLOCK_BYTES);
        assert!(run.machine.halves[0].search.is_none());
    }
    assert_eq!(run.machine.facts().frames_of(C, h2::DATA), 1);
    let goaway = run.machine.facts().goaway[0].unwrap();
    assert_eq!(goaway.debug().len(), limits::H2_DEBUG_BYTES);
    assert!(run.log.of("fault FrameTooLarge").len() >= 3);
}

#[test]
fn faults_without_end_are_counted_and_told_a_few_times() {
    let mut run = Run::opened();
    run.push(C, &frame(h2::PING, 0, 0, &[0; 7]).repeat(10_000));
    assert_eq!(run.log.of("fault").len(), limits::H2_FAULTS as usize);
    assert_eq!(run.machine.facts().faults, 10_000);
}

#[test]
fn bytes_that_nearly_are_frames_are_searched_in_time() {
    // Every ninth byte begins a frame that leads far, and is followed by none.
    let lure = [0, 0x3f, 0xff, h2::HEADERS, h2::END_HEADERS, 0, 0, 0, 1];
    let mut run = Run::new(Http2::midstream());
    let piece = lure.repeat(160);
    for _ in 0..2_000 {
        run.push(C, &piece);
    }
    let mut run = Run::new(Http2::midstream());
    for piece in lure.repeat(10_000).chunks(1) {
        run.push(C, piece);
    }
}
