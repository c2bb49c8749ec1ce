//! Which hosts' connections each place of capture saw: a SYN that passed one place, and that another one did not see although it saw
//! the same two hosts speak, was lost, or refused, on its way between the two.

use std::net::IpAddr;

use crate::base::{Endpoint, Nanos, PacketRef, Timestamp, limits};
use crate::model::{ConnectState, Exchange, FlowFacts};

use super::{Map, Set};

/// What was seen, of captures at several places.
#[derive(Default)]
pub struct Sightings {
    /// The connections of each client host and server host, at any place.
    hosts: Map<(IpAddr, IpAddr), Vec<Sight>>,
    /// Those to each server, by the client's port: of a translation the port may be kept.
    servers: Map<Endpoint, Vec<Sight>>,
    /// Whole connections, by place.
    connections: Set<(u16, Endpoint, Endpoint)>,
    /// Places that miss packets.
    holed: Set<u16>,
}

#[derive(Clone, Copy)]
struct Sight {
    at: PacketRef,
    client: Endpoint,
    server: Endpoint,
    /// It was tried in vain.
    in_vain: bool,
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
            seen.add(Sight { at: x.request.at, client: x.client, server: x.server, in_vain: false });
            let q = x.quality;
            if q.gap || q.request_gap || q.response_gap || q.midstream || q.no_client_packets || q.no_server_packets {
                seen.holed.insert(x.request.at.input());
            }
        }
        for flow in lone.iter().chain(sealed) {
            let in_vain = matches!(flow.state, ConnectState::Unanswered | ConnectState::Refused);
            seen.add(Sight { at: flow.syn, client: flow.client, server: flow.server, in_vain });
        }
        Some(seen)
    }

    /// Notes it on the connections of which that is so. `spans`: from when to when an input was captured.
    pub fn note(&self, lone: &mut [FlowFacts], spans: &dyn Fn(u16) -> Option<(Timestamp, Timestamp)>) {
        for flow in lone.iter_mut().filter(|flow| is_in_vain(flow)) {
            flow.unseen_at = self.unseen_at(flow, spans);
        }
    }

    fn add(&mut self, sight: Sight) {
        self.hosts.entry((sight.client.ip, sight.server.ip)).or_default().push(sight);
        self.servers.entry(sight.server).or_default().push(sight);
        self.connections.insert((sight.at.input(), sight.client, sight.server));
    }

    fn unseen_at(&self, flow: &FlowFacts, spans: &dyn Fn(u16) -> Option<(Timestamp, Timestamp)>) -> Option<PacketRef> {
        let here = flow.syn.input();
        let behind = if flow.state == ConnectState::Refused { REFUSED_GOES_ON } else { GOES_ON };
        let went_on = |(from, to): (Timestamp, Timestamp)| from <= flow.syn_at && to >= flow.syn_at + behind;
        let of_hosts = self.hosts.get(&(flow.client.ip, flow.server.ip))?.as_slice();
        let to_server = self.servers.get(&flow.server)?.as_slice();
        if of_hosts.len().max(to_server.len()) > limits::SEEN_COMPARED {
            return None;
        }
        let stands = |there: u16| {
            // It sees what is between the two, and goes on doing so; all that took this way here is there, too.
            let came = |sight: &Sight| self.connections.contains(&(there, sight.client, sight.server));
            let all_came = of_hosts.iter().filter(|sight| sight.at.input() == here && !sight.in_vain).all(came);
            // Nothing of the kind came there, by another name neither.
            let like_it = |sight: &&Sight| sight.in_vain || sight.client.port == flow.client.port;
            let mut others = to_server.iter().filter(|sight| sight.at.input() == there).peekable();
            there != here
                && !self.holed.contains(&there)
                && spans(there).is_some_and(went_on)
                && all_came
                && others.peek().is_some()
                && !others.any(|sight| like_it(&sight))
        };
        let mut asked: Vec<u16> = Vec::new();
        of_hosts.iter().map(|sight| sight.at).find(|at| {
            let is_new = !asked.contains(&at.input());
            if is_new {
                asked.push(at.input());
            }
            is_new && stands(at.input())
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
    use crate::hops::testing::{head, lone};

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const SERVER: [u8; 4] = [192, 0, 2, 9];

    fn tried(port: u16, state: ConnectState) -> FlowFacts {
        let ends = (Endpoint::new(CLIENT.into(), port), Endpoint::new(SERVER.into(), 80));
        FlowFacts { syns: 4, ..lone(1, ends, state, (PacketRef::new(0, 4), Timestamp(5_000_000_000))) }
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
        let refused_there = FlowFacts { syn: PacketRef::new(1, 2), ..tried(4_009, ConnectState::Refused) };
        assert_eq!(told(syn(), &[other(1, CLIENT, 80)], &[refused_there], 9), None, "others failed there");
        let translated = FlowFacts { client: Endpoint::new([198, 51, 100, 1].into(), 4_000), ..syn() };
        let translated = FlowFacts { syn: PacketRef::new(1, 2), state: ConnectState::Established, ..translated };
        assert_eq!(told(syn(), &[other(1, CLIENT, 80)], &[translated], 9), None, "by another address");
        let mut elsewhere = other(0, CLIENT, 80);
        elsewhere.client.port = 4_077;
        assert_eq!(told(syn(), &[other(1, CLIENT, 80), elsewhere], &[], 9), None, "another went another way");
        let mut holed = other(1, CLIENT, 80);
        holed.quality.gap = true;
        assert_eq!(told(syn(), &[holed], &[], 9), None, "it lacks packets");
        let copy = FlowFacts { syn: PacketRef::new(1, 2), ..syn() };
        assert_eq!(told(syn(), &[other(1, CLIENT, 80)], &[copy], 9), None);
        assert!(told(tried(4_000, ConnectState::Established), &[other(1, CLIENT, 80)], &[], 9).is_none());
    }
}
