//! Streams for the tests of this folder.

use crate::base::Nanos;
use crate::model::{
    Direction, EndHow, Entry, Exchange, Field, Head, LineFaults, Mark, Mechanism, Names, Place, StartLine, Stream,
    WsCounts, WsTotals,
};
use crate::rules::testing::{GOOD, exchange};

pub(crate) use crate::rules::testing::{With, fires, run, words};

/// An extended CONNECT without a fault.
pub(crate) const ASK: &[(&str, &str)] = &[
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", "example.com"),
    (":path", "/chat"),
    ("sec-websocket-version", "13"),
    ("origin", "https://example.com"),
];

/// The fields of HTTP/1.1 over HTTP/2.
pub(crate) const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "example.com"),
    (":path", "/chat"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "aG9wc2NvcGUtdGVzdGtleQ=="),
];

/// A stream, on a connection whose server takes extended CONNECT, and its answer; no end yet.
pub(crate) fn stream(request: &[(&str, &str)], status: Option<&str>) -> Exchange {
    let mut x = exchange(GOOD, Some("HTTP/1.1 200 OK\r\n\r\n"));
    let (first, answered) = (x.request.clone(), x.response.take());
    x.request = head(request, &first);
    let protocol = x.request.has(":protocol");
    let connect = x.request.method() == b"CONNECT";
    x.mechanism = match (protocol, connect) {
        (true, _) => Mechanism::Http2ExtendedConnect,
        (false, true) => Mechanism::Connect,
        _ => Mechanism::Http1Upgrade,
    };
    x.response = status.zip(answered).map(|(status, place)| head(&[(":status", status)], &place));
    let settings = Place { at: first.at, ts: first.first, from: Direction::ServerToClient, offset: 0 };
    let stream = Stream {
        id: 1,
        entry: Entry::Preface,
        connect_protocol: Some(true),
        connect_protocol_at_last: Some(true),
        settings: Some(settings),
        ..Stream::default()
    };
    x.stream = Some(Box::new(stream));
    x
}

/// A granted one on which both sides spoke.
pub(crate) fn granted() -> Exchange {
    stream(ASK, Some("200")).with(|x| {
        let counts = WsCounts { frames: 2, messages: 2, text: 2, ..WsCounts::default() };
        let client = WsCounts { masked: true, ..counts };
        x.ws = Some(WsTotals { client, server: WsCounts { unmasked: true, ..counts }, compressed: false });
    })
}

/// The same, ended by this side without a Close.
pub(crate) fn cut(by: Direction, how: EndHow) -> Exchange {
    granted().with(|x| {
        let at = x.request.first + Nanos::from_secs(5);
        (x.end.by, x.end.how, x.end.at, x.end.packet) = (Some(by), how, Some(at), Some(x.request.at));
        (x.end.tcp_by, x.end.tcp_how, x.end.tcp_at) = (Some(by), how, Some(at));
    })
}

/// The stream's facts, to be changed.
pub(crate) fn facts(x: &mut Exchange) -> &mut Stream {
    x.stream.get_or_insert_default()
}

/// With one field more in the request.
pub(crate) fn ask_with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    ASK.iter().copied().chain([(name, value)]).collect()
}

/// Without a field.
pub(crate) fn ask_without(name: &str) -> Vec<(&'static str, &'static str)> {
    ASK.iter().copied().filter(|(other, _)| *other != name).collect()
}

/// A head of these fields in the place of another.
pub(crate) fn head(fields: &[(&str, &str)], place: &Head) -> Head {
    let mut text = b"HTTP/2\r\n".to_vec();
    let mut ranges = Vec::new();
    let at = |text: &Vec<u8>| u32::try_from(text.len()).unwrap_or(0);
    for (name, value) in fields {
        let from = at(&text);
        text.extend_from_slice(name.as_bytes());
        let to = at(&text);
        text.extend_from_slice(b": ");
        let value_from = at(&text);
        text.extend_from_slice(value.as_bytes());
        ranges.push(Field {
            name: from..to,
            value: value_from..at(&text),
            faults: LineFaults::NONE,
            mark: Mark::default(),
        });
        text.extend_from_slice(b"\r\n");
    }
    let range = |name: &str| fields.iter().position(|f| f.0 == name).map(|at| ranges[at].value.clone());
    let start = match fields.iter().find(|f| f.0 == ":status") {
        Some((_, status)) => StartLine::Response { version: 0..6, status: status.parse().unwrap_or(0), reason: 0..0 },
        None => StartLine::Request {
            method: range(":method").unwrap_or_default(),
            target: range(":path").or(range(":authority")).unwrap_or_default(),
            version: 0..6,
        },
    };
    Head {
        names: Names::of(&text, &mut ranges),
        text: text.into(),
        start,
        fields: ranges.into(),
        faults: LineFaults::NONE,
        complete: true,
        coded: true,
        range: 24..80,
        ..place.clone()
    }
}
