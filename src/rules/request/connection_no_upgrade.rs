//! Upgrade is there, but Connection does not name it.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-connection-no-upgrade",
    severity: Severity::Error,
    title: "Connection does not name upgrade",
    about: "`Upgrade` counts only when `Connection` names it: a server must ignore it otherwise, because \
        it may have been meant for an earlier hop. So this request is an ordinary GET to whoever reads it \
        strictly, and is answered with 400, 404 or 426.\n\n\
        The usual cause is a proxy that is told to pass `Upgrade` on but still writes its own `Connection` \
        (`close`, `keep-alive` or none). Tokens are compared, in any letter case and over all field lines: \
        `keep-alive, Upgrade` is right.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.6.1", "RFC 9110 §7.8"],
    causes: &[
        "the proxy that sent it passes Upgrade on but writes a Connection of its own",
        "a client written by hand that leaves out Connection: Upgrade",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10", "hop-stripped-connection", "hop-stripped-upgrade", "req-http10"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x) || !request.upgrades_to_websocket() || request.has_token("connection", "upgrade") {
        return;
    }
    let (message, found) = match request.combined("connection") {
        Some(value) => (
            Text::own("The request asks for websocket, but its Connection field says ")
                .field(b"Connection", &value)
                .say(" instead of Upgrade, so the server must ignore the Upgrade field."),
            Text::own("Connection: ").field(b"Connection", &value),
        ),
        None => (
            Text::own(
                "The request asks for websocket but has no Connection field, so the server must ignore the Upgrade field.",
            ),
            Text::own("no Connection field"),
        ),
    };
    out.add(message)
        .severity(facts::severity(x))
        .expected(Text::own("Connection: Upgrade"))
        .found(found)
        .field(request, "upgrade", REQUEST)
        .field(request, "connection", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires, run, words};

    #[test]
    fn another_connection_or_none_is_found() {
        let found = run(&RULE, &exchange(&changed("Connection: Upgrade", "Connection: keep-alive"), None));
        assert_eq!(words(&found[0].found), "Connection: keep-alive");
        assert!(fires(&RULE, &exchange(&changed("Connection: Upgrade\r\n", ""), None)));
        assert!(fires(&RULE, &exchange(&changed("Connection: Upgrade", "Connection:"), None)));
    }

    #[test]
    fn lists_cases_and_several_lines_are_right() {
        for line in [
            "Connection: keep-alive, Upgrade",
            "connection: UPGRADE,keep-alive",
            "Connection: keep-alive\r\nConnection: upgrade",
        ] {
            assert!(!fires(&RULE, &exchange(&changed("Connection: Upgrade", line), None)), "{line}");
        }
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }

    #[test]
    fn other_upgrades_and_heads_with_a_gap_are_left_alone() {
        let other = "POST /exec HTTP/1.1\r\nHost: example.com\r\nUpgrade: SPDY/3.1\r\n\r\n";
        assert!(!fires(&RULE, &exchange(other, None)));
        let lost = changed("Connection: Upgrade\r\n", "");
        assert!(!fires(&RULE, &exchange(&lost, None).with(|x| x.quality.request_gap = true)));
    }
}
