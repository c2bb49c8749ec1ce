//! The pcap format: microseconds and nanoseconds, both byte orders, and the "modified" variant of
//! Alexey Kuznetsov's patch. Read with draft-ietf-opsawg-pcap open.
//!
//! In: the unread bytes of the buffer. Out: records that point into it. Never copies, never allocates
//! but for the words of a fault. Its loop is the hot path: what is odd goes to `pcap_resync::judge`.

use super::pcap_resync::Verdict;
use super::record::Record;
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
    pub(super) link: LinkType,
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
        #[expect(clippy::cast_possible_truncation, reason = "masked to 16 bits")]
        let link = LinkType((network & 0xffff) as u16);
        Ok(Pcap { big, head_len, unit, link, max: offset(max), minor, last_s: None })
    }

    /// Fills `out` up to a batch. Returns the first unread byte then, and why it stopped.
    pub(super) fn walk(&mut self, unread: Unread<'_>, out: &mut Vec<Record>) -> (usize, Stop) {
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

    fn walk_in<const BIG: bool>(&mut self, unread: Unread<'_>, out: &mut Vec<Record>) -> (usize, Stop) {
        let Unread { window, mut at, ended, mut next_no } = unread;
        let (head_len, unit, max, link) = (self.head_len, i64::from(self.unit), self.max, self.link);
        // Before the first packet its own time is the measure.
        let Some(mut last_s) = self.last_s.or_else(|| header::<BIG>(window, at).map(|h| h.sec)) else {
            return (at, Stop::More { need: head_len, known: false });
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
                        // The batch before has the old link type and clock; go on with the new header.
                        *self = *new;
                        return (at + FILE_HEAD, Stop::Full);
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
        (at, stop)
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
