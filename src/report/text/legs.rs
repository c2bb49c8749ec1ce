//! Which chains are the same upgrade, seen on two legs: they carry the same key, and the one lies within
//! the other in time.

use std::collections::HashSet;
use std::io;

use crate::base::Timestamp;
use crate::model::{Chain, Exchange, Role};
use crate::report::mask;
use crate::report::text::page::{Page, Tone};
use crate::report::text::{Context, facts};
use crate::store::{Analysis, Row};

/// Chains with one key beyond which it is a constant that tells nothing.
const MOST: usize = 4;

/// Indices of the chains that are the same upgrade on the legs beside this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Neighbours {
    /// Farther from the client.
    pub(super) next: Option<usize>,
    /// Nearer the client.
    pub(super) before: Option<usize>,
}

/// For each chain of the analysis. Only what is certain: a random key, other hosts, and the request and
/// answer of the farther leg between those of the nearer one.
pub(super) fn neighbours(a: &Analysis) -> Vec<Neighbours> {
    let mut out = vec![Neighbours::default(); a.chains.len()];
    let mut keys: Vec<(&[u8], usize, &Row)> = Vec::with_capacity(a.chains.len());
    for (index, chain) in a.chains.iter().enumerate() {
        let Some(row) = facts::first_leg(a, chain) else { continue };
        let key = row.exchange.key().filter(|key| key.len() == 24);
        keys.extend(key.map(|key| (key, index, row)));
    }
    // Nearly all captures have each key once, or its chains were joined.
    let mut known: HashSet<&[u8], foldhash::fast::RandomState> = HashSet::default();
    known.reserve(keys.len());
    if keys.iter().all(|(key, ..)| known.insert(key)) {
        return out;
    }
    keys.sort_unstable_by_key(|&(key, index, _)| (key, index));
    for same in keys.chunk_by(|a, b| a.0 == b.0).filter(|same| (2..=MOST).contains(&same.len())) {
        let mut same: Vec<(usize, &Row)> = same.iter().map(|&(_, index, row)| (index, row)).collect();
        same.sort_by_key(|(index, row)| (row.exchange.request.first, *index));
        for pair in same.windows(2) {
            let [(outer, nearer), (inner, farther)] = pair else { continue };
            if !lies_within(nearer, farther) {
                continue;
            }
            if let Some(n) = out.get_mut(*outer) {
                n.next = Some(*inner);
            }
            if let Some(n) = out.get_mut(*inner) {
                n.before = Some(*outer);
            }
        }
    }
    out
}

/// A row for each leg beside this one.
pub(super) fn write(c: &Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let index = c.a.chains.iter().position(|other| other.id == chain.id);
    let Some(beside) = index.and_then(|i| c.facts.legs.get(i)).copied() else { return Ok(()) };
    for (label, index) in [("leg before", beside.before), ("next leg", beside.next)] {
        let Some(other) = index.and_then(|i| c.a.chains.get(i)) else { continue };
        let Some(x) = facts::first_leg(c.a, other).map(|row| &row.exchange) else { continue };
        let verdict = match &*other.verdict.rule {
            "ok" => other.outcome.word().to_owned(),
            rule => mask::own(rule),
        };
        let text = format!("#{} {} → {}, with the same key: {verdict}", other.id, x.client, x.server);
        page.row(label, Tone::Plain, &text)?;
    }
    Ok(())
}

fn lies_within(nearer: &Row, farther: &Row) -> bool {
    let (n, f) = (&nearer.exchange, &farther.exchange);
    let elsewhere = n.client.ip != f.client.ip || n.server != f.server;
    let began = n.request.first <= f.request.first;
    let answered = |row: &Row| -> Option<Timestamp> { row.exchange.response.as_ref().map(|r| r.first) };
    let ended = match (answered(nearer), answered(farther)) {
        (Some(outer), Some(inner)) => inner <= outer,
        (Some(outer), None) => f.request.first <= outer,
        // The nearer leg never got what the farther one answered, or neither was answered.
        (None, _) => n.end.at.is_none_or(|end| f.request.first <= end),
    };
    elsewhere && began && ended
}

/// What captures the other side of a proxy of which one side was seen, and whose fault it seems to be. Nothing but an
/// address is put in.
pub(super) fn other_side(page: &mut Page<'_>, chain: &Chain, x: &Exchange) -> io::Result<()> {
    let v = &chain.verdict;
    let alone = chain.legs.len() == 1 && chain.hops.is_empty() && chain.tried.is_empty() && chain.sealed.is_empty();
    // What is known by comparing both sides needs no other one.
    let compared = v.told_by().starts_with("hop-");
    let hop = v.blame.as_ref().filter(|blame| blame.role == Role::Hop).and_then(|blame| blame.address.as_deref());
    let end = [x.client.ip, x.server.ip].into_iter().find(|ip| hop.is_some_and(|hop| hop == ip.to_string()));
    match end.filter(|ip| alone && !compared && !ip.is_loopback()) {
        Some(ip) => page.verbatim("other side", &format!("on {ip}: tcpdump -i any -s 0 -U -w both.pcap tcp")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn the_same_key_at_another_time_is_another_upgrade() {
        // The sample uses one key for three upgrades, one after the other.
        let a = testing::sample();
        assert!(neighbours(&a).iter().all(|n| *n == Neighbours::default()));
    }

    #[test]
    fn a_request_within_another_with_the_same_key_is_its_next_leg() {
        let mut a = testing::sample();
        let (first, answer) = {
            let outer = &a.rows[0].exchange;
            (outer.request.first, outer.response.as_ref().map(|r| r.first))
        };
        let inner = &mut a.rows[1].exchange;
        inner.request.first = first;
        if let (Some(response), Some(at)) = (&mut inner.response, answer) {
            response.first = at;
        }
        a.rows[2].exchange.request.fields = std::sync::Arc::default();
        let found = neighbours(&a);
        assert_eq!(found[0], Neighbours { next: Some(1), before: None });
        assert_eq!(found[1], Neighbours { next: None, before: Some(0) });
    }
}
