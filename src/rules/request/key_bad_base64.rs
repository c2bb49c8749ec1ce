//! A key that is no base64.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::request::key_form::{KeyForm, key_form};
use crate::rules::request::key_repeated::is_repeated;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-key-bad-base64",
    severity: Severity::Error,
    title: "the key is not valid base64",
    about: "The key is 16 random octets in base64 with the standard alphabet and its padding: 22 \
        characters and `==`. A server that only hashes the key does not notice a wrong one; a server or \
        proxy that checks answers 400.",
    refs: &["RFC 6455 §4.1", "RFC 4648 §4"],
    causes: &[
        "a client that makes its own key with the URL-safe alphabet, without padding, or in quotes",
        "a proxy that rewrites field values",
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
    let KeyForm::Malformed(why) = key_form(key) else { return };
    out.add(Text::own("The key ").field(b"Sec-WebSocket-Key", key).say(format!(" {why}.")))
        .severity(facts::severity(x))
        .expected(Text::own("22 characters of base64 and =="))
        .found(Text::new().field(b"Sec-WebSocket-Key", key))
        .field(&x.request, "sec-websocket-key", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, KEY, changed, exchange, fires};

    #[test]
    fn wrong_alphabet_padding_and_quotes_are_found() {
        for key in [
            "aG9wc2NvcGUtdGVzdGtleQ",
            "aG9wc2NvcGUtdGVz_GtleQ==",
            "\"aG9wc2NvcGUtdGVzdGtleQ==\"",
            "aG9wc2NvcGUtdGVzdGtleR==",
        ] {
            assert!(fires(&RULE, &exchange(&changed(KEY, key), None)), "{key}");
        }
    }

    #[test]
    fn a_good_key_and_one_of_another_length_are_not_this() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed(KEY, "c2hvcnQ="), None)));
    }
}
