//! `deflate-error-truncated`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-error-truncated",
    severity: Severity::Error,
    title: "a compressed message ends inside a block",
    about: "With 00 00 ff ff put behind it, the message still ends inside a DEFLATE block: a part of it is missing.",
    refs: &["RFC 7692 §7.2.1", "RFC 7692 §7.2.2"],
    causes: &[
        "the sender does not flush its compressor (Z_SYNC_FLUSH) at the end of a message",
        "the sender takes more off the end than the four bytes 00 00 ff ff",
        "a hop cut the message",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-extensions-request-changed",
        "hop-extensions-response-changed",
        "hop-extensions-split",
        "rsv1-on-continuation",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateTruncated) {
        it.tell(out, "sent a compressed message that ends inside a block")
            .expected(Text::own("whole blocks, once 00 00 ff ff is put behind them"))
            .found(Text::own("an end inside a block"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DeflateTruncated, 0));
        assert_eq!(words(&found[0].message), "The server sent a compressed message that ends inside a block.");
    }
}
