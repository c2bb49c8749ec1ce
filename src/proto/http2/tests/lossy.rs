//! Holes, and connections joined while they run.

use super::*;

#[test]
fn a_hole_inside_content_costs_these_bytes_alone() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, GET)).push(S, &headers(1, 0, OK));
    run.log.lines.clear();
    let data = frame(h2::DATA, h2::END_STREAM, 1, b"0123456789");
    run.push(S, &data[..12]).gap(S, 4).push(S, &data[16..]).push(S, &headers(3, 0, OK));
    assert_eq!(
        run.lines(),
        [
            "data 1 server @40 012",
            "lost 1 server 4 @43",
            "data 1 server @47 789",
            "side-ended 1 server",
            "response 3 :status=200",
        ]
    );
    // To the very end of a frame.
    run.log.lines.clear();
    run.push(C, &data[..12]).gap(C, 7).push(C, &headers(5, 0, GET));
    assert_eq!(run.log.of("ended 1").len(), 1);
    assert_eq!(run.log.of("request 5").len(), 1);
    assert!(!run.machine.facts().lossy);
}

#[test]
fn a_hole_over_the_padding_length_makes_all_content_of_the_frame_lost() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, GET));
    run.log.lines.clear();
    let data = frame(h2::DATA, h2::PADDED, 1, b"\x02abc\0\0");
    run.push(C, &data[..9]).gap(C, 2).push(C, &data[11..]).push(C, &frame(h2::DATA, 0, 1, b"d"));
    assert_eq!(run.lines(), ["lost 1 client 2 @87", "lost 1 client 4 @89", "data 1 client @102 d"]);
}

#[test]
fn a_hole_inside_a_head_costs_that_head_and_makes_older_references_doubtful() {
    let mut run = Run::opened();
    // x: y is inserted.
    run.push(C, &frame(h2::HEADERS, 5, 1, &[0x82, 0x40, 1, b'x', 1, b'y']));
    let lost = frame(h2::HEADERS, 5, 3, &[0x82, 0x40, 1, b'z', 1, b'z']);
    run.push(C, &lost[..11]).gap(C, 2).push(C, &lost[13..]);
    run.push(C, &frame(h2::HEADERS, 5, 5, &[0x82, 0xbe])).push(C, &frame(h2::HEADERS, 5, 7, &[0x82, 0xc8]));
    assert_eq!(run.log.of("fault"), ["fault BlockLost 3 client"]);
    assert!(run.log.of("request 5")[0].starts_with("request 5 :method=GET ~x=y"), "{:?}", run.lines());
    assert!(run.log.of("request 7")[0].starts_with("request 7 :method=GET ?="), "{:?}", run.lines());
    assert_eq!(run.machine.streams.get(3).map(|s| s.request), Some(Seen::Lost));
    assert_eq!(run.log.of("side-ended 3").len(), 1, "the frame's header was seen");
    assert!(!run.machine.facts().lossy);
}

#[test]
fn behind_a_hole_over_a_frame_header_three_frames_lead_back() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, GET)).push(S, &headers(1, 0, OK));
    run.log.lines.clear();
    let frames: Vec<Vec<u8>> = (0..6).map(|n| frame(h2::DATA, 0, 1, &[b'a' + n; 100])).collect();
    run.push(S, &frames[0]);
    // From inside the second into the third.
    run.push(S, &frames[1][..50]).gap(S, 109).push(S, &frames[2][50..]);
    assert_eq!(run.log.of("lost-way").len(), 1);
    run.push(S, &frames[3]).push(S, &frames[4][..7]);
    assert_eq!(run.log.of("data").len(), 2);
    run.push(S, &frames[4][7..]).push(S, &frames[5][..20]).push(S, &frames[5][20..]);
    let content = run.log.of("data");
    assert_eq!(content.len(), 5, "{content:?}");
    let place = |line: &str| line.split(' ').nth(3).map(str::to_owned);
    let start = 9 + 22 + 9;
    let expected: Vec<_> = [0, 1, 3, 4, 5].iter().map(|n| Some(format!("@{}", start + n * 109))).collect();
    assert_eq!(content.iter().map(|line| place(line)).collect::<Vec<_>>(), expected);
    assert_eq!(run.machine.facts().resyncs, 1);
    assert!(run.log.of("fault").is_empty());
}

#[test]
fn who_joins_late_reads_heads_as_far_as_they_can_be_known() {
    let mut run = Run::new(Http2::midstream());
    let ping = frame(h2::PING, 0, 0, &[1; 8]);
    // The rest of a frame, two pings, a head that refers to what was not seen, content of a stream from before.
    run.push(C, b"rest of something").push(C, &[&ping[..], &ping].concat());
    run.push(C, &frame(h2::HEADERS, 4, 9, &[0x82, 0x87, 0xbf, 0x44, 1, b'/']));
    run.push(C, &frame(h2::DATA, 0, 7, b"frames")).push(C, &frame(h2::HEADERS, 5, 7, &block(&[("t", "u")])));
    assert_eq!(
        run.lines(),
        [
            "found client @17",
            "request 9 :method=GET :scheme=https ?= :path=/ at 51..66",
            "data 7 client @75 frames",
            "trailers 7 client t=u",
            "side-ended 7 client",
        ]
    );
    let facts = run.machine.facts();
    assert_eq!((facts.connect_protocol(), facts.lossy, facts.entry), (None, true, Entry::Midstream));
}

#[test]
fn what_only_looks_like_frames_is_left_again() {
    let mut run = Run::new(Http2::midstream());
    let ping = frame(h2::PING, 0, 0, &[1; 8]);
    run.push(C, &ping.repeat(3)).push(C, b"GET / HTTP/1.1\r\n\r\n").push(C, &ping.repeat(3));
    assert_eq!(run.lines(), ["found client @0", "lost-way client @51", "found client @69"]);
    assert_eq!(run.machine.facts().frames_of(C, h2::PING), 6);
    // Again and again: it is given up.
    for _ in 0..200 {
        run.push(C, b"GET / HTTP/1.1\r\n\r\n").push(C, &ping.repeat(3));
    }
    assert_eq!(run.machine.facts().resyncs, crate::base::limits::H2_RESYNCS);
    assert_eq!(run.log.of("fault"), ["fault GivenUp 0 client"]);
}

#[test]
fn many_such_lures_in_one_piece_are_read_one_after_the_other() {
    let mut run = Run::new(Http2::midstream());
    let ping = frame(h2::PING, 0, 0, &[1; 8]);
    let lure = [&ping.repeat(3)[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
    run.push(C, &lure.repeat(400));
    assert_eq!(run.machine.facts().given_up, 1);
}

#[test]
fn what_a_lost_frame_said_is_unknown_and_not_denied() {
    let mut run = Run::new(Http2::new());
    run.push(C, &opening());
    let said = settings(&[(h2::ENABLE_CONNECT_PROTOCOL, 1), (h2::MAX_FRAME_SIZE, 20_000)]);
    run.push(S, &said[..11]).gap(S, 3).push(S, &said[14..]);
    assert_eq!(run.machine.facts().connect_protocol(), None);
    assert!(run.machine.facts().settings[1].partly_lost);
    run.push(C, &headers(1, 0, CONNECT));
    let reset = frame(h2::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    run.push(S, &reset[..10]).gap(S, 3);
    assert_eq!(run.log.of("ended"), ["ended 1 Reset { by: ServerToClient, code: None } [0, 0]"]);
    let goaway = frame(h2::GOAWAY, 0, 0, &[0; 20]);
    run.push(S, &goaway[..10]).gap(S, 8).push(S, &goaway[18..]);
    assert_eq!(run.machine.facts().goaway[1].map(|goaway| goaway.code), Some(None));
    assert!(!run.machine.facts().lossy);
}

proptest! {
    /// Wherever a hole is, what is told is a part of the truth: no head is made up, no content misplaced.
    #[test]
    fn a_hole_anywhere_makes_nothing_up(from in 0..400_usize, len in 1..60_usize) {
        let conversation = conversation();
        let whole = split(&conversation, || usize::MAX);
        let stream: Vec<u8> = conversation.iter().filter(|(who, _)| *who == C).flat_map(|(_, b)| b.clone()).collect();
        let answers: Vec<u8> = conversation.iter().filter(|(who, _)| *who == S).flat_map(|(_, b)| b.clone()).collect();
        let (from, end) = (from.min(stream.len()), (from + len).min(stream.len()));
        let mut run = Run::new(Http2::new());
        run.push(C, &stream[..from]);
        if end > from {
            run.gap(C, (end - from) as u64);
        }
        run.push(C, &stream[end..]).push(S, &answers).close(C, CloseHow::CaptureEnd);
        let sure = |line: &&&str| !line.contains(['?', '~']);
        for line in run.log.of("request").iter().filter(sure) {
            prop_assert!(whole.log.lines.iter().any(|other| other == line), "{}", line);
        }
        // Content: every piece is where it is in the stream.
        for line in run.log.of("data 1 client") {
            let mut parts = line.splitn(5, ' ').skip(3);
            let place: usize = parts.next().unwrap().trim_start_matches('@').parse().unwrap();
            let bytes = parts.next().unwrap().as_bytes();
            prop_assert_eq!(&stream[place..place + bytes.len()], bytes);
        }
    }
}
