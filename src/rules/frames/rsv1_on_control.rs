//! `rsv1-on-control`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rsv1-on-control",
    severity: Severity::Error,
    title: "a control frame is marked as compressed",
    about: "permessage-deflate compresses data messages only: Close, Ping and Pong never have RSV1. Who gets such a \
        frame must fail the connection.",
    refs: &["RFC 7692 §6.1", "RFC 6455 §5.5"],
    causes: &[
        "the compression of the sender takes control frames for messages",
        "what stands here is no header: the sender lost its place",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::Rsv1OnControl) {
        it.tell(out, "sent a control frame with RSV1, as if it were compressed")
            .expected(Text::own("RSV1 is 0 on Close, Ping and Pong"))
            .found(Text::own("RSV1 set"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::Rsv1OnControl, 0));
        assert_eq!(words(&found[0].message), "The client sent a control frame with RSV1, as if it were compressed.");
    }
}
