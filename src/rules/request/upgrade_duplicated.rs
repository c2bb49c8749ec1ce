//! Upgrade given more than once.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "upgrade-duplicated",
    severity: Severity::Error,
    title: "Upgrade is given more than once",
    about: "The request has several `Upgrade` field lines, or names `websocket` twice. By the rules for \
        lists that means the same as one, but many servers and proxies compare the whole value with \
        `websocket` and refuse `websocket, websocket`. It comes about when two hops, or two layers of one \
        configuration, each add the field instead of setting it.\n\n\
        A warning, and an error when the answer is a refusal.",
    refs: &["RFC 9110 §5.3", "RFC 9110 §7.8"],
    causes: &[
        "two hops, or two layers of one proxy's configuration, each add Upgrade",
        "a proxy adds Upgrade to a request that has it already",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-duplicated-field"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    let lines = request.count("upgrade");
    let times = request.count_token("upgrade", "websocket");
    if !facts::is_attempt(x) || times == 0 || (lines < 2 && times < 2) {
        return;
    }
    let value = request.combined("upgrade").unwrap_or_default();
    let message = if lines > 1 {
        Text::own(format!("The request has {lines} Upgrade field lines, which together say "))
    } else {
        Text::own(format!("The Upgrade field names websocket {times} times: "))
    };
    let refused = x.status().is_some_and(|s| s >= 400);
    out.add(message.field(b"Upgrade", &value).say("."))
        .severity(if refused { Severity::Error } else { Severity::Warning })
        .expected(Text::own("Upgrade: websocket, once"))
        .found(Text::own("Upgrade: ").field(b"Upgrade", &value))
        .field(request, "upgrade", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, exchange, fires, granted, run};

    #[test]
    fn a_second_line_or_name_is_a_warning_and_an_error_when_refused() {
        let twice = changed("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket");
        assert_eq!(run(&RULE, &exchange(&twice, Some(&granted())))[0].severity, Severity::Warning);
        assert_eq!(run(&RULE, &exchange(&twice, Some(REFUSED)))[0].severity, Severity::Error);
        assert!(fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: websocket, WebSocket"), None)));
    }

    #[test]
    fn one_line_with_another_protocol_beside_it_is_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: websocket, foo"), None)));
    }
}
