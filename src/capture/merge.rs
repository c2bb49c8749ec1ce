//! Several inputs as one timeline.
//!
//! Each input has its own reader; the one whose next packet is earliest hands out a run: its packets
//! up to the next packet of any other. Inputs of equal time come in the order given. An input whose own
//! times go backwards keeps its order. With one input a run is a whole batch, and merging costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

use super::error::Error;
use super::file::Reader;
use super::points::Points;
use super::record::Batch;
use super::source::Source;
use super::window::{Bounds, Window};
use crate::base::{Timestamp, limits};
use crate::model::{Damage, InputFacts};

/// All inputs, being read.
pub struct Merged {
    inputs: Vec<Input>,
    facts: Vec<InputFacts>,
    /// The next packet of each input that has one, earliest first.
    heads: BinaryHeap<Reverse<(Timestamp, u16)>>,
    /// The input whose records were handed out last.
    current: Option<u16>,
    points: Points,
    bounds: Bounds,
    total: Option<u64>,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub bytes_read: u64,
    /// `None` where an input has no known end (pipes).
    pub bytes_total: Option<u64>,
}

struct Input {
    state: State,
    /// Set when its first packet came up.
    point: Option<u16>,
    /// Records of the present batch handed out.
    taken: usize,
    /// Bytes read of it, once it is done.
    bytes_read: u64,
}

enum State {
    /// Closed until its first packet is due.
    Waiting(PathBuf),
    Open(Box<Reader>),
    Done,
}

impl Merged {
    /// Opens the inputs (`-` is standard input) and reads each up to its first packet. Times of
    /// `window` that count from the end make it read regular files twice.
    pub fn open(paths: &[PathBuf], window: &Window) -> Result<Self, Error> {
        if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
            return Err(Error::StdinTwice);
        }
        if paths.len() > limits::INPUTS {
            return Err(Error::TooManyInputs(paths.len()));
        }
        let bounds = window.resolve(paths)?;
        Merged::start(paths.iter().map(|path| Source::open(path)), paths.len(), bounds)
    }

    /// Reads from sources that are open already. Times of `window` must not count from the end.
    pub fn from_sources(sources: Vec<Source>, window: &Window) -> Result<Self, Error> {
        if sources.len() > limits::INPUTS {
            return Err(Error::TooManyInputs(sources.len()));
        }
        let bounds = match sources.first() {
            Some(source) => window.absolute(&source.name)?,
            None => Bounds::default(),
        };
        let count = sources.len();
        Merged::start(sources.into_iter().map(Ok), count, bounds)
    }

    /// The next packets of the timeline; `None` after the last. What is wrong with a file stands in
    /// its facts and is no error here: the rest is still worth a report.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        if let Some(current) = self.current.take() {
            self.line_up(current);
        }
        let Some(Reverse((_, mut chosen))) = self.heads.pop() else { return Ok(None) };
        while !self.wake(chosen) {
            match self.heads.pop() {
                Some(Reverse((_, next))) => chosen = next,
                None => return Ok(None),
            }
        }
        let rival = self.heads.peek().map(|Reverse(head)| *head);
        let Some(input) = self.inputs.get_mut(usize::from(chosen)) else { return Ok(None) };
        let State::Open(reader) = &input.state else { return Ok(None) };
        let point = *input.point.get_or_insert_with(|| self.points.begin(reader.links()));
        let rest = reader.records().get(input.taken..).unwrap_or_default();
        let run = match rival {
            None => rest.len(),
            // The first was the earliest of all when it was lined up: a run is never empty.
            Some(rival) => rest.iter().skip(1).take_while(|r| (r.ts, chosen) < rival).count() + 1,
        };
        input.taken += run;
        self.current = Some(chosen);
        let records = rest.get(..run).unwrap_or(rest);
        Ok(Some(Batch { bytes: reader.window(), records, input: chosen, point }))
    }

    /// What is known of the inputs so far, in the order given. Whole after the last batch; until then
    /// packets not yet handed out may be counted.
    pub fn facts(&self) -> &[InputFacts] {
        &self.facts
    }

    /// The facts, when reading is over.
    pub fn into_facts(self) -> Vec<InputFacts> {
        self.facts
    }

    pub fn progress(&self) -> Progress {
        let bytes_read = self.inputs.iter().map(Input::bytes_read).fold(0, u64::saturating_add);
        Progress { bytes_read, bytes_total: self.total }
    }

    fn start(
        sources: impl Iterator<Item = Result<Source, Error>>,
        count: usize,
        bounds: Bounds,
    ) -> Result<Self, Error> {
        let mut merged = Merged {
            inputs: Vec::with_capacity(count),
            facts: Vec::with_capacity(count),
            heads: BinaryHeap::with_capacity(count),
            current: None,
            points: Points::default(),
            bounds,
            total: Some(0),
        };
        for source in sources {
            merged.add(source?, count > limits::OPEN_INPUTS)?;
        }
        Ok(merged)
    }

    /// Opens one more input and lines up its first packet. `many`: it may have to wait closed.
    fn add(&mut self, source: Source, many: bool) -> Result<(), Error> {
        let number = u16::try_from(self.inputs.len()).unwrap_or(u16::MAX);
        self.total = self.total.zip(source.size).map(|(total, size)| total.saturating_add(size));
        let again = source.again.clone().filter(|_| many);
        let size = if again.is_some() { limits::PROBE_BYTES } else { limits::READ_BUFFER_BYTES };
        let mut facts = InputFacts::default();
        let reader = Reader::open(source, size, &mut facts)?;
        self.facts.push(facts);
        self.inputs.push(Input { state: State::Open(Box::new(reader)), point: None, taken: 0, bytes_read: 0 });
        self.line_up(number);
        if let (Some(path), Some(input)) = (again, self.inputs.last_mut()) {
            if matches!(input.state, State::Open(_)) {
                input.state = State::Waiting(path);
            }
        }
        Ok(())
    }

    /// Puts the next packet of an input on the timeline, reading on where its batch is used up.
    fn line_up(&mut self, number: u16) {
        let at = usize::from(number);
        let (Some(input), Some(facts)) = (self.inputs.get_mut(at), self.facts.get_mut(at)) else { return };
        let State::Open(reader) = &mut input.state else { return };
        if input.taken >= reader.records().len() {
            input.taken = 0;
            if !self.bounds.advance(reader, facts) {
                if let Some(point) = input.point {
                    self.points.end(point, reader.links());
                }
                input.bytes_read = reader.bytes_read();
                input.state = State::Done;
                return;
            }
        }
        if let Some(next) = reader.records().get(input.taken) {
            self.heads.push(Reverse((next.ts, number)));
        }
    }

    /// Opens an input that waited. False: it cannot be read any more, which stands in its facts.
    fn wake(&mut self, number: u16) -> bool {
        let at = usize::from(number);
        let (Some(input), Some(facts)) = (self.inputs.get_mut(at), self.facts.get_mut(at)) else { return false };
        let State::Waiting(path) = &input.state else { return true };
        let opened = Source::open(path).and_then(|source| Reader::open(source, limits::READ_BUFFER_BYTES, facts));
        match opened {
            Ok(mut reader) => {
                let some = self.bounds.advance(&mut reader, facts);
                input.state = if some { State::Open(Box::new(reader)) } else { State::Done };
                some
            }
            Err(error) => {
                *facts = InputFacts { path: std::mem::take(&mut facts.path), ..InputFacts::default() };
                let why = format!("it could be opened before, and now: {error}");
                facts.damage.push(Damage { packet: 1, byte: 0, why, lost_bytes: 0 });
                input.state = State::Done;
                false
            }
        }
    }
}

impl Input {
    fn bytes_read(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => 0,
            State::Open(reader) => reader.bytes_read(),
            State::Done => self.bytes_read,
        }
    }
}
