//! `control-interleaved`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "control-interleaved",
    severity: Severity::Info,
    title: "a control frame stands inside a fragmented message",
    about: "Close, Ping and Pong may stand between the fragments of a message (RFC 6455 §5.4), so that a long one does \
        not hold them up. Few senders do it, and some receivers and analysers trip on it.",
    refs: &["RFC 6455 §5.4"],
    causes: &["the sender pings, or answers a Ping, while a long message goes out"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::ControlInterleaved) {
        it.tell(out, "put a control frame between the fragments of a message, as it may")
            .expected(Text::own("nothing else: this is legal"))
            .found(Text::own("a control frame inside a message"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_note() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::ControlInterleaved, 0));
        assert_eq!(
            words(&found[0].message),
            "The server put a control frame between the fragments of a message, as it may."
        );
        assert_eq!(found[0].severity, Severity::Info);
    }
}
