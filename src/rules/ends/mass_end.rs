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
    use crate::rules::testing::With as _;

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

    #[test]
    fn a_host_whose_tunnels_went_right_behind_those_of_another_only_passed_it_on() {
        let mut seen = Seen::default();
        for ms in [9_000, 9_100, 9_200] {
            seen.tunnels.learn(&cut(SERVER, EndHow::Fin, ms));
            let passed_on = cut(SERVER, EndHow::Fin, ms + 5).with(|x| x.server.ip = [198, 51, 100, 77].into());
            seen.tunnels.learn(&passed_on);
        }
        let hosts: Vec<_> = seen.tunnels.mass_ends().iter().map(|mass| mass.host.to_string()).collect();
        assert_eq!(hosts, ["198.51.100.2"]);
    }

    #[test]
    fn an_end_is_part_of_the_mass_that_it_fell_into() {
        let mut seen = Seen::default();
        let ends = [9_000, 9_300, 9_600].map(|ms| cut(SERVER, EndHow::Fin, ms));
        ends.iter().for_each(|x| seen.tunnels.learn(x));
        let at = |x: &crate::model::Exchange| seen.tunnels.mass_end_at(x.server.ip, x.end.at.unwrap_or_default());
        assert!(ends.iter().all(|x| at(x).is_some_and(|mass| mass.ended == 3)));
        assert!(at(&cut(SERVER, EndHow::Fin, 60_000)).is_none());
    }
}
