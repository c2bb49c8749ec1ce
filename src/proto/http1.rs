//! One HTTP/1.x connection: pairs requests with responses and follows an upgrade. Read with RFC 9112
//! and RFC 9110 §7.8 and §15.2.2 open. `messages.rs` holds what is under way on it, `request.rs` and
//! `response.rs` the two directions.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Direction, End, EndHow, Exchange, Head, IcmpWhy, Times, Undelivered};
use crate::stream::{Chunk, GapWhy, Note, Side, Signs, Track, What};

use super::around::Around;
use super::messages::{Messages, State, UnderWay};
use super::pending::Pending;
use super::upgraded::{self, Hole, Over, Upgraded};
use super::websocket::Closed;
use super::{Flow, Step, direction, rejected};

/// The machine of one connection: what it has all the time. There may be many, most of them idle or tunnels.
#[repr(C)]
pub struct Http {
    pub client: Side,
    pub(super) conflict: bool,
    pub(super) gap: bool,
    /// Bytes are missing that may have arrived.
    pub(super) holed: bool,
    pub(super) snapped: bool,
    /// Nothing more is of interest.
    pub(super) done: bool,
    /// Requests may have been lost to which no answer was seen, nor a hole where one may be.
    pub(super) lost_requests: bool,
    pub(super) requests: u32,
    /// Messages that are not over. `None`: there are none.
    under_way: Option<Box<UnderWay>>,
    /// The exchange whose handshake is decided and whose end is not.
    pub(super) open: Option<Box<Exchange>>,
    /// What stands around this connection's stream. `None`: nothing.
    pub(super) around: Option<Box<Around>>,
    pub(super) tunnel: Option<Upgraded>,
    pub(super) tcp_end: Option<(Side, EndHow, Timestamp, PacketRef)>,
}

impl Http {
    /// A connection whose client is this side.
    pub fn new(client: Side) -> Self {
        Http {
            client,
            conflict: false,
            gap: false,
            holed: false,
            snapped: false,
            done: false,
            lost_requests: false,
            requests: 0,
            under_way: None,
            open: None,
            around: None,
            tunnel: None,
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
        if let What::Gap { why, .. } = chunk.what {
            self.gap = true;
            self.holed |= !matches!(why, GapWhy::Undelivered { .. });
            self.snapped |= why == GapWhy::Cut;
        }
        let step = match (chunk.what, &mut self.tunnel) {
            (What::Data(data), Some(_)) => {
                self.tunnel_data(flow, chunk, data);
                Step::Stay
            }
            (What::Gap { len, why }, Some(tunnel)) => {
                tunnel.hole = Hole::new(chunk, len, flow.context.track).filter(|_| why == GapWhy::Lost);
                if let Some(talk) = flow.shared.talks.get_mut(tunnel.talk) {
                    let from = direction(self.client, chunk.side);
                    talk.gap(flow.inline.beside(chunk.side.index()), from, len, &mut flow.shared.common);
                    // Inside TLS records are missing, which are longer than what was lost.
                    if let (GapWhy::Undelivered { heard, largest }, None) = (why, flow.passed) {
                        let (by, at, first) = (from, chunk.at, chunk.ts);
                        let lost = Undelivered { by, bytes: len, largest, at, first, last: heard };
                        talk.undelivered(lost, chunk.offset.saturating_add(len));
                    }
                }
                Step::Stay
            }
            _ => {
                let mut now = self.under_way.take().unwrap_or_else(|| flow.shared.spare.take());
                let step = Messages { http: self, now: &mut now }.chunk(flow, chunk);
                if now.is_idle(self.tunnel.is_some()) {
                    flow.shared.spare.give_back(now);
                } else {
                    self.under_way = Some(now);
                }
                step
            }
        };
        if let What::Data(_) = chunk.what {
            flow.inline.sides[chunk.side.index()].last = chunk.ts;
        }
        step
    }

    /// Starts fetching what the next message of a connection touches, where one is under way.
    #[inline]
    pub(super) fn prefetch_messages(&self) {
        if let Some(now) = &self.under_way {
            now.prefetch();
        }
        if let Some(x) = &self.open {
            prefetch_index(from_ref(&x.after_101), 0);
        }
    }

    /// What that leads to: the request that waits, whose answer may be what comes.
    #[inline]
    pub(super) fn prefetch_waiting(&self) {
        if let Some(Pending { exchange: Some(x), .. }) = self.under_way.as_deref().and_then(|now| now.pending.front()) {
            prefetch_index(from_ref(&x.response), 0);
            prefetch_index(from_ref(&x.interim), 0);
            prefetch_index(from_ref(&x.quality), 0);
            prefetch_index(from_ref(&x.early), 0);
        }
    }

    /// Starts fetching what the end of a connection writes to the exchange that is open.
    pub(super) fn prefetch_end(&self) {
        if let Some(x) = &self.open {
            prefetch_index(from_ref(&x.times), 0);
            prefetch_index(from_ref(&x.end.idle_of), 0);
            prefetch_index(from_ref(&x.end.tcp_how), 0);
            prefetch_index(from_ref(&x.via), 0);
            prefetch_index(from_ref(&x.request.first), 0);
            prefetch_index(from_ref(&x.response), 0);
            prefetch_index(from_ref(&x.quality), 0);
            prefetch_index(from_ref(&x.ws), 0);
            prefetch_index(from_ref(&x.talk), 0);
            prefetch_index(from_ref(&x.syn_stamp), 0);
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
        let Some(now) = &self.under_way else { return false };
        let half = if side == self.client { &now.request } else { &now.response };
        half.state == State::Length && (side == self.client || !self.wants_body())
    }

    /// Whether bytes of a place that was passed differ from the head that stands there.
    pub fn disagrees(&self, side: Side, offset: u64, bytes: &[u8]) -> bool {
        // What lies before the stream is no head of it.
        let base = self.around.as_ref().map_or(0, |a| a.base[side.index()]);
        let before = usize::try_from(base.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (offset, bytes) = (offset.saturating_sub(base), bytes.get(before..).unwrap_or_default());
        let from_client = side == self.client;
        let waiting = self.under_way.iter().flat_map(|now| now.pending.iter().filter_map(|p| p.exchange.as_ref()));
        let exchanges = self.open.iter().chain(waiting);
        exchanges
            .flat_map(|x| if from_client { Some(&x.request) } else { x.response.as_ref() })
            .any(|head| differs(head, offset, bytes))
    }

    /// Bytes of this side came again while a request waits for its answer. `of`: where they stand in their direction's
    /// stream, and how many they are. `true`: what the next segments say beside their bytes is wanted.
    #[cold]
    pub(super) fn again(&mut self, side: Side, ts: Timestamp, of: (u64, usize)) -> bool {
        let by = direction(self.client, side);
        let Some((now, (at, last))) = self.waiting() else { return false };
        now.watched.get_or_insert_default().again(by, at, (last, ts), of);
        true
    }

    /// What a segment says beside its bytes while a request waits, as [`super::websocket::Tunnel::signs`] has it.
    #[cold]
    pub(super) fn signs(&mut self, side: Side, usual: u8, signs: Signs) -> bool {
        let from = direction(self.client, side);
        let Some((now, _)) = self.waiting() else { return false };
        match &mut now.watched {
            None if !signs.rst && signs.sent.is_none() => false,
            watched => watched.get_or_insert_default().take(from, usual, signs),
        }
    }

    /// ICMP says that a segment of this side was not delivered. `false`: no request waits.
    #[cold]
    pub(super) fn rejected(&mut self, side: Side, note: Note) -> bool {
        let of = direction(self.client, side);
        let Some((now, _)) = self.waiting().filter(|_| note.why != IcmpWhy::TtlExceeded) else { return false };
        now.watched.get_or_insert_default().rejected(rejected::told(note, of));
        true
    }

    /// What is under way while a request waits that may switch protocols, and where and when that ended.
    fn waiting(&mut self) -> Option<(&mut UnderWay, (PacketRef, Timestamp))> {
        let now = self.under_way.as_deref_mut()?;
        let end = now.pending.front().filter(|pending| pending.is_awaited())?.end;
        Some((now, end))
    }

    /// The first Close of all was seen. `spoken`: when client and server had last spoken before it.
    #[cold]
    pub fn closed(&mut self, closed: Closed, track: &Track, spoken: [Timestamp; 2]) {
        // The order of the streams decides, not that of the capture's times. After a FIN or RST of the connection
        // a Close is no longer what ended it.
        if let (Some(tunnel), None) = (&mut self.tunnel, &self.tcp_end) {
            let from = if closed.by == Direction::ClientToServer { self.client } else { self.client.other() };
            let hole = tunnel.hole.and_then(|hole| hole.last_of(track, from));
            let hole = hole.filter(|hole| hole.is_answered_by(&closed, track));
            let answers = hole.is_some_and(|hole| hole.is_close(closed.length, hole.of() == self.client));
            tunnel.over = Some(Box::new(Over { close: Some(closed), spoken, answers }));
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
            let (beside, from) = (flow.inline.beside(chunk.side.index()), direction(self.client, chunk.side));
            let place = (chunk.ts, chunk.at, chunk.offset);
            let first = talk.push(beside, from, data, place, &mut flow.shared.common);
            if first && let Some(closed) = talk.closed() {
                self.closed(closed, flow.context.track, spoken);
            }
        }
    }

    /// What the capture shows of this flow.
    pub(super) fn judge_quality(&self, flow: &Flow<'_>, x: &mut Exchange) {
        let track = flow.context.track;
        x.quality.midstream = !track.from_the_start();
        x.quality.no_client_packets = !track.seen(self.client);
        x.quality.no_server_packets = !track.seen(self.client.other());
        x.quality.gap = self.gap;
        x.quality.undelivered = self.gap && !self.holed;
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
        x.times = Times {
            syn: track.client().map(|_| flow.context.opened.first),
            rtt: flow.context.opened.rtt(),
            last: Some(track.last),
        };
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
    pub(super) fn spoken(&self, flow: &Flow<'_>) -> [Timestamp; 2] {
        [self.client, self.client.other()].map(|side| flow.inline.sides[side.index()].last)
    }

    fn end(&self, flow: &Flow<'_>, x: &Exchange) -> End {
        let spoken = self.spoken(flow);
        let ending = self.tcp_end.map(|(side, how, ts, at)| (direction(self.client, side), how, ts, at));
        upgraded::end(x, self.tunnel.as_ref(), ending, spoken, flow.shared)
    }

    fn tell_tunnel(&mut self, flow: &mut Flow<'_>, x: &mut Exchange) {
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.tell(x, flow.inline, self.client.index(), flow.shared);
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
