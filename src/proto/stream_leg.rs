//! What is kept of one stream of HTTP/2: its exchange, and what was granted there.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Direction, EndHow, Exchange, Head, Mechanism, Preview, Wrapper};
use crate::stream::{Chunk, CloseHow, GapWhy, Side, What};

use super::around::{Around, Begin};
use super::http2::Mark;
use super::inner::Inner;
use super::tunnel;
use super::upgraded::{self, Ending, Over, Upgraded};
use super::websocket::Lanes;
use super::{Flow, Shared, Step};

/// A stream that is kept.
pub(super) struct Leg {
    pub(super) x: Box<Exchange>,
    /// A CONNECT without `:protocol`, of which only a refusal is told.
    connect: bool,
    granted: Option<Box<Granted>>,
    /// What runs inside a plain CONNECT that was granted. `None`: none was, or nothing more is of interest there.
    tunnel: Option<Box<Inner>>,
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
    /// The client's side is the first.
    lanes: Lanes,
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
        Leg { x, connect, granted: None, tunnel: None, early: None, ending: None, spoken: [Timestamp::default(); 2] }
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
        let mut granted = Box::<Granted>::default();
        let talks = &mut shared.talks;
        granted.upgraded.talk =
            self.x.is_websocket().then(|| talks.open(ts, extensions.as_deref(), &mut granted.lanes));
        self.granted = Some(granted);
        if let Some(Early { bytes, mark, missed }) = early.map(|early| *early) {
            self.data(Direction::ClientToServer, &bytes, mark, shared);
            if missed > 0 {
                self.lost(Direction::ClientToServer, missed, mark, shared);
            }
        }
    }

    /// A plain CONNECT was granted: what follows in both directions is a stream of its own, with what the client sent
    /// before (RFC 9113 §8.5).
    pub(super) fn enter(&mut self, flow: &mut Flow<'_>, client: Side, around: Option<&Around>, mark: Mark) {
        let early = self.early.take();
        if !self.connect || self.tunnel.is_some() {
            return;
        }
        let begin = Begin { first: self.x.request.at, around: around.map(|around| Box::new(around.clone())) };
        let authority = self.x.request.target().into();
        let Some(begin) = begin.enter(flow, client, [0; 2], Wrapper::Connect(authority)) else { return };
        flow.shared.counters.flows_connect += 1;
        self.tunnel = Some(Box::new(Inner::new(begin, flow.shared)));
        if let Some(Early { bytes, mark: at, missed }) = early.map(|early| *early) {
            self.inside(
                flow,
                client,
                Direction::ClientToServer,
                What::Data(&bytes),
                Mark { offset: at.offset, ..mark },
            );
            if missed > 0 {
                let hole = What::Gap { len: missed, why: GapWhy::Lost };
                self.inside(flow, client, Direction::ClientToServer, hole, mark);
            }
        }
    }

    /// Gives what comes to the stream inside a granted CONNECT. `false`: there is none.
    pub(super) fn inside(
        &mut self,
        flow: &mut Flow<'_>,
        client: Side,
        from: Direction,
        what: What<'_>,
        mark: Mark,
    ) -> bool {
        let Some(inner) = &mut self.tunnel else { return self.connect && self.is_granted() };
        let side = if from == Direction::ClientToServer { client } else { client.other() };
        let chunk = Chunk { side, ts: mark.ts, at: mark.at, offset: inner.passed(side), what };
        if let Step::Opaque = inner.chunk(flow, &chunk) {
            self.tunnel = None;
        }
        true
    }

    /// The stream of a granted CONNECT is over.
    pub(super) fn tunnel_over(mut self, flow: &mut Flow<'_>, client: Side, last: Timestamp) {
        let Some((by, how, ts, at)) = self.ending else {
            let mark = Mark { ts: last, ..Mark::default() };
            self.inside(flow, client, Direction::ClientToServer, What::Close(CloseHow::CaptureEnd), mark);
            return;
        };
        let how = if how == EndHow::Rst { CloseHow::Rst } else { CloseHow::Fin };
        let mark = Mark { ts, at, offset: 0 };
        self.inside(flow, client, by, What::Close(how), mark);
        self.inside(flow, client, by, What::Close(CloseHow::CaptureEnd), mark);
    }

    fn is_granted(&self) -> bool {
        self.x.status().is_some_and(|status| (200..300).contains(&status))
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
                let first = talk.push(granted.lanes.beside(side), from, bytes, place, &mut shared.common);
                granted.lanes.sides[side].last = mark.ts;
                // Behind the end of its side a Close is no longer what ended it.
                if let (true, Some(closed), None) = (first, talk.closed(), self.ending) {
                    granted.upgraded.over =
                        Some(Box::new(Over { close: Some(closed), spoken: self.spoken, answers: false }));
                }
            }
        } else if client
            && self.x.response.is_none()
            && (self.connect || self.x.mechanism == Mechanism::Http2ExtendedConnect)
        {
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
        // What comes behind the end is no activity before it.
        if self.ending.is_none() {
            self.spoken[side] = mark.ts;
        }
    }

    /// Content that is not in the capture.
    pub(super) fn lost(&mut self, from: Direction, bytes: u64, mark: Mark, shared: &mut Shared) {
        if let Some(granted) = &mut self.granted {
            if let Some(talk) = shared.talks.get_mut(granted.upgraded.talk) {
                let beside = granted.lanes.beside(usize::from(from == Direction::ServerToClient));
                talk.gap(beside, from, bytes, &mut shared.common);
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
        if let Some(Granted { upgraded, lanes }) = self.granted.as_deref_mut() {
            upgraded.tell(&mut self.x, lanes, 0, shared);
        }
        self.x
    }
}
