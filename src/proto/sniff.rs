//! The first bytes of a flow: who is client, and whether it speaks HTTP/1.x. Bytes looked at are
//! given to the machine that takes over. Port numbers never decide.

use crate::base::{PacketRef, Timestamp, limits};
use crate::stream::{Chunk, CloseHow, Side, What};
use crate::wire::sniff::{Guess, guess};

use super::{Flow, Inline, Shared, Step};

/// What one flow has shown so far.
pub struct Sniff {
    held: Vec<HeldChunk>,
    bytes: [Vec<u8>; 2],
    guess: [Option<Guess>; 2],
}

/// A chunk kept until it is known what it is.
pub struct HeldChunk {
    side: Side,
    ts: Timestamp,
    at: PacketRef,
    offset: u64,
    data: Vec<u8>,
    other: Option<What<'static>>,
}

impl HeldChunk {
    pub fn as_chunk(&self) -> Chunk<'_> {
        let what = self.other.unwrap_or(What::Data(&self.data));
        Chunk { side: self.side, ts: self.ts, at: self.at, offset: self.offset, what }
    }
}

/// What the very first bytes of a flow say, where they say it at once. `None`: look closer.
pub(super) fn at_once(chunk: &Chunk<'_>, shared: &mut Shared) -> Option<Step> {
    let What::Data(data) = chunk.what else { return None };
    match guess(&data[..data.len().min(limits::SNIFF_BYTES)]) {
        Guess::Request => Some(Step::Http(chunk.side)),
        Guess::Response => Some(Step::Http(chunk.side.other())),
        Guess::Tls => {
            shared.counters.flows_tls += 1;
            Some(Step::Opaque)
        }
        Guess::Http2 => {
            shared.counters.flows_http2 += 1;
            Some(Step::Opaque)
        }
        Guess::NeedMore | Guess::Other => None,
    }
}

impl Sniff {
    pub fn new() -> Self {
        Sniff { held: Vec::new(), bytes: [Vec::new(), Vec::new()], guess: [None, None] }
    }

    /// Takes one chunk of the flow's beginning.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        self.hold(chunk);
        let side = chunk.side;
        match chunk.what {
            What::Data(data) => {
                let seen = &mut self.bytes[side.index()];
                if matches!(self.guess[side.index()], Some(Guess::Other)) {
                    return self.after_no(flow, side);
                }
                let room = limits::SNIFF_BYTES.saturating_sub(seen.len());
                seen.extend_from_slice(&data[..data.len().min(room)]);
                let found = guess(seen);
                self.guess[side.index()] = Some(found);
                match found {
                    Guess::Request => Step::Http(side),
                    Guess::Response => Step::Http(side.other()),
                    Guess::Tls => {
                        flow.shared.counters.flows_tls += 1;
                        Step::Opaque
                    }
                    Guess::Http2 => {
                        flow.shared.counters.flows_http2 += 1;
                        Step::Opaque
                    }
                    Guess::NeedMore => Step::Stay,
                    Guess::Other => self.after_no(flow, side),
                }
            }
            What::Gap { .. } => {
                // What comes behind the hole is looked at anew.
                self.bytes[side.index()].clear();
                self.guess[side.index()] = None;
                if self.held.len() > 16 { Step::Opaque } else { Step::Stay }
            }
            What::Close(CloseHow::Fin) => Step::Stay,
            What::Close(_) => Step::Opaque,
        }
    }

    /// All that was held, in order.
    pub fn into_chunks(self) -> Vec<HeldChunk> {
        self.held
    }

    /// A side does not speak HTTP. A server may say something before its client does (a banner, or a
    /// fault worth telling), so a client that has not spoken yet is waited for, within bounds.
    fn after_no(&self, flow: &Flow<'_>, side: Side) -> Step {
        let other = side.other();
        let other_open = self.guess[other.index()].is_none_or(|g| g == Guess::NeedMore);
        let may_be_server = flow.context.track.client().is_none_or(|client| client == other);
        let held: usize = self.held.iter().map(|h| h.data.len()).sum();
        if other_open && may_be_server && held <= limits::BANNER_BYTES { Step::Stay } else { Step::Opaque }
    }

    fn hold(&mut self, chunk: &Chunk<'_>) {
        let (data, other) = match chunk.what {
            What::Data(data) => (data.to_vec(), None),
            What::Gap { len, why } => (Vec::new(), Some(What::Gap { len, why })),
            What::Close(how) => (Vec::new(), Some(What::Close(how))),
        };
        self.held.push(HeldChunk { side: chunk.side, ts: chunk.ts, at: chunk.at, offset: chunk.offset, data, other });
    }
}

impl Default for Sniff {
    fn default() -> Self {
        Sniff::new()
    }
}

/// Before any payload, the frame counters' place remembers the flow's first packet.
pub(super) fn remember_first(inline: &mut Inline, at: PacketRef) {
    inline.sides[0].skip = u64::from(at.input()) << 48 | at.number();
}

pub(super) fn first_packet(inline: &Inline) -> PacketRef {
    let word = inline.sides[0].skip;
    PacketRef::new((word >> 48) as u16, word)
}
