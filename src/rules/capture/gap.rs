//! Bytes that the capture lost.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-gap",
    severity: Severity::Warning,
    title: "the capture lost bytes of this connection",
    about: "Bytes that the two ends exchanged are not in the capture. Inside a head this leaves open which \
        fields were there, and no verdict rests on a field's absence; behind the handshake the reading goes \
        on after the hole. Everything said of this connection is said with less confidence.",
    refs: &[],
    causes: &[
        "the capturing machine could not keep up",
        "packets took another path or interface",
        "a capture filter that is too narrow",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let q = &x.quality;
    let message = match (q.request_gap, q.response_gap) {
        (true, true) => "Bytes of the request and of the response are missing from the capture.",
        (true, false) => "Bytes of the request are missing from the capture, so nothing is said of what it lacks.",
        (false, true) => "Bytes of the response are missing from the capture, so nothing is said of what it lacks.",
        // What never arrived is not missing from the capture.
        (false, false) if q.gap && !q.undelivered => "Bytes of this connection are missing from the capture.",
        (false, false) => return,
    };
    out.add(Text::own(message)).head(&x.request, Direction::ClientToServer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, run, words};

    #[test]
    fn a_gap_is_told_and_where_it_is() {
        assert!(fires(&RULE, &exchange(GOOD, None).with(|x| x.quality.gap = true)));
        let found = run(&RULE, &exchange(GOOD, None).with(|x| x.quality.response_gap = true));
        assert!(words(&found[0].message).contains("response"));
    }

    #[test]
    fn a_whole_connection_raises_nothing() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
