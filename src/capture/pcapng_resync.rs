//! Where the next good pcapng block is behind damage: a known type, a length that its end repeats,
//! and another such block behind it. Searched byte by byte, since bytes may be missing from the
//! damaged place. Work is linear; blocks above `limits::RESYNC_BLOCK_BYTES` are not believed.

use super::pcapng::{
    CUSTOM, CUSTOM_NO_COPY, ENHANCED_PACKET, INTERFACE, JOURNAL, NAMES, PACKET, Pcapng, SECRETS, SECTION_HEADER,
    SIMPLE_PACKET, STATISTICS, TRAILER, byte_order,
};
use super::walk::{Search, index, u32_at};
use crate::base::limits;

/// The first plausible block in `bytes` that has a plausible successor or ends the file.
pub(super) fn search(file: &Pcapng, bytes: &[u8], ended: bool) -> Search {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 12) {
        if let Some((big, length)) = plausible_head(file.big, rest) {
            match rest.len() < length + 12 && !ended {
                // The block, and the head of the next one.
                true => return Search::More { from: at, need: length + 12 },
                false if holds(file, big, rest, length) => return Search::Found(at),
                false => {}
            }
        }
        at += 1;
    }
    Search::More { from: at.min(bytes.len()), need: 12 }
}

/// Byte order and length of what may be a block.
fn plausible_head(big: bool, rest: &[u8]) -> Option<(bool, usize)> {
    let kind = u32_at(big, rest, 0)?;
    let big = match kind {
        SECTION_HEADER => rest.get(8..)?.first_chunk::<4>().and_then(byte_order)?,
        kind if known(kind) => big,
        _ => return None,
    };
    let length = index(u32_at(big, rest, 4)?);
    (length.is_multiple_of(4) && (12..=limits::RESYNC_BLOCK_BYTES).contains(&length)).then_some((big, length))
}

/// The block is whole, its end repeats its length, a packet fits, and what follows is a block too.
fn holds(file: &Pcapng, big: bool, rest: &[u8], length: usize) -> bool {
    let total = u32_at(big, rest, 4);
    if rest.len() < length || u32_at(big, rest, length - TRAILER) != total {
        return false;
    }
    if u32_at(big, rest, 0) == Some(ENHANCED_PACKET) {
        let declared = u32_at(big, rest, 8).is_some_and(|n| index(n) < file.interfaces.len());
        let fits = u32_at(big, rest, 20).is_some_and(|cap| index(cap) + 32 <= length);
        if !declared || !fits {
            return false;
        }
    }
    let next = rest.get(length..).unwrap_or_default();
    // The file ends here, or inside the head of the next block.
    next.len() < 12 || plausible_head(big, next).is_some()
}

fn known(kind: u32) -> bool {
    matches!(
        kind,
        INTERFACE
            | PACKET
            | SIMPLE_PACKET
            | NAMES
            | STATISTICS
            | ENHANCED_PACKET
            | SECRETS
            | SECTION_HEADER
            | JOURNAL
            | CUSTOM
            | CUSTOM_NO_COPY
    )
}

#[cfg(test)]
mod tests {
    use super::super::made::{Pcapng, read, us};

    fn twenty() -> (Vec<u8>, Vec<usize>) {
        let mut file = Pcapng::new(false);
        file.interface(1, 0, &[]);
        let mut starts = Vec::new();
        for n in 0..20 {
            starts.push(file.bytes.len());
            file.packet(0, us(n), &[0xee; 100]);
        }
        (file.bytes, starts)
    }

    #[test]
    fn a_wrong_length_at_either_end_costs_its_block_alone() {
        let (good, starts) = twenty();
        for place in [starts[5] + 4, starts[6] - 4] {
            for value in [7, 8, 0x100, 0x7fff_fff0_u32] {
                let mut bytes = good.clone();
                bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
                let (seen, facts) = read(&bytes);
                assert_eq!(seen.len(), 19, "{value} {:?}", facts.damage);
                let [damage] = &facts.damage[..] else { panic!("{:?}", facts.damage) };
                assert_eq!(damage.lost_bytes, 132);
                assert_eq!(seen.last().map(|p| p.ns % 1_000_000), Some(19_000));
            }
        }
    }

    #[test]
    fn the_words_of_a_wrong_length_are_exact() {
        let (mut bytes, starts) = twenty();
        bytes[starts[5] + 4] = 7;
        let facts = read(&bytes).1;
        assert_eq!(facts.damage[0].why, "block length 7 is not a multiple of 4");
        assert_eq!((facts.damage[0].packet, facts.damage[0].byte), (6, starts[5] as u64));
    }

    #[test]
    fn missing_and_inserted_bytes_are_stepped_over_whatever_their_number() {
        let (good, starts) = twenty();
        let at = starts[5] + 50;
        for count in 1..=9 {
            let mut missing = good.clone();
            missing.drain(at..at + count);
            let mut inserted = good.clone();
            inserted.splice(at..at, vec![6; count]);
            for bytes in [missing, inserted] {
                let (seen, facts) = read(&bytes);
                assert_eq!((seen.len(), facts.damage.len()), (19, 1), "{count} {:?}", facts.damage);
            }
        }
    }

    #[test]
    fn a_length_that_hides_the_rest_of_the_file_is_damage_and_not_a_cut() {
        let (mut bytes, starts) = twenty();
        bytes[starts[15] + 4..starts[15] + 8].copy_from_slice(&0x0010_0000_u32.to_le_bytes());
        let (seen, facts) = read(&bytes);
        assert_eq!((seen.len(), facts.cut_short, facts.damage.len()), (19, None, 1));
    }

    #[test]
    fn a_new_section_of_the_other_byte_order_is_found_behind_damage() {
        let (mut bytes, starts) = twenty();
        bytes[starts[10]..].fill(0x55);
        let mut other = Pcapng::new(true);
        other.interface(113, 0, &[]);
        other.packet(0, us(99), b"again");
        bytes.extend(other.bytes);
        let (seen, facts) = read(&bytes);
        assert_eq!((seen.len(), seen[10].link, facts.damage.len()), (11, 113, 1));
    }
}
