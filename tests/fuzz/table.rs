//! The flow table alone, beneath every protocol: each direction's offsets go on without a break, and
//! no more flows are held than there may be.

use hopscope::base::{Counters, PacketRef};
use hopscope::capture::{Merged, Source, Window};
use hopscope::stream::{self, Chunk, Context, Decoder, Handler, Interest, Side, Table, What};

use super::segments as made;

/// Segments into the flow table: each direction's offsets go on without a break.
pub(crate) fn offsets(input: &[u8]) {
    let Ok(mut inputs) = Merged::from_sources(vec![Source::from_bytes("-", made::capture(input))], &Window::default())
    else {
        return;
    };
    let limit = usize::from(input.first().copied().unwrap_or(0) % 8) + 1;
    let (mut decoder, mut counters, mut table) = (Decoder::default(), Counters::default(), Table::new(limit));
    let mut segments = table.segments();
    while let Ok(Some(batch)) = inputs.next_batch() {
        segments.clear();
        for r in batch.records {
            let missing = r.wire_len.saturating_sub(r.cap_len);
            let (at, len) = (r.off as usize, r.cap_len as usize);
            if let Some(found) =
                decoder.frame(r.link.0, batch.bytes, at, len, missing, r.ts, batch.point, &mut counters)
            {
                segments.push(&found, decoder.aside(), r.ts, batch.at(r));
            }
        }
        table.batch(batch.bytes, &segments, 0..segments.len(), &mut Offsets, &mut counters, &mut 0);
        assert!(table.len() <= limit);
    }
    table.finish(&mut Offsets, &mut counters);
}

/// What each side's next offset must be.
#[derive(Default)]
struct Next([u64; 2]);

impl stream::Inline for Next {
    fn prefetch(&self, _: Side) {}
}

/// Checks that offsets go on without a break.
struct Offsets;

impl Handler for Offsets {
    type Inline = Next;

    fn opened(&mut self, _: Context<'_>, next: &mut Next, _: PacketRef) {
        assert_eq!(next.0, [0, 0]);
    }

    fn chunk(&mut self, _: Context<'_>, _: &mut u64, next: &mut Next, chunk: Chunk<'_>) -> Interest {
        let next = &mut next.0[chunk.side.index()];
        let len = match chunk.what {
            What::Data(data) => data.len() as u64,
            What::Gap { len, .. } => {
                assert!(len > 0 && len < 1 << 31, "a gap of {len}");
                len
            }
            What::Close(_) => return Interest::All,
        };
        // A FIN takes one number (RFC 9293 §3.4).
        // A FIN takes a number.
        assert!(*next == chunk.offset || *next + 1 == chunk.offset, "{next} then {}", chunk.offset);
        *next = chunk.offset + len;
        Interest::All
    }

    fn again(&mut self, _: Context<'_>, _: &mut u64, _: &mut Next, _: Side, _: (u64, &[u8])) {}

    fn conflict(&mut self, _: Context<'_>, _: &mut u64) {}
}
