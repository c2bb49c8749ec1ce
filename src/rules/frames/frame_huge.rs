//! `frame-huge`.

use crate::base::limits;
use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each, size};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "frame-huge",
    severity: Severity::Error,
    title: "a frame is larger than many receivers take",
    about: "A frame of more than 16 MiB is legal, but many receivers have limits far below (1 MiB in common libraries, \
        32 KiB a frame at AWS API Gateway) and close with 1009. It is a warning until one does.",
    refs: &["RFC 6455 §5.2", "RFC 6455 §7.4.1", "RFC 6455 §10.4"],
    causes: &[
        "the application sends a whole file as one message",
        "the receiver's limit on messages is lower than what the application sends",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::FrameHuge) {
        let severity = if it.failed_with(&[1009]) { Severity::Error } else { Severity::Warning };
        let length = size(it.fault.detail);
        it.tell(out, &format!("sent a frame of {length}"))
            .severity(severity)
            .expected(Text::own(format!("at most {}", size(limits::FRAME_HUGE_BYTES))))
            .found(Text::own(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_a_warning_until_the_other_side_fails_for_it() {
        let mut x = spoken(CLIENT, FrameFaultKind::FrameHuge, 20 << 20);
        let told = |x: &Exchange| found(&RULE, x).first().map(|f| (f.severity, words(&f.message)));
        assert_eq!(told(&x), Some((Severity::Warning, "The client sent a frame of 20 MiB.".to_owned())));
        close(&mut x, SERVER, Some(1009), 1);
        let failed = "The client sent a frame of 20 MiB; the server closed with 1009.".to_owned();
        assert_eq!(told(&x), Some((Severity::Error, failed)));
    }
}
