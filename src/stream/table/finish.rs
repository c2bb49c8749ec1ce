//! The end of the capture, at which every flow ends.

use prefetch_index::prefetch_index;

use super::{BLOCK, Block, FAR, NEAR, NEXT, Slots, Table, Track, flag, split};
use crate::base::{Counters, FlowId, PacketRef};
use crate::stream::{CloseHow, Handler, Inline, Side};

impl<I: Inline> Table<I> {
    /// The capture is over: every flow that is still of interest is brought to its end, in the order
    /// in which the flows began.
    pub fn finish<H: Handler<Inline = I>>(&mut self, handler: &mut H, counters: &mut Counters) {
        let mut rest = Vec::new();
        for (block, from) in self.blocks.iter().zip((0_u32..).step_by(BLOCK)) {
            let ids = block.opened.iter().map(|opened| opened.id);
            let all = block.records.iter().map(|record| &record.track).zip(ids).zip(from..);
            let waited_for = |track: &Track| !track.has(flag::IGNORED) || track.tag & H::GLIMPSED != 0;
            let of_interest = all.filter(|((track, id), _)| *id != FlowId::default() && waited_for(track));
            rest.extend(of_interest.map(|((_, id), index)| (id, index)));
        }
        rest.sort_unstable();
        // What ends needs memory while what it ends with goes: a block whose flows are all over is let go.
        let mut left = vec![0_usize; self.blocks.len()];
        rest.iter().for_each(|&(_, index)| left[split(index).0] += 1);
        let let_go = |blocks: &mut Vec<Block<I>>, at: usize| {
            blocks[at] = Block { records: Box::default(), opened: Box::default() };
        };
        left.iter().enumerate().filter(|(_, left)| **left == 0).for_each(|(at, _)| let_go(&mut self.blocks, at));
        for (at, &(_, index)) in rest.iter().enumerate() {
            if let Some(&(_, far)) = rest.get(at + FAR) {
                let (block, at) = split(far);
                let record = &self.blocks[block].records[at];
                prefetch_index(std::slice::from_ref(&record.track), 0);
                Side::BOTH.into_iter().for_each(|side| record.inline.prefetch(side));
            }
            if let Some(&(_, near)) = rest.get(at + NEAR) {
                handler.prefetch_end(self.track(near).tag);
            }
            if let Some(&(_, next)) = rest.get(at + NEXT) {
                handler.prefetch_end_behind(self.track(next).tag);
            }
            self.end(index, CloseHow::CaptureEnd, PacketRef::default(), handler, counters);
            let block = split(index).0;
            left[block] -= 1;
            if left[block] == 0 {
                let_go(&mut self.blocks, block);
            }
        }
        // Nothing is found any more by what is gone.
        self.slots = Slots::default();
        self.free.clear();
        self.used = 0;
        self.blocks.clear();
    }
}
