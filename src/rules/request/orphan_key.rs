//! WebSocket fields without the Upgrade that they belong to.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-orphan-key",
    severity: Severity::Error,
    title: "the WebSocket fields arrived without Upgrade: websocket",
    about: "A WebSocket client always sends `Upgrade: websocket` beside `Sec-WebSocket-Key` and \
        `Sec-WebSocket-Version`. Here the `Sec-WebSocket-*` fields arrived and `Upgrade` did not.\n\n\
        `Upgrade` and `Connection` are hop-by-hop fields: a proxy must drop them and re-creates them \
        towards the next hop only when it is told to. The other fields are end-to-end and pass. So this \
        request is the mark of a proxy nearer the client that is not configured for WebSocket. What \
        receives it sees an ordinary GET and answers 400, 404, 426 or a page.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.6.1", "RFC 9110 §7.8"],
    causes: &[
        "the proxy that sent it dropped Upgrade and Connection and did not write them anew",
        "a client written by hand that leaves out Upgrade",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-stripped-upgrade", "hop-downgraded-http10", "req-http10"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    // Upgrade with another value beside a key is upgrade-value-wrong.
    let other_value = request.has("upgrade") && request.has("sec-websocket-key");
    if !facts::is_attempt(x) || !x.has_websocket_fields() || request.upgrades_to_websocket() || other_value {
        return;
    }
    let field = if request.has("sec-websocket-key") { "Sec-WebSocket-Key" } else { "Sec-WebSocket-Version" };
    let message = Text::own(format!("The request has {field} but not Upgrade: websocket"));
    let message = if x.from_browser() {
        message.say(", which a browser always sends: something between the browser and this point dropped it.")
    } else {
        message.say(", so the server takes it for an ordinary request.")
    };
    let found = match request.first_value("upgrade") {
        Some(value) => Text::own("Upgrade: ").field(b"Upgrade", value),
        None => Text::own("no Upgrade field"),
    };
    let mut finding = out
        .add(message)
        .severity(facts::severity(x))
        .expected(Text::own("Upgrade: websocket"))
        .found(found)
        .field(request, field, REQUEST);
    if let Some(cause) = fingerprint(x) {
        finding = finding.cause(cause);
    }
    for cause in RULE.causes {
        finding = finding.cause(*cause);
    }
}

/// What the rest of the request says about who dropped it. Guesses, worded as such.
fn fingerprint(x: &Exchange) -> Option<&'static str> {
    let request = &x.request;
    let connection = request.tokens("connection");
    let says = |token: &str| connection.iter().any(|t| t == token.as_bytes());
    if request.version() == b"HTTP/1.0" {
        return says("close").then_some(
            "HTTP/1.0 with Connection: close is what nginx before 1.29.7 sends by default (proxy_pass alone)",
        );
    }
    if request.has("x-forwarded-server") && says("keep-alive") {
        return Some(
            "Connection: Keep-Alive and X-Forwarded-Server are what Apache's ProxyPass sends without upgrade=websocket",
        );
    }
    if says("upgrade") {
        return Some("Connection still says upgrade: a rule on the way deletes or blanks the Upgrade field alone");
    }
    if request.iter().all(|(name, _)| !name.iter().any(u8::is_ascii_uppercase)) {
        return Some(
            "all field names are in lower case: a proxy that writes them so, or a bridge from HTTP/2 that lost the upgrade",
        );
    }
    if says("close") {
        return Some(
            "HTTP/1.1 with Connection: close is what nginx sends with proxy_http_version 1.1 and nothing else set",
        );
    }
    connection
        .is_empty()
        .then_some("HTTP/1.1 without Connection is what nginx 1.29.7 or later sends by default (proxy_pass alone)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, With as _, changed, exchange, fires, run};

    const LOST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\
        Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    #[test]
    fn a_key_without_upgrade_is_found() {
        let found = run(&RULE, &exchange(LOST, Some(REFUSED)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Error);
        assert!(found[0].causes[0].contains("proxy_http_version 1.1"), "{:?}", found[0].causes);
        assert!(fires(&RULE, &exchange(&LOST.replace("Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n", ""), None)));
    }

    #[test]
    fn http_1_0_with_close_points_to_nginx_defaults() {
        let found = run(&RULE, &exchange(&LOST.replace("HTTP/1.1", "HTTP/1.0"), None));
        assert!(found[0].causes[0].contains("before 1.29.7"));
        let found = run(&RULE, &exchange(&LOST.replace("Connection: close\r\n", ""), None));
        assert!(found[0].causes[0].contains("1.29.7 or later"));
    }

    #[test]
    fn upgrade_is_compared_as_a_token_in_any_case_and_in_a_list() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "UPGRADE: WebSocket"), None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: foo, websocket"), None)));
    }

    #[test]
    fn another_value_beside_a_key_is_another_rule() {
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: h2c"), None)));
    }

    #[test]
    fn upgrade_insecure_requests_is_not_upgrade() {
        assert!(fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade-Insecure-Requests: 1"), None)));
        let plain = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";
        assert!(!fires(&RULE, &exchange(plain, None)));
    }

    #[test]
    fn names_of_websocket_fields_in_other_fields_are_text() {
        let preflight = "OPTIONS /chat HTTP/1.1\r\nHost: example.com\r\n\
            Access-Control-Request-Headers: sec-websocket-key, sec-websocket-version\r\n\r\n";
        assert!(!fires(&RULE, &exchange(preflight, None)));
    }

    #[test]
    fn nothing_is_said_of_a_head_that_was_not_seen_whole() {
        assert!(!fires(&RULE, &exchange(LOST, None).with(|x| x.quality.request_gap = true)));
        assert!(!fires(&RULE, &exchange(LOST.strip_suffix("\r\n").unwrap_or(LOST), None)));
    }

    #[test]
    fn lower_case_names_point_to_a_bridge() {
        let found = run(
            &RULE,
            &exchange(&LOST.replace("Connection: close\r\n", "").to_lowercase().replace("http/1.1", "HTTP/1.1"), None),
        );
        assert!(found[0].causes[0].contains("lower case"));
    }
}
