//! `mask-zero`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mask-zero",
    severity: Severity::Info,
    title: "frames are masked with zero",
    about: "A mask of zero leaves the payload as it is. That is legal on the wire and saves a program work; it also \
        gives up what masks are for.",
    refs: &["RFC 6455 §5.3", "RFC 6455 §10.3"],
    causes: &[
        "the client saves the work of masking, as some do towards a server that they trust",
        "the random numbers are missing",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::MaskZero) {
        it.tell(out, "sent a frame with a mask of zero")
            .expected(Text::own("a mask that cannot be guessed"))
            .found(Text::own("00000000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn a_mask_of_zero_is_a_note() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::MaskZero, 0));
        assert_eq!(words(&found[0].message), "The client sent a frame with a mask of zero.");
        assert_eq!(found[0].severity, Severity::Info);
    }
}
