//! Exchanges made from text, for the tests of this folder. Uses no parser of the program.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use super::{Hints, judge};
use crate::base::{Endpoint, ExchangeId, FlowId, PacketRef, Timestamp};
use crate::model::{Exchange, Field, Finding, Handshake, Head, LineFaults, Mark, StartLine, Subject, WsTotals};
use crate::rules::{Check, Findings, Rule, Seen};

/// The sample of RFC 6455.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(super) const RIGHT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Wrong GUIDs as the loader would give them.
pub(super) const WRONG: [(&str, &str); 2] = [
    ("258EAFA5-E914-47DA-95CA-5AB5DC085B11", "seen in public code"),
    ("258EAFA5-E914-47DA-95CA-5AB9DC11B5AB", "seen in public code"),
];

/// A request and its answer, to be bent.
#[derive(Clone)]
pub(super) struct Answer(pub(super) Exchange);

impl Answer {
    pub(super) fn raw(response: &str) -> Self {
        let request = format!(
            "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let client = Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
        let server = Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 80);
        Answer(Exchange {
            id: ExchangeId(1),
            flow: FlowId(1),
            client,
            server,
            response: Some(head(response, 6, 10)),
            ..Exchange::of(head(&request, 4, 0))
        })
    }

    /// A good 101 with these accept lines.
    pub(super) fn accepts(values: &[&str]) -> Self {
        let lines: String = values.iter().map(|v| format!("Sec-WebSocket-Accept: {v}\r\n")).collect();
        Answer::raw(&format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n"
        ))
    }

    pub(super) fn right() -> Self {
        Answer::accepts(&[RIGHT])
    }

    pub(super) fn without_accept() -> Self {
        Answer::accepts(&[])
    }

    /// One more line in the response.
    pub(super) fn with(mut self, line: &str) -> Self {
        if let Some(response) = &self.0.response {
            let text = String::from_utf8_lossy(&response.text).into_owned();
            let text = format!("{}{line}\r\n\r\n", &text[..text.len() - 2]);
            self.0.response = Some(head(&text, 6, 10));
        }
        self
    }

    /// As the answer to this request.
    pub(super) fn to(mut self, request: &str) -> Self {
        self.0.request = head(request, 4, 0);
        self
    }

    pub(super) fn cut_request(mut self) -> Self {
        self.0.request.complete = false;
        self
    }

    pub(super) fn cut_response(mut self) -> Self {
        if let Some(response) = &mut self.0.response {
            response.complete = false;
        }
        self
    }

    pub(super) fn client_frames(mut self, frames: u32) -> Self {
        let mut ws = WsTotals::default();
        ws.client.frames = frames;
        ws.client.masked = frames > 0;
        self.0.ws = Some(ws);
        self
    }
}

/// What a rule finds in one exchange alone.
pub(super) fn find(rule: &'static Rule, answer: Answer) -> Vec<Finding> {
    find_all(rule, &[answer])
}

/// What a rule finds in exchanges that follow each other by a second.
pub(super) fn find_all(rule: &'static Rule, answers: &[Answer]) -> Vec<Finding> {
    let Check::Handshake(check) = rule.check else { panic!("{} looks at no handshake", rule.id) };
    let exchanges = in_a_row(answers);
    let seen = seen(&exchanges);
    let mut hints = Hints::default();
    let mut out = Vec::new();
    for x in &exchanges {
        let handshake = judge(x, &seen, &mut hints, &WRONG);
        let subject = Subject::Exchange(x.id);
        check(x, &handshake, &seen, &mut Findings::new(rule, subject, &mut out));
    }
    out
}

/// The judgements on exchanges that follow each other by a second.
pub(super) fn judge_all(answers: &[Answer]) -> Vec<Handshake> {
    let exchanges = in_a_row(answers);
    let seen = seen(&exchanges);
    let mut hints = Hints::default();
    exchanges.iter().map(|x| judge(x, &seen, &mut hints, &WRONG)).collect()
}

fn in_a_row(answers: &[Answer]) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = answers.iter().map(|a| a.0.clone()).collect();
    for (i, x) in (0u32..).zip(&mut all) {
        x.id = ExchangeId(u64::from(i) + 1);
        x.flow = FlowId(i + 1);
        let later = crate::base::Nanos::from_secs(i64::from(i));
        for head in std::iter::once(&mut x.request).chain(&mut x.response) {
            head.first = head.first + later;
            head.last = head.last + later;
        }
    }
    all
}

fn seen(exchanges: &[Exchange]) -> Seen {
    let mut seen = Seen::default();
    for x in exchanges {
        seen.learn(x, false);
    }
    seen
}

/// A head from its text, lines ended by CR LF. `millis`: when it arrived.
pub(super) fn head(text: &str, packet: u64, millis: i64) -> Head {
    let mut lines = text.split_inclusive("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut at = first.len();
    let start = start_line(first.trim_end());
    let mut fields = Vec::new();
    for line in lines {
        if let Some((name, value)) = line.trim_end().split_once(':') {
            let from = at + name.len() + 1 + (value.len() - value.trim_start().len());
            fields.push(Field {
                name: range(at, at + name.len()),
                value: range(from, from + value.trim().len()),
                faults: LineFaults::NONE,
                mark: Mark::default(),
            });
        }
        at += line.len();
    }
    let time = Timestamp::default() + crate::base::Nanos::from_millis(1_000_000 + millis);
    Head {
        text: text.as_bytes().into(),
        start,
        fields: fields.into(),
        names: crate::model::Names::default(),
        faults: LineFaults::NONE,
        complete: true,
        coded: false,
        at: PacketRef::new(0, packet),
        at_last: PacketRef::new(0, packet),
        first: time,
        last: time,
        range: 0..text.len() as u64,
    }
}

fn start_line(line: &str) -> StartLine {
    let mut words = line.splitn(3, ' ');
    let mut at = 0;
    let mut next = || {
        let word = words.next().unwrap_or_default();
        let found = (range(at, at + word.len()), word);
        at += word.len() + 1;
        found
    };
    let ((a, first), (b, second), (c, _)) = (next(), next(), next());
    if first.starts_with("HTTP/") {
        StartLine::Response { version: a, status: second.parse().unwrap_or(0), reason: c }
    } else {
        StartLine::Request { method: a, target: b, version: c }
    }
}

fn range(from: usize, to: usize) -> Range<u32> {
    u32::try_from(from).unwrap_or(0)..u32::try_from(to).unwrap_or(0)
}
