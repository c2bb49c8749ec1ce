//! Via tells that an earlier leg spoke HTTP/1.0.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "via-reveals-http10",
    severity: Severity::Error,
    title: "Via tells that an earlier leg spoke HTTP/1.0",
    about: "Each proxy writes into `Via` in which version it received the request. `1.0` there means that \
        a leg nearer the client, which need not be in the capture, spoke HTTP/1.0, and HTTP/1.0 has no \
        `Upgrade`. When `Upgrade` is missing here it was lost on that leg or before it.\n\n\
        A fact alone where `Upgrade` arrived nevertheless.",
    refs: &["RFC 9110 §7.6.3", "RFC 9110 §7.8"],
    causes: &["a proxy before the one that wrote Via speaks HTTP/1.0 to it: nginx before 1.29.7 does by default"],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10", "hop-stripped-upgrade", "req-http10", "req-orphan-key"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) {
        return;
    }
    let Some(via) = x.request.members("via").into_iter().find(|m| received_version(m) == b"1.0") else { return };
    let lost = !x.request.upgrades_to_websocket();
    let message = Text::own("Via (").field(b"Via", &via).say(") tells that an earlier leg spoke HTTP/1.0");
    let (message, severity) = if lost {
        (message.say(", which has no Upgrade: it was lost there or before."), facts::severity(x))
    } else {
        (message.say("."), Severity::Info)
    };
    out.add(message).severity(severity).found(Text::own("Via: ").field(b"Via", &via)).field(&x.request, "via", REQUEST);
}

/// `[ protocol-name "/" ] protocol-version` of a member of Via, without the name (RFC 9110 §7.6.3).
pub(super) fn received_version(member: &[u8]) -> &[u8] {
    let protocol = member.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    protocol.rsplit(|&b| b == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, run, with_line};

    #[test]
    fn http_1_0_before_a_lost_upgrade_is_an_error_and_else_a_fact() {
        let kept = with_line("Via: 1.1 a, HTTP/1.0 b (c)");
        assert_eq!(run(&RULE, &exchange(&kept, None))[0].severity, Severity::Info);
        let lost = kept.replace("Upgrade: websocket\r\n", "");
        assert_eq!(run(&RULE, &exchange(&lost, None))[0].severity, Severity::Error);
    }

    #[test]
    fn other_versions_are_not() {
        let lost = with_line("Via: 1.1 1.0-proxy").replace("Upgrade: websocket\r\n", "");
        assert!(!fires(&RULE, &exchange(&lost, None)));
    }
}
