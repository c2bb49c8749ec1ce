//! Work that many threads do and one takes in order.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Pieces of work by their numbers.
struct Pieces<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    count: usize,
    /// How many may be begun and not taken.
    ahead: usize,
}

struct State<T> {
    /// The next that nobody has begun.
    next: usize,
    /// The next to be taken.
    wanted: usize,
    done: HashMap<usize, T>,
    /// A thread was lost, or nobody takes any more.
    stopped: bool,
}

/// Does `work` for each number below `count` on `threads` threads, the calling one among them, and calls `take` with
/// what came of it: on the calling thread, in order. At most `ahead` are begun and not taken, one at least.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    ahead: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T),
) {
    if threads < 2 || count < 2 {
        (0..count).for_each(|at| take(at, work(at)));
        return;
    }
    let state = State { next: 0, wanted: 0, done: HashMap::new(), stopped: false };
    let pieces = Pieces { state: Mutex::new(state), changed: Condvar::new(), count, ahead: ahead.max(1) };
    thread::scope(|scope| {
        let stop = Stop(&pieces);
        for _ in 1..threads {
            scope.spawn(|| {
                let _stop = Stop(&pieces);
                while let Some(at) = pieces.begin(true) {
                    pieces.put(at, work(at));
                }
            });
        }
        for at in 0..count {
            loop {
                if let Some(done) = pieces.ask(at) {
                    take(at, done);
                    break;
                }
                match pieces.begin(false) {
                    Some(own) => pieces.put(own, work(own)),
                    // What is missing is being worked on, unless its thread is lost: which then says why.
                    None if !pieces.wait_for(at) => return,
                    None => {}
                }
            }
        }
        drop(stop);
    });
}

impl<T> Pieces<T> {
    /// One that nobody has begun. `None`: there is none, or, where it does not wait, none for now.
    fn begin(&self, wait: bool) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.stopped || state.next >= self.count {
                return None;
            }
            if state.next < state.wanted + self.ahead {
                state.next += 1;
                return Some(state.next - 1);
            }
            if !wait {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, at: usize, done: T) {
        let mut state = self.state();
        let is_wanted = at == state.wanted;
        state.done.insert(at, done);
        drop(state);
        if is_wanted {
            self.changed.notify_all();
        }
    }

    /// What came of this one, if it is done.
    fn ask(&self, at: usize) -> Option<T> {
        let mut state = self.state();
        let done = state.done.remove(&at)?;
        // Whoever waits was as far ahead as is allowed.
        let waiting = state.next == state.wanted + self.ahead;
        state.wanted = at + 1;
        drop(state);
        if waiting {
            self.changed.notify_all();
        }
        Some(done)
    }

    /// Waits until this one is done. `false`: it never will be.
    fn wait_for(&self, at: usize) -> bool {
        let mut state = self.state();
        while !state.done.contains_key(&at) {
            if state.stopped {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped when the calling thread is done, and when any is lost: the others must not wait for it.
struct Stop<'p, T>(&'p Pieces<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.wanted >= self.0.count || thread::panicking() {
            state.stopped = true;
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_is_done_once_and_taken_in_order() {
        for (count, threads, ahead) in [(0, 4, 4), (1, 4, 4), (100, 1, 4), (100, 2, 1), (1_000, 4, 3), (50, 8, 1_000)] {
            let (done, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut taken = Vec::new();
            let work = |at: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                if at.is_multiple_of(7) {
                    thread::yield_now();
                }
                done.fetch_add(1, Ordering::SeqCst);
                at * 3
            };
            in_order(count, threads, ahead, work, |at, result| {
                assert_eq!(result, at * 3);
                assert!(threads < 2 || begun.load(Ordering::SeqCst) <= taken.len() + ahead + 1);
                taken.push(at);
            });
            assert_eq!((taken, done.into_inner()), ((0..count).collect(), count));
        }
    }

    #[test]
    fn a_thread_that_is_lost_takes_the_caller_along_and_leaves_nobody_waiting() {
        for lost in [0, 1, 40, 99] {
            let work = |at: usize| assert!(at != lost, "lost");
            assert!(catch_unwind(|| in_order(100, 3, 8, work, |_, ()| {})).is_err());
            let take = |at: usize, ()| assert!(at != lost, "lost");
            assert!(catch_unwind(AssertUnwindSafe(|| in_order(100, 3, 8, |_| (), take))).is_err());
        }
    }
}
