//! What goes wrong on a leg in HTTP/2 (RFC 9113, RFC 8441), and which rules of HTTP/1.1 do not apply there.

mod alpn_h2_only;
mod backend_needs_h1;
mod bridge;
mod coalesced_421;
mod connect_pseudo;
mod connect_refused;
mod end_stream_early;
mod flow_stall;
mod get_with_ws_fields;
mod goaway;
mod hop_by_hop_field;
mod key_or_accept_present;
mod no_setting;
mod setting_absent;
mod setting_advertised_unsupported;
mod setting_reverted;
mod status_101;
mod stream_ended_no_close;
mod support;
#[cfg(test)]
pub(crate) mod testing;

pub(super) use support::refused_by;

use crate::model::Exchange;
use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &hop_by_hop_field::RULE,
    &get_with_ws_fields::RULE,
    &no_setting::RULE,
    &setting_absent::RULE,
    &alpn_h2_only::RULE,
    &setting_advertised_unsupported::RULE,
    &setting_reverted::RULE,
    &connect_pseudo::RULE,
    &connect_refused::RULE,
    &status_101::RULE,
    &key_or_accept_present::RULE,
    &end_stream_early::RULE,
    &stream_ended_no_close::RULE,
    &goaway::RULE,
    &flow_stall::RULE,
    &bridge::RULE,
    &backend_needs_h1::RULE,
    &coalesced_421::RULE,
];

/// Rules about what only HTTP/1.1 has: its `Upgrade` and `Connection`, a key and its accept, its lines, its 101; and
/// about the end of TCP, where a rule of this folder speaks of the stream's.
const OF_HTTP1: &[&str] = &[
    "accept-missing",
    "accept-on-non-101",
    "accept-repeated",
    "connection-lists-e2e",
    "connection-list-strict-peer",
    "end-reset",
    "end-without-close",
    "legacy-hixie",
    "proxy-connection-field",
    "req-absolute-form",
    "req-connection-no-upgrade",
    "req-has-body",
    "req-host-missing",
    "req-host-repeated",
    "req-http10",
    "req-key-bad-base64",
    "req-key-constant",
    "req-key-missing",
    "req-key-not-16-bytes",
    "req-key-repeated",
    "req-line-format",
    "req-method-not-get",
    "req-orphan-key",
    "req-upgrade-other-protocol",
    "res-101-cached",
    "res-101-framed",
    "res-101-http10",
    "res-101-unsolicited",
    "res-426-no-upgrade",
    "res-connection-no-upgrade",
    "res-line-format",
    "res-upgrade-mismatch",
    "res-upgrade-missing",
    "upgrade-duplicated",
    "upgrade-forced",
    "upgrade-ignored-200",
    "upgrade-value-wrong",
];

/// Rules that compare what only two legs of HTTP/1.1 both have.
const BETWEEN_HTTP1: &[&str] = &[
    "hop-accept-changed",
    "hop-accept-not-translated",
    "hop-key-changed",
    "hop-method-changed",
    "hop-rewrote-upgrade-value",
    "hop-stripped-connection",
    "hop-stripped-upgrade",
];

/// Whether these rules are for this exchange: a stream, or HTTP/1.1 that came to nothing inside TLS, where HTTP/2 may
/// have been agreed upon.
pub(super) fn concern(x: &Exchange) -> bool {
    x.is_stream() || x.granted().is_none() && x.is_inside_tls()
}

/// Whether this rule may judge this exchange.
pub(super) fn judges(rule: &Rule, x: &Exchange) -> bool {
    !x.is_stream() || !OF_HTTP1.contains(&rule.id)
}

/// Whether this rule may compare these two legs.
pub(super) fn compares(rule: &Rule, near: &Exchange, far: &Exchange) -> bool {
    !(near.is_stream() || far.is_stream()) || !BETWEEN_HTTP1.contains(&rule.id)
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use crate::model::Severity;
    use crate::rules::{Seen, all, find, run};

    #[test]
    fn the_rules_left_out_exist() {
        for slug in OF_HTTP1.iter().chain(BETWEEN_HTTP1) {
            assert!(find(slug).is_some(), "{slug}");
        }
    }

    #[test]
    fn a_healthy_stream_raises_nothing() {
        let x = granted();
        let found = run::exchange(&x, &Default::default(), &Seen::default());
        let slugs: Vec<_> = found.iter().filter(|f| f.severity != Severity::Info).map(|f| &*f.rule).collect();
        assert_eq!(slugs, Vec::<&str>::new());
    }

    #[test]
    fn every_rule_of_this_folder_is_told_of_by_its_own_slug() {
        for rule in RULES {
            assert!(
                (rule.id.starts_with("h2-") || rule.id == "alpn-h2-only") && all().any(|other| other.id == rule.id),
                "{}",
                rule.id
            );
            assert!(!rule.refs.is_empty() && !rule.causes.is_empty(), "{}", rule.id);
        }
    }
}
