//! A proxy that sends what it forwards to itself.

use super::support::{FROM_CLIENT, is_attempt};
use crate::base::Nanos;
use crate::model::{Confidence, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen, request};

pub(super) static RULE: Rule = Rule {
    id: "proxy-loop",
    severity: Severity::Error,
    title: "the request came back to the proxy, again and again",
    about: "While this request waited for its answer, others with the same key came to the same address and port, each on a \
        connection of its own: what the proxy there forwards comes back to it, at once or by way of another, and goes on until its connections, \
        its time or a limit on hops are used up. Then each of them gets an error (500, 502, 504, 508), the innermost first. \
        No backend is asked.",
    refs: &["RFC 9110 §7.6.3", "RFC 5842 §7.2"],
    causes: &[
        "the backend's address in the proxy's configuration is its own, or a name that resolves to it (its own host name, a \
         service that selects the proxy, a balancer's address in front of it); or the next proxy's backend is this one",
        "a redirect of outgoing connections (iptables REDIRECT, TPROXY, a mesh's sidecar) takes the proxy's own ones too: \
         it needs an exception for the proxy's user (-m owner --uid-owner) or mark",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const OWN_ADDRESS: &str = RULE.causes[0];
const REDIRECTED: &str = RULE.causes[1];

/// So many others: a proxy that tries a second or third time sends its key again too.
const OTHERS: usize = 3;

/// The first of them comes as soon.
const AT_ONCE: Nanos = Nanos::from_millis(500);

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let failed = x.response.as_ref().is_none_or(|answer| answer.status().is_some_and(|code| code >= 400));
    if !failed || !is_attempt(x) || request::has_constant_key(x) {
        return;
    }
    let Some(key) = x.request.first_value("sec-websocket-key") else { return };
    let asked = x.request.first;
    let same = seen.with_key(key).filter(|other| {
        let here = (other.server, other.server_port) == (x.server.ip, x.server.port);
        here && other.id != x.id && other.target() == x.request.target()
    });
    // Those within the loop, inside and around this one.
    let others: Vec<_> = same.filter(|other| other.at.0.abs_diff(asked.0) <= AT_ONCE.0.unsigned_abs()).collect();
    let over = x.response.as_ref().map(|answer| answer.first).or(x.end.tcp_at).or(x.times.last);
    let inside = others.iter().filter(|other| other.at > asked && over.is_some_and(|over| other.at < over)).count();
    let around = others.iter().filter(|other| other.at < asked).count();
    if others.len() < OTHERS || inside == 0 && around < OTHERS {
        return;
    }
    let text = Text::own(format!(
        "The server was asked {} times for the same upgrade, with the same key, each time before it had answered the one \
         before (",
        others.len() + 1,
    ));
    let packets = others.iter().take(4).map(|other| other.packet);
    let text = text.packets(packets).say("): what it forwards comes back to it.");
    out.add(text)
        .confidence(Confidence::Likely)
        .expected(Text::own("a request to a backend"))
        .found(Text::own(format!("{} requests with this key to the proxy itself", others.len())))
        .cause(if x.server.ip.is_loopback() && !x.client.ip.is_loopback() { REDIRECTED } else { OWN_ADDRESS })
        .start_line(&x.request, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::rules::response::testing::*;

    const BAD: &str = "HTTP/1.1 502 Bad Gateway\r\n\r\n";

    /// What is found on the first of so many, each asked a millisecond behind the one before and answered behind all.
    fn found(requests: i64, answer: &str, apart_ms: i64) -> Vec<crate::model::Finding> {
        let asked = ASK.replace("dGhlIHNhbXBsZSBub25jZQ==", "aG9wc2NvcGUtdGVzdGtleQ==");
        let all: Vec<Exchange> = (0..requests)
            .map(|n| {
                let mut x = exchange(&asked, Some(answer));
                x.id = ExchangeId(n.unsigned_abs() + 1);
                x.request.first = at(0) + Nanos::from_millis(n * apart_ms);
                x.response.iter_mut().for_each(|answer| answer.first = at(2_000));
                x
            })
            .collect();
        let mut seen = Seen::default();
        all.iter().for_each(|x| seen.learn(x, false));
        crate::rules::testing::run_seen(&RULE, &all[0], &seen)
    }

    #[test]
    fn requests_with_one_key_that_wait_for_each_other_are_a_loop() {
        let found = found(5, BAD, 1);
        let said = crate::rules::testing::words(&found[0].message);
        assert!(said.contains("was asked 5 times for the same upgrade, with the same key"), "{said}");
    }

    #[test]
    fn a_second_try_tries_one_after_the_other_and_what_works_are_none() {
        assert!(found(2, BAD, 1).is_empty());
        assert!(found(5, BAD, 1_000).is_empty());
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        assert!(found(5, answer, 1).is_empty());
    }
}
