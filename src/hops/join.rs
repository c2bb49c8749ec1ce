//! Which exchanges are legs of one journey. Candidates are found by what they share, evidence is scored,
//! and all pairs of a knot are assigned together; what fits two ways stays unjoined.
//!
//! Time grows with the exchanges and with the candidates of each, of which there are at most
//! `limits::JOIN_CANDIDATES`.

use std::net::IpAddr;

use crate::base::{Endpoint, Nanos, Timestamp, limits};
use crate::model::{Confidence, Exchange, HopKind, MatchKey};

use super::assign::{self, Pair};
use super::candidates::Candidates;
use super::card::{Card, Fingerprints, leg_is_missing};
use super::clocks::{self, Clock};
use super::hosts::{Hosts, Pin};
use super::score::{self, ENOUGH, PROOF, Score, Topology};
use super::twins;
use super::{Map, Set};

/// What the user says of hosts and clocks.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub pins: Vec<Pin>,
    /// Inputs whose clock offsets the user gave; they are applied already.
    pub clocks: Vec<u16>,
    /// What is known of addresses already, the pins among it. Empty: nothing but the pins.
    pub hosts: Hosts,
    /// Only some of the exchanges are there at a time, too few to tell clocks inside an input apart.
    pub streamed: bool,
}

/// Two legs and the hop between them. `near` and `far` are places in the list that was joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub near: usize,
    pub far: usize,
    pub kind: HopKind,
    pub why: Vec<MatchKey>,
    pub confidence: Confidence,
    /// The hop tried here once more, or first: another leg behind the same near one.
    pub retry: bool,
    /// A leg between the two is not in view, so that they are not of one hop.
    pub unseen: bool,
}

/// One leg that was captured twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The one that is kept: nearer the client.
    pub kept: usize,
    pub other: usize,
    /// Its addresses there, where address translation stands between.
    pub seen_as: Option<(Endpoint, Endpoint)>,
}

/// What joining found.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Sorted by near leg, then in the order in which the far legs began.
    pub edges: Vec<Edge>,
    pub twins: Vec<Twin>,
    /// Exchanges that fit several others equally well, and how many.
    pub rivals: Vec<(usize, usize)>,
    /// Of the inputs whose clocks differ.
    pub clocks: Vec<Clock>,
    /// Which addresses belong together.
    pub hosts: Hosts,
    /// Knots of candidates that were too large to be assigned (`limits::JOIN_KNOT`).
    pub knots: u64,
}

/// Joins exchanges, in the order of their ids.
pub fn join(all: &[Box<Exchange>], told: &Told) -> Joined {
    let prints = Fingerprints::default();
    let slack = match told.clocks.as_slice() {
        [] => Nanos::from_millis(limits::JOIN_SLACK_MS),
        _ => Nanos::from_millis(limits::TOLD_CLOCK_MS),
    };
    let mut found = Candidates::new(all, &prints, slack);
    let known = if told.hosts.is_empty() { Hosts::new(&told.pins) } else { told.hosts.clone() };
    let mut joined = Joined { hosts: known, ..Joined::default() };
    if found.is_empty() {
        return joined;
    }
    let sightings: Vec<(&Exchange, &Exchange)> =
        found.sure_pairs().filter_map(|(a, b)| Some((&**all.get(a)?, &**all.get(b)?))).collect();
    joined.clocks = clocks::estimate(&sightings, &told.clocks);
    if joined.clocks.is_empty() && told.clocks.is_empty() && !told.streamed {
        let inside: Vec<(&Exchange, &Exchange)> =
            found.pairs_in_one().filter_map(|(a, b)| Some((&**all.get(a)?, &**all.get(b)?))).collect();
        joined.clocks = clocks::within(&inside);
    }
    let shift = |x: &Exchange| {
        let of = |clock: &&Clock| clock.is_of(x.request.at.input(), x.server.ip);
        joined.clocks.iter().find(of).map_or(Nanos::ZERO, |c| c.offset)
    };
    joined.twins = twins::find(&found, all, &shift);
    found.drop_twins(&joined.twins);
    let mut candidates = found.pairs(&shift);
    // Cards for those that have a partner at all.
    let mut cards: Map<usize, Card> = Map::default();
    let fill = |candidates: &[(usize, usize)], cards: &mut Map<usize, Card>| {
        for &(near, far) in candidates {
            for at in [near, far] {
                if let Some(x) = all.get(at) {
                    cards.entry(at).or_insert_with(|| prints.card(x, shift(x)));
                }
            }
        }
    };
    fill(&candidates, &mut cards);
    let mut topology = Topology::new(std::mem::take(&mut joined.hosts), slack);
    let tried = if found.has_more() { candidates.as_slice() } else { &[] };
    let makers: Set<IpAddr> = weigh(tried, &cards, &topology, &Map::default())
        .scored
        .keys()
        .filter_map(|(near, far)| Some((cards.get(near)?, cards.get(far)?)))
        .filter(|(near, far)| (near.key.is_some() || near.stream) && far.key.is_some() && near.key != far.key)
        .map(|(_, far)| far.client.ip)
        .collect();
    if !makers.is_empty() {
        let more = found.more(&makers, &shift);
        fill(&more, &mut cards);
        candidates.extend(more);
        candidates.sort_unstable();
        candidates.dedup();
    }
    let mut sent: Map<IpAddr, usize> = Map::default();
    if !candidates.is_empty() {
        all.iter().for_each(|x| *sent.entry(x.client.ip).or_default() += 1);
    }
    // First what needs no topology; it teaches what the rest needs.
    let first = weigh(&candidates, &cards, &topology, &sent).scored;
    let mut proven: Vec<(usize, usize)> = sure(&first).map(|(&pair, _)| pair).collect();
    proven.sort_unstable();
    for pair in proven {
        if let (Some(near), Some(far)) = (cards.get(&pair.0), cards.get(&pair.1)) {
            topology.learn(near, far);
        }
    }
    let Weighed { scored, vague } = weigh(&candidates, &cards, &topology, &sent);
    let pairs: Vec<Pair> =
        scored.iter().map(|(&(near, far), score)| Pair { near, far, points: score.points }).collect();
    let assigned = assign::assign(&pairs);
    let of = |near, far| scored.get(&(near, far));
    for &(near, far) in &assigned.pairs {
        joined.edges.extend(of(near, far).and_then(|score| edge(near, far, score, &cards, false)));
    }
    joined.rivals = assigned.rivals;
    joined.rivals.extend(vague);
    joined.rivals.sort_unstable();
    joined.rivals.dedup_by_key(|(at, _)| *at);
    let taken: Set<usize> = joined.edges.iter().flat_map(|edge| [edge.near, edge.far]).collect();
    joined.rivals.retain(|(at, _)| !taken.contains(at));
    joined.knots = assigned.knots;
    in_turn(&mut joined, &scored, &cards);
    retries(&mut joined, &scored, &cards);
    without_upgrade(&mut joined.edges, all);
    for edge in &mut joined.edges {
        let legs = all.get(edge.near).zip(all.get(edge.far));
        edge.unseen = legs.is_some_and(|(near, far)| leg_is_missing(near, far));
        if let (Some(near), Some(far)) = (cards.get(&edge.near), cards.get(&edge.far)) {
            // A transparent proxy speaks with its client's address, or takes its server's.
            let transparent = near.client.ip == far.client.ip || near.server == far.server;
            if !transparent && edge.confidence > Confidence::Possible && !edge.unseen {
                topology.hosts.unite(near.server.ip, far.client.ip);
            }
        }
    }
    let began = |at: usize| cards.get(&at).map(|card| card.from);
    joined.edges.sort_by_key(|edge| (edge.near, began(edge.far), edge.far));
    joined.hosts = topology.hosts;
    joined
}

/// The chains that the edges make: the legs of each, nearest to the client first, in the order of a walk
/// through the tree. Every exchange of `all` is in exactly one, but for twins.
pub fn chains(count: usize, joined: &Joined) -> Vec<Vec<usize>> {
    let mut has_near = vec![false; count];
    let mut behind: Map<usize, Vec<usize>> = Map::default();
    for edge in &joined.edges {
        behind.entry(edge.near).or_default().push(edge.far);
        if let Some(mark) = has_near.get_mut(edge.far) {
            *mark = true;
        }
    }
    for twin in &joined.twins {
        if let Some(mark) = has_near.get_mut(twin.other) {
            *mark = true;
        }
    }
    let starts = (0..count).filter(|&at| !has_near.get(at).copied().unwrap_or(true));
    starts
        .map(|start| {
            let mut legs = vec![start];
            let mut next = 0;
            while let Some(&leg) = legs.get(next) {
                next += 1;
                legs.extend(behind.get(&leg).into_iter().flatten());
            }
            legs
        })
        .collect()
}

type Scored = Map<(usize, usize), Score>;

/// What the candidates come to.
#[derive(Default)]
struct Weighed {
    /// Those with enough evidence.
    scored: Scored,
    /// Exchanges that several others fit somewhat and none well enough, and how many.
    vague: Vec<(usize, usize)>,
}

/// Weighs the evidence for each candidate.
fn weigh(
    candidates: &[(usize, usize)],
    cards: &Map<usize, Card>,
    topology: &Topology,
    sent: &Map<IpAddr, usize>,
) -> Weighed {
    let mut scored: Scored = candidates
        .iter()
        .filter_map(|&(near, far)| {
            let score = score::score(cards.get(&near)?, cards.get(&far)?, topology)?;
            (score.points >= ENOUGH - score::ALONE).then_some(((near, far), score))
        })
        .collect();
    one_way(&mut scored);
    no_rings(&mut scored, |at| cards.get(&at).map(|card| card.from));
    support(&mut scored, cards, sent);
    // How many candidates of each leg share a value with it.
    let mut sharing: Map<(bool, usize, MatchKey), u32> = Map::default();
    for (&(near, far), score) in &scored {
        for key in score.keys() {
            *sharing.entry((false, near, key)).or_default() += 1;
            *sharing.entry((true, far, key)).or_default() += 1;
        }
    }
    let mut partners: Map<(bool, usize), u32> = Map::default();
    for &(near, far) in scored.keys() {
        *partners.entry((false, near)).or_default() += 1;
        *partners.entry((true, far)).or_default() += 1;
    }
    for (&(near, far), score) in &mut scored {
        score.weigh(|key| {
            let at = |side, leg| {
                let shared = sharing.get(&(side, leg, key)).copied().unwrap_or(0);
                (shared, partners.get(&(side, leg)).copied().unwrap_or(0))
            };
            let (near, far) = (at(false, near), at(true, far));
            (near.0.max(far.0), near.1.min(far.1))
        });
    }
    for ((near, far), score) in &mut scored {
        let alone = |side, at| partners.get(&(side, at)) == Some(&1);
        if alone(false, *near) && alone(true, *far) {
            score.points += score::ALONE;
        }
    }
    let enough: Set<(bool, usize)> = scored
        .iter()
        .filter(|(_, score)| score.points >= ENOUGH)
        .flat_map(|(&(near, far), _)| [(false, near), (true, far)])
        .collect();
    let mut vague: Vec<(usize, usize)> = partners
        .into_iter()
        .filter(|(end, several)| *several > 1 && !enough.contains(end))
        .map(|((_, at), several)| (at, usize::try_from(several).unwrap_or(usize::MAX)))
        .collect();
    vague.sort_unstable();
    vague.dedup_by_key(|(at, _)| *at);
    scored.retain(|_, score| score.points >= ENOUGH);
    Weighed { scored, vague }
}

/// A hop goes on from one address, or from few: where many legs go to a server address, candidates behind it
/// that come from an address which only few others come from are no hop. And what comes from a hop's address
/// has a leg before it, if that is captured: an address most of whose legs have a candidate at one hop, and not
/// at another, belongs to the one.
fn support(scored: &mut Scored, cards: &Map<usize, Card>, sent: &Map<IpAddr, usize>) {
    let mut nears: Map<IpAddr, Set<usize>> = Map::default();
    let mut fars: Map<(IpAddr, IpAddr), Set<usize>> = Map::default();
    let ends = |near, far| Some((cards.get(&near)?.server.ip, cards.get(&far)?.client.ip));
    for &(near, far) in scored.keys() {
        if let Some((hop, next)) = ends(near, far) {
            nears.entry(hop).or_default().insert(near);
            fars.entry((hop, next)).or_default().insert(far);
        }
    }
    for (&(near, far), score) in scored.iter_mut() {
        let Some((hop, next)) = ends(near, far) else { continue };
        let (all, these) = (nears.get(&hop).map_or(0, Set::len), fars.get(&(hop, next)).map_or(0, Set::len));
        let sent = sent.get(&next).copied().unwrap_or(0);
        match () {
            () if all >= 10 && these * 10 < all => score.support(-25),
            () if sent >= 4 && these * 10 < sent * 9 => score.support(-10),
            () if sent >= 4 && these * 2 >= all => score.support(10),
            () => {}
        }
    }
}

/// Takes out what hangs together without any upgrade: plain requests are legs only behind one.
fn without_upgrade(edges: &mut Vec<Edge>, all: &[Box<Exchange>]) {
    let tentative = |at: usize| all.get(at).is_some_and(|x| x.tentative);
    loop {
        let behind: Set<usize> = edges.iter().map(|edge| edge.far).collect();
        let before = edges.len();
        edges.retain(|edge| !tentative(edge.near) || behind.contains(&edge.near));
        if edges.len() == before {
            return;
        }
    }
}

/// Of two exchanges that may stand either way round, the better way.
fn one_way(scored: &mut Scored) {
    let worse: Vec<(usize, usize)> = scored
        .iter()
        .filter(|((near, far), score)| {
            let turned = scored.get(&(*far, *near)).map(|turned| turned.points);
            // Where both are as good, the first in the capture is nearer.
            turned.is_some_and(|turned| turned > score.points || turned == score.points && near > far)
        })
        .map(|(&pair, _)| pair)
        .collect();
    worse.iter().for_each(|pair| {
        scored.remove(pair);
    });
}

/// Legs do not go round in a ring: a pair that stands the wrong way round by the clock, which only their slack allows,
/// gives way where better ones lead from its far leg to its near one over others.
fn no_rings(scored: &mut Scored, began: impl Fn(usize) -> Option<Timestamp>) {
    let mut turned: Vec<((usize, usize), i32)> = scored
        .iter()
        .filter(|((near, far), _)| began(*far) <= began(*near))
        .map(|(&pair, score)| (pair, score.points))
        .collect();
    if turned.is_empty() {
        return;
    }
    turned.sort_unstable_by_key(|&(pair, points)| (points, pair));
    let mut onward: Map<usize, Vec<(usize, i32)>> = Map::default();
    for (&(near, far), score) in scored.iter() {
        onward.entry(near).or_default().push((far, score.points));
    }
    onward.values_mut().for_each(|list| list.sort_unstable());
    for (pair, points) in turned {
        let (near, far) = pair;
        // All legs that better pairs reach from the far one.
        let mut reached: Set<usize> = Set::from_iter([far]);
        let mut next = vec![far];
        while let Some(at) = next.pop() {
            let better = onward.get(&at).into_iter().flatten().filter(|&&(_, other)| other >= points);
            next.extend(better.map(|&(to, _)| to).filter(|&to| (at, to) != pair && reached.insert(to)));
            if reached.len() > limits::JOIN_KNOT || reached.contains(&near) {
                break;
            }
        }
        if reached.contains(&near) {
            scored.remove(&pair);
            if let Some(list) = onward.get_mut(&near) {
                list.retain(|&(to, _)| to != far);
            }
        }
    }
}

/// Pairs that are proven, and better than any other of their legs by far.
fn sure(scored: &Scored) -> impl Iterator<Item = (&(usize, usize), &Score)> {
    let mut best: Map<(bool, usize), [i32; 2]> = Map::default();
    for (&(near, far), score) in scored {
        for end in [(false, near), (true, far)] {
            let [first, second] = best.entry(end).or_insert([i32::MIN; 2]);
            if score.points > *first {
                (*first, *second) = (score.points, *first);
            } else {
                *second = score.points.max(*second);
            }
        }
    }
    scored.iter().filter(move |((near, far), score)| {
        let clear = |end: (bool, usize)| {
            best.get(&end).is_some_and(|[first, second]| *first == score.points && second.saturating_add(20) <= *first)
        };
        score.points >= PROOF && clear((false, *near)) && clear((true, *far))
    })
}

fn edge(near: usize, far: usize, score: &Score, cards: &Map<usize, Card>, retry: bool) -> Option<Edge> {
    let (a, b) = (cards.get(&near)?, cards.get(&far)?);
    let same_answer = a.response.is_none() || b.response.is_none() || a.response == b.response;
    let kind = if a.request == b.request && same_answer { HopKind::Relay } else { HopKind::Http };
    Some(Edge { near, far, kind, why: score.keys(), confidence: score.confidence(), retry, unseen: false })
}

/// A near leg behind which several fit equally well, one after the other: a hop that tried one server again and again. The last
/// of them gave the answer that was passed on, or none.
fn in_turn(joined: &mut Joined, scored: &Scored, cards: &Map<usize, Card>) {
    let [mut nears, mut fars]: [Set<usize>; 2] = Default::default();
    joined.edges.iter().for_each(|edge| {
        nears.insert(edge.near);
        fars.insert(edge.far);
    });
    let mut behind: Map<usize, Vec<usize>> = Map::default();
    let mut before: Map<usize, usize> = Map::default();
    for (&(near, far), score) in scored {
        *before.entry(far).or_default() += 1;
        if score.points >= PROOF - 20 && !nears.contains(&near) && !fars.contains(&far) {
            behind.entry(near).or_default().push(far);
        }
    }
    let mut found: Vec<Edge> = Vec::new();
    for (near, fars) in behind {
        let mut fars: Vec<(usize, &Card)> = fars.iter().filter_map(|&far| Some((far, cards.get(&far)?))).collect();
        fars.sort_unstable_by_key(|&(far, card)| (card.from, far));
        let apart = |pair: &[(usize, &Card)]| {
            let [(_, a), (_, b)] = pair else { return false };
            (a.client.ip, a.server) == (b.client.ip, b.server) && a.over.is_some_and(|over| over <= b.from)
        };
        let Some(&(last, _)) = fars.last().filter(|_| fars.len() > 1 && fars.windows(2).all(apart)) else { continue };
        // What may belong to others as well proves nothing.
        if fars.iter().all(|(far, _)| before.get(far) == Some(&1))
            && let Some(score) = scored.get(&(near, last))
        {
            found.extend(edge(near, last, score, cards, false));
        }
    }
    let taken: Set<usize> = found.iter().flat_map(|edge| [edge.near, edge.far]).collect();
    joined.rivals.retain(|(at, _)| !taken.contains(at));
    found.sort_unstable_by_key(|edge| edge.near);
    joined.edges.extend(found);
}

/// Legs that stayed without a near one although they surely belong to one that has another: a hop that
/// tried again, one after the other.
fn retries(joined: &mut Joined, scored: &Scored, cards: &Map<usize, Card>) {
    let mut taken: Map<usize, Vec<usize>> = Map::default();
    for edge in &joined.edges {
        taken.entry(edge.near).or_default().push(edge.far);
    }
    let used: Set<usize> = joined.edges.iter().map(|edge| edge.far).collect();
    // What fits another near leg nearly as well proves nothing.
    let mut best: Map<usize, [(i32, usize); 2]> = Map::default();
    for (&(near, far), score) in scored {
        let [first, second] = best.entry(far).or_insert([(i32::MIN, 0); 2]);
        if score.points > first.0 {
            (*first, *second) = ((score.points, near), *first);
        } else if score.points > second.0 {
            *second = (score.points, near);
        }
    }
    let clear = |near: usize, far: usize| {
        best.get(&far)
            .is_some_and(|[first, second]| first.1 == near && second.0.saturating_add(score::MARGIN) < first.0)
    };
    let mut left: Vec<(&(usize, usize), &Score)> = scored
        .iter()
        .filter(|((near, far), score)| {
            score.points >= PROOF - 20 && taken.contains_key(near) && !used.contains(far) && clear(*near, *far)
        })
        .collect();
    left.sort_by_key(|((near, far), score)| (std::cmp::Reverse(score.points), *near, *far));
    let mut done: Set<usize> = Set::default();
    for (&(near, far), score) in left {
        let Some(card) = cards.get(&far) else { continue };
        let apart = |other: &usize| {
            cards.get(other).is_some_and(|other| {
                let before = |a: &Card, b: &Card| a.over.is_some_and(|over| over <= b.from);
                before(card, other) || before(other, card)
            })
        };
        let others = taken.entry(near).or_default();
        if done.contains(&far) || !others.iter().all(apart) {
            continue;
        }
        done.insert(far);
        others.push(far);
        joined.edges.extend(edge(near, far, score, cards, true));
        joined.rivals.retain(|(at, _)| *at != far);
    }
    let again: Set<usize> = joined.edges.iter().filter(|e| e.retry).map(|e| e.near).collect();
    joined.edges.iter_mut().filter(|e| again.contains(&e.near)).for_each(|e| e.retry = true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ExchangeId, PacketRef};
    use crate::hops::testing::head;

    /// What is left of these pairs, whose legs begin at such times, in milliseconds.
    fn left(pairs: &[(usize, usize, i32)], began: &[i64]) -> Vec<(usize, usize)> {
        let mut scored: Scored =
            pairs.iter().map(|&(near, far, points)| ((near, far), Score { points, why: Vec::new() })).collect();
        no_rings(&mut scored, |at| began.get(at).map(|&ms| Timestamp(0) + Nanos::from_millis(ms)));
        let mut left: Vec<_> = scored.into_keys().collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn loopback_legs_of_two_captures_are_on_two_hosts() {
        let leg = |n: u64, client: [u8; 4], port: u16, input: u16| {
            let asked = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
            let mut x = Box::new(Exchange::of(head(asked)));
            (x.id, x.flow.0) = (ExchangeId(n), u32::try_from(n).unwrap_or_default());
            x.client = Endpoint::new(client.into(), 40_000 + port);
            x.server = Endpoint::new([127, 0, 0, 1].into(), port);
            x.request.at = PacketRef::new(input, n);
            x.shift(Nanos::from_millis(i64::from(port == 8_080)));
            x
        };
        let joined = |input| {
            let legs = [leg(1, [192, 0, 2, 1], 1_501, 0), leg(2, [127, 0, 0, 1], 8_080, input)];
            join(&legs, &Told::default()).edges.len()
        };
        assert_eq!((joined(0), joined(1)), (1, 0));
    }

    #[test]
    fn tries_at_one_server_one_after_the_other_are_one_journey() {
        let leg = |n: u64, far: bool, from: i64, to: i64| {
            let asked = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
            let mut x = Box::new(Exchange::of(head(asked)));
            (x.id, x.flow.0) = (ExchangeId(n), u32::try_from(n).unwrap_or_default());
            let end = |net: u8, host: u8, port: u16| Endpoint::new([192, 0, net, host].into(), port);
            (x.client, x.server) = if far {
                (end(3, 20, 40_000 + u16::try_from(n).unwrap_or_default()), end(3, 30, 8_080))
            } else {
                (end(2, 10, 40_000), end(2, 20, 80))
            };
            x.request.at = PacketRef::new(u16::from(far), n);
            let mut answer = head("HTTP/1.1 502 Bad Gateway\r\n\r\n");
            let at = |ms: i64| Timestamp(0) + Nanos::from_millis(ms);
            (x.request.first, x.request.last) = (at(from), at(from));
            (answer.first, answer.last) = (at(to), at(to));
            (x.response, x.end.at) = (Some(answer), Some(at(to)));
            x
        };
        let joined = |second: i64| {
            let tries = [leg(2, true, 1, 1_000), leg(3, true, second, 2_000), leg(4, true, 2_001, 2_990)];
            let all: Vec<_> = [leg(1, false, 0, 3_000)].into_iter().chain(tries).collect();
            let mut edges = join(&all, &Told::default()).edges;
            edges.retain(|edge| edge.near == 0 && edge.retry);
            edges.iter().map(|edge| edge.far).collect::<Vec<_>>()
        };
        assert_eq!(joined(1_001), [1, 2, 3]);
        assert_eq!(joined(500), [0; 0], "at one time: they may be of others");
    }

    #[test]
    fn a_pair_that_stands_the_wrong_way_round_closes_no_ring_of_better_ones() {
        let ring = [(0, 1, 186), (1, 2, 221), (2, 0, 156)];
        assert_eq!(left(&ring, &[10, 11, 12]), [(0, 1), (1, 2)]);
        assert_eq!(left(&ring, &[10, 10, 10]), [(0, 1), (1, 2)], "of one time the weakest goes");
        assert_eq!(left(&[(0, 1, 186), (2, 0, 156)], &[10, 11, 12]), [(0, 1), (2, 0)], "no ring");
        assert_eq!(left(&[(0, 1, 90), (1, 2, 221), (2, 0, 156)], &[10, 11, 12]).len(), 3, "not all of them are better");
    }
}
