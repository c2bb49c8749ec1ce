//! Pages of regular files that several threads read ahead. The reader takes them in their order, or reads by
//! itself where the next is not there: what it sees is the same.
//!
//! Who read a page should take it apart too: from the cache of another processor each packet's header is
//! waited for.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::buffer::Page;
use crate::base::limits;

/// Bytes left free in front of what is read into a page, for the record that the page before it broke off:
/// any that a network card hands over whole. And 24 more: measured, the kernel copies 5 % faster where lines of the
/// file do not become lines of memory.
pub(super) const HEAD_ROOM: usize = (68 << 10) + 24;

/// What was read ahead, of all files of one timeline, and their pages.
#[derive(Default)]
pub struct Ahead {
    state: Mutex<State>,
    /// A page that was under way is there.
    came: Condvar,
}

#[derive(Default)]
struct State {
    files: u64,
    /// The file that was asked for last.
    asked: Option<u64>,
    /// What comes next in it.
    next: Option<(Arc<File>, Place)>,
    under_way: Vec<(Place, Who)>,
    ready: Vec<(Place, Filled)>,
    /// Pages that were handed out, to be written to again when they are back, and who wrote to them.
    out: Vec<(Page, Who)>,
    /// Threads that wait for a page that is under way: to wake nobody costs a call of the system too.
    waiting: usize,
}

/// Number of the thread that read a page; `None`: the reader itself, whichever thread that was.
pub(super) type Who = Option<usize>;

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    file: u64,
    byte: u64,
}

/// A page with what was read into it behind [`HEAD_ROOM`]. Where that is less than a page the file ended,
/// for now.
pub(super) struct Filled {
    pub(super) page: Page,
    pub(super) count: usize,
    pub(super) fault: Option<std::io::Error>,
    pub(super) by: Who,
}

/// One file that may be read ahead.
pub(super) struct FileAhead {
    file: Arc<File>,
    number: u64,
    all: Arc<Ahead>,
}

impl Ahead {
    /// Whether this thread may read a page ahead: it has less than `limits::PAGES_AHEAD` that wait.
    pub fn is_wanted(&self, by: usize) -> bool {
        self.state().has_room(by)
    }

    /// The thread that reads the page that the reader wants next, or has read it. `None`: none does.
    pub fn next_is_of(&self) -> Option<usize> {
        let state = self.state();
        let file = state.asked?;
        let under_way = state.under_way.iter().map(|(at, by)| (*at, *by));
        let all = under_way.chain(state.ready.iter().map(|(at, filled)| (*at, filled.by)));
        all.filter(|(at, _)| at.file == file).min_by_key(|(at, _)| at.byte)?.1
    }

    /// Reads one page, if this thread may.
    pub fn read_one(&self, by: usize) {
        let mut state = self.state();
        if !state.has_room(by) {
            return;
        }
        let Some((file, place)) = &mut state.next else { return };
        let (file, place, next) = (Arc::clone(file), *place, place.behind());
        state.next = Some((Arc::clone(&file), next));
        state.under_way.push((place, Some(by)));
        let page = state.page(Some(by));
        drop(state);
        let filled = read(&file, place.byte, page, Some(by));
        let mut state = self.state();
        if !filled.is_whole() {
            state.stop(place.file);
        }
        // Gone: nobody wants that file any more.
        if state.arrived(place) {
            state.ready.push((place, filled));
        } else {
            state.out.push((filled.page, filled.by));
        }
        let waiting = state.waiting;
        drop(state);
        if waiting != 0 {
            self.came.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, by: usize) -> bool {
        let under_way = self.under_way.iter().filter(|(_, who)| *who == Some(by)).count();
        let ready = self.ready.iter().filter(|(_, filled)| filled.by == Some(by)).count();
        self.next.is_some() && under_way + ready < limits::PAGES_AHEAD
    }

    /// What is behind this page is to be read ahead, as far as it is not.
    fn go_on(&mut self, file: &Arc<File>, place: Place) {
        let mut next = place.behind();
        while self.is_under_way(next) || self.ready.iter().any(|(at, _)| *at == next) {
            next = next.behind();
        }
        self.next = Some((Arc::clone(file), next));
    }

    /// Nothing of this file is wanted.
    fn forget(&mut self, file: u64) {
        self.stop(file);
        self.under_way.retain(|(at, _)| at.file != file);
        let State { ready, out, .. } = self;
        out.extend(ready.extract_if(.., |(at, _)| at.file == file).map(|(_, filled)| (filled.page, filled.by)));
    }

    /// This file has no more.
    fn stop(&mut self, file: u64) {
        self.next.take_if(|(_, place)| place.file == file);
    }

    /// No longer under way. `false`: nor was it.
    fn arrived(&mut self, place: Place) -> bool {
        let at = self.under_way.iter().position(|(known, _)| *known == place);
        at.is_some_and(|at| self.under_way.swap_remove(at).0 == place)
    }

    fn is_under_way(&self, place: Place) -> bool {
        self.under_way.iter().any(|(at, _)| *at == place)
    }

    /// A page that nobody else holds; best one that the same thread wrote to last, which may be in its cache.
    fn page(&mut self, by: Who) -> Page {
        let mut free = |own: bool| {
            let is = |(page, who): &mut (Page, Who)| (*who == by || !own) && Arc::get_mut(page).is_some();
            self.out.iter_mut().rposition(is)
        };
        let back = free(true).or_else(|| free(false));
        back.map_or_else(|| Arc::new(vec![0; PAGE_BYTES]), |at| self.out.remove(at).0)
    }
}

impl Place {
    fn behind(self) -> Place {
        Place { byte: self.byte.saturating_add(limits::READ_BUFFER_BYTES as u64), ..self }
    }
}

impl FileAhead {
    pub(super) fn new(file: Arc<File>, all: Arc<Ahead>) -> Self {
        let number = {
            let mut state = all.state();
            state.files += 1;
            state.files
        };
        FileAhead { file, number, all }
    }

    /// The page whose first byte is `byte` of the file. From now on those behind it are read ahead.
    pub(super) fn take(&self, byte: u64) -> Filled {
        let place = Place { file: self.number, byte };
        let mut state = self.all.state();
        state.asked = Some(self.number);
        while state.is_under_way(place) {
            state.waiting += 1;
            state = self.all.came.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        let ready = state.ready.iter().position(|(at, _)| *at == place).map(|at| state.ready.swap_remove(at).1);
        if let Some(filled) = ready {
            if filled.is_whole() {
                state.go_on(&self.file, place);
            }
            return filled;
        }
        // What was read of other places was read in vain: a record larger than a page came, or the file grew.
        state.forget(self.number);
        state.go_on(&self.file, place);
        let page = state.page(None);
        drop(state);
        let filled = read(&self.file, byte, page, None);
        if !filled.is_whole() {
            self.all.state().stop(self.number);
        }
        filled
    }

    /// The page is done with here; others may still look at it.
    pub(super) fn give_back(&self, page: Page, by: Who) {
        if page.len() == PAGE_BYTES {
            self.all.state().out.push((page, by));
        }
    }
}

impl Drop for FileAhead {
    fn drop(&mut self) {
        let mut state = self.all.state();
        state.forget(self.number);
        // They come again where another file goes on.
        state.out.clear();
    }
}

impl Filled {
    /// More may follow.
    fn is_whole(&self) -> bool {
        self.count >= limits::READ_BUFFER_BYTES
    }
}

const PAGE_BYTES: usize = HEAD_ROOM + limits::READ_BUFFER_BYTES;

/// Fills a page, or what of it the file has.
fn read(file: &File, byte: u64, mut page: Page, by: Who) -> Filled {
    let (mut count, mut fault) = (0, None);
    let bytes = Arc::get_mut(&mut page).and_then(|bytes| bytes.get_mut(HEAD_ROOM..)).unwrap_or_default();
    while count < bytes.len() {
        match read_at(file, byte.saturating_add(count as u64), bytes.get_mut(count..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => count = count.saturating_add(more).min(bytes.len()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    Filled { page, count, fault, by }
}

/// Reads from a place in a file, whatever was read before.
#[cfg(unix)]
pub(super) fn read_at(file: &File, byte: u64, into: &mut [u8]) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, byte)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, byte: u64, into: &mut [u8]) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn made(pages: usize) -> (tempfile::NamedTempFile, Arc<Ahead>, FileAhead) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; pages * limits::READ_BUFFER_BYTES]).unwrap();
        let all = Arc::new(Ahead::default());
        let one = FileAhead::new(Arc::new(File::open(file.path()).unwrap()), Arc::clone(&all));
        (file, all, one)
    }

    #[test]
    fn each_thread_reads_so_many_pages_ahead_and_it_is_told_whose_the_next_is() {
        let (_file, all, one) = made(10);
        assert!(!all.is_wanted(0), "nobody asked for anything yet");
        assert_eq!(one.take(0).count, limits::READ_BUFFER_BYTES);
        assert_eq!((all.is_wanted(0), all.next_is_of()), (true, None));
        all.read_one(1);
        all.read_one(0);
        (0..9).for_each(|_| all.read_one(1));
        assert_eq!((all.is_wanted(0), all.is_wanted(1), all.next_is_of()), (true, false, Some(1)));
        assert_eq!(one.take(limits::READ_BUFFER_BYTES as u64).by, Some(1));
        assert_eq!((all.is_wanted(1), all.next_is_of()), (true, Some(0)));
    }

    #[test]
    fn behind_the_end_and_of_a_file_that_is_done_nothing_is_read() {
        let (_file, all, one) = made(2);
        one.take(0);
        all.read_one(0);
        assert!(all.is_wanted(0), "the end is not known yet");
        all.read_one(0);
        assert!(!all.is_wanted(1));
        drop(one);
        assert_eq!((all.next_is_of(), all.state().ready.len()), (None, 0));
    }

    #[test]
    fn what_was_read_ahead_of_another_place_is_given_up() {
        let (_file, all, one) = made(4);
        one.take(0);
        all.read_one(0);
        let filled = one.take(100);
        assert_eq!((filled.count, filled.by, all.state().ready.len()), (limits::READ_BUFFER_BYTES, None, 0));
    }
}
