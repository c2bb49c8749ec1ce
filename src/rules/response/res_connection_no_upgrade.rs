//! `res-connection-no-upgrade`.

use super::support::{FROM_SERVER, show_field, websocket_101};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-connection-no-upgrade",
    severity: Severity::Error,
    title: "the 101 has no Connection: Upgrade",
    about: "The Connection field of the 101 must name Upgrade; where it does not, a WebSocket client must fail the \
        connection (RFC 6455 §4.1). Other names beside it, letter case and several lines do not matter.\n\nProxies \
        that rewrite Connection on every response (keep-alive, close) break it; some proxies in front turn such a \
        101 into a 502.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.6.1"],
    causes: &[
        "a proxy rewrote Connection on the way back",
        "the server builds its handshake by hand and forgot the field",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["res-101-unsolicited"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x) else { return };
    if granted.has_token("connection", "upgrade") {
        return;
    }
    let text = match granted.combined("connection") {
        Some(value) => Text::own("The server's 101 says Connection: ")
            .bytes(&value)
            .say(" without Upgrade, so a client must close the connection."),
        None => Text::own("The server's 101 has no Connection field, so a client must close the connection."),
    };
    out.add(text).expected(Text::own("Connection: Upgrade")).found(show_field(granted, "Connection")).field(
        granted,
        "connection",
        FROM_SERVER,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn absent_or_other_values_are_found() {
        for wrong in ["Connection: keep-alive\r\n", "Connection: close\r\n", "Connection: \r\n", ""] {
            let x = exchange(ASK, Some(&GRANT.replace("Connection: Upgrade\r\n", wrong)));
            assert_eq!(slugs(&RULE, &x), ["res-connection-no-upgrade"], "{wrong}");
        }
    }

    #[test]
    fn lists_several_lines_and_letter_case_are_right() {
        for right in ["keep-alive, Upgrade", "upgrade , keep-alive", "UPGRADE", "keep-alive\r\nConnection: upgrade"] {
            let right = GRANT.replace("Connection: Upgrade", &format!("Connection: {right}"));
            assert!(slugs(&RULE, &exchange(ASK, Some(&right))).is_empty(), "{right}");
        }
    }
}
