//! Packets onto the disk: a pcap file of Ethernet, IPv4 and TCP with timestamps (RFC 7323), every
//! header copied from one template. Checksums of TCP are left to the network card, as captures on
//! the sending machine have them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// The bytes of a packet in front of its payload.
pub(crate) const HEADERS: usize = 14 + 20 + 32;
/// Payload of a full packet (1,514 bytes).
pub(crate) const FULL: usize = 1448;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// What a packet's headers say.
pub(crate) struct Headers {
    pub source: (u32, u16),
    pub destination: (u32, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
}

pub(crate) struct Writer {
    file: BufWriter<File>,
    /// Microseconds since the Unix epoch.
    now_us: u64,
    step_us: u64,
    template: [u8; 16 + HEADERS],
    pub packets: u64,
    pub bytes: u64,
}

impl Writer {
    /// `step_us`: between two packets.
    pub(crate) fn create(path: &Path, step_us: u64) -> Writer {
        let file = File::create(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut writer = Writer {
            file: BufWriter::with_capacity(1 << 20, file),
            now_us: 1_772_366_400_000_000,
            step_us,
            template: template(),
            packets: 0,
            bytes: 0,
        };
        let mut header = Vec::new();
        header.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
        header.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        header.extend_from_slice(&262_144_u32.to_le_bytes());
        header.extend_from_slice(&1_u32.to_le_bytes());
        writer.put(&header);
        writer
    }

    /// Writes one packet; its payload is what both slices hold.
    pub(crate) fn packet(&mut self, headers: &Headers, payload: [&[u8]; 2]) {
        let payload_bytes = payload[0].len() + payload[1].len();
        let ip_bytes = (20 + 32 + payload_bytes) as u16;
        let captured = (HEADERS + payload_bytes) as u32;
        let mut h = self.template;
        h[0..4].copy_from_slice(&((self.now_us / 1_000_000) as u32).to_le_bytes());
        h[4..8].copy_from_slice(&((self.now_us % 1_000_000) as u32).to_le_bytes());
        h[8..12].copy_from_slice(&captured.to_le_bytes());
        h[12..16].copy_from_slice(&captured.to_le_bytes());
        let ip = 16 + 14;
        h[ip + 2..ip + 4].copy_from_slice(&ip_bytes.to_be_bytes());
        h[ip + 4..ip + 6].copy_from_slice(&(self.packets as u16).to_be_bytes());
        h[ip + 12..ip + 16].copy_from_slice(&headers.source.0.to_be_bytes());
        h[ip + 16..ip + 20].copy_from_slice(&headers.destination.0.to_be_bytes());
        let sum = ip_checksum(&h[ip..ip + 20]);
        h[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        let tcp = ip + 20;
        h[tcp..tcp + 2].copy_from_slice(&headers.source.1.to_be_bytes());
        h[tcp + 2..tcp + 4].copy_from_slice(&headers.destination.1.to_be_bytes());
        h[tcp + 4..tcp + 8].copy_from_slice(&headers.seq.to_be_bytes());
        h[tcp + 8..tcp + 12].copy_from_slice(&headers.ack.to_be_bytes());
        h[tcp + 13] = headers.flags;
        h[tcp + 24..tcp + 28].copy_from_slice(&((self.now_us / 1000) as u32).to_be_bytes());
        self.put(&h);
        self.put(payload[0]);
        self.put(payload[1]);
        self.packets += 1;
        self.now_us += self.step_us;
    }

    pub(crate) fn finish(mut self) {
        self.file.flush().expect("room on the disk");
    }

    fn put(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).expect("room on the disk");
        self.bytes += bytes.len() as u64;
    }
}

/// A record header and a packet's headers with all that never changes.
fn template() -> [u8; 16 + HEADERS] {
    let mut h = [0; 16 + HEADERS];
    h[16..30].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    // Version and length, no fragments, time to live, TCP.
    (h[30], h[36], h[38], h[39]) = (0x45, 0x40, 64, 6);
    // Data offset of 8 words; window; two no-operations and the timestamps option.
    h[62] = 0x80;
    h[64..66].copy_from_slice(&501_u16.to_be_bytes());
    h[70..74].copy_from_slice(&[1, 1, 8, 10]);
    h
}

fn ip_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks_exact(2)
        .enumerate()
        .filter(|(i, _)| *i != 5)
        .map(|(_, w)| u32::from(w[0]) << 8 | u32::from(w[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
