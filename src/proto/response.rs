//! The server's direction of an HTTP/1.x connection.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Direction, Exchange, Head, LineFaults, Preview, StartLine};
use crate::stream::{Chunk, Plain, Ready, What};
use crate::wire::framing::Framing;
use crate::wire::http1::{Kind, leading_blank, parse};
use crate::wire::sniff::{Guess, is_response};

use super::Flow;
use super::body::Progress;
use super::messages::{Messages, Start, State};
use super::pending::Pending;
use super::request::{Gathered, gather, into_head, place};
use super::tunnel;

/// A head, as far as it was read.
enum Known {
    Head(Head),
    /// Its fields were not kept.
    Plain(Plain),
    /// Its fields are at hand.
    Parsed(Plain),
}

/// How a status line begins that is looked for among other bytes.
const STATUS_LINE: &[u8] = b"HTTP/1.";

impl Messages<'_> {
    pub(super) fn response_data(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, data: &[u8]) {
        if chunk.offset == 0 && self.http.around.is_none() && flow.context.track.lacks_first(chunk.side) {
            self.now.response.gap = true;
        }
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            let here = Chunk { offset: chunk.offset + at as u64, ..*chunk };
            let used = match self.now.response.state {
                State::Head => self.response_head(flow, &here, rest),
                State::Lost => {
                    if at == 0 && is_response(rest) == Guess::Response {
                        self.found_again();
                        0
                    } else {
                        rest.len()
                    }
                }
                State::Odd => self.not_a_response(&here, rest),
                State::Length => {
                    let skip = &mut flow.inline.sides[chunk.side.index()].skip;
                    let n = usize::try_from(*skip).map_or(rest.len(), |s| s.min(rest.len()));
                    *skip -= n as u64;
                    if *skip == 0 {
                        self.now.response.state = State::Head;
                    }
                    keep_body(&mut self.http.open, &rest[..n]);
                    n
                }
                State::Chunked => {
                    let open = &mut self.http.open;
                    match self
                        .now
                        .response
                        .chunks
                        .get_or_insert_default()
                        .push(rest, &mut |content| keep_body(open, content))
                    {
                        Progress::More => rest.len(),
                        Progress::Done(n) => {
                            self.now.response.state = State::Head;
                            n
                        }
                        Progress::Broken => {
                            self.now.response.state = State::Lost;
                            rest.len()
                        }
                    }
                }
                State::UntilClose => {
                    keep_body(&mut self.http.open, rest);
                    rest.len()
                }
                State::Tunnel => {
                    let here = Chunk { what: What::Data(rest), ..here };
                    if let Some(x) = self.http.open.as_mut().filter(|x| at != 0 && x.status() == Some(101)) {
                        x.frames_with_101 = true;
                    }
                    self.http.tunnel_data(flow, &here, rest);
                    rest.len()
                }
                State::Waiting => rest.len(),
                State::Handover => {
                    self.keep_inside(&here, rest);
                    rest.len()
                }
            };
            at += used;
        }
    }

    /// Takes bytes of a head; returns how many.
    fn response_head(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, rest: &[u8]) -> usize {
        if self.now.response.start.is_none() {
            // A line end or two before a status line is a fault to keep, not another protocol.
            let blank = leading_blank(rest);
            if blank != 0 {
                self.now.response.blank = true;
                return blank;
            }
            if is_response(rest) == Guess::Other {
                return self.not_a_response(chunk, rest);
            }
            let id = Default::default();
            self.now.response.start = Some(Start { id, at: chunk.at, ts: chunk.ts, offset: chunk.offset });
        }
        let Some(start) = self.now.response.start else { return rest.len() };
        // Among other bytes the version is needed too, so that the word alone is not taken for it.
        let expected = if self.now.odd.is_some() { STATUS_LINE } else { &STATUS_LINE[..5] };
        if let Some(missing) = expected.len().checked_sub(self.now.response.buf.len()).filter(|&n| n > 0) {
            let (begun, more) = (self.now.response.buf.as_slice(), &rest[..rest.len().min(missing)]);
            let whole = more.len() == missing;
            if !expected.strip_prefix(begun).is_some_and(|left| left.starts_with(more)) {
                // No status line begins here after all; one may still stand in what is at hand.
                let mut text = std::mem::take(&mut self.now.response.buf);
                text.extend_from_slice(rest);
                self.now.response.reset();
                self.now.response.state = State::Odd;
                let from_there = Chunk { offset: start.offset, ..*chunk };
                self.response_data(flow, &from_there, &text);
                return rest.len();
            }
            if self.now.odd.is_some() && whole {
                self.found_again();
            }
        }
        if self.now.response.buf.is_empty()
            && let Some(ready) = flow.shared.take_ready(Kind::Response, rest)
        {
            let used = ready.length().min(rest.len());
            let faults = self.now.response.reset();
            self.response_complete(flow, start, &rest[..used], (chunk.at, chunk.ts), true, faults, Some(ready));
            return used;
        }
        match gather(&mut self.now.response, rest) {
            Gathered::Whole(used) => {
                let whole = std::mem::take(&mut self.now.response.buf);
                let text = if whole.is_empty() { &rest[..used] } else { whole.as_slice() };
                let faults = self.now.response.reset();
                self.response_complete(flow, start, text, (chunk.at, chunk.ts), true, faults, None);
                self.now.response.buf = whole;
                self.now.response.buf.clear();
                used
            }
            Gathered::Part => rest.len(),
            Gathered::TooLarge => {
                flow.shared.counters.heads_too_large += 1;
                self.cut_response(flow, LineFaults::TOO_LARGE, false);
                self.now.response.state = State::Lost;
                rest.len()
            }
        }
    }

    /// These bytes stand where a response should. Where a status line follows in them they came
    /// before it; else they are kept to be named. Returns how many are dealt with.
    fn not_a_response(&mut self, chunk: &Chunk<'_>, rest: &[u8]) -> usize {
        if let Some(at) = memchr::memmem::find(rest, STATUS_LINE) {
            self.odd_bytes(chunk, &rest[..at]);
            self.found_again();
            return at;
        }
        // One may begin in the last bytes and go on in the next segment.
        let begun = (1..STATUS_LINE.len()).rev().find(|&n| rest.ends_with(&STATUS_LINE[..n])).unwrap_or(0);
        let used = rest.len() - begun;
        self.odd_bytes(chunk, &rest[..used]);
        self.now.response.state = if begun == 0 { State::Odd } else { State::Head };
        used
    }

    /// A status line after other bytes: those came before it.
    fn found_again(&mut self) {
        self.now.response.state = State::Head;
        self.now.response.blank = false;
        if let (Some(odd), Some(Pending { exchange: Some(x), .. })) =
            (self.now.odd.take(), self.now.pending.front_mut())
        {
            x.before_response.get_or_insert(odd);
        }
    }

    fn odd_bytes(&mut self, chunk: &Chunk<'_>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let odd = self.now.odd.get_or_insert_with(|| {
            Box::new(Preview { bytes: Box::default(), at: chunk.at, ts: chunk.ts, offset: chunk.offset })
        });
        let mut kept = odd.bytes.to_vec();
        tunnel::preview(&mut kept, bytes);
        odd.bytes = kept.into();
    }

    /// A head is there, whole or as far as it will ever come. `ready`: where it was read ahead.
    #[expect(clippy::too_many_arguments, reason = "what a head is, and how it came")]
    fn response_complete(
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
        let known = match ready {
            Some(Ready::Plain(plain)) => Known::Plain(plain),
            Some(Ready::Response(head)) => Known::Head(head),
            Some(Ready::Request(_)) | None => {
                let parts = parse(Kind::Response, text, &mut scratch.fields);
                Known::Parsed(Plain::of(text, parts, &scratch.fields))
            }
        };
        let (status, framing) = match &known {
            // A 101 has no content, and only of that the whole head is read ahead.
            Known::Head(_) => (101, None),
            Known::Plain(plain) | Known::Parsed(plain) => match plain.start {
                StartLine::Response { status, .. } => (status, plain.framing),
                StartLine::Request { .. } => (0, plain.framing),
            },
        };
        flow.shared.counters.http_responses += 1;
        let gap = std::mem::take(&mut self.now.response.gap);
        if gap && complete {
            self.drop_lost(flow);
        }
        let unsure = self.now.pending.front().is_some_and(|pending| pending.unsure);
        if self.now.pending.is_empty() {
            self.http.lost_requests = false;
        }
        let gap = gap || unsure;
        // A request head that is still coming in is answered now (RFC 9110 §15.5.9).
        if self.now.pending.is_empty() && self.now.request.start.is_some() && status != 100 {
            self.cut_request(flow, false);
        }
        // What it answers may have been captured by another name, or in another file.
        let halved = (300..600).contains(&status)
            && self.now.pending.is_empty()
            && flow.shared.wanted.may_be_answered()
            && !flow.context.track.seen(self.http.client);
        if !halved && status >= 200 && self.now.pending.is_empty() && !flow.context.track.seen(self.http.client) {
            // The place of the next one on its connection.
            self.http.requests = self.http.requests.saturating_add(1);
        }
        let awaited = self.now.pending.front().is_some_and(|p| p.exchange.is_some() || p.connect);
        let wanted = awaited || halved || status == 101;
        let head = wanted.then(|| {
            let mut head = match known {
                Known::Head(mut head) => {
                    place(&mut head, start, last);
                    head
                }
                Known::Plain(plain) => {
                    parse(Kind::Response, text, &mut scratch.fields);
                    into_head(text, plain.start, &mut scratch, plain.faults, start, last, complete)
                }
                Known::Parsed(plain) => into_head(text, plain.start, &mut scratch, plain.faults, start, last, complete),
            };
            head.faults.add(faults);
            head
        });
        flow.shared.fields = scratch;
        match status {
            101 => {
                if let Some(head) = head {
                    self.switched(flow, head, gap);
                }
            }
            100..=199 => {
                if let (Some(Pending { exchange: Some(x), .. }), Some(head)) = (self.now.pending.front_mut(), head)
                    && x.interim.len() < limits::INTERIM_HEADS
                {
                    x.interim.push(head);
                }
            }
            _ => self.answered(flow, status, head, framing, gap),
        }
    }

    /// A 101 (RFC 9110 §15.2.2).
    fn switched(&mut self, flow: &mut Flow<'_>, head: Head, gap: bool) {
        let mut x = match self.now.pending.pop_front() {
            Some(Pending { exchange: Some(x), .. }) => x,
            Some(pending) => self.promote(flow, &pending),
            None => self.unseen_request(flow, &head),
        };
        let websocket = x.is_websocket() || head.upgrades_to_websocket() || head.has("sec-websocket-accept");
        x.quality.response_gap |= gap;
        x.tentative = false;
        // Of a head that breaks off, what stood behind is not known.
        let extensions =
            head.complete.then(|| head.combined("sec-websocket-extensions").unwrap_or_default().into_owned());
        let ts = head.last;
        let http2 = head.has_token("upgrade", "h2c") && x.request.has_token("upgrade", "h2c");
        x.response = Some(head);
        if !http2 {
            self.take_early(&mut x);
        }
        self.decide(flow, x);
        if http2 {
            self.switched_to_http2();
            return;
        }
        self.open_tunnel(flow, websocket, ts, extensions.as_deref());
        self.release_early_into_tunnel(flow);
    }

    /// What the client sent before the 101 belongs to the new protocol (RFC 9110 §7.8).
    fn release_early_into_tunnel(&mut self, flow: &mut Flow<'_>) {
        if let Some(early) = self.now.early.take() {
            let what = What::Data(&early.bytes);
            let chunk = Chunk { side: self.http.client, ts: early.ts, at: early.at, offset: early.offset, what };
            self.http.tunnel_data(flow, &chunk, &early.bytes);
            if early.missed != 0
                && let Some(talk) = flow.shared.talks.get_mut(self.http.talk())
            {
                let beside = flow.inline.beside(self.http.client.index());
                talk.gap(beside, Direction::ClientToServer, early.missed, &mut flow.shared.common);
            }
        }
    }

    /// The request of this response is not in the capture.
    fn unseen_request(&mut self, flow: &mut Flow<'_>, response: &Head) -> Box<Exchange> {
        let start = StartLine::Request { method: 0..0, target: 0..0, version: 0..0 };
        let request = Head {
            text: Box::default(),
            start,
            fields: std::sync::Arc::default(),
            names: crate::model::Names::default(),
            faults: LineFaults::NONE,
            complete: false,
            coded: false,
            at: response.at,
            at_last: response.at,
            first: response.first,
            last: response.first,
            range: 0..0,
        };
        let id = flow.shared.next_id();
        let index = self.http.requests;
        self.http.requests = self.http.requests.saturating_add(1);
        let mut x = self.exchange(flow, id, request, index);
        x.mechanism = crate::model::Mechanism::Http1Upgrade;
        x.quality.request_gap = true;
        x
    }

    /// A final response that is no 101.
    fn answered(&mut self, flow: &mut Flow<'_>, status: u16, head: Option<Head>, framing: Option<Framing>, gap: bool) {
        let pending = self.now.pending.pop_front();
        let unseen = pending.is_none();
        let (is_head, connect) = pending.as_ref().map_or((false, false), |p| (p.head, p.connect));
        let pending = match pending {
            Some(pending) if connect && (200..300).contains(&status) => return self.granted(flow, pending),
            other => other,
        };
        let exchange = match pending {
            Some(Pending { exchange: Some(x), .. }) => Some(x),
            Some(pending) if connect => Some(self.promote(flow, &pending)),
            None if let Some(head) = &head => {
                flow.shared.wanted.keep_half();
                let mut x = self.unseen_request(flow, head);
                x.tentative = true;
                Some(x)
            }
            _ => None,
        };
        if let (Some(mut x), Some(head)) = (exchange, head) {
            x.quality.response_gap |= gap;
            x.response = Some(head);
            self.take_early(&mut x);
            self.decide(flow, x);
        }
        // RFC 9112 §6.3.
        self.now.response.state = match framing {
            _ if is_head || status == 204 || status == 304 => State::Head,
            Some(Framing::Length(0) | Framing::None) => State::Head,
            Some(Framing::Length(n)) => {
                flow.inline.sides[self.http.client.other().index()].skip = n;
                State::Length
            }
            Some(Framing::Chunked) => {
                self.now.response.chunks = Some(Box::default());
                State::Chunked
            }
            // Of HEAD there is no content, and behind a CONNECT another stream: nobody saw which it was.
            Some(Framing::UntilClose) | None if unseen => State::Lost,
            Some(Framing::UntilClose) | None => State::UntilClose,
        };
        if !self.now.pending.iter().any(Pending::is_awaited) {
            self.release_early(flow);
        }
    }

    fn decide(&mut self, flow: &mut Flow<'_>, mut x: Box<Exchange>) {
        x.odd_response = None;
        if x.before_response.is_none() {
            x.before_response = self.now.odd.take();
        }
        self.http.judge_quality(flow, &mut x);
        flow.sink.decided(&x);
        self.http.open = Some(x);
    }

    /// Responses were lost: on a connection that waits for each answer, the next one belongs to the
    /// last request; the others' answers are not in the capture.
    fn drop_lost(&mut self, flow: &mut Flow<'_>) {
        while self.now.pending.len() > 1 {
            if let Some(Pending { exchange: Some(mut x), .. }) = self.now.pending.pop_front() {
                x.quality.response_gap = true;
                self.http.emit(flow, x, false);
            }
        }
    }

    pub(super) fn response_gap(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, len: u64) {
        let skip = &mut flow.inline.sides[chunk.side.index()].skip;
        match self.now.response.state {
            State::Length if len <= *skip => {
                *skip -= len;
                if *skip == 0 {
                    self.now.response.state = State::Head;
                }
            }
            State::Chunked if self.now.response.chunks.get_or_insert_default().gap(len) => {}
            State::UntilClose => {}
            _ => {
                *skip = 0;
                self.http.lost_requests = false;
                if self.now.response.start.is_some() {
                    self.cut_response(flow, LineFaults::NONE, true);
                } else {
                    self.now.response.gap = true;
                }
                if self.now.inside.is_some() {
                    // The head that broke off here granted a CONNECT.
                } else if self.http.tunnel.is_none() {
                    self.now.response.state = State::Lost;
                    self.mark_front(|x| x.quality.response_gap = true);
                } else if let Some(talk) = flow.shared.talks.get_mut(self.http.talk()) {
                    let beside = flow.inline.beside(chunk.side.index());
                    talk.gap(beside, Direction::ServerToClient, u64::MAX, &mut flow.shared.common);
                }
            }
        }
    }

    fn mark_front(&mut self, mark: impl Fn(&mut Exchange)) {
        if let Some(Pending { exchange: Some(x), .. }) = self.now.pending.front_mut() {
            mark(x);
        }
    }

    /// The server's direction is over.
    pub(super) fn response_end(&mut self, flow: &mut Flow<'_>, _: Timestamp) {
        if self.now.response.state == State::Head && self.now.response.start.is_some() {
            self.cut_response(flow, LineFaults::NONE, false);
        }
    }

    /// The head under way will not come to its end; `lost`: because bytes of it are missing here.
    fn cut_response(&mut self, flow: &mut Flow<'_>, faults: LineFaults, lost: bool) {
        let Some(start) = self.now.response.start else { return };
        let text = std::mem::take(&mut self.now.response.buf);
        let mut faults = faults;
        faults.add(self.now.response.reset());
        if self.now.odd.is_some() && text.len() < STATUS_LINE.len() {
            // Too little to be told from the odd bytes before it.
            let side = self.http.client.other();
            let what = What::Data(&text);
            self.odd_bytes(&Chunk { side, ts: start.ts, at: start.at, offset: start.offset, what }, &text);
            return;
        }
        let last = (start.at, flow.context.track.last);
        self.now.response.gap |= lost;
        self.response_complete(flow, start, &text, last, false, faults, None);
    }
}

/// Keeps the first bytes of a refusal's content.
fn keep_body(open: &mut Option<Box<Exchange>>, content: &[u8]) {
    let Some(x) = open else { return };
    let room = limits::BODY_PREVIEW_BYTES.saturating_sub(x.body.len());
    if room == 0 || content.is_empty() || x.status() == Some(101) {
        return;
    }
    let mut body = std::mem::take(&mut x.body).into_vec();
    body.extend_from_slice(&content[..content.len().min(room)]);
    x.body = body.into();
}
