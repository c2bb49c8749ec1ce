//! A large request head that was refused.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-head-too-large",
    severity: Severity::Warning,
    title: "the request head is large and was refused",
    about: "Every server and proxy has a limit for the size of a head, often 8 or 16 KiB for all of it or \
        for one line. A head above it is answered with 431, 400, 413 or 414. Browsers send all cookies of \
        the site with a handshake, and applications put tokens into the URL, so a WebSocket may fail where a \
        fresh session works.",
    refs: &["RFC 6585 §5", "RFC 9110 §5.4"],
    causes: &["cookies that have piled up", "a token (JWT) in the URL or a field", "fields added by several proxies"],
    fix: Some(FaultClass::Head),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// The smallest limit that is common, in bytes.
const LARGE: u64 = 8 << 10;

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let size = x.request.range.end.saturating_sub(x.request.range.start);
    let Some(status) = x.status().filter(|s| matches!(s, 400 | 413 | 414 | 431)) else { return };
    if size <= LARGE {
        return;
    }
    let largest = x.request.fields.iter().max_by_key(|f| f.value.end.saturating_sub(f.name.start));
    let message = Text::own(format!("The request head has {size} bytes and was answered with {status}"));
    let message = match largest {
        Some(field) => message
            .say("; its largest field is ")
            .bytes(x.request.name(field))
            .say(format!(" with {} bytes.", field.value.end.saturating_sub(field.name.start))),
        None => message.say("."),
    };
    out.add(message)
        .expected(Text::own("at most 8192 bytes"))
        .found(Text::own(format!("{size} bytes")))
        .head(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{REFUSED, exchange, fires, granted, run, with_line, words};

    #[test]
    fn a_large_head_that_was_refused_is_found() {
        let large = with_line(&format!("Cookie: a={}", "x".repeat(9_000)));
        let found = run(&RULE, &exchange(&large, Some(REFUSED)));
        assert!(words(&found[0].message).contains("largest field is Cookie"));
    }

    #[test]
    fn a_large_head_that_was_taken_and_a_small_one_are_not() {
        let large = with_line(&format!("Cookie: a={}", "x".repeat(9_000)));
        assert!(!fires(&RULE, &exchange(&large, Some(&granted()))));
        let small = with_line(&format!("Cookie: a={}", "x".repeat(7_000)));
        assert!(!fires(&RULE, &exchange(&small, Some(REFUSED))));
    }
}
