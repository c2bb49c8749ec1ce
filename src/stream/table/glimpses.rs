//! Flows of no interest whose last segments and end somebody waits for.

use super::Record;
use crate::stream::flow::{Opened, Track, flag};
use crate::stream::segments::Entry;
use crate::stream::{Context, Glimpse, Handler};

/// How many bytes a segment of a flow of no interest brings behind those that came before it. `None`: none; it is a
/// keep-alive, or came again.
#[inline]
pub(super) fn new_bytes(track: &Track, d: &Entry) -> Option<u64> {
    let length = d.payload_len.wrapping_add(d.cut());
    let end = d.seq.wrapping_add(length);
    let ahead = end.wrapping_sub(track.next[d.side.index()]).cast_signed();
    (ahead > 0 && length > 0).then(|| u64::from(ahead.unsigned_abs()))
}

/// Where the bytes of a segment stand that brings no others than came before, and how many they are.
pub(super) fn again(track: &Track, d: &Entry) -> Option<(u64, u32)> {
    let length = d.payload_len.wrapping_add(d.cut());
    let behind = track.next[d.side.index()].wrapping_sub(d.seq);
    let old = length != 0 && behind.cast_signed() > 0 && new_bytes(track, d).is_none();
    old.then(|| (track.offset(d.side).saturating_sub(u64::from(behind)), length))
}

/// Shows a segment of a flow of no interest.
#[inline(never)]
pub(super) fn glimpse<H: Handler>(
    record: &mut Record<H::Inline>,
    opened: &Opened,
    d: &Entry,
    payload: &[u8],
    handler: &mut H,
) {
    let (track, inline) = (&mut record.track, &mut record.inline);
    let new = new_bytes(track, d);
    track.advance(d.side, new.unwrap_or(0));
    let is_new = new.is_some();
    let (fin, rst) = (d.flags.fin(), d.flags.rst());
    if !is_new && !fin && !rst {
        return;
    }
    let payload = if is_new { payload } else { &[] };
    let seen = Glimpse { side: d.side, ts: d.ts, at: d.at, payload, cut: d.cut(), fin, rst };
    let mut tag = track.tag;
    handler.glimpse(Context { track, opened }, &mut tag, inline, seen);
    track.tag = tag;
}

/// Tells that a flow of no interest is over, where that was waited for.
pub(super) fn over<H: Handler>(record: &mut Record<H::Inline>, opened: &Opened, handler: &mut H) {
    let (track, inline) = (&mut record.track, &mut record.inline);
    if track.has(flag::IGNORED) && track.tag & H::GLIMPSED != 0 {
        let mut tag = track.tag;
        handler.over(Context { track, opened }, &mut tag, inline);
        // Told once.
        track.tag = tag & !H::GLIMPSED;
    }
}
