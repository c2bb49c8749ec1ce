//! Packets that are in the capture twice: a mirror that copies in and out, the device `any`, a tunnel
//! seen inside and outside. They are known by what a copy shares with its original and a segment sent
//! again does not: the identification of the IP packet and the checksum of TCP (with it the time stamp
//! option), within a short time. A bounded memory of the latest packets; what falls out of it is not
//! told as a copy, and is then one more segment sent again.

use crate::base::{Nanos, Timestamp, limits};
use crate::wire::tcp::Flags;

use super::decode::Decoded;
use super::flow::Side;

/// The latest packets.
pub struct Copies {
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    print: u64,
    ts: Timestamp,
}

const NEAR: Nanos = Nanos::from_millis(limits::COPY_MS);

impl Default for Copies {
    fn default() -> Self {
        Copies { slots: vec![Slot::default(); limits::COPIES_REMEMBERED].into_boxed_slice() }
    }
}

impl Copies {
    /// Whether this is a packet that came just before. `hash`: of its flow.
    #[inline]
    pub fn is_copy(&mut self, hash: u64, d: &Decoded, ts: Timestamp) -> bool {
        let bare = d.payload_len == 0 && d.cut == 0 && d.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0;
        // Without an identification nothing tells a copy from an acknowledgement that was sent again.
        if bare && d.mark >> 16 == 0 {
            return false;
        }
        let print = print(hash, d);
        // The upper bits are the better mixed ones.
        let at = (print >> 32) as usize % limits::COPIES_REMEMBERED;
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let apart = ts.since(slot.ts);
        let same = slot.print == print && apart <= NEAR && apart >= Nanos(-NEAR.0);
        *slot = Slot { print, ts };
        same
    }
}

#[inline]
fn print(hash: u64, d: &Decoded) -> u64 {
    let numbers = u64::from(d.seq) << 32 | u64::from(d.ack);
    let side = u32::from(d.side == Side::High) << 31;
    let rest = u64::from(d.mark) << 32 | u64::from(d.payload_len ^ u32::from(d.flags.0) << 20 ^ side);
    let mixed = (hash ^ numbers).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32 ^ rest).wrapping_mul(0xd6e8_feb8_6659_fd93)
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
            cut: 0,
            mark,
            via: 0,
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
