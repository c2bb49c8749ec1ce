//! `rsv1-on-continuation`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rsv1-on-continuation",
    severity: Severity::Error,
    title: "RSV1 is repeated on a continuation",
    about: "RSV1 stands on the first frame of a compressed message and holds for all of it; on the frames that \
        continue it the bit is 0. Who gets it there must fail the connection.",
    refs: &["RFC 7692 §6.1", "RFC 6455 §5.4"],
    causes: &[
        "the sender compresses every fragment by itself, as the older per-frame extensions did",
        "a proxy cuts frames into pieces and copies the first byte",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::Rsv1OnContinuation) {
        it.tell(out, "repeated RSV1 on a continuation")
            .expected(Text::own("RSV1 on the first frame of a message only"))
            .found(Text::own("a continuation with RSV1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::Rsv1OnContinuation, 0));
        assert_eq!(words(&found[0].message), "The server repeated RSV1 on a continuation.");
    }
}
