//! What is remembered of how tunnels ended, over the whole capture: which hosts cut them after the same silence or
//! the same life, when many ended at once, and who comes back again and again. Bounded, also while streaming.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::base::{Endpoint, Nanos, PacketRef, Timestamp, limits};
use crate::model::{Direction, EndHow, Exchange, FlowFacts};
use crate::rules::ends;

/// How tunnels ended, by the host at their server end.
#[derive(Debug, Default)]
pub struct Tunnels {
    hosts: HashMap<IpAddr, Host, foldhash::fast::RandomState>,
    lives: HashMap<(IpAddr, Endpoint, Box<[u8]>), Lives, foldhash::fast::RandomState>,
    /// Slots of all hosts.
    slots: usize,
    /// A tunnel ended without a Close frame, or is kept alive: the limits of products matter.
    pub limited: bool,
    /// What did not find a place.
    pub evicted: u64,
}

#[derive(Debug, Default)]
struct Host {
    idle: Vec<Cut>,
    life: Vec<Cut>,
    /// Lives after which it said Close.
    closed: Vec<Cut>,
    /// Lives after which it ended tunnels that it asked for as a proxy.
    asked: Vec<Cut>,
    /// Silences after which it did.
    asked_idle: Vec<Cut>,
    /// Silences after which it ended connections in TLS that were not read.
    sealed: Vec<Cut>,
    /// By half seconds.
    slots: BTreeMap<i64, Slot>,
}

/// Ends without a Close after the same time.
#[derive(Clone, Copy, Debug)]
struct Cut {
    after: Nanos,
    times: u32,
    /// When the first of them was, and whether another was at another time.
    at: Timestamp,
    apart: bool,
    /// The shortest and longest of them.
    least: Nanos,
    most: Nanos,
}

/// What happened in half a second.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    begun: u32,
    ended: u32,
    ended_by_server: u32,
    /// The packet of the first of these ends.
    at: Option<(Timestamp, PacketRef)>,
}

/// Tunnels of one client to one target, one after the other.
#[derive(Clone, Debug)]
pub struct Lives {
    pub client: IpAddr,
    pub server: Endpoint,
    pub times: u32,
    pub shortest: Nanos,
    pub longest: Nanos,
    /// Where the last one ended.
    pub at: PacketRef,
    last: Timestamp,
    /// Some were open at the same time: these are no reconnects.
    overlap: bool,
}

/// Many tunnels that ended at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mass {
    pub host: IpAddr,
    pub ts: Timestamp,
    /// The packet of the first end.
    pub at: PacketRef,
    pub ended: u64,
    /// Tunnels that were open just before.
    pub open: u64,
}

impl Tunnels {
    /// Remembers a tunnel that is over. What was no WebSocket, or goes on, is passed over.
    pub fn learn(&mut self, x: &Exchange) {
        let Some(granted) = x.granted().filter(|_| x.is_websocket()) else { return };
        let clean = x.end.how == EndHow::CloseFrame;
        let cut = !clean && matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst);
        self.limited |= cut || ends::beats(x).next().is_some();
        if !self.hosts.contains_key(&x.server.ip) && self.hosts.len() >= limits::TUNNEL_HOSTS {
            self.evicted += 1;
            return;
        }
        let by_server = x.end.by == Some(Direction::ServerToClient);
        let host = self.hosts.entry(x.server.ip).or_default();
        if cut && by_server {
            let end = x.end.at.unwrap_or_default();
            let kept = x.end.idle_before.is_none_or(|idle| note(&mut host.idle, idle, end))
                && x.end.lifetime.is_none_or(|life| note(&mut host.life, life, end));
            self.evicted += u64::from(!kept);
        }
        let Some(host) = self.hosts.get_mut(&x.server.ip) else { return };
        let code = x.end.close.as_ref().and_then(|close| close.code);
        let says_why = clean && by_server && code.is_some_and(|code| code != 1000);
        if let (true, Some(life), Some(end)) = (says_why, x.end.lifetime, x.end.at) {
            self.evicted += u64::from(!note(&mut host.closed, life, end));
        }
        for (at, ended) in [(Some(granted.last), None), (x.end.at, x.end.packet)] {
            let Some(at) = at else { continue };
            let key = at.0.div_euclid(SLOT.0);
            if self.slots >= limits::TUNNEL_SLOTS && !host.slots.contains_key(&key) {
                self.evicted += 1;
                continue;
            }
            let before = host.slots.len();
            let slot = host.slots.entry(key).or_default();
            match ended {
                None => slot.begun += 1,
                Some(packet) => {
                    slot.ended += 1;
                    // What never stood beside others ended for itself.
                    let lasted = by_server && x.end.lifetime.is_none_or(|life| life >= LEAST_LIFE);
                    slot.ended_by_server += u32::from(lasted);
                    if lasted && slot.at.is_none_or(|(first, _)| at < first) {
                        slot.at = Some((at, packet));
                    }
                }
            }
            self.slots += host.slots.len() - before;
        }
        // A client that said goodbye comes back because it wants to.
        let farewell = clean && !by_server;
        if let (false, Some(life), Some(end), Some(packet)) = (farewell, x.end.lifetime, x.end.at, x.end.packet) {
            self.live(x, life, end, packet);
        }
    }

    /// Remembers a tunnel that its client ended without a Close frame, where that is a proxy.
    pub fn learn_left(&mut self, x: &Exchange) {
        let end = x.end.at.unwrap_or_default();
        let (life, idle) = (x.end.lifetime, ends::left_idle(x));
        let Some(host) = self.host(x.client.ip) else { return };
        let lived = life.is_none_or(|life| note(&mut host.asked, life, end));
        let waited = idle.is_none_or(|idle| note(&mut host.asked_idle, idle, end));
        self.evicted += u64::from(!lived || !waited);
    }

    /// What is remembered of a host. `None`: there is no room for another one, which is counted.
    fn host(&mut self, ip: IpAddr) -> Option<&mut Host> {
        if !self.hosts.contains_key(&ip) && self.hosts.len() >= limits::TUNNEL_HOSTS {
            self.evicted += 1;
            return None;
        }
        Some(self.hosts.entry(ip).or_default())
    }

    /// Remembers a connection in TLS that was not read.
    pub fn learn_sealed(&mut self, flow: &FlowFacts) {
        let idle = flow.said.as_ref().and_then(|said| said.end.idle_before);
        let Some(idle) = idle.filter(|_| ends::ended_idle(flow)) else { return };
        let kept = self.host(flow.server.ip).is_none_or(|host| note(&mut host.sealed, idle, Timestamp::default()));
        self.evicted += u64::from(!kept);
    }

    /// Remembers a WebSocket whose handshake is not in view.
    pub fn learn_midstream(&mut self, flow: &FlowFacts) {
        let Some(idle) = ends::cut_midstream(flow) else { return };
        self.limited = true;
        let kept = self.host(flow.server.ip).is_none_or(|host| note(&mut host.idle, idle, Timestamp::default()));
        self.evicted += u64::from(!kept);
    }

    /// Connections in TLS that this host ended after the same silence, this one among them.
    pub fn sealed_after_idle(&self, host: IpAddr, idle: Nanos) -> u32 {
        self.hosts.get(&host).map_or(0, |host| times(&host.sealed, idle))
    }

    fn live(&mut self, x: &Exchange, life: Nanos, end: Timestamp, at: PacketRef) {
        let path = x.request.target().split(|&b| b == b'?').next().unwrap_or_default();
        let key = (x.client.ip, x.server, path.into());
        if !self.lives.contains_key(&key) && self.lives.len() >= limits::TUNNEL_LIVES {
            self.evicted += 1;
            return;
        }
        let lives = self.lives.entry(key).or_insert(Lives {
            client: x.client.ip,
            server: x.server,
            times: 0,
            shortest: life,
            longest: life,
            at,
            last: Timestamp(i64::MIN),
            overlap: false,
        });
        lives.overlap |= lives.times > 0 && x.request.first < lives.last;
        lives.times = lives.times.saturating_add(1);
        lives.shortest = lives.shortest.min(life);
        lives.longest = lives.longest.max(life);
        if end >= lives.last {
            (lives.last, lives.at) = (end, at);
        }
    }

    /// Tunnels that this host cut after the same silence, this one among them.
    pub fn cut_after_idle(&self, host: IpAddr, idle: Nanos) -> u32 {
        self.hosts.get(&host).map_or(0, |host| times(&host.idle, idle))
    }

    /// Whether tunnels that this host cut after nearly the same silence went at one time, each after another silence: a
    /// limit would have let each go after the same silence, at another time.
    pub fn silences_differ(&self, host: IpAddr, idle: Nanos) -> bool {
        let differ = |cut: &Cut| cut.times >= 2 && !cut.apart && cut.most.0 - cut.least.0 >= DIFFERENT.0;
        self.hosts.get(&host).is_some_and(|host| host.idle.iter().any(|cut| is_same(cut.after, idle) && differ(cut)))
    }

    /// Tunnels that this host cut after the same life, this one among them.
    pub fn cut_after_life(&self, host: IpAddr, life: Nanos) -> u32 {
        self.hosts.get(&host).map_or(0, |host| times(&host.life, life))
    }

    /// Tunnels that this host, a proxy that asks another, ended after the same life, this one among them. 0: all at one
    /// time.
    pub fn left_after_life(&self, host: IpAddr, life: Nanos) -> u32 {
        let Some(host) = self.hosts.get(&host) else { return 0 };
        let apart = host.asked.iter().any(|cut| is_same(cut.after, life) && cut.apart);
        if apart { times(&host.asked, life) } else { 0 }
    }

    /// Tunnels that this host closed with a Close frame that is no mere goodbye after the same life, this one among them. 0:
    /// all at one time, or most of them after others.
    pub fn closed_after_life(&self, host: IpAddr, life: Nanos) -> u32 {
        match self.hosts.get(&host).map(|host| mostly(&host.closed, life, EXACT)) {
            Some((times, true)) => times,
            _ => 0,
        }
    }

    /// Tunnels of this host that were open at this time, and a second later still. 0 also where it ended others then, or where
    /// more is remembered of it than `limits::TUNNEL_SLOTS_SUMMED`.
    pub fn outlived(&self, host: IpAddr, at: Timestamp) -> u64 {
        let Some(host) = self.hosts.get(&host).filter(|host| host.slots.len() <= limits::TUNNEL_SLOTS_SUMMED) else {
            return 0;
        };
        let key = at.0.div_euclid(SLOT.0);
        let near: u64 = host.slots.range(key - 1..=key + 1).map(|(_, slot)| u64::from(slot.ended_by_server)).sum();
        if near > 1 {
            return 0;
        }
        let begun: u64 = host.slots.range(..key).map(|(_, slot)| u64::from(slot.begun)).sum();
        let ended: u64 = host.slots.range(..=key + 2).map(|(_, slot)| u64::from(slot.ended)).sum();
        begun.saturating_sub(ended)
    }

    /// How many tunnels this host, a proxy that asks another, ended after the same silence, this one among them, and
    /// whether that was at different times. 0: it left most of them after other silences, as clients go, or these differ.
    pub fn left_after_idle(&self, host: IpAddr, idle: Nanos) -> (u32, bool) {
        self.hosts.get(&host).map_or((0, false), |host| mostly(&host.asked_idle, idle, ALIKE))
    }

    /// Whether tunnels that this host cut after the same life were cut at different times.
    pub fn lives_apart(&self, host: IpAddr, life: Nanos) -> bool {
        let same = |cut: &&Cut| is_same(cut.after, life);
        self.hosts.get(&host).is_some_and(|host| host.life.iter().filter(same).any(|cut| cut.apart))
    }

    /// For each host the time at which most of its tunnels ended within a second by its own doing, where these were
    /// three at least and three in ten of those that were open. A host whose tunnels all went with those of another
    /// one, right behind them, only passed that on. By time.
    pub fn mass_ends(&self) -> Vec<Mass> {
        let mut all: Vec<Mass> = self.hosts.iter().filter_map(|(ip, host)| host.mass(*ip)).collect();
        all.sort_unstable_by_key(|mass| (mass.ts, mass.host));
        let before = all.clone();
        all.retain(|mass| {
            let passed_on =
                |other: &Mass| other.ts < mass.ts && mass.ts.since(other.ts) <= SLOT && other.ended >= mass.ended;
            !before.iter().any(passed_on)
        });
        all
    }

    /// The mass end of [`Tunnels::mass_ends`] that an end at this host and time was part of. `None`: there was none.
    pub fn mass_end_at(&self, host: IpAddr, at: Timestamp) -> Option<Mass> {
        let slots = &self.hosts.get(&host)?.slots;
        let key = at.0.div_euclid(SLOT.0);
        // Most ends are lonely, which is seen without counting all that were open.
        let near: u64 = slots.range(key - 1..=key + 1).map(|(_, slot)| u64::from(slot.ended_by_server)).sum();
        let mass = self.hosts.get(&host).filter(|_| near >= 3)?.mass(host)?;
        (at >= mass.ts && at.since(mass.ts) <= SLOT + SLOT).then_some(mass)
    }

    /// Clients that came back again and again, each time for the same time. In the order of their last ends.
    pub fn flapping(&self) -> Vec<&Lives> {
        let constant = |lives: &&Lives| {
            // Five in a hundred up and down.
            let spread = lives.longest.0.saturating_sub(lives.shortest.0).saturating_mul(10);
            lives.times >= RECONNECTS && !lives.overlap && lives.shortest >= LEAST_LIFE && spread <= lives.longest.0
        };
        let mut all: Vec<&Lives> = self.lives.values().filter(constant).collect();
        all.sort_unstable_by_key(|lives| (lives.last, lives.at));
        all
    }
}

impl Host {
    fn mass(&self, ip: IpAddr) -> Option<Mass> {
        let mut open = 0_u64;
        let mut worst: Option<Mass> = None;
        for (key, slot) in &self.slots {
            let next = self.slots.get(&(key + 1)).copied().unwrap_or_default();
            let ended = u64::from(slot.ended_by_server) + u64::from(next.ended_by_server);
            open += u64::from(slot.begun);
            let all = open + u64::from(next.begun);
            if let (true, true, Some((ts, at))) = (ended >= 3, ended * 10 > all * 3, slot.at)
                && worst.is_none_or(|worst| ended > worst.ended)
            {
                worst = Some(Mass { host: ip, ts, at, ended, open: all });
            }
            open = open.saturating_sub(u64::from(slot.ended));
        }
        worst
    }
}

/// Two neighbours are a second.
const SLOT: Nanos = Nanos::from_millis(500);

/// Between silences that are not the same.
const DIFFERENT: Nanos = Nanos::from_millis(50);

/// Tunnels of one client that make a pattern.
const RECONNECTS: u32 = 5;

/// Shorter ones say nothing of a limit.
const LEAST_LIFE: Nanos = Nanos::from_secs(1);

/// Whether two measured times are one limit: within 2 %, and 300 ms at least.
pub(super) fn is_same(a: Nanos, b: Nanos) -> bool {
    let more = a.0.max(b.0);
    a.0.abs_diff(b.0) <= (more / 50).max(300_000_000).unsigned_abs()
}

/// `false`: there is no place for it.
fn note(cuts: &mut Vec<Cut>, after: Nanos, at: Timestamp) -> bool {
    if let Some(cut) = cuts.iter_mut().find(|cut| is_same(cut.after, after)) {
        cut.times = cut.times.saturating_add(1);
        (cut.least, cut.most) = (cut.least.min(after), cut.most.max(after));
        cut.apart |= at.0.abs_diff(cut.at.0) > SLOT.0.unsigned_abs() / 4;
        return true;
    }
    if cuts.len() >= limits::TUNNEL_CUTS {
        return false;
    }
    cuts.push(Cut { after, times: 1, at, apart: false, least: after, most: after });
    true
}

/// How often it was after this time, and whether at different times. (0, false): it was mostly after others, or after times
/// further apart than `spread`.
fn mostly(cuts: &[Cut], after: Nanos, spread: Nanos) -> (u32, bool) {
    let all: u32 = cuts.iter().map(|cut| cut.times).fold(0, u32::saturating_add);
    let found = cuts.iter().find(|cut| is_same(cut.after, after));
    let one = found.filter(|cut| cut.times.saturating_mul(2) >= all && cut.most.0 - cut.least.0 <= spread.0);
    one.map_or((0, false), |cut| (cut.times, cut.apart))
}

/// How far apart timers of one limit may be: nginx's are not set anew for less than 300 ms; and those that nothing delays.
const ALIKE: Nanos = Nanos::from_millis(350);
const EXACT: Nanos = Nanos::from_millis(150);

fn times(cuts: &[Cut], after: Nanos) -> u32 {
    cuts.iter().filter(|cut| is_same(cut.after, after)).map(|cut| cut.times).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn ends_at_one_time_after_silences_that_differ_are_told_apart_from_a_limit() {
        let host = [198, 51, 100, 2].into();
        let idle = |silences: [i64; 2], apart: i64| {
            let mut tunnels = Tunnels::default();
            for (n, silence) in silences.into_iter().enumerate() {
                let mut x = tunnel(0, 9_000 + apart * i64::from(n > 0));
                x.end.idle_before = Some(Nanos::from_millis(silence));
                tunnels.learn(&x);
            }
            tunnels.silences_differ(host, Nanos::from_millis(silences[0]))
        };
        assert!(idle([2_300, 2_500], 1));
        assert!(!idle([2_300, 2_310], 1), "the same silence");
        assert!(!idle([2_300, 2_500], 700), "another time");
    }

    /// A tunnel that began at one time and was closed by its server at another, in milliseconds.
    fn tunnel(from: i64, to: i64) -> Exchange {
        let mut x = ended(exchange(ASK, Some(GRANT)), Direction::ServerToClient, EndHow::Fin, to);
        x.request.first = at(from);
        x.response.iter_mut().for_each(|r| r.last = at(from + 1));
        x.end.lifetime = Some(Nanos::from_millis(to - from));
        x.end.idle_before = Some(Nanos::from_millis(to - from - 10));
        x
    }

    fn learnt(all: &[Exchange]) -> Tunnels {
        let mut tunnels = Tunnels::default();
        all.iter().for_each(|x| tunnels.learn(x));
        tunnels
    }

    #[test]
    fn the_same_silence_is_counted_for_each_host() {
        let tunnels = learnt(&[tunnel(0, 60_000), tunnel(500, 60_700), tunnel(0, 9_000)]);
        let host = tunnel(0, 1).server.ip;
        assert_eq!(tunnels.cut_after_idle(host, Nanos::from_secs(60)), 2);
        assert_eq!(tunnels.cut_after_life(host, Nanos::from_secs(9)), 1);
        assert_eq!(tunnels.cut_after_idle(tunnel(0, 1).client.ip, Nanos::from_secs(60)), 0);
        assert!(tunnels.limited);
    }

    #[test]
    fn three_of_few_ends_at_once_are_many_and_three_of_many_are_not() {
        let all = [tunnel(0, 20_000), tunnel(900, 20_300), tunnel(5_000, 20_600), tunnel(6_000, 90_000)];
        let mass = learnt(&all).mass_ends();
        assert_eq!(mass.iter().map(|m| (m.ended, m.open)).collect::<Vec<_>>(), [(3, 4)]);
        let apart = [tunnel(0, 20_000), tunnel(900, 22_300), tunnel(5_000, 24_600)];
        assert!(learnt(&apart).mass_ends().is_empty());
        let mut many: Vec<Exchange> = (0..10).map(|n| tunnel(n, 90_000 + 2_000 * n)).collect();
        many.extend_from_slice(&all[..3]);
        assert!(learnt(&many).mass_ends().is_empty());
    }

    #[test]
    fn a_client_that_comes_back_each_minute_flaps() {
        let all: Vec<Exchange> = (0..5).map(|n| tunnel(n * 61_000, n * 61_000 + 60_000 + n * 100)).collect();
        let tunnels = learnt(&all);
        assert_eq!(tunnels.flapping().len(), 1);
        assert!(learnt(&all[..4]).flapping().is_empty());
        let beside: Vec<Exchange> = (0..5).map(|n| tunnel(n, 60_000)).collect();
        assert!(learnt(&beside).flapping().is_empty(), "at the same time is not again and again");
        let uneven: Vec<Exchange> = (0..5).map(|n| tunnel(n * 61_000, n * 61_000 + 50_000 + n * 2_000)).collect();
        assert!(learnt(&uneven).flapping().is_empty());
    }

    #[test]
    fn a_proxy_whose_clients_leave_after_any_silence_has_no_limit_on_it() {
        let left = |silences: &[i64]| {
            let mut tunnels = Tunnels::default();
            for (n, silence) in silences.iter().enumerate() {
                let end = 9_000 + 700 * n as i64;
                let mut x = ended(exchange(ASK, Some(GRANT)), Direction::ClientToServer, EndHow::Fin, end);
                x.end.idle_before = Some(Nanos::from_millis(*silence));
                tunnels.learn_left(&x);
            }
            tunnels.left_after_idle(exchange(ASK, None).client.ip, Nanos::from_millis(silences[0]))
        };
        assert_eq!(left(&[5_000, 5_010, 5_020]), (3, true));
        assert_eq!(left(&[5_000, 8_000, 12_000]), (0, false), "most after others");
        assert_eq!(left(&[20_000, 20_390, 20_100]), (0, false), "too far apart");
    }

    #[test]
    fn what_went_on_when_one_was_ended_is_counted() {
        let all = [(0, 20_000), (900, 30_300), (19_900, 40_000), (25_000, 40_000), (0, 50_000)];
        let all = all.map(|(from, to)| tunnel(from, to));
        let (tunnels, host) = (learnt(&all), tunnel(0, 1).server.ip);
        assert_eq!((tunnels.outlived(host, at(20_000)), tunnels.outlived(host, at(50_000))), (3, 0));
        assert_eq!(tunnels.outlived(host, at(40_000)), 0, "two at once");
        assert_eq!(tunnels.outlived(tunnel(0, 1).client.ip, at(20_000)), 0);
    }

    #[test]
    fn a_goodbye_of_the_client_is_no_flapping() {
        let bye = |n: i64| {
            let mut x = tunnel(n * 61_000, n * 61_000 + 60_000);
            (x.end.by, x.end.how) = (Some(Direction::ClientToServer), EndHow::CloseFrame);
            x
        };
        let tunnels = learnt(&(0..6).map(bye).collect::<Vec<_>>());
        assert!(tunnels.flapping().is_empty() && !tunnels.limited);
    }

    #[test]
    fn more_than_the_bounds_is_counted() {
        let mut tunnels = Tunnels::default();
        for n in 0..limits::TUNNEL_CUTS + 2 {
            let life = 1_000 * (n as i64 + 1) * (n as i64 + 1);
            tunnels.learn(&tunnel(0, life));
        }
        assert!(tunnels.evicted > 0);
        assert!(tunnels.hosts.values().all(|host| host.idle.len() <= limits::TUNNEL_CUTS));
    }
}
