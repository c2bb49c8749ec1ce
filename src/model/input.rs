//! What is known of one input: `inputs[]` of the report.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::base::{Nanos, Timestamp};

#[derive(Clone, Debug, Default)]
pub struct InputFacts {
    /// As the user gave it.
    pub path: String,
    /// `pcap`, `pcapng`.
    pub format: &'static str,
    /// `gzip`, `zstd`, `lz4`, `xz`. `None` where it is not compressed.
    pub compression: Option<&'static str>,
    /// The compressed data ends before its end: what could be unpacked was read, and `cut_short` is set.
    pub packed_cut: bool,
    /// Bytes behind the compressed data that are none (padding, garbage), and were passed over.
    pub packed_rest: u64,
    /// LINKTYPE_ names in order of first use; those declared, in a file without packets.
    pub link_types: Vec<String>,
    /// Of those, the ones that cannot be read: every packet of theirs counts as undecodable.
    pub unread_links: Vec<(String, LinkType)>,
    /// All packets of the file, those outside `--since` and `--until` too.
    pub packets: u64,
    /// Packets passed over because they lie outside `--since` and `--until`.
    pub outside: u64,
    /// Packet bytes in the file.
    pub captured_bytes: u64,
    /// Earliest and latest packet time. `None` in a file without packets, or whose packets have no
    /// times.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// What is added to its times to compare them with the first input's.
    pub clock_offset: Nanos,
    /// How that offset was estimated. `None`: it was not.
    pub clock_estimated: Option<ClockEstimate>,
    /// Connections to this server have another clock than the others, to whose times this is added: the input was merged
    /// from several captures. `None`: nothing shows that.
    pub clock_within: Option<(IpAddr, Nanos)>,
    /// At most `limits::DAMAGES`.
    pub damage: Vec<Damage>,
    /// Damaged places beyond those in `damage`, and the bytes lost there.
    pub more_damage: u64,
    pub more_lost_bytes: u64,
    /// The file ends inside its last packet: a warning, not damage. Bytes that are missing, 0 if unknown.
    pub cut_short: Option<u64>,
    /// Drops that the file itself tells of (pcapng interface statistics).
    pub dropped_kernel: u64,
    pub dropped_interface: u64,
    /// Largest snap length that cut a packet, in bytes; `None` where no packet was cut.
    pub snaplen: Option<u32>,
    /// Packets cut by the snap length.
    pub snapped: u64,
    /// Times at which packet time went backwards.
    pub time_backwards: u64,
    /// Packets longer on the wire than `limits::WIRE_BYTES`, and the longest packet of all in bytes.
    pub oversized: u64,
    pub longest: u32,
    /// TLS key logs of decryption secrets blocks, in order of the file.
    pub secrets: Vec<KeyLog>,
    /// Names of addresses from name resolution blocks, in order of the file.
    pub names: Vec<(IpAddr, Box<[u8]>)>,
    /// Secrets and names left out because of `limits::SIDE_BLOCK_BYTES`.
    pub side_blocks_dropped: u64,
}

/// A TLS key log (RFC 9850): wiped when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyLog(Zeroizing<Vec<u8>>);

impl KeyLog {
    pub fn new(bytes: &[u8]) -> Self {
        KeyLog(Zeroizing::new(bytes.to_vec()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLog({} bytes)", self.0.len())
    }
}

impl InputFacts {
    /// Why no more came of it: a device that went away while it was captured, or a pipe beside devices that could not be
    /// read. `None`: it ended as it should, or is a file.
    pub fn broke_off(&self) -> Option<&str> {
        let ran = self.format == "live";
        self.damage.first().filter(|_| ran).map(|damage| &*damage.why)
    }

    /// What is said behind `byte N`: of what the byte is. Empty where it is the file itself.
    pub fn of_what(&self) -> &'static str {
        if self.compression.is_some() { " of the decompressed capture" } else { "" }
    }
}

/// How well two inputs' clocks could be compared by legs that both captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockEstimate {
    /// Pairs of legs that it rests on.
    pub pairs: u64,
    /// The offset is right to within this.
    pub error: Nanos,
}

/// What the first bytes of a packet are: a LINKTYPE_ number of the registry at tcpdump.org, without
/// the bits that tell of a frame check sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// A place where an input is faulty; reading went on behind it where it could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// 1-based number of the packet that could not be read.
    pub packet: u64,
    /// Offset in the (decompressed) file.
    pub byte: u64,
    /// In words, lower case, no full stop.
    pub why: String,
    /// Bytes skipped to the next plausible record; to the end of the file where there was none.
    pub lost_bytes: u64,
}
