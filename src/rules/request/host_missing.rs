//! A handshake without Host.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-host-missing",
    severity: Severity::Error,
    title: "the request has no Host",
    about: "Every HTTP/1.1 request must name its host; servers answer 400 to one that does not. Without it \
        a proxy cannot choose the virtual host, and a server cannot check `Origin` against it.",
    refs: &["RFC 9110 §7.2", "RFC 9112 §3.2", "RFC 6455 §4.1"],
    causes: &["a client written by hand", "a proxy rule that deletes Host or sets it to an empty variable"],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["req-http10", "hop-host-rewritten"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) || x.request.has("host") {
        return;
    }
    out.add(Text::own("The request has no Host field."))
        .severity(facts::severity(x))
        .expected(Text::own("one Host field"))
        .found(Text::own("none"))
        .head(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires};

    #[test]
    fn a_missing_host_is_found() {
        assert!(fires(&RULE, &exchange(&changed("Host: example.com\r\n", ""), None)));
        assert!(fires(&RULE, &exchange(&changed("Host:", "X-Forwarded-Host:"), None)));
    }

    #[test]
    fn a_host_or_a_head_with_a_gap_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        let lost = changed("Host: example.com\r\n", "");
        assert!(!fires(&RULE, &exchange(&lost, None).with(|x| x.quality.request_gap = true)));
    }
}
