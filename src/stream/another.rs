//! When the addresses of a connection have passed to another one.

use super::flow::{Side, Track, flag};
use super::segments::Entry;

/// Whether a SYN, or the SYN-ACK that answers one, opens another connection than the one that has this
/// flow's addresses.
#[cold]
pub(super) fn is_another(track: &Track, d: &Entry) -> bool {
    let side = d.side;
    let unused = !track.has(flag::PAYLOAD);
    if d.flags.ack() {
        // A reset that the client did not believe, perhaps because somebody on the way had made it up:
        // the connection was opened all the same (RFC 5961 §3).
        let reset = track.has(flag::ENDED) && was_reset(track);
        let answers = track.is(flag::SYN, side.other()) && track.base[side.other().index()] == d.ack;
        return reset && unused && answers && !track.is(flag::SYN, side);
    }
    if track.is(flag::SYN, side) {
        // Its own reset says that it begins anew: the server still knew an older connection and did not
        // answer with a SYN (RFC 9293 §3.5.1).
        return track.base[side.index()] != d.seq.wrapping_add(1) || unused && track.is(flag::RST, side);
    }
    // Joined midstream: a SYN for a place that was passed belongs to another connection; one that
    // fits the start of what was seen has only come late.
    track.is(flag::STARTED, side) && track.base[side.index()] != d.seq.wrapping_add(1) || track.has(flag::ENDED)
}

/// Whether either side has sent a reset.
pub(super) fn was_reset(track: &Track) -> bool {
    Side::BOTH.into_iter().any(|side| track.is(flag::RST, side))
}
