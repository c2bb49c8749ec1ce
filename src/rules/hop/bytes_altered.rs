//! A message left the hop with another content than it came with.

use crate::model::{Confidence, Message, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{Way, differs, ordinal, ways};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::websocket::TEXT;

pub(super) static RULE: Rule = Rule {
    id: "hop-bytes-altered",
    severity: Severity::Error,
    title: "a hop changed the content of a message",
    about: "As many messages left the hop as came to it, and one of them, unmasked and inflated, is another: other \
        bytes, another length, or text that was binary. Masks, frames and compression may differ, the content may \
        not. Applications fail over it in any way, or not at all and store what is wrong. Messages that left in another order are told as such.\n\nThe first messages are \
        compared one by one, the rest by a sum over all of them.",
    refs: &["RFC 6455 §5.4", "RFC 6455 §5.6"],
    causes: &[
        "a filter of the proxy rewrites messages (data loss prevention, links, character sets)",
        "a fault in how the proxy takes messages apart and puts them together",
        "the proxy's compression and decompression do not fit each other",
    ],
    fix: None,
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &["hop-extensions-split", "hop-first-frames-lost"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    for way in ways(view) {
        let (came, left) = way.counts();
        // Of more or fewer messages it cannot be said which is which.
        if way.holed() || came.messages == 0 || came.messages != left.messages {
            continue;
        }
        let who = view.who();
        let pairs = || way.came.messages().iter().zip(way.left.messages());
        if let Some((index, (a, b))) = pairs().enumerate().find(|(_, (a, b))| differs(a, b)) {
            let others = pairs().filter(|(a, b)| differs(a, b)).count() - 1;
            if others > 0 && same_in_another_order(&way) {
                let text = format!(
                    "{} passed {} messages of its {} on in another order than they came, from the {} on (",
                    capital(&who),
                    others + 1,
                    way.sender,
                    ordinal(index)
                );
                out.add(Text::own(text).packets([a.at, b.at]).say(")."))
                    .confidence(Confidence::Certain)
                    .cause(ORDER)
                    .expected(Text::own(words(a)))
                    .found(Text::own(words(b)))
                    .evidence(way.place(a))
                    .evidence(way.place(b));
                continue;
            }
            if way.skipped().is_some_and(|skip| skip > 0) {
                continue;
            }
            let more = if others == 0 { String::new() } else { format!(", and {others} more of the first ones") };
            let text = format!(
                "{} changed the {} message that its {} sent{more} (",
                capital(&who),
                ordinal(index),
                way.sender
            );
            out.add(Text::own(text).packets([a.at, b.at]).say(")."))
                .confidence(Confidence::Certain)
                .expected(Text::own(words(a)))
                .found(Text::own(words(b)))
                .evidence(way.place(a))
                .evidence(way.place(b));
        } else if way.skipped().is_none_or(|skip| skip == 0) && sums_differ(&way) {
            let text = format!("{} changed something in what its {} sent.", capital(&who), way.sender);
            let sum = |sum| Text::own(format!("checksum {sum:08x} over {} bytes", way.came.digest.bytes));
            let mut found = out
                .add(Text::own(text))
                .confidence(Confidence::Certain)
                .expected(sum(way.came.digest.sum))
                .found(sum(way.left.digest.sum));
            for message in [way.came.messages().last(), way.left.messages().last()].into_iter().flatten() {
                found = found.evidence(way.place(message));
            }
        }
    }
}

const ORDER: &str =
    "the proxy hands the messages of one connection to several threads or queues, which overtake each other";

/// Whether the messages that are known of both legs are the same, but for their order.
fn same_in_another_order(way: &Way<'_>) -> bool {
    let sorted = |all: &[Message]| {
        let mut sums: Vec<(u32, u32, u8)> = all.iter().map(|m| (m.crc, m.bytes, m.opcode)).collect();
        sums.sort_unstable();
        sums
    };
    sorted(way.came.messages()) == sorted(way.left.messages())
}

/// Whether all that was said, as far as it was added up, is as long on both legs and not the same.
fn sums_differ(way: &Way<'_>) -> bool {
    let (a, b) = (way.came.digest, way.left.digest);
    !a.broken && !b.broken && a.bytes == b.bytes && a.sum != b.sum
}

/// `text of 5 bytes, CRC-32C 3610a686`.
fn words(message: &Message) -> String {
    let sort = if message.opcode == TEXT { "text" } else { "binary" };
    format!("{sort} of {} bytes, CRC-32C {:08x}", message.bytes, message.crc)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::{Exchange, Finding};
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{With as _, run_hop_of, words};
    use crate::wire::websocket::BINARY;

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn a_message_with_another_content_is_found() {
        let all = |second: &str| leg(&[], &[text("one", 5), text(second, 9), text("three", 12)]);
        let found = found(all("dos"), all("two"));
        assert_eq!((found.len(), found[0].evidence.len()), (1, 2));
        let message = words(&found[0].message);
        assert!(message.contains("changed the 2nd message that its backend sent (packets 9 → 9)."), "{message}");
    }

    #[test]
    fn messages_that_overtake_each_other_were_not_changed() {
        let all = |a: &str, b: &str| leg(&[], &[text(a, 5), text(b, 9), text("three", 12)]);
        let found = found(all("two", "one"), all("one", "two"));
        let message = words(&found[0].message);
        assert!(
            message.contains("passed 2 messages of its backend on in another order than they came, from the 1st on"),
            "{message}"
        );
        assert_eq!(found[0].causes, [ORDER]);
        let two = |a: &str, b: &str| leg(&[], &[text(a, 5), text(b, 9)]);
        assert_eq!(self::found(two("two", "one"), two("one", "two"))[0].causes, [ORDER]);
    }

    #[test]
    fn text_that_was_binary_is_another_message() {
        let (mut binary, ms) = text("one", 5);
        binary.opcode = BINARY;
        let found = found(leg(&[(binary, ms)], &[]), leg(&[text("one", 6)], &[]));
        assert!(words(&found[0].expected).starts_with("binary of 3 bytes"));
    }

    #[test]
    fn a_sum_that_differs_behind_the_first_messages_is_found() {
        let all = || leg(&[text("one", 5)], &[]);
        let near = all().with(|x| x.talk.as_mut().unwrap().client.digest.sum ^= 1);
        assert!(words(&found(near, all())[0].message).contains("changed something in what its client sent"));
    }

    #[test]
    fn other_masks_frames_and_compression_change_nothing() {
        let (mut other, ms) = text("one", 5);
        (other.mask, other.frames, other.compressed, other.wire_bytes) = ([1, 2, 3, 4], 3, true, 9);
        assert!(found(leg(&[(other, ms)], &[]), leg(&[text("one", 6)], &[])).is_empty());
    }

    #[test]
    fn lost_messages_messages_that_were_not_read_whole_and_holes_prove_nothing() {
        let whole = || leg(&[], &[text("one", 5), text("two", 9)]);
        assert!(found(leg(&[], &[text("two", 9)]), whole()).is_empty(), "the first is lost");
        assert!(found(leg(&[], &[text("two", 9), text("six", 9)]), whole()).is_empty(), "lost, and another came");
        let (mut part, ms) = text("on", 5);
        part.whole = false;
        let unread = leg(&[], &[(part, ms), text("two", 9)]).with(|x| {
            x.talk.as_mut().unwrap().server.digest.broken = true;
        });
        assert!(found(unread, whole()).is_empty());
        let holed = leg(&[], &[text("uno", 5), text("two", 9)]).with(|x| x.quality.gap = true);
        assert!(found(holed, whole()).is_empty());
    }
}
