//! Messages left the hop compressed otherwise than they came.

use crate::model::{Message, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{messages, ways};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-recompressed",
    severity: Severity::Info,
    title: "a hop compresses messages otherwise than they came",
    about: "The same messages were compressed on one side of the hop and not on the other, or took another number of \
        bytes on either side: the hop inflates and compresses them anew. It may, where each side agreed on its own \
        extensions. It costs the hop memory and time for each connection, and where the two sides agreed on other \
        windows, faults of compression are the hop's.",
    refs: &["RFC 7692 §5", "RFC 7692 §6", "RFC 6455 §9.1"],
    causes: &[
        "the proxy ends WebSocket on both sides and agrees on compression with each of them",
        "the proxy inflates messages to inspect them",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    for way in ways(view) {
        let coded = |m: &Message| (m.compressed, if m.compressed { m.wire_bytes } else { 0 });
        let other: Vec<_> = way.pairs().filter(|(a, b)| coded(a) != coded(b)).collect();
        let Some((a, b)) = other.first() else { continue };
        let who = view.who();
        let text =
            format!("{} compressed {} of its {} anew, or no more (", capital(&who), messages(other.len()), way.sender);
        let sort = |m: &Message| {
            let how = if m.compressed { "compressed" } else { "plain" };
            Text::own(format!("{how}, {} of {} bytes", m.wire_bytes, m.bytes))
        };
        out.add(Text::own(text).packets([a.at, b.at]).say(")."))
            .expected(sort(a))
            .found(sort(b))
            .evidence(way.place(a))
            .evidence(way.place(b));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{run_hop_of, words};

    fn packed(content: &str, wire_bytes: u32) -> (Message, i64) {
        let (message, ms) = text(content, 5);
        (Message { wire_bytes, compressed: true, ..message }, ms)
    }

    #[test]
    fn the_same_message_coded_otherwise_is_found() {
        let plain = || leg(&[], &[text("to be or not to be", 5)]);
        let small = || leg(&[], &[packed("to be or not to be", 14)]);
        let found = run_hop_of(&RULE, plain(), small(), |_| {});
        assert_eq!(words(&found[0].expected), "compressed, 14 of 18 bytes");
        assert_eq!(words(&found[0].found), "plain, 18 of 18 bytes");
        let larger = leg(&[], &[packed("to be or not to be", 16)]);
        assert_eq!(run_hop_of(&RULE, larger, small(), |_| {}).len(), 1);
    }

    #[test]
    fn the_same_coding_is_not() {
        for (near, far) in [
            (leg(&[], &[packed("news", 6)]), leg(&[], &[packed("news", 6)])),
            (leg(&[], &[text("news", 6)]), leg(&[], &[text("news", 6)])),
        ] {
            assert!(run_hop_of(&RULE, near, far, |_| {}).is_empty());
        }
    }
}
