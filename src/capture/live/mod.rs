//! Live capture: devices, and pipes beside them, as one timeline of batches like those of files. Feature `live`.
//!
//! Nothing here waits longer than its caller says, and the time of day comes from the caller. Devices are read by the
//! caller's thread out of the kernel's buffer; pipes by threads of their own.

mod device;
mod line;
mod pipe;

use std::io::{PipeReader, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::error::{self, Error};
use super::merge::Progress;
use super::record::{Batch, Interface, Record};
use super::tally::tally;
use crate::base::{Nanos, Timestamp, limits};
use crate::model::{Damage, InputFacts};

use device::Device;
use line::Line;
use pipe::Piece;

pub use pcap::TimestampType;

/// `format` of an input that is a device.
pub const FORMAT: &str = "live";

/// How devices are opened.
#[derive(Clone, Debug)]
pub struct Setting {
    pub interfaces: Vec<String>,
    /// In the language of tcpdump.
    pub filter: Option<String>,
    /// Bytes kept of each packet, at most `limits::LIVE_SNAPLEN`.
    pub snaplen: u32,
    /// Of the kernel's buffer, for each device.
    pub buffer_bytes: u32,
    /// Packets for other hosts too, where the device can.
    pub promiscuous: bool,
    /// Who stamps packets. `None`: whoever does by default.
    pub time_stamps: Option<TimestampType>,
    /// Packets after which the capture is over. `None`: however many.
    pub packets: Option<u64>,
}

/// Inputs that are running.
pub struct Live {
    inputs: Vec<Input>,
    facts: Vec<InputFacts>,
    line: Line,
    /// When the first packet was asked for.
    began: Option<Instant>,
    notes: Vec<String>,
    /// Gives a byte for each piece that a pipe has sent.
    wake: PipeReader,
    /// Packets that may still be handed out.
    left: u64,
    /// The latest packet was handed out then.
    reached: Option<Instant>,
    /// Stopped: what comes until then still counts.
    until: Option<Instant>,
    ending: Option<Ending>,
    cut: bool,
}

/// How far a capture that was stopped goes on.
#[derive(Clone, Copy)]
struct Ending {
    /// Packets of later are not wanted.
    time: Timestamp,
    at_last: Instant,
}

/// What is to be had now.
pub enum Next<'a> {
    Batch(Batch<'a>),
    /// Nothing yet.
    Nothing,
    /// All inputs ended, or the capture was stopped and all of it was handed out.
    End,
}

struct Input {
    from: From,
    /// Time of its last packet.
    last: Option<Timestamp>,
}

enum From {
    Device(Box<Device>),
    Pipe(Receiver<Piece>),
    Done,
}

/// What the kernel has in a block that is not full is handed over within this time.
const REST: Duration = Duration::from_millis(2 * limits::LIVE_BLOCK_MS as u64);

impl Live {
    /// Opens pipes and files, and behind them, in number, devices. `clocks`: what is added to the times of the
    /// former, by their places. A pipe's first packet is not waited for. `opened` is done when all devices are open, and
    /// before there is a thread: the place to give rights up. Its error is in words.
    pub fn open(
        paths: &[PathBuf],
        clocks: &[(usize, Nanos)],
        setting: &Setting,
        opened: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<Self, Error> {
        let count = paths.len() + setting.interfaces.len();
        if count > limits::INPUTS {
            return Err(Error::TooManyInputs(count));
        }
        if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
            return Err(Error::StdinTwice);
        }
        let mut notes = Vec::new();
        let open = |name: &String| Device::open(name, setting, &mut notes);
        let devices = setting.interfaces.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        opened().map_err(Error::NotReady)?;
        let no_thread =
            |e: std::io::Error| Error::CannotCapture { name: "live capture".into(), why: error::in_words(&e) };
        let (wake, waker) = std::io::pipe().map_err(no_thread)?;
        let (mut inputs, mut facts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (at, path) in paths.iter().enumerate() {
            if path.as_os_str() != "-" {
                std::fs::metadata(path).map_err(|e| Error::open(path, e))?;
            }
            let clock = clocks.iter().find(|(input, _)| *input == at).map_or(Nanos::ZERO, |clock| clock.1);
            let waker = waker.try_clone().map_err(no_thread)?;
            let from = From::Pipe(pipe::start(path.clone(), clock, waker).map_err(no_thread)?);
            inputs.push(Input { from, last: None });
            facts.push(InputFacts { path: error::name_of(path), ..InputFacts::default() });
        }
        for device in devices {
            facts.push(device.facts());
            inputs.push(Input { from: From::Device(Box::new(device)), last: None });
        }
        let left = setting.packets.unwrap_or(u64::MAX);
        Ok(Live {
            line: Line::new(count),
            began: None,
            inputs,
            facts,
            notes,
            wake,
            left,
            reached: None,
            until: None,
            ending: None,
            cut: false,
        })
    }

    /// The devices by the numbers of their inputs.
    pub fn devices(&self) -> impl Iterator<Item = (u16, Arc<[Interface]>)> + '_ {
        self.inputs.iter().enumerate().filter_map(|(at, input)| match &input.from {
            From::Device(device) => Some((u16::try_from(at).ok()?, device.interfaces())),
            From::Pipe(_) | From::Done => None,
        })
    }

    /// What the user should know of how the devices were opened.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The next packets of the timeline, at `now`; where there are none, waits for `wait` at the most.
    pub fn next(&mut self, now: Instant, wait: Duration) -> Next<'_> {
        if self.until.is_some_and(|until| until <= now) {
            self.cut |= self.ending.is_some_and(|ending| ending.at_last <= now);
            self.close();
        }
        let running = now.saturating_duration_since(*self.began.get_or_insert(now));
        let came = self.pull(running);
        if came && let (Some(until), Some(ending)) = (&mut self.until, &self.ending) {
            // More may be there, of the time before the end.
            *until = (now + REST).min(ending.at_last);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        if most == 0 {
            return Next::End;
        }
        if let Some((input, run)) = self.line.pop(running, most) {
            self.left = self.left.saturating_sub(run.len() as u64);
            self.reached = Some(now);
            let Live { inputs, facts, line, .. } = self;
            let Some(batch) = line.batch(input, &run) else { return Next::Nothing };
            if let (Some(input), Some(facts)) = (inputs.get_mut(input), facts.get_mut(input))
                && facts.format == FORMAT
            {
                tally(batch.records, &mut input.last, facts);
            }
            return Next::Batch(batch);
        }
        if self.line.is_over() {
            return Next::End;
        }
        let wait = self.line.held(running).map_or(wait, |held| held.min(wait));
        self.sleep(self.until.map_or(wait, |until| wait.min(until.saturating_duration_since(now))));
        Next::Nothing
    }

    /// Ends the capture: what the kernel has by now is still handed out.
    /// Packets of after `time` are not, and all of it ends after `limits::LIVE_END_S`.
    pub fn stop(&mut self, now: Instant, time: Timestamp) {
        if self.ending.is_none() {
            self.until = Some(now + REST);
            self.ending = Some(Ending { time, at_last: now + Duration::from_secs(limits::LIVE_END_S) });
        }
    }

    /// Whether the end came before all was handed out that the kernel had.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// What time it is in packet time: that of the last packet, and as long as it is since then. `None` before the
    /// first.
    pub fn time(&self, now: Instant) -> Option<Timestamp> {
        let since = now.saturating_duration_since(self.reached?).as_nanos();
        Some(self.line.reached() + Nanos(i64::try_from(since).unwrap_or(i64::MAX)))
    }

    /// Packets of each input that came too late for their place on the timeline, where there are any.
    pub fn late(&self) -> impl Iterator<Item = (&InputFacts, u64)> {
        self.facts.iter().enumerate().map(|(at, facts)| (facts, self.line.late(at))).filter(|(_, late)| *late != 0)
    }

    /// What is known of the inputs so far, pipes and files first. To be asked now and then: the system counts drops in
    /// 32 bits.
    pub fn facts(&mut self) -> &[InputFacts] {
        for (input, facts) in self.inputs.iter_mut().zip(&mut self.facts) {
            if let From::Device(device) = &mut input.from {
                let (kernel, interface) = device.drops();
                facts.dropped_kernel += kernel;
                facts.dropped_interface += interface;
            }
        }
        &self.facts
    }

    /// As [`Live::facts`], as of when that was asked last; of pipes, as of now.
    pub fn known(&self) -> &[InputFacts] {
        &self.facts
    }

    pub fn progress(&self) -> Progress {
        let bytes_read = self.facts.iter().map(|facts| facts.captured_bytes).fold(0, u64::saturating_add);
        Progress { bytes_read, bytes_total: None }
    }

    /// Takes what has come of every input.
    /// Whether a device handed something out.
    fn pull(&mut self, now: Duration) -> bool {
        let (ending, mut came) = (self.ending, false);
        for (at, (input, facts)) in self.inputs.iter_mut().zip(&mut self.facts).enumerate() {
            if !self.line.wants(at) {
                continue;
            }
            match &mut input.from {
                From::Device(device) => {
                    let mut chunk = self.line.chunk();
                    match device.read(&mut chunk) {
                        Ok(()) if chunk.records.is_empty() => self.line.give_back(chunk),
                        Ok(()) => {
                            came = true;
                            let before = |record: &Record| ending.is_none_or(|ending| record.ts <= ending.time);
                            let wanted = chunk.records.iter().take_while(|record| before(record)).count();
                            if wanted < chunk.records.len() {
                                chunk.records.truncate(wanted);
                                let (kernel, interface) = device.drops();
                                facts.dropped_kernel += kernel;
                                facts.dropped_interface += interface;
                                input.from = From::Done;
                            }
                            self.line.push(at, chunk, now);
                        }
                        Err(why) => {
                            let (kernel, interface) = device.drops();
                            facts.dropped_kernel += kernel;
                            facts.dropped_interface += interface;
                            facts.damage.push(Damage { packet: device.next_no(), byte: 0, why, lost_bytes: 0 });
                            input.from = From::Done;
                        }
                    }
                }
                From::Pipe(pieces) => match pieces.try_recv() {
                    Ok(Piece::Packets(news, chunk)) => {
                        learn(facts, *news);
                        self.line.push(at, chunk, now);
                    }
                    Ok(Piece::End(news)) => {
                        learn(facts, *news);
                        input.from = From::Done;
                    }
                    Ok(Piece::Failed(error)) => {
                        // The name stands in the words already.
                        let why = error.to_string();
                        let why = why.strip_prefix(&facts.path).map_or(&*why, |rest| rest.trim_start_matches(": "));
                        let why = why.to_owned();
                        facts.format = FORMAT;
                        facts.damage.push(Damage { packet: 1, byte: 0, why, lost_bytes: 0 });
                        input.from = From::Done;
                    }
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => input.from = From::Done,
                },
                From::Done => {}
            }
            if matches!(input.from, From::Done) {
                self.line.close(at);
            }
        }
        came
    }

    /// Nothing more is read.
    fn close(&mut self) {
        self.facts();
        for (at, input) in self.inputs.iter_mut().enumerate() {
            input.from = From::Done;
            self.line.close(at);
        }
    }

    /// Waits until something comes.
    #[cfg(unix)]
    fn sleep(&mut self, most: Duration) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut wanted = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let devices = self.inputs.iter().filter_map(|input| match &input.from {
            From::Device(device) => Some(PollFd::new(&device.capture, PollFlags::IN)),
            From::Pipe(_) | From::Done => None,
        });
        wanted.extend(devices);
        let most = Timespec::try_from(most).ok();
        // A signal ends it early: the caller looks at that.
        let came = poll(&mut wanted, most.as_ref()).is_ok();
        if came && wanted.first().is_some_and(|wake| wake.revents().contains(PollFlags::IN)) {
            let _ = self.wake.read(&mut [0; 1024]);
        }
    }

    #[cfg(not(unix))]
    fn sleep(&mut self, most: Duration) {
        std::thread::sleep(most.min(Duration::from_millis(10)));
    }
}

/// Takes over what a pipe's thread knows by now.
fn learn(facts: &mut InputFacts, news: InputFacts) {
    let mut news = news;
    let mut secrets = std::mem::take(&mut facts.secrets);
    let mut names = std::mem::take(&mut facts.names);
    secrets.append(&mut news.secrets);
    names.append(&mut news.names);
    *facts = InputFacts { secrets, names, ..news };
}
