//! What runs inside another stream (TLS, or CONNECT on a stream of HTTP/2): machines with counts of their own.

use crate::stream::{Chunk, Side, What};

use super::around::Begin;
use super::machines::Place;
use super::sniff::Sniff;
use super::{Flow, Inline, Machine, Shared, Step, replace};

/// A stack of machines with its own counts of frames.
pub(super) struct Inner {
    place: Box<Place>,
    inline: Inline,
    /// Bytes of each side that were passed on or are known to be missing.
    passed: [u64; 2],
    number: u64,
    /// Nothing in it is of interest any more but its bytes.
    over: bool,
}

/// The length of a hole that is not known: longer than any content or frame.
pub const UNKNOWN: u64 = u64::MAX;

impl Inner {
    /// Of a stream that begins here.
    pub(super) fn new(begin: Begin, shared: &mut Shared) -> Self {
        shared.inside += 1;
        let mut place = Box::new(Place::free());
        place.put(Machine::Sniff(Box::new(Sniff::within(begin))));
        Inner { place, inline: Inline::default(), passed: [0; 2], number: shared.inside, over: false }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Bytes of a side that were passed on or are known to be missing.
    pub(super) fn passed(&self, side: Side) -> u64 {
        self.passed[side.index()]
    }

    /// Takes one chunk, whose offset counts what was sent inside.
    pub(super) fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let length = match chunk.what {
            What::Data(data) => data.len() as u64,
            What::Gap { len: UNKNOWN, .. } | What::Close(_) => 0,
            What::Gap { len, .. } => len,
        };
        self.passed[chunk.side.index()] = chunk.offset.saturating_add(length);
        let is_wanted = flow.sink.bytes(flow.context, Some(self.number), chunk);
        if self.over {
            return Step::Stay;
        }
        let mut flow = Flow {
            context: flow.context,
            inline: &mut self.inline,
            shared: &mut *flow.shared,
            sink: &mut *flow.sink,
            passed: Some(self.passed),
        };
        let step = match self.place.chunk(&mut flow, chunk) {
            Step::Replace(to, held) => replace(&mut self.place, to, held, &mut flow),
            step => step,
        };
        self.over = is_wanted && matches!(step, Step::Opaque);
        if self.over { Step::Stay } else { step }
    }
}
