//! `opcode-reserved`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "opcode-reserved",
    severity: Severity::Error,
    title: "a frame has an opcode that does not exist",
    about: "Opcodes 3 to 7 and 11 to 15 are reserved. Who gets one must fail the connection, usually with 1002.",
    refs: &["RFC 6455 §5.2", "RFC 6455 §11.8"],
    causes: &[
        "the sender writes its frames by hand",
        "the sender lost its place: a length was wrong, or something else wrote into the connection",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::OpcodeReserved) {
        it.tell(out, &format!("sent a frame with the reserved opcode {}", it.fault.detail))
            .expected(Text::own("opcode 0, 1, 2, 8, 9 or 10"))
            .found(Text::own(format!("opcode {}", it.fault.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_opcode_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::OpcodeReserved, 11));
        assert_eq!(words(&found[0].message), "The server sent a frame with the reserved opcode 11.");
    }
}
