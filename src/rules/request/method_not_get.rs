//! A WebSocket handshake with another method than GET.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-method-not-get",
    severity: Severity::Error,
    title: "the handshake's method is not GET",
    about: "The opening handshake of WebSocket over HTTP/1.1 is a GET. Servers answer any other method \
        with 405 or 400, and proxies do not take the request for an upgrade.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "a client or test tool with the wrong method",
        "a health check that sends HEAD",
        "a proxy that rewrites methods",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-method-changed"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let method = x.request.method();
    if !facts::is_attempt(x) || method == b"GET" || method.is_empty() {
        return;
    }
    out.add(Text::own("The WebSocket handshake uses the method ").bytes(method).say("; it must be GET."))
        .severity(facts::severity(x))
        .expected(Text::own("GET"))
        .found(Text::new().bytes(method))
        .start_line(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange, fires};

    #[test]
    fn another_method_is_found() {
        assert!(fires(&RULE, &exchange(&changed("GET", "POST"), None)));
        // Methods are compared with their letter case (RFC 9110 §9.1).
        assert!(fires(&RULE, &exchange(&changed("GET", "get"), None)));
    }

    #[test]
    fn get_and_the_methods_of_other_protocols_are_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        let kubectl = "POST /exec HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
        assert!(!fires(&RULE, &exchange(kubectl, None)));
    }
}
