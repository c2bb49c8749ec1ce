//! What several request rules ask first.

use crate::model::{Confidence, Direction, Evidence, Exchange, LineFaults, Preview, Severity};
use crate::products::Products;
use crate::rules::Explains;
use crate::wire::accept;

/// What a fault of the request can explain: that it was refused, that the answer is no good, that
/// none came. Never a redirect.
pub(super) const FAILURES: &[Explains] = &[Explains::Refused, Explains::Broken, Explains::Unanswered];

/// Who sends a request.
pub(super) const REQUEST: Direction = Direction::ClientToServer;

/// Whether the request head was seen whole. Only then does the absence of a field mean anything.
pub(super) fn whole(x: &Exchange) -> bool {
    let faults = x.request.faults;
    x.request.complete
        && !x.quality.request_gap
        && !faults.has(LineFaults::TOO_MANY)
        && !faults.has(LineFaults::TOO_LARGE)
}

/// Whether this is a try at the opening handshake of RFC 6455 §4.1, seen whole. A constant Upgrade
/// field on a request without any WebSocket field is none, and neither is the older Hixie-76, or a question whether
/// another request may pass.
pub(super) fn is_attempt(x: &Exchange) -> bool {
    whole(x)
        && (x.has_websocket_fields() || x.is_websocket() && has_sec_websocket(x))
        && !is_hixie(x)
        && x.asks_permission().is_none()
}

/// Whether any `Sec-WebSocket-*` field is in the request.
pub(super) fn has_sec_websocket(x: &Exchange) -> bool {
    x.has_websocket_fields() || x.request.iter().any(|(name, _)| is_sec_websocket(name))
}

/// Whether this is the name of a WebSocket field.
pub(super) fn is_sec_websocket(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"sec-websocket-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Whether this is the handshake of draft-hixie-thewebsocketprotocol-76.
#[inline]
pub(super) fn is_hixie(x: &Exchange) -> bool {
    x.request.has_hixie()
}

/// How bad a fault of the handshake is here: one that was granted all the same, with the right
/// accept, works by luck.
pub(super) fn severity(x: &Exchange) -> Severity {
    if was_granted(x) { Severity::Warning } else { Severity::Error }
}

fn was_granted(x: &Exchange) -> bool {
    let Some(response) = x.response.as_ref().filter(|r| r.status() == Some(101)) else { return false };
    match (x.request.first_value("sec-websocket-key"), response.first_value("sec-websocket-accept")) {
        (Some(key), Some(found)) => accept::expected(key).as_bytes() == found,
        _ => false,
    }
}

/// Where the first bytes of a side stand.
pub(super) fn place(p: &Preview, direction: Direction) -> Evidence {
    let bytes = p.offset..p.offset + p.bytes.len() as u64;
    Evidence { at: p.at, direction: Some(direction), bytes: Some(bytes) }
}

/// Whether these bytes are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether the answer shows a proxy: what stands behind it got a request of its own.
pub(super) fn is_by_proxy(x: &Exchange) -> bool {
    let known = || Products::builtin().responder(x).is_some_and(|found| found.confidence >= Confidence::Likely);
    x.response.as_ref().is_some_and(|head| head.has("via")) || known()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, granted};

    #[test]
    fn a_head_with_a_gap_is_not_whole() {
        assert!(whole(&exchange(GOOD, None)));
        assert!(!whole(&exchange(GOOD, None).with(|x| x.quality.request_gap = true)));
        assert!(!whole(&exchange("GET /chat HTTP/1.1\r\nHost: example.com\r\n", None)));
    }

    #[test]
    fn a_constant_upgrade_field_is_no_attempt() {
        assert!(!is_attempt(&exchange("GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", None)));
        assert!(is_attempt(&exchange(&changed("Upgrade: websocket\r\n", ""), None)));
    }

    #[test]
    fn a_fault_that_was_granted_with_the_right_accept_is_a_warning() {
        assert_eq!(severity(&exchange(GOOD, Some(&granted()))), Severity::Warning);
        assert_eq!(
            severity(&exchange(GOOD, Some("HTTP/1.1 101 S\r\nSec-WebSocket-Accept: no\r\n\r\n"))),
            Severity::Error
        );
        assert_eq!(severity(&exchange(GOOD, None)), Severity::Error);
    }
}
