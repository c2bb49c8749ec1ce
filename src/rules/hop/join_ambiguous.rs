//! Several legs fit this one equally well.

use crate::model::{Direction, Severity, Text};
use crate::rules::journey::Journey;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "join-ambiguous",
    severity: Severity::Info,
    title: "several legs fit this one equally well",
    about: "Behind the server of this leg, several requests could be the one that it sent on, and nothing tells them \
        apart: no key, no id, no address of the client. None was joined rather than the wrong one, so what the \
        hop did to this request is not judged.\n\nRequests that carry X-Request-ID, traceparent or X-Forwarded-For \
        with the client's port can be told apart.",
    refs: &["RFC 7239 §4"],
    causes: &[
        "many clients asked for the same at the same moment, and the proxy replaces the key",
        "the clocks of the captures differ by an unknown amount",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let rivals = journey.view.rivals;
    let Some(leg) = journey.last().filter(|_| rivals > 0) else { return };
    let text = format!("{rivals} legs fit this journey equally well, so none was joined to it.");
    out.add(Text::own(text))
        .expected(Text::own("one leg that fits best"))
        .found(Text::own(format!("{rivals} that fit equally well")))
        .start_line(&leg.x.request, Direction::ClientToServer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, exchange, run_journey, words};

    #[test]
    fn rivals_are_told() {
        let found = run_journey(&RULE, &[exchange(GOOD, None)], &[], View { rivals: 3, ..View::default() });
        assert!(words(&found[0].message).starts_with("3 legs fit this journey equally well"));
    }

    #[test]
    fn a_leg_without_rivals_is_not() {
        assert!(run_journey(&RULE, &[exchange(GOOD, None)], &[], View::default()).is_empty());
    }
}
