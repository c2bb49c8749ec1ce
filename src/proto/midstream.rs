//! A connection that was joined while it ran: whether it is a WebSocket whose handshake is not in the
//! capture, HTTP/2 (`midstream_h2.rs`), HTTP/1.x after all, or nothing that is read. Never by its port.
//!
//! What comes in: chunks in order. What goes out: frames counted, as behind a 101; the flow to
//! [`super::Sink::lone`] when it ends; [`Step::Replace`] where a start line stands at the edge of a
//! segment. Looks for frames in `limits::MIDSTREAM_SEGMENTS`, for a start line in `limits::MIDSTREAM_EDGES`,
//! and copies nothing.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Direction, End, EndHow, Said, WsTotals};
use crate::stream::{Chunk, CloseHow, Side, What};
use crate::wire::frame_chain::Chain;
use crate::wire::sniff::{Guess, guess};

use super::around::Begin;
use super::held::HeldChunk;
use super::http1::Http;
use super::midstream_h2::Trial as Http2Trial;
use super::multiplex::Multiplex;
use super::tunnel::Closing;
use super::watch::{said, tell_alone};
use super::websocket::Frames;
use super::{Flow, Machine, Step, direction};

/// One connection without its beginning.
pub struct Midstream {
    begin: Begin,
    sides: [Trial; 2],
    http2: Http2Trial,
    segments: u32,
    /// Set once it is known to be a WebSocket.
    client: Option<Side>,
    frames: [Frames; 2],
    closing: [Closing; 2],
    /// The first Close frame of all: by whom, when, in which packet, and the last payload before it.
    close: Option<(Side, Timestamp, PacketRef, Timestamp)>,
    /// And when somebody had last spoken by then.
    tcp_end: Option<(Side, EndHow, Timestamp, PacketRef, Timestamp)>,
    gap: bool,
    /// Frames are not looked for any more.
    sealed: bool,
}

/// One direction, as far as it reads as frames.
#[derive(Default)]
struct Trial {
    chain: Option<Chain>,
    /// Chains that broke, or edges at which none began.
    failed: u8,
    /// Of these, short segments: no part of a long frame that the capture began in.
    odd: u8,
    spoke: bool,
}

/// Bytes of a segment below which it is no part of a long frame.
const SHORT: usize = 500;
/// Short segments that are no frames and prove another protocol.
const ODD: u8 = 2;

/// Evidence, in bits, that stands against a peer whose bytes do not read as frames: it may have been
/// joined inside a long one.
const AGAINST_PEER: u32 = limits::MIDSTREAM_BITS * 2;

impl Midstream {
    pub fn new(begin: Begin) -> Self {
        Midstream {
            begin,
            sides: Default::default(),
            http2: Http2Trial::default(),
            segments: 0,
            client: None,
            frames: Default::default(),
            closing: Default::default(),
            close: None,
            tcp_end: None,
            gap: false,
            sealed: false,
        }
    }

    /// Who is client of a WebSocket. `None`: it is not known to be one.
    pub fn client(&self) -> Option<Side> {
        self.client
    }

    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        match (chunk.what, self.client) {
            (What::Data(data), Some(client)) => {
                self.frames(flow, chunk, data, client == chunk.side);
                Step::Stay
            }
            (What::Data(data), None) => self.look(flow, chunk, data),
            (What::Gap { len, .. }, client) => {
                self.gap = true;
                self.http2.gap(chunk.side);
                let side = chunk.side.index();
                if client.is_some() {
                    self.frames[side].gap(len, &mut self.closing[side]);
                } else {
                    self.frames[side] = Frames::default();
                    self.sides[side].chain = None;
                }
                Step::Stay
            }
            (What::Close(how), _) => self.over(flow, chunk, how),
        }
    }

    fn frames(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, data: &[u8], by_client: bool) {
        let before = flow.inline.sides[0].last.max(flow.inline.sides[1].last);
        let side = chunk.side.index();
        let closing = &mut self.closing[side];
        let seen = closing.is_seen();
        self.frames[side].push(data, by_client, closing);
        flow.inline.sides[side].last = chunk.ts;
        if !seen && closing.is_seen() && self.close.is_none() && self.tcp_end.is_none() {
            self.close = Some((chunk.side, chunk.ts, chunk.at, before));
        }
    }

    /// One more segment of a connection that is not known yet.
    fn look(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, data: &[u8]) -> Step {
        self.segments += 1;
        let side = chunk.side;
        if let Some(client) = self.http2.segment(chunk, data) {
            flow.shared.counters.flows_http2 += 1;
            let around = self.begin.around.take();
            let machine = Multiplex::midstream(client, around, self.gap);
            return Step::Replace(Machine::Http2(Box::new(machine)), self.http2.take());
        }
        let trial = &mut self.sides[side.index()];
        trial.spoke = true;
        if trial.chain.is_none() {
            match guess(&data[..data.len().min(limits::SNIFF_BYTES)]) {
                Guess::Request => return self.http(side, chunk),
                Guess::Response => return self.http(side.other(), chunk),
                Guess::Tls => {
                    flow.shared.counters.flows_tls += 1;
                    return Step::Opaque;
                }
                _ => {}
            }
        }
        if !self.sealed && trial.failed < limits::MIDSTREAM_TRIES {
            let chain = trial.chain.get_or_insert_default();
            if chain.segment(data) {
                let masked = chain.masked() == Some(true);
                self.frames(flow, chunk, data, masked);
                self.client = self.recognised(flow, side);
                if self.client.is_some() {
                    self.http2.give_up();
                    self.begun(flow, side.other());
                    return Step::Stay;
                }
            } else {
                trial.chain = None;
                trial.failed += 1;
                trial.odd += u8::from(data.len() < SHORT);
                self.frames[side.index()] = Frames::default();
                self.closing[side.index()] = Closing::default();
                if self.close.is_some_and(|(by, ..)| by == side) {
                    self.close = None;
                }
            }
        }
        let hopeless = |t: &Trial| t.failed >= limits::MIDSTREAM_TRIES || !t.spoke;
        if self.segments >= limits::MIDSTREAM_SEGMENTS || self.sides.iter().all(hopeless) {
            self.seal();
        }
        if self.segments >= limits::MIDSTREAM_EDGES { Step::Opaque } else { Step::Stay }
    }

    /// No WebSocket will be recognised any more; the next message of HTTP may still begin behind the long
    /// one that the capture began in.
    fn seal(&mut self) {
        if self.sealed {
            return;
        }
        self.sealed = true;
        if !self.http2.is_promising() {
            self.http2.give_up();
        }
        self.close = None;
        for side in Side::BOTH {
            self.sides[side.index()].chain = None;
            self.closing[side.index()] = Closing::default();
            self.frames[side.index()] = Frames::default();
        }
    }

    /// The client, if this side's frames prove a WebSocket and the other side's bytes do not speak
    /// against it.
    fn recognised(&self, flow: &Flow<'_>, side: Side) -> Option<Side> {
        let chain = self.sides[side.index()].chain.as_ref()?;
        let masked = chain.masked()?;
        let client = if masked { side } else { side.other() };
        let other = &self.sides[side.other().index()];
        let others = other.chain.as_ref();
        let enough = chain.frames() >= limits::MIDSTREAM_FRAMES && chain.bits() >= limits::MIDSTREAM_BITS;
        let alike = others.and_then(Chain::masked) == Some(masked);
        let foreign = others.is_none_or(|c| c.frames() == 0)
            && (other.odd >= ODD || other.failed > 0 && chain.bits() < AGAINST_PEER);
        let opened_by_other = flow.context.track.client().is_some_and(|c| c != client);
        (enough && !alike && !foreign && !opened_by_other).then_some(client)
    }

    /// It is a WebSocket. A side that was in the middle of a frame finds its way like behind a gap.
    fn begun(&mut self, flow: &mut Flow<'_>, other: Side) {
        flow.shared.counters.flows_websocket_midstream += 1;
        if self.sides[other.index()].failed > 0 && self.sides[other.index()].chain.is_none() {
            self.frames[other.index()].gap(u64::MAX, &mut self.closing[other.index()]);
        }
    }

    /// A start line stands at the edge of a segment: HTTP, joined inside a message.
    fn http(&mut self, client: Side, chunk: &Chunk<'_>) -> Step {
        let around = self.begin.around.take();
        let mut http = Http::within(client, around);
        http.gap = self.gap;
        Step::Replace(Machine::Http(Box::new(http)), vec![HeldChunk::of(chunk)])
    }

    fn over(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, how: CloseHow) -> Step {
        let tcp = match how {
            CloseHow::Fin => Some(EndHow::Fin),
            CloseHow::Rst => Some(EndHow::Rst),
            CloseHow::Replaced | CloseHow::CaptureEnd => None,
        };
        if let (Some(how), None) = (tcp, &self.tcp_end) {
            let spoken = flow.inline.sides[0].last.max(flow.inline.sides[1].last);
            self.tcp_end = Some((chunk.side, how, chunk.ts, chunk.at, spoken));
        }
        let track = flow.context.track;
        if how == CloseHow::Fin && !(track.fin(Side::Low) && track.fin(Side::High)) {
            return Step::Stay;
        }
        if let Some(client) = self.client {
            let (of_client, of_server) = (&self.frames[client.index()], &self.frames[client.other().index()]);
            let ws = WsTotals {
                client: of_client.counts(),
                server: of_server.counts(),
                compressed: of_client.compressed() || of_server.compressed(),
            };
            let [a, b] = &flow.inline.sides;
            let end = self.end(client, a.last.max(b.last));
            let said = Said { ws: Some(ws), gap: self.gap, end, ..said(&self.begin) };
            tell_alone(flow, client, self.begin.first, said);
        }
        Step::Opaque
    }

    fn end(&self, client: Side, last: Timestamp) -> End {
        let mut end = End::default();
        let mut idle_from = last;
        if let Some((side, how, at, packet, spoken)) = self.tcp_end {
            idle_from = spoken;
            end.tcp_by = Some(direction(client, side));
            (end.tcp_how, end.tcp_at) = (how, Some(at));
            (end.by, end.how, end.at, end.packet) = (end.tcp_by, how, Some(at), Some(packet));
        }
        if let Some((side, at, packet, before)) = self.close {
            let by: Direction = direction(client, side);
            (end.by, end.how, end.at, end.packet) = (Some(by), EndHow::CloseFrame, Some(at), Some(packet));
            end.close = Some(self.closing[side.index()].read());
            idle_from = before;
        }
        if let Some(at) = end.at {
            end.idle_before = (idle_from.0 != 0).then(|| at.since(idle_from).max(Nanos::ZERO));
        }
        end
    }
}
