//! Connections that were captured twice: `extract` is asked for one of the two, and what to do with the other
//! hangs on whether one file can hold both.

use std::collections::HashMap;

use crate::base::{Endpoint, ExchangeId, FlowId, PacketRef};
use crate::engine::Collected;
use crate::engine::replay::Wanted;
use crate::hops::{self, Told};
use crate::store::Row;

/// The second copies, by the exchange that stands for both in the report.
#[derive(Default)]
pub(super) struct Copies(HashMap<ExchangeId, Vec<Copy>>);

struct Copy {
    flow: FlowId,
    /// A packet of it.
    at: PacketRef,
    /// Its addresses, where address translation made them others.
    seen_as: Option<(Endpoint, Endpoint)>,
}

impl Copies {
    /// Found as the report finds them, before it drops them. Sorts the exchanges.
    pub(super) fn of(collected: &mut Collected, told: &Told) -> Copies {
        collected.exchanges.sort_by_key(|x| x.id);
        let mut copies = Copies::default();
        for twin in hops::join(&collected.exchanges, told).twins {
            let [kept, other] = [twin.kept, twin.other].map(|at| collected.exchanges.get(at));
            if let (Some(kept), Some(other)) = (kept, other) {
                let copy = Copy { flow: other.flow, at: other.request.at, seen_as: twin.seen_as };
                copies.0.entry(kept.id).or_default().push(copy);
            }
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
