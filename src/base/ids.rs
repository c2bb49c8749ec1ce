//! Names for things: packets, flows, exchanges, findings.

use std::fmt;

/// A packet of an input: the input's index and the packet's 1-based number in it (Wireshark's
/// `frame.number`), in one word. Orders by input, then number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRef(u64);

impl PacketRef {
    /// `input`: index of the input as given; `number`: 1-based, cut to 48 bits.
    pub fn new(input: u16, number: u64) -> Self {
        PacketRef(u64::from(input) << 48 | (number & 0xffff_ffff_ffff))
    }

    /// All of it in one word, for [`PacketRef::from_bits`].
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub fn from_bits(bits: u64) -> Self {
        PacketRef(bits)
    }

    pub fn input(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// 1-based number of the packet in its input.
    pub fn number(self) -> u64 {
        self.0 & 0xffff_ffff_ffff
    }
}

/// A TCP connection seen, numbered from 1 in the order of first packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u32);

/// A request and its responses. Counts all requests of the capture, listed or not, from 1, in the
/// order in which reassembly delivered their first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// A finding, numbered from 1 in the order of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub u64);

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
