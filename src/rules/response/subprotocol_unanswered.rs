//! `subprotocol-unanswered`.

use super::support::{FROM_CLIENT, FROM_SERVER, client_left_at_once, show_field, websocket_heads};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "subprotocol-unanswered",
    severity: Severity::Error,
    title: "the client offered subprotocols and the server chose none",
    about: "RFC 6455 lets a server ignore the offered subprotocols. Browsers do not: a page that asked for one gets \
        an error and a closed socket (WHATWG WebSockets, establish a WebSocket connection), and some libraries do \
        the same.\n\nAn error where a browser asked or the client left at once; a warning where the client went \
        on, because another one may fail.",
    refs: &["RFC 6455 §4.2.2", "WHATWG WebSockets §2"],
    causes: &[
        "the server has no subprotocol set up",
        "a hop removed Sec-WebSocket-Protocol from the request or from the 101",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &["hop-subprotocol-changed"],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Protocol";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((request, granted)) = websocket_heads(x) else { return };
    if request.members(NAME).is_empty() || granted.has(NAME) {
        return;
    }
    let (severity, end) = if client_left_at_once(x) {
        (Severity::Error, ", and the client left at once.")
    } else if x.from_browser() && x.ws.is_none_or(|ws| ws.client.frames == 0) {
        (Severity::Error, "; browsers close the socket then.")
    } else {
        (Severity::Warning, "; this client went on, a browser would not.")
    };
    out.add(Text::own("The server's 101 answers none of the offered subprotocols").say(end))
        .severity(severity)
        .expected(Text::own("one of ").field(NAME.as_bytes(), &request.combined(NAME).unwrap_or_default()))
        .found(show_field(granted, NAME))
        .field(request, NAME, FROM_CLIENT)
        .head(granted, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Direction, EndHow};
    use crate::rules::response::testing::*;

    #[test]
    fn an_unanswered_offer_is_a_warning_and_an_error_for_browsers() {
        let asked = ask("Sec-WebSocket-Protocol: chat\r\n");
        let x = exchange(&asked, Some(GRANT));
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Warning);
        let left = ended(x, Direction::ClientToServer, EndHow::Fin, 200);
        assert_eq!(run(&RULE, &left)[0].severity, Severity::Error);
        let browser = ask("Sec-WebSocket-Protocol: chat\r\nOrigin: http://ws.example\r\nUser-Agent: Mozilla/5.0\r\n");
        assert_eq!(run(&RULE, &exchange(&browser, Some(GRANT)))[0].severity, Severity::Error);
    }

    #[test]
    fn a_client_that_goes_on_makes_it_a_warning() {
        let browser = ask("Sec-WebSocket-Protocol: chat\r\nOrigin: http://ws.example\r\nUser-Agent: Mozilla/5.0\r\n");
        let x = with_frames(exchange(&browser, Some(GRANT)), 1, 1);
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Warning);
    }

    #[test]
    fn no_offer_or_an_answer_is_fine() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let asked = ask("Sec-WebSocket-Protocol: chat\r\n");
        assert!(slugs(&RULE, &exchange(&asked, Some(&grant("Sec-WebSocket-Protocol: chat\r\n")))).is_empty());
    }
}
