//! `res-101-cached`.

use super::judge::owner;
use crate::model::{AcceptVerdict, Confidence, Direction, Exchange, FaultClass, Handshake, Head, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-cached",
    severity: Severity::Error,
    title: "the answer to the upgrade came from a cache",
    about: "A 101 speaks of one connection and belongs to one key; kept and sent again it is wrong for every other \
            request. Signs are an Age above 0, a cache that says HIT, and an accept that was right for an earlier \
            request to the same server.\n\n\
            A refusal from a cache (a kept 4xx, or a page kept for plain requests) is shown as a warning: the server \
            never saw this upgrade, so its log knows nothing of it.",
    refs: &["RFC 9110 §15.2.2", "RFC 9111 §3", "RFC 9111 §5.1"],
    causes: &[
        "a cache keeps responses of this path whatever their status (a forced caching rule)",
        "the cache does not pass requests with Upgrade through to the server",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken],
    // The mismatch says more: which value was sent, and whose it is.
    symptom_of: &["accept-mismatch"],
    check: Check::Handshake(check),
};

/// Fields in which caches say whether they had the response.
const CACHE_FIELDS: [&str; 4] = ["x-cache", "cf-cache-status", "x-cache-status", "x-proxy-cache"];

fn check(x: &Exchange, handshake: &Handshake, seen: &Seen, out: &mut Findings<'_>) {
    let Some(response) = x.response.as_ref().filter(|_| x.is_websocket()) else { return };
    let sign = sign(response);
    let earlier = earlier(x, handshake, seen);
    if response.status() != Some(101) {
        let (Some(sign), Some(status)) = (sign, response.status()) else { return };
        out.add(Text::own(format!(
            "The {status} to this upgrade came from a cache; the server did not see the request."
        )))
        .severity(Severity::Warning)
        .found(Text::new().say(format!("{sign}: ")).bytes(response.first_value(sign).unwrap_or_default()))
        .field(response, sign, Direction::ServerToClient);
        return;
    }
    let (message, sure) = match (sign, earlier) {
        (None, None) => return,
        (Some(_), None) => ("The 101 came from a cache.".to_owned(), Confidence::Likely),
        (None, Some(id)) => (
            format!("The 101 repeats the answer to an earlier request (exchange {id}): something kept it."),
            Confidence::Likely,
        ),
        (Some(_), Some(id)) => (
            format!("The 101 came from a cache: it is the answer to an earlier request (exchange {id})."),
            Confidence::Certain,
        ),
    };
    let fits = handshake.accept_verdict == AcceptVerdict::Valid;
    let mut finding = out
        .add(Text::own(message))
        .severity(if fits { Severity::Warning } else { Severity::Error })
        .confidence(sure)
        .expected(Text::own("an answer of the server itself, for this request"));
    if let Some(sign) = sign {
        finding = finding
            .found(Text::new().say(format!("{sign}: ")).bytes(response.first_value(sign).unwrap_or_default()))
            .field(response, sign, Direction::ServerToClient);
    }
    finding.field(response, "sec-websocket-accept", Direction::ServerToClient);
}

/// The field that says that the response was kept.
fn sign(response: &Head) -> Option<&'static str> {
    let age = response.first_value("age").and_then(|v| std::str::from_utf8(v).ok()?.trim().parse::<u64>().ok());
    if age.is_some_and(|seconds| seconds > 0) {
        return Some("age");
    }
    CACHE_FIELDS.into_iter().find(|name| {
        response.tokens(name).iter().any(|member| {
            // `HIT`, `TCP_MEM_HIT`, `Hit from …`, `RefreshHit from …`; the host's name behind it is no word of it.
            member.split(|&b| b == b' ').next().is_some_and(|word| word.ends_with(b"hit"))
        })
    })
}

/// The earlier request, rightly answered by the same server, whose accept this is.
fn earlier(x: &Exchange, handshake: &Handshake, seen: &Seen) -> Option<u64> {
    let (Some("other-exchange"), Some(key), Some(found)) = (handshake.accept_kind(), x.key(), handshake.accept(x))
    else {
        return None;
    };
    let other = owner(x, key, found, seen)?;
    let same = other.server == x.server.ip && other.server_port == x.server.port;
    (same && other.granted && other.at < x.request.first).then_some(other.id.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, KEY, RIGHT, find, find_all};
    use crate::model::{Confidence, Severity};

    const OTHER: &str = "x3JJHMbDL1EzLkh9GBhXDw==";

    fn to_other() -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {OTHER}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    }

    #[test]
    fn a_101_that_was_right_for_an_earlier_request_is_found() {
        assert_ne!(KEY, OTHER);
        let found = find_all(&super::RULE, &[Answer::right(), Answer::right().to(&to_other())]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].confidence, Confidence::Likely);
        assert_eq!(found[0].severity, Severity::Error);
    }

    #[test]
    fn a_cache_that_says_so_makes_it_certain() {
        let hit = Answer::accepts(&[RIGHT]).with("Age: 7").with("X-Cache: HIT").to(&to_other());
        let found = find_all(&super::RULE, &[Answer::right(), hit]);
        assert_eq!(found[0].confidence, Confidence::Certain);
    }

    #[test]
    fn a_refusal_from_a_cache_is_a_warning() {
        let refusal = Answer::raw("HTTP/1.1 404 Not Found\r\nX-Cache: Hit from edge\r\n\r\n");
        let found = find(&super::RULE, refusal);
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn a_miss_and_an_age_of_0_are_no_finding() {
        for line in ["X-Cache: MISS from white-hit", "Age: 0", "Age: old"] {
            assert!(find(&super::RULE, Answer::right().with(line)).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_constant_of_the_server_is_no_cache() {
        let same = "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=";
        let found = find_all(&super::RULE, &[Answer::accepts(&[same]), Answer::accepts(&[same]).to(&to_other())]);
        assert!(found.is_empty());
    }
}
