//! What precedes HTTP on a connection: PROXY headers, SOCKS, CONNECT, inside each other. However the bytes are
//! cut, the exchange inside is the same as if it stood alone.
#![allow(clippy::use_debug, clippy::cast_possible_truncation, reason = "a failing test prints what it found")]

use hopscope::base::limits;
use hopscope::engine::{Collected, judge};
use hopscope::model::{FlowFacts, Mechanism, SocksAnswer, Wrapper};
use hopscope::products::Products;
use hopscope::store::Analysis;
use proptest::prelude::*;

use crate::engine::{exchanges, run};
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::{self, Script, Segment, Side};
use crate::support::shape;

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";
const V1: &[u8] = b"PROXY TCP4 192.0.2.44 198.51.100.2 51234 443\r\n";

/// A version 2 header from 192.0.2.44:51234, with an ALPN and an unknown TLV.
fn v2() -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let body =
        [&[192, 0, 2, 44, 198, 51, 100, 2, 0xc8, 0x22, 1, 0xbb][..], &[1, 0, 8], b"http/1.1", &[0xea, 0, 2, 1, 2]];
    bytes.extend_from_slice(&(body.concat().len() as u16).to_be_bytes());
    bytes.extend(body.concat());
    bytes
}

fn connect(authority: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\nHost: {authority}")
}

fn inner(script: Script) -> Script {
    script.upgrade(KEY).frame(Side::Client, 1, b"hi").frame(Side::Server, 2, &[3; 200]).goodbye()
}

/// A prelude in words, its conversation, and its `via`.
pub(crate) fn conversations() -> Vec<(&'static str, Vec<Segment>, Vec<&'static str>)> {
    let (c, s) = (Side::Client, Side::Server);
    let granted = "HTTP/1.1 200 Connection established";
    let flow = || Script::flow();
    let list: Vec<(&'static str, Script, Vec<&'static str>)> = vec![
        ("PROXY v1", inner(flow().client(V1)), vec!["v1"]),
        ("PROXY v2", inner(flow().client(v2())), vec!["v2"]),
        ("v1 UNKNOWN", inner(flow().client("PROXY UNKNOWN\r\n")), vec!["v1"]),
        ("both, as two proxies write them", inner(flow().client([V1, &v2()].concat())), vec!["v1", "v2"]),
        ("CONNECT", inner(flow().head(c, &connect("a.example:80")).head(s, granted)), vec!["connect a.example:80"]),
        (
            "CONNECT through two proxies",
            inner(
                flow()
                    .head(c, &connect("p:3128"))
                    .head(s, granted)
                    .head(c, &connect("a:80"))
                    .head(s, "HTTP/1.0 200 OK\nA: b"),
            ),
            vec!["connect p:3128", "connect a:80"],
        ),
        (
            "a CONNECT that asks for credentials first",
            inner(
                flow()
                    .head(c, &connect("a:80"))
                    .head(s, "HTTP/1.1 407 No\nContent-Length: 3")
                    .server("no\n")
                    .head(c, &format!("{}\nProxy-Authorization: Basic eDp5", connect("a:80")))
                    .head(s, granted),
            ),
            vec!["connect a:80"],
        ),
        (
            "SOCKS 5",
            inner(
                flow()
                    .client([5, 1, 0])
                    .server([5, 0])
                    .client([&[5, 1, 0, 3, 1][..], b"a", &[0, 80]].concat())
                    .server([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            ),
            vec!["socks5 a:80"],
        ),
        (
            "SOCKS 5 with a password, behind a PROXY header",
            inner(
                flow()
                    .client(v2())
                    .client([5, 2, 0, 2])
                    .server([5, 2])
                    .client([&[1, 2][..], b"me", &[6], b"secret"].concat())
                    .server([1, 0])
                    .client([&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat())
                    .server([&[5, 0, 0, 3, 2][..], b"me", &[0, 80]].concat()),
            ),
            vec!["v2", "socks5 [::1]:80"],
        ),
        (
            "SOCKS 4a",
            inner(flow().client(b"\x04\x01\x00\x50\0\0\0\x01me\0a.b\0").server([0, 0x5a, 0, 0, 0, 0, 0, 0])),
            vec!["socks4 a.b:80"],
        ),
    ];
    list.into_iter().map(|(name, script, via)| (name, script.segments(), via)).collect()
}

fn words(via: &[Wrapper]) -> Vec<String> {
    via.iter()
        .map(|w| match w {
            Wrapper::Connect(to) => format!("connect {}", to.escape_ascii()),
            Wrapper::Socks(version, to) => format!("socks{version} {}", to.escape_ascii()),
            Wrapper::ProxyProtocol(version) => format!("v{version}"),
            Wrapper::Link(words) => words.to_string(),
            Wrapper::Tls(_) => "tls".to_owned(),
        })
        .collect()
}

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn lone(segments: &[Segment]) -> Vec<FlowFacts> {
    run(capture(segments)).0.lone
}

#[test]
fn what_is_inside_is_read_as_if_it_stood_alone() {
    let alone = run(capture(&inner(Script::flow()).segments())).0;
    let alone = &alone.exchanges[0];
    for (name, segments, via) in conversations() {
        let (found, _) = run(capture(&segments));
        let x = found.exchanges.iter().find(|x| x.mechanism == Mechanism::Http1Upgrade);
        let x = x.unwrap_or_else(|| panic!("{name}: {found:#?}", found = found.exchanges));
        assert_eq!(words(&x.via), via, "{name}");
        // Offsets restart behind the prelude.
        assert_eq!(x.request.range, alone.request.range, "{name}");
        assert_eq!(x.response.as_ref().map(|r| &r.range), alone.response.as_ref().map(|r| &r.range), "{name}");
        assert_eq!((x.status(), x.ws, x.end.how), (Some(101), alone.ws, alone.end.how), "{name}");
        assert_eq!(x.proxied.is_some(), via[0].starts_with('v'), "{name}");
        if let Some(source) = x.proxied.as_ref().and_then(|p| p.source) {
            assert_eq!(source.to_string(), "192.0.2.44:51234", "{name}");
        }
        assert_eq!((x.client, x.server), (alone.client, alone.server), "{name}");
        assert!(!x.quality.gap && x.early.is_none(), "{name}");
    }
}

#[test]
fn a_cut_at_any_place_gives_the_same_exchanges() {
    for (name, segments, _) in conversations() {
        let whole = exchanges(&segments);
        for size in 1..40 {
            assert_eq!(exchanges(&shape::split(segments.clone(), &[size])), whole, "{name}: {size} bytes each");
        }
        // One long segment for each turn, and one short piece at its start.
        for first in (1..300).step_by(7) {
            assert_eq!(exchanges(&shape::split(segments.clone(), &[first, 100_000])), whole, "{name}: first {first}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_repeating_and_reordering_gives_the_same_exchanges(
        which in 0_usize..10,
        sizes in prop::collection::vec(1_usize..120, 1..10),
        twice in prop::collection::vec(any::<bool>(), 0..40),
        swaps in prop::collection::vec(0_u8..4, 0..60),
    ) {
        let (name, segments, _) = conversations().swap_remove(which);
        let shaped = shape::reorder(shape::duplicate(shape::split(segments.clone(), &sizes), &twice), &swaps);
        prop_assert_eq!(exchanges(&shaped), exchanges(&segments), "{}", name);
    }
}

#[test]
fn a_client_that_does_not_wait_for_the_tunnel_is_understood() {
    let request = script::head(&script::upgrade_request(KEY));
    let asked = script::head(&connect("a:80"));
    let socks = [&[5, 1, 0, 5, 1, 0, 3, 1][..], b"a", &[0, 80]].concat();
    let answer = script::head(&script::upgrade_response(KEY));
    for (name, client, server) in [
        ("connect", asked, [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), answer.clone()].concat()),
        ("socks5", socks, [vec![5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0], answer].concat()),
    ] {
        let flow = Script::flow().client([client, request.clone()].concat()).server(server).goodbye();
        let (found, _) = run(capture(&flow.segments()));
        let x = &found.exchanges[0];
        assert_eq!((x.status(), words(&x.via)), (Some(101), vec![format!("{name} a:80")]), "{name}");
        let begins = [Some(&x.request), x.response.as_ref()].map(|head| head.map(|h| h.range.start));
        assert_eq!(begins, [Some(0), Some(0)], "{name}");
        assert!(x.early.is_none(), "{name}: bytes for the tunnel are not early");
    }
}

#[test]
fn tunnels_are_entered_up_to_a_limit_which_is_counted() {
    let nested = |depth: usize| {
        let hop = |script: Script, _| script.head(Side::Client, &connect("a:80")).head(Side::Server, "HTTP/1.1 200 OK");
        let (found, counters) = run(capture(&inner((0..depth).fold(Script::flow(), hop)).segments()));
        (found.exchanges.len(), counters.nested_too_deep, counters.flows_connect, counters.http_requests)
    };
    let limit = limits::NESTING as u64;
    assert_eq!(nested(limits::NESTING), (1, 0, limit, limit + 1));
    assert_eq!(nested(limits::NESTING + 1), (0, 1, limit + 1, limit + 1));
}

#[test]
fn a_refused_tunnel_is_an_exchange_or_a_count() {
    let flow =
        Script::flow().head(Side::Client, &connect("a:80")).head(Side::Server, "HTTP/1.1 403 No\nContent-Length: 0");
    let (found, counters) = run(capture(&flow.fin(Side::Server).fin(Side::Client).segments()));
    assert_eq!(found.exchanges[0].mechanism, Mechanism::Connect);
    assert_eq!(counters.flows_connect, 0);
    let socks = |reply: &[u8]| {
        let asked = [5, 1, 0, 1, 192, 0, 2, 1, 0, 80];
        let flow = Script::flow().client([5, 1, 0]).server([5, 0]).client(asked).server(reply);
        let (found, counters) = run(capture(&inner(flow).segments()));
        let told = found.lone.iter().filter_map(|flow| flow.said.as_ref()?.socks.as_deref());
        let told: Vec<_> = told.map(|told| (told.target.as_deref().map(<[u8]>::to_vec), told.how)).collect();
        assert_eq!(told.len() as u64, counters.socks_refused);
        assert!(told.iter().all(|told| *told == (Some(b"192.0.2.1:80".to_vec()), SocksAnswer::Reply(5))), "{told:?}");
        (found.exchanges.len(), counters.socks_refused, counters.flows_socks)
    };
    assert_eq!(socks(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), (0, 1, 0));
    assert_eq!(socks(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), (1, 0, 1));
    assert_eq!(socks(b"HTTP/1.1 400 Bad Request\r\n\r\n"), (0, 0, 0), "no SOCKS after all");
}

#[test]
fn a_socks_proxy_that_refuses_its_client_is_told_without_a_password() {
    let told = |flow: Script| {
        let (found, _) = run(capture(&inner(flow).segments()));
        let said: Vec<_> = found.lone.iter().filter_map(|flow| flow.said.clone()).collect();
        assert!(said.iter().flat_map(|said| said.first.iter().flatten()).all(|first| first.bytes.is_empty()));
        said.iter().filter_map(|said| said.socks.as_ref().map(|s| (s.target.is_some(), s.how))).collect::<Vec<_>>()
    };
    let no_method = Script::flow().client([5, 1, 0]).server([5, 0xff]);
    assert_eq!(told(no_method), [(false, SocksAnswer::NoMethod)]);
    let wrong = Script::flow().client([5, 1, 2]).server([5, 2]).client(*b"\x01\x01u\x06secret").server([1, 7]);
    assert_eq!(told(wrong), [(false, SocksAnswer::Credentials(7))]);
}

#[test]
fn an_answer_in_http_1_to_the_preface_of_http_2_is_told_however_it_is_cut() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let told = |parts: &[&[u8]]| {
        let flow = parts.iter().fold(Script::flow().client(preface), |flow, part| flow.server(part));
        let all = lone(&flow.fin(Side::Server).fin(Side::Client).segments());
        all.iter().filter_map(|flow| flow.said.clone()).map(|said| said.first).collect::<Vec<_>>()
    };
    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let whole = told(&[answer]);
    let [Some(asked), Some(answered)] = &whole[0] else { panic!("{whole:?}") };
    assert_eq!((&*asked.bytes, &*answered.bytes), (&preface[..16], &answer[..26]));
    for at in 1..answer.len() {
        let (one, other) = answer.split_at(at);
        assert_eq!(told(&[one, other]), whole, "cut at {at}");
    }
    assert_eq!(told(&[b"HTTP/1.0"]).len(), 1, "a line without its end");
    assert!(told(&[b"HT", b"\0\0\x04\0\0\0\0\0"]).is_empty() && told(&[b"\0\0\0", b"\x04\0\0\0\0\0"]).is_empty());
}

#[test]
fn a_negotiation_that_never_ends_is_given_up() {
    let early = |bytes: usize| {
        let asked = [&[5, 1, 0][..], &vec![5; bytes]].concat();
        let flow = Script::flow().client(asked).server([5, 0]).server([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        run(capture(&inner(flow).segments())).1.flows_socks
    };
    assert_eq!(early(2 * limits::SOCKS_HELD_BYTES), 0);
    let header = [&b"PROXY TCP4 "[..], &[b'1'; 300]].concat();
    let (found, counters) = run(capture(&Script::flow().client(header).fin(Side::Server).segments()));
    assert_eq!((found.exchanges.len(), counters.flows_proxy_protocol), (0, 1));
}

#[test]
fn reports_tell_whose_connection_it_is() {
    let (_, segments, _) = conversations().swap_remove(1);
    let report = crate::support::run::report_on_bytes(&capture(&segments));
    let x = &report["exchanges"][0];
    assert_eq!(x["via"], serde_json::json!(["proxy-protocol v2"]));
    assert_eq!(x["proxied"]["client"], serde_json::json!({"ip": "192.0.2.44", "port": 51234}));
    assert_eq!(x["proxied"]["tlvs"][0], serde_json::json!([1, "http/1.1"]));
    let flow = Script::flow().client(v2()).head(Side::Client, &script::upgrade_request(KEY));
    let refused = flow.head(Side::Server, "HTTP/1.1 400 Bad Request\nContent-Length: 0").fin(Side::Server);
    let file = std::env::temp_dir().join(format!("hopscope-prelude-{}.pcap", std::process::id()));
    std::fs::write(&file, capture(&refused.segments())).expect("a file");
    let text = crate::support::run::output(&["report", "--utc", file.to_str().expect("UTF-8")]);
    std::fs::remove_file(&file).expect("removed");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("PROXY v2: client 192.0.2.44:51234 → 198.51.100.2:443 · ALPN http/1.1"), "{text}");
    assert!(text.contains("ERROR proxy-protocol-unexpected"), "{text}");
}

#[test]
fn secrets_of_socks_are_in_no_report() {
    let (_, segments, _) = conversations().swap_remove(8);
    let report = crate::support::run::report_on_bytes(&capture(&segments)).to_string();
    assert!(report.contains("socks5 [::1]:80") && !report.contains("secret"));
}

#[test]
fn other_protocols_inside_a_tunnel_are_counted_as_what_they_are() {
    let tunnel = || Script::flow().head(Side::Client, &connect("a:443")).head(Side::Server, "HTTP/1.1 200 OK");
    let tls = tunnel().client([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).server([0x16, 3, 3, 0, 5, 2, 0, 0, 1, 0]);
    let (found, counters) = run(capture(&tls.segments()));
    assert_eq!((counters.flows_tls, found.lone.len(), found.exchanges.len()), (1, 0, 0));
    let h2 = tunnel().client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(run(capture(&h2.segments())).1.flows_http2, 1);
    let ssh = tunnel().server("SSH-2.0-x\r\n").client("SSH-2.0-y\r\n").server([7; 500]);
    let (found, counters) = run(capture(&ssh.segments()));
    assert_eq!((found.exchanges.len(), counters.flows_connect), (0, 1));
}

#[test]
fn plain_requests_behind_a_header_show_that_a_server_takes_them() {
    let (c, s) = (Side::Client, Side::Server);
    let plain = |flow: Script| flow.head(c, "GET / HTTP/1.1\nHost: a").head(s, "HTTP/1.1 200 OK\nContent-Length: 0");
    let kept = |flow: Script| run(capture(&plain(flow).segments())).0.exchanges.len();
    assert_eq!((kept(Script::flow().client(V1)), kept(Script::flow())), (1, 0));
}

#[test]
fn a_faulty_header_is_kept_with_its_fault() {
    let flow = Script::flow().client("PROXY TCP4 192.0.2.44 nobody 51234 443\r\n");
    let (found, _) = run(capture(&inner(flow).segments()));
    let header = found.exchanges[0].proxied.as_ref().expect("a header");
    assert_eq!((header.source, header.fault), (None, Some("an address is missing or not of the family it names")));
    let long = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[9; 65_535]].concat();
    let (found, counters) = run(capture(&inner(Script::flow().client(long)).segments()));
    let x = &found.exchanges[0];
    assert_eq!(x.proxied.as_ref().map(|p| p.length), Some(16 + 65_535));
    assert_eq!((x.status(), x.request.range.start, counters.flows_proxy_protocol), (Some(101), 0, 1));
}

#[test]
fn first_words_that_do_not_fit_are_told_and_others_cost_nothing() {
    let hello = [&[0x16, 3, 1, 0, 200][..], &[1; 200]].concat();
    let answered = |answer: &[u8], size: usize| {
        let flow = Script::flow().segment_bytes(size).client(&hello).server(answer).fin(Side::Server).fin(Side::Client);
        lone(&flow.segments()).pop().and_then(|f| f.said).map(|s| s.first.map(|p| p.map(|p| p.bytes)))
    };
    let plain = b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n";
    let told = answered(plain, 1448).expect("a mismatch");
    assert_eq!(told[1].as_deref(), Some(&plain[..26]));
    for size in [1, 2, 3, 7, 30] {
        assert_eq!(answered(plain, size).expect("the same")[1], told[1], "{size} bytes a segment");
    }
    assert!(answered(&[0x16, 3, 3, 0, 1, 2], 1448).is_none());
    assert!(answered(b"SSH-2.0-x\r\n", 1448).is_none());
    assert!(answered(b"", 1448).is_some_and(|first| first[1].is_none()), "closed without a byte");
    // Without its server's packets nothing is told.
    let one_way = shape::one_way(Script::flow().client(&hello).server(plain).segments(), Side::Client);
    assert!(lone(&one_way).is_empty());
}

#[test]
fn a_header_and_nothing_else_is_told_where_the_server_ends_it() {
    let verdict = |flow: Script| {
        let (collected, counters) = run(capture(&flow.segments()));
        let analysis = whole(collected, counters);
        analysis.chains.first().map(|chain| chain.verdict.rule.to_string())
    };
    let header = || Script::flow().client(v2());
    let slug = Some("proxy-protocol-unexpected".to_owned());
    assert_eq!(verdict(header().fin(Side::Server).fin(Side::Client)), slug);
    assert_eq!(verdict(header().rst(Side::Server)), slug);
    assert_eq!(verdict(header().server("HTTP/1.1 400 Bad Request\r\n\r\n").fin(Side::Server)), slug);
    assert_eq!(verdict(header().client([0x16, 3, 1, 0, 1, 1]).server([0x15, 3, 1, 0, 2, 2, 50])), slug);
    assert_eq!(verdict(header().fin(Side::Client).fin(Side::Server)), None, "a health check");
    assert_eq!(verdict(header()), None, "it may go on behind the capture");
}

fn whole(collected: Collected, counters: hopscope::base::Counters) -> Analysis {
    judge::whole(collected, counters, Vec::new(), Products::builtin(), &|_, _| false)
}
