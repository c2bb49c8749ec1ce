//! `pong-mismatch`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::ping_unanswered::may_be_lost;
use crate::rules::frames::support::{SENDER, each};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "pong-mismatch",
    severity: Severity::Warning,
    title: "a Pong answers no Ping that waits",
    about: "A Pong repeats the payload of the Ping that it answers. This one has a payload that no waiting Ping has. A \
        Pong without a payload that nobody asked for is legal and not told. Who pings and compares will take the other \
        side for dead (`ping-unanswered`).",
    refs: &["RFC 6455 §5.5.3", "RFC 6455 §5.5.2"],
    causes: &[
        "the sender answers with a payload of its own",
        "the sender sends Pongs as a heartbeat of its own, with a counter or a time in them",
        "a hop answers or filters Pings by itself",
    ],
    fix: SENDER,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // The Ping may be among the bytes that were not captured.
    for it in each(x, FrameFaultKind::PongMismatch).filter(|it| !may_be_lost(x, it.from.other())) {
        it.tell(out, "sent a Pong whose payload no waiting Ping has")
            .expected(Text::own("the payload of the latest Ping"))
            .found(Text::own("another payload"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::PongMismatch, 0));
        assert_eq!(words(&found[0].message), "The client sent a Pong whose payload no waiting Ping has.");
        let mut x = spoken(CLIENT, FrameFaultKind::PongMismatch, 0);
        x.quality.gap = true;
        assert!(self::found(&RULE, &x).is_empty(), "its Ping may have been lost");
    }
}
