//! `accept-missing`.

use super::judge::expected;
use crate::model::{AcceptVerdict, Direction, Exchange, FaultClass, Handshake, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-missing",
    severity: Severity::Error,
    title: "the 101 has no Sec-WebSocket-Accept",
    about: "A WebSocket client sends a random key, and the server proves with Sec-WebSocket-Accept that it read that \
            key and speaks WebSocket. A client must fail the connection when the 101 has no such field.\n\n\
            A WebSocket library never forgets it. So the 101 was made by something that only copies Upgrade, or the \
            field was removed on its way back.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2"],
    causes: &[
        "an intermediary removes Sec-WebSocket-* fields from responses (an allow-list of fields)",
        "an intermediary or a mock made the 101 itself",
        "the server's handshake is hand-written and leaves the field out",
    ],
    fix: Some(FaultClass::Accept),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let (AcceptVerdict::Missing, Some(response)) = (handshake.accept_verdict, &x.response) else { return };
    let mut found = out
        .add(Text::own("The 101 has no Sec-WebSocket-Accept; a client must fail the connection."))
        .field(&x.request, "sec-websocket-key", Direction::ClientToServer)
        .head(response, Direction::ServerToClient)
        .found(Text::own("no such field"));
    if let Some(right) = expected(x) {
        found = found.expected(Text::new().field(b"Sec-WebSocket-Accept", right.as_bytes()));
    }
    if !response.has("upgrade") || !response.has_token("connection", "upgrade") {
        found.cause("the 101 lacks Upgrade or Connection too: it was not made by a WebSocket server");
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};

    #[test]
    fn a_101_without_accept_is_found_and_one_with_it_is_not() {
        let found = find(&super::RULE, Answer::without_accept());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].evidence.len(), 2);
        assert!(found[0].causes.is_empty());
        assert!(find(&super::RULE, Answer::right()).is_empty());
    }

    #[test]
    fn a_refusal_needs_no_accept() {
        assert!(find(&super::RULE, Answer::raw("HTTP/1.1 403 Forbidden\r\n\r\n")).is_empty());
    }

    #[test]
    fn a_101_to_another_protocol_needs_no_accept() {
        let answer = Answer::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
            .to("GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
        assert!(find(&super::RULE, answer).is_empty());
    }

    #[test]
    fn a_bare_101_is_told_apart() {
        let found = find(&super::RULE, Answer::raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
        assert_eq!(found[0].causes.len(), 1);
    }
}
