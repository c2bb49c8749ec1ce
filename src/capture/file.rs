//! One input, whatever its format: batches of records out of its read buffer, and the facts about it.
//!
//! Ends are told apart here: a file cut inside its last packet is a warning (`cut_short`), anything
//! else that cannot be read is damage, and reading goes on at the next plausible record.

use super::buffer::Buffer;
use super::error::Error;
use super::link_names::link_name;
use super::looks_like::looks_like;
use super::pcap::{self, Pcap};
use super::pcapng::Pcapng;
use super::pcapng_blocks::Side;
use super::record::Record;
use super::source::Source;
use super::walk::{Search, Stop, Unread};
use crate::base::{Timestamp, limits};
use crate::model::{Damage, InputFacts, LinkType};

/// Reads one input from its start to its end.
pub(super) struct Reader {
    buffer: Buffer,
    format: Format,
    records: Vec<Record>,
    /// Number of the next packet.
    next_no: u64,
    /// Time of the packet before, to see time go backwards. `None` before the first.
    last: Option<Timestamp>,
    /// Bytes of side blocks kept.
    kept: usize,
    size: Option<u64>,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// Enough of a file to know what it is.
const FIRST_BYTES: usize = 512;

impl Reader {
    /// Reads the file's header. `buffer_bytes`: size of the buffer to begin with.
    pub(super) fn open(source: Source, buffer_bytes: usize, facts: &mut InputFacts) -> Result<Self, Error> {
        let Source { name, from, size, .. } = source;
        let mut buffer = Buffer::new(from, buffer_bytes);
        // A pipe may give the header long before the first packet: no more is waited for than the
        // header needs.
        buffer.fill(pcap::FILE_HEAD);
        let head = buffer.unread();
        let refused = |(why, to_do): (String, String)| Error::refused(&name, why, to_do);
        let format = if Pcap::claims(head) {
            Format::Pcap(Pcap::open(head).map_err(refused)?)
        } else if Pcapng::claims(head) {
            Format::Pcapng(Pcapng::open(head).map_err(refused)?)
        } else {
            buffer.fill(FIRST_BYTES);
            if let Some(fault) = buffer.fault() {
                let why = super::error::in_words(fault);
                return Err(Error::refused(&name, why, "check the file system, or copy the file again"));
            }
            let head = buffer.unread();
            return Err(refused(looks_like(head.get(..FIRST_BYTES).unwrap_or(head))));
        };
        if let Format::Pcap(_) = format {
            buffer.consume(pcap::FILE_HEAD);
        }
        *facts = InputFacts { path: name, format: format.name(), ..InputFacts::default() };
        Ok(Reader {
            buffer,
            format,
            records: Vec::with_capacity(limits::BATCH_PACKETS),
            next_no: 1,
            last: None,
            kept: 0,
            size,
        })
    }

    /// Reads the next batch of records over the one before. False: there are no more.
    pub(super) fn advance(&mut self, facts: &mut InputFacts) -> bool {
        loop {
            self.records.clear();
            let stop = self.walk(facts);
            if !self.records.is_empty() {
                // What stopped the walk is met again by the next one.
                self.tally(facts);
                return true;
            }
            match stop {
                Stop::Full => {}
                Stop::More { need, known } => {
                    if !self.buffer.ended() {
                        self.buffer.fill(need);
                    } else if !self.end(need, known, facts) {
                        self.name_links(facts);
                        return false;
                    }
                }
                Stop::Fault { why, skip: Some(length) } => {
                    self.damaged(why, length as u64, facts);
                    self.buffer.consume(length);
                }
                Stop::Fault { why, skip: None } => self.resync(why, facts),
            }
        }
    }

    /// The bytes that `records` point into.
    pub(super) fn window(&self) -> &[u8] {
        self.buffer.window()
    }

    /// The batch that `advance` read.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Leaves only the records that `keep` wants; counts the others.
    pub(super) fn retain(&mut self, keep: impl Fn(&Record) -> bool, facts: &mut InputFacts) {
        let all = self.records.len();
        self.records.retain(keep);
        facts.outside += (all - self.records.len()) as u64;
    }

    /// Bytes of the input that were read and walked.
    pub(super) fn bytes_read(&self) -> u64 {
        self.buffer.offset()
    }

    /// Link types declared so far.
    pub(super) fn links(&self) -> &[LinkType] {
        match &self.format {
            Format::Pcap(pcap) => std::slice::from_ref(&pcap.link),
            Format::Pcapng(pcapng) => &pcapng.declared,
        }
    }

    fn walk(&mut self, facts: &mut InputFacts) -> Stop {
        let unread = Unread {
            window: self.buffer.window(),
            at: self.buffer.at(),
            ended: self.buffer.ended(),
            next_no: self.next_no,
        };
        let (at, stop) = match &mut self.format {
            Format::Pcap(pcap) => pcap.walk(unread, &mut self.records),
            Format::Pcapng(pcapng) => pcapng.walk(unread, &mut self.records, &mut Side { facts, kept: &mut self.kept }),
        };
        self.next_no += self.records.len() as u64;
        self.buffer.consume(at - self.buffer.at());
        stop
    }

    /// Counts the batch. Times of 0 are no times.
    fn tally(&mut self, facts: &mut InputFacts) {
        let none = Timestamp(0);
        let (mut first, mut last) = (facts.first.unwrap_or(none), facts.last.unwrap_or(none));
        let mut before = self.last.unwrap_or(none);
        for record in &self.records {
            facts.captured_bytes += u64::from(record.cap_len);
            if record.cap_len < record.wire_len {
                facts.snapped += 1;
                facts.snaplen = facts.snaplen.max(Some(record.cap_len));
            }
            if record.ts != none {
                facts.time_backwards += u64::from(record.ts < before);
                before = record.ts;
                if first == none || record.ts < first {
                    first = record.ts;
                }
                if last == none || record.ts > last {
                    last = record.ts;
                }
            }
        }
        facts.packets += self.records.len() as u64;
        self.last = Some(before);
        facts.first = Some(first).filter(|t| *t != none);
        facts.last = Some(last).filter(|t| *t != none);
        if facts.link_types.len() < self.used_count() {
            self.name_links(facts);
        }
    }

    fn used_count(&self) -> usize {
        match &self.format {
            Format::Pcap(_) => 1,
            Format::Pcapng(pcapng) => pcapng.used.len(),
        }
    }

    /// The file ends inside a record that wants `need` bytes. False: there is nothing more to read.
    fn end(&mut self, need: usize, known: bool, facts: &mut InputFacts) -> bool {
        let rest = self.buffer.unread();
        if rest.is_empty() && self.buffer.fault().is_none() {
            return false;
        }
        // A length that lies would hide whole packets behind the end of the file: look for them.
        let missing = need.saturating_sub(rest.len());
        let inner = rest.get(1..).unwrap_or_default();
        if let Search::Found(at) = self.search(inner, true) {
            let why = format!("a record that would end {missing} bytes behind the end of the file");
            self.damaged(why, at as u64 + 1, facts);
            self.buffer.consume(at + 1);
            return true;
        }
        let length = rest.len();
        match self.buffer.fault() {
            Some(fault) => {
                let why = format!("the system stopped reading: {}", super::error::in_words(fault));
                let behind = self.size.map_or(0, |size| size.saturating_sub(self.buffer.offset()));
                self.damaged(why, behind.max(length as u64), facts);
            }
            None => facts.cut_short = Some(if known { missing as u64 } else { 0 }),
        }
        self.buffer.consume(length);
        false
    }

    /// Looks for the next plausible record, and records what was lost up to there.
    fn resync(&mut self, why: String, facts: &mut InputFacts) {
        let byte = self.buffer.offset();
        self.buffer.consume(1);
        loop {
            match self.search(self.buffer.unread(), self.buffer.ended()) {
                Search::Found(at) => {
                    self.buffer.consume(at);
                    break;
                }
                Search::More { from, need } => {
                    self.buffer.consume(from);
                    if self.buffer.ended() {
                        self.buffer.consume(usize::MAX);
                        break;
                    }
                    self.buffer.fill(need);
                }
            }
        }
        let lost = self.buffer.offset() - byte;
        self.damaged_at(byte, why, lost, facts);
    }

    fn search(&self, bytes: &[u8], ended: bool) -> Search {
        match &self.format {
            Format::Pcap(pcap) => pcap.search(bytes, ended),
            Format::Pcapng(pcapng) => pcapng.search(bytes, ended),
        }
    }

    fn damaged(&self, why: String, lost_bytes: u64, facts: &mut InputFacts) {
        self.damaged_at(self.buffer.offset(), why, lost_bytes, facts);
    }

    fn damaged_at(&self, byte: u64, why: String, lost_bytes: u64, facts: &mut InputFacts) {
        if facts.damage.len() < limits::DAMAGES {
            facts.damage.push(Damage { packet: self.next_no, byte, why, lost_bytes });
        } else {
            facts.more_damage += 1;
            facts.more_lost_bytes += lost_bytes;
        }
    }

    fn name_links(&self, facts: &mut InputFacts) {
        let links = match &self.format {
            Format::Pcapng(pcapng) if facts.packets > 0 => &pcapng.used,
            _ => self.links(),
        };
        // Files joined by `cat` may change their link type.
        for link in links.iter().map(|link| link_name(*link)) {
            if !facts.link_types.iter().any(|known| *known == link) {
                facts.link_types.push(link.into_owned());
            }
        }
    }
}

impl Format {
    fn name(&self) -> &'static str {
        match self {
            Format::Pcap(_) => "pcap",
            Format::Pcapng(_) => "pcapng",
        }
    }
}
