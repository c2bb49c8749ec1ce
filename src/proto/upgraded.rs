//! What an upgrade was granted, while it lasts: first bytes, frames, the first Close; and how it ended.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Close, Direction, End, EndHow, Exchange, Preview};

use super::Shared;
use super::websocket::{Closed, Frames};

/// After a 101, or a 2xx to an extended CONNECT.
#[derive(Default)]
pub(super) struct Upgraded {
    /// The number of its [`super::websocket::Tunnel`]. `None`: it is another protocol.
    pub(super) talk: Option<u32>,
    /// First bytes of client and server.
    pub(super) first: [FirstBytes; 2],
    /// The first Close frame of all, if it came before the end of the transport, and when client and server had last
    /// spoken before it.
    pub(super) close: Option<(Closed, [Timestamp; 2])>,
}

#[derive(Default)]
pub(super) struct FirstBytes {
    bytes: [u8; limits::AFTER_101_BYTES],
    len: u8,
    at: PacketRef,
    ts: Timestamp,
    offset: u64,
}

impl FirstBytes {
    pub(super) fn full(&self) -> bool {
        usize::from(self.len) == self.bytes.len()
    }

    /// Keeps what there is room for.
    pub(super) fn add(&mut self, data: &[u8], (ts, at, offset): (Timestamp, PacketRef, u64)) {
        if self.len == 0 {
            (self.at, self.ts, self.offset) = (at, ts, offset);
        }
        let len = usize::from(self.len);
        let rest = &mut self.bytes[len..];
        let n = rest.len().min(data.len());
        rest[..n].copy_from_slice(&data[..n]);
        self.len = u8::try_from(len + n).unwrap_or(u8::MAX);
    }

    fn preview(&self) -> Option<Preview> {
        let bytes = self.bytes.get(..usize::from(self.len)).filter(|bytes| !bytes.is_empty())?;
        Some(Preview { bytes: bytes.into(), at: self.at, ts: self.ts, offset: self.offset })
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
        && let Some((Closed { by, ts, at }, before)) = upgraded.close
    {
        (end.by, end.how, end.at, end.packet) = (Some(by), EndHow::CloseFrame, Some(ts), Some(at));
        end.close = shared.talks.get(upgraded.talk).and_then(|talk| talk.close_of(by)).or(Some(Close::default()));
        spoken = before;
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
    /// It is over: moves what was said in it to its exchange. `frames`: of client and server.
    pub(super) fn tell(&mut self, x: &mut Exchange, frames: [&Frames; 2], shared: &mut Shared) {
        for (preview, first) in x.after_101.iter_mut().zip(&self.first) {
            if let Some(first) = first.preview() {
                *preview = Some(first);
            }
        }
        if let Some(mut talk) = shared.talks.close(self.talk.take()) {
            let (totals, talk) = talk.tell(frames, &mut shared.common);
            let any = totals.client.frames + totals.server.frames != 0;
            if any || totals.client.broken || totals.server.broken {
                x.ws = Some(totals);
            }
            x.talk = Some(talk);
        }
    }
}
