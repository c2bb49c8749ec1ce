//! Many segments out of order.

use crate::base::{Counters, limits};
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-reordered",
    severity: Severity::Info,
    title: "many segments are out of order in the capture",
    about: "Segments stand behind later ones of the same connection. They are put right before anything is judged, \
        so no verdict suffers; but times between packets are less exact, and if the network itself did it, the \
        connections were slower for it.",
    refs: &[],
    causes: &[
        "several paths or queues: link aggregation, a mirror of several ports, packets captured on several processors",
        "packets were lost on the way and sent again",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let (few, all) = (counters.reordered, counters.packets);
    if few < limits::REORDERED_MIN || few.saturating_mul(limits::REORDERED_SHARE) < all {
        return;
    }
    // Parts of a thousand, rounded down.
    let share = few.saturating_mul(1_000).checked_div(all).unwrap_or_default();
    let share = format!("{few} of {all} packets ({}.{} %)", share / 10, share % 10);
    out.add(Text::own(format!("{share} stand behind later segments of their connection; they were put right.")))
        .found(Text::own(share));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_capture, words};

    fn found(reordered: u64, packets: u64) -> Option<String> {
        let found = run_capture(&RULE, &Counters { reordered, packets, ..Counters::default() });
        found.first().map(|f| words(&f.message))
    }

    #[test]
    fn many_are_told_with_their_share() {
        let text = "142 of 9000 packets (1.5 %) stand behind later segments of their connection; they were put right.";
        assert_eq!(found(142, 9_000).as_deref(), Some(text));
        assert!(found(10, 1_000).is_some() && found(u64::MAX, u64::MAX).is_some() && found(20, 0).is_some());
    }

    #[test]
    fn few_are_not_worth_a_word() {
        assert_eq!((found(9, 20), found(10, 1_001), found(0, 0)), (None, None, None));
    }
}
