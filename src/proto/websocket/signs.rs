//! What TCP says of a tunnel beside its bytes: windows that close, bytes that come again, resets from elsewhere.

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Direction, IcmpWhy, Rejected, Resent, Stall, Swallowed, Transport, Undelivered, Unseen};
use crate::stream::Signs;

/// So soon nobody sends again (RFC 6298 §2.4; Linux waits for 200 ms at least).
const AT_ONCE: Nanos = Nanos::from_millis(100);

/// So long behind the first sending again a side must go on to count as alive: what was under way has arrived by then.
const ALIVE: Nanos = Nanos::from_secs(1);

/// What was seen of one tunnel.
#[derive(Clone, Default)]
pub struct Watched {
    transport: Transport,
    /// Since when the bytes of client (server) are not taken, and the packet that says so.
    closed: [Option<(Timestamp, PacketRef)>; 2],
    /// What client (server) sent again and the other side has not acknowledged, and where that stands in its direction's
    /// stream.
    swallowed: [Option<(Swallowed, u64)>; 2],
    /// How far client (server) has acknowledged what the other side sent, since something was sent again.
    acked: [u64; 2],
    /// How far client (server) has sent, by the sequence numbers of what brought nothing, and the packet that shows it.
    sent: [Option<(u64, PacketRef, Timestamp)>; 2],
    /// Where the bytes of [`Transport::undelivered`] end in their direction's stream.
    undelivered_to: u64,
}

impl Watched {
    /// Bytes of this side came again. `first`: when somebody last said something new, in packet `at`. `offset`: of these
    /// bytes in their direction's stream.
    pub fn again(
        &mut self,
        by: Direction,
        at: PacketRef,
        (first, ts): (Timestamp, Timestamp),
        (offset, bytes): (u64, usize),
    ) {
        // They came after all.
        self.transport.undelivered.take_if(|lost| lost.by == by && offset < self.undelivered_to);
        let other = usize::from(by == Direction::ClientToServer);
        if let Some((unheard, _)) = self.swallowed[other].as_mut().filter(|_| offset < self.acked[other])
            && ts.since(unheard.first) >= ALIVE
        {
            unheard.deaf = unheard.deaf.saturating_add(1);
        }
        self.swallow(by, at, ts, (offset, bytes));
        match &mut self.transport.resent {
            Some(resent) if resent.by == by => {
                resent.times = resent.times.saturating_add(1);
                resent.last = ts;
            }
            resent => *resent = Some(Resent { by, times: 1, at, first, last: ts }),
        }
    }

    /// The first bytes that come again and again count; what stands behind them waits for them.
    fn swallow(&mut self, by: Direction, at: PacketRef, ts: Timestamp, (offset, bytes): (u64, usize)) {
        let length = u32::try_from(bytes).unwrap_or(u32::MAX);
        match &mut self.swallowed[usize::from(by == Direction::ServerToClient)] {
            Some((_, from)) if *from < offset => {}
            // A copy of a packet comes at once, a sender waits for its time-out.
            Some((same, from)) if *from == offset && ts.since(same.last) < AT_ONCE => {}
            Some((same, from)) if *from == offset => {
                (same.times, same.last) = (same.times.saturating_add(1), ts);
                same.smallest = same.smallest.min(length);
                same.between = same.signs;
            }
            swallowed => {
                let new = Swallowed {
                    by,
                    times: 1,
                    smallest: length,
                    before: offset,
                    signs: 0,
                    between: 0,
                    deaf: 0,
                    at,
                    first: ts,
                    last: ts,
                };
                *swallowed = Some((new, offset));
            }
        }
    }

    /// Bytes were lost on their way, which end there in their direction's stream. The first ones are told.
    pub fn undelivered(&mut self, bytes: Undelivered, to: u64) {
        if self.transport.undelivered.is_none() {
            (self.transport.undelivered, self.undelivered_to) = (Some(bytes), to);
        }
    }

    /// A packet did not arrive, as ICMP says.
    pub fn rejected(&mut self, told: Rejected) {
        match &mut self.transport.rejected {
            Some(known) => known.again(told),
            none => *none = Some(told),
        }
    }

    /// A segment of this side. `true`: the next ones are wanted too.
    pub fn take(&mut self, from: Direction, usual: u8, signs: Signs) -> bool {
        // Somebody is there.
        self.transport.probed.take_if(|probed| probed.by != from);
        if signs.rst {
            if usual != 0 && usual != signs.ttl && self.transport.rst_ttl.is_none() {
                self.transport.rst_ttl = Some((usual, signs.ttl));
            }
            // Whoever sent it, the side that was silent is no more heard by it.
            return false;
        }
        if let Some(resent) = self.transport.resent.take_if(|resent| resent.by != from) {
            let most = self.transport.overcome.map_or(1, |before| before.times);
            self.transport.overcome = Some(resent).filter(|resent| resent.times > most).or(self.transport.overcome);
        }
        if let Some(to) = signs.sent {
            let known = &mut self.sent[usize::from(from == Direction::ServerToClient)];
            if known.is_none_or(|(known, ..)| known < to) {
                *known = Some((to, signs.at, signs.ts));
            }
        }
        if signs.syn {
            self.transport.greeted_again = self.transport.greeted_again.saturating_add(1);
        }
        if signs.probe {
            self.probe(from, signs);
        }
        let acked = &mut self.acked[usize::from(from == Direction::ServerToClient)];
        *acked = signs.acked.unwrap_or_default().max(*acked);
        let unheard = &mut self.swallowed[usize::from(from == Direction::ClientToServer)];
        if let (Some((swallowed, at)), Some(acked)) = (unheard.as_mut(), signs.acked) {
            if acked > *at {
                *unheard = None;
                // It arrives again.
                let through = |told: &mut Rejected| told.of != from && !matches!(told.why, IcmpWhy::TooBig(_));
                self.transport.rejected.take_if(through);
            } else if signs.new && signs.ts.since(swallowed.first) >= ALIVE {
                swallowed.signs = swallowed.signs.saturating_add(1);
            }
        }
        // Whose bytes wait: those of the other side.
        let waits = usize::from(from == Direction::ClientToServer);
        self.window(waits, signs);
        let waits = self.transport.resent.is_some()
            || self.transport.probed.is_some()
            || self.swallowed.iter().any(Option::is_some);
        self.closed.iter().any(Option::is_some) || waits
    }

    fn probe(&mut self, by: Direction, signs: Signs) {
        match &mut self.transport.probed {
            Some(probed) if signs.ts.since(probed.last) < AT_ONCE => {}
            Some(probed) => (probed.times, probed.last) = (probed.times.saturating_add(1), signs.ts),
            probed => *probed = Some(Resent { by, times: 1, at: signs.at, first: signs.ts, last: signs.ts }),
        }
    }

    fn window(&mut self, waits: usize, signs: Signs) {
        let (closed, stall) = (&mut self.closed[waits], &mut self.transport.stalls[waits]);
        let Some((from, at)) = *closed else {
            if signs.closes_window {
                *closed = Some((signs.ts, signs.at));
                let new = Stall { at: signs.at, from: signs.ts, length: Nanos::ZERO, times: 0, lasts: false };
                let stall = stall.get_or_insert(new);
                stall.times = stall.times.saturating_add(1);
            }
            return;
        };
        let length = signs.ts.since(from);
        if let Some(stall) = stall.as_mut().filter(|stall| length > stall.length) {
            *stall = Stall { at, from, length, ..*stall };
        }
        if !signs.closes_window {
            *closed = None;
        }
    }

    /// So many bytes of client and server have come by, or are known to be missing here: what else was sent never came.
    pub fn came(&mut self, [client, server]: [u64; 2]) {
        let sides = [(Direction::ClientToServer, client), (Direction::ServerToClient, server)];
        for ((by, came), sent) in sides.into_iter().zip(self.sent) {
            if let Some((to, at, ts)) = sent.filter(|(to, ..)| *to > came) {
                self.transport.unseen = Some(Unseen { by, bytes: to - came, at, ts });
            }
        }
    }

    /// What there is to tell.
    pub fn tell(mut self) -> Option<Box<Transport>> {
        for (stall, closed) in self.transport.stalls.iter_mut().zip(self.closed) {
            if let Some(stall) = stall {
                stall.lasts = closed.is_some_and(|(from, _)| from == stall.from);
            }
        }
        self.transport.swallowed = self
            .swallowed
            .into_iter()
            .flatten()
            .map(|(one, _)| one)
            .max_by_key(|one| one.signs.saturating_add(one.deaf));
        (self.transport != Transport::default()).then(|| Box::new(self.transport))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ClientToServer as CLIENT, ServerToClient as SERVER};

    fn sign(s: i64, closes_window: bool) -> Signs {
        let ts = Timestamp(0) + Nanos::from_secs(s);
        Signs {
            ts,
            at: PacketRef::new(0, s.unsigned_abs()),
            ttl: 64,
            rst: false,
            syn: false,
            closes_window,
            new: true,
            probe: false,
            again: None,
            acked: None,
            sent: None,
        }
    }

    #[test]
    fn probes_count_while_nobody_answers_them() {
        let probe =
            |ms: i64| Signs { ts: Timestamp(0) + Nanos::from_millis(ms), probe: true, new: false, ..sign(1, false) };
        let probed =
            |watched: Watched| watched.tell().and_then(|told| told.probed).map(|probed| (probed.by, probed.times));
        let mut watched = Watched::default();
        assert!(watched.take(SERVER, 64, probe(1_000)), "what comes next is wanted");
        watched.take(SERVER, 64, probe(1_001));
        watched.take(SERVER, 64, probe(2_000));
        assert!(!watched.take(SERVER, 64, Signs { rst: true, ..sign(3, false) }));
        assert_eq!(probed(watched), Some((SERVER, 2)), "a copy of a packet is no second probe");
        let mut watched = Watched::default();
        watched.take(SERVER, 64, probe(1_000));
        assert!(!watched.take(CLIENT, 64, sign(2, false)), "it was answered");
        assert_eq!(probed(watched), None);
        let mut watched = Watched::default();
        watched.take(SERVER, 64, probe(1_000));
        watched.take(CLIENT, 64, Signs { rst: true, ..sign(2, false) });
        assert_eq!(probed(watched), None, "a reset is an answer too");
    }

    #[test]
    fn the_longest_time_that_a_window_was_closed_is_told() {
        let mut watched = Watched::default();
        assert!(watched.take(CLIENT, 64, sign(1, true)));
        assert!(!watched.take(CLIENT, 64, sign(3, false)));
        assert!(watched.take(CLIENT, 64, sign(10, true)));
        assert!(watched.take(SERVER, 64, sign(11, false)), "the other side's window says nothing of it");
        assert!(watched.take(CLIENT, 64, sign(15, true)), "it answers a probe");
        let stall = watched.tell().and_then(|t| t.stalls[1]);
        let length = Nanos::from_secs(5);
        assert_eq!(
            stall,
            Some(Stall { at: PacketRef::new(0, 10), from: sign(10, true).ts, length, times: 2, lasts: true })
        );
    }

    #[test]
    fn bytes_that_come_again_until_a_sign_of_life_are_nothing() {
        let mut watched = Watched::default();
        let ts = |s| sign(s, false).ts;
        for s in 1..5 {
            watched.again(CLIENT, PacketRef::new(0, 7), (ts(0), ts(s)), (40, 9));
        }
        assert!(watched.take(CLIENT, 64, sign(5, false)));
        let whole = Resent { by: CLIENT, times: 4, at: PacketRef::new(0, 7), first: ts(0), last: ts(4) };
        assert_eq!(watched.transport.resent, Some(whole));
        assert!(!watched.take(SERVER, 64, Signs { acked: Some(49), ..sign(6, false) }));
        let told = watched.tell();
        assert_eq!(told.map(|told| (told.resent, told.overcome)), Some((None, Some(whole))));
    }

    #[test]
    fn bytes_that_come_once_again_are_not_remembered() {
        let mut watched = Watched::default();
        watched.again(CLIENT, PacketRef::new(0, 7), (sign(0, false).ts, sign(1, false).ts), (40, 9));
        watched.take(SERVER, 64, Signs { acked: Some(49), ..sign(2, false) });
        assert!(watched.tell().is_none());
    }

    #[test]
    fn what_a_router_said_is_forgotten_when_the_bytes_arrive_unless_it_is_an_mtu() {
        for (why, stays) in [(IcmpWhy::NetUnreachable, false), (IcmpWhy::TooBig(1_300), true)] {
            let mut watched = Watched::default();
            let ts = |s| sign(s, false).ts;
            let (by, at) = ([10, 0, 0, 1].into(), PacketRef::new(0, 8));
            watched.rejected(Rejected { by, of: CLIENT, why, at, ts: ts(1), last: ts(1), times: 1 });
            watched.again(CLIENT, PacketRef::new(0, 7), (ts(0), ts(1)), (40, 9));
            watched.take(SERVER, 64, Signs { acked: Some(40), ..sign(2, false) });
            assert!(watched.transport.rejected.is_some(), "they have not arrived yet");
            watched.take(SERVER, 64, Signs { acked: Some(49), ..sign(3, false) });
            assert_eq!(watched.transport.rejected.is_some(), stays);
        }
    }

    #[test]
    fn what_a_living_side_never_acknowledges_was_swallowed() {
        let mut watched = Watched::default();
        let ts = |s| sign(s, false).ts;
        let at = PacketRef::new(0, 7);
        for s in 1..5 {
            watched.again(CLIENT, at, (ts(0), ts(s)), (40, 1_400));
            watched.again(CLIENT, at, (ts(0), ts(s)), (40, 1_400));
            watched.again(CLIENT, at, (ts(0), ts(s)), (1_440, 200));
            // One word of the other side that comes again is not of these bytes.
            watched.again(SERVER, at, (ts(0), ts(s)), (9, 5));
            assert!(watched.take(SERVER, 64, Signs { acked: Some(40), ..sign(s, false) }));
            assert!(watched.take(SERVER, 64, Signs { acked: Some(40), new: false, ..sign(s, false) }));
        }
        watched.take(CLIENT, 64, Signs { acked: Some(14), ..sign(5, false) });
        let (first, last) = (ts(1), ts(4));
        let swallowed = Swallowed {
            by: CLIENT,
            times: 4,
            smallest: 1_400,
            before: 40,
            signs: 3,
            between: 2,
            deaf: 0,
            at,
            first,
            last,
        };
        assert_eq!(watched.swallowed, [Some((swallowed, 40)), None]);
        watched.take(SERVER, 64, Signs { acked: Some(41), ..sign(9, false) });
        assert_eq!(watched.swallowed, [None, None]);
    }

    #[test]
    fn what_comes_after_all_was_not_undelivered() {
        let lost = |watched: &mut Watched| {
            let (at, first) = (PacketRef::new(0, 7), sign(0, false).ts);
            let lost = Undelivered { by: CLIENT, bytes: 60, largest: 9, at, first, last: first };
            watched.undelivered(lost, 100);
        };
        let mut watched = Watched::default();
        lost(&mut watched);
        watched.again(CLIENT, PacketRef::new(0, 9), (sign(0, false).ts, sign(1, false).ts), (100, 9));
        assert!(watched.transport.undelivered.is_some(), "what stood behind them came again");
        watched.again(CLIENT, PacketRef::new(0, 9), (sign(0, false).ts, sign(1, false).ts), (40, 60));
        assert!(watched.transport.undelivered.is_none());
    }

    #[test]
    fn a_reset_from_elsewhere_has_another_ttl() {
        let mut watched = Watched::default();
        watched.take(SERVER, 64, Signs { rst: true, ttl: 64, ..sign(1, true) });
        watched.take(SERVER, 0, Signs { rst: true, ttl: 251, ..sign(1, true) });
        assert_eq!(watched.transport.rst_ttl, None);
        watched.take(SERVER, 64, Signs { rst: true, ttl: 251, ..sign(1, true) });
        assert_eq!(watched.transport.rst_ttl, Some((64, 251)));
    }

    #[test]
    fn who_says_again_what_was_acknowledged_does_not_hear() {
        let ts = |s| sign(s, false).ts;
        let again = |watched: &mut Watched, by, s, offset| {
            watched.again(by, PacketRef::new(0, 7), (ts(0), ts(s)), (offset, 9));
        };
        let deaf = |watched: Watched| watched.tell().and_then(|told| told.swallowed).map_or(0, |lost| lost.deaf);
        let of = |acked, s| {
            let mut watched = Watched::default();
            again(&mut watched, CLIENT, 1, 40);
            watched.take(CLIENT, 64, Signs { acked: Some(acked), ..sign(1, false) });
            again(&mut watched, CLIENT, 2, 40);
            again(&mut watched, SERVER, s, 10);
            deaf(watched)
        };
        assert_eq!((of(20, 3), of(10, 3), of(20, 1)), (1, 0, 0), "acknowledged, not, and still under way");
    }
}
