//! `deflate-error-window`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-error-window",
    severity: Severity::Error,
    title: "a compressed message reaches back beyond the agreed window",
    about: "The message refers to bytes further back than the window that the 101 agreed on (client_max_window_bits, \
        server_max_window_bits; 15 bits where nothing was said). A receiver that keeps no more than the window cannot \
        inflate it.\n\nA known trap: zlib makes 9 bits of a window of 8 bits without saying so.",
    refs: &["RFC 7692 §7.1.2", "RFC 7692 §7.2.2"],
    causes: &[
        "the sender ignores the window that was agreed on, or takes 9 bits for 8 as zlib does",
        "a hop changed the parameters of the extension in the request or the 101",
        "the library mixes up client_max_window_bits and server_max_window_bits",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &["hop-extensions-request-changed", "hop-extensions-response-changed", "hop-extensions-split"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateWindow) {
        it.tell(
            out,
            &format!("compressed a message with a window larger than the {} bits that were agreed on", it.fault.detail),
        )
        .expected(Text::own(format!("distances of at most 2^{} bytes", it.fault.detail)))
        .found(Text::own("a larger distance"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_window_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::DeflateWindow, 9));
        assert_eq!(
            words(&found[0].message),
            "The server compressed a message with a window larger than the 9 bits that were agreed on."
        );
    }
}
