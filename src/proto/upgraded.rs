//! What an upgrade was granted, while it lasts: its frames, the first Close; and how it ended.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Close, Direction, End, EndHow, Exchange, Preview, WsCounts};

use super::Shared;
use super::websocket::{Closed, Lanes};

/// After a 101, or a 2xx to an extended CONNECT.
#[derive(Default)]
pub(super) struct Upgraded {
    /// The number of its [`super::websocket::Tunnel`]. `None`: it is another protocol.
    pub(super) talk: Option<u32>,
    /// How the end began: with a Close, or with the end of the transport. `None`: neither came.
    pub(super) over: Option<Box<Over>>,
}

/// What came first of all that ends an upgrade.
#[derive(Clone, Copy)]
pub(super) struct Over {
    /// The first Close frame of all. `None`: the transport ended before one came.
    pub(super) close: Option<Closed>,
    /// When client and server had last spoken before it: what comes behind it is no activity before it.
    pub(super) spoken: [Timestamp; 2],
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
        if let Some(Closed { by, ts, at }) = over.close {
            (end.by, end.how, end.at, end.packet) = (Some(by), EndHow::CloseFrame, Some(ts), Some(at));
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
