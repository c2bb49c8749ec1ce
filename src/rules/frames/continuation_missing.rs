//! `continuation-missing`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::ping_unanswered::may_be_lost;
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "continuation-missing",
    severity: Severity::Error,
    title: "a message begins inside another",
    about: "A message in fragments must end before the next one begins: only control frames may stand between its \
        frames. Who gets another text or binary frame must fail the connection, usually with 1002.",
    refs: &["RFC 6455 §5.4"],
    causes: &[
        "two threads of the sender write at the same time",
        "the sender repeats the opcode on every fragment",
        "a hop lost the last fragment",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // What is missing of the message may be among the bytes that were not captured.
    for it in each(x, FrameFaultKind::ContinuationMissing).filter(|it| !may_be_lost(x, it.from)) {
        it.tell(out, "began a message inside another that had not ended")
            .expected(Text::own("opcode 0 until FIN"))
            .found(Text::own("opcode 1 or 2"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::ContinuationMissing, 0));
        assert_eq!(words(&found[0].message), "The client began a message inside another that had not ended.");
        let mut x = spoken(CLIENT, FrameFaultKind::ContinuationMissing, 0);
        x.quality.gap = true;
        assert!(self::found(&RULE, &x).is_empty(), "a part of the message may have been lost");
    }
}
