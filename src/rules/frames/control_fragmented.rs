//! `control-fragmented`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "control-fragmented",
    severity: Severity::Error,
    title: "a control frame is fragmented",
    about: "Close, Ping and Pong are always one frame: FIN is set. Who gets one without must fail the connection, \
        usually with 1002.",
    refs: &["RFC 6455 §5.5", "RFC 6455 §5.4"],
    causes: &["the sender writes its frames by hand", "a proxy or filter cuts every frame into pieces"],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::ControlFragmented) {
        it.tell(out, "sent a control frame without FIN")
            .expected(Text::own("FIN is 1 on Close, Ping and Pong"))
            .found(Text::own("FIN is 0"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn it_is_told() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::ControlFragmented, 0));
        assert_eq!(words(&found[0].message), "The client sent a control frame without FIN.");
    }
}
