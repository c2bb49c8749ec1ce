//! The client got a 101 that the backend never sent.

use crate::model::{Confidence, Direction, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, granted, passes_on, refusal, sentence, status_line};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-101-fabricated",
    severity: Severity::Error,
    title: "a hop answered 101 although its backend did not",
    about: "The client got a 101, while the leg behind the hop has another answer or none. The client believes that \
        it has a WebSocket, and nobody behind the hop speaks it: what follows is an error page inside the tunnel, \
        silence, or an end.\n\nWhat a client sends into such a tunnel may reach the backend as new requests, past \
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
    check: Check::Hop(check),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::testing::{GOOD, REFUSED, With as _, exchange, fires_hop, granted, run_hop, run_hop_of};

    #[test]
    fn a_101_in_front_of_a_refusal_is_found() {
        let found = run_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(REFUSED)));
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        let gateway = run_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n")));
        assert_eq!(gateway[0].confidence, Confidence::Likely, "another backend may have granted it");
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
