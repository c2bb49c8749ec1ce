//! One HTTP/1.x connection: pairs requests with responses and follows an upgrade. Read with RFC 9112
//! and RFC 9110 §7.8 and §15.2.2 open. `request.rs` and `response.rs` hold the two directions.

use crate::base::{ExchangeId, PacketRef, Timestamp, limits};
use crate::model::{End, EndHow, Exchange, Head, LineFaults, Preview, Times};
use crate::stream::{Chunk, CloseHow, Side, What};

use super::around::Around;
use super::body::Chunks;
use super::connect::Inside;
use super::pending::Queue;
use super::tunnel;
use super::upgraded::{self, Over, Upgraded};
use super::websocket::Closed;
use super::{Flow, Step, direction};

/// The machine of one connection. What every message touches stands first and together; what few
/// connections have is elsewhere.
#[repr(C)]
pub struct Http {
    pub client: Side,
    pub(super) conflict: bool,
    pub(super) gap: bool,
    pub(super) snapped: bool,
    /// Nothing more is of interest.
    pub(super) done: bool,
    /// Requests may have been lost to which no answer was seen, nor a hole where one may be.
    pub(super) lost_requests: bool,
    pub(super) requests: u32,
    /// The exchange whose handshake is decided and whose end is not.
    pub(super) open: Option<Box<Exchange>>,
    pub(super) tunnel: Option<Upgraded>,
    /// What stands around this connection's stream. `None`: nothing.
    pub(super) around: Option<Box<Around>>,
    /// A CONNECT was granted by the chunk under work.
    pub(super) inside: Option<Box<Inside>>,
    /// Client bytes that came before the answer to an upgrade request.
    pub(super) early: Option<Box<Early>>,
    /// Server bytes that were no response.
    pub(super) odd: Option<Box<Preview>>,
    /// Heads of the plain ones among the requests that wait, in case a 101 makes one worth keeping.
    pub(super) plain: Vec<u8>,
    pub(super) request: Half,
    pub(super) response: Half,
    /// Requests without their final response.
    pub(super) pending: Queue,
    tcp_end: Option<(Side, EndHow, Timestamp, PacketRef)>,
}

/// What one direction is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before or in a head.
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
#[repr(C)]
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

impl Http {
    /// A connection whose client is this side.
    pub fn new(client: Side) -> Self {
        Http {
            client,
            conflict: false,
            gap: false,
            snapped: false,
            done: false,
            lost_requests: false,
            requests: 0,
            open: None,
            tunnel: None,
            around: None,
            inside: None,
            early: None,
            odd: None,
            plain: Vec::new(),
            request: Half::new(),
            response: Half::new(),
            pending: Queue::default(),
            tcp_end: None,
        }
    }

    /// The same inside of something.
    pub fn within(client: Side, around: Option<Box<Around>>) -> Self {
        Http { around, ..Http::new(client) }
    }

    /// Takes one chunk.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let inside;
        let chunk = match &self.around {
            None => chunk,
            Some(around) => {
                inside = around.inside(chunk);
                &inside
            }
        };
        let from_client = chunk.side == self.client;
        match chunk.what {
            What::Data(data) => {
                if self.tunnel.is_some() {
                    self.tunnel_data(flow, chunk, data);
                } else if from_client {
                    self.request_data(flow, chunk, data);
                } else {
                    self.response_data(flow, chunk, data);
                }
                flow.inline.sides[chunk.side.index()].last = chunk.ts;
            }
            What::Gap { len, why } => {
                self.gap = true;
                self.snapped |= why == crate::stream::GapWhy::Cut;
                if let Some(tunnel) = &self.tunnel {
                    if let Some(talk) = flow.shared.talks.get_mut(tunnel.talk) {
                        let frames = &mut flow.inline.sides[chunk.side.index()];
                        talk.gap(frames, direction(self.client, chunk.side), len, &mut flow.shared.common);
                    }
                } else if from_client {
                    self.request_gap(flow, chunk, len);
                } else {
                    self.response_gap(flow, chunk, len);
                }
            }
            What::Close(how) => self.close(flow, chunk, how),
        }
        match (self.done, &self.inside) {
            (true, _) => Step::Opaque,
            (_, Some(_)) => self.hand_over(flow, chunk),
            _ => Step::Stay,
        }
    }

    /// Whether this side's frames can be counted without this machine: an upgraded WebSocket whose
    /// first bytes are kept, and whose bytes count from the connection's first.
    pub fn counts_frames(&self, side: Side) -> bool {
        if self.around.as_ref().is_some_and(|around| around.base != [0; 2]) {
            return false;
        }
        let dir = usize::from(side != self.client);
        let full = |x: &Exchange| x.after_101[dir].as_ref().is_some_and(|p| p.bytes.len() >= limits::AFTER_101_BYTES);
        self.talk().is_some() && self.open.as_deref().is_some_and(full)
    }

    /// Whether this side is inside content of known length that nobody wants to see.
    pub fn passes_body(&self, side: Side) -> bool {
        let half = if side == self.client { &self.request } else { &self.response };
        half.state == State::Length && (side == self.client || !self.wants_body())
    }

    /// Whether bytes of a place that was passed differ from the head that stands there.
    pub fn disagrees(&self, side: Side, offset: u64, bytes: &[u8]) -> bool {
        // What lies before the stream is no head of it.
        let base = self.around.as_ref().map_or(0, |a| a.base[side.index()]);
        let before = usize::try_from(base.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (offset, bytes) = (offset.saturating_sub(base), bytes.get(before..).unwrap_or_default());
        let from_client = side == self.client;
        let exchanges = self.open.iter().chain(self.pending.iter().filter_map(|p| p.exchange.as_ref()));
        exchanges
            .flat_map(|x| if from_client { Some(&x.request) } else { x.response.as_ref() })
            .any(|head| differs(head, offset, bytes))
    }

    /// The first Close of all was seen. `spoken`: when client and server had last spoken before it.
    #[cold]
    pub fn closed(&mut self, closed: Closed, spoken: [Timestamp; 2]) {
        // The order of the streams decides, not that of the capture's times. After a FIN or RST of the connection
        // a Close is no longer what ended it.
        if let (Some(tunnel), None) = (&mut self.tunnel, &self.tcp_end) {
            tunnel.over = Some(Box::new(Over { close: Some(closed), spoken }));
        }
    }

    /// The number of what hears its frames. `None`: nothing does.
    pub fn talk(&self) -> Option<u32> {
        self.tunnel.as_ref().and_then(|tunnel| tunnel.talk)
    }

    /// Whether the response under way is a refusal whose first bytes are to be kept.
    pub(super) fn wants_body(&self) -> bool {
        self.open.as_ref().is_some_and(|x| {
            x.status() != Some(101) && x.response.is_some() && x.body.len() < limits::BODY_PREVIEW_BYTES
        })
    }

    /// Bytes after a 101.
    pub(super) fn tunnel_data(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, data: &[u8]) {
        let from_client = chunk.side == self.client;
        let Some(tunnel) = &mut self.tunnel else { return };
        if let Some(x) = &mut self.open {
            let place = (chunk.ts, chunk.at, chunk.offset);
            upgraded::keep_first(&mut x.after_101[usize::from(!from_client)], data, place);
        }
        if let Some(talk) = flow.shared.talks.get_mut(tunnel.talk) {
            let spoken = [self.client, self.client.other()].map(|side| flow.inline.sides[side.index()].last);
            let frames = &mut flow.inline.sides[chunk.side.index()];
            let place = (chunk.ts, chunk.at, chunk.offset);
            let first = talk.push(frames, direction(self.client, chunk.side), data, place, &mut flow.shared.common);
            if first && let Some(closed) = talk.closed() {
                self.closed(closed, spoken);
            }
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
        self.request.state = State::Tunnel;
        self.response.state = State::Tunnel;
        // There may be many tunnels, and long ones: what was for requests goes.
        self.pending.shrink();
        self.plain = Vec::new();
        self.request.buf = Vec::new();
        self.response.buf = Vec::new();
        let talk = websocket.then(|| flow.shared.talks.open(ts, extensions));
        self.tunnel = Some(Upgraded { talk, ..Upgraded::default() });
    }

    fn close(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, how: CloseHow) {
        let tcp = match how {
            CloseHow::Fin => Some(EndHow::Fin),
            CloseHow::Rst => Some(EndHow::Rst),
            CloseHow::Replaced | CloseHow::CaptureEnd => None,
        };
        if let (Some(how), None) = (tcp, &self.tcp_end) {
            self.tcp_end = Some((chunk.side, how, chunk.ts, chunk.at));
            let spoken = self.spoken(flow);
            if let Some(tunnel) = &mut self.tunnel {
                tunnel.over.get_or_insert_with(|| Box::new(Over { close: None, spoken }));
            }
        }
        if how == CloseHow::Fin {
            if chunk.side == self.client {
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
        if let Some(x) = self.open.take() {
            self.emit(flow, x, true);
        }
        while let Some(pending) = self.pending.pop_front() {
            if let Some(mut x) = pending.exchange {
                self.unanswered(flow, &mut x);
                self.emit(flow, x, true);
            }
        }
        self.done = true;
    }

    /// What is known of the bytes around an exchange that got no response.
    pub(super) fn unanswered(&mut self, flow: &mut Flow<'_>, x: &mut Exchange) {
        if x.odd_response.is_none() {
            x.odd_response = self.odd.take().or_else(|| flow.shared.alert.take());
        }
        // Of a capture without the server's packets nothing can be called early.
        if flow.context.track.seen(self.client.other()) {
            self.take_early(x);
        }
        // Behind a lost SYN-ACK it is not known where the server's bytes begin, so what was lost of them
        // leaves no hole, and silence proves nothing.
        let (track, server) = (flow.context.track, self.client.other());
        let no_start = track.syn(self.client) && track.seen(server) && !track.syn(server);
        // Nor where the first that was seen of them is their end, and more of them had been there.
        let no_start = no_start || track.lacks_first(server) && track.is_silent(server);
        // A hole that no answer followed may be where this one was, whoever stood before it in the queue.
        x.quality.response_gap |= self.response.gap || no_start;
        self.judge_quality(flow, x);
    }

    /// Notes client bytes that came before the answer.
    pub(super) fn take_early(&self, x: &mut Exchange) {
        if let Some(early) = &self.early
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

    /// What the capture shows of this flow.
    pub(super) fn judge_quality(&self, flow: &Flow<'_>, x: &mut Exchange) {
        let track = flow.context.track;
        x.quality.midstream = !track.from_the_start();
        x.quality.no_client_packets = !track.seen(self.client);
        x.quality.no_server_packets = !track.seen(self.client.other());
        x.quality.gap = self.gap;
        // Where the server's bytes begin is unknown without its SYN-ACK, so what came first of them, the
        // answer, may be as lost; certainly where the client's SYN is there.
        let server = self.client.other();
        let no_start = track.lost_syn(server) || x.odd_response.is_some() && !track.syn(server);
        x.quality.response_gap |= x.response.is_none() && no_start;
        x.syn_stamp = flow.context.opened.stamp;
        x.seq = [track.first_seq(self.client), track.first_seq(server)];
        x.quality.snapped = self.snapped;
        x.quality.overlap_conflict = self.conflict;
        x.via = flow.via(self.client, self.around.as_deref());
        x.times =
            Times { syn: track.client().map(|_| flow.context.opened.first), rtt: track.rtt(), last: Some(track.last) };
    }

    /// An exchange is over. `with_flow`: because its flow is.
    pub(super) fn emit(&mut self, flow: &mut Flow<'_>, mut x: Box<Exchange>, with_flow: bool) {
        self.judge_quality(flow, &mut x);
        if with_flow {
            x.end = self.end(flow, &x);
            if x.status() == Some(101) || x.ws.is_some() {
                self.tell_tunnel(flow, &mut x);
            }
        }
        flow.sink.ended(x);
    }

    /// When client and server last spoke.
    fn spoken(&self, flow: &Flow<'_>) -> [Timestamp; 2] {
        [self.client, self.client.other()].map(|side| flow.inline.sides[side.index()].last)
    }

    fn end(&self, flow: &Flow<'_>, x: &Exchange) -> End {
        let spoken = self.spoken(flow);
        let ending = self.tcp_end.map(|(side, how, ts, at)| (direction(self.client, side), how, ts, at));
        upgraded::end(x, self.tunnel.as_ref(), ending, spoken, flow.shared)
    }

    fn tell_tunnel(&mut self, flow: &mut Flow<'_>, x: &mut Exchange) {
        let Some(tunnel) = &mut self.tunnel else { return };
        let frames = [self.client, self.client.other()].map(|side| &flow.inline.sides[side.index()]);
        tunnel.tell(x, frames, flow.shared);
    }
}

impl Half {
    fn new() -> Self {
        Half { state: State::Head, buf: Vec::new(), scanned: 0, start: None, chunks: None, blank: false, gap: false }
    }

    /// Forgets the head under way; tells what was wrong before it.
    pub(super) fn reset(&mut self) -> LineFaults {
        self.buf.clear();
        self.scanned = 0;
        self.start = None;
        if std::mem::take(&mut self.blank) { LineFaults::LEADING_CRLF } else { LineFaults::NONE }
    }
}

/// Whether a head has other bytes at a place of its stream.
fn differs(head: &Head, offset: u64, bytes: &[u8]) -> bool {
    let from = offset.max(head.range.start);
    let to = offset.saturating_add(bytes.len() as u64).min(head.range.start + head.text.len() as u64);
    if from >= to {
        return false;
    }
    let at = |base: u64| usize::try_from(from - base).unwrap_or(usize::MAX);
    let n = usize::try_from(to - from).unwrap_or(0);
    let ours = head.text.get(at(head.range.start)..).and_then(|t| t.get(..n));
    let theirs = bytes.get(at(offset)..).and_then(|t| t.get(..n));
    ours != theirs
}
