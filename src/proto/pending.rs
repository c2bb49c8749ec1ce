//! Requests that wait for their responses. Nearly all connections have one under way at a time: its
//! place is in the machine itself.

use std::collections::VecDeque;
use std::ops::Range;

use crate::base::{PacketRef, Timestamp};
use crate::model::Exchange;

use super::messages::Start;

/// A request without its final response.
pub(super) struct Pending {
    pub(super) start: Start,
    pub(super) end: (PacketRef, Timestamp),
    /// Kept whole where it asks for an upgrade.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Otherwise where its head stands in `UnderWay::plain`.
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::ExchangeId;

    /// Some request.
    pub(in crate::proto) fn any() -> Pending {
        let start = Start { id: ExchangeId(1), at: PacketRef::default(), ts: Timestamp(1), offset: 0 };
        Pending {
            start,
            end: (PacketRef::default(), Timestamp(2)),
            exchange: None,
            plain: 0..0,
            index: 0,
            head: false,
            connect: false,
            gap: false,
            unsure: false,
        }
    }

    #[test]
    fn requests_come_out_oldest_first() {
        let mut queue = Queue::default();
        for index in 0..3 {
            queue.push_back(Pending { index, ..any() });
        }
        assert_eq!((queue.len(), queue.back().map(|p| p.index)), (3, Some(2)));
        let out: Vec<u32> = std::iter::from_fn(|| queue.pop_front()).map(|p| p.index).collect();
        assert_eq!(out, [0, 1, 2]);
        assert!(queue.is_empty());
    }
}
