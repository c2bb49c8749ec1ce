//! The finished analysis: everything a report is written from.

use crate::base::Counters;
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
