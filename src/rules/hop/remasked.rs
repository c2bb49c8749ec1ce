//! The client's messages left the hop with masks of its own.

use crate::model::{Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{messages, ways};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-remasked",
    severity: Severity::Info,
    title: "a hop masks the client's messages anew",
    about: "The same messages left the hop with other masking keys than they came with: it reads WebSocket and \
        writes it anew, and does not relay bytes. That is right (RFC 6455 §5.3 asks for a mask on each connection, \
        not for the same one), and worth knowing: such a hop has limits of its own on frames and messages, may answer \
        Pings by itself, and is where to look when frames differ between the two sides.",
    refs: &["RFC 6455 §5.3"],
    causes: &["the proxy ends WebSocket on both sides, to inspect it or to change it"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    // Servers do not mask.
    let Some(way) = ways(view).into_iter().next() else { return };
    let other: Vec<_> = way.pairs().filter(|(a, b)| a.mask != b.mask).collect();
    let Some((a, b)) = other.first() else { return };
    let who = view.who();
    let text = format!("{} masked {} of its client anew (", capital(&who), messages(other.len()));
    let key = |mask: [u8; 4]| match mask {
        [0, 0, 0, 0] => Text::own("no mask"),
        mask => Text::own(format!("mask {:08x}", u32::from_be_bytes(mask))),
    };
    out.add(Text::own(text).packets([a.at, b.at]).say(")."))
        .expected(key(a.mask))
        .found(key(b.mask))
        .evidence(way.place(a))
        .evidence(way.place(b));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::Message;
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{run_hop_of, words};

    fn masked(content: &str, mask: [u8; 4]) -> (Message, i64) {
        let (message, ms) = text(content, 5);
        (Message { mask, ..message }, ms)
    }

    #[test]
    fn the_same_messages_with_other_masks_are_found() {
        let near = leg(&[masked("one", [1; 4]), masked("two", [2; 4])], &[]);
        let far = leg(&[masked("one", [9; 4]), masked("two", [0; 4])], &[]);
        let found = run_hop_of(&RULE, near, far, |_| {});
        assert!(words(&found[0].message).contains("masked 2 messages of its client anew (packets 9 → 9)."));
        assert_eq!(words(&found[0].found), "mask 09090909");
    }

    #[test]
    fn the_same_masks_and_other_messages_are_not() {
        let near = || leg(&[masked("one", [1; 4])], &[]);
        assert!(run_hop_of(&RULE, near(), near(), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, near(), leg(&[masked("uno", [2; 4])], &[]), |_| {}).is_empty());
    }
}
