//! Packets cut by the snap length.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-truncated",
    severity: Severity::Warning,
    title: "packets of this connection were cut by the snap length",
    about: "The capture keeps only the first bytes of each packet (`tcpdump -s`), and some that matter here \
        are gone. Capture again with `-s 0` to see whole packets.",
    refs: &[],
    causes: &["a small snap length (tcpdump -s, dumpcap -s)"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if x.quality.snapped {
        out.add(Text::own("Packets of this connection were cut by the snap length; capture again with -s 0."))
            .head(&x.request, Direction::ClientToServer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires};

    #[test]
    fn cut_packets_are_told() {
        assert!(fires(&RULE, &exchange(GOOD, None).with(|x| x.quality.snapped = true)));
    }

    #[test]
    fn whole_packets_are_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
