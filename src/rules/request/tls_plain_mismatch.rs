//! One end speaks TLS, the other plain HTTP.

use super::facts::place;
use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{
    Confidence, Direction, Evidence, Exchange, FaultClass, FlowFacts, Mechanism, Preview, Severity, Text,
};
use crate::rules::hop::tried::failed;
use crate::rules::journey::Journey;
use crate::rules::response::{is_tls_nameless, is_unanswered};
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};

pub(super) static RULE: Rule = Rule {
    id: "tls-plain-mismatch",
    severity: Severity::Error,
    title: "one end speaks TLS and the other plain HTTP",
    about: "A TLS ClientHello was answered in plain HTTP, or a plain HTTP request with a TLS alert or with an error \
        that says so: ws:// and wss:// (http:// and https:// towards a backend) are mixed up, or the port is the \
        other one. No request was ever understood.\n\nA server that merely closes the connection may have had \
        another reason; then nothing is said, unless it is a backend that closed at once upon its proxy's ClientHello, \
        for which the proxy's client got an error, or one that closed at once upon plain HTTP and speaks TLS to others \
        at this port, or has port 443.",
    refs: &["RFC 6455 §4.1", "RFC 8446 §6", "RFC 9110 §4.2.2"],
    causes: &[
        "the URL or the proxy's address of its backend says http or ws where the server speaks TLS, or the other way round",
        "the port is the one for plain (for TLS)",
        "TLS is ended one hop earlier than whoever connects here believes",
    ],
    fix: Some(FaultClass::Scheme),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: Some(check_chain) },
};

const SCHEME_OR_NAME: &str = "the proxy's address of its backend says https or wss where the server speaks plain HTTP; or the server \
    speaks TLS, and takes no connection that asks for no name (SNI), or that has no version or cipher in common with it";

/// How servers word it that a TLS port got plain HTTP.
const WORDS: &[&[u8]] = &[
    // nginx, and what is built on it.
    b"plain HTTP request was sent to HTTPS port",
    // Apache httpd.
    b"speaking plain HTTP to an SSL-enabled server port",
    // Go's net/http.
    b"sent an HTTP request to an HTTPS server",
    // Tomcat.
    b"This combination of host and port requires TLS",
];

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    if x.mechanism == Mechanism::None || x.quality.response_gap {
        return;
    }
    // Inside TLS it is an alert of that.
    let plain = !x.is_inside_tls();
    let alert = x.odd_response.as_ref().filter(|odd| plain && x.response.is_none() && is_alert(&odd.bytes));
    if let Some(alert) = alert {
        found(
            out,
            "The client sent plain HTTP, and the server answered with a TLS alert: this port speaks TLS.",
            "HTTP",
            "a TLS alert",
        )
        .evidence(place(alert, Direction::ServerToClient))
        .start_line(&x.request, Direction::ClientToServer);
        return;
    }
    if plain && hung_up(x) && (seen.speaks_tls(x.server) || x.server.port == HTTPS) {
        let others = seen.speaks_tls(x.server);
        let why = if others { "speaks TLS to others" } else { "is the one for TLS" };
        let text = format!(
            "The client sent plain HTTP to {}, a port that {why}, and the server closed the connection at once without \
             a byte.",
            x.server
        );
        let found = out
            .add(Text::own(text))
            .confidence(if others { Confidence::Likely } else { Confidence::Possible })
            .expected(Text::own("a TLS ClientHello"))
            .found(Text::own("an HTTP request"))
            .start_line(&x.request, Direction::ClientToServer);
        if let Some(at) = x.end.packet {
            found.evidence(Evidence { at, direction: Some(Direction::ServerToClient), bytes: None });
        }
        return;
    }
    let Some(head) = x.response.as_ref().filter(|head| head.status() == Some(400)) else { return };
    if WORDS.iter().any(|words| memchr::memmem::find(&x.body, words).is_some()) {
        found(
            out,
            "The client sent plain HTTP to a port that speaks TLS, and the server's answer says so.",
            "a TLS ClientHello",
            "an HTTP request",
        )
        .start_line(&x.request, Direction::ClientToServer)
        .start_line(head, Direction::ServerToClient);
    }
}

/// The port for HTTP inside TLS (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// Whether the server closed upon the first request of its connection, at once and without a byte.
fn hung_up(x: &Exchange) -> bool {
    let at_once = |at: Timestamp| at.since(x.request.last) <= Nanos::from_millis(limits::AT_ONCE_MS);
    x.index_in_flow == 0
        && is_unanswered(x)
        && x.end.tcp_by == Some(Direction::ServerToClient)
        && x.end.tcp_at.is_some_and(at_once)
}

fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some((client, server)) = tls_to_plain(flow) else { return };
    let line = server.bytes.trim_ascii_end();
    let text = Text::own(format!(
        "The client {} began TLS, and the server {} answered in plain HTTP (",
        flow.client, flow.server
    ));
    out.add(text.bytes(line).say("): this port does not speak TLS."))
        .expected(Text::own("a TLS ServerHello"))
        .found(Text::new().bytes(line))
        .evidence(place(client, Direction::ClientToServer))
        .evidence(place(server, Direction::ServerToClient));
}

/// A hop that began TLS towards a backend that speaks plain HTTP.
fn check_chain(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    // Whoever speaks TLS to others at this port had another reason.
    let turned = |flow: &FlowFacts| turned_away(flow).is_some() && !seen.speaks_tls(flow.server);
    let is = |flow: &FlowFacts| tls_to_plain(flow).is_some() || turned(flow);
    let Some(failed) = failed(journey, is) else { return };
    let Some(flow) = failed.flows.first() else { return };
    let text = Text::own(format!("{} began TLS towards {}, which ", failed.who(), flow.server));
    let expected = Text::own("a TLS ServerHello");
    if let Some((client, server)) = tls_to_plain(flow) {
        let line = server.bytes.trim_ascii_end();
        out.add(text.say("answered in plain HTTP (").bytes(line).say(format!("), and {}.", failed.outcome())))
            .confidence(failed.confidence)
            .expected(expected)
            .found(Text::new().bytes(line))
            .evidence(place(client, Direction::ClientToServer))
            .evidence(place(server, Direction::ServerToClient))
            .evidence(failed.answer());
    } else if let Some((client, end)) = turned_away(flow) {
        let nameless = is_tls_nameless(flow);
        let or = if nameless { ", or that want a name (SNI), which this ClientHello has not" } else { "" };
        let closed = format!("closed the connection without a byte, as servers do that speak plain HTTP{or}, and ");
        let found = out.add(text.say(closed).say(format!("{}.", failed.outcome())));
        let found = if nameless { found.cause(SCHEME_OR_NAME) } else { found };
        found
            .confidence(failed.confidence.min(Confidence::Likely))
            .expected(expected)
            .found(Text::own("the end of the connection"))
            .evidence(place(client, Direction::ClientToServer))
            .evidence(Evidence { at: end, direction: Some(Direction::ServerToClient), bytes: None })
            .evidence(failed.answer());
    }
}

/// The ClientHello that the server closed upon, at once and without a byte (a server that speaks TLS says why,
/// RFC 8446 §6), and the packet that did it.
fn turned_away(flow: &FlowFacts) -> Option<(&Preview, PacketRef)> {
    let said = flow.said.as_ref().filter(|said| said.proxied.is_none() && !said.gap)?;
    let [Some(client), None] = &said.first else { return None };
    let at_once = said.end.tcp_at.is_some_and(|at| at.since(client.ts) <= Nanos::from_millis(limits::AT_ONCE_MS));
    let by_server = said.end.tcp_by == Some(Direction::ServerToClient);
    let hello = matches!(*client.bytes, [0x16, 3, ..]);
    // Of a reset in its name nothing is known of it.
    let own = !ends::is_hello_between(flow);
    Some((client, said.end.packet?)).filter(|_| hello && by_server && at_once && own)
}

/// First bytes of client and server, where a ClientHello was answered in clear.
fn tls_to_plain(flow: &FlowFacts) -> Option<(&Preview, &Preview)> {
    let said = flow.said.as_ref().filter(|said| said.proxied.is_none() && !said.gap)?;
    let [Some(client), Some(server)] = &said.first else { return None };
    (matches!(*client.bytes, [0x16, 3, ..]) && server.bytes.starts_with(b"HTTP/")).then_some((client, server))
}

fn found<'a>(
    out: &'a mut Findings<'_>,
    text: &'static str,
    expected: &'static str,
    found: &'static str,
) -> crate::rules::rule::Builder<'a> {
    out.add(Text::own(text)).expected(Text::own(expected)).found(Text::own(found))
}

/// A TLS record of alerts (RFC 8446 §5.1).
fn is_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::model::{ConnectState, End, EndHow, Said};
    use crate::rules::journey::View;
    use crate::rules::testing::{
        GOOD, With as _, exchange, fires, flow, granted, run_flow, run_seen, run_tried, words,
    };

    fn preview(bytes: &[u8]) -> Option<Preview> {
        Some(Preview { bytes: bytes.into(), at: PacketRef::new(0, 5), ts: Timestamp::default(), offset: 0 })
    }

    #[test]
    fn a_tls_alert_or_an_error_that_says_so_is_found() {
        let alert = exchange(GOOD, None).with(|x| x.odd_response = preview(&[0x15, 3, 1, 0, 2, 2, 40]).map(Box::new));
        assert!(fires(&RULE, &alert));
        let told = "HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>";
        assert!(fires(&RULE, &exchange(GOOD, Some(told))));
    }

    #[test]
    fn another_error_and_other_bytes_are_not() {
        assert!(!fires(&RULE, &exchange(GOOD, Some("HTTP/1.1 400 Bad Request\r\n\r\nno"))));
        let hello = exchange(GOOD, None).with(|x| x.odd_response = preview(&[0x16, 3, 1, 0, 2]).map(Box::new));
        assert!(!fires(&RULE, &hello), "a handshake is no alert");
        let lost = exchange(GOOD, None).with(|x| {
            x.odd_response = preview(&[0x15, 3, 1]).map(Box::new);
            x.quality.response_gap = true;
        });
        assert!(!fires(&RULE, &lost));
    }

    #[test]
    fn a_port_that_speaks_tls_to_others_and_hangs_up_on_plain_http_is_found() {
        let hung_up = |port, ms| {
            exchange(GOOD, None).with(|x| {
                x.server.port = port;
                let at = Some(x.request.last + Nanos::from_millis(ms));
                let (by, how, packet) = (Some(Direction::ServerToClient), EndHow::Fin, Some(PacketRef::new(0, 8)));
                x.end = End { by, how, at, packet, tcp_by: by, tcp_how: how, tcp_at: at, ..End::default() };
            })
        };
        let mut seen = Seen::default();
        seen.learn_tls(hung_up(9_443, 1).server);
        let told = |x: &Exchange| run_seen(&RULE, x, &seen).first().map(|f| (f.confidence, f.evidence.len()));
        assert_eq!(told(&hung_up(9_443, 1)), Some((Confidence::Likely, 2)));
        assert_eq!(told(&hung_up(443, 1)), Some((Confidence::Possible, 2)));
        assert_eq!(told(&hung_up(80, 1)), None);
        assert_eq!(told(&hung_up(9_443, 9_000)), None, "who read it, and waited, had another reason");
        assert_eq!(told(&hung_up(9_443, 1).with(|x| x.index_in_flow = 1)), None, "others before it were understood");
    }

    fn hello_answered(server: &[u8]) -> FlowFacts {
        let first = [preview(&[0x16, 3, 1, 0, 200]), preview(server).filter(|p| !p.bytes.is_empty())];
        let mut flow = flow(ConnectState::Established, 1);
        flow.said = Some(Box::new(Said { first, ..Said::default() }));
        flow
    }

    #[test]
    fn a_hop_that_began_tls_towards_a_plain_port_is_found_where_it_got_nothing_through() {
        let plain = || vec![hello_answered(b"HTTP/1.1 400 Bad Request\r\n")];
        let gateway = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
        let found = run_tried(&RULE, exchange(GOOD, Some(gateway)), plain(), View::default());
        let message = words(&found[0].message);
        assert!(message.starts_with("The proxy at 192.0.2.20 began TLS towards 192.0.2.20:80"), "{message}");
        assert!(message.ends_with("and answered its client 502."), "{message}");
        assert!(run_tried(&RULE, exchange(GOOD, Some(&granted())), plain(), View::default()).is_empty());
        let other = vec![hello_answered(b"\x16\x03\x03")];
        assert!(run_tried(&RULE, exchange(GOOD, Some(gateway)), other, View::default()).is_empty());
        let closed = |by, ms| {
            let mut flow = hello_answered(b"");
            if let Some(said) = &mut flow.said {
                let at = Timestamp::default() + Nanos::from_millis(ms);
                let packet = Some(PacketRef::new(0, 8));
                said.end = End { tcp_by: Some(by), tcp_at: Some(at), packet, ..End::default() };
            }
            run_tried(&RULE, exchange(GOOD, Some(gateway)), vec![flow], View::default())
        };
        assert_eq!(closed(Direction::ServerToClient, 1)[0].confidence, Confidence::Likely);
        assert!(closed(Direction::ServerToClient, 5_000).is_empty() && closed(Direction::ClientToServer, 1).is_empty());
    }

    #[test]
    fn a_client_hello_answered_in_clear_is_found_on_the_connection() {
        let said = |server: &[u8]| run_flow(&RULE, &hello_answered(server)).len();
        assert_eq!(said(b"HTTP/1.1 400 Bad Request\r\n"), 1);
        assert_eq!(said(b""), 0, "a server that says nothing may have any reason");
    }
}
