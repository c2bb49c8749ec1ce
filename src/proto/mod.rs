//! Chunks to exchanges. What comes in: each flow's in-order bytes. What goes out: exchanges, when
//! they are decided and when they ended, and flows that never carried a request. Push machines: no
//! clock, no thread, memory under `limits`.
//!
//! A flow that is of no interest costs nothing after its first bytes; a body or a frame payload costs
//! one subtraction per segment, beside the flow's own record.

pub mod around;
mod blocks;
pub mod body;
mod connect;
mod fetch;
mod handshake;
pub mod held;
pub mod http1;
pub mod http2;
mod inner;
mod listening;
mod machines;
mod messages;
pub mod midstream;
mod midstream_h2;
pub mod multiplex;
mod pending;
pub mod proxy_protocol;
pub mod rejected;
mod request;
pub mod response;
mod sealed;
pub mod secured;
pub mod sniff;
pub mod socks;
mod stream_leg;
mod talks;
pub mod tls;
pub mod tunnel;
mod upgraded;
mod wanted;
pub mod watch;
pub mod websocket;

use std::collections::VecDeque;

use crate::base::{Counters, Endpoint, ExchangeId, FlowId, PacketRef, Timestamp, limits};
use crate::model::{ConnectState, Direction, Exchange, FlowFacts, Layer, Preview, Rejected, Wrapper, via};
use crate::stream::{self, Chunk, CloseHow, Context, Glimpse, Handler, Interest, Ready, Side, Signs, What};
use crate::wire::http1::Kind;
use crate::wire::scratch::Scratch;
use crate::wire::short::Short;

use hashbrown::HashMap;
use prefetch_index::prefetch_index;

pub use inner::UNKNOWN;

use around::Around;
use held::HeldChunk;
use http1::Http;
use machines::{Machines, Place};
use messages::Spare;
use midstream::Midstream;
use multiplex::Multiplex;
use proxy_protocol::ProxyHeader;
use sealed::Sealed;
use secured::Tls;
use sniff::{First, Sniff};
use socks::Socks;
use talks::Talks;
use wanted::Wanted;
use watch::Watch;
use websocket::Lane;

/// Takes what the machines find.
pub trait Sink {
    /// A request that asks for an upgrade came in; its exchange is decided or over later.
    fn asked(&mut self, _: &Exchange) {}
    /// The handshake of an exchange is decided: it has its final response, or a 101.
    fn decided(&mut self, x: &Exchange);
    /// An exchange is over; nothing more will be known of it.
    fn ended(&mut self, x: Box<Exchange>);
    /// A flow without a request that may be worth a finding: one without any payload, or whose first
    /// words say something.
    fn lone(&mut self, flow: FlowFacts);
    /// A connection in TLS that was not read is over.
    fn sealed(&mut self, _: FlowFacts) {}
    /// A flow's first packet. For those who read the capture again for some of its flows.
    fn opened(&mut self, _: Context<'_>, _: PacketRef) {}
    /// Whether bytes are wanted, of any flow. Asked for each chunk: it has to cost nothing.
    fn taps(&self) -> bool {
        false
    }
    /// A chunk of a flow, or of the stream with this number inside one, before it is dealt with. Only of flows that
    /// are still looked at, and of all of those for which the answer was `true`. Of flows only where [`Sink::taps`].
    fn bytes(&mut self, _: Context<'_>, _inside: Option<u64>, _: &Chunk<'_>) -> bool {
        false
    }
    /// An exchange begins in the stream whose chunk was told last. `base`: bytes of each side's stream before those
    /// from which the exchange's offsets count.
    fn begun(&mut self, _: &Exchange, _base: [u64; 2]) {}
}

/// What is kept beside each flow.
pub use websocket::Lanes as Inline;

impl stream::Inline for Inline {
    #[inline]
    fn prefetch(&self, side: Side) {
        prefetch_index(std::slice::from_ref(&self.sides[side.index()]), 0);
    }

    #[inline]
    fn glimpse(&mut self, side: Side, from: (Timestamp, PacketRef), bytes: (u32, u32), alert: Option<bool>) -> bool {
        sealed::glimpse_beside(&mut self.sides[side.index()], from, bytes, alert)
    }
}

/// All protocol machines of an analysis.
pub struct Protocols<S> {
    pub sink: S,
    pub shared: Shared,
    machines: Machines,
}

/// What all machines use.
#[derive(Default)]
pub struct Shared {
    pub counters: Counters,
    next: u64,
    /// Streams inside others so far.
    inside: u64,
    /// What the chunk under work begins with, where it was read ahead.
    ready: Option<ReadAhead>,
    /// Scratch for the fields of the head under work.
    pub fields: Scratch,
    spare: Spare,
    /// What the packets of each side are wrapped in, of flows where any are and that are still looked at.
    wrappers: HashMap<FlowId, [Box<[Layer]>; 2], foldhash::fast::RandomState>,
    /// Of connections that nobody has answered yet, why, as ICMP says.
    rejected: HashMap<FlowId, Rejected, foldhash::fast::RandomState>,
    wanted: Wanted,
    /// What hears the frames of upgraded connections.
    talks: Talks,
    common: websocket::Common,
    /// Secrets of TLS, and what its sessions share.
    pub tls: tls::Tools,
    /// While a connection in TLS is closed: the alert by which its server ended it.
    alert: Option<Box<Preview>>,
    /// TLS connections that are not read and whose end is waited for.
    sealed_open: usize,
    /// Scratch for a name that is counted.
    name: Vec<u8>,
}

/// A head, and the place in memory of the bytes that begin with it.
struct ReadAhead {
    head: Ready,
    place: (usize, usize),
}

/// Where bytes stand in memory.
fn place_of(bytes: &[u8]) -> (usize, usize) {
    (bytes.as_ptr().addr(), bytes.len())
}

impl Shared {
    /// The head that these bytes begin with. `None`: it is none of this kind, or was not read ahead.
    #[inline]
    fn take_ready(&mut self, kind: Kind, bytes: &[u8]) -> Option<Ready> {
        let of_these = |ready: &mut ReadAhead| ready.head.kind() == kind && ready.place == place_of(bytes);
        Some(self.ready.take_if(of_these)?.head)
    }

    /// What the head is that these bytes begin with. `None`: it was not read ahead.
    #[inline]
    fn ready_kind(&self, bytes: &[u8]) -> Option<Kind> {
        self.ready.as_ref().filter(|ready| ready.place == place_of(bytes)).map(|ready| ready.head.kind())
    }

    /// What was counted, with what the tunnels share.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        self.common.count(&mut counters);
        let (tls, keys) = (&self.tls.counted, &self.tls.secrets.counted);
        counters.tls_records_failed += tls.failed;
        counters.tls_given_up += tls.tries_exhausted + tls.not_held + tls.hellos_too_long;
        counters.tls_secrets += keys.secrets;
        counters.tls_secrets_dropped += keys.evicted + keys.too_long + keys.malformed;
        counters
    }

    /// A TLS connection to this name is not read; `offered`: the protocols that its client offers.
    fn unread<'a>(&mut self, name: Option<&[u8]>, offered: impl Iterator<Item = &'a [u8]>) {
        let offers = &mut self.name;
        offers.clear();
        for protocol in offered.take(limits::TLS_ALPN) {
            if !offers.is_empty() {
                offers.extend_from_slice(b", ");
            }
            offers.extend_from_slice(protocol);
        }
        self.counters.tls_name(name.unwrap_or_default(), offers, 1);
    }

    /// From here on the first and last frames of tunnels are not kept to be shown.
    pub fn show_no_frames(&mut self) {
        self.common.no_frames = true;
    }

    /// Whether there are secrets of TLS, or some may come.
    fn reads_tls(&self) -> bool {
        !self.tls.secrets.is_empty() || self.tls.secrets.may_grow
    }

    /// Whether there is room for one more TLS connection that is not read.
    fn follows_sealed(&self) -> bool {
        self.sealed_open < limits::SEALED_OPEN
    }

    /// The next request's id.
    pub fn next_id(&mut self) -> ExchangeId {
        self.next += 1;
        ExchangeId(self.next)
    }

    /// What the packets of a flow's side are wrapped in, outermost first.
    pub fn wrappers(&self, flow: FlowId, side: Side) -> &[Layer] {
        self.wrappers.get(&flow).map_or(&[], |sides| &sides[side.index()])
    }

    /// Nobody will ask about this flow any more.
    #[inline]
    fn forget(&mut self, flow: FlowId) {
        if !self.wrappers.is_empty() {
            self.wrappers.remove(&flow);
        }
        if !self.rejected.is_empty() {
            self.rejected.remove(&flow);
        }
    }
}

/// What a flow is doing. An enum, not a boxed trait: the set is closed and the match is cheap.
pub enum Machine {
    Sniff(Box<Sniff>),
    Http(Box<Http>),
    Proxy(Box<ProxyHeader>),
    Socks(Box<Socks>),
    Watch(Box<Watch>),
    Midstream(Box<Midstream>),
    Http2(Box<Multiplex>),
    Tls(Box<Tls>),
    Sealed(Box<Sealed>),
}

/// The tag beside a flow: the machine's index plus one, and a byte of mode.
#[derive(Clone, Copy)]
struct Tag(u64);

/// `Tag` mode bits.
const FAST: [u64; 2] = [1, 2]; // a body of this side is being passed over
const FRAMES: [u64; 2] = [4, 8]; // upgraded to WebSocket, the side's first bytes taken; or inside a record of TLS
const CLIENT_HIGH: u64 = 16;
const WATCHED: u64 = 64; // signs of the flow are wanted
const TALK_SHIFT: u32 = 7; // above the bits of mode: the tunnel's number plus one
const TALK: u64 = 0xffff_ff80;
/// The tag of a flow of which bytes alone are wanted: its machine is one that nobody has.
const GIVEN_UP: u64 = 0xffff_ffff << 32;
const CONFLICT: u64 = 32; // segments disagreed before there was anybody to tell

impl Tag {
    fn machine(self) -> Option<usize> {
        usize::try_from(self.0 >> 32).ok()?.checked_sub(1)
    }

    fn set_machine(&mut self, index: u32) {
        self.0 = self.0 & 0xffff_ffff | (u64::from(index) + 1) << 32;
    }

    /// The number of the tunnel whose frames are counted beside its machine.
    #[inline]
    fn talk(self) -> Option<u32> {
        ((self.0 & 0xffff_ffff) as u32 >> TALK_SHIFT).checked_sub(1)
    }

    /// `false`: no room for such a number.
    fn set_talk(&mut self, number: u32) -> bool {
        let fits = number < u32::MAX >> TALK_SHIFT;
        if fits {
            self.0 |= u64::from(number + 1) << TALK_SHIFT;
        }
        fits
    }

    fn client(self) -> Side {
        if self.0 & CLIENT_HIGH != 0 { Side::High } else { Side::Low }
    }
}

/// Passes over so many bytes of a side without leaving the flow's own lines: those of a body, or of unread TLS. `alert`:
/// as [`sealed::pass_beside`] has it. `false`: they are wanted.
#[inline]
fn pass_by(
    tag: u64,
    side: usize,
    lane: &mut Lane,
    from: (Timestamp, PacketRef),
    bytes: u64,
    alert: impl FnOnce(u64) -> Option<bool>,
) -> bool {
    if tag & FAST[side] != 0 {
        let is_inside = lane.skip > bytes;
        if is_inside {
            lane.skip -= bytes;
            lane.last = from.0;
        }
        return is_inside;
    }
    tag & FRAMES[side] != 0 && Tag(tag).talk().is_none() && sealed::pass_beside(lane, from, bytes, alert)
}

/// What a machine may use of a flow while it works on a chunk.
pub struct Flow<'a> {
    pub context: Context<'a>,
    pub inline: &'a mut Inline,
    pub shared: &'a mut Shared,
    pub sink: &'a mut dyn Sink,
    /// Inside TLS: bytes of each side's stream that were passed on so far, which no packet counts.
    pub passed: Option<[u64; 2]>,
}

impl Flow<'_> {
    /// Bytes of a side's stream that were passed on so far.
    fn offset(&self, side: Side) -> u64 {
        self.passed.map_or_else(|| self.context.track.offset(side), |passed| passed[side.index()])
    }

    pub fn endpoint(&self, side: Side) -> Endpoint {
        self.context.endpoint(side)
    }

    pub fn id(&self) -> FlowId {
        self.context.id()
    }

    /// All that stands around a stream, outermost first: what its packets are wrapped in, then `around`.
    fn via(&self, client: Side, around: Option<&Around>) -> Vec<Wrapper> {
        let track = self.context.track;
        let of = |side| track.seen(side).then(|| self.shared.wrappers(self.id(), side));
        let mut all = via::wrappers(of(client), of(client.other()));
        all.extend(around.iter().flat_map(|a| &a.via).cloned());
        all
    }
}

/// What a machine wants next.
pub enum Step {
    /// Go on as it is.
    Stay,
    /// This machine takes over, and is given these chunks first.
    Replace(Machine, Vec<HeldChunk>),
    /// Nothing here is of interest any more.
    Opaque,
    /// Nothing but its last segments and its end: see [`stream::Handler::GLIMPSED`].
    Glimpse,
}

impl<S: Sink> Protocols<S> {
    pub fn new(sink: S) -> Self {
        Protocols { sink, shared: Shared::default(), machines: Machines::default() }
    }

    /// One chunk, nobody listening.
    #[inline]
    fn chunk_alone(&mut self, context: Context<'_>, tag: &mut u64, inline: &mut Inline, chunk: Chunk<'_>) -> Interest {
        let side = chunk.side.index();
        let mut tag_now = Tag(*tag);
        // The common cases, without leaving the flow's own lines: a body or frames going by.
        if let What::Data(data) = chunk.what {
            let lane = &mut inline.sides[side];
            let alert = |word| Some(sealed::ends_with_alert(data, word));
            if pass_by(*tag, side, lane, (chunk.ts, chunk.at), data.len() as u64, alert) {
                return Interest::All;
            }
            if tag_now.0 & FRAMES[side] != 0
                && let Some(talk) = self.shared.talks.get_mut(tag_now.talk())
            {
                let from = direction(tag_now.client(), chunk.side);
                let before = lane.last;
                let place = (chunk.ts, chunk.at, chunk.offset);
                let first = talk.push(inline.beside(side), from, data, place, &mut self.shared.common);
                inline.sides[side].last = chunk.ts;
                // Only here are the tunnel's seldom lines and the other direction's worth touching.
                if first && let Some(closed) = talk.closed() {
                    let mut spoken = [0, 1].map(|side: usize| inline.sides[side].last);
                    spoken[side] = before;
                    if tag_now.client() == Side::High {
                        spoken.swap(0, 1);
                    }
                    if let Some(place) = tag_now.machine().and_then(|index| self.machines.get_mut(index)) {
                        place.http.closed(closed, context.track, spoken);
                    }
                }
                return Interest::All;
            }
        }
        let interest = self.machine(context, &mut tag_now, inline, chunk);
        *tag = tag_now.0;
        if interest == Interest::Nothing {
            self.shared.forget(context.id());
        }
        interest
    }

    /// The same, told to who listens. A flow that is listened to is followed although nothing more is of interest.
    #[cold]
    fn tapped(&mut self, context: Context<'_>, tag: &mut u64, inline: &mut Inline, chunk: &Chunk<'_>) -> Interest {
        let is_wanted = self.sink.bytes(context, None, chunk);
        if *tag == GIVEN_UP {
            return if is_wanted { Interest::All } else { Interest::Nothing };
        }
        let interest = self.chunk_alone(context, tag, inline, *chunk);
        if interest == Interest::Nothing && is_wanted {
            let mut before = Tag(*tag);
            self.drop_machine(&mut before);
            *tag = GIVEN_UP;
            return Interest::All;
        }
        interest
    }

    fn drop_machine(&mut self, tag: &mut Tag) {
        if let Some(index) = tag.machine() {
            let left = self.machines.get_mut(index).and_then(|place| place.innermost()?.talk());
            if let Some(mut talk) = self.shared.talks.close(left) {
                talk.tell(&Inline::default(), 0, &mut self.shared.common);
            }
            self.machines.give_back(index);
        }
        tag.0 = 0;
    }
}

impl<S: Sink> Handler for Protocols<S> {
    type Inline = Inline;

    const WATCHED: u64 = WATCHED;
    /// A flow of no interest has no machine, but for one that asked for glimpses.
    const GLIMPSED: u64 = 0xffff_ffff << 32;

    #[inline]
    fn prefetch(&self, tag: u64, side: Side, inline: &Inline) -> usize {
        self.fetch(tag, side, inline)
    }

    #[inline]
    fn leads_on(&self, tag: u64, side: Side, short: bool) -> bool {
        if tag & FRAMES[side.index()] == 0 {
            tag & FAST[side.index()] == 0
        } else {
            // Of a short frame nothing is behind a tunnel's own lines but the place where it is kept.
            !(short && self.shared.common.no_frames)
        }
    }

    #[inline]
    fn prefetch_behind(&self, tag: u64, side: Side, inline: &Inline, bytes: u32) {
        self.fetch_behind(tag, side, inline, bytes);
    }

    #[inline]
    fn prefetch_further(&self, tag: u64, side: Side) {
        if tag & FRAMES[side.index()] == 0
            && let Some(index) = Tag(tag).machine()
        {
            self.machines.prefetch_further(index);
        }
    }

    #[inline]
    fn takes_short(&self, tag: u64, side: Side) -> bool {
        tag & FRAMES[side.index()] != 0 && Tag(tag).talk().is_some()
    }

    #[inline]
    fn short(
        &mut self,
        tag: u64,
        inline: &mut Inline,
        short: &Short,
        (side, ts, at, offset): (Side, Timestamp, PacketRef, u64),
    ) -> bool {
        if tag & FRAMES[side.index()] == 0 || self.sink.taps() {
            return false;
        }
        if inline.note(side.index(), short, (ts, at)) {
            return true;
        }
        let Some(talk) = self.shared.talks.get_mut(Tag(tag).talk()) else { return false };
        talk.short(inline.beside(side.index()), direction(Tag(tag).client(), side), short, (ts, at, offset))
    }

    #[inline]
    fn pass(
        &mut self,
        tag: u64,
        inline: &mut Inline,
        (side, ts, at): (Side, Timestamp, PacketRef),
        bytes: u32,
        alert: Option<bool>,
    ) -> bool {
        let side = side.index();
        !self.sink.taps() && pass_by(tag, side, &mut inline.sides[side], (ts, at), bytes.into(), |_| alert)
    }

    fn ready(&mut self, ready: Option<Ready>, payload: &[u8]) {
        self.shared.ready = ready.map(|head| ReadAhead { head, place: place_of(payload) });
    }

    fn prefetch_end(&self, tag: u64) {
        if let Some(index) = Tag(tag).machine() {
            self.machines.prefetch(index);
        }
        if let Some(talk) = Tag(tag).talk() {
            self.shared.talks.prefetch_all(talk);
        }
    }

    fn prefetch_end_behind(&self, tag: u64) {
        if let Some(index) = Tag(tag).machine() {
            self.machines.prefetch_end(index);
        }
    }

    fn opened(&mut self, context: Context<'_>, inline: &mut Inline, at: PacketRef) {
        sniff::remember_first(inline, at);
        self.sink.opened(context, at);
    }

    #[cold]
    fn wrapped(&mut self, flow: FlowId, side: Side, layers: &[Layer]) {
        self.shared.wrappers.entry(flow).or_default()[side.index()] = layers.into();
    }

    #[inline]
    fn chunk(&mut self, context: Context<'_>, tag: &mut u64, inline: &mut Inline, chunk: Chunk<'_>) -> Interest {
        if self.sink.taps() {
            return self.tapped(context, tag, inline, &chunk);
        }
        self.chunk_alone(context, tag, inline, chunk)
    }

    fn again(&mut self, flow: Context<'_>, tag: &mut u64, inline: &mut Inline, side: Side, from: (u64, &[u8])) {
        self.tell_again(flow, tag, inline, side, from);
    }

    fn signs(&mut self, flow: Context<'_>, tag: &mut u64, inline: &Inline, side: Side, signs: Signs) {
        self.tell_signs(flow, tag, inline, side, signs);
    }

    fn rejected(&mut self, flow: Context<'_>, tag: &mut u64, _: &mut Inline, side: Side, note: stream::Note) {
        self.tell_rejected(flow, *tag, side, note);
    }

    #[inline]
    fn glimpse(&mut self, _: Context<'_>, tag: &mut u64, inline: &mut Inline, seen: Glimpse<'_>) {
        if let Some(sealed) = self.machines.sealed(Tag(*tag).machine()) {
            sealed.glimpse(inline, &seen);
        }
    }

    #[cold]
    fn over(&mut self, context: Context<'_>, tag: &mut u64, inline: &mut Inline) {
        let mut tag_now = Tag(*tag);
        let place = tag_now.machine().and_then(|index| self.machines.get_mut(index));
        if let Some(Place { other: Some(Machine::Sealed(sealed)), .. }) = place {
            let mut flow = Flow { context, inline, shared: &mut self.shared, sink: &mut self.sink, passed: None };
            sealed.tell(&mut flow);
        }
        self.drop_machine(&mut tag_now);
        *tag = tag_now.0;
    }

    fn conflict(&mut self, _: Context<'_>, tag: &mut u64) {
        match Tag(*tag).machine().and_then(|i| self.machines.get_mut(i)) {
            Some(Place { http, other: None }) => http.conflict = true,
            Some(Place { other: Some(Machine::Http2(http2)), .. }) => http2.conflict(),
            // What was held may come first of all: the machine it is for has yet to be made.
            _ => *tag |= CONFLICT,
        }
    }
}

impl<S: Sink> Protocols<S> {
    #[inline(never)]
    fn machine(&mut self, context: Context<'_>, tag: &mut Tag, inline: &mut Inline, chunk: Chunk<'_>) -> Interest {
        if tag.machine().is_none() {
            if let What::Close(how) = chunk.what {
                return self.without_payload(context, inline, &chunk, how);
            }
            // The line's first use was to remember the first packet; from here on it counts frames.
            let first = sniff::first_packet(inline);
            *inline = Inline::default();
            let index = match sniff::at_once(context, first, &chunk, &mut self.shared) {
                Some(First::Http(client)) => {
                    self.shared.counters.flows_http1 += 1;
                    self.machines.keep_http(client)
                }
                Some(First::Other(machine)) => self.machines.keep(machine),
                Some(First::Opaque) => {
                    tag.0 = 0;
                    return Interest::Nothing;
                }
                None => self.machines.keep(Machine::Sniff(Box::new(Sniff::new(first)))),
            };
            tag.set_machine(index);
        }
        let Some(index) = tag.machine() else { return Interest::Nothing };
        let mut flow = Flow { context, inline, shared: &mut self.shared, sink: &mut self.sink, passed: None };
        let Some(place) = self.machines.get_mut(index) else { return Interest::Nothing };
        let mut step = place.chunk(&mut flow, &chunk);
        if let Step::Replace(to, held) = step {
            step = replace(place, to, held, &mut flow);
        }
        if matches!(step, Step::Opaque) {
            self.drop_machine(tag);
            return Interest::Nothing;
        }
        if matches!(step, Step::Glimpse) {
            // The machine stays where the tag says.
            return Interest::Nothing;
        }
        tag.0 &= !(FAST[0] | FAST[1] | FRAMES[0] | FRAMES[1] | CLIENT_HIGH | TALK);
        if let Place { http, other: None } = place {
            http.conflict |= tag.0 & CONFLICT != 0;
            if http.client == Side::High {
                tag.0 |= CLIENT_HIGH;
            }
            let talks = http.talk().is_some_and(|talk| tag.set_talk(talk));
            for side in Side::BOTH {
                if talks && http.counts_frames(side) {
                    tag.0 |= FRAMES[side.index()];
                } else if http.passes_body(side) {
                    tag.0 |= FAST[side.index()];
                }
            }
        } else if let Place { other: Some(Machine::Sealed(sealed)), .. } = place {
            for side in Side::BOTH {
                if sealed.passes(side) {
                    tag.0 |= FRAMES[side.index()];
                }
            }
        } else if let Some(http) = place.innermost() {
            // The signs of its packets are wanted; its frames lie inside records and are counted there.
            if http.client == Side::High {
                tag.0 |= CLIENT_HIGH;
            }
            if let Some(talk) = http.talk() {
                tag.set_talk(talk);
            }
        }
        Interest::All
    }

    /// A flow ends, or one side of it, and nobody has said anything.
    #[cold]
    fn without_payload(
        &mut self,
        context: Context<'_>,
        inline: &mut Inline,
        chunk: &Chunk<'_>,
        how: CloseHow,
    ) -> Interest {
        match how {
            CloseHow::Fin => return Interest::All,
            // It may be forged: who sends a SYN-ACK or bytes all the same refused nothing. Until that is sure
            // the second line remembers the packet.
            CloseHow::Rst if context.track.connect_state() == ConnectState::Refused => {
                sniff::remember_reset(inline, chunk);
                return Interest::All;
            }
            _ if context.track.has_payload() => {}
            CloseHow::Rst => self.lone(context, inline, Some((chunk.at, chunk.ts))),
            CloseHow::Replaced | CloseHow::CaptureEnd => self.lone(context, inline, sniff::first_reset(inline)),
        }
        Interest::Nothing
    }

    fn lone(&mut self, context: Context<'_>, inline: &Inline, end: Option<(PacketRef, Timestamp)>) {
        let Some(client) = context.track.client() else { return };
        let rejected = self.shared.rejected.remove(&context.id());
        let rejected = rejected.filter(|_| context.track.connect_state() == ConnectState::Unanswered);
        let end = end.or(rejected.as_ref().map(|rejected| (rejected.at, rejected.ts)));
        self.sink.lone(FlowFacts {
            id: context.id(),
            client: context.endpoint(client),
            server: context.endpoint(client.other()),
            state: context.track.connect_state(),
            syn: sniff::first_packet(inline),
            syn_at: context.opened.first,
            syns: context.track.syns(),
            end: end.map(|(at, _)| at),
            end_at: end.map(|(_, ts)| ts),
            rejected,
            said: None,
            answered_at: None,
            unseen_at: None,
        });
    }
}

impl Machine {
    #[inline]
    fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        match self {
            Machine::Http(http) => http.chunk(flow, chunk),
            Machine::Sniff(sniff) => sniff.chunk(flow, chunk),
            Machine::Proxy(header) => header.chunk(flow, chunk),
            Machine::Socks(socks) => socks.chunk(flow, chunk),
            Machine::Watch(watch) => watch.chunk(flow, chunk),
            Machine::Midstream(midstream) => midstream.chunk(flow, chunk),
            Machine::Http2(http2) => http2.chunk(flow, chunk),
            Machine::Tls(tls) => tls.chunk(flow, chunk),
            Machine::Sealed(sealed) => sealed.chunk(flow, chunk),
        }
    }
}

/// Puts another machine in a flow's place and gives it what was held; that may find yet another.
/// Each goes one stream further in, of which there are at most `limits::NESTING`, or knows more of the
/// same one.
#[inline(never)]
fn replace(place: &mut Place, to: Machine, held: Vec<HeldChunk>, flow: &mut Flow<'_>) -> Step {
    let mut queue = VecDeque::from(held);
    let mut next = Some(to);
    loop {
        if let Some(to) = next.take() {
            if let Machine::Http(_) = to {
                flow.shared.counters.flows_http1 += 1;
            }
            place.put(to);
            // Frames and bodies of the stream before are over; when somebody last spoke stays known.
            for side in &mut flow.inline.sides {
                side.restart();
            }
        }
        let Some(held) = queue.pop_front() else { return Step::Stay };
        match place.chunk(flow, &held.as_chunk()) {
            Step::Glimpse if queue.is_empty() => return Step::Glimpse,
            Step::Stay | Step::Glimpse => {}
            Step::Opaque => return Step::Opaque,
            Step::Replace(to, first) => {
                for held in first.into_iter().rev() {
                    queue.push_front(held);
                }
                next = Some(to);
            }
        }
    }
}

/// The direction of a side, once it is known who is client.
pub(crate) fn direction(client: Side, side: Side) -> Direction {
    if side == client { Direction::ClientToServer } else { Direction::ServerToClient }
}
