//! `text-as-binary-json`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "text-as-binary-json",
    severity: Severity::Info,
    title: "JSON text is sent in binary messages",
    about: "The content of a binary message is JSON text. That is legal; a browser hands it to the page as a Blob or \
        an ArrayBuffer, and a program that waits for text does not see it.",
    refs: &["RFC 6455 §5.6"],
    causes: &["the sender hands bytes to its library, and not a string"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::JsonAsBinary) {
        it.tell(out, "sent JSON text in a binary message")
            .expected(Text::own("opcode 1 for text"))
            .found(Text::own("opcode 2"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_note() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::JsonAsBinary, 0));
        assert_eq!(words(&found[0].message), "The server sent JSON text in a binary message.");
        assert!(RULE.explains.is_empty());
    }
}
