//! What looks like a fault and is none: one test for each trap, on one leg, and where it concerns what a hop
//! passes on, on the two legs beside it too. Each holds a twin against it in which the fault is real. Here are
//! the traps about what heads say; `traps_around` has those about what comes before and behind them, `traps_askers`
//! those about who asks.
//!
//! Traps that wait for what they are about:
//! 7 (no Connection, Upgrade, key or accept in HTTP/2 and HTTP/3) for the reading of HTTP/2;
//! 11 (ping and pong need not be one to one), and of 10 and 14 what rules about frames could get wrong, for such
//! rules: until then those tests show that the frames change no verdict;
//! 16, of TLS alerts for the reading of TLS, and of HTTP/2's PING for that of HTTP/2;
//! 24, of TLS inside CONNECT for the reading of TLS.

use serde_json::Value;

use crate::joins::{BACKEND, HOP, LISTEN, UPSTREAM, client};
use crate::support::hop::{Edit, Head, key};
use crate::support::joined::{Joined, list};
use crate::support::journey::{Forward, Net, Way};
use crate::support::script::{Script, Side, upgrade_request, upgrade_response};
use crate::traps_around::told;

/// What hops do to every head, to no harm.
pub(crate) const USUAL: &[Edit] = &[Edit::Reorder, Edit::Recase, Edit::ForwardedFor];

pub(crate) fn the_key() -> String {
    key("a trap")
}

/// A faultless request, with one part of it written otherwise.
pub(crate) fn asks(old: &str, new: &str) -> String {
    otherwise(&upgrade_request(&the_key()), old, new)
}

/// The 101 to it, with one part of it written otherwise.
pub(crate) fn grants(old: &str, new: &str) -> String {
    otherwise(&upgrade_response(&the_key()), old, new)
}

pub(crate) fn otherwise(head: &str, old: &str, new: &str) -> String {
    assert!(head.contains(old), "{old} is not in {head}");
    head.replacen(old, new, 1)
}

/// Whoever reads the request says this.
pub(crate) fn says(head: &str) -> Way {
    Way::Answer(head.to_owned().leak(), "")
}

/// A client that asks so at so many microseconds, and whoever answers.
pub(crate) fn visits(visits: &[(u64, &str, Way)]) -> Joined {
    let mut net = Net::default();
    for (n, (at_us, request, way)) in visits.iter().enumerate() {
        let client = format!("198.51.100.1:{}", 40_000 + n);
        net.visit(&client, LISTEN, *at_us, &Head::of(request), way);
    }
    Joined::read(net.capture(), &[])
}

/// The same conversation on one leg, and through a hop that changes this on two.
pub(crate) fn on_one_leg_and_on_two(request: &str, answer: &str, edits: &[Edit]) -> [Joined; 2] {
    let through = Way::on(UPSTREAM, BACKEND, edits, says(answer));
    [says(answer), through].map(|way| visits(&[(0, request, way)]))
}

/// Slug and severity of everything that is worse than a note.
pub(crate) fn alarms(report: &Value) -> Vec<(String, String)> {
    let word = |finding: &Value, name: &str| finding[name].as_str().expect("a word").to_owned();
    let all = list(&report["findings"]).iter().map(|f| (word(f, "rule"), word(f, "severity")));
    all.filter(|(_, severity)| severity != "info").collect()
}

/// The rules that verdicts name, in the order of the chains.
pub(crate) fn verdicts(report: &Value) -> Vec<&str> {
    list(&report["chains"]).iter().map(|chain| chain["verdict"]["rule"].as_str().expect("a slug")).collect()
}

/// All of it is one conversation (chain), it is fine, and nothing is said against it.
fn is_fine(joined: &Joined, why: &str) {
    joined.joins_all();
    assert_eq!(verdicts(&joined.report), ["ok"], "{why}");
    assert_eq!(alarms(&joined.report), [], "{why}");
}

pub(crate) fn both_are_fine(request: &str, answer: &str, edits: &[Edit]) {
    for joined in on_one_leg_and_on_two(request, answer, edits) {
        is_fine(&joined, &format!("{request}\n{answer}\n{edits:?}"));
    }
}

/// What the chain is named after, on one leg and on two.
pub(crate) fn both_are(request: &str, answer: &str, edits: &[Edit], rules: [&str; 2]) {
    for (joined, rule) in on_one_leg_and_on_two(request, answer, edits).iter().zip(rules) {
        joined.joins_all();
        assert_eq!(joined.rule(0), rule, "{request}\n{answer}\n{edits:?}");
    }
}

pub(crate) const CONNECTION: &str = "Connection: Upgrade";
pub(crate) const UPGRADE: &str = "Upgrade: websocket";

/// Trap 1.
#[test]
fn a_connection_that_lists_more_than_upgrade_is_right() {
    for lines in [
        "Connection: keep-alive, Upgrade",
        "Connection: Upgrade, keep-alive",
        "Connection: keep-alive,Upgrade",
        "Connection: , Upgrade ,",
        "Connection: keep-alive\nConnection: Upgrade",
        "Connection: Upgrade\nConnection: keep-alive",
    ] {
        both_are_fine(&asks(CONNECTION, lines), &grants(CONNECTION, lines), USUAL);
        both_are_fine(&asks(CONNECTION, lines), &grants("", ""), &[Edit::Set("Connection", "keep-alive, Upgrade")]);
    }
    // A string that holds the word is no list that holds the token.
    let refuses = "HTTP/1.1 400 Bad Request";
    for lines in ["Connection: keep-alive", "Connection: no-upgrade", "Connection: Upgrade2, keep-alive"] {
        both_are(&asks(CONNECTION, lines), refuses, &[], ["req-connection-no-upgrade"; 2]);
        both_are(&asks("", ""), &grants(CONNECTION, lines), &[], ["res-connection-no-upgrade"; 2]);
    }
}

/// Trap 2.
#[test]
fn tokens_and_names_of_fields_ignore_case() {
    for (request, answer) in [
        (asks(UPGRADE, "UPGRADE: WebSocket"), grants(UPGRADE, "upgrade: WEBSOCKET")),
        (asks(CONNECTION, "connection: upgrade"), grants(CONNECTION, "CONNECTION: UPGRADE")),
        (asks("Sec-WebSocket-Key", "sec-websocket-key"), grants("Sec-WebSocket-Accept", "SEC-WEBSOCKET-ACCEPT")),
        (
            asks("Sec-WebSocket-Version", "sec-webSocket-version"),
            grants("Sec-WebSocket-Accept", "sec-websocket-accept"),
        ),
    ] {
        both_are_fine(&request, &answer, USUAL);
        both_are_fine(&request, &answer, &[Edit::Set("Upgrade", "WebSocket"), Edit::Set("Connection", "UPGRADE")]);
    }
}

/// Trap 2: where case counts.
#[test]
fn accept_key_and_subprotocols_do_not_ignore_case() {
    let key = the_key();
    let accept = crate::support::accept::accept(&key);
    let lower = grants(&accept, &accept.to_ascii_lowercase());
    both_are(&asks("", ""), &lower, &[], ["accept-mismatch"; 2]);
    let chat = asks("Origin", "Sec-WebSocket-Protocol: chat\nOrigin");
    let granted = |name: &str| grants(UPGRADE, &format!("{UPGRADE}\nSec-WebSocket-Protocol: {name}"));
    both_are_fine(&chat, &granted("chat"), USUAL);
    both_are(&chat, &granted("Chat"), &[], ["subprotocol-not-offered"; 2]);
    // A hop writes the key in small letters, and the backend answers what it got.
    let small: &'static str = key.to_ascii_lowercase().leak();
    let way = Way::through(UPSTREAM, BACKEND, &[Edit::Set("Sec-WebSocket-Key", small)]);
    let joined = visits(&[(0, &asks("", ""), way)]);
    joined.joins_nothing_wrong();
    assert!(
        ["accept-mismatch", "hop-key-changed", "hop-accept-not-translated"].contains(&joined.rule(0)),
        "{}",
        joined.rule(0)
    );
}

/// Trap 3.
#[test]
fn a_request_may_offer_several_protocols_and_a_101_names_one() {
    for offer in ["websocket, foo", "foo,websocket", "h2c, websocket", "websocket, foo/1.0"] {
        let request = asks("websocket", offer);
        both_are_fine(&request, &grants("", ""), USUAL);
        // A hop may offer less than it was offered.
        both_are_fine(&request, &grants("", ""), &[Edit::Set("Upgrade", "websocket")]);
        both_are(&request, &grants("websocket", offer), &[], ["res-upgrade-mismatch"; 2]);
    }
}

/// Rounds over one connection of the client, and through a hop over one of its own behind it; the last is granted.
fn rounds(rounds: &[(String, &'static str)], last: &str, through: bool) -> Joined {
    let mut net = Net::default();
    let front = net.connect(&client(0), LISTEN, 0);
    let back = through.then(|| net.keep(UPSTREAM, BACKEND, 500, 1));
    let way = |end: Way| back.map_or(end.clone(), |flow| Way::over(flow, &[Edit::ForwardedFor], end));
    for (n, (request, answer)) in rounds.iter().enumerate() {
        net.ask(front, 2_000 + n as u64 * 5_000, &Head::of(request), &way(Way::Answer(answer, "who are you?")));
    }
    let granted = net.ask(front, 60_000, &Head::of(last), &way(says(&grants("", ""))));
    net.talk(granted);
    Joined::read(net.capture(), &[])
}

/// Trap 4.
#[test]
fn a_401_that_the_same_connection_overcomes_is_no_fault() {
    let with = |credentials: &str| asks("Origin", &format!("Authorization: {credentials}\nOrigin"));
    let basic = vec![(asks("", ""), "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic realm=\"a\"")];
    let ntlm = vec![
        (asks("", ""), "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: NTLM"),
        (with("NTLM TlRMTVNTUAABAAAA"), "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA"),
    ];
    for (before, last) in [(basic, with("Basic eDp5")), (ntlm, with("NTLM TlRMTVNTUAADAAAA"))] {
        for through in [false, true] {
            let joined = rounds(&before, &last, through);
            joined.joins_all();
            assert!(verdicts(&joined.report).iter().all(|rule| *rule == "ok"), "{:?}", verdicts(&joined.report));
            assert!(alarms(&joined.report).iter().all(|(_, severity)| severity != "error"));
        }
    }
    both_are(&asks("", ""), "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic", &[], ["refused-401", "refused-401"]);
}

/// Trap 4, and trap 22 beside it: the form for forward proxies.
#[test]
fn a_407_that_the_same_connection_overcomes_is_no_fault() {
    let absolute = asks("GET /chat", "GET http://chat.example.org/chat");
    let with = otherwise(&absolute, "Origin", "Proxy-Authorization: Basic eDp5\nOrigin");
    for through in [false, true] {
        let mut net = Net::default();
        let front = net.connect(&client(0), "203.0.113.9:3128", 0);
        let who = "HTTP/1.1 407 Proxy Authentication Required\nProxy-Authenticate: Basic realm=\"p\"";
        net.ask(front, 2_000, &Head::of(&absolute), &Way::Answer(who, "who"));
        let edits = [Edit::Prefix("http://chat.example.org", ""), Edit::Remove("Proxy-Authorization")];
        let granted = says(&grants("", ""));
        let way = if through { Way::on(UPSTREAM, BACKEND, &edits, granted) } else { granted };
        let last = net.ask(front, 8_000, &Head::of(&with), &way);
        net.talk(last);
        let joined = Joined::read(net.capture(), &[]);
        joined.joins_all();
        assert_eq!(verdicts(&joined.report), ["ok", "ok"], "through a hop: {through}");
        assert!(alarms(&joined.report).iter().all(|(_, severity)| severity != "error"));
    }
}

/// A request for this protocol that is granted in these words, on one leg and on two, is fine.
fn switches(request: &str, token: &str, more: &str, granted: &str) {
    let request = format!("{request} HTTP/1.1\nHost: api.example.org\nConnection: Upgrade\nUpgrade: {token}{more}");
    let answer = format!("HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: {granted}");
    for way in [says(&answer), Way::on(UPSTREAM, BACKEND, &[Edit::ForwardedFor], says(&answer))] {
        let mut net = Net::default();
        let flow = net.connect(&client(0), LISTEN, 0);
        let journey = net.ask(flow, 1_000, &Head::of(&request), &way);
        net.path(journey).into_iter().rev().for_each(|flow| net.close(flow));
        is_fine(&Joined::read(net.capture(), &[]), &request);
    }
}

/// Trap 5: what others switch to, and what they ask for it with.
#[test]
fn a_101_for_another_protocol_is_not_held_to_the_rules_of_websocket() {
    switches("GET /", "h2c", "\nHTTP2-Settings: AAMAAABkAAQAAP__", "h2c");
    switches("POST /api/v1/namespaces/a/pods/b/exec", "SPDY/3.1", "\nContent-Length: 0", "SPDY/3.1");
    switches("POST /v1.41/exec/1/start", "tcp", "\nContent-Length: 0", "tcp");
    switches("OPTIONS *", "TLS/1.2", "", "TLS/1.2");
    switches("GET /cam", "RTSP/1.0", "", "RTSP/1.0");
    // Nor is what follows it.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let talks = Script::between(&client(0), LISTEN)
        .head(
            Side::Client,
            "GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk",
        )
        .head(Side::Server, "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: h2c")
        .server(settings)
        .client([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat());
    let report = told([talks.fin(Side::Client).fin(Side::Server)]);
    assert_eq!((verdicts(&report), alarms(&report)), (vec!["ok"], vec![]));
    // Whoever asked for WebSocket and gets such an answer has been given the wrong one.
    both_are(&asks("", ""), &grants("websocket", "h2c"), &[], ["res-upgrade-mismatch"; 2]);
}

/// Trap 5: the 101 names all layers of the new protocol, in the order in which they lie (RFC 2817 §3.3).
#[test]
fn a_101_for_tls_may_name_the_http_inside_it() {
    switches("OPTIONS *", "TLS/1.0", "", "TLS/1.0, HTTP/1.1");
}

/// Trap 6: removed and written anew.
#[test]
fn hop_by_hop_fields_may_be_written_anew() {
    for edits in [
        vec![Edit::Reorder],
        vec![Edit::Recase, Edit::Set("Connection", "upgrade")],
        vec![Edit::StripUpgrade, Edit::Set("connection", "upgrade"), Edit::Set("upgrade", "WebSocket")],
        vec![Edit::Remove("Connection"), Edit::Set("Connection", "  keep-alive ,  Upgrade  ")],
        vec![Edit::Set("Keep-Alive", "timeout=5"), Edit::Remove("Keep-Alive")],
    ] {
        both_are_fine(&asks(CONNECTION, "Connection: keep-alive, Upgrade\nKeep-Alive: 300"), &grants("", ""), &edits);
    }
    let joined = visits(&[(0, &asks("", ""), Way::through(UPSTREAM, BACKEND, &[Edit::StripUpgrade]))]);
    assert!(crate::joins::STRIPPED.contains(&joined.rule(0)), "{}", joined.rule(0));
    joined.blames(0, "hop", &HOP);
}

/// Trap 8.
#[test]
fn a_hop_with_keys_of_its_own_is_fine_when_each_leg_verifies() {
    for edits in [vec![Edit::NewKey], vec![Edit::NewKey, Edit::Recase, Edit::ForwardedFor]] {
        is_fine(&visits(&[(0, &asks("", ""), Way::through(UPSTREAM, BACKEND, &edits))]), "keys of its own");
    }
    // The same, but the client gets the accept that belongs to the hop's key.
    let other: &'static str = key("another").leak();
    let way = Way::through(UPSTREAM, BACKEND, &[Edit::Set("Sec-WebSocket-Key", other)]);
    let joined = visits(&[(0, &asks("", ""), way)]);
    assert_ne!(joined.rule(0), "ok");
}

/// Trap 8: retries, and copies of a connection.
#[test]
fn one_key_twice_within_milliseconds_is_not_called_constant() {
    let constant = |gap_us: u64, way: &Way| {
        let request = asks("", "");
        visits(&[(0, &request, way.clone()), (gap_us, &request, way.clone())]).has_finding("req-key-constant")
    };
    let through = Way::through(UPSTREAM, BACKEND, &[Edit::ForwardedFor]);
    for way in [Way::Backend, through] {
        assert!(!constant(5_000, &way) && constant(5_000_000, &way), "{way:?}");
    }
    let tries = ["192.0.2.21:8080", BACKEND].map(|to| {
        let then = if to == BACKEND { Way::Backend } else { Way::Reset };
        Forward::new(UPSTREAM, to, &[], then)
    });
    let joined = visits(&[(0, &asks("", ""), Way::On(tries.to_vec()))]);
    assert!(!joined.has_finding("req-key-constant"));
    assert_eq!(joined.rule(0), "ok", "the second try was granted");
}

/// Trap 9.
#[test]
fn an_unanswered_subprotocol_is_an_error_for_browsers_alone() {
    let offers = "Sec-WebSocket-Protocol: chat, v2.chat\nOrigin";
    let program = otherwise(
        &asks("Origin: http://chat.example.org", "User-Agent: Go-http-client/1.1"),
        "User-Agent",
        "Sec-WebSocket-Protocol: chat, v2.chat\nUser-Agent",
    );
    for joined in on_one_leg_and_on_two(&program, &grants("", ""), &[Edit::ForwardedFor]) {
        joined.joins_all();
        assert_eq!(joined.rule(0), "ok");
        let unanswered = ("subprotocol-unanswered".to_owned(), "warning".to_owned());
        assert!(alarms(&joined.report).iter().all(|alarm| *alarm == unanswered), "{:?}", alarms(&joined.report));
        assert!(joined.has_finding("subprotocol-unanswered"));
    }
    let browser = otherwise(&asks("Origin", offers), "Origin", "User-Agent: Mozilla/5.0\nOrigin");
    for way in [says(&grants("", "")), Way::on(UPSTREAM, BACKEND, &[], says(&grants("", "")))] {
        let mut net = Net::default();
        let flow = net.connect(&client(0), LISTEN, 0);
        let journey = net.ask(flow, 1_000, &Head::of(&browser), &way);
        net.path(journey).into_iter().for_each(|flow| net.close(flow));
        let joined = Joined::read(net.capture(), &[]);
        assert_eq!(
            (joined.rule(0), joined.chain(0)["verdict"]["severity"].as_str()),
            ("subprotocol-unanswered", Some("error"))
        );
    }
}

/// Trap 10: fewer extensions than were offered, none, and messages without compression where it was agreed.
#[test]
fn a_server_may_grant_fewer_extensions_than_were_offered() {
    let offer = "Sec-WebSocket-Extensions: x-first, permessage-deflate; client_max_window_bits\nOrigin";
    for granted in ["permessage-deflate", "permessage-deflate; client_max_window_bits=12", "x-first"] {
        let answer = grants(UPGRADE, &format!("{UPGRADE}\nSec-WebSocket-Extensions: {granted}"));
        both_are_fine(&asks("Origin", offer), &answer, USUAL);
    }
    both_are_fine(&asks("Origin", offer), &grants("", ""), USUAL);
    let other = grants(UPGRADE, &format!("{UPGRADE}\nSec-WebSocket-Extensions: x-second"));
    both_are(&asks("Origin", offer), &other, &[], ["extension-not-offered"; 2]);
}
