//! Records that wait for their secrets, of both directions in the order of their arrival.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Place;
use crate::base::limits;
use crate::model::Direction;
use crate::wire::tls::record;

/// What lies in `Waiting::bytes` of a record.
struct Held {
    place: Place,
    header: record::Header,
}

/// The records of one connection that wait, at most `limits::TLS_HELD_BYTES` of them.
#[derive(Default)]
pub(super) struct Waiting {
    queue: VecDeque<Held>,
    /// Their bodies, one behind the other.
    bytes: VecDeque<u8>,
    /// What all connections hold, once this one holds anything.
    total: Option<Arc<AtomicUsize>>,
}

impl Waiting {
    /// `false`: there is no room, and it was not kept.
    pub(super) fn hold(&mut self, total: &Arc<AtomicUsize>, place: Place, header: record::Header, body: &[u8]) -> bool {
        let cost = body.len() + size_of::<Held>();
        if self.cost() + cost > limits::TLS_HELD_BYTES
            || total.load(Ordering::Relaxed) + cost > limits::TLS_HELD_TOTAL_BYTES
        {
            return false;
        }
        total.fetch_add(cost, Ordering::Relaxed);
        self.total.get_or_insert_with(|| Arc::clone(total));
        self.bytes.extend(body);
        self.queue.push_back(Held { place, header });
        true
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.queue.len() * size_of::<Held>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes out the first record of a direction that may go on; its body is put into `body`.
    pub(super) fn take(
        &mut self,
        body: &mut Vec<u8>,
        may_go: impl Fn(Direction) -> bool,
    ) -> Option<(Place, record::Header)> {
        let at = self.queue.iter().position(|h| may_go(h.place.dir))?;
        let from: usize = self.queue.iter().take(at).map(|h| usize::from(h.header.length)).sum();
        let held = self.queue.remove(at)?;
        let to = from + usize::from(held.header.length);
        body.clear();
        if from == 0 {
            body.extend(self.bytes.drain(..to));
        } else {
            body.extend(self.bytes.range(from..to));
            let behind: Vec<u8> = self.bytes.split_off(to).into();
            self.bytes.truncate(from);
            self.bytes.extend(behind);
        }
        self.give_back(usize::from(held.header.length) + size_of::<Held>());
        if self.queue.is_empty() {
            self.bytes = VecDeque::new();
        }
        Some((held.place, held.header))
    }

    /// Gives up what waits of a direction: how many records, and their bytes with their headers.
    pub(super) fn drop_all(&mut self, dir: Direction) -> (u64, u64) {
        let (mut records, mut bytes, mut body) = (0, 0, Vec::new());
        while let Some((_, header)) = self.take(&mut body, |d| d == dir) {
            records += 1;
            bytes += header.whole() as u64;
        }
        (records, bytes)
    }

    fn give_back(&self, cost: usize) {
        if let Some(total) = &self.total {
            total.fetch_sub(cost, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_back(self.cost());
    }
}
