//! For the tests of this folder: heads from text.

use crate::base::{Endpoint, FlowId, PacketRef, Timestamp};
use crate::model::{ConnectState, Field, FlowFacts, Head, LineFaults, Mark, Names, StartLine};

/// A connection without a request, of which this was its SYN.
pub(crate) fn lone(
    id: u32,
    (client, server): (Endpoint, Endpoint),
    state: ConnectState,
    (syn, syn_at): (PacketRef, Timestamp),
) -> FlowFacts {
    FlowFacts {
        id: FlowId(id),
        client,
        server,
        state,
        syn,
        syn_at,
        syns: 1,
        end: None,
        end_at: None,
        rejected: None,
        said: None,
        answered_at: None,
        unseen_at: None,
    }
}

/// A head from its text, lines ended by CRLF.
pub(crate) fn head(text: &str) -> Head {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let first = text.find("\r\n").unwrap_or(text.len());
    let line = &text[..first];
    let one = line.find(' ').unwrap_or(line.len());
    let start = if line.starts_with("HTTP/") {
        let rest = &line[one + 1..];
        let two = rest.find(' ').map_or(line.len(), |at| one + 1 + at);
        let status = line[one + 1..two].parse().unwrap_or(0);
        StartLine::Response {
            version: 0..place(one),
            status,
            reason: place((two + 1).min(line.len()))..place(line.len()),
        }
    } else {
        let two = line.rfind(' ').unwrap_or(line.len());
        StartLine::Request {
            method: 0..place(one),
            target: place(one + 1)..place(two),
            version: place(two + 1)..place(line.len()),
        }
    };
    let mut fields = Vec::new();
    let mut from = first + 2;
    for line in text[from..].split("\r\n").take_while(|line| !line.is_empty()) {
        let colon = line.find(':').unwrap_or(line.len());
        let value = line[(colon + 1).min(line.len())..].trim();
        let value_at = from + line.len() - line[(colon + 1).min(line.len())..].trim_start().len();
        fields.push(Field {
            name: place(from)..place(from + colon),
            value: place(value_at)..place(value_at + value.len()),
            faults: LineFaults::NONE,
            mark: Mark::default(),
        });
        from += line.len() + 2;
    }
    Head {
        text: text.as_bytes().into(),
        start,
        names: Names::of(text.as_bytes(), &mut fields),
        fields: fields.into(),
        faults: LineFaults::NONE,
        complete: true,
        coded: false,
        at: PacketRef::new(0, 1),
        at_last: PacketRef::new(0, 1),
        first: Timestamp::default(),
        last: Timestamp::default(),
        range: 0..text.len() as u64,
    }
}
