//! `subprotocol-not-offered`.

use super::support::{FROM_CLIENT, FROM_SERVER, show_field, websocket_heads};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "subprotocol-not-offered",
    severity: Severity::Error,
    title: "the server chose a subprotocol that was not offered",
    about: "The Sec-WebSocket-Protocol of a 101 must be one of those that the request lists, byte for byte: letter \
        case counts. If it is not, a client must fail the connection (RFC 6455 §4.1).",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2"],
    causes: &[
        "the server names its own subprotocol whatever the client asked for",
        "a hop removed or rewrote the request's Sec-WebSocket-Protocol",
        "the names differ in letter case only",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["hop-subprotocol-changed"],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Protocol";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((request, granted)) = websocket_heads(x) else { return };
    let chosen = granted.members(NAME);
    // None or several are other rules.
    let [chosen] = chosen.as_slice() else { return };
    let offered = request.members(NAME);
    if offered.contains(chosen) {
        return;
    }
    let text = Text::own("The server chose the subprotocol ").field(NAME.as_bytes(), chosen);
    let text = if offered.is_empty() {
        text.say(", but the client offered none.")
    } else if offered.iter().any(|o| o.eq_ignore_ascii_case(chosen)) {
        text.say(", which differs in letter case from the one that the client offered.")
    } else {
        text.say(", which the client did not offer.")
    };
    out.add(text)
        .expected(show_field(request, NAME))
        .found(show_field(granted, NAME))
        .field(granted, NAME, FROM_SERVER)
        .field(request, NAME, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_foreign_name_is_found_and_letter_case_counts() {
        let granted = grant("Sec-WebSocket-Protocol: mqtt\r\n");
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(&granted))), ["subprotocol-not-offered"]);
        let asked = ask("Sec-WebSocket-Protocol: chat, MQTT\r\n");
        assert_eq!(slugs(&RULE, &exchange(&asked, Some(&granted))), ["subprotocol-not-offered"]);
    }

    #[test]
    fn one_of_the_offered_is_fine() {
        let asked = ask("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: mqtt\r\n");
        let granted = grant("Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(slugs(&RULE, &exchange(&asked, Some(&granted))).is_empty());
        assert!(slugs(&RULE, &exchange(&asked, Some(GRANT))).is_empty());
    }
}
