//! `-w` and `--ring`: keeps what is captured. The capture gives copies of its packets away and waits for nothing; a
//! thread of its own writes them. What the disk does not take is counted, and the capture goes on.

mod files;
mod notes;
mod writing;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::base::{PacketRef, limits};
use crate::capture::{Batch, Interface, Record};
use crate::cli::{Inputs, Live};
use crate::model::InputFacts;

use files::Files;
pub(super) use notes::{Noted, Notes};
use writing::Writing;

/// Where packets are given away.
pub(super) struct Keeper {
    to: Sender<Message>,
    shared: Arc<Shared>,
    /// The thread has written all of it.
    over: Receiver<()>,
    /// What the thread will do, until it is started.
    idle: Option<Box<dyn FnOnce() + Send>>,
    /// Of each input the section that it is in, and its interfaces.
    interfaces: HashMap<u16, (u32, Arc<[Interface]>)>,
    /// What went wrong was told.
    told: bool,
}

/// What the thread is told.
enum Message {
    Packets(Packets),
    /// What a packet is evidence of.
    Note(PacketRef, String),
    /// Of each input, packets that were dropped since the capture began: by the kernel and by the interface.
    Drops(Vec<(u64, u64)>),
    End,
}

/// Copies of packets that came together.
struct Packets {
    input: u16,
    section: u32,
    interfaces: Arc<[Interface]>,
    records: Vec<Record>,
    bytes: Vec<u8>,
    came: Instant,
}

/// What both sides know.
#[derive(Default)]
struct Shared {
    /// Bytes that wait for the thread.
    waiting: AtomicUsize,
    /// Packets written, and bytes of files.
    kept: AtomicU64,
    bytes: AtomicU64,
    /// Packets that were not kept, and of these the ones that the thread has not heard of yet.
    lost: AtomicU64,
    skipped: AtomicU64,
    words: Mutex<Words>,
}

#[derive(Default)]
struct Words {
    /// The file that is written now.
    file: String,
    /// What went wrong first.
    problem: Option<String>,
}

/// How keeping stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The file that is written now, safe to print.
    pub(super) file: String,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Packets that were not kept.
    pub(super) lost: u64,
}

/// Makes the file that is not there yet, while all rights are there: without them root may not do that in the folder of
/// somebody else. What goes wrong here is told by [`Keeper::open`].
pub(super) fn make(args: &Live) {
    let named = args.write.as_deref().filter(|path| path.as_os_str() != "-");
    if let Some(path) = named.filter(|_| args.ring.is_none() && args.user.is_none()) {
        let _ = OpenOptions::new().append(true).create(true).open(path);
    }
}

impl Keeper {
    /// Opens the file that the user named. `None`: there is none. `devices`: inputs whose interface is known before
    /// their first packet.
    pub(super) fn open(
        args: &Live,
        inputs: &Inputs,
        devices: Vec<(u16, Arc<[Interface]>)>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(path) = &args.write else { return Ok(None) };
        if path.as_os_str() == "-" {
            bail!("-w -: standard output is for the report; name a file");
        }
        if inputs.files.iter().any(|input| same(input, path)) {
            bail!("-w {}: that is one of the inputs; name another file", path.display());
        }
        let shared = Arc::new(Shared::default());
        let files =
            Files::open(path, args.ring).with_context(|| format!("-w {}: cannot write there", path.display()))?;
        let (to, messages) = channel();
        let (done, over) = channel();
        let mut writing = Writing::new(files, devices, Arc::clone(&shared));
        let work = move || {
            writing.run(&messages);
            // Where nobody waits for it any more, nobody needs to know.
            let _ = done.send(());
        };
        let idle: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(work));
        Ok(Some(Keeper { to, shared, over, idle, interfaces: HashMap::new(), told: false }))
    }

    /// Begins to write: apart from opening, since what a process gives up it gives up by thread.
    pub(super) fn start(&mut self) {
        if let Some(work) = self.idle.take()
            && let Err(err) = thread::Builder::new().name("keep".into()).spawn(work)
        {
            self.shared.lose(0, &format!("cannot start a thread: {err}"));
        }
    }

    /// Keeps these packets.
    pub(super) fn batch(&mut self, batch: &Batch<'_>, now: Instant) {
        let size: usize = batch.records.iter().map(|record| record.cap_len as usize).sum();
        if self.shared.waiting.load(Ordering::Relaxed).saturating_add(size) > limits::KEEP_WAITING_BYTES {
            let packets = batch.records.len() as u64;
            self.shared.skipped.fetch_add(packets, Ordering::Relaxed);
            self.shared.lose(packets, "the disk is too slow");
            return;
        }
        let mut bytes = Vec::with_capacity(size);
        let one = |record: &Record| {
            let off = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(record.data(batch.bytes));
            Record { off, ..*record }
        };
        let records = batch.records.iter().map(one).collect();
        let (section, interfaces) =
            self.interfaces.entry(batch.input).or_insert_with(|| (batch.section, batch.interfaces.into()));
        if *section != batch.section || interfaces.len() != batch.interfaces.len() {
            (*section, *interfaces) = (batch.section, batch.interfaces.into());
        }
        let interfaces = Arc::clone(interfaces);
        self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        let packets = Packets { input: batch.input, section: batch.section, interfaces, records, bytes, came: now };
        // The thread ends only behind `End`.
        let _ = self.to.send(Message::Packets(packets));
    }

    /// What puts findings beside the packets that prove them.
    pub(super) fn notes(&self, show_secrets: bool) -> Notes {
        Notes::new(self.to.clone(), show_secrets)
    }

    /// What is known of the inputs by now, drops above all.
    pub(super) fn facts(&self, facts: &[InputFacts]) {
        let drops = facts.iter().map(|facts| (facts.dropped_kernel, facts.dropped_interface)).collect();
        let _ = self.to.send(Message::Drops(drops));
    }

    pub(super) fn kept(&self) -> Kept {
        let Shared { kept, bytes, lost, words, .. } = &*self.shared;
        let file = words.lock().unwrap_or_else(PoisonError::into_inner).file.clone();
        let [packets, bytes, lost] = [kept, bytes, lost].map(|n| n.load(Ordering::Relaxed));
        Kept { file, packets, bytes, lost }
    }

    /// What went wrong, once.
    pub(super) fn problem(&mut self) -> Option<String> {
        if self.told {
            return None;
        }
        let problem = self.shared.words.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()?;
        self.told = true;
        Some(format!("{problem}; the capture goes on, and packets that are not kept are counted"))
    }

    /// Writes what is left, and ends the file; how it stands then, and what went wrong if nobody was told.
    pub(super) fn finish(mut self, facts: &[InputFacts]) -> (Kept, Option<String>) {
        self.start();
        self.facts(facts);
        let _ = self.to.send(Message::End);
        // A disk that never answers must not keep the program.
        let whole = self.over.recv_timeout(Duration::from_secs(limits::KEEP_END_S)).is_ok();
        let mut kept = self.kept();
        if !whole {
            let captured = facts.iter().map(|facts| facts.packets).sum::<u64>();
            kept.lost = captured.saturating_sub(kept.packets);
        }
        (kept, self.problem())
    }
}

impl Kept {
    /// In words, for the end of the capture.
    pub(super) fn words(&self) -> String {
        let lost = if self.lost == 0 { String::new() } else { format!("; {} were not kept", self.lost) };
        format!("{} packets kept in {}{lost}", self.packets, self.file)
    }
}

impl Shared {
    fn lose(&self, packets: u64, why: &str) {
        self.lost.fetch_add(packets, Ordering::Relaxed);
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.problem.is_none() {
            words.problem = Some(format!("{}: cannot be written: {why}", words.file));
        }
    }
}

fn same(a: &std::path::Path, b: &std::path::Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
