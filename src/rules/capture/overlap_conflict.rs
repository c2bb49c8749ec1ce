//! Segments that disagree about a byte.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-overlap-conflict",
    severity: Severity::Warning,
    title: "segments of this connection disagree about the same bytes",
    about: "Two TCP segments carried different bytes for the same place. The first are kept; the receiver \
        may have kept the others. A healthy stack never does this: it points to a middlebox that rewrites \
        payload, two captures mixed up, or an attempt to deceive whoever watches.",
    refs: &["RFC 9293 §3.10.7.4"],
    causes: &[
        "a middlebox rewrites payload, and both versions were captured",
        "two connections with equal addresses and ports were mixed up",
        "an attempt to evade inspection",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if x.quality.overlap_conflict {
        out.add(Text::own(
            "Two segments of this connection carried different bytes for the same place; the first were kept.",
        ))
        .head(&x.request, Direction::ClientToServer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires};

    #[test]
    fn a_conflict_is_told() {
        assert!(fires(&RULE, &exchange(GOOD, None).with(|x| x.quality.overlap_conflict = true)));
    }

    #[test]
    fn a_plain_retransmission_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
