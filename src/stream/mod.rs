//! Packets to flows to ordered chunks. What comes in: packets as captured. What goes out: each
//! direction's bytes in order, once, with holes named. It never looks at what the bytes mean.
//! Bounded by `limits::FLOWS`, `limits::REORDER_*`.

mod another;
pub mod copies;
pub mod decode;
pub mod defrag;
mod descent;
pub mod flow;
mod namesakes;
mod pieces;
mod quic;
pub mod ready;
pub mod reassembly;
mod reset;
pub mod segments;
pub mod slots;
pub mod table;
pub mod trace;
pub mod via;

pub use copies::Copies;
pub use decode::{Aside, Decoded, Decoder, Place, straight};
pub use flow::{FlowKey, Opened, Side, Track};
pub use ready::{Offer, Plain, Ready};
pub use reassembly::Segment;
pub use segments::{Entry, Segments};
pub use table::Table;
pub use trace::Packets;
pub use via::Vias;

use std::net::IpAddr;

use crate::base::{Endpoint, FlowId, PacketRef, Timestamp};
use crate::model::{IcmpWhy, Layer};
use crate::wire::short::Short;

/// In-order bytes of one direction, or what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    pub side: Side,
    pub ts: Timestamp,
    /// The packet that brought it first.
    pub at: PacketRef,
    /// Bytes from the first payload byte of this direction to the first of these.
    pub offset: u64,
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    Data(&'a [u8]),
    /// Bytes that are not there.
    Gap {
        len: u64,
        why: GapWhy,
    },
    Close(CloseHow),
}

/// Why bytes are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapWhy {
    /// Not in the capture.
    Lost,
    /// Taken by the snap length.
    Cut,
    /// Given up here because a limit was reached.
    Evicted,
    /// Lost on their way: their receiver goes on to acknowledge only what came before them. `heard`: the older of both
    /// sides' newest packets; `largest`: bytes of the largest segment that came behind them.
    Undelivered { heard: Timestamp, largest: u32 },
}

/// How a direction (FIN) or a flow (all others) came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseHow {
    Fin,
    Rst,
    /// Another connection took its addresses, or its place was needed.
    Replaced,
    CaptureEnd,
}

/// What the handler wants to see of a flow from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Everything, in order.
    All,
    /// Nothing more.
    Nothing,
}

/// What a segment says beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Its packet's TTL or hop limit.
    pub ttl: u8,
    pub rst: bool,
    pub syn: bool,
    /// Its sender takes nothing more for now (RFC 9293 §3.8.6.1).
    pub closes_window: bool,
    /// It is next in line: neither sent again nor a keep-alive.
    pub new: bool,
    /// It asks only whether the other side is there: a keep-alive, or a question about its window (RFC 9293 §3.8.4, §3.8.6.1).
    pub probe: bool,
    /// It brings only bytes that came before: where they stand in their direction's stream, and how many they are.
    pub again: Option<(u64, u32)>,
    /// Bytes of the other side's stream that it acknowledges. `None`: it tells nothing of that.
    pub acked: Option<u64>,
    /// It brings nothing, and stands where its side has sent so many bytes of its stream: more than came by. `None`: it tells
    /// nothing of that.
    pub sent: Option<u64>,
}

/// What ICMP says of a segment that was not delivered.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// Who says so.
    pub by: IpAddr,
    pub why: IcmpWhy,
    /// The packet with the message.
    pub at: PacketRef,
    pub ts: Timestamp,
}

/// A segment of a flow of no interest whose end is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse<'a> {
    pub side: Side,
    pub ts: Timestamp,
    pub at: PacketRef,
    /// As far as it was captured. Empty where these bytes were seen before.
    pub payload: &'a [u8],
    /// Bytes of payload that the snap length took.
    pub cut: u32,
    pub fin: bool,
    pub rst: bool,
}

/// What a handler may know of the flow a chunk belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub track: &'a Track,
    pub opened: &'a Opened,
}

impl Context<'_> {
    pub fn id(&self) -> FlowId {
        self.opened.id
    }

    /// The flow's identity.
    pub fn key(&self) -> FlowKey {
        if self.track.key.is_v6() { FlowKey::V6(self.opened.key6) } else { FlowKey::V4(self.track.key) }
    }

    pub fn endpoint(&self, side: Side) -> Endpoint {
        self.key().endpoint(side)
    }
}

/// The handler's state beside a flow's record.
pub trait Inline: Default {
    /// Starts fetching what a segment of this side will touch.
    fn prefetch(&self, side: Side);

    /// Takes note of new bytes of a flow of no interest, `(captured, cut)` of them, where nothing else is needed for it.
    /// `alert`: whether they may end with the record of a TLS alert; `None`: more was to follow at once, so that nobody
    /// looked. `false`: [`Handler::glimpse`] must be told.
    #[inline]
    fn glimpse(&mut self, _: Side, _: (Timestamp, PacketRef), _bytes: (u32, u32), _alert: Option<bool>) -> bool {
        false
    }
}

/// A handler that keeps nothing beside the flows.
impl Inline for () {
    fn prefetch(&self, _: Side) {}
}

/// Takes the chunks of all flows. `tag` and `Inline` are the handler's own state of the flow, kept
/// beside the flow's record, so that reaching them costs no further cache miss.
pub trait Handler {
    type Inline: Inline;

    /// The bits of a tag that ask for the signs of every segment. Of others come those that reset the
    /// connection or close a window.
    const WATCHED: u64 = 0;

    /// The bits of a tag that ask for glimpses of a flow although [`Interest::Nothing`] was said of it: of segments
    /// with payload, of its FINs and resets, as they come, and of its end. 0: never.
    const GLIMPSED: u64 = 0;

    /// Starts fetching what a segment of this side will touch beside the flow's own record. How many of its
    /// first bytes will most likely be looked at.
    #[inline]
    fn prefetch(&self, _tag: u64, _side: Side, _inline: &Self::Inline) -> usize {
        1
    }

    /// Whether that leads on to more, for [`Handler::prefetch_behind`]. `short`: the segment is one short frame.
    #[inline]
    fn leads_on(&self, _tag: u64, _side: Side, _short: bool) -> bool {
        false
    }

    /// The same, of what that leads to: a little later. `bytes`: of the segment's payload.
    #[inline]
    fn prefetch_behind(&self, _tag: u64, _side: Side, _inline: &Self::Inline, _bytes: u32) {}

    /// The same, of what that leads to in its turn.
    #[inline]
    fn prefetch_further(&self, _tag: u64, _side: Side) {}

    /// A segment that is next in line, and one short frame by itself. `true`: that was all there was to say, and
    /// its bytes are not told as a chunk. `offset`: of its first byte in its direction's stream.
    #[inline]
    fn short(
        &mut self,
        _tag: u64,
        _inline: &mut Self::Inline,
        _short: &Short,
        _from: (Side, Timestamp, PacketRef, u64),
    ) -> bool {
        false
    }

    /// A segment that is next in line, `bytes` long and whole. `true`: of its bytes nothing is wanted but that they went
    /// by, and they are not told as a chunk. `alert`: as for [`Inline::glimpse`].
    #[inline]
    fn pass(
        &mut self,
        _tag: u64,
        _inline: &mut Self::Inline,
        _from: (Side, Timestamp, PacketRef),
        _bytes: u32,
        _alert: Option<bool>,
    ) -> bool {
        false
    }

    /// What the bytes of the next chunk begin with, where they were read ahead; `None` behind that chunk. It holds for
    /// these bytes, at this place in memory, alone.
    fn ready(&mut self, _ready: Option<Ready>, _payload: &[u8]) {}

    /// Whether [`Handler::short`] may be all that is asked of such a segment.
    #[inline]
    fn takes_short(&self, _tag: u64, _side: Side) -> bool {
        false
    }

    /// Starts fetching what the end of a flow will touch beside its record.
    fn prefetch_end(&self, _tag: u64) {}

    /// The same, of what that leads to: a little later.
    fn prefetch_end_behind(&self, _tag: u64) {}

    /// A flow's first packet.
    fn opened(&mut self, flow: Context<'_>, inline: &mut Self::Inline, at: PacketRef);

    /// The packets of one side of a flow are wrapped in this, outermost first. Told before the first
    /// chunk of that side, once for each side, and not at all where they are not wrapped.
    fn wrapped(&mut self, _flow: FlowId, _side: Side, _layers: &[Layer]) {}

    /// One chunk. Called in order for each direction; a chunk never comes before the peer's bytes
    /// that its sender had acknowledged, unless these are lost.
    fn chunk(&mut self, flow: Context<'_>, tag: &mut u64, inline: &mut Self::Inline, chunk: Chunk<'_>) -> Interest;

    /// A segment brought bytes for a place that was passed already, `from` its offset. To be compared with what is kept.
    fn again(&mut self, flow: Context<'_>, tag: &mut u64, inline: &mut Self::Inline, side: Side, from: (u64, &[u8]));

    /// What a segment says beside its bytes, before these are dealt with. Only of flows of interest.
    fn signs(&mut self, _flow: Context<'_>, _tag: &mut u64, _inline: &Self::Inline, _side: Side, _signs: Signs) {}

    /// A segment of this side was not delivered, as an ICMP message says. Only of flows of interest.
    fn rejected(&mut self, _flow: Context<'_>, _tag: &mut u64, _inline: &mut Self::Inline, _side: Side, _told: Note) {}

    /// A segment of a flow of no interest, see [`Handler::GLIMPSED`].
    fn glimpse(&mut self, _flow: Context<'_>, _tag: &mut u64, _inline: &mut Self::Inline, _: Glimpse<'_>) {}

    /// A flow of no interest whose end was waited for is over.
    fn over(&mut self, _flow: Context<'_>, _tag: &mut u64, _inline: &mut Self::Inline) {}

    /// Segments of this flow disagreed about bytes that were not passed on yet; the first were kept.
    fn conflict(&mut self, flow: Context<'_>, tag: &mut u64);
}
