//! What a report is made of: files that are read to their end, or a capture that runs until somebody ends it.

#[cfg(feature = "live")]
use std::time::{Duration, Instant};

use crate::base::Timestamp;
#[cfg(feature = "live")]
use crate::base::limits;
#[cfg(feature = "live")]
use crate::capture::live::{Live, Next, Setting, TimestampType};
use crate::capture::{Merged, Progress};
use crate::cli::Report;
#[cfg(feature = "live")]
use crate::cli::TimeStamps;
use crate::engine::{self, Engine};
use crate::model::InputFacts;
use crate::proto::Sink;

use super::analyse;
#[cfg(feature = "live")]
use super::keep::{self, Keeper, Kept, Notes};
#[cfg(feature = "live")]
use super::keys::Grow;
use super::keys::Keys;
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
    keeper: Option<Keeper>,
    /// Looks for more secrets.
    grow: Option<Grow>,
    /// Somebody looks on, and nothing else may be written to the terminal.
    shown: Option<Shown>,
}

/// Is told now and then how the inputs stand, and how keeping does.
#[cfg(feature = "live")]
pub(super) type Shown = Box<dyn FnMut(&[InputFacts], Option<Kept>) + Send>;

/// The longest time for which nobody asks whether to stop.
#[cfg(feature = "live")]
const WAIT: Duration = Duration::from_millis(100);

/// How often the time is told to those who print, and drops are counted.
#[cfg(feature = "live")]
const TICK: Duration = Duration::from_secs(1);

/// How often key logs are looked at.
#[cfg(feature = "live")]
const KEYS: Duration = Duration::from_millis(limits::LIVE_KEYS_MS);

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

    /// Secrets that come while the capture runs are learnt.
    #[cfg(feature = "live")]
    pub(super) fn learn(&mut self, grow: Option<Grow>) {
        if let Feed::Live(running) = self {
            running.grow = grow;
        }
    }

    /// Tells this how the capture stands, instead of the user.
    #[cfg(feature = "live")]
    pub(super) fn show(&mut self, shown: Shown) {
        if let Feed::Live(running) = self {
            running.shown = Some(shown);
        }
    }

    /// What puts findings beside the packets that are kept. `None`: none are.
    #[cfg(feature = "live")]
    pub(super) fn notes(&self, show_secrets: bool) -> Option<Notes> {
        match self {
            Feed::Files(_) => None,
            Feed::Live(running) => running.keeper.as_ref().map(|keeper| keeper.notes(show_secrets)),
        }
    }

    /// Who keeps the packets; to be taken when all is read, and ended when all findings are known.
    #[cfg(feature = "live")]
    pub(super) fn keeper(&mut self) -> Option<Keeper> {
        match self {
            Feed::Files(_) => None,
            Feed::Live(running) => running.keeper.take(),
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
            time_stamps: args.time_stamp_type.map(|stamps| match stamps {
                TimeStamps::Host => TimestampType::Host,
                TimeStamps::HostLowPrecision => TimestampType::HostLowPrec,
                TimeStamps::HostHighPrecision => TimestampType::HostHighPrec,
                TimeStamps::Adapter => TimestampType::Adapter,
                TimeStamps::AdapterUnsynced => TimestampType::AdapterUnsynced,
            }),
        };
        let mut give_up = || {
            keep::make(args);
            opened().and_then(|()| confine::enter(report)).map_err(|error| format!("{error:#}"))
        };
        let live = Live::open(&inputs.files, &told::clocks(inputs)?, &setting, &mut give_up)?;
        if !quiet {
            live.notes().iter().for_each(|note| complain(note));
        }
        let keeper = Keeper::open(args, inputs, live.devices().collect())?;
        let until = args.duration.and_then(|length| Instant::now().checked_add(length));
        Ok(Running { live, until, quiet, facts: Vec::new(), keeper, grow: None, shown: None })
    }

    fn read<S: Sink>(
        &mut self,
        engine: &mut Engine<S>,
        go_on: &mut dyn FnMut(Progress) -> bool,
        tick: &mut dyn FnMut(&mut S, Timestamp),
    ) {
        if let Some(keeper) = &mut self.keeper {
            keeper.start();
        }
        let mut ticked = Instant::now();
        let mut looked = ticked;
        let tick_after = if self.shown.is_some() { TICK / 2 } else { TICK };
        self.grow.take_if(|grow| !grow.is_waited_for(self.live.known()));
        if self.grow.is_some() {
            engine.secrets_may_come();
        }
        loop {
            let now = Instant::now();
            if !go_on(self.live.progress()) || self.until.is_some_and(|until| until <= now) {
                self.live.stop(now, wall_clock());
            }
            let due = now.saturating_duration_since(ticked) >= tick_after;
            if let Some(grow) = self.grow.as_mut().filter(|_| now.saturating_duration_since(looked) >= KEYS) {
                looked = now;
                grow.look(self.live.known(), engine);
            }
            match self.live.next(now, WAIT) {
                Next::Batch(batch) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.batch(&batch, now);
                    }
                    engine.batch(&batch);
                }
                Next::Nothing => {}
                Next::End => break,
            }
            if due {
                ticked = now;
                let facts = self.live.facts();
                if let Some(keeper) = &mut self.keeper {
                    keeper.facts(facts);
                    if self.shown.is_none() {
                        keeper.problem().iter().for_each(|problem| complain(problem));
                    }
                }
                if let Some(shown) = &mut self.shown {
                    shown(facts, self.keeper.as_ref().map(Keeper::kept));
                }
                if let Some(time) = self.live.time(now) {
                    tick(engine.sink(), time);
                }
            }
        }
        if let Some(grow) = &mut self.grow {
            grow.look(self.live.known(), engine);
        }
        self.facts = self.live.facts().to_vec();
        if self.live.is_cut() && !self.quiet {
            complain("stopped while the kernel still held packets: these were not read");
        }
        if !self.quiet && self.shown.is_none() {
            self.tell_losses();
        }
    }

    /// What came too late, and what was dropped.
    fn tell_losses(&self) {
        for (facts, late) in self.live.late() {
            let path = crate::base::escape::escape(facts.path.as_bytes());
            complain(&format!("{path}: {late} packets came too late for their place on the timeline"));
        }
        tell_drops(&self.facts);
    }
}

/// Tells the user what was dropped.
#[cfg(feature = "live")]
pub(super) fn tell_drops(facts: &[InputFacts]) {
    for facts in facts.iter().filter(|facts| facts.dropped_kernel + facts.dropped_interface != 0) {
        let path = crate::base::escape::escape(facts.path.as_bytes());
        let (kernel, interface) = (facts.dropped_kernel, facts.dropped_interface);
        complain(&format!(
            "{path}: {kernel} packets were dropped by the kernel (a larger --buffer or a narrower -f helps), {interface} by the interface"
        ));
    }
}

/// The key logs that the user names, whatever is captured.
pub(super) fn keys(args: &Report) -> anyhow::Result<Keys> {
    #[cfg(feature = "live")]
    if !args.live.interfaces.is_empty() {
        return Keys::read_on(&args.inputs);
    }
    Keys::read(&args.inputs)
}

/// Ends keeping, and tells how it went. `true`: all was kept.
#[cfg(feature = "live")]
pub(super) fn end_keeping(keeper: Option<Keeper>, facts: &[InputFacts], quiet: bool) -> bool {
    let Some(keeper) = keeper else { return true };
    let (kept, problem) = keeper.finish(facts);
    tell_kept(&kept, problem.as_deref(), quiet)
}

/// Tells how keeping went. `true`: all was kept.
#[cfg(feature = "live")]
pub(super) fn tell_kept(kept: &Kept, problem: Option<&str>, quiet: bool) -> bool {
    problem.iter().for_each(|problem| complain(problem));
    if kept.lost != 0 || !quiet {
        complain(&kept.words());
    }
    kept.lost == 0
}

/// What devices stamp packets with.
#[cfg(feature = "live")]
fn wall_clock() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
