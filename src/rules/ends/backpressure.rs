//! `backpressure`.

use super::support::{FROM_CLIENT, FROM_SERVER, name, spell, tunnel};
use crate::base::Nanos;
use crate::model::{Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "backpressure",
    severity: Severity::Warning,
    title: "one side took nothing for more than a second",
    about: "A receiver's TCP window was zero for more than a second while the other side had something to send: its program \
        does not read, and what is sent piles up before it. Messages come late, and the sender's program may run out of \
        memory or give up.",
    refs: &["RFC 9293 §3.8.6.1"],
    causes: &[
        "the program is busy or hangs",
        "messages come faster than it can handle them",
        "a hop holds its client back because the backend is slow",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// Shorter stalls are daily bread.
const LEAST: Nanos = Nanos::from_secs(1);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let talk = x.talk.as_ref().filter(|_| tunnel(x).is_some());
    let Some(transport) = talk.and_then(|talk| talk.transport.as_ref()) else { return };
    // What the client sends is held up by the server, and the other way round.
    for (stall, [sender, receiver]) in
        transport.stalls.iter().zip([[FROM_CLIENT, FROM_SERVER], [FROM_SERVER, FROM_CLIENT]])
    {
        let Some(stall) = stall.filter(|stall| stall.length > LEAST) else { continue };
        let times = if stall.times > 1 { format!(", the longest of {} times", stall.times) } else { String::new() };
        let text = format!(
            "The {} took nothing for {} while the {} had something to send (its window was zero){times}.",
            name(receiver),
            spell(stall.length),
            name(sender)
        );
        out.add(Text::own(text))
            .expected(Text::own("a receiver that reads"))
            .found(Text::own(format!("a window of zero for {}", spell(stall.length))))
            .evidence(Evidence { at: stall.at, direction: Some(receiver), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Stall, Transport};
    use crate::rules::ends::testing::*;

    fn stalled(ms: i64) -> Exchange {
        let mut x = open();
        let stall =
            Stall { at: PacketRef::new(0, 9), from: at(20), length: Nanos::from_millis(ms), times: 2, lasts: false };
        let transport = Transport { stalls: [None, Some(stall)], ..Transport::default() };
        x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
        x
    }

    #[test]
    fn a_window_that_stays_shut_is_found_with_who_does_not_read() {
        let found = run(&RULE, &stalled(2_500));
        let said = words(&found[0].message);
        assert_eq!(
            said,
            "The client took nothing for 2.5 s while the server had something to send (its window was zero), the longest of 2 times."
        );
    }

    #[test]
    fn a_short_one_and_none_are_not() {
        assert!(!fires(&RULE, &stalled(900)) && !fires(&RULE, &open()));
    }
}
