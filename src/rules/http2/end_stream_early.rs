//! `h2-end-stream-early`.

use super::support::{FROM_CLIENT, FROM_SERVER, connect};
use crate::model::{Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-end-stream-early",
    severity: Severity::Error,
    title: "the stream was ended on the head that opens the WebSocket",
    about: "END_STREAM stands on the extended CONNECT, or on the 2xx that grants it: this side can send no frame any \
        more, and the tunnel is dead in this direction from its first moment.",
    refs: &["RFC 8441 §5", "RFC 9113 §5.1"],
    causes: &[
        "a client or server library that takes CONNECT for a request without content",
        "a bridge that takes the 101 of its backend, which has no content, for an ordinary answer",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Broken, Explains::Unanswered, Explains::Ended],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stream) = connect(x) else { return };
    if stream.ends_with_request {
        out.add(Text::own("The client ended the stream (END_STREAM) on the extended CONNECT itself."))
            .expected(Text::own("an open stream"))
            .found(Text::own("END_STREAM"))
            .head(&x.request, FROM_CLIENT);
    }
    if let Some(head) = x.granted().filter(|_| stream.ends_with_response) {
        out.add(Text::own("The server ended the stream (END_STREAM) on the head that grants the WebSocket."))
            .expected(Text::own("an open stream"))
            .found(Text::own("END_STREAM"))
            .head(head, FROM_SERVER);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn either_side_may_end_it_too_early() {
        assert!(fires(&RULE, &granted().with(|x| facts(x).ends_with_request = true)));
        assert!(fires(&RULE, &granted().with(|x| facts(x).ends_with_response = true)));
        assert!(!fires(&RULE, &granted()));
    }

    #[test]
    fn a_refusal_without_content_ends_as_it_should() {
        assert!(!fires(&RULE, &stream(ASK, Some("403")).with(|x| facts(x).ends_with_response = true)));
        assert!(!fires(&RULE, &stream(GET, Some("403")).with(|x| facts(x).ends_with_request = true)));
    }
}
