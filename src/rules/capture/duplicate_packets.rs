//! Packets that are in the capture twice.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-duplicate-packets",
    severity: Severity::Info,
    title: "packets are in the capture twice",
    about: "The same packets were captured more than once: a mirror port that copies both ways, the device \
        `any`, or a tunnel seen inside and outside. They are taken once; they are no retransmissions.",
    refs: &[],
    causes: &["a mirror port that copies in and out", "the device any, which sees a packet on each interface"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    if input.duplicates > 0 {
        out.add(Text::own(format!("{} of {} packets are copies of others.", input.duplicates, input.packets)))
            .found(Text::own(input.duplicates.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::run_input;

    #[test]
    fn copies_are_told() {
        let input = InputFacts { packets: 10, duplicates: 5, ..InputFacts::default() };
        assert_eq!(run_input(&RULE, &input).len(), 1);
    }

    #[test]
    fn a_capture_without_copies_raises_nothing() {
        assert!(run_input(&RULE, &InputFacts { packets: 10, ..InputFacts::default() }).is_empty());
    }
}
