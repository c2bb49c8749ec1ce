//! The same pipeline once more, for some of its flows: every packet of theirs is handed out, in the order
//! of the timeline. Nothing is kept of a packet.
//!
//! Everything runs as the first time, so that a flow has the same id: where a connection begins and ends
//! (a port that is used again, an ended flow that is forgotten) is decided by the same code on the same
//! packets. What the first reading knew of each flow is checked on the way: an input that changed in
//! between is noticed.

use std::collections::{HashMap, HashSet};
use std::io;

use super::Engine;
use crate::base::{Endpoint, FlowId, PacketRef, limits};
use crate::capture::{self, Batch, Merged, Progress, Record};
use crate::model::{Exchange, FlowFacts};
use crate::proto::Sink;
use crate::proto::tls::Secrets;
use crate::stream::{Context, FlowKey, Packets, Side};

/// Why the inputs could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] capture::Error),
    /// What takes the packets failed.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// Flow and packets do not fit together as they did.
    #[error("the inputs changed while they were read (wait until nobody writes to them, and try again)")]
    Changed,
    /// Two of the flows have the same addresses, and capture points alone tell them apart.
    #[error("{one} and {other} were captured at two places (inputs {first} and {second}, counted from 0)")]
    TwoPlaces { one: Endpoint, other: Endpoint, first: u16, second: u16 },
}

/// What is looked for: flows, and packets that are known to be theirs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    flows: HashSet<FlowId>,
    anchors: HashMap<PacketRef, FlowId>,
    pieces: Pieces,
    /// What the first reading read TLS with: which flows are of interest may depend on it.
    pub secrets: Secrets,
}

/// Packets that brought a fragment of a wanted segment.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    packets: HashSet<PacketRef>,
    /// How many were too many: of one datagram, or in all (`limits::EXTRACTED_FRAGMENTS`).
    pub left_out: u64,
}

impl Pieces {
    fn add(&mut self, packets: &Packets) {
        self.left_out += packets.left_out;
        for &at in &packets.list {
            if self.packets.len() < limits::EXTRACTED_FRAGMENTS {
                self.packets.insert(at);
            } else if !self.packets.contains(&at) {
                self.left_out += 1;
            }
        }
    }
}

impl Wanted {
    /// Adds a flow, and a packet of it.
    pub fn add(&mut self, flow: FlowId, packet: PacketRef) {
        self.flows.insert(flow);
        self.anchors.insert(packet, flow);
    }

    /// Adds what [`pieces`] found.
    pub fn add_pieces(&mut self, pieces: Pieces) {
        self.pieces = pieces;
    }

    pub fn has(&self, flow: FlowId) -> bool {
        self.flows.contains(&flow)
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

/// Reads all inputs again, opened with the same window, and finds the packets that brought fragments of
/// the wanted flows' segments: a fragment may come long before the one that makes it known whose it is.
/// `progress` as for [`super::read`]; `None`: it said so. Needless where no fragment was counted.
pub fn pieces(
    inputs: &mut Merged,
    wanted: &Wanted,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Option<Pieces>, Error> {
    let mut pieces = Pieces::default();
    let whole = walk(inputs, wanted, progress, Some(&mut pieces), &mut |_, _, _| Ok(()))?;
    Ok(whole.then_some(pieces))
}

/// Reads all inputs again, opened with the same window, and hands the packets of the wanted flows to
/// `each`, with the pieces that were added. `progress` as for [`super::read`]; `false`: it said so.
pub fn replay(
    inputs: &mut Merged,
    wanted: &Wanted,
    progress: &mut dyn FnMut(Progress) -> bool,
    each: &mut dyn FnMut(&Batch<'_>, &Record, PacketRef) -> io::Result<()>,
) -> Result<bool, Error> {
    walk(inputs, wanted, progress, None, each)
}

fn walk(
    inputs: &mut Merged,
    wanted: &Wanted,
    progress: &mut dyn FnMut(Progress) -> bool,
    mut pieces: Option<&mut Pieces>,
    each: &mut dyn FnMut(&Batch<'_>, &Record, PacketRef) -> io::Result<()>,
) -> Result<bool, Error> {
    let mut engine = Engine::new(Openings::of(wanted));
    engine.secrets(wanted.secrets.clone());
    let mut open = Open::default();
    let mut batches = 0_u32;
    while let Some(batch) = inputs.next_batch()? {
        let mut joined = Vec::new();
        match pieces {
            Some(_) => engine.traced(&batch, &mut joined),
            None => engine.batch(&batch),
        }
        let mut joined = joined.into_iter().peekable();
        let openings = std::mem::take(&mut engine.sink().seen);
        let mut openings = openings.into_iter().peekable();
        let mut segments = engine.segments.iter().enumerate().peekable();
        for record in batch.records {
            let at = batch.at(record);
            while let Some(opening) = openings.next_if(|o| o.at == at) {
                open.note(&opening, wanted, batch.point)?;
            }
            let mut is_wanted = wanted.pieces.packets.contains(&at);
            while let Some((place, (_, key))) = segments.next_if(|(_, (of, _))| *of == at) {
                let packets = joined.next_if(|(of, _)| *of == place);
                if open.is_wanted(&key, at, wanted) {
                    is_wanted = true;
                    if let (Some(pieces), Some((_, packets))) = (&mut pieces, packets) {
                        pieces.add(&packets);
                    }
                }
            }
            if is_wanted {
                each(&batch, record, at)?;
            }
        }
        batches = batches.wrapping_add(1);
        if batches.is_multiple_of(16) && !progress(inputs.progress()) {
            return Ok(false);
        }
    }
    if open.begun != wanted.flows.len() || open.anchors != wanted.anchors.len() {
        return Err(Error::Changed);
    }
    Ok(true)
}

/// A flow's first packet.
struct Opening {
    at: PacketRef,
    key: FlowKey,
    flow: FlowId,
}

/// Wants no exchange; notes where wanted flows begin, and where others take their addresses.
struct Openings<'w> {
    wanted: &'w Wanted,
    /// Keys of wanted flows so far.
    keys: HashSet<FlowKey>,
    /// Of the present batch.
    seen: Vec<Opening>,
}

impl<'w> Openings<'w> {
    fn of(wanted: &'w Wanted) -> Self {
        Openings { wanted, keys: HashSet::new(), seen: Vec::new() }
    }
}

impl Sink for Openings<'_> {
    fn decided(&mut self, _: &Exchange) {}

    fn ended(&mut self, _: Box<Exchange>) {}

    fn lone(&mut self, _: FlowFacts) {}

    fn opened(&mut self, context: Context<'_>, at: PacketRef) {
        // Connections with one name in several networks go together: a packet tells no more than the name.
        let (flow, key) = (context.id(), context.key().namesake(0));
        if self.wanted.has(flow) {
            self.keys.insert(key);
        } else if !self.keys.contains(&key) {
            return;
        }
        self.seen.push(Opening { at, key, flow });
    }
}

/// Where the reading stands.
#[derive(Default)]
struct Open {
    /// Wanted flows whose addresses serve nobody else yet.
    flows: HashMap<FlowKey, FlowId>,
    /// Capture point of each pair of addresses, and an input of it.
    places: HashMap<(Endpoint, Endpoint), (u16, PacketRef)>,
    /// Wanted flows that began.
    begun: usize,
    /// Known packets that came by in their flow.
    anchors: usize,
}

impl Open {
    fn note(&mut self, opening: &Opening, wanted: &Wanted, point: u16) -> Result<(), Error> {
        if !wanted.has(opening.flow) {
            self.flows.remove(&opening.key);
            return Ok(());
        }
        self.begun += 1;
        self.flows.insert(opening.key, opening.flow);
        let (low, high) = (opening.key.endpoint(Side::Low), opening.key.endpoint(Side::High));
        let (first_point, first) = *self.places.entry((low, high)).or_insert((point, opening.at));
        if first_point == point {
            return Ok(());
        }
        Err(Error::TwoPlaces { one: low, other: high, first: first.input(), second: opening.at.input() })
    }

    /// Whether a packet belongs to a wanted flow. `key`: of a segment that it carries or completes.
    fn is_wanted(&mut self, key: &FlowKey, at: PacketRef, wanted: &Wanted) -> bool {
        if self.flows.is_empty() {
            return false;
        }
        let Some(flow) = self.flows.get(key) else { return false };
        if wanted.anchors.get(&at) == Some(flow) {
            self.anchors += 1;
        }
        true
    }
}
