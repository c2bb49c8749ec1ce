//! Faults that turned out to do little harm: a refusal that the client's next try overcame, a redirect that it
//! followed, a faulty request that was granted all the same, a WebSocket that polling replaced. They are lowered to
//! warnings.

use crate::base::{ExchangeId, Nanos, Timestamp, limits};
use crate::model::{Exchange, Finding, Outcome, Severity};
use crate::rules::seen::Attempt;
use crate::rules::{Rule, Seen, request, response};

/// The success that followed a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub id: ExchangeId,
    /// When its request began.
    pub at: Timestamp,
    /// It is the same request, which a hop gave to its next server at once.
    pub by_hop: bool,
}

/// The attempt that overcame this refusal: of the same client and program at the same target, begun
/// within `limits::RETRY_S` of the refusal, granted, and changed in what the refusal was about: the
/// credentials (401, 407), the WebSocket version (400, 426) or that it came too early (425); or the same request once more, with its key, as a hop
/// sends it that tries its next server. `None` where there is none.
///
/// A mere second try does not count: behind one address there may be many clients, and what fails
/// now and then is still a fault.
pub fn recovery(x: &Exchange, seen: &Seen) -> Option<Recovered> {
    changed(x, seen).or_else(|| once_more(x, seen))
}

/// The attempt of the same client at the same target that has the same key, began at once when this one was over, and is the
/// only one with this key that was granted: clients make a key for each attempt of theirs (RFC 6455 §4.1).
fn once_more(x: &Exchange, seen: &Seen) -> Option<Recovered> {
    // What redirects was followed, not tried again.
    if x.status().is_some_and(|code| code < 400) {
        return None;
    }
    let over = x.response.as_ref().map(|answer| answer.first).or(x.end.tcp_at)?;
    let mut granted = seen.with_key(x.key()?).take(limits::SEEN_COMPARED).filter(|a| a.granted);
    let (again, other) = (granted.next()?, granted.next());
    let same = again.id != x.id && again.client == x.client.ip && again.target() == x.request.target();
    let at_once = again.at >= over && again.at.since(over) <= AT_ONCE;
    (other.is_none() && same && at_once).then_some(Recovered { id: again.id, at: again.at, by_hop: true })
}

/// The attempt that was changed in what the refusal was about.
fn changed(x: &Exchange, seen: &Seen) -> Option<Recovered> {
    let refusal = x.response.as_ref()?;
    let about = match refusal.status()? {
        401 | 407 => About::Credentials,
        400 | 426 => About::Version,
        425 => About::Haste,
        _ => return None,
    };
    let mine = seen.attempt(x);
    let changed = |other: &Attempt| match about {
        About::Credentials => other.credentials != mine.credentials,
        About::Version => other.version() != mine.version(),
        About::Haste => other.credentials == mine.credentials && other.host == mine.host,
    };
    let until = refusal.last + Nanos::from_secs(limits::RETRY_S);
    let mut later = seen.granted_after(mine.client, mine.target(), refusal.first);
    let success = later.find(|a| a.at <= until && a.id != x.id && a.agent == mine.agent && changed(a))?;
    Some(Recovered { id: success.id, at: success.at, by_hop: false })
}

/// What a refusal is about.
#[derive(Clone, Copy)]
enum About {
    Credentials,
    Version,
    /// It came in early data, and is to be sent again without (RFC 8470 §5.2).
    Haste,
}

/// Lowers to warnings the errors of an exchange that did no harm, and says whether a later try
/// succeeded: then its findings explain nothing.
pub fn lower(findings: &mut [Finding], x: &Exchange, outcome: Outcome, seen: &Seen) -> Option<Recovered> {
    let granted = matches!(outcome, Outcome::Upgraded | Outcome::Broken);
    let recovered = if granted { None } else { recovery(x, seen) };
    let polled = recovered.is_none() && seen.polls.replaced(x, outcome);
    let followed = if outcome == Outcome::Redirected { followed(x, seen) } else { None };
    for finding in findings.iter_mut().filter(|f| f.severity == Severity::Error) {
        // A faulty request that was granted works by luck.
        if recovered.is_some() || polled || followed.is_some() || granted && request_rule(&finding.rule).is_some() {
            finding.severity = Severity::Warning;
        }
        if let Some(later) = followed.filter(|_| response::is_redirect(&finding.rule)) {
            let message = std::mem::take(&mut finding.message);
            let said = format!(" This client followed it and was upgraded (exchange {later}).");
            finding.message = message.say(said);
        }
        if polled {
            let message = std::mem::take(&mut finding.message);
            finding.message = message.say(" The client fell back to polling, which works.");
        }
    }
    recovered
}

/// A program follows a redirect at once, not after a while: by then it tries anew. By as many times of what the answer took
/// it may be later, since the way to it may be long.
const AT_ONCE: Nanos = Nanos::from_millis(150);
const TIMES: i64 = 4;

/// The attempt that followed this redirect: of the same client and program, begun at once at the address that Location
/// names, and granted. Programs may follow (RFC 6455 §4.1); browsers do not.
fn followed(x: &Exchange, seen: &Seen) -> Option<ExchangeId> {
    let answer = x.response.as_ref()?;
    let location = answer.first_value("location")?;
    let target = response::redirected_to(&x.request, location)?;
    let other_port = response::leads_to_other_port(&x.request, x.is_inside_tls(), location);
    let agent = seen.attempt(x).agent;
    let took = answer.last.since(x.request.first);
    let until = answer.last + AT_ONCE.max(Nanos(took.0.saturating_mul(TIMES)));
    let mut later = seen.granted_after(x.client.ip, &target, answer.first);
    // What leads back to where it came from was not followed by asking once more.
    let elsewhere =
        |a: &Attempt| target != x.request.target() || (a.server, a.server_port) != (x.server.ip, x.server.port);
    let there = |a: &Attempt| other_port == (a.server_port != x.server.port);
    later.find(|a| a.at <= until && a.id != x.id && a.agent == agent && elsewhere(a) && there(a)).map(|a| a.id)
}

/// The rule with this slug, if it judges what the client sent.
pub(super) fn request_rule(slug: &str) -> Option<&'static Rule> {
    request::RULES.iter().find(|rule| rule.id == slug).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::rules::response::testing::*;

    /// A refusal and then another attempt that is granted.
    fn retried(status: &str, second: &str, ms: i64) -> Option<Recovered> {
        let refused = exchange(ASK, Some(&format!("HTTP/1.1 {status}\r\n\r\n")));
        let mut granted = exchange(second, Some(GRANT));
        granted.id = ExchangeId(2);
        granted.request.first = at(ms);
        granted.request.at = PacketRef::new(0, 20);
        let mut seen = Seen::default();
        seen.learn(&refused, false);
        seen.learn(&granted, false);
        let mut findings = run_all(&refused);
        let recovered = lower(&mut findings, &refused, Outcome::Refused, &seen);
        let errors = findings.iter().any(|f| f.severity == Severity::Error);
        assert!(recovered.is_none() || !errors);
        recovered
    }

    #[test]
    fn credentials_after_a_401_and_another_version_after_a_426_overcome_it() {
        let signed = ask("Authorization: Basic eDp5\r\n");
        assert_eq!(
            retried("401 Unauthorized", &signed, 300),
            Some(Recovered { id: ExchangeId(2), at: at(300), by_hop: false })
        );
        let older = ASK.replace("Version: 13", "Version: 8");
        assert!(retried("426 Upgrade Required", &older, 300).is_some());
        assert!(retried("425 Too Early", ASK, 300).is_some());
    }

    #[test]
    fn a_request_that_a_hop_sent_again_with_its_key_was_overcome() {
        let tried = |ms: i64, key: &str, answers: &[&str]| {
            let mut refused = exchange(ASK, Some("HTTP/1.1 503 Service Unavailable\r\n\r\n"));
            refused.response.iter_mut().for_each(|answer| answer.first = at(20));
            let mut seen = Seen::default();
            seen.learn(&refused, false);
            for (n, answer) in answers.iter().enumerate() {
                let mut again = exchange(&ASK.replace("dGhlIHNhbXBsZSBub25jZQ==", key), Some(answer));
                again.id = ExchangeId(2 + n as u64);
                again.request.first = at(20 + ms);
                seen.learn(&again, false);
            }
            let mut findings = run_all(&refused);
            lower(&mut findings, &refused, Outcome::Refused, &seen).map(|found| (found.id, found.by_hop))
        };
        let same = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(tried(3, same, &[GRANT]), Some((ExchangeId(2), true)));
        assert_eq!(tried(300, same, &[GRANT]), None, "a client's own next try");
        assert_eq!(tried(3, same, &[GRANT, GRANT]), None, "a key that is no nonce");
        assert_eq!(tried(3, "AQIDBAUGBwgJCgsMDQ4PEC==", &[GRANT]), None, "another request");
        assert_eq!(tried(3, same, &["HTTP/1.1 503 No\r\n\r\n"]), None);
        assert_eq!(tried(-3, same, &[GRANT]), None, "before");
    }

    #[test]
    fn a_redirect_that_the_client_followed_is_a_warning() {
        let warned_at = |location: &str, second: &str, ms: i64, port: u16| {
            let answer = format!("HTTP/1.1 308 Permanent Redirect\r\nLocation: {location}\r\n\r\n");
            let redirected = exchange(ASK, Some(&answer));
            let mut granted = exchange(second, Some(GRANT));
            granted.id = ExchangeId(2);
            granted.request.first = at(ms);
            granted.server.port = port;
            let mut seen = Seen::default();
            seen.learn(&redirected, false);
            seen.learn(&granted, false);
            let mut findings = run_all(&redirected);
            lower(&mut findings, &redirected, Outcome::Redirected, &seen);
            let of = |f: &&Finding| f.rule.starts_with("redirect");
            let Some(found) = findings.iter().find(of) else { return false };
            let said =
                crate::rules::testing::words(&found.message).contains("followed it and was upgraded (exchange 2)");
            assert_eq!(said, found.severity == Severity::Warning);
            said
        };
        let port = exchange(ASK, None).server.port;
        let warned = |location: &str, second: &str, ms: i64| warned_at(location, second, ms, port);
        let there = ASK.replace("/chat", "/chat/");
        for location in ["/chat/", "chat/", "http://ws.example/chat/#top"] {
            assert!(warned(location, &there, 100), "{location}");
        }
        assert!(!warned("/chat/", ASK, 100), "the first address again");
        assert!(warned_at("http://ws.example:8081/chat", ASK, 100, 8081), "the same path at another port");
        assert!(!warned("http://ws.example:8081/chat", ASK, 100), "the first address once more");
        assert!(!warned("/chat/", &there, 400), "after a while");
        assert!(!warned("/chat/", &there.replace("Host:", "User-Agent: y\r\nHost:"), 100), "another program");
    }

    #[test]
    fn the_same_request_again_another_place_or_much_later_do_not() {
        let signed = ask("Authorization: Basic eDp5\r\n");
        assert_eq!(retried("401 Unauthorized", ASK, 300), None);
        assert_eq!(retried("503 Service Unavailable", &signed, 300), None);
        assert_eq!(retried("401 Unauthorized", &signed.replace("/chat", "/other"), 300), None);
        assert_eq!(retried("401 Unauthorized", &signed, 11_000), None);
        assert_eq!(retried("401 Unauthorized", &ask("Authorization: x\r\nUser-Agent: y\r\n"), 300), None);
    }
}
