//! Bytes of the client behind the handshake and before its answer.

use crate::model::{Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-early-data",
    severity: Severity::Warning,
    title: "the client sent data before the 101",
    about: "After its handshake a client must wait for the 101 before it sends anything. Bytes that come \
        earlier reach a proxy while it still waits for the answer: some pass them on, some drop them, some \
        take them for a second request and answer 400. When they are dropped the WebSocket opens and the \
        first message is missing.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "a client that does not wait for the 101 (to save a round trip)",
        "a second request pipelined behind the handshake",
    ],
    fix: Some(FaultClass::Client),
    explains: &[Explains::Refused, Explains::Broken, Explains::Unanswered, Explains::Ended],
    symptom_of: &["req-has-body"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(early) = x.early.as_ref().filter(|e| !e.bytes.is_empty()) else { return };
    // Where the answer may be lost, these may be frames that came behind it.
    let answer_lost = x.response.is_none() && (x.quality.gap || x.quality.midstream);
    if !facts::is_attempt(x) || answer_lost {
        return;
    }
    let message = if is_request(&early.bytes) {
        Text::own("The client sent another request behind the WebSocket handshake without waiting for its answer.")
    } else {
        Text::own("The client sent data behind the WebSocket handshake without waiting for its answer.")
    };
    let length = u64::try_from(early.bytes.len()).unwrap_or(u64::MAX);
    out.add(message)
        .expected(Text::own("nothing before the 101"))
        .found(Text::new().bytes(&early.bytes))
        .head(&x.request, REQUEST)
        .evidence(Evidence {
            at: early.at,
            direction: Some(REQUEST),
            bytes: Some(early.offset..early.offset.saturating_add(length)),
        });
}

fn is_request(bytes: &[u8]) -> bool {
    ["GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PATCH "]
        .iter()
        .any(|method| bytes.starts_with(method.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, exchange_of_bytes, fires, run, with_line, words};

    #[test]
    fn what_may_stand_behind_a_lost_answer_is_not_early() {
        let early = || exchange_of_bytes(&[GOOD.as_bytes(), b"\x81\x80\0\0\0\0"].concat(), None);
        assert!(fires(&RULE, &early()));
        for spoil in [|q: &mut crate::model::Quality| q.gap = true, |q: &mut crate::model::Quality| q.midstream = true]
        {
            let mut x = early();
            spoil(&mut x.quality);
            assert!(!fires(&RULE, &x));
        }
    }

    #[test]
    fn a_frame_before_the_101_is_found() {
        let early = [GOOD.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat();
        let found = run(&RULE, &exchange_of_bytes(&early, None));
        assert_eq!(found[0].evidence.len(), 2);
        let end = GOOD.len() as u64;
        assert_eq!(found[0].evidence[1].bytes, Some(end..end + 8));
    }

    #[test]
    fn a_pipelined_request_is_named() {
        let found = run(&RULE, &exchange(&format!("{GOOD}GET / HTTP/1.1\r\n"), None));
        assert!(words(&found[0].message).contains("another request"));
    }

    #[test]
    fn nothing_or_an_announced_body_is_not_early_data() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&format!("{}hello", with_line("Content-Length: 5")), None)));
    }
}
