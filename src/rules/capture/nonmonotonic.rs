//! Packet time that goes backwards.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-nonmonotonic",
    severity: Severity::Info,
    title: "packet times go backwards",
    about: "Packets stand in the file in another order than their times say. The file's order is kept, and \
        durations around those places are not to be trusted.",
    refs: &[],
    causes: &[
        "files were joined without sorting",
        "several queues or interfaces wrote into one file",
        "the clock was set back while capturing",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    if input.time_backwards > 0 {
        out.add(Text::own(format!("Packet time goes backwards {} times.", input.time_backwards)))
            .found(Text::own(input.time_backwards.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::run_input;

    #[test]
    fn time_that_goes_backwards_is_told() {
        assert_eq!(run_input(&RULE, &InputFacts { time_backwards: 2, ..InputFacts::default() }).len(), 1);
    }

    #[test]
    fn time_that_goes_on_is_not() {
        assert!(run_input(&RULE, &InputFacts::default()).is_empty());
    }
}
