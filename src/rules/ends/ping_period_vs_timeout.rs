//! `ping-period-vs-timeout`.

use super::limit::{limits_of, survived};
use super::support::{beats, spell};
use crate::base::Nanos;
use crate::model::{Confidence, FaultClass, LimitKind, Severity, Software, Text};
use crate::rules::journey::{Journey, full_name};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "ping-period-vs-timeout",
    severity: Severity::Warning,
    title: "the tunnel is kept alive too seldom for an idle limit on its path",
    about: "Something keeps this tunnel alive (Pings, or small messages that come again and again), but not more often \
        than the idle limit that a hop on the path has by itself, or within a tenth of it. A beat that is a little late \
        then meets a tunnel that is gone.\n\nA tunnel that bore a longer silence shows that the limit was raised, and \
        raises nothing.",
    refs: &["RFC 6455 §5.5.2"],
    causes: &["heartbeat and limit were both left at the same round number"],
    fix: Some(FaultClass::Idle),
    explains: &[],
    symptom_of: &[],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let periods = journey.legs.iter().flat_map(|leg| beats(leg.x)).filter_map(|period| period.mean());
    let Some(every) = periods.min() else { return };
    let bore = journey.legs.iter().filter_map(|leg| survived(leg.x)).max().unwrap_or_default();
    let hops = journey.hops.iter().filter_map(|hop| hop.product.as_ref()).chain(journey.view.responder);
    let sure = hops.filter(|software| software.confidence >= Confidence::Likely);
    let limits = sure
        .flat_map(|software| limits_of(seen, Some(software), LimitKind::Idle).into_iter().map(move |l| (software, l)));
    let meets = |limit: Nanos| every.0.saturating_mul(10) >= limit.0.saturating_mul(9) && bore.0 <= limit.0 + OFF.0;
    let shortest =
        limits.filter(|(_, limit)| !limit.guess && meets(limit.length)).min_by_key(|(_, limit)| limit.length);
    let Some((software, limit)) = shortest else { return };
    let software: &Software = software;
    let text = format!(
        "Something is sent every {} to keep the tunnel alive, but {} ends what is silent for {} ({}).",
        spell(every),
        full_name(software),
        spell(limit.length),
        limit.setting,
    );
    let found = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own(format!("a heartbeat well below {}", spell(limit.length))))
        .found(Text::own(format!("every {}", spell(every))));
    if let Some(leg) = journey.first() {
        found.start_line(&leg.x.request, super::support::FROM_CLIENT);
    }
}

/// How much later than its limit a timer may run.
const OFF: Nanos = Nanos::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    #[test]
    fn a_heartbeat_as_long_as_the_limit_is_found() {
        let found = alone(&RULE, beating(60), Some("acme"), &known());
        assert!(
            words(&found[0].message).contains(
                "sent every 60 s to keep the tunnel alive, but acme ends what is silent for 60 s (quiet_limit)"
            )
        );
        assert!(!alone(&RULE, beating(55), Some("acme"), &known()).is_empty());
        let far = over(&RULE, beating(60), beating(60), Some("acme"), &known());
        assert_eq!(far.len(), 1);
    }

    #[test]
    fn a_quicker_one_a_raised_limit_and_an_unknown_hop_are_fine() {
        assert!(alone(&RULE, beating(25), Some("acme"), &known()).is_empty());
        assert!(alone(&RULE, beating(120), Some("acme"), &known()).is_empty(), "it bore two minutes");
        assert!(alone(&RULE, beating(60), None, &known()).is_empty());
        assert!(alone(&RULE, open(), Some("acme"), &known()).is_empty());
    }
}
