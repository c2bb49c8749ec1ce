//! How far the clocks of several inputs are apart, from legs that surely belong together.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Nanos, limits};
use crate::model::Exchange;

/// The clock of one input beside the first input that it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub input: u16,
    /// To be added to its times.
    pub offset: Nanos,
    /// Pairs of legs that tell.
    pub pairs: u64,
    /// Half of the time that the round trips leave open: the offset may be off by as much.
    pub error: Nanos,
}

/// Two legs of one journey in different inputs.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// From the request here to the request there, by both clocks as they stand.
    request: Nanos,
    /// The same of the responses.
    response: Option<Nanos>,
    /// Only the one here (there) was answered, by a gateway's error: it is the near leg, whose hop got nothing from behind.
    /// `None`: it was otherwise.
    near_here: Option<bool>,
}

/// The clocks that differ, from pairs of exchanges that share a key or an id which nothing else in their
/// inputs has. `fixed`: inputs whose offsets the user gave, applied already.
pub(super) fn estimate(pairs: &[(&Exchange, &Exchange)], fixed: &[u16]) -> Vec<Clock> {
    let mut between: BTreeMap<(u16, u16), Vec<Sighting>> = BTreeMap::new();
    for (a, b) in pairs {
        let (i, j) = (a.request.at.input(), b.request.at.input());
        if i == j {
            continue;
        }
        let (a, b, edge) = if i < j { (a, b, (i, j)) } else { (b, a, (j, i)) };
        let response = a.response.as_ref().zip(b.response.as_ref()).map(|(a, b)| b.first.since(a.first));
        let all = between.entry(edge).or_default();
        if all.len() < limits::CLOCK_PAIRS {
            let gave_up = |x: &Exchange| matches!(x.status(), Some(502..=504 | 520..=524));
            let near_here = match (&a.response, &b.response) {
                (Some(_), None) if gave_up(a) => Some(true),
                (None, Some(_)) if gave_up(b) => Some(false),
                _ => None,
            };
            all.push(Sighting { request: b.request.first.since(a.request.first), response, near_here });
        }
    }
    let differences: BTreeMap<(u16, u16), Clock> =
        between.into_iter().filter_map(|(edge, all)| Some((edge, difference(edge.1, &all)?))).collect();
    along(&differences, fixed)
}

/// The clock of the later input beside the earlier one.
fn difference(input: u16, all: &[Sighting]) -> Option<Clock> {
    let pairs = u64::try_from(all.len()).unwrap_or(u64::MAX);
    // One leg lies inside the other as the clocks stand: then they are one clock.
    let slack = limits::JOIN_SLACK_MS * 1_000_000;
    let inside = |s: &&Sighting| match s.response {
        Some(response) => s.request.0 >= -slack && response.0 <= slack || s.request.0 <= slack && response.0 >= -slack,
        None => {
            let forward = if s.near_here == Some(false) { -s.request.0 } else { s.request.0 };
            // Of which leg is the near one nothing is known where both ended alike.
            let least = if s.near_here.is_some() { -slack } else { -limits::JOIN_S * 1_000_000_000 };
            (least..=limits::JOIN_S * 1_000_000_000).contains(&forward)
        }
    };
    if all.iter().filter(inside).count() * 10 >= all.len() * 9 {
        return Some(Clock { input, offset: Nanos::ZERO, pairs, error: Nanos::ZERO });
    }
    // Of both legs the middle is the same moment, if both ways took the same time. Where there are answers,
    // pairs without them tell less.
    let answered: Vec<&Sighting> = all.iter().filter(|s| s.response.is_some()).collect();
    let mut middles: Vec<(i64, i64)> = match answered.is_empty() {
        false => answered
            .iter()
            .filter_map(|s| {
                let response = s.response?;
                let sum = i128::from(s.request.0) + i128::from(response.0);
                let middle = i64::try_from(sum / 2).ok()?;
                Some((middle, s.request.0.abs_diff(response.0).try_into().unwrap_or(i64::MAX) / 2))
            })
            .collect(),
        true => all.iter().map(|s| (s.request.0, limits::JOIN_SLACK_MS * 1_000_000)).collect(),
    };
    // The quickest round trips leave the least open.
    middles.sort_unstable_by_key(|&(middle, open)| (open, middle));
    middles.truncate((middles.len() / 2).max(1));
    middles.sort_unstable();
    let &(middle, _) = middles.get(middles.len() / 2)?;
    let error = middles.iter().map(|&(_, open)| open).min().unwrap_or(0);
    Some(Clock { input, offset: Nanos(middle.saturating_neg()), pairs, error: Nanos(error) })
}

/// The clocks of all inputs beside the first of those that are connected by pairs. What the user gave holds,
/// and others are measured by it.
fn along(differences: &BTreeMap<(u16, u16), Clock>, fixed: &[u16]) -> Vec<Clock> {
    let mut known: BTreeMap<u16, Clock> = BTreeMap::new();
    let inputs: Vec<u16> = {
        let mut all: Vec<u16> = differences.keys().flat_map(|&(a, b)| [a, b]).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    for &start in &inputs {
        if known.contains_key(&start) {
            continue;
        }
        let zero = Clock { input: start, offset: Nanos::ZERO, pairs: 0, error: Nanos::ZERO };
        known.insert(start, zero);
        let mut queue = VecDeque::from([zero]);
        while let Some(here) = queue.pop_front() {
            for (&(a, b), d) in differences {
                let (there, offset) = match here.input {
                    input if input == a => (b, d.offset),
                    input if input == b => (a, Nanos(d.offset.0.saturating_neg())),
                    _ => continue,
                };
                if known.contains_key(&there) {
                    continue;
                }
                let offset =
                    if fixed.contains(&there) { Nanos::ZERO } else { Nanos(here.offset.0.saturating_add(offset.0)) };
                let error = Nanos(here.error.0.saturating_add(d.error.0));
                let clock = Clock { input: there, offset, pairs: d.pairs, error };
                known.insert(there, clock);
                queue.push_back(clock);
            }
        }
    }
    known.into_values().filter(|clock| clock.offset != Nanos::ZERO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(request_ms: i64, response_ms: i64) -> Sighting {
        Sighting {
            request: Nanos::from_millis(request_ms),
            response: Some(Nanos::from_millis(response_ms)),
            near_here: None,
        }
    }

    #[test]
    fn a_hop_that_answers_for_a_backend_that_does_not_has_asked_it_before() {
        let of = |ms, near_here| {
            let sighting = Sighting { request: Nanos::from_millis(ms), response: None, near_here };
            difference(1, &[sighting, sighting]).map(|c| c.offset.0 / 1_000_000)
        };
        assert_eq!(of(-3_000, Some(true)), Some(3_000), "the backend was asked before the hop");
        assert_eq!(of(3_000, Some(false)), Some(-3_000));
        assert_eq!((of(3_000, Some(true)), of(-3_000, Some(false)), of(-3_000, None)), (Some(0), Some(0), Some(0)));
    }

    #[test]
    fn a_leg_inside_the_other_is_by_the_same_clock() {
        let same = difference(1, &[seen(1, -1), seen(2, -30), seen(-4, 9)]);
        assert_eq!(same.map(|c| c.offset), Some(Nanos::ZERO));
    }

    #[test]
    fn the_middle_of_the_round_trips_is_the_same_moment() {
        // 100 s ahead; the way there took 1 ms and the way back 3 ms, once 1 and 31.
        let clock = difference(1, &[seen(100_001, 99_997), seen(100_001, 99_997), seen(100_001, 99_969)]);
        assert_eq!(clock.map(|c| c.offset), Some(Nanos::from_millis(-99_999)));
        assert_eq!(clock.map(|c| c.error), Some(Nanos::from_millis(2)));
    }

    #[test]
    fn offsets_add_up_along_a_road_and_what_the_user_gave_holds() {
        let clock = |input, ms| Clock { input, offset: Nanos::from_millis(ms), pairs: 1, error: Nanos::ZERO };
        let differences = BTreeMap::from([((0, 1), clock(1, -5_000)), ((1, 2), clock(2, 1_000))]);
        let offsets = |fixed: &[u16]| {
            along(&differences, fixed).iter().map(|c| (c.input, c.offset.0 / 1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&[]), [(1, -5_000), (2, -4_000)]);
        assert_eq!(offsets(&[1]), [(2, 1_000)]);
    }
}
