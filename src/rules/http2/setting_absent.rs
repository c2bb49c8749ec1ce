//! `h2-setting-absent`.

use super::support::handshake_of_http1;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-setting-absent",
    severity: Severity::Info,
    title: "the server does not offer WebSocket over HTTP/2",
    about: "The server's SETTINGS have no SETTINGS_ENABLE_CONNECT_PROTOCOL of 1. That is no fault: browsers then open \
        a connection of its own in HTTP/1.1 for each WebSocket. A client that insists on HTTP/2 cannot have one.",
    refs: &["RFC 8441 §3"],
    causes: &["the server or proxy does not support WebSocket over HTTP/2, or it is switched off there"],
    fix: Some(FaultClass::H2),
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // An extended CONNECT all the same is `h2-no-setting`.
    let Some(stream) = handshake_of_http1(x).filter(|s| s.connect_protocol_at_last == Some(false)) else { return };
    let Some(settings) = stream.settings else { return };
    out.add(Text::own("The server's SETTINGS do not offer WebSocket over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL)."))
        .expected(Text::own("SETTINGS_ENABLE_CONNECT_PROTOCOL = 1, or a connection in HTTP/1.1"))
        .found(Text::own("SETTINGS without it"))
        .evidence(settings.evidence());
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn it_is_said_where_a_websocket_was_wanted_and_the_settings_were_seen() {
        let without = |x: &mut Exchange| facts(x).connect_protocol_at_last = Some(false);
        assert!(fires(&RULE, &stream(GET, Some("404")).with(without)));
        assert!(!fires(&RULE, &stream(GET, Some("404"))));
        let unseen = |x: &mut Exchange| (facts(x).settings, facts(x).connect_protocol_at_last) = (None, None);
        assert!(!fires(&RULE, &stream(GET, Some("404")).with(unseen)));
        assert!(!fires(&RULE, &stream(ASK, Some("404")).with(without)));
    }
}
