//! In which order chains stand, and in which groups. Many are put in order by and by, so that no key waits for it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::base::{Endpoint, limits};
use crate::model::{Chain, Exchange};

use super::shared::{Mark, Shared};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Of their first packet.
    #[default]
    Time,
    /// The worst first.
    Verdict,
    Status,
    Host,
    Path,
    Client,
    Server,
    Lasted,
    /// How long the client waited for the first byte of the answer.
    Waited,
    Frames,
    Up,
    Down,
    Legs,
}

/// What the chains of a group share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Nothing,
    Host,
    Server,
    /// Without its query.
    Path,
    Verdict,
}

/// The order as the user wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub sort: Sort,
    /// The other way round than [`Sort`] says by itself.
    pub reverse: bool,
    pub by: By,
}

/// Chains that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they share, as it was captured.
    pub name: Box<[u8]>,
    /// Place of the first among the visible chains, and how many there are.
    pub first: usize,
    pub chains: usize,
    pub errors: usize,
    pub warnings: usize,
    /// Groups that were too many to be told apart, and are all of it. 0: it is one.
    pub others: usize,
}

impl Sort {
    const ALL: [Sort; 13] = [
        Sort::Time,
        Sort::Verdict,
        Sort::Status,
        Sort::Host,
        Sort::Path,
        Sort::Client,
        Sort::Server,
        Sort::Lasted,
        Sort::Waited,
        Sort::Frames,
        Sort::Up,
        Sort::Down,
        Sort::Legs,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Sort::Time => "time",
            Sort::Verdict => "verdict, worst first",
            Sort::Status => "status",
            Sort::Host => "host",
            Sort::Path => "path",
            Sort::Client => "client",
            Sort::Server => "server",
            Sort::Lasted => "how long it lasted",
            Sort::Waited => "how long the answer took",
            Sort::Frames => "frames",
            Sort::Up => "bytes C→S",
            Sort::Down => "bytes S→C",
            Sort::Legs => "legs",
        }
    }

    #[must_use]
    pub fn next(self) -> Sort {
        let here = Sort::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Sort::ALL.get(here + 1).copied().unwrap_or_default()
    }

    /// The most is what one looks for.
    fn most_first(self) -> bool {
        matches!(self, Sort::Lasted | Sort::Waited | Sort::Frames | Sort::Up | Sort::Down | Sort::Legs)
    }
}

impl By {
    const ALL: [By; 5] = [By::Nothing, By::Host, By::Server, By::Path, By::Verdict];

    pub fn word(self) -> &'static str {
        match self {
            By::Nothing => "nothing",
            By::Host => "host",
            By::Server => "server",
            By::Path => "path",
            By::Verdict => "verdict",
        }
    }

    #[must_use]
    pub fn next(self) -> By {
        let here = By::ALL.iter().position(|by| *by == self).unwrap_or(0);
        By::ALL.get(here + 1).copied().unwrap_or_default()
    }
}

impl Order {
    /// As the chains stand in the analysis.
    pub fn is_natural(self) -> bool {
        self == Order::default()
    }

    /// For the line of the filter; empty where it is natural.
    pub fn words(self) -> String {
        let mut words = Vec::new();
        if (self.sort, self.reverse) != (Sort::Time, false) {
            let way = if self.reverse { ", reversed" } else { "" };
            words.push(format!("sorted by {}{way}", self.sort.word()));
        }
        if self.by != By::Nothing {
            words.push(format!("grouped by {}", self.by.word()));
        }
        words.join(", ")
    }

    /// Whether what is larger stands first.
    pub fn falls(self) -> bool {
        self.sort.most_first() != self.reverse
    }
}

/// Texts, each once.
#[derive(Default)]
struct Names {
    known: HashMap<Box<[u8]>, u32>,
    all: Vec<Box<[u8]>>,
}

impl Names {
    fn with_room(many: usize) -> Names {
        Names { known: HashMap::with_capacity(many), all: Vec::with_capacity(many) }
    }

    fn of(&mut self, name: &[u8]) -> u32 {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let id = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(name.into());
        self.known.insert(name.into(), id);
        id
    }

    /// For each, its place in the alphabet, whatever the case of its letters.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<(Vec<u8>, usize)> =
            self.all.iter().enumerate().map(|(id, name)| (name.to_ascii_lowercase(), id)).collect();
        order.sort_unstable();
        let mut ranks = vec![0; self.all.len()];
        for ((_, id), rank) in order.iter().zip(0..) {
            if let Some(place) = ranks.get_mut(*id) {
                *place = rank;
            }
        }
        ranks
    }
}

/// One chain on its way into the order.
struct Entry {
    group: u32,
    /// `None`: it has no such thing, and stands last.
    key: Option<u64>,
    at: u32,
}

/// What stands for the name of all groups that are too many.
const OTHERS: &[u8] = b"...";

/// Puts chains in order.
pub struct Sorter {
    order: Order,
    found: Vec<u32>,
    entries: Vec<Entry>,
    names: Names,
    groups: Names,
    tally: Vec<Group>,
}

impl Sorter {
    /// `found`: indices of chains, ascending.
    pub fn new(order: Order, found: Vec<u32>) -> Sorter {
        let entries = Vec::with_capacity(found.len());
        // To make more room among a million names would take longer than a key may.
        let many =
            if matches!(order.sort, Sort::Host | Sort::Path | Sort::Client | Sort::Server) { found.len() } else { 0 };
        let names = Names::with_room(many);
        let many = if matches!(order.by, By::Nothing | By::Verdict) { 0 } else { found.len() };
        Sorter { order, found, entries, names, groups: Names::with_room(many), tally: Vec::with_capacity(many) }
    }

    /// What was found, in its natural order.
    pub fn found(&self) -> &[u32] {
        &self.found
    }

    /// Looks at so many more; whether that was all.
    pub fn work(&mut self, s: &Shared, some: usize) -> bool {
        let next = self.entries.len();
        let found = std::mem::take(&mut self.found);
        for &at in found.iter().skip(next).take(some) {
            let index = usize::try_from(at).unwrap_or(usize::MAX);
            let Some(chain) = s.a.chains.get(index) else {
                self.entries.push(Entry { group: 0, key: None, at });
                continue;
            };
            let mark = s.mark_of(index).unwrap_or(Mark::Plain);
            let group = group(s, chain, self.order.by, &mut self.groups);
            let key = match self.order.sort {
                Sort::Time => s.facts.span(index).map(|(began, _)| u64::try_from(began.0).unwrap_or(0)),
                sort => key(s, chain, mark, sort, &mut self.names),
            };
            self.entries.push(Entry { group, key, at });
            if self.order.by != By::Nothing {
                self.count(group, mark);
            }
        }
        self.found = found;
        self.entries.len() >= self.found.len()
    }

    fn count(&mut self, group: u32, mark: Mark) {
        let at = usize::try_from(group).unwrap_or(usize::MAX);
        if at == self.tally.len() {
            let name = self.groups.all.get(at).cloned().unwrap_or_default();
            self.tally.push(Group { name, first: 0, chains: 0, errors: 0, warnings: 0, others: 0 });
        }
        if let Some(group) = self.tally.get_mut(at) {
            group.chains += 1;
            group.errors += usize::from(mark == Mark::Error);
            group.warnings += usize::from(mark == Mark::Warning);
        }
    }

    /// Their order, and their groups. Takes long where they are many.
    pub fn finish(mut self) -> (Vec<u32>, Vec<Group>) {
        // The group with the most faults comes first.
        let mut worst: Vec<usize> = (0..self.tally.len()).collect();
        worst.sort_by_key(|at| self.tally.get(*at).map(|g| std::cmp::Reverse((g.errors, g.warnings, g.chains))));
        let last = u32::try_from(limits::UI_GROUPS - 1).unwrap_or(u32::MAX);
        let mut rank = vec![0_u32; worst.len()];
        for (at, place) in worst.iter().zip(0..) {
            if let Some(rank) = rank.get_mut(*at) {
                *rank = last.min(place);
            }
        }
        let names = self.names.ranks();
        let falls = self.order.falls();
        let named = |key: u64| {
            // The lower half is the name's number.
            let name = usize::try_from(key & u64::from(u32::MAX)).unwrap_or(usize::MAX);
            (key >> 32 << 32) | u64::from(names.get(name).copied().unwrap_or(u32::MAX))
        };
        for entry in &mut self.entries {
            entry.group = usize::try_from(entry.group).ok().and_then(|at| rank.get(at)).copied().unwrap_or(0);
            if !names.is_empty() {
                entry.key = entry.key.map(named);
            }
            if falls {
                entry.key = entry.key.map(|key| u64::MAX - key);
            }
        }
        self.entries.sort_unstable_by_key(|e| (e.group, e.key.is_none(), e.key, e.at));
        let mut first = 0;
        let mut groups: Vec<Group> = Vec::new();
        for group in worst.iter().filter_map(|at| self.tally.get(*at)) {
            match groups.last_mut().filter(|last| last.others > 0) {
                Some(others) => {
                    others.chains += group.chains;
                    others.errors += group.errors;
                    others.warnings += group.warnings;
                    others.others += 1;
                }
                None => {
                    let is_last = groups.len() + 1 == limits::UI_GROUPS && worst.len() > limits::UI_GROUPS;
                    let name = if is_last { OTHERS.into() } else { group.name.clone() };
                    groups.push(Group { name, first, others: usize::from(is_last), ..*group });
                }
            }
            first += group.chains;
        }
        (self.entries.iter().map(|entry| entry.at).collect(), groups)
    }
}

fn first_leg<'a>(s: &'a Shared, chain: &Chain) -> Option<&'a Exchange> {
    chain.legs.first().and_then(|id| s.leg(*id))
}

fn group(s: &Shared, chain: &Chain, by: By, groups: &mut Names) -> u32 {
    let x = || first_leg(s, chain);
    match by {
        By::Nothing => 0,
        By::Host => groups.of(x().and_then(|x| x.request.host()).unwrap_or_default()),
        By::Server => {
            let flow = || chain.flow.and_then(|id| s.flow(id)).map(|flow| flow.server);
            groups.of(x().map(|x| x.server).or_else(flow).map(|end| end.to_string()).unwrap_or_default().as_bytes())
        }
        By::Path => {
            let target = x().map(|x| x.request.target()).unwrap_or_default();
            groups.of(target.split(|byte| *byte == b'?').next().unwrap_or_default())
        }
        By::Verdict => groups.of(chain.verdict.rule.as_bytes()),
    }
}

fn key(s: &Shared, chain: &Chain, mark: Mark, sort: Sort, names: &mut Names) -> Option<u64> {
    let x = || first_leg(s, chain);
    let ws = || x()?.ws;
    let flow = || chain.flow.and_then(|id| s.flow(id));
    let end = |end: Endpoint, names: &mut Names| u64::from(names.of(&numeric(end)));
    let time = |length: crate::base::Nanos| u64::try_from(length.0).unwrap_or(0);
    match sort {
        Sort::Time => s.began(chain).map(|ts| u64::try_from(ts.0).unwrap_or(0)),
        Sort::Verdict => {
            let rank = match mark {
                Mark::Error => 0,
                Mark::Warning => 1,
                Mark::Unknown => 2,
                Mark::Plain => 3,
                Mark::Good => 4,
            };
            Some((rank << 32) | u64::from(names.of(chain.verdict.rule.as_bytes())))
        }
        Sort::Status => x()?.status().map(u64::from),
        Sort::Host => Some(names.of(x()?.request.host()?).into()),
        Sort::Path => Some(names.of(x()?.request.target()).into()),
        Sort::Client => x().map(|x| x.client).or_else(|| flow().map(|f| f.client)).map(|c| end(c, names)),
        Sort::Server => x().map(|x| x.server).or_else(|| flow().map(|f| f.server)).map(|c| end(c, names)),
        Sort::Lasted => s.lasted(chain).map(time),
        Sort::Waited => x()?.latency().map(time),
        Sort::Frames => ws().map(|ws| u64::from(ws.client.frames) + u64::from(ws.server.frames)),
        Sort::Up => ws().map(|ws| ws.client.payload_bytes),
        Sort::Down => ws().map(|ws| ws.server.payload_bytes),
        Sort::Legs => u64::try_from(chain.legs.len()).ok(),
    }
}

/// Bytes that stand in the order of addresses and ports: the former IP version first.
fn numeric(end: Endpoint) -> Vec<u8> {
    let mut out = match end.ip {
        IpAddr::V4(ip) => [&[4], &ip.octets()[..]].concat(),
        IpAddr::V6(ip) => [&[6], &ip.octets()[..]].concat(),
    };
    out.extend(end.port.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;
    use crate::tui::{Ready, Theme};

    fn shared(a: crate::store::Analysis) -> Shared {
        let mut s = Shared::new(Theme::default(), false, true);
        s.take(Ready::new(a));
        s
    }

    fn numbers(s: &Shared) -> Vec<i64> {
        (0..s.visible.len()).filter_map(|place| s.at(place)).map(|(_, chain)| chain.id).collect()
    }

    #[test]
    fn every_order_has_each_chain_once_and_knows_its_place() {
        let mut s = shared(testing::many(5, 5));
        for sort in Sort::ALL {
            for by in By::ALL {
                for reverse in [false, true] {
                    s.set_order(Order { sort, reverse, by });
                    let mut all = numbers(&s);
                    for place in 0..all.len() {
                        s.chosen = s.at(place).map_or(0, |(index, _)| index);
                        assert_eq!(s.place(), place, "{sort:?} {by:?}");
                    }
                    all.sort_unstable();
                    assert_eq!(all, (1..=10).collect::<Vec<_>>(), "{sort:?} {by:?}");
                    let ends = s.groups.iter().scan(0, |next, group| {
                        let fits = group.first == *next && group.chains > 0;
                        *next += group.chains;
                        Some((fits, *next))
                    });
                    let ends: Vec<_> = ends.collect();
                    assert!(ends.iter().all(|(fits, _)| *fits), "{:?}", s.groups);
                    assert_eq!(ends.last().map_or(10, |(_, end)| *end), 10);
                }
            }
        }
    }

    #[test]
    fn groups_that_are_too_many_are_one_and_no_chain_is_lost() {
        let chains = limits::UI_GROUPS + 50;
        let mut a = testing::many(chains as u64, 0);
        for (row, port) in a.rows.iter_mut().zip(1..) {
            row.exchange.server.port = port;
        }
        let mut s = shared(a);
        s.set_order(Order { by: By::Server, ..Order::default() });
        while s.is_filtering() {
            s.work();
        }
        assert_eq!(s.groups.len(), limits::UI_GROUPS);
        let others = s.groups.last().map(|group| (s.group_name(group), group.others, group.first, group.chains));
        assert_eq!(others, Some(("… 51 others".to_owned(), 51, limits::UI_GROUPS - 1, 51)));
        assert_eq!(s.visible.len(), chains);
        assert_eq!(s.groups.iter().map(|group| group.chains).sum::<usize>(), chains);
    }

    #[test]
    fn reversing_turns_round_what_differs_and_leaves_last_what_has_nothing() {
        let mut s = shared(testing::sample());
        s.set_order(Order { sort: Sort::Status, ..Order::default() });
        assert_eq!(numbers(&s), [1, 2, 3]);
        s.set_order(Order { sort: Sort::Status, reverse: true, by: By::Nothing });
        assert_eq!(numbers(&s), [3, 1, 2]);
        s.set_order(Order { sort: Sort::Lasted, ..Order::default() });
        assert_eq!(numbers(&s).first(), Some(&1), "the longest");
        s.set_order(Order { sort: Sort::Verdict, ..Order::default() });
        assert_eq!(numbers(&s), [2, 3, 1]);
    }

    #[test]
    fn a_filter_keeps_the_order_and_the_order_the_filter() {
        let mut s = shared(testing::sample());
        s.set_order(Order { sort: Sort::Time, reverse: true, by: By::Verdict });
        let before = numbers(&s);
        s.filter("status:101");
        assert_eq!(numbers(&s), before.into_iter().filter(|id| *id != 3).collect::<Vec<_>>());
        assert!(!s.is_visible(2) && s.is_visible(0));
        s.set_order(Order::default());
        assert_eq!((numbers(&s), s.groups.len()), (vec![1, 2], 0));
    }

    #[test]
    fn addresses_stand_in_the_order_of_their_numbers() {
        let end = |text: &str| {
            numeric(
                text.parse::<std::net::SocketAddr>()
                    .map_or(Endpoint::new(IpAddr::from([0, 0, 0, 0]), 0), |end| Endpoint::new(end.ip(), end.port())),
            )
        };
        assert!(end("10.0.0.9:80") < end("10.0.0.10:80") && end("10.0.0.9:80") < end("10.0.0.9:443"));
        assert!(end("192.0.2.1:1") < end("[2001:db8::1]:1"));
    }
}
