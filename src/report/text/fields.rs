//! Fields of heads that a block tells, one by one.

use crate::base::escape::escape;
use crate::model::Head;
use crate::report::text::Context;
use crate::report::text::block::VALUE;
use crate::report::text::page::clip;

/// Fields of a request that an upgrade hangs on, in the order in which they are told.
pub(super) const ASKED: [&str; 11] = [
    ":protocol",
    ":authority",
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
    "User-Agent",
];

/// The same of a response, and what tells who wrote it.
pub(super) const ANSWERED: [&str; 14] = [
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Version",
    "Location",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Retry-After",
    "Server",
    "Via",
    "X-Cache",
    "Content-Type",
];

/// Fields by which a request is found in the log of a proxy or a tracing system.
pub(super) const REQUEST_IDS: [&str; 16] = [
    "X-Request-ID",
    "Request-Id",
    "X-Correlation-ID",
    "X-Client-Request-Id",
    "traceparent",
    "X-B3-TraceId",
    "b3",
    "uber-trace-id",
    "X-Amzn-Trace-Id",
    "X-Amz-Cf-Id",
    "X-Cloud-Trace-Context",
    "CF-Ray",
    "X-Azure-Ref",
    "X-Varnish",
    "X-Forwarded-For",
    "Forwarded",
];

/// The fields of these names that the head has, each line.
pub(super) fn told(c: &mut Context<'_>, head: &Head, names: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for name in names {
        for field in head.lines(name).take(4) {
            let value = c.masker.field(head.name(field), head.value(field));
            let cut = if head.is_cut(field) { "… (cut)" } else { "" };
            out.push(format!("{}: {}{cut}", escape(head.name(field)), clip(&value, VALUE)));
        }
    }
    out
}

/// Whether a ladder tells this field anyway.
pub(super) fn in_ladder(field: &str) -> bool {
    ["upgrade:", "connection:", "server:", "location:"]
        .iter()
        .any(|name| field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}
