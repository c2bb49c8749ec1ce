//! A handshake with several Host fields.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-host-repeated",
    severity: Severity::Error,
    title: "the request has several Host fields",
    about: "A request has exactly one `Host`; a server must answer 400 to one with more. Where a server \
        does not, two hops may pick different ones, and the request goes where nobody meant it to.",
    refs: &["RFC 9112 §3.2", "RFC 9110 §7.2"],
    causes: &["a proxy adds Host instead of setting it", "an attempt at smuggling"],
    fix: Some(FaultClass::Host),
    explains: FAILURES,
    symptom_of: &["hop-duplicated-field"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let lines = x.request.count("host");
    if !facts::is_attempt(x) || lines < 2 {
        return;
    }
    let value = x.request.combined("host").unwrap_or_default();
    out.add(Text::own(format!("The request has {lines} Host fields: ")).field(b"Host", &value).say("."))
        .severity(facts::severity(x))
        .expected(Text::own("one Host field"))
        .found(Text::new().field(b"Host", &value))
        .field(&x.request, "host", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, fires, with_line};

    #[test]
    fn a_second_host_is_found() {
        assert!(fires(&RULE, &exchange(&with_line("host: other.example"), None)));
    }

    #[test]
    fn one_host_and_an_x_forwarded_host_are_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&with_line("X-Forwarded-Host: other.example"), None)));
    }
}
