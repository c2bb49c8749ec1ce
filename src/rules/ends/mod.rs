//! Rules on how a WebSocket ended, or why it may end soon. One file per rule; `support` is what several of them ask
//! of one leg, `who` finds out over all legs who ended it, `limit` which known limit a measured time is.

mod answer_lost;
mod asker;
mod backpressure;
mod by_policy;
mod clean;
mod client_closed_tcp_first;
mod close_code_meaning;
mod close_unanswered;
mod closed_at_once;
mod flapping;
mod half_closed;
mod idle_timeout;
mod idle_timeout_encrypted;
mod idle_timeout_match;
mod lifetime_limit_match;
mod limit;
mod lost_between;
mod mass_end;
mod mtu_black_hole;
mod one_way_loss;
mod ping_period_vs_timeout;
mod request_lost;
mod reset;
mod rst_injected;
mod silent_drop;
mod still_open;
mod support;
#[cfg(test)]
pub(in crate::rules) mod testing;
mod tunnel_rejected;
pub(in crate::rules) mod who;
mod without_close;

use crate::model::{Direction, EndHow, Exchange, FlowFacts};
use crate::rules::Rule;

pub(in crate::rules) use answer_lost::is_seen as is_answer_lost;
pub use asker::{left_by_client, left_idle};
pub(in crate::rules) use close_code_meaning::is_peers_fault;
pub use idle_timeout::cut_midstream;
pub use idle_timeout_encrypted::ended_idle;
pub(in crate::rules) use request_lost::is_seen as is_request_lost;

pub(in crate::rules) use support::{beats, cut_by, is_probe, is_whole, spans, spell};
pub(in crate::rules) use tunnel_rejected::{blame as rejected, is_rejected};
pub(in crate::rules) use without_close::{CAUSES, QUIET, quiet_fix_class};

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &clean::RULE,
    &without_close::RULE,
    &reset::RULE,
    &rst_injected::RULE,
    &silent_drop::RULE,
    &lost_between::RULE,
    &mtu_black_hole::RULE,
    &one_way_loss::RULE,
    &answer_lost::RULE,
    &request_lost::RULE,
    &tunnel_rejected::RULE,
    &idle_timeout_match::RULE,
    &idle_timeout::RULE,
    &idle_timeout_encrypted::RULE,
    &lifetime_limit_match::RULE,
    &mass_end::RULE,
    &flapping::RULE,
    &by_policy::RULE,
    &half_closed::RULE,
    &still_open::RULE,
    &close_code_meaning::RULE,
    &close_unanswered::RULE,
    &closed_at_once::RULE,
    &client_closed_tcp_first::RULE,
    &ping_period_vs_timeout::RULE,
    &backpressure::RULE,
];

/// Whether this rule is one of these, or says the same of a stream: then who ended the tunnel is to blame.
pub(super) fn is_end(rule: &Rule) -> bool {
    RULES.iter().any(|own| own.id == rule.id) || rule.id == "h2-stream-ended-no-close"
}

/// Rules about a third box, which nobody's address tells.
pub(super) fn by_stranger(rule: &Rule) -> bool {
    matches!(
        rule.id,
        "rst-injected"
            | "silent-drop"
            | "lost-between"
            | "mtu-black-hole"
            | "one-way-loss"
            | "answer-lost"
            | "request-lost"
            | "tunnel-rejected"
    )
}

/// Whether what failed the TLS handshake of this connection is between its ends: the ClientHello did not arrive, or another
/// box reset the connection.
pub(super) fn is_hello_between(flow: &FlowFacts) -> bool {
    request_lost::is_hello_lost(flow) || rst_injected::is_of_hello(flow)
}

/// Whether the end of this tunnel must be looked at over its whole journey.
pub fn needs_journey(x: &Exchange) -> bool {
    if support::tunnel(x).is_none() {
        return false;
    }
    let farewell = match (x.end.how, x.end.close.as_ref().and_then(|close| close.code)) {
        (EndHow::CloseFrame, None | Some(1000)) => true,
        (EndHow::CloseFrame, Some(1001)) => x.end.by == Some(Direction::ClientToServer),
        (EndHow::Open, _) => true,
        _ => false,
    };
    !farewell || beats(x).next().is_some() || x.talk.as_ref().is_some_and(|talk| talk.transport.is_some())
}
