//! A handshake without its version.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-version-missing",
    severity: Severity::Error,
    title: "the handshake has no Sec-WebSocket-Version",
    about: "A client must send `Sec-WebSocket-Version: 13`. A server that finds none answers 400 or 426. \
        Browsers and libraries always send it, so where the other fields of the handshake are there it was \
        filtered on the way, or the client was written by hand.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.4"],
    causes: &[
        "a client written by hand that leaves it out",
        "a proxy, firewall or gateway that lets only listed fields pass",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-stripped-sec", "req-http10", "req-orphan-key"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) || x.request.has("sec-websocket-version") {
        return;
    }
    out.add(Text::own("The WebSocket handshake has no Sec-WebSocket-Version."))
        .severity(facts::severity(x))
        .expected(Text::own("Sec-WebSocket-Version: 13"))
        .found(Text::own("none"))
        .head(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires};

    const LINE: &str = "Sec-WebSocket-Version: 13\r\n";

    #[test]
    fn a_missing_version_is_found() {
        assert!(fires(&RULE, &exchange(&changed(LINE, ""), None)));
    }

    #[test]
    fn a_version_constants_hixie_and_gaps_are_not_this() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", None)));
        assert!(!fires(&RULE, &exchange(&changed(LINE, "Sec-WebSocket-Key1: 4 @1\r\n"), None)));
        assert!(!fires(&RULE, &exchange(&changed(LINE, ""), None).with(|x| x.quality.request_gap = true)));
    }
}
