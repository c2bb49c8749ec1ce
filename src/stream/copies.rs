//! Packets that are in the capture twice: a mirror that copies in and out, the device `any`, a tunnel
//! seen inside and outside. They are known by what a copy shares with its original and a segment sent
//! again does not: the identification of the IP packet and the checksum of TCP (with it the time stamp
//! option), within a short time. A bounded memory of the latest packets; what falls out of it is not
//! told as a copy, and is then one more segment sent again.

use prefetch_index::prefetch_index;

use crate::base::{Timestamp, limits};
use crate::wire::tcp::Flags;

use super::decode::Decoded;
use super::flow::Side;

/// The latest packets: of each what tells it from others in 48 bits, and below that when it came. Eight
/// bytes, so that all of them stay in the first-level cache.
pub struct Copies {
    slots: Box<[u64]>,
    /// Packets that are asked about, in their order.
    asked: Vec<Asked>,
}

/// A packet, and its place among the segments of its batch.
struct Asked {
    new: u64,
    slot: usize,
    segment: usize,
}

/// Bits of the time in a slot; its unit is 2^20 ns, and what wraps after a minute is no copy.
const TIME_BITS: u32 = 16;

/// `limits::COPY_MS` in that unit.
#[expect(clippy::cast_possible_truncation, reason = "100 ms are 95 units")]
const NEAR: u16 = ((limits::COPY_MS * 1_000_000) >> 20) as u16;

impl Default for Copies {
    fn default() -> Self {
        Copies { slots: vec![0; limits::COPIES_REMEMBERED].into_boxed_slice(), asked: Vec::new() }
    }
}

impl Copies {
    /// Asks whether this packet came just before, and fetches what will tell. `hash`: of its flow.
    #[inline]
    pub(super) fn ask(&mut self, hash: u64, d: &Decoded, ts: Timestamp, segment: usize) {
        let bare = d.payload_len == 0 && d.cut == 0 && d.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0;
        // Without an identification nothing tells a copy from an acknowledgement that was sent again.
        if bare && d.mark >> 16 == 0 {
            return;
        }
        let print = print(hash, d);
        // The upper bits are kept, the place is taken from others.
        #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits choose the place")]
        let slot = print as usize % limits::COPIES_REMEMBERED;
        prefetch_index(&self.slots, slot);
        #[expect(clippy::cast_possible_truncation, reason = "the time wraps")]
        let now = (ts.0 >> 20) as u16;
        let new = print >> TIME_BITS << TIME_BITS | u64::from(now);
        self.asked.push(Asked { new, slot, segment });
    }

    /// Calls `copy` with the place of each segment asked about whose packet came before.
    pub(super) fn answer(&mut self, mut copy: impl FnMut(usize)) {
        for Asked { new, slot, segment } in self.asked.drain(..) {
            let Some(slot) = self.slots.get_mut(slot) else { continue };
            let before = std::mem::replace(slot, new);
            #[expect(clippy::cast_possible_truncation, reason = "the time is the lowest bits")]
            let apart = (new as u16).wrapping_sub(before as u16);
            if (before ^ new) >> TIME_BITS == 0 && apart.min(apart.wrapping_neg()) <= NEAR {
                copy(segment);
            }
        }
    }
}

#[inline]
fn print(hash: u64, d: &Decoded) -> u64 {
    let numbers = u64::from(d.seq) << 32 | u64::from(d.ack);
    let side = u32::from(d.side == Side::High) << 31;
    let rest = u64::from(d.mark) << 32 | u64::from(d.payload_len ^ u32::from(d.flags.0) << 20 ^ side);
    let mixed = (hash ^ numbers).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32 ^ rest).wrapping_mul(0xd6e8_feb8_6659_fd93);
    // The lower bits choose the place: they need all others too.
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::super::decode::Place;
    use super::super::flow::{FlowKey, Key4};
    use super::*;

    fn packet(payload_len: u32, mark: u32) -> Decoded {
        Decoded {
            key: FlowKey::V4(Key4(1, 2)),
            side: Side::Low,
            flags: Flags(Flags::ACK),
            place: Place::Read,
            seq: 7,
            ack: 8,
            payload_at: 0,
            payload_len,
            ttl: 64,
            closes_window: false,
            cut: 0,
            mark,
            via: 0,
        }
    }

    impl Copies {
        fn is_copy(&mut self, hash: u64, d: &Decoded, ts: Timestamp) -> bool {
            self.ask(hash, d, ts, 7);
            let mut found = false;
            self.answer(|segment| found = segment == 7);
            found
        }
    }

    #[test]
    fn a_copy_shares_identification_and_checksum_and_comes_soon() {
        let mut copies = Copies::default();
        let ms = |n: i64| Timestamp(n * 1_000_000);
        assert!(!copies.is_copy(1, &packet(9, 0x5_1234), ms(0)));
        assert!(copies.is_copy(1, &packet(9, 0x5_1234), ms(3)));
        // Sent again: another identification. Another connection. Too late.
        assert!(!copies.is_copy(1, &packet(9, 0x6_1234), ms(4)));
        assert!(!copies.is_copy(2, &packet(9, 0x6_1234), ms(5)));
        assert!(!copies.is_copy(1, &packet(9, 0x6_1234), ms(500)));
    }

    #[test]
    fn acknowledgements_without_identification_may_be_sent_twice() {
        let mut copies = Copies::default();
        let ack = packet(0, 0x1234);
        assert!(!copies.is_copy(1, &ack, Timestamp(0)) && !copies.is_copy(1, &ack, Timestamp(1)));
        let syn = Decoded { flags: Flags(Flags::SYN), ..ack };
        assert!(!copies.is_copy(1, &syn, Timestamp(0)) && copies.is_copy(1, &syn, Timestamp(1)));
    }
}
