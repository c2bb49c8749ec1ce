//! The client got a 101 that the backend never sent.

use crate::base::Nanos;
use crate::model::{Confidence, Direction, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, answerer, granted, passes_on, refusal, sentence, status_line, told};
use crate::rules::journey::{HopView, Journey};
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-101-fabricated",
    severity: Severity::Error,
    title: "a hop answered 101 although its backend did not",
    about: "The client got a 101, while the leg behind the hop has another answer or none. The client believes that \
        it has a WebSocket, and nobody behind the hop speaks it: what follows is an error page inside the tunnel, \
        silence, or an end.\n\nIt is likely also where the captures show other legs and none behind this hop, and nothing \
        of what the client said was answered.\n\nWhat a client sends into such a tunnel may reach the backend as new requests, past \
        the hop's own rules.",
    refs: &["RFC 9110 §15.2.2", "RFC 9110 §7.8", "RFC 6455 §4.2.2"],
    causes: &[
        "the proxy answers the upgrade at once and opens its tunnel afterwards, whatever comes of it",
        "the proxy does not pass Upgrade and Connection on, but answers as if it had",
        "the proxy handed on a 101 that it kept from another request",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &[],
    check: Check::HopOrChain(check, check_alone),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    // Where bytes of the backend are missing, its 101 may be among them.
    let lost = far.quality.response_gap || far.quality.gap || far.odd_response.is_some();
    let Some(head) = granted(near).filter(|_| passes_on(view) && !lost) else { return };
    let (came, found, sure) = match refusal(far) {
        // Behind an error of the gateway kind, it may have asked another backend that was not captured.
        Some((answer, code)) => (format!("although the backend answered {code}"), status_line(answer), code < 500),
        None if response::is_unanswered(far) => {
            ("although the backend never answered".to_owned(), Text::own("no answer"), false)
        }
        None => return,
    };
    let finding = out
        .add(sentence(view, Text::own(format!("answered its client 101 {came}"))))
        .confidence(if sure { Confidence::Certain } else { Confidence::Likely })
        .expected(Text::own("a 101 from the backend, or none for the client"))
        .found(found)
        .start_line(head, ANSWER);
    match &far.response {
        Some(answer) => finding.start_line(answer, ANSWER),
        None => finding.start_line(&far.request, Direction::ClientToServer),
    };
}

/// How long what a client sends must go unanswered.
const UNANSWERED: Nanos = Nanos::from_secs(1);

/// A 101 behind which nobody was asked, and nobody answers.
fn check_alone(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (view, [leg]) = (journey.view, journey.legs) else { return };
    let x = leg.x;
    let Some(head) = granted(x).filter(|_| x.is_websocket() && !x.is_stream()) else { return };
    if !view.several_legs || view.strays || view.rivals > 0 || !journey.tried.is_empty() {
        return;
    }
    let q = &x.quality;
    let unseen = q.gap || q.snapped || q.midstream || q.no_server_packets || q.no_client_packets;
    let silent = x.after_101[1].is_none() && x.end.by != Some(ANSWER);
    let asked = x.after_101[0].as_ref().filter(|_| silent && !unseen);
    let until = x.end.tcp_at.max(x.times.last);
    if asked.zip(until).is_none_or(|(asked, until)| until.since(asked.ts) < UNANSWERED) {
        return;
    }
    let did = "answered 101 and sent no request on; nothing of what the client said was answered";
    out.add(told(&answerer(journey, leg), Text::own(did), head.at, None))
        // Somebody who only listens is silent too.
        .severity(if view.shows_behind() { Severity::Error } else { Severity::Warning })
        .confidence(Confidence::Likely)
        .expected(Text::own("a request to a backend before the 101"))
        .found(Text::own("none"))
        .start_line(head, ANSWER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{EndHow, Exchange, Preview};
    use crate::rules::journey::View;
    use crate::rules::testing::run_journey;
    use crate::rules::testing::{GOOD, REFUSED, With as _, exchange, fires_hop, granted, run_hop, run_hop_of};

    #[test]
    fn a_101_in_front_of_a_refusal_is_found() {
        let found = run_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(REFUSED)));
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        let gateway = run_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n")));
        assert_eq!(gateway[0].confidence, Confidence::Likely, "another backend may have granted it");
    }

    #[test]
    fn a_101_behind_which_nobody_was_asked_and_nobody_answers_is_found() {
        let said = |ms: i64, server: bool| {
            exchange(GOOD, Some(&granted())).with(|x| {
                let from = x.response.as_ref().map(|head| head.last).unwrap_or_default();
                let (at, offset) = (PacketRef::new(0, 9), 200);
                let word = || Some(Box::new(Preview { bytes: b"\x81\x80"[..].into(), at, ts: from, offset }));
                x.after_101 = [word(), word().filter(|_| server)];
                x.times.last = Some(from + Nanos::from_millis(ms));
            })
        };
        let found = |x: Exchange, view: View<'_>| {
            run_journey(&RULE, &[x], &[], view).first().map(|f| (f.severity, f.confidence))
        };
        let several = View { several_legs: true, ..View::default() };
        assert_eq!(found(said(1_500, false), several), Some((Severity::Warning, Confidence::Likely)));
        let behind = View { behind_last: true, ..several };
        assert_eq!(found(said(1_500, false), behind), Some((Severity::Error, Confidence::Likely)));
        assert_eq!(found(said(1_500, true), behind), None, "somebody answers");
        assert_eq!(found(said(500, false), behind), None, "not for long");
        assert_eq!(found(said(1_500, false), View::default()), None, "one leg is all there is");
        assert_eq!(found(said(1_500, false), View { strays: true, ..behind }), None, "a request left it");
        let lost = said(1_500, false).with(|x| x.quality.no_server_packets = true);
        assert_eq!(found(lost, behind), None);
    }

    #[test]
    fn a_101_in_front_of_nothing_is_found_where_the_capture_can_tell() {
        let open = exchange(GOOD, None);
        let near = || exchange(GOOD, Some(&granted()));
        assert!(run_hop_of(&RULE, near(), open.clone(), |_| {}).is_empty());
        let closed = open.with(|x| {
            x.end.tcp_by = Some(Direction::ServerToClient);
            x.end.tcp_how = EndHow::Fin;
            x.end.tcp_at = Some(x.request.last);
        });
        assert_eq!(run_hop_of(&RULE, near(), closed, |_| {}).len(), 1);
    }

    #[test]
    fn a_101_that_was_passed_on_is_right() {
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&granted()))));
        assert!(!fires_hop(&RULE, (GOOD, Some(REFUSED)), (GOOD, Some(REFUSED))));
    }
}
