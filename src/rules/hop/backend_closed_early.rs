//! The backend closed the connection instead of answering the hop.

use crate::base::Nanos;
use crate::model::{Direction, EndHow, Evidence, Exchange, FaultClass, Finding, Severity, Text};
use crate::rules::hop::answer::{ANSWER, SPOILT, gave_up, received};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "backend-closed-early",
    severity: Severity::Error,
    title: "the backend closed the connection before it answered",
    about: "The request reached the backend, which ended the connection with FIN or RST before a single byte of an \
        answer. The hop answered 502 or the like for it, or closed in turn.",
    refs: &["RFC 9112 §9.6", "RFC 9110 §15.6.3"],
    causes: &[
        "the backend crashed over the request, or was stopped",
        "the backend, or a filter in front of it, drops such requests on purpose",
        REUSED,
        PORT,
    ],
    fix: Some(FaultClass::Server),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: SPOILT,
    check: Check::Hop(check),
};

const REUSED: &str =
    "the proxy reused a connection that the backend was just closing: its keep-alive time is the shorter one";

const PORT: &str = "the port speaks another protocol, such as TLS, or wants a PROXY protocol header first";

/// What is to be mended where the port most likely speaks another protocol. `None`: that is not said.
pub(in crate::rules) fn scheme_fix_class(finding: &Finding) -> Option<FaultClass> {
    (finding.rule == RULE.id && finding.causes.first().is_some_and(|cause| cause == PORT)).then_some(FaultClass::Scheme)
}

/// Within this time no backend has weighed a request and decided against it.
const AT_ONCE: Nanos = Nanos::from_millis(5);

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    let by_backend = far.end.tcp_by == Some(ANSWER) && matches!(far.end.tcp_how, EndHow::Fin | EndHow::Rst);
    if view.tried_again || !near.is_websocket() || !by_backend || !is_mute(far) || !gave_up(near) {
        return;
    }
    let reset = far.end.tcp_how == EndHow::Rst;
    let verb = if reset { "reset" } else { "closed" };
    let who = view.who();
    let waited = far.end.tcp_at.map(|at| format!(" {} after the request", response::length(far.request.last, at)));
    let text = format!(
        "The backend {} {verb} the connection{} without an answer, and {}.",
        far.server,
        waited.unwrap_or_default(),
        received(&who, near)
    );
    let mut found = out
        .add(Text::own(text))
        .expected(Text::own("a status line"))
        .found(Text::own(if reset { "RST" } else { "FIN" }))
        .start_line(&far.request, Direction::ClientToServer);
    // It cannot have read the request by then.
    let at_once = far.end.tcp_at.is_some_and(|at| at.since(far.request.last) <= AT_ONCE);
    if far.index_in_flow > 0 && at_once {
        found = found.cause(REUSED);
    } else if at_once && !reset && seen.granted_at(far.server).next().is_none() {
        // It had read what was sent, or closing would have reset the connection (RFC 9293 §3.6.1), and wanted no more of it.
        found = found.cause(PORT);
    }
    if response::is_nobodys(far) {
        found = found.cause(response::NOBODYS);
    }
    if let Some(at) = far.end.packet {
        found = found.evidence(Evidence { at, direction: Some(ANSWER), bytes: None });
    }
    if let Some(head) = &near.response {
        found.start_line(head, ANSWER);
    }
}

/// Whether a whole request got no byte for an answer, and the capture can tell.
pub(super) fn is_mute(far: &Exchange) -> bool {
    let q = &far.quality;
    let unseen = q.response_gap || q.request_gap || q.no_server_packets || q.no_client_packets || q.snapped;
    let answered = far.response.is_some()
        || far.odd_response.is_some()
        || far.before_response.is_some()
        || !far.interim.is_empty();
    far.request.complete && !unseen && !answered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::Finding;
    use crate::rules::journey::View;
    use crate::rules::testing::{
        GOOD, REFUSED, With as _, behind, exchange, granted, hop, run_hop_of, run_whole, words,
    };

    const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\n\r\n";

    pub(in crate::rules::hop) fn ended(by: Direction, how: EndHow, ms: i64) -> Exchange {
        exchange(GOOD, None).with(|x| {
            x.end.tcp_by = Some(by);
            x.end.tcp_how = how;
            x.end.tcp_at = Some(x.request.last + Nanos::from_millis(ms));
            x.end.packet = Some(PacketRef::new(0, 8));
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn a_fin_at_once_on_a_new_connection_is_that_of_another_protocol() {
        let first = |how, ms, index| {
            let far = ended(ANSWER, how, ms).with(|x| x.index_in_flow = index);
            found(exchange(GOOD, Some(BAD_GATEWAY)), far)[0].causes.first().cloned()
        };
        assert_eq!(first(EndHow::Fin, 1, 0).as_deref(), Some(PORT));
        assert_eq!(first(EndHow::Fin, 1, 3).as_deref(), Some(REUSED));
        assert_eq!(first(EndHow::Rst, 1, 0), None, "it did not read what was sent");
        assert_eq!(first(EndHow::Fin, 300, 0), None);

        // At a port that granted another upgrade it is spoken.
        let (near, far) = (exchange(GOOD, Some(BAD_GATEWAY)), behind(ended(ANSWER, EndHow::Fin, 1)));
        let mut seen = Seen::default();
        seen.learn(&behind(exchange(GOOD, Some(&granted()))), false);
        let hop = hop(&near, &far);
        let found = run_whole(&RULE, &[near, far], &[hop], &[], View::default(), &seen);
        assert_eq!((found.len(), found[0].causes.len()), (1, 0));
    }

    #[test]
    fn an_end_after_exactly_a_second_is_that_of_a_path_that_nobody_takes() {
        let cause = |how, ms| {
            let asked = GOOD.replace("/chat", "/socket.io/");
            let mut far = ended(ANSWER, how, ms);
            far.request = exchange(&asked, None).request;
            found(exchange(&asked, Some(BAD_GATEWAY)), far)[0].causes.first().cloned()
        };
        assert_eq!(cause(EndHow::Fin, 1_003).as_deref(), Some(response::NOBODYS));
        assert_eq!((cause(EndHow::Fin, 950), cause(EndHow::Rst, 1_003)), (None, None));
    }

    #[test]
    fn an_end_by_the_backend_instead_of_an_answer_is_found() {
        for how in [EndHow::Fin, EndHow::Rst] {
            let found = found(exchange(GOOD, Some(BAD_GATEWAY)), ended(ANSWER, how, 50));
            assert_eq!(found[0].evidence.len(), 3);
            let message = words(&found[0].message);
            assert!(
                message.ends_with(" without an answer, and the proxy at 192.0.2.20 answered its client 502."),
                "{message}"
            );
        }
        let near = ended(ANSWER, EndHow::Fin, 60);
        assert!(
            words(&found(near, ended(ANSWER, EndHow::Fin, 50))[0].message)
                .ends_with("and the client of the proxy at 192.0.2.20 got no answer.")
        );
    }

    #[test]
    fn an_end_by_the_hop_an_answer_and_a_hole_are_not() {
        let near = || exchange(GOOD, Some(BAD_GATEWAY));
        assert!(found(near(), ended(Direction::ClientToServer, EndHow::Fin, 50)).is_empty());
        let answered = exchange(GOOD, Some(REFUSED)).with(|x| {
            (x.end.tcp_by, x.end.tcp_how) = (Some(ANSWER), EndHow::Fin);
        });
        assert!(found(near(), answered).is_empty());
        let holed = ended(ANSWER, EndHow::Fin, 50).with(|x| x.quality.response_gap = true);
        assert!(found(near(), holed).is_empty());
    }

    #[test]
    fn a_client_that_was_served_by_another_backend_is_not() {
        assert!(found(exchange(GOOD, Some(&granted())), ended(ANSWER, EndHow::Fin, 50)).is_empty());
        assert!(found(exchange(GOOD, Some(REFUSED)), ended(ANSWER, EndHow::Fin, 50)).is_empty());
    }
}
