//! `rsv1-without-extension`.

use crate::model::{Exchange, FaultClass, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rsv1-without-extension",
    severity: Severity::Error,
    title: "a compressed message where no compression was agreed on",
    about: "RSV1 marks a compressed message (RFC 7692 §6), but the 101 of this leg agreed on no extension. Who gets it \
        must fail the connection; browsers say `One or more reserved bits are on: reserved1 = 1`.\n\nOften neither end \
        is wrong: a hop took Sec-WebSocket-Extensions out of the 101 and relays what the backend, which believes in \
        it, compresses.",
    refs: &["RFC 6455 §5.2", "RFC 7692 §5", "RFC 7692 §6"],
    causes: &[
        "a proxy on the way takes Sec-WebSocket-Extensions out of the 101, or puts it into the request",
        "the sender compresses without having agreed on it",
    ],
    fix: Some(FaultClass::Comp),
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-101-fabricated",
        "hop-extensions-response-changed",
        "hop-extensions-split",
        "hop-first-frames-lost",
        "not-websocket-after-101",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::Rsv1WithoutExtension) {
        it.tell(out, "sent a frame with RSV1, which marks a compressed message, and no compression was agreed on")
            .expected(Text::own("RSV1 is 0, or permessage-deflate in the 101"))
            .found(Text::own("RSV1 set"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told_and_mended_as_compression() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::Rsv1WithoutExtension, 0));
        assert!(words(&found[0].message).starts_with("The server sent a frame with RSV1,"));
        assert_eq!(RULE.fix, Some(FaultClass::Comp));
    }
}
