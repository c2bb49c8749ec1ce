//! Joins exchanges while they come in: holds those of the last join window, decides which belong together
//! when capture time has passed it, and hands a chain out when all of its legs are over. What is held does
//! not grow with the capture: open exchanges, and those of the window.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};

use crate::base::{ExchangeId, Nanos, Timestamp, limits};
use crate::hops::{self, Clock, Hosts, Joined, Told};
use crate::model::Exchange;

use super::journeys::Plan;

/// A chain that nothing more can join, with what joining found of it.
pub struct Group {
    /// By id.
    pub exchanges: Vec<Box<Exchange>>,
    pub plan: Plan,
    /// All of its legs are over. Else it comes once more.
    pub over: bool,
}

/// Exchanges on their way to chains.
#[derive(Default)]
pub struct Joining {
    told: Told,
    /// The inputs are several.
    places: bool,
    /// Requests without an answer yet, and when they began.
    asked: BTreeSet<(Timestamp, ExchangeId)>,
    /// Decided, and not yet known to which chain they belong.
    open: HashMap<ExchangeId, Box<Exchange>, foldhash::fast::RandomState>,
    over: HashSet<ExchangeId, foldhash::fast::RandomState>,
    /// Chains that wait for the end of legs.
    groups: HashMap<u64, Waiting, foldhash::fast::RandomState>,
    of_group: HashMap<ExchangeId, u64, foldhash::fast::RandomState>,
    next: u64,
    /// Exchanges dropped because they were captured twice.
    pub copies: u64,
    /// Exchanges that were joined before the window had passed, since too many waited.
    pub early: u64,
    /// Addresses of hosts that were forgotten: `limits::HOSTS_UNITED`.
    pub forgotten: u64,
    /// How many may wait before joining runs out of turn.
    most: usize,
    /// When joining ran last.
    ran: Timestamp,
    hosts: Hosts,
}

#[expect(clippy::vec_box, reason = "as they came from the reader, never copied")]
struct Waiting {
    missing: usize,
    exchanges: Vec<Box<Exchange>>,
    /// As they were when the chain was decided, until that is told.
    open: Vec<Box<Exchange>>,
    plan: Plan,
    shifts: Vec<Clock>,
}

const WINDOW: Nanos = Nanos::from_secs(limits::JOIN_S);

impl Joining {
    /// `places`: the inputs are several.
    pub fn new(told: Told, places: bool) -> Self {
        let hosts = Hosts::new(&told.pins);
        Joining { told, hosts, places, ..Joining::default() }
    }

    /// What is known of addresses that belong together.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// A request came in.
    pub fn asked(&mut self, x: &Exchange) {
        self.asked.insert((x.request.first, x.id));
    }

    /// It was answered.
    pub fn decided(&mut self, x: &Exchange) {
        self.asked.remove(&(x.request.first, x.id));
        self.open.insert(x.id, Box::new(x.clone()));
    }

    /// It is over.
    pub fn ended(&mut self, x: Box<Exchange>) -> Option<Group> {
        self.asked.remove(&(x.request.first, x.id));
        let Some(group) = self.of_group.remove(&x.id) else {
            self.over.insert(x.id);
            self.open.insert(x.id, x);
            return None;
        };
        let waiting = self.groups.get_mut(&group)?;
        waiting.missing = waiting.missing.saturating_sub(1);
        waiting.exchanges.push(x);
        if waiting.missing > 0 {
            return None;
        }
        self.groups.remove(&group).map(Waiting::ready)
    }

    /// Capture time has come to `now`: the chains that are ready.
    pub fn pass(&mut self, now: Timestamp) -> Vec<Group> {
        // Often enough for who waits, seldom enough to cost little.
        let full = self.open.len() >= self.most.max(limits::JOIN_OPEN);
        if now.since(self.ran) < Nanos::from_secs(1) && !full {
            return Vec::new();
        }
        self.ran = now;
        let older = full.then(|| self.median());
        let mut early = 0;
        let ready = self.join(|joining, legs| {
            let settled = legs.iter().all(|x| {
                let from = x.request.first;
                let passed = now.since(from) > WINDOW && settled(x).is_none_or(|until| now > until);
                // A request that still waits may be the leg before.
                let before = (from - WINDOW, ExchangeId(0))..=(from, ExchangeId(u64::MAX));
                let alone = joining.asked.range(before).next().is_none();
                passed && alone
            });
            let pressed = !settled && older.is_some_and(|older| legs.iter().all(|x| x.request.first <= older));
            early += if pressed { legs.len() as u64 } else { 0 };
            settled || pressed
        });
        self.early += early;
        // One chain may hold most of them: it is not looked at again for each that comes.
        self.most = self.open.len() + self.open.len() / 4;
        ready
    }

    /// When the middle one of those that wait was asked.
    fn median(&self) -> Timestamp {
        let mut times: Vec<Timestamp> = self.open.values().map(|x| x.request.first).collect();
        let middle = times.len() / 2;
        if middle < times.len() { *times.select_nth_unstable(middle).1 } else { Timestamp::default() }
    }

    /// The capture is over: all that is left.
    pub fn finish(&mut self) -> Vec<Group> {
        let mut ready = self.join(|_, _| true);
        let mut left: Vec<Waiting> = self.groups.drain().map(|(_, waiting)| waiting).collect();
        left.sort_by_key(|waiting| waiting.exchanges.iter().map(|x| x.id).min());
        ready.extend(left.into_iter().map(Waiting::ready));
        ready
    }

    /// Joins what is open; chains for whose legs `is_settled` holds leave. Those whose legs are all over are
    /// given back.
    fn join(&mut self, mut is_settled: impl FnMut(&Joining, &[&Exchange]) -> bool) -> Vec<Group> {
        let mut open: Vec<Box<Exchange>> = self.open.drain().map(|(_, x)| x).collect();
        open.sort_by_key(|x| x.id);
        let told = Told { hosts: self.hosts.clone(), streamed: true, ..self.told.clone() };
        let joined = hops::join(&open, &told);
        self.hosts = joined.hosts.clone();
        if self.hosts.united() > limits::HOSTS_UNITED {
            // What is still true is learnt again.
            self.forgotten += self.hosts.united() as u64;
            self.hosts = Hosts::new(&self.told.pins);
        }
        let chains = hops::chains(open.len(), &joined);
        let settled: Vec<Vec<usize>> = chains
            .into_iter()
            .filter(|legs| {
                let legs: Vec<&Exchange> = legs.iter().filter_map(|&at| open.get(at).map(|x| &**x)).collect();
                is_settled(self, &legs)
            })
            .collect();
        let plan = Plan::of(&open, &joined, self.places);
        let shifts: Vec<Clock> = joined.clocks.clone();
        let mut leaving: HashMap<usize, u64, foldhash::fast::RandomState> = HashMap::default();
        for legs in &settled {
            self.next += 1;
            let ids: Vec<ExchangeId> = legs.iter().filter_map(|&at| open.get(at)).map(|x| x.id).collect();
            let plan = plan.part(&ids);
            self.groups.insert(
                self.next,
                Waiting { missing: 0, exchanges: Vec::new(), open: Vec::new(), plan, shifts: shifts.clone() },
            );
            leaving.extend(legs.iter().map(|&at| (at, self.next)));
        }
        self.take_twins(&joined, &mut leaving);
        for (at, x) in open.into_iter().enumerate() {
            match leaving.get(&at) {
                None => {
                    self.open.insert(x.id, x);
                }
                // A second copy.
                Some(0) => {
                    self.over.remove(&x.id);
                }
                Some(group) => self.leave(x, *group),
            }
        }
        let mut new: Vec<u64> = leaving.values().copied().filter(|&group| group != 0).collect();
        new.sort_unstable();
        new.dedup();
        let mut out = Vec::new();
        for id in new {
            match self.groups.get_mut(&id) {
                Some(waiting) if waiting.missing > 0 => out.push(waiting.decided()),
                _ => out.extend(self.groups.remove(&id).map(Waiting::ready)),
            }
        }
        out
    }

    /// An exchange goes to its chain: itself, where it is over, else its place is kept.
    fn leave(&mut self, x: Box<Exchange>, group: u64) {
        let Some(waiting) = self.groups.get_mut(&group) else { return };
        if self.over.remove(&x.id) {
            waiting.exchanges.push(x);
        } else {
            waiting.missing += 1;
            self.of_group.insert(x.id, group);
            waiting.open.push(x);
        }
    }

    /// Second copies leave with the first.
    fn take_twins(&mut self, joined: &Joined, leaving: &mut HashMap<usize, u64, foldhash::fast::RandomState>) {
        for twin in &joined.twins {
            if leaving.contains_key(&twin.kept) {
                leaving.insert(twin.other, 0);
                self.copies += 1;
            }
        }
    }
}

impl Waiting {
    /// The chain as far as it goes; its legs are kept, those that go on only by their ids.
    fn decided(&mut self) -> Group {
        let mut exchanges = self.exchanges.clone();
        exchanges.append(&mut self.open);
        Group { exchanges: on_one_clock(exchanges, &self.shifts), plan: self.plan.clone(), over: false }
    }

    fn ready(self) -> Group {
        let Waiting { exchanges, plan, shifts, .. } = self;
        Group { exchanges: on_one_clock(exchanges, &shifts), plan, over: true }
    }
}

/// By id, their times on one clock.
#[expect(clippy::vec_box, reason = "as they came from the reader, never copied")]
fn on_one_clock(mut exchanges: Vec<Box<Exchange>>, shifts: &[Clock]) -> Vec<Box<Exchange>> {
    for x in &mut exchanges {
        let (input, server) = (x.request.at.input(), x.server.ip);
        if let Some(clock) = shifts.iter().find(|clock| clock.is_of(input, server)) {
            x.shift(clock.offset);
        }
    }
    exchanges.sort_by_key(|x| x.id);
    exchanges
}

/// Until when a later try of the same client may show that this refusal did no harm. `None`: it cannot.
fn settled(x: &Exchange) -> Option<Timestamp> {
    let refused = matches!(x.status(), Some(400 | 401 | 407 | 426));
    let last = x.response.as_ref().map_or(x.request.last, |r| r.last);
    refused.then(|| last + Nanos::from_secs(limits::RETRY_S))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, exchange};

    #[test]
    fn of_more_than_may_wait_the_older_ones_are_joined_early_and_none_is_lost() {
        const ALL: u64 = 42_000;
        let one = exchange(GOOD, Some(REFUSED));
        let mut joining = Joining::default();
        let (mut joined, mut now) = (0, one.request.first);
        for n in 1..=ALL {
            let mut x = one.clone();
            x.id = ExchangeId(n);
            x.flow.0 = u32::try_from(n).unwrap_or_default();
            x.client.ip = std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap_or_default()).into();
            // All of them within half the window.
            x.shift(Nanos(i64::try_from(n).unwrap_or_default() * (WINDOW.0 / 100_000)));
            now = now.max(x.request.first);
            joining.decided(&x);
            assert!(joining.ended(Box::new(x)).is_none(), "none is decided yet");
            joined += joining.pass(now).iter().map(|group| group.exchanges.len() as u64).sum::<u64>();
            assert!(joining.open.len() <= limits::JOIN_OPEN / 4 * 5, "{} wait", joining.open.len());
        }
        assert!(joining.early >= ALL / 3, "{} early", joining.early);
        joined += joining.finish().iter().map(|group| group.exchanges.len() as u64).sum::<u64>();
        assert_eq!(joined, ALL);
    }
}
