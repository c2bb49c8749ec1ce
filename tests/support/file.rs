//! Packets into the bytes of a capture file: pcap (draft-ietf-opsawg-pcap) and pcapng
//! (draft-ietf-opsawg-pcapng), in either byte order and resolution.

use super::link::{Link, Packet};

/// How a capture file is written.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub pcapng: bool,
    pub big_endian: bool,
    pub nanoseconds: bool,
    /// What the file header says; packets are cut by the caller.
    pub snaplen: u32,
    /// One link type for pcap, one for each interface for pcapng.
    pub links: Vec<Link>,
}

impl Format {
    pub(crate) fn pcap(link: Link) -> Format {
        Format { pcapng: false, big_endian: false, nanoseconds: false, snaplen: 262_144, links: vec![link] }
    }

    pub(crate) fn pcapng(links: &[Link]) -> Format {
        Format { pcapng: true, links: links.to_vec(), ..Format::pcap(Link::Ethernet) }
    }

    /// The whole file.
    pub(crate) fn write(&self, packets: &[Packet]) -> Vec<u8> {
        let mut file = Vec::new();
        if self.pcapng {
            self.section(&mut file);
            for packet in packets {
                self.enhanced_packet(&mut file, packet);
            }
        } else {
            self.pcap_header(&mut file);
            for packet in packets {
                self.pcap_record(&mut file, packet);
            }
        }
        file
    }

    fn pcap_header(&self, file: &mut Vec<u8>) {
        self.u32(file, if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
        self.u16(file, 2);
        self.u16(file, 4);
        self.u32(file, 0);
        self.u32(file, 0);
        self.u32(file, self.snaplen);
        self.u32(file, u32::from(self.links[0].number()));
    }

    fn pcap_record(&self, file: &mut Vec<u8>, packet: &Packet) {
        let fraction = packet.at_ns % 1_000_000_000;
        self.u32(file, (packet.at_ns / 1_000_000_000) as u32);
        self.u32(file, if self.nanoseconds { fraction } else { fraction / 1000 } as u32);
        self.u32(file, packet.data.len() as u32);
        self.u32(file, packet.wire_len);
        file.extend_from_slice(&packet.data);
    }

    /// Section header block, then one interface description block for each link type.
    pub(crate) fn section(&self, file: &mut Vec<u8>) {
        let mut body = Vec::new();
        self.u32(&mut body, 0x1a2b_3c4d);
        self.u16(&mut body, 1);
        self.u16(&mut body, 0);
        body.extend_from_slice(&[0xff; 8]);
        self.block(file, 0x0a0d_0d0a, &body);
        for link in &self.links {
            let mut body = Vec::new();
            self.u16(&mut body, link.number());
            self.u16(&mut body, 0);
            self.u32(&mut body, self.snaplen);
            if self.nanoseconds {
                // if_tsresol: 10^-9 seconds; then the end of options.
                self.u16(&mut body, 9);
                self.u16(&mut body, 1);
                body.extend_from_slice(&[9, 0, 0, 0]);
                body.extend_from_slice(&[0; 4]);
            }
            self.block(file, 1, &body);
        }
    }

    pub(crate) fn enhanced_packet(&self, file: &mut Vec<u8>, packet: &Packet) {
        let ticks = if self.nanoseconds { packet.at_ns } else { packet.at_ns / 1000 };
        let mut body = Vec::new();
        self.u32(&mut body, packet.interface);
        self.u32(&mut body, (ticks >> 32) as u32);
        self.u32(&mut body, (ticks & 0xffff_ffff) as u32);
        self.u32(&mut body, packet.data.len() as u32);
        self.u32(&mut body, packet.wire_len);
        body.extend_from_slice(&packet.data);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(file, 6, &body);
    }

    /// Any block: type, length, body, length again.
    pub(crate) fn block(&self, file: &mut Vec<u8>, kind: u32, body: &[u8]) {
        let length = body.len() as u32 + 12;
        self.u32(file, kind);
        self.u32(file, length);
        file.extend_from_slice(body);
        self.u32(file, length);
    }

    fn u16(&self, out: &mut Vec<u8>, value: u16) {
        out.extend_from_slice(&if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&self, out: &mut Vec<u8>, value: u32) {
        out.extend_from_slice(&if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::super::{link, script};
    use super::*;

    #[test]
    fn a_pcap_file_is_as_long_as_its_packets_say() {
        let packets = link::packets(&Script::flow().segments(), Link::Raw);
        let bytes: usize = packets.iter().map(|p| p.data.len() + 16).sum();
        let file = Format::pcap(Link::Raw).write(&packets);
        assert_eq!(file.len(), 24 + bytes);
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        assert_eq!(file[20..24], [101, 0, 0, 0]);
        assert_eq!(u32::from_le_bytes(file[24..28].try_into().unwrap()), (script::START_NS / 1_000_000_000) as u32);
    }

    #[test]
    fn pcapng_blocks_are_multiples_of_four_and_say_their_length_twice() {
        for big_endian in [false, true] {
            let packets = link::packets(&Script::flow().client("abc").segments(), Link::Ethernet);
            let format = Format { big_endian, nanoseconds: true, ..Format::pcapng(&[Link::Ethernet, Link::Raw]) };
            let file = format.write(&packets);
            let word = |at: usize| {
                let bytes = file[at..at + 4].try_into().unwrap();
                if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            };
            let (mut at, mut kinds) = (0, Vec::new());
            while at < file.len() {
                let length = word(at + 4) as usize;
                assert_eq!(length % 4, 0);
                assert_eq!(word(at + length - 4) as usize, length);
                kinds.push(word(at));
                at += length;
            }
            assert_eq!(kinds[..3], [0x0a0d_0d0a, 1, 1]);
            assert!(kinds[3..].iter().all(|&k| k == 6) && kinds.len() == 3 + packets.len());
        }
    }
}
