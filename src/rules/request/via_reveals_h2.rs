//! Via tells that an earlier leg spoke HTTP/2 or HTTP/3.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::REQUEST;
use crate::rules::request::via_reveals_http10::received_version;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "via-reveals-h2",
    severity: Severity::Info,
    title: "Via tells that an earlier leg spoke HTTP/2 or HTTP/3",
    about: "Each proxy writes into `Via` in which version it received the request. `2.0` (or `3.0`) there \
        means that a leg nearer the client spoke HTTP/2 (or 3), where a WebSocket is opened by an extended \
        CONNECT: a hop on the way is a bridge, makes a key of its own, and its two legs have different keys \
        and accepts.",
    refs: &["RFC 9110 §7.6.3", "RFC 8441 §5", "RFC 9220"],
    causes: &["a bridge from HTTP/2 or HTTP/3 to HTTP/1.1 nearer the client"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !x.is_websocket() {
        return;
    }
    let is_later = |m: &Vec<u8>| matches!(received_version(m), b"2" | b"2.0" | b"3" | b"3.0");
    if let Some(via) = x.request.members("via").into_iter().find(is_later) {
        out.add(Text::own("Via (").field(b"Via", &via).say(") tells that an earlier leg spoke HTTP/2 or HTTP/3."))
            .found(Text::own("Via: ").field(b"Via", &via))
            .field(&x.request, "via", REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, with_line};

    #[test]
    fn http_2_and_3_are_told() {
        assert!(fires(&RULE, &exchange(&with_line("Via: 2.0 Caddy"), None)));
        assert!(fires(&RULE, &exchange(&with_line("Via: 1.1 a, HTTP/3 b"), None)));
    }

    #[test]
    fn http_1_1_is_not() {
        assert!(!fires(&RULE, &exchange(&with_line("Via: 1.1 2.0"), None)));
    }
}
