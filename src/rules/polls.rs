//! Clients that poll instead: engine.io, SignalR and SockJS ask for a WebSocket first and take something else where
//! they get none. What such a client shows works all the same, only slower.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::base::{Endpoint, Nanos, Timestamp, limits};
use crate::model::{Exchange, Outcome};
use crate::wire::polling;

/// Requests for polling that were answered; at most `limits::POLLS`, the first ones.
#[derive(Debug, Default)]
pub struct Polls {
    by_place: HashMap<Place, Vec<Poll>, RandomState>,
    /// The servers that each client polled for each application; the first of each.
    servers: HashMap<(IpAddr, Box<[u8]>), Vec<Endpoint>, RandomState>,
    /// Servers that answered a poll of a session of engine.io with that they do not know it, by the client and the session.
    lost: HashMap<(IpAddr, Box<[u8]>), Endpoint, RandomState>,
    count: usize,
    /// Those beyond the limit.
    pub dropped: u64,
}

/// One of them.
#[derive(Debug)]
struct Poll {
    at: Timestamp,
    /// Of engine.io.
    session: Option<Box<[u8]>>,
}

/// The client, the server, and what all transports have in common.
type Place = (IpAddr, Endpoint, Box<[u8]>);

impl Polls {
    /// Remembers a plain request, if it is such a one and its answer was good.
    pub fn learn(&mut self, x: &Exchange) {
        self.learn_lost(x);
        let good = x.status().is_some_and(|status| (200..300).contains(&status));
        if !good || !is_poll(x) {
            return;
        }
        if self.count >= limits::POLLS {
            self.dropped += 1;
            return;
        }
        self.count += 1;
        let target = x.request.target();
        let base: Box<[u8]> = polling::base(target).into();
        let session = polling::session(target).map(Into::into);
        let servers = self.servers.entry((x.client.ip, base.clone())).or_default();
        if servers.len() < limits::POLLED_SERVERS && !servers.contains(&x.server) {
            servers.push(x.server);
        }
        let place = (x.client.ip, x.server, base);
        self.by_place.entry(place).or_default().push(Poll { at: x.request.first, session });
    }

    /// Remembers a poll whose server does not know its session.
    fn learn_lost(&mut self, x: &Exchange) {
        let lost = x.status() == Some(400) && memchr::memmem::find(&x.body, b"Session ID unknown").is_some();
        let Some(session) = polling::session(x.request.target()).filter(|_| lost && is_poll(x)) else { return };
        if self.lost.len() < limits::POLLS {
            self.lost.insert((x.client.ip, session.into()), x.server);
        } else {
            self.dropped += 1;
        }
    }

    /// The server that this client polled in the session of this request, and that did not know it. `None`: there is none
    /// but the server of the request itself.
    pub fn lost(&self, x: &Exchange) -> Option<Endpoint> {
        let session = polling::session(x.request.target()).filter(|_| !self.lost.is_empty())?;
        self.lost.get(&(x.client.ip, session.into())).copied().filter(|server| *server != x.server)
    }

    /// Whether the client of this request, or where it polled nothing anybody, was seen to poll the same application at
    /// another server. `Some(true)`: in the same session.
    pub fn elsewhere(&self, x: &Exchange) -> Option<bool> {
        let target = x.request.target();
        let base: Box<[u8]> = polling::base(target).into();
        let session = polling::session(target);
        let Some(servers) = self.servers.get(&(x.client.ip, base.clone())) else {
            // A hop may go on from several addresses of its own.
            let known = self.servers.iter().take(limits::SEEN_COMPARED);
            let mut all = known.filter(|((_, other), _)| *other == base).flat_map(|(_, servers)| servers);
            return all.any(|server| *server != x.server).then_some(false);
        };
        let servers = servers.iter().filter(|server| **server != x.server);
        let same = |server: &Endpoint| {
            let polls = self.by_place.get(&(x.client.ip, *server, base.clone()));
            session.is_some() && polls.into_iter().flatten().any(|poll| poll.session.as_deref() == session)
        };
        servers.map(same).max()
    }

    /// Whether the client that did not get this WebSocket polled the same application behind that, within
    /// `limits::RETRY_S`.
    pub fn replaced(&self, x: &Exchange, outcome: Outcome) -> bool {
        if self.count == 0 || outcome == Outcome::Upgraded {
            return false;
        }
        let over = x.response.as_ref().map(|answer| answer.last).or(x.end.at).unwrap_or(x.request.last);
        let span = x.request.first..=over + Nanos::from_secs(limits::RETRY_S);
        let place = (x.client.ip, x.server, polling::base(x.request.target()).into());
        // A session that was refused is not gone on with by the polls of another one.
        let session = polling::session(x.request.target());
        let same = |poll: &Poll| session.is_none() || poll.session.as_deref() == session;
        self.by_place.get(&place).is_some_and(|polls| polls.iter().any(|poll| span.contains(&poll.at) && same(poll)))
    }
}

fn is_poll(x: &Exchange) -> bool {
    polling::is_poll(x.request.target()) || x.request.has_token("accept", "text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange};

    const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\n\r\n";

    fn polled(asked: &str, poll: &str, answer: &str, later: Nanos) -> bool {
        let refused = exchange(&GOOD.replace("/chat", asked), Some(REFUSED));
        let request = format!("GET {poll} HTTP/1.1\r\nHost: example.com\r\n\r\n");
        let mut poll = exchange(&request, Some(answer));
        poll.request.first = refused.response.as_ref().map_or(poll.request.first, |r| r.last) + later;
        let mut polls = Polls::default();
        polls.learn(&poll);
        polls.replaced(&refused, Outcome::Refused)
    }

    #[test]
    fn each_librarys_way_to_poll_is_known() {
        let pairs = [
            ("/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=4&transport=polling&sid=x"),
            ("/socket.io/?EIO=4&transport=websocket&sid=x", "/socket.io/?EIO=4&transport=polling&sid=x"),
            ("/signalr/connect?transport=webSockets&t=1", "/signalr/connect?transport=longPolling&t=1"),
            ("/echo/123/abcd/websocket", "/echo/123/efgh/xhr_streaming"),
        ];
        for (asked, poll) in pairs {
            let soon = Nanos::from_millis(20);
            assert!(polled(asked, poll, "HTTP/1.1 200 OK\r\n\r\n", soon), "{poll}");
            assert!(!polled(asked, poll, "HTTP/1.1 404 Not Found\r\n\r\n", soon), "{poll}: refused too");
            assert!(!polled(asked, poll, "HTTP/1.1 200 OK\r\n\r\n", Nanos::from_secs(60)), "{poll}: long behind");
            assert!(!polled("/other/1/2/websocket", poll, "HTTP/1.1 200 OK\r\n\r\n", soon), "{poll}: of another");
        }
        let (asked, poll) = ("/s/?EIO=4&transport=websocket&sid=x", "/s/?EIO=4&transport=polling&sid=y");
        assert!(!polled(asked, poll, "HTTP/1.1 200 OK\r\n\r\n", Nanos::ZERO), "another session");
        assert!(!polled("/chat", "/chat", "HTTP/1.1 200 OK\r\n\r\n", Nanos::ZERO), "a page is no poll");
    }

    #[test]
    fn the_poll_of_another_client_or_at_another_server_replaces_nothing() {
        let refused = exchange(&GOOD.replace("/chat", "/socket.io/?transport=websocket"), Some(REFUSED));
        let request = "GET /socket.io/?transport=polling HTTP/1.1\r\nHost: example.com\r\n\r\n";
        let poll = || exchange(request, Some("HTTP/1.1 200 OK\r\n\r\n"));
        let replaces = |poll: Exchange| {
            let mut polls = Polls::default();
            polls.learn(&poll);
            polls.replaced(&refused, Outcome::Refused)
        };
        assert!(replaces(poll()));
        assert!(!replaces(poll().with(|x| x.client.ip = IpAddr::from([9, 9, 9, 9]))));
        assert!(!replaces(poll().with(|x| x.server.port += 1)));
    }
}
