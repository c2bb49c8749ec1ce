//! Connection holds a list: right, but some peers compare the whole value.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "connection-list-strict-peer",
    severity: Severity::Warning,
    title: "Connection holds a list, which some servers do not understand",
    about: "`Connection: keep-alive, Upgrade` is right: the field is a list of tokens. Firefox and some \
        proxies (Kong, lighttpd) send it so. A server that compares the whole value with `Upgrade` finds \
        them unequal and refuses the upgrade.\n\n\
        A fact as long as it works; a warning when the request was refused as if it asked for no upgrade, and not by a proxy \
        that is known to read lists.",
    refs: &["RFC 9110 §7.6.1", "RFC 9110 §5.6.1"],
    causes: &["the server compares Connection with one word instead of looking for the token upgrade"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x) || request.count_members("connection") < 2 || !request.has_token("connection", "upgrade") {
        return;
    }
    let value = request.combined("connection").unwrap_or_default();
    // Others ask for credentials or forbid: the fields of the handshake were not the matter.
    let status = x.status().filter(|status| matches!(status, 400 | 404 | 405 | 426) && !facts::is_by_proxy(x));
    let message = Text::own("The Connection field is a list, ").field(b"Connection", &value);
    let (message, severity) = match status {
        Some(status) => (
            message.say(format!(
                ". That is right, but the request was answered with {status}: the server may expect the one word Upgrade."
            )),
            Severity::Warning,
        ),
        None => (message.say(". That is right; a few servers expect the one word Upgrade."), Severity::Info),
    };
    out.add(message).severity(severity).found(Text::own("Connection: ").field(b"Connection", &value)).field(
        request,
        "connection",
        REQUEST,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, exchange, fires, granted, run};

    #[test]
    fn a_list_is_a_fact_and_a_warning_once_refused() {
        let list = changed("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        assert_eq!(run(&RULE, &exchange(&list, Some(&granted())))[0].severity, Severity::Info);
        assert_eq!(run(&RULE, &exchange(&list, Some(REFUSED)))[0].severity, Severity::Warning);
        for other in ["401 Unauthorized\r\n", "403 Forbidden\r\n", "426 Upgrade Required\r\nServer: nginx/1.22.1\r\n"] {
            let answer = format!("HTTP/1.1 {other}\r\n");
            assert_eq!(run(&RULE, &exchange(&list, Some(&answer)))[0].severity, Severity::Info, "{other}");
        }
    }

    #[test]
    fn one_token_or_a_list_without_upgrade_is_not_this() {
        assert!(!fires(&RULE, &exchange(GOOD, Some(REFUSED))));
        assert!(!fires(&RULE, &exchange(&changed("Connection: Upgrade", "Connection: keep-alive, te"), None)));
        assert!(!fires(&RULE, &exchange(&changed("Connection: Upgrade", "Connection: Upgrade,"), None)));
    }
}
