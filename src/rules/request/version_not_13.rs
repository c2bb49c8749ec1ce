//! A handshake of another version.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-version-not-13",
    severity: Severity::Error,
    title: "Sec-WebSocket-Version is not 13",
    about: "The one version of RFC 6455 is 13. A server that does not know the version asked for answers \
        426 (or 400) and lists those it knows in `Sec-WebSocket-Version`; a client may then try again. Browsers \
        have sent 13 since 2011; 7 and 8 come from very old clients. A request may name only one.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.4"],
    causes: &[
        "a very old client (versions 7 and 8)",
        "a client written by hand",
        "a proxy that adds the field a second time",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-duplicated-field"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(value) = x.request.combined("sec-websocket-version") else { return };
    if !facts::is_attempt(x) || *value == *b"13" {
        return;
    }
    out.add(
        Text::own("The client asks for WebSocket version ")
            .field(b"Sec-WebSocket-Version", &value)
            .say("; it must be 13."),
    )
    .severity(facts::severity(x))
    .expected(Text::own("13"))
    .found(Text::new().field(b"Sec-WebSocket-Version", &value))
    .field(&x.request, "sec-websocket-version", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange, fires};

    #[test]
    fn other_versions_lists_and_nothing_are_found() {
        for version in ["8", "", "13, 8", "013", "13\r\nSec-WebSocket-Version: 13"] {
            assert!(fires(&RULE, &exchange(&changed(": 13", &format!(": {version}")), None)), "{version}");
        }
    }

    #[test]
    fn thirteen_is_right_with_any_white_space_around_it() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed(": 13", ":13 "), None)));
    }
}
