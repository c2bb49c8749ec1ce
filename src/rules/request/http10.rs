//! A WebSocket handshake in HTTP/1.0.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-http10",
    severity: Severity::Error,
    title: "the handshake came in HTTP/1.0",
    about: "`Upgrade` exists since HTTP/1.1, and a server must ignore it in an HTTP/1.0 request. Servers \
        answer such a handshake with 426, 505, 400 or as an ordinary GET.\n\n\
        No WebSocket client sends HTTP/1.0. A proxy nearer the client does: nginx before 1.29.7 speaks \
        HTTP/1.0 to its upstreams unless `proxy_http_version 1.1` is set, and drops `Upgrade` with it.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.8"],
    causes: &[
        "the proxy that sent it speaks HTTP/1.0 to its backends: nginx before 1.29.7 does by default",
        "a proxy that is told to (lighttpd force-http10, Apache force-proxy-request-1.0)",
        "a client written by hand",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10", "hop-stripped-upgrade"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let version = x.request.version();
    if !facts::is_attempt(x) || version != b"HTTP/1.0" {
        return;
    }
    let message = Text::own("The WebSocket handshake came in HTTP/1.0, in which Upgrade does not exist");
    let message = if x.request.upgrades_to_websocket() {
        message.say(".")
    } else {
        message.say(", and Upgrade: websocket is gone.")
    };
    out.add(message)
        .severity(facts::severity(x))
        .expected(Text::own("HTTP/1.1"))
        .found(Text::new().bytes(version))
        .start_line(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, exchange, fires, granted, run};

    #[test]
    fn a_handshake_in_http_1_0_is_found_with_upgrade_or_without() {
        assert!(fires(&RULE, &exchange(&changed("HTTP/1.1", "HTTP/1.0"), Some(REFUSED))));
        let nginx = "GET /chat HTTP/1.0\r\nHost: backend\r\nConnection: close\r\n\
            Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert!(fires(&RULE, &exchange(nginx, None)));
    }

    #[test]
    fn one_that_was_granted_all_the_same_is_a_warning() {
        let found = run(&RULE, &exchange(&changed("HTTP/1.1", "HTTP/1.0"), Some(&granted())));
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn http_1_1_and_plain_requests_are_left_alone() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange("GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", None)));
        assert!(!fires(&RULE, &exchange("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", None)));
    }
}
