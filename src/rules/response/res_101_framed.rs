//! `res-101-framed`.

use super::support::{FROM_SERVER, show_field, whole_response};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-framed",
    severity: Severity::Warning,
    title: "the 101 announces content",
    about: "A 101 has no content: the bytes behind its head belong to the new protocol. A server must not send \
        Content-Length or Transfer-Encoding with it (RFC 9110 §8.6, RFC 9112 §6.1).\n\nMost clients ignore the \
        field. One that obeys it takes the first frames for a response body and loses them, or waits for a chunk.",
    refs: &["RFC 9110 §8.6", "RFC 9112 §6.1", "RFC 9112 §6.3"],
    causes: &[
        "a web framework adds the field to every response",
        "a proxy or filter adds it on the way back",
        "the server sends a body with its 101",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["not-websocket-after-101", "res-101-then-http"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = whole_response(x).filter(|r| r.status() == Some(101)) else { return };
    for name in ["Content-Length", "Transfer-Encoding"] {
        if granted.has(name) {
            let text = Text::own(format!("The server's 101 announces content ({name}), which a 101 cannot have."));
            out.add(text).expected(Text::own(format!("no {name}"))).found(show_field(granted, name)).field(
                granted,
                name,
                FROM_SERVER,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_101_with_content_length_or_transfer_encoding_is_found() {
        for field in ["Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            assert_eq!(slugs(&RULE, &exchange(ASK, Some(&grant(field)))), ["res-101-framed"], "{field}");
        }
    }

    #[test]
    fn a_bare_101_and_a_framed_404_are_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let refused = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert!(slugs(&RULE, &exchange(ASK, Some(refused))).is_empty());
    }
}
