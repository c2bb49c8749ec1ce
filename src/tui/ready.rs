//! An analysis made ready for the screen, on the thread that read it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{FlowId, Timestamp};
use crate::store::{Analysis, Columns, Parts};

use super::facts::Facts;

/// An analysis, and what takes long to find in it: to be made beside the screen.
pub struct Ready {
    pub(super) a: Arc<Analysis>,
    pub(super) facts: Facts,
    pub(super) flows: HashMap<FlowId, usize>,
    /// Earliest and latest packet.
    pub(super) bounds: Option<(Timestamp, Timestamp)>,
    pub(super) parts: Arc<Parts>,
    /// Those of `parts`. `None`: they are not made yet, and filters take longer.
    pub(super) columns: Option<Columns>,
}

impl Ready {
    pub fn new(a: Analysis) -> Ready {
        let flows: HashMap<FlowId, usize> = a.flows.iter().enumerate().map(|(at, flow)| (flow.id, at)).collect();
        let flow = |id: FlowId| flows.get(&id).copied();
        let facts = Facts::new(&a, &flow);
        let parts = Arc::new(Parts::new(&a, &flow));
        let times = a.inputs.iter().flat_map(|i| [i.first, i.last]).flatten();
        let unknown = a.inputs.iter().all(|i| i.first.is_none());
        let spoken = a.rows.iter().take(if unknown { usize::MAX } else { 0 });
        let spoken = spoken.flat_map(|row| [Some(row.exchange.request.first), row.exchange.times.last]).flatten();
        let bounds = times.chain(spoken).fold(None, |bounds: Option<(Timestamp, Timestamp)>, ts| {
            Some(bounds.map_or((ts, ts), |(from, to)| (from.min(ts), to.max(ts))))
        });
        Ready { a: Arc::new(a), facts, flows, bounds, parts, columns: None }
    }

    /// How many chains it has.
    pub fn chains(&self) -> usize {
        self.a.chains.len()
    }

    /// What is still to be made when this is shown already.
    pub fn rest(&self) -> Rest {
        Rest { a: Arc::clone(&self.a), parts: Arc::clone(&self.parts) }
    }
}

/// What makes filters fast, and takes too long to be waited for.
pub struct Rest {
    a: Arc<Analysis>,
    parts: Arc<Parts>,
}

impl Rest {
    /// Makes it. `None`: it is not to go on.
    pub fn make(self, go_on: &dyn Fn() -> bool) -> Option<Columns> {
        Columns::new(&self.a, &self.parts, go_on)
    }
}
