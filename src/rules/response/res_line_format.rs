//! `res-line-format`.

use super::support::FROM_SERVER;
use crate::model::{Evidence, Exchange, FaultClass, LineFaults, Severity, Text};
use crate::rules::response::support::{client_left_at_once, is_attempt};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-line-format",
    severity: Severity::Warning,
    title: "the response head breaks the line format",
    about: "Lines of a head end in CR LF, names touch their colon, values stay on one line and hold no control \
        characters (RFC 9112 §2.2, §5). Parsers differ in what they forgive: a head that one client reads is an \
        error to another, and two hops that read it differently see different messages.\n\nAn error where the client left \
        right behind such a 101, without a frame.",
    refs: &["RFC 9112 §2.2", "RFC 9112 §5.1", "RFC 9112 §5.2"],
    causes: &["a server or script that writes its head by hand", "a filter that edits heads as text"],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken, Explains::Refused],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// What a fault is called.
const NAMES: &[(LineFaults, &str)] = &[
    (LineFaults::BARE_LF, "a line that ends in LF without CR"),
    (LineFaults::OBS_FOLD, "a value folded over several lines"),
    (LineFaults::LEADING_CRLF, "an empty line before the status line"),
    (LineFaults::SPACE_BEFORE_COLON, "white space before a colon"),
    (LineFaults::CONTROL, "a control character"),
    (LineFaults::BAD_FIELD, "a line that is no field"),
    (LineFaults::BAD_START, "a malformed status line"),
    (LineFaults::SPACE_BEFORE_FIELD, "white space before the first field"),
];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(head) = x.response.as_ref().filter(|_| is_attempt(x) && !x.quality.response_gap) else { return };
    let mut faults = head.faults;
    for field in head.fields.iter() {
        faults.add(field.faults);
    }
    // A status line without the space behind the code is read by everyone.
    if head.status().is_some() && head.reason().is_empty() && head.version().starts_with(b"HTTP/1.") {
        faults = LineFaults(faults.0 & !LineFaults::BAD_START.0);
    }
    if faults.is_empty() {
        return;
    }
    let names: Vec<&str> = NAMES.iter().filter(|(fault, _)| faults.has(*fault)).map(|(_, name)| *name).collect();
    if names.is_empty() {
        return;
    }
    let words = names.join(", ");
    let (severity, end) = match client_left_at_once(x) {
        true => (Severity::Error, "and the client left at once"),
        false => (Severity::Warning, "strict clients and proxies refuse it"),
    };
    let mut found = out
        .add(Text::own(format!("The server's response head has {words}; {end}.")))
        .severity(severity)
        .expected(Text::own("lines as RFC 9112 §2.2 and §5 write them"))
        .found(Text::own(words));
    let mut any = false;
    for field in head.fields.iter().filter(|f| !f.faults.is_empty()).take(8) {
        any = true;
        let bytes = Some(head.field_range(field));
        found = found.evidence(Evidence { at: head.at, direction: Some(FROM_SERVER), bytes });
    }
    if !any {
        found.head(head, FROM_SERVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn bare_line_feeds_are_found() {
        let x = exchange(ASK, Some(&GRANT.replacen("\r\n", "\n", 2)));
        assert_eq!(slugs(&RULE, &x), ["res-line-format"]);
        let left = ended(x, crate::model::Direction::ClientToServer, crate::model::EndHow::Fin, 11);
        assert_eq!(run(&RULE, &left)[0].severity, Severity::Error, "the client did not take it");
        let mut folded = exchange(ASK, Some(GRANT));
        for response in folded.response.iter_mut() {
            std::sync::Arc::make_mut(&mut response.fields)[1].faults.add(LineFaults::OBS_FOLD);
        }
        assert_eq!(run(&RULE, &folded).len(), 1);
    }

    #[test]
    fn a_good_head_and_a_missing_reason_are_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let mut bare = exchange(ASK, Some(&GRANT.replace(" Switching Protocols", "")));
        bare.response.iter_mut().for_each(|r| r.faults.add(LineFaults::BAD_START));
        assert!(slugs(&RULE, &bare).is_empty());
    }
}
