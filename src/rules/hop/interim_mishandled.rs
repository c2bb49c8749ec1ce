//! A 1xx before the 101 led the hop astray.

use crate::model::{Direction, Severity, Text};
use crate::rules::hop::answer::{ANSWER, lost_101, told};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-interim-mishandled",
    severity: Severity::Error,
    title: "a hop took a 1xx before the 101 for the final answer",
    about: "The backend sent an interim answer (100 Continue, 103 Early Hints) and then the 101. The hop took the \
        first for the answer, or lost its way: the client never got the 101.\n\nA proxy must pass interim answers \
        on or drop them, and wait for the final one.",
    refs: &["RFC 9110 §15.2", "RFC 9110 §7.8"],
    causes: &[
        "the proxy handles no interim answers to a request that it upgrades (nginx 1.22 and 103 Early Hints, for one)",
        "the backend or a framework of it sends Early Hints on every route",
    ],
    fix: None,
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(first) = view.far.x.interim.first() else { return };
    let Some((granted, instead)) = lost_101(view) else { return };
    let code = first.status().unwrap_or_default();
    let relayed = match view.near.x.interim.is_empty() {
        true => String::new(),
        false => format!(", passed the {code} on"),
    };
    let did = format!("got {code} and then 101 from its backend{relayed} and {}", instead.words());
    out.add(told(&view.who(), Text::own(did), granted.at, instead.at()))
        .expected(Text::own("101 Switching Protocols"))
        .found(instead.found())
        .start_line(first, ANSWER)
        .start_line(granted, ANSWER)
        .start_line(&view.near.x.request, Direction::ClientToServer);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::{Exchange, Head};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    fn hints() -> Head {
        exchange(GOOD, Some("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")).response.unwrap()
    }

    fn far() -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| x.interim = vec![hints()])
    }

    #[test]
    fn a_101_that_is_lost_behind_early_hints_is_found() {
        let near = exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        let found = run_hop_of(&RULE, near, far(), |_| {});
        assert!(words(&found[0].message).contains("got 103 and then 101 from its backend and answered its client 502"));
    }

    #[test]
    fn hints_that_are_passed_on_or_dropped_before_the_101_are_right() {
        let passed = exchange(GOOD, Some(&granted())).with(|x| x.interim = vec![hints()]);
        assert!(run_hop_of(&RULE, passed, far(), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, exchange(GOOD, Some(&granted())), far(), |_| {}).is_empty());
    }

    #[test]
    fn a_101_that_is_lost_without_hints_is_another_fault() {
        let near = exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        assert!(run_hop_of(&RULE, near, exchange(GOOD, Some(&granted())), |_| {}).is_empty());
    }
}
