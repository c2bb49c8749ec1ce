//! `deflate-error-context`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-error-context",
    severity: Severity::Error,
    title: "a compressed message refers to messages that were to be forgotten",
    about: "client_no_context_takeover (server_no_context_takeover) was agreed on: every message stands for itself. \
        This one refers to bytes of earlier messages, which its receiver has forgotten. The first message works and a \
        later one fails.",
    refs: &["RFC 7692 §7.1.1", "RFC 7692 §7.2.2"],
    causes: &[
        "the sender does not begin anew for each message, though no_context_takeover was agreed on",
        "a hop put no_context_takeover into the 101, or took it out",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &["hop-extensions-request-changed", "hop-extensions-response-changed", "hop-extensions-split"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateContext) {
        it.tell(out, "compressed a message with the help of earlier ones, though no_context_takeover was agreed on")
            .expected(Text::own("each message by itself"))
            .found(Text::own("a reference to earlier messages"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::DeflateContext, 0));
        assert_eq!(
            words(&found[0].message),
            "The client compressed a message with the help of earlier ones, though no_context_takeover was agreed on."
        );
    }
}
