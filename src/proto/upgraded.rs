//! What an upgrade was granted, while it lasts: its frames, the first Close; and how it ended.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Close, Direction, End, EndHow, Exchange, Preview, WsCounts};

use crate::stream::{Chunk, Side, Track};

use super::Shared;
use super::websocket::{Closed, Lanes};

/// After a 101, or a 2xx to an extended CONNECT.
#[derive(Default)]
pub(super) struct Upgraded {
    /// The number of its [`super::websocket::Tunnel`]. `None`: it is another protocol.
    pub(super) talk: Option<u32>,
    /// How the end began: with a Close, or with the end of the transport. `None`: neither came.
    pub(super) over: Option<Box<Over>>,
    /// What only the capture lost at the end of one direction, as far as it goes.
    pub(super) hole: Option<Hole>,
}

/// Bytes that one side sent last and the capture lost.
#[derive(Clone, Copy)]
pub(super) struct Hole {
    of: Side,
    bytes: u16,
    /// Where it ends in its direction's stream, and how far the other side had come when that was known, modulo 2³².
    end: u32,
    heard: u32,
    /// When that was.
    ts: Timestamp,
}

impl Hole {
    /// What this chunk says that is missing. `None`: too long for what ends a tunnel.
    pub(super) fn new(chunk: &Chunk<'_>, bytes: u64, track: &Track) -> Option<Self> {
        let (end, heard) = (low(chunk.offset.saturating_add(bytes)), low(track.offset(chunk.side.other())));
        Some(Hole { of: chunk.side, bytes: u16::try_from(bytes).ok()?, end, heard, ts: chunk.ts })
    }

    /// The hole, if its side sent nothing behind it, and it is not the one that speaks now.
    pub(super) fn last_of(self, track: &Track, speaks: Side) -> Option<Self> {
        (low(track.offset(self.of)) == self.end && self.of != speaks).then_some(self)
    }

    /// Whether the other side sent nothing since but this Close, and that at once.
    pub(super) fn is_answered_by(self, closed: &Closed, track: &Track) -> bool {
        let since = low(track.offset(self.of.other())).wrapping_sub(self.heard);
        since <= closed.length && closed.ts.since(self.ts) <= ANSWERED
    }

    pub(super) fn of(self) -> Side {
        self.of
    }

    /// Whether it is as long as a FIN, which counts as one byte (RFC 9293 §3.4): no frame is so short.
    pub(super) fn is_fin(self) -> bool {
        self.bytes == 1
    }

    /// Whether it is as long as the Close frame was that one of `answer` bytes answers with the same code and reason: masked by
    /// the client alone (RFC 6455 §5.5.1, §5.3). A FIN may have come with it.
    pub(super) fn is_close(self, answer: u32, by_client: bool) -> bool {
        let asked = if by_client { answer.checked_add(MASK) } else { answer.checked_sub(MASK) };
        asked.is_some_and(|asked| [asked, asked + 1].contains(&u32::from(self.bytes)))
    }
}

/// Bytes of a mask (RFC 6455 §5.2).
const MASK: u32 = 4;

/// So soon a Close is answered.
const ANSWERED: Nanos = Nanos::from_secs(1);

/// A place in a stream, modulo 2³².
fn low(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default()
}

/// What came first of all that ends an upgrade.
#[derive(Clone, Copy)]
pub(super) struct Over {
    /// The first Close frame of all. `None`: the transport ended before one came.
    pub(super) close: Option<Closed>,
    /// When client and server had last spoken before it: what comes behind it is no activity before it.
    pub(super) spoken: [Timestamp; 2],
    /// That Close is most likely an answer: the other side sent as many bytes right before it as its Close would have, and the
    /// capture lost them.
    pub(super) answers: bool,
}

/// Keeps the first bytes of a direction.
pub(super) fn keep_first(kept: &mut Option<Box<Preview>>, data: &[u8], (ts, at, offset): (Timestamp, PacketRef, u64)) {
    let preview = kept.get_or_insert_with(|| Box::new(Preview { bytes: Box::default(), at, ts, offset }));
    let room = limits::AFTER_101_BYTES.saturating_sub(preview.bytes.len());
    if preview.bytes.is_empty() {
        preview.bytes = data[..data.len().min(room)].into();
    } else if room != 0 {
        preview.bytes = [&preview.bytes, &data[..data.len().min(room)]].concat().into_boxed_slice();
    }
}

/// What ended the transport under it: who, how, when and by which packet.
pub(super) type Ending = (Direction, EndHow, Timestamp, PacketRef);

/// How an exchange ended. `spoken`: when client and server had last spoken.
pub(super) fn end(
    x: &Exchange,
    upgraded: Option<&Upgraded>,
    ending: Option<Ending>,
    mut spoken: [Timestamp; 2],
    shared: &Shared,
) -> End {
    let mut end = End::default();
    if let Some((by, how, at, packet)) = ending {
        end.tcp_by = Some(by);
        (end.tcp_how, end.tcp_at) = (how, Some(at));
        (end.by, end.how, end.at, end.packet) = (end.tcp_by, how, Some(at), Some(packet));
    }
    if let Some(upgraded) = upgraded
        && let Some(over) = upgraded.over.as_deref()
    {
        spoken = over.spoken;
        if let Some(Closed { by, ts, at, .. }) = over.close {
            let first = if over.answers { by.other() } else { by };
            (end.by, end.how, end.at, end.packet) = (Some(first), EndHow::CloseFrame, Some(ts), Some(at));
            end.close = shared.talks.get(upgraded.talk).and_then(|talk| talk.close_of(by)).or(Some(Close::default()));
        }
    }
    if let Some(at) = end.at {
        end.lifetime = Some(at.since(x.request.first));
        // Bytes that came behind the end are no activity before it.
        let idle = |from: Timestamp| (from.0 != 0).then(|| at.since(from).max(Nanos::ZERO));
        end.idle_of = spoken.map(idle);
        end.idle_before = idle(spoken[0].max(spoken[1]));
    }
    end
}

impl Upgraded {
    /// It is over: moves what was said in it to its exchange. `lanes`, `client`: as [`super::websocket::Tunnel::tell`]
    /// has them.
    pub(super) fn tell(&mut self, x: &mut Exchange, lanes: &Lanes, client: usize, shared: &mut Shared) {
        if let Some(mut talk) = shared.talks.close(self.talk.take()) {
            let (totals, talk) = talk.tell(lanes, client, &mut shared.common);
            let seen = |c: &WsCounts| c.frames != 0 || c.broken || c.lost;
            if seen(&totals.client) || seen(&totals.server) {
                x.ws = Some(totals);
            }
            x.talk = Some(talk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_known_by_its_length() {
        let hole = |bytes| Some(Hole { of: Side::Low, bytes, end: 0, heard: 0, ts: Timestamp(0) });
        assert!(hole(1).is_some_and(Hole::is_fin) && !hole(2).is_some_and(Hole::is_fin));
        let close = |bytes, answer, by_client| hole(bytes).is_some_and(|hole| hole.is_close(answer, by_client));
        assert!(close(4, 8, false) && close(5, 8, false), "the server's before the client's, also with its FIN");
        assert!(close(8, 4, true) && !close(8, 4, false) && !close(6, 8, false));
    }
}
