//! The backend's 101 reached the hop, and the client never saw one.

use crate::model::{Direction, Evidence, FaultClass, Finding, Severity, Text};
use crate::rules::hop::answer::{ANSWER, lost_101, told};
use crate::rules::journey::HopView;
use crate::rules::response::FAULTS_OF_101;
use crate::rules::{Check, Findings, Rule, Seen};

use super::support::FAILURES;

pub(super) static RULE: Rule = Rule {
    id: "hop-101-swallowed",
    severity: Severity::Error,
    title: "a hop got a 101 and did not pass it on",
    about: "The backend granted the upgrade, and the client got another status, no answer at all, or was cut off. \
        The hop forwarded the upgrade and then did not know what to do with the 101, or found it faulty.\n\nWhere \
        the 101 itself is faulty, that is the cause. A client that gave up before the 101 came has lost nothing.",
    refs: &["RFC 9110 §7.8", "RFC 9110 §15.2.2"],
    causes: &[
        "the proxy forwards Upgrade, but has no handler for upgrades that would pass the 101 on",
        "the proxy takes the 101 for invalid: it lacks a field, or the proxy did not ask for that upgrade",
        "a filter of the proxy cannot handle an answer without an end",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: SYMPTOM_OF,
    check: Check::Hop(check),
};

const SYMPTOM_OF: &[&str] = &crate::rules::rule::both::<{ FAULTS_OF_101.len() + 3 }>(
    FAULTS_OF_101,
    // The one names which answer came before the 101; by the other it never came to the hop.
    &["hop-interim-mishandled", "lost-between", "res-line-format"],
);

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((granted, instead)) = lost_101(view) else { return };
    let near = view.near.x;
    let did = Text::own(format!("got a 101 from its backend and {}", instead.words()));
    let mut finding = out
        .add(told(&view.who(), did, granted.at, instead.at()))
        .expected(Text::own("101 Switching Protocols"))
        .found(instead.found())
        .start_line(granted, ANSWER);
    let bytes = granted.text.len();
    if bytes > SMALL {
        finding = finding.cause(format!("{LARGE}: it has {bytes} bytes"));
    }
    match (&near.response, instead.at()) {
        (Some(head), _) => finding.start_line(head, ANSWER),
        (None, Some(at)) => finding.evidence(Evidence { at, direction: Some(ANSWER), bytes: None }),
        (None, None) => finding.start_line(&near.request, Direction::ClientToServer),
    };
}

/// Any hop takes a head of so many bytes: nginx, which takes the least, has a buffer of 4 KiB for it.
const SMALL: usize = 4_000;
const LARGE: &str = "the head of the 101 is larger than the proxy takes";

/// Limits on heads mend what became of a 101 that was too large.
pub(in crate::rules) fn large_fix_class(finding: &Finding) -> Option<FaultClass> {
    let large = finding.rule == RULE.id && finding.causes.first().is_some_and(|cause| cause.starts_with(LARGE));
    large.then_some(FaultClass::Head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::model::{EndHow, Exchange};
    use crate::rules::testing::{GOOD, With as _, exchange, fires_hop, granted, run_hop_of, words};

    /// Without an answer; its connection ends so long after the request.
    fn ended(by: Direction, ms: i64) -> Exchange {
        exchange(GOOD, None).with(|x| {
            x.end.tcp_by = Some(by);
            x.end.tcp_how = EndHow::Fin;
            x.end.tcp_at = Some(x.request.first + Nanos::from_millis(ms));
        })
    }

    #[test]
    fn another_status_or_silence_instead_of_the_101_is_found() {
        assert!(fires_hop(&RULE, (GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n")), (GOOD, Some(&granted()))));
        let far = || exchange(GOOD, Some(&granted()));
        let silent = run_hop_of(&RULE, ended(Direction::ClientToServer, 6_000), far(), |_| {});
        assert!(words(&silent[0].message).contains("got a 101 from its backend and never answered its client"));
        let closed = run_hop_of(&RULE, ended(Direction::ServerToClient, 1_010), far(), |_| {});
        assert!(words(&closed[0].message).contains("closed its client's connection"));
    }

    #[test]
    fn a_101_with_a_large_head_is_too_large_for_the_hop() {
        let large = granted().replace("\r\n\r\n", &format!("\r\nSet-Cookie: a={}\r\n\r\n", "x".repeat(5_000)));
        let refused = || exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        let found = run_hop_of(&RULE, refused(), exchange(GOOD, Some(&large)), |_| {});
        assert!(found[0].causes[0].starts_with("the head of the 101 is larger than the proxy takes: it has 5"));
        assert_eq!(large_fix_class(&found[0]), Some(FaultClass::Head));
        let found = run_hop_of(&RULE, refused(), exchange(GOOD, Some(&granted())), |_| {});
        assert_eq!(large_fix_class(&found[0]), None);
    }

    #[test]
    fn a_client_that_left_first_and_a_hop_that_had_given_up_have_swallowed_nothing() {
        let far = || exchange(GOOD, Some(&granted()));
        assert!(run_hop_of(&RULE, ended(Direction::ClientToServer, 1_200), far(), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, ended(Direction::ServerToClient, 500), far(), |_| {}).is_empty());
        let timed_out = exchange(GOOD, Some("HTTP/1.1 504 Gateway Time-out\r\n\r\n")).with(|x| {
            x.response.iter_mut().for_each(|r| r.first = x.request.first + Nanos::from_millis(300));
        });
        assert!(run_hop_of(&RULE, timed_out, far(), |_| {}).is_empty());
    }

    #[test]
    fn a_101_that_came_through_and_a_try_that_was_followed_by_another_are_right() {
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&granted()))));
        let cut = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs";
        assert!(!fires_hop(&RULE, (GOOD, Some("HTTP/1.1 502 Bad\r\n\r\n")), (GOOD, Some(cut))), "not whole");
    }
}
