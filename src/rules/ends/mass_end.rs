//! `mass-end`.

use crate::model::{Direction, Evidence, FaultClass, Severity, Text};
use crate::rules::tunnels::Tunnels;
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "mass-end",
    severity: Severity::Warning,
    title: "many tunnels of one host ended at once",
    about: "Three and more WebSockets, and more than three in ten of those that were open at one host, were ended by that \
        host within a second: it was reloaded, deployed anew or restarted. How long each of them was idle has nothing to \
        do with it.\n\nSome proxies end the tunnels of an old worker only some time after the reload: look for one that \
        many minutes before.",
    refs: &["RFC 6455 §7.4.1"],
    causes: &[
        "a reload of the proxy's configuration, at once or after its grace period",
        "a deployment or restart of the backend",
        "the host, or what stands before it, failed",
    ],
    fix: Some(FaultClass::Reload),
    explains: &[],
    symptom_of: &[],
    check: Check::Tunnels(check),
};

fn check(tunnels: &Tunnels, out: &mut Findings<'_>) {
    for mass in tunnels.mass_ends() {
        let text =
            format!("{} of {} tunnels at {} were ended by it within a second.", mass.ended, mass.open, mass.host);
        out.add(Text::own(text))
            .expected(Text::own("tunnels that end one by one"))
            .found(Text::own(format!("{} at once", mass.ended)))
            .evidence(Evidence { at: mass.at, direction: Some(Direction::ServerToClient), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::Seen;
    use crate::rules::ends::testing::*;

    #[test]
    fn three_tunnels_that_their_host_ends_at_once_are_told_once() {
        let mut seen = Seen::default();
        for ms in [9_000, 9_300, 9_600] {
            seen.tunnels.learn(&cut(SERVER, EndHow::Fin, ms));
        }
        let found: Vec<_> = crate::rules::run::capture(&Default::default(), &seen);
        let found: Vec<_> = found.iter().filter(|f| f.rule == RULE.id).collect();
        assert_eq!(found.len(), 1);
        assert!(words(&found[0].message).starts_with("3 of 3 tunnels at 198.51.100.2"));
    }

    #[test]
    fn clients_that_leave_at_once_are_not() {
        let mut seen = Seen::default();
        for ms in [9_000, 9_300, 9_600] {
            seen.tunnels.learn(&cut(CLIENT, EndHow::Fin, ms));
        }
        assert!(crate::rules::run::capture(&Default::default(), &seen).iter().all(|f| f.rule != RULE.id));
    }
}
