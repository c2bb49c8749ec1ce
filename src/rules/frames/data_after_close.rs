//! `data-after-close`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "data-after-close",
    severity: Severity::Warning,
    title: "a side goes on to send data behind its own Close",
    about: "A Close is the last frame of its sender. Text and binary frames behind it are thrown away by the other \
        side: what was in them is lost.",
    refs: &["RFC 6455 §5.5.1", "RFC 6455 §7.1.3"],
    causes: &[
        "the application sends while its library closes",
        "the program that closes does not know of a thread that sends",
    ],
    fix: SENDER,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DataAfterClose) {
        it.tell(out, "sent data behind its own Close")
            .expected(Text::own("nothing behind a Close"))
            .found(Text::own("a data frame"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DataAfterClose, 0));
        assert_eq!(words(&found[0].message), "The server sent data behind its own Close.");
    }
}
