//! A key of another length than 16 octets.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::request::key_form::{KeyForm, key_form};
use crate::rules::request::key_repeated::is_repeated;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-key-not-16-bytes",
    severity: Severity::Error,
    title: "the key is not 16 octets long",
    about: "The key is 16 random octets in base64, which makes 24 characters. Servers and proxies that \
        check (HAProxy, the ws library for Node.js) answer 400 to any other length.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "a client that makes its own key of the wrong length",
        "a bridge from HTTP/2 that makes a key (lighttpd before October 2022 made one of 17 octets)",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-key-changed"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(key) = x.request.first_value("sec-websocket-key") else { return };
    if !facts::is_attempt(x) || is_repeated(x) {
        return;
    }
    let KeyForm::Octets(octets) = key_form(key) else { return };
    let message = if octets == 0 {
        Text::own("The Sec-WebSocket-Key is empty.")
    } else {
        Text::own("The key ")
            .field(b"Sec-WebSocket-Key", key)
            .say(format!(" decodes to {octets} octets; it must be 16."))
    };
    out.add(message)
        .severity(facts::severity(x))
        .expected(Text::own("16 octets"))
        .found(Text::own(format!("{octets} octets")))
        .field(&x.request, "sec-websocket-key", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, KEY, changed, exchange, fires, run, words};

    #[test]
    fn short_long_and_empty_keys_are_found() {
        for (key, octets) in [("c2hvcnQ=", "5 octets"), ("MDAwMDAwMDAwMDAwMDAwMAo=", "17 octets"), ("", "0 octets")] {
            let found = run(&RULE, &exchange(&changed(KEY, key), None));
            assert_eq!(words(&found[0].found), octets);
        }
    }

    #[test]
    fn a_good_key_and_a_broken_one_are_not_this() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed(KEY, "not base64!"), None)));
        assert!(!fires(&RULE, &exchange(&changed(KEY, &format!("{KEY}, {KEY}")), None)));
    }
}
