//! `h2-setting-advertised-unsupported`.

use super::support::{FAILURES, FROM_SERVER, connect, ending, refused_by};
use crate::model::{Confidence, Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-setting-advertised-unsupported",
    severity: Severity::Error,
    title: "the server offers extended CONNECT and does not take one",
    about: "The server's SETTINGS have SETTINGS_ENABLE_CONNECT_PROTOCOL = 1, so browsers send their WebSockets over \
        HTTP/2 and do not fall back to HTTP/1.1. Yet it refuses the extended CONNECT as such: by RST_STREAM or GOAWAY, \
        or by a status that says that it does not know the request (400, 405, 501). Other statuses are answers of the \
        application.",
    refs: &["RFC 8441 §3", "RFC 8441 §5"],
    causes: &[
        "the frontend announces the setting for all hosts, and the route or backend behind this one takes no upgrade",
        "an HTTP library that announces it by default and a program without a handler for CONNECT",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: CAUSES,
    check: Check::Exchange(check),
};

/// What makes a request that a server refuses although it takes others.
const CAUSES: &[&str] = &[
    "backend-closed-early",
    "backend-refused",
    "backend-silent",
    "h2-connect-pseudo",
    "h2-end-stream-early",
    "h2-hop-by-hop-field",
    "h2-setting-reverted",
    "hop-101-swallowed",
    "hop-bridge-without-key",
    "hop-duplicated-field",
    "req-version-missing",
    "req-version-not-13",
];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stream) = connect(x).filter(|stream| stream.connect_protocol == Some(true)) else { return };
    let reset = refused_by(x).filter(|by| *by == FROM_SERVER);
    let (what, confidence) = match (x.status(), reset) {
        (Some(405 | 501), _) => (format!("answered {}", x.status().unwrap_or_default()), Confidence::Likely),
        (Some(400), _) => ("answered 400".to_owned(), Confidence::Possible),
        (None, Some(_)) => (format!("refused it by {}", ending(stream)), Confidence::Likely),
        _ => return,
    };
    let found = out
        .add(Text::own(format!("The server offers extended CONNECT in its SETTINGS, and {what}.")))
        .confidence(confidence)
        .expected(Text::own("an extended CONNECT is understood"))
        .found(Text::own(what));
    let found = match &x.response {
        Some(head) => found.head(head, FROM_SERVER),
        None => found,
    };
    if let Some(settings) = stream.settings {
        found.evidence(settings.evidence());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::model::StreamEnd;

    #[test]
    fn a_reset_and_a_status_of_not_knowing_are_found() {
        let reset = stream(ASK, None).with(|x| {
            facts(x).end = Some(StreamEnd::Reset(FROM_SERVER));
            facts(x).code = Some(1);
        });
        let found = run(&RULE, &reset);
        assert!(words(&found[0].message).ends_with("refused it by RST_STREAM PROTOCOL_ERROR."));
        assert!(fires(&RULE, &stream(ASK, Some("501"))));
    }

    #[test]
    fn what_the_application_answers_is_its_own() {
        assert!(!fires(&RULE, &stream(ASK, Some("403"))) && !fires(&RULE, &granted()));
        let without = stream(ASK, Some("501")).with(|x| facts(x).connect_protocol = Some(false));
        assert!(!fires(&RULE, &without));
    }
}
