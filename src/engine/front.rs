//! Packets to segments: the half of the work that needs nothing but the packet itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use prefetch_index::prefetch_index;

use crate::base::{Counters, PacketRef};
use crate::capture::{Batch, Record};
use crate::stream::{Copies, Decoder, Packets, Segments, straight};

/// Bytes of the usual headers but for the last few: Ethernet, IPv4, TCP.
const HEADERS: usize = 50;

/// Takes packets apart.
#[derive(Default)]
pub(super) struct Front {
    decoder: Decoder,
    counters: Counters,
    copies: Copies,
    /// Stacks of wrappers that the analysis knows of.
    told: usize,
}

impl Front {
    /// Adds the segments of a batch to `segments`.
    pub(super) fn batch(&mut self, batch: &Batch<'_>, segments: &mut Segments) {
        self.counters.packets += batch.records.len() as u64;
        self.decoder.begin();
        for record in batch.records {
            // The walk saw its first line; the TCP header stands in the next.
            prefetch_index(batch.bytes, record.off as usize + HEADERS);
        }
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
        self.counters.duplicate_packets += segments.mark_copies(&mut self.copies);
        segments.look(batch.bytes);
        segments.wrappers(self.decoder.aside().vias, &mut self.told);
    }

    /// As [`Front::batch`] for one packet, `at`; the packets that brought each of its segments, as
    /// [`Decoder::traced`] tells them.
    pub(super) fn traced(
        &mut self,
        one: &Batch<'_>,
        at: PacketRef,
        segments: &mut Segments,
    ) -> impl Iterator<Item = Packets> + '_ {
        self.decoder.trace(at);
        self.batch(one, segments);
        self.decoder.traced()
    }

    /// What was counted, when there are no more packets.
    pub(super) fn finish(mut self) -> Counters {
        self.counters.fragments_lost += self.decoder.waiting_fragments();
        self.counters
    }

    #[inline]
    fn packet(&mut self, batch: &Batch<'_>, record: &Record, segments: &mut Segments) {
        let missing = record.wire_len.saturating_sub(record.cap_len);
        let (at, len) = (record.off as usize, record.cap_len as usize);
        if let Some(segment) = straight(record.link.0, batch.bytes, at, len, missing, batch.point) {
            self.counters.snapped += u64::from(missing != 0);
            segments.push_once(&segment, self.decoder.aside(), record.ts, batch.at(record), &mut self.copies);
        } else {
            self.another_road(batch, record, missing, segments);
        }
    }

    /// A packet that is out of the ordinary.
    #[inline(never)]
    fn another_road(&mut self, batch: &Batch<'_>, record: &Record, missing: u32, segments: &mut Segments) {
        let (at, len) = (record.off as usize, record.cap_len as usize);
        let (link, ts) = (record.link.0, record.ts);
        let found = self.decoder.frame(link, batch.bytes, at, len, missing, ts, batch.point, &mut self.counters);
        if let Some(segment) = found {
            let at = batch.at(record);
            segments.push_once(&segment, self.decoder.aside(), ts, at, &mut self.copies);
            if self.decoder.has_more() {
                self.rest_of_frame(batch, record, segments);
            }
        }
    }

    /// A frame may hold several segments.
    #[cold]
    fn rest_of_frame(&mut self, batch: &Batch<'_>, record: &Record, segments: &mut Segments) {
        while let Some(segment) = self.decoder.next_of_frame() {
            segments.push(&segment, self.decoder.aside(), record.ts, batch.at(record));
        }
    }
}
