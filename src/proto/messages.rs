//! What is under way on a connection of HTTP/1.x: messages that are not over and requests that wait. It is there only
//! while some are: most connections are idle or tunnels most of the time.

use std::mem::offset_of;

use crate::base::{ExchangeId, PacketRef, Timestamp};
use crate::model::{EndHow, Exchange, LineFaults, Preview};
use crate::stream::{Chunk, CloseHow, Side, What};

use super::body::Chunks;
use super::connect::Inside;
use super::fetch::fetch_around;
use super::http1::Http;
use super::pending::Queue;
use super::tunnel;
use super::upgraded::{Over, Upgraded};
use super::websocket::Watched;
use super::{Flow, Step};

/// The messages of a connection that are not over.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) request: Half,
    pub(super) response: Half,
    /// Requests without their final response.
    pub(super) pending: Queue,
    /// A CONNECT was granted by the chunk under work.
    pub(super) inside: Option<Box<Inside>>,
    /// Client bytes that came before the answer to an upgrade request.
    pub(super) early: Option<Box<Early>>,
    /// Server bytes that were no response.
    pub(super) odd: Option<Box<Preview>>,
    /// Heads of the plain ones among the requests that wait, in case a 101 makes one worth keeping.
    pub(super) plain: Vec<u8>,
    /// What TCP says while a request waits. `None`: nothing came again, and nobody reset the connection.
    pub(super) watched: Option<Box<Watched>>,
}

/// What was under way and is over, for the next message of any connection: the memory that was given back last is still
/// at hand, which the allocator's next piece is not.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "the boxes are what is kept")]
pub(super) struct Spare(Vec<Box<UnderWay>>);

/// Kept of them, and bytes of each of their texts.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 2 << 10;

impl Spare {
    /// One in which nothing is under way.
    #[inline]
    pub(super) fn take(&mut self) -> Box<UnderWay> {
        self.0.pop().unwrap_or_default()
    }

    /// What was under way in this one is over.
    #[inline]
    pub(super) fn give_back(&mut self, mut now: Box<UnderWay>) {
        if self.0.len() < SPARE {
            // The memory of its texts serves the next, unless it is much.
            let text = |mut text: Vec<u8>| {
                text.clear();
                if text.capacity() <= SPARE_BYTES { text } else { Vec::new() }
            };
            let UnderWay { request, response, plain, .. } = std::mem::take(&mut *now);
            now.request.buf = text(request.buf);
            now.response.buf = text(response.buf);
            now.plain = text(plain);
            self.0.push(now);
        }
    }
}

/// A connection and what is under way on it.
pub(super) struct Messages<'a> {
    pub(super) http: &'a mut Http,
    pub(super) now: &'a mut UnderWay,
}

/// What one direction is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Before or in a head.
    #[default]
    Head,
    /// In content of known length; what is left of it is the flow's `skip`.
    Length,
    Chunked,
    /// In content that the connection's end will end.
    UntilClose,
    /// Behind a hole: a start line at the edge of a segment leads back.
    Lost,
    /// An upgrade or CONNECT was asked for: nothing is known of these bytes until it is answered.
    Waiting,
    /// These bytes are not HTTP (or not yet).
    Odd,
    Tunnel,
    /// A CONNECT was granted: these bytes are another machine's.
    Handover,
}

/// One direction's reader.
#[derive(Default)]
pub(super) struct Half {
    /// The head under way, as far as it came in earlier segments.
    pub(super) buf: Vec<u8>,
    /// Where the head under way began.
    pub(super) start: Option<Start>,
    /// Where it is in chunked content; made when some comes.
    pub(super) chunks: Option<Box<Chunks>>,
    pub(super) scanned: u32,
    pub(super) state: State,
    /// Empty lines stood before the head under way.
    pub(super) blank: bool,
    /// Bytes were lost since the last message.
    pub(super) gap: bool,
}

/// Where a message began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) id: ExchangeId,
    pub(super) at: PacketRef,
    pub(super) ts: Timestamp,
    pub(super) offset: u64,
}

/// Client bytes nobody can place yet.
pub(super) struct Early {
    pub(super) bytes: Vec<u8>,
    pub(super) at: PacketRef,
    pub(super) ts: Timestamp,
    pub(super) offset: u64,
    /// Bytes behind these that are not kept, or were lost to the capture.
    pub(super) missed: u64,
}

impl Early {
    /// Nothing yet, from this place on.
    pub(super) fn new(chunk: &Chunk<'_>) -> Self {
        Early { bytes: Vec::new(), at: chunk.at, ts: chunk.ts, offset: chunk.offset, missed: 0 }
    }
}

impl UnderWay {
    /// Whether nothing is lost with this. `tunnel`: the connection is one.
    pub(super) fn is_idle(&self, tunnel: bool) -> bool {
        let between = self.request.is_between() && self.response.is_between();
        (tunnel || between && self.early.is_none() && self.odd.is_none()) && self.pending.is_empty()
    }

    /// Starts fetching what the next message touches.
    #[inline]
    pub(super) fn prefetch(&self) {
        fetch_around(&self.request.gap, offset_of!(UnderWay, request.gap), size_of::<UnderWay>());
    }
}

impl Messages<'_> {
    /// Takes one chunk that is no tunnel's.
    pub(super) fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let from_client = chunk.side == self.http.client;
        match chunk.what {
            What::Data(data) if from_client => self.request_data(flow, chunk, data),
            What::Data(data) => self.response_data(flow, chunk, data),
            What::Gap { len, .. } if from_client => self.request_gap(flow, chunk, len),
            What::Gap { len, .. } => self.response_gap(flow, chunk, len),
            What::Close(how) => self.close(flow, chunk, how),
        }
        match (self.http.done, &self.now.inside) {
            (true, _) => Step::Opaque,
            (_, Some(_)) => self.hand_over(flow, chunk),
            _ => Step::Stay,
        }
    }

    /// The 101 was said: from here on it is another protocol.
    /// `extensions`: of a WebSocket, as [`super::websocket::Tunnel::opened`] has it.
    pub(super) fn open_tunnel(
        &mut self,
        flow: &mut Flow<'_>,
        websocket: bool,
        ts: Timestamp,
        extensions: Option<&[u8]>,
    ) {
        for side in &mut flow.inline.sides {
            side.skip = 0;
        }
        self.now.request.state = State::Tunnel;
        self.now.response.state = State::Tunnel;
        let talk = websocket.then(|| flow.shared.talks.open(ts, extensions, flow.inline));
        self.http.tunnel = Some(Upgraded { talk, ..Upgraded::default() });
    }

    fn close(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, how: CloseHow) {
        let tcp = match how {
            CloseHow::Fin => Some(EndHow::Fin),
            CloseHow::Rst => Some(EndHow::Rst),
            CloseHow::Replaced | CloseHow::CaptureEnd => None,
        };
        if let (Some(how), None) = (tcp, &self.http.tcp_end) {
            // The FIN before it was lost to the capture alone.
            let hole = self.http.tunnel.as_ref().and_then(|tunnel| tunnel.hole);
            let hole = hole.and_then(|hole| hole.last_of(flow.context.track, chunk.side));
            let (by, how) = match hole.filter(|hole| hole.is_fin()) {
                Some(hole) => (hole.of(), EndHow::Fin),
                None => (chunk.side, how),
            };
            self.http.tcp_end = Some((by, how, chunk.ts, chunk.at));
            let spoken = self.http.spoken(flow);
            if let Some(tunnel) = &mut self.http.tunnel {
                tunnel.over.get_or_insert_with(|| Box::new(Over { close: None, spoken, answers: false }));
            }
        }
        if how == CloseHow::Fin {
            if chunk.side == self.http.client {
                self.request_end(flow, chunk.ts);
            } else {
                self.response_end(flow, chunk.ts);
            }
            let track = flow.context.track;
            if !(track.fin(Side::Low) && track.fin(Side::High)) {
                return;
            }
        }
        self.finish(flow, chunk.ts);
    }

    /// The flow is over: everything that is still open ends with it.
    fn finish(&mut self, flow: &mut Flow<'_>, ts: Timestamp) {
        self.request_end(flow, ts);
        self.response_end(flow, ts);
        if let Some(x) = self.http.open.take() {
            self.http.emit(flow, x, true);
        }
        while let Some(pending) = self.now.pending.pop_front() {
            if let Some(mut x) = pending.exchange {
                self.unanswered(flow, &mut x);
                x.transport = self.now.watched.take().and_then(|mut watched| {
                    let sides = [self.http.client, self.http.client.other()];
                    watched.came(sides.map(|side| flow.context.track.offset(side)));
                    watched.tell()
                });
                self.http.emit(flow, x, true);
            }
        }
        self.http.done = true;
    }

    /// What is known of the bytes around an exchange that got no response.
    pub(super) fn unanswered(&mut self, flow: &mut Flow<'_>, x: &mut Exchange) {
        if x.odd_response.is_none() {
            x.odd_response = self.now.odd.take().or_else(|| flow.shared.alert.take());
        }
        // Of a capture without the server's packets nothing can be called early.
        if flow.context.track.seen(self.http.client.other()) {
            self.take_early(x);
        }
        // Behind a lost SYN-ACK it is not known where the server's bytes begin, so what was lost of them
        // leaves no hole, and silence proves nothing.
        let (track, server) = (flow.context.track, self.http.client.other());
        let no_start = track.syn(self.http.client) && track.seen(server) && !track.syn(server);
        // Nor where the first that was seen of them is their end, and more of them had been there.
        let no_start = no_start || track.lacks_first(server) && track.is_silent(server);
        // A hole that no answer followed may be where this one was, whoever stood before it in the queue.
        x.quality.response_gap |= self.now.response.gap || no_start;
        self.http.judge_quality(flow, x);
    }

    /// Notes client bytes that came before the answer.
    pub(super) fn take_early(&self, x: &mut Exchange) {
        if let Some(early) = &self.now.early
            && x.early.is_none()
            && !early.bytes.is_empty()
            && !crate::wire::sniff::is_request(&early.bytes)
        {
            let mut bytes = Vec::new();
            tunnel::preview(&mut bytes, &early.bytes);
            let preview = Preview { bytes: bytes.into(), at: early.at, ts: early.ts, offset: early.offset };
            x.early = Some(Box::new(preview));
        }
    }
}

impl Half {
    /// Whether it is between messages, and nothing was lost before the next.
    fn is_between(&self) -> bool {
        self.state == State::Head && self.start.is_none() && !self.blank && !self.gap
    }

    /// Forgets the head under way; tells what was wrong before it.
    pub(super) fn reset(&mut self) -> LineFaults {
        self.buf.clear();
        self.scanned = 0;
        self.start = None;
        if std::mem::take(&mut self.blank) { LineFaults::LEADING_CRLF } else { LineFaults::NONE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_goes_between_messages_and_stays_within_one() {
        let begun = || Start { id: ExchangeId(1), at: PacketRef::default(), ts: Timestamp(1), offset: 0 };
        assert!(UnderWay::default().is_idle(false));
        let mut now = UnderWay::default();
        now.response.start = Some(begun());
        assert!(!now.is_idle(false));
        now.response.reset();
        now.request.state = State::Length;
        assert!(!now.is_idle(false), "content is to come");
        now.request.state = State::Head;
        now.request.gap = true;
        assert!(!now.is_idle(false), "the next message has to know that something was lost before it");
        now.request.gap = false;
        assert!(now.is_idle(false));
    }

    #[test]
    fn a_tunnel_needs_nothing_but_the_requests_that_were_never_answered() {
        let mut now = UnderWay::default();
        now.request.state = State::Tunnel;
        assert!(now.is_idle(true));
        now.pending.push_back(super::super::pending::tests::any());
        assert!(!now.is_idle(true));
    }
}
