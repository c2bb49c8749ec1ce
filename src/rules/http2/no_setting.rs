//! `h2-no-setting`.

use super::support::{FAILURES, FROM_CLIENT, connect};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-no-setting",
    severity: Severity::Error,
    title: "an extended CONNECT was sent to a server that had not offered to take it",
    about: "A client may send `:protocol` only behind the server's SETTINGS_ENABLE_CONNECT_PROTOCOL (0x8) of 1. A \
        server without it treats the request as malformed: RST_STREAM PROTOCOL_ERROR, or 400. Where it was granted all \
        the same, it works by luck.",
    refs: &["RFC 8441 §3", "RFC 8441 §4"],
    causes: &[
        "the server or proxy does not support WebSocket over HTTP/2, or it is switched off there",
        "a client that does not look at the server's settings, or does not wait for them",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stream) = connect(x).filter(|stream| stream.connect_protocol == Some(false)) else { return };
    // Two directions of one capture point: what crossed on the way proves nothing about the client.
    let late = stream.connect_protocol_at_last == Some(true);
    let (text, severity) = match (late, x.granted()) {
        (true, _) => ("before the server's SETTINGS, which allow it, had come", Severity::Warning),
        (false, Some(_)) => ("although the server's SETTINGS do not offer it; it was granted", Severity::Warning),
        (false, None) => ("although the server's SETTINGS do not offer it", Severity::Error),
    };
    let found = out
        .add(Text::own(format!("The client sent an extended CONNECT {text}.")))
        .severity(severity)
        .expected(Text::own("SETTINGS_ENABLE_CONNECT_PROTOCOL = 1 from the server first"))
        .found(Text::own(if stream.settings.is_some() { "SETTINGS without it" } else { "no SETTINGS" }))
        .head(&x.request, FROM_CLIENT);
    if let Some(settings) = stream.settings {
        found.evidence(settings.evidence());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn severity(status: &str, first: Option<bool>, last: Option<bool>) -> Option<Severity> {
        let x = stream(ASK, Some(status)).with(|x| {
            facts(x).connect_protocol = first;
            facts(x).connect_protocol_at_last = last;
        });
        run(&RULE, &x).first().map(|f| f.severity)
    }

    #[test]
    fn a_connect_that_nobody_offered_is_an_error_unless_it_worked() {
        assert_eq!(severity("400", Some(false), Some(false)), Some(Severity::Error));
        assert_eq!(severity("200", Some(false), Some(false)), Some(Severity::Warning));
        assert_eq!(severity("200", Some(false), Some(true)), Some(Severity::Warning));
    }

    #[test]
    fn where_settings_offer_it_or_were_not_seen_nothing_is_said() {
        assert_eq!(severity("400", Some(true), Some(true)), None);
        assert_eq!(severity("400", None, None), None);
    }
}
