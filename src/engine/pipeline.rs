//! Files on two threads. Both read pages and take apart what they read, one after the other in the order of
//! the timeline; one of them follows the flows, and reads only while there is nothing to follow. So both
//! have work to the end, whatever is in the file, and the output does not depend on who does what.
//!
//! What goes between them is a page of the read buffer, never a copy of it, and the segments found in
//! it: a [`Piece`], of at most `limits::PIECE_PAGES` pages. At most `limits::PIECES` wait.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::base::limits;
use crate::capture::{Ahead, Error, Merged, Page, Progress};
use crate::proto::Sink;
use crate::stream::Segments;

use super::Engine;
use super::front::Front;

/// Segments that follow each other on the timeline.
struct Piece {
    segments: Segments,
    /// The pages that they stand in.
    pages: Vec<Page>,
    runs: Vec<Run>,
}

/// Segments of one page.
struct Run {
    /// Place among the piece's pages.
    page: usize,
    /// Where they end among the piece's segments.
    end: usize,
}

/// The work that is shared.
struct Work<'a> {
    reading: Mutex<Reading<'a>>,
    ahead: Arc<Ahead>,
    state: Mutex<State>,
    changed: Condvar,
}

/// From inputs to segments: for one thread at a time.
struct Reading<'a> {
    inputs: &'a mut Merged,
    front: &'a mut Front,
    segments: Segments,
}

/// What there is to do.
#[derive(Default)]
struct State {
    /// To be followed, in their order.
    full: VecDeque<Piece>,
    empty: Vec<Piece>,
    /// A thread is at it.
    reading: bool,
    /// Threads that wait for something to do.
    sleeping: usize,
    /// There is nothing more to read.
    ended: bool,
    /// Nobody wants any more.
    stopped: bool,
    error: Option<Error>,
    progress: Progress,
}

/// The thread that follows flows, and the other.
const ANALYST: usize = 0;
const HELPER: usize = 1;

enum Job {
    /// To follow the flows of this piece: for [`ANALYST`] alone.
    Follow(Piece),
    /// To take apart what comes next, into this piece where there is a used one.
    Read(Option<Piece>),
    ReadAhead,
}

/// As [`super::read`], on two threads.
pub(super) fn read<S: Sink>(
    inputs: &mut Merged,
    engine: &mut Engine<S>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<bool, Error> {
    let Engine { front, back, segments } = engine;
    let work = Work {
        ahead: inputs.ahead(),
        reading: Mutex::new(Reading { inputs, front, segments: segments.another() }),
        state: Mutex::default(),
        changed: Condvar::new(),
    };
    let on = thread::scope(|scope| {
        let helper = scope.spawn(|| {
            let _stop = Stop(&work);
            while let Some(job) = work.next(HELPER) {
                work.do_one(HELPER, job);
            }
        });
        let stop = Stop(&work);
        let mut on = true;
        while let Some(job) = work.next(ANALYST) {
            match job {
                Job::Follow(piece) => {
                    let mut from = 0;
                    for run in &piece.runs {
                        if let Some(page) = piece.pages.get(run.page) {
                            back.segments(page, &piece.segments, from..run.end);
                        }
                        from = run.end;
                    }
                    on = progress(work.done(piece));
                }
                job => work.do_one(ANALYST, job),
            }
            if !on {
                break;
            }
        }
        drop(stop);
        match helper.join() {
            Ok(()) => on,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    match work.state().error.take() {
        Some(error) => Err(error),
        None => Ok(on),
    }
}

impl Work<'_> {
    /// Waits for something to do. `None`: nothing will come.
    fn next(&self, who: usize) -> Option<Job> {
        let mut state = self.state();
        loop {
            let nothing_left = state.ended && (who == HELPER || state.full.is_empty());
            if state.stopped || nothing_left {
                return None;
            }
            let may_read_ahead = !state.ended && self.ahead.is_wanted(who);
            let can_read = !state.reading && !state.ended && state.full.len() < limits::PIECES;
            // Who read a page takes it apart: it is in that processor's cache. One that none has is read ahead
            // if it can be, so that others may take apart theirs meanwhile.
            let own = match self.ahead.next_is_of() {
                Some(reader) => reader == who,
                None => !may_read_ahead && (who == HELPER || state.full.is_empty()),
            };
            if can_read && own {
                state.reading = true;
                return Some(Job::Read(state.empty.pop()));
            }
            if who == ANALYST
                && let Some(piece) = state.full.pop_front()
            {
                // Not for each piece: to wake a thread takes as long as to make one.
                if state.full.len() == limits::PIECES / 2 {
                    self.wake(&state);
                }
                return Some(Job::Follow(piece));
            }
            if may_read_ahead {
                return Some(Job::ReadAhead);
            }
            state.sleeping += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
    }

    fn do_one(&self, who: usize, job: Job) {
        match job {
            Job::Read(piece) => self.read(who, piece),
            Job::ReadAhead => self.ahead.read_one(who),
            Job::Follow(_) => {}
        }
    }

    /// Takes apart what comes next.
    fn read(&self, who: usize, piece: Option<Piece>) {
        let (piece, more, progress) = {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            let mut piece = piece.unwrap_or_else(|| Piece::new(reading.segments.another()));
            let more = reading.fill(&mut piece);
            (piece, more, reading.inputs.progress())
        };
        let mut state = self.state();
        state.full.push_back(piece);
        state.progress = progress;
        state.reading = false;
        match more {
            Ok(true) => {}
            Ok(false) => state.ended = true,
            Err(error) => (state.ended, state.error) = (true, Some(error)),
        }
        // The analyst has a piece to follow; the helper may read on, unless the next page is not its own.
        if who == HELPER || state.ended || self.ahead.next_is_of() != Some(who) {
            self.wake(&state);
        }
    }

    /// The flows of this piece were followed. How far reading has come.
    fn done(&self, mut piece: Piece) -> Progress {
        piece.clear();
        let mut state = self.state();
        if state.empty.len() <= limits::PIECES {
            state.empty.push(piece);
        }
        state.progress
    }

    /// To be called wherever there is more to do than the caller will do next.
    fn wake(&self, state: &State) {
        if state.sleeping != 0 {
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped when a thread ends, by a fault too: the other must not wait for it. The helper ends only when all
/// is read.
struct Stop<'w, 'a>(&'w Work<'a>);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if !state.ended || thread::panicking() {
            state.stopped = true;
        }
        self.0.changed.notify_all();
    }
}

impl Reading<'_> {
    /// Takes packets apart until a page is used up, or there are enough. `false`: there are no more.
    fn fill(&mut self, piece: &mut Piece) -> Result<bool, Error> {
        for _ in 0..limits::PIECE_BATCHES {
            let Some(batch) = self.inputs.next_batch()? else { return Ok(false) };
            self.front.batch(&batch, &mut piece.segments);
            piece.stands_in(batch.page);
            let full = piece.segments.len() >= limits::PIECE_SEGMENTS || piece.pages.len() >= limits::PIECE_PAGES;
            if full || batch.last_of_page {
                break;
            }
        }
        Ok(true)
    }
}

impl Piece {
    fn new(mut segments: Segments) -> Piece {
        segments.reserve(limits::PIECE_SEGMENTS + limits::BATCH_PACKETS);
        Piece { segments, pages: Vec::new(), runs: Vec::new() }
    }

    /// The segments that were added last stand in this page. One that holds none is not kept.
    fn stands_in(&mut self, page: &Page) {
        let end = self.segments.len();
        match self.runs.last_mut() {
            Some(run) if run.end == end => return,
            None if end == 0 => return,
            Some(run) if self.pages.get(run.page).is_some_and(|known| Page::ptr_eq(known, page)) => {
                run.end = end;
                return;
            }
            _ => {}
        }
        let known = self.pages.iter().position(|known| Page::ptr_eq(known, page));
        let page = known.unwrap_or_else(|| {
            self.pages.push(Page::clone(page));
            self.pages.len() - 1
        });
        self.runs.push(Run { page, end });
    }

    /// Gives the pages back.
    fn clear(&mut self) {
        self.segments.clear();
        self.pages.clear();
        self.runs.clear();
    }
}
