//! Copies of requests that a hop sends to another server beside the leg that counts, as nginx's `mirror` does: nobody
//! waits for what is answered to them.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use crate::base::{ExchangeId, Nanos};
use crate::model::Exchange;

/// How far apart a request and its copy are sent at most.
const TOGETHER: Nanos = Nanos::from_secs(1);

/// Copies of one request at most; more with one key are of a client that has no other.
const COPIES: usize = 4;

/// The exchanges that are such copies: of the same key as a leg behind a hop that was granted, sent by the same hop to
/// another server while that leg's answer was still to come, and not granted. A try that failed before the next was
/// made is none. `alone`: whether an exchange is a chain by itself; `behind`: whether it is a leg behind a hop.
pub fn mirrored(
    exchanges: &[Box<Exchange>],
    alone: impl Fn(&Exchange) -> bool,
    behind: impl Fn(&Exchange) -> bool,
) -> HashSet<ExchangeId> {
    let name = |x: &Exchange| Some((x.client.ip, x.request.whole_value("sec-websocket-key")?.to_vec()));
    let candidates = || exchanges.iter().filter(|x| x.granted().is_none() && alone(x));
    if candidates().next().is_none() {
        return HashSet::new();
    }
    let mut legs: HashMap<(IpAddr, Vec<u8>), &Exchange> = HashMap::new();
    for x in exchanges.iter().filter(|x| x.granted().is_some() && behind(x)) {
        if let Some(name) = name(x) {
            legs.insert(name, x);
        }
    }
    let is_copy = |x: &Exchange| {
        let leg = name(x).and_then(|name| legs.get(&name))?;
        let answered = |x: &Exchange| x.response.as_ref().map(|head| head.first);
        let before_its_answer = answered(leg).is_none_or(|at| x.request.first < at);
        let no_try_before = answered(x).is_none_or(|at| at > leg.request.first);
        let together = x.request.first.since(leg.request.first).0.abs() <= TOGETHER.0;
        (x.server != leg.server && together && before_its_answer && no_try_before).then_some(x.id)
    };
    let mut alike: HashMap<(IpAddr, Vec<u8>), Vec<ExchangeId>> = HashMap::new();
    for x in candidates() {
        if let Some((name, id)) = name(x).zip(is_copy(x)) {
            alike.entry(name).or_default().push(id);
        }
    }
    alike.into_values().filter(|ids| ids.len() <= COPIES).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::hops::testing::head;

    fn leg(id: u64, server: u16, asked: i64, answer: &str, answered: i64) -> Box<Exchange> {
        let request = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut x = Box::new(Exchange { id: ExchangeId(id), ..Exchange::of(head(request)) });
        x.server.port = server;
        x.request.first = Timestamp(asked * 1_000_000);
        x.response = Some(head(&format!("HTTP/1.1 {answer}\r\n\r\n"))).map(|mut head| {
            head.first = Timestamp(answered * 1_000_000);
            head
        });
        x
    }

    #[test]
    fn what_a_hop_sends_elsewhere_beside_the_leg_that_counts_is_a_copy() {
        let copies = |other: Box<Exchange>| {
            let all = [leg(1, 80, 10, "101 Switching Protocols", 20), other];
            let found = mirrored(&all, |x| x.id == ExchangeId(2), |x| x.id == ExchangeId(1));
            found.contains(&ExchangeId(2))
        };
        assert!(copies(leg(2, 81, 11, "426 Upgrade Required", 30)));
        assert!(copies(leg(2, 81, 9, "426 Upgrade Required", 30)), "whichever was sent first");
        assert!(!copies(leg(2, 81, 1, "502 Bad Gateway", 9)), "a try that failed");
        assert!(!copies(leg(2, 81, 25, "426 Upgrade Required", 30)), "another request, with the same key");
        assert!(!copies(leg(2, 80, 11, "426 Upgrade Required", 30)), "the same server");
        assert!(!copies(leg(2, 81, 11, "101 Switching Protocols", 30)), "that was granted");
        let others = |x: &Exchange| x.id != ExchangeId(1);
        let one = |id| if id == 1 { leg(1, 80, 10, "101 X", 20) } else { leg(id, 81, 10, "404 X", 20) };
        let many: Vec<_> = (1..20).map(one).collect();
        assert!(mirrored(&many, others, |x| !others(x)).is_empty(), "a client with one key for all");
    }
}
