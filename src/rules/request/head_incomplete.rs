//! A request head that never ended.

use crate::base::Nanos;
use crate::model::{EndHow, Exchange, FaultClass, LineFaults, Severity, Text};
use crate::rules::request::facts::{FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-head-incomplete",
    severity: Severity::Error,
    title: "the request head never ended",
    about: "A head ends with an empty line; until it comes the server waits. Here it never came: the \
        server gave up with 408 or 400, the client closed, or it fell silent for a second or more.\n\n\
        Not raised where the capture itself lost bytes or stopped in the middle.",
    refs: &["RFC 9112 §2.1", "RFC 9110 §15.5.9"],
    causes: &[
        "a client that writes the request in pieces and stops",
        "a path on which large packets are lost (MTU) while small ones pass",
        "a client written by hand that forgets the last line break",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    // An empty text: the answer to a request that was not captured.
    let cut_by_us = x.quality.request_gap
        || x.quality.snapped
        || request.text.is_empty()
        || request.faults.has(LineFaults::TOO_LARGE);
    if request.complete || cut_by_us {
        return;
    }
    let bytes = request.text.len();
    let silent = x.times.last.max(x.end.at).max(x.end.tcp_at).map(|last| last.since(request.last));
    let message = if let Some(status) = x.status() {
        format!("The request head stopped after {bytes} bytes, before its empty line, and was answered with {status}.")
    } else if matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst) || matches!(x.end.how, EndHow::Fin | EndHow::Rst) {
        format!("The connection was closed after {bytes} bytes of the request head, before its empty line.")
    } else if x.end.how == EndHow::Silent || silent.is_some_and(|s| s >= Nanos::from_secs(1)) {
        format!("The client fell silent after {bytes} bytes of the request head, before its empty line.")
    } else {
        return;
    };
    out.add(Text::own(message))
        .expected(Text::own("a head that ends with an empty line"))
        .found(Text::own(format!("{bytes} bytes without an end")))
        .head(request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires};

    const CUT: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: webs";

    #[test]
    fn a_head_that_was_answered_or_closed_or_left_is_found() {
        assert!(fires(&RULE, &exchange(CUT, Some("HTTP/1.1 408 Request Timeout\r\n\r\n"))));
        assert!(fires(&RULE, &exchange(CUT, None).with(|x| x.end.tcp_how = EndHow::Fin)));
        assert!(fires(&RULE, &exchange(CUT, None).with(|x| x.times.last = Some(x.request.last + Nanos::from_secs(1)))));
    }

    #[test]
    fn a_head_that_the_capture_cut_is_not() {
        assert!(!fires(&RULE, &exchange(CUT, None)));
        let answer = Some("HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(!fires(&RULE, &exchange(CUT, answer).with(|x| x.quality.request_gap = true)));
        assert!(!fires(&RULE, &exchange(CUT, answer).with(|x| x.quality.snapped = true)));
        assert!(!fires(&RULE, &exchange("", answer)));
        assert!(!fires(&RULE, &exchange(GOOD, answer)));
    }
}
