//! What a report is made of: files that are read to their end, or a capture that runs until somebody ends it.

#[cfg(feature = "live")]
use std::time::{Duration, Instant};

use crate::base::Timestamp;
#[cfg(feature = "live")]
use crate::capture::live::{Live, Next, Setting};
use crate::capture::{Merged, Progress};
use crate::cli::Report;
use crate::engine::{self, Engine};
use crate::model::InputFacts;
use crate::proto::Sink;

use super::analyse;
#[cfg(feature = "live")]
use super::{complain, confine, told};

/// Where packets come from.
pub(super) enum Feed {
    Files(Merged),
    #[cfg(feature = "live")]
    Live(Box<Running>),
}

/// A running capture.
#[cfg(feature = "live")]
pub(super) struct Running {
    live: Live,
    /// The capture ends then.
    until: Option<Instant>,
    quiet: bool,
    facts: Vec<InputFacts>,
}

/// The longest time for which nobody asks whether to stop.
#[cfg(feature = "live")]
const WAIT: Duration = Duration::from_millis(100);

/// How often the time is told to those who print, and drops are counted.
#[cfg(feature = "live")]
const TICK: Duration = Duration::from_secs(1);

impl Feed {
    /// Opens what the user named. Devices are opened with all rights, then `opened` is done, and a live capture gives
    /// its rights up, before it starts a thread; so there must be none yet. With files alone nothing of that is done.
    pub(super) fn open(args: &Report, opened: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        #[cfg(feature = "live")]
        if !args.live.interfaces.is_empty() {
            return Ok(Feed::Live(Box::new(Running::open(args, opened)?)));
        }
        let _ = opened;
        Ok(Feed::Files(analyse::open(&args.inputs)?))
    }

    /// It ends when somebody ends it, and that is its normal end.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Feed::Files(_))
    }

    pub(super) fn facts(&mut self) -> &[InputFacts] {
        match self {
            Feed::Files(files) => files.facts(),
            #[cfg(feature = "live")]
            Feed::Live(running) => running.live.facts(),
        }
    }

    pub(super) fn into_facts(self) -> Vec<InputFacts> {
        match self {
            Feed::Files(files) => files.into_facts(),
            #[cfg(feature = "live")]
            Feed::Live(running) => running.facts,
        }
    }

    /// Somebody waits for what is known of it.
    pub(super) fn is_waited_for(&self) -> bool {
        match self {
            Feed::Files(files) => files.progress().bytes_total.is_none(),
            #[cfg(feature = "live")]
            Feed::Live(_) => true,
        }
    }

    /// Reads all of it, or until `go_on` says `false`. `tick` is told the time in packet time where packets alone do
    /// not tell it.
    pub(super) fn read<S: Sink>(
        &mut self,
        engine: &mut Engine<S>,
        go_on: &mut dyn FnMut(Progress) -> bool,
        tick: &mut dyn FnMut(&mut S, Timestamp),
    ) -> anyhow::Result<()> {
        match self {
            Feed::Files(files) => {
                // Files tell the time themselves.
                let _ = tick;
                engine::read(files, engine, go_on)?;
            }
            #[cfg(feature = "live")]
            Feed::Live(running) => running.read(engine, go_on, tick),
        }
        Ok(())
    }
}

#[cfg(feature = "live")]
impl Running {
    fn open(report: &Report, opened: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (inputs, args, quiet) = (&report.inputs, &report.live, report.quiet);
        let setting = Setting {
            interfaces: args.interfaces.clone(),
            filter: args.capture_filter.clone(),
            snaplen: args.snaplen,
            buffer_bytes: args.buffer,
            promiscuous: !args.no_promiscuous,
            packets: args.count,
        };
        let mut give_up = || opened().and_then(|()| confine::enter(report)).map_err(|error| format!("{error:#}"));
        let live = Live::open(&inputs.files, &told::clocks(inputs)?, &setting, &mut give_up)?;
        if !quiet {
            live.notes().iter().for_each(|note| complain(note));
        }
        let until = args.duration.and_then(|length| Instant::now().checked_add(length));
        Ok(Running { live, until, quiet, facts: Vec::new() })
    }

    fn read<S: Sink>(
        &mut self,
        engine: &mut Engine<S>,
        go_on: &mut dyn FnMut(Progress) -> bool,
        tick: &mut dyn FnMut(&mut S, Timestamp),
    ) {
        let mut ticked = Instant::now();
        loop {
            let now = Instant::now();
            if !go_on(self.live.progress()) || self.until.is_some_and(|until| until <= now) {
                self.live.stop(now);
            }
            let due = now.saturating_duration_since(ticked) >= TICK;
            match self.live.next(now, WAIT) {
                Next::Batch(batch) => engine.batch(&batch),
                Next::Nothing => {}
                Next::End => break,
            }
            if due {
                ticked = now;
                self.live.facts();
                if let Some(time) = self.live.time(now) {
                    tick(engine.sink(), time);
                }
            }
        }
        self.facts = self.live.facts().to_vec();
        if self.quiet {
            return;
        }
        for (facts, late) in self.live.late() {
            let path = crate::base::escape::escape(facts.path.as_bytes());
            complain(&format!("{path}: {late} packets came too late for their place on the timeline"));
        }
        for facts in self.facts.iter().filter(|facts| facts.dropped_kernel + facts.dropped_interface != 0) {
            let path = crate::base::escape::escape(facts.path.as_bytes());
            let (kernel, interface) = (facts.dropped_kernel, facts.dropped_interface);
            complain(&format!(
                "{path}: {kernel} packets were dropped by the kernel (a larger --buffer or a narrower -f helps), {interface} by the interface"
            ));
        }
    }
}
