//! HTTP/2 from capture bytes to exchanges and reports: each stream that asks for a WebSocket is one exchange with the
//! frames of its own, however the bytes are cut.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use hopscope::model::{Direction, EndHow, Entry, Exchange, Mechanism, StreamEnd};

use crate::engine::{run, text_of};
use crate::support::file::Format;
use crate::support::h2::{
    DATA, END_STREAM, GOAWAY, PREFACE, RST_STREAM, connect, data, frame, headers, settings, status,
};
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{self, Script, Segment, Side};

const CLIENT: Direction = Direction::ClientToServer;
const SERVER: Direction = Direction::ServerToClient;

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn exchanges(script: Script) -> Vec<Exchange> {
    run(capture(&script.segments())).0.exchanges.into_iter().map(|x| *x).collect()
}

/// Both prefaces; the server takes extended CONNECT.
fn opened(script: Script) -> Script {
    script.client([PREFACE, &settings(&[])].concat()).server(settings(&[(8, 1)]))
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    script::frame(opcode, payload, true)
}

fn plain(opcode: u8, payload: &[u8]) -> Vec<u8> {
    script::frame(opcode, payload, false)
}

/// A WebSocket on stream 1: two messages, a closing handshake, END_STREAM of both, then the connection's end.
fn talk(script: Script) -> Script {
    let code = 1000_u16.to_be_bytes();
    opened(script)
        .client(connect(1, "/chat"))
        .server(status(0, 1, "200"))
        // A frame of WebSocket goes on in the next frame of HTTP/2.
        .client([data(1, &masked(1, b"hello")[..4]), data(1, &masked(1, b"hello")[4..])].concat())
        .server(data(1, &[plain(1, b"hello"), plain(2, &[7; 300])].concat()))
        .client(data(1, &masked(8, &code)))
        .server(frame(DATA, END_STREAM, 1, &plain(8, &code)))
        .client(frame(DATA, END_STREAM, 1, b""))
        .fin(Side::Client)
        .fin(Side::Server)
}

#[test]
fn a_websocket_over_http2_is_an_exchange_with_its_frames_and_its_end() {
    let all = exchanges(talk(Script::flow()));
    let [x] = all.as_slice() else { panic!("{} exchanges", all.len()) };
    assert_eq!((x.mechanism, x.status(), x.granted().is_some()), (Mechanism::Http2ExtendedConnect, Some(200), true));
    assert_eq!(
        (x.request.method(), x.request.target(), x.request.version()),
        (&b"CONNECT"[..], &b"/chat"[..], &b"HTTP/2"[..])
    );
    let ws = x.ws.expect("frames");
    assert_eq!((ws.client.frames, ws.client.text, ws.server.frames, ws.server.payload_bytes), (2, 1, 3, 307));
    assert_eq!((x.end.how, x.end.by), (EndHow::CloseFrame, Some(CLIENT)));
    assert_eq!((x.end.tcp_how, x.end.tcp_by), (EndHow::Fin, Some(SERVER)), "END_STREAM is the transport's end");
    let stream = x.stream.as_deref().expect("a stream");
    assert_eq!((stream.id, stream.entry, stream.connect_protocol), (1, Entry::Preface, Some(true)));
    assert_eq!(stream.end, Some(StreamEnd::Ended));
    assert!(x.talk.as_ref().is_some_and(|talk| talk.client.messages().len() == 1));
}

#[test]
fn however_the_bytes_are_cut_the_exchange_is_the_same() {
    let told = |bytes: usize| {
        let mut all = exchanges(talk(Script::flow().segment_bytes(bytes)));
        // When and by which packet things came depends on the cut.
        for stream in all.iter_mut().flat_map(|x| &mut x.stream) {
            (stream.settings, stream.side_ended) = (None, [None; 2]);
        }
        all.iter().map(text_of).collect::<Vec<_>>()
    };
    let whole = told(1448);
    for bytes in [1, 2, 3, 7, 11, 64] {
        assert!(told(bytes) == whole, "{bytes} bytes to a segment");
    }
}

#[test]
fn websockets_on_one_connection_do_not_mix() {
    let talk = opened(Script::flow())
        .client([connect(1, "/a"), connect(3, "/b")].concat())
        .server([status(0, 3, "200"), status(0, 1, "200")].concat())
        .client(
            [data(1, &masked(1, b"ab")[..3]), data(3, &masked(2, &[1; 9])), data(1, &masked(1, b"ab")[3..])].concat(),
        )
        .server(data(3, &plain(1, b"only b")))
        .fin(Side::Client)
        .fin(Side::Server);
    let all = exchanges(talk);
    let told: Vec<_> = all
        .iter()
        .map(|x| (x.stream.as_ref().map(|s| s.id), x.ws.map(|ws| (ws.client.text, ws.client.binary, ws.server.text))))
        .collect();
    assert_eq!(told, [(Some(1), Some((1, 0, 0))), (Some(3), Some((0, 1, 1)))]);
    for x in &all {
        assert_eq!((x.end.how, x.end.by), (EndHow::Fin, Some(CLIENT)), "the connection ended under it");
        let end = x.stream.as_ref().and_then(|stream| stream.end);
        assert_eq!(end, Some(StreamEnd::Closed { goaway: None }));
    }
}

#[test]
fn a_reset_and_a_goaway_are_resets() {
    let reset = opened(Script::flow())
        .client(connect(1, "/a"))
        .server(status(0, 1, "200"))
        .client(data(1, &masked(1, b"x")))
        .server(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
        .fin(Side::Client)
        .fin(Side::Server);
    let x = exchanges(reset).remove(0);
    assert_eq!((x.end.how, x.end.by), (EndHow::Rst, Some(SERVER)));
    let stream = x.stream.expect("a stream");
    assert_eq!((stream.end, stream.code), (Some(StreamEnd::Reset(SERVER)), Some(8)));

    let last_and_code = [0, 0, 0, 1, 0, 0, 0, 0];
    let goaway = opened(Script::flow())
        .client([connect(1, "/a"), connect(3, "/b")].concat())
        .server([status(0, 1, "200"), frame(GOAWAY, 0, 0, &last_and_code)].concat())
        .fin(Side::Server)
        .fin(Side::Client);
    let mut all = exchanges(goaway);
    all.sort_by_key(|x| x.id);
    let ends: Vec<_> = all.iter().map(|x| x.stream.as_ref().and_then(|s| s.end)).collect();
    assert_eq!(ends, [Some(StreamEnd::Closed { goaway: Some(SERVER) }), Some(StreamEnd::GoAway(SERVER))]);
    assert_eq!((all[1].response.is_none(), all[1].end.how), (true, EndHow::Rst));
}

#[test]
fn ordinary_requests_are_counted_and_not_listed() {
    let get = [(":method", "GET"), (":scheme", "http"), (":authority", "ws.example"), (":path", "/")];
    let page = opened(Script::flow())
        .client(headers(END_STREAM, 1, &get))
        .server([status(0, 1, "200"), frame(DATA, END_STREAM, 1, b"hello")].concat())
        .fin(Side::Client)
        .fin(Side::Server);
    let (found, counters) = run(capture(&page.segments()));
    assert_eq!(found.exchanges.len(), 0);
    assert_eq!((counters.flows_http2, counters.http_requests, counters.http_responses), (1, 1, 1));
}

#[test]
fn a_server_may_send_its_settings_first() {
    let first = Script::flow()
        .server(settings(&[(8, 1)]))
        .client([PREFACE, &settings(&[]), &connect(1, "/a")].concat())
        .server(status(0, 1, "200"))
        .fin(Side::Client)
        .fin(Side::Server);
    let x = exchanges(first).remove(0);
    assert_eq!((x.status(), x.stream.and_then(|stream| stream.connect_protocol)), (Some(200), Some(true)));
}

#[test]
fn behind_an_upgrade_to_h2c_streams_are_exchanges_too() {
    let upgraded = Script::flow()
        .head(
            Side::Client,
            "GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk",
        )
        .head(Side::Server, "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: h2c")
        .client([PREFACE, &settings(&[])].concat())
        .server([settings(&[(8, 1)]), status(END_STREAM, 1, "404")].concat())
        .client(connect(3, "/a"))
        .server(status(0, 3, "200"))
        .client(data(3, &masked(1, b"x")))
        .fin(Side::Client)
        .fin(Side::Server);
    let (found, counters) = run(capture(&upgraded.segments()));
    let mut all = found.exchanges;
    all.sort_by_key(|x| x.id);
    let told: Vec<_> = all.iter().map(|x| (x.mechanism, x.status(), x.stream.as_ref().map(|s| s.id))).collect();
    let http1 = (Mechanism::Http1Upgrade, Some(101), None);
    assert_eq!(told, [http1, (Mechanism::Http2ExtendedConnect, Some(200), Some(3))]);
    assert_eq!(all[0].end.how, EndHow::Fin, "it lasts as long as its connection");
    let stream = all[1].stream.as_deref().expect("a stream");
    assert_eq!((stream.entry, counters.flows_http2, counters.http_responses), (Entry::Upgrade, 1, 3));
    assert_eq!(all[1].ws.map(|ws| ws.client.text), Some(1));
}

#[test]
fn content_sent_before_the_answer_is_the_websockets_where_it_is_granted() {
    let early = opened(Script::flow())
        .client([connect(1, "/a"), data(1, &masked(1, b"early"))].concat())
        .server(status(0, 1, "200"))
        .fin(Side::Client)
        .fin(Side::Server);
    let x = exchanges(early).remove(0);
    assert_eq!((x.ws.map(|ws| ws.client.text), x.early.is_some()), (Some(1), true));
}

#[test]
fn a_report_has_the_stream_and_its_pseudo_fields_first() {
    let report = report_on_bytes(&capture(&talk(Script::flow()).segments()));
    let x = &report["exchanges"][0];
    assert_eq!(
        (&x["stream"], &x["mechanism"], &x["protocol"]),
        (&1.into(), &"http2-extended-connect".into(), &"websocket".into())
    );
    assert_eq!((&x["outcome"], &x["request"]["version"]), (&"upgraded".into(), &"HTTP/2".into()));
    assert_eq!((&x["request"]["method"], &x["request"]["target"]), (&"CONNECT".into(), &"/chat".into()));
    assert_eq!(x["request"]["fields"][0], serde_json::json!([":method", "CONNECT"]));
    assert_eq!(x["handshake"]["accept_verdict"], "not-applicable");
    assert_eq!(report["chains"][0]["verdict"]["rule"], "ok");
    let errors = report["findings"].as_array().into_iter().flatten().filter(|f| f["severity"] != "info").count();
    assert_eq!(errors, 0, "{}", report["findings"]);
}

#[test]
fn a_bridge_to_http1_is_joined_without_a_key() {
    let near = opened(Script::between("198.51.100.7:40000", "203.0.113.9:80")).client(connect(1, "/chat"));
    let at = near.now_ns();
    let ask = "GET /chat HTTP/1.1\nHost: ws.example\nConnection: Upgrade\nUpgrade: websocket\n\
        Sec-WebSocket-Version: 13\nSec-WebSocket-Key: q83vASNFZ4mrze8BI0VniQ==\nOrigin: http://ws.example";
    let far = Script::between("203.0.113.9:50000", "192.0.2.20:8080")
        .not_before(at)
        .head(Side::Client, ask)
        .head(Side::Server, &script::upgrade_response("q83vASNFZ4mrze8BI0VniQ=="));
    let answered = far.now_ns();
    let far = far.frame(Side::Client, 1, b"hello").frame(Side::Server, 1, b"hello").goodbye();
    let code = 1000_u16.to_be_bytes();
    let near = near
        .not_before(answered)
        .server(status(0, 1, "200"))
        .client(data(1, &masked(1, b"hello")))
        .server(data(1, &plain(1, b"hello")))
        .client(data(1, &masked(8, &code)))
        .server(frame(DATA, END_STREAM, 1, &plain(8, &code)))
        .client(frame(DATA, END_STREAM, 1, b""))
        .fin(Side::Client)
        .fin(Side::Server);
    let report = report_on_bytes(&capture(&script::together([near, far])));
    let chain = &report["chains"][0];
    assert_eq!(chain["legs"].as_array().map(Vec::len), Some(2), "{chain}");
    assert_eq!((&chain["verdict"]["rule"], &chain["outcome"]), (&"ok".into(), &"upgraded".into()));
    let hop = &chain["hops"][0];
    assert_eq!(hop["versions"], serde_json::json!(["HTTP/2", "HTTP/1.1"]));
    assert!(hop["upgrade_kept"].is_null() && hop["key_kept"].is_null(), "{hop}");
    let rules: Vec<_> = report["findings"].as_array().into_iter().flatten().map(|f| f["rule"].clone()).collect();
    assert!(rules.contains(&"h2-bridge".into()), "{rules:?}");
    assert!(!rules.iter().any(|rule| rule.as_str().is_some_and(|rule| rule.starts_with("hop-"))), "{rules:?}");
}
