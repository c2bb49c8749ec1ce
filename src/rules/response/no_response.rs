//! `no-response`.

use super::support::{FROM_CLIENT, FROM_SERVER, REFUSAL_CAUSES, left_before_grant, length, tcp_ended, whole_request};
use crate::base::{Nanos, Timestamp};
use crate::model::{Direction, EndHow, Evidence, Exchange, FaultClass, Mechanism, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends, http2, verdict};

pub(super) static RULE: Rule = Rule {
    id: "no-response",
    severity: Severity::Error,
    title: "the request was never answered",
    about: "The whole request went out and no response came: the connection ended without one, or the capture goes \
        on for five seconds and more without one. Where neither was seen, nothing is said.\n\nIf the server closed, \
        it or a filter in front of it dropped the request on purpose or crashed over it. If the client gave up, the \
        server was silent for as long as the client waits.",
    refs: &["RFC 9112 §9.6", "RFC 9110 §15"],
    causes: &[
        SILENT,
        CLOSED,
        IMPATIENT,
        BUSY,
        "a proxy forwarded the upgrade, got the 101 and has no handler that passes it on",
    ],
    fix: Some(FaultClass::Server),
    explains: &[Explains::Unanswered],
    symptom_of: REFUSAL_CAUSES,
    check: Check::Exchange(check),
};

const UNASKED: &str = "what came before the request was refused: the client's address, a PROXY header, or a client that \
    waits too long";
const REUSED: &str =
    "the client reused a connection that the server had just closed: its keep-alive time is the shorter one";
const CLOSED: &str = "the server crashed over the request, or a filter in front of it dropped it on purpose";
/// What a server of Socket.IO does with upgrades that none of its handlers takes (`destroyUpgradeTimeout` of engine.io).
pub(in crate::rules) const NOBODYS: &str = "no handler of the server takes this path: engine.io (Socket.IO) ends such upgrades \
    after exactly 1 s";
const IMPATIENT: &str = "the client waits for less time than the server takes, or its page was left";
const BUSY: &str =
    "the server, or what it waits for, is busy with others: it takes connections and does not serve them";
const SILENT: &str = "the server or its proxy hangs, waiting for something behind it";

/// How long the capture must go on behind the request before silence means no answer.
const WAIT: Nanos = Nanos::from_secs(5);

/// How long behind its request an answer is late, whoever did not wait for it.
const LATE: Nanos = Nanos::from_secs(5);

/// Whether the answer came so late that no client need have waited for it.
pub(in crate::rules) fn answered_late(x: &Exchange) -> bool {
    x.response.as_ref().is_some_and(|answer| answer.first.since(x.request.last) >= LATE)
}

/// Whether the server ended the connection as engine.io does with an upgrade for Socket.IO that is nobody's.
pub(in crate::rules) fn is_nobodys(x: &Exchange) -> bool {
    let fin = x.end.tcp_how == EndHow::Fin && x.end.tcp_by == Some(FROM_SERVER);
    let asks = |name: &[u8]| memchr::memmem::find(x.request.target(), name).is_some();
    if !asks(b"socket.io") && !asks(b"engine.io") && !asks(b"EIO=") {
        return false;
    }
    let waited = x.end.tcp_at.filter(|_| fin).map(|at| at.since(x.request.last).0 / 1_000_000);
    waited.is_some_and(|ms| (1_000..1_060).contains(&ms))
}

/// Whether the request got no answer at all, and the capture can tell.
pub(in crate::rules) fn is_unanswered(x: &Exchange) -> bool {
    let quality = x.quality;
    let Some(request) = whole_request(x) else { return false };
    if http2::refused_by(x) == Some(FROM_SERVER) {
        return false;
    }
    if x.response.is_some() || x.odd_response.is_some() || quality.no_server_packets || quality.response_gap {
        return false;
    }
    // The client went on as if it had been answered.
    if x.early.is_some() && (quality.gap || quality.midstream) {
        return false;
    }
    let lost = ends::is_request_lost(x)
        || ends::is_answer_lost(x)
        || x.twice.as_ref().is_some_and(|twice| twice.lost.is_some());
    lost || tcp_ended(x) || x.times.last.is_some_and(|last| last.since(request.last) >= WAIT)
}

/// A 101 to a client that had gone: `answered` is when it came.
fn too_late(x: &Exchange, answered: Timestamp, out: &mut Findings<'_>) {
    let Some(left) = x.end.tcp_at else { return };
    let verb = if x.end.tcp_how == EndHow::Rst { "reset" } else { "closed" };
    let text = format!(
        "No response came in time: the client gave up and {verb} the connection {} after the request; the 101 came {} later.",
        length(x.request.last, left),
        length(left, answered)
    );
    let found = out
        .add(Text::own(text))
        .expected(Text::own("101 Switching Protocols before the client leaves"))
        .found(Text::own("the end of the connection, then a 101"))
        .cause(if answered_late(x) { BUSY } else { IMPATIENT })
        .head(&x.request, FROM_CLIENT);
    let found = match x.end.packet {
        Some(at) => found.evidence(Evidence { at, direction: Some(FROM_CLIENT), bytes: None }),
        None => found,
    };
    if let Some(head) = &x.response {
        found.start_line(head, FROM_SERVER);
    }
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if left_before_grant(x)
        && let Some(granted) = x.granted()
    {
        return too_late(x, granted.first, out);
    }
    if x.mechanism == Mechanism::None || !is_unanswered(x) {
        return;
    }
    let asked = x.request.last;
    let after = if x.interim.is_empty() { "" } else { " beyond an interim one" };
    let text = match (x.end.tcp_how, x.end.tcp_by, x.end.tcp_at) {
        (how @ (EndHow::Fin | EndHow::Rst), by, at) => {
            let verb = if how == EndHow::Rst { "reset" } else { "closed" };
            let waited = at.map(|at| format!(" {} after the request", length(asked, at))).unwrap_or_default();
            let before = at.is_some_and(|at| at < x.request.first);
            match by {
                Some(Direction::ServerToClient) if before => {
                    format!("No response came{after}: the server had {verb} the connection before the request came.")
                }
                Some(Direction::ClientToServer) => {
                    format!("No response came{after}: the client gave up and {verb} the connection{waited}.")
                }
                _ => format!("No response came{after}: the server {verb} the connection{waited}."),
            }
        }
        _ => {
            let waited = x.times.last.map(|last| length(asked, last)).unwrap_or_default();
            format!("No response came{after} in the {waited} that the capture goes on.")
        }
    };
    let found = out
        .add(Text::own(text))
        .expected(Text::own("101 Switching Protocols"))
        .found(Text::own("no response"))
        .head(&x.request, FROM_CLIENT);
    let closed_by_server = tcp_ended(x) && x.end.tcp_by != Some(FROM_CLIENT);
    let waited = x.end.tcp_at.map(|at| at.since(asked));
    let early = tcp_ended(x) && !closed_by_server && waited.is_some_and(|waited| waited < verdict::PATIENCE[0]);
    let unasked = x.end.tcp_at.is_some_and(|at| at < x.request.first);
    let found = found.cause(match (closed_by_server, early) {
        (true, _) if unasked && x.index_in_flow > 0 => REUSED,
        (true, _) if unasked => UNASKED,
        (true, _) if is_nobodys(x) => NOBODYS,
        (true, _) => CLOSED,
        (_, true) => IMPATIENT,
        _ => SILENT,
    });
    if let (true, Some(at)) = (tcp_ended(x), x.end.packet) {
        let direction = x.end.tcp_by.or(Some(FROM_SERVER));
        found.evidence(Evidence { at, direction, bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_connection_that_ends_without_an_answer_is_found() {
        for (by, how) in [(FROM_SERVER, EndHow::Fin), (FROM_SERVER, EndHow::Rst), (FROM_CLIENT, EndHow::Fin)] {
            assert_eq!(slugs(&RULE, &ended(exchange(ASK, None), by, how, 900)), ["no-response"]);
        }
        let mut silent = exchange(ASK, None);
        silent.times.last = Some(at(5_000));
        assert_eq!(slugs(&RULE, &silent), ["no-response"]);
    }

    #[test]
    fn a_server_that_had_closed_before_the_request_came_is_told_so() {
        let mut x = ended(exchange(ASK, None), FROM_SERVER, EndHow::Fin, 900);
        x.end.tcp_at = Some(x.request.first + Nanos(-1_400_000));
        let found = run(&RULE, &x);
        assert_eq!(
            crate::rules::testing::words(&found[0].message),
            "No response came: the server had closed the connection before the request came."
        );
        assert_eq!(found[0].causes, [UNASKED]);
    }

    #[test]
    fn a_client_that_leaves_at_once_proves_no_silent_server() {
        let cause = |by, ms| run(&RULE, &ended(exchange(ASK, None), by, EndHow::Fin, ms))[0].causes.clone();
        assert_eq!(&*cause(FROM_CLIENT, 300), [IMPATIENT]);
        assert_eq!(&*cause(FROM_CLIENT, 9_000), [SILENT]);
        assert_eq!(&*cause(FROM_SERVER, 300), [CLOSED]);
    }

    #[test]
    fn where_the_capture_cannot_tell_nothing_is_said() {
        assert!(slugs(&RULE, &exchange(ASK, None)).is_empty());
        let mut one_way = ended(exchange(ASK, None), FROM_CLIENT, EndHow::Fin, 900);
        one_way.quality.no_server_packets = true;
        assert!(slugs(&RULE, &one_way).is_empty());
        let mut gap = ended(exchange(ASK, None), FROM_SERVER, EndHow::Fin, 900);
        gap.quality.response_gap = true;
        assert!(slugs(&RULE, &gap).is_empty());
        let answered = ended(exchange(ASK, Some(GRANT)), FROM_SERVER, EndHow::Fin, 900);
        assert!(slugs(&RULE, &answered).is_empty());
        let half = ended(exchange("GET / HTTP/1.1\r\nUpgrade: websocket\r\n", None), FROM_SERVER, EndHow::Fin, 900);
        assert!(slugs(&RULE, &half).is_empty());
    }

    #[test]
    fn a_101_to_a_client_that_had_left_was_no_answer_in_time() {
        let mut x = ended(exchange(ASK, Some(GRANT)), FROM_CLIENT, EndHow::Fin, 0);
        let left = x.request.last + Nanos::from_millis(500);
        let answered = left + Nanos::from_millis(1_500);
        (x.end.tcp_at, x.end.at) = (Some(left), Some(left));
        x.response.iter_mut().for_each(|head| (head.first, head.last) = (answered, answered));
        let found = run(&RULE, &x);
        assert_eq!(
            crate::rules::testing::words(&found[0].message),
            "No response came in time: the client gave up and closed the connection 500.0 ms after the request; the 101 \
             came 1.5 s later."
        );
        assert_eq!(crate::rules::outcome::of(&x, &Default::default(), &found), crate::model::Outcome::Unanswered);
        assert_eq!(&*found[0].causes, [IMPATIENT]);
        let spoke = with_frames(x.clone(), 1, 0);
        assert!(slugs(&RULE, &spoke).is_empty(), "it had not");
        let late = x.request.last + LATE;
        x.response.iter_mut().for_each(|head| (head.first, head.last) = (late, late));
        assert_eq!(&*run(&RULE, &x)[0].causes, [BUSY], "whoever waits, that is too long");
    }
}
