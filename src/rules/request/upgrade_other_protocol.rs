//! An upgrade to something that is not WebSocket.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::request::upgrade_forced::is_constant;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-upgrade-other-protocol",
    severity: Severity::Info,
    title: "the request asks for another protocol than websocket",
    about: "`Upgrade` serves other protocols too: `h2c`, `SPDY/3.1` (kubectl exec, by POST), `tcp` \
        (docker), `TLS/1.2`, `IF-T/TLS` and more. The rules for WebSocket do not apply to such a request \
        and it is left alone by them.\n\n\
        Worth knowing, because many proxies let the token `websocket` alone pass: an upgrade to anything \
        else then arrives as an ordinary request.",
    refs: &["RFC 9110 §7.8"],
    causes: &["a client of another protocol"],
    fix: None,
    explains: &[],
    symptom_of: &["hop-rewrote-upgrade-value"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::whole(x) || x.is_websocket() || facts::is_hixie(x) {
        return;
    }
    if x.request.count_members("upgrade") == 0 || x.request.any_member("upgrade", is_constant) {
        return;
    }
    let value = x.request.combined("upgrade").unwrap_or_default();
    let message = Text::own("The request asks for ").field(b"Upgrade", &value).say(", which is not WebSocket");
    let message = match x.status() {
        Some(101) => message.say("; it was granted."),
        Some(status) => message
            .say(format!("; it was answered with {status}. A proxy on the way may let only the token websocket pass.")),
        None => message.say("."),
    };
    out.add(message).found(Text::own("Upgrade: ").field(b"Upgrade", &value)).field(&x.request, "upgrade", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, exchange, fires, run, words};

    const SPDY: &str = "POST /api/v1/exec HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn other_protocols_are_named() {
        let found = run(&RULE, &exchange(SPDY, Some(REFUSED)));
        assert!(words(&found[0].message).contains("SPDY/3.1") && words(&found[0].message).contains("400"));
        assert_eq!(found[0].severity, Severity::Info);
    }

    #[test]
    fn websocket_and_constants_are_left_alone() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: h2c"), None)));
        assert!(!fires(&RULE, &exchange(&SPDY.replace("SPDY/3.1", "upgrade"), None)));
        assert!(!fires(&RULE, &exchange(&SPDY.replace("SPDY/3.1", ""), None)));
    }
}
