//! What the rules on the answer's way back through a hop ask first, and how they speak.

use std::borrow::Cow;

use crate::base::{Nanos, PacketRef};
use crate::model::{Direction, Exchange, Head, Text};
use crate::rules::journey::{HopView, Journey, Leg, full_name, who};
use crate::rules::response;

/// Who sends an answer.
pub(super) const ANSWER: Direction = Direction::ServerToClient;

/// How long a leg must go on behind what should have been passed on before its silence means that it was
/// not.
pub(super) const WAIT: Nanos = Nanos::from_secs(1);

/// Statuses that a proxy answers by itself where its backend gives it nothing; 520 to 524 are Cloudflare's.
const GATEWAY: [u16; 9] = [500, 502, 503, 504, 520, 521, 522, 523, 524];

/// Faults of a request as it reached a backend, after which that backend may close, hang or refuse: what a
/// hop did to it, or what the client sent so. One of them is why, and what came of it is not.
pub(super) const SPOILT: &[&str] = &[
    "answer-lost",
    "backend-refused",
    "backend-unreachable",
    "hop-downgraded-http10",
    "hop-duplicated-field",
    "hop-method-changed",
    "hop-rewrote-upgrade-value",
    "hop-stripped-connection",
    "hop-stripped-sec",
    "hop-stripped-upgrade",
    "lost-between",
    "proxy-loop",
    "proxy-protocol-missing",
    "proxy-protocol-unexpected",
    "req-connection-no-upgrade",
    "req-head-too-large",
    "req-host-missing",
    "req-host-repeated",
    "req-http10",
    "req-key-bad-base64",
    "req-key-missing",
    "req-key-not-16-bytes",
    "req-key-repeated",
    "req-method-not-get",
    "req-orphan-key",
    "req-version-missing",
    "req-version-not-13",
    "request-lost",
    "rst-injected",
    "syn-rejected",
    "tls-handshake-failed",
    "h2-to-http1",
    "tls-plain-mismatch",
    "upgrade-value-wrong",
];

/// Whether the rules on answers apply: the near leg asks for WebSocket, the hop writes HTTP, and what came
/// back over this far leg is what it had to pass on.
pub(super) fn passes_on(view: &HopView<'_>) -> bool {
    view.writes_http() && view.near.x.is_websocket() && !view.tried_again
}

/// The whole head of a 101, or of a 2xx that grants an extended CONNECT.
pub(super) fn granted(x: &Exchange) -> Option<&Head> {
    response::whole_response(x).filter(|_| x.granted().is_some())
}

/// Far and near, where both legs were granted.
pub(super) fn both_granted<'a>(view: &HopView<'a>) -> Option<(&'a Head, &'a Head)> {
    Some((granted(view.far.x)?, granted(view.near.x)?))
}

/// A final answer other than 101, by its status line alone.
pub(super) fn refusal(x: &Exchange) -> Option<(&Head, u16)> {
    let head = x.response.as_ref()?;
    head.status().filter(|&code| code >= 200 && x.granted().is_none()).map(|code| (head, code))
}

/// Whether this leg had its answer before the near leg had one. Each by its own clock: the far request
/// began no earlier than the near one, so an answer that was passed on took the near leg no less time.
pub(super) fn came_first(view: &HopView<'_>) -> bool {
    match (view.far.x.latency(), view.near.x.latency()) {
        (Some(far), Some(near)) => far <= near,
        _ => false,
    }
}

/// The head's own 101 that never reached the near leg, and what the hop did instead.
pub(super) fn lost_101<'a>(view: &HopView<'a>) -> Option<(&'a Head, Instead<'a>)> {
    let (near, far) = (view.near.x, view.far.x);
    let granted = granted(far).filter(|_| near.is_websocket() && !view.tried_again)?;
    let took = granted.first.since(far.request.first);
    let after = |at: crate::base::Timestamp| at.since(near.request.first);
    if let Some((head, code)) = refusal(near) {
        return came_first(view).then_some((granted, Instead::Status(head, code)));
    }
    if let Some(odd) = &near.odd_response {
        let clean = near.response.is_none() && !near.quality.response_gap && after(odd.ts) >= took;
        return clean.then_some((granted, Instead::Garbage(odd.at)));
    }
    if !response::is_unanswered(near) {
        return None;
    }
    let over = near.end.tcp_at.or(near.times.last)?;
    match near.end.tcp_by {
        Some(ANSWER) => (after(over) >= took).then_some((granted, Instead::Closed(near.end.packet))),
        // A client that leaves while the backend thinks it over has lost nothing.
        _ => (after(over).0 >= took.0.saturating_add(WAIT.0)).then_some((granted, Instead::Nothing)),
    }
}

/// What the near leg got instead of the 101 that came to the hop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instead<'a> {
    Status(&'a Head, u16),
    /// Bytes that are no HTTP response.
    Garbage(PacketRef),
    /// The hop closed the connection.
    Closed(Option<PacketRef>),
    /// Nothing, for as long as the client waited or the capture goes on.
    Nothing,
}

impl Instead<'_> {
    /// Behind "and".
    pub(super) fn words(&self) -> String {
        match self {
            Instead::Status(_, code) => format!("answered its client {code}"),
            Instead::Garbage(_) => "sent its client bytes that are no HTTP response".to_owned(),
            Instead::Closed(_) => "closed its client's connection without an answer".to_owned(),
            Instead::Nothing => "never answered its client".to_owned(),
        }
    }

    /// What the near leg got.
    pub(super) fn found(&self) -> Text {
        match self {
            Instead::Status(head, _) => status_line(head),
            Instead::Garbage(_) => Text::own("no HTTP"),
            Instead::Closed(_) | Instead::Nothing => Text::own("no answer"),
        }
    }

    /// The packet that shows it.
    pub(super) fn at(&self) -> Option<PacketRef> {
        match self {
            Instead::Status(head, _) => Some(head.at),
            Instead::Garbage(at) => Some(*at),
            Instead::Closed(at) => *at,
            Instead::Nothing => None,
        }
    }
}

/// Whether the hop in front of a backend gave up on it: the answer is one that proxies give by themselves, or
/// there is none although the capture can tell.
pub(super) fn gave_up(near: &Exchange) -> bool {
    match near.status() {
        Some(code) => GATEWAY.contains(&code),
        None => response::is_unanswered(near),
    }
}

/// Behind "and": what the client of a hop had of it.
pub(super) fn outcome(near: &Exchange) -> String {
    match near.status() {
        Some(code) => format!("answered its client {code}"),
        None => "its client got no answer".to_owned(),
    }
}

/// The same with the hop for its subject, in the middle of a sentence.
pub(super) fn received(who: &str, near: &Exchange) -> String {
    match near.status() {
        Some(code) => format!("{who} answered its client {code}"),
        None => format!("the client of {who} got no answer"),
    }
}

/// `101 Switching Protocols`.
pub(super) fn status_line(head: &Head) -> Text {
    let code = head.status().map_or_else(|| "an unreadable status".to_owned(), |code| code.to_string());
    if head.reason().is_empty() { Text::own(code) } else { Text::own(code).say(" ").bytes(head.reason()) }
}

/// The hop, what it did, and the packets in which the answer came and left, as one sentence.
pub(super) fn sentence(view: &HopView<'_>, did: Text) -> Text {
    let (far, near) = (view.far.x, view.near.x);
    let came = far.response.as_ref().map_or(far.request.at, |r| r.at);
    let left = near.response.as_ref().map(|r| r.at);
    told(&view.who(), did, came, left)
}

/// Who did what, between which packets: `… (packets 7 → 8).`
pub(super) fn told(who: &str, did: Text, came: PacketRef, left: Option<PacketRef>) -> Text {
    let packets = [came].into_iter().chain(left);
    Text::own(format!("{} ", capital(who))).join(did).say(" (").packets(packets).say(").")
}

/// With a capital where the first word is ours; names keep their letters.
pub(super) fn capital(who: &str) -> Cow<'_, str> {
    who.strip_prefix("the ").map_or(Cow::Borrowed(who), |rest| Cow::Owned(format!("The {rest}")))
}

/// Whoever answers a leg, in the middle of a sentence.
pub(super) fn answerer(journey: &Journey<'_>, leg: &Leg<'_>) -> String {
    if let Some(hop) = journey.hops.iter().find(|hop| hop.between.0 == leg.x.id) {
        return who(hop);
    }
    let last = journey.last().is_some_and(|last| last.x.id == leg.x.id);
    let software = journey.view.responder.filter(|s| last && s.confidence >= crate::model::Confidence::Likely);
    match software {
        Some(software) => format!("{} at {}", full_name(software), leg.x.server_behind().ip),
        None => format!("the proxy at {}", leg.x.server_behind().ip),
    }
}

/// What a field says as a whole; `None` where the head breaks off in it, or it is absent.
pub(super) fn value<'a>(head: &'a Head, name: &str) -> Option<&'a [u8]> {
    head.whole_value(name).map(crate::model::head::trim)
}

/// The leg with this id.
pub(super) fn leg<'a>(journey: &Journey<'a>, id: crate::base::ExchangeId) -> Option<Leg<'a>> {
    journey.legs.iter().find(|leg| leg.x.id == id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, exchange, words};

    #[test]
    fn packets_of_several_inputs_name_them() {
        let did = || Text::own("did it");
        let (a, b) = (PacketRef::new(0, 7), PacketRef::new(1, 3));
        assert_eq!(
            words(&told("the proxy at 192.0.2.1", did(), a, Some(PacketRef::new(0, 8)))),
            "The proxy at 192.0.2.1 did it (packets 7 → 8)."
        );
        assert_eq!(
            words(&told("nginx at 192.0.2.1", did(), a, Some(b))),
            "nginx at 192.0.2.1 did it (packets 7 of input 0 → 3 of input 1)."
        );
        assert_eq!(words(&told("nginx at 192.0.2.1", did(), a, None)), "nginx at 192.0.2.1 did it (packet 7).");
    }

    #[test]
    fn only_what_proxies_say_by_themselves_is_giving_up() {
        assert!(gave_up(&exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"))));
        assert!(!gave_up(&exchange(GOOD, Some(REFUSED))));
        assert!(!gave_up(&exchange(GOOD, None)), "the capture ends before it can tell");
    }
}
