//! Origin: null.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "origin-null",
    severity: Severity::Info,
    title: "Origin is null",
    about: "A page without an origin of its own (a local file, a sandboxed frame, some redirects) sends \
        `Origin: null`. A server that checks the origin refuses it unless it allows `null` by name.",
    refs: &["RFC 6455 §4.1", "RFC 6454 §7.3"],
    causes: &["a page opened as a local file", "a sandboxed frame or an embedded web view"],
    fix: None,
    explains: &[],
    symptom_of: &["hop-origin-changed"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let null = x.request.first_value("origin").is_some_and(|o| o.eq_ignore_ascii_case(b"null"));
    if facts::is_attempt(x) && null {
        out.add(Text::own("Origin is null: the page that opened the WebSocket has no origin of its own."))
            .found(Text::own("Origin: null"))
            .field(&x.request, "origin", REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange, fires};

    #[test]
    fn null_is_told() {
        assert!(fires(&RULE, &exchange(&changed("http://example.com", "null"), None)));
    }

    #[test]
    fn an_origin_or_none_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Origin: http://example.com\r\n", ""), None)));
    }
}
