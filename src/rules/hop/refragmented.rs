//! Messages left the hop in other frames than they came in.

use crate::model::{Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{messages, ways};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-refragmented",
    severity: Severity::Info,
    title: "a hop cuts messages into other frames",
    about: "The same messages left the hop in more or fewer frames than they came in. An intermediary may do that \
        where no extension forbids it (RFC 6455 §5.4), and an application must not care. Some do: they take a frame \
        for a message, and read half of one or several as one.",
    refs: &["RFC 6455 §5.4"],
    causes: &[
        "the proxy ends WebSocket on both sides and writes frames of a size of its own",
        "the proxy puts fragments together before it looks into a message",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    for way in ways(view) {
        let other: Vec<_> = way.pairs().filter(|(a, b)| a.frames != b.frames).collect();
        let Some((a, b)) = other.first() else { continue };
        let who = view.who();
        let text = format!("{} cut {} of its {} into other frames (", capital(&who), messages(other.len()), way.sender);
        let frames = |count: u8| Text::own(if count == 1 { "1 frame".to_owned() } else { format!("{count} frames") });
        out.add(Text::own(text).packets([a.at, b.at]).say(")."))
            .expected(frames(a.frames))
            .found(frames(b.frames))
            .evidence(way.place(a))
            .evidence(way.place(b));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::Message;
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{run_hop_of, words};

    fn framed(content: &str, frames: u8) -> (Message, i64) {
        let (message, ms) = text(content, 5);
        (Message { frames, ..message }, ms)
    }

    #[test]
    fn the_same_message_in_other_frames_is_found() {
        let found = run_hop_of(&RULE, leg(&[], &[framed("news", 1)]), leg(&[], &[framed("news", 3)]), |_| {});
        assert!(words(&found[0].message).contains("cut 1 message of its backend into other frames (packets 9 → 9)."));
        assert_eq!((words(&found[0].expected), words(&found[0].found)), ("3 frames".into(), "1 frame".into()));
    }

    #[test]
    fn the_same_frames_are_not() {
        let all = || leg(&[framed("a", 2)], &[framed("news", 3)]);
        assert!(run_hop_of(&RULE, all(), all(), |_| {}).is_empty());
    }
}
