//! What a segment says beside its bytes.

use super::glimpses::again;
use crate::stream::flow::{Opened, Track, flag};
use crate::stream::reassembly::WINDOW;
use crate::stream::segments::{CLOSES_WINDOW, Entry};
use crate::stream::{Context, Handler, Signs};
use crate::wire::tcp::Flags;

/// Tells what a segment says beside its bytes.
#[cold]
pub(super) fn tell_signs<H: Handler>(
    track: &mut Track,
    inline: &H::Inline,
    opened: &Opened,
    d: &Entry,
    handler: &mut H,
) {
    let probe = is_probe(track, d);
    let signs = Signs {
        ts: d.ts,
        at: d.at,
        ttl: d.ttl(),
        rst: d.flags.rst(),
        syn: d.flags.syn(),
        closes_window: d.flags.0 & CLOSES_WINDOW != 0,
        new: track.is(flag::STARTED, d.side) && d.seq == track.next[d.side.index()],
        probe,
        // Of other flows their reassembly tells it.
        again: again(track, d).filter(|_| !probe && track.has(flag::IGNORED)),
        acked: track.acked(d),
        sent: is_ahead(track, d).then(|| track.offset(d.side).saturating_add(ahead(track, d).unsigned_abs().into())),
    };
    let mut tag = track.tag;
    handler.signs(Context { track, opened }, &mut tag, inline, d.side, signs);
    track.tag = tag;
}

/// Whether a segment brings nothing, and stands behind bytes of its side that did not come by.
#[inline]
pub(super) fn is_ahead(track: &Track, d: &Entry) -> bool {
    const OTHERS: u8 = Flags::SYN | Flags::FIN | Flags::RST;
    d.payload_len == 0
        && (1..WINDOW).contains(&ahead(track, d))
        && d.cut() == 0
        && d.flags.0 & OTHERS == 0
        && track.is(flag::STARTED, d.side)
        && !track.is(flag::FIN, d.side)
}

fn ahead(track: &Track, d: &Entry) -> i32 {
    d.seq.wrapping_sub(track.next[d.side.index()]).cast_signed()
}

/// Whether a segment stands where the last byte before it stood, and brings nothing: it asks for an acknowledgement.
#[inline]
pub(super) fn is_probe(track: &Track, d: &Entry) -> bool {
    const OTHERS: u8 = Flags::SYN | Flags::FIN | Flags::RST;
    d.payload_len <= 1
        && d.flags.0 & OTHERS == 0
        && d.seq.wrapping_add(1) == track.next[d.side.index()]
        && track.is(flag::STARTED, d.side)
        && !track.is(flag::FIN, d.side)
}
