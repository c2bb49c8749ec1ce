//! One input, whatever its format: batches of records out of its read buffer, and the facts about it.
//!
//! Ends are told apart here: a file cut inside its last packet is a warning (`cut_short`), anything
//! else that cannot be read is damage, and reading goes on at the next plausible record.

use std::sync::Arc;

use super::ahead::Ahead;
use super::buffer::{Buffer, Page};
use super::error::Error;
use super::link_names::link_name;
use super::looks_like::looks_like;
use super::pcap::{self, Pcap};
use super::pcapng::Pcapng;
use super::pcapng_blocks::Side;
use super::record::{Interface, Record, in_order};
use super::source::{Origin, Source};
use super::tally::tally;
use super::unpack::{self, Spoilt, Watch};
use super::walk::{Search, Stop, Unread};
use crate::base::{Nanos, Timestamp, limits};
use crate::model::{Damage, InputFacts, LinkType};
use crate::wire;

/// Reads one input from its start to its end.
pub(super) struct Reader {
    buffer: Buffer,
    format: Format,
    records: Vec<Record>,
    /// Added to the times of its packets.
    offset: Nanos,
    /// No whole record follows these in memory.
    last_of_page: bool,
    /// Number of the next packet.
    next_no: u64,
    /// Time of the packet before, to see time go backwards. `None` before the first.
    last: Option<Timestamp>,
    /// Link type of the last batch of a pcap file.
    named: Option<LinkType>,
    /// Bytes of side blocks kept.
    kept: usize,
    /// Length of the file in bytes; `None` for pipes.
    size: Option<u64>,
    /// Of a compressed input: the stream that the buffer's bytes are unpacked from.
    packed: Option<Watch>,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// Enough of a file to know what it is.
const FIRST_BYTES: usize = 512;

impl Reader {
    /// Reads the file's header. `buffer_bytes`: size of the buffer to begin with. Where it is smaller than
    /// usual, little of the input is wanted, and no thread unpacks ahead.
    pub(super) fn open(
        source: Source,
        buffer_bytes: usize,
        ahead: &Arc<Ahead>,
        facts: &mut InputFacts,
    ) -> Result<Self, Error> {
        let Source { name, from, size, .. } = source;
        let mut buffer = Buffer::new(from, buffer_bytes, ahead);
        // A pipe may give the header long before the first packet: no more is waited for than the
        // header needs.
        buffer.fill(pcap::FILE_HEAD);
        let method = unpack::recognise(buffer.unread());
        let packed = method.map(|method| {
            let empty = Buffer::new(Origin::Stream(Box::new(std::io::empty())), 0, ahead);
            let (from, bytes, unread) = std::mem::replace(&mut buffer, empty).into_parts();
            let input = unpack::Input { from, bytes, start: unread.start, end: unread.end, size };
            let (unpacked, watch) = unpack::start(method, input, buffer_bytes >= limits::READ_BUFFER_BYTES);
            buffer = Buffer::new(Origin::Stream(Box::new(unpacked)), buffer_bytes, ahead);
            buffer.fill(pcap::FILE_HEAD);
            watch
        });
        let head = buffer.unread();
        let refused = |(why, to_do): (String, String)| match method {
            Some(method) => Error::refused(&name, format!("it is compressed by {}; inside, {why}", method.name), to_do),
            None => Error::refused(&name, why, to_do),
        };
        if let (Some(outer), Some(inner)) = (method, unpack::recognise(head)) {
            let why = format!("it is compressed twice, by {} and then by {}", inner.name, outer.name);
            return Err(Error::refused(&name, why, format!("{} FILE | hopscope report -", outer.command)));
        }
        let spoilt = |buffer: &Buffer| {
            let Spoilt { why, to_do } = Spoilt::of(buffer.fault()?)?;
            Some(Error::refused(&name, why.as_str(), to_do.as_str()))
        };
        if head.len() < pcap::FILE_HEAD
            && let Some(error) = spoilt(&buffer)
        {
            return Err(error);
        }
        let format = if Pcap::claims(head) {
            Format::Pcap(Pcap::open(head).map_err(refused)?)
        } else if Pcapng::claims(head) {
            Format::Pcapng(Pcapng::open(head).map_err(refused)?)
        } else {
            buffer.fill(FIRST_BYTES);
            if let Some(error) = spoilt(&buffer) {
                return Err(error);
            }
            if let Some(fault) = buffer.fault() {
                let why = super::error::in_words(fault);
                return Err(Error::refused(&name, why, "check the file system, or copy the file again"));
            }
            let head = buffer.unread();
            if head.is_empty() && packed.as_ref().is_some_and(Watch::is_cut) {
                let why = "the data ends before anything of the capture".to_owned();
                return Err(refused((why, "copy it again, or capture again".to_owned())));
            }
            return Err(refused(looks_like(head.get(..FIRST_BYTES).unwrap_or(head))));
        };
        if let Format::Pcap(_) = format {
            buffer.consume(pcap::FILE_HEAD);
        }
        let compression = method.map(|method| method.name);
        *facts = InputFacts { path: name, format: format.name(), compression, ..InputFacts::default() };
        Ok(Reader {
            buffer,
            format,
            records: Vec::with_capacity(limits::BATCH_PACKETS),
            last_of_page: false,
            next_no: 1,
            last: None,
            named: None,
            kept: 0,
            size,
            packed,
            offset: Nanos::ZERO,
        })
    }

    /// Adds this to the times of all packets read from here on.
    pub(super) fn set_clock(&mut self, offset: Nanos, facts: &mut InputFacts) {
        self.offset = offset;
        facts.clock_offset = offset;
    }

    /// Reads the next batch of records over the one before. False: there are no more.
    pub(super) fn advance(&mut self, facts: &mut InputFacts) -> bool {
        loop {
            self.records.clear();
            let stop = self.walk(facts);
            if self.offset != Nanos::ZERO {
                let timed = self.records.iter_mut().filter(|record| record.ts != Timestamp(0));
                timed.for_each(|record| record.ts = record.ts + self.offset);
            }
            if !self.records.is_empty() {
                // What stopped the walk is met again by the next one.
                self.last_of_page = matches!(stop, Stop::More { .. });
                let before = facts.time_backwards;
                self.tally(facts);
                if facts.time_backwards > before {
                    in_order(&mut self.records, facts.time_backwards - before);
                }
                return true;
            }
            match stop {
                Stop::Full => {}
                Stop::More { need, known } => {
                    if !self.buffer.ended() {
                        self.buffer.fill(need);
                    } else if !self.end(need, known, facts) {
                        self.end_of_packed(facts);
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

    /// The page that the window is the beginning of.
    pub(super) fn page(&self) -> &Page {
        self.buffer.page()
    }

    /// The batch that `advance` read.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// No whole record follows the batch in memory: the next one begins with reading.
    pub(super) fn last_of_page(&self) -> bool {
        self.last_of_page
    }

    /// Leaves only the records that `keep` wants; counts the others.
    pub(super) fn retain(&mut self, keep: impl Fn(&Record) -> bool, facts: &mut InputFacts) {
        let all = self.records.len();
        self.records.retain(keep);
        facts.outside += (all - self.records.len()) as u64;
    }

    /// Bytes of the input, as it is stored, that were read and walked; a compressed one is read ahead.
    pub(super) fn bytes_read(&self) -> u64 {
        self.packed.as_ref().map_or(self.buffer.offset(), Watch::bytes_read)
    }

    /// Link types declared so far.
    pub(super) fn links(&self) -> &[LinkType] {
        match &self.format {
            Format::Pcap(pcap) => std::slice::from_ref(&pcap.interface.link),
            Format::Pcapng(pcapng) => &pcapng.declared,
        }
    }

    /// The section that `records` lie in, from 0, and its interfaces.
    pub(super) fn section(&self) -> (u32, &[Interface]) {
        match &self.format {
            Format::Pcap(pcap) => (pcap.section, std::slice::from_ref(&pcap.interface)),
            Format::Pcapng(pcapng) => (pcapng.sections.saturating_sub(1), &pcapng.told),
        }
    }

    fn walk(&mut self, facts: &mut InputFacts) -> Stop {
        let mut unread = Unread {
            window: self.buffer.window(),
            at: self.buffer.at(),
            ended: self.buffer.ended(),
            next_no: self.next_no,
        };
        let stop = match &mut self.format {
            Format::Pcap(pcap) => pcap.walk(&mut unread, &mut self.records),
            Format::Pcapng(pcapng) => {
                pcapng.walk(&mut unread, &mut self.records, &mut Side { facts, kept: &mut self.kept })
            }
        };
        let Unread { at, next_no, .. } = unread;
        self.next_no = next_no;
        self.buffer.consume(at.saturating_sub(self.buffer.at()));
        stop
    }

    /// Counts the batch.
    fn tally(&mut self, facts: &mut InputFacts) {
        tally(&self.records, &mut self.last, facts);
        let new_link = match &self.format {
            // Files joined by `cat` may change their link type.
            Format::Pcap(pcap) => self.named.replace(pcap.interface.link) != Some(pcap.interface.link),
            Format::Pcapng(pcapng) => facts.link_types.len() < pcapng.used.len(),
        };
        if new_link {
            self.name_links(facts);
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
                let why = match Spoilt::of(fault) {
                    Some(spoilt) => spoilt.why.clone(),
                    None => format!("the system stopped reading: {}", super::error::in_words(fault)),
                };
                // How much was in the rest of a compressed file nobody knows.
                let size = self.size.filter(|_| self.packed.is_none());
                let behind = size.map_or(0, |size| size.saturating_sub(self.buffer.offset()));
                self.damaged(why, behind.max(length as u64), facts);
            }
            None => facts.cut_short = Some(if known { missing as u64 } else { 0 }),
        }
        self.buffer.consume(length);
        false
    }

    /// What became of the compressed stream, all of which was read.
    fn end_of_packed(&self, facts: &mut InputFacts) {
        let Some(packed) = &self.packed else { return };
        facts.packed_rest = packed.rest();
        facts.packed_cut = packed.is_cut();
        if facts.packed_cut {
            facts.cut_short.get_or_insert(0);
        }
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
        for &number in links {
            let link = link_name(number);
            if wire::link::find(number.0).is_none() && facts.unread_links.iter().all(|(_, known)| *known != number) {
                facts.unread_links.push((link.clone().into_owned(), number));
            }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use std::io::Read;

    use super::super::made::{MODIFIED, NS, Pcap, T0, Trickle, US, read, read_from, small_pcap, small_pcapng};
    use super::*;

    fn small_files() -> Vec<(Vec<u8>, Vec<usize>)> {
        vec![
            small_pcap(false, US),
            small_pcap(true, NS),
            small_pcap(false, MODIFIED),
            small_pcapng(false),
            small_pcapng(true),
        ]
    }

    #[test]
    fn cut_anywhere_a_file_keeps_the_packets_before_the_cut() {
        for (bytes, ends) in small_files() {
            let header = if bytes.starts_with(&[0x0a]) { 16 } else { 24 };
            for cut in header..bytes.len() {
                let (seen, facts) = read(&bytes[..cut]);
                assert_eq!(seen.len(), ends.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
                assert!(facts.damage.is_empty(), "cut at {cut}: {:?}", facts.damage);
                let starts: Vec<usize> = [24].into_iter().chain(ends.clone()).collect();
                if facts.format == "pcap" {
                    assert_eq!(facts.cut_short.is_none(), starts.contains(&cut), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn the_bytes_that_a_cut_took_are_known_where_the_length_is() {
        let (bytes, ends) = small_pcap(false, US);
        assert_eq!(read(&bytes[..ends[3] - 9]).1.cut_short, Some(9));
        assert_eq!(read(&bytes[..ends[2] + 9]).1.cut_short, Some(0));
        let (bytes, ends) = small_pcapng(true);
        assert_eq!(read(&bytes[..ends[3] - 9]).1.cut_short, Some(9));
        assert_eq!(read(&bytes[..ends[2] + 9]).1.cut_short, Some(0));
    }

    #[test]
    fn a_file_cut_inside_its_header_is_refused_in_words() {
        for (bytes, _) in small_files() {
            for cut in 4..16 {
                let error = read_from(Source::from_bytes("made", bytes[..cut].to_vec())).expect_err("refused");
                assert!(error.to_string().contains("inside the header"), "{error}");
            }
        }
    }

    #[test]
    fn a_slow_pipe_gives_the_same_packets() {
        for (bytes, _) in small_files() {
            let piped = read_from(Source::from_reader("pipe", Box::new(Trickle(bytes.clone(), 0)))).unwrap();
            assert_eq!(piped.0, read(&bytes).0);
        }
    }

    #[test]
    fn any_one_wrong_byte_never_panics_and_costs_little() {
        for (bytes, _) in small_files() {
            for at in 24..bytes.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut bad = bytes.clone();
                    bad[at] = value;
                    let (seen, facts) = read(&bad);
                    // Nothing is lost in silence: every packet, or a word about it.
                    let told = !facts.damage.is_empty() || facts.cut_short.is_some();
                    assert!(seen.len() == 4 || told || facts.format == "pcapng", "byte {at} = {value}");
                }
            }
        }
    }

    #[test]
    fn noise_behind_a_header_never_panics() {
        let mut state = 1_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        for round in 0..200 {
            for (bytes, _) in small_files() {
                let mut bad = bytes[..24 + round % 60].to_vec();
                bad.extend((0..2_000).map(|_| if round % 2 == 0 { noise() } else { noise() & 7 }));
                let _ = read_from(Source::from_bytes("noise", bad));
            }
        }
    }

    #[test]
    fn a_read_that_fails_is_damage_and_keeps_the_packets_before() {
        struct Fails(std::io::Cursor<Vec<u8>>);
        impl Read for Fails {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                match self.0.read(out)? {
                    0 => Err(std::io::Error::other("Input/output error")),
                    count => Ok(count),
                }
            }
        }
        let bytes = small_pcap(false, US).0;
        let length = bytes.len();
        let source = Source::from_reader("disk", Box::new(Fails(std::io::Cursor::new(bytes[..length - 5].to_vec()))));
        let (seen, facts) = read_from(source).unwrap();
        assert_eq!(seen.len(), 3);
        assert_eq!(facts.damage[0].why, "the system stopped reading: input/output error");
    }

    #[test]
    fn what_is_no_capture_is_refused_in_one_sentence() {
        for (bytes, words) in [
            (&b""[..], "made: cannot read: the file is empty (capture again"),
            (b"hello\n", "made: cannot read: it is text (give a capture"),
            (
                b"\x1f\x8b\x08\0\0\0\0\0\0\0",
                "it is compressed by gzip; inside, the data ends before anything of the capture (copy it again",
            ),
            (
                b"\xa1\xb2\xc3\xd4\0\x02",
                "made: cannot read: the file ends after 6 bytes, inside the header of a pcap file",
            ),
            (&Pcap::new(false, US, 0, 0x0030_0000).bytes, "its link type 0x00300000 has reserved bits set"),
            (b"\xa1\xb2\xc3\xd4\0\x01\0\x04zzzzzzzzzzzzzzzz", "pcap file of version 1.4, and only version 2"),
            (b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x02\0\0", "pcapng file of version 2.0, and only version 1"),
            (b"\x0a\x0d\x0d\x0a\0\0\0\x1czzzz\0\x02\0\0", "its byte-order mark is damaged"),
        ] {
            let error = read_from(Source::from_bytes("made", bytes.to_vec())).expect_err("refused").to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_without_packets_has_facts() {
        let (seen, facts) = read(&Pcap::new(false, US, 0, 113).bytes);
        assert!(seen.is_empty());
        assert_eq!((facts.packets, facts.first, facts.cut_short), (0, None, None));
        assert_eq!(facts.link_types, ["LINUX_SLL"]);
    }

    #[test]
    fn a_batch_is_never_larger_than_its_limit_and_numbers_go_on() {
        let file = (0..1_000).fold(Pcap::usual(), |f, n| f.packet(T0, n, b"0123456789"));
        let (seen, facts) = read(&file.bytes);
        assert!(seen.iter().zip(1..).all(|(packet, no)| packet.no == no));
        assert_eq!((seen.len(), facts.packets), (1_000, 1_000));
    }
}
