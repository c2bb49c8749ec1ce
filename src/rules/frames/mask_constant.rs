//! `mask-constant`.

use crate::model::{Exchange, FaultClass, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::each;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mask-constant",
    severity: Severity::Warning,
    title: "the same mask comes again and again",
    about: "Each frame has a new mask that nobody can guess (RFC 6455 §5.3): only then can a page not choose the bytes \
        that its browser puts on the wire. Four frames in a row had the same one. The connection works all the same.",
    refs: &["RFC 6455 §5.3", "RFC 6455 §10.3"],
    causes: &[
        "the client's WebSocket library draws one mask for the whole connection",
        "the mask is a constant in the code",
        "the random numbers of a small device are not random",
    ],
    fix: Some(FaultClass::Client),
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::MaskConstant) {
        it.tell(out, &format!("masks its frames with {:08x} every time", it.fault.detail))
            .expected(Text::own("a new mask for each frame"))
            .found(Text::own(format!("{:08x} in four frames in a row", it.fault.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_mask_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::MaskConstant, 0x0102_0304));
        assert_eq!(words(&found[0].message), "The client masks its frames with 01020304 every time.");
    }
}
