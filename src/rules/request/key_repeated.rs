//! A handshake with more than one key.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-key-repeated",
    severity: Severity::Error,
    title: "the handshake has more than one Sec-WebSocket-Key",
    about: "`Sec-WebSocket-Key` may stand once in a request. With two, client and server may compute the \
        accept from different ones, or the server joins them with a comma and hashes that. Careful servers \
        answer 400.",
    refs: &["RFC 6455 §11.3.1"],
    causes: &["a proxy adds a key of its own instead of replacing the client's", "a client that sets the field twice"],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-duplicated-field"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) || !is_repeated(x) {
        return;
    }
    let value = x.request.combined("sec-websocket-key").unwrap_or_default();
    out.add(
        Text::own("The request has more than one Sec-WebSocket-Key: ").field(b"Sec-WebSocket-Key", &value).say("."),
    )
    .severity(facts::severity(x))
    .expected(Text::own("one Sec-WebSocket-Key"))
    .found(Text::new().field(b"Sec-WebSocket-Key", &value))
    .field(&x.request, "sec-websocket-key", REQUEST);
}

/// Several lines, or several keys in one. The form of such a key is not judged by itself.
pub(super) fn is_repeated(x: &Exchange) -> bool {
    x.request.count("sec-websocket-key") > 1
        || x.request.first_value("sec-websocket-key").is_some_and(|value| value.contains(&b','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, fires, with_line};

    #[test]
    fn a_second_key_is_found() {
        assert!(fires(&RULE, &exchange(&with_line("sec-websocket-key: aG9wc2NvcGUtdGVzdGtleQ=="), None)));
        assert!(fires(&RULE, &exchange(&GOOD.replace("tleQ==", "tleQ==, aG9wc2NvcGUtdGVzdGtleQ=="), None)));
    }

    #[test]
    fn one_key_is_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
