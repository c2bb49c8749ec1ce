//! Upgrade on a request that never asked for a WebSocket.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "upgrade-forced",
    severity: Severity::Warning,
    title: "Upgrade stands on a request that is no WebSocket handshake",
    about: "The request has `Upgrade` but no `Sec-WebSocket-*` field at all: nobody tried to open a \
        WebSocket. A proxy writes the field on every request, as a constant. Most servers ignore it; \
        HAProxy 2.4 and later and some applications answer 400, and plain requests then fail at random.\n\n\
        This is no upgrade attempt and is not counted as one. It is told once for each hop, and of every \
        request that was refused.",
    refs: &["RFC 9110 §7.8"],
    causes: &[
        "a proxy sets Upgrade and Connection to constants on every request instead of copying the client's",
        "somebody tried an upgrade by hand with only half of the fields",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Refused],
    symptom_of: &["hop-stripped-sec"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    // Once for a hop, and for every request that was refused.
    let harmless = x.status().is_some_and(|code| code < 400);
    if !is_forced(x) || harmless && seen.forced_before(x) {
        return;
    }
    let value = request.combined("upgrade").unwrap_or_default();
    out.add(
        Text::own("The request says Upgrade: ")
            .field(b"Upgrade", &value)
            .say(" but has no WebSocket field: a proxy seems to add it to every request."),
    )
    .expected(Text::own("no Upgrade field, or all fields of the handshake"))
    .found(Text::own("Upgrade: ").field(b"Upgrade", &value))
    .field(request, "upgrade", REQUEST);
}

/// Whether somebody wrote Upgrade on a request that is no try at a WebSocket.
pub(in crate::rules) fn is_forced(x: &Exchange) -> bool {
    facts::whole(x) && !facts::has_sec_websocket(x) && x.request.any_member("upgrade", is_constant)
}

/// `websocket`, or what is no protocol but a slip in a configuration . Letter case counts nothing.
pub(super) fn is_constant(token: &[u8]) -> bool {
    const WORDS: [&str; 8] = ["websocket", "upgrade", "on", "1", "true", "yes", "close", "keep-alive"];
    WORDS.iter().any(|word| token.eq_ignore_ascii_case(word.as_bytes())) || token.first() == Some(&b'$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange, fires, run_seen};

    const FORCED: &str =
        "GET /style.css HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";

    #[test]
    fn a_constant_on_a_plain_request_is_found() {
        assert!(fires(&RULE, &exchange(FORCED, None)));
        assert!(fires(&RULE, &exchange(&FORCED.replace("Upgrade: websocket", "Upgrade: $http_upgrade"), None)));
    }

    #[test]
    fn it_is_told_once_for_a_hop_and_of_every_refusal() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let first = exchange(FORCED, Some(ok));
        let mut second = first.clone();
        second.id.0 += 1;
        let mut seen = Seen::default();
        seen.learn(&first, false);
        seen.learn(&second, false);
        let told = |x: &Exchange| run_seen(&RULE, x, &seen).len();
        assert_eq!((told(&first), told(&second)), (1, 0));
        let mut refused = exchange(FORCED, Some("HTTP/1.1 400 Bad Request\r\n\r\n"));
        refused.id.0 += 2;
        assert_eq!(told(&refused), 1);
        let mut elsewhere = second;
        elsewhere.client.ip = std::net::Ipv4Addr::LOCALHOST.into();
        assert_eq!(told(&elsewhere), 1);
    }

    #[test]
    fn attempts_and_other_protocols_are_left_alone() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        let no_key = changed("Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n", "");
        assert!(!fires(&RULE, &exchange(&no_key, None)));
        for other in ["h2c", "SPDY/3.1", "tcp", "TLS/1.2"] {
            let request = FORCED.replace("websocket", other);
            assert!(!fires(&RULE, &exchange(&request, None)), "{other}");
        }
        assert!(!fires(&RULE, &exchange(&FORCED.replace("Upgrade: websocket\r\n", ""), None)));
        let hixie = FORCED.replace(
            "Connection: upgrade",
            "Connection: Upgrade\r\nSec-WebSocket-Key1: 1 2\r\nSec-WebSocket-Key2: 3 4",
        );
        assert!(!fires(&RULE, &exchange(&hixie, None)));
    }
}
