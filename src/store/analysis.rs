//! The finished analysis: everything a report is written from.

use std::cmp::Ordering;

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

/// The row of this exchange, among rows in order of id.
pub fn row(rows: &[Row], id: ExchangeId) -> Option<&Row> {
    rows.get(place(rows, id)?)
}

fn place(rows: &[Row], id: ExchangeId) -> Option<usize> {
    let (mut low, mut high) = (0, rows.len());
    let (mut least, mut most) = (rows.first()?.exchange.id.0, rows.last()?.exchange.id.0);
    // Each row that is looked at is waited for. Ids grow by one from row to row, or by about as many everywhere where
    // exchanges between them were left out: so that the first guess or the next is right, mostly.
    for _ in 0..GUESSES {
        let after = id.0.checked_sub(least).filter(|_| id.0 <= most && low < high)?;
        let among = u128::from(after) * (high - low - 1) as u128 / u128::from(most - least).max(1);
        let at = low + usize::try_from(among).ok()?;
        let row = rows.get(at)?;
        match row.exchange.id.cmp(&id) {
            Ordering::Equal => return Some(at),
            Ordering::Less => (low, least) = (at + 1, row.exchange.id.0 + 1),
            Ordering::Greater => (high, most) = (at, row.exchange.id.0 - 1),
        }
    }
    let rows = rows.get(low..high)?;
    Some(low + rows.binary_search_by_key(&id, |row| row.exchange.id).ok()?)
}

/// Guesses where a row stands before the rows between are halved.
const GUESSES: usize = 3;

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
        place(&self.rows, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;
    use proptest::prelude::*;

    fn rows(ids: &[u64]) -> Vec<Row> {
        let one = |&id: &u64| {
            let x = testing::exchange(1, "192.0.2.1:80", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "");
            let exchange = Box::new(Exchange { id: ExchangeId(id), ..x });
            Row { exchange, handshake: Handshake::default(), outcome: Outcome::Unknown, findings: Vec::new() }
        };
        ids.iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn every_row_is_found_by_its_id_and_no_other(
            mut ids in proptest::collection::vec(prop_oneof![9 => 0_u64..300, 1 => any::<u64>()], 0..60),
            asked in proptest::collection::vec(prop_oneof![0_u64..300, any::<u64>()], 0..30),
        ) {
            ids.sort_unstable();
            ids.dedup();
            let rows = rows(&ids);
            for id in ids.iter().chain(&asked) {
                let found = row(&rows, ExchangeId(*id)).map(|row| row.exchange.id.0);
                prop_assert_eq!(found, ids.contains(id).then_some(*id));
            }
        }
    }
}
