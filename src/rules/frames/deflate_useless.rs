//! `deflate-useless`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-useless",
    severity: Severity::Info,
    title: "compression gains nothing",
    about: "Over more than 100 compressed messages of this direction no byte was saved: they are as large as what is \
        in them. Compression costs both ends time and memory here.",
    refs: &["RFC 7692 §7.2.1", "RFC 7692 §8"],
    causes: &[
        "the messages are small, or compressed already",
        "no_context_takeover was agreed on, so that small messages cannot use what earlier ones said",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateUseless) {
        it.tell(out, "compresses its messages and gains nothing")
            .expected(Text::own("fewer bytes than before"))
            .found(Text::own("as many bytes as before"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_note() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DeflateUseless, 0));
        assert_eq!(words(&found[0].message), "The server compresses its messages and gains nothing.");
        assert_eq!(found[0].severity, Severity::Info);
    }
}
