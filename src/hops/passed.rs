//! TLS that a hop passes on unread: where a handshake that failed went, and what came of it there.

use crate::base::{Endpoint, Nanos, limits};
use crate::model::{BrokenHow, ConnectState, FlowFacts, HandshakeStep, Wrapper};

use super::Map;

/// Handshakes that failed, to be asked where they went.
pub struct Passed<'a> {
    all: &'a [FlowFacts],
    /// By the client's random: the connection on which it was seen last.
    by_random: Map<[u8; 32], usize>,
    /// Connections that were refused or never answered, in the order of their beginning.
    vain: Vec<usize>,
}

/// What stands behind the server of a handshake that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The same handshake was seen there.
    Same(Endpoint),
    /// A connection to it was tried meanwhile, in vain.
    Vain(Endpoint),
}

impl<'a> Passed<'a> {
    /// Of all connections without a request.
    pub fn new(all: &'a [FlowFacts]) -> Self {
        let mut passed = Passed { all, by_random: Map::default(), vain: Vec::new() };
        for (at, flow) in all.iter().enumerate() {
            if let Some(random) = random(flow) {
                let last = passed.by_random.entry(*random).or_insert(at);
                if all.get(*last).is_some_and(|last| last.syn_at < flow.syn_at) {
                    *last = at;
                }
            }
            if matches!(flow.state, ConnectState::Refused | ConnectState::Unanswered) {
                passed.vain.push(at);
            }
        }
        passed.vain.sort_by_key(|&at| all.get(at).map(|flow| flow.syn_at));
        passed
    }

    /// What stands behind the server of this connection. `None`: nothing that is known.
    pub fn beyond(&self, flow: &FlowFacts) -> Option<Beyond> {
        let last = random(flow).and_then(|random| self.by_random.get(random)).and_then(|&at| self.all.get(at));
        if let Some(last) = last.filter(|last| last.server != flow.server) {
            return Some(Beyond::Same(last.server));
        }
        let broken = flow.said.as_ref()?.broken.as_deref()?;
        let closed = matches!(broken.how, BrokenHow::Fin | BrokenHow::Rst | BrokenHow::Silence);
        if !closed || broken.after != HandshakeStep::ClientHello {
            return None;
        }
        let began = |at: &usize| self.all.get(*at).map(|other| other.syn_at);
        let (from, until) = (flow.syn_at, broken.ts + Nanos::from_millis(limits::JOIN_SLACK_MS));
        let first = self.vain.partition_point(|at| began(at).is_some_and(|began| began < from));
        let meanwhile = self.vain.get(first..)?.iter().filter_map(|&at| self.all.get(at));
        let mut tried = meanwhile
            .take_while(|other| other.syn_at <= until)
            .take(limits::JOIN_CANDIDATES * 4)
            .filter(|other| other.client.ip != flow.client.ip && other.server != flow.server);
        let one = tried.next()?;
        // Of several hosts it is not known which of them went on for this one.
        tried
            .all(|other| other.client.ip == one.client.ip && other.server == one.server)
            .then_some(Beyond::Vain(one.server))
    }
}

fn random(flow: &FlowFacts) -> Option<&[u8; 32]> {
    let said = flow.said.as_ref().filter(|said| said.broken.is_some())?;
    said.via.iter().rev().find_map(|wrapper| match wrapper {
        Wrapper::Tls(tls) => tls.client_random.as_deref(),
        _ => None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::hops::testing::lone;
    use crate::model::{Broken, Direction, Said, Tls};

    fn endpoint(text: &str) -> Endpoint {
        text.parse::<std::net::SocketAddr>().map(|a| Endpoint::new(a.ip(), a.port())).unwrap()
    }

    fn flow(id: u32, client: &str, server: &str, ms: i64) -> FlowFacts {
        let at = (PacketRef::default(), Timestamp(ms * 1_000_000));
        lone(id, (endpoint(client), endpoint(server)), ConnectState::Established, at)
    }

    fn broken(mut flow: FlowFacts, random: u8, how: BrokenHow, ms: i64) -> FlowFacts {
        let tls = Tls { client_random: Some(Box::new([random; 32])), ..Tls::default() };
        let (by, after) = (Direction::ServerToClient, HandshakeStep::ClientHello);
        let broken = Broken::new(by, how, after, (PacketRef::default(), Timestamp(ms * 1_000_000)));
        let via = vec![Wrapper::Tls(Box::new(tls))];
        flow.said = Some(Box::new(Said { via, broken: Some(Box::new(broken)), ..Said::default() }));
        flow
    }

    #[test]
    fn the_same_hello_behind_shows_where_it_went() {
        let near = broken(flow(1, "192.0.2.1:40000", "192.0.2.2:443", 0), 7, BrokenHow::Alert(45), 9);
        let far = broken(flow(2, "198.51.100.2:50000", "198.51.100.3:8443", 1), 7, BrokenHow::Alert(45), 9);
        let other = broken(flow(3, "192.0.2.1:40001", "192.0.2.2:443", 2), 8, BrokenHow::Alert(45), 9);
        let all = [near, far, other];
        let passed = Passed::new(&all);
        let beyond: Vec<_> = all.iter().map(|flow| passed.beyond(flow)).collect();
        assert_eq!(beyond, [Some(Beyond::Same(all[1].server)), None, None]);
    }

    #[test]
    fn a_try_in_vain_meanwhile_is_why_a_router_closed_upon_the_hello() {
        let of = |how, from: i64, servers: &[&str]| {
            let mut all = vec![broken(flow(1, "192.0.2.1:40000", "192.0.2.2:443", 0), 7, how, 9)];
            for (n, server) in (2..).zip(servers) {
                let vain = flow(n, "198.51.100.2:50000", server, from);
                all.push(FlowFacts { state: ConnectState::Refused, ..vain });
            }
            Passed::new(&all).beyond(&all[0])
        };
        let [a, b] = ["198.51.100.3:8443", "198.51.100.4:8443"];
        assert_eq!(of(BrokenHow::Fin, 5, &[a]), Some(Beyond::Vain(endpoint(a))));
        assert_eq!(of(BrokenHow::Fin, 5, &[a, a]), Some(Beyond::Vain(endpoint(a))));
        assert_eq!(of(BrokenHow::Fin, 5, &[a, b]), None);
        assert_eq!(of(BrokenHow::Fin, 9_000, &[a]), None, "later");
        assert_eq!(of(BrokenHow::Alert(40), 5, &[a]), None, "it spoke for itself");
    }
}
