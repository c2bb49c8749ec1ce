//! `deflate-bomb`.

use crate::base::limits;
use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{SENDER, each, size};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "deflate-bomb",
    severity: Severity::Error,
    title: "a compressed message becomes very much larger",
    about: "What comes out of a message is more than 1000 times what goes in, or more than 16 MiB. Its receiver must \
        limit what it inflates, and closes with 1009 where that is too much; one without a limit runs out of memory. \
        It is a warning until one closes.",
    refs: &["RFC 7692 §8", "RFC 6455 §7.4.1", "RFC 6455 §10.4"],
    causes: &["somebody tries to exhaust the receiver", "the application sends very large, very regular messages"],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::DeflateBomb) {
        let severity = if it.failed_with(&[1009]) { Severity::Error } else { Severity::Warning };
        let (ratio, most) = (limits::BOMB_RATIO, size(limits::INFLATED_MESSAGE_BYTES));
        let came = size(it.fault.detail);
        it.tell(out, &format!("sent a compressed message that becomes {came} or more"))
            .severity(severity)
            .expected(Text::own(format!("at most {ratio} times what goes in, and {most}")))
            .found(Text::own(came));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_warning_until_the_other_side_fails_for_it() {
        let mut x = spoken(CLIENT, FrameFaultKind::DeflateBomb, 16 << 20);
        let told = |x: &Exchange| found(&RULE, x).first().map(|f| (f.severity, words(&f.message)));
        let plain = "The client sent a compressed message that becomes 16 MiB or more.".to_owned();
        assert_eq!(told(&x), Some((Severity::Warning, plain)));
        close(&mut x, SERVER, Some(1009), 1);
        assert_eq!(told(&x).map(|t| t.0), Some(Severity::Error));
    }
}
