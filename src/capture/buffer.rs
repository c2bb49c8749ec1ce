//! The one read buffer of an input: bytes are read into it and never copied out of it.
//!
//! `read()` into a buffer that fits the second-level cache beats mapping the file: three times faster
//! for mixed packet sizes, and pipes go the same way (docs/ARCHITECTURE.md).

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use super::ahead::{Ahead, FileAhead, Filled, HEAD_ROOM, Who};
use super::source::Origin;
use crate::base::limits;

/// Bytes that were read. Whoever keeps one may look at it while reading goes on: a page that is held
/// elsewhere is never written to again.
pub type Page = Arc<Vec<u8>>;

/// Bytes of one input, of which a window is in memory.
pub(super) struct Buffer {
    from: Origin,
    /// Where it is a file: what is read ahead of it.
    ahead: Option<FileAhead>,
    page: Page,
    /// Who read the page.
    by: Who,
    /// Pages that were handed out, to be written to again when they are back.
    out: Vec<Page>,
    start: usize,
    end: usize,
    /// Offset in the input of the first unread byte.
    offset: u64,
    ended: bool,
    fault: Option<std::io::Error>,
}

/// A buffer above this is given back once a record no longer needs it.
const KEEP_BYTES: usize = 4 << 20;

impl Buffer {
    /// Reads nothing yet. `size`: bytes to begin with. A file of which little is wanted is not read ahead.
    pub(super) fn new(from: Origin, size: usize, ahead: &Arc<Ahead>) -> Self {
        let ahead = match &from {
            Origin::File(from) if size >= limits::READ_BUFFER_BYTES => {
                Some(FileAhead::new(Arc::clone(&from.file), Arc::clone(ahead)))
            }
            _ => None,
        };
        let page = if ahead.is_some() { Page::default() } else { Arc::new(vec![0; size]) };
        Buffer { from, ahead, page, by: None, out: Vec::new(), start: 0, end: 0, offset: 0, ended: false, fault: None }
    }

    /// Gives up the input and what was read of it: the memory, and where the unread bytes in it are.
    pub(super) fn into_parts(self) -> (Box<dyn Read + Send>, Vec<u8>, std::ops::Range<usize>) {
        (self.from.into_stream(), Arc::unwrap_or_clone(self.page), self.start..self.end)
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
        self.offset
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
        let before = self.start;
        self.start = self.start.saturating_add(count).min(self.end);
        self.offset += (self.start - before) as u64;
    }

    /// Reads until at least `need` bytes are unread; more where one read gives more. False where the
    /// input ends before. Moves the window: places in it are void afterwards.
    pub(super) fn fill(&mut self, need: usize) -> bool {
        if self.end - self.start >= need {
            return true;
        }
        if !self.ended && self.splice() && self.end - self.start >= need {
            return true;
        }
        if self.ended {
            return false;
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

    /// Goes to the next page of a file, with what is unread in front of it. `false`: it does not fit there,
    /// or it is no file.
    fn splice(&mut self) -> bool {
        let Some(ahead) = &self.ahead else { return false };
        let Origin::File(from) = &mut self.from else { return false };
        let rest = self.start..self.end;
        let Some(start) = HEAD_ROOM.checked_sub(rest.len()) else { return false };
        let Filled { page: mut next, count, fault, by } = ahead.take(from.byte);
        from.byte += count as u64;
        self.ended = count == 0 || fault.is_some();
        self.fault = fault;
        if count == 0 {
            ahead.give_back(next, by);
            return true;
        }
        if let (Some(bytes), Some(rest)) = (Arc::get_mut(&mut next), self.page.get(rest)) {
            bytes[start..HEAD_ROOM].copy_from_slice(rest);
        }
        (self.start, self.end) = (start, HEAD_ROOM + count);
        ahead.give_back(std::mem::replace(&mut self.page, next), std::mem::replace(&mut self.by, by));
        true
    }

    /// Moves what is unread to the start of a page that nobody else holds.
    fn turn(&mut self, need: usize) {
        let unread = self.start..self.end;
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
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::source::FileFrom;
    use super::*;

    #[test]
    fn a_record_larger_than_the_buffer_grows_it_and_nothing_is_lost() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut buffer =
            Buffer::new(Origin::Stream(Box::new(std::io::Cursor::new(bytes.clone()))), 16, &Arc::default());
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

    /// A file of these bytes, and a buffer that reads it.
    fn file(bytes: &[u8], ahead: &Arc<Ahead>) -> (tempfile::NamedTempFile, Buffer) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let from = FileFrom { file: Arc::new(std::fs::File::open(file.path()).unwrap()), byte: 0 };
        (file, Buffer::new(Origin::File(from), limits::READ_BUFFER_BYTES, ahead))
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
    }

    /// All that is left, by records of these lengths in turn.
    fn rest(buffer: &mut Buffer, lengths: &[usize]) -> Vec<u8> {
        let mut seen = Vec::new();
        let from = buffer.offset();
        for need in lengths.iter().cycle() {
            let whole = buffer.fill(*need);
            assert_eq!(buffer.offset() - from, seen.len() as u64);
            let unread = buffer.unread();
            let taken = unread.len().min(*need);
            seen.extend_from_slice(&unread[..taken]);
            buffer.consume(taken);
            if !whole && taken == 0 {
                break;
            }
        }
        seen
    }

    #[test]
    fn pages_that_others_read_ahead_come_in_the_order_of_the_file() {
        let bytes = pattern(20 * limits::READ_BUFFER_BYTES + 77);
        for lengths in [&[1_000, 70_000, 16, 300_000][..], &[9_000], &[700_000, 5]] {
            let ahead = Arc::new(Ahead::default());
            let (_file, mut buffer) = file(&bytes, &ahead);
            let over = std::sync::atomic::AtomicBool::new(false);
            let seen = std::thread::scope(|scope| {
                for who in 0..2 {
                    let (ahead, over) = (&ahead, &over);
                    scope.spawn(move || {
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            ahead.read_one(who);
                        }
                    });
                }
                let seen = rest(&mut buffer, lengths);
                over.store(true, std::sync::atomic::Ordering::Relaxed);
                seen
            });
            assert!(seen == bytes, "{lengths:?}");
        }
    }

    #[test]
    fn a_page_that_somebody_keeps_is_not_written_to_again() {
        let bytes = pattern(6 * limits::READ_BUFFER_BYTES);
        let (_file, mut buffer) = file(&bytes, &Arc::default());
        assert!(buffer.fill(1));
        let (kept, window) = (Page::clone(buffer.page()), buffer.window().to_vec());
        rest(&mut buffer, &[1_000]);
        assert!(kept[..window.len()] == window);
    }

    #[test]
    fn a_file_that_grows_at_its_end_is_read_on() {
        let bytes = pattern(3 * limits::READ_BUFFER_BYTES);
        let (first, second) = bytes.split_at(limits::READ_BUFFER_BYTES + 100);
        let ahead = Arc::default();
        let (file, mut buffer) = file(first, &ahead);
        assert!(buffer.fill(1));
        ahead.read_one(0);
        std::fs::write(file.path(), &bytes).unwrap();
        // What was read ahead in vain behind the end, as it was then.
        ahead.read_one(1);
        assert!(rest(&mut buffer, &[1_000]) == bytes, "{} bytes follow", second.len());
    }
}
