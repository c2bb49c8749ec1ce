//! `h2-connect-refused`.

use super::support::{FROM_CLIENT, FROM_SERVER, connect, ending, refused_by, status};
use crate::model::{Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::response::REFUSAL_CAUSES;
use crate::rules::rule::both;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-connect-refused",
    severity: Severity::Error,
    title: "the extended CONNECT was refused",
    about: "Instead of a 2xx the server answered an extended CONNECT with another final status, or refused the stream \
        itself by RST_STREAM or GOAWAY: there is no WebSocket.\n\nA first 401 or 407 is the normal way to ask for \
        credentials and only a note. Where the request has a fault of its own, or a leg behind shows why, the refusal \
        is a symptom.",
    refs: &["RFC 8441 §5", "RFC 9113 §5.4.2", "RFC 9113 §8.7"],
    causes: &[
        "the server or proxy does not take WebSocket over HTTP/2, or it is switched off there",
        "the bridge could not open the WebSocket behind it: refused, unreachable, or a wrong accept",
        "the application refuses: path, credentials, origin, limits",
    ],
    fix: Some(FaultClass::H2),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &both::<{ OWN.len() + REFUSAL_CAUSES.len() }>(OWN, REFUSAL_CAUSES),
    check: Check::Exchange(check),
};

const OWN: &[&str] = &[
    "accept-mismatch",
    "accept-missing",
    "h2-backend-needs-h1",
    "h2-coalesced-421",
    "h2-no-setting",
    "h2-setting-advertised-unsupported",
    "h2-setting-reverted",
    "h2-status-101",
    "hop-stripped-upgrade",
];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stream) = connect(x).filter(|_| x.granted().is_none()) else { return };
    let Some(head) = &x.response else {
        let Some(by) = refused_by(x).filter(|by| *by == FROM_SERVER) else { return };
        let how = ending(stream);
        let found = out
            .add(Text::own(format!("The server refused the extended CONNECT by {how}.")))
            .expected(Text::own(":status 200"))
            .found(Text::own(how))
            .head(&x.request, FROM_CLIENT);
        if let Some(at) = x.end.packet {
            found.evidence(Evidence { at, direction: Some(by), bytes: None });
        }
        return;
    };
    // A redirect with a place to go to has rules of its own.
    let code = head.status().unwrap_or_default();
    if code == 101 || (300..400).contains(&code) && head.has("location") {
        return;
    }
    let asks = match code {
        401 => !x.request.has("authorization"),
        407 => !x.request.has("proxy-authorization"),
        _ => false,
    };
    out.add(Text::own("The server refused the extended CONNECT with ").join(status(x)).say("."))
        .severity(if asks { Severity::Info } else { Severity::Error })
        .expected(Text::own(":status 200"))
        .found(Text::own(":status ").join(status(x)))
        .head(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::model::StreamEnd;

    #[test]
    fn any_other_status_is_a_refusal_and_a_first_401_a_note() {
        let found = run(&RULE, &stream(ASK, Some("502")));
        assert_eq!(words(&found[0].message), "The server refused the extended CONNECT with 502.");
        assert_eq!(run(&RULE, &stream(ASK, Some("401")))[0].severity, Severity::Info);
        let again = stream(&ask_with("authorization", "Basic eDp5"), Some("401"));
        assert_eq!(run(&RULE, &again)[0].severity, Severity::Error);
    }

    #[test]
    fn a_reset_of_the_server_is_one_and_that_of_the_client_is_none() {
        let ended = |end| stream(ASK, None).with(|x| facts(x).end = Some(end));
        assert!(fires(&RULE, &ended(StreamEnd::Reset(FROM_SERVER))));
        assert!(fires(&RULE, &ended(StreamEnd::GoAway(FROM_SERVER))));
        assert!(fires(&RULE, &ended(StreamEnd::Closed { goaway: Some(FROM_SERVER) })));
        assert!(!fires(&RULE, &ended(StreamEnd::Reset(FROM_CLIENT))));
        assert!(!fires(&RULE, &ended(StreamEnd::Closed { goaway: None })));
    }

    #[test]
    fn what_was_granted_or_asks_for_no_websocket_is_left_alone() {
        assert!(!fires(&RULE, &granted()) && !fires(&RULE, &stream(GET, Some("400"))));
    }
}
