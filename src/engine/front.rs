//! Packets to segments: the half of the work that needs nothing but the packet itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::Counters;
use crate::capture::{Batch, Record};
use crate::stream::{Decoder, Segments};

/// Takes packets apart.
#[derive(Default)]
pub(super) struct Front {
    decoder: Decoder,
    pub(super) counters: Counters,
}

impl Front {
    /// Adds the segments of a batch to `segments`.
    pub(super) fn batch(&mut self, batch: &Batch<'_>, segments: &mut Segments) {
        self.counters.packets += batch.records.len() as u64;
        let mut rest = batch.records.iter();
        while !rest.as_slice().is_empty() {
            let work = AssertUnwindSafe(|| {
                for record in rest.by_ref() {
                    self.packet(batch, record, segments);
                }
            });
            if catch_unwind(work).is_err() {
                // A fault of this program in one packet must not cost the others.
                self.counters.bugs += 1;
            }
        }
    }

    #[inline]
    fn packet(&mut self, batch: &Batch<'_>, record: &Record, segments: &mut Segments) {
        let missing = record.wire_len.saturating_sub(record.cap_len);
        let (at, len) = (record.off as usize, record.cap_len as usize);
        let found = self.decoder.frame(record.link.0, batch.bytes, at, len, missing, batch.point, &mut self.counters);
        if let Some(segment) = found {
            segments.push(&segment, record.ts, batch.at(record));
        }
    }
}
