//! Which connections `extract` is asked for.

use std::collections::HashSet;

use anyhow::bail;

use crate::base::FlowId;
use crate::cli::{Extract, Numbers};
use crate::engine::replay::Wanted;
use crate::model::{Chain, Subject, Wrapper};
use crate::report::build;
use crate::store::{self, Analysis, Filter, Row};

use super::copies::Copies;

/// Ranges of ids that are named to a user who asked for others.
const TOLD: usize = 20;

/// The connections that were asked for: of chains all legs and what their hops tried in vain, of exchanges their
/// own connection alone. An error where an id does not exist or nothing matches.
pub(super) fn chosen(args: &Extract, filter: Option<&Filter>, a: &Analysis, copies: &Copies) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::default();
    let add_row = |wanted: &mut Wanted, row: &Row| {
        wanted.add(row.exchange.flow, row.exchange.request.at);
        copies.add(wanted, row);
    };
    let add_chain = |wanted: &mut Wanted, chain: &Chain| {
        chain.legs.iter().filter_map(|&leg| build::row(a, leg)).for_each(|row| add_row(wanted, row));
        let of = |id| chain.flow == Some(id) || chain.tried.iter().any(|tried| tried.flow == id);
        a.flows.iter().filter(|flow| of(flow.id)).for_each(|flow| wanted.add(flow.id, flow.syn));
    };
    if let Some(numbers) = &args.exchange {
        let ids: Vec<i64> = a.rows.iter().map(|row| number(row.exchange.id.0)).collect();
        check("exchange", numbers, ids)?;
        a.rows.iter().filter(|row| has(numbers, number(row.exchange.id.0))).for_each(|row| add_row(&mut wanted, row));
    } else if let Some(numbers) = &args.chain {
        check("chain", numbers, a.chains.iter().map(|c| c.id).collect())?;
        a.chains.iter().filter(|c| has(numbers, c.id)).for_each(|c| add_chain(&mut wanted, c));
    } else if let Some(filter) = filter {
        let keep = store::select::chains(a, filter);
        a.chains.iter().zip(keep).filter(|(_, keep)| *keep).for_each(|(c, _)| add_chain(&mut wanted, c));
        if wanted.is_empty() {
            let there = told("chain", a.chains.iter().map(|c| c.id).collect());
            bail!("--filter: nothing matches, so there is nothing to write; {there}");
        }
    }
    Ok(wanted)
}

/// What stands around the streams of these connections.
pub(super) fn around<'a>(wanted: &'a Wanted, a: &'a Analysis) -> impl Iterator<Item = &'a Wrapper> {
    let rows = a.rows.iter().map(|row| &*row.exchange).filter(move |x| wanted.has(x.flow)).flat_map(|x| &x.via);
    let flows = a.flows.iter().filter(move |flow| wanted.has(flow.id));
    rows.chain(flows.filter_map(|flow| flow.said.as_ref()).flat_map(|said| &said.via))
}

/// What was asked for, in words. `filter`: the expression, safe to print.
pub(super) fn in_words(args: &Extract, filter: &str) -> String {
    match (&args.exchange, &args.chain) {
        (Some(numbers), _) => format!("exchange {numbers}"),
        (_, Some(numbers)) => format!("chain {numbers}"),
        _ if filter.is_empty() => "every chain".to_owned(),
        _ => format!("what matches {filter}"),
    }
}

/// Whether a finding is about one of the connections, or about an input as a whole.
pub(super) fn concerns<'a>(wanted: &Wanted, a: &'a Analysis) -> impl Fn(&Subject) -> bool + use<'a> {
    let of_row = |row: &Row| wanted.has(row.exchange.flow);
    let exchanges: HashSet<_> = a.rows.iter().filter(|row| of_row(row)).map(|row| row.exchange.id).collect();
    let flows: HashSet<FlowId> = a.chains.iter().filter_map(|c| c.flow).filter(|&id| wanted.has(id)).collect();
    let legs = |c: &Chain| c.legs.iter().any(|leg| exchanges.contains(leg));
    let chains: HashSet<i64> = a.chains.iter().filter(|c| legs(c)).map(|c| c.id).collect();
    move |subject| match subject {
        Subject::Exchange(id) => exchanges.contains(id),
        Subject::Chain(id) => chains.contains(id),
        Subject::Flow(id) => flows.contains(id),
        Subject::Input(_) | Subject::Capture => true,
    }
}

fn has(numbers: &Numbers, id: i64) -> bool {
    numbers.0.iter().any(|range| range.contains(&id))
}

/// Every id and every range must name something.
fn check(what: &str, numbers: &Numbers, mut ids: Vec<i64>) -> anyhow::Result<()> {
    ids.sort_unstable();
    for range in &numbers.0 {
        let next = ids.partition_point(|id| id < range.start());
        if ids.get(next).is_none_or(|id| id > range.end()) {
            let asked = Numbers(vec![range.clone()]);
            bail!("--{what} {asked}: there is no such {what}; {}", told(what, ids));
        }
    }
    Ok(())
}

/// Which ids there are.
fn told(what: &str, mut ids: Vec<i64>) -> String {
    ids.sort_unstable();
    let mut ranges: Vec<std::ops::RangeInclusive<i64>> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            // Ranges of negative ids would be hard to read.
            Some(last) if id > 0 && last.end() + 1 == id => *last = *last.start()..=id,
            _ => ranges.push(id..=id),
        }
    }
    if ranges.is_empty() {
        return "the capture has none: no upgrade was asked for in it".to_owned();
    }
    let more = if ranges.len() > TOLD { " and more" } else { "" };
    ranges.truncate(TOLD);
    format!("there are: {what} {}{more} (see: hopscope report)", Numbers(ranges))
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
