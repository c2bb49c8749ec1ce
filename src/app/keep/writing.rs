//! The thread that writes: holds packets for a moment, for the findings that come meanwhile, and puts blocks together.
//!
//! **Findings.** A file that is being written is never changed behind its end. A finding that is known while its packet
//! is held stands at it; one that comes later stands at the packet that is written next, and says which one it is about;
//! what comes behind the last packet stands in the first statistics block.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::base::{PacketRef, Timestamp, limits};
use crate::capture::write::{InterfaceKey, Packet, Statistics, Writer};
use crate::capture::{Interface, Record};

use super::super::out_file;
use super::files::Files;
use super::{Message, Packets, Shared};

const HELD: Duration = Duration::from_millis(limits::KEEP_HELD_MS);
const RETRY: Duration = Duration::from_secs(limits::KEEP_RETRY_S);
/// How long nobody looks whether a packet was held long enough.
const TURN: Duration = Duration::from_millis(100);

pub(super) struct Writing {
    files: Files,
    shared: Arc<Shared>,
    writer: Writer,
    /// Devices, to be described in each file also where they are silent.
    devices: Vec<(u16, Arc<[Interface]>)>,
    /// Blocks that are to be written, and the packets in them.
    blocks: Vec<u8>,
    packets: u64,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Number of the last packet of each input that left.
    left: HashMap<u16, u64>,
    notes: HashMap<PacketRef, Vec<String>>,
    /// Findings on packets that are written already.
    late: VecDeque<String>,
    late_lost: u64,
    /// Of the present file.
    statistics: HashMap<InterfaceKey, Statistics>,
    /// Of each input, drops by the kernel and the interface: now, and when the present file began.
    drops: Vec<(u64, u64)>,
    drops_before: Vec<(u64, u64)>,
    /// Time of the last packet.
    now: Timestamp,
    /// The disk was full: it is tried again then.
    retry: Option<Instant>,
    /// Packets that are missing before the next one, and why.
    missing: u64,
    why: String,
}

/// A packet that waits for findings.
struct Held {
    from: Arc<Packets>,
    /// Its place among the records.
    at: usize,
}

impl Writing {
    pub(super) fn new(files: Files, devices: Vec<(u16, Arc<[Interface]>)>, shared: Arc<Shared>) -> Self {
        let mut blocks = Vec::new();
        let writer = begin(&mut blocks, &devices);
        let writing = Writing {
            files,
            shared,
            writer,
            devices,
            blocks,
            packets: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            left: HashMap::new(),
            notes: HashMap::new(),
            late: VecDeque::new(),
            late_lost: 0,
            statistics: HashMap::new(),
            drops: Vec::new(),
            drops_before: Vec::new(),
            now: Timestamp(0),
            retry: None,
            missing: 0,
            why: String::new(),
        };
        writing.tell_name();
        writing
    }

    /// Until it is told to end.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        // What a file begins with is there from the start.
        self.flush();
        loop {
            match messages.recv_timeout(TURN) {
                Ok(Message::Packets(packets)) => self.take(packets),
                Ok(Message::Note(at, words)) => self.note(at, words),
                Ok(Message::Drops(drops)) => self.drops = drops,
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.write_due(Instant::now());
        }
        while let Some(held) = self.held.pop_front() {
            self.write(&held);
        }
        self.end_file(true);
    }

    fn take(&mut self, packets: Packets) {
        self.shared.waiting.fetch_sub(packets.bytes.len(), Ordering::Relaxed);
        self.held_bytes += packets.bytes.len();
        let packets = Arc::new(packets);
        self.held.extend((0..packets.records.len()).map(|at| Held { from: Arc::clone(&packets), at }));
    }

    fn note(&mut self, at: PacketRef, words: String) {
        if self.left.get(&at.input()).is_none_or(|left| *left < at.number()) {
            self.notes.entry(at).or_default().push(words);
            return;
        }
        if self.late.len() >= limits::KEEP_LATE {
            self.late.pop_front();
            self.late_lost += 1;
        }
        self.late.push_back(format!("{words} [packet {} of input {}]", at.number(), at.input()));
    }

    /// Writes packets that were held long enough; and to the disk, where there is much, or nothing more comes.
    fn write_due(&mut self, now: Instant) {
        let mut wrote = false;
        while let Some(held) = self.held.pop_front_if(|held| {
            self.held_bytes > limits::KEEP_HELD_BYTES || now.saturating_duration_since(held.from.came) >= HELD
        }) {
            self.write(&held);
            wrote = true;
        }
        if !wrote && self.packets != 0 {
            self.flush();
        }
    }

    fn write(&mut self, held: &Held) {
        let Held { from, at } = held;
        let Some(record) = from.records.get(*at) else { return };
        self.held_bytes = self.held_bytes.saturating_sub(record.cap_len as usize);
        self.left.insert(from.input, record.no);
        let at = PacketRef::new(from.input, record.no);
        let notes = self.notes.remove(&at).unwrap_or_default();
        let skipped = self.shared.skipped.swap(0, Ordering::Relaxed);
        if skipped != 0 {
            self.missing += skipped;
            "the disk is too slow".clone_into(&mut self.why);
        }
        if self.retry.is_some_and(|retry| Instant::now() < retry) {
            self.missing += 1;
            let why = self.why.clone();
            return self.shared.lose(1, &why);
        }
        self.retry = None;
        let comments = self.comments(notes);
        // Its block, and those that end the file.
        let more = record.cap_len as usize + comments.iter().map(|c| c.len() + 8).sum::<usize>() + 40;
        let more = self.blocks.len() + more + 80 * (self.statistics.len() + self.devices.len() + 1);
        let begun = self.packets != 0 || self.statistics.values().any(|about| about.delivered != 0);
        if !self.files.is_open() || begun && self.files.is_full(more as u64) {
            self.end_file(false);
            if !self.begin_file() {
                self.missing += 1;
                let why = self.why.clone();
                return self.shared.lose(1, &why);
            }
        }
        self.put(from, record, &comments);
        if self.blocks.len() >= limits::KEEP_CHUNK_BYTES {
            self.flush();
        }
    }

    fn put(&mut self, from: &Packets, record: &Record, comments: &[String]) {
        let Some(interface) = from.interfaces.get(usize::from(record.iface)) else { return };
        let key = InterfaceKey { input: from.input, section: from.section, number: record.iface };
        let data = record.data(&from.bytes);
        let packet = Packet { key, interface, record, data, comments };
        self.writer.packet(&mut self.blocks, &packet, || about(key));
        let about = self.statistics.entry(key).or_default();
        let (first, last) = about.times.unwrap_or((record.ts, record.ts));
        about.times = Some((first.min(record.ts), last.max(record.ts)));
        about.delivered += 1;
        self.now = self.now.max(record.ts);
        self.packets += 1;
    }

    /// What stands at a packet, with what found no place before.
    fn comments(&mut self, notes: Vec<String>) -> Vec<String> {
        let mut comments = notes;
        if self.missing != 0 {
            let missing = std::mem::take(&mut self.missing);
            comments.push(format!("hopscope: {missing} packets before this one are not kept: {}", self.why));
        }
        let room = limits::PACKET_COMMENTS.saturating_sub(comments.len() + 1).min(self.late.len());
        comments.extend(self.late.drain(..room));
        if self.late_lost != 0 {
            let lost = std::mem::take(&mut self.late_lost);
            comments.push(format!("hopscope: {lost} findings on earlier packets are not noted"));
        }
        comments
    }

    /// Gives the disk what is put together. What it does not take is lost.
    fn flush(&mut self) {
        if self.blocks.is_empty() {
            return;
        }
        let written = self.files.write(&self.blocks);
        let packets = std::mem::take(&mut self.packets);
        match written {
            Ok(()) => {
                self.shared.kept.fetch_add(packets, Ordering::Relaxed);
                self.shared.bytes.fetch_add(self.blocks.len() as u64, Ordering::Relaxed);
                self.blocks.clear();
            }
            Err(err) => {
                self.fail(&err, packets);
                // Interfaces may have been described in what is lost.
                self.blocks.clear();
                self.writer = begin(&mut self.blocks, &self.devices);
            }
        }
    }

    fn fail(&mut self, err: &io::Error, packets: u64) {
        self.why = match err.kind() {
            io::ErrorKind::StorageFull => "the disk is full".to_owned(),
            _ => err.to_string(),
        };
        self.shared.lose(packets, &self.why);
        self.missing += packets;
        self.retry = Instant::now().checked_add(RETRY);
    }

    /// Writes what the present file ends with. `last`: no packet will come for late findings.
    fn end_file(&mut self, last: bool) {
        if !self.files.is_open() || self.retry.is_some_and(|retry| Instant::now() < retry) {
            return;
        }
        let late = if last { self.comments(Vec::new()) } else { Vec::new() };
        let before = |input: u16, drops: &[(u64, u64)]| drops.get(usize::from(input)).copied().unwrap_or_default();
        let mut of = HashMap::new();
        for (input, _) in &self.devices {
            let key = InterfaceKey { input: *input, section: 0, number: 0 };
            let (now, then) = (before(*input, &self.drops), before(*input, &self.drops_before));
            of.insert(key, (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1)));
        }
        let counted = |key: InterfaceKey| {
            let (dropped_kernel, dropped_interface) = of.get(&key).copied().unwrap_or_default();
            let known = self.statistics.get(&key).copied().unwrap_or_default();
            Statistics { dropped_kernel, dropped_interface, ..known }
        };
        self.writer.statistics(&mut self.blocks, self.now, counted, &late);
        self.flush();
        self.drops_before.clone_from(&self.drops);
    }

    /// The next file of the ring; `false`: it cannot be begun.
    fn begin_file(&mut self) -> bool {
        self.statistics.clear();
        self.blocks.clear();
        self.writer = begin(&mut self.blocks, &self.devices);
        match self.files.next() {
            Ok(()) => {
                self.tell_name();
                true
            }
            Err(err) => {
                self.fail(&err, 0);
                false
            }
        }
    }

    fn tell_name(&self) {
        let mut words = self.shared.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.file = out_file::name(self.files.name());
    }
}

/// A section header, and the devices.
fn begin(blocks: &mut Vec<u8>, devices: &[(u16, Arc<[Interface]>)]) -> Writer {
    let program = concat!("hopscope ", env!("CARGO_PKG_VERSION"));
    let comment = format!("{program}, a live capture. Comments name findings, as far as they were known in time.");
    let mut writer = Writer::new(blocks, comment, program.to_owned());
    for (input, interfaces) in devices {
        for interface in interfaces.iter() {
            let key = InterfaceKey { input: *input, section: 0, number: 0 };
            writer.interface(blocks, key, interface, about(key));
        }
    }
    writer
}

fn about(key: InterfaceKey) -> String {
    format!("input {}", key.input)
}
