//! `upgrade-ignored-200`.

use super::support::{FROM_SERVER, REFUSAL_CAUSES, is_attempt, say_status};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "upgrade-ignored-200",
    severity: Severity::Error,
    title: "the server answered a WebSocket request as if it were a plain one",
    about: "A server may ignore Upgrade and answer as usual (RFC 9110 §7.8), and that is what happened: a 2xx came \
        instead of 101. To a WebSocket client it is a refusal.\n\nUsually the request reached something that knows \
        no WebSocket: a static site, the index page of a single-page application, a CDN, or a backend behind a \
        proxy that dropped Upgrade.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.8"],
    causes: &[
        "the path leads to a plain HTTP handler, a static site or an application's index page",
        "a proxy between this server and its backend drops Upgrade",
        "a cache or CDN answered",
        "the backend's 101 named another protocol and the proxy made a plain answer of it",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Refused],
    symptom_of: REFUSAL_CAUSES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(head) = x.response.as_ref().filter(|_| is_attempt(x)) else { return };
    if !head.status().is_some_and(|code| (200..300).contains(&code)) {
        return;
    }
    let text = say_status(Text::own("The server answered the WebSocket request with a plain "), head);
    let text = match head.first_value("content-type") {
        Some(kind) if !x.body.is_empty() => text.say(" (").bytes(kind).say(")."),
        _ => text.say("."),
    };
    out.add(text)
        .expected(Text::own("101 Switching Protocols"))
        .found(say_status(Text::new(), head))
        .start_line(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_200_or_204_to_a_websocket_is_found() {
        for status in ["200 OK", "204 No Content"] {
            let x = exchange(ASK, Some(&format!("HTTP/1.1 {status}\r\nUpgrade: h2,h2c\r\n\r\n")));
            assert_eq!(slugs(&RULE, &x), ["upgrade-ignored-200"]);
        }
    }

    #[test]
    fn a_200_to_h2c_to_a_constant_upgrade_field_or_to_a_plain_request_is_fine() {
        for request in [
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert!(slugs(&RULE, &exchange(request, Some("HTTP/1.1 200 OK\r\n\r\n"))).is_empty());
        }
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
    }
}
