//! `res-version-offered`.

use super::support::{FROM_CLIENT, FROM_SERVER, is_attempt, show_field, whole_response};
use crate::model::{Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-version-offered",
    severity: Severity::Info,
    title: "the server says which WebSocket versions it speaks",
    about: "A server that does not speak the request's Sec-WebSocket-Version answers with the versions that it does \
        speak, and the client may try again (RFC 6455 §4.4). Some servers add the field to every 400 or 426, so \
        look at the request's version first: browsers always send 13.",
    refs: &["RFC 6455 §4.2.2", "RFC 6455 §4.4"],
    causes: &["the client speaks another version", "the server adds its versions to every refusal"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Version";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(head) = whole_response(x).filter(|_| is_attempt(x)) else { return };
    if !matches!(head.status(), Some(400 | 426)) {
        return;
    }
    let Some(versions) = head.combined(NAME) else { return };
    out.add(Text::own("With its refusal the server offers the WebSocket versions ").bytes(&versions).say("."))
        .expected(show_field(&x.request, NAME))
        .found(show_field(head, NAME))
        .field(head, NAME, FROM_SERVER)
        .field(&x.request, NAME, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn versions_in_a_refusal_are_shown() {
        let refused = "HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13, 8\r\n\r\n";
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(refused))), ["res-version-offered"]);
    }

    #[test]
    fn refusals_without_versions_are_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some("HTTP/1.1 400 Bad Request\r\n\r\n"))).is_empty());
        assert!(slugs(&RULE, &exchange(ASK, Some(&grant("Sec-WebSocket-Version: 13\r\n")))).is_empty());
    }
}
