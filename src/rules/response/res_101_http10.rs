//! `res-101-http10`.

use super::support::{FROM_SERVER, whole_response};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-http10",
    severity: Severity::Error,
    title: "the 101 is sent as HTTP/1.0",
    about: "HTTP/1.0 knows no 101 and no Upgrade: WebSocket needs HTTP/1.1 or higher (RFC 6455 §4.1), and a \
        recipient judges what a message may do by its version (RFC 9110 §2.5). Many clients compare the status \
        line's version and give up.",
    refs: &["RFC 6455 §4.2.2", "RFC 9110 §2.5", "RFC 9112 §2.3"],
    causes: &[
        "a server written by hand with HTTP/1.0 in its status line",
        "a hop that answers with its own old version",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["hop-downgraded-http10", "req-http10"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = whole_response(x).filter(|r| r.status() == Some(101)) else { return };
    if granted.version() != b"HTTP/1.0" {
        return;
    }
    out.add(Text::own("The server answered HTTP/1.0 101; only HTTP/1.1 can switch protocols."))
        .expected(Text::own("HTTP/1.1 101"))
        .found(Text::own("HTTP/1.0 101"))
        .start_line(granted, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_101_of_http10_is_found() {
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(&GRANT.replace("1.1 101", "1.0 101")))), ["res-101-http10"]);
    }

    #[test]
    fn a_101_of_http11_and_a_refusal_of_http10_are_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        assert!(slugs(&RULE, &exchange(ASK, Some("HTTP/1.0 404 Not Found\r\n\r\n"))).is_empty());
    }
}
