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
        over plain TCP, is not understood.\n\nIt is told only where others ask this port for WebSockets. What whoever looks for open ports \
        sends anywhere is a note: greetings of other protocols (RDP, SSH, SMB, SOCKS and the like), and bytes that are neither text \
        nor MQTT.",
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
    let greeting = greeting(&sent.bytes);
    // A program that lacks a WebSocket library sends text, or MQTT; scanners send anything.
    let noise = greeting.is_some() || !is_text(&sent.bytes) && memchr::memmem::find(&sent.bytes, b"MQ").is_none();
    let did = greeting.map_or("sent no request".to_owned(), |name| format!("greeted it as {name} does"));
    let text = Text::own(format!("The client {} {did}, and the server {} answered ", flow.client, flow.server))
        .bytes(line(answer))
        .say(": this port is for HTTP and WebSocket.");
    out.add(text)
        .severity(if noise { Severity::Info } else { Severity::Error })
        .expected(Text::own("a request in HTTP"))
        .found(Text::own(format!("{} bytes that are none", sent.bytes.len())))
        .evidence(place(sent, Direction::ClientToServer))
        .evidence(place(answer, Direction::ServerToClient));
}

/// How clients of other protocols begin, and those protocols: no WebSocket client does, and scanners do everywhere.
const GREETINGS: [(&[u8], &str); 9] = [
    (b"SSH-", "SSH"),
    // TPKT (RFC 1006), in which RDP begins.
    (b"\x03\x00\x00", "RDP"),
    (b"\x05\x01\x00", "SOCKS 5"),
    (b"\x05\x02\x00", "SOCKS 5"),
    (b"\x04\x01", "SOCKS 4"),
    (b"EHLO ", "SMTP"),
    (b"JRMI", "Java RMI"),
    (b"GIOP", "CORBA"),
    (b"*1\r\n$4\r\n", "Redis"),
];

/// Whether nearly all of it is text: that is what programs say of their own accord.
fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|&&b| b < 0x20 && !b.is_ascii_whitespace() || b == 0x7f).count();
    odd * 20 <= bytes.len() && !bytes.is_empty() && is_utf8(bytes)
}

/// Whether it is UTF-8, as far as it goes.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).err().is_none_or(|cut| cut.error_len().is_none())
}

/// The protocol that whoever sent these first bytes speaks. `None`: none of these.
fn greeting(first: &[u8]) -> Option<&'static str> {
    // Behind four bytes of length (MS-SMB2 §2.1).
    let smb = first.get(4..8).is_some_and(|at| at == b"\xffSMB" || at == b"\xfeSMB");
    let found = GREETINGS.iter().find(|(bytes, _)| first.starts_with(bytes));
    found.map(|(_, name)| *name).or_else(|| smb.then_some("SMB"))
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
        found(client, server, port).map(|(_, said)| said)
    }

    fn found(client: &[u8], server: &[u8], port: u16) -> Option<(Severity, String)> {
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
        run_flow_seen(&RULE, &f, &seen).first().map(|found| (found.severity, words(&found.message)))
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

    #[test]
    fn what_scanners_send_to_any_port_is_a_note() {
        let bad = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        let of = |sent: &[u8]| found(sent, bad, 0).unwrap_or((Severity::Error, String::new()));
        let (severity, said) = of(b"\x03\x00\x00\x13\x0e\xe0\x00\x00Cookie: mstshash=Administr\r\n");
        assert_eq!(severity, Severity::Info);
        assert!(said.contains("greeted it as RDP does, and the server"), "{said}");
        for other in [&b"SSH-2.0-Go\r\n"[..], b"\x00\x00\x00\x85\xffSMBr\x00"] {
            assert_eq!(of(other).0, Severity::Info);
        }
        assert_eq!(of(b"\x00\x9c\xf1\x00\x13\xaa").0, Severity::Info);
        for program in
            [&b"{\"device\":1}\n"[..], b"{\"name\":\"\xe6\x9c", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"]
        {
            assert_eq!(of(program).0, Severity::Error);
        }
    }
}
