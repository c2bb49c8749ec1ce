//! The hop answered by itself and asked nobody behind it.

use crate::model::{Confidence, Outcome, Severity, Text};
use crate::rules::hop::answer::{ANSWER, SPOILT, answerer, refusal, status_line, told};
use crate::rules::journey::{Journey, Leg, Then};
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-answered-locally",
    severity: Severity::Error,
    title: "a hop refused by itself and asked no backend",
    about: "The last leg of this journey ends in an answer, and no request left the hop that gave it: the hop itself \
        refused. Its configuration decides, not the backend.\n\nThat is certain where other journeys show that the \
        hop's connections to its backends are captured, or where the answer is the page that this software writes by \
        itself; likely where the answer names the software and the captures show several legs of other journeys. \
        With less to go by it is only noted, because one of several backends may not be captured.",
    refs: &["RFC 9110 §7.6", "RFC 9110 §15"],
    causes: &[
        "no route of the proxy fits this path or host",
        "a rule of the proxy forbids it: upgrades, credentials, limits, filters",
        "the proxy has no backend that it takes for alive",
    ],
    // Depends on the status, as for refused-<code>.
    fix: None,
    explains: &[Explains::Refused, Explains::Redirected],
    symptom_of: SPOILT,
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(leg) = journey.last().filter(|leg| response::is_attempt(leg.x)) else { return };
    let tried = journey.tried.iter().any(|(tried, _)| tried.behind == leg.x.id);
    let (Some((head, code)), false) = (refusal(leg.x), tried) else { return };
    let Some(confidence) = sure(journey, &leg) else { return };
    let severity = if confidence == Confidence::Possible || leg.outcome == Outcome::Redirected {
        Severity::Info
    } else {
        as_refusal(&leg)
    };
    let did = match confidence {
        Confidence::Possible => format!("may have answered {code} by itself: no request behind it was seen"),
        _ => format!("answered {code} by itself and sent no request on"),
    };
    let mut finding = out
        .add(told(&answerer(journey, &leg), Text::own(did), head.at, None))
        .severity(severity)
        .confidence(confidence)
        .expected(Text::own("a request to a backend"))
        .found(status_line(head))
        .start_line(head, ANSWER);
    for cause in response::own_causes(leg.x, head, code).into_iter().filter(|_| code >= 400) {
        finding = finding.cause(cause);
    }
}

/// How sure it is that this answer is the hop's own. `None`: it may as well be a backend's.
fn sure(journey: &Journey<'_>, leg: &Leg<'_>) -> Option<Confidence> {
    let view = journey.view;
    if !view.several_legs || view.rivals > 0 || view.strays && !view.own_page {
        return None;
    }
    let alone = journey.legs.len() == 1;
    let known = view.responder.is_some_and(|r| r.confidence >= Confidence::Likely);
    match () {
        () if view.behind_last && view.behind_then == Then::Captured => Some(Confidence::Certain),
        // A gateway's error: it got nothing useful from a backend, which may not be captured.
        () if matches!(leg.x.status(), Some(502..=504)) => alone.then_some(Confidence::Possible),
        // Behind another hop, a server with such a page may be the backend: then it still is its own answer.
        () if view.own_page => Some(if alone { Confidence::Certain } else { Confidence::Likely }),
        () if view.behind_last && view.behind_then == Then::Quiet => Some(Confidence::Likely),
        () if alone && known && leg.x.proxied.is_none() && view.behind_then != Then::Over => Some(Confidence::Likely),
        () if alone => Some(Confidence::Possible),
        () => None,
    }
}

/// As bad as the refusal itself: a first 401 is a note, one that was overcome a warning.
fn as_refusal(leg: &Leg<'_>) -> Severity {
    refusals(leg).map(|f| f.severity).max().unwrap_or(Severity::Error)
}

fn refusals<'a>(leg: &Leg<'a>) -> impl Iterator<Item = &'a crate::model::Finding> {
    leg.findings.iter().filter(|f| f.rule.starts_with("refused-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Finding, Software};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, behind, exchange, flow, granted, hop, run_journey, run_tried, words};

    const NO: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

    fn software(confidence: Confidence) -> Software {
        Software { slug: "p".into(), name: "Proxy".into(), version: Some("1.2".into()), confidence, evidence: vec![] }
    }

    fn found(view: View<'_>) -> Option<(Severity, Confidence)> {
        run_journey(&RULE, &[exchange(GOOD, Some(NO))], &[], view).first().map(|f| (f.severity, f.confidence))
    }

    #[test]
    fn how_sure_it_is_depends_on_what_else_is_captured() {
        let several = View { several_legs: true, ..View::default() };
        let known = software(Confidence::Likely);
        assert_eq!(found(View { behind_last: true, ..several }), Some((Severity::Error, Confidence::Certain)));
        assert_eq!(found(View { own_page: true, ..several }), Some((Severity::Error, Confidence::Certain)));
        assert_eq!(found(View { responder: Some(&known), ..several }), Some((Severity::Error, Confidence::Likely)));
        assert_eq!(found(several), Some((Severity::Info, Confidence::Possible)), "only a note");
        let strays = View { behind_last: true, strays: true, ..several };
        assert_eq!(found(strays), None, "a request left it meanwhile, whose it is not known");
        assert_eq!(found(View { own_page: true, ..strays }), Some((Severity::Error, Confidence::Certain)));
    }

    #[test]
    fn a_capture_behind_that_was_over_shows_nothing_of_a_backend() {
        let behind = |behind_then| View { several_legs: true, behind_last: true, behind_then, ..View::default() };
        assert_eq!(found(behind(Then::Quiet)), Some((Severity::Error, Confidence::Likely)), "quiet, or over");
        assert_eq!(found(behind(Then::Over)), Some((Severity::Info, Confidence::Possible)), "only a note");
        assert_eq!(found(View { own_page: true, ..behind(Then::Over) }), Some((Severity::Error, Confidence::Certain)));
    }

    #[test]
    fn one_leg_alone_and_a_leg_that_could_not_be_joined_say_nothing() {
        let known = software(Confidence::Certain);
        assert_eq!(found(View { own_page: true, responder: Some(&known), ..View::default() }), None);
        assert_eq!(found(View { several_legs: true, behind_last: true, rivals: 2, ..View::default() }), None);
    }

    #[test]
    fn the_refusal_of_a_backend_is_not_the_hops() {
        let (near, far) = (exchange(GOOD, Some(NO)), behind(exchange(GOOD, Some(NO))));
        let hops = [hop(&near, &far)];
        let known = software(Confidence::Likely);
        let view = View { several_legs: true, responder: Some(&known), ..View::default() };
        assert!(run_journey(&RULE, &[near, far], &hops, view).is_empty());
    }

    #[test]
    fn a_hop_that_tried_a_backend_and_one_that_granted_did_not_refuse_by_themselves() {
        let view = View { several_legs: true, behind_last: true, ..View::default() };
        let refused = vec![flow(crate::model::ConnectState::Refused, 1)];
        assert!(run_tried(&RULE, exchange(GOOD, Some("HTTP/1.1 502 Bad\r\n\r\n")), refused, view).is_empty());
        assert!(run_journey(&RULE, &[exchange(GOOD, Some(&granted()))], &[], view).is_empty());
        assert!(run_journey(&RULE, &[exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(NO))], &[], view).is_empty());
    }

    #[test]
    fn it_names_the_software_and_the_status() {
        let known = software(Confidence::Likely);
        let view = View { several_legs: true, responder: Some(&known), ..View::default() };
        let found: Vec<Finding> = run_journey(&RULE, &[exchange(GOOD, Some(NO))], &[], view);
        assert_eq!(
            words(&found[0].message),
            "Proxy 1.2 at 192.0.2.20 answered 403 by itself and sent no request on (packet 6)."
        );
    }
}
