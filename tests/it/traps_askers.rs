//! The traps about requests that are no attempts, or not what they seem, and about who asks; see `traps`.

use serde_json::Value;

use crate::joins::{BACKEND, HOP, LISTEN, UPSTREAM, client};
use crate::support::hop::{Edit, Head, key};
use crate::support::joined::list;
use crate::support::journey::{Net, Way};
use crate::support::script::{self, Script, Side};
use crate::traps::{
    CONNECTION, UPGRADE, USUAL, alarms, asks, both_are_fine, grants, on_one_leg_and_on_two, otherwise, says, the_key,
    verdicts, visits,
};
use crate::traps_around::{are_fine, flow, legs_are_fine, told};

const KNOCK: &str = "GET /health HTTP/1.1\nHost: 203.0.113.9\nUser-Agent: ELB-HealthChecker/2.0";

/// Trap 17.
#[test]
fn upgrade_insecure_requests_is_no_upgrade() {
    let insecure = "Upgrade-Insecure-Requests: 1\nOrigin";
    both_are_fine(&asks("Origin", insecure), &grants("", ""), USUAL);
    both_are_fine(&asks("Origin", insecure), &grants("", ""), &[Edit::Remove("Upgrade-Insecure-Requests")]);
    // Apache says in ordinary answers what else it speaks.
    let plain = "GET / HTTP/1.1\nHost: a.example.org\nConnection: keep-alive\nUpgrade-Insecure-Requests: 1";
    let page = "HTTP/1.1 200 OK\nUpgrade: h2,h2c\nConnection: Upgrade, Keep-Alive\nServer: Apache/2.4.57";
    for joined in on_one_leg_and_on_two(plain, page, &[Edit::ForwardedFor]) {
        assert_eq!((list(&joined.report["exchanges"]).len(), list(&joined.report["findings"]).len()), (0, 0));
    }
    // To a WebSocket client it is no offer, and no wrong answer either: it was ignored.
    for joined in on_one_leg_and_on_two(&asks("", ""), page, &[Edit::ForwardedFor]) {
        assert_eq!(joined.rule(0), "upgrade-ignored-200");
        assert!(!joined.has_finding("res-upgrade-mismatch") && !joined.has_finding("res-101-unsolicited"));
    }
}

/// Trap 19.
#[test]
fn names_of_websocket_fields_in_lists_for_browsers_are_text() {
    let preflight = "OPTIONS /chat HTTP/1.1\nHost: chat.example.org\nOrigin: http://a.example.org\n\
                     Access-Control-Request-Method: GET\n\
                     Access-Control-Request-Headers: upgrade, sec-websocket-key, sec-websocket-version";
    let answer = "HTTP/1.1 204 No Content\nAccess-Control-Allow-Origin: *\n\
                  Access-Control-Allow-Headers: Upgrade, Connection, Sec-WebSocket-Key, Sec-WebSocket-Accept\n\
                  Access-Control-Expose-Headers: Sec-WebSocket-Accept";
    let flow = || Script::between(&client(0), LISTEN).head(Side::Client, preflight).head(Side::Server, answer);
    let goes = |script: Script| told([script.fin(Side::Client).fin(Side::Server)]);
    let report = goes(flow());
    assert_eq!((list(&report["exchanges"]).len(), list(&report["findings"]).len()), (0, 0));
    // As a field it is what it says.
    let asked = otherwise(preflight, "Origin:", "Sec-WebSocket-Key: x\nOrigin:");
    let report = goes(Script::between(&client(0), LISTEN).head(Side::Client, &asked).head(Side::Server, answer));
    assert_eq!(list(&report["exchanges"]).len(), 1);
    let granted =
        script::head(&grants(UPGRADE, &format!("Access-Control-Allow-Headers: Sec-WebSocket-Key\n{UPGRADE}")));
    let report = told([flow().head(Side::Client, &asks("", "")).server(granted).goodbye()]);
    assert_eq!((verdicts(&report), alarms(&report)), (vec!["ok"], vec![]));
}

/// Trap 20: who lost Upgrade is not guessed from its absence alone.
#[test]
fn a_key_without_upgrade_is_blamed_on_whoever_lost_it() {
    let refuses = "HTTP/1.1 400 Bad Request";
    let stripped = asks(&format!("{UPGRADE}\n{CONNECTION}\n"), "");
    let cause = |request: &str| {
        let joined = visits(&[(0, request, says(refuses))]);
        assert_eq!(joined.rule(0), "req-orphan-key");
        let orphan = list(&joined.report["findings"]).iter().find(|f| f["rule"] == "req-orphan-key").cloned();
        orphan.expect("it")["causes"].to_string()
    };
    let small = |request: &str| {
        let (start, fields) = request.split_once('\n').expect("fields");
        let lines = fields.lines().map(|line| {
            let (name, value) = line.split_once(':').expect("a name");
            format!("\n{}:{value}", name.to_ascii_lowercase())
        });
        format!("{start}{}", lines.collect::<String>())
    };
    assert!(cause(&small(&stripped)).contains("bridge from HTTP/2") && !cause(&stripped).contains("bridge"));
    // Small letters alone are no fault, on either leg.
    both_are_fine(&small(&asks("", "")), &grants("", ""), &[Edit::ForwardedFor]);
    // Two legs tell: the hop had it, or never got it.
    let through =
        |request: &str, edits: &[Edit]| visits(&[(0, request, Way::on(UPSTREAM, BACKEND, edits, says(refuses)))]);
    through(&asks("", ""), &[Edit::StripUpgrade]).blames(0, "hop", &HOP);
    let joined = through(&stripped, &[Edit::ForwardedFor]);
    assert_eq!(joined.rule(0), "req-orphan-key");
    joined.blames(0, "client", &["198.51.100.1"]);
}

/// Trap 18.
#[test]
fn health_checks_that_are_refused_raise_no_alarm() {
    for refusal in [
        "HTTP/1.1 426 Upgrade Required\nUpgrade: websocket\nContent-Length: 0",
        "HTTP/1.1 400 Bad Request\nContent-Length: 0",
    ] {
        let knocks = |request: &str| {
            let scripts = (0..10).map(|n| {
                let script = Script::between(&client(n), LISTEN).wait_ms(n as u64 * 1_000);
                script.head(Side::Client, request).head(Side::Server, refusal).fin(Side::Server).fin(Side::Client)
            });
            told(scripts)
        };
        let report = knocks(KNOCK);
        assert_eq!((list(&report["chains"]).len(), alarms(&report)), (0, vec![]), "{refusal}");
        // Half a handshake: no attempt at a WebSocket.
        let half = knocks(&format!("{KNOCK}\nConnection: Upgrade\nUpgrade: websocket"));
        assert!(alarms(&half).iter().all(|(_, severity)| severity != "error"), "{:?}", alarms(&half));
        // A whole one is.
        let whole = knocks(&asks("", ""));
        assert!(alarms(&whole).iter().any(|(_, severity)| severity == "error"));
    }
}

/// Trap 18: a scanner's refusals are told apart from those of browsers by what they have in common.
#[test]
fn what_one_scanner_is_refused_is_told_as_a_pattern_of_that_scanner() {
    let agent = |words: &str| asks("Origin", &format!("User-Agent: {words}\nOrigin"));
    let (scanner, browser) = (agent("zgrab/0.x"), agent("Mozilla/5.0"));
    let refuses = says("HTTP/1.1 400 Bad Request");
    let patterns = |agents: [&str; 2]| {
        let of = |n: u64| {
            if n.is_multiple_of(2) { (agents[0], refuses.clone()) } else { (agents[1], says(&grants("", ""))) }
        };
        let all = (0..20).map(|n| (n * 20_000, of(n))).map(|(at, (request, way))| (at, request, way));
        let report = visits(&all.collect::<Vec<_>>()).report;
        list(&report["patterns"]).iter().map(|p| p["field"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(patterns([&scanner, &browser]), ["user-agent"]);
    assert_eq!(patterns([&browser, &browser]), [""; 0], "nothing tells them apart");
}

/// What engine.io asks for, and what it asks for then.
const SOCKET_IO: [&str; 2] = ["/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=4&transport=polling"];

/// A WebSocket that is refused, and what the client does next, this much later.
fn then_polls(later_ms: u64, [tries, polls]: [&str; 2]) -> Value {
    let asked = asks("GET /chat ", &format!("GET {tries} "));
    let refused = "HTTP/1.1 400 Bad Request\nContent-Length: 0";
    let poll = &format!("GET {polls} HTTP/1.1\nHost: chat.example.org\nOrigin: http://chat.example.org");
    let page = "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 2";
    let first = flow().head(Side::Client, &asked).head(Side::Server, refused).fin(Side::Server).fin(Side::Client);
    let second = Script::between("198.51.100.1:40100", LISTEN).not_before(first.now_ns()).wait_ms(later_ms);
    told([
        first,
        second.head(Side::Client, poll).head(Side::Server, page).server("ok").fin(Side::Client).fin(Side::Server),
    ])
}

/// Trap 21.
#[test]
fn a_refusal_that_polling_replaces_is_still_told() {
    let report = then_polls(20, SOCKET_IO);
    assert_eq!(verdicts(&report), ["refused-400"]);
    assert!(alarms(&report).iter().any(|(rule, _)| rule == "refused-400"));
}

/// Trap 21: it is a warning, since the page works.
#[test]
fn a_refusal_that_polling_replaces_is_a_warning() {
    let severity = |report: Value| report["chains"][0]["verdict"]["severity"].as_str().expect("one").to_owned();
    assert_eq!(severity(then_polls(20, SOCKET_IO)), "warning");
    assert_eq!(severity(then_polls(20, ["/echo/1/abc/websocket", "/echo/1/def/xhr_streaming"])), "warning", "SockJS");
    assert_eq!(severity(then_polls(60_000, SOCKET_IO)), "error", "a minute later it is another visit");
    assert_eq!(severity(then_polls(20, ["/chat", "/about"])), "error", "a page is no poll");
}

/// Trap 21: with two legs, what the hop did is no more than that either.
#[test]
fn a_hops_fault_that_polling_replaces_is_a_warning_too() {
    let report = |polls: bool| {
        let mut net = Net::default();
        let tries = asks("GET /chat ", &format!("GET {} ", SOCKET_IO[0]));
        let stripped = Way::on(UPSTREAM, BACKEND, &[Edit::StripUpgrade], says("HTTP/1.1 400 Bad Request"));
        net.visit("198.51.100.1:40000", LISTEN, 0, &Head::of(&tries), &stripped);
        if polls {
            let poll = format!("GET {} HTTP/1.1\nHost: chat.example.org", SOCKET_IO[1]);
            let page = Way::on(UPSTREAM, BACKEND, &[Edit::ForwardedFor], says("HTTP/1.1 200 OK\nContent-Length: 0"));
            net.visit("198.51.100.1:40100", LISTEN, 20_000, &Head::of(&poll), &page);
        }
        net.capture().report(&[])
    };
    for (polls, severity) in [(false, "error"), (true, "warning")] {
        let report = report(polls);
        let verdict = &report["chains"][0]["verdict"];
        assert_eq!((&verdict["rule"], &verdict["severity"]), (&"hop-stripped-upgrade".into(), &severity.into()));
    }
}

/// Trap 22.
#[test]
fn a_whole_url_is_right_towards_a_forward_proxy() {
    let request = asks("GET /chat", "GET ws://chat.example.org/chat");
    let asks_at = |server: &str, way: Way| {
        let mut net = Net::default();
        net.visit(&client(0), server, 0, &Head::of(&request), &way);
        net.capture().report(&[])
    };
    let edits = [Edit::Prefix("ws://chat.example.org", ""), Edit::ForwardedFor];
    for port in [3128, 8080] {
        let proxy = format!("203.0.113.9:{port}");
        are_fine(&asks_at(&proxy, says(&grants("", ""))), 1, &proxy);
        legs_are_fine(&asks_at(&proxy, Way::on(UPSTREAM, BACKEND, &edits, says(&grants("", "")))), &proxy);
    }
    let alarmed = alarms(&asks_at(LISTEN, says(&grants("", ""))));
    assert_eq!(alarmed, [("req-absolute-form".to_owned(), "warning".to_owned())]);
}

/// Trap 22: what answers CONNECT is a proxy, whatever its port.
#[test]
fn an_address_that_was_asked_to_connect_is_a_forward_proxy() {
    let proxy = "203.0.113.9:9090";
    let connect = Script::between(&client(0), proxy)
        .head(Side::Client, "CONNECT chat.example.org:80 HTTP/1.1\nHost: chat.example.org:80")
        .head(Side::Server, "HTTP/1.1 200 Connection established")
        .upgrade(&the_key())
        .goodbye();
    let request = asks("GET /chat", "GET http://chat.example.org/chat");
    let request = request.replace(&the_key(), &key("another"));
    let answer = script::upgrade_response(&key("another"));
    let later = Script::between(&client(1), proxy).not_before(connect.now_ns());
    let report = told([connect, later.head(Side::Client, &request).head(Side::Server, &answer).goodbye()]);
    assert_eq!(alarms(&report), []);
}
