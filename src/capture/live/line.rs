//! Packets of several running inputs as one timeline. A silent input holds the others up for `limits::LIVE_HOLD_MS`
//! at most: what comes after that and is older than what went before is late, stands out of order, and is counted.
//!
//! Knows no clock: whoever asks says how long the capture has been running.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::super::buffer::Page;
use super::super::record::{Batch, Interface, Record};
use crate::base::{Timestamp, limits};

/// Packets of one input that came together, with their bytes: at most `limits::BATCH_PACKETS`.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    pub(super) page: Page,
    pub(super) records: Vec<Record>,
    pub(super) section: u32,
    pub(super) interfaces: Arc<[Interface]>,
}

/// The inputs, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Line {
    queues: Vec<Queue>,
    /// To be filled again.
    spare: Vec<Chunk>,
}

#[derive(Debug, Default)]
struct Queue {
    /// With the time at which each came.
    chunks: VecDeque<(Chunk, Duration)>,
    /// Records of the first one that were handed out.
    taken: usize,
    /// Bytes of all.
    bytes: usize,
    closed: bool,
    /// The latest packet time handed out.
    reached: Timestamp,
    late: u64,
}

const HOLD: Duration = Duration::from_millis(limits::LIVE_HOLD_MS);

impl Line {
    pub(super) fn new(inputs: usize) -> Self {
        Line { queues: (0..inputs).map(|_| Queue::default()).collect(), spare: Vec::new() }
    }

    /// An empty chunk.
    pub(super) fn chunk(&mut self) -> Chunk {
        self.spare.pop().unwrap_or_default()
    }

    /// A chunk that nothing came into.
    pub(super) fn give_back(&mut self, chunk: Chunk) {
        self.spare.push(chunk);
    }

    /// Whether more of this input is to be read.
    pub(super) fn wants(&self, input: usize) -> bool {
        self.queues.get(input).is_some_and(|queue| !queue.closed && queue.bytes < limits::LIVE_WAITING_BYTES)
    }

    pub(super) fn push(&mut self, input: usize, chunk: Chunk, now: Duration) {
        if let Some(queue) = self.queues.get_mut(input)
            && !chunk.records.is_empty()
        {
            queue.bytes += chunk.page.len();
            queue.chunks.push_back((chunk, now));
        }
    }

    /// Nothing more will come of this input.
    pub(super) fn close(&mut self, input: usize) {
        if let Some(queue) = self.queues.get_mut(input) {
            queue.closed = true;
        }
    }

    /// Whether nothing waits, and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.queues.iter().all(|queue| queue.closed && queue.next().is_none())
    }

    /// The next packets of the timeline, `most` of them at the most: the input, and which records of its first chunk.
    /// `None`: none, or they wait for others.
    pub(super) fn pop(&mut self, now: Duration, most: usize) -> Option<(usize, Range<usize>)> {
        self.recycle();
        let (_, input) = self.heads().min()?;
        let rival = self.heads().filter(|head| head.1 != input).min();
        if self.wait(input, now).is_some() {
            return None;
        }
        let others = self.queues.iter().enumerate().filter(|(at, _)| *at != input);
        let others = others.map(|(_, queue)| queue.reached).max().unwrap_or_default();
        let queue = self.queues.get_mut(input)?;
        let (chunk, _) = queue.chunks.front()?;
        let rest = chunk.records.get(queue.taken..)?;
        // The first is the earliest of all: a run is never empty.
        let run = rest.iter().skip(1).take_while(|record| rival.is_none_or(|rival| (record.ts, input) < rival));
        let run = (run.count() + 1).min(most);
        let records = rest.get(..run)?;
        let times = || records.iter().map(|record| record.ts).filter(|ts| *ts != Timestamp(0));
        queue.late += times().filter(|ts| *ts < others).count() as u64;
        queue.reached = times().fold(queue.reached, Timestamp::max);
        let from = queue.taken;
        queue.taken += run;
        Some((input, from..queue.taken))
    }

    /// What `pop` told of.
    pub(super) fn batch(&self, input: usize, run: &Range<usize>) -> Option<Batch<'_>> {
        let (chunk, _) = self.queues.get(input)?.chunks.front()?;
        let number = u16::try_from(input).unwrap_or(u16::MAX);
        Some(Batch {
            bytes: &chunk.page,
            page: &chunk.page,
            records: chunk.records.get(run.clone())?,
            last_of_page: run.end >= chunk.records.len(),
            input: number,
            // Each is a place of its own: what runs at one time does not go on where another ended.
            point: number,
            section: chunk.section,
            interfaces: &chunk.interfaces,
        })
    }

    /// How long the packet that comes first still waits for silent inputs. `None`: there is none, or it does not.
    pub(super) fn held(&self, now: Duration) -> Option<Duration> {
        let (_, input) = self.heads().min()?;
        self.wait(input, now)
    }

    /// The latest packet time handed out; 0 before the first.
    pub(super) fn reached(&self) -> Timestamp {
        self.queues.iter().map(|queue| queue.reached).max().unwrap_or_default()
    }

    /// Packets of an input that came too late for their place.
    pub(super) fn late(&self, input: usize) -> u64 {
        self.queues.get(input).map_or(0, |queue| queue.late)
    }

    fn wait(&self, input: usize, now: Duration) -> Option<Duration> {
        let queue = self.queues.get(input)?;
        let (_, came) = queue.chunks.front()?;
        let silent = self.queues.iter().any(|queue| !queue.closed && queue.next().is_none());
        let full = queue.bytes >= limits::LIVE_WAITING_BYTES;
        let left = HOLD.checked_sub(now.saturating_sub(*came)).filter(|left| !left.is_zero());
        left.filter(|_| silent && !full)
    }

    /// The next packet of each input that has one.
    fn heads(&self) -> impl Iterator<Item = (Timestamp, usize)> + '_ {
        self.queues.iter().enumerate().filter_map(|(at, queue)| Some((queue.next()?.ts, at)))
    }

    /// Takes back chunks that were handed out whole.
    fn recycle(&mut self) {
        for queue in &mut self.queues {
            if let Some((chunk, _)) = queue.chunks.pop_front_if(|(chunk, _)| chunk.records.len() <= queue.taken) {
                queue.taken = 0;
                queue.bytes = queue.bytes.saturating_sub(chunk.page.len());
                if self.spare.len() < limits::LIVE_CHUNKS {
                    self.spare.push(chunk);
                }
            }
        }
    }
}

impl Queue {
    /// The packet that is handed out next.
    fn next(&self) -> Option<&Record> {
        let mut chunks = self.chunks.iter();
        let (first, _) = chunks.next()?;
        first.records.get(self.taken).or_else(|| chunks.next()?.0.records.first())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A timeline, and a clock that a test sets by hand.
    struct Scene {
        line: Line,
        now: u64,
    }

    impl Scene {
        fn of(inputs: usize) -> Self {
            Scene { line: Line::new(inputs), now: 0 }
        }

        fn at(&self) -> Duration {
            Duration::from_millis(self.now)
        }

        fn came(&mut self, input: usize, times: &[i64]) {
            let record = |&ts: &i64| Record { ts: Timestamp(ts), ..Record::default() };
            let chunk = Chunk { records: times.iter().map(record).collect(), ..Chunk::default() };
            let at = self.at();
            self.line.push(input, chunk, at);
        }

        /// Input and time of each packet that can be had now.
        fn had(&mut self) -> Vec<(usize, i64)> {
            let mut had = Vec::new();
            while let Some((input, run)) = self.line.pop(self.at(), usize::MAX) {
                let batch = self.line.batch(input, &run).unwrap();
                had.extend(batch.records.iter().map(|record| (input, record.ts.0)));
            }
            had
        }
    }

    #[test]
    fn one_input_waits_for_nothing() {
        let mut scene = Scene::of(1);
        scene.came(0, &[1, 2]);
        scene.came(0, &[3]);
        assert_eq!(scene.had(), [(0, 1), (0, 2), (0, 3)]);
        assert!(!scene.line.is_over());
        scene.line.close(0);
        assert!(scene.line.is_over());
    }

    #[test]
    fn packets_of_inputs_that_speak_come_in_the_order_of_time() {
        let mut scene = Scene::of(2);
        scene.came(0, &[1, 4, 5]);
        scene.came(1, &[2, 3, 6]);
        // Of the second nothing is known behind 6, of the first nothing behind 5.
        assert_eq!(scene.had(), [(0, 1), (1, 2), (1, 3), (0, 4), (0, 5)]);
        scene.came(0, &[7]);
        assert_eq!(scene.had(), [(1, 6)]);
    }

    #[test]
    fn a_silent_input_holds_the_others_up_for_a_moment_only() {
        let mut scene = Scene::of(2);
        scene.came(0, &[1]);
        scene.now = limits::LIVE_HOLD_MS - 1;
        assert_eq!(scene.had(), []);
        assert_eq!(scene.line.held(scene.at()), Some(Duration::from_millis(1)));
        scene.now = limits::LIVE_HOLD_MS;
        assert_eq!(scene.had(), [(0, 1)]);
        assert_eq!(scene.line.held(scene.at()), None);
    }

    #[test]
    fn what_comes_too_late_for_its_place_is_handed_out_and_counted() {
        let mut scene = Scene::of(2);
        scene.came(0, &[10, 20]);
        scene.now = limits::LIVE_HOLD_MS;
        assert_eq!(scene.had().len(), 2);
        scene.came(1, &[15, 19, 21]);
        scene.now *= 2;
        assert_eq!(scene.had(), [(1, 15), (1, 19), (1, 21)]);
        assert_eq!((scene.line.late(0), scene.line.late(1)), (0, 2));
        assert_eq!(scene.line.reached(), Timestamp(21));
    }

    #[test]
    fn an_input_that_ended_holds_nobody_up() {
        let mut scene = Scene::of(2);
        scene.came(0, &[1]);
        scene.line.close(1);
        assert_eq!(scene.had(), [(0, 1)]);
    }

    #[test]
    fn where_too_much_waits_nothing_is_waited_for() {
        let mut scene = Scene::of(2);
        let large = Chunk {
            page: Arc::new(vec![0; limits::LIVE_WAITING_BYTES]),
            records: vec![Record::default()],
            ..Chunk::default()
        };
        let at = scene.at();
        scene.line.push(0, large, at);
        assert!(!scene.line.wants(0));
        assert_eq!(scene.had().len(), 1);
        assert_eq!(scene.line.pop(at, 1), None);
        assert!(scene.line.wants(0));
    }

    #[test]
    fn no_more_packets_are_handed_out_than_are_wanted() {
        let mut scene = Scene::of(1);
        scene.came(0, &[1, 2, 3]);
        assert_eq!(scene.line.pop(scene.at(), 2), Some((0, 0..2)));
        assert_eq!(scene.line.pop(scene.at(), 2), Some((0, 2..3)));
    }
}
