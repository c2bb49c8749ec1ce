//! `length-msb`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "length-msb",
    severity: Severity::Error,
    title: "a length of a frame is beyond 2^63",
    about: "The highest bit of a length of 64 bits is 0. A receiver fails the connection; nothing behind such a header \
        can be read, here neither.",
    refs: &["RFC 6455 §5.2"],
    causes: &["the sender lost its place: what stands here is no header", "the sender writes a negative number"],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::LengthMsb) {
        it.tell(out, &format!("announced a frame of {:#x} bytes", it.fault.detail))
            .expected(Text::own("a length below 2^63"))
            .found(Text::own(format!("{:#x}", it.fault.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_length_is_told() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::LengthMsb, 1 << 63));
        assert_eq!(words(&found[0].message), "The server announced a frame of 0x8000000000000000 bytes.");
    }
}
