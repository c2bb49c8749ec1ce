//! Fingerprints of the first messages that one side of a tunnel sent, and what two of them say of each other.

use crate::base::limits;
use crate::model::Message;

/// The first messages of one direction. All of one run must be made with the same fingerprints.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// What is kept of each; at most `limits::JOIN_MESSAGES`.
    prints: [Option<Print>; limits::JOIN_MESSAGES],
    kept: usize,
}

/// A message whose content is known whole: unmasked and inflated, whatever frames it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    crc: u32,
    bytes: u32,
    opcode: u8,
}

/// For a message that both have, if it is long enough to tell, and if it is not; and against one that differs.
const ALIKE: i32 = 8;
const SHORT: i32 = 2;
const OTHER: i32 = 12;
/// Bytes from which on a message tells tunnels apart: `ping` and the like are said in all of them.
const TELLING: u32 = 5;
/// The most that messages of one direction speak for and against.
const MOST: i32 = 20;
const LEAST: i32 = -30;

impl Said {
    pub(super) fn new(messages: &[Message]) -> Said {
        let mut out = Said::default();
        for (print, m) in out.prints.iter_mut().zip(messages) {
            *print = m.whole.then_some(Print { crc: m.crc, bytes: m.bytes, opcode: m.opcode });
            out.kept += 1;
        }
        out
    }

    /// Points for and against both having said the same. `None` where nothing can be compared. A hop may have lost
    /// some of the first, or said something of its own before them.
    pub(super) fn points(&self, other: &Said) -> Option<i32> {
        let most = limits::JOIN_MESSAGES.saturating_sub(1);
        let straight = self.against(other, 0);
        let moved = (1..=most).flat_map(|by| [self.against(other, by), other.against(self, by)]).flatten();
        // Nothing but what is alike makes a shift believable.
        let moved = moved.filter(|points| *points > 0).map(|points| points / 2);
        let best = moved.chain(straight).max();
        straight.and(best)
    }

    /// The same, of all messages here but the first `skip`.
    fn against(&self, other: &Said, skip: usize) -> Option<i32> {
        let here = self.prints.iter().take(self.kept).skip(skip);
        let pairs = here.zip(other.prints.iter().take(other.kept)).filter_map(|(a, b)| a.zip(*b));
        let points = |(a, b): (Print, Print)| match a == b {
            true if a.bytes >= TELLING => ALIKE,
            true => SHORT,
            false => -OTHER,
        };
        let mut all = pairs.map(points).peekable();
        all.peek()?;
        Some(all.sum::<i32>().clamp(LEAST, MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(all: &[&str]) -> Said {
        let message = |text: &&str| Message {
            ts: crate::base::Timestamp::default(),
            at: crate::base::PacketRef::new(0, 1),
            offset: 0,
            crc: text.bytes().fold(7_u32, |crc, b| crc.wrapping_mul(31).wrapping_add(u32::from(b))),
            bytes: u32::try_from(text.len()).unwrap_or(0),
            wire_bytes: 0,
            mask: [0; 4],
            opcode: 1,
            frames: 1,
            compressed: false,
            whole: !text.is_empty(),
        };
        Said::new(&all.iter().map(message).collect::<Vec<_>>())
    }

    #[test]
    fn equal_messages_speak_for_a_pair_and_more_of_them_louder() {
        let points = |a: &[&str], b: &[&str]| said(a).points(&said(b));
        assert_eq!(points(&["hello bob"], &["hello bob"]), Some(ALIKE));
        assert_eq!(points(&["hello bob", "what is new"], &["hello bob", "what is new"]), Some(2 * ALIKE));
        assert_eq!(points(&["ping"], &["ping"]), Some(SHORT));
        let all = ["first of all", "second of all", "third of all", "fourth of all", "fifth of all"];
        assert_eq!(points(&all, &all), Some(MOST));
    }

    #[test]
    fn other_messages_speak_against_it() {
        let points = |a: &[&str], b: &[&str]| said(a).points(&said(b));
        assert_eq!(points(&["hello bob"], &["hello eve"]), Some(-OTHER));
        assert_eq!(points(&["hello bob", "a", "b"], &["hello eve", "c", "d"]), Some(LEAST));
        assert_eq!(points(&["hello bob"], &[]), None);
        assert_eq!(points(&["hello bob"], &[""]), None, "not read whole");
    }

    #[test]
    fn a_greeting_that_a_hop_lost_leaves_the_rest_alike() {
        let points = said(&["welcome", "the news", "the sports"]).points(&said(&["the news", "the sports"]));
        assert_eq!(points, Some(ALIKE));
    }
}
