//! What was said on both connections of a hop, message by message: which of those that left it are those that
//! entered it.

use crate::base::Timestamp;
use crate::model::{Direction, Evidence, Message, Spoken, Talk, WsCounts};
use crate::rules::hop::side::{Side, sides};
use crate::rules::journey::HopView;

/// One direction through a hop.
pub(super) struct Way<'a> {
    pub direction: Direction,
    /// The leg on which its messages entered the hop, and that on which they left it.
    pub from: Side<'a>,
    pub to: Side<'a>,
    pub came: &'a Spoken,
    pub left: &'a Spoken,
    pub to_talk: &'a Talk,
    pub from_talk: &'a Talk,
    /// Who said it: `client`, `backend`.
    pub sender: &'static str,
}

/// Both directions: what the client said, and what the backend did. Empty where a leg was not granted, or where what
/// was said on it is not known.
pub(super) fn ways<'a>(view: &HopView<'a>) -> Vec<Way<'a>> {
    let Some((near, far)) = sides(view) else { return Vec::new() };
    let talks = near.x.talk.as_deref().zip(far.x.talk.as_deref());
    let Some((near_talk, far_talk)) = talks else { return Vec::new() };
    let way = |direction: Direction| {
        let by_client = direction == Direction::ClientToServer;
        let (from, to) = if by_client { (near, far) } else { (far, near) };
        let (from_talk, to_talk) = if by_client { (near_talk, far_talk) } else { (far_talk, near_talk) };
        let sender = if by_client { "client" } else { "backend" };
        let (came, left) = (from_talk.of(direction), to_talk.of(direction));
        Way { direction, from, to, came, left, to_talk, from_talk, sender }
    };
    [Direction::ClientToServer, Direction::ServerToClient].map(way).into()
}

impl<'a> Way<'a> {
    /// Frames of this direction on either leg, where they entered and where they left.
    pub(super) fn counts(&self) -> (WsCounts, WsCounts) {
        (counts(&self.from, self.direction), counts(&self.to, self.direction))
    }

    /// Whether bytes could be missing from the capture, or frames could not be followed.
    pub(super) fn holed(&self) -> bool {
        [&self.from, &self.to].iter().any(|side| side.holed() || side.lost_track())
    }

    /// How many of the first messages that entered never left: from there on, one leg repeats the other. `None`
    /// where they have nothing in common by which that could be known.
    pub(super) fn skipped(&self) -> Option<usize> {
        let (came, left) = (self.came.messages(), self.left.messages());
        (0..came.len()).find(|&skip| {
            let pairs = || came.iter().skip(skip).zip(left);
            !pairs().any(|(a, b)| differs(a, b)) && pairs().any(|(a, b)| is_same(a, b))
        })
    }

    /// Messages as they entered the hop and as they left it.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a Message, &'a Message)> {
        let (came, left) = (self.came.messages(), self.left.messages());
        let skip = self.skipped().unwrap_or(came.len());
        came.iter().skip(skip).zip(left).filter(|(a, b)| is_same(a, b))
    }

    /// The code of the Close frame by which whoever got these messages ended the WebSocket. `None`: it was ended
    /// otherwise, or without a code.
    pub(super) fn closed_with(&self) -> Option<u16> {
        let end = &self.to.x.end;
        end.close.as_ref().filter(|_| end.by.is_some_and(|by| by != self.direction))?.code
    }

    /// Its place in the stream that brought it.
    pub(super) fn place(&self, message: &Message) -> Evidence {
        let end = message.offset.saturating_add(u64::from(message.wire_bytes));
        Evidence { at: message.at, direction: Some(self.direction), bytes: Some(message.offset..end) }
    }
}

/// Whether both have the same content; masks, frames and compression may differ.
pub(super) fn is_same(a: &Message, b: &Message) -> bool {
    a.whole && b.whole && !differs(a, b)
}

/// Whether both are known whole and cannot be the same message.
pub(super) fn differs(a: &Message, b: &Message) -> bool {
    a.whole && b.whole && (a.opcode, a.bytes, a.crc) != (b.opcode, b.bytes, b.crc)
}

/// Which of several, in words: `the 1st`, `the 22nd`.
pub(super) fn ordinal(index: usize) -> String {
    let n = index + 1;
    let ending = match (n % 10, n % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// `1 message`, `3 messages`.
pub(super) fn messages(count: usize) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// When a message entered, but no earlier than the leg on which it had to leave was open.
pub(super) fn ready(message: &Message, to: &Side<'_>, one_clock: bool) -> Timestamp {
    if one_clock { message.ts.max(to.head.last) } else { message.ts }
}

fn counts(side: &Side<'_>, direction: Direction) -> WsCounts {
    let ws = side.x.ws.unwrap_or_default();
    if direction == Direction::ClientToServer { ws.client } else { ws.server }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
pub(super) mod tests {
    use super::*;
    use crate::base::{Nanos, PacketRef};
    use crate::model::{Digest, Exchange, Rare, WsTotals};
    use crate::rules::testing::{GOOD, With as _, exchange, granted};
    use crate::wire::websocket::TEXT;

    /// A text message that came so many milliseconds after its leg's 101.
    pub(in crate::rules::hop) fn text(content: &str, ms: i64) -> (Message, i64) {
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let bytes = u32::try_from(content.len()).unwrap();
        let message = Message {
            ts: Timestamp::default(),
            at: PacketRef::new(0, 9),
            offset: 0,
            crc: crc.sum(),
            bytes,
            wire_bytes: bytes,
            mask: [0; 4],
            opcode: TEXT,
            frames: 1,
            compressed: false,
            whole: true,
        };
        (message, ms)
    }

    /// One direction with these messages.
    pub(in crate::rules::hop) fn spoken(all: &[(Message, i64)], granted: Timestamp, from: u64) -> Spoken {
        let mut offset = from;
        let messages = all.iter().map(|(message, ms)| {
            let ts = granted + Nanos::from_millis(*ms);
            let here = Message { ts, offset, ..*message };
            offset += u64::from(message.wire_bytes) + 2;
            here
        });
        let rare = Rare { messages: messages.collect(), ..Rare::default() };
        Spoken { rare: (!all.is_empty()).then(|| Box::new(rare)), ..Spoken::default() }
    }

    /// A granted leg with these messages of the client and of the server. The digests say the same as the messages.
    pub(in crate::rules::hop) fn leg(client: &[(Message, i64)], server: &[(Message, i64)]) -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| {
            let head = x.response.as_ref().unwrap();
            let granted = head.last;
            let digest = |all: &[(Message, i64)]| Digest {
                sum: all.iter().fold(0, |crc, (m, _)| crc ^ m.crc),
                bytes: all.iter().map(|(m, _)| m.bytes).sum(),
                broken: false,
            };
            let said = |all: &[(Message, i64)], from| Spoken { digest: digest(all), ..spoken(all, granted, from) };
            let talk = Talk {
                client: said(client, x.request.range.end),
                server: said(server, head.range.end),
                ..Talk::default()
            };
            let count = |all: &[(Message, i64)]| {
                let many = u32::try_from(all.len()).unwrap();
                let payload_bytes = all.iter().map(|(m, _)| u64::from(m.wire_bytes)).sum();
                WsCounts { frames: many, messages: many, payload_bytes, ..WsCounts::default() }
            };
            x.ws = Some(WsTotals { client: count(client), server: count(server), compressed: false });
            x.talk = Some(Box::new(talk));
            let last = client.iter().chain(server).map(|(_, ms)| *ms).max().unwrap_or(0);
            x.times.last = Some(granted + Nanos::from_millis(last));
        })
    }

    #[test]
    fn a_number_has_its_ending() {
        let all: Vec<String> = [0, 1, 2, 3, 10, 11, 12, 20, 110].map(ordinal).into();
        assert_eq!(all, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th"]);
    }
}
