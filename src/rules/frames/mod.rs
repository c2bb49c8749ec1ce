//! What was said behind a 101 of WebSocket, on one leg: frames and messages that break RFC 6455 or RFC 7692, Pings
//! without an answer, and what is worth knowing of both directions.

mod app_heartbeat;
mod app_refused;
mod close_code_invalid;
mod continuation_missing;
mod continuation_unexpected;
mod control_fragmented;
mod control_interleaved;
mod control_too_long;
mod data_after_close;
mod deflate_bomb;
mod deflate_error;
mod deflate_error_context;
mod deflate_error_trailer;
mod deflate_error_truncated;
mod deflate_error_window;
mod deflate_useless;
mod empty_fragment_flood;
mod frame_huge;
mod length_msb;
mod length_not_minimal;
mod mask_constant;
mod mask_missing;
mod mask_unexpected;
mod mask_zero;
mod mqtt_keep_alive;
mod opcode_reserved;
mod peer_silent;
mod peer_vanished;
mod ping_unanswered;
mod pong_mismatch;
mod receiver_stuck;
mod rsv1_on_continuation;
mod rsv1_on_control;
mod rsv1_without_extension;
mod rsv_set;
mod support;
#[cfg(test)]
pub(crate) mod testing;
mod text_as_binary_json;
mod utf8_invalid;

pub(super) use mqtt_keep_alive::is_broken as is_promise_broken;
pub(super) use ping_unanswered::{asked_in_vain, swallowed_by_hop};
pub(super) use receiver_stuck::stuck_before;

use crate::model::{Direction, FaultClass, Finding};
use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &app_refused::RULE,
    &mask_missing::RULE,
    &mask_unexpected::RULE,
    &mask_constant::RULE,
    &mask_zero::RULE,
    &rsv_set::RULE,
    &rsv1_without_extension::RULE,
    &rsv1_on_control::RULE,
    &rsv1_on_continuation::RULE,
    &opcode_reserved::RULE,
    &control_too_long::RULE,
    &control_fragmented::RULE,
    &length_not_minimal::RULE,
    &length_msb::RULE,
    &frame_huge::RULE,
    &continuation_unexpected::RULE,
    &continuation_missing::RULE,
    &control_interleaved::RULE,
    &utf8_invalid::RULE,
    &text_as_binary_json::RULE,
    &empty_fragment_flood::RULE,
    &deflate_error::RULE,
    &deflate_error_window::RULE,
    &deflate_error_context::RULE,
    &deflate_error_truncated::RULE,
    &deflate_error_trailer::RULE,
    &deflate_bomb::RULE,
    &deflate_useless::RULE,
    &data_after_close::RULE,
    &close_code_invalid::RULE,
    &ping_unanswered::RULE,
    &peer_silent::RULE,
    &peer_vanished::RULE,
    &pong_mismatch::RULE,
    &receiver_stuck::RULE,
    &mqtt_keep_alive::RULE,
    &app_heartbeat::RULE,
];

/// Which side a finding of these rules speaks of. `None`: it is of another rule.
pub(super) fn sender(finding: &Finding) -> Option<Direction> {
    find(&finding.rule)?;
    let from = finding.evidence.first()?.direction?;
    // The evidence is the Ping, or the Close, the fault the missing answer; or a refusal of who asked.
    let missing = [ping_unanswered::RULE.id, peer_silent::RULE.id, mqtt_keep_alive::RULE.id].contains(&&*finding.rule)
        || app_refused::is_askers_fault(finding);
    Some(if missing { from.other() } else { from })
}

/// Which kind of mending a finding of these rules calls for: in the code of whoever sent it. `None`: it is of another
/// rule, or that one's own class holds.
pub(super) fn fix_class(finding: &Finding) -> Option<FaultClass> {
    let rule = find(&finding.rule).filter(|rule| is_of_sender(rule))?;
    match (sender(finding)?, rule.fix) {
        (Direction::ClientToServer, _) => Some(FaultClass::Client),
        (Direction::ServerToClient, _) => Some(FaultClass::Backend),
    }
}

/// Whether what it finds is mended in the code of the side that sent it, client or server.
pub(super) fn is_of_sender(rule: &Rule) -> bool {
    matches!(rule.fix, Some(FaultClass::Client | FaultClass::Backend)) && find(rule.id).is_some()
}

fn find(slug: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == slug).copied()
}

#[cfg(test)]
mod tests {
    use super::testing::{CLIENT, KINDS, SERVER, found, spoken, talked};
    use super::*;
    use crate::model::Severity;

    #[test]
    fn each_kind_of_fault_raises_its_own_rule_on_either_side() {
        for (kind, slug) in KINDS {
            for from in [CLIENT, SERVER] {
                let x = spoken(from, *kind, 130);
                let all: Vec<Finding> = RULES.iter().flat_map(|rule| found(rule, &x)).collect();
                let slugs: Vec<&str> = all.iter().map(|f| &*f.rule).collect();
                assert_eq!(slugs, [*slug], "{kind:?}");
                assert_eq!(sender(&all[0]), Some(from), "{kind:?}");
                assert_eq!(all[0].evidence[0].bytes, Some(900..906), "{kind:?}");
                assert!(!all[0].expected.is_empty() && !all[0].found.is_empty(), "{kind:?}");
            }
        }
    }

    #[test]
    fn every_rule_is_raised_by_a_kind_or_by_what_was_said() {
        let others = [
            "app-refused",
            "close-code-invalid",
            "ping-unanswered",
            "peer-silent",
            "peer-vanished",
            "receiver-stuck",
            "app-heartbeat",
            "mqtt-keep-alive",
        ];
        let missing = |rule: &&&Rule| !KINDS.iter().any(|k| k.1 == rule.id) && !others.contains(&rule.id);
        assert_eq!(RULES.iter().filter(missing).map(|r| r.id).collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn a_faultless_talk_raises_nothing() {
        assert!(RULES.iter().all(|rule| found(rule, &talked()).is_empty()));
    }

    #[test]
    fn who_sent_it_mends_it_but_compression_is_agreed_on() {
        let class = |slug, from| {
            let kind = KINDS.iter().find(|k| k.1 == slug).map(|k| k.0)?;
            let x = spoken(from, kind, 3);
            fix_class(RULES.iter().flat_map(|rule| found(rule, &x)).next().as_ref()?)
        };
        assert_eq!(class("opcode-reserved", CLIENT), Some(FaultClass::Client));
        assert_eq!(class("opcode-reserved", SERVER), Some(FaultClass::Backend));
        assert_eq!(class("rsv1-without-extension", SERVER), None);
    }

    #[test]
    fn every_rule_explains_itself() {
        for rule in RULES {
            assert!(!rule.title.ends_with('.') && !rule.about.is_empty(), "{}", rule.id);
            assert!(!rule.refs.is_empty() && !rule.causes.is_empty(), "{}", rule.id);
            assert!(rule.severity != Severity::Info || rule.explains.is_empty(), "{}", rule.id);
            assert!(!rule.symptom_of.contains(&rule.id), "{}", rule.id);
            let mutual = |slug: &&&str| crate::rules::find(slug).is_some_and(|r| r.symptom_of.contains(&rule.id));
            assert_eq!(rule.symptom_of.iter().find(mutual), None, "{}", rule.id);
        }
    }
}
