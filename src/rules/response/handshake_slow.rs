//! `handshake-slow`.

use super::support::{FROM_CLIENT, FROM_SERVER, length};
use crate::base::Nanos;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "handshake-slow",
    severity: Severity::Warning,
    title: "the 101 took more than three seconds",
    about: "The upgrade was granted, but more than three seconds after the request was complete. Users wait, clients \
        with a short time-out give up, and a proxy in between may answer 504 first.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "a cold start of the application",
        "an authentication subrequest that waits for another service",
        "a proxy tried a dead backend first and then another",
    ],
    fix: Some(FaultClass::Server),
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const SLOW: Nanos = Nanos::from_secs(3);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // What was asked before is answered before (RFC 9112 §9.3.2).
    let Some(granted) = x.granted().filter(|_| !x.quality.queued) else { return };
    if granted.first.since(x.request.last) <= SLOW {
        return;
    }
    let took = length(x.request.last, granted.first);
    out.add(Text::own(format!("The 101 came {took} after the request.")))
        .expected(Text::own("less than 3 s"))
        .found(Text::own(took))
        .head(&x.request, FROM_CLIENT)
        .start_line(granted, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_late_101_is_found() {
        let mut x = exchange(ASK, Some(GRANT));
        x.response.iter_mut().for_each(|r| r.first = at(3_001));
        assert_eq!(slugs(&RULE, &x), ["handshake-slow"]);
    }

    #[test]
    fn a_request_behind_another_one_waits_for_that_ones_answer() {
        let mut x = exchange(ASK, Some(GRANT));
        x.response.iter_mut().for_each(|r| r.first = at(3_001));
        x.quality.queued = true;
        assert!(slugs(&RULE, &x).is_empty());
    }

    #[test]
    fn a_101_in_time_and_a_slow_request_are_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let mut x = exchange(ASK, Some(GRANT));
        x.request.last = at(4_000);
        x.response.iter_mut().for_each(|r| r.first = at(4_001));
        assert!(slugs(&RULE, &x).is_empty());
    }
}
