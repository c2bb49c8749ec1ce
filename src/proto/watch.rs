//! A connection that is not read any further, as far as its server's first word: an answer in clear to
//! a TLS ClientHello, or an end without a word behind a PROXY header, is worth telling.
//!
//! What comes in: chunks from the client's first byte on. What goes out: nothing, or the flow to
//! [`super::Sink::lone`]. Keeps `limits::ODD_PREVIEW_BYTES` of either side.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{
    self, Broken, BrokenHow, Direction, End, EndHow, FlowFacts, HandshakeStep, IcmpWhy, Preview, Said, Wrapper,
};
use crate::stream::{Chunk, CloseHow, Note, Side, Signs, What};
use crate::wire::tls::{handshake, hello, record};

use super::around::Begin;
use super::websocket::Watched;
use super::{Flow, Shared, Step, direction, rejected, tunnel};

/// One connection that waits for its server's first word.
pub struct Watch {
    client: Side,
    begin: Begin,
    /// First bytes of client and server.
    first: [Option<First>; 2],
    /// Bytes of the client so far.
    sent: u64,
    /// Its ClientHello, where it came in pieces, as far as it came; about `limits::TLS_WATCHED_HELLO_BYTES` at the most.
    hello: Vec<u8>,
    /// The last that was seen of a connection whose server had not answered by the capture's end, where that was long.
    silent_till: Option<Timestamp>,
    /// The connection was told.
    pub(super) told: bool,
    /// The name in it was counted.
    named: bool,
    /// What its ClientHello says, told with it. `None`: not known here.
    pub(super) tls: Option<Box<model::Tls>>,
    /// What TCP says while the server's first word is waited for. `None`: nothing came again, and nobody reset the
    /// connection.
    watched: Option<Box<Watched>>,
}

struct First {
    bytes: Vec<u8>,
    at: PacketRef,
    ts: Timestamp,
    offset: u64,
}

/// What a server's first bytes are to a client that speaks TLS.
#[derive(PartialEq, Eq)]
enum Word {
    /// What was to be expected, or nothing that can be told.
    Fine,
    More,
    Odd,
}

impl Watch {
    pub fn new(client: Side, begin: Begin) -> Self {
        Watch {
            client,
            begin,
            first: [None, None],
            sent: 0,
            hello: Vec::new(),
            silent_till: None,
            told: false,
            named: false,
            tls: None,
            watched: None,
        }
    }

    /// The same beside another machine, which counts the name itself if it must.
    pub fn beside(client: Side, begin: Begin) -> Self {
        Watch { named: true, ..Watch::new(client, begin) }
    }

    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let from_client = chunk.side == self.client;
        match chunk.what {
            What::Data(data) => {
                let offset = chunk.offset.saturating_sub(self.begin.base()[chunk.side.index()]);
                let first = self.first[usize::from(!from_client)].get_or_insert_with(|| First {
                    bytes: Vec::new(),
                    at: chunk.at,
                    ts: chunk.ts,
                    offset,
                });
                if from_client {
                    // A ClientHello's first bytes tell all there is to tell here.
                    let room = limits::AFTER_101_BYTES.saturating_sub(first.bytes.len());
                    first.bytes.extend_from_slice(&data[..data.len().min(room)]);
                    self.sent = self.sent.saturating_add(data.len() as u64);
                    self.name(flow.shared, data);
                    return if self.sent > limits::FIRST_WORD_BYTES { Step::Opaque } else { Step::Stay };
                }
                tunnel::preview(&mut first.bytes, data);
                match word(&first.bytes, self.begin.is_proxied()) {
                    Word::Fine => Step::Opaque,
                    Word::More => Step::Stay,
                    Word::Odd => self.tell(flow, None),
                }
            }
            What::Gap { .. } => Step::Opaque,
            // A client that leaves first, as health checks do, gets no answer and needs none.
            What::Close(CloseHow::Fin) if from_client && !self.waited(flow, chunk) => {
                if self.first[1].is_some() {
                    Step::Stay
                } else {
                    Step::Opaque
                }
            }
            What::Close(how @ (CloseHow::Fin | CloseHow::Rst)) => {
                let how = if how == CloseHow::Fin { EndHow::Fin } else { EndHow::Rst };
                let by = Some(direction(self.client, chunk.side));
                let end = End {
                    by,
                    how,
                    at: Some(chunk.ts),
                    packet: Some(chunk.at),
                    tcp_by: by,
                    tcp_how: how,
                    tcp_at: Some(chunk.ts),
                    ..End::default()
                };
                self.tell(flow, Some(end))
            }
            // Whether it was silent for long, whoever waited for it may tell.
            What::Close(_) if self.is_unanswered(flow) => {
                self.silent_till = self.waited(flow, chunk).then_some(chunk.ts);
                self.tell(flow, None)
            }
            What::Close(_) => Step::Opaque,
        }
    }

    /// Bytes of this side came again while the server's first word is waited for, as [`super::http1::Http::again`] has it.
    #[cold]
    pub(super) fn again(&mut self, side: Side, ts: Timestamp, of: (u64, usize)) -> bool {
        let by = direction(self.client, side);
        let [Some(hello), None] = &self.first else { return false };
        self.watched.get_or_insert_default().again(by, hello.at, (hello.ts, ts), of);
        true
    }

    /// What a segment says beside its bytes meanwhile, as [`Watched::take`] has it.
    #[cold]
    pub(super) fn signs(&mut self, side: Side, usual: u8, signs: Signs) -> bool {
        let from = direction(self.client, side);
        match (&mut self.watched, &self.first) {
            (_, [None, _] | [_, Some(_)]) => false,
            (None, _) if !signs.rst && signs.sent.is_none() => false,
            (watched, _) => watched.get_or_insert_default().take(from, usual, signs),
        }
    }

    /// ICMP says that a segment of this side was not delivered. `false`: no first word is waited for.
    #[cold]
    pub(super) fn rejected(&mut self, side: Side, note: Note) -> bool {
        let waits = matches!(self.first, [Some(_), None]) && note.why != IcmpWhy::TtlExceeded;
        if waits {
            let told = rejected::told(note, direction(self.client, side));
            self.watched.get_or_insert_default().rejected(told);
        }
        waits
    }

    /// Whether a server that is in view said nothing to a ClientHello for so long that it can no more be expected to.
    fn waited(&self, flow: &Flow<'_>, chunk: &Chunk<'_>) -> bool {
        let patience = Nanos::from_millis(limits::TLS_SILENT_MS);
        let long = self.first[0].as_ref().is_some_and(|hello| chunk.ts.since(hello.ts) >= patience);
        long && self.is_unanswered(flow)
    }

    /// Whether a server that is in view said nothing to a ClientHello so far.
    fn is_unanswered(&self, flow: &Flow<'_>) -> bool {
        let [Some(hello), None] = &self.first else { return false };
        is_hello(&hello.bytes) && flow.context.track.seen(self.client.other())
    }

    /// Counts the name that a ClientHello asks for, when it is whole.
    fn name(&mut self, shared: &mut Shared, data: &[u8]) {
        if self.named {
            return;
        }
        let bytes = if self.hello.is_empty() { data } else { &[] };
        if let Some(whole) = whole_record(bytes) {
            self.named = true;
            return count_name(shared, whole);
        }
        self.hello.extend_from_slice(data);
        let record = whole_record(&self.hello);
        if record.is_some() || self.hello.len() > limits::TLS_WATCHED_HELLO_BYTES {
            self.named = true;
            count_name(shared, record.unwrap_or_default());
            self.hello = Vec::new();
        }
    }

    fn tell(&mut self, flow: &mut Flow<'_>, end: Option<End>) -> Step {
        let first = std::mem::take(&mut self.first).map(|first| {
            first.map(|mut f| {
                // A status line, whatever came in the same segment.
                let line = memchr::memchr(b'\n', &f.bytes).filter(|_| f.bytes.starts_with(b"HTTP/"));
                f.bytes.truncate(line.map_or(f.bytes.len(), |n| n + 1));
                Preview { bytes: f.bytes.into(), at: f.at, ts: f.ts, offset: f.offset }
            })
        });
        let end = end.unwrap_or_default();
        let mut broken = broken(&first, &end).map(Box::new);
        if let (Some(broken), Some(till)) = (&mut broken, self.silent_till) {
            broken.waited = till.since(broken.ts);
        }
        if let Some(broken) = &mut broken {
            // Those of the client have all come: they were its ClientHello.
            broken.torn = broken.how == BrokenHow::Silence && flow.context.track.holds();
            broken.transport = self.watched.take().and_then(|mut watched| {
                let track = flow.context.track;
                watched.came([self.client, self.client.other()].map(|side| track.offset(side)));
                watched.tell()
            });
            let unseen = broken.transport.as_ref().and_then(|transport| transport.unseen);
            broken.torn |=
                broken.how == BrokenHow::Silence && unseen.is_some_and(|unseen| unseen.by == Direction::ServerToClient);
        }
        let mut said = Said { first, broken, end, ..said(&self.begin) };
        if let Some(tls) = self.tls.take().filter(|_| said.broken.is_some()) {
            said.via.push(Wrapper::Tls(tls));
        }
        tell_alone(flow, self.client, self.begin.first, said);
        self.told = true;
        Step::Opaque
    }
}

/// A server that ended the connection upon a ClientHello without a word.
fn broken(first: &[Option<Preview>; 2], end: &End) -> Option<Broken> {
    let [Some(client), None] = first else { return None };
    let (at, ts) = (end.packet.unwrap_or(client.at), end.at.unwrap_or(client.ts));
    let after = HandshakeStep::ClientHello;
    let by = Direction::ServerToClient;
    let how = match end.how {
        _ if end.by.is_none() => BrokenHow::Silence,
        _ if end.by != Some(by) && ts.since(client.ts) < Nanos::from_millis(limits::TLS_SILENT_MS) => return None,
        _ if end.by != Some(by) => BrokenHow::Silence,
        EndHow::Rst => BrokenHow::Rst,
        _ => BrokenHow::Fin,
    };
    is_hello(&client.bytes).then(|| Broken { waited: ts.since(client.ts), ..Broken::new(by, how, after, (at, ts)) })
}

fn is_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [record::HANDSHAKE, 3, ..])
}

/// The body of a TLS record that these bytes begin with. `None`: there is none, or not all of it.
fn whole_record(bytes: &[u8]) -> Option<&[u8]> {
    match record::header(bytes) {
        record::Read::Header(header) => bytes.get(record::HEADER_BYTES..header.whole()),
        record::Read::More | record::Read::Wrong => None,
    }
}

/// Counts the connection under the name that the ClientHello in this record asks for.
fn count_name(shared: &mut Shared, record: &[u8]) {
    let body = record.get(handshake::HEADER_BYTES..).unwrap_or_default();
    let hello = hello::client(body).filter(|_| record.first() == Some(&handshake::CLIENT_HELLO));
    let name = hello.as_ref().and_then(hello::ClientHello::server_name);
    shared.unread(name, hello.iter().flat_map(hello::ClientHello::alpn));
}

/// What is known of a connection from what stands around its stream.
pub(super) fn said(begin: &Begin) -> Said {
    let around = begin.around.as_ref();
    Said {
        via: around.map(|a| a.via.clone()).unwrap_or_default(),
        proxied: around.and_then(|a| a.proxied.clone()),
        ..Said::default()
    }
}

/// Tells a connection without a request.
pub(super) fn tell_alone(flow: &mut Flow<'_>, client: Side, first: PacketRef, said: Said) {
    let facts = facts(flow, client, first, said);
    flow.sink.lone(facts);
}

/// What is known of a connection without a request.
pub(super) fn facts(flow: &Flow<'_>, client: Side, first: PacketRef, mut said: Said) -> FlowFacts {
    let mut via = flow.via(client, None);
    via.append(&mut said.via);
    said.via = via;
    let track = flow.context.track;
    FlowFacts {
        id: flow.id(),
        client: flow.endpoint(client),
        server: flow.endpoint(client.other()),
        state: track.connect_state(),
        syn: first,
        syn_at: flow.context.opened.first,
        syns: track.syns(),
        end: said.end.packet,
        end_at: said.end.at,
        rejected: None,
        said: Some(Box::new(said)),
        answered_at: None,
        unseen_at: None,
    }
}

/// What these first bytes of a server are, to a client that sent a ClientHello. `proxied`: behind a
/// PROXY header, where an alert tells that it was read as a record.
fn word(bytes: &[u8], proxied: bool) -> Word {
    match bytes {
        [] | [0x14..=0x17] => Word::More,
        [0x15, 3, ..] if proxied => Word::Odd,
        _ if bytes.starts_with(b"HTTP/") => {
            let whole = bytes.contains(&b'\n') || bytes.len() >= limits::ODD_PREVIEW_BYTES;
            if whole { Word::Odd } else { Word::More }
        }
        _ if b"HTTP/".starts_with(bytes) => Word::More,
        _ => Word::Fine,
    }
}
