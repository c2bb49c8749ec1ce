//! Keeps every exchange of a whole capture, to be judged when all of them are known.

use crate::base::limits;
use crate::model::{Exchange, FlowFacts};
use crate::proto::Sink;

/// All exchanges of a capture, in the order of their ends unless only the latest are kept.
#[derive(Default)]
pub struct Collected {
    pub exchanges: Vec<Box<Exchange>>,
    /// Some of them are plain requests that may be legs.
    pub tentative: bool,
    /// Of some of them nothing of the request was captured.
    pub halved: bool,
    /// Flows without a request; at most `limits::LONE_FLOWS`.
    pub lone: Vec<FlowFacts>,
    /// Connections in TLS that were not read; at most `limits::SEALED_KEPT`.
    pub sealed: Vec<FlowFacts>,
    /// Exchanges and flows beyond the limits.
    pub evicted: u64,
    /// Exchanges that are kept, where the latest are: the one that ended first goes. 0: the first
    /// `limits::EXCHANGES` are kept.
    latest: usize,
    /// The one that goes next.
    oldest: usize,
}

impl Collected {
    /// Keeps the `latest` exchanges, of a capture that has no end.
    pub fn of_latest(latest: usize) -> Self {
        Collected { latest, ..Collected::default() }
    }
}

impl Sink for Collected {
    fn decided(&mut self, _: &Exchange) {}

    fn ended(&mut self, x: Box<Exchange>) {
        self.tentative |= x.tentative;
        self.halved |= x.is_request_unseen();
        let most = if self.latest == 0 { limits::EXCHANGES } else { self.latest };
        if self.exchanges.len() < most {
            self.exchanges.push(x);
        } else if let Some(oldest) = self.exchanges.get_mut(self.oldest).filter(|_| self.latest != 0) {
            // Their order is put right when they are judged.
            *oldest = x;
            self.oldest = (self.oldest + 1) % self.latest;
            self.evicted += 1;
        } else {
            self.evicted += 1;
        }
    }

    fn lone(&mut self, flow: FlowFacts) {
        if self.lone.len() < limits::LONE_FLOWS {
            self.lone.push(flow);
        } else {
            self.evicted += 1;
        }
    }

    fn sealed(&mut self, flow: FlowFacts) {
        if self.sealed.len() < limits::SEALED_KEPT {
            self.sealed.push(flow);
        } else {
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn of_a_capture_without_end_the_latest_are_kept_and_the_others_counted() {
        let mut collected = Collected::of_latest(3);
        for id in 1..=7 {
            let x =
                testing::exchange(id, "192.0.2.1:80", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
            collected.ended(Box::new(x));
        }
        let mut ids: Vec<u64> = collected.exchanges.iter().map(|x| x.id.0).collect();
        ids.sort_unstable();
        assert_eq!((ids, collected.evicted), (vec![5, 6, 7], 4));
    }
}
