//! `h2-to-http1`.

use super::facts::place;
use crate::model::{Direction, FaultClass, FlowFacts, Preview, Severity, Text};
use crate::rules::hop::tried::failed;
use crate::rules::journey::Journey;
use crate::rules::rule::Builder;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-to-http1",
    severity: Severity::Error,
    title: "the client speaks HTTP/2 from the start, and the server does not know it",
    about: "The connection began with the preface of HTTP/2, which a client may send unasked only where it knows that the \
        server speaks it, and the server answered in HTTP/1.x. No request was understood. Where one for a WebSocket came \
        with the preface, `h2-backend-needs-h1` tells it.\n\nA WebSocket in HTTP/1.1 needs a connection of HTTP/1.1; a \
        proxy must be told so where it speaks HTTP/2 to its backends.",
    refs: &["RFC 9113 §3.3", "RFC 9113 §3.4", "RFC 8441 §5"],
    causes: &[
        "the client, or the proxy towards its backend, is set to HTTP/2 without TLS (h2c, prior knowledge)",
        "the port is another service's: of gRPC and WebSocket beside each other",
    ],
    fix: Some(FaultClass::H2),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Several { exchange: None, flow: Some(check_flow), chain: Some(check_chain) },
};

fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some((preface, answer)) = misunderstood(flow) else { return };
    let who = format!("The client {} began HTTP/2, and the server {}", flow.client, flow.server);
    let found = out.add(say(who, answer).say(": it does not speak HTTP/2 here."));
    detail(found, answer).evidence(place(preface, Direction::ClientToServer));
}

/// A hop that began HTTP/2 towards its backend.
fn check_chain(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(failed) = failed(journey, |flow| misunderstood(flow).is_some()) else { return };
    let Some((flow, (_, answer))) = failed.flows.first().and_then(|flow| Some((flow, misunderstood(flow)?))) else {
        return;
    };
    let text = say(format!("{} began HTTP/2 towards {}, which", failed.who(), flow.server), answer);
    let found = out.add(text.say(format!(", and {}.", failed.outcome()))).confidence(failed.confidence);
    detail(found, answer).evidence(failed.answer());
}

/// What client and server said first, where that was HTTP/2 and HTTP/1.x.
fn misunderstood(flow: &FlowFacts) -> Option<(&Preview, &Preview)> {
    let [Some(client), Some(server)] = &flow.said.as_ref()?.first else { return None };
    (client.bytes.starts_with(b"PRI * HTTP/2") && is_http1(server)).then_some((client, server))
}

fn is_http1(said: &Preview) -> bool {
    said.bytes.starts_with(b"HTTP/1.")
}

fn say(who: impl Into<std::borrow::Cow<'static, str>>, answer: &Preview) -> Text {
    Text::own(who).say(" answered in HTTP/1.x (").bytes(answer.bytes.trim_ascii_end()).say(")")
}

fn detail<'a>(found: Builder<'a>, answer: &Preview) -> Builder<'a> {
    found
        .expected(Text::own("SETTINGS of HTTP/2"))
        .found(Text::new().bytes(answer.bytes.trim_ascii_end()))
        .evidence(place(answer, Direction::ServerToClient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, Said};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, exchange, flow, run_flow, run_tried, words};

    fn preview(bytes: &[u8]) -> Preview {
        Preview { bytes: bytes.into(), at: PacketRef::new(0, 5), ts: Timestamp::default(), offset: 0 }
    }

    fn answered(server: &[u8]) -> FlowFacts {
        let first = [Some(preview(b"PRI * HTTP/2.0\r\n")), Some(preview(server))];
        FlowFacts { said: Some(Box::new(Said { first, ..Said::default() })), ..flow(ConnectState::Established, 1) }
    }

    #[test]
    fn an_answer_in_http_1_to_the_preface_is_found() {
        let found = run_flow(&RULE, &answered(b"HTTP/1.1 400 Bad Request\r\n"));
        assert!(words(&found[0].message).contains("answered in HTTP/1.x (HTTP/1.1 400 Bad Request)"));
        assert!(run_flow(&RULE, &answered(b"\0\0\0\x04")).is_empty());
    }

    #[test]
    fn a_hop_that_speaks_http_2_to_its_backend_is_found_where_its_client_got_an_error() {
        let gateway = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
        let tried = vec![answered(b"HTTP/1.1 400 Bad Request\r\n")];
        let found = run_tried(&RULE, exchange(GOOD, Some(gateway)), tried, View::default());
        assert!(words(&found[0].message).starts_with("The proxy at 192.0.2.20 began HTTP/2 towards 192.0.2.20:80"));
    }
}
