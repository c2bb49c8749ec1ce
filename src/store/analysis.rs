//! The finished analysis: everything a report is written from.

use crate::base::{Counters, ExchangeId};
use crate::model::{Chain, Exchange, Finding, FlowFacts, Handshake, InputFacts, Intermediary, Outcome, Pattern};

/// One exchange and what was judged of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// In a box: as it came from the reader, never copied, and small to move.
    pub exchange: Box<Exchange>,
    pub handshake: Handshake,
    pub outcome: Outcome,
    /// Indices into [`Analysis::findings`].
    pub findings: Vec<usize>,
}

/// Everything of one run. The id of a finding is its index plus one.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    pub inputs: Vec<InputFacts>,
    pub counters: Counters,
    /// In order of id.
    pub rows: Vec<Row>,
    /// Flows without a request that have a finding, or that a hop opened for a chain.
    pub flows: Vec<FlowFacts>,
    /// In order of their first packet's time; every row is a leg of exactly one, and
    /// each of `flows` is one by itself or was tried in one.
    pub chains: Vec<Chain>,
    pub findings: Vec<Finding>,
    /// By address.
    pub intermediaries: Vec<Intermediary>,
    pub patterns: Vec<Pattern>,
}

impl Analysis {
    /// The place of the exchange with this id among the rows.
    pub fn place(&self, id: ExchangeId) -> Option<usize> {
        // Ids grow by one from row to row, unless exchanges between them were left out: then it stands earlier.
        let first = self.rows.first()?.exchange.id.0;
        let most = usize::try_from(id.0.checked_sub(first)?).unwrap_or(usize::MAX).min(self.rows.len() - 1);
        let rows = self.rows.get(..=most)?;
        if rows.last().is_some_and(|row| row.exchange.id == id) {
            return Some(most);
        }
        rows.binary_search_by_key(&id, |row| row.exchange.id).ok()
    }
}
