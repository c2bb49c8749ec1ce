//! ICMP messages about a flow's segments.

use super::{Found, NONE, Table, Track, flag};
use crate::stream::segments::{Entry, Segments};
use crate::stream::{Context, Handler, Inline, Note};
use crate::wire::icmp;

impl<I: Inline> Table<I> {
    /// Tells one, if it is about a segment that the flow may have sent. It opens no flow.
    #[cold]
    pub(super) fn note<H: Handler<Inline = I>>(
        &mut self,
        bytes: &[u8],
        segments: &Segments,
        d: &Entry,
        handler: &mut H,
    ) {
        let Some(told) = icmp::told(segments.payload(d, bytes)) else { return };
        let index = self.find(segments, d).unwrap_or(NONE);
        let Some(Found { record, opened, .. }) = self.found(index) else { return };
        let track = &mut record.track;
        if track.has(flag::IGNORED) || !may_be_of(track, d) {
            return;
        }
        let mut tag = track.tag;
        let note = Note { by: told.by, why: told.why, at: d.at, ts: d.ts };
        handler.rejected(Context { track, opened }, &mut tag, &mut record.inline, d.side, note);
        track.tag = tag;
    }
}

/// Bytes that may be under way.
const UNDER_WAY: u32 = 1 << 24;

/// Whether it is about a place in its side's stream where there may be something: anybody can send such a message
/// (RFC 5927 §4.1), and one may be about an earlier connection.
fn may_be_of(track: &Track, d: &Entry) -> bool {
    let ahead = d.seq.wrapping_sub(track.next[d.side.index()]);
    !track.is(flag::STARTED, d.side) || ahead.wrapping_add(UNDER_WAY) < 2 * UNDER_WAY
}
