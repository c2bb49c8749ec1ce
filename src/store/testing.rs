//! An analysis made by hand: one upgrade that worked, one with a wrong accept, one refused.

use std::borrow::Cow;

use crate::base::{Counters, Endpoint, ExchangeId, FlowId, Nanos, PacketRef, Timestamp};
use crate::model::*;
use crate::store::{Analysis, Row};

mod journeys;

pub(crate) use journeys::journeys;

/// 2026-01-02T02:14:07.311Z.
pub(crate) const START: Timestamp = Timestamp(1_767_320_047_311_000_000);

const RIGHT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const WRONG: &[u8] = b"5wDaSp0SVvPHpHvxs/Iya3ZYqOo=";

/// A head from its text, as a parser would have it.
pub(crate) fn head(text: &str, packet: u64, at: Timestamp) -> Head {
    let range = |from: usize, to: usize| u32::try_from(from).unwrap_or(0)..u32::try_from(to).unwrap_or(0);
    let line = text.split("\r\n").next().unwrap_or_default();
    let mut parts = line.splitn(3, ' ').scan(0, |from, part| {
        let start = *from;
        *from += part.len() + 1;
        Some(start..start + part.len())
    });
    let mut part = || parts.next().map_or(0..0, |r| range(r.start, r.end));
    let start = if line.starts_with("HTTP/") {
        let (version, status) = (part(), part());
        let code = line.get(status.start as usize..status.end as usize).and_then(|s| s.parse().ok()).unwrap_or(0);
        StartLine::Response { version, status: code, reason: part() }
    } else {
        StartLine::Request { method: part(), target: part(), version: part() }
    };
    let mut fields = Vec::new();
    let mut from = line.len() + 2;
    for line in text.get(from..).unwrap_or_default().split("\r\n") {
        if let Some((name, value)) = line.split_once(": ") {
            fields.push(Field {
                name: range(from, from + name.len()),
                value: range(from + name.len() + 2, from + name.len() + 2 + value.len()),
                faults: LineFaults::NONE,
                mark: Mark::default(),
            });
        }
        from += line.len() + 2;
    }
    Head {
        text: text.as_bytes().into(),
        start,
        fields: fields.into(),
        names: Names::default(),
        faults: LineFaults::NONE,
        complete: true,
        coded: false,
        at: PacketRef::new(0, packet),
        at_last: PacketRef::new(0, packet),
        first: at,
        last: at,
        range: 0..text.len() as u64,
    }
}

/// An exchange on its own connection, number `id`, `id` seconds after the start.
pub(crate) fn exchange(id: u64, server: &str, request: &str, response: &str) -> Exchange {
    let at = START + Nanos::from_secs(i64::try_from(id).unwrap_or(0) - 1);
    let port = 40_000 + u16::try_from(id % 20_000).unwrap_or(0);
    let server: std::net::SocketAddr = server.parse().unwrap_or(([0, 0, 0, 0], 0).into());
    Exchange {
        id: ExchangeId(id),
        flow: FlowId(u32::try_from(id).unwrap_or(0)),
        client: Endpoint::new([10, 0, 0, 1].into(), port),
        server: Endpoint::new(server.ip(), server.port()),
        mechanism: Mechanism::Http1Upgrade,
        response: (!response.is_empty()).then(|| head(response, id * 10 - 4, at + Nanos(1_670_000))),
        times: Times { syn: Some(at), rtt: None, last: Some(at) },
        ..Exchange::of(head(request, id * 10 - 6, at))
    }
}

fn request(extra: &str) -> String {
    format!(
        "GET /chat?room=7&token=topsecret HTTP/1.1\r\nHost: chat.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: sid=topsecret2\r\n{extra}\r\n"
    )
}

fn ok() -> Verdict {
    Verdict {
        because: None,
        rule: Cow::Borrowed("ok"),
        severity: Severity::Info,
        confidence: Confidence::Certain,
        blame: None,
        summary: Text::own("the upgrade worked"),
        fix: Vec::new(),
    }
}

fn chain(id: u64, outcome: Outcome, verdict: Verdict, findings: Vec<usize>) -> Chain {
    let signed = i64::try_from(id).unwrap_or(0);
    Chain {
        id: signed,
        legs: vec![ExchangeId(id)],
        flow: None,
        hops: Box::default(),
        tried: Box::default(),
        sealed: Box::default(),
        outcome,
        verdict: verdict.into(),
        findings,
    }
}

fn finding(rule: &'static str, severity: Severity, id: u64, message: Text) -> Finding {
    Finding {
        rule: Cow::Borrowed(rule),
        severity,
        confidence: Confidence::Certain,
        subject: Subject::Exchange(ExchangeId(id)),
        message,
        expected: Text::new(),
        found: Text::new(),
        evidence: vec![Evidence {
            at: PacketRef::new(0, id * 10 - 4),
            direction: Some(Direction::ServerToClient),
            bytes: Some(0..34),
        }],
        causes: vec![Cow::Borrowed("a cause")],
        allowed: false,
    }
}

/// An upgrade that worked, number `id`, to `server`.
pub(crate) fn healthy(a: &mut Analysis, id: u64, server: &str) {
    let mut x = exchange(
        id,
        server,
        &request(""),
        &format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {RIGHT}\r\n\r\n"
        ),
    );
    let counts =
        WsCounts { frames: 3, messages: 2, payload_bytes: 30, text: 2, close: 1, masked: true, ..WsCounts::default() };
    x.ws = Some(WsTotals {
        client: counts,
        server: WsCounts { masked: false, unmasked: true, ..counts },
        compressed: false,
    });
    x.end = End {
        by: Some(Direction::ClientToServer),
        how: EndHow::CloseFrame,
        close: Some(Close { code: Some(1000), reason: Box::default() }),
        at: Some(x.request.first + Nanos::from_secs(4)),
        packet: None,
        idle_before: Some(Nanos(1_200)),
        idle_of: [None, None],
        lifetime: Some(Nanos::from_secs(4)),
        tcp_by: Some(Direction::ClientToServer),
        tcp_how: EndHow::Fin,
        tcp_at: Some(x.request.first + Nanos::from_secs(4)),
    };
    let handshake = Handshake { accept_verdict: AcceptVerdict::Valid, wrong: None };
    let index = a.findings.len();
    a.findings.push(finding("origin-missing", Severity::Info, id, Text::own("the request has no Origin")));
    a.rows.push(Row { exchange: Box::new(x), handshake, outcome: Outcome::Upgraded, findings: vec![index] });
    a.chains.push(chain(id, Outcome::Upgraded, ok(), vec![index]));
}

/// A 101 with an accept that does not belong to the key.
pub(crate) fn wrong_accept(a: &mut Analysis, id: u64, server: &str) {
    let x = exchange(
        id,
        server,
        &request("X-Request-ID: 7f3a-11\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.22.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: 5wDaSp0SVvPHpHvxs/Iya3ZYqOo=\r\n\r\n",
    );
    let handshake = Handshake {
        accept_verdict: AcceptVerdict::Invalid,
        wrong: Some(Box::new(WrongAccept { kind: "guid-missing", recipe: "SHA-1 of the key alone".to_owned() })),
    };
    let index = a.findings.len();
    a.findings.push(Finding {
        expected: Text::own(RIGHT),
        found: Text::new().field(b"Sec-WebSocket-Accept", WRONG),
        ..finding(
            "accept-mismatch",
            Severity::Error,
            id,
            Text::own("Sec-WebSocket-Accept does not belong to the key: ").bytes(WRONG),
        )
    });
    a.rows.push(Row { exchange: Box::new(x), handshake, outcome: Outcome::Broken, findings: vec![index] });
    let verdict = Verdict {
        because: None,
        rule: Cow::Borrowed("accept-mismatch"),
        severity: Severity::Error,
        confidence: Confidence::Certain,
        blame: Some(Blame { role: Role::Server, address: Some(server.to_owned()), product: None }),
        summary: Text::own(format!(
            "the server {server} computed Sec-WebSocket-Accept from the key alone, without the GUID of RFC 6455, so every \
             conforming client must drop the connection"
        )),
        fix: vec![Fix {
            product: Cow::Borrowed("backend"),
            versions: Cow::Borrowed(""),
            text: Cow::Borrowed(
                "accept = base64(sha1(key + \"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\"))\nhopscope accept dGhlIHNhbXBsZSBub25jZQ==",
            ),
        }],
    };
    a.chains.push(chain(id, Outcome::Broken, verdict, vec![index]));
}

/// A proxy's 403.
pub(crate) fn refused(a: &mut Analysis, id: u64, server: &str) {
    let mut x = exchange(
        id,
        server,
        &request("Origin: https://evil.example\r\nUser-Agent: Mozilla/5.0\r\n").replace("Connection: Upgrade\r\n", ""),
        "HTTP/1.1 403 Forbidden\r\nServer: nginx/1.22.1\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\n",
    );
    x.body = b"origin not allowed".as_slice().into();
    let handshake = Handshake { accept_verdict: AcceptVerdict::NotApplicable, ..Handshake::default() };
    let index = a.findings.len();
    a.findings.push(finding("refused-403", Severity::Error, id, Text::own("the upgrade was refused with 403")));
    a.findings.push(finding("origin-host-mismatch", Severity::Warning, id, Text::own("Origin and Host differ")));
    a.rows.push(Row { exchange: Box::new(x), handshake, outcome: Outcome::Refused, findings: vec![index, index + 1] });
    let verdict = Verdict {
        because: None,
        rule: Cow::Borrowed("refused-403"),
        severity: Severity::Error,
        confidence: Confidence::Likely,
        blame: Some(Blame { role: Role::Hop, address: Some("10.0.0.2".to_owned()), product: Some("nginx".to_owned()) }),
        summary: Text::own("nginx at 10.0.0.2 refused the upgrade because of its Origin ")
            .field(b"Origin", b"https://evil.example"),
        fix: vec![Fix {
            product: Cow::Borrowed("nginx"),
            versions: Cow::Borrowed(">= 1.3.13"),
            text: Cow::Borrowed("proxy_set_header Host $host;\nproxy_set_header Origin $http_origin;"),
        }],
    };
    a.chains.push(chain(id, Outcome::Refused, verdict, vec![index, index + 1]));
}

/// One of each, and a capture that is not perfect.
pub(crate) fn sample() -> Analysis {
    let mut a = frame();
    healthy(&mut a, 1, "10.0.0.2:80");
    wrong_accept(&mut a, 2, "10.0.1.9:8080");
    refused(&mut a, 3, "10.0.0.2:80");
    a
}

/// Two inputs; a tunnel that was cut, one that cannot be judged, a refused connection, a 401 that was
/// settled, a known fault.
pub(crate) fn odd() -> Analysis {
    let mut a = frame();
    a.inputs.push(InputFacts {
        path: "leg2.pcap".to_owned(),
        packets: 9,
        snapped: 9,
        snaplen: Some(96),
        ..a.inputs[0].clone()
    });
    for id in 1..=3 {
        healthy(&mut a, id, "10.0.0.2:80");
    }
    let verdict = |rule: &'static str, severity, text: &'static str| Verdict {
        because: None,
        rule: Cow::Borrowed(rule),
        severity,
        blame: Some(Blame {
            role: Role::Hop,
            address: Some("10.0.0.2:80".to_owned()),
            product: Some("nginx".to_owned()),
        }),
        summary: Text::own(text),
        ..ok()
    };
    a.rows[0].exchange.end = End {
        by: Some(Direction::ServerToClient),
        how: EndHow::Fin,
        idle_before: Some(Nanos::from_secs(60)),
        lifetime: Some(Nanos::from_secs(125)),
        at: Some(START),
        ..End::default()
    };
    a.chains[0].verdict =
        verdict("idle-timeout", Severity::Warning, "nginx at 10.0.0.2 cuts tunnels after 60 s of silence").into();
    let unknown = "the capture begins behind the request; on 10.0.0.2: tcpdump -i any -s 0 -w leg2.pcap 'host 10.0.1.9 and port 8080'";
    a.chains[1].verdict = Verdict { blame: None, ..verdict("unknown", Severity::Info, unknown) }.into();
    a.chains[1].outcome = Outcome::Unknown;
    a.rows[1].exchange.quality.midstream = true;
    a.rows[1].exchange.response = None;
    a.rows[1].exchange.end = End::default();
    a.rows[1].exchange.via = vec![Wrapper::Connect(b"chat.example.org:80".as_slice().into())];
    a.chains[2].outcome = Outcome::Refused;
    wrong_accept(&mut a, 4, "10.0.1.9:8080");
    if let Some(found) = a.findings.last_mut() {
        found.allowed = true;
    }
    let mut lost = finding("connect-refused", Severity::Error, 5, Text::own("nothing listens at 10.0.0.2:81"));
    lost.subject = Subject::Flow(FlowId(9));
    lost.evidence = vec![Evidence { at: PacketRef::new(1, 3), direction: None, bytes: None }];
    a.findings.push(lost);
    a.flows.push(FlowFacts {
        answered_at: None,
        unseen_at: None,
        id: FlowId(9),
        client: Endpoint::new([10, 0, 0, 1].into(), 40_009),
        server: Endpoint::new([10, 0, 0, 2].into(), 81),
        state: ConnectState::Refused,
        syn: PacketRef::new(0, 2),
        syn_at: START,
        syns: 3,
        end: Some(PacketRef::new(1, 3)),
        end_at: Some(START + Nanos::from_millis(7)),
        rejected: None,
        said: None,
    });
    a.chains.push(Chain {
        id: -9,
        legs: Vec::new(),
        flow: Some(FlowId(9)),
        hops: Box::default(),
        tried: Box::default(),
        sealed: Box::default(),
        outcome: Outcome::Unanswered,
        verdict: Verdict {
            blame: Some(Blame { role: Role::Server, address: Some("10.0.0.2:81".to_owned()), product: None }),
            ..verdict("connect-refused", Severity::Error, "nothing listens at 10.0.0.2:81")
        }
        .into(),
        findings: vec![a.findings.len() - 1],
    });
    a
}

/// `failed` wrong accepts of one server among `worked` good upgrades.
pub(crate) fn many(worked: u64, failed: u64) -> Analysis {
    let mut a = frame();
    for id in 1..=worked + failed {
        if id <= failed { wrong_accept(&mut a, id, "10.0.1.9:8080") } else { healthy(&mut a, id, "10.0.0.2:80") }
    }
    a.patterns.push(Pattern {
        chains: failed,
        field: "server",
        value: Text::new().bytes(b"10.0.1.9:8080"),
        failed_share: 1.0,
        others_failed_share: 0.0,
        since: START,
    });
    a
}

fn frame() -> Analysis {
    Analysis {
        inputs: vec![InputFacts {
            path: "edge.pcapng".to_owned(),
            format: "pcapng",
            link_types: vec!["EN10MB".to_owned()],
            packets: 123,
            captured_bytes: 45_678,
            first: Some(START),
            last: Some(START + Nanos::from_secs(17 * 60)),
            ..InputFacts::default()
        }],
        counters: Counters {
            packets: 123,
            flows: 4,
            http_requests: 5,
            http_responses: 5,
            gaps: 1,
            gap_bytes: 1_448,
            ..Counters::default()
        },
        ..Analysis::default()
    }
}
