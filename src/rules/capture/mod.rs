//! Rules on the capture itself: what it does not show. They lower confidence and explain nothing.

mod clock_skew;
mod cut_short;
mod damaged;
mod dropped;
mod duplicate_packets;
mod encrypted;
mod gap;
mod linktype;
mod midstream;
mod nat;
mod nonmonotonic;
mod offload;
mod one_sided;
mod overlap_conflict;
mod reordered;
mod secrets_miss;
mod truncated;

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &gap::RULE,
    &truncated::RULE,
    &one_sided::RULE,
    &midstream::RULE,
    &duplicate_packets::RULE,
    &reordered::RULE,
    &overlap_conflict::RULE,
    &offload::RULE,
    &clock_skew::RULE,
    &nonmonotonic::RULE,
    &encrypted::RULE,
    &secrets_miss::RULE,
    &dropped::RULE,
    &damaged::RULE,
    &cut_short::RULE,
    &nat::RULE,
    &linktype::RULE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;

    #[test]
    fn rules_on_the_capture_explain_nothing() {
        for rule in RULES {
            assert!(rule.explains.is_empty() && rule.severity < Severity::Error, "{}", rule.id);
            assert!(rule.id.starts_with("cap-"), "{}", rule.id);
        }
    }
}
