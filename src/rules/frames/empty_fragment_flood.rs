//! `empty-fragment-flood`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "empty-fragment-flood",
    severity: Severity::Warning,
    title: "a message has very many fragments without a byte",
    about: "Fragments without a byte are legal, and each costs its receiver work. More than 100 in one message are a \
        fault of the sender or an attack; some receivers close for it.",
    refs: &["RFC 6455 §5.4", "RFC 6455 §10.4"],
    causes: &[
        "the sender flushes a stream in a loop that has nothing to send",
        "somebody tries to wear the receiver out",
    ],
    fix: SENDER,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::EmptyFragments) {
        it.tell(out, &format!("sent a message with {} fragments without a byte", it.fault.detail))
            .expected(Text::own("fragments with content"))
            .found(Text::own(format!("{} empty fragments in one message", it.fault.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_number_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::EmptyFragments, 101));
        assert_eq!(words(&found[0].message), "The client sent a message with 101 fragments without a byte.");
    }
}
