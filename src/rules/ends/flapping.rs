//! `flapping`.

use super::support::spell;
use crate::base::Nanos;
use crate::model::{Evidence, FaultClass, Severity, Text};
use crate::rules::tunnels::Tunnels;
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "flapping",
    severity: Severity::Warning,
    title: "a client comes back again and again after the same time",
    about: "One client opened WebSockets to one target at least five times, one after the other, and each lasted as long as \
        the others (up to 5 % more or less) and was not ended by a Close of the client. So constant a life is no \
        accident: it is a limit on the path, or a timer in one of the programs.",
    refs: &[],
    causes: &[
        "an idle or lifetime limit of a hop",
        "a heartbeat that is never answered, so that a program gives up each time",
        "a token that runs out",
    ],
    fix: Some(FaultClass::Idle),
    explains: &[],
    symptom_of: &[],
    check: Check::Tunnels(check),
};

fn check(tunnels: &Tunnels, out: &mut Findings<'_>) {
    for lives in tunnels.flapping() {
        let life = Nanos(lives.shortest.0 / 2 + lives.longest.0 / 2);
        let text = format!(
            "{} came back to {} {} times, and each tunnel lasted {}.",
            lives.client,
            lives.server,
            lives.times,
            spell(life)
        );
        out.add(Text::own(text))
            .expected(Text::own("tunnels that last while they are used"))
            .found(Text::own(format!("lives of {} to {}", spell(lives.shortest), spell(lives.longest))))
            .evidence(Evidence { at: lives.at, direction: None, bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::Seen;
    use crate::rules::ends::testing::*;

    #[test]
    fn five_lives_of_a_minute_are_told_with_the_minute() {
        let mut seen = Seen::default();
        for n in 0..5 {
            let mut x = cut(SERVER, EndHow::Fin, n * 70_000 + 60_000);
            x.request.first = at(n * 70_000);
            x.end.lifetime = Some(Nanos::from_secs(60));
            seen.tunnels.learn(&x);
        }
        let found = crate::rules::run::capture(&Default::default(), &seen);
        let found: Vec<_> = found.iter().filter(|f| f.rule == RULE.id).collect();
        assert!(
            words(&found[0].message).ends_with("came back to 198.51.100.2:80 5 times, and each tunnel lasted 60 s.")
        );
    }
}
