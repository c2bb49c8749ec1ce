//! Clients that ask their addresses in turn: what one does not answer, another does.

use crate::base::{Nanos, Timestamp, limits};
use crate::model::{FlowFacts, Severity, Text};
use crate::rules::Seen;
use crate::rules::seen::Attempt;

/// How soon a client turns to the other family of addresses (RFC 8305 §5, §8).
const TURNS: Nanos = Nanos::from_secs(2);

/// How soon it does so by design: upon a refusal, or a quarter of a second later (RFC 8305 §5).
const AT_ONCE: Nanos = Nanos::from_millis(300);

/// The upgrade that was granted at once at another address: one of the other family, or another one of the same client.
/// `None`: there was none, and the client was left without.
fn got_through<'s>(flow: &FlowFacts, seen: &'s Seen) -> Option<&'s Attempt> {
    let soon = |at: Timestamp| at.since(flow.syn_at) <= TURNS;
    seen.attempts_after(flow.syn_at).take_while(|a| soon(a.at)).take(limits::SEEN_COMPARED).find(|a| {
        let family = a.server.is_ipv4() != flow.server.ip.is_ipv4();
        let turned = family || a.client == flow.client.ip && a.server != flow.server.ip;
        a.granted && turned && a.server_port == flow.server.port
    })
}

/// How grave it was: a note where a client turned to the other family of addresses, as it is meant to (RFC 8305), and a
/// warning where a hop did, which remembers it against the address, or where another address was asked. `None`: the client
/// was left without.
pub(super) fn severity(flow: &FlowFacts, seen: &Seen) -> Option<Severity> {
    let other = got_through(flow, seen)?;
    let family = other.server.is_ipv4() != flow.server.ip.is_ipv4();
    // Of another family's client nothing says that it is the same, but that it came at once.
    let by_design = family && other.at.since(flow.syn_at) <= AT_ONCE;
    let by_hop = [flow.client.ip, other.client].iter().any(|ip| seen.hops.contains(ip));
    Some(if by_design && !by_hop { Severity::Info } else { Severity::Warning })
}

/// Says behind `text` where the client got through, if it did.
pub(super) fn say(text: Text, flow: &FlowFacts, seen: &Seen) -> Text {
    let Some(other) = got_through(flow, seen) else { return text };
    text.say(format!(" Right behind it {} granted an upgrade (", other.server))
        .packets([other.packet])
        .say("): whoever has several addresses asks them in turn.")
}
