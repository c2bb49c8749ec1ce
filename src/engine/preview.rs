//! What is known while reading goes on. The first exchanges are copied on their way into the collection, as they are
//! decided and as they end, so that somebody else can judge them meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::base::{ExchangeId, limits};
use crate::model::{Exchange, FlowFacts};
use crate::proto::Sink;

use super::Collected;

/// Copies taken at once, so that reading never waits long.
const TOGETHER: usize = 64;

/// Collects everything, and copies what came first.
pub struct Previewed {
    pub collected: Collected,
    seen: Preview,
    /// Copies so far; asked before the lock.
    copied: usize,
    /// There is room for no other, and those that are copied have ended.
    over: bool,
    /// The latest are copied, instead of the first.
    latest: bool,
}

/// The copies, for another thread.
#[derive(Clone, Default)]
pub struct Preview(Arc<Mutex<Copies>>);

#[derive(Default)]
struct Copies {
    /// In the order in which they were decided.
    #[expect(clippy::vec_box, reason = "a list that grows would move what it holds, and that is large")]
    exchanges: Vec<Box<Exchange>>,
    /// Where those stand that did not end yet.
    open: HashMap<ExchangeId, usize, foldhash::fast::RandomState>,
    lone: VecDeque<FlowFacts>,
    /// Connections in TLS that were not read.
    sealed: VecDeque<FlowFacts>,
    changes: u64,
    /// The copy that goes next, and those that went.
    hand: usize,
    gone: u64,
    /// How often they were asked for.
    looks: u32,
}

/// Copies looked at for one that has ended, when one has to go.
const TRIES: usize = 256;

impl Copies {
    /// Copies that there is room for: the more, the longer somebody looks on. Of a capture that is soon read most would
    /// be made for nobody.
    fn room(&self) -> usize {
        limits::PREVIEWED_FIRST.saturating_mul(1 << self.looks.min(16)).min(limits::PREVIEWED)
    }

    /// Adds a copy; where there is no room, in the place of an older one that has ended.
    fn put(&mut self, x: Box<Exchange>, is_open: bool) {
        let count = self.exchanges.len();
        let id = x.id;
        let at = if count < limits::PREVIEWED {
            self.exchanges.push(x);
            count
        } else {
            self.gone += 1;
            let ended = |at: &usize| self.exchanges.get(*at).is_some_and(|known| !self.open.contains_key(&known.id));
            let places = (self.hand..self.hand + TRIES).map(|at| at % count);
            let Some((at, place)) = places.clone().find(ended).and_then(|at| Some((at, self.exchanges.get_mut(at)?)))
            else {
                return;
            };
            *place = x;
            self.hand = at + 1;
            at
        };
        if is_open {
            self.open.insert(id, at);
        }
    }

    /// Adds a connection to `flows`. Without room the oldest one goes where the latest are wanted, else this one is left out.
    fn put_flow(&mut self, flows: fn(&mut Copies) -> &mut VecDeque<FlowFacts>, flow: FlowFacts, latest: bool) {
        let full = flows(self).len() >= limits::PREVIEWED;
        if full && !latest {
            return;
        }
        if full {
            flows(self).pop_front();
            self.gone += 1;
        }
        flows(self).push_back(flow);
        self.changes += 1;
    }
}

impl Previewed {
    pub fn new(seen: Preview) -> Previewed {
        seen.with(|copies| *copies = Copies::default());
        Previewed { collected: Collected::default(), seen, copied: 0, over: false, latest: false }
    }

    /// Of a capture that has no end: shows the latest, and keeps so many of them.
    pub fn of_latest(seen: Preview, kept: usize) -> Previewed {
        Previewed { collected: Collected::of_latest(kept), latest: true, ..Previewed::new(seen) }
    }
}

impl Preview {
    /// How often something was added or ended.
    pub fn changes(&self) -> u64 {
        self.with(|copies| copies.changes)
    }

    /// What is known so far, as if the capture ended here: at most `limits::PREVIEWED` exchanges, and as many
    /// connections without a request, and in TLS that was not read.
    pub fn collected(&self) -> Collected {
        let mut out = Collected::default();
        loop {
            let from = out.exchanges.len();
            let some = self.with(|copies| {
                let rest = copies.exchanges.get(from..).unwrap_or_default();
                rest.iter().take(TOGETHER).cloned().collect::<Vec<_>>()
            });
            if some.is_empty() {
                break;
            }
            out.tentative |= some.iter().any(|x| x.tentative);
            out.halved |= some.iter().any(|x| x.is_request_unseen());
            out.exchanges.extend(some);
        }
        (out.lone, out.sealed, out.evicted) = self.with(|copies| {
            copies.looks += 1;
            (copies.lone.iter().cloned().collect(), copies.sealed.iter().cloned().collect(), copies.gone)
        });
        out
    }

    fn with<T>(&self, work: impl FnOnce(&mut Copies) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Previewed {
    fn decided(&mut self, x: &Exchange) {
        if self.latest || self.copied < limits::PREVIEWED {
            let (latest, copied) = (self.latest, self.copied);
            let added = self.seen.with(|copies| {
                let room = latest || copied < copies.room();
                if room {
                    copies.put(Box::new(x.clone()), true);
                    copies.changes += 1;
                }
                room
            });
            self.copied += usize::from(added);
        }
        self.collected.decided(x);
    }

    fn ended(&mut self, x: Box<Exchange>) {
        if !self.over {
            let (latest, copied) = (self.latest, self.copied);
            let (added, over) = self.seen.with(|copies| {
                let room = latest || copied < copies.room();
                let known = copies.open.remove(&x.id).and_then(|at| copies.exchanges.get_mut(at));
                let added = known.is_none() && room;
                match known {
                    Some(known) => *known = x.clone(),
                    None if room => copies.put(x.clone(), false),
                    None => {}
                }
                copies.changes += 1;
                (added, !latest && copied >= limits::PREVIEWED && copies.open.is_empty())
            });
            self.copied += usize::from(added);
            self.over = over;
        }
        self.collected.ended(x);
    }

    fn lone(&mut self, flow: FlowFacts) {
        self.seen.with(|copies| copies.put_flow(|copies| &mut copies.lone, flow.clone(), self.latest));
        self.collected.lone(flow);
    }

    fn sealed(&mut self, flow: FlowFacts) {
        self.seen.with(|copies| copies.put_flow(|copies| &mut copies.sealed, flow.clone(), self.latest));
        self.collected.sealed(flow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    fn exchange(id: u64) -> Exchange {
        let request = "GET /chat HTTP/1.1\r\nHost: x\r\n\r\n";
        testing::exchange(id, "192.0.2.1:80", request, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
    }

    #[test]
    fn what_is_decided_is_seen_and_what_ended_takes_its_place() {
        let seen = Preview::default();
        let mut sink = Previewed::new(seen.clone());
        sink.decided(&exchange(1));
        sink.decided(&exchange(2));
        let mut over = exchange(1);
        over.index_in_flow = 7;
        sink.ended(Box::new(over));
        sink.ended(Box::new(exchange(3)));
        let copies = seen.collected().exchanges;
        let told: Vec<_> = copies.iter().map(|x| (x.id.0, x.index_in_flow)).collect();
        assert_eq!(told, [(1, 7), (2, 0), (3, 0)]);
        assert_eq!(seen.changes(), 4);
        assert_eq!(sink.collected.exchanges.len(), 2);
    }

    #[test]
    fn copies_are_bounded_and_the_collection_is_not() {
        let seen = Preview::default();
        let mut sink = Previewed::new(seen.clone());
        let last = limits::PREVIEWED as u64 + 10;
        let mut room = limits::PREVIEWED_FIRST;
        while room < limits::PREVIEWED {
            (1..=last).for_each(|id| sink.ended(Box::new(exchange(id))));
            assert_eq!(seen.collected().exchanges.len(), room, "twice as many at each look");
            room *= 2;
        }
        let all = sink.collected.exchanges.len() as u64;
        (1..=last).for_each(|id| sink.ended(Box::new(exchange(id))));
        assert_eq!(seen.collected().exchanges.len(), limits::PREVIEWED);
        assert_eq!(sink.collected.exchanges.len() as u64, all + last);
    }

    #[test]
    fn of_a_capture_without_end_the_latest_are_seen_and_those_that_are_open_stay() {
        let seen = Preview::default();
        let mut sink = Previewed::of_latest(seen.clone(), 100);
        let most = limits::PREVIEWED as u64;
        sink.decided(&exchange(1));
        (2..=most + 10).for_each(|id| sink.ended(Box::new(exchange(id))));
        sink.ended(Box::new(exchange(1)));
        let copies = seen.collected();
        let mut ids: Vec<u64> = copies.exchanges.iter().map(|x| x.id.0).collect();
        ids.sort_unstable();
        assert_eq!((ids[0], ids[1], ids.last().copied(), copies.evicted), (1, 12, Some(most + 10), 10));
        assert_eq!(sink.collected.exchanges.len(), 100);
    }

    #[test]
    fn a_second_reading_begins_anew() {
        let seen = Preview::default();
        Previewed::new(seen.clone()).ended(Box::new(exchange(1)));
        Previewed::new(seen.clone()).ended(Box::new(exchange(1)));
        assert_eq!(seen.collected().exchanges.len(), 1);
    }
}
