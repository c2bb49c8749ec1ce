//! Which hosts' connections each place of capture saw: a SYN that passed one place, and that another one did not see although it saw
//! the same two hosts speak, was lost, or refused, on its way between the two.

use std::net::IpAddr;

use crate::base::{Endpoint, Nanos, PacketRef, Timestamp};
use crate::model::{ConnectState, Exchange, FlowFacts};

use super::{Map, Set};

/// What was seen, of captures at several places.
#[derive(Default)]
pub struct Sightings {
    /// The first connection of each client host, server host and place.
    hosts: Map<(IpAddr, IpAddr), Vec<PacketRef>>,
    /// Which ports of a server a place saw: it is not filtered by others.
    ports: Set<(u16, Endpoint)>,
    /// Whole connections, by place.
    connections: Set<(u16, Endpoint, Endpoint)>,
}

/// So long the other place must have gone on behind the SYN, and where it was refused.
const GOES_ON: Nanos = Nanos::from_secs(1);
const REFUSED_GOES_ON: Nanos = Nanos::from_millis(100);

impl Sightings {
    /// `None`: no connection was tried in vain, so that nobody will ask.
    pub fn new(exchanges: &[Box<Exchange>], lone: &[FlowFacts], sealed: &[FlowFacts]) -> Option<Sightings> {
        if !lone.iter().any(is_in_vain) {
            return None;
        }
        let mut seen = Sightings::default();
        for x in exchanges {
            seen.add(x.request.at, x.client, x.server);
        }
        for flow in lone.iter().chain(sealed) {
            seen.add(flow.syn, flow.client, flow.server);
        }
        Some(seen)
    }

    /// Notes it on the connections of which that is so. `spans`: from when to when an input was captured.
    pub fn note(&self, lone: &mut [FlowFacts], spans: &dyn Fn(u16) -> Option<(Timestamp, Timestamp)>) {
        for flow in lone.iter_mut().filter(|flow| is_in_vain(flow)) {
            flow.unseen_at = self.unseen_at(flow, spans);
        }
    }

    fn add(&mut self, at: PacketRef, client: Endpoint, server: Endpoint) {
        let input = at.input();
        let known = self.hosts.entry((client.ip, server.ip)).or_default();
        if known.iter().all(|known| known.input() != input) {
            known.push(at);
        }
        self.ports.insert((input, server));
        self.connections.insert((input, client, server));
    }

    fn unseen_at(&self, flow: &FlowFacts, spans: &dyn Fn(u16) -> Option<(Timestamp, Timestamp)>) -> Option<PacketRef> {
        let here = flow.syn.input();
        let behind = if flow.state == ConnectState::Refused { REFUSED_GOES_ON } else { GOES_ON };
        let known = self.hosts.get(&(flow.client.ip, flow.server.ip))?;
        known.iter().copied().find(|at| {
            let there = at.input();
            let went_on = |(from, to): (Timestamp, Timestamp)| from <= flow.syn_at && to >= flow.syn_at + behind;
            there != here
                && self.ports.contains(&(there, flow.server))
                && !self.connections.contains(&(there, flow.client, flow.server))
                && spans(there).is_some_and(went_on)
        })
    }
}

/// A connection that nobody took, without ICMP to say why.
fn is_in_vain(flow: &FlowFacts) -> bool {
    matches!(flow.state, ConnectState::Unanswered | ConnectState::Refused)
        && flow.rejected.is_none()
        && flow.answered_at.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FlowId;
    use crate::hops::testing::head;

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const SERVER: [u8; 4] = [192, 0, 2, 9];

    fn tried(port: u16, state: ConnectState) -> FlowFacts {
        FlowFacts {
            id: FlowId(1),
            client: Endpoint::new(CLIENT.into(), port),
            server: Endpoint::new(SERVER.into(), 80),
            state,
            syn: PacketRef::new(0, 4),
            syn_at: Timestamp(5_000_000_000),
            syns: 4,
            end: None,
            end_at: None,
            rejected: None,
            said: None,
            answered_at: None,
            unseen_at: None,
        }
    }

    /// Of another connection, seen at this place.
    fn other(input: u16, client: [u8; 4], port: u16) -> Box<Exchange> {
        let mut x = Box::new(Exchange::of(head("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
        (x.client, x.server) = (Endpoint::new(client.into(), 4_001), Endpoint::new(SERVER.into(), port));
        x.request.at = PacketRef::new(input, 7);
        x
    }

    fn told(flow: FlowFacts, others: &[Box<Exchange>], more: &[FlowFacts], until_s: i64) -> Option<PacketRef> {
        let mut lone = vec![flow];
        lone.extend(more.iter().cloned());
        let seen = Sightings::new(others, &lone, &[])?;
        seen.note(&mut lone, &|_| Some((Timestamp(0), Timestamp(until_s * 1_000_000_000))));
        lone[0].unseen_at
    }

    #[test]
    fn a_syn_that_a_place_did_not_see_which_saw_its_hosts_and_port_is_noted() {
        let there = Some(PacketRef::new(1, 7));
        for state in [ConnectState::Unanswered, ConnectState::Refused] {
            assert_eq!(told(tried(4_000, state), &[other(1, CLIENT, 80)], &[], 9), there);
        }
        let of_another = [other(1, CLIENT, 8_081), other(1, [192, 0, 2, 7], 80)];
        assert_eq!(told(tried(4_000, ConnectState::Refused), &of_another, &[], 9), there, "the port by another host");
    }

    #[test]
    fn it_is_not_where_that_place_saw_it_or_cannot_have_seen_it() {
        let syn = || tried(4_000, ConnectState::Unanswered);
        assert_eq!(told(syn(), &[other(0, CLIENT, 80)], &[], 9), None, "the same place");
        assert_eq!(told(syn(), &[other(1, CLIENT, 8_081)], &[], 9), None, "it may be filtered by port");
        assert_eq!(told(syn(), &[other(1, [192, 0, 2, 7], 80)], &[], 9), None, "other hosts: another way");
        assert_eq!(told(syn(), &[other(1, CLIENT, 80)], &[], 5), None, "the capture ended");
        let copy = FlowFacts { syn: PacketRef::new(1, 2), ..syn() };
        assert_eq!(told(syn(), &[other(1, CLIENT, 80)], &[copy], 9), None);
        assert!(told(tried(4_000, ConnectState::Established), &[other(1, CLIENT, 80)], &[], 9).is_none());
    }
}
