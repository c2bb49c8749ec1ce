//! What is known while reading goes on. The first exchanges are copied on their way into the collection, as they are
//! decided and as they end, so that somebody else can judge them meanwhile.

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
    lone: Vec<FlowFacts>,
    changes: u64,
}

impl Previewed {
    pub fn new(seen: Preview) -> Previewed {
        seen.with(|copies| *copies = Copies::default());
        Previewed { collected: Collected::default(), seen, copied: 0, over: false }
    }
}

impl Preview {
    /// How often something was added or ended.
    pub fn changes(&self) -> u64 {
        self.with(|copies| copies.changes)
    }

    /// What is known so far, as if the capture ended here: at most `limits::PREVIEWED` exchanges, and as many
    /// connections without a request.
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
            out.exchanges.extend(some);
        }
        out.lone = self.with(|copies| copies.lone.clone());
        out
    }

    fn with<T>(&self, work: impl FnOnce(&mut Copies) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Previewed {
    fn decided(&mut self, x: &Exchange) {
        if self.copied < limits::PREVIEWED {
            self.copied += 1;
            self.seen.with(|copies| {
                copies.open.insert(x.id, copies.exchanges.len());
                copies.exchanges.push(Box::new(x.clone()));
                copies.changes += 1;
            });
        }
        self.collected.decided(x);
    }

    fn ended(&mut self, x: Box<Exchange>) {
        if !self.over {
            let room = self.copied < limits::PREVIEWED;
            let (added, over) = self.seen.with(|copies| {
                let known = copies.open.remove(&x.id).and_then(|at| copies.exchanges.get_mut(at));
                let added = known.is_none() && room;
                match known {
                    Some(known) => *known = x.clone(),
                    None if room => copies.exchanges.push(x.clone()),
                    None => {}
                }
                copies.changes += 1;
                (added, !room && copies.open.is_empty())
            });
            self.copied += usize::from(added);
            self.over = over;
        }
        self.collected.ended(x);
    }

    fn lone(&mut self, flow: FlowFacts) {
        self.seen.with(|copies| {
            if copies.lone.len() < limits::PREVIEWED {
                copies.lone.push(flow.clone());
                copies.changes += 1;
            }
        });
        self.collected.lone(flow);
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
        (1..=last).for_each(|id| sink.ended(Box::new(exchange(id))));
        assert_eq!(seen.collected().exchanges.len(), limits::PREVIEWED);
        assert_eq!(sink.collected.exchanges.len() as u64, last);
    }

    #[test]
    fn a_second_reading_begins_anew() {
        let seen = Preview::default();
        Previewed::new(seen.clone()).ended(Box::new(exchange(1)));
        Previewed::new(seen.clone()).ended(Box::new(exchange(1)));
        assert_eq!(seen.collected().exchanges.len(), 1);
    }
}
