//! What is kept of one stream of HTTP/2: its exchange, and what was granted there.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Direction, EndHow, Exchange, Head, Mechanism, Preview};

use super::Shared;
use super::http2::Mark;
use super::tunnel;
use super::upgraded::{self, Ending, Upgraded};
use super::websocket::Frames;

/// A stream that is kept.
pub(super) struct Leg {
    pub(super) x: Box<Exchange>,
    /// A CONNECT without `:protocol`, of which only a refusal is told.
    connect: bool,
    granted: Option<Box<Granted>>,
    early: Option<Box<Early>>,
    /// What ended it first.
    ending: Option<Ending>,
    /// When client and server last sent content.
    spoken: [Timestamp; 2],
}

/// An extended CONNECT was granted: its content is another protocol's.
#[derive(Default)]
struct Granted {
    upgraded: Upgraded,
    /// Of client and server.
    frames: [Frames; 2],
}

/// Content of the client that came before the answer.
struct Early {
    bytes: Vec<u8>,
    mark: Mark,
    /// Bytes behind these that are not kept, or were lost to the capture.
    missed: u64,
}

impl Leg {
    pub(super) fn new(x: Box<Exchange>, connect: bool) -> Self {
        Leg { x, connect, granted: None, early: None, ending: None, spoken: [Timestamp::default(); 2] }
    }

    /// A plain CONNECT that was not refused, at least not yet.
    pub(super) fn is_tunnel_to_elsewhere(&self) -> bool {
        self.connect && self.x.status().is_none_or(|status| (200..300).contains(&status))
    }

    /// The final response, or a 101.
    pub(super) fn answered(&mut self, head: Head) {
        // A 101, which HTTP/2 does not have, and another answer behind it.
        let before = self.x.response.replace(head);
        self.x.interim.extend(before.filter(|_| self.x.interim.len() < limits::INTERIM_HEADS));
        self.x.tentative &= self.x.granted().is_none();
        if let Some(early) = self.early.as_ref().filter(|early| !early.bytes.is_empty()) {
            let mut bytes = Vec::new();
            tunnel::preview(&mut bytes, &early.bytes);
            let Mark { ts, at, offset } = early.mark;
            self.x.early = Some(Box::new(Preview { bytes: bytes.into(), at, ts, offset }));
        }
    }

    /// Where the answer grants it, what follows, and what the client sent before, is the new protocol's.
    pub(super) fn open(&mut self, shared: &mut Shared) {
        let early = self.early.take();
        let Some(head) = self.x.granted() else { return };
        // Of a head that was not seen whole, what else stood there is not known.
        let known = head.complete && !self.x.quality.response_gap;
        let extensions = known.then(|| head.combined("sec-websocket-extensions").unwrap_or_default().into_owned());
        let ts = head.last;
        let talk = self.x.is_websocket().then(|| shared.talks.open(ts, extensions.as_deref()));
        self.granted =
            Some(Box::new(Granted { upgraded: Upgraded { talk, ..Upgraded::default() }, ..Granted::default() }));
        if let Some(Early { bytes, mark, missed }) = early.map(|early| *early) {
            self.data(Direction::ClientToServer, &bytes, mark, shared);
            if missed > 0 {
                self.lost(Direction::ClientToServer, missed, mark, shared);
            }
        }
    }

    /// Content.
    pub(super) fn data(&mut self, from: Direction, bytes: &[u8], mark: Mark, shared: &mut Shared) {
        let client = from == Direction::ClientToServer;
        let side = usize::from(!client);
        if let Some(granted) = &mut self.granted {
            let place = (mark.ts, mark.at, mark.offset);
            upgraded::keep_first(&mut self.x.after_101[side], bytes, place);
            let with_head = |x: &Exchange| x.response.as_ref().is_some_and(|head| head.at_last == mark.at);
            self.x.frames_with_101 |= !client && with_head(&self.x);
            if let Some(talk) = shared.talks.get_mut(granted.upgraded.talk) {
                let frames = &mut granted.frames[side];
                let first = talk.push(frames, from, bytes, place, &mut shared.common);
                frames.last = mark.ts;
                // Behind the end of its side a Close is no longer what ended it.
                if let (true, Some(closed), None) = (first, talk.closed(), self.ending) {
                    granted.upgraded.close = Some((closed, self.spoken));
                }
            }
        } else if client && self.x.response.is_none() && self.x.mechanism == Mechanism::Http2ExtendedConnect {
            let early = self.early.get_or_insert_with(|| Box::new(Early { bytes: Vec::new(), mark, missed: 0 }));
            // Nothing is put behind a hole as if there were none.
            let room = if early.missed == 0 { limits::EARLY_BYTES.saturating_sub(early.bytes.len()) } else { 0 };
            let kept = bytes.get(..room).unwrap_or(bytes);
            early.bytes.extend_from_slice(kept);
            early.missed = early.missed.saturating_add((bytes.len() - kept.len()) as u64);
        } else if !client && self.x.response.is_some() {
            let room = limits::BODY_PREVIEW_BYTES.saturating_sub(self.x.body.len());
            if room > 0 {
                let mut body = std::mem::take(&mut self.x.body).into_vec();
                body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                self.x.body = body.into();
            }
        }
        self.spoken[side] = mark.ts;
    }

    /// Content that is not in the capture.
    pub(super) fn lost(&mut self, from: Direction, bytes: u64, mark: Mark, shared: &mut Shared) {
        if let Some(granted) = &mut self.granted {
            if let Some(talk) = shared.talks.get_mut(granted.upgraded.talk) {
                let frames = &mut granted.frames[usize::from(from == Direction::ServerToClient)];
                talk.gap(frames, from, bytes, &mut shared.common);
            }
        } else if from == Direction::ClientToServer && self.x.response.is_none() {
            let early = self.early.get_or_insert_with(|| Box::new(Early { bytes: Vec::new(), mark, missed: 0 }));
            early.missed = early.missed.saturating_add(bytes);
        }
    }

    /// One side sent END_STREAM. That a plain request is complete ends nothing.
    pub(super) fn side_ended(&mut self, by: Direction, Mark { ts, at, .. }: Mark) {
        let tunnel = self.x.mechanism == Mechanism::Http2ExtendedConnect;
        if tunnel || by == Direction::ServerToClient {
            self.ended(Some((by, EndHow::Fin, ts, at)));
        }
    }

    /// The first stays.
    pub(super) fn ended(&mut self, ending: Option<(Direction, EndHow, Timestamp, PacketRef)>) {
        self.ending = self.ending.or(ending);
    }

    /// Nothing more will come: its exchange.
    pub(super) fn over(mut self, shared: &mut Shared) -> Box<Exchange> {
        let upgraded = self.granted.as_ref().map(|granted| &granted.upgraded);
        self.x.end = upgraded::end(&self.x, upgraded, self.ending, self.spoken, shared);
        if let Some(Granted { upgraded, frames: [client, server] }) = self.granted.as_deref_mut() {
            upgraded.tell(&mut self.x, [client, server], shared);
        }
        self.x
    }
}
