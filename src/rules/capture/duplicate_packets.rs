//! Packets that are in the capture twice.

use crate::base::Counters;
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-duplicate-packets",
    severity: Severity::Info,
    title: "packets are in the capture twice",
    about: "The same packets were captured more than once: a mirror port that copies both ways, the device \
        `any`, or a tunnel seen inside and outside. Each is taken once: copies are no retransmissions, and a \
        connection that was captured twice is told once.",
    refs: &[],
    causes: &["a mirror port that copies in and out", "the device any, which sees a packet on each interface"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let (copies, all) = (counters.duplicate_packets, counters.packets);
    if copies > 0 {
        let are = if copies == 1 { "is a copy of another" } else { "are copies of others" };
        out.add(Text::own(format!("{copies} of {all} packets {are}; each was taken once.")))
            .found(Text::own(copies.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_capture, words};

    #[test]
    fn copies_are_told_once_for_all_inputs() {
        let counters = Counters { packets: 10, duplicate_packets: 5, ..Counters::default() };
        let found = run_capture(&RULE, &counters);
        assert_eq!(found.len(), 1);
        assert_eq!(words(&found[0].message), "5 of 10 packets are copies of others; each was taken once.");
    }

    #[test]
    fn a_capture_without_copies_raises_nothing() {
        assert!(run_capture(&RULE, &Counters { packets: 10, ..Counters::default() }).is_empty());
    }
}
