//! The machine by itself: scripted frames, all splits of them, holes, floods. Real traffic: `traffic.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on has failed; its numbers are small"
)]

mod hostile;
mod lossy;
mod traffic;

use proptest::prelude::*;

use super::*;
use crate::model::Direction::{ClientToServer as C, ServerToClient as S};
use crate::stream::CloseHow;
use crate::wire::h2;

/// Writes down what it is told.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Vec<String>,
    /// The content that was told last: its line, stream, direction, and where it goes on.
    content: Option<(usize, u32, Direction, u64)>,
}

fn side(from: Direction) -> &'static str {
    if from == C { "client" } else { "server" }
}

fn fields(block: &Block<'_>) -> String {
    let list = block.list;
    let text = |range: &std::ops::Range<u32>| String::from_utf8_lossy(list.bytes(range)).into_owned();
    let mark = |f: &crate::model::Field| match f.faults {
        faults if faults.has(crate::model::LineFaults::UNKNOWN) => "?",
        faults if faults.has(crate::model::LineFaults::POSSIBLE) => "~",
        _ => "",
    };
    let all = list.fields.iter().map(|f| format!("{}{}={}", mark(f), text(&f.name), text(&f.value)));
    all.collect::<Vec<_>>().join(" ")
}

impl Log {
    fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    /// The lines that begin with this.
    pub(super) fn of(&self, word: &str) -> Vec<&str> {
        self.lines.iter().filter(|line| line.starts_with(word)).map(String::as_str).collect()
    }
}

impl Output for Log {
    fn request(&mut self, s: &Stream, head: &Block<'_>) {
        let range = head.head().range;
        self.add(format!("request {} {} at {range:?}", s.id, fields(head)));
    }

    fn interim(&mut self, s: &Stream, head: &Block<'_>) {
        self.add(format!("interim {} {}", s.id, fields(head)));
    }

    fn response(&mut self, s: &Stream, head: &Block<'_>) {
        self.add(format!("response {} {}", s.id, fields(head)));
    }

    fn trailers(&mut self, s: &Stream, from: Direction, head: &Block<'_>) {
        self.add(format!("trailers {} {} {}", s.id, side(from), fields(head)));
    }

    fn data(&mut self, s: &Stream, from: Direction, bytes: &[u8], mark: Mark) {
        assert!(!bytes.is_empty(), "no piece is empty");
        let text = String::from_utf8_lossy(bytes);
        match self.content {
            Some((line, id, who, at)) if (id, who, at) == (s.id, from, mark.offset) && line + 1 == self.lines.len() => {
                self.lines[line].push_str(&text);
            }
            _ => self.add(format!("data {} {} @{} {text}", s.id, side(from), mark.offset)),
        }
        self.content = Some((self.lines.len() - 1, s.id, from, mark.offset + bytes.len() as u64));
    }

    fn data_lost(&mut self, s: &Stream, from: Direction, bytes: u64, mark: Mark) {
        self.add(format!("lost {} {} {bytes} @{}", s.id, side(from), mark.offset));
    }

    fn side_ended(&mut self, s: &Stream, from: Direction, _: Mark) {
        self.add(format!("side-ended {} {}", s.id, side(from)));
    }

    fn ended(&mut self, s: &Stream, ended: Ended) {
        self.add(format!("ended {} {:?} {:?}", s.id, ended.how, s.data_bytes));
    }

    fn connection(&mut self, news: News, _: &Facts) {
        match news {
            News::Settings { from, .. } => self.add(format!("settings {}", side(from))),
            News::SettingsAcked { from, .. } => self.add(format!("acked {}", side(from))),
            News::GoAway { from, .. } => self.add(format!("goaway {}", side(from))),
            News::Stalled { stream, sender, stall } => self.add(format!("stalled {stream} {} {stall:?}", side(sender))),
            News::Lost { from, mark } => self.add(format!("lost-way {} @{}", side(from), mark.offset)),
            News::Found { from, mark } => self.add(format!("found {} @{}", side(from), mark.offset)),
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.add(format!("fault {:?} {} {}", fault.what, fault.stream, side(fault.from)));
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn settings(parameters: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        parameters.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(h2::SETTINGS, 0, 0, &payload)
}

/// Literal fields without indexing.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

pub(super) fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(h2::HEADERS, flags | h2::END_HEADERS, stream, &block(fields))
}

pub(super) const GET: &[(&str, &str)] = &[(":method", "GET"), (":scheme", "http"), (":path", "/")];
pub(super) const CONNECT: &[(&str, &str)] = &[
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat"),
    (":authority", "a"),
    ("sec-websocket-version", "13"),
];
pub(super) const OK: &[(&str, &str)] = &[(":status", "200")];

pub(super) fn opening() -> Vec<u8> {
    [&h2::PREFACE[..], &settings(&[])].concat()
}

/// A connection and both places in it.
pub(super) struct Run {
    pub(super) machine: Http2,
    pub(super) log: Log,
    pub(super) at: [u64; 2],
    pub(super) ts: i64,
}

impl Run {
    pub(super) fn new(machine: Http2) -> Self {
        Run { machine, log: Log::default(), at: [0; 2], ts: 0 }
    }

    pub(super) fn opened() -> Self {
        let mut run = Run::new(Http2::new());
        run.push(C, &opening()).push(S, &settings(&[]));
        run.log.lines.clear();
        run
    }

    fn mark(&self, from: Direction) -> Mark {
        Mark { ts: Timestamp(self.ts), at: PacketRef::default(), offset: self.at[at(from)] }
    }

    pub(super) fn push(&mut self, from: Direction, bytes: &[u8]) -> &mut Self {
        let mark = self.mark(from);
        self.machine.push(from, bytes, mark, &mut self.log);
        self.at[at(from)] += bytes.len() as u64;
        self
    }

    pub(super) fn gap(&mut self, from: Direction, len: u64) -> &mut Self {
        let mark = self.mark(from);
        self.machine.gap(from, len, mark, &mut self.log);
        self.at[at(from)] += len;
        self
    }

    pub(super) fn close(&mut self, from: Direction, how: CloseHow) -> &mut Self {
        let mark = self.mark(from);
        self.machine.close(from, how, mark, &mut self.log);
        self
    }

    pub(super) fn lines(&self) -> Vec<&str> {
        self.log.lines.iter().map(String::as_str).collect()
    }
}

#[test]
fn an_extended_connect_is_told_with_what_the_server_had_said_of_it() {
    for (value, expected) in [(None, Some(false)), (Some(0), Some(false)), (Some(1), Some(true))] {
        let parameters: Vec<_> = value.map(|value| (h2::ENABLE_CONNECT_PROTOCOL, value)).into_iter().collect();
        let mut run = Run::new(Http2::new());
        run.push(C, &opening()).push(S, &settings(&parameters)).push(C, &headers(1, 0, CONNECT));
        let stream = run.machine.streams.get(1).unwrap();
        assert!(stream.extended_connect);
        assert_eq!(stream.connect_protocol, expected, "{value:?}");
        assert!(run.log.of("fault").is_empty(), "{:?}", run.lines());
    }
}

#[test]
fn a_head_has_its_pseudo_fields_first_and_its_start_line_filled() {
    struct Heads(Vec<crate::model::Head>);
    impl Output for Heads {
        fn request(&mut self, _: &Stream, head: &Block<'_>) {
            self.0.push(head.head());
        }
        fn response(&mut self, _: &Stream, head: &Block<'_>) {
            self.0.push(head.head());
        }
    }
    let mut heads = Heads(Vec::new());
    let (mut machine, begin) = (Http2::new(), opening());
    let packet = |offset, n| Mark { ts: Timestamp(n), at: PacketRef::new(0, n as u64), offset };
    machine.push(C, &begin, packet(0, 1), &mut heads);
    let request = headers(1, 0, CONNECT);
    let place = begin.len() as u64;
    machine.push(C, &request[..20], packet(place, 2), &mut heads);
    machine.push(C, &request[20..], packet(place + 20, 3), &mut heads);
    let plain: &[_] = &[(":method", "CONNECT"), (":authority", "b:443")];
    machine.push(C, &headers(3, 0, plain), packet(place + request.len() as u64, 4), &mut heads);
    machine.push(S, &[settings(&[]), headers(1, 0, OK)].concat(), packet(0, 5), &mut heads);

    let [connect, plain, ok] = &heads.0[..] else { panic!("{}", heads.0.len()) };
    let parts = (connect.method(), connect.target(), connect.version(), connect.status());
    assert_eq!(parts, (&b"CONNECT"[..], &b"/chat"[..], &b"HTTP/2"[..], None));
    let names: Vec<_> = connect.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(names, CONNECT.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert!(connect.has_websocket() && connect.has(":protocol") && !connect.has("upgrade"));
    assert!(connect.complete && connect.coded);
    assert_eq!(connect.range, place..place + request.len() as u64);
    assert_eq!(connect.field_range(&connect.fields[2]), connect.range);
    assert_eq!(connect.start_range(), connect.range);
    assert_eq!((connect.at.number(), connect.at_last.number()), (2, 3));
    assert_eq!((connect.first, connect.last), (Timestamp(2), Timestamp(3)));
    assert_eq!(plain.target(), b"b:443");
    assert_eq!((ok.status(), ok.version(), ok.reason(), ok.method()), (Some(200), &b"HTTP/2"[..], &b""[..], &b""[..]));
}

#[test]
fn interim_heads_responses_content_trailers_and_ends_are_told_in_order() {
    let mut run = Run::opened();
    run.push(C, &headers(1, h2::END_STREAM, GET));
    run.push(S, &headers(1, 0, &[(":status", "103")])).push(S, &headers(1, 0, OK));
    run.push(S, &frame(h2::DATA, 0, 1, b"abc")).push(S, &frame(h2::DATA, h2::PADDED, 1, b"\x02de\0\0"));
    run.push(S, &headers(1, h2::END_STREAM, &[("grpc-status", "0")]));
    assert_eq!(
        run.lines(),
        [
            "request 1 :method=GET :scheme=http :path=/ at 33..78",
            "side-ended 1 client",
            "interim 1 :status=103",
            "response 1 :status=200",
            "data 1 server @62 abc",
            "data 1 server @75 de",
            "trailers 1 server grpc-status=0",
            "side-ended 1 server",
            "ended 1 EndStream { by: ServerToClient } [0, 5]",
        ]
    );
}

#[test]
fn padding_and_priority_are_no_part_of_a_block() {
    let fragment = block(GET);
    let payload = [&[3][..], &[0, 0, 0, 0, 15], &fragment, &[0; 3]].concat();
    let flags = h2::PADDED | h2::WITH_PRIORITY | h2::END_HEADERS;
    let mut run = Run::opened();
    run.push(C, &frame(h2::HEADERS, flags, 1, &payload));
    assert_eq!(run.log.of("request 1 :method=GET :scheme=http :path=/ at").len(), 1, "{:?}", run.lines());
    // As much padding as there is room for, and one more.
    run.push(C, &frame(h2::DATA, h2::PADDED, 1, &[2, 0, 0])).push(C, &frame(h2::DATA, h2::PADDED, 1, &[3, 0, 0]));
    assert_eq!(run.lines()[1..], ["fault Padding 1 client", "lost 1 client 2 @109"]);
}

#[test]
fn a_block_goes_on_in_continuations_and_nowhere_else() {
    let fragment = block(GET);
    let (a, b) = fragment.split_at(7);
    let mut run = Run::opened();
    run.push(C, &frame(h2::HEADERS, h2::END_STREAM, 1, a)).push(C, &frame(h2::CONTINUATION, 0, 1, &[]));
    run.push(C, &frame(h2::CONTINUATION, h2::END_HEADERS, 1, b));
    assert_eq!(run.lines()[0], "request 1 :method=GET :scheme=http :path=/ at 33..96");
    assert_eq!(run.lines()[1..], ["side-ended 1 client"]);

    let mut run = Run::opened();
    run.push(C, &frame(h2::HEADERS, 0, 1, a)).push(C, &frame(h2::PING, 0, 0, &[0; 8]));
    run.push(C, &frame(h2::CONTINUATION, h2::END_HEADERS, 1, b)).push(C, &headers(3, 0, GET));
    assert_eq!(
        run.log.of("fault"),
        ["fault Interleaved 0 client", "fault BlockLost 1 client", "fault LoneContinuation 1 client"]
    );
    assert_eq!(run.log.of("request").len(), 1);
    assert_eq!(run.machine.streams.get(1).unwrap().request, Seen::Lost);
}

#[test]
fn resets_goaways_and_closes_end_streams_each_in_its_way() {
    let mut run = Run::opened();
    for id in [1, 3, 5, 7] {
        run.push(C, &headers(id, 0, GET));
    }
    run.log.lines.clear();
    run.push(S, &frame(h2::RST_STREAM, 0, 1, &[0, 0, 0, 1]));
    run.push(S, &frame(h2::GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\x0bslow down"));
    // What is under way when it is over is nobody's.
    run.push(S, &headers(1, 0, OK)).push(S, &frame(h2::DATA, 0, 1, b"x"));
    run.close(S, CloseHow::Fin).close(C, CloseHow::Fin);
    assert_eq!(
        run.lines(),
        [
            "ended 1 Reset { by: ServerToClient, code: Some(1) } [0, 0]",
            "goaway server",
            "ended 5 GoAway { by: ServerToClient, code: Some(11) } [0, 0]",
            "ended 7 GoAway { by: ServerToClient, code: Some(11) } [0, 0]",
            "ended 3 Closed { by: Some(ClientToServer), how: Fin } [0, 0]",
        ]
    );
    let facts = run.machine.facts();
    let goaway = facts.goaway[1].unwrap();
    assert_eq!((goaway.last_stream, goaway.code, goaway.debug()), (Some(3), Some(11), &b"slow down"[..]));
    assert_eq!(facts.stray_frames, 2);
}

#[test]
fn settings_of_both_sides_are_kept_and_a_setting_taken_back_is_noticed() {
    let mut run = Run::new(Http2::new());
    run.push(C, &[&h2::PREFACE[..], &settings(&[(h2::INITIAL_WINDOW_SIZE, 5), (h2::ENABLE_PUSH, 0)])].concat());
    run.push(S, &settings(&[(h2::ENABLE_CONNECT_PROTOCOL, 1), (0x1234, 9)]))
        .push(C, &frame(h2::SETTINGS, h2::ACK, 0, &[]));
    run.push(S, &settings(&[(h2::ENABLE_CONNECT_PROTOCOL, 0)]));
    assert_eq!(run.lines(), ["settings client", "settings server", "acked client", "settings server"]);
    let facts = run.machine.facts();
    assert_eq!((facts.settings[0].initial_window_size, facts.settings[0].enable_push), (Some(5), Some(0)));
    assert_eq!(facts.settings[1].enable_connect_protocol, Some(0));
    assert_eq!(facts.settings[1].connect_protocol_reverted.map(|mark| mark.offset), Some(21 + 9 - 9));
    assert!(facts.settings[1].acked.is_some() && facts.settings[0].acked.is_none());
    assert_eq!(facts.frames_of(S, h2::SETTINGS), 2);
}

#[test]
fn after_an_upgrade_stream_1_waits_for_its_answer() {
    // SETTINGS_INITIAL_WINDOW_SIZE of 100, with padding that does not belong there.
    let mut run = Run::new(Http2::upgraded(Some(b"AAQAAABk=="), Mark::default()));
    run.push(S, &settings(&[])).push(C, &opening()).push(S, &headers(1, 0, OK));
    run.push(S, &frame(h2::DATA, h2::END_STREAM, 1, b"hi")).push(C, &headers(3, 0, GET));
    assert_eq!(
        run.lines()[2..6],
        [
            "response 1 :status=200",
            "data 1 server @40 hi",
            "side-ended 1 server",
            "ended 1 EndStream { by: ServerToClient } [0, 2]"
        ]
    );
    assert!(run.lines()[6].starts_with("request 3"), "{:?}", run.lines());
    assert_eq!(run.machine.facts().settings[0].initial_window_size, Some(100));
    assert!(Http2::upgraded(Some(b"%"), Mark::default()).facts().settings[0].partly_lost);
}

#[test]
fn a_pushed_request_is_told_with_the_stream_it_will_be_answered_on() {
    let mut run = Run::opened();
    run.push(C, &headers(1, h2::END_STREAM, GET));
    let promise = [&[0, 0, 0, 2][..], &block(GET)].concat();
    run.push(S, &frame(h2::PUSH_PROMISE, h2::END_HEADERS, 1, &promise)).push(S, &headers(2, h2::END_STREAM, OK));
    assert!(run.lines()[2].starts_with("request 2 :method=GET"), "{:?}", run.lines());
    assert_eq!(run.lines()[3..], ["response 2 :status=200", "side-ended 2 server"]);
}

#[test]
fn a_101_is_an_answer_and_a_fault() {
    let mut run = Run::opened();
    run.push(C, &headers(1, 0, GET)).push(S, &headers(1, 0, &[(":status", "101")]));
    assert_eq!(run.lines()[1..], ["response 1 :status=101", "fault SwitchingProtocols 1 server"]);
}

#[test]
fn a_stalled_stream_and_a_stalled_connection_are_told_when_they_go_on() {
    let second = 1_000_000_000;
    let mut run = Run::new(Http2::new());
    run.push(C, &[&h2::PREFACE[..], &settings(&[(h2::INITIAL_WINDOW_SIZE, 10)])].concat()).push(S, &settings(&[]));
    run.push(C, &headers(1, 0, GET)).push(S, &headers(1, 0, OK));
    run.push(S, &frame(h2::DATA, 0, 1, &[b'x'; 10]));
    run.ts = 2 * second;
    run.push(C, &frame(h2::WINDOW_UPDATE, 0, 1, &10_u32.to_be_bytes()));
    run.ts = 2 * second + 5;
    run.push(S, &frame(h2::DATA, 0, 1, &[b'x'; 10]));
    let expected = "stalled 1 server Stall { from: Timestamp(0), until: Some(Timestamp(2000000000)), resumed: Some(Timestamp(2000000005)) }";
    assert_eq!(run.log.of("stalled"), [expected]);
    // The connection's window, by the client's content.
    run.log.lines.clear();
    for _ in 0..5 {
        run.push(C, &frame(h2::DATA, 0, 1, &[0; 13_107]));
    }
    run.ts = 9 * second;
    run.close(C, CloseHow::Rst);
    let expected = "Stall { from: Timestamp(2000000005), until: None, resumed: None }";
    assert_eq!(
        run.log.of("stalled"),
        [
            format!("stalled 1 client {expected}"),
            format!("stalled 1 server {expected}"),
            format!("stalled 0 client {expected}")
        ]
    );
}

#[test]
fn faults_of_form_are_told_and_reading_goes_on() {
    let mut run = Run::new(Http2::new());
    run.push(C, h2::PREFACE).push(C, &frame(h2::PING, 0, 0, &[0; 8]));
    run.push(C, &frame(h2::PING, 0, 0, &[0; 7])).push(C, &frame(h2::SETTINGS, 0, 3, &[]));
    run.push(S, &settings(&[(h2::MAX_FRAME_SIZE, 20_000)])).push(C, &frame(0xbe, 0, 0, &[0; 20_001]));
    run.push(C, &frame(h2::HEADERS, h2::END_HEADERS, 1, &[0xbe])).push(C, &headers(3, 0, GET));
    let expected = [
        "fault FirstFrame 0 client",
        "fault Length 0 client",
        "fault Stream 3 client",
        "fault FrameTooLarge 0 client",
        "fault Coding 1 client",
    ];
    assert_eq!(run.log.of("fault"), expected);
    assert_eq!(run.log.of("request").len(), 2);
}

/// A conversation of all kinds of frames, in turns.
fn conversation() -> Vec<(Direction, Vec<u8>)> {
    let fragment = block(CONNECT);
    let (a, b) = fragment.split_at(30);
    vec![
        (C, [&h2::PREFACE[..], &settings(&[(1, 100), (4, 70_000)])].concat()),
        (S, [settings(&[(8, 1), (3, 100)]), frame(h2::SETTINGS, h2::ACK, 0, &[])].concat()),
        (
            C,
            [frame(h2::SETTINGS, h2::ACK, 0, &[]), frame(h2::HEADERS, 0, 1, a), frame(h2::CONTINUATION, 4, 1, b)]
                .concat(),
        ),
        // Inserted into the table, and referred to by the next one.
        (C, frame(h2::HEADERS, 5, 3, &[0x82, 0x87, 0x84, 0x40, 1, b'x', 1, b'y'])),
        (
            S,
            [headers(1, 0, &[(":status", "100")]), headers(1, 0, OK), frame(h2::PRIORITY, 0, 1, &[0, 0, 0, 0, 1])]
                .concat(),
        ),
        (C, [frame(h2::DATA, h2::PADDED, 1, b"\x03hello\0\0\0"), frame(h2::HEADERS, 5, 5, &[0x82, 0xbe])].concat()),
        (
            S,
            [frame(h2::PUSH_PROMISE, 4, 3, &[0, 0, 0, 2, 0x82]), headers(3, 0, OK), frame(h2::DATA, 1, 3, b"content")]
                .concat(),
        ),
        (
            C,
            [frame(h2::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]), frame(h2::PING, 0, 0, &[7; 8]), frame(0xef, 3, 9, b"?")]
                .concat(),
        ),
        (
            S,
            [frame(h2::DATA, 0, 1, &[]), frame(h2::DATA, 0, 1, b"world"), frame(h2::RST_STREAM, 0, 5, &[0, 0, 0, 7])]
                .concat(),
        ),
        (C, frame(h2::DATA, h2::END_STREAM, 1, &[])),
        (
            S,
            [frame(h2::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0, b'b', b'y', b'e']), headers(1, 1, &[("t", "u")])]
                .concat(),
        ),
    ]
}

fn split(conversation: &[(Direction, Vec<u8>)], mut cut: impl FnMut() -> usize) -> Run {
    let mut run = Run::new(Http2::new());
    for (from, bytes) in conversation {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(cut().clamp(1, rest.len()));
            run.push(*from, piece);
            rest = more;
        }
    }
    run.close(C, CloseHow::Fin).close(S, CloseHow::Fin);
    run
}

#[test]
fn a_conversation_of_all_frames_is_read_to_its_end() {
    let run = split(&conversation(), || usize::MAX);
    assert!(run.log.of("fault").is_empty(), "{:#?}", run.lines());
    assert!(run.log.of("request 5 :method=GET x=y").len() == 1, "{:#?}", run.lines());
    assert_eq!(run.log.of("data 1 client")[0].split(' ').next_back(), Some("hello"));
    assert!(run.machine.facts().frames.iter().all(|counts| counts.iter().sum::<u32>() > 5));
    assert_eq!(run.log.of("ended").len(), 4);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cuts in proptest::collection::vec(1..40_usize, 1..50)) {
        let conversation = conversation();
        let whole = split(&conversation, || usize::MAX);
        let mut cuts = cuts.into_iter().cycle();
        let cut = split(&conversation, || cuts.next().unwrap());
        prop_assert_eq!(whole.log.lines, cut.log.lines);
        prop_assert_eq!(format!("{:?}", whole.machine.facts()), format!("{:?}", cut.machine.facts()));
    }

    #[test]
    fn any_bytes_in_any_pieces_are_read_without_a_panic(
        start in 0..3_u8,
        pieces in proptest::collection::vec((any::<bool>(), 0..3_u8, proptest::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut run = Run::new(match start {
            0 => Http2::new(),
            1 => Http2::upgraded(Some(b"AAQ"), Mark::default()),
            _ => Http2::midstream(),
        });
        run.push(C, &opening());
        for (client, what, bytes) in &pieces {
            let from = if *client { C } else { S };
            match what {
                0 => run.gap(from, bytes.len() as u64),
                1 => run.push(from, bytes),
                _ => {
                    let [kind, flags, stream, rest @ ..] = &bytes[..] else { continue };
                    run.push(from, &frame(kind % 11, *flags, u32::from(stream % 8), rest))
                }
            };
        }
        run.close(C, CloseHow::CaptureEnd);
    }
}
