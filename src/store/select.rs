//! What a filter leaves of an analysis.

use std::collections::{HashMap, HashSet};

use crate::base::{ExchangeId, FlowId};
use crate::model::Chain;
use crate::store::{Analysis, Filter, Row};

/// For each chain of the analysis, whether it matches by its legs, its connection, or one that it tried.
pub fn chains(a: &Analysis, filter: &Filter) -> Vec<bool> {
    let rows: HashMap<ExchangeId, &Row> = a.rows.iter().map(|row| (row.exchange.id, row)).collect();
    let flows: HashMap<FlowId, _> = a.flows.iter().map(|flow| (flow.id, flow)).collect();
    let wanted = |chain: &Chain| {
        let legs: Vec<&Row> = chain.legs.iter().filter_map(|leg| rows.get(leg).copied()).collect();
        let tried = chain.tried.iter().map(|tried| tried.flow);
        let flows: Vec<_> = chain.flow.into_iter().chain(tried).filter_map(|id| flows.get(&id).copied()).collect();
        filter.matches_chain(a, chain, &legs, &flows)
    };
    a.chains.iter().map(wanted).collect()
}

/// Keeps the chains that match, whole; what belongs to no chain
/// and what was counted stays. Ids of exchanges and chains stay, findings are numbered anew. What all
/// failures share is a fact about all of them and goes, unless all are kept.
pub fn select(a: &mut Analysis, filter: &Filter) {
    if filter.is_empty() {
        return;
    }
    let keep = chains(a, filter);
    if keep.iter().all(|&keep| keep) {
        return;
    }
    let gone = gone(a, &keep);
    let mut kept = keep.iter();
    a.chains.retain(|_| kept.next().copied().unwrap_or(false));
    let legs: HashSet<ExchangeId> = a.chains.iter().flat_map(|c| &c.legs).copied().collect();
    let flows: HashSet<FlowId> = a.chains.iter().flat_map(flows_of).collect();
    a.rows.retain(|row| legs.contains(&row.exchange.id));
    a.flows.retain(|flow| flows.contains(&flow.id));
    renumber(a, &gone);
}

/// A copy of some chains alone, as [`select`] would leave them. `keep`: for each chain, whether it is wanted.
pub fn part(a: &Analysis, keep: &[bool]) -> Analysis {
    let gone = gone(a, keep);
    let kept = a.chains.iter().zip(keep).filter(|(_, keep)| **keep);
    let chains: Vec<Chain> = kept.map(|(chain, _)| chain.clone()).collect();
    let legs: HashSet<ExchangeId> = chains.iter().flat_map(|c| &c.legs).copied().collect();
    let flows: HashSet<FlowId> = chains.iter().flat_map(flows_of).collect();
    let mut part = Analysis {
        inputs: a.inputs.clone(),
        counters: a.counters.clone(),
        rows: a.rows.iter().filter(|row| legs.contains(&row.exchange.id)).cloned().collect(),
        flows: a.flows.iter().filter(|flow| flows.contains(&flow.id)).cloned().collect(),
        chains,
        findings: a.findings.clone(),
        intermediaries: a.intermediaries.clone(),
        patterns: Vec::new(),
    };
    renumber(&mut part, &gone);
    part
}

fn flows_of(chain: &Chain) -> Vec<FlowId> {
    chain.flow.into_iter().chain(chain.tried.iter().map(|tried| tried.flow)).collect()
}

/// Findings of chains that are not kept.
fn gone(a: &Analysis, keep: &[bool]) -> HashSet<usize> {
    let rows: HashMap<ExchangeId, &Row> = a.rows.iter().map(|row| (row.exchange.id, row)).collect();
    let dropped = a.chains.iter().zip(keep).filter(|(_, keep)| !**keep);
    dropped
        .flat_map(|(chain, _)| {
            let of_legs = chain.legs.iter().filter_map(|leg| rows.get(leg)).flat_map(|row| &row.findings);
            chain.findings.iter().chain(of_legs)
        })
        .copied()
        .collect()
}

/// Takes findings away, and numbers the others anew wherever they are named.
fn renumber(a: &mut Analysis, gone: &HashSet<usize>) {
    let mut next = 0;
    let renumbered: Vec<Option<usize>> = (0..a.findings.len())
        .map(|i| {
            let number = (!gone.contains(&i)).then_some(next);
            next += usize::from(number.is_some());
            number
        })
        .collect();
    let renumber = |all: &mut Vec<usize>| {
        *all = all.iter().filter_map(|&i| renumbered.get(i).copied().flatten()).collect();
    };
    a.rows.iter_mut().for_each(|row| renumber(&mut row.findings));
    a.chains.iter_mut().for_each(|chain| renumber(&mut chain.findings));
    let mut index = 0;
    a.findings.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    a.patterns.clear();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn what_is_left_still_fits_together() {
        let mut a = testing::sample();
        select(&mut a, &Filter::parse("outcome:refused").unwrap());
        assert_eq!(a.rows.iter().map(|r| r.exchange.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(a.chains.iter().map(|c| c.id).collect::<Vec<_>>(), [3]);
        assert_eq!(a.findings.iter().map(|f| &*f.rule).collect::<Vec<_>>(), ["refused-403", "origin-host-mismatch"]);
        assert_eq!(a.rows[0].findings, [0, 1]);
        assert_eq!(a.chains[0].findings, [0, 1]);
    }

    #[test]
    fn a_copy_of_a_part_is_what_a_filter_leaves() {
        let a = testing::journeys();
        let filter = Filter::parse("status:101").unwrap();
        let part = part(&a, &chains(&a, &filter));
        let mut left = a;
        select(&mut left, &filter);
        assert!(!part.chains.is_empty());
        assert_eq!(format!("{part:?}"), format!("{left:?}"));
    }

    #[test]
    fn a_filter_that_all_pass_changes_nothing() {
        let mut a = testing::many(2, 2);
        select(&mut a, &Filter::parse("status:101").unwrap());
        assert_eq!((a.rows.len(), a.patterns.len()), (4, 1));
    }
}
