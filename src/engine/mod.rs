//! Runs it all: batches of packets in, a finished analysis out. Large files are read by two threads, of which
//! one follows the flows as well, since reading alone takes half of the time; everything else (pipes, tests)
//! goes through the same steps on one.

mod ahead;
pub mod collect;
mod front;
mod in_order;
mod intermediaries;
pub mod joining;
mod journeys;
pub mod judge;
mod pipeline;
pub mod preview;
pub mod replay;
pub mod stretch;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::{Counters, limits};
use crate::capture::{Batch, Merged, Progress};
use crate::proto::tls::{KeyLog, Secrets};
use crate::proto::{Inline, Protocols, Sink};
use crate::stream::{Packets, Segments, Table};

use front::Front;

pub use collect::Collected;
pub use intermediaries::Proxies;
pub use joining::{Group, Joining};
pub use journeys::{Copied, proxies};
pub use judge::{Judge, Judged};
pub use preview::{Preview, Previewed};

/// The pipeline from packets to exchanges.
pub struct Engine<S> {
    front: Front,
    back: Back<S>,
    segments: Segments,
}

/// Segments to exchanges.
struct Back<S> {
    table: Table<Inline>,
    protocols: Protocols<S>,
    counters: Counters,
}

impl<S: Sink> Engine<S> {
    /// `sink` gets every exchange when it is decided and when it ended.
    pub fn new(sink: S) -> Self {
        Engine::with_flow_limit(sink, limits::FLOWS)
    }

    /// As [`Engine::new`], with another bound for the flows held at once.
    pub fn with_flow_limit(sink: S, flows: usize) -> Self {
        let table = Table::new(flows);
        let segments = table.segments();
        let back = Back { table, protocols: Protocols::new(sink), counters: Counters::default() };
        Engine { front: Front::default(), back, segments }
    }

    /// TLS is read with these; to be given before the first packet.
    pub fn secrets(&mut self, secrets: Secrets) {
        self.back.protocols.shared.tls.secrets = secrets;
    }

    /// From here on secrets may come while packets do, by [`Engine::learn`]: connections in TLS wait for theirs, and
    /// hold what they cannot read yet, up to `limits::TLS_HELD_BYTES` each and until they end. To be said before the first packet.
    pub fn secrets_may_come(&mut self) {
        self.back.protocols.shared.tls.secrets.may_grow = true;
    }

    /// Nobody is going to look at single frames, as the terminal UI does: [`Talk::frames`](crate::model::Talk::frames)
    /// stays empty. To be said before the first packet.
    pub fn show_no_frames(&mut self) {
        self.back.protocols.shared.show_no_frames();
    }

    /// More of a key log. `log` keeps a line whose end is still to come.
    pub fn learn(&mut self, log: &mut KeyLog, bytes: &[u8]) {
        log.push(bytes, &mut self.back.protocols.shared.tls.secrets);
    }

    /// What gets the exchanges.
    pub fn sink(&mut self) -> &mut S {
        &mut self.back.protocols.sink
    }

    /// Takes the next packets of the timeline.
    pub fn batch(&mut self, batch: &Batch<'_>) {
        self.segments.clear();
        self.front.batch(batch, &mut self.segments);
        self.back.segments(batch.bytes, &self.segments, 0..self.segments.len());
    }

    /// As [`Engine::batch`], one packet at a time; tells the place of each segment that came in fragments,
    /// and the packets that brought these.
    fn traced(&mut self, batch: &Batch<'_>, joined: &mut Vec<(usize, Packets)>) {
        self.segments.clear();
        for record in batch.records {
            let first = self.segments.len();
            let one = Batch { records: std::slice::from_ref(record), ..*batch };
            let traced = self.front.traced(&one, batch.at(record), &mut self.segments);
            let several = traced.enumerate().filter(|(_, packets)| !packets.list.is_empty());
            joined.extend(several.map(|(n, packets)| (first + n, packets)));
        }
        self.back.segments(batch.bytes, &self.segments, 0..self.segments.len());
    }

    /// The capture is over: all that is open ends. Gives the sink back, and what was counted.
    pub fn finish(self) -> (S, Counters) {
        let Engine { front, mut back, .. } = self;
        let work = AssertUnwindSafe(|| back.table.finish(&mut back.protocols, &mut back.counters));
        if catch_unwind(work).is_err() {
            back.counters.bugs += 1;
        }
        let mut counters = back.counters;
        counters.add(&front.finish());
        counters.add(&back.protocols.shared.counters());
        (back.protocols.sink, counters)
    }
}

impl<S: Sink> Back<S> {
    /// Takes segments whose payloads stand in `bytes`, a batch at a time.
    fn segments(&mut self, bytes: &[u8], segments: &Segments, range: Range<usize>) {
        let mut current = range.start;
        while current < range.end {
            let batch = current..range.end.min(current + limits::BATCH_PACKETS);
            let work = AssertUnwindSafe(|| {
                let Back { table, protocols, counters } = self;
                table.batch(bytes, segments, batch, protocols, counters, &mut current);
            });
            if catch_unwind(work).is_err() {
                // A fault of this program in one flow must not cost the others: that flow is given up.
                self.counters.bugs += 1;
                self.table.ignore(segments, current);
                current += 1;
            }
        }
    }
}

/// Reads all inputs through the engine. `progress` is told now and then how far it is; where it says
/// `false`, reading stops. `true`: read to the end.
pub fn read<S: Sink>(
    inputs: &mut Merged,
    engine: &mut Engine<S>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<bool, crate::capture::Error> {
    // A pipe is looked at as soon as it gives something, and may be silent for long.
    if inputs.progress().bytes_total.is_some_and(|total| total >= limits::THREAD_BYTES) {
        return pipeline::read(inputs, engine, progress);
    }
    let mut batches = 0_u32;
    while let Some(batch) = inputs.next_batch()? {
        engine.batch(&batch);
        batches = batches.wrapping_add(1);
        // About every 1,000 packets: seldom enough to cost nothing, often enough for a slow pipe.
        if batches.is_multiple_of(16) && !progress(inputs.progress()) {
            return Ok(false);
        }
    }
    Ok(true)
}
