//! `h2-status-101`.

use super::support::FROM_SERVER;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-status-101",
    severity: Severity::Error,
    title: "the server answered 101 in HTTP/2",
    about: "HTTP/2 has no 101 (Switching Protocols): a client must treat such a response as malformed. A WebSocket is \
        granted by a 2xx to an extended CONNECT.",
    refs: &["RFC 9113 §8.6", "RFC 8441 §5"],
    causes: &[
        "a bridge that passes the 101 of its HTTP/1.1 backend on as it is",
        "a server that does not know by which version it was asked",
    ],
    fix: Some(FaultClass::H2),
    explains: &[Explains::Refused, Explains::Broken, Explains::Unanswered],
    symptom_of: &["accept-mismatch", "accept-missing", "h2-get-with-ws-fields"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !x.is_stream() {
        return;
    }
    let Some(head) = x.interim.iter().chain(&x.response).find(|head| head.status() == Some(101)) else { return };
    let then = match x.status() {
        Some(101) | None => String::new(),
        Some(status) => format!(", and {status} behind it"),
    };
    out.add(Text::own(format!("The server answered 101 on a stream of HTTP/2{then}.")))
        .expected(Text::own(":status 200 to an extended CONNECT"))
        .found(Text::own(":status 101"))
        .head(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_101_is_found_also_in_front_of_another_answer() {
        assert!(fires(&RULE, &stream(ASK, Some("101"))));
        let both = stream(ASK, Some("502")).with(|x| {
            let place = x.request.clone();
            x.interim.push(head(&[(":status", "101")], &place));
        });
        assert!(words(&run(&RULE, &both)[0].message).ends_with("HTTP/2, and 502 behind it."));
        assert!(!fires(&RULE, &granted()));
    }

    #[test]
    fn that_of_http1_is_right() {
        use crate::rules::testing::{GOOD, exchange, granted};
        assert!(!fires(&RULE, &exchange(GOOD, Some(&granted()))));
    }
}
