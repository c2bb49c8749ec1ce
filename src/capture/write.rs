//! The pcapng format, written: sections, interfaces, packets, with comments; statistics. Written with
//! draft-ietf-opsawg-pcapng open.
//!
//! In: what a block is to say. Out: its bytes, appended to a buffer that the caller empties where it
//! likes. Little endian, times in nanoseconds, packets as they were captured. Knows the interfaces of the
//! section it is in and nothing else: at most `limits::INTERFACES`, then a new section begins.

use std::collections::HashMap;

use super::pcapng::{ENHANCED_PACKET, INTERFACE, SECRETS, SECTION_HEADER, STATISTICS, TLS_KEY_LOG};
use super::record::{Interface, Record};
use crate::base::{Nanos, Timestamp, limits};

/// Codes of options (pcapng §3.5, §4.1, §4.2, §4.6).
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const IF_NAME: u16 = 2;
    pub(super) const IF_DESCRIPTION: u16 = 3;
    pub(super) const SHB_USERAPPL: u16 = 4;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_TSOFFSET: u16 = 14;
    pub(super) const ISB_STARTTIME: u16 = 2;
    pub(super) const ISB_ENDTIME: u16 = 3;
    pub(super) const ISB_IFDROP: u16 = 5;
    pub(super) const ISB_OSDROP: u16 = 7;
    pub(super) const ISB_USRDELIV: u16 = 8;
}

/// Times before 1970 count from here (if_tsoffset), in seconds: a little after the earliest `Timestamp`.
const EARLY_S: i64 = -9_223_372_036;

/// Where an interface was described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceKey {
    /// Index of the input.
    pub input: u16,
    /// Section of the input, from 0.
    pub section: u32,
    /// Number in that section.
    pub number: u16,
}

/// A packet, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub key: InterfaceKey,
    pub interface: &'a Interface,
    pub record: &'a Record,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Beyond `limits::PACKET_COMMENTS` they are counted only.
    pub comments: &'a [String],
}

/// What is counted of an interface since a file began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Times of the first packet and the last one. `None`: there was none.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Packets that came in from it.
    pub delivered: u64,
    pub dropped_interface: u64,
    pub dropped_kernel: u64,
}

/// Writes one pcapng file.
#[derive(Debug)]
pub struct Writer {
    /// Of every section header.
    comment: String,
    application: String,
    /// Interfaces of this section; those of times before 1970 apart.
    ids: HashMap<(InterfaceKey, bool), u32>,
}

impl Writer {
    /// `comment`: what the file is; `application`: the program that writes it. The first section header
    /// goes to `out`.
    pub fn new(out: &mut Vec<u8>, comment: String, application: String) -> Self {
        let writer = Writer { comment, application, ids: HashMap::new() };
        writer.section(out);
        writer
    }

    /// A TLS key log (RFC 9850), in a decryption secrets block (pcapng §4.7); to be written before the packets that
    /// need it.
    pub fn secrets(out: &mut Vec<u8>, key_log: &[u8]) {
        block(out, SECRETS, |out| {
            out.extend(TLS_KEY_LOG.to_le_bytes());
            out.extend(length(key_log.len()).to_le_bytes());
            out.extend_from_slice(key_log);
            pad(out, key_log.len());
        });
    }

    /// One packet. Its interface is described first where this section does not know it yet; `about_it` is
    /// the comment of that.
    pub fn packet(&mut self, out: &mut Vec<u8>, packet: &Packet<'_>, about_it: impl FnOnce() -> String) {
        let Packet { key, interface, record, data, comments } = *packet;
        let early = record.ts < Timestamp(0);
        let id = self.id(out, (key, early), interface, about_it);
        let zero = if early { Timestamp::from_parts(EARLY_S, 0) } else { Timestamp(0) };
        let Nanos(ns) = record.ts.since(zero);
        let [low, high] = halves(u64::try_from(ns).unwrap_or(0));
        block(out, ENHANCED_PACKET, |out| {
            for word in [id, high, low, length(data.len()), record.wire_len] {
                out.extend(word.to_le_bytes());
            }
            out.extend_from_slice(data);
            pad(out, data.len());
            let more = comments.len().saturating_sub(limits::PACKET_COMMENTS);
            for text in comments.iter().take(limits::PACKET_COMMENTS) {
                comment(out, text);
            }
            if more != 0 {
                comment(out, &format!("{more} more comments are left out"));
            }
            if !comments.is_empty() {
                end_options(out);
            }
        });
    }

    /// Describes an interface of which no packet has come yet.
    pub fn interface(&mut self, out: &mut Vec<u8>, key: InterfaceKey, interface: &Interface, about_it: String) {
        self.id(out, (key, false), interface, || about_it);
    }

    /// A statistics block for each interface of this section, as of `now`; the `comments` stand in the first.
    pub fn statistics(
        &self,
        out: &mut Vec<u8>,
        now: Timestamp,
        of: impl Fn(InterfaceKey) -> Statistics,
        comments: &[String],
    ) {
        let mut ids: Vec<_> =
            self.ids.iter().filter(|((_, early), _)| !early).map(|((key, _), id)| (*id, *key)).collect();
        ids.sort_unstable_by_key(|(id, _)| *id);
        let mut comments = comments.iter();
        for (id, key) in ids {
            let about = of(key);
            block(out, STATISTICS, |out| {
                out.extend(id.to_le_bytes());
                out.extend(stamp(now));
                comments.by_ref().for_each(|text| comment(out, text));
                if let Some((first, last)) = about.times {
                    option(out, option::ISB_STARTTIME, &stamp(first));
                    option(out, option::ISB_ENDTIME, &stamp(last));
                }
                option(out, option::ISB_IFDROP, &about.dropped_interface.to_le_bytes());
                option(out, option::ISB_OSDROP, &about.dropped_kernel.to_le_bytes());
                option(out, option::ISB_USRDELIV, &about.delivered.to_le_bytes());
                end_options(out);
            });
        }
    }

    /// Number of an interface in this section, which is described where the section does not know it yet.
    fn id(
        &mut self,
        out: &mut Vec<u8>,
        key: (InterfaceKey, bool),
        interface: &Interface,
        about_it: impl FnOnce() -> String,
    ) -> u32 {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        if self.ids.len() >= limits::INTERFACES {
            self.ids.clear();
            self.section(out);
        }
        let id = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.insert(key, id);
        describe(out, interface, &about_it(), key.1);
        id
    }

    fn section(&self, out: &mut Vec<u8>) {
        block(out, SECTION_HEADER, |out| {
            out.extend(0x1a2b_3c4d_u32.to_le_bytes());
            out.extend([1_u16.to_le_bytes(), 0_u16.to_le_bytes()].concat());
            // The section's length is not known beforehand.
            out.extend(u64::MAX.to_le_bytes());
            comment(out, &self.comment);
            option(out, option::SHB_USERAPPL, self.application.as_bytes());
            end_options(out);
        });
    }
}

/// An interface description block. `early`: its packets are older than 1970.
fn describe(out: &mut Vec<u8>, about: &Interface, words: &str, early: bool) {
    block(out, INTERFACE, |out| {
        out.extend([about.link.0.to_le_bytes(), 0_u16.to_le_bytes()].concat());
        out.extend(about.snaplen.to_le_bytes());
        for (code, value) in [(option::IF_NAME, &about.name), (option::IF_DESCRIPTION, &about.description)] {
            if let Some(value) = value {
                option(out, code, value);
            }
        }
        comment(out, words);
        option(out, option::IF_TSRESOL, &[9]);
        if early {
            option(out, option::IF_TSOFFSET, &EARLY_S.to_le_bytes());
        }
        end_options(out);
    });
}

/// Type, length, body, length.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let total = length(out.len() - start + 4).to_le_bytes();
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&total);
    }
    out.extend(total);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = value.get(..usize::from(length)).unwrap_or(value);
    out.extend([code.to_le_bytes(), length.to_le_bytes()].concat());
    out.extend_from_slice(value);
    pad(out, value.len());
}

fn comment(out: &mut Vec<u8>, text: &str) {
    if text.len() <= limits::COMMENT_BYTES {
        return option(out, option::COMMENT, text.as_bytes());
    }
    const CUT: &str = " … (cut)";
    let kept = text.floor_char_boundary(limits::COMMENT_BYTES - CUT.len());
    option(out, option::COMMENT, [text.get(..kept).unwrap_or_default(), CUT].concat().as_bytes());
}

fn end_options(out: &mut Vec<u8>) {
    option(out, option::END, &[]);
}

/// Fills up to a multiple of four behind `length` bytes.
fn pad(out: &mut Vec<u8>, length: usize) {
    out.resize(out.len() + length.next_multiple_of(4) - length, 0);
}

/// A time in nanoseconds, as blocks have it: the upper half first.
fn stamp(ts: Timestamp) -> [u8; 8] {
    let [low, high] = halves(u64::try_from(ts.0).unwrap_or(0)).map(u32::to_le_bytes);
    let ([a, b, c, d], [e, f, g, h]) = (high, low);
    [a, b, c, d, e, f, g, h]
}

fn halves(units: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = units.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Packets are at most `limits::RECORD_BYTES` long: far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::super::made::{self, Seen};
    use super::*;
    use crate::model::LinkType;

    const KEY: InterfaceKey = InterfaceKey { input: 0, section: 0, number: 0 };

    fn ethernet() -> Interface {
        Interface { link: LinkType(1), snaplen: 65_535, ..Interface::default() }
    }

    fn record(ns: i64, data: &[u8], wire_len: u32) -> Record {
        Record { cap_len: length(data.len()), wire_len, ts: Timestamp(ns), ..Record::default() }
    }

    fn packet<'a>(interface: &'a Interface, record: &'a Record, data: &'a [u8], comments: &'a [String]) -> Packet<'a> {
        Packet { key: KEY, interface, record, data, comments }
    }

    fn comments(words: &[&str]) -> Vec<String> {
        words.iter().map(|&w| w.to_owned()).collect()
    }

    #[test]
    fn a_small_file_has_exactly_these_bytes() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, "two".into(), "me 1".into());
        let named = Interface { name: Some((*b"eth0").into()), ..ethernet() };
        let one = record(0x0001_0203_0405_0607, b"abcde", 9);
        writer.packet(&mut out, &packet(&named, &one, b"abcde", &comments(&["why"])), || "from a".into());
        writer.packet(&mut out, &packet(&named, &record(1, b"wxyz", 4), b"wxyz", &[]), || "never".into());
        let words = |all: &[u32]| all.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let expected = [
            words(&[0x0a0d_0d0a, 48, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX]),
            [&b"\x01\0\x03\0two\0"[..], b"\x04\0\x04\0me 1", &[0; 4]].concat(),
            words(&[48]),
            words(&[1, 52, 1, 65_535]),
            [&b"\x02\0\x04\0eth0"[..], b"\x01\0\x06\0from a\0\0", b"\x09\0\x01\0\x09\0\0\0", &[0; 4]].concat(),
            words(&[52]),
            words(&[6, 52, 0, 0x0001_0203, 0x0405_0607, 5, 9]),
            [&b"abcde\0\0\0"[..], b"\x01\0\x03\0why\0", &[0; 4]].concat(),
            words(&[52]),
            [words(&[6, 36, 0, 0, 1, 4, 4]), b"wxyz".to_vec(), words(&[36])].concat(),
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn times_before_1970_come_back_to_the_nanosecond() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, String::new(), String::new());
        let times = [-1, 1, -1_000_000_000_000_000_007, 1_700_000_000_123_456_789];
        for ns in times {
            writer.packet(&mut out, &packet(&ethernet(), &record(ns, b"x", 1), b"x", &[]), String::new);
        }
        let (seen, facts) = made::read(&out);
        assert_eq!(seen.iter().map(|p| p.ns).collect::<Vec<_>>(), times);
        assert_eq!(facts.damage.len(), 0);
    }

    #[test]
    fn long_comments_are_cut_and_many_are_counted() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, "ä".repeat(limits::COMMENT_BYTES), "me".into());
        let many = vec!["x".to_owned(); limits::PACKET_COMMENTS + 3];
        writer.packet(&mut out, &packet(&ethernet(), &record(1, b"x", 1), b"x", &many), || "y".repeat(100_000));
        assert!(out.len() < 3 * limits::COMMENT_BYTES);
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("ä … (cut)") && text.contains("3 more comments are left out"));
        assert_eq!(made::read(&out).0.len(), 1);
    }

    #[test]
    fn statistics_tell_the_drops_of_each_interface() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, String::new(), String::new());
        let silent = InterfaceKey { input: 1, ..KEY };
        writer.interface(&mut out, silent, &ethernet(), "silent".into());
        writer.packet(&mut out, &packet(&ethernet(), &record(7, b"x", 1), b"x", &[]), String::new);
        let from = out.len();
        let of = |key: InterfaceKey| Statistics {
            times: (key == KEY).then_some((Timestamp(7), Timestamp(9))),
            delivered: 1,
            dropped_interface: 3,
            dropped_kernel: 5 + u64::from(key.input),
        };
        writer.statistics(&mut out, Timestamp(1 << 32 | 9), of, &comments(&["late"]));
        let words = |all: &[u32]| all.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let first = [
            words(&[5, 72, 0, 1, 9]),
            b"\x01\0\x04\0late".to_vec(),
            [&b"\x05\0\x08\0\x03"[..], &[0; 7], b"\x07\0\x08\0\x06", &[0; 7], b"\x08\0\x08\0\x01", &[0; 7]].concat(),
            words(&[0, 72]),
        ];
        assert_eq!(out[from..from + 72], first.concat());
        let (_, facts) = made::read(&out);
        assert_eq!((facts.dropped_interface, facts.dropped_kernel, facts.damage.len()), (6, 11, 0));
    }

    #[test]
    fn more_interfaces_than_a_section_may_have_begin_a_new_section() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, String::new(), String::new());
        let many = u32::try_from(limits::INTERFACES).unwrap() + 2;
        for section in 0..many {
            let key = InterfaceKey { section, ..KEY };
            let (about, record) = (ethernet(), record(i64::from(section), b"x", 1));
            writer.packet(&mut out, &Packet { key, ..packet(&about, &record, b"x", &[]) }, String::new);
        }
        let (seen, facts) = made::read(&out);
        assert_eq!((seen.len(), facts.damage.len()), (limits::INTERFACES + 2, 0));
        assert_eq!(seen.last().map(|p| p.iface), Some(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            packets in proptest::collection::vec(
                (0..3_u16, any::<i64>(), proptest::collection::vec(any::<u8>(), 1..90), 0..9_u32, ".{0,9}"), 1..30
            )
        ) {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, "a".into(), "b".into());
            let links = [1, 113, 276];
            for (input, ns, data, cut, comment) in &packets {
                let ns = (*ns).max(EARLY_S * 1_000_000_000);
                let key = InterfaceKey { input: *input, ..KEY };
                let about = Interface { link: LinkType(links[usize::from(*input)]), ..Interface::default() };
                let r = record(ns, data, length(data.len()) + cut);
                let comments = std::slice::from_ref(comment);
                writer.packet(&mut out, &Packet { key, ..packet(&about, &r, data, comments) }, || comment.clone());
            }
            let (seen, facts) = made::read(&out);
            prop_assert_eq!(facts.damage.len(), 0);
            prop_assert_eq!(seen.len(), packets.len());
            for (n, (Seen { no, ns, link, wire, data, .. }, packet)) in (1..).zip(seen.into_iter().zip(&packets)) {
                prop_assert_eq!((no, ns), (n, packet.1.max(EARLY_S * 1_000_000_000)));
                prop_assert_eq!((link, &data), (links[usize::from(packet.0)], &packet.2));
                prop_assert_eq!(wire, length(data.len()) + packet.3);
            }
        }
    }
}
