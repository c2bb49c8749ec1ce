//! How far the clocks of several inputs are apart, from legs that surely belong together.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::base::{Nanos, limits};
use crate::model::{Exchange, Head};

/// The clock of one input beside the first input that it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub input: u16,
    /// Only of its connections to this server: the input was merged from captures of several clocks. `None`: of all.
    pub server: Option<IpAddr>,
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

impl Clock {
    /// Whether it is the clock of a connection in this input, to this server.
    pub fn is_of(&self, input: u16, server: IpAddr) -> bool {
        self.input == input && self.server.is_none_or(|ip| ip == server)
    }
}

/// The clocks inside of inputs that were merged: of two legs with one key and one answer neither lies inside the other, so
/// that the times of the farther one, which takes the shorter time, are another clock's. `pairs`: of exchanges in one input.
pub(super) fn within(pairs: &[(&Exchange, &Exchange)]) -> Vec<Clock> {
    let slack = limits::JOIN_SLACK_MS * 1_000_000;
    let mut found: BTreeMap<(u16, IpAddr), Vec<(i64, i64)>> = BTreeMap::new();
    let mut inside: BTreeMap<(u16, IpAddr), usize> = BTreeMap::new();
    let mut adjoining: BTreeMap<(u16, IpAddr), usize> = BTreeMap::new();
    for (a, b) in pairs {
        let (Some(x), Some(y)) = (a.latency(), b.latency()) else { continue };
        let (near, far) = if x >= y { (a, b) } else { (b, a) };
        let (Some(answer), Some(behind)) = (&near.response, &far.response) else { continue };
        let accept = |head: &Head| head.first_value("sec-websocket-accept").map(<[u8]>::to_vec);
        // Whoever tries one server, then another, with a key of its own choice is one client.
        let asker = |x: &Exchange| x.request.first_value("user-agent").map(<[u8]>::to_vec);
        let one_client = near.client.ip == far.client.ip || asker(near) != asker(far);
        let same = near.granted().is_some() && accept(answer).is_some() && accept(answer) == accept(behind);
        if !same || one_client || x == y {
            continue;
        }
        let place = (near.request.at.input(), far.server.ip);
        let request = far.request.first.since(near.request.first).0;
        let response = behind.first.since(answer.first).0;
        if request >= -slack && response <= slack {
            *inside.entry(place).or_default() += 1;
            continue;
        }
        if near.server.ip == far.client.ip {
            *adjoining.entry(place).or_default() += 1;
        }
        let all = found.entry(place).or_default();
        if all.len() < limits::CLOCK_PAIRS {
            all.push((request.saturating_add(response) / 2, x.0.max(y.0)));
        }
    }
    let mut clocks: Vec<Clock> = Vec::new();
    for (place, mut all) in found {
        all.sort_unstable();
        let Some(&(middle, _)) = all.get(all.len() / 2) else { continue };
        // All of them, by as much as their round trips allow.
        let agree =
            all.iter().all(|(other, open)| other.saturating_sub(middle).saturating_abs() <= open.saturating_add(slack));
        // One pair may be two clients with the key of an example, unless the addresses say that the one asks for the other.
        let sure = all.len() > 1 || adjoining.contains_key(&place);
        if !agree || !sure || inside.contains_key(&place) {
            continue;
        }
        let error = all.iter().map(|(_, open)| open / 2).min().unwrap_or(0);
        let pairs = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let offset = Nanos(middle.saturating_neg());
        clocks.push(Clock { input: place.0, server: Some(place.1), offset, pairs, error: Nanos(error) });
    }
    // Of several in one input nobody knows which belong together.
    let count = |input: u16| clocks.iter().filter(|clock| clock.input == input).count();
    clocks.iter().filter(|clock| count(clock.input) == 1).copied().collect()
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
        return Some(Clock { input, server: None, offset: Nanos::ZERO, pairs, error: Nanos::ZERO });
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
    Some(Clock { input, server: None, offset: Nanos(middle.saturating_neg()), pairs, error: Nanos(error) })
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
        let zero = Clock { input: start, server: None, offset: Nanos::ZERO, pairs: 0, error: Nanos::ZERO };
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
                let clock = Clock { input: there, server: None, offset, pairs: d.pairs, error };
                known.insert(there, clock);
                queue.push_back(clock);
            }
        }
    }
    known.into_values().filter(|clock| clock.offset != Nanos::ZERO).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::base::Timestamp;
    use crate::hops::testing::head;

    /// A granted leg to the server with this last octet, asked and answered at these times.
    fn leg(server: u8, asked_ms: i64, answered_ms: i64) -> Exchange {
        let at = |ms: i64| Timestamp(1_000_000_000_000 + ms * 1_000_000);
        let mut x = Exchange::of(head("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"));
        (x.request.first, x.request.last) = (at(asked_ms), at(asked_ms));
        (x.client.ip, x.server.ip) =
            (Ipv4Addr::new(192, 0, 2, 10 + server).into(), Ipv4Addr::new(192, 0, 2, server).into());
        let granted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a=\r\n\r\n";
        x.response = Some(head(granted)).map(|head| Head { first: at(answered_ms), last: at(answered_ms), ..head });
        x
    }

    #[test]
    fn legs_of_a_merged_file_that_lie_beside_each_other_show_two_clocks() {
        let near = [leg(1, 0, 10), leg(1, 500, 512)];
        let far = [leg(2, -298, -290), leg(2, 201, 211)];
        let all: Vec<_> = near.iter().zip(&far).collect();
        let told = within(&all);
        let [clock] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((clock.server, clock.offset.0 / 1_000_000), (Some(far[0].server.ip), 299));
        assert!(within(&[(&near[0], &leg(2, 1, 9))]).is_empty(), "inside of it");
        assert!(within(&[all[0], (&near[1], &leg(2, 501, 511))]).is_empty(), "one of them is");
        let apart = [all[0], (&near[1], &leg(2, 900, 910))];
        assert!(within(&apart).is_empty(), "they do not agree");
        assert!(within(&all[..1]).is_empty(), "two clients may have the key of an example");
        let mut asked = leg(1, 0, 10);
        asked.server.ip = far[0].client.ip;
        assert_eq!(within(&[(&asked, &far[0])]).len(), 1, "but not where one asks for the other");
        let again = far.clone().map(|mut x| {
            x.client.ip = near[0].client.ip;
            x
        });
        let tries: Vec<_> = near.iter().zip(&again).collect();
        assert!(within(&tries).is_empty(), "one client that tries two servers with one key");
    }

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
        let clock =
            |input, ms| Clock { input, server: None, offset: Nanos::from_millis(ms), pairs: 1, error: Nanos::ZERO };
        let differences = BTreeMap::from([((0, 1), clock(1, -5_000)), ((1, 2), clock(2, 1_000))]);
        let offsets = |fixed: &[u16]| {
            along(&differences, fixed).iter().map(|c| (c.input, c.offset.0 / 1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&[]), [(1, -5_000), (2, -4_000)]);
        assert_eq!(offsets(&[1]), [(2, 1_000)]);
    }
}
