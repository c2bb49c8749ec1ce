//! `h2-get-with-ws-fields`.

use super::support::{FAILURES, FROM_CLIENT, handshake_of_http1};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-get-with-ws-fields",
    severity: Severity::Error,
    title: "the handshake of HTTP/1.1 was sent over HTTP/2",
    about: "The request carries Sec-WebSocket fields or Upgrade in an ordinary HTTP/2 request. HTTP/2 has no Upgrade \
        and no 101: a WebSocket is opened there by CONNECT with `:protocol: websocket`, or over a connection of its \
        own in HTTP/1.1. Servers take this for a plain request, and answer 200, 400, 404 or 502.",
    refs: &["RFC 8441 §5", "RFC 9113 §8.6"],
    causes: &[
        "a client or test (curl) that writes the fields of HTTP/1.1 itself, on a connection on which ALPN chose h2",
        "a proxy that speaks HTTP/2 to its backend and copies the fields",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &["h2-backend-needs-h1"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if handshake_of_http1(x).is_none() {
        return;
    }
    let text = Text::own("The request asks for a WebSocket as in HTTP/1.1, by ").bytes(x.request.method());
    let text = match x.status() {
        Some(status) => text.say(format!(" on a stream of HTTP/2; the answer was {status}.")),
        None => text.say(" on a stream of HTTP/2."),
    };
    out.add(text)
        .expected(Text::own("CONNECT with :protocol websocket, or HTTP/1.1"))
        .found(Text::new().bytes(x.request.method()).say(" without :protocol"))
        .head(&x.request, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_get_with_the_fields_of_http1_is_found() {
        let found = run(&RULE, &stream(GET, Some("404")));
        assert!(words(&found[0].message).ends_with("by GET on a stream of HTTP/2; the answer was 404."));
    }

    #[test]
    fn an_extended_connect_and_http1_are_no_case_of_it() {
        assert!(!fires(&RULE, &granted()));
        assert!(!fires(&RULE, &crate::rules::testing::exchange(crate::rules::testing::GOOD, None)));
    }
}
