//! The library from capture bytes to exchanges: however a conversation is cut into segments, the
//! exchanges are the same to the last byte.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::base::{Counters, PacketRef, Timestamp};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{Collected, Engine, read};
use hopscope::model::{Direction, Exchange, Head, Period, Preview, Talk};
use proptest::prelude::*;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::{self, Script, Segment, Side};
use crate::support::shape;

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

/// Reads a capture that is in memory.
pub(crate) fn run(capture: Vec<u8>) -> (Collected, Counters) {
    let source = Source::from_bytes("test", capture);
    let mut inputs = Merged::from_sources(vec![source], &Window::default()).expect("a capture");
    let mut engine = Engine::new(Collected::default());
    read(&mut inputs, &mut engine, &mut |_| true).expect("a readable capture");
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0, "nothing panicked");
    (collected, counters)
}

/// All of an exchange but where and when its packets were.
pub(crate) fn text_of(x: &Exchange) -> String {
    let mut x = x.clone();
    let head = |h: &mut Head| {
        (h.at, h.at_last, h.first, h.last) = Default::default();
    };
    let preview = |p: &mut Preview| (p.at, p.ts) = (PacketRef::default(), Timestamp::default());
    head(&mut x.request);
    x.interim.iter_mut().chain(&mut x.response).for_each(head);
    let previews = [&mut x.odd_response, &mut x.before_response, &mut x.early];
    previews.into_iter().flatten().chain(x.after_101.iter_mut().flatten()).for_each(|boxed| preview(boxed));
    if let Some(header) = &mut x.proxied {
        (header.at, header.ts) = Default::default();
    }
    x.times = Default::default();
    (x.end.at, x.end.packet, x.end.idle_before, x.end.lifetime, x.end.tcp_at) = Default::default();
    x.end.idle_of = Default::default();
    if let Some(talk) = &mut x.talk {
        timeless(talk);
    }
    // What was sent again is what repeating changes.
    x.transport = None;
    // Whether the 101 and what follows share a packet is what cutting changes.
    x.frames_with_101 = false;
    let texts: Vec<String> = [&x.request]
        .into_iter()
        .chain(&x.interim)
        .chain(&x.response)
        .map(|h| h.text.escape_ascii().to_string())
        .collect();
    format!("{texts:#?}\n{}\n{x:#?}\n(end)", x.body.escape_ascii())
}

/// Takes out where and when its packets were.
fn timeless(talk: &mut Talk) {
    (talk.silence, talk.before_last, talk.transport) = Default::default();
    talk.frames.iter_mut().for_each(|f| (f.at, f.ts) = Default::default());
    talk.frames.sort_by_key(|f| (f.from == Direction::ServerToClient, f.offset));
    for spoken in [&mut talk.client, &mut talk.server] {
        spoken.last.iter_mut().for_each(|last| (last.at, last.ts) = Default::default());
        let Some(rare) = &mut spoken.rare else { continue };
        rare.faults.iter_mut().for_each(|f| (f.at, f.ts) = Default::default());
        rare.messages.iter_mut().for_each(|m| (m.at, m.ts) = Default::default());
        rare.close.iter_mut().for_each(|c| (c.at, c.ts) = Default::default());
        let period = |p: &mut Period| *p = Period { count: p.count, ..Period::default() };
        for beat in &mut rare.beats {
            beat.at = PacketRef::default();
            period(&mut beat.period);
        }
        if let Some(pings) = &mut rare.pings {
            (pings.quickest, pings.slowest) = Default::default();
            pings.open.iter_mut().for_each(|p| (p.at, p.ts) = Default::default());
            period(&mut pings.period);
        }
    }
}

/// What a conversation is read as.
pub(crate) fn exchanges(segments: &[Segment]) -> (Vec<String>, [u64; 3]) {
    let (collected, counters) = run(Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet)));
    let counted = [counters.http_requests, counters.http_responses, counters.flows];
    (collected.exchanges.iter().map(|x| text_of(x)).collect(), counted)
}

fn upgrade() -> Vec<u8> {
    script::head(&script::upgrade_request(KEY))
}

fn accepted() -> Vec<u8> {
    script::head(&script::upgrade_response(KEY))
}

/// One conversation for each thing that HTTP/1.1 allows, or that servers do.
pub(crate) fn conversations() -> Vec<(&'static str, Vec<Segment>)> {
    let flow = || Script::flow().acknowledge(true);
    let c = Side::Client;
    let s = Side::Server;
    vec![
        ("an upgrade", flow().upgrade(KEY).frame(c, 1, b"hi").frame(s, 2, &[3; 200]).goodbye()),
        (
            "the first frames in one segment with the 101",
            flow().client(upgrade()).server([accepted(), script::frame(1, b"x", false)].concat()).goodbye(),
        ),
        (
            "plain requests, bodies of both kinds, then an upgrade",
            flow()
                .head(c, "POST /a HTTP/1.1\nHost: a\nContent-Length: 7")
                .client("abc\r\n\r\n")
                .head(s, "HTTP/1.1 200 OK\nContent-Length: 30")
                .server("HTTP/1.1 101 No\r\n\r\n***********")
                .head(c, "PUT /a HTTP/1.1\nHost: a\nTransfer-Encoding: chunked")
                .client("3;a=\"b\"\r\nabc\r\n1F\r\nGET /x HTTP/1.1\r\nUpgrade: a\r\n\r\n\r\n000\r\nA: b\r\nC: d\r\n\r\n")
                .head(s, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked")
                .server("a\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\nX: y\r\n\r\n")
                .upgrade(KEY)
                .frame(s, 1, b"x")
                .goodbye(),
        ),
        (
            "interim responses",
            flow()
                .head(c, "POST /a HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3")
                .head(s, "HTTP/1.1 100 Continue")
                .client("abc")
                .head(s, "HTTP/1.1 204 No Content")
                .client(upgrade())
                .head(s, "HTTP/1.1 103 Early Hints\nLink: </a>")
                .head(s, "HTTP/1.1 102 Processing")
                .server(accepted())
                .goodbye(),
        ),
        (
            "responses without content",
            flow()
                .head(c, "HEAD /a HTTP/1.1\nHost: a")
                .head(s, "HTTP/1.1 200 OK\nContent-Length: 5000")
                .head(c, "GET /a HTTP/1.1\nHost: a")
                .head(s, "HTTP/1.1 304 Not Modified\nContent-Length: 5000")
                .head(c, "GET /a HTTP/1.1\nHost: a")
                .head(s, "HTTP/1.1 204 No Content\nTransfer-Encoding: chunked")
                .upgrade(KEY)
                .goodbye(),
        ),
        (
            "pipelined requests around an upgrade that is refused",
            flow()
                .acknowledge(false)
                .head(c, "GET /1 HTTP/1.1\nHost: a")
                .head(c, "GET /2 HTTP/1.1\nHost: a")
                .client(upgrade())
                .head(c, "GET /4 HTTP/1.1\nHost: a")
                .acknowledge(true)
                .head(s, "HTTP/1.1 200 OK\nContent-Length: 2")
                .server("ok")
                .head(s, "HTTP/1.1 404 Not Found\nContent-Length: 0")
                .head(s, "HTTP/1.1 403 Forbidden\nContent-Length: 9")
                .server("forbidden")
                .head(s, "HTTP/1.1 200 OK\nContent-Length: 4")
                .server("last")
                .fin(s)
                .fin(c),
        ),
        (
            "frames before the 101",
            flow()
                .acknowledge(false)
                .client(upgrade())
                .frame(c, 1, b"early")
                .frame(c, 1, b"bird")
                .acknowledge(true)
                .server(accepted())
                .frame(c, 2, b"later")
                .goodbye(),
        ),
        (
            "a 401, then a 101",
            flow()
                .client(upgrade())
                .head(s, "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Negotiate\nContent-Length: 2000")
                .server([b'n'; 2000])
                .upgrade(KEY)
                .frame(c, 9, b"ping")
                .goodbye(),
        ),
        (
            "a refusal that the end of the connection ends",
            flow().client(upgrade()).head(s, "HTTP/1.1 400 Bad Request").server("no such room").fin(s).fin(c),
        ),
        (
            "a chunked refusal",
            flow()
                .client(upgrade())
                .head(s, "HTTP/1.1 503 Service Unavailable\nTransfer-Encoding: chunked")
                .server("5\r\nhello\r\n7;x\r\n, world\r\n0\r\n\r\n")
                .upgrade(KEY)
                .rst(s),
        ),
        (
            "CONNECT refused",
            flow()
                .head(c, "CONNECT a:443 HTTP/1.1\nHost: a:443")
                .head(s, "HTTP/1.1 407 Proxy Authentication Required\nContent-Length: 3")
                .server("who")
                .head(c, "CONNECT a:443 HTTP/1.1\nHost: a:443\nProxy-Authorization: Basic eDp5")
                .head(s, "HTTP/1.1 502 Bad Gateway\nContent-Length: 0")
                .fin(s)
                .fin(c),
        ),
        (
            "CONNECT granted",
            flow()
                .head(c, "CONNECT a:443 HTTP/1.1\nHost: a:443")
                .head(s, "HTTP/1.1 200 Connection established")
                .client([22, 3, 1, 0, 5, 1, 2, 3, 4, 5])
                .server([22, 3, 3, 0, 5, 1, 2, 3, 4, 5])
                .fin(c)
                .fin(s),
        ),
        (
            "another protocol",
            flow()
                .head(c, "GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__")
                .head(s, "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: h2c")
                .server([0; 90])
                .client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .fin(c)
                .fin(s),
        ),
        (
            "bare line feeds, folds and spaces",
            flow()
                .client("GET  /a  HTTP/1.1\nHost : a\nUpgrade:\n websocket\nConnection: Upgrade\nSec-WebSocket-Key: x\n\n")
                .server("HTTP/1.1 101\nUpgrade: websocket\n\tplus\n\n")
                .server([0x81, 1, b'x'])
                .fin(c)
                .fin(s),
        ),
        (
            "empty lines before heads",
            flow()
                .client([b"\r\n\r\n" as &[u8], &upgrade()].concat())
                .head(s, "HTTP/1.1 400 Bad Request\nContent-Length: 3")
                .server("bad\r\n")
                .client([b"\r\n" as &[u8], &upgrade()].concat())
                .server([b"\r\n" as &[u8], &accepted()].concat())
                .goodbye(),
        ),
        (
            "empty lines and nothing behind them",
            flow()
                .client([&upgrade() as &[u8], b"\r\n"].concat())
                .head(s, "HTTP/1.1 400 Bad Request\nContent-Length: 0")
                .server("\r\n")
                .client("\r\n")
                .fin(s)
                .fin(c),
        ),
        (
            "an answer before the request is whole",
            flow()
                .acknowledge(false)
                .client(&upgrade()[..100])
                .acknowledge(true)
                .head(s, "HTTP/1.1 408 Request Timeout\nContent-Length: 0")
                .fin(s)
                .fin(c),
        ),
        ("a request and no answer", flow().client(upgrade()).fin(c).fin(s)),
        ("half a request", flow().client(&upgrade()[..60]).fin(c).fin(s)),
        ("half a response", flow().client(upgrade()).server(&accepted()[..60]).fin(s).fin(c)),
        ("something else for a response", flow().client(upgrade()).server("SSH-2.0-OpenSSH_9.6\r\n").fin(s).fin(c)),
        (
            "something else before the response",
            flow().client(upgrade()).server([b"HHTTnonsense H" as &[u8], &accepted()].concat()).goodbye(),
        ),
        (
            "what ends like the start of a response",
            flow().client(upgrade()).server("nonsense HTTP/").fin(s).fin(c),
        ),
        (
            "HTTP after the 101",
            flow().upgrade(KEY).head(s, "HTTP/1.1 502 Bad Gateway\nContent-Length: 0").fin(s).fin(c),
        ),
        (
            "a long close reason in two frames' worth of bytes",
            flow().upgrade(KEY).frame(s, 8, &[vec![3, 0xf3], vec![b'r'; 120]].concat()).fin(s).fin(c),
        ),
        (
            "frames of every length",
            flow()
                .upgrade(KEY)
                .frame(c, 1, &[b'a'; 125])
                .frame(c, 1, &[b'a'; 126])
                .frame(s, 2, &[b'a'; 127])
                .frame(s, 2, &vec![b'a'; 70_000])
                .frame(s, 9, b"")
                .frame(c, 10, b"")
                .goodbye(),
        ),
        (
            "a server that speaks first",
            flow().server("hello\r\n").client(upgrade()).server(accepted()).goodbye(),
        ),
    ]
    .into_iter()
    .map(|(name, script)| (name, script.segments()))
    .collect()
}

#[test]
fn one_byte_a_segment_gives_the_same_exchanges_to_the_last_byte() {
    for (name, whole) in conversations() {
        let expected = exchanges(&whole);
        pretty(name, "1 byte", &exchanges(&shape::split(whole, &[1])), &expected);
    }
}

#[test]
fn a_cut_at_any_place_gives_the_same_exchanges_to_the_last_byte() {
    for (name, whole) in conversations() {
        let expected = exchanges(&whole);
        let longest = whole.iter().map(|s| s.payload.len()).max().unwrap_or(0);
        for cut in 1..longest.min(600) {
            // The first piece of each payload has this size, the second takes the rest.
            let both = |s: &Segment| shape::split(vec![s.clone()], &[cut, usize::MAX >> 1]);
            let pieces: Vec<Segment> = whole.iter().flat_map(both).collect();
            pretty(name, &format!("first {cut} bytes"), &exchanges(&pieces), &expected);
        }
    }
}

#[test]
fn payload_joined_to_long_segments_gives_the_same_exchanges() {
    for (name, whole) in conversations() {
        let expected = exchanges(&whole);
        pretty(name, "joined", &exchanges(&joined(whole)), &expected);
    }
}

/// Segments of one side with nothing of the other between them become one.
fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    for segment in segments {
        if segment.payload.is_empty() && !segment.flags.syn && !segment.flags.fin && !segment.flags.rst {
            continue;
        }
        match out.last_mut() {
            Some(last)
                if last.from == segment.from
                    && !last.payload.is_empty()
                    && !segment.payload.is_empty()
                    && last.payload.len() + segment.payload.len() < 60_000
                    && !segment.flags.rst =>
            {
                last.payload.extend_from_slice(&segment.payload);
                last.flags.fin |= segment.flags.fin;
            }
            _ => out.push(segment),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::support::cases(64), failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_swapping_repeating_and_overlapping_gives_the_same_exchanges(
        pick in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1_usize..200, 1..8),
        back in prop::collection::vec(0_u8..60, 1..8),
        twice in prop::collection::vec(any::<bool>(), 0..60),
        swaps in prop::collection::vec(0_u8..4, 0..80),
    ) {
        let all = conversations();
        let (name, whole) = pick.get(&all);
        // A reset is not put in order: nothing waits for what it overtook.
        prop_assume!(!whole.iter().any(|s| s.flags.rst));
        let expected = exchanges(whole);
        let shaped = shape::split(whole.clone(), &sizes);
        let shaped = shape::overlap(shaped, &back);
        let shaped = shape::duplicate(shaped, &twice);
        let shaped = shape::reorder(shaped, &swaps);
        let how = || {
            let line = |s: &Segment| format!("\n{:?} {} {} {:?} {}", s.from, s.seq, s.ack, s.flags, s.payload.escape_ascii());
            shaped.iter().map(line).collect::<String>()
        };
        let found = exchanges(&shaped);
        prop_assert!(found == expected, "{name}{}{}", how(), differences(&found, &expected));
    }
}

fn pretty(name: &str, how: &str, found: &(Vec<String>, [u64; 3]), expected: &(Vec<String>, [u64; 3])) {
    assert!(found == expected, "{name}, {how}{}", differences(found, expected));
}

/// What differs first, with a few lines around it.
fn differences(found: &(Vec<String>, [u64; 3]), expected: &(Vec<String>, [u64; 3])) -> String {
    let mut out = format!("\n{:?} instead of {:?}", found.1, expected.1);
    for (found, expected) in found.0.iter().zip(&expected.0).filter(|(a, b)| a != b) {
        let lines = found.lines().zip(expected.lines()).enumerate();
        for (number, (found, expected)) in lines.filter(|(_, (a, b))| a != b).take(40) {
            out += &format!("\n{number}: {} instead of {}", found.trim(), expected.trim());
        }
    }
    out
}
