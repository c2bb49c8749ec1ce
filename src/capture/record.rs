//! A packet as it lies in the read buffer, and a handful of them.

use super::buffer::Page;
use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::LinkType;

/// One packet of a capture. Its bytes stay in the batch that brought it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where its bytes begin in the batch's `bytes`.
    pub off: u32,
    /// Bytes captured: the length of its data.
    pub cap_len: u32,
    /// Bytes it had on the wire; never less than `cap_len`.
    pub wire_len: u32,
    pub link: LinkType,
    /// Number of the interface in its section of a pcapng file; 0 in pcap.
    pub iface: u16,
    /// Packet time. A packet without one has the time of the packet before it, or 0.
    pub ts: Timestamp,
    /// 1-based number in its input (Wireshark's `frame.number`).
    pub no: u64,
}

/// Puts packets that stand a little too late (`limits::DISORDER_MS`) where their time wants them. `times`: how often time went
/// backwards among them; a clock that was set does so once, packets that were shuffled do again and again.
pub(super) fn in_order(records: &mut [Record], times: u64) {
    let shuffled = times.saturating_mul(SHUFFLED) >= records.len() as u64 && times > 1;
    let least = Nanos::from_millis(if shuffled { limits::REORDER_MS } else { limits::DISORDER_MS });
    for at in 1..records.len() {
        let Some(&late) = records.get(at) else { return };
        let before = records.get(..at).unwrap_or_default();
        let later = |r: &&Record| r.ts > late.ts && r.ts.since(late.ts) <= least && late.ts != Timestamp(0);
        let places = before.iter().rev().take_while(later).count();
        if let Some(moved) = records.get_mut(at - places..=at).filter(|_| places > 0) {
            moved.rotate_right(1);
        }
    }
}

/// Of so many packets of a batch one at least goes backwards where they were shuffled.
const SHUFFLED: u64 = 8;

/// Packets of one input that follow each other on the timeline: one read buffer, and at most
/// `limits::BATCH_PACKETS` records in it.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub bytes: &'a [u8],
    /// What `bytes` are the beginning of. Who keeps it keeps them.
    pub page: &'a Page,
    pub records: &'a [Record],
    /// The next batch of this input begins with reading.
    pub last_of_page: bool,
    /// Index of the input as given.
    pub input: u16,
    /// The capture point: inputs of one point continue each other's flows.
    pub point: u16,
    /// The section of a pcapng file, or the file within pcap files joined by `cat`, from 0. A batch never
    /// spans two.
    pub section: u32,
    /// Its interfaces, by their number; one in pcap.
    pub interfaces: &'a [Interface],
}

/// What is told of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub link: LinkType,
    /// Bytes kept of each packet, as the file says; 0: no limit, or not known.
    pub snaplen: u32,
    /// As the file has them. `None`: not told, or beyond `limits::SIDE_BLOCK_BYTES`.
    pub name: Option<Box<[u8]>>,
    pub description: Option<Box<[u8]>>,
}

impl Record {
    /// The captured bytes, from the `bytes` of the batch that holds this record.
    #[inline]
    pub fn data<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let from = self.off as usize;
        bytes.get(from..from.saturating_add(self.cap_len as usize)).unwrap_or_default()
    }
}

impl Batch<'_> {
    /// The name of one of its packets.
    #[inline]
    pub fn at(&self, record: &Record) -> PacketRef {
        PacketRef::new(self.input, record.no)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_stands_a_little_too_late_is_taken_at_its_time_and_a_clock_that_was_set_is_left_alone() {
        let record = |ms: i64, no| Record { ts: Timestamp(0) + Nanos::from_millis(ms), no, ..Record::default() };
        let order = |all: &[i64]| {
            let mut records: Vec<Record> = all.iter().zip(1..).map(|(&ms, no)| record(ms, no)).collect();
            let times = all.windows(2).filter(|pair| matches!(pair, [a, b] if b < a)).count() as u64;
            in_order(&mut records, times);
            records.iter().map(|r| r.no).collect::<Vec<_>>()
        };
        assert_eq!(order(&[100, 103, 101, 102, 104]), [1, 3, 4, 2, 5]);
        assert_eq!(order(&[100, 100, 103, 100]), [1, 2, 4, 3], "those of one time stay in order");
        assert_eq!(order(&[5_000, 5_001, 3_000, 3_001]), [1, 2, 3, 4], "the clock was set");
        assert_eq!(order(&[900, 100, 800, 200, 700]), [2, 4, 5, 3, 1], "shuffled");
        assert_eq!(order(&[5, 0, 6]), [1, 2, 3], "a packet without a time");
    }
}
