//! Exchanges made by hand for tests: raw heads in, a `model::Exchange` out.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "test support")]

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Endpoint, ExchangeId, FlowId, Nanos, PacketRef, Timestamp};
use crate::model::{
    Direction, End, EndHow, Exchange, Field, Finding, Head, LineFaults, Mark, Preview, StartLine, Subject, Times,
    WsCounts, WsTotals,
};
use crate::rules::{Findings, Rule, Seen};

/// A good request of a program that is no browser.
pub(crate) const ASK: &str = "GET /chat HTTP/1.1\r\nHost: ws.example\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The right answer to it.
pub(crate) const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Whole milliseconds after the start of the scene.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_parts(1_700_000_000, 0) + Nanos::from_millis(ms)
}

/// `ASK` with more field lines, each ended by CRLF.
pub(crate) fn ask(more: &str) -> String {
    with(ASK, more)
}

/// `GRANT` with more field lines.
pub(crate) fn grant(more: &str) -> String {
    with(GRANT, more)
}

/// `head` without the line of this name.
pub(crate) fn without(head: &str, name: &str) -> String {
    let name = format!("{}:", name.to_ascii_lowercase());
    head.split_inclusive("\r\n").filter(|l| !l.to_ascii_lowercase().starts_with(&name)).collect()
}

fn with(head: &str, more: &str) -> String {
    format!("{}{more}\r\n", head.strip_suffix("\r\n").unwrap())
}

/// A request at 0 ms in packet 4 and its response at 10 ms in packet 6; both connections still open.
/// A request without fields of an upgrade becomes a plain one.
pub(crate) fn exchange(request: &str, response: Option<&str>) -> Exchange {
    let request = head(request.as_bytes(), 4, at(0));
    Exchange {
        id: ExchangeId(1),
        flow: FlowId(1),
        client: Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000),
        server: Endpoint::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)), 80),
        response: response.map(|r| head(r.as_bytes(), 6, at(10))),
        times: Times { syn: Some(at(-2)), rtt: Some(Nanos::from_millis(1)), last: Some(at(20)) },
        ..Exchange::of(request)
    }
}

/// Ends the exchange's connection.
pub(crate) fn ended(mut x: Exchange, by: Direction, how: EndHow, ms: i64) -> Exchange {
    let packet = Some(PacketRef::new(0, 9));
    let (by, at) = (Some(by), Some(at(ms)));
    x.end = End { by, how, at, packet, tcp_by: by, tcp_how: how, tcp_at: at, ..End::default() };
    x.times.last = at;
    x
}

/// Adds counted frames to both directions.
pub(crate) fn with_frames(mut x: Exchange, client: u32, server: u32) -> Exchange {
    let count = |frames| WsCounts { frames, messages: frames, text: frames, ..WsCounts::default() };
    x.ws = Some(WsTotals { client: count(client), server: count(server), compressed: false });
    x
}

pub(crate) fn preview(bytes: &[u8]) -> Option<Box<Preview>> {
    Some(Box::new(Preview { bytes: bytes.into(), at: PacketRef::new(0, 7), ts: at(12), offset: 0 }))
}

/// What one rule finds.
pub(crate) fn run(rule: &'static Rule, x: &Exchange) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(check) = rule.check.of_exchange() else { return out };
    check(x, &Seen::default(), &mut Findings::new(rule, Subject::Exchange(x.id), &mut out));
    out
}

/// The slugs that one rule finds.
pub(crate) fn slugs(rule: &'static Rule, x: &Exchange) -> Vec<String> {
    run(rule, x).into_iter().map(|f| f.rule.into_owned()).collect()
}

/// What all response rules find.
pub(crate) fn run_all(x: &Exchange) -> Vec<Finding> {
    super::RULES.iter().flat_map(|rule| run(rule, x)).collect()
}

/// Splits a head as far as these tests need it: CRLF lines, no folds.
fn head(text: &[u8], packet: u64, first: Timestamp) -> Head {
    let complete = text.ends_with(b"\r\n\r\n");
    let string = String::from_utf8_lossy(text).into_owned();
    let mut faults = LineFaults::NONE;
    let mut lines = Vec::new();
    let mut from = 0;
    for line in string.split_inclusive('\n') {
        if line.ends_with('\n') && !line.ends_with("\r\n") {
            faults.add(LineFaults::BARE_LF);
        }
        lines.push((from as u32, line.trim_end_matches(['\r', '\n'])));
        from += line.len();
    }
    let (_, start) = lines[0];
    let word = |n: usize| {
        let mut words = start.splitn(3, ' ').skip(n);
        words.next().map_or(0..0, |w| {
            let from = (w.as_ptr() as usize - start.as_ptr() as usize) as u32;
            from..from + w.len() as u32
        })
    };
    let start = if start.starts_with("HTTP/") {
        let status = start.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        StartLine::Response { version: word(0), status, reason: word(2) }
    } else {
        StartLine::Request { method: word(0), target: word(1), version: word(2) }
    };
    let fields = lines[1..].iter().filter_map(|(from, line)| {
        let colon = line.find(':')? as u32;
        let value = line[colon as usize + 1..].trim();
        let value_from = from + (value.as_ptr() as usize - line.as_ptr() as usize) as u32;
        Some(Field {
            name: *from..from + colon,
            value: value_from..value_from + value.len() as u32,
            faults: LineFaults::NONE,
            mark: Mark::default(),
        })
    });
    Head {
        text: text.into(),
        start,
        fields: fields.collect(),
        names: crate::model::Names::default(),
        faults,
        complete,
        coded: false,
        at: PacketRef::new(0, packet),
        at_last: PacketRef::new(0, packet),
        first,
        last: first,
        range: 0..text.len() as u64,
    }
}
