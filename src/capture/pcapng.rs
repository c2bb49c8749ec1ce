//! The pcapng format: sections of either byte order, interfaces with their own link types and clocks,
//! enhanced, simple and obsolete packet blocks. Read with draft-ietf-opsawg-pcapng open.
//!
//! In: the unread bytes of the buffer. Out: records that point into it. Enhanced packet blocks are the
//! hot path and are read here; all other blocks are cold (`pcapng_blocks`).

use super::pcapng_blocks::{self, Interface, Side};
use super::record::{self, Record};
use super::walk::{Search, Stop, Unread, index, offset, u16_at, u32_at, u32_of};
use crate::base::{Timestamp, limits};
use crate::model::LinkType;

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE: u32 = 1;
pub(super) const PACKET: u32 = 2;
pub(super) const SIMPLE_PACKET: u32 = 3;
pub(super) const NAMES: u32 = 4;
pub(super) const STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
pub(super) const JOURNAL: u32 = 9;
pub(super) const SECRETS: u32 = 10;
/// The type of secrets that is a TLS key log.
pub(super) const TLS_KEY_LOG: u32 = 0x544c_534b;
pub(super) const CUSTOM: u32 = 0xbad;
pub(super) const CUSTOM_NO_COPY: u32 = 0x4000_0bad;

/// Bytes of an enhanced packet block before its data, and behind data and options.
const ENHANCED_HEAD: usize = 28;
pub(super) const TRAILER: usize = 4;

/// The state of reading one pcapng file.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    pub(super) big: bool,
    /// Interfaces of the section being read.
    pub(super) interfaces: Vec<Interface>,
    /// What is told of them, by the same numbers.
    pub(super) told: Vec<record::Interface>,
    /// Sections begun.
    pub(super) sections: u32,
    /// Link types of all interfaces of all sections so far, each once.
    pub(super) declared: Vec<LinkType>,
    /// Link types in order of first use by a packet.
    pub(super) used: Vec<LinkType>,
    /// Time of the last packet that had one.
    last: Timestamp,
}

impl Pcapng {
    /// Whether a file begins like a pcapng file.
    pub(super) fn claims(bytes: &[u8]) -> bool {
        bytes.starts_with(&SECTION_HEADER.to_be_bytes())
    }

    /// Looks at the first section header; `walk` reads it again. `Err`: why it cannot be read, and
    /// what to do.
    pub(super) fn open(head: &[u8]) -> Result<Self, (String, String)> {
        let Some(big) = head.get(8..).and_then(|b| b.first_chunk::<4>()).map(byte_order) else {
            let why = format!("the file ends after {} bytes, inside the header of a pcapng file", head.len());
            return Err((why, "copy it again, or capture again".into()));
        };
        let Some(big) = big else {
            let why = "it begins like a pcapng file, but its byte-order mark is damaged";
            return Err((why.into(), "copy it again, or capture again".into()));
        };
        match (u16_at(big, head, 12), u16_at(big, head, 14)) {
            (Some(1), Some(_)) => Ok(Pcapng { big, ..Pcapng::default() }),
            (Some(major), Some(minor)) => {
                let why = format!("it is a pcapng file of version {major}.{minor}, and only version 1 is known");
                Err((why, "read it with the program that wrote it".into()))
            }
            _ => {
                let why = format!("the file ends after {} bytes, inside the header of a pcapng file", head.len());
                Err((why, "copy it again, or capture again".into()))
            }
        }
    }

    /// Fills `out` up to a batch; what other blocks tell goes to `side`. Returns why it
    /// stopped.
    pub(super) fn walk(&mut self, unread: &mut Unread<'_>, out: &mut Vec<Record>, side: &mut Side<'_>) -> Stop {
        loop {
            // One loop for each byte order; a section header between them switches.
            let pause = if self.big { self.walk_in::<true>(unread, out) } else { self.walk_in::<false>(unread, out) };
            let Pause::Cold { length, kind } = pause else {
                return pause.into_stop();
            };
            let at = unread.at;
            if kind == SECTION_HEADER && !out.is_empty() {
                // The packets before it are handed out first, with the interfaces of their own section.
                return Stop::Full;
            }
            let block = unread.window.get(at..at + length).unwrap_or_default();
            if matches!(kind, SIMPLE_PACKET | PACKET) {
                match self.odd_packet(kind, block, at, unread.next_no) {
                    Ok(record) => out.push(record),
                    Err(why) => return Stop::Fault { why, skip: Some(length) },
                }
            } else if let Err(why) = pcapng_blocks::read(self, kind, block, side) {
                return Stop::Fault { why, skip: Some(length) };
            }
            unread.at += length;
            unread.next_no += u64::from(is_numbered(kind));
        }
    }

    /// The first plausible block in `bytes`.
    pub(super) fn search(&self, bytes: &[u8], ended: bool) -> Search {
        super::pcapng_resync::search(self, bytes, ended)
    }

    fn walk_in<const BIG: bool>(&mut self, unread: &mut Unread<'_>, out: &mut Vec<Record>) -> Pause {
        let Unread { window, mut at, mut next_no, .. } = *unread;
        let pause = loop {
            if out.len() >= limits::BATCH_PACKETS {
                break Pause::Full;
            }
            let Some(rest) = window.get(at..) else { break Pause::More { need: 12, known: false } };
            let Some(h) = rest.first_chunk::<ENHANCED_HEAD>() else {
                break short_block(BIG, rest);
            };
            let kind = u32_of(BIG, [h[0], h[1], h[2], h[3]]);
            if kind != ENHANCED_PACKET {
                break cold_block(BIG, kind, rest);
            }
            let total = u32_of(BIG, [h[4], h[5], h[6], h[7]]);
            let length = index(total);
            if !total.is_multiple_of(4) || !(ENHANCED_HEAD + TRAILER..=limits::RECORD_BYTES).contains(&length) {
                break Pause::Lost(wrong_length(kind, total));
            }
            let cap = u32_of(BIG, [h[20], h[21], h[22], h[23]]);
            if rest.len() < length {
                break match index(cap) > length - (ENHANCED_HEAD + TRAILER) {
                    true => Pause::Lost(wrong_length(kind, total)),
                    false => Pause::More { need: length, known: true },
                };
            }
            if u32_at(BIG, rest, length - TRAILER) != Some(total) {
                break Pause::Lost(wrong_trailer(total, u32_at(BIG, rest, length - TRAILER)));
            }
            if index(cap) > length - (ENHANCED_HEAD + TRAILER) {
                let why = format!("a captured length of {cap} bytes in a block of {total}");
                break Pause::Fault { why, skip: length };
            }
            let number = u32_of(BIG, [h[8], h[9], h[10], h[11]]);
            let Some(interface) = self.interfaces.get_mut(index(number)) else {
                let why = format!("a packet of interface {number}, which the file does not declare");
                break Pause::Fault { why, skip: length };
            };
            if !interface.used {
                interface.used = true;
                note_use(&mut self.used, interface.link);
            }
            let high = u64::from(u32_of(BIG, [h[12], h[13], h[14], h[15]]));
            let ts = interface.clock.time(high << 32 | u64::from(u32_of(BIG, [h[16], h[17], h[18], h[19]])));
            out.push(Record {
                off: offset(at + ENHANCED_HEAD),
                cap_len: cap,
                wire_len: u32_of(BIG, [h[24], h[25], h[26], h[27]]).max(cap),
                link: interface.link,
                iface: interface.number,
                ts,
                no: next_no,
            });
            self.last = ts;
            next_no += 1;
            at += length;
        };
        (unread.at, unread.next_no) = (at, next_no);
        pause
    }

    /// A packet of an old or simple block, which lies whole in `block`.
    fn odd_packet(&mut self, kind: u32, block: &[u8], at: usize, no: u64) -> Result<Record, String> {
        let (big, last) = (self.big, self.last);
        let word = |at: usize| u32_at(big, block, at).unwrap_or(0);
        let simple = kind == SIMPLE_PACKET;
        // Simple: length on the wire. Old: interface and drops, time, both lengths (pcapng §4.4, A).
        let head = if simple { 12 } else { 28 };
        let number = if simple { 0 } else { u32::from(u16_at(big, block, 8).unwrap_or(0)) };
        let room = block.len().saturating_sub(head + TRAILER);
        let Some(interface) = self.interfaces.get_mut(index(number)) else {
            return Err(format!("a packet of interface {number}, which the file does not declare"));
        };
        let (cap, wire, ts) = if simple {
            let wire = word(8);
            let kept = if interface.snaplen == 0 { wire } else { wire.min(interface.snaplen) };
            (index(kept).min(room), wire, last)
        } else {
            let units = u64::from(word(12)) << 32 | u64::from(word(16));
            (index(word(20)), word(24), interface.clock.time(units))
        };
        if block.len() < head + TRAILER || cap > room {
            return Err(format!("a captured length of {cap} bytes in a block of {}", block.len()));
        }
        if !interface.used {
            interface.used = true;
            note_use(&mut self.used, interface.link);
        }
        self.last = ts;
        let cap_len = offset(cap);
        let (off, wire_len) = (offset(at + head), wire.max(cap_len));
        Ok(Record { off, cap_len, wire_len, link: interface.link, iface: interface.number, ts, no })
    }
}

/// Blocks to which Wireshark gives a frame number: packets, but also custom blocks, journal entries and
/// sysdig events. Ours must stay equal to `frame.number`.
fn is_numbered(kind: u32) -> bool {
    matches!(
        kind,
        PACKET | SIMPLE_PACKET | JOURNAL | CUSTOM | CUSTOM_NO_COPY | 0x204 | 0x208 | 0x216 | 0x217 | 0x221 | 0x222
    )
}

/// Why the hot loop went no further.
enum Pause {
    Full,
    More {
        need: usize,
        known: bool,
    },
    /// A block for the cold path lies whole in memory.
    Cold {
        length: usize,
        kind: u32,
    },
    /// A fault inside a block of known length.
    Fault {
        why: String,
        skip: usize,
    },
    /// The end of the block is not known.
    Lost(String),
}

impl Pause {
    fn into_stop(self) -> Stop {
        match self {
            Pause::Full | Pause::Cold { .. } => Stop::Full,
            Pause::More { need, known } => Stop::More { need, known },
            Pause::Fault { why, skip } => Stop::Fault { why, skip: Some(skip) },
            Pause::Lost(why) => Stop::Fault { why, skip: None },
        }
    }
}

/// Fewer bytes than an enhanced packet block needs: perhaps the last, small block of the file.
fn short_block(big: bool, rest: &[u8]) -> Pause {
    match u32_at(big, rest, 0) {
        Some(kind) if rest.len() >= 12 && kind != ENHANCED_PACKET => cold_block(big, kind, rest),
        _ => Pause::More { need: ENHANCED_HEAD, known: false },
    }
}

/// Any other block: checks that it lies whole in memory and that both its lengths agree.
fn cold_block(big: bool, kind: u32, rest: &[u8]) -> Pause {
    let mut big = big;
    if kind == SECTION_HEADER {
        match rest.get(8..).and_then(|b| b.first_chunk::<4>()).map(byte_order) {
            Some(Some(order)) => big = order,
            Some(None) => return Pause::Lost("a section header with a damaged byte-order mark".to_owned()),
            None => return Pause::More { need: 12, known: false },
        }
    }
    let total = u32_at(big, rest, 4).unwrap_or(0);
    let length = index(total);
    if !total.is_multiple_of(4) || !(12..=limits::RECORD_BYTES).contains(&length) {
        return Pause::Lost(wrong_length(kind, total));
    }
    if rest.len() < length {
        return Pause::More { need: length, known: true };
    }
    let trailer = u32_at(big, rest, length - TRAILER);
    if trailer != Some(total) {
        return Pause::Lost(wrong_trailer(total, trailer));
    }
    Pause::Cold { length, kind }
}

fn wrong_length(kind: u32, total: u32) -> String {
    if !total.is_multiple_of(4) {
        return format!("block length {total} is not a multiple of 4");
    }
    format!("a block of type {kind} with an impossible length of {total} bytes")
}

fn wrong_trailer(total: u32, trailer: Option<u32>) -> String {
    format!("the block's length is {total} at its start and {} at its end", trailer.unwrap_or(0))
}

/// `Some(true)`: big endian. `None`: not the mark of a section.
pub(super) fn byte_order(mark: &[u8; 4]) -> Option<bool> {
    match mark {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

#[cold]
fn note_use(used: &mut Vec<LinkType>, link: LinkType) {
    if !used.contains(&link) {
        used.push(link);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::made::{Pcapng, T0, read, small_pcapng, us};
    use super::super::{Merged, Source, Window};
    use crate::model::KeyLog;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn both_byte_orders_give_the_same_packets_without_padding() {
        for big in [false, true] {
            let (seen, facts) = read(&small_pcapng(big).0);
            assert_eq!(seen.len(), 4);
            assert_eq!((&seen[0].data[..], seen[0].wire), (&[0; 21][..], 21));
            assert_eq!(seen[3].ns, i64::from(T0) * SECOND + 3_000);
            assert_eq!((facts.format, facts.damage.len(), facts.cut_short), ("pcapng", 0, None));
        }
    }

    #[test]
    fn sections_of_either_byte_order_follow_each_other_with_their_own_interfaces() {
        let mut file = Pcapng::new(false);
        file.interface(1, 0, &[]);
        file.packet(0, us(0), b"one");
        file.section(true);
        file.interface(276, 96, &[]);
        file.interface(0, 0, &[(9, vec![9])]);
        file.packet(1, us(1) * 1_000, b"two");
        file.packet(0, us(2), b"three");
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen.iter().map(|p| (p.link, p.iface)).collect::<Vec<_>>(), [(1, 0), (0, 1), (276, 0)]);
        assert_eq!(seen[1].ns, i64::from(T0) * SECOND + 1_000);
        assert_eq!(facts.link_types, ["EN10MB", "NULL", "LINUX_SLL2"]);
    }

    #[test]
    fn every_clock_gives_nanoseconds() {
        let mut file = Pcapng::new(true);
        let o = file.order;
        file.interface(1, 0, &[(9, vec![0x80 | 20])]);
        file.interface(1, 0, &[(9, vec![3]), (14, o.u64(u64::from(T0)).to_vec())]);
        file.packet(0, u64::from(T0) << 20 | 1 << 19, b"x");
        file.packet(1, 1_500, b"y");
        let (seen, _) = read(&file.bytes);
        assert_eq!(seen[0].ns, i64::from(T0) * SECOND + SECOND / 2);
        assert_eq!(seen[1].ns, i64::from(T0) * SECOND + SECOND * 3 / 2);
    }

    #[test]
    fn simple_and_obsolete_packets_are_read() {
        let mut file = Pcapng::new(false);
        let o = file.order;
        file.interface(1, 6, &[]);
        file.packet(0, us(0), b"first");
        file.block(3, &[&o.u32(10)[..], b"simple\0\0"].concat());
        let head = [o.u16(0), o.u16(3)].concat();
        let time = [o.u32(u32::try_from(us(7) >> 32).unwrap()), o.u32(u32::try_from(us(7) & 0xffff_ffff).unwrap())];
        file.block(2, &[&head[..], &time.concat(), &o.u32(3), &o.u32(9), b"old"].concat());
        let (seen, facts) = read(&file.bytes);
        assert_eq!((&seen[1].data[..], seen[1].wire, seen[1].ns), (&b"simple"[..], 10, seen[0].ns));
        assert_eq!((&seen[2].data[..], seen[2].wire), (&b"old"[..], 9));
        assert_eq!(seen[2].ns, i64::from(T0) * SECOND + 7_000);
        assert_eq!((facts.damage.len(), facts.snapped), (0, 2));
    }

    #[test]
    fn packets_without_a_time_do_not_set_the_first_time() {
        let mut file = Pcapng::new(false);
        let o = file.order;
        file.interface(1, 0, &[]);
        file.block(3, &[&o.u32(4)[..], b"none"].concat());
        assert_eq!(read(&file.bytes).1.first, None);
        file.packet(0, us(5), b"x");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen[0].ns, facts.first.map(|t| t.0)), (0, Some(seen[1].ns)));
    }

    #[test]
    fn side_blocks_are_kept_and_unknown_ones_skipped() {
        let mut file = Pcapng::new(false);
        let o = file.order;
        file.interface(1, 0, &[]);
        file.block(10, &[&o.u32(0x544c_534b)[..], &o.u32(13), b"CLIENT_RANDOM"].concat());
        file.block(10, &[&o.u32(0x5753_4b4c)[..], &o.u32(3), b"wg1"].concat());
        let four = (1, b"\x0a\0\0\x01a.example\0b.example\0".to_vec());
        let six = (2, [&[0xfd; 16][..], b"six\0"].concat());
        file.block(4, &file.options(&[four, six, (0, Vec::new())]));
        file.block(0x8000_0001, b"whatever");
        let statistics = |kernel: u64| {
            let options = file.options(&[(5, o.u64(11).to_vec()), (7, o.u64(kernel).to_vec())]);
            [&o.u32(0)[..], &o.u64(0), &options].concat()
        };
        let (early, late) = (statistics(30), statistics(42));
        file.block(5, &early);
        file.packet(0, us(0), b"x");
        file.block(5, &late);
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen.len(), facts.damage.len()), (1, 0));
        assert_eq!(facts.secrets, [KeyLog::new(b"CLIENT_RANDOM")]);
        assert_eq!((facts.dropped_interface, facts.dropped_kernel), (11, 42));
        let names: Vec<_> = facts.names.iter().map(|(ip, name)| format!("{ip} {}", name.escape_ascii())).collect();
        assert_eq!(names[..2], ["10.0.0.1 a.example", "10.0.0.1 b.example"]);
        assert!(names[2].ends_with(" six"));
    }

    #[test]
    fn numbers_are_those_of_wireshark_which_counts_custom_blocks() {
        let mut file = Pcapng::new(false);
        file.interface(1, 0, &[]);
        file.block(0xbad, b"\x01\0\0\0data");
        file.packet(0, us(0), b"x");
        file.block(0x4000_0bad, b"\x01\0\0\0data");
        file.packet(0, us(1), b"y");
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen.iter().map(|p| p.no).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(facts.packets, 2);
    }

    #[test]
    fn a_block_that_contradicts_itself_costs_itself_alone() {
        let mut file = Pcapng::new(true);
        file.interface(1, 0, &[]);
        file.packet(0, us(0), b"good");
        let at = file.bytes.len();
        file.packet(3, us(1), b"of no interface");
        file.enhanced(0, us(2), 99, 99, b"too short");
        file.packet(0, us(3), b"good too");
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen.len(), 2);
        let [first, second] = &facts.damage[..] else { panic!("{:?}", facts.damage) };
        assert_eq!((first.packet, first.byte, first.lost_bytes), (2, at as u64, 48));
        assert_eq!(first.why, "a packet of interface 3, which the file does not declare");
        assert_eq!(second.why, "a captured length of 99 bytes in a block of 44");
    }

    #[test]
    fn interfaces_beyond_the_limit_are_refused_and_reading_goes_on() {
        let mut file = Pcapng::new(false);
        for _ in 0..crate::base::limits::INTERFACES + 3 {
            file.interface(1, 0, &[]);
        }
        file.packet(4_095, us(0), b"x");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen.len(), seen[0].iface, facts.damage.len()), (1, 4_095, 3));
    }

    #[test]
    fn a_batch_has_the_interfaces_of_its_own_section() {
        let mut file = Pcapng::new(false);
        file.interface(1, 96, &[(2, b"eth0".to_vec()), (3, b"the \xff edge".to_vec())]);
        file.packet(0, us(0), b"one");
        file.interface(0, 0, &[]);
        file.packet(1, us(1), b"two");
        file.section(true);
        file.interface(276, 0, &[(2, b"any".to_vec())]);
        file.packet(0, us(2), b"three");
        let source = Source::from_bytes("made", file.bytes);
        let mut merged = Merged::from_sources(vec![source], &Window::default()).unwrap();
        let mut seen = Vec::new();
        while let Some(batch) = merged.next_batch().unwrap() {
            for record in batch.records {
                let of = batch.interfaces[usize::from(record.iface)].clone();
                assert_eq!(of.link, record.link);
                let text = |b: Option<Box<[u8]>>| b.map(|b| b.escape_ascii().to_string()).unwrap_or_default();
                seen.push((batch.section, of.snaplen, text(of.name), text(of.description)));
            }
        }
        let told = |section, snaplen, name: &str, words: &str| (section, snaplen, name.to_owned(), words.to_owned());
        let first = told(0, 96, "eth0", "the \\xff edge");
        assert_eq!(seen, [first, told(0, 0, "", ""), told(1, 0, "any", "")]);
    }
}
