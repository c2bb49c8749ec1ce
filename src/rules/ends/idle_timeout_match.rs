//! `idle-timeout-match`.

use super::asker::{UNLESS, left};
use super::limit::{CutOff, Match, cut_off, matching, next};
use super::support::{FROM_CLIENT, FROM_SERVER, last_packet, spell};
use crate::model::{Confidence, FaultClass, LimitKind, Severity, Text};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "idle-timeout-match",
    severity: Severity::Error,
    title: "a tunnel was cut after a silence as long as a known idle limit",
    about: "Nobody sent a Close frame, and nothing was said for as long as an idle limit lasts that is known of the \
        product that ended the connection, or of some product: then the hop, or the server end of the last leg in view, \
        ended it by itself. Idle means without payload in either direction; TCP keep-alives do not count.\n\nIt is \
        surest where both legs of a recognised hop were ended from the hop's own addresses. With one leg and one such \
        end it is a warning: the gap may be chance.\n\nEither raise the limit, or send a Ping or a small message more \
        often than that. Where several hops are on the path the shortest limit wins, and once it is raised the next \
        one shows.",
    refs: &["RFC 6455 §5.5.2"],
    causes: &["nothing keeps the tunnel busy: no Ping or message within the limit"],
    fix: Some(FaultClass::Idle),
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-first-frames-lost",
        "hop-half-open",
        "hop-tunnel-dead",
        "mtu-black-hole",
        "one-way-loss",
        "peer-vanished",
        "rst-injected",
        "silent-drop",
    ],
    check: Check::Chain(check),
};

/// What was cut and whose limit it is.
pub(super) fn found<'a, 's>(journey: &Journey<'a>, seen: &'s Seen) -> Option<(CutOff<'a>, Match<'s>)> {
    let cut = cut_off(journey).filter(|cut| !cut.bore)?;
    let limit = matching(seen, LimitKind::Idle, cut.idle, cut.software, !cut.by_hop())?;
    Some((cut, limit))
}

fn check(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some((cut, limit)) = found(journey, seen) else { return of_asker(journey, seen, out) };
    let times = seen.tunnels.cut_after_idle(cut.host(), cut.idle);
    let sure = match (cut.by_hop() || times >= 2, limit.is_own()) {
        _ if limit.guess() => Confidence::Possible,
        (true, true) => Confidence::Certain,
        (true, false) | (false, true) => Confidence::Likely,
        (false, false) => Confidence::Possible,
    };
    let single = !cut.by_hop() && times < 2 || limit.guess();
    let whose = if limit.is_own() { "its" } else { "as long as" };
    let text = format!(
        "{}, then {} of silence; {} {} without a Close frame: {whose} {}.{}",
        cut.story(),
        spell(cut.idle),
        cut.name(),
        cut.did(),
        limit.words(),
        next(journey, seen, &cut),
    );
    let least = limit.all().iter().map(|limit| limit.length).min().unwrap_or_default();
    let found = out
        .add(Text::own(text))
        .severity(if single { Severity::Warning } else { Severity::Error })
        .confidence(sure)
        .expected(Text::own(format!("payload more often than every {}", spell(least))))
        .found(Text::own(match times {
            0 | 1 => format!("{} without", spell(cut.idle)),
            times => format!("{} without, {times} times at this host", spell(cut.idle)),
        }));
    if let Some(packet) = last_packet(cut.who.leg().x, FROM_SERVER) {
        found.evidence(packet);
    }
}

/// Seen from behind the hop alone: it ended what it had asked for, after a silence as long as a limit of its own.
fn of_asker(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some(left) = left(journey, seen).filter(|left| left.software.is_some()) else { return };
    let Some(limit) = matching(seen, LimitKind::Idle, left.idle, left.software, false) else { return };
    let sure = left.times >= 2 && left.apart && !limit.guess();
    let least = limit.all().iter().map(|limit| limit.length).min().unwrap_or_default();
    let found = out
        .add(Text::own(format!("{}: its {}, {UNLESS}.", left.story(), limit.words())))
        .severity(if sure { Severity::Error } else { Severity::Warning })
        .confidence(if sure { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own(format!("payload more often than every {}", spell(least))))
        .found(Text::own(match left.times {
            0 | 1 => format!("{} without", spell(left.idle)),
            times => format!("{} without, {times} times at this hop", spell(left.idle)),
        }));
    if let Some(packet) = last_packet(left.leg.x, FROM_CLIENT) {
        found.evidence(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::ends::testing::*;

    fn idle(by: crate::model::Direction, ms: i64) -> crate::model::Exchange {
        cut(by, EndHow::Fin, ms)
    }

    #[test]
    fn both_legs_closed_by_a_known_hop_after_its_own_limit_are_certain() {
        let found = over(&RULE, idle(SERVER, 60_020), idle(CLIENT, 60_015), Some("acme"), &known());
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Certain));
        let said = words(&found[0].message);
        assert!(said.contains("then 60 s of silence; acme at 198.51.100.2 closed both legs without a Close frame: its quiet_limit (60 s unless set)"), "{said}");
    }

    #[test]
    fn a_hop_with_other_limits_and_a_gap_that_fits_none_are_not_matched() {
        let over = |ms, product| over(&RULE, idle(SERVER, ms), idle(CLIENT, ms - 5), product, &known());
        assert!(over(300_000, Some("acme")).is_empty(), "it is another's limit");
        assert_eq!(over(300_000, None)[0].confidence, Confidence::Likely);
        assert!(over(45_000, None).is_empty() && over(57_000, Some("acme")).is_empty());
        assert!(!over(61_900, Some("acme")).is_empty(), "a timer may be late");
    }

    #[test]
    fn one_leg_and_one_end_is_a_warning_and_two_are_an_error() {
        let mut seen = known();
        let x = idle(SERVER, 60_020);
        assert_eq!(alone(&RULE, x.clone(), None, &seen)[0].severity, Severity::Warning);
        seen.tunnels.learn(&x);
        seen.tunnels.learn(&x);
        let found = alone(&RULE, x, Some("acme"), &seen);
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Certain));
    }

    #[test]
    fn ends_by_the_client_by_the_backend_and_with_a_close_are_no_limit_of_the_hop() {
        assert!(alone(&RULE, idle(CLIENT, 60_020), None, &known()).is_empty());
        assert!(alone(&RULE, goodbye(1000), None, &known()).is_empty());
        let found = over(&RULE, idle(SERVER, 60_020), idle(SERVER, 60_015), Some("acme"), &known());
        assert!(found.iter().all(|f| f.severity == Severity::Warning), "the backend ended it first");
        let by_client = over(&RULE, idle(CLIENT, 60_020), idle(CLIENT, 60_025), Some("acme"), &known());
        assert!(by_client.is_empty());
    }

    #[test]
    fn a_tunnel_that_bore_a_longer_silence_was_not_cut_by_an_idle_limit() {
        let mut x = beating(90);
        x.end = idle(SERVER, 500_000).end;
        x.end.idle_before = Some(crate::base::Nanos::from_secs(60));
        assert!(alone(&RULE, x, None, &known()).is_empty());
    }

    #[test]
    fn the_next_limit_of_the_path_is_named() {
        let far = behind(idle(CLIENT, 60_015));
        let near = idle(SERVER, 60_020);
        let hop = crate::rules::testing::hop(&near, &far);
        let software = |slug: &str| crate::model::Software {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            version: None,
            confidence: Confidence::Certain,
            evidence: Vec::new(),
        };
        let other = software("other");
        let hop = crate::model::Hop { product: Some(software("acme")), ..hop };
        let view = crate::rules::journey::View { responder: Some(&other), ..Default::default() };
        let found = crate::rules::testing::run_whole(&RULE, &[near, far], &[hop], &[], view, &known());
        assert!(words(&found[0].message).ends_with("Raised, the next on the path is other's patience (5 min)."));
    }

    #[test]
    fn what_a_known_proxy_left_after_a_silence_as_long_as_its_limit_was_cut_by_that() {
        let told = |product: &str, ms: i64, times: i64| {
            let found = asked(&RULE, product, ms, times, 700);
            found.first().map(|found| (found.severity, found.confidence))
        };
        assert_eq!(told("acme", 60_012, 1), Some((Severity::Warning, Confidence::Possible)));
        assert_eq!(told("acme", 60_012, 2), Some((Severity::Error, Confidence::Likely)));
        assert_eq!(told("acme", 60_012, 0), None, "no proxy");
        assert_eq!((told("acme", 45_012, 2), told("other", 60_012, 2)), (None, None), "no limit of its");
    }
}
