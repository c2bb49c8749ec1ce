//! `res-upgrade-mismatch`.

use super::support::{FROM_SERVER, show_field, websocket_101};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-upgrade-mismatch",
    severity: Severity::Error,
    title: "the 101 switches to another protocol than websocket",
    about: "The Upgrade field of the 101 must be the one value websocket, in any letter case (RFC 6455 §4.1). A \
        request may list several protocols, an answer may not; with anything else a client must fail the connection.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.8"],
    causes: &[ECHO, "a proxy wrote a variable of its own into the field", OTHER, WORDS],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["res-101-unsolicited"],
    check: Check::Exchange(check),
};

const ECHO: &str = "the server echoes the list that the request offered";
const OTHER: &str = "another service (h2c, tcp) answers at this address";
const WORDS: &str = "the server's handshake is written by hand: the value must be the one word websocket";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x) else { return };
    let Some(value) = granted.combined("upgrade") else { return };
    if value.eq_ignore_ascii_case(b"websocket") {
        return;
    }
    let cause = match x.request.combined("upgrade") {
        Some(asked) if asked == value => ECHO,
        _ if ["h2c", "tcp", "spdy"].iter().any(|other| granted.has_token("upgrade", other)) => OTHER,
        _ => WORDS,
    };
    out.add(Text::own("The server's 101 switches to ").bytes(&value).say(", not to websocket."))
        .cause(cause)
        .expected(Text::own("Upgrade: websocket"))
        .found(show_field(granted, "Upgrade"))
        .field(granted, "upgrade", FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn another_value_or_a_list_is_found() {
        for wrong in ["h2c", "websocket, foo", "WebSocket/13", ""] {
            let x = exchange(ASK, Some(&GRANT.replace("websocket", wrong)));
            assert_eq!(slugs(&RULE, &x), ["res-upgrade-mismatch"], "{wrong}");
        }
        let twice = grant("Upgrade: websocket\r\n");
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(&twice))), ["res-upgrade-mismatch"]);
    }

    #[test]
    fn any_letter_case_is_right_and_the_request_may_list() {
        let list = ASK.replace("websocket", "websocket, foo");
        assert!(slugs(&RULE, &exchange(&list, Some(&GRANT.replace("websocket", "WebSocket")))).is_empty());
    }
}
