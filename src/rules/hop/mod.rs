//! Rules on two legs: what a hop did to what it passed on. One file per rule; what
//! several of them ask is in `asked` (of the request on its way through), `answer` (of answers), `side` and `said` (of
//! the time after the 101), `tried` (of connections without a request) and `support`.

mod accept_changed;
mod accept_not_translated;
mod affinity_broken;
mod answer;
mod answered_locally;
mod asked;
mod auth_stripped;
mod backend_closed_early;
mod backend_refused;
mod backend_silent;
mod bridge_without_key;
mod buffered;
mod bytes_altered;
mod close_changed;
mod downgraded_http10;
mod duplicated_field;
mod ended_it;
mod extensions;
mod extensions_request_changed;
mod extensions_response_changed;
mod extensions_split;
mod fabricated_101;
mod first_frames_lost;
mod half_open;
mod host_rewritten;
mod interim_mishandled;
mod join_ambiguous;
mod join_missing_leg;
mod key_changed;
mod latency;
mod messages_differ;
mod method_changed;
mod origin_changed;
mod path_rewritten;
mod query_lost;
mod recompressed;
mod refragmented;
mod remasked;
mod retried;
mod rewrote_upgrade_value;
mod routed_by_spelling;
mod routed_elsewhere;
mod said;
mod side;
mod status_changed;
mod stripped_connection;
mod stripped_sec;
mod stripped_upgrade;
mod subprotocol_changed;
mod support;
mod swallowed_101;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
mod together;
pub(super) mod tried;

pub(super) use backend_closed_early::scheme_fix_class;
pub(super) use ended_it::fix_class as ended_fix_class;
pub(super) use swallowed_101::large_fix_class;
mod tunnel_dead;
mod xff_missing;
mod xfp_wrong;

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &stripped_upgrade::RULE,
    &stripped_connection::RULE,
    &downgraded_http10::RULE,
    &rewrote_upgrade_value::RULE,
    &duplicated_field::RULE,
    &stripped_sec::RULE,
    &key_changed::RULE,
    &accept_changed::RULE,
    &accept_not_translated::RULE,
    &fabricated_101::RULE,
    &swallowed_101::RULE,
    &status_changed::RULE,
    &answered_locally::RULE,
    &host_rewritten::RULE,
    &path_rewritten::RULE,
    &routed_by_spelling::RULE,
    &routed_elsewhere::RULE,
    &query_lost::RULE,
    &auth_stripped::RULE,
    &subprotocol_changed::RULE,
    &extensions_request_changed::RULE,
    &extensions_split::RULE,
    &first_frames_lost::RULE,
    &bytes_altered::RULE,
    &messages_differ::RULE,
    &remasked::RULE,
    &refragmented::RULE,
    &recompressed::RULE,
    &buffered::RULE,
    &half_open::RULE,
    &ended_it::RULE,
    &close_changed::RULE,
    &retried::RULE,
    &latency::RULE,
    &affinity_broken::RULE,
    &backend_refused::RULE,
    &backend_closed_early::RULE,
    &xff_missing::RULE,
    &xfp_wrong::RULE,
    &join_missing_leg::RULE,
    &join_ambiguous::RULE,
    &backend_silent::RULE,
    &origin_changed::RULE,
    &method_changed::RULE,
    &extensions_response_changed::RULE,
    &interim_mishandled::RULE,
    &tunnel_dead::RULE,
    &bridge_without_key::RULE,
];
