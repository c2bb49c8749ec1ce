//! Journeys over several legs, made by hand: a proxy that forgets the upgrade, a chain of three legs that
//! works, a proxy that tries a second backend, and one whose backend is down.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{RIGHT, chain, exchange, finding, frame, ok};
use crate::base::{Endpoint, ExchangeId, FlowId, Nanos, PacketRef};
use crate::model::*;
use crate::store::{Analysis, Row};

const CLIENT: &str = "10.0.0.1:40000";
const PROXY: &str = "10.0.0.2:80";
const SECOND: &str = "10.0.1.3:8000";
const BACKEND: &str = "10.0.1.9:8080";

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// As nginx passes it on by default: HTTP/1.0, another Host, no Upgrade.
const STRIPPED: &str = "GET /chat HTTP/1.0\r\nHost: app:8080\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Real-IP: 10.0.0.1\r\n\r\n";

fn end(text: &str) -> Endpoint {
    let end: std::net::SocketAddr = text.parse().unwrap_or(([0, 0, 0, 0], 0).into());
    Endpoint::new(end.ip(), end.port())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// A leg of the chain that begins with `first`: the same second, `microseconds` behind the client's request.
fn leg(id: u64, first: u64, ends: (&str, &str), microseconds: i64, heads: (&str, &str)) -> Exchange {
    let mut x = exchange(id, ends.1, heads.0, heads.1);
    let began = exchange(first, ends.1, heads.0, "").request.first + Nanos(microseconds * 1_000);
    x.client = end(ends.0);
    (x.request.first, x.request.last) = (began, began);
    if let Some(response) = &mut x.response {
        let answered = began + Nanos(1_674_000 - 2 * microseconds * 1_000);
        (response.first, response.last) = (answered, answered);
    }
    x
}

fn hop(between: (u64, u64), addresses: &[&str], product: Option<Software>, joined_by: &[MatchKey]) -> Hop {
    Hop {
        between: (ExchangeId(between.0), ExchangeId(between.1)),
        kind: HopKind::Http,
        addresses: addresses.iter().map(|a| ip(a)).collect(),
        unseen: false,
        port: None,
        name: None,
        product,
        joined_by: joined_by.to_vec(),
        confidence: Confidence::Certain,
        forward: Some(Nanos(118_000)),
        back: Some(Nanos(87_000)),
    }
}

fn nginx() -> Software {
    Software {
        slug: "nginx".to_owned(),
        name: "nginx".to_owned(),
        version: Some("1.22.1".to_owned()),
        confidence: Confidence::Certain,
        evidence: vec![Text::own("Server: ").field(b"Server", b"nginx/1.22.1")],
    }
}

fn add(a: &mut Analysis, x: Exchange, outcome: Outcome, findings: Vec<usize>) {
    let handshake = Handshake { accept_verdict: AcceptVerdict::NotApplicable, ..Handshake::default() };
    a.rows.push(Row { exchange: Box::new(x), handshake, outcome, findings });
}

fn refused(a: &Analysis, id: u64, hops: Vec<Hop>, findings: Vec<usize>, verdict: (&'static str, &str, &str)) -> Chain {
    let (rule, summary, fix) = verdict;
    let verdict = Verdict {
        because: None,
        rule: Cow::Borrowed(rule),
        severity: Severity::Error,
        confidence: Confidence::Certain,
        blame: Some(Blame { role: Role::Hop, address: Some("10.0.0.2".to_owned()), product: Some("nginx".to_owned()) }),
        summary: Text::own(summary.to_owned()),
        fix: vec![Fix {
            product: Cow::Borrowed("nginx"),
            versions: Cow::Borrowed(""),
            text: Cow::Owned(fix.to_owned()),
        }],
    };
    let mut legs = vec![ExchangeId(id)];
    legs.extend(hops.iter().map(|hop| hop.between.1));
    let findings = findings.into_iter().filter(|&i| i < a.findings.len()).collect();
    Chain { legs, hops: hops.into(), ..chain(id, Outcome::Refused, verdict, findings) }
}

/// Two legs: the proxy drops Upgrade and speaks HTTP/1.0, the backend answers 426.
pub(crate) fn stripped(a: &mut Analysis, id: u64) {
    let told = "HTTP/1.1 426 Upgrade Required\r\nServer: nginx/1.22.1\r\nDate: today\r\nConnection: keep-alive\r\n\
                Upgrade: websocket\r\n\r\n";
    let said = "HTTP/1.1 426 Upgrade Required\r\nServer: app/3\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n";
    let at = a.findings.len();
    let mut found = finding(
        "hop-downgraded-http10",
        Severity::Error,
        id,
        Text::own("nginx 1.22.1 at 10.0.0.2 forwarded the upgrade as plain HTTP/1.0"),
    );
    found.subject = Subject::Chain(i64::try_from(id).unwrap_or(0));
    a.findings.push(found);
    a.findings.push(finding("refused-426", Severity::Error, id + 1, Text::own("the server refused the upgrade")));
    a.findings.push(finding("res-version-offered", Severity::Warning, id + 1, Text::own("it asks for a version")));
    add(a, leg(id, id, (CLIENT, PROXY), 0, (REQUEST, told)), Outcome::Refused, Vec::new());
    add(a, leg(id + 1, id, ("10.0.1.1:51000", BACKEND), 118, (STRIPPED, said)), Outcome::Refused, vec![at + 1, at + 2]);
    let hop = hop((id, id + 1), &["10.0.0.2", "10.0.1.1"], Some(nginx()), &[MatchKey::Key, MatchKey::Time]);
    let summary = "nginx 1.22.1 at 10.0.0.2 forwarded the upgrade as plain HTTP/1.0 (packets 4 → 14)";
    let fix =
        "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";";
    let chain = refused(a, id, vec![hop], vec![at, at + 1, at + 2], ("hop-downgraded-http10", summary, fix));
    a.chains.push(chain);
}

/// Three legs that work: a named relay of TCP, then nginx.
pub(crate) fn worked(a: &mut Analysis, id: u64) {
    let granted = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {RIGHT}\r\n\r\n"
    );
    let behind = REQUEST.replace("Host: chat.example.org\r\n", "Host: app\r\nX-Forwarded-For: 10.0.0.1\r\n");
    add(a, leg(id, id, (CLIENT, PROXY), 0, (REQUEST, &granted)), Outcome::Upgraded, Vec::new());
    add(a, leg(id + 1, id, ("10.0.1.1:51000", SECOND), 40, (REQUEST, &granted)), Outcome::Upgraded, Vec::new());
    add(a, leg(id + 2, id, ("10.0.1.3:52000", BACKEND), 118, (&behind, &granted)), Outcome::Upgraded, Vec::new());
    let relay = Hop {
        kind: HopKind::Relay,
        name: Some("edge".to_owned()),
        ..hop((id, id + 1), &["10.0.0.2", "10.0.1.1"], None, &[MatchKey::Bytes, MatchKey::Time])
    };
    let proxy = hop((id + 1, id + 2), &["10.0.1.3"], Some(nginx()), &[MatchKey::Key, MatchKey::Time]);
    let legs = vec![ExchangeId(id), ExchangeId(id + 1), ExchangeId(id + 2)];
    a.chains.push(Chain { legs, hops: [relay, proxy].into(), ..chain(id, Outcome::Upgraded, ok(), Vec::new()) });
}

/// The first backend resets the connection, the second one refuses.
pub(crate) fn tried_again(a: &mut Analysis, id: u64) {
    let no = "HTTP/1.1 503 Service Unavailable\r\nServer: app/3\r\n\r\n";
    let told = "HTTP/1.1 503 Service Unavailable\r\nServer: nginx/1.22.1\r\n\r\n";
    add(a, leg(id, id, (CLIENT, PROXY), 0, (REQUEST, told)), Outcome::Refused, Vec::new());
    let mut reset = leg(id + 1, id, ("10.0.1.1:51001", BACKEND), 118, (REQUEST, ""));
    reset.end = End { by: Some(Direction::ServerToClient), how: EndHow::Rst, ..End::default() };
    add(a, reset, Outcome::Unanswered, Vec::new());
    add(a, leg(id + 2, id, ("10.0.1.1:51002", "10.0.1.10:8080"), 500, (REQUEST, no)), Outcome::Refused, Vec::new());
    let to = |far| hop((id, far), &["10.0.0.2", "10.0.1.1"], Some(nginx()), &[MatchKey::Target, MatchKey::Time]);
    let hops = vec![Hop { back: None, confidence: Confidence::Likely, ..to(id + 1) }, to(id + 2)];
    let chain = refused(a, id, hops, Vec::new(), ("refused-503", "the backend refused the upgrade", "upstream { }"));
    a.chains.push(chain);
}

/// One leg, and a connection to the backend that was refused.
pub(crate) fn backend_down(a: &mut Analysis, id: u64) {
    let told = "HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22.1\r\n\r\n";
    let x = leg(id, id, (CLIENT, PROXY), 0, (REQUEST, told));
    let began = x.request.first + Nanos(200_000);
    add(a, x, Outcome::Refused, Vec::new());
    let flow = FlowId(900);
    a.flows.push(FlowFacts {
        answered_at: None,
        unseen_at: None,
        id: flow,
        client: end("10.0.1.1:51003"),
        server: end(BACKEND),
        state: ConnectState::Refused,
        syn: PacketRef::new(0, 95),
        syn_at: began,
        syns: 1,
        end: Some(PacketRef::new(0, 96)),
        end_at: Some(began + Nanos(30_000)),
        rejected: None,
        said: None,
    });
    let verdict = ("gateway-no-backend", "nginx 1.22.1 at 10.0.0.2 could not connect to 10.0.1.9:8080", "server app;");
    let mut chain = refused(a, id, Vec::new(), Vec::new(), verdict);
    let tried = Attempted { behind: ExchangeId(id), flow, confidence: Confidence::Likely };
    chain.tried = [tried].into();
    a.chains.push(chain);
}

/// One of each.
pub(crate) fn journeys() -> Analysis {
    let mut a = frame();
    stripped(&mut a, 1);
    worked(&mut a, 3);
    tried_again(&mut a, 6);
    backend_down(&mut a, 9);
    let proxy = |addresses: &[&str], product: Option<Software>, chains, upgraded| Intermediary {
        addresses: addresses.iter().map(|a| ip(a)).collect(),
        product,
        chains,
        upgraded,
        kept_upgrade: chains - 1,
        ..Intermediary::default()
    };
    let mut first = proxy(&["10.0.0.2", "10.0.1.1"], Some(nginx()), 4, 1);
    first.verdicts.insert("hop-downgraded-http10".to_owned(), 1);
    a.intermediaries = vec![first, Intermediary { kept_upgrade: 1, ..proxy(&["10.0.1.3"], Some(nginx()), 1, 1) }];
    a
}
