//! A list of subprotocols that is none.

use crate::model::head::trim;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST, is_token};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-subprotocol-malformed",
    severity: Severity::Error,
    title: "the list of subprotocols is malformed",
    about: "`Sec-WebSocket-Protocol` is a comma-separated list of tokens, each named once, none empty. \
        A space, `/`, `=`, `:` or `@` in a name breaks it; the ws library for Node.js, for one, answers 400.\n\n\
        It comes about when an application puts something else there: an access token with `=` at its end, \
        a URL, a list with a comma too many.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §11.3.4"],
    causes: &[
        "an access token or other data is carried as a subprotocol and is not encoded as a token (base64url without padding)",
        "a list built by hand, with an empty or repeated member",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-subprotocol-changed"],
    check: Check::Exchange(check),
};

const NAME: &[u8] = b"Sec-WebSocket-Protocol";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x) || !request.has("sec-websocket-protocol") {
        return;
    }
    // Not Head::members: that drops the empty ones.
    let lines = request.lines("sec-websocket-protocol").map(|f| request.value(f));
    let members: Vec<&[u8]> = lines.flat_map(|line| line.split(|&b| b == b',')).map(trim).collect();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    let repeated = sorted.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]));
    let message = if members.iter().any(|m| m.is_empty()) {
        Text::own("The list of subprotocols has an empty member.")
    } else if let Some(bad) = members.iter().find(|m| !is_token(m)) {
        Text::own("The subprotocol ").field(NAME, bad).say(" is no token: it has a character that may not stand there.")
    } else if let Some(name) = repeated {
        Text::own("The subprotocol ").field(NAME, name).say(" is named twice.")
    } else {
        return;
    };
    let value = request.combined("sec-websocket-protocol").unwrap_or_default();
    out.add(message)
        .severity(facts::severity(x))
        .expected(Text::own("a list of different tokens"))
        .found(Text::new().field(NAME, &value))
        .field(request, "sec-websocket-protocol", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, run, with_line, words};

    #[test]
    fn empty_repeated_and_odd_members_are_found() {
        for list in ["chat,,v2", "chat, chat", "a b", "a/b", "token==", "v1:x", "\"chat\"", ""] {
            assert!(fires(&RULE, &exchange(&with_line(&format!("Sec-WebSocket-Protocol: {list}")), None)), "{list}");
        }
        let found = run(&RULE, &exchange(&with_line("Sec-WebSocket-Protocol: chat, c=d"), None));
        assert!(words(&found[0].message).contains(" c=d "));
    }

    #[test]
    fn names_differ_by_letter_case_and_lists_may_span_lines() {
        assert!(!fires(&RULE, &exchange(&with_line("Sec-WebSocket-Protocol: chat, Chat, v12.stomp"), None)));
        assert!(!fires(&RULE, &exchange(&with_line("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b,c"), None)));
        assert!(!fires(&RULE, &exchange(&with_line("Access-Control-Allow-Headers: Sec-WebSocket-Protocol"), None)));
    }
}
