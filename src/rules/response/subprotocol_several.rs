//! `subprotocol-several`.

use super::support::{FROM_SERVER, websocket_101};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "subprotocol-several",
    severity: Severity::Error,
    title: "the server chose several subprotocols",
    about: "A 101 names at most one subprotocol, in one field line (RFC 6455 §4.2.2, §11.3.4). A client compares the \
        whole value with its list, finds it nowhere and must fail the connection.",
    refs: &["RFC 6455 §4.2.2", "RFC 6455 §11.3.4"],
    causes: &["the server echoes the client's whole list", "the server and a proxy each add the field"],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Protocol";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x) else { return };
    let chosen = granted.members(NAME);
    if chosen.len() < 2 {
        return;
    }
    out.add(Text::own(format!("The server's 101 names {} subprotocols instead of one.", chosen.len())))
        .expected(Text::own("one subprotocol"))
        .found(Text::own(format!("{NAME}: ")).field(NAME.as_bytes(), &granted.combined(NAME).unwrap_or_default()))
        .field(granted, NAME, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_list_or_two_lines_are_found() {
        let asked = ask("Sec-WebSocket-Protocol: a, b\r\n");
        for two in ["Sec-WebSocket-Protocol: a, b\r\n", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"] {
            assert_eq!(slugs(&RULE, &exchange(&asked, Some(&grant(two)))), ["subprotocol-several"]);
        }
    }

    #[test]
    fn one_is_fine() {
        let asked = ask("Sec-WebSocket-Protocol: a, b\r\n");
        assert!(slugs(&RULE, &exchange(&asked, Some(&grant("Sec-WebSocket-Protocol: a\r\n")))).is_empty());
    }
}
