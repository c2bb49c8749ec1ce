//! `deflate-error-trailer`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-error-trailer",
    severity: Severity::Warning,
    title: "a compressed message still has its trailer",
    about: "The sender takes the last four bytes, 00 00 ff ff, off a compressed message, and the receiver puts them \
        back. Here they are still there. It can be inflated all the same, and most receivers do not mind.",
    refs: &["RFC 7692 §7.2.1"],
    causes: &["the sender forgets to take 00 00 ff ff off what its compressor gives"],
    fix: SENDER,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateTrailer) {
        it.tell(out, "left 00 00 ff ff at the end of a compressed message")
            .expected(Text::own("a message without these four bytes"))
            .found(Text::own("00 00 ff ff at its end"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DeflateTrailer, 0));
        assert_eq!(words(&found[0].message), "The server left 00 00 ff ff at the end of a compressed message.");
        assert_eq!(found[0].severity, Severity::Warning);
    }
}
