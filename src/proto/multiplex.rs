//! One HTTP/2 connection on a flow: what [`Http2`] finds, as exchanges. Each stream is one; those that ask for
//! another protocol, and plain requests that may be a leg of such a one, are kept, the others counted. Read with
//! RFC 8441 open. `stream_leg.rs` holds what is kept of one stream.

use hashbrown::HashMap;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{
    Direction, EndHow, Entry, Exchange, IcmpWhy, Mechanism, Place, Preview, Said, StreamEnd, Times, Transport,
    WindowStall,
};
use crate::stream::{Chunk, CloseHow, GapWhy, Note, Side, Signs, What};
use crate::wire::h2;

use super::around::{Around, Begin};
use super::http2::{self, Block, Ended, Facts, How, Http2, Mark, News, Output, Seen};
use super::request::exchange;
use super::stream_leg::Leg;
use super::upgraded::{self, Ending};
use super::websocket::Watched;
use super::{Flow, Step, direction, rejected, watch};

/// The machine of one connection.
pub struct Multiplex {
    http2: Http2,
    owner: Owner,
}

/// What it keeps beside the frames.
struct Owner {
    client: Side,
    /// What stands around this connection's stream. `None`: nothing.
    around: Option<Box<Around>>,
    /// What is kept of streams that are under way, by id.
    legs: HashMap<u32, Box<Leg>, foldhash::fast::RandomState>,
    /// The exchange of HTTP/1.1 whose 101 made this HTTP/2.
    upgraded: Option<Box<Exchange>>,
    requests: u32,
    conflict: bool,
    gap: bool,
    snapped: bool,
    ending: Option<Ending>,
    /// Where the client's first bytes stand, of a connection that is in view from its start.
    asked: Option<Mark>,
    /// The server's first bytes, while they may be an answer in HTTP/1.x.
    heard: Option<(Vec<u8>, Mark)>,
    /// It spoke, or will not be understood.
    answered: bool,
    known: Known,
    /// What TCP says while requests wait that may switch protocols. `None`: nothing came again, and nobody reset the
    /// connection.
    watched: Option<Box<Watched>>,
}

/// What the connection has said so far.
struct Known {
    entry: Entry,
    /// The server's.
    settings: Option<Place>,
    reverted: Option<Place>,
    connect_protocol: Option<bool>,
    goaway: Option<Direction>,
    /// Of the connection's window: the longest.
    stall: Option<WindowStall>,
}

/// Lends the flow to what is called back.
struct Listener<'a, 'f> {
    owner: &'a mut Owner,
    flow: &'a mut Flow<'f>,
}

/// How an answer in HTTP/1.x begins (RFC 9112 §4).
const HTTP1: &[u8] = b"HTTP/1.";

/// Bytes of the preface that make its first line.
const LINE: usize = 16;

const SERVER: Direction = Direction::ServerToClient;

impl Multiplex {
    /// A connection whose client's first bytes are the preface (RFC 9113 §3.4).
    pub fn new(client: Side, around: Option<Box<Around>>) -> Self {
        Multiplex { http2: Http2::new(), owner: Owner::new(client, around, Entry::Preface) }
    }

    /// Behind a 101 to `Upgrade: h2c` (RFC 7540 §3.2): `x` is its exchange, and it was the last of so many
    /// requests.
    pub fn upgraded(client: Side, around: Option<Box<Around>>, x: Box<Exchange>, requests: u32) -> Self {
        let request = &x.request;
        let mark = Mark { ts: request.first, at: request.at, offset: request.range.start };
        let http2 = Http2::upgraded(request.whole_value("http2-settings"), mark);
        let owner = Owner { upgraded: Some(x), requests, ..Owner::new(client, around, Entry::Upgrade) };
        Multiplex { http2, owner }
    }

    /// A connection that was joined while it ran. `gap`: bytes of it were lost to the capture.
    pub fn midstream(client: Side, around: Option<Box<Around>>, gap: bool) -> Self {
        let owner = Owner { gap, ..Owner::new(client, around, Entry::Midstream) };
        Multiplex { http2: Http2::midstream(), owner }
    }

    /// Segments of the flow disagreed about a byte.
    pub fn conflict(&mut self) {
        self.owner.conflict = true;
    }

    /// Bytes of this side came again while a request waits, as [`super::http1::Http::again`] has it.
    #[cold]
    pub(super) fn again(&mut self, side: Side, ts: Timestamp, of: (u64, usize)) -> bool {
        let by = direction(self.owner.client, side);
        let Some((at, last)) = self.owner.waiting() else { return false };
        self.owner.watched.get_or_insert_default().again(by, at, (last, ts), of);
        true
    }

    /// What a segment says beside its bytes meanwhile, as [`Watched::take`] has it.
    #[cold]
    pub(super) fn signs(&mut self, side: Side, usual: u8, signs: Signs) -> bool {
        let from = direction(self.owner.client, side);
        let waits = signs.rst && self.owner.waiting().is_some();
        match &mut self.owner.watched {
            None if !waits => false,
            watched => watched.get_or_insert_default().take(from, usual, signs),
        }
    }

    /// ICMP says that a segment of this side was not delivered. `false`: no request waits.
    #[cold]
    pub(super) fn rejected(&mut self, side: Side, note: Note) -> bool {
        let waits = self.owner.waiting().is_some() && note.why != IcmpWhy::TtlExceeded;
        if waits {
            let told = rejected::told(note, direction(self.owner.client, side));
            self.owner.watched.get_or_insert_default().rejected(told);
        }
        waits
    }

    /// Takes one chunk.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let inside;
        let chunk = match &self.owner.around {
            None => chunk,
            Some(around) => {
                inside = around.inside(chunk);
                &inside
            }
        };
        let from = direction(self.owner.client, chunk.side);
        let mark = Mark { ts: chunk.ts, at: chunk.at, offset: chunk.offset };
        if let (false, Entry::Preface) = (self.owner.answered, self.owner.known.entry)
            && let Some(step) = self.first_word(flow, chunk.what, (from, mark))
        {
            return step;
        }
        let mut out = Listener { owner: &mut self.owner, flow };
        match chunk.what {
            What::Data(data) => {
                self.http2.push(from, data, mark, &mut out);
                out.flow.inline.sides[chunk.side.index()].last = chunk.ts;
            }
            What::Gap { len, why } => {
                out.owner.gap = true;
                out.owner.snapped |= why == GapWhy::Cut;
                self.http2.gap(from, len, mark, &mut out);
            }
            What::Close(how) => {
                let tcp = match how {
                    CloseHow::Fin => Some(EndHow::Fin),
                    CloseHow::Rst => Some(EndHow::Rst),
                    CloseHow::Replaced | CloseHow::CaptureEnd => None,
                };
                if let (Some(tcp), None) = (tcp, out.owner.ending) {
                    out.owner.ending = Some((from, tcp, chunk.ts, chunk.at));
                }
                self.http2.close(from, how, mark, &mut out);
                let track = out.flow.context.track;
                if how != CloseHow::Fin || track.fin(Side::Low) && track.fin(Side::High) {
                    out.finish();
                    return Step::Opaque;
                }
            }
        }
        Step::Stay
    }
}

impl Multiplex {
    /// Until the server said in which version it answers. `None`: this is dealt with as ever.
    fn first_word(&mut self, flow: &mut Flow<'_>, what: What<'_>, (from, mark): (Direction, Mark)) -> Option<Step> {
        let owner = &mut self.owner;
        let data = match what {
            What::Data(_) if from != SERVER => {
                owner.asked.get_or_insert(mark);
                return None;
            }
            What::Data(data) => data,
            What::Gap { .. } if from != SERVER => return None,
            What::Close(CloseHow::Fin) if from != SERVER => return None,
            What::Gap { .. } | What::Close(_) => &[],
        };
        let (before, at) = owner.heard.take().unwrap_or((Vec::new(), mark));
        let first = before.is_empty();
        let fits = !owner.gap && owner.legs.is_empty();
        let begins = |said: &[u8]| said.starts_with(HTTP1) || !said.is_empty() && HTTP1.starts_with(said);
        if first && !(fits && begins(data)) {
            owner.answered = !data.is_empty();
            return None;
        }
        let mut said = before.clone();
        said.extend_from_slice(&data[..data.len().min(limits::ODD_PREVIEW_BYTES)]);
        let over = data.is_empty() || said.contains(&b'\n') || said.len() >= limits::ODD_PREVIEW_BYTES;
        match (fits && begins(&said), said.len() >= HTTP1.len() && over) {
            (true, true) => {
                owner.misunderstood(flow, &said, at);
                Some(Step::Opaque)
            }
            (true, false) if !data.is_empty() => {
                owner.heard = Some((said, at));
                flow.inline.sides[owner.client.other().index()].last = mark.ts;
                Some(Step::Stay)
            }
            // It was none: what was held comes first.
            _ => {
                owner.answered = true;
                self.http2.push(SERVER, &before, at, &mut Listener { owner, flow });
                None
            }
        }
    }
}

impl Owner {
    fn new(client: Side, around: Option<Box<Around>>, entry: Entry) -> Self {
        let known = Known { entry, settings: None, reverted: None, connect_protocol: None, goaway: None, stall: None };
        Owner {
            client,
            around,
            legs: HashMap::default(),
            upgraded: None,
            requests: 0,
            conflict: false,
            gap: false,
            snapped: false,
            ending: None,
            asked: None,
            heard: None,
            answered: false,
            known,
            watched: None,
        }
    }

    /// Where and when the last request ended that waits for its answer and may switch protocols.
    fn waiting(&self) -> Option<(PacketRef, Timestamp)> {
        let waits = self.legs.values().map(|leg| &leg.x).filter(|x| x.response.is_none() && !x.tentative);
        waits.map(|x| (x.request.at, x.request.last)).max_by_key(|(_, last)| *last)
    }

    /// What TCP says of a request that got no answer, unless it was acknowledged.
    fn transport(&self, x: &Exchange) -> Option<Box<Transport>> {
        let told = self.watched.clone().filter(|_| x.response.is_none())?.tell()?;
        let before = told.swallowed.filter(|lost| lost.by != SERVER).map_or(0, |lost| lost.before);
        (x.request.range.end > before).then_some(told)
    }

    /// What the capture shows of the connection, at this point.
    fn judge(&self, flow: &Flow<'_>, x: &mut Exchange, last: Timestamp) {
        let track = flow.context.track;
        let server = self.client.other();
        x.quality.midstream = !track.from_the_start();
        x.quality.no_client_packets = !track.seen(self.client);
        x.quality.no_server_packets = !track.seen(server);
        x.quality.gap = self.gap;
        x.quality.snapped = self.snapped;
        x.quality.overlap_conflict = self.conflict;
        x.syn_stamp = flow.context.opened.stamp;
        x.seq = [track.first_seq(self.client), track.first_seq(server)];
        x.via = flow.via(self.client, self.around.as_deref());
        x.times = Times {
            syn: track.client().map(|_| flow.context.opened.first),
            rtt: flow.context.opened.rtt(),
            last: Some(last),
        };
    }

    /// The server answered the preface in HTTP/1.x, before anything was asked.
    fn misunderstood(&mut self, flow: &mut Flow<'_>, data: &[u8], mark: Mark) {
        let Some(asked) = self.asked else { return };
        let data = &data[..data.len().min(limits::ODD_PREVIEW_BYTES)];
        let line = memchr::memchr(b'\n', data).map_or(data, |end| &data[..=end]);
        let preview = |bytes: &[u8], at: Mark| Preview { bytes: bytes.into(), at: at.at, ts: at.ts, offset: at.offset };
        let begin = Begin { first: asked.at, around: self.around.take() };
        let first = [Some(preview(&h2::PREFACE[..LINE], asked)), Some(preview(line, mark))];
        watch::tell_alone(flow, self.client, asked.at, Said { first, ..watch::said(&begin) });
    }

    /// What is known of the stream now.
    fn describe(&self, x: &mut Exchange, stream: &http2::Stream) {
        let told = x.stream.get_or_insert_default();
        let longest = |a: Option<WindowStall>, b: Option<WindowStall>| match (a, b) {
            (Some(a), Some(b)) if (b.waited, b.length) > (a.waited, a.length) => Some(b),
            (a, b) => a.or(b),
        };
        // The connection's window holds up only those streams that run.
        let held_up = self.known.stall.filter(|stall| stall.from >= x.request.first);
        told.id = stream.id;
        told.entry = self.known.entry;
        told.connect_protocol = stream.connect_protocol;
        told.connect_protocol_at_last = self.known.connect_protocol.filter(|_| self.known.settings.is_some());
        told.settings = self.known.settings;
        told.reverted = self.known.reverted;
        told.ends_with_request = stream.ends_with_request;
        told.ends_with_response = stream.ends_with_response;
        told.side_ended = stream.side_ended;
        told.stall = longest(told.stall, held_up);
        x.quality.response_gap |= stream.response == Seen::Lost;
    }
}

impl Listener<'_, '_> {
    /// The connection is over: what is still open ends with it.
    fn finish(&mut self) {
        let Some(mut x) = self.owner.upgraded.take() else { return };
        self.owner.judge(self.flow, &mut x, self.flow.context.track.last);
        let client = self.owner.client;
        let spoken = [client, client.other()].map(|side| self.flow.inline.sides[side.index()].last);
        x.end = upgraded::end(&x, None, self.owner.ending, spoken, self.flow.shared);
        self.flow.sink.ended(x);
    }

    /// The leg's exchange is over.
    fn emit(&mut self, mut leg: Leg, stream: &http2::Stream, last: Timestamp) {
        // A CONNECT that was granted (RFC 9113 §8.5) carries another stream.
        if leg.is_tunnel_to_elsewhere() {
            leg.tunnel_over(self.flow, self.owner.client, last);
            return;
        }
        self.owner.describe(&mut leg.x, stream);
        let mut x = leg.over(self.flow.shared);
        self.owner.judge(self.flow, &mut x, last);
        x.transport = self.owner.transport(&x).or(x.transport.take());
        self.flow.sink.ended(x);
    }
}

impl Output for Listener<'_, '_> {
    fn request(&mut self, stream: &http2::Stream, head: &Block<'_>) {
        let id = self.flow.shared.next_id();
        self.flow.shared.counters.http_requests += 1;
        let index = self.owner.requests;
        self.owner.requests = index.saturating_add(1);
        if stream.is_pushed() {
            return;
        }
        let target = head.value(":path").unwrap_or_default();
        let method = head.value(":method").unwrap_or_default();
        let candidate = stream.extended_connect || ASKING.iter().any(|name| head.value(name).is_some());
        let connect = !candidate && method == b"CONNECT";
        let wanted = &mut self.flow.shared.wanted;
        let cookie = head.value("cookie");
        let tentative = !candidate
            && method == b"GET"
            && head.list.complete
            && wanted.is(target, cookie, head.value("x-forwarded-for"));
        if candidate {
            let client = self.flow.context.endpoint(self.owner.client).ip;
            wanted.learn(target, cookie, client);
        } else if tentative {
            wanted.keep();
        } else if !connect {
            return;
        }
        let around = self.owner.around.as_deref();
        let mut x = exchange(self.flow, self.owner.client, around, id, head.head(), index);
        if stream.extended_connect {
            x.mechanism = Mechanism::Http2ExtendedConnect;
        }
        x.tentative = tentative;
        x.quality.request_gap = head.is_doubtful();
        self.owner.describe(&mut x, stream);
        self.owner.judge(self.flow, &mut x, head.last.ts);
        if !connect {
            self.flow.sink.asked(&x);
        }
        self.owner.legs.insert(stream.id, Box::new(Leg::new(x, connect)));
    }

    fn interim(&mut self, stream: &http2::Stream, head: &Block<'_>) {
        self.flow.shared.counters.http_responses += 1;
        if let Some(leg) = self.owner.legs.get_mut(&stream.id)
            && leg.x.interim.len() < limits::INTERIM_HEADS
        {
            leg.x.interim.push(head.head());
        }
    }

    fn response(&mut self, stream: &http2::Stream, head: &Block<'_>) {
        self.flow.shared.counters.http_responses += 1;
        let Some(mut leg) = self.owner.legs.remove(&stream.id) else { return };
        leg.x.quality.response_gap |= head.is_doubtful();
        leg.answered(head.head());
        if !leg.is_tunnel_to_elsewhere() {
            self.owner.describe(&mut leg.x, stream);
            self.owner.judge(self.flow, &mut leg.x, head.last.ts);
            self.flow.sink.decided(&leg.x);
            leg.open(self.flow.shared);
        } else if leg.x.status().is_some_and(|status| status >= 200) {
            leg.enter(self.flow, self.owner.client, self.owner.around.as_deref(), head.last);
        }
        self.owner.legs.insert(stream.id, leg);
    }

    fn data(&mut self, stream: &http2::Stream, from: Direction, bytes: &[u8], mark: Mark) {
        if let Some(leg) = self.owner.legs.get_mut(&stream.id)
            && !leg.inside(self.flow, self.owner.client, from, What::Data(bytes), mark)
        {
            leg.data(from, bytes, mark, self.flow.shared);
        }
    }

    fn data_lost(&mut self, stream: &http2::Stream, from: Direction, bytes: u64, mark: Mark) {
        let hole = What::Gap { len: bytes, why: GapWhy::Lost };
        if let Some(leg) = self.owner.legs.get_mut(&stream.id)
            && !leg.inside(self.flow, self.owner.client, from, hole, mark)
        {
            leg.lost(from, bytes, mark, self.flow.shared);
        }
    }

    fn side_ended(&mut self, stream: &http2::Stream, from: Direction, mark: Mark) {
        if let Some(leg) = self.owner.legs.get_mut(&stream.id)
            && !leg.inside(self.flow, self.owner.client, from, What::Close(CloseHow::Fin), mark)
        {
            leg.side_ended(from, mark);
        }
    }

    fn ended(&mut self, stream: &http2::Stream, Ended { how, mark }: Ended) {
        let Some(mut leg) = self.owner.legs.remove(&stream.id) else { return };
        let told = leg.x.stream.get_or_insert_default();
        let reset = |by| Some((by, EndHow::Rst, mark.ts, mark.at));
        let ending = match how {
            How::EndStream { .. } => {
                told.end = Some(StreamEnd::Ended);
                None
            }
            How::Reset { by, code } => {
                (told.end, told.code) = (Some(StreamEnd::Reset(by)), code);
                reset(by)
            }
            How::GoAway { by, code } => {
                (told.end, told.code) = (Some(StreamEnd::GoAway(by)), code);
                reset(by)
            }
            How::Closed { .. } => {
                told.end = self.owner.ending.map(|_| StreamEnd::Closed { goaway: self.owner.known.goaway });
                self.owner.ending
            }
            How::Evicted => {
                self.flow.shared.counters.evicted += 1;
                None
            }
        };
        leg.ended(ending);
        self.emit(*leg, stream, mark.ts.max(stream.last.ts));
    }

    fn connection(&mut self, news: News, facts: &Facts) {
        let known = &mut self.owner.known;
        match news {
            News::Settings { from: SERVER, .. } | News::Lost { .. } | News::Found { .. } => {
                let settings = facts.settings_of(SERVER);
                let place = |mark: Mark| Place { at: mark.at, ts: mark.ts, from: SERVER, offset: mark.offset };
                known.settings = settings.seen.map(place);
                known.reverted = settings.connect_protocol_reverted.map(place);
                known.connect_protocol = facts.connect_protocol();
            }
            News::GoAway { from, .. } => {
                known.goaway.get_or_insert(from);
            }
            News::Stalled { stream, sender, stall } => {
                let told = WindowStall {
                    sender,
                    connection: stream == 0,
                    from: stall.from,
                    length: stall.until.map(|until| until.since(stall.from)),
                    waited: stall.resumed.is_some(),
                };
                let longer = |old: &WindowStall| old.waited && !told.waited || old.length > told.length;
                if stream == 0 {
                    if !known.stall.as_ref().is_some_and(longer) {
                        known.stall = Some(told);
                    }
                } else if let Some(leg) = self.owner.legs.get_mut(&stream) {
                    let slot = &mut leg.x.stream.get_or_insert_default().stall;
                    if !slot.as_ref().is_some_and(longer) {
                        *slot = Some(told);
                    }
                }
            }
            News::Settings { .. } | News::SettingsAcked { .. } => {}
        }
    }
}

/// Fields that ask for another protocol in HTTP/1.1: whoever writes them into HTTP/2 wants one too.
const ASKING: [&str; 3] = ["sec-websocket-key", "sec-websocket-version", "upgrade"];
