//! Runs it all: batches of packets in, a finished analysis out. One thread; a file is read as fast as
//! it is analysed.

pub mod collect;
pub mod judge;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::{Counters, limits};
use crate::capture::{Batch, Merged, Progress};
use crate::proto::{Inline, Protocols, Sink};
use crate::stream::table::Entry;
use crate::stream::{Decoder, Table};

pub use collect::Collected;
pub use judge::{Judge, Judged};

/// The pipeline from packets to exchanges.
pub struct Engine<S> {
    decoder: Decoder,
    table: Table<Inline>,
    protocols: Protocols<S>,
    counters: Counters,
    entries: Vec<Entry>,
}

impl<S: Sink> Engine<S> {
    /// `sink` gets every exchange when it is decided and when it ended.
    pub fn new(sink: S) -> Self {
        Engine::with_flow_limit(sink, limits::FLOWS)
    }

    /// As [`Engine::new`], with another bound for the flows held at once.
    pub fn with_flow_limit(sink: S, flows: usize) -> Self {
        Engine {
            decoder: Decoder::default(),
            table: Table::new(flows),
            protocols: Protocols::new(sink),
            counters: Counters::default(),
            entries: Vec::with_capacity(limits::BATCH_PACKETS),
        }
    }

    /// What gets the exchanges.
    pub fn sink(&mut self) -> &mut S {
        &mut self.protocols.sink
    }

    /// Takes the next packets of the timeline.
    pub fn batch(&mut self, batch: &Batch<'_>) {
        self.entries.clear();
        self.counters.packets += batch.records.len() as u64;
        for record in batch.records {
            let missing = record.wire_len.saturating_sub(record.cap_len);
            let (at, len) = (record.off as usize, record.cap_len as usize);
            let segment =
                self.decoder.frame(record.link.0, batch.bytes, at, len, missing, batch.point, &mut self.counters);
            if let Some(segment) = segment {
                self.entries.push(Entry { segment, ts: record.ts, at: batch.at(record) });
            }
        }
        let mut current = 0;
        while current < self.entries.len() {
            let work = AssertUnwindSafe(|| {
                self.table.batch(batch.bytes, &self.entries, &mut self.protocols, &mut self.counters, &mut current);
            });
            if catch_unwind(work).is_err() {
                // A fault of this program in one flow must not cost the others: that flow is given up.
                self.counters.bugs += 1;
                if let Some(entry) = self.entries.get(current) {
                    self.table.ignore(entry);
                }
                current += 1;
            }
        }
    }

    /// The capture is over: all that is open ends. Gives the sink back, and what was counted.
    pub fn finish(mut self) -> (S, Counters) {
        let work = AssertUnwindSafe(|| self.table.finish(&mut self.protocols, &mut self.counters));
        if catch_unwind(work).is_err() {
            self.counters.bugs += 1;
        }
        let mut counters = self.counters;
        let of_protocols = &self.protocols.shared.counters;
        counters.http_requests += of_protocols.http_requests;
        counters.http_responses += of_protocols.http_responses;
        counters.evicted += of_protocols.evicted;
        counters.overlap_conflicts += of_protocols.overlap_conflicts;
        counters.heads_too_large += of_protocols.heads_too_large;
        counters.flows_http1 += of_protocols.flows_http1;
        counters.flows_http2 += of_protocols.flows_http2;
        counters.flows_tls += of_protocols.flows_tls;
        (self.protocols.sink, counters)
    }
}

/// Reads all inputs through the engine. `progress` is told now and then how far it is; where it says
/// `false`, reading stops. `true`: read to the end.
pub fn read<S: Sink>(
    inputs: &mut Merged,
    engine: &mut Engine<S>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<bool, crate::capture::Error> {
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
