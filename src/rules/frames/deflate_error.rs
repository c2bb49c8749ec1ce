//! `deflate-error`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-error",
    severity: Severity::Error,
    title: "a compressed message cannot be inflated",
    about: "What is in the message is no DEFLATE data (RFC 1951), although RSV1 says so. The receiver fails the \
        connection, usually with 1002, 1003 or 1007.\n\nA last block (BFINAL) inside a message is right and no fault \
        (RFC 7692 §7.2.3.4).",
    refs: &["RFC 7692 §7.2.2", "RFC 1951 §3.2"],
    causes: &[
        "the sender sets RSV1 on what it did not compress",
        "the sender writes a zlib or gzip header in front",
        "bytes of a message were lost or changed on the way",
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
    for it in each(x, FrameFaultKind::DeflateData) {
        it.tell(out, "sent a compressed message that is no DEFLATE data")
            .expected(Text::own("DEFLATE blocks without a header"))
            .found(Text::own("data that cannot be inflated"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DeflateData, 0));
        assert_eq!(words(&found[0].message), "The server sent a compressed message that is no DEFLATE data.");
    }
}
