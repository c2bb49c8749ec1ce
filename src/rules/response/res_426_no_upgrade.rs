//! `res-426-no-upgrade`.

use super::support::{FROM_SERVER, whole_response};
use crate::model::{Exchange, Mechanism, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-426-no-upgrade",
    severity: Severity::Warning,
    title: "a 426 does not say which protocol it wants",
    about: "A 426 Upgrade Required must name the protocols that it would take in an Upgrade field (RFC 9110 \
        §15.5.22). Where the field is gone, a proxy between this server and the one that refused probably dropped \
        the hop-by-hop fields, in this direction and likely in the other too.",
    refs: &["RFC 9110 §15.5.22"],
    causes: &["a proxy dropped the hop-by-hop fields of the refusal", "the server forgot the field"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(head) = whole_response(x).filter(|_| x.mechanism == Mechanism::Http1Upgrade) else { return };
    if head.status() != Some(426) || head.has("upgrade") {
        return;
    }
    out.add(Text::own("The server demands an upgrade (426) without an Upgrade field that says to what."))
        .expected(Text::own("Upgrade: websocket"))
        .found(Text::own("no Upgrade"))
        .head(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_426_without_upgrade_is_found() {
        let x = exchange(&without(ASK, "Upgrade"), Some("HTTP/1.1 426 Upgrade Required\r\nServer: x\r\n\r\n"));
        assert_eq!(slugs(&RULE, &x), ["res-426-no-upgrade"]);
    }

    #[test]
    fn a_426_with_upgrade_is_fine() {
        let x = exchange(ASK, Some("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\n"));
        assert!(slugs(&RULE, &x).is_empty());
    }
}
