//! `control-too-long`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each, size};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "control-too-long",
    severity: Severity::Error,
    title: "a control frame is longer than 125 bytes",
    about: "Close, Ping and Pong carry at most 125 bytes. Who gets a longer one must fail the connection, usually with \
        1002.",
    refs: &["RFC 6455 §5.5"],
    causes: &[
        "the sender puts more into a Ping than fits, a session or a state",
        "a reason behind a Close code that is longer than 123 bytes",
        "the sender lost its place: what stands here is no header",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::ControlTooLong) {
        it.tell(out, &format!("sent a control frame of {}", size(it.fault.detail)))
            .expected(Text::own("at most 125 bytes"))
            .found(Text::own(size(it.fault.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_length_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::ControlTooLong, 126));
        assert_eq!(words(&found[0].message), "The server sent a control frame of 126 bytes.");
    }
}
