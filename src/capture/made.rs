//! Captures built byte by byte, for the tests of this folder.

use std::io::Read;

use super::{Error, Merged, Source, Window};
use crate::model::InputFacts;

/// A packet as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) no: u64,
    pub(super) ns: i64,
    pub(super) link: u16,
    pub(super) iface: u16,
    pub(super) wire: u32,
    pub(super) data: Vec<u8>,
}

/// All packets of one capture, and its facts.
pub(super) fn read(bytes: &[u8]) -> (Vec<Seen>, InputFacts) {
    read_from(Source::from_bytes("made", bytes.to_vec())).unwrap()
}

pub(super) fn read_from(source: Source) -> Result<(Vec<Seen>, InputFacts), Error> {
    let mut merged = Merged::from_sources(vec![source], &Window::default())?;
    let mut seen = Vec::new();
    while let Some(batch) = merged.next_batch()? {
        assert!(!batch.records.is_empty() && batch.records.len() <= crate::base::limits::BATCH_PACKETS);
        seen.extend(batch.records.iter().map(|r| Seen {
            no: r.no,
            ns: r.ts.0,
            link: r.link.0,
            iface: r.iface,
            wire: r.wire_len,
            data: r.data(batch.bytes).to_vec(),
        }));
    }
    let facts = merged.into_facts().remove(0);
    assert_eq!(facts.packets, seen.len() as u64);
    Ok((seen, facts))
}

/// Gives at most one to seven bytes at a time, like a slow pipe.
pub(super) struct Trickle(pub(super) Vec<u8>, pub(super) usize);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let count = self.1.min(out.len()).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
pub(super) struct Order(pub(super) bool);

impl Order {
    pub(super) fn u16(self, n: u16) -> [u8; 2] {
        if self.0 { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(super) fn u32(self, n: u32) -> [u8; 4] {
        if self.0 { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(super) fn u64(self, n: u64) -> [u8; 8] {
        if self.0 { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

pub(super) const US: u32 = 0xa1b2_c3d4;
pub(super) const NS: u32 = 0xa1b2_3c4d;
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;
/// Seconds of the first packet of most captures here.
pub(super) const T0: u32 = 1_700_000_000;

/// A pcap file.
pub(super) struct Pcap {
    pub(super) order: Order,
    pub(super) magic: u32,
    pub(super) bytes: Vec<u8>,
}

impl Pcap {
    pub(super) fn new(big: bool, magic: u32, snaplen: u32, network: u32) -> Self {
        let o = Order(big);
        let mut bytes = o.u32(magic).to_vec();
        bytes.extend([o.u16(2), o.u16(4)].concat());
        bytes.extend([o.u32(0), o.u32(0), o.u32(snaplen), o.u32(network)].concat());
        Pcap { order: o, magic, bytes }
    }

    pub(super) fn usual() -> Self {
        Pcap::new(false, US, 262_144, 1)
    }

    pub(super) fn packet(mut self, sec: u32, frac: u32, data: &[u8]) -> Self {
        let len = u32::try_from(data.len()).unwrap();
        self.record(sec, frac, len, len, data);
        self
    }

    pub(super) fn record(&mut self, sec: u32, frac: u32, cap: u32, wire: u32, data: &[u8]) {
        let o = self.order;
        self.bytes.extend([o.u32(sec), o.u32(frac), o.u32(cap), o.u32(wire)].concat());
        if self.magic == MODIFIED {
            self.bytes.extend([0, 0, 0, 2, 8, 0, 0, 0]);
        }
        self.bytes.extend_from_slice(data);
    }
}

/// A pcapng file.
pub(super) struct Pcapng {
    pub(super) order: Order,
    pub(super) bytes: Vec<u8>,
}

impl Pcapng {
    pub(super) fn new(big: bool) -> Self {
        let mut file = Pcapng { order: Order(big), bytes: Vec::new() };
        file.section(big);
        file
    }

    pub(super) fn section(&mut self, big: bool) {
        self.order = Order(big);
        let o = self.order;
        let body = [&o.u32(0x1a2b_3c4d)[..], &o.u16(1), &o.u16(0), &o.u64(u64::MAX)].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    /// Any block; the body is padded to four bytes.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let total = self.order.u32(u32::try_from(padded + 12).unwrap());
        self.bytes.extend([self.order.u32(kind), total].concat());
        self.bytes.extend_from_slice(body);
        self.bytes.resize(self.bytes.len() + padded - body.len(), 0);
        self.bytes.extend(total);
    }

    pub(super) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, Vec<u8>)]) {
        let o = self.order;
        let body = [&o.u16(link)[..], &o.u16(0), &o.u32(snaplen), &self.options(options)].concat();
        self.block(1, &body);
    }

    pub(super) fn options(&self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend(self.order.u16(*code));
            out.extend(self.order.u16(u16::try_from(value.len()).unwrap()));
            out.extend(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    pub(super) fn packet(&mut self, iface: u32, units: u64, data: &[u8]) {
        let len = u32::try_from(data.len()).unwrap();
        self.enhanced(iface, units, len, len, data);
    }

    pub(super) fn enhanced(&mut self, iface: u32, units: u64, cap: u32, wire: u32, data: &[u8]) {
        let o = self.order;
        let (high, low) = (u32::try_from(units >> 32).unwrap(), u32::try_from(units & 0xffff_ffff).unwrap());
        let head = [o.u32(iface), o.u32(high), o.u32(low), o.u32(cap), o.u32(wire)].concat();
        self.block(6, &[&head[..], data].concat());
    }
}

/// Microseconds of `T0` and a little later.
pub(super) fn us(after: u64) -> u64 {
    u64::from(T0) * 1_000_000 + after
}

/// A small pcap file of four packets, and where each record ends.
pub(super) fn small_pcap(big: bool, magic: u32) -> (Vec<u8>, Vec<usize>) {
    let mut file = Pcap::new(big, magic, 65_535, 1);
    let mut ends = Vec::new();
    for n in 0..4_u8 {
        file = file.packet(T0 + u32::from(n), 5, &vec![n; 20 + usize::from(n)]);
        ends.push(file.bytes.len());
    }
    (file.bytes, ends)
}

/// A small pcapng file of four packets, and where each block ends that holds one.
pub(super) fn small_pcapng(big: bool) -> (Vec<u8>, Vec<usize>) {
    let mut file = Pcapng::new(big);
    file.interface(1, 65_535, &[(2, b"eth0".to_vec())]);
    let mut ends = Vec::new();
    for n in 0..4_u8 {
        file.packet(0, us(u64::from(n)), &vec![n; 21 + usize::from(n)]);
        ends.push(file.bytes.len());
    }
    (file.bytes, ends)
}
