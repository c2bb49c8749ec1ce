//! What ICMP says of connections: of one that nobody answered, why; of a tunnel, that its packets do not arrive.

use crate::model::Rejected;
use crate::stream::{Context, Note, Side};

use super::{Shared, Tag, direction};

impl Shared {
    /// A segment of this side was not delivered.
    pub(super) fn rejected(&mut self, context: Context<'_>, tag: u64, side: Side, note: Note) {
        let client = context.track.client();
        let Note { by, why, at, ts } = note;
        let told = |of| Rejected { by, of, why, at, ts, last: ts, times: 1 };
        if let Some(talk) = self.talks.get_mut(Tag(tag).talk()) {
            talk.rejected(told(direction(Tag(tag).client(), side)));
        } else if let Some(client) = client.filter(|_| !context.track.has_payload()) {
            let new = told(direction(client, side));
            self.rejected.entry(context.id()).and_modify(|known| _ = known.again(&new)).or_insert(new);
        }
    }
}
