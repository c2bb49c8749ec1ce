//! The one read buffer of an input: bytes are read into it and never copied out of it.
//!
//! `read()` into a buffer that fits the second-level cache beats mapping the file: three times faster
//! for mixed packet sizes, and pipes go the same way (docs/ARCHITECTURE.md).

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use crate::base::limits;

/// Bytes that were read. Whoever keeps one may look at it while reading goes on: a page that is held
/// elsewhere is never written to again.
pub type Page = Arc<Vec<u8>>;

/// Bytes of one input, of which a window is in memory.
pub(super) struct Buffer {
    from: Box<dyn Read + Send>,
    page: Page,
    /// Pages that were handed out, to be written to again when they are back.
    out: Vec<Page>,
    start: usize,
    end: usize,
    /// Offset in the input of the page's first byte.
    base: u64,
    ended: bool,
    fault: Option<std::io::Error>,
}

/// A buffer above this is given back once a record no longer needs it.
const KEEP_BYTES: usize = 4 << 20;

impl Buffer {
    /// Reads nothing yet. `size`: bytes to begin with.
    pub(super) fn new(from: Box<dyn Read + Send>, size: usize) -> Self {
        Buffer {
            from,
            page: Arc::new(vec![0; size]),
            out: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            fault: None,
        }
    }

    /// Gives up the input and what was read of it: the memory, and where the unread bytes in it are.
    pub(super) fn into_parts(self) -> (Box<dyn Read + Send>, Vec<u8>, std::ops::Range<usize>) {
        (self.from, Arc::unwrap_or_clone(self.page), self.start..self.end)
    }

    /// Everything in memory; what is unread begins at [`Buffer::at`].
    pub(super) fn window(&self) -> &[u8] {
        self.page.get(..self.end).unwrap_or_default()
    }

    /// The page that the window is the beginning of.
    pub(super) fn page(&self) -> &Page {
        &self.page
    }

    /// Index of the first unread byte in the window.
    pub(super) fn at(&self) -> usize {
        self.start
    }

    /// What was read from the input but not consumed.
    pub(super) fn unread(&self) -> &[u8] {
        self.page.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset in the input of the first unread byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// No byte follows those in memory.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// What made the input end, where it was not its end.
    pub(super) fn fault(&self) -> Option<&std::io::Error> {
        self.fault.as_ref()
    }

    /// Passes over `count` unread bytes. They stay in the window until the next `fill`.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Reads until at least `need` bytes are unread; more where one read gives more. False where the
    /// input ends before. Moves the window: places in it are void afterwards.
    pub(super) fn fill(&mut self, need: usize) -> bool {
        if self.end - self.start >= need {
            return true;
        }
        self.turn(need);
        let Some(bytes) = Arc::get_mut(&mut self.page) else { return false };
        while self.end < need && !self.ended {
            if self.end == bytes.len() {
                // Grows as bytes come, not as a length claims: a lie costs no more than the file.
                let size = (self.end * 2).min(need.saturating_add(limits::READ_BUFFER_BYTES));
                bytes.resize(size.max(self.end + limits::PROBE_BYTES), 0);
            }
            match self.from.read(bytes.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end = self.end.saturating_add(count).min(bytes.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.fault = Some(error);
                }
            }
        }
        self.end >= need
    }

    /// Moves what is unread to the start of a page that nobody else holds.
    fn turn(&mut self, need: usize) {
        let unread = self.start..self.end;
        self.base += self.start as u64;
        (self.start, self.end) = (0, unread.len());
        if let Some(bytes) = Arc::get_mut(&mut self.page) {
            bytes.copy_within(unread, 0);
            if bytes.len() > KEEP_BYTES && need.max(self.end) <= limits::READ_BUFFER_BYTES {
                bytes.truncate(limits::READ_BUFFER_BYTES);
                bytes.shrink_to_fit();
            }
            return;
        }
        let back = self.out.iter_mut().position(|page| Arc::get_mut(page).is_some());
        let mut next = back.map_or_else(Page::default, |at| self.out.swap_remove(at));
        if let Some(bytes) = Arc::get_mut(&mut next) {
            bytes.resize(limits::READ_BUFFER_BYTES.max(self.end), 0);
            bytes[..self.end].copy_from_slice(&self.page[unread]);
        }
        self.out.push(std::mem::replace(&mut self.page, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_larger_than_the_buffer_grows_it_and_nothing_is_lost() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut buffer = Buffer::new(Box::new(std::io::Cursor::new(bytes.clone())), 16);
        let mut seen = Vec::new();
        for need in [1, 17, 5_000, 60_000, 7] {
            assert!(buffer.fill(need));
            assert_eq!(buffer.offset(), seen.len() as u64);
            seen.extend_from_slice(&buffer.unread()[..need]);
            buffer.consume(need);
        }
        assert!(!buffer.fill(1_000_000));
        assert!(buffer.ended());
        seen.extend_from_slice(buffer.unread());
        assert_eq!(seen, bytes);
    }
}
