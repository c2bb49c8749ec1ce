//! What several rules of this folder ask.

use crate::rules::Explains;
use crate::rules::journey::HopView;

/// Outcomes that a fault of a hop can explain before or at the 101.
pub(super) const FAILURES: &[Explains] =
    &[Explains::Refused, Explains::Redirected, Explains::Broken, Explains::Unanswered];

/// Whether the rules of RFC 6455 apply: the near leg asks for WebSocket in HTTP/1.x, both heads were seen
/// whole, and the hop writes HTTP.
pub(super) fn is_websocket(view: &HopView<'_>) -> bool {
    view.writes_http() && view.near.x.is_websocket() && view.requests_whole()
}
