//! The first bytes of a stream, of a connection or inside something: who is client, and what it speaks.
//! Bytes looked at are given to the machine that takes over. Port numbers never decide.

use crate::base::{PacketRef, Timestamp, limits};
use crate::stream::{Chunk, CloseHow, Context, Side, What};
use crate::wire::http1::Kind;
use crate::wire::sniff::{Guess, opening};
use crate::wire::tls::handshake::CLIENT_HELLO;

use super::around::Begin;
use super::held::HeldChunk;
use super::http1::Http;
use super::midstream::Midstream;
use super::multiplex::Multiplex;
use super::proxy_protocol::ProxyHeader;
use super::secured::Tls;
use super::socks::Socks;
use super::watch::Watch;
use super::{Flow, Inline, Machine, Shared, Step};

/// What one flow has shown so far.
#[derive(Default)]
pub struct Sniff {
    begin: Begin,
    held: Vec<HeldChunk>,
    bytes: [Vec<u8>; 2],
    guess: [Option<Guess>; 2],
    /// Bytes were lost: what begins here is not the beginning.
    lost: bool,
}

/// Gaps and pieces held at most while it is not known what a flow is.
const HELD: usize = 16;

/// What the very first bytes of a flow are.
pub(super) enum First {
    /// HTTP/1.x, whose client is this side.
    Http(Side),
    Other(Machine),
    /// Of no interest.
    Opaque,
}

/// What the very first bytes of a flow say, where they say it at once. `None`: look closer.
pub(super) fn at_once(context: Context<'_>, first: PacketRef, chunk: &Chunk<'_>, shared: &mut Shared) -> Option<First> {
    let What::Data(data) = chunk.what else { return None };
    let opening = match shared.ready_kind(data) {
        Some(Kind::Request) => Guess::Request,
        Some(Kind::Response) => Guess::Response,
        None => opening(&data[..data.len().min(limits::SNIFF_BYTES)]),
    };
    match opening {
        Guess::Request => Some(First::Http(chunk.side)),
        Guess::Response => Some(First::Http(chunk.side.other())),
        Guess::Tls => {
            shared.counters.flows_tls += 1;
            let from_the_start = context.track.client() == Some(chunk.side);
            let begin = || Begin { first, around: None };
            let machine = hello(data, chunk.side, from_the_start, shared, begin);
            Some(machine.map_or(First::Opaque, First::Other))
        }
        Guess::Http2 => {
            let machine = Multiplex::new(chunk.side, None);
            shared.counters.flows_http2 += 1;
            Some(First::Other(Machine::Http2(Box::new(machine))))
        }
        Guess::NeedMore | Guess::Other | Guess::Proxy | Guess::Socks => None,
    }
}

/// A TLS record of a handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;

/// The machine for a connection whose first bytes are a TLS record. `None`: nothing can be told of it.
fn hello(
    bytes: &[u8],
    side: Side,
    from_the_start: bool,
    shared: &Shared,
    begin: impl FnOnce() -> Begin,
) -> Option<Machine> {
    let is_client = match bytes {
        [HANDSHAKE, _, _, _, _, kind, ..] => *kind == CLIENT_HELLO,
        _ => from_the_start,
    };
    match bytes.first() {
        Some(&HANDSHAKE) if is_client && (shared.reads_tls() || shared.follows_sealed()) => {
            let reads = shared.reads_tls();
            Some(Machine::Tls(Box::new(Tls::new(side, begin(), from_the_start, reads))))
        }
        // A ClientHello is worth waiting for its answer.
        Some(&HANDSHAKE) if from_the_start => Some(Machine::Watch(Box::new(Watch::new(side, begin())))),
        _ => None,
    }
}

impl Sniff {
    /// A connection whose first packet was this one.
    pub fn new(first: PacketRef) -> Self {
        Sniff { begin: Begin { first, around: None }, ..Sniff::default() }
    }

    /// A stream inside of something.
    pub fn within(begin: Begin) -> Self {
        Sniff { begin, ..Sniff::default() }
    }

    /// Takes one chunk of the stream's beginning.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let side = chunk.side;
        match chunk.what {
            What::Data(data) => {
                self.held.push(HeldChunk::of(chunk));
                let seen = &mut self.bytes[side.index()];
                if matches!(self.guess[side.index()], Some(Guess::Other)) {
                    return self.after_no(flow, side);
                }
                let room = limits::SNIFF_BYTES.saturating_sub(seen.len());
                seen.extend_from_slice(&data[..data.len().min(room)]);
                let found = opening(seen);
                self.guess[side.index()] = Some(found);
                self.found(flow, side, found)
            }
            What::Gap { .. } => {
                // What comes behind the hole is looked at anew.
                self.held.push(HeldChunk::of(chunk));
                flow.shared.counters.starts_lost += u64::from(!std::mem::replace(&mut self.lost, true));
                self.bytes[side.index()].clear();
                self.guess[side.index()] = None;
                if self.held.len() > HELD { Step::Opaque } else { Step::Stay }
            }
            What::Close(how) => self.close(flow, chunk, how),
        }
    }

    /// Acts on what a side's first bytes say.
    fn found(&mut self, flow: &mut Flow<'_>, side: Side, found: Guess) -> Step {
        match found {
            Guess::Request => self.http(side),
            Guess::Response if self.waits_for_client(flow, side) => self.after_no(flow, side),
            Guess::Response if self.answers_noise(side) => {
                let begin = std::mem::take(&mut self.begin);
                self.hand_over(Machine::Watch(Box::new(Watch::new(side.other(), begin))))
            }
            Guess::Response => self.http(side.other()),
            // A server writes none.
            Guess::Proxy if self.begin.client(flow).is_none_or(|client| client == side) => {
                let begin = std::mem::take(&mut self.begin);
                self.hand_over(Machine::Proxy(Box::new(ProxyHeader::new(side, begin))))
            }
            Guess::Socks if self.is_client_from_the_start(flow, side) => {
                let begin = std::mem::take(&mut self.begin);
                self.hand_over(Machine::Socks(Box::new(Socks::new(side, begin))))
            }
            Guess::Tls => {
                flow.shared.counters.flows_tls += 1;
                let from_the_start = self.is_client_from_the_start(flow, side);
                let bytes = std::mem::take(&mut self.bytes[side.index()]);
                let begin = || std::mem::take(&mut self.begin);
                match hello(&bytes, side, from_the_start, flow.shared, begin) {
                    Some(machine) => self.hand_over(machine),
                    None => Step::Opaque,
                }
            }
            Guess::Http2 => {
                flow.shared.counters.flows_http2 += 1;
                let around = self.begin.around.take();
                self.hand_over(Machine::Http2(Box::new(Multiplex::new(side, around))))
            }
            Guess::NeedMore => Step::Stay,
            Guess::Other | Guess::Proxy | Guess::Socks => {
                self.guess[side.index()] = Some(Guess::Other);
                self.after_no(flow, side)
            }
        }
    }

    fn http(&mut self, client: Side) -> Step {
        let around = self.begin.around.take();
        self.hand_over(Machine::Http(Box::new(Http::within(client, around))))
    }

    /// All that was held goes to the machine that takes over.
    fn hand_over(&mut self, to: Machine) -> Step {
        Step::Replace(to, std::mem::take(&mut self.held))
    }

    /// Whether this side opened the connection and nothing was lost before these bytes.
    fn is_client_from_the_start(&self, flow: &Flow<'_>, side: Side) -> bool {
        !self.lost && flow.context.track.from_the_start() && self.begin.client(flow) == Some(side)
    }

    /// Whether these first bytes are a server's that answers a PROXY header before the client said
    /// anything else.
    fn waits_for_client(&self, flow: &Flow<'_>, side: Side) -> bool {
        self.begin.is_proxied()
            && self.begin.client(flow) == Some(side.other())
            && self.guess[side.other().index()].is_none()
    }

    /// Whether the other side began with something that is no HTTP, and this one answers it.
    fn answers_noise(&self, side: Side) -> bool {
        !self.lost && self.guess[side.other().index()] == Some(Guess::Other)
    }

    /// A side does not speak HTTP. A server may say something before its client does (a banner, or a
    /// fault worth telling), so a client that has not spoken yet is waited for, within bounds; and so is a server's
    /// first word, which may be an answer in HTTP to what was none.
    fn after_no(&mut self, flow: &mut Flow<'_>, side: Side) -> Step {
        if self.lost || !flow.context.track.from_the_start() {
            // Joined while it ran: it may be a WebSocket whose handshake is not in the capture.
            let begin = std::mem::take(&mut self.begin);
            return self.hand_over(Machine::Midstream(Box::new(Midstream::new(begin))));
        }
        let other = side.other();
        let other_open = self.guess[other.index()].is_none_or(|g| g == Guess::NeedMore);
        let held: usize = self.held.iter().map(HeldChunk::len).sum();
        if other_open && held <= limits::BANNER_BYTES { Step::Stay } else { Step::Opaque }
    }

    /// A side, or all of it, is over before it was known what it is.
    fn close(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, how: CloseHow) -> Step {
        let proxied = self.begin.is_proxied() && !self.lost;
        if let (true, Some(client)) = (proxied, self.begin.client(flow)) {
            let by_server = chunk.side != client && matches!(how, CloseHow::Fin | CloseHow::Rst);
            if by_server && self.guess[client.index()].is_none() {
                // The PROXY header was all that was sent.
                let begin = std::mem::take(&mut self.begin);
                let step = self.hand_over(Machine::Watch(Box::new(Watch::new(client, begin))));
                return with(step, chunk);
            }
        }
        if how != CloseHow::Fin {
            return Step::Opaque;
        }
        self.held.push(HeldChunk::of(chunk));
        Step::Stay
    }
}

/// The step, with one more chunk for the machine that takes over.
fn with(step: Step, chunk: &Chunk<'_>) -> Step {
    match step {
        Step::Replace(to, mut held) => {
            held.push(HeldChunk::of(chunk));
            Step::Replace(to, held)
        }
        other => other,
    }
}

/// Before any payload, the frame counters' place remembers the flow's first packet.
pub(super) fn remember_first(inline: &mut Inline, at: PacketRef) {
    inline.sides[0].skip = at.to_bits();
}

pub(super) fn first_packet(inline: &Inline) -> PacketRef {
    PacketRef::from_bits(inline.sides[0].skip)
}

/// And those of the other side the first reset.
pub(super) fn remember_reset(inline: &mut Inline, chunk: &Chunk<'_>) {
    let place = &mut inline.sides[1];
    if place.skip == 0 {
        (place.skip, place.last) = (chunk.at.to_bits(), chunk.ts);
    }
}

/// `None`: there was none.
pub(super) fn first_reset(inline: &Inline) -> Option<(PacketRef, Timestamp)> {
    let place = &inline.sides[1];
    (place.skip != 0).then(|| (PacketRef::from_bits(place.skip), place.last))
}
