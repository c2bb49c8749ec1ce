//! TLS without its secrets, through the whole pipeline: sizes and times of the first records, the last segments, who
//! ended it and after what silence; beside which legs it may stand; and nothing of what runs inside.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use hopscope::base::{Counters, Nanos};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{Collected, Engine, read};
use hopscope::model::{Direction, EndHow, FlowFacts, Wrapper};
use serde_json::Value;

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::{hopscope, report_on_bytes};
use crate::support::script::{Script, Segment, Side, head, together, upgrade_request, upgrade_response};
use crate::support::tls::{Ends, Say, suite};

const NEW: &str = "TLS13_AES_128_GCM_SHA256";
const OLD: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

/// What goes over the wire: whether the client sent it, and what.
type Wire = Vec<(bool, Vec<u8>)>;

/// A talk of so many words each way, and who says close_notify at its end.
fn wire(name: &str, words: usize, close: Option<bool>) -> Wire {
    let said: Vec<(bool, usize)> = (0..2 * words).map(|n| (n % 2 == 0, 100 + 7 * n)).collect();
    wire_of(name, &said, close)
}

/// A talk of these words: whether the client says one, and its bytes.
fn wire_of(name: &str, words: &[(bool, usize)], close: Option<bool>) -> Wire {
    let said: Vec<(bool, Vec<u8>)> = words.iter().map(|&(client, bytes)| (client, vec![b'x'; bytes])).collect();
    let mut steps: Vec<Say<'_>> =
        said.iter().map(|(client, bytes)| if *client { Say::Client(bytes) } else { Say::Server(bytes) }).collect();
    steps.extend(close.map(Say::Close));
    Ends::of_http1(suite(name)).talk(b"", &steps).wire
}

fn play(script: Script, wire: &Wire) -> Script {
    wire.iter().fold(script, |script, (client, bytes)| {
        let script = script.wait_ms(3);
        if *client { script.client(bytes) } else { script.server(bytes) }
    })
}

fn tls_flow() -> Script {
    Script::between("198.51.100.7:40000", "203.0.113.9:443")
}

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn run(segments: &[Segment]) -> (Collected, Counters) {
    let source = Source::from_bytes("test", capture(segments));
    let mut inputs = Merged::from_sources(vec![source], &Window::default()).expect("a capture");
    let mut engine = Engine::new(Collected::default());
    read(&mut inputs, &mut engine, &mut |_| true).expect("a readable capture");
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0, "nothing panicked");
    (collected, counters)
}

fn only(segments: &[Segment]) -> FlowFacts {
    let (collected, counters) = run(segments);
    assert_eq!((collected.exchanges.len(), counters.flows_tls, counters.flows_tls_read), (0, 1, 0));
    assert!(collected.lone.is_empty(), "told once: {:?}", collected.lone);
    let [flow] = collected.sealed.as_slice() else { panic!("{} flows", collected.sealed.len()) };
    flow.clone()
}

/// Content types and lengths of the records that one side sent, as RFC 8446 §5.1 has them.
fn records(wire: &Wire, client: bool) -> Vec<(u8, u16)> {
    let all: Vec<u8> = wire.iter().filter(|(by, _)| *by == client).flat_map(|(_, bytes)| bytes.clone()).collect();
    let (mut at, mut out) = (0, Vec::new());
    while at < all.len() {
        let length = u16::from_be_bytes([all[at + 3], all[at + 4]]);
        out.push((all[at], length));
        at += 5 + usize::from(length);
    }
    out
}

#[test]
fn the_first_records_and_the_last_segments_are_known_whatever_the_segments() {
    let even = |name, words| wire(name, words, Some(false));
    // The server says much and the client little: of the last of it, goodbye comes in the same segment.
    let uneven = |name, bytes: usize| {
        let words: Vec<(bool, usize)> = std::iter::once((true, 80)).chain([(false, bytes); 60]).collect();
        let mut wire = wire_of(name, &words, Some(false));
        let goodbye = wire.pop().expect("goodbye").1;
        wire.last_mut().expect("words").1.extend(goodbye);
        wire
    };
    // Nobody says goodbye, so that what is passed over unseen is the last.
    let silent = |name| {
        let words: Vec<(bool, usize)> = std::iter::once((true, 80)).chain([(false, 900); 60]).collect();
        wire_of(name, &words, None)
    };
    for (name, version) in [(NEW, "1.3"), (OLD, "1.2")] {
        for (words, wire, closes) in [
            ("1", even(name, 1), true),
            ("3", even(name, 3), true),
            ("60", even(name, 60), true),
            ("60 of the server's", uneven(name, 900), true),
            ("60 long ones of the server's", uneven(name, 6_000), true),
            ("60 of the server's without a goodbye", silent(name), false),
        ] {
            for segment_bytes in [1448, 60, 65_000] {
                let script = play(tls_flow().segment_bytes(segment_bytes), &wire).wait_ms(7_000);
                let segments = script.fin(Side::Server).fin(Side::Client).segments();
                let flow = only(&segments);
                let what = format!("{name}, {words} words, {segment_bytes} bytes");
                let sealed = flow.sealed().expect("what TLS shows");
                for (from, client) in [(Direction::ClientToServer, true), (Direction::ServerToClient, false)] {
                    let side = sealed.of(from);
                    let seen: Vec<(u8, u16)> = side.records.iter().map(|r| (r.kind, r.bytes)).collect();
                    let mut expected = records(&wire, client);
                    expected.truncate(16);
                    assert_eq!(seen, expected, "{what}");
                    let bytes: usize = wire.iter().filter(|(by, _)| *by == client).map(|(_, b)| b.len()).sum();
                    assert_eq!(side.bytes, bytes as u64, "{what}");
                    let of_side = |s: &&Segment| (s.from == Side::Client) == client && !s.payload.is_empty();
                    let last = segments.iter().rfind(of_side).expect("a segment");
                    let told = side.last.expect("a last segment");
                    assert_eq!(u64::from(told.bytes), last.payload.len() as u64, "{what}");
                    assert_eq!(told.ts.0, i64::try_from(last.at_ns).expect("a time"), "{what}");
                    assert_eq!(told.close_notify, Some(!client && closes), "{what}: only the server said it");
                }
                let said = flow.said.as_ref().expect("it said something");
                assert_eq!((said.end.by, said.end.how), (Some(Direction::ServerToClient), EndHow::Fin));
                let idle = said.end.idle_before.expect("a silence");
                assert!(idle >= Nanos::from_millis(7_000) && idle < Nanos::from_millis(7_010), "{what}: {idle:?}");
                let [.., Wrapper::Tls(tls)] = said.via.as_slice() else { panic!("{:?}", said.via) };
                assert_eq!((tls.version, tls.server_name.as_deref()), (Some(version), Some(&b"ends.example"[..])));
            }
        }
    }
}

#[test]
fn a_keep_alive_and_bytes_sent_again_break_no_silence_and_a_reset_is_one() {
    for words in [1, 60] {
        let script = play(tls_flow(), &wire(NEW, words, None)).wait_ms(60_000).rst(Side::Server);
        let mut segments = script.segments();
        let reset = segments.pop().expect("a reset");
        let sent =
            |from: Side| segments.iter().rfind(|s| s.from == from && !s.payload.is_empty()).expect("data").clone();
        let (probe, again) = (sent(Side::Client), sent(Side::Server));
        let end = probe.seq.wrapping_add(u32::try_from(probe.payload.len()).expect("a length"));
        // A keep-alive: the byte before the next one (RFC 9293 §3.8.4).
        segments.push(Segment {
            at_ns: reset.at_ns - 30_000_000_000,
            seq: end.wrapping_sub(1),
            payload: vec![0],
            ..probe
        });
        segments.push(Segment { at_ns: reset.at_ns - 20_000_000_000, ..again });
        segments.push(reset);
        let flow = only(&segments);
        let said = flow.said.expect("it said something");
        assert_eq!((said.end.by, said.end.how), (Some(Direction::ServerToClient), EndHow::Rst));
        assert_eq!(said.end.idle_before.map(|idle| idle.0 / 1_000_000_000), Some(60), "{words} words");
        let last = said.sealed.expect("what TLS shows").of(Direction::ServerToClient).last.expect("a segment");
        assert_eq!(last.close_notify, Some(false));
    }
}

#[test]
fn what_the_client_sends_behind_the_servers_fin_breaks_no_silence_before_it() {
    for words in [1, 60] {
        let script = play(tls_flow(), &wire(NEW, words, None)).wait_ms(60_000).fin(Side::Server);
        let flow = only(&script.client([23, 3, 3, 0, 3, 7, 7, 7]).rst(Side::Client).segments());
        let said = flow.said.expect("it said something");
        assert_eq!((said.end.by, said.end.how), (Some(Direction::ServerToClient), EndHow::Fin));
        assert_eq!(said.end.idle_before.map(|idle| idle.0 / 1_000_000_000), Some(60), "{words} words");
    }
}

#[test]
fn a_close_notify_ends_a_silence_and_is_no_payload() {
    for words in [1, 60] {
        let mut wire = wire(NEW, words, Some(false));
        let (_, notify) = wire.pop().expect("the last flight");
        let script = play(tls_flow(), &wire).wait_ms(60_000).server(&*notify).fin(Side::Server).fin(Side::Client);
        let said = only(&script.segments()).said.expect("it said something");
        assert_eq!(said.end.idle_before.map(|idle| idle.0 / 1_000_000_000), Some(60), "{words} words");
        let last = said.sealed.expect("what TLS shows").of(Direction::ServerToClient).last.expect("a segment");
        assert_eq!((last.bytes as usize, last.close_notify), (notify.len(), Some(true)));
    }
}

#[test]
fn what_is_not_over_is_told_at_the_end_of_the_capture() {
    for words in [1, 60] {
        let flow = only(&play(tls_flow(), &wire(OLD, words, None)).segments());
        let said = flow.said.expect("it said something");
        assert_eq!((said.end.by, said.end.how, said.end.at), (None, EndHow::Open, None));
    }
}

#[test]
fn a_connection_inside_connect_is_told_with_it() {
    let script = tls_flow().client(head("CONNECT a:443 HTTP/1.1\nHost: a:443")).server(head("HTTP/1.1 200 OK"));
    let script = play(script, &wire(NEW, 30, Some(true))).fin(Side::Client).fin(Side::Server);
    let flow = only(&script.segments());
    let said = flow.said.as_ref().expect("it said something");
    assert!(matches!(said.via.as_slice(), [Wrapper::Connect(_), Wrapper::Tls(_)]), "{:?}", said.via);
    assert_eq!(said.end.by, Some(Direction::ClientToServer));
    let sealed = flow.sealed().expect("what TLS shows");
    assert_eq!(sealed.of(Direction::ClientToServer).last.and_then(|last| last.close_notify), Some(true));
}

/// A connection that its server closed after a minute of silence.
fn idle() -> Vec<u8> {
    let script = play(tls_flow(), &wire(NEW, 30, None)).wait_ms(60_000).fin(Side::Server).fin(Side::Client);
    capture(&script.segments())
}

#[test]
fn a_silence_that_the_server_ended_is_in_every_report_and_claims_nothing() {
    let report = report_on_bytes(&idle());
    let finding =
        &report["findings"].as_array().expect("a list").iter().find(|f| f["rule"] == "idle-timeout-encrypted");
    let finding = finding.expect("the silence is told");
    assert_eq!((&finding["severity"], &finding["confidence"]), (&"info".into(), &"possible".into()));
    let chain = &report["chains"][0];
    assert_eq!((chain["legs"].as_array().map(Vec::len), &chain["verdict"]["rule"]), (Some(0), &"unknown".into()));
    let shown = &chain["encrypted"][0];
    assert_eq!((&shown["stands"], &shown["flow"]), (&"itself".into(), &chain["flow"]));
    assert_eq!(shown["from_client"]["records"].as_array().map(Vec::len), Some(16));
    assert_eq!(shown["tls"]["server_name"], "ends.example");
    assert_eq!((&shown["end"]["by"], &shown["end"]["how"]), (&"server".into(), &"fin".into()));
    assert_eq!(report["exchanges"].as_array().map(Vec::len), Some(0), "nothing about HTTP is claimed");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("idle.pcap");
    std::fs::write(&path, idle()).expect("a file");
    let said = |format: &str| {
        let output = hopscope().arg("report").arg(&path).args(["--format", format]).output().expect("it starts");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (text, lines) = (said("text"), said("ndjson"));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["idle-timeout-encrypted", "ends.example", "60 s without a byte", "ended"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(lines.contains("\"idle-timeout-encrypted\"") && lines.contains("\"itself\""), "{lines}");
}

/// A client's TLS connection to a proxy, and what the proxy sent on in clear; `others`: TLS connections of other
/// clients at the same time.
fn behind(others: usize) -> Value {
    let (request, answer) = (upgrade_request(KEY) + "\nCookie: abcdef", upgrade_response(KEY));
    let steps = [Say::Client(&head(&request)), Say::Server(&head(&answer))];
    let mut scripts = Vec::new();
    let mut plain = Script::between("192.0.2.1:50000", "192.0.2.80:8080");
    for n in 0..=others {
        let mut wire = Ends::new(suite(NEW)).talk(b"", &steps).wire;
        let (_, last) = wire.pop().expect("the answer");
        let script = play(Script::between(&format!("198.51.100.{}:40000", 7 + n), "192.0.2.1:443"), &wire);
        if n == 0 {
            plain = plain.not_before(script.now_ns()).head(Side::Client, &request);
            plain = plain.wait_ms(5).head(Side::Server, &answer);
        }
        scripts.push(script.wait_ms(10).server(last).wait_ms(50));
    }
    scripts.push(plain);
    report_on_bytes(&capture(&together(scripts)))
}

#[test]
fn the_encrypted_leg_before_a_proxy_is_possibly_joined_and_of_two_none() {
    let report = behind(0);
    let chain = report["chains"].as_array().expect("a list").iter().find(|c| c["legs"][0].is_u64()).expect("a chain");
    let beside = &chain["encrypted"][0];
    assert_eq!((&beside["stands"], &beside["client"]["ip"]), (&"before".into(), &"198.51.100.7".into()), "{chain}");
    assert_eq!(beside["joined_by"], serde_json::json!(["time", "size", "topology"]));
    assert_eq!(chain["hops"].as_array().map(Vec::len), Some(0), "what is possible is no hop");
    let report = behind(1);
    let chain = report["chains"].as_array().expect("a list").iter().find(|c| c["legs"][0].is_u64()).expect("a chain");
    assert_eq!(chain["encrypted"], Value::Null, "both fit");
}
