//! `subprotocol-empty`.

use super::support::{FROM_SERVER, show_field, websocket_101};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "subprotocol-empty",
    severity: Severity::Error,
    title: "the server sends an empty subprotocol",
    about: "A server that chooses no subprotocol leaves Sec-WebSocket-Protocol out. An empty value names a \
        subprotocol that nobody can have offered, so a client must fail the connection (RFC 6455 §4.1, §4.2.2).",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2"],
    causes: &["the server writes the field from a variable that is empty", "a proxy blanked the value"],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Protocol";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x) else { return };
    if !granted.has(NAME) || !granted.members(NAME).is_empty() {
        return;
    }
    out.add(Text::own("The server's 101 has a Sec-WebSocket-Protocol field without a value."))
        .expected(Text::own("one of the offered subprotocols, or no such field"))
        .found(show_field(granted, NAME))
        .field(granted, NAME, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn an_empty_value_is_found() {
        let granted = grant("Sec-WebSocket-Protocol: \r\n");
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(&granted))), ["subprotocol-empty"]);
    }

    #[test]
    fn an_absent_field_is_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
    }
}
