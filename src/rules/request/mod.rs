//! Rules on the request (and, where there is none, on the connection). One file per rule; what
//! several of them ask is in `facts`, `key_form` and `extension_list`.

mod absolute_form;
mod backend_unreachable;
mod connect_refused;
mod connection_list;
mod connection_lists_e2e;
mod connection_no_upgrade;
mod early_data;
mod extension_legacy;
mod extension_list;
mod extension_malformed;
mod facts;
mod h2_to_http1;
mod has_body;
mod head_incomplete;
mod head_too_large;
mod host_missing;
mod host_repeated;
mod http10;
mod key_bad_base64;
mod key_constant;
mod key_form;
mod key_missing;
mod key_not_16_bytes;
mod key_repeated;
mod legacy_hixie;
mod line_format;
mod method_not_get;
mod not_http;
mod origin_host_mismatch;
mod origin_missing;
mod origin_null;
mod orphan_key;
mod proxy_connection;
mod proxy_protocol_missing;
mod proxy_protocol_unexpected;
mod slow;
mod subprotocol_malformed;
mod subprotocol_missing;
mod syn_lost;
mod syn_rejected;
mod tls_plain_mismatch;
mod turned;
mod upgrade_duplicated;
mod upgrade_forced;
mod upgrade_other_protocol;
mod upgrade_value_wrong;

pub(in crate::rules) use backend_unreachable::other_port;
pub(in crate::rules) use key_constant::is_known as has_constant_key;
pub(super) use origin_host_mismatch::agrees as origin_agrees;
pub(super) use syn_rejected::told as rejected;
pub(super) use upgrade_forced::is_forced;
mod version_missing;
mod version_not_13;
mod via_reveals_h2;
mod via_reveals_http10;

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &orphan_key::RULE,
    &connection_no_upgrade::RULE,
    &upgrade_value_wrong::RULE,
    &upgrade_duplicated::RULE,
    &upgrade_forced::RULE,
    &upgrade_other_protocol::RULE,
    &connection_list::RULE,
    &connection_lists_e2e::RULE,
    &method_not_get::RULE,
    &http10::RULE,
    &host_missing::RULE,
    &host_repeated::RULE,
    &key_missing::RULE,
    &key_repeated::RULE,
    &key_not_16_bytes::RULE,
    &key_bad_base64::RULE,
    &key_constant::RULE,
    &version_missing::RULE,
    &version_not_13::RULE,
    &has_body::RULE,
    &absolute_form::RULE,
    &subprotocol_malformed::RULE,
    &subprotocol_missing::RULE,
    &extension_malformed::RULE,
    &extension_legacy::RULE,
    &origin_host_mismatch::RULE,
    &origin_null::RULE,
    &origin_missing::RULE,
    &early_data::RULE,
    &head_too_large::RULE,
    &proxy_connection::RULE,
    &line_format::RULE,
    &via_reveals_http10::RULE,
    &via_reveals_h2::RULE,
    &legacy_hixie::RULE,
    &slow::RULE,
    &head_incomplete::RULE,
    &tls_plain_mismatch::RULE,
    &h2_to_http1::RULE,
    &not_http::RULE,
    &proxy_protocol_unexpected::RULE,
    &proxy_protocol_missing::RULE,
    &connect_refused::RULE,
    &backend_unreachable::RULE,
    &syn_lost::RULE,
    &syn_rejected::RULE,
];

/// Those that may find something in an exchange whose heads are [ordinary](super::ordinary).
pub(super) static OF_ORDINARY: &[&Rule] = &[
    &key_constant::RULE,
    &subprotocol_malformed::RULE,
    &subprotocol_missing::RULE,
    &extension_malformed::RULE,
    &extension_legacy::RULE,
    &origin_missing::RULE,
    &slow::RULE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;
    use crate::rules::testing::{GOOD, REFUSED, exchange, granted, run};

    #[test]
    fn a_faultless_request_raises_nothing() {
        for answer in [None, Some(granted()), Some(REFUSED.to_owned())] {
            let x = exchange(GOOD, answer.as_deref());
            for rule in RULES.iter().filter(|r| r.check.of_exchange().is_some()) {
                assert!(run(rule, &x).is_empty(), "{}", rule.id);
            }
        }
    }

    #[test]
    fn other_protocols_and_plain_requests_raise_no_more_than_a_fact() {
        let requests = [
            "POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
            "POST /containers/1/attach HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nUpgrade-Insecure-Requests: 1\r\nConnection: close\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Connection: keep-alive\r\n\r\n",
        ];
        for request in requests {
            let x = exchange(request, Some(REFUSED));
            for rule in RULES.iter().filter(|r| r.check.of_exchange().is_some()) {
                assert!(run(rule, &x).iter().all(|f| f.severity == Severity::Info), "{}: {request}", rule.id);
            }
        }
    }

    #[test]
    fn the_default_of_old_nginx_comes_down_to_http10() {
        let x = exchange(
            "GET /chat HTTP/1.0\r\nHost: backend\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n\r\n",
            Some("HTTP/1.1 426 Upgrade Required\r\n\r\n"),
        );
        let fired: Vec<&&Rule> = RULES
            .iter()
            .filter(|r| r.check.of_exchange().is_some() && !r.explains.is_empty() && !run(r, &x).is_empty())
            .collect();
        let causes: Vec<&str> =
            fired.iter().filter(|r| !fired.iter().any(|o| r.symptom_of.contains(&o.id))).map(|r| r.id).collect();
        assert_eq!(causes, ["req-http10"]);
    }

    #[test]
    fn facts_and_notes_explain_nothing() {
        for rule in RULES.iter().filter(|r| r.severity == Severity::Info || r.id == "req-key-constant") {
            assert!(rule.explains.is_empty(), "{}", rule.id);
        }
    }
}
