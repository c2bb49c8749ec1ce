//! What a filter looks at, numbered: the legs and connections of all chains, in the order of their chains.

use std::ops::Range;

use crate::base::FlowId;
use crate::model::{Chain, FlowFacts};
use crate::store::filter::keys::Subject;
use crate::store::{Analysis, Row};

/// Marks a connection; otherwise it is an exchange.
const FLOW: u32 = 1 << 31;

/// The parts of all chains of one analysis.
#[derive(Debug, Default)]
pub struct Parts {
    /// An index of the analysis' rows, or of its flows.
    of: Vec<u32>,
    /// For each chain, the part behind its last one.
    ends: Vec<u32>,
}

impl Parts {
    /// `flow`: finds a connection among the analysis' flows.
    pub fn new(a: &Analysis, flow: &dyn Fn(FlowId) -> Option<usize>) -> Parts {
        let mut parts = Parts { of: Vec::with_capacity(a.rows.len()), ends: Vec::with_capacity(a.chains.len()) };
        for chain in &a.chains {
            let legs = chain.legs.iter().filter_map(|id| a.place(*id)).map(|at| number(at, 0));
            let flows = chain.flow.into_iter().chain(chain.tried.iter().map(|tried| tried.flow));
            let flows = flows.filter_map(flow).map(|at| number(at, FLOW));
            parts.of.extend(legs.chain(flows).flatten());
            parts.ends.push(u32::try_from(parts.of.len()).unwrap_or(u32::MAX));
        }
        parts
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn chains(&self) -> usize {
        self.ends.len()
    }

    /// The parts of the chain with this index.
    pub(super) fn of_chain(&self, index: usize) -> Range<usize> {
        let end = |at: Option<usize>| at.and_then(|at| self.ends.get(at)).map_or(0, |end| *end as usize);
        end(index.checked_sub(1))..end(Some(index))
    }

    /// The chain that a part belongs to.
    pub(super) fn chain(&self, part: usize) -> usize {
        self.ends.partition_point(|end| *end as usize <= part)
    }

    /// A leg, or a connection.
    pub(super) fn get<'a>(&self, a: &'a Analysis, part: usize) -> (Option<&'a Row>, Option<&'a FlowFacts>) {
        match self.of.get(part) {
            Some(at) if at & FLOW != 0 => (None, a.flows.get((at & !FLOW) as usize)),
            Some(at) => (a.rows.get(*at as usize), None),
            None => (None, None),
        }
    }

    /// What is asked of it.
    pub(super) fn subject<'a>(
        &self,
        a: &'a Analysis,
        inputs: &'a [String],
        chain: Option<&'a Chain>,
        part: usize,
    ) -> Subject<'a> {
        let (row, flow) = self.get(a, part);
        Subject { row, flow, chain, findings: &a.findings, inputs, proxies: &a.intermediaries }
    }
}

/// `None`: there are more than numbers.
fn number(at: usize, mark: u32) -> Option<u32> {
    u32::try_from(at).ok().filter(|at| at & FLOW == 0).map(|at| at | mark)
}
