//! The bytes of a capture file into packets: pcap and pcapng in either byte order, gzipped or not, as far
//! as real captures need it. What is not a packet is left out.

use std::io::Read as _;

use super::file::Format;
use super::link::{Link, Packet};

/// What a capture file holds.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    /// The link type of each interface; pcap has one.
    pub links: Vec<Link>,
    pub packets: Vec<Packet>,
}

/// Panics where the file is not whole.
pub(crate) fn captured(file: &[u8]) -> Captured {
    if file.starts_with(&[0x1f, 0x8b]) {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("a whole gzip file");
        return captured(&bytes);
    }
    if file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { pcapng(file) } else { pcap(file) }
}

impl Captured {
    /// As pcapng of nanoseconds, which holds any of them.
    pub(crate) fn write(&self) -> Vec<u8> {
        Format { nanoseconds: true, ..Format::pcapng(&self.links) }.write(&self.packets)
    }

    /// All of them as one, in order of time; those of one time stay in order.
    pub(crate) fn merged(all: impl IntoIterator<Item = Captured>) -> Captured {
        let mut merged = Captured { links: Vec::new(), packets: Vec::new() };
        for captured in all {
            let first = merged.links.len() as u32;
            merged.links.extend(captured.links);
            let renumbered = captured.packets.into_iter().map(|p| Packet { interface: p.interface + first, ..p });
            merged.packets.extend(renumbered);
        }
        merged.packets.sort_by_key(|p| p.at_ns);
        merged
    }

    pub(crate) fn link_of(&self, packet: &Packet) -> u16 {
        self.links[packet.interface as usize].number()
    }
}

/// Numbers in the byte order of the file.
struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Reader<'_> {
    fn u16(&self, at: usize) -> u16 {
        let two = self.bytes[at..at + 2].try_into().expect("two bytes");
        if self.big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
    }

    fn u32(&self, at: usize) -> u32 {
        let four = self.bytes[at..at + 4].try_into().expect("four bytes");
        if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    }
}

fn link(number: u16) -> Link {
    [Link::Null, Link::Ethernet, Link::Raw, Link::Loop, Link::LinuxSll, Link::LinuxSll2]
        .into_iter()
        .find(|link| link.number() == number)
        .unwrap_or(Link::Other(number))
}

fn pcap(file: &[u8]) -> Captured {
    let big_endian = file[0] == 0xa1;
    let reader = Reader { bytes: file, big_endian };
    let nanoseconds = match reader.u32(0) {
        0xa1b2_c3d4 => false,
        0xa1b2_3c4d => true,
        magic => panic!("no capture begins with {magic:08x}"),
    };
    let links = vec![link(reader.u32(20) as u16)];
    let (mut at, mut packets) = (24, Vec::new());
    while at < file.len() {
        let unit = if nanoseconds { 1 } else { 1_000 };
        let at_ns = u64::from(reader.u32(at)) * 1_000_000_000 + u64::from(reader.u32(at + 4)) * unit;
        let end = at + 16 + reader.u32(at + 8) as usize;
        packets.push(Packet { at_ns, interface: 0, wire_len: reader.u32(at + 12), data: file[at + 16..end].to_vec() });
        at = end;
    }
    Captured { links, packets }
}

fn pcapng(file: &[u8]) -> Captured {
    let mut reader = Reader { bytes: file, big_endian: false };
    let (mut at, mut links, mut ticks, mut packets) = (0, Vec::new(), Vec::new(), Vec::new());
    while at < file.len() {
        if file[at..at + 4] == [0x0a, 0x0d, 0x0d, 0x0a] {
            assert!(links.is_empty(), "one section is all that is read here");
            reader.big_endian = file[at + 8] == 0x1a;
        }
        let length = reader.u32(at + 4) as usize;
        match reader.u32(at) {
            1 => {
                links.push(link(reader.u16(at + 8)));
                ticks.push(tick_ns(&reader, at + 16, at + length - 4));
            }
            6 => {
                let interface = reader.u32(at + 8);
                let count = u64::from(reader.u32(at + 12)) << 32 | u64::from(reader.u32(at + 16));
                packets.push(Packet {
                    at_ns: count * ticks[interface as usize],
                    interface,
                    wire_len: reader.u32(at + 24),
                    data: file[at + 28..at + 28 + reader.u32(at + 20) as usize].to_vec(),
                });
            }
            _ => {}
        }
        at += length;
    }
    Captured { links, packets }
}

/// Nanoseconds of one tick, from if_tsresol among the options that stand there.
fn tick_ns(reader: &Reader<'_>, mut at: usize, end: usize) -> u64 {
    while at + 4 <= end && reader.u16(at) != 0 {
        let length = usize::from(reader.u16(at + 2));
        if reader.u16(at) == 9 {
            let digits = u32::from(reader.bytes[at + 4]);
            assert!(digits <= 9, "powers of ten up to nanoseconds are all that is read here");
            return 10_u64.pow(9 - digits);
        }
        at += 4 + length.next_multiple_of(4);
    }
    1_000
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::super::{link, pack};
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let packets = link::packets(&Script::flow().client("abc").segments(), Link::Ethernet);
        let formats = [Format::pcap(Link::Ethernet), Format::pcapng(&[Link::Ethernet, Link::Raw])];
        for (format, big_endian, nanoseconds) in
            formats.iter().flat_map(|f| [(f, false, false), (f, true, false), (f, false, true), (f, true, true)])
        {
            let format = Format { big_endian, nanoseconds, ..format.clone() };
            let file = format.write(&packets);
            for file in [pack::gzip(&file), file] {
                let read = captured(&file);
                assert_eq!(read.links, format.links);
                assert_eq!(format!("{:?}", read.packets), format!("{packets:?}"));
            }
        }
    }

    #[test]
    fn captures_are_merged_by_time_and_keep_their_link_types() {
        let one = |link, client: &str| Captured {
            links: vec![link],
            packets: link::packets(&Script::between(client, "203.0.113.9:80").segments(), link),
        };
        let merged = Captured::merged([one(Link::Ethernet, "198.51.100.7:4"), one(Link::Raw, "198.51.100.8:4")]);
        assert_eq!(merged.links, [Link::Ethernet, Link::Raw]);
        assert!(merged.packets.is_sorted_by_key(|p| p.at_ns) && merged.packets.len() == 6);
        assert_eq!(merged.packets.iter().map(|p| merged.link_of(p)).collect::<Vec<_>>(), [1, 101, 1, 101, 1, 101]);
        assert_eq!(captured(&merged.write()).packets.len(), 6);
    }
}
