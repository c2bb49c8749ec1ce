//! A session's request reached a backend that does not know the session.

use crate::base::limits;
use crate::model::{Confidence, Direction, Exchange, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, refusal, sentence, status_line};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "affinity-broken",
    severity: Severity::Error,
    title: "the session was sent to another backend than before",
    about: "The request continues a session that was opened by polling (its id is in the query), and the backend \
        behind the hop answered that it knows no such session. The hop spreads requests over several backends, and \
        all requests of one session must reach the same one.\n\nIt is certain where another request with the same id \
        went to another backend. Where the hop is not seen to use more than one, nothing is said: a backend forgets \
        its sessions when it restarts.",
    refs: &["Engine.IO protocol"],
    causes: &[
        "session affinity (sticky sessions) is not switched on for this route",
        "two balancers in a row, of which one keeps affinity and the other does not",
        "the affinity cookie does not reach the proxy: another path or domain, or a client that keeps no cookies",
    ],
    fix: Some(FaultClass::Stick),
    explains: &[Explains::Refused, Explains::Ended],
    symptom_of: &[],
    check: Check::Hop(check),
};

/// Statuses, the query's name for the session, and how servers word that they do not know it.
const UNKNOWN: &[(u16, &[u8], &[u8])] = &[
    // Engine.IO, below Socket.IO.
    (400, b"sid", b"Session ID unknown"),
    // ASP.NET Core SignalR.
    (404, b"id", b"No Connection with that ID"),
];

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let far = view.far.x;
    // A balancer that relays bytes spreads sessions like any other.
    let asks = view.near.x.is_websocket() && !view.tried_again;
    if asks && far.granted().is_some() {
        return beside_polls(view, seen, out);
    }
    let Some((head, code)) = refusal(far).filter(|_| asks) else { return };
    let known =
        UNKNOWN.iter().find(|(status, _, said)| *status == code && memchr::memmem::find(&far.body, said).is_some());
    let Some((_, name, said)) = known else { return };
    let Some(session) = parameter(far.request.target(), name) else { return };
    let Some(confidence) = spread(view.near.x, far, name, session, seen) else { return };
    let did = match confidence {
        Confidence::Certain => "sent a request of a session to another backend than before, which does not know it",
        _ => "spreads requests over several backends and sent this one to a backend that does not know its session",
    };
    out.add(sentence(view, Text::own(did)))
        .confidence(confidence)
        .expected(Text::own("every request of a session at the same backend"))
        .found(Text(status_line(head).say(": ").bytes(said).0))
        .start_line(&view.near.x.request, Direction::ClientToServer)
        .start_line(&far.request, Direction::ClientToServer)
        .start_line(head, ANSWER);
}

/// The WebSocket itself came to the right backend, and the polls of its session did not: their client gives up.
fn beside_polls(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let far = view.far.x;
    let Some(other) = seen.polls.lost(far) else { return };
    let did =
        format!("sent polls of this session to {other}, which does not know it, and its WebSocket to {}", far.server);
    out.add(sentence(view, Text::own(did)))
        .expected(Text::own("every request of a session at the same backend"))
        .found(Text::own("400: Session ID unknown"))
        .start_line(&view.near.x.request, Direction::ClientToServer)
        .start_line(&far.request, Direction::ClientToServer);
}

/// How sure it is that the hop sent the session elsewhere before. `None`: it is seen to use one backend only.
fn spread(near: &Exchange, far: &Exchange, name: &[u8], session: &[u8], seen: &Seen) -> Option<Confidence> {
    let elsewhere = seen
        .attempts()
        .take(limits::SEEN_COMPARED)
        .filter(|a| (a.server, a.server_port) != (far.server.ip, far.server.port))
        // A hop may go on from several addresses of its own: what listens on the same port is taken for its backends'.
        .filter(|a| a.client == far.client.ip || a.server_port == far.server.port && a.server != near.server.ip);
    let polled = seen.polls.elsewhere(far).map(|same| if same { Confidence::Certain } else { Confidence::Likely });
    elsewhere
        .map(|a| if parameter(a.target(), name) == Some(session) { Confidence::Certain } else { Confidence::Likely })
        .chain(polled)
        .max()
}

/// The value of a parameter of the query.
fn parameter<'a>(target: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let query = target.get(memchr::memchr(b'?', target)? + 1..)?;
    let value = |pair: &'a [u8]| pair.strip_prefix(name)?.strip_prefix(b"=");
    query.split(|&b| b == b'&').find_map(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Endpoint;
    use crate::model::Finding;
    use crate::rules::journey::View;
    use crate::rules::testing::{With as _, behind, changed, exchange, granted, hop, run_whole};

    const LOST: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n\
        {\"code\":1,\"message\":\"Session ID unknown\"}";

    fn ask(session: &str) -> String {
        changed("/chat", &format!("/socket.io/?EIO=4&transport=websocket&sid={session}"))
    }

    /// The finding where the hop was seen to send these sessions to another backend.
    fn found(answer: &str, others: &[&str]) -> Vec<Finding> {
        let near = exchange(&ask("abc"), Some(answer));
        let far = behind(exchange(&ask("abc"), Some(answer)));
        let mut seen = Seen::default();
        seen.learn(&far, false);
        for other in others {
            let other = behind(exchange(&ask(other), None)).with(|x| {
                x.server = Endpoint::new(x.server.ip, x.server.port + 1);
            });
            seen.learn(&other, false);
        }
        let hops = [hop(&near, &far)];
        run_whole(&RULE, &[near, far], &hops, &[], View::default(), &seen)
    }

    #[test]
    fn a_session_at_another_backend_is_found() {
        assert_eq!(found(LOST, &["abc"])[0].confidence, Confidence::Certain);
        assert_eq!(found(LOST, &["xyz"])[0].confidence, Confidence::Likely);
    }

    #[test]
    fn polls_show_that_a_session_is_at_another_backend() {
        let answered = |poll: &str, port: u16| {
            let near = exchange(&ask("abc"), Some(LOST));
            let far = behind(exchange(&ask("abc"), Some(LOST)));
            let request = changed("/chat", poll).replace("Upgrade: websocket\r\n", "");
            let poll = behind(exchange(&request, Some("HTTP/1.1 200 OK\r\n\r\n")))
                .with(|x| x.server = Endpoint::new(x.server.ip, x.server.port + port));
            let mut seen = Seen::default();
            seen.learn(&far, false);
            seen.polls.learn(&poll);
            let hops = [hop(&near, &far)];
            let found = run_whole(&RULE, &[near, far], &hops, &[], View::default(), &seen);
            found.first().map(|f| f.confidence)
        };
        let poll = "/socket.io/?EIO=4&transport=polling";
        assert_eq!(answered(&format!("{poll}&sid=abc"), 1), Some(Confidence::Certain));
        assert_eq!(answered(poll, 1), Some(Confidence::Likely));
        assert_eq!(answered(&format!("{poll}&sid=abc"), 0), None, "the same backend");
    }

    #[test]
    fn polls_that_went_elsewhere_are_told_with_the_websocket_of_their_session() {
        let told = |session: &str, port: u16| {
            let near = exchange(&ask("abc"), Some(&granted()));
            let far = behind(exchange(&ask("abc"), Some(&granted())));
            let poll = format!("/socket.io/?EIO=4&transport=polling&sid={session}");
            let request = changed("/chat", &poll).replace("Upgrade: websocket\r\n", "");
            let poll = behind(exchange(&request, Some(LOST))).with(|x| {
                x.server = Endpoint::new(x.server.ip, x.server.port + port);
                x.body = LOST.as_bytes().into();
            });
            let mut seen = Seen::default();
            seen.polls.learn(&poll);
            let hops = [hop(&near, &far)];
            run_whole(&RULE, &[near, far], &hops, &[], View::default(), &seen).len()
        };
        assert_eq!((told("abc", 1), told("xyz", 1), told("abc", 0)), (1, 0, 0));
    }

    #[test]
    fn one_backend_that_forgot_and_another_refusal_are_not() {
        assert!(found(LOST, &[]).is_empty());
        assert!(found("HTTP/1.1 400 Bad Request\r\n\r\n{\"code\":3}", &["abc"]).is_empty());
    }

    #[test]
    fn only_the_parameter_of_that_name_is_the_session() {
        assert_eq!(parameter(b"/a?xsid=1&sid=2", b"sid"), Some(&b"2"[..]));
        assert_eq!(parameter(b"/a?sid=", b"sid"), None);
        assert_eq!(parameter(b"/a", b"sid"), None);
    }
}
