//! `alpn-h2-only`.

use super::support::{FAILURES, FROM_CLIENT, handshake_of_http1};
use crate::model::{Direction, EndHow, Exchange, FaultClass, Severity, Text, Wrapper};
use crate::rules::response::{self, is_unanswered};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "alpn-h2-only",
    severity: Severity::Error,
    title: "ALPN chose HTTP/2 for a WebSocket, whose server can have none there",
    about: "The client asked for a WebSocket on a TLS connection on which ALPN chose h2, the server's SETTINGS do not \
        offer WebSocket over HTTP/2, and the client did not come back over HTTP/1.1. A browser opens a connection of \
        its own for each WebSocket and offers http/1.1 alone in its ALPN; a client or a proxy that offers h2 too gets \
        it, and is stuck there. A client that came back, and one that asks for no WebSocket (gRPC), is no case of it.\n\n\
        Nor does it help to write HTTP/1.1 all the same: where h2 was chosen, servers take it for a broken preface and \
        close.",
    refs: &["RFC 7301 §3.2", "RFC 8441 §3"],
    causes: &[OFFERED, "the server or proxy takes h2 alone, or does not have WebSocket over HTTP/2 switched on"],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &["h2-get-with-ws-fields", "h2-backend-needs-h1"],
    check: Check::Exchange(check),
};

const OFFERED: &str = "the client offers h2 in its ALPN although it can open WebSockets over HTTP/1.1 only";

/// HTTP/1.1 on a connection that is to speak HTTP/2, and no answer in HTTP/1.1.
fn spoke_http1(x: &Exchange, out: &mut Findings<'_>) {
    let unread = x.response.as_ref().is_none_or(|head| head.status().is_none());
    if !unread || !response::is_attempt(x) || x.quality.response_gap || !(is_unanswered(x) || x.odd_response.is_some())
    {
        return;
    }
    let end = match (x.end.tcp_how, x.end.tcp_by) {
        (EndHow::Fin, Some(Direction::ServerToClient)) => ", upon which the server closed the connection",
        (EndHow::Rst, Some(Direction::ServerToClient)) => ", upon which the server reset the connection",
        _ => "",
    };
    out.add(Text::own(format!(
        "ALPN chose h2 for this connection, and the client wrote its request in HTTP/1.1{end}."
    )))
    .expected(Text::own("HTTP/2, or http/1.1 alone in the client's ALPN"))
    .found(Text::own("HTTP/1.1"))
    .cause(OFFERED)
    .head(&x.request, FROM_CLIENT);
}

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let chosen = x.via.iter().rev().find_map(|wrapper| match wrapper {
        Wrapper::Tls(tls) => tls.alpn.as_deref(),
        _ => None,
    });
    if chosen != Some(b"h2") {
        return;
    }
    if x.stream.is_none() {
        return spoke_http1(x, out);
    }
    let Some(stream) = handshake_of_http1(x).filter(|s| s.connect_protocol_at_last == Some(false)) else { return };
    let mine = seen.attempt(x);
    if seen.granted_after(mine.client, mine.target(), x.request.first).any(|other| other.id != x.id) {
        return;
    }
    let found = out
        .add(Text::own(
            "ALPN chose h2 for this connection, whose server does not offer WebSocket over HTTP/2; the client asked all \
             the same and did not come back over HTTP/1.1.",
        ))
        .expected(Text::own("http/1.1 alone in the client's ALPN, or SETTINGS_ENABLE_CONNECT_PROTOCOL = 1"))
        .found(Text::own("h2, and SETTINGS without it"))
        .head(&x.request, FROM_CLIENT);
    if let Some(settings) = stream.settings {
        found.evidence(settings.evidence());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::base::{ExchangeId, Nanos};
    use crate::model::Tls;
    use crate::rules::testing::{GOOD, exchange, granted as answer, run_seen};

    fn asked(alpn: &[u8], offered: Option<bool>) -> Exchange {
        stream(GET, Some("404")).with(|x| {
            facts(x).connect_protocol_at_last = offered;
            x.via = vec![Wrapper::Tls(Box::new(Tls { alpn: Some(alpn.into()), ..Tls::default() }))];
        })
    }

    #[test]
    fn a_websocket_that_is_stuck_on_h2_is_found() {
        assert!(fires(&RULE, &asked(b"h2", Some(false))));
        assert!(!fires(&RULE, &asked(b"h2", Some(true))) && !fires(&RULE, &asked(b"h2", None)));
        assert!(!fires(&RULE, &asked(b"http/1.1", Some(false))));
        assert!(!fires(&RULE, &stream(GET, Some("404")).with(|x| facts(x).connect_protocol_at_last = Some(false))));
    }

    #[test]
    fn http1_on_a_connection_for_which_h2_was_chosen_is_found() {
        let asked = |alpn: &[u8], answer: Option<&str>| {
            exchange(GOOD, answer).with(|x| {
                x.via = vec![Wrapper::Tls(Box::new(Tls { alpn: Some(alpn.into()), ..Tls::default() }))];
                (x.end.tcp_how, x.end.tcp_by) = (EndHow::Fin, Some(Direction::ServerToClient));
            })
        };
        let found = run(&RULE, &asked(b"h2", None));
        assert!(words(&found[0].message).ends_with("in HTTP/1.1, upon which the server closed the connection."));
        assert!(!fires(&RULE, &asked(b"http/1.1", None)));
        assert!(!fires(&RULE, &asked(b"h2", Some(&answer()))), "a server that takes it all the same");
    }

    #[test]
    fn a_client_that_came_back_over_http1_is_none() {
        let x = asked(b"h2", Some(false));
        let later = exchange(GOOD, Some(&answer())).with(|y| {
            y.id = ExchangeId(x.id.0 + 1);
            y.request.first = x.request.first + Nanos::from_secs(1);
        });
        let mut seen = Seen::default();
        seen.learn(&later, false);
        assert!(run_seen(&RULE, &x, &seen).is_empty());
    }
}
