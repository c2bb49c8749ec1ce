//! The client's direction of an HTTP/1.x connection.

use crate::base::{ExchangeId, PacketRef, Timestamp, limits};
use crate::model::{Exchange, Head, LineFaults, StartLine};
use crate::stream::{Chunk, Plain, Ready, Side, What};
use crate::wire::framing::Framing;
use crate::wire::http1::{self, Kind, Parts, head_end, is_candidate, leading_blank, parse};
use crate::wire::polling;
use crate::wire::scratch::Scratch;
use crate::wire::sniff::{Guess, guess};

use super::Flow;
use super::around::Around;
use super::body::Progress;
use super::messages::{Early, Half, Messages, Start, State};
use super::pending::Pending;

impl Messages<'_> {
    pub(super) fn request_data(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, data: &[u8]) {
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            let here = Chunk { offset: chunk.offset + at as u64, ..*chunk };
            let used = match self.now.request.state {
                State::Head => self.request_head(flow, &here, rest),
                State::Lost => {
                    // Only the edge of a segment can be the start of a message.
                    if at == 0 && guess(rest) == Guess::Request {
                        self.now.request.state = State::Head;
                        0
                    } else {
                        rest.len()
                    }
                }
                State::Length => {
                    let skip = &mut flow.inline.sides[chunk.side.index()].skip;
                    let n = usize::try_from(*skip).map_or(rest.len(), |s| s.min(rest.len()));
                    *skip -= n as u64;
                    if *skip == 0 {
                        self.request_over();
                    }
                    n
                }
                State::Chunked => match self.now.request.chunks.get_or_insert_default().push(rest, &mut |_| {}) {
                    Progress::More => rest.len(),
                    Progress::Done(n) => {
                        self.request_over();
                        n
                    }
                    Progress::Broken => {
                        self.now.request.state = State::Lost;
                        rest.len()
                    }
                },
                State::Waiting => {
                    self.keep_early(&here, rest);
                    rest.len()
                }
                State::Tunnel => {
                    let here = Chunk { what: What::Data(rest), ..here };
                    self.http.tunnel_data(flow, &here, rest);
                    rest.len()
                }
                State::UntilClose | State::Odd | State::Handover => rest.len(),
            };
            at += used;
        }
    }

    /// A message with content is over: what follows is the next head, or unknown until an upgrade is
    /// answered.
    fn request_over(&mut self) {
        let waits = self.now.pending.back().is_some_and(Pending::is_awaited);
        self.now.request.state = if waits { State::Waiting } else { State::Head };
    }

    /// Takes bytes of a head; returns how many.
    fn request_head(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, rest: &[u8]) -> usize {
        if self.now.request.start.is_none() {
            if let Some(ready) = flow.shared.take_ready(Kind::Request, rest) {
                let used = ready.length().min(rest.len());
                let start = Start { id: flow.shared.next_id(), at: chunk.at, ts: chunk.ts, offset: chunk.offset };
                let faults = self.now.request.reset();
                let last = (chunk.at, chunk.ts);
                self.request_complete(flow, start, &rest[..used], last, true, faults, Some(ready));
                return used;
            }
            // Stray line ends between messages begin nothing yet (RFC 9112 §2.2).
            let blank = leading_blank(rest);
            if blank != 0 {
                self.now.request.blank = true;
                return blank;
            }
            if guess(rest) == Guess::Other {
                self.now.request.state = State::Lost;
                return rest.len();
            }
            self.now.request.start =
                Some(Start { id: flow.shared.next_id(), at: chunk.at, ts: chunk.ts, offset: chunk.offset });
        }
        let Some(start) = self.now.request.start else { return rest.len() };
        match gather(&mut self.now.request, rest) {
            Gathered::Whole(used) => {
                // A head inside one segment is read where it stands.
                let whole = std::mem::take(&mut self.now.request.buf);
                let text = if whole.is_empty() { &rest[..used] } else { whole.as_slice() };
                let faults = self.now.request.reset();
                self.request_complete(flow, start, text, (chunk.at, chunk.ts), true, faults, None);
                self.now.request.buf = whole;
                self.now.request.buf.clear();
                used
            }
            Gathered::Part => {
                if guess(&self.now.request.buf) == Guess::Other {
                    self.now.request.reset();
                    self.now.request.state = State::Lost;
                }
                rest.len()
            }
            Gathered::TooLarge => {
                flow.shared.counters.heads_too_large += 1;
                let text = std::mem::take(&mut self.now.request.buf);
                let mut faults = self.now.request.reset();
                faults.add(LineFaults::TOO_LARGE);
                self.request_complete(flow, start, &text, (chunk.at, chunk.ts), false, faults, None);
                self.now.request.state = State::Lost;
                rest.len()
            }
        }
    }

    /// A head is there, whole or as far as it will ever come. `ready`: where it was read ahead.
    #[expect(clippy::too_many_arguments, reason = "what a head is, and how it came")]
    fn request_complete(
        &mut self,
        flow: &mut Flow<'_>,
        start: Start,
        text: &[u8],
        last: (PacketRef, Timestamp),
        complete: bool,
        faults: LineFaults,
        ready: Option<Ready>,
    ) {
        let mut scratch = std::mem::take(&mut flow.shared.fields);
        // Whether `scratch` holds its fields.
        let mut parsed = false;
        let (plain, candidate, ready) = match ready {
            Some(Ready::Plain(plain)) => (plain, false, None),
            Some(Ready::Request(x)) => {
                let parts = Parts { start: x.request.start.clone(), faults: x.request.faults };
                (Plain::of(text, parts, &x.request.fields), true, Some(x))
            }
            Some(Ready::Response(_)) | None => {
                let parts = parse(Kind::Request, text, &mut scratch.fields);
                parsed = true;
                let candidate = is_candidate(text, &parts.start, &scratch.fields);
                (Plain::of(text, parts, &scratch.fields), candidate, None)
            }
        };
        let version_is_http = match &plain.start {
            StartLine::Request { version, .. } => text_of(text, version).starts_with(b"HTTP/"),
            StartLine::Response { .. } => false,
        };
        if !version_is_http && !candidate && complete {
            // Looked like a request and is none.
            flow.shared.fields = scratch;
            self.now.request.state = State::Lost;
            return;
        }
        flow.shared.counters.http_requests += 1;
        if let Some(done) = self.http.open.take() {
            self.http.emit(flow, done, false);
        }
        let method = match &plain.start {
            StartLine::Request { method, .. } => text_of(text, method),
            StartLine::Response { .. } => b"",
        };
        let (is_head, connect) = (method == b"HEAD", method == b"CONNECT");
        let framing = plain.framing.unwrap_or(Framing::None);
        let gap = std::mem::take(&mut self.now.request.gap);
        let index = self.http.requests;
        self.http.requests = self.http.requests.saturating_add(1);
        let unsure = self.http.lost_requests;
        let mut pending =
            Pending { head: is_head, connect, exchange: None, plain: 0..0, start, end: last, gap, unsure, index };
        let target = match &plain.start {
            StartLine::Request { target, .. } => text_of(text, target),
            StartLine::Response { .. } => b"",
        };
        let of = |range| Some(text_of(text, range)).filter(|value| !value.is_empty());
        let wanted = &flow.shared.wanted;
        let tentative = !candidate
            && method == b"GET"
            && complete
            && (wanted.is(target, of(&plain.cookie), of(&plain.forwarded))
                || wanted.has_room() && (self.http.requests <= 1 && self.is_proxied() || polling::may_poll(target)));
        if candidate {
            let client = flow.endpoint(self.http.client).ip;
            flow.shared.wanted.learn(target, of(&plain.cookie), client);
        }
        if candidate || tentative {
            let mut x = match ready {
                Some(mut x) => {
                    place(&mut x.request, start, last);
                    (x.id, x.index_in_flow) = (start.id, index);
                    placed(flow, self.http.client, self.http.around.as_deref(), x)
                }
                None => {
                    if !parsed {
                        parse(Kind::Request, text, &mut scratch.fields);
                    }
                    let head = into_head(text, plain.start, &mut scratch, plain.faults, start, last, complete);
                    self.exchange(flow, start.id, head, index)
                }
            };
            x.request.faults.add(faults);
            x.quality.request_gap = gap;
            x.quality.queued = !self.now.pending.is_empty();
            x.tentative = tentative;
            flow.sink.asked(&x);
            if tentative {
                flow.shared.wanted.keep();
            }
            pending.exchange = Some(x);
        } else {
            if self.now.pending.is_empty() {
                self.now.plain.clear();
            }
            // Never emptied while requests keep being pipelined; then the newest are not kept.
            if self.now.plain.len() < limits::HEAD_BYTES {
                let from = u32::try_from(self.now.plain.len()).unwrap_or(u32::MAX);
                self.now.plain.extend_from_slice(text);
                pending.plain = from..u32::try_from(self.now.plain.len()).unwrap_or(u32::MAX);
            }
        }
        flow.shared.fields = scratch;
        if self.now.pending.len() >= limits::PIPELINE {
            flow.shared.counters.evicted += 1;
            if let Some(Pending { exchange: Some(x), .. }) = self.now.pending.pop_front() {
                self.http.emit(flow, x, false);
            }
        }
        self.now.pending.push_back(pending);
        self.now.request.state = match framing {
            Framing::Length(n) if n > 0 => {
                flow.inline.sides[self.http.client.index()].skip = n;
                State::Length
            }
            Framing::Chunked => {
                self.now.request.chunks = Some(Box::default());
                State::Chunked
            }
            _ if candidate || connect => State::Waiting,
            _ => State::Head,
        };
    }

    /// Whether a PROXY header stands before this stream: its server takes them.
    fn is_proxied(&self) -> bool {
        self.http.around.as_ref().is_some_and(|around| around.proxied.is_some())
    }

    /// A new exchange around a request head.
    pub(super) fn exchange(&self, flow: &mut Flow<'_>, id: ExchangeId, request: Head, index: u32) -> Box<Exchange> {
        exchange(flow, self.http.client, self.http.around.as_deref(), id, request, index)
    }

    /// A plain request turns out to be worth keeping.
    pub(super) fn promote(&self, flow: &mut Flow<'_>, pending: &Pending) -> Box<Exchange> {
        let text = text_of(&self.now.plain, &pending.plain);
        let mut fields = std::mem::take(&mut flow.shared.fields);
        let parts = parse(Kind::Request, text, &mut fields.fields);
        let head = into_head(text, parts.start, &mut fields, parts.faults, pending.start, pending.end, true);
        flow.shared.fields = fields;
        let mut x = self.exchange(flow, pending.start.id, head, pending.index);
        x.quality.request_gap = pending.gap;
        x
    }

    pub(super) fn request_gap(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, len: u64) {
        let skip = &mut flow.inline.sides[self.http.client.index()].skip;
        match self.now.request.state {
            State::Length if len <= *skip => {
                *skip -= len;
                if *skip == 0 {
                    self.request_over();
                }
            }
            State::Chunked if self.now.request.chunks.get_or_insert_default().gap(len) => {}
            State::Waiting => {
                let early = self.now.early.get_or_insert_with(|| Box::new(Early::new(chunk)));
                early.missed = early.missed.saturating_add(len);
            }
            _ => {
                *skip = 0;
                self.cut_request(flow, true);
                self.now.request.gap = true;
                self.http.lost_requests = true;
                self.now.request.state = State::Lost;
            }
        }
    }

    /// The client's direction is over.
    pub(super) fn request_end(&mut self, flow: &mut Flow<'_>, _: Timestamp) {
        if self.now.request.state == State::Head {
            self.cut_request(flow, false);
        }
    }

    /// The head under way will not come to its end; `lost`: because bytes of it are missing here.
    pub(super) fn cut_request(&mut self, flow: &mut Flow<'_>, lost: bool) {
        let Some(start) = self.now.request.start else { return };
        let text = std::mem::take(&mut self.now.request.buf);
        let faults = self.now.request.reset();
        self.now.request.gap |= lost;
        let last = (start.at, flow.context.track.last);
        self.request_complete(flow, start, &text, last, false, faults, None);
        // Its content, if any, is not to be waited for.
        flow.inline.sides[self.http.client.index()].skip = 0;
        self.now.request.state = State::Head;
    }

    fn keep_early(&mut self, chunk: &Chunk<'_>, data: &[u8]) {
        let early = self.now.early.get_or_insert_with(|| Box::new(Early::new(chunk)));
        // Nothing is put behind a hole as if there were none.
        let room = if early.missed == 0 { limits::EARLY_BYTES.saturating_sub(early.bytes.len()) } else { 0 };
        let kept = data.len().min(room);
        early.bytes.extend_from_slice(&data[..kept]);
        early.missed = early.missed.saturating_add((data.len() - kept) as u64);
    }

    /// The answer is there: what came early is what it makes of it.
    pub(super) fn release_early(&mut self, flow: &mut Flow<'_>) {
        if self.now.request.state == State::Waiting {
            self.now.request.state = State::Head;
        }
        let Some(early) = self.now.early.take() else { return };
        let chunk = Chunk {
            side: self.http.client,
            ts: early.ts,
            at: early.at,
            offset: early.offset,
            what: What::Data(&early.bytes),
        };
        self.request_data(flow, &chunk, &early.bytes);
        if early.missed != 0 {
            let offset = early.offset.saturating_add(early.bytes.len() as u64);
            self.request_gap(flow, &Chunk { offset, ..chunk }, early.missed);
        }
    }
}

/// What came of adding bytes to a head under way.
pub(super) enum Gathered {
    /// The head is whole; so many of the new bytes belong to it. It stands in `buf`, or, where `buf`
    /// is empty, in those bytes themselves.
    Whole(usize),
    Part,
    TooLarge,
}

/// Adds bytes to the head under way.
pub(super) fn gather(half: &mut Half, rest: &[u8]) -> Gathered {
    if half.buf.is_empty()
        && let Some(end) = head_end(rest, 0).filter(|&end| end <= limits::HEAD_BYTES)
    {
        return Gathered::Whole(end);
    }
    let before = half.buf.len();
    let room = limits::HEAD_BYTES.saturating_sub(before);
    half.buf.extend_from_slice(&rest[..rest.len().min(room)]);
    if let Some(end) = head_end(&half.buf, half.scanned as usize) {
        half.buf.truncate(end);
        return Gathered::Whole(end - before);
    }
    half.scanned = u32::try_from(half.buf.len()).unwrap_or(u32::MAX);
    if room <= rest.len() { Gathered::TooLarge } else { Gathered::Part }
}

/// A new exchange around a request head.
pub(super) fn exchange(
    flow: &mut Flow<'_>,
    client: Side,
    around: Option<&Around>,
    id: ExchangeId,
    request: Head,
    index: u32,
) -> Box<Exchange> {
    placed(flow, client, around, Box::new(Exchange { id, index_in_flow: index, ..Exchange::of(request) }))
}

/// Puts a new exchange onto its connection.
fn placed(flow: &mut Flow<'_>, client: Side, around: Option<&Around>, mut x: Box<Exchange>) -> Box<Exchange> {
    x.flow = flow.id();
    x.client = flow.endpoint(client);
    x.server = flow.endpoint(client.other());
    if let Some(around) = around {
        x.via.clone_from(&around.via);
        x.proxied.clone_from(&around.proxied);
    }
    flow.sink.begun(&x, around.map_or([0; 2], |a| a.base));
    x
}

/// A head from its parts.
pub(super) fn into_head(
    text: &[u8],
    start_line: StartLine,
    scratch: &mut Scratch,
    faults: LineFaults,
    start: Start,
    last: (PacketRef, Timestamp),
    complete: bool,
) -> Head {
    let mut head = http1::head(text, Parts { start: start_line, faults }, scratch);
    place(&mut head, start, last);
    head.complete = complete;
    head
}

/// Says where and when a head was sent.
pub(super) fn place(head: &mut Head, start: Start, last: (PacketRef, Timestamp)) {
    (head.at, head.first) = (start.at, start.ts);
    (head.at_last, head.last) = last;
    head.range = start.offset..start.offset + head.text.len() as u64;
}

pub(super) fn text_of<'a>(text: &'a [u8], range: &std::ops::Range<u32>) -> &'a [u8] {
    text.get(range.start as usize..range.end as usize).unwrap_or_default()
}
