//! The client got another status than the backend sent.

use crate::model::{Head, Severity, Text};
use crate::rules::hop::answer::{ANSWER, came_first, passes_on, refusal, sentence, status_line};
use crate::rules::journey::HopView;
use crate::rules::response::INQUIRY;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-status-changed",
    severity: Severity::Error,
    title: "a hop answered with another status than its backend",
    about: "The backend refused with one status, and the client got another. The reason of the refusal is what the \
        backend said.\n\nIt is an error where the backend's answer would have told the client how to go on \
        (credentials, another version, another place), or where the client was told that all is well; otherwise a \
        warning.",
    refs: &["RFC 9110 §15", "RFC 6455 §4.2.2", "RFC 6455 §4.4"],
    causes: &[
        "the proxy intercepts errors and answers with pages of its own",
        "the proxy takes the answer for invalid (a 426 with Upgrade and Connection, for one) and says 502",
        "a gateway translates all errors of its backends into one status",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Redirected],
    symptom_of: &["backend-closed-early", "backend-refused", "backend-silent", "backend-unreachable", "syn-rejected"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (Some((far, came)), Some((near, left))) = (refusal(view.far.x), refusal(view.near.x)) else { return };
    if came == left || !passes_on(view) || !came_first(view) {
        return;
    }
    let severity = if misleads(far, came, left) { Severity::Error } else { Severity::Warning };
    let asked = view.far.x.asks_permission().is_some();
    let whom = if asked { "the service that it asks whether a request may pass" } else { "the backend" };
    let mut found =
        out.add(sentence(view, Text::own(format!("answered its client {left} although {whom} answered {came}"))));
    if asked && !matches!(came, 401 | 403) {
        found = found.cause(INQUIRY);
    }
    found
        .severity(severity)
        .expected(status_line(far))
        .found(status_line(near))
        .start_line(far, ANSWER)
        .start_line(near, ANSWER);
}

/// Whether the client cannot do what the backend's answer asks for, or takes a refusal for an answer.
fn misleads(far: &Head, came: u16, left: u16) -> bool {
    matches!(came, 401 | 407 | 426) || (300..400).contains(&came) && far.has("location") || came >= 400 && left < 400
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::rules::testing::{GOOD, With as _, exchange, fires_hop, granted, run_hop, run_hop_of};

    fn severity(far: &str, near: &str) -> Option<Severity> {
        let answer = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        run_hop(&RULE, (GOOD, Some(&answer(near))), (GOOD, Some(&answer(far)))).first().map(|f| f.severity)
    }

    #[test]
    fn another_status_is_found_and_one_that_misleads_is_an_error() {
        assert_eq!(severity("426 Upgrade Required", "502 Bad Gateway"), Some(Severity::Error));
        assert_eq!(severity("401 Unauthorized", "403 Forbidden"), Some(Severity::Error));
        assert_eq!(severity("404 Not Found", "200 OK"), Some(Severity::Error));
        assert_eq!(severity("403 Forbidden", "500 Internal Server Error"), Some(Severity::Warning));
    }

    #[test]
    fn a_service_that_is_asked_for_permission_is_no_backend() {
        let question = GOOD.replace("Upgrade: websocket\r\n", "").replace("GET /chat", "GET /verify");
        let question = question.replacen("\r\n\r\n", "\r\nX-Original-URI: /chat\r\n\r\n", 1);
        let answer = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (near, far) = (answer("500 Internal Server Error"), answer("404 Not Found"));
        let found = run_hop(&RULE, (GOOD, Some(&near)), (&question, Some(&far)));
        let said = crate::rules::testing::words(&found[0].message);
        assert!(
            said.contains("500 although the service that it asks whether a request may pass answered 404"),
            "{said}"
        );
        assert_eq!(found[0].causes, [INQUIRY]);
    }

    #[test]
    fn the_same_status_with_another_reason_and_a_101_are_no_case_of_it() {
        assert_eq!(severity("403 Forbidden", "403 No"), None);
        assert!(!fires_hop(&RULE, (GOOD, Some("HTTP/1.1 502 Bad\r\n\r\n")), (GOOD, Some(&granted()))));
    }

    #[test]
    fn a_hop_that_answered_before_its_backend_changed_nothing() {
        let near = exchange(GOOD, Some("HTTP/1.1 504 Gateway Time-out\r\n\r\n")).with(|x| {
            x.response.iter_mut().for_each(|r| r.first = x.request.first + Nanos::from_millis(200));
        });
        assert!(run_hop_of(&RULE, near, exchange(GOOD, Some("HTTP/1.1 403 No\r\n\r\n")), |_| {}).is_empty());
    }
}
