//! One leg, captured on both sides of an address translation.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-nat",
    severity: Severity::Info,
    title: "this leg was captured on both sides of an address translation",
    about: "The same bytes were captured under other addresses or ports too: before and behind a NAT, a load \
        balancer of layer 4 that rewrites addresses, or a container's bridge. They are one leg and are judged once; \
        the addresses shown are those of the capture that stands first.",
    refs: &["RFC 3022"],
    causes: &["the capture was taken on several interfaces, between which addresses are translated"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// Pairs of addresses that the sentence names.
const SHOWN: usize = 4;

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(others) = x.twice.as_ref().map(|twice| &twice.names).filter(|others| !others.is_empty()) else { return };
    let named: Vec<String> = others.iter().take(SHOWN).map(|(client, server)| format!("{client} → {server}")).collect();
    let more = if others.len() > SHOWN { " and others" } else { "" };
    let named = named.join(", ");
    let text = format!("{} → {} was captured as {named}{more} too: addresses are translated.", x.client, x.server);
    out.add(Text::own(text))
        .found(Text::own(format!("{named}{more}")))
        .start_line(&x.request, Direction::ClientToServer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Twice;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, run, words};

    #[test]
    fn other_addresses_of_the_same_leg_are_told() {
        let x = exchange(GOOD, None).with(|x| {
            x.twice = Some(Box::new(Twice { names: vec![(x.server, x.client)], lost: None }));
        });
        let found = run(&RULE, &x);
        assert!(words(&found[0].message).contains("was captured as 192.0.2.20:80 → 192.0.2.10:40000 too"));
    }

    #[test]
    fn a_leg_that_was_captured_once_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        let none = exchange(GOOD, None).with(|x| x.twice = Some(Box::default()));
        assert!(!fires(&RULE, &none));
    }
}
