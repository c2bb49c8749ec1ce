//! What is fetched ahead: the slots of a batch, its records, and what their handlers will touch.

use std::ops::Range;

use prefetch_index::prefetch_index;

use crate::base::limits;

use super::{Block, NONE, Record, Table, is_of, split};
use crate::stream::flow::flag;
use crate::stream::segments::{Entry, Segments};
use crate::stream::slots::Slots;
use crate::stream::{Handler, Inline};

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Segments of a batch have a bit each.
const _: () = assert!(limits::BATCH_PACKETS <= 64);

impl<I: Inline> Table<I> {
    pub(super) fn fetch_slots(&self, entries: &[Entry]) {
        for entry in entries {
            self.slots.prefetch(entry.hash);
        }
    }

    /// The records are here: whether they are the ones, and what else their segments need, of those of interest. A bit
    /// for each that needs more behind that.
    pub(super) fn fetch_handlers<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        segments: &Segments,
        range: Range<usize>,
        handler: &H,
    ) -> u64 {
        let Table { flows, blocks, .. } = self;
        let mut behind = 0;
        let entries = segments.entries.get(range.clone()).unwrap_or_default();
        for ((flow, entry), (number, bit)) in flows.iter_mut().zip(entries).zip(range.zip(0_u32..)) {
            if *flow == NONE {
                continue;
            }
            let (block, at) = split(*flow);
            let block = &blocks[block];
            let track = &block.records[at].track;
            if !is_of(block, at, segments, entry) {
                *flow = NONE;
                continue;
            }
            if track.is_timing() {
                // Its handshake is under way, and will be measured from its first packet.
                prefetch_index(&block.opened, at);
            }
            if !track.has(flag::IGNORED) {
                let short = segments.short(number).is_some();
                behind |= u64::from(handler.leads_on(track.tag, entry.side, short)) << bit;
                let mut looked_at =
                    handler.prefetch(track.tag, entry.side, &block.records[at].inline).min(entry.payload_len as usize);
                if short && handler.takes_short(track.tag, entry.side) {
                    continue;
                }
                if let Some(offer) = segments.ready(number) {
                    offer.prefetch();
                    looked_at = looked_at.min(1);
                }
                for at in (0..looked_at).step_by(LINE) {
                    prefetch_index(bytes, entry.payload_at() + at);
                }
            }
        }
        behind
    }

    #[inline]
    pub(super) fn fetch_behind(&self, entries: &[Entry], number: usize, fetch: impl Fn(&Entry, &Record<I>)) {
        let (Some(flow), Some(entry)) = (self.flows.get(number), entries.get(number)) else { return };
        if *flow == NONE {
            return;
        }
        let (block, at) = split(*flow);
        fetch(entry, &self.blocks[block].records[at]);
    }
}

/// Looks up where an entry's record is, by its hash alone, and starts fetching it: whether it is the one is asked
/// when it is here.
#[inline]
pub(super) fn fetch_record<I: Inline>(slots: &Slots, blocks: &[Block<I>], entry: &Entry) -> u32 {
    let flow = slots.find(entry.hash, |_| true).unwrap_or(NONE);
    if flow != NONE {
        let (block, at) = split(flow);
        let record = &blocks[block].records[at];
        prefetch_index(std::slice::from_ref(&record.track), 0);
        // Whether it will be wanted, the track would tell too late.
        record.inline.prefetch(entry.side);
    }
    flow
}
