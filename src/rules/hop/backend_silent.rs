//! The backend got the request and said nothing until somebody gave up.

use crate::base::Nanos;
use crate::model::{Direction, Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, SPOILT, WAIT, gave_up, received};
use crate::rules::hop::backend_closed_early::is_mute;
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends, response, verdict};

pub(super) static RULE: Rule = Rule {
    id: "backend-silent",
    severity: Severity::Error,
    title: "the backend never answered the handshake",
    about: "The request reached the backend, and no byte of an answer came before the hop gave up (504, or its like) \
        or the client left. The hop did its part.\n\nAn answer that comes after the hop gave up is the same: too \
        late. A client that leaves within a second proves nothing.",
    refs: &["RFC 9110 §15.6.5", "RFC 6455 §4.2"],
    causes: &[
        "the backend hangs: a lock, a full queue, a service behind it that does not answer",
        "the endpoint waits for a message before it answers the handshake",
        "the proxy's time limit is shorter than the backend's start",
    ],
    fix: Some(FaultClass::Server),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: SPOILT,
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    if view.tried_again || !near.is_websocket() || !gave_up(near) {
        return;
    }
    let Some(waited) = waited(near, far) else { return };
    let text = format!(
        "The backend {} said nothing for {}, and {}.",
        far.server,
        seconds(waited),
        received(&view.who(), near)
    );
    let mut found = out
        .add(Text::own(text))
        .expected(Text::own("an answer in time"))
        .found(Text::own(format!("nothing within {}", seconds(waited))))
        .start_line(&far.request, Direction::ClientToServer);
    if let Some(at) = far.end.packet.filter(|_| far.end.tcp_by == Some(Direction::ClientToServer)) {
        found = found.evidence(Evidence { at, direction: Some(Direction::ClientToServer), bytes: None });
    }
    if let Some(head) = &near.response {
        found.start_line(head, ANSWER);
    }
}

/// How long the backend was silent until somebody gave up. `None`: it was not, or not for long.
fn waited(near: &Exchange, far: &Exchange) -> Option<Nanos> {
    let until = |at: crate::base::Timestamp| at.since(near.request.last);
    // Each by its own clock; the far request began no earlier than the near one.
    let near_took = match &near.response {
        Some(head) => until(head.first),
        None => until(near.end.tcp_at.or(near.times.last)?),
    };
    if let Some(late) = &far.response {
        let took = late.first.since(far.request.first);
        let whole = response::whole_response(far).is_some();
        return (whole && near.response.is_some() && near_took >= WAIT && took > near_took).then_some(near_took);
    }
    // What never arrived at its host no program can answer.
    if ends::is_request_lost(far)
        || ends::is_answer_lost(far)
        || far.twice.as_ref().is_some_and(|twice| twice.lost.is_some())
    {
        return None;
    }
    if !is_mute(far) || far.end.tcp_by == Some(ANSWER) {
        return None;
    }
    // What the far leg shows by itself.
    let far_took = far.end.tcp_at.or(far.times.last).map_or(Nanos::ZERO, |at| at.since(far.request.last));
    let gave_up_on = far.end.tcp_by == Some(Direction::ClientToServer);
    let shown = if gave_up_on { far_took } else { near_took };
    // A client that gives up has less patience than a hop.
    let enough = if near.response.is_none() { verdict::PATIENCE[0] } else { WAIT };
    (near.status() == Some(504) || shown >= enough).then_some(shown)
}

fn seconds(time: Nanos) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndHow, Finding};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    const GATEWAY: &str = "HTTP/1.1 504 Gateway Time-out\r\nContent-Length: 0\r\n\r\n";

    fn ended(by: Direction, ms: i64) -> Exchange {
        exchange(GOOD, None).with(|x| {
            x.end.tcp_by = Some(by);
            x.end.tcp_how = EndHow::Rst;
            x.end.tcp_at = Some(x.request.last + Nanos::from_millis(ms));
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn silence_until_the_hop_or_the_client_gives_up_is_found() {
        let by_hop = found(exchange(GOOD, Some(GATEWAY)), ended(Direction::ClientToServer, 2_000));
        let message = words(&by_hop[0].message);
        assert!(
            message.contains("said nothing for 2.0 s, and the proxy at 192.0.2.20 answered its client 504."),
            "{message}"
        );
        let by_client = found(ended(Direction::ClientToServer, 3_000), exchange(GOOD, None));
        assert!(
            words(&by_client[0].message)
                .contains("for 3.0 s, and the client of the proxy at 192.0.2.20 got no answer.")
        );
    }

    #[test]
    fn an_answer_that_comes_after_the_hop_gave_up_is_found() {
        let late = exchange(GOOD, Some(&granted())).with(|x| {
            x.response.iter_mut().for_each(|r| r.first = x.request.first + Nanos::from_secs(9));
        });
        assert_eq!(found(exchange(GOOD, Some(GATEWAY)), late).len(), 1);
    }

    #[test]
    fn an_impatient_client_a_backend_that_closes_and_a_quick_502_are_not() {
        assert!(found(ended(Direction::ClientToServer, 300), exchange(GOOD, None)).is_empty());
        assert!(found(exchange(GOOD, Some(GATEWAY)), ended(ANSWER, 2_000)).is_empty());
        let quick = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
        assert!(found(exchange(GOOD, Some(quick)), ended(Direction::ClientToServer, 20)).is_empty());
        assert!(found(exchange(GOOD, Some(GATEWAY)), exchange(GOOD, Some(GATEWAY))).is_empty(), "it said so itself");
    }
}
