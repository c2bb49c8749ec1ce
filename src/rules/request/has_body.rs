//! A handshake that announces content.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-has-body",
    severity: Severity::Warning,
    title: "the handshake announces a body",
    about: "A WebSocket handshake is a GET without content. With `Content-Length` above zero or \
        `Transfer-Encoding`, hops may disagree on where the request ends and the frames begin: one reads \
        the first frames as the body, another passes them on. Envoy refuses an upgrade with a body on its \
        HTTP/2 side, and such requests are also used to smuggle others past a proxy.",
    refs: &["RFC 9112 §6", "RFC 6455 §4.1"],
    causes: &[
        "a client library that adds Content-Length or Transfer-Encoding to every request",
        "a probe for request smuggling",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) || x.request.method() != b"GET" {
        return;
    }
    let (name, value) = if let Some(value) = x.request.combined("transfer-encoding") {
        ("Transfer-Encoding", value)
    } else {
        match x.request.combined("content-length") {
            Some(value) if value.iter().any(|b| !matches!(b, b'0' | b',' | b' ')) => ("Content-Length", value),
            _ => return,
        }
    };
    out.add(
        Text::own(format!("The WebSocket handshake announces a body ({name}: "))
            .field(name.as_bytes(), &value)
            .say("), so hops may disagree on where the frames begin."),
    )
    .expected(Text::own("no body"))
    .found(Text::own(format!("{name}: ")).field(name.as_bytes(), &value))
    .field(&x.request, name, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, fires, with_line};

    #[test]
    fn content_on_a_handshake_is_found() {
        assert!(fires(&RULE, &exchange(&with_line("Content-Length: 5"), None)));
        assert!(fires(&RULE, &exchange(&with_line("transfer-encoding: chunked"), None)));
    }

    #[test]
    fn no_content_or_another_request_is_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&with_line("Content-Length: 0"), None)));
        assert!(!fires(&RULE, &exchange("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", None)));
    }
}
