//! Where the next good pcapng block is behind damage: a known type, a length that its end repeats,
//! and another such block behind it. Searched byte by byte, since bytes may be missing from the
//! damaged place. Work is linear; blocks above `limits::RESYNC_BLOCK_BYTES` are not believed.

use super::pcapng::{
    ENHANCED_PACKET, INTERFACE, NAMES, PACKET, Pcapng, SECRETS, SECTION_HEADER, SIMPLE_PACKET, STATISTICS, TRAILER,
    byte_order,
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
    (length % 4 == 0 && (12..=limits::RESYNC_BLOCK_BYTES).contains(&length)).then_some((big, length))
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
    // 0xbad and 0x40000bad: custom blocks; 9: systemd journal.
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
            | 9
            | 0xbad
            | 0x4000_0bad
    )
}
