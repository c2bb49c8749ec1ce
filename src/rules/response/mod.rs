//! What a response says, or does not say, on one leg: refusals, redirects, silence and faulty 101s.

mod client_abandoned;
mod connect_refused_by_proxy;
mod extension_not_offered;
mod extension_params_bad;
mod handshake_slow;
mod looks_like;
mod no_response;
mod not_websocket_after_101;
mod proxy_loop;
mod redirect_target;
mod redirected;
mod refused;
mod res_101_framed;
mod res_101_http10;
mod res_101_then_http;
mod res_101_then_tls;
mod res_101_unsolicited;
mod res_426_no_upgrade;
mod res_connection_no_upgrade;
mod res_data_before_101;
mod res_early_frames;
mod res_head_incomplete;
mod res_line_format;
mod res_not_http;
mod res_upgrade_mismatch;
mod res_upgrade_missing;
mod res_version_offered;
mod socks_refused;
mod subprotocol_empty;
mod subprotocol_not_offered;
mod subprotocol_several;
mod subprotocol_unanswered;
mod support;
#[cfg(test)]
pub(crate) mod testing;
mod tls_handshake_failed;
mod upgrade_ignored_200;
mod why;

pub(super) use no_response::{NOBODYS, answered_late, is_nobodys, is_unanswered};
pub(super) use redirect_target::{leads_to_other_port, location_host, redirected_to, wants_tls};
pub(super) use refused::{INQUIRY, fix_class as refused_fix_class, fix_classes as refused_fix_classes};
pub(super) use res_head_incomplete::breaks_off;
pub(super) use socks_refused::{SOCKS, at_fault as socks_at_fault};
pub(super) use support::left_before_grant;
pub(super) use support::{
    FAULTS_OF_101, REFUSAL_CAUSES, client_left_at_once, is_attempt, length, tcp_ended, whole_response,
};
pub use tls_handshake_failed::TLS;
pub(super) use tls_handshake_failed::{
    at_fault as tls_at_fault, fix_class as tls_fix_class, is_nameless as is_tls_nameless, is_torn as is_tls_torn,
};
pub(super) use why::own_causes;

use crate::rules::Rule;

/// Rules of this folder about what either side sends: their first piece of evidence tells which.
pub(super) const OF_EITHER: [&str; 2] = [TLS, "not-websocket-after-101"];

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &refused::RULE,
    &upgrade_ignored_200::RULE,
    &redirected::REDIRECTED,
    &redirected::TO_HTTPS,
    &redirected::SLASH,
    &redirected::LOGIN,
    &redirected::HOST,
    &redirected::BROKEN,
    &redirected::LOOP,
    &no_response::RULE,
    &proxy_loop::RULE,
    &res_head_incomplete::RULE,
    &res_not_http::RULE,
    &tls_handshake_failed::RULE,
    &socks_refused::RULE,
    &res_upgrade_missing::RULE,
    &res_upgrade_mismatch::RULE,
    &res_connection_no_upgrade::RULE,
    &res_101_unsolicited::RULE,
    &res_101_framed::RULE,
    &res_101_http10::RULE,
    &res_line_format::RULE,
    &subprotocol_not_offered::RULE,
    &subprotocol_unanswered::RULE,
    &subprotocol_several::RULE,
    &subprotocol_empty::RULE,
    &extension_not_offered::RULE,
    &extension_params_bad::RULE,
    &res_426_no_upgrade::RULE,
    &res_version_offered::RULE,
    &res_early_frames::RULE,
    &res_data_before_101::RULE,
    &res_101_then_http::RULE,
    &res_101_then_tls::RULE,
    &not_websocket_after_101::RULE,
    &handshake_slow::RULE,
    &client_abandoned::RULE,
    &connect_refused_by_proxy::RULE,
];

/// Those that may find something in an exchange whose heads are [ordinary](super::ordinary).
pub(super) static OF_ORDINARY: &[&Rule] = &[
    &no_response::RULE,
    &subprotocol_not_offered::RULE,
    &subprotocol_unanswered::RULE,
    &subprotocol_several::RULE,
    &subprotocol_empty::RULE,
    &extension_not_offered::RULE,
    &extension_params_bad::RULE,
    &res_early_frames::RULE,
    &res_101_then_http::RULE,
    &res_101_then_tls::RULE,
    &not_websocket_after_101::RULE,
    &handshake_slow::RULE,
    &client_abandoned::RULE,
];

/// Whether the rule with this slug tells of a redirect.
pub(super) fn is_redirect(slug: &str) -> bool {
    slug.starts_with("redirect")
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use crate::model::Severity;

    #[test]
    fn a_healthy_upgrade_raises_nothing() {
        let browser = ask("Origin: http://ws.example\r\nUser-Agent: Mozilla/5.0\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
        let granted = grant("Sec-WebSocket-Extensions: permessage-deflate\r\nServer: x\r\n");
        assert!(run_all(&with_frames(exchange(&browser, Some(&granted)), 3, 3)).is_empty());
        let mut after_401 = exchange(&ask("Authorization: Basic eDp5\r\n"), Some(GRANT));
        after_401.index_in_flow = 1;
        assert!(run_all(&after_401).is_empty());
    }

    #[test]
    fn other_upgrades_and_plain_requests_raise_no_fault() {
        let plain = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade-Insecure-Requests: 1\r\nAccess-Control-Allow-Headers: \
             Sec-WebSocket-Key\r\n\r\n";
        for status in ["200 OK", "301 Moved", "404 Not Found", "426 Upgrade Required", "500 Oops"] {
            let response = format!("HTTP/1.1 {status}\r\nLocation: /x\r\nUpgrade: h2,h2c\r\n\r\n");
            assert!(run_all(&exchange(plain, Some(&response))).is_empty(), "{status}");
        }
        for token in ["h2c", "SPDY/3.1", "tcp", "TLS/1.2", "IPP"] {
            let request = format!("POST /x HTTP/1.1\r\nHost: x\r\nUpgrade: {token}\r\nConnection: Upgrade\r\n\r\n");
            let granted = format!("HTTP/1.1 101 Switching\r\nUpgrade: {token}\r\nConnection: Upgrade\r\n\r\n");
            assert!(run_all(&exchange(&request, Some(&granted))).is_empty(), "{token}");
        }
    }

    #[test]
    fn a_response_with_lost_bytes_raises_nothing_about_its_fields() {
        let mut x = exchange(ASK, Some("HTTP/1.1 101 Switching Protocols\r\nServer: x\r\n\r\n"));
        x.quality.response_gap = true;
        assert!(run_all(&x).is_empty());
        let cut = exchange(ASK, Some("HTTP/1.1 101 Switching Protocols\r\nServer: x\r\n"));
        assert!(run_all(&cut).is_empty());
    }

    #[test]
    fn every_rule_explains_itself() {
        for rule in RULES {
            assert!(!rule.title.ends_with('.') && !rule.about.is_empty(), "{}", rule.id);
            assert!(!rule.refs.is_empty() && !rule.causes.is_empty(), "{}", rule.id);
            assert!(rule.severity != Severity::Info || rule.explains.is_empty(), "{}", rule.id);
        }
    }
}
