//! Packets that were dropped while capturing.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-dropped",
    severity: Severity::Warning,
    title: "packets were dropped while capturing",
    about: "The file itself tells that packets were dropped, by the kernel because the capturing program \
        was too slow, or by the interface. What is missing here may have been on the wire. Capture with a \
        larger buffer or a narrower filter.",
    refs: &[],
    causes: &[
        "the capturing program could not keep up (raise its buffer: tcpdump -B)",
        "the interface dropped packets under load",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    let (kernel, interface) = (input.dropped_kernel, input.dropped_interface);
    if kernel == 0 && interface == 0 {
        return;
    }
    let words = format!("{kernel} by the kernel, {interface} by the interface");
    out.add(Text::own(format!("Packets were dropped while capturing: {words}."))).found(Text::own(words));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::run_input;

    #[test]
    fn drops_are_told() {
        assert_eq!(run_input(&RULE, &InputFacts { dropped_kernel: 7, ..InputFacts::default() }).len(), 1);
        assert_eq!(run_input(&RULE, &InputFacts { dropped_interface: 7, ..InputFacts::default() }).len(), 1);
    }

    #[test]
    fn a_capture_without_drops_raises_nothing() {
        assert!(run_input(&RULE, &InputFacts::default()).is_empty());
    }
}
