//! Keeps every exchange of a whole capture, to be judged when all of them are known.

use crate::base::limits;
use crate::model::{Exchange, FlowFacts};
use crate::proto::Sink;

/// All exchanges of a capture, in the order of their ends.
#[derive(Default)]
pub struct Collected {
    pub exchanges: Vec<Box<Exchange>>,
    /// Some of them are plain requests that may be legs.
    pub tentative: bool,
    /// Flows without a request; at most `limits::LONE_FLOWS`.
    pub lone: Vec<FlowFacts>,
    /// Connections in TLS that were not read; at most `limits::SEALED_KEPT`.
    pub sealed: Vec<FlowFacts>,
    /// Exchanges and flows beyond the limits.
    pub evicted: u64,
}

impl Sink for Collected {
    fn decided(&mut self, _: &Exchange) {}

    fn ended(&mut self, x: Box<Exchange>) {
        self.tentative |= x.tentative;
        if self.exchanges.len() < limits::EXCHANGES {
            self.exchanges.push(x);
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
