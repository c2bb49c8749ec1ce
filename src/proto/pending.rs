//! Requests that wait for their responses. Nearly all connections have one under way at a time: its
//! place is in the machine itself.

use std::collections::VecDeque;
use std::ops::Range;

use crate::base::{PacketRef, Timestamp};
use crate::model::Exchange;

use super::http1::Start;

/// A request without its final response.
pub(super) struct Pending {
    pub(super) start: Start,
    pub(super) end: (PacketRef, Timestamp),
    /// Kept whole where it asks for an upgrade.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Otherwise where its head stands in `Http::plain`.
    pub(super) plain: Range<u32>,
    pub(super) index: u32,
    pub(super) head: bool,
    pub(super) connect: bool,
    pub(super) gap: bool,
    /// Requests before it may be missing that are not answered yet: whose the next answer is, is unsure.
    pub(super) unsure: bool,
}

impl Pending {
    /// Whether what the client sends next means nothing until this is answered: it may switch protocols.
    pub(super) fn is_awaited(&self) -> bool {
        self.connect || self.exchange.as_ref().is_some_and(|x| !x.tentative)
    }
}

/// Requests, oldest first. At most `limits::PIPELINE`, which who adds one sees to.
#[derive(Default)]
pub(super) struct Queue {
    oldest: Option<Pending>,
    /// Empty where there is no oldest. Boxed: a queue of its own is four times the size.
    #[expect(clippy::box_collection, reason = "few connections have others, and every machine has the place")]
    others: Option<Box<VecDeque<Pending>>>,
}

impl Queue {
    pub(super) fn push_back(&mut self, pending: Pending) {
        if self.oldest.is_none() {
            self.oldest = Some(pending);
        } else {
            self.others.get_or_insert_default().push_back(pending);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Pending> {
        let oldest = self.oldest.take();
        if let Some(others) = &mut self.others {
            self.oldest = others.pop_front();
        }
        oldest
    }

    pub(super) fn front(&self) -> Option<&Pending> {
        self.oldest.as_ref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Pending> {
        self.oldest.as_mut()
    }

    pub(super) fn back(&self) -> Option<&Pending> {
        self.others.as_ref().and_then(|others| others.back()).or(self.oldest.as_ref())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.oldest.iter().chain(self.others.iter().flat_map(|others| others.iter()))
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// Gives back what is not needed.
    pub(super) fn shrink(&mut self) {
        self.others = self.others.take().filter(|others| !others.is_empty());
    }
}
