//! A request head that took long to arrive.

use crate::base::Nanos;
use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-slow",
    severity: Severity::Info,
    title: "the request head took more than a second to arrive",
    about: "A request head is small and usually comes in one packet. One that takes longer than a second \
        comes over a bad link or from a client that writes it in pieces. Servers wait only so long for a \
        head and then answer 408 or close.",
    refs: &["RFC 9110 §15.5.9"],
    causes: &["a slow or lossy link", "a client that writes the head in pieces"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let took = x.request.last.since(x.request.first);
    if !facts::whole(x) || took <= Nanos::from_secs(1) {
        return;
    }
    let seconds = took.as_secs_f64();
    out.add(Text::own(format!("The request head took {seconds:.1} s from its first byte to its last.")))
        .expected(Text::own("at most 1 s"))
        .found(Text::own(format!("{seconds:.3} s")))
        .head(&x.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires};

    #[test]
    fn more_than_a_second_is_told_and_a_second_is_not() {
        let after = |ms| exchange(GOOD, None).with(|x| x.request.last = x.request.first + Nanos::from_millis(ms));
        assert!(fires(&RULE, &after(1_001)));
        assert!(!fires(&RULE, &after(1_000)));
        assert!(!fires(&RULE, &after(-5_000)));
    }
}
