//! Connection names fields that must reach the server.

use crate::model::head::list_members;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST, is_sec_websocket};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "connection-lists-e2e",
    severity: Severity::Error,
    title: "Connection names a field that must reach the server",
    about: "Every field that `Connection` names is for the next hop alone: a proxy must remove it before \
        it passes the request on. When `Connection` names `Sec-WebSocket-Key`, `Host`, `Cookie`, \
        `Authorization` or `Origin`, the next proxy that keeps the rules takes them out and the handshake \
        fails behind it.",
    refs: &["RFC 9110 §7.6.1"],
    causes: &[
        "a client or proxy that lists all fields of the handshake in Connection",
        "an attempt at smuggling fields past a proxy",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) {
        return;
    }
    let Some(value) = x.request.combined("connection") else { return };
    let named = list_members(&value).find(|m| {
        is_sec_websocket(m)
            || ["host", "cookie", "authorization", "origin"].iter().any(|n| m.eq_ignore_ascii_case(n.as_bytes()))
    });
    let Some(named) = named else { return };
    out.add(
        Text::own("The Connection field names ")
            .field(b"Connection", named)
            .say(", so the next proxy must remove that field before it passes the request on."),
    )
    .severity(facts::severity(x))
    .expected(Text::own("Connection: Upgrade"))
    .found(Text::own("Connection: ").field(b"Connection", &value))
    .field(&x.request, "connection", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{changed, exchange, fires};

    #[test]
    fn end_to_end_fields_in_connection_are_found() {
        for name in ["Sec-WebSocket-Key", "host", "Cookie"] {
            let request = changed("Connection: Upgrade", &format!("Connection: Upgrade, {name}"));
            assert!(fires(&RULE, &exchange(&request, None)), "{name}");
        }
    }

    #[test]
    fn hop_by_hop_fields_in_connection_are_right() {
        let request = changed("Connection: Upgrade", "Connection: Upgrade, Keep-Alive, HTTP2-Settings, Sec-WebSocket");
        assert!(!fires(&RULE, &exchange(&request, None)));
    }
}
