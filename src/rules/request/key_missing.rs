//! A handshake that is right but for its key.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-key-missing",
    severity: Severity::Error,
    title: "the handshake has no Sec-WebSocket-Key",
    about: "The server computes `Sec-WebSocket-Accept` from `Sec-WebSocket-Key`; without a key there is \
        nothing to answer, and it refuses with 400. Some proxies (HAProxy, Apache Traffic Server) refuse by \
        themselves.\n\n\
        `Upgrade` and `Connection` are as they should be here, so the key was left out by the client, or \
        filtered on the way by a list of allowed fields.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.1"],
    causes: &[
        "a client, test tool or health check that leaves it out",
        "a proxy, firewall or gateway that lets only listed fields pass",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-stripped-sec", "hop-bridge-without-key", "req-http10"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x)
        || request.has("sec-websocket-key")
        || !request.upgrades_to_websocket()
        || !request.has_token("connection", "upgrade")
    {
        return;
    }
    out.add(Text::own("The request asks for websocket but has no Sec-WebSocket-Key, so no valid answer exists."))
        .expected(Text::own("Sec-WebSocket-Key: 16 random octets in base64"))
        .found(Text::own("none"))
        .head(request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires};

    const KEY_LINE: &str = "Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n";

    #[test]
    fn a_missing_key_is_found() {
        assert!(fires(&RULE, &exchange(&changed(KEY_LINE, ""), None)));
    }

    #[test]
    fn a_key_in_any_case_or_a_lost_upgrade_is_not_this() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Sec-WebSocket-Key", "sec-websocket-key"), None)));
        let orphan = changed(KEY_LINE, "").replace("Upgrade: websocket\r\n", "");
        assert!(!fires(&RULE, &exchange(&orphan, None)));
    }

    #[test]
    fn hixie_constants_and_gaps_are_left_alone() {
        let hixie = changed(KEY_LINE, "Sec-WebSocket-Key1: 4 @1\r\nSec-WebSocket-Key2: 1 2\r\n");
        assert!(!fires(&RULE, &exchange(&hixie, None)));
        let forced = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
        assert!(!fires(&RULE, &exchange(forced, None)));
        assert!(!fires(&RULE, &exchange(&changed(KEY_LINE, ""), None).with(|x| x.quality.request_gap = true)));
    }
}
