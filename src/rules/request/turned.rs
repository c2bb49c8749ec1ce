//! Clients that ask their addresses in turn: what one does not answer, another does.

use crate::base::{Nanos, Timestamp, limits};
use crate::model::{FlowFacts, Text};
use crate::rules::Seen;
use crate::rules::seen::Attempt;

/// How soon a client turns to the other family of addresses (RFC 8305 §5, §8).
const TURNS: Nanos = Nanos::from_secs(2);

/// The upgrade that was granted at once at another address: one of the other family, or another one of the same client.
/// `None`: there was none, and the client was left without.
pub(super) fn got_through<'s>(flow: &FlowFacts, seen: &'s Seen) -> Option<&'s Attempt> {
    let at_once = |at: Timestamp| at >= flow.syn_at && at.since(flow.syn_at) <= TURNS;
    seen.attempts().take(limits::SEEN_COMPARED).find(|a| {
        let family = a.server.is_ipv4() != flow.server.ip.is_ipv4();
        let turned = family || a.client == flow.client.ip && a.server != flow.server.ip;
        a.granted && turned && a.server_port == flow.server.port && at_once(a.at)
    })
}

/// Says behind `text` where the client got through, if it did.
pub(super) fn say(text: Text, flow: &FlowFacts, seen: &Seen) -> Text {
    let Some(other) = got_through(flow, seen) else { return text };
    text.say(format!(" Right behind it {} granted an upgrade (", other.server))
        .packets([other.packet])
        .say("): whoever has several addresses asks them in turn.")
}
