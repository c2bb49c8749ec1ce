//! Connections that were captured twice: `extract` is asked for one of the two, and what to do with the other
//! hangs on whether one file can hold both.

use std::collections::HashMap;

use crate::base::{Endpoint, ExchangeId, FlowId};
use crate::engine::Copied;
use crate::engine::replay::Wanted;
use crate::store::Row;

/// The second copies, by the exchange that stands for both in the report.
#[derive(Default)]
pub(super) struct Copies(HashMap<ExchangeId, Vec<Copied>>);

impl Copies {
    /// Of what joining left out.
    pub(super) fn of(copied: Vec<Copied>) -> Copies {
        let mut copies = Copies::default();
        for copy in copied {
            copies.0.entry(copy.kept).or_default().push(copy);
        }
        copies
    }

    /// Adds the copies that have addresses of their own: beside the first copy they are still connections of
    /// their own. A copy with the same addresses would be mixed up with it, so it stays out; of copies behind
    /// address translation, too, there is one of each name.
    pub(super) fn add(&self, wanted: &mut Wanted, row: &Row) {
        let mut names: Vec<(Endpoint, Endpoint)> = Vec::new();
        for copy in self.0.get(&row.exchange.id).into_iter().flatten() {
            let Some(name) = copy.seen_as.filter(|name| !names.contains(name)) else { continue };
            names.push(name);
            wanted.add(copy.flow, copy.at);
        }
    }

    /// Connections that were left out because another copy of them is written.
    pub(super) fn left_out(&self, wanted: &Wanted, rows: &[Row]) -> u64 {
        let chosen = rows.iter().filter(|row| wanted.has(row.exchange.flow));
        let copies = chosen.filter_map(|row| self.0.get(&row.exchange.id)).flatten();
        let mut flows: Vec<FlowId> = copies.map(|copy| copy.flow).filter(|&flow| !wanted.has(flow)).collect();
        flows.sort_unstable();
        flows.dedup();
        u64::try_from(flows.len()).unwrap_or(u64::MAX)
    }
}
