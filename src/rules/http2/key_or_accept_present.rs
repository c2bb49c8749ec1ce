//! `h2-key-or-accept-present`.

use super::support::{FROM_CLIENT, FROM_SERVER, connect};
use crate::model::{Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-key-or-accept-present",
    severity: Severity::Info,
    title: "a key or an accept stands in a handshake of HTTP/2",
    about: "Sec-WebSocket-Key and Sec-WebSocket-Accept mean nothing in an extended CONNECT and its answer, and are \
        ignored. They tell of a bridge that copies the fields of its HTTP/1.1 side. A further bridge may add a key of \
        its own to this one, and then there are two.",
    refs: &["RFC 8441 §5"],
    causes: &["a bridge from or to HTTP/1.1 that passes these fields on"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if connect(x).is_none() {
        return;
    }
    let key = x.request.has("sec-websocket-key");
    let accept = x.response.as_ref().filter(|head| head.has("sec-websocket-accept"));
    let what = match (key, accept.is_some()) {
        (true, true) => "The request has a Sec-WebSocket-Key and the answer a Sec-WebSocket-Accept",
        (true, false) => "The request has a Sec-WebSocket-Key",
        (false, true) => "The answer has a Sec-WebSocket-Accept",
        (false, false) => return,
    };
    let mut found = out
        .add(Text::own(format!("{what}, which HTTP/2 does not use.")))
        .expected(Text::own("neither"))
        .found(Text::own(if key { "Sec-WebSocket-Key" } else { "Sec-WebSocket-Accept" }));
    if key {
        found = found.head(&x.request, FROM_CLIENT);
    }
    if let Some(head) = accept {
        found.head(head, FROM_SERVER);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_key_and_an_accept_are_noted() {
        let x = stream(&ask_with("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="), Some("200"));
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Info);
        let accept = granted().with(|x| {
            let place = x.request.clone();
            x.response = Some(head(&[(":status", "200"), ("sec-websocket-accept", "x")], &place));
        });
        assert!(words(&run(&RULE, &accept)[0].message).starts_with("The answer has"));
        assert!(!fires(&RULE, &granted()) && !fires(&RULE, &stream(GET, Some("400"))));
    }
}
