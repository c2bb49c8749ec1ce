//! What is fetched ahead of a segment: its machine, its tunnel, and what these lead to.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::stream::Side;

use super::{FAST, FRAMES, Inline, Protocols, Tag, direction};

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Starts fetching all lines of a piece of memory of `size` bytes. `anchor`: any byte of it, `at` bytes behind its
/// beginning.
#[inline]
pub(super) fn fetch_around(anchor: &bool, at: usize, size: usize) {
    for line in (0..size).step_by(LINE) {
        // Counted from the anchor, and round the end of all numbers where it lies before that.
        prefetch_index(from_ref(anchor), line.wrapping_sub(at));
    }
}

/// Bytes of a segment that are fetched where it may be a head: most heads are no longer, and they come out of
/// another processor's cache.
const HEAD_FETCHED: usize = 512;

impl<S> Protocols<S> {
    /// See [`crate::stream::Handler::prefetch`].
    #[inline]
    pub(super) fn fetch(&self, tag: u64, of: Side, inline: &Inline) -> usize {
        let side = of.index();
        if tag & FAST[side] != 0 {
            return 0;
        }
        if tag & FRAMES[side] != 0 {
            if let Some(talk) = Tag(tag).talk() {
                // Most likely its lane is all that this frame touches.
                if !inline.sides[side].is_taken_up() {
                    self.shared.talks.prefetch(talk, direction(Tag(tag).client(), of));
                }
                return 1;
            }
            if let Some(index) = Tag(tag).machine() {
                self.machines.prefetch_other(index);
            }
            return 0;
        }
        if let Some(index) = Tag(tag).machine() {
            self.machines.prefetch(index);
        }
        HEAD_FETCHED
    }

    /// See [`crate::stream::Handler::prefetch_behind`].
    #[inline]
    pub(super) fn fetch_behind(&self, tag: u64, side: Side, inline: &Inline, bytes: u32) {
        let from = side.index();
        if tag & FRAMES[from] == 0 {
            if tag & FAST[from] == 0
                && let Some(index) = Tag(tag).machine()
            {
                self.machines.prefetch_behind(index);
            }
        } else if let Some(talk) = Tag(tag).talk() {
            self.shared.talks.prefetch_behind(talk, direction(Tag(tag).client(), side));
        } else if inline.sides[from].skip <= u64::from(bytes)
            && let Some(index) = Tag(tag).machine()
        {
            // Its record ends in this segment: it is not passed over beside the machine.
            self.machines.prefetch_sealed(index);
        }
    }
}
