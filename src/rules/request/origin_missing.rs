//! A handshake without Origin.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "origin-missing",
    severity: Severity::Info,
    title: "the handshake has no Origin",
    about: "Browsers always send `Origin`; other clients need not. So either this client is no browser, or \
        something took the field away. A server that insists on an origin refuses such a request with 403.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §10.2"],
    causes: &["the client is no browser", "a proxy removed Origin"],
    fix: None,
    explains: &[],
    symptom_of: &["hop-origin-changed"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if facts::is_attempt(x) && !x.request.has("origin") {
        out.add(Text::own("The handshake has no Origin: the client is no browser, or the field was removed."))
            .found(Text::own("none"))
            .head(&x.request, REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires};

    const LINE: &str = "Origin: http://example.com\r\n";

    #[test]
    fn a_missing_origin_is_told() {
        assert!(fires(&RULE, &exchange(&changed(LINE, ""), None)));
    }

    #[test]
    fn an_origin_or_a_gap_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed(LINE, ""), None).with(|x| x.quality.request_gap = true)));
    }
}
