//! The traps about what comes before and behind the heads, and about who asks; see `traps`.

use serde_json::{Value, json};

use crate::joins::{BACKEND, LISTEN, UPSTREAM, client};
use crate::support::file::Format;
use crate::support::hop::Edit;
use crate::support::joined::{list, numbers};
use crate::support::journey::Way;
use crate::support::link::{self, Link, Packet};
use crate::support::script::{self, Script, Segment, Side, frame};
use crate::support::{run, shape};
use crate::traps::{alarms, asks, grants, the_key, verdicts, visits};

/// What the program reports on these connections.
pub(crate) fn told(scripts: impl IntoIterator<Item = Script>) -> Value {
    of(&script::together(scripts))
}

fn of(segments: &[Segment]) -> Value {
    of_packets(&link::packets(segments, Link::Ethernet))
}

fn of_packets(packets: &[Packet]) -> Value {
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    run::report_on_bytes(&format.write(packets))
}

pub(crate) fn flow() -> Script {
    Script::between(&client(0), LISTEN)
}

/// This many conversations are in it, all fine, and nothing is said against them.
pub(crate) fn are_fine(report: &Value, chains: usize, why: &str) {
    assert_eq!((verdicts(report), alarms(report)), (vec!["ok"; chains], vec![]), "{why}");
}

/// Two connections, and a hop between them that says on the one what it heard on the other, or something else.
struct Relay {
    front: Script,
    back: Script,
}

impl Relay {
    fn behind(front: Script) -> Relay {
        let back = Script::midstream(&format!("{UPSTREAM}:32801"), BACKEND).not_before(front.now_ns());
        Relay { front, back: back.begin_at(77_000, 3_000_000_000).handshake() }
    }

    fn passes(self, from: Side, heard: impl AsRef<[u8]>, says: impl AsRef<[u8]>) -> Relay {
        let Relay { front, back } = self;
        let now = front.now_ns().max(back.now_ns());
        let (front, back) = (front.not_before(now), back.not_before(now));
        if from == Side::Client {
            let front = front.client(heard);
            let back = back.not_before(front.now_ns() + 50_000).client(says);
            return Relay { front, back };
        }
        let back = back.server(heard);
        let front = front.not_before(back.now_ns() + 50_000).server(says);
        Relay { front, back }
    }

    fn same(self, from: Side, bytes: &[u8]) -> Relay {
        self.passes(from, bytes, bytes)
    }

    /// A message each way and the closing handshake.
    fn talks(self) -> [Script; 2] {
        let code = 1000_u16.to_be_bytes();
        let (c, s) = (Side::Client, Side::Server);
        let all = [(c, 1, &b"hello"[..]), (s, 1, b"welcome"), (c, 8, &code), (s, 8, &code)];
        let relay = all.into_iter().fold(self, |relay, (from, opcode, payload)| {
            relay.same(from, &frame(opcode, payload, from == Side::Client))
        });
        [relay.front, relay.back].map(|leg| leg.fin(Side::Server).fin(Side::Client))
    }
}

/// One chain of two legs, fine, and nothing said against it.
pub(crate) fn legs_are_fine(report: &Value, why: &str) {
    are_fine(report, 1, why);
    assert_eq!(numbers(&report["chains"][0]["legs"]).len(), 2, "{why}: joined");
}

fn request() -> Vec<u8> {
    script::head(&asks("", ""))
}

fn answer() -> Vec<u8> {
    script::head(&grants("", ""))
}

/// Trap 4.
#[test]
fn interim_answers_may_come_before_the_101() {
    let interim =
        ["HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload", "HTTP/1.1 102 Processing"];
    for heads in [&interim[..1], &interim[1..2], &interim[..]] {
        let before: Vec<u8> = heads.iter().flat_map(|head| script::head(head)).collect();
        let script = flow().client(request()).server(&before).server(answer());
        are_fine(&told([script.goodbye()]), 1, heads[0]);
        // A hop passes them on, or keeps them to itself.
        for passed in [&before[..], b""] {
            let relay = Relay::behind(flow()).same(Side::Client, &request()).passes(Side::Server, &before, passed);
            legs_are_fine(&told(relay.same(Side::Server, &answer()).talks()), heads[0]);
        }
    }
    // A hop that takes one for the answer, and ends there.
    let relay = Relay::behind(flow()).same(Side::Client, &request());
    let early = script::head(interim[1]);
    let Relay { front, back } =
        relay.passes(Side::Server, [early, answer()].concat(), script::head("HTTP/1.1 502 Bad Gateway"));
    let report = told([front.fin(Side::Server).fin(Side::Client), back.fin(Side::Client).fin(Side::Server)]);
    assert_ne!(verdicts(&report), ["ok"]);
}

/// Trap 6: as for requests, so for the 101.
#[test]
fn the_fields_of_a_101_may_be_written_anew() {
    let (start, rest) = grants("", "").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("fields");
    let mut fields: Vec<&str> = rest.lines().collect();
    fields.reverse();
    let turned = format!("{start}\n{}", fields.join("\n"));
    for written in [
        turned.clone(),
        turned
            .replace("Connection: Upgrade", "connection:   upgrade  ")
            .replace("Upgrade: websocket", "upgrade: WebSocket"),
        turned.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        turned.replace("Switching Protocols", "Web Socket Protocol Handshake"),
        format!("{turned}\nServer: edge\nDate: Sun, 01 Mar 2026 12:00:00 GMT"),
    ] {
        let relay = Relay::behind(flow()).same(Side::Client, &request());
        legs_are_fine(&told(relay.passes(Side::Server, answer(), script::head(&written)).talks()), &written);
    }
    let relay = Relay::behind(flow()).same(Side::Client, &request());
    let lost = script::head(&turned.replace("\nConnection: Upgrade", ""));
    let report = told(relay.passes(Side::Server, answer(), lost).talks());
    assert_ne!(verdicts(&report), ["ok"], "the hop lost Connection");
}

/// Trap 10.
#[test]
fn a_message_may_be_uncompressed_though_compression_was_agreed() {
    let deflate =
        |head: &str| head.replacen("Upgrade: w", "Sec-WebSocket-Extensions: permessage-deflate\nUpgrade: w", 1);
    // "Hello" compressed (RFC 7692 §7.2.3.1), then as it is.
    let squeezed = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let script = flow().client(script::head(&deflate(&asks("", "")))).server(script::head(&deflate(&grants("", ""))));
    let talks = script.server(squeezed).frame(Side::Server, 1, b"Hello").frame(Side::Client, 1, b"Hello");
    are_fine(&told([talks.goodbye()]), 1, "both kinds of messages");
}

/// Trap 12.
#[test]
fn the_101_and_what_follows_it_may_come_in_any_packets() {
    let first = frame(1, b"welcome", false);
    let together = flow().client(request()).server([answer(), first.clone()].concat());
    are_fine(&told([together.goodbye()]), 1, "a frame in the packet of the 101");
    for bytes in [1, 7, 60] {
        let cut = flow().acknowledge(false).client(request()).segment_bytes(bytes).server(answer());
        are_fine(&told([cut.acknowledge(true).goodbye()]), 1, "a head in many segments");
    }
    // Neither end acknowledges before it speaks.
    let racing = flow().acknowledge(false).client(request()).server(answer()).frame(Side::Client, 1, b"hi");
    are_fine(&told([racing.frame(Side::Server, 1, b"hi").acknowledge(true).goodbye()]), 1, "a frame instead of an ACK");
    let both = [answer(), first].concat();
    let relay = Relay::behind(flow()).same(Side::Client, &request()).same(Side::Server, &both);
    legs_are_fine(&told(relay.talks()), "a frame in the packet of the 101");
    // What is behind the 101 is an error page.
    let page = flow().client(request()).server([&answer()[..], b"<html>no</html>"].concat());
    assert_ne!(verdicts(&told([page.fin(Side::Server).fin(Side::Client)])), ["ok"]);
}

/// Trap 13.
#[test]
fn a_close_without_a_body_and_a_reset_behind_a_close_are_no_faults() {
    let browser = asks("Origin", "User-Agent: Mozilla/5.0\nOrigin");
    let opens = || flow().client(script::head(&browser)).server(answer());
    let talks = || opens().frame(Side::Client, 1, b"hi").frame(Side::Server, 1, b"hi");
    let empty = talks().frame(Side::Client, 8, b"").frame(Side::Server, 8, b"");
    are_fine(&told([empty.fin(Side::Server).fin(Side::Client)]), 1, "no code");
    for code in [1000_u16, 1001] {
        let code = code.to_be_bytes();
        are_fine(&told([talks().frame(Side::Client, 8, &code).rst(Side::Client)]), 1, "a closed tab");
        are_fine(&told([opens().frame(Side::Client, 8, &code).rst(Side::Client)]), 1, "closed at once");
        let answered = talks().frame(Side::Client, 8, &code).frame(Side::Server, 8, &code);
        are_fine(&told([answered.fin(Side::Server).rst(Side::Client)]), 1, "a closed tab, answered");
    }
    // One that leaves without a word is another matter.
    let left = opens().rst(Side::Client);
    assert_eq!(verdicts(&told([left])), ["client-abandoned"]);
}

/// Trap 14.
#[test]
fn empty_messages_and_a_mask_of_zeros_are_right() {
    let zeros = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let talks = flow().upgrade(&the_key()).frame(Side::Client, 1, b"").frame(Side::Server, 1, b"").client(zeros);
    are_fine(&told([talks.frame(Side::Server, 1, b"hi").goodbye()]), 1, "empty messages and no mask");
    // Bytes that are no frames.
    let wrong = flow().upgrade(&the_key()).server(b"\x0bno frame").fin(Side::Server).fin(Side::Client);
    assert_ne!(verdicts(&told([wrong])), ["ok"]);
}

/// Traps 15 and 16: one silence proves no time-out, and keep-alives do not end it.
#[test]
fn a_minute_of_silence_before_an_orderly_end_is_no_time_out() {
    let pause = |script: Script| script.frame(Side::Client, 1, b"hi").frame(Side::Server, 1, b"hi").wait_ms(60_000);
    are_fine(&told([pause(flow().upgrade(&the_key())).goodbye()]), 1, "the client closes after a minute");
    // Each keep-alive repeats the last byte that was acknowledged, or any other in its place.
    for probe in [&b""[..], b"\0", b"i"] {
        let mut segments = pause(flow().upgrade(&the_key())).goodbye().segments();
        let last =
            segments.iter().rposition(|s| s.payload.ends_with(b"hi") && s.from == Side::Server).expect("it spoke");
        let spoke = segments[last].clone();
        let beat = |n: u64| Segment {
            at_ns: spoke.at_ns + n * 15_000_000_000,
            seq: spoke.seq.wrapping_add(u32::try_from(spoke.payload.len()).expect("a short one") - 1),
            payload: probe.to_vec(),
            ..spoke.clone()
        };
        segments.splice(last + 2..last + 2, (1..4).map(beat));
        are_fine(&of(&segments), 1, "keep-alives");
    }
    // Whatever will be said of one silence that a side without Close ends: it is not certain.
    let report = told([pause(flow().upgrade(&the_key())).fin(Side::Server).fin(Side::Client)]);
    let timed_out = |f: &&Value| f["rule"].as_str().is_some_and(|rule| rule.contains("timeout"));
    let found: Vec<&Value> = list(&report["findings"]).iter().filter(timed_out).collect();
    assert!(found.iter().all(|f| f["confidence"] != "certain"), "{found:?}");
}

/// A client of 2010: the sample of draft-ietf-hybi-thewebsocketprotocol-00 §1.3.
fn of_2010() -> Script {
    let asked = "GET /chat HTTP/1.1\nHost: chat.example.org\nConnection: Upgrade\nUpgrade: WebSocket\n\
                 Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\n\
                 Origin: http://chat.example.org";
    flow().client([script::head(asked), b"^n:ds[4U".to_vec()].concat())
}

/// What a server of that time answers.
fn answer_of_2010() -> Vec<u8> {
    let granted = "HTTP/1.1 101 WebSocket Protocol Handshake\nUpgrade: WebSocket\nConnection: Upgrade\n\
                   Sec-WebSocket-Origin: http://chat.example.org\nSec-WebSocket-Location: ws://chat.example.org/chat";
    [script::head(granted), b"8jKS'y:G*Co,Wxa-".to_vec()].concat()
}

fn rules(report: &Value) -> Vec<&str> {
    list(&report["findings"]).iter().filter_map(|f| f["rule"].as_str()).collect()
}

/// Trap 23: what it lacks by the rules of today is not held against it.
#[test]
fn the_request_of_2010_is_told_as_such_and_not_judged_by_todays_rules() {
    let refused = of_2010().head(Side::Server, "HTTP/1.1 400 Bad Request\nContent-Length: 0");
    let report = told([refused.fin(Side::Server).fin(Side::Client)]);
    assert!(rules(&report).contains(&"legacy-hixie"));
    assert_eq!((verdicts(&report), alarms(&report)), (vec!["refused-400"], vec![]));
    // A client of today with an answer of that time.
    let today = flow().client(request()).server(answer_of_2010());
    assert_eq!(verdicts(&told([today.fin(Side::Client).fin(Side::Server)])), ["accept-missing"]);
}

/// Trap 23.
#[test]
fn the_handshake_of_2010_is_another_protocol() {
    let talks = of_2010().server(answer_of_2010()).client(b"\0hi\xff").server(b"\0hi\xff");
    let report = told([talks.fin(Side::Client).fin(Side::Server)]);
    are_fine(&report, 1, "no RFC 6455");
    assert!(rules(&report).contains(&"legacy-hixie"));
}

const PROXY_LINE: &[u8] = b"PROXY TCP4 198.51.100.1 203.0.113.9 40000 80\r\n";

/// Trap 24.
#[test]
fn what_precedes_the_head_is_no_fault_of_the_head() {
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    v2.extend_from_slice(&[198, 51, 100, 1, 203, 0, 113, 9, 0x9c, 0x40, 0, 80]);
    let socks5 = |script: Script| {
        let script = script.client([5, 1, 0]).server([5, 0]).client([5, 1, 0, 1, 192, 0, 2, 20, 0x1f, 0x90]);
        script.server([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    };
    let connect = |script: Script| {
        let script = script.head(Side::Client, "CONNECT 192.0.2.20:8080 HTTP/1.1\nHost: 192.0.2.20:8080");
        script.head(Side::Server, "HTTP/1.1 200 Connection established")
    };
    let socks4 =
        |script: Script| script.client(b"\x04\x01\x1f\x90\xc0\0\x02\x14me\0").server([0, 0x5a, 0, 0, 0, 0, 0, 0]);
    for (prelude, script) in [
        ("PROXY version 1", flow().client(PROXY_LINE)),
        ("PROXY version 2", flow().client(&v2)),
        ("PROXY in the packet of the head", flow().client([PROXY_LINE, &request()].concat()).server(answer())),
        ("SOCKS 5", socks5(flow())),
        ("SOCKS 4", socks4(flow())),
        ("CONNECT", connect(flow())),
    ] {
        let script = if prelude.contains("packet") { script } else { script.upgrade(&the_key()) };
        are_fine(&told([script.goodbye()]), 1, prelude);
    }
    // A hop says PROXY to its backend; one that was asked to connect passes everything on.
    let way = Way::through(UPSTREAM, BACKEND, &[Edit::ProxyHeader]);
    legs_are_fine(&visits(&[(0, &asks("", ""), way)]).report, "PROXY behind the hop");
    for front in [socks5(flow()), socks4(flow()), connect(flow())] {
        let relay = Relay::behind(front).same(Side::Client, &request()).same(Side::Server, &answer());
        legs_are_fine(&told(relay.talks()), "a tunnel through a proxy");
    }
    // Where nobody expects it.
    let refuses = flow().client([PROXY_LINE, &request()].concat()).head(Side::Server, "HTTP/1.1 400 Bad Request");
    assert_eq!(verdicts(&told([refuses.fin(Side::Server).fin(Side::Client)])), ["proxy-protocol-unexpected"]);
}

/// Trap 25.
#[test]
fn an_accept_whose_key_was_not_captured_is_unverifiable_and_not_wrong() {
    let wrong = grants(&crate::support::accept::accept(&the_key()), &crate::support::accept::accept("another"));
    for head in [grants("", ""), wrong] {
        let all = flow().client(request()).head(Side::Server, &head).goodbye().segments();
        let asked = all.iter().position(|s| !s.payload.is_empty()).expect("a request");
        let mut snapped = link::packets(&all, Link::Ethernet);
        let mut snapped_in_key = snapped.clone();
        link::snap(&mut snapped[asked..=asked], 100);
        // Ethernet, IPv4 and TCP without options take 54 bytes.
        let key_at = asks("", "").replace('\n', "\r\n").find(&the_key()).expect("a key");
        link::snap(&mut snapped_in_key[asked..=asked], 54 + key_at + 20);
        for (why, report) in [
            ("it began behind the request", of(&all[asked + 1..])),
            ("the request was lost", of(&shape::lose(all.clone(), &[asked]))),
            ("only the server was captured", of(&shape::one_way(all.clone(), Side::Server))),
            ("the request was cut", of_packets(&snapped)),
            ("the request was cut within its key", of_packets(&snapped_in_key)),
        ] {
            let accepts: Vec<&Value> =
                list(&report["exchanges"]).iter().map(|x| &x["handshake"]["accept_verdict"]).collect();
            assert_eq!((accepts.len(), verdicts(&report).len()), (1, 1), "{why}: {report}");
            assert!(accepts.iter().all(|verdict| **verdict == "unverifiable"), "{why}: {accepts:?}");
            assert!(alarms(&report).iter().all(|(_, severity)| severity != "error"), "{why}: {:?}", alarms(&report));
            assert!(
                verdicts(&report).iter().all(|rule| ["ok", "unknown"].contains(rule)),
                "{why}: {:?}",
                verdicts(&report)
            );
        }
        // With the request it is judged.
        let verdict = if head == grants("", "") { "ok" } else { "accept-mismatch" };
        assert_eq!(json!(verdicts(&of(&all))), json!([verdict]));
    }
}
