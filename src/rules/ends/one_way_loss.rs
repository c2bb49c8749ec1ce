//! `one-way-loss`.

use super::mtu_black_hole;
use super::support::{name, spell};
use crate::model::{Evidence, Exchange, Severity, Swallowed, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "one-way-loss",
    severity: Severity::Error,
    title: "from some time on no packet of one side arrives, and those of the other do",
    about: "What one side sent was sent again and again. The other side is there, for its packets arrive; but it acknowledges \
        only what came before, or sends again what had been acknowledged to it long since. So nothing of the first side \
        reaches it any more, neither data nor acknowledgements, and both wait until one gives up. Neither program is at \
        fault.\n\nRouters and firewalls of which each sees one direction, one of several links of a bundle that is down, and a \
        box that forgot one direction of a connection do that. To see where it ends, capture at both ends at once \
        (`lost-between`), and compare the ways with traceroute from either side.",
    refs: &["RFC 9293 §3.8.1", "RFC 6298 §5"],
    causes: &[
        "a firewall or router on the way of one direction forgot the connection, or sees only half of it (asymmetric routing)",
        "a link, one of several paths or a tunnel is dead in one direction",
        "a filter on the path drops what this side sends",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["lost-between", "mtu-black-hole", "rst-injected", "silent-drop", "tunnel-rejected"],
    check: Check::Exchange(check),
};

/// So often the other side must have sent again what was acknowledged to it, where it sent nothing new.
const DEAF: u32 = 2;

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(lost) = seen(x) else { return };
    let (sender, receiver) = (name(lost.by), name(lost.by.other()));
    let shows = match (lost.between, lost.deaf) {
        (0, deaf) => format!("sent again {deaf} times what the {sender} had acknowledged"),
        (_, 0) => "went on to send, and acknowledged only what came before".to_owned(),
        (_, deaf) => format!("went on to send, and sent again {deaf} times what the {sender} had acknowledged"),
    };
    let text = format!(
        "What the {sender} sent was sent again {} times in {} and did not arrive: the {receiver} {shows}. So packets of the \
         {sender} are lost on their way, and those of the {receiver} are not.",
        lost.times,
        spell(lost.last.since(lost.first)),
    );
    out.add(Text::own(text))
        .expected(Text::own(format!("an acknowledgement of the {receiver}")))
        .found(Text::own("packets that acknowledge nothing new"))
        .evidence(Evidence { at: lost.at, direction: Some(lost.by), bytes: None });
}

fn seen(x: &Exchange) -> Option<Swallowed> {
    let lost = mtu_black_hole::unheard(x).filter(|lost| lost.between > 0 || lost.deaf >= DEAF)?;
    // Large ones alone may be too large.
    (!mtu_black_hole::is_seen(x, lost.by)).then_some(lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Direction, Transport};
    use crate::rules::ends::testing::*;
    use crate::rules::testing::With as _;

    fn unheard(times: u32, smallest: u32, signs: u32, deaf: u32) -> Exchange {
        open().with(|x| {
            let (first, last) = (at(10), at(3_010));
            let (by, at) = (Direction::ClientToServer, PacketRef::new(0, 30));
            let swallowed =
                Some(Swallowed { by, times, smallest, before: 400, signs, between: signs, deaf, at, first, last });
            let transport = Transport { swallowed, ..Transport::default() };
            x.talk.iter_mut().for_each(|talk| {
                talk.client.largest_text = smallest;
                talk.transport = Some(Box::new(transport.clone()));
            });
        })
    }

    #[test]
    fn a_side_that_is_heard_and_does_not_hear_is_told() {
        let said = |x: &Exchange| words(&run(&RULE, x)[0].message);
        assert_eq!(
            said(&unheard(5, 9, 0, 3)),
            "What the client sent was sent again 5 times in 3.0 s and did not arrive: the server sent again 3 times what \
             the client had acknowledged. So packets of the client are lost on their way, and those of the server are not."
        );
        assert!(
            said(&unheard(5, 9, 2, 0)).contains("the server went on to send, and acknowledged only what came before.")
        );
    }

    #[test]
    fn one_that_is_not_heard_few_tries_and_large_packets_are_not() {
        assert!(!fires(&RULE, &unheard(5, 9, 0, 0)), "nobody is there");
        assert!(!fires(&RULE, &unheard(5, 9, 0, 1)), "one may have been under way");
        assert!(!fires(&RULE, &unheard(3, 9, 1, 3)));
        assert!(!fires(&RULE, &unheard(5, 1_400, 1, 3)), "that is mtu-black-hole");
        let back = |x: &mut Exchange| {
            let transport = x.talk.as_mut().and_then(|talk| talk.transport.as_mut());
            transport.and_then(|t| t.swallowed.as_mut()).into_iter().for_each(|lost| lost.between = 0);
        };
        assert!(!fires(&RULE, &unheard(5, 9, 1, 0).with(back)), "it was asleep");
    }
}
