//! A WebSocket key beside an Upgrade that names something else.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "upgrade-value-wrong",
    severity: Severity::Error,
    title: "Upgrade does not name websocket",
    about: "The request has a WebSocket key, so a WebSocket was meant, but its `Upgrade` field names \
        something else. A server looks for the token `websocket` (in any letter case, also in a list) and \
        treats the request as an ordinary GET or refuses it.\n\n\
        The client will hardly have sent this: the field was written by a proxy whose configuration mixes \
        up two variables or quotes one so that it is not expanded.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §7.8"],
    causes: &["a proxy's configuration writes the wrong variable or constant into Upgrade", "a client written by hand"],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-rewrote-upgrade-value"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x) || !request.has("sec-websocket-key") || request.upgrades_to_websocket() {
        return;
    }
    let Some(value) = request.combined("upgrade") else { return };
    let message = if value.is_empty() {
        Text::own("The request has a WebSocket key, but its Upgrade field is empty.")
    } else {
        Text::own("The request has a WebSocket key, but its Upgrade field says ")
            .field(b"Upgrade", &value)
            .say(" instead of websocket.")
    };
    let mut finding = out
        .add(message)
        .severity(facts::severity(x))
        .expected(Text::own("Upgrade: websocket"))
        .found(Text::own("Upgrade: ").field(b"Upgrade", &value))
        .field(request, "upgrade", REQUEST);
    if let Some(cause) = cause(&value) {
        finding = finding.cause(cause);
    }
    for cause in RULE.causes {
        finding = finding.cause(*cause);
    }
}

fn cause(value: &[u8]) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    if value.is_empty() {
        return Some("a proxy copies Upgrade from a variable that is empty here");
    }
    if matches!(value.first(), Some(b'$' | b'%')) || value.contains(&b'{') {
        return Some(
            "a proxy sends a variable's name instead of its value: it is quoted or escaped in the configuration",
        );
    }
    if value.starts_with(b"websocket/") {
        return Some("the protocol's name stands with a version behind it; the token is websocket alone");
    }
    match value.as_slice() {
        b"upgrade" => Some("two variables are mixed up: the value meant for Connection was written into Upgrade"),
        b"close" | b"keep-alive" => {
            Some("two variables are mixed up: the value meant for Connection was written into Upgrade")
        }
        b"on" | b"1" | b"true" | b"yes" => {
            Some("a proxy's configuration uses a switch where the protocol's name belongs")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange, fires, run};

    #[test]
    fn common_mix_ups_are_found_and_named() {
        for (value, word) in [
            ("upgrade", "mixed up"),
            ("$http_upgrade", "variable"),
            ("Websocket/13", "version"),
            ("on", "switch"),
            ("", "empty"),
        ] {
            let found = run(&RULE, &exchange(&changed("Upgrade: websocket", &format!("Upgrade: {value}")), None));
            assert!(found[0].causes[0].contains(word), "{value}: {:?}", found[0].causes);
        }
    }

    #[test]
    fn websocket_in_any_case_or_in_a_list_is_right() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: WEBSOCKET"), None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket", "Upgrade: websocket, foo"), None)));
    }

    #[test]
    fn another_protocol_without_a_key_is_left_alone() {
        let other =
            "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n";
        assert!(!fires(&RULE, &exchange(other, None)));
        assert!(!fires(&RULE, &exchange(&changed("Upgrade: websocket\r\n", ""), None)));
    }
}
