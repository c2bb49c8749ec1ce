//! An analysis made ready for the screen, on the thread that read it.

use std::collections::HashMap;

use crate::base::{FlowId, Timestamp};
use crate::model::{Chain, Outcome};
use crate::store::Analysis;

use super::shared::Mark;

/// An analysis, and what takes long to find in it: to be made beside the screen.
pub struct Ready {
    pub(super) a: Analysis,
    pub(super) marks: Vec<Mark>,
    pub(super) flows: HashMap<FlowId, usize>,
    /// Earliest and latest packet.
    pub(super) bounds: Option<(Timestamp, Timestamp)>,
}

impl Ready {
    pub fn new(a: Analysis) -> Ready {
        let marks = a.chains.iter().map(|chain| mark(&a, chain)).collect();
        let flows = a.flows.iter().enumerate().map(|(at, flow)| (flow.id, at)).collect();
        let times = a.inputs.iter().flat_map(|i| [i.first, i.last]).flatten();
        let spoken = a.rows.iter().flat_map(|row| [Some(row.exchange.request.first), row.exchange.times.last]);
        let all = times.chain(spoken.flatten().filter(|_| a.inputs.iter().all(|i| i.first.is_none())));
        let bounds = all.fold(None, |bounds: Option<(Timestamp, Timestamp)>, ts| {
            Some(bounds.map_or((ts, ts), |(from, to)| (from.min(ts), to.max(ts))))
        });
        Ready { a, marks, flows, bounds }
    }

    /// How many chains it has.
    pub fn chains(&self) -> usize {
        self.a.chains.len()
    }
}

/// What a row's mark is.
pub(super) fn mark(a: &Analysis, chain: &Chain) -> Mark {
    let v = &chain.verdict;
    let allowed = || {
        let all = chain.findings.iter().filter_map(|&i| a.findings.get(i));
        all.filter(|f| f.rule == v.rule).any(|f| f.allowed)
    };
    match (&*v.rule, chain.outcome) {
        ("unknown", _) | ("ok", Outcome::Unknown) => Mark::Unknown,
        ("ok", Outcome::Upgraded) => Mark::Good,
        ("ok", _) => Mark::Plain,
        _ if allowed() => Mark::Plain,
        _ => Mark::of(v.severity),
    }
}
