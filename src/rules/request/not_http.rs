//! `req-not-http`.

use super::facts::place;
use crate::base::limits;
use crate::model::{Direction, FlowFacts, Preview, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-not-http",
    severity: Severity::Error,
    title: "the client speaks no HTTP to a port for WebSocket",
    about: "The first bytes of the connection are no request, and the server answered in HTTP, with an error. A WebSocket \
        begins with a request in HTTP (RFC 6455 §1.3): a program that opens the port and sends its messages at once, as \
        over plain TCP, is not understood.\n\nIt is told only where others ask this port for WebSockets: what scanners \
        send anywhere is nobody's upgrade.",
    refs: &["RFC 6455 §1.3", "RFC 6455 §4.1"],
    causes: &[
        "the client uses plain TCP where a WebSocket is wanted: it lacks a WebSocket library",
        "the client's port is another service's",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Flow(check),
};

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let Some((sent, answer)) = misunderstood(flow) else { return };
    let here = (flow.server.ip, flow.server.port);
    if !seen.attempts().take(limits::SEEN_COMPARED).any(|a| (a.server, a.server_port) == here) {
        return;
    }
    let text =
        Text::own(format!("The client {} sent no request, and the server {} answered ", flow.client, flow.server))
            .bytes(line(answer))
            .say(": this port is for HTTP and WebSocket.");
    out.add(text)
        .expected(Text::own("a request in HTTP"))
        .found(Text::own(format!("{} bytes that are none", sent.bytes.len())))
        .evidence(place(sent, Direction::ClientToServer))
        .evidence(place(answer, Direction::ServerToClient));
}

/// What client and server said first, where that was neither HTTP nor TLS, and HTTP/1.x.
fn misunderstood(flow: &FlowFacts) -> Option<(&Preview, &Preview)> {
    let said = flow.said.as_ref().filter(|said| said.proxied.is_none())?;
    let [Some(client), Some(server)] = &said.first else { return None };
    let other = [&b"PRI * HTTP/2"[..], b"\x16", b"\x80"].iter().any(|begin| client.bytes.starts_with(begin));
    (!other && server.bytes.starts_with(b"HTTP/1.")).then_some((client, server))
}

/// Its first line.
fn line(said: &Preview) -> &[u8] {
    said.bytes.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, Said};
    use crate::rules::testing::{GOOD, With as _, exchange, flow, granted, run_flow_seen, words};

    fn told(client: &[u8], server: &[u8], port: u16) -> Option<String> {
        let preview = |bytes: &[u8]| Preview {
            bytes: bytes.into(),
            at: PacketRef::new(0, 5),
            ts: Timestamp::default(),
            offset: 0,
        };
        let first = [Some(preview(client)), Some(preview(server))];
        let f = flow(ConnectState::Established, 1);
        let f = FlowFacts { said: Some(Box::new(Said { first, ..Said::default() })), ..f };
        let mut seen = Seen::default();
        let other = exchange(GOOD, Some(&granted()))
            .with(|x| (x.server.ip, x.server.port) = (f.server.ip, f.server.port.wrapping_add(port)));
        seen.learn(&other, true);
        run_flow_seen(&RULE, &f, &seen).first().map(|found| words(&found.message))
    }

    #[test]
    fn bytes_that_are_no_request_are_told_where_others_ask_for_websockets() {
        let bad = b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n";
        let said = told(b"{\"device\":1}\n", bad, 0).unwrap_or_default();
        assert!(said.ends_with("answered HTTP/1.1 400 Bad Request: this port is for HTTP and WebSocket."), "{said}");
        assert_eq!(told(b"{\"device\":1}\n", bad, 1), None, "another port");
        assert_eq!(told(b"{\"device\":1}\n", b"{}", 0), None, "both speak so");
        for other in [&b"\x16\x03\x01"[..], b"PRI * HTTP/2.0\r\n"] {
            assert_eq!(told(other, bad, 0), None, "what other rules tell");
        }
    }
}
