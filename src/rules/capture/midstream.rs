//! The capture began after the connection.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-midstream",
    severity: Severity::Info,
    title: "the capture began after this connection was opened",
    about: "No SYN was seen. Which end is the client is inferred from who sends requests, round-trip times \
        are unknown, and what was said before the capture began is not there.",
    refs: &[],
    causes: &[
        "the capture was started while the connection was open",
        "the first file of a rotated capture is missing",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if x.quality.midstream {
        out.add(Text::own("The capture began after this connection was opened; its beginning is not in view."))
            .head(&x.request, Direction::ClientToServer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires};

    #[test]
    fn a_connection_without_its_syn_is_told() {
        assert!(fires(&RULE, &exchange(GOOD, None).with(|x| x.quality.midstream = true)));
    }

    #[test]
    fn one_with_its_syn_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
