//! A key that is not random.

use crate::base::{Nanos, limits};
use crate::model::{Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::seen::Attempt;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-key-constant",
    severity: Severity::Warning,
    title: "the key is not random",
    about: "A client must choose a new random key for every connection. A key that comes again, or one that \
        everybody knows from a document, means that it is written into the client or that a request was \
        replayed. The handshake works all the same, but the accept then no longer proves that the server \
        answered this very request: a cache's or a recorder's answer fits as well.\n\n\
        The same key within a second (a capture that holds a packet twice) and a refused request tried \
        again at once are not meant.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §1.3"],
    causes: &["the key is written into the client or test tool", "a request was recorded and replayed"],
    fix: Some(FaultClass::Client),
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// Keys that are known not to be random, and whose they are.
const KNOWN: [(&[u8], &str); 5] = [
    (b"dGhlIHNhbXBsZSBub25jZQ==", "the sample of RFC 6455"),
    (b"x3JJHMbDL1EzLkh9GBhXDw==", "the sample of many tutorials"),
    (b"AAAAAAAAAAAAAAAAAAAAAA==", "16 zero octets"),
    (b"MDAwMDAwMDAwMDAwMDAwMA==", "the key of lighttpd's bridge from HTTP/2, which is constant by design"),
    (b"MDAwMDAwMDAwMDAwMDAwMAo=", "the key of an old lighttpd's bridge from HTTP/2"),
];

/// Within this time a refused request that comes again is a retry of the same attempt.
const RETRY: Nanos = Nanos::from_secs(10);

/// Whether its key is one that many use.
pub(in crate::rules) fn is_known(x: &Exchange) -> bool {
    let key = x.request.first_value("sec-websocket-key");
    key.is_some_and(|key| KNOWN.iter().any(|(known, _)| *known == key))
}

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let Some(key) = x.request.first_value("sec-websocket-key").filter(|k| !k.is_empty()) else { return };
    if !facts::is_attempt(x) {
        return;
    }
    let name = b"Sec-WebSocket-Key";
    if let Some((_, whose)) = KNOWN.iter().find(|(known, _)| *known == key) {
        out.add(Text::own("The key ").field(name, key).say(format!(" is not random: it is {whose}.")))
            .expected(Text::own("16 random octets"))
            .found(Text::new().field(name, key))
            .field(&x.request, "sec-websocket-key", REQUEST);
    } else if let Some(earlier) = seen.with_key(key).take(limits::SEEN_COMPARED).find(|a| is_reuse(x, a)) {
        let gap = x.request.first.since(earlier.at).as_secs_f64();
        out.add(
            Text::own("The key ").field(name, key).say(format!(
                " was used by the same client {gap:.1} s before; each connection needs a new random one."
            )),
        )
        .expected(Text::own("a new random key"))
        .found(Text::new().field(name, key))
        .field(&x.request, "sec-websocket-key", REQUEST)
        .evidence(Evidence { at: earlier.packet, direction: Some(REQUEST), bytes: None });
    }
}

/// Whether the earlier attempt is another one between the same two addresses.
fn is_reuse(x: &Exchange, earlier: &Attempt) -> bool {
    let gap = x.request.first.since(earlier.at);
    let retry = !earlier.granted && gap <= RETRY && earlier.target() == x.request.target();
    earlier.id != x.id
        && earlier.client == x.client.ip
        && (earlier.server, earlier.server_port) == (x.server.ip, x.server.port)
        && gap > Nanos::from_secs(1)
        && !retry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::rules::testing::{GOOD, KEY, REFUSED, With as _, changed, exchange, fires, granted, run_seen};

    /// Whether a second exchange with the same key, so many seconds later, is found.
    fn again(answer: &str, seconds: i64, change: impl FnOnce(&mut Exchange)) -> bool {
        let first = exchange(GOOD, Some(answer));
        let second = exchange(GOOD, None)
            .with(|x| {
                x.id = ExchangeId(2);
                x.request.first = x.request.first + Nanos::from_secs(seconds);
            })
            .with(change);
        let mut seen = Seen::default();
        seen.learn(&first, false);
        seen.learn(&second, false);
        assert!(run_seen(&RULE, &first, &seen).is_empty());
        !run_seen(&RULE, &second, &seen).is_empty()
    }

    #[test]
    fn a_key_that_comes_again_is_found() {
        assert!(again(&granted(), 5, |_| ()));
        assert!(again(REFUSED, 11, |_| ()));
    }

    #[test]
    fn duplicates_retries_and_other_addresses_are_not_reuse() {
        assert!(!again(&granted(), 1, |_| ()));
        assert!(!again(REFUSED, 5, |_| ()));
        assert!(!again(&granted(), 5, |x| x.server.port = 8080));
        assert!(!again(&granted(), 5, |x| std::mem::swap(&mut x.client, &mut x.server)));
    }

    #[test]
    fn known_constants_are_found_at_once() {
        assert!(fires(&RULE, &exchange(&changed(KEY, "dGhlIHNhbXBsZSBub25jZQ=="), None)));
        assert!(!fires(&RULE, &exchange(&changed(KEY, "dGhlIHNhbXBsZSBub25jZg=="), None)));
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
