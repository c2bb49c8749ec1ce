//! Rules on two legs: what a hop did to what it passed on (CATALOGUE §4.2, §14). One file per rule; what
//! several of them ask is in `asked` (of the request on its way through) and `support`.

mod asked;
mod auth_stripped;
mod downgraded_http10;
mod duplicated_field;
mod extensions_request_changed;
mod host_rewritten;
mod key_changed;
mod method_changed;
mod origin_changed;
mod path_rewritten;
mod query_lost;
mod rewrote_upgrade_value;
mod stripped_connection;
mod stripped_sec;
mod stripped_upgrade;
mod subprotocol_changed;
mod support;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
mod together;
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
    &host_rewritten::RULE,
    &path_rewritten::RULE,
    &query_lost::RULE,
    &auth_stripped::RULE,
    &subprotocol_changed::RULE,
    &extensions_request_changed::RULE,
    &xff_missing::RULE,
    &xfp_wrong::RULE,
    &origin_changed::RULE,
    &method_changed::RULE,
];
