//! `res-upgrade-missing`.

use super::support::{FROM_SERVER, websocket_101};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-upgrade-missing",
    severity: Severity::Error,
    title: "the 101 names no protocol",
    about: "A 101 must name the protocol it switches to in an Upgrade field, and a WebSocket client must fail the \
        connection where the field is absent (RFC 6455 §4.1).\n\nUpgrade is a hop-by-hop field: a proxy that relays \
        the 101 must write it anew. One that only relays end-to-end fields loses it.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.8", "RFC 9110 §15.2.2"],
    causes: &[
        "a proxy between this server and its backend dropped the hop-by-hop field and did not write it anew",
        "the server builds its handshake by hand and forgot the field",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["res-101-unsolicited"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x) else { return };
    if granted.has("upgrade") {
        return;
    }
    out.add(Text::own("The server answered 101 without an Upgrade field, so a client must close the connection."))
        .expected(Text::own("Upgrade: websocket"))
        .found(Text::own("no Upgrade"))
        .head(granted, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_101_without_upgrade_is_found() {
        let x = exchange(ASK, Some(&without(GRANT, "Upgrade")));
        assert_eq!(slugs(&RULE, &x), ["res-upgrade-missing"]);
        let other = ASK.replace("websocket", "tcp");
        let other = without(&without(&other, "Sec-WebSocket-Key"), "Sec-WebSocket-Version");
        assert!(slugs(&RULE, &exchange(&other, Some(&without(GRANT, "Upgrade")))).is_empty());
    }

    #[test]
    fn a_101_with_upgrade_or_a_cut_one_is_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        assert!(slugs(&RULE, &exchange(ASK, Some("HTTP/1.1 101 Switching Protocols\r\nConn"))).is_empty());
        let mut lost = exchange(ASK, Some(&without(GRANT, "Upgrade")));
        lost.quality.response_gap = true;
        assert!(slugs(&RULE, &lost).is_empty());
    }
}
