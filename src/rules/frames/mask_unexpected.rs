//! `mask-unexpected`.

use crate::model::{Exchange, FaultClass, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mask-unexpected",
    severity: Severity::Error,
    title: "the server sends masked frames",
    about: "A server never masks what it sends. A client must close the connection when it gets a masked frame; \
        browsers say `A server must not mask any frames that it sends to the client`.",
    refs: &["RFC 6455 §5.1"],
    causes: &[
        "the server uses the client side of its WebSocket library, or copies what it got back as it came",
        "a proxy relays the frames of one client to another",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::MaskUnexpected) {
        it.tell(out, "sent a masked frame")
            .expected(Text::own("a frame without a mask"))
            .found(Text::own("a frame whose mask bit is 1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn a_masked_frame_of_the_server_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::MaskUnexpected, 0));
        assert_eq!(words(&found[0].message), "The server sent a masked frame.");
    }
}
