//! `accept-mismatch`.

use super::judge::expected;
use crate::model::{AcceptVerdict, Direction, Exchange, FaultClass, Handshake, Severity, Text};
use crate::rules::accept::kinds;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-mismatch",
    severity: Severity::Error,
    title: "Sec-WebSocket-Accept does not fit the key",
    about: "The accept must be base64 of SHA-1 of the key, as the client sent it, followed by the GUID \
            258EAFA5-E914-47DA-95CA-C5AB0DC85B11. It is compared byte by byte: base64 knows upper and lower case. A \
            client that finds another value must fail the connection, and every browser does.\n\n\
            The finding says how the wrong value was probably computed (its kind), because that tells whether the \
            server's code, a cache or an intermediary has to be mended. `hopscope accept KEY ACCEPT` does the same \
            for one pair.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2", "RFC 6455 §1.3"],
    causes: &[
        "the server's own handshake code computes the accept wrongly",
        "an intermediary answered with a 101 kept from, or meant for, another request",
        "an intermediary changed the key on its way to the server",
    ],
    fix: Some(FaultClass::Accept),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &["hop-accept-changed", "hop-accept-not-translated", "hop-key-changed", "req-key-repeated"],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let (AcceptVerdict::Invalid, Some(response)) = (handshake.accept_verdict, &x.response) else { return };
    let (Some(right), Some(found)) = (expected(x), handshake.accept(x)) else { return };
    let kind = handshake.accept_kind().unwrap_or("unexplained");
    let recipe = handshake.accept_recipe().unwrap_or("no known mistake gives this value");
    let mut finding = out
        .add(Text::own(format!("The server answered with a wrong Sec-WebSocket-Accept: {recipe}.")))
        .expected(Text::new().field(b"Sec-WebSocket-Accept", right.as_bytes()))
        .found(Text::new().field(b"Sec-WebSocket-Accept", found))
        .field(&x.request, "sec-websocket-key", Direction::ClientToServer)
        .field(response, "sec-websocket-accept", Direction::ServerToClient);
    for cause in kinds::find(kind).map_or(&[][..], |k| k.causes) {
        finding = finding.cause(*cause);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};
    use crate::model::Direction;

    #[test]
    fn a_wrong_accept_is_found_with_its_recipe_and_evidence() {
        let found = find(&super::RULE, Answer::accepts(&["hHLtf2V1k8aDQZfNjw3Ia1hCwt0="]));
        assert_eq!(found.len(), 1);
        let message = format!("{:?}", found[0].message);
        assert!(
            message.contains("wrong Sec-WebSocket-Accept: it is SHA-1 of the key alone, without the GUID."),
            "{message}"
        );
        let directions: Vec<_> = found[0].evidence.iter().filter_map(|e| e.direction).collect();
        assert_eq!(directions, [Direction::ClientToServer, Direction::ServerToClient]);
        assert!(!found[0].causes.is_empty());
    }

    #[test]
    fn letter_case_of_the_accept_counts() {
        assert_eq!(find(&super::RULE, Answer::accepts(&["S3PPLMBITXAQ9KYGZZHZRBK+XOO="])).len(), 1);
    }

    #[test]
    fn the_right_accept_and_white_space_around_it_are_no_finding() {
        assert!(find(&super::RULE, Answer::right()).is_empty());
        assert!(find(&super::RULE, Answer::accepts(&["  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"])).is_empty());
    }

    #[test]
    fn a_request_head_that_is_not_whole_is_never_judged() {
        assert!(find(&super::RULE, Answer::accepts(&["wrong"]).cut_request()).is_empty());
    }
}
