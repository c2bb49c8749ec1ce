//! `accept-unexplained`.

use crate::model::{Direction, Exchange, Handshake, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};
use crate::wire::accept;

pub(super) static RULE: Rule = Rule {
    id: "accept-unexplained",
    severity: Severity::Info,
    title: "no known mistake explains the wrong Sec-WebSocket-Accept",
    about: "A note beside accept-mismatch: no known way of computing the accept wrongly gives this value. It says what \
            is known of it: its length, the hash whose digest has that length, and whether the 101 has other signs of \
            being made up, such as a missing Upgrade or Connection.",
    refs: &["RFC 6455 §4.2.2"],
    causes: &[
        "the 101 was made up by something that does not speak WebSocket",
        "an intermediary that ends WebSocket itself changed the key on the way: capture its other leg too",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let (Some("unexplained"), Some(found), Some(response)) =
        (handshake.accept_kind(), handshake.accept(x), &x.response)
    else {
        return;
    };
    let upgrade = response.upgrades_to_websocket();
    let connection = response.has_token("connection", "upgrade");
    let signs = match (upgrade, connection) {
        (true, true) => "the rest of the 101 looks right",
        (false, true) => "the 101 has no Upgrade: websocket either",
        (true, false) => "the 101 has no Connection: Upgrade either",
        (false, false) => "the 101 has neither Upgrade: websocket nor Connection: Upgrade: it looks made up",
    };
    out.add(Text::own(format!("Nothing known explains the accept: {}; {signs}.", accept::what_it_is(found))))
        .found(Text::new().field(b"Sec-WebSocket-Accept", found))
        .field(response, "sec-websocket-accept", Direction::ServerToClient);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};

    #[test]
    fn what_nothing_explains_is_described() {
        let found = find(&super::RULE, Answer::accepts(&["AAAAAAAAAAAAAAAAAAAAAAAAAAA="]));
        assert_eq!(found.len(), 1);
        assert!(format!("{:?}", found[0].message).contains("20 bytes in base64, the length of SHA-1"));
        let bare = Answer::raw("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: yes\r\n\r\n");
        assert!(format!("{:?}", find(&super::RULE, bare)[0].message).contains("looks made up"));
    }

    #[test]
    fn what_is_explained_or_right_is_no_finding() {
        assert!(find(&super::RULE, Answer::accepts(&["hHLtf2V1k8aDQZfNjw3Ia1hCwt0="])).is_empty());
        assert!(find(&super::RULE, Answer::right()).is_empty());
    }
}
