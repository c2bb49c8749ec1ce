//! What several rules of this folder ask: which responses they may judge, and how to word them.

use crate::base::{Nanos, Timestamp};
use crate::model::{Direction, EndHow, Exchange, Head, LineFaults, Mechanism, Text};
use crate::rules::rule::both;

pub(super) const FROM_SERVER: Direction = Direction::ServerToClient;
pub(super) const FROM_CLIENT: Direction = Direction::ClientToServer;

/// Faults of the request that make a server refuse, ignore or drop it: a refusal beside one of them
/// is only its symptom. `origin-host-mismatch` is none: whether it was the reason, only the server knows; nor are
/// `hop-host-rewritten` and `hop-origin-changed`, which speak for themselves where the answer fits them.
pub(super) const REQUEST_FAULTS: &[&str] = &[
    "alpn-h2-only",
    "connection-lists-e2e",
    "h2-backend-needs-h1",
    "h2-connect-pseudo",
    "h2-end-stream-early",
    "h2-get-with-ws-fields",
    "h2-hop-by-hop-field",
    "hop-auth-stripped",
    "hop-bridge-without-key",
    "hop-downgraded-http10",
    "hop-key-changed",
    "hop-method-changed",
    "hop-path-rewritten",
    "hop-query-lost",
    "hop-rewrote-upgrade-value",
    "hop-routed-by-spelling",
    "hop-routed-elsewhere",
    "hop-stripped-connection",
    "hop-stripped-sec",
    "hop-stripped-upgrade",
    "hop-subprotocol-changed",
    "proxy-protocol-missing",
    "proxy-protocol-unexpected",
    "req-connection-no-upgrade",
    "req-early-data",
    "req-extension-malformed",
    "req-has-body",
    "req-head-incomplete",
    "req-head-too-large",
    "req-host-missing",
    "req-host-repeated",
    "req-http10",
    "req-key-bad-base64",
    "req-key-missing",
    "req-key-not-16-bytes",
    "req-subprotocol-missing",
    "req-key-repeated",
    "req-method-not-get",
    "req-orphan-key",
    "req-subprotocol-malformed",
    "req-version-missing",
    "req-version-not-13",
    "tls-plain-mismatch",
    "h2-to-http1",
    "upgrade-duplicated",
    "upgrade-value-wrong",
];

/// Faults of a 101 for which a client or a hop that checks it must not take it: where a hop then answers with
/// something else, they are why.
pub(in crate::rules) const FAULTS_OF_101: &[&str] = &[
    "accept-mismatch",
    "accept-missing",
    "accept-repeated",
    "extension-not-offered",
    "res-101-framed",
    "res-101-http10",
    "res-101-unsolicited",
    "res-connection-no-upgrade",
    "res-upgrade-mismatch",
    "res-upgrade-missing",
    "subprotocol-not-offered",
];

/// What hops and backends do to an answer, or instead of one: a refusal is its symptom.
const LOST_ANSWERS: &[&str] = &[
    "affinity-broken",
    "answer-lost",
    "backend-closed-early",
    "backend-refused",
    "tls-handshake-failed",
    "backend-silent",
    "backend-unreachable",
    "hop-101-swallowed",
    "hop-answered-locally",
    "hop-interim-mishandled",
    "hop-latency",
    "hop-status-changed",
    "lost-between",
    "proxy-loop",
    "request-lost",
    "rst-injected",
    "syn-rejected",
];

/// What can be the cause of a refusal.
pub(in crate::rules) const REFUSAL_CAUSES: &[&str] =
    &both::<{ REQUEST_FAULTS.len() + ANSWER_FAULTS.len() }>(REQUEST_FAULTS, ANSWER_FAULTS);

const ANSWER_FAULTS: &[&str] = &both::<{ LOST_ANSWERS.len() + FAULTS_OF_101.len() }>(LOST_ANSWERS, FAULTS_OF_101);

/// How long after a 101 a client that leaves without a frame counts as having rejected it, where two
/// round trips are shorter: programs need time to raise an error.
const ABANDONED: Nanos = Nanos::from_secs(1);

/// Whether this is an attempt to open a WebSocket. `Upgrade: websocket` without key and version is
/// none: proxies put it on every request (rule `upgrade-forced`). Nor is a proxy's question whether another may pass.
pub(in crate::rules) fn is_attempt(x: &Exchange) -> bool {
    match x.mechanism {
        Mechanism::Http1Upgrade => x.has_websocket_fields() && x.asks_permission().is_none(),
        Mechanism::Http2ExtendedConnect => x.is_websocket(),
        Mechanism::Connect | Mechanism::None => false,
    }
}

/// The response head, if every byte of it was seen: only then is a missing field missing.
pub(in crate::rules) fn whole_response(x: &Exchange) -> Option<&Head> {
    let cut = LineFaults(LineFaults::TOO_MANY.0 | LineFaults::TOO_LARGE.0);
    x.response.as_ref().filter(|r| r.complete && !x.quality.response_gap && !r.faults.has(cut))
}

/// The request head, if every byte of it was seen.
pub(super) fn whole_request(x: &Exchange) -> Option<&Head> {
    let cut = LineFaults(LineFaults::TOO_MANY.0 | LineFaults::TOO_LARGE.0);
    (x.request.complete && !x.quality.request_gap && !x.request.faults.has(cut)).then_some(&x.request)
}

/// The whole head of what grants a WebSocket request.
pub(super) fn websocket_101(x: &Exchange) -> Option<&Head> {
    whole_response(x).filter(|_| x.granted().is_some() && x.is_websocket())
}

/// The request and the whole 101 to it, where both may be compared.
pub(super) fn websocket_heads(x: &Exchange) -> Option<(&Head, &Head)> {
    Some((whole_request(x)?, websocket_101(x)?))
}

/// Whether the client closed right behind the 101 without having sent a frame.
pub(in crate::rules) fn client_left_at_once(x: &Exchange) -> bool {
    let sent = x.after_101[0].is_some() || x.ws.is_some_and(|ws| ws.client.frames > 0 || ws.client.broken);
    let Some(granted) = x.granted() else { return false };
    let left = x.end.tcp_by == Some(Direction::ClientToServer) && matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst);
    let (true, false, false, Some(at)) = (left, sent, x.quality.gap, x.end.tcp_at) else { return false };
    let two_rtt = x.times.rtt.map_or(Nanos::ZERO, |rtt| Nanos(rtt.0.saturating_mul(2)));
    // Who left before the 101 did not reject it.
    at >= granted.last && at.since(granted.last) <= ABANDONED.max(two_rtt)
}

/// Whether the client had closed the connection before its request was granted: it never heard of it.
pub(in crate::rules) fn left_before_grant(x: &Exchange) -> bool {
    let (Some(granted), Some(at)) = (x.granted().filter(|_| !x.is_stream()), x.end.tcp_at) else { return false };
    let spoke = x.after_101[0].is_some() || x.ws.is_some_and(|ws| ws.client.frames > 0);
    tcp_ended(x) && x.end.tcp_by == Some(FROM_CLIENT) && at < granted.first && at > x.request.last && !spoke
}

/// Whether the exchange's connection was seen to end (FIN or RST).
pub(in crate::rules) fn tcp_ended(x: &Exchange) -> bool {
    matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst)
}

/// Adds `426 Upgrade Required`.
pub(super) fn say_status(text: Text, head: &Head) -> Text {
    let text = match head.status() {
        Some(status) => text.say(status.to_string()),
        None => text.say("an unreadable status"),
    };
    if head.reason().is_empty() { text } else { text.say(" ").bytes(head.reason()) }
}

/// `Name: value` of the first line of this name, or `no Name`.
pub(super) fn show_field(head: &Head, name: &'static str) -> Text {
    match head.first_value(name) {
        Some(value) => Text::own(format!("{name}: ")).field(name.as_bytes(), value),
        None => Text::own(format!("no {name}")),
    }
}

/// The time between two points in words: `1.5 ms`, `3.2 s`.
pub(in crate::rules) fn length(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.since(from).as_secs_f64();
    if seconds.abs() < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}
