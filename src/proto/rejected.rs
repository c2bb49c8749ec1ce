//! What ICMP says of connections: of one that nobody answered, why; of a tunnel, that its packets do not arrive.

use crate::model::{Direction, IcmpWhy, Rejected};
use crate::stream::{Context, Note, Side};

use super::{Shared, Tag, direction};

/// What begins with a smaller TTL is to end on its way: traceroute does so to learn the routers' names.
const PROBES: u8 = 32;

/// What ICMP says of a segment of this side.
pub(super) fn told(note: Note, of: Direction) -> Rejected {
    let Note { by, why, at, ts } = note;
    Rejected { by, of, why, at, ts, last: ts, times: 1 }
}

impl Shared {
    /// A segment of this side was not delivered.
    pub(super) fn rejected(&mut self, context: Context<'_>, tag: u64, side: Side, note: Note) {
        let client = context.track.client();
        let ttl = context.opened.ttl[side.index()];
        if note.why == IcmpWhy::TtlExceeded && ttl != 0 && ttl < PROBES {
            return;
        }
        if let Some(talk) = self.talks.get_mut(Tag(tag).talk()) {
            talk.rejected(told(note, direction(Tag(tag).client(), side)));
        } else if let Some(client) = client.filter(|client| *client == side && !context.track.has_payload()) {
            // Of what the server sends back nobody who waits for an answer is told.
            let new = told(note, direction(client, side));
            self.rejected.entry(context.id()).and_modify(|known| known.again(new)).or_insert(new);
        }
    }
}
