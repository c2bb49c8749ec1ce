//! `continuation-unexpected`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::ping_unanswered::may_be_lost;
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "continuation-unexpected",
    severity: Severity::Error,
    title: "a continuation of no message",
    about: "A frame with opcode 0 continues a message that began with a text or binary frame without FIN. None had \
        begun. Who gets it must fail the connection, usually with 1002.",
    refs: &["RFC 6455 §5.4"],
    causes: &[
        "the sender sets FIN on the first fragment, or forgets the opcode of a message",
        "a hop lost the first fragment",
        "two threads of the sender write at the same time",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &[
        "control-fragmented",
        "hop-101-fabricated",
        "hop-first-frames-lost",
        "not-websocket-after-101",
        "opcode-reserved",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // What is missing of the message may be among the bytes that were not captured.
    for it in each(x, FrameFaultKind::ContinuationUnexpected).filter(|it| !may_be_lost(x, it.from)) {
        it.tell(out, "continued a message that had not begun")
            .expected(Text::own("opcode 1 or 2"))
            .found(Text::own("opcode 0"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::ContinuationUnexpected, 0));
        assert_eq!(words(&found[0].message), "The server continued a message that had not begun.");
        let mut x = spoken(CLIENT, FrameFaultKind::ContinuationUnexpected, 0);
        x.quality.gap = true;
        assert!(self::found(&RULE, &x).is_empty(), "a part of the message may have been lost");
    }
}
