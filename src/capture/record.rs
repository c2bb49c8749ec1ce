//! A packet as it lies in the read buffer, and a handful of them.

use super::buffer::Page;
use crate::base::{PacketRef, Timestamp};
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
