//! Read with RFC 9112 §2.2 and §5 open. Faults of form in a request head.

use crate::model::{Evidence, Exchange, FaultClass, LineFaults, Severity, Text};
use crate::rules::request::facts::{FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-line-format",
    severity: Severity::Warning,
    title: "the request head is not written as HTTP asks",
    about: "Lines end in CRLF; a field is a name, a colon right behind it, and a value in one line; no \
        control character stands anywhere. Lenient servers read a head that breaks this, strict ones answer \
        400, and two hops that read it differently see two different requests. It comes from clients that \
        build the head by hand.",
    refs: &["RFC 9112 §2.2", "RFC 9112 §3", "RFC 9112 §5.1", "RFC 9112 §5.2"],
    causes: &["a client or proxy that writes the head by hand", "a probe for request smuggling"],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

const WORDS: [(LineFaults, &str); 8] = [
    (LineFaults::BARE_LF, "a line that ends in LF without CR"),
    (LineFaults::OBS_FOLD, "a value folded over several lines"),
    (LineFaults::LEADING_CRLF, "an empty line before the request line"),
    (LineFaults::SPACE_BEFORE_COLON, "white space before a colon"),
    (LineFaults::CONTROL, "a NUL or another control character"),
    (LineFaults::BAD_FIELD, "a line that is no field"),
    (LineFaults::BAD_START, "a malformed request line"),
    (LineFaults::SPACE_BEFORE_FIELD, "white space before the first field"),
];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if x.quality.request_gap {
        return;
    }
    let mut faults = request.faults;
    for field in request.fields.iter() {
        faults.add(field.faults);
    }
    if !request.complete {
        // A line that was cut looks like a malformed one.
        faults.0 &= !(LineFaults::BAD_FIELD.0 | LineFaults::BAD_START.0);
    }
    if faults.is_empty() {
        return;
    }
    let named: Vec<&str> = WORDS.iter().filter(|(fault, _)| faults.has(*fault)).map(|(_, words)| *words).collect();
    if named.is_empty() {
        return;
    }
    let list = named.join(", ");
    let mut finding = out
        .add(Text::own(format!("The request head has {list}; strict servers and proxies refuse it.")))
        .expected(Text::own("lines as RFC 9112 has them"))
        .found(Text::own(list));
    let mut lines = request.fields.iter().filter(|f| !f.faults.is_empty()).peekable();
    if lines.peek().is_none() {
        finding.head(request, REQUEST);
        return;
    }
    // A few lines prove it as well as all of them.
    for field in lines.take(8) {
        let bytes = Some(request.field_range(field));
        finding = finding.evidence(Evidence { at: request.at, direction: Some(REQUEST), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires, run, with_line, words};

    #[test]
    fn faults_of_form_are_named() {
        let cases = [
            (GOOD.replace("\r\n", "\n"), "LF without CR"),
            (with_line("X: 1\r\n 2"), "folded"),
            (format!("\r\n{GOOD}"), "empty line before"),
            (changed("Host:", "Host :"), "before a colon"),
            (with_line("X: a\0b"), "NUL"),
            (with_line("no colon here"), "no field"),
        ];
        for (request, word) in cases {
            let found = run(&RULE, &exchange(&request, None));
            assert!(words(&found[0].message).contains(word), "{word}");
        }
    }

    #[test]
    fn a_faultless_head_and_a_line_cut_at_the_end_are_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange("GET / HTTP/1.1\r\nHos", None)));
        let cut = exchange(GOOD, None).with(|x| {
            x.request.complete = false;
            x.request.faults.add(LineFaults::BAD_FIELD);
        });
        assert!(!fires(&RULE, &cut));
    }
}
