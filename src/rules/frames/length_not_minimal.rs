//! `length-not-minimal`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each, size};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "length-not-minimal",
    severity: Severity::Error,
    title: "a length is written with more bytes than it needs",
    about: "A length up to 125 takes one byte, up to 65535 three, and only what is longer nine. Some receivers do not \
        care, strict ones fail the connection with 1002: it is a warning until one does.",
    refs: &["RFC 6455 §5.2"],
    causes: &["the sender always writes the long form of a length"],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::LengthNotMinimal) {
        let severity = if it.failed_with(&[1002]) { Severity::Error } else { Severity::Warning };
        let length = size(it.fault.detail);
        it.tell(out, &format!("wrote the length of a frame of {length} in the longer form"))
            .severity(severity)
            .expected(Text::own("the shortest form of the length"))
            .found(Text::own(format!("the longer form for {length}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_warning_until_the_other_side_fails_for_it() {
        let x = spoken(CLIENT, FrameFaultKind::LengthNotMinimal, 5);
        let severity = |x: &Exchange| found(&RULE, x).first().map(|f| f.severity);
        assert_eq!(severity(&x), Some(Severity::Warning));
        assert_eq!(
            words(&found(&RULE, &x)[0].message),
            "The client wrote the length of a frame of 5 bytes in the longer form."
        );
        for (code, is) in [(1000, Severity::Warning), (1002, Severity::Error)] {
            let mut x = x.clone();
            close(&mut x, SERVER, Some(code), 1);
            assert_eq!(severity(&x), Some(is));
        }
    }
}
