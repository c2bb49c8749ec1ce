//! The pcap format: microseconds and nanoseconds, both byte orders, and the "modified" variant of
//! Alexey Kuznetsov's patch. Read with draft-ietf-opsawg-pcap open.
//!
//! In: the unread bytes of the buffer. Out: records that point into it. Never copies, never allocates
//! but for the words of a fault. Its loop is the hot path: what is odd goes to `pcap_resync::judge`.

use super::pcap_resync::Verdict;
use super::record::{Interface, Record};
use super::walk::{Search, Stop, Unread, index, offset, u16_at, u32_at, u32_of};
use crate::base::{Timestamp, limits};
use crate::model::LinkType;

/// Bytes of the header of the file.
pub(super) const FILE_HEAD: usize = 24;

/// Packets further apart than this make a record header suspicious, in seconds.
pub(super) const NEAR_S: u32 = 86_400;

/// The state of reading one pcap file.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    big: bool,
    /// Bytes of a record's header: 16, modified 24.
    pub(super) head_len: usize,
    /// Nanoseconds of one unit of the fraction: 1 or 1,000.
    unit: u32,
    pub(super) interface: Interface,
    /// Files joined before this one.
    pub(super) section: u32,
    /// Largest captured length that is believed.
    pub(super) max: u32,
    /// Minor version: before 4, the two lengths may be swapped.
    pub(super) minor: u16,
    /// Seconds of the packet before; `None` before the first.
    pub(super) last_s: Option<u32>,
}

/// A record's header, as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) sec: u32,
    pub(super) frac: u32,
    pub(super) cap: u32,
    pub(super) wire: u32,
}

impl Pcap {
    /// Whether a file begins like a pcap file.
    pub(super) fn claims(bytes: &[u8]) -> bool {
        bytes.first_chunk::<4>().is_some_and(|magic| variant(*magic).is_some())
    }

    /// Reads the file's header. `Err`: why it cannot be read, and what to do.
    pub(super) fn open(head: &[u8]) -> Result<Self, (String, String)> {
        let found = head.first_chunk::<4>().and_then(|magic| variant(*magic));
        let Some((big, unit, head_len)) = found else {
            return Err(("it is not a pcap file".into(), "give a capture file".into()));
        };
        let words = (u16_at(big, head, 4), u16_at(big, head, 6), u32_at(big, head, 16), u32_at(big, head, 20));
        let (Some(major), Some(minor), Some(snaplen), Some(network)) = words else {
            let why = format!("the file ends after {} bytes, inside the header of a pcap file", head.len());
            return Err((why, "copy it again, or capture again".into()));
        };
        if major != 2 {
            let why = format!("it is a pcap file of version {major}.{minor}, and only version 2 is known");
            return Err((why, "read it with the program that wrote it".into()));
        }
        // Bits 16 to 25 must be 0; 26 and 28 to 31 tell of frame check sequences (pcap §4).
        if network & 0x03ff_0000 != 0 {
            let why = format!("its link type 0x{network:08x} has reserved bits set, so the header is damaged or new");
            return Err((why, "open it in Wireshark and save it as pcapng".into()));
        }
        let allowed = index(snaplen).min(limits::RECORD_BYTES + 1);
        let max = if allowed > limits::RECORD_BYTES { 0 } else { allowed }.max(limits::PCAP_PACKET_BYTES);
        let link = LinkType((network & 0xffff) as u16);
        let interface = Interface { link, snaplen, ..Interface::default() };
        Ok(Pcap { big, head_len, unit, interface, section: 0, max: offset(max), minor, last_s: None })
    }

    /// Fills `out` up to a batch. Returns why it stopped.
    pub(super) fn walk(&mut self, unread: &mut Unread<'_>, out: &mut Vec<Record>) -> Stop {
        if self.big { self.walk_in::<true>(unread, out) } else { self.walk_in::<false>(unread, out) }
    }

    /// The first plausible record in `bytes`.
    pub(super) fn search(&self, bytes: &[u8], ended: bool) -> Search {
        super::pcap_resync::search(self, bytes, ended)
    }

    /// The header of a record, if it is whole.
    #[inline(always)]
    pub(super) fn header(&self, bytes: &[u8], at: usize) -> Option<Header> {
        if self.big { header::<true>(bytes, at) } else { header::<false>(bytes, at) }
    }

    /// Units of the fraction in a second.
    pub(super) fn per_second(&self) -> u32 {
        1_000_000_000 / self.unit
    }

    fn walk_in<const BIG: bool>(&mut self, unread: &mut Unread<'_>, out: &mut Vec<Record>) -> Stop {
        let Unread { window, mut at, ended, mut next_no } = *unread;
        let (head_len, unit, max, link) = (self.head_len, i64::from(self.unit), self.max, self.interface.link);
        // Before the first packet its own time is the measure.
        let Some(mut last_s) = self.last_s.or_else(|| header::<BIG>(window, at).map(|h| h.sec)) else {
            return Stop::More { need: head_len, known: false };
        };
        let stop = loop {
            if out.len() >= limits::BATCH_PACKETS {
                break Stop::Full;
            }
            let Some(mut head) = header::<BIG>(window, at) else {
                break Stop::More { need: head_len, known: false };
            };
            if !ordinary(head, last_s, max) {
                self.last_s = Some(last_s);
                match super::pcap_resync::judge(self, window.get(at..).unwrap_or_default(), ended) {
                    Verdict::Take(taken) => head = taken,
                    Verdict::More(need) => break Stop::More { need, known: false },
                    Verdict::Fault(why) => break Stop::Fault { why, skip: None },
                    Verdict::NewFile(new) => {
                        // The packets before are counted first, under their own link type.
                        if !out.is_empty() {
                            break Stop::Full;
                        }
                        *self = Pcap { section: self.section.saturating_add(1), ..*new };
                        (unread.at, unread.next_no) = (at + FILE_HEAD, next_no);
                        return Stop::Full;
                    }
                }
            }
            let data = at + head_len;
            let end = data + index(head.cap);
            if end > window.len() {
                break Stop::More { need: end - at, known: true };
            }
            out.push(Record {
                off: offset(data),
                cap_len: head.cap,
                wire_len: head.wire,
                link,
                iface: 0,
                ts: Timestamp(i64::from(head.sec) * 1_000_000_000 + i64::from(head.frac) * unit),
                no: next_no,
            });
            next_no += 1;
            last_s = head.sec;
            at = end;
        };
        self.last_s = Some(last_s);
        (unread.at, unread.next_no) = (at, next_no);
        stop
    }
}

/// Nothing about the header needs a second look: lengths in their bounds, and less than a day from
/// the packet before.
#[inline(always)]
fn ordinary(head: Header, last_s: u32, max: u32) -> bool {
    head.cap.wrapping_sub(1) < max
        && head.wire >= head.cap
        && head.wire <= WIRE_MAX
        && head.sec.wrapping_sub(last_s).wrapping_add(NEAR_S) <= 2 * NEAR_S
}

/// Largest length on the wire that is believed at once.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB")]
pub(super) const WIRE_MAX: u32 = limits::RECORD_BYTES as u32;

#[inline(always)]
fn header<const BIG: bool>(bytes: &[u8], at: usize) -> Option<Header> {
    let h = bytes.get(at..)?.first_chunk::<16>()?;
    Some(Header {
        sec: u32_of(BIG, [h[0], h[1], h[2], h[3]]),
        frac: u32_of(BIG, [h[4], h[5], h[6], h[7]]),
        cap: u32_of(BIG, [h[8], h[9], h[10], h[11]]),
        wire: u32_of(BIG, [h[12], h[13], h[14], h[15]]),
    })
}

/// Big endian, nanoseconds of a fraction's unit, bytes of a record's header.
fn variant(magic: [u8; 4]) -> Option<(bool, u32, usize)> {
    Some(match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000, 16),
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000, 16),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1, 16),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1, 16),
        // "Modified": interface, protocol and packet type follow the four words.
        [0xa1, 0xb2, 0xcd, 0x34] => (true, 1_000, 24),
        [0x34, 0xcd, 0xb2, 0xa1] => (false, 1_000, 24),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::made::{MODIFIED, NS, Pcap, T0, US, read, small_pcap};

    #[test]
    fn every_variant_gives_the_same_packets() {
        for big in [false, true] {
            for magic in [US, NS, MODIFIED] {
                let (bytes, _) = small_pcap(big, magic);
                let (seen, facts) = read(&bytes);
                assert_eq!(seen.iter().map(|p| p.no).collect::<Vec<_>>(), [1, 2, 3, 4]);
                let unit = if magic == NS { 1 } else { 1_000 };
                assert_eq!(seen[1].ns, (i64::from(T0) + 1) * 1_000_000_000 + 5 * unit);
                assert_eq!(seen[3].data, [3; 23]);
                assert_eq!((seen[0].link, seen[0].iface, seen[0].wire), (1, 0, 20));
                assert_eq!((facts.format, &facts.link_types[..]), ("pcap", &["EN10MB".to_owned()][..]));
                assert_eq!((facts.captured_bytes, facts.damage.len(), facts.cut_short), (86, 0, None));
                assert_eq!(facts.first.map(|t| t.0), Some(seen[0].ns));
                assert_eq!(facts.last.map(|t| t.0), Some(seen[3].ns));
            }
        }
    }

    #[test]
    fn bits_of_a_frame_check_sequence_do_not_change_the_link_type() {
        let file = Pcap::new(true, US, 100, 0x4400_0071).packet(T0, 0, b"x");
        assert_eq!(read(&file.bytes).0[0].link, 113);
    }

    #[test]
    fn a_packet_longer_than_the_snap_length_is_read() {
        let file = Pcap::new(false, US, 96, 1).packet(T0, 0, &[7; 1_500]).packet(T0, 1, b"next");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen.len(), seen[0].data.len(), facts.damage.len()), (2, 1_500, 0));
    }

    #[test]
    fn a_packet_larger_than_the_buffer_is_read_where_the_header_allows_it() {
        let large = vec![9; 3 << 20];
        let file = Pcap::new(false, US, 8 << 20, 1).packet(T0, 0, &large).packet(T0, 1, b"next");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen[0].data == large, &seen[1].data[..], facts.damage.len()), (true, &b"next"[..], 0));
    }

    #[test]
    fn a_fraction_above_a_second_counts_as_it_stands() {
        let file = Pcap::usual().packet(T0, 2_500_000, b"x").packet(T0 + 3, 0, b"y");
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen[0].ns, i64::from(T0) * 1_000_000_000 + 2_500_000_000);
        assert_eq!((seen.len(), facts.damage.len(), facts.time_backwards), (2, 0, 0));
    }

    #[test]
    fn cut_packets_are_counted_with_the_length_that_cut_them() {
        let mut file = Pcap::new(false, US, 8, 1);
        file.record(T0, 0, 8, 1_000, b"12345678");
        file.record(T0, 1, 4, 4, b"abcd");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen[0].wire, seen[1].wire), (1_000, 4));
        assert_eq!((facts.snapped, facts.snaplen), (1, Some(8)));
    }

    #[test]
    fn days_between_packets_and_times_that_go_back_are_no_damage() {
        let times = [T0, T0 + 900_000, 100, T0 + 5_000_000, T0 + 5_000_001, 7];
        let file = times.iter().fold(Pcap::usual(), |f, t| f.packet(*t, 1, b"0123456789"));
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen.len(), facts.damage.len(), facts.time_backwards), (6, 0, 2));
        assert_eq!(facts.first.map(|t| t.0), Some(7_000_001_000));
    }

    #[test]
    fn empty_packets_and_a_missing_wire_length_are_no_damage() {
        let mut file = Pcap::usual();
        file.record(T0, 0, 0, 0, b"");
        file.record(T0, 1, 0, 60, b"");
        file.record(T0, 2, 5, 0, b"12345");
        file.record(T0, 3, 5, 5, b"abcde");
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen.iter().map(|p| p.wire).collect::<Vec<_>>(), [0, 60, 5, 5]);
        assert!(facts.damage.is_empty(), "{:?}", facts.damage);
    }

    #[test]
    fn lengths_are_swapped_back_in_files_of_version_2_3() {
        let mut file = Pcap::usual();
        file.bytes[6] = 3;
        file.record(T0, 0, 1_000, 5, b"12345");
        file.record(T0, 1, 5, 5, b"abcde");
        let (seen, facts) = read(&file.bytes);
        assert_eq!((&seen[0].data[..], seen[0].wire), (&b"12345"[..], 1_000));
        assert_eq!((seen.len(), facts.damage.len()), (2, 0));
    }

    #[test]
    fn files_joined_end_to_end_are_read_through() {
        let mut bytes = small_pcap(false, US).0;
        bytes.extend(Pcap::new(true, NS, 0, 276).packet(T0, 3, b"second").bytes);
        let (seen, facts) = read(&bytes);
        assert_eq!((seen.len(), seen[4].no, seen[4].link), (5, 5, 276));
        assert_eq!(seen[4].ns, i64::from(T0) * 1_000_000_000 + 3);
        assert_eq!((facts.link_types, facts.damage.len()), (vec!["EN10MB".to_owned(), "LINUX_SLL2".to_owned()], 0));
    }
}
