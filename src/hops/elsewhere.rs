//! Connections that another place of capture saw too, and there without what was said: the request, or the answer to the
//! SYN, was lost between the two.

use crate::base::{Endpoint, FlowId, Nanos, Timestamp, limits};
use crate::model::{BrokenHow, ConnectState, Direction, EndHow, Exchange, FlowFacts, HandshakeStep, Lost};

use super::{Map, Set};

/// Both places see a connection begin within this time.
const AT_ONCE: Nanos = Nanos::from_secs(2);

/// How long the place that should have seen it goes on behind it, so that it is lost and not on its way.
const GOES_ON: Nanos = Nanos::from_secs(1);

/// The same where its sender was told that the connection is gone, by a reset that nobody sent there.
const FORGED_GOES_ON: Nanos = Nanos::from_millis(100);

/// So often must a request be sent again, and never be acknowledged, where nothing shows that the other place went on.
const IN_VAIN: u32 = 3;

/// Notes what was lost so, on the exchange or the connection at the place that saw more of it, and takes out the copy that
/// saw less; how many copies these were. `ends`: when the capture of an input ends.
pub fn never_came(
    exchanges: &mut [Box<Exchange>],
    lone: &mut Vec<FlowFacts>,
    sealed: &[FlowFacts],
    ends: &dyn Fn(u16) -> Option<Timestamp>,
) -> u64 {
    // Whoever asked for SYN and FIN alone sees no bytes of anybody.
    let mut spoken: Set<u16> = exchanges.iter().map(|x| x.request.at.input()).collect();
    spoken.extend(lone.iter().filter(|flow| flow.said.is_some()).chain(sealed).map(|flow| flow.syn.input()));
    let mut known: Map<(Endpoint, Endpoint), Vec<usize>> = Map::default();
    for (at, flow) in lone.iter().enumerate() {
        known.entry((flow.client, flow.server)).or_default().push(at);
    }
    let mut copies: Set<FlowId> = Set::default();
    for x in exchanges.iter_mut().filter(|x| x.response.is_none() && x.index_in_flow == 0) {
        let same = known.get(&(x.client, x.server)).into_iter().flatten().filter_map(|at| lone.get(*at));
        let mut lost = same.filter_map(|flow| Some((request_lost(x, flow, ends)?, flow.id)));
        if let (Some((lost, copy)), None) = (lost.next(), lost.next()) {
            x.twice.get_or_insert_default().lost.get_or_insert(lost);
            copies.insert(copy);
        }
    }
    for all in known.values() {
        let &[a, b] = all.as_slice() else { continue };
        for (near, far) in [(a, b), (b, a)] {
            let Some((one, other)) = lone.get(near).zip(lone.get(far)).filter(|(one, other)| are_one(one, other))
            else {
                continue;
            };
            if is_answer_lost(one, other) {
                let at = other.syn;
                copies.insert(other.id);
                lone.get_mut(near).into_iter().for_each(|one| one.answered_at = Some(at));
            } else if is_less(one, other) {
                copies.insert(one.id);
            } else if is_hello_heard(one, other) {
                copies.insert(other.id);
                let said = lone.get_mut(near).and_then(|one| one.said.as_mut());
                said.and_then(|said| said.broken.as_mut()).into_iter().for_each(|broken| broken.reached = true);
            } else if spoken.contains(&other.syn.input()) && is_hello_lost(one, other, ends) {
                let at = other.syn;
                copies.insert(other.id);
                let said = lone.get_mut(near).and_then(|one| one.said.as_mut());
                said.and_then(|said| said.broken.as_mut()).into_iter().for_each(|broken| broken.unseen_at = Some(at));
            }
        }
    }
    // What came to one end at every place is one.
    for all in known.values().filter(|all| all.len() > 1) {
        let mut all: Vec<&FlowFacts> = all.iter().filter_map(|at| lone.get(*at)).collect();
        all.retain(|flow| !copies.contains(&flow.id));
        all.sort_unstable_by_key(|flow| (flow.syn_at, flow.id));
        for (at, flow) in all.iter().enumerate() {
            // As many as may be of one time, so that a port that is used again and again costs little.
            let near = all.iter().take(at).rev().take_while(|first| is_near(first.syn_at, flow.syn_at));
            if near.take(limits::JOIN_CANDIDATES).any(|first| are_one(first, flow) && is_same_fate(first, flow)) {
                copies.insert(flow.id);
            }
        }
    }
    // A server that answered, as its own place shows, and was not heard.
    for flow in sealed {
        let same = known.get(&(flow.client, flow.server)).filter(|same| same.len() <= limits::JOIN_CANDIDATES);
        for at in same.into_iter().flatten() {
            let Some(one) = lone.get_mut(*at).filter(|one| are_one(one, flow)) else { continue };
            let broken = one.said.as_mut().and_then(|said| said.broken.as_mut());
            let silent = broken.filter(|broken| broken.how == BrokenHow::Silence && broken.transport.is_some());
            silent.into_iter().for_each(|broken| broken.torn = true);
        }
    }
    if !copies.is_empty() {
        lone.retain(|flow| !copies.contains(&flow.id));
    }
    u64::try_from(copies.len()).unwrap_or(u64::MAX)
}

/// Whether both are one connection, captured at two places.
fn are_one(a: &FlowFacts, b: &FlowFacts) -> bool {
    a.syn.input() != b.syn.input() && is_near(a.syn_at, b.syn_at)
}

fn is_near(a: Timestamp, b: Timestamp) -> bool {
    a.0.abs_diff(b.0) <= AT_ONCE.0.unsigned_abs()
}

/// What this exchange's place saw go by, where the other one saw the connection open, and no byte of it.
fn request_lost(x: &Exchange, flow: &FlowFacts, ends: &dyn Fn(u16) -> Option<Timestamp>) -> Option<Lost> {
    let opened = x.times.syn.filter(|syn| is_near(*syn, flow.syn_at))?;
    let input = flow.syn.input();
    let open = flow.state == ConnectState::Established && flow.said.is_none() && input != x.request.at.input();
    let asked = x.request.complete && !x.quality.request_gap && opened <= x.request.first;
    let reset = x.end.tcp_how == EndHow::Rst && x.end.tcp_by == Some(Direction::ServerToClient);
    let forged = reset && flow.end.is_none();
    // A server that ended it unasked had no use for a request.
    let left = reset && flow.end_at.is_some_and(|end| end <= x.request.last);
    let lasts = if forged { FORGED_GOES_ON } else { GOES_ON };
    // Of what is lost the sender hears nothing, and sends it again. A capture that was asked for SYN and FIN alone shows no
    // request either.
    let swallowed = x.transport.as_ref().and_then(|transport| transport.swallowed);
    let swallowed = swallowed.filter(|lost| lost.by == Direction::ClientToServer);
    let goes_on = swallowed.is_some_and(|lost| lost.times >= IN_VAIN) || ends(input)? >= x.request.last + lasts;
    let heard = !forged && swallowed.is_none();
    let at = x.request.at;
    (open && asked && goes_on && !left && !heard).then_some(Lost {
        from: Direction::ClientToServer,
        frames: 0,
        at,
        quiet: Nanos::ZERO,
        forged,
    })
}

/// The server's SYN-ACK passed the other place, and did not come to this one.
fn is_answer_lost(near: &FlowFacts, far: &FlowFacts) -> bool {
    // Where one direction alone is captured no SYN is sent again.
    let in_vain = near.state == ConnectState::Unanswered && near.syns > 1 && near.rejected.is_none();
    in_vain && far.state == ConnectState::Established
}

/// Whether nobody took two connections, or their TLS handshakes failed, alike.
fn is_same_fate(a: &FlowFacts, b: &FlowFacts) -> bool {
    let in_vain = matches!(a.state, ConnectState::Unanswered | ConnectState::Refused);
    let broken = |flow: &FlowFacts| {
        let broken = flow.said.as_ref().and_then(|said| said.broken.as_deref())?;
        Some((broken.by, broken.how, broken.after))
    };
    a.state == b.state && (in_vain || broken(a).is_some() && broken(a) == broken(b))
}

/// A ClientHello came to both places again and again, and neither saw it acknowledged. The first to see it is nearer to its
/// sender.
fn is_hello_heard(near: &FlowFacts, far: &FlowFacts) -> bool {
    let unheard = |flow: &FlowFacts| {
        let broken = flow.said.as_ref().and_then(|said| said.broken.as_deref());
        let broken = broken.filter(|broken| broken.how == BrokenHow::Silence && !broken.torn);
        let lost = broken.and_then(|broken| broken.transport.as_ref()?.swallowed);
        lost.is_some_and(|lost| lost.by == Direction::ClientToServer && lost.times >= IN_VAIN)
    };
    unheard(near) && unheard(far) && (near.syn_at, near.id) < (far.syn_at, far.id)
}

/// A ClientHello passed one place, or was answered there by a reset, and the other place saw the connection open, and no byte
/// of it, nor the reset.
fn is_hello_lost(near: &FlowFacts, far: &FlowFacts, ends: &dyn Fn(u16) -> Option<Timestamp>) -> bool {
    // A place that saw no SYN may see one direction alone.
    let open = far.state == ConnectState::Established && far.said.is_none() && far.end.is_none() && far.syns > 0;
    let broken = near.said.as_ref().and_then(|said| said.broken.as_deref()).filter(|_| open);
    let Some(broken) = broken.filter(|broken| broken.after == HandshakeStep::ClientHello && !broken.torn) else {
        return false;
    };
    let until = ends(far.syn.input());
    match broken.how {
        BrokenHow::Silence => {
            let swallowed = broken.transport.as_ref().and_then(|transport| transport.swallowed);
            let swallowed = swallowed.filter(|lost| lost.by == Direction::ClientToServer);
            swallowed.is_some_and(|lost| until.is_some_and(|end| end >= lost.first + GOES_ON))
        }
        BrokenHow::Rst if broken.by == Direction::ServerToClient => {
            until.is_some_and(|end| end >= broken.ts + FORGED_GOES_ON)
        }
        _ => false,
    }
}

/// Whether one place saw nothing of an answer in TLS that the other one saw.
fn is_less(near: &FlowFacts, far: &FlowFacts) -> bool {
    let broken = |flow: &FlowFacts| flow.said.as_ref().and_then(|said| said.broken.as_ref()).map(|broken| broken.how);
    broken(near) == Some(BrokenHow::Silence) && broken(far).is_some_and(|how| how != BrokenHow::Silence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ExchangeId, PacketRef};
    use crate::hops::testing::{head, lone};
    use crate::model::{Broken, Said, Swallowed, Transport};

    /// Opened at another place at this time, in ms, with the exchange's addresses.
    fn copy(x: &Exchange, ms: i64, state: ConnectState) -> FlowFacts {
        let at = (PacketRef::new(1, 1), x.request.first + Nanos::from_millis(ms));
        FlowFacts { syns: 2, ..lone(9, (x.client, x.server), state, at) }
    }

    /// Sent again so many times, and never acknowledged.
    fn unheard(mut x: Box<Exchange>, times: u32) -> Box<Exchange> {
        let (by, at, first) = (Direction::ClientToServer, PacketRef::new(0, 4), x.request.last);
        let last = first;
        let none = Swallowed { by, times, smallest: 300, before: 0, signs: 0, between: 0, deaf: 0, at, first, last };
        x.transport = Some(Box::new(Transport { swallowed: Some(none), ..Transport::default() }));
        x
    }

    fn asked() -> Box<Exchange> {
        let mut x = Box::new(Exchange::of(head("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
        (x.client, x.server) = (Endpoint::new([192, 0, 2, 1].into(), 4_000), Endpoint::new([192, 0, 2, 9].into(), 80));
        x.id = ExchangeId(1);
        x.response = None;
        x.times.syn = Some(x.request.first - Nanos::from_millis(1));
        x
    }

    fn lost(x: Box<Exchange>, flow: FlowFacts, goes_on: i64) -> (Option<Lost>, usize) {
        let until = x.request.last + Nanos::from_millis(goes_on);
        let (mut all, mut lone) = (vec![x], vec![flow]);
        never_came(&mut all, &mut lone, &[], &|_| Some(until));
        (all[0].twice.as_ref().and_then(|twice| twice.lost), lone.len())
    }

    #[test]
    fn a_request_that_another_place_did_not_see_was_lost_on_its_way() {
        let x = unheard(asked(), 2);
        let flow = copy(&x, -1, ConnectState::Established);
        let (told, left) = lost(x, flow, 3_000);
        let told = told.map(|lost| (lost.from, lost.frames, lost.forged));
        assert_eq!((told, left), (Some((Direction::ClientToServer, 0, false)), 0));
    }

    #[test]
    fn one_that_may_be_on_its_way_another_connection_and_an_unanswered_one_are_not() {
        let told = |ms: i64, state: ConnectState, goes_on: i64| {
            let x = unheard(asked(), 2);
            let flow = copy(&x, ms, state);
            lost(x, flow, goes_on).0.is_some()
        };
        assert!(told(-1, ConnectState::Established, 1_000));
        assert!(!told(-1, ConnectState::Established, 900), "the capture ended");
        assert!(!told(-9_000, ConnectState::Established, 3_000), "another time");
        assert!(!told(-1, ConnectState::Refused, 3_000));
        let (heard, often) = (asked(), unheard(asked(), 3));
        let [a, b] = [&heard, &often].map(|x| copy(x, -1, ConnectState::Established));
        assert!(lost(heard, a, 3_000).0.is_none(), "nobody sent it again: the other place keeps SYNs alone");
        assert!(lost(often, b, 0).0.is_some());
        let x = unheard(asked(), 2);
        let here = FlowFacts { syn: PacketRef::new(0, 1), ..copy(&x, -1, ConnectState::Established) };
        assert!(lost(x, here, 3_000).0.is_none(), "the same place");
    }

    #[test]
    fn a_reset_that_the_server_did_not_send_is_forged_and_one_that_it_sent_before_is_no_loss() {
        let reset = || {
            let mut x = asked();
            (x.end.tcp_how, x.end.tcp_by) = (EndHow::Rst, Some(Direction::ServerToClient));
            x
        };
        let x = reset();
        let flow = copy(&x, -1, ConnectState::Established);
        assert!(lost(x, flow, 200).0.is_some_and(|lost| lost.forged));
        let x = reset();
        let end_at = Some(x.request.first - Nanos::from_millis(1));
        let flow = FlowFacts { end: Some(PacketRef::new(1, 4)), end_at, ..copy(&x, -1, ConnectState::Established) };
        assert!(lost(x, flow, 3_000).0.is_none());
    }

    /// A ClientHello that was sent at this place, and how that ended.
    fn hello(x: &Exchange, how: BrokenHow, times: u32) -> FlowFacts {
        let transport = unheard(asked(), times).transport;
        let (by, after, at) = (Direction::ServerToClient, HandshakeStep::ClientHello, PacketRef::new(0, 9));
        let broken = Broken { transport, ..Broken::new(by, how, after, (at, x.request.last)) };
        let said = Some(Box::new(Said { broken: Some(Box::new(broken)), ..Said::default() }));
        FlowFacts { id: FlowId(1), syn: PacketRef::new(0, 1), said, ..copy(x, 0, ConnectState::Established) }
    }

    #[test]
    fn a_client_hello_that_another_place_did_not_see_and_a_reset_that_it_did_not_see_are_noted() {
        let x = asked();
        let told_of = |how, times, goes_on: i64, far: FlowFacts, spoken: bool| {
            let mut lone = vec![hello(&x, how, times), far];
            let until = x.request.last + Nanos::from_millis(goes_on);
            // Of somebody else, so that the other place is known to see bytes.
            let other = FlowFacts {
                client: Endpoint::new([192, 0, 2, 77].into(), 1),
                ..copy(&x, 0, ConnectState::Established)
            };
            let copies =
                never_came(&mut [], &mut lone, if spoken { std::slice::from_ref(&other) } else { &[] }, &|_| {
                    Some(until)
                });
            let unseen_at = lone[0].said.as_ref().and_then(|said| said.broken.as_ref()?.unseen_at);
            assert_eq!(unseen_at.is_some(), copies == 1);
            unseen_at
        };
        let told = |how, times, goes_on, far| told_of(how, times, goes_on, far, true);
        let far = || copy(&x, 1, ConnectState::Established);
        let there = Some(PacketRef::new(1, 1));
        assert_eq!(told(BrokenHow::Silence, 1, 2_000, far()), there);
        assert_eq!(told(BrokenHow::Silence, 3, 0, far()), None, "the capture ended");
        assert_eq!(told_of(BrokenHow::Silence, 3, 2_000, far(), false), None, "it was asked for SYN and FIN alone");
        let one_way = FlowFacts { syns: 0, ..far() };
        assert_eq!(told(BrokenHow::Silence, 3, 2_000, one_way), None, "one direction alone");
        assert_eq!(told(BrokenHow::Silence, 1, 0, far()), None, "the capture ended");
        assert_eq!(told(BrokenHow::Rst, 0, 200, far()), there);
        let reset = FlowFacts { end: Some(PacketRef::new(1, 4)), ..far() };
        assert_eq!(told(BrokenHow::Rst, 0, 200, reset), None, "it was reset there too");
        assert_eq!(told(BrokenHow::Fin, 0, 200, far()), None);
    }

    #[test]
    fn what_nobody_took_is_counted_once_wherever_it_was_captured() {
        let x = asked();
        let at = |input: u16, ms: i64, state| FlowFacts {
            id: FlowId(u32::from(input) + 1),
            syn: PacketRef::new(input, 1),
            ..copy(&x, ms, state)
        };
        let left = |mut lone: Vec<FlowFacts>| {
            never_came(&mut [], &mut lone, &[], &|_| None);
            lone.iter().map(|flow| flow.id.0).collect::<Vec<_>>()
        };
        for state in [ConnectState::Refused, ConnectState::Unanswered] {
            assert_eq!(left(vec![at(1, 1, state), at(0, 0, state), at(2, 2, state)]), [1]);
            assert_eq!(left(vec![at(0, 0, state), at(1, 5_000, state)]), [1, 2], "another try");
        }
        let reset = |input| {
            let flow = hello(&x, BrokenHow::Rst, 0);
            FlowFacts { id: FlowId(u32::from(input) + 1), syn: PacketRef::new(input, 1), ..flow }
        };
        assert_eq!(left(vec![reset(0), reset(1)]), [1]);
    }

    #[test]
    fn a_client_hello_that_came_to_both_places_and_an_answer_that_was_not_heard_are_noted() {
        let x = asked();
        let near = hello(&x, BrokenHow::Silence, 4);
        let far = FlowFacts { id: FlowId(2), syn: PacketRef::new(1, 1), ..near.clone() };
        let mut lone = vec![near.clone(), far];
        assert_eq!(never_came(&mut [], &mut lone, &[], &|_| None), 1);
        let broken = |lone: &[FlowFacts]| lone[0].said.as_ref().and_then(|said| said.broken.clone());
        assert!(broken(&lone).is_some_and(|broken| broken.reached && !broken.torn));
        let answered = FlowFacts { id: FlowId(2), syn: PacketRef::new(1, 1), said: None, ..near.clone() };
        let mut lone = vec![near];
        never_came(&mut [], &mut lone, &[answered], &|_| None);
        assert!(broken(&lone).is_some_and(|broken| broken.torn && !broken.reached));
    }

    #[test]
    fn a_syn_ack_that_passed_one_place_and_not_the_other_is_noted_there() {
        let x = asked();
        let near = FlowFacts { id: FlowId(1), syn: PacketRef::new(0, 1), ..copy(&x, 0, ConnectState::Unanswered) };
        let mut lone = vec![near, copy(&x, 1, ConnectState::Established)];
        never_came(&mut [], &mut lone, &[], &|_| None);
        assert_eq!((lone.len(), lone[0].id, lone[0].answered_at), (1, FlowId(1), Some(PacketRef::new(1, 1))));
        let once = FlowFacts { id: FlowId(1), syns: 1, answered_at: None, ..lone[0].clone() };
        let mut lone = vec![once, copy(&x, 1, ConnectState::Established)];
        assert_eq!(never_came(&mut [], &mut lone, &[], &|_| None), 0, "one direction alone may be in view");
    }
}
