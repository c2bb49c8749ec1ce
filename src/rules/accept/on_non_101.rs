//! `accept-on-non-101`.

use crate::model::{Direction, Exchange, Handshake, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-on-non-101",
    severity: Severity::Info,
    title: "Sec-WebSocket-Accept in a response that is no 101",
    about: "Only a 101 carries Sec-WebSocket-Accept. In a response with another status it is what is left of a granted \
            upgrade: something on the way back changed the status, or the server answered the handshake and then \
            failed.",
    refs: &["RFC 6455 §4.2.2"],
    causes: &[
        "an intermediary replaced the 101 by another status and kept the fields",
        "the application set the fields of the handshake and then an error status",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Handshake(check),
};

const NAME: &str = "sec-websocket-accept";

fn check(x: &Exchange, _: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let Some(response) = &x.response else { return };
    let Some(status) = response.status().filter(|&s| s != 101) else { return };
    let Some(found) = response.first_value(NAME) else { return };
    out.add(Text::own(format!("The {status} response has a Sec-WebSocket-Accept, which belongs to a 101 only.")))
        .expected(Text::own("101, or no such field"))
        .found(Text::new().field(b"Sec-WebSocket-Accept", found))
        .start_line(response, Direction::ServerToClient)
        .field(response, NAME, Direction::ServerToClient);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, RIGHT, find};

    #[test]
    fn an_accept_in_a_200_is_found() {
        let answer = Answer::raw(&format!("HTTP/1.1 200 OK\r\nSec-WebSocket-Accept: {RIGHT}\r\n\r\n"));
        assert_eq!(find(&super::RULE, answer).len(), 1);
    }

    #[test]
    fn a_101_and_a_200_without_it_are_no_finding() {
        assert!(find(&super::RULE, Answer::right()).is_empty());
        assert!(find(&super::RULE, Answer::raw("HTTP/1.1 200 OK\r\n\r\n")).is_empty());
    }
}
