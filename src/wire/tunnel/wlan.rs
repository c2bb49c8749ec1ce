//! 802.11 data frames in clear (IEEE 802.11 §9.2, §9.3.2).

use crate::wire::inside::{CUT, Inside, OTHER, Opened, u16_at, u16_le_at};

const TO_DS: u16 = 0x0100;
const FROM_DS: u16 = 0x0200;
const MORE_FRAGMENTS: u16 = 0x0400;
const PROTECTED: u16 = 0x4000;
const ORDER: u16 = 0x8000;

/// What an 802.11 frame holds. `padded`: its header is followed by zeros up to a multiple of four.
/// Fragments of a frame, and protected ones, are `Other`.
pub fn open(frame: &[u8], padded: bool) -> Opened<'_> {
    let Some(control) = u16_le_at(frame, 0) else { return CUT };
    // Version 0, type data, a subtype that carries some.
    if control & 0x0f != 0x08 || control & 0x40 != 0 || control & PROTECTED != 0 {
        return OTHER;
    }
    let Some(sequence) = u16_le_at(frame, 22) else { return CUT };
    if control & MORE_FRAGMENTS != 0 || sequence & 0x0f != 0 {
        return OTHER;
    }
    let mut header = if control & (TO_DS | FROM_DS) == TO_DS | FROM_DS { 30 } else { 24 };
    let mut aggregate = false;
    if control & 0x80 != 0 {
        let Some(qos) = u16_le_at(frame, header) else { return CUT };
        aggregate = qos & 0x80 != 0;
        header += 2;
        // HT control.
        if control & ORDER != 0 {
            header += 4;
        }
    }
    if padded {
        header = header.next_multiple_of(4);
    }
    let Some(body) = frame.get(header..) else { return CUT };
    if aggregate {
        return (Inside::Subframes, body);
    }
    // Some drivers put an EtherType where LLC belongs once they have decrypted a frame.
    match u16_at(body, 0) {
        Some(0x888e) => OTHER,
        _ => (Inside::Llc, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(control: [u8; 2], header: usize) -> Vec<u8> {
        let mut frame = vec![control[0], control[1]];
        frame.resize(header, 0);
        frame.push(0xaa);
        frame
    }

    #[test]
    fn the_header_is_as_long_as_its_control_bits_say() {
        // Data to the access point; four addresses; QoS; QoS with HT control; QoS, four addresses.
        for (control, header) in [([8, 1], 24), ([8, 3], 30), ([0x88, 2], 26), ([0x88, 0x82], 30), ([0x88, 3], 32)] {
            assert_eq!(open(&frame(control, header), false), (Inside::Llc, &[0xaa][..]), "{control:?}");
        }
        assert_eq!(open(&frame([0x88, 2], 28), true), (Inside::Llc, &[0xaa][..]));
        assert_eq!(open(&frame([8, 1], 24)[..23], false), CUT);
    }

    #[test]
    fn an_aggregate_is_told_by_its_qos_bit() {
        let mut bytes = frame([0x88, 2], 26);
        bytes[24] = 0x80;
        assert_eq!(open(&bytes, false), (Inside::Subframes, &[0xaa][..]));
    }

    #[test]
    fn beacons_null_frames_fragments_and_protected_frames_are_other() {
        for control in [[0x80, 0], [0x48, 1], [0xc8, 1], [8, 0x41], [8, 5], [9, 1]] {
            assert_eq!(open(&frame(control, 32), false), OTHER, "{control:?}");
        }
        let mut fragment = frame([8, 1], 24);
        fragment[22] = 1;
        assert_eq!(open(&fragment, false), OTHER);
    }
}
