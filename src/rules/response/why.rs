//! Why a request was refused, by what it asked and by what came back: a cause that this request cannot have is not named.

use super::refused::{has_token, is_envoy_without_upgrades, speaks_other_versions};
use crate::model::{Exchange, Head};
use crate::rules::verdict::sent_by_proxy;

const NOT_PASSED_ON: &str = "a proxy on the way does not pass Upgrade and Connection on, so this is a plain request";

/// Where this leg has both: what answered may be a proxy too.
const LOST_BEHIND: &str = "a proxy at or behind whoever answered does not pass Upgrade and Connection on";

/// A head that some servers may take for too large.
const LARGE: usize = 4 << 10;

/// What a request shows of what its refusal may be about.
struct Asked {
    /// It asks for the upgrade, as far as its fields tell.
    upgrade: bool,
    origin: bool,
    credentials: bool,
    /// A proxy wrote into it, or passed it on.
    proxied: bool,
    /// It goes on with a session that another request began.
    session: bool,
    large: bool,
}

impl Asked {
    fn new(x: &Exchange) -> Self {
        let head = &x.request;
        let query = head.target().splitn(2, |&b| b == b'?').nth(1).unwrap_or_default();
        let names = |name: &[u8]| query.split(|&b| b == b'&').any(|pair| pair.starts_with(name));
        Asked {
            upgrade: head.has("upgrade") && head.has_token("connection", "upgrade"),
            origin: head.has("origin"),
            credentials: head.has("authorization") || head.has("cookie") || has_token(head.target()),
            proxied: sent_by_proxy(head),
            session: [&b"sid="[..], b"id=", b"session"].into_iter().any(names),
            large: head.text.len() >= LARGE,
        }
    }
}

/// What to think of where a server refused with this code, likeliest first.
pub(super) fn causes(x: &Exchange, head: &Head, code: u16) -> Vec<&'static str> {
    let mut out = evident(x, head);
    let asked = Asked::new(x);
    let mut add = |applies: bool, cause| {
        if applies {
            out.push(cause);
        }
    };
    match code {
        400 => {
            add(!asked.upgrade, NOT_PASSED_ON);
            add(asked.session, "session affinity: the request reached another backend than the session's first one");
            add(true, "the server, or what it runs, does not take the key, version or parameters of this request");
            add(true, "the path leads to something that takes no WebSocket");
            add(asked.proxied, "the server trusts no proxy that it does not know (X-Forwarded-For)");
            add(true, "the server does not allow this Host");
            add(asked.large, "the request head is too large");
            add(asked.upgrade, LOST_BEHIND);
        }
        401 | 407 => {
            add(!asked.credentials, "the server asks for credentials, and this request carries none");
            add(asked.credentials, "the server does not accept the credentials of this request");
            add(asked.proxied, "a proxy on the way removed the Authorization or Cookie field");
        }
        403 => {
            add(
                asked.origin,
                "the application does not allow this Origin, or Host was rewritten so that the two differ",
            );
            add(!asked.credentials, "the request carries no credentials: cookie, token or Authorization");
            add(asked.credentials, "who asks may not do so: the session, token or user is not allowed in");
            add(true, "a rule about the client's address, name or path: firewall, bot filter, mesh policy");
            add(asked.proxied, "a proxy in which upgrades are not enabled");
        }
        404 | 410 => {
            add(!asked.upgrade, "Upgrade was dropped on the way, and there is no plain route for this path");
            add(true, "nothing at this path takes a WebSocket: the path is wrong, or what it names is not there");
            add(asked.proxied, "a proxy forwards or rewrites the path wrongly, or chose another backend for it");
            add(true, "Host leads to another virtual host");
        }
        405 => add(true, "the endpoint takes other methods only, or a hop changed the method"),
        408 => add(true, "the request head arrived too slowly, or not whole"),
        421 => {
            add(true, "the server does not serve this Host: it was rewritten on the way, or the connection was reused")
        }
        425 => add(
            true,
            "the server takes the request for early data of TLS 1.3 (0-RTT), which may be a replay: the client must send it \
             again when the handshake is complete (RFC 8470 §5.2)",
        ),
        426 => {
            add(!asked.upgrade, NOT_PASSED_ON);
            add(asked.upgrade, LOST_BEHIND);
            add(true, "the server speaks another Sec-WebSocket-Version");
        }
        414 => add(true, "the target is longer than the server allows: a token or a session in the URL"),
        429 => add(true, "a rate or connection limit"),
        431 => add(true, "the head is larger than the server allows: cookies, or a token in the URL"),
        499 => add(true, "the client gave up first"),
        500 => {
            add(!asked.upgrade, "some servers answer so when Upgrade was dropped on the way");
            add(true, "the application failed");
        }
        501 => add(true, "the server does not know this upgrade"),
        502 => {
            add(true, "the proxy's backend closed or reset the connection");
            add(true, "the proxy took the backend's 101 for invalid (missing Connection, Upgrade or Accept)");
            add(true, "the proxy speaks TLS to a plain port, plain HTTP to a TLS port, or HTTP/2");
        }
        503 => {
            add(true, "whoever answered has no backend that it takes for alive, or is not ready itself");
            add(true, "a connection limit is reached");
            add(head.has("retry-after"), "it is down on purpose, as Retry-After says: maintenance, a deployment");
        }
        504 => add(true, "the backend did not answer within the proxy's connect or read time"),
        505 => add(true, "a proxy on the way speaks HTTP/1.0 to the next hop: nginx before 1.29.7 does by default"),
        520 => add(true, "the origin's answer was empty or invalid (Cloudflare)"),
        521..=523 => add(true, "the origin refuses connections or cannot be reached (Cloudflare)"),
        524 => add(true, "the origin did not answer in time (Cloudflare)"),
        525 | 526 => add(true, "TLS between the edge and the origin failed (Cloudflare)"),
        530 => add(true, "the origin's name does not resolve, or its tunnel is down (Cloudflare)"),
        _ => {
            add(!asked.upgrade, NOT_PASSED_ON);
            add(true, "the path or host name leads to a service that is no WebSocket endpoint");
            add(true, "the application refuses: credentials, origin, limits");
        }
    }
    out
}

/// The same where a hop refused by itself: no application behind it had a say.
pub(in crate::rules) fn own_causes(x: &Exchange, head: &Head, code: u16) -> Vec<&'static str> {
    let mut out = evident(x, head);
    let asked = Asked::new(x);
    let own: &[&str] = match code {
        400 => &["this proxy finds fault with the request itself: Host, a field twice, the head's form or size"],
        401 | 407 => &["this proxy itself asks for credentials, or a service that it asks (auth_request, ext_authz)"],
        403 if asked.origin => &[
            "a rule of this proxy forbids it: the Origin, the client's address, its User-Agent, the path or the query",
        ],
        403 => &["a rule of this proxy forbids it: the client's address, its User-Agent, the path or the query"],
        404 => &["no route of this proxy fits this path and Host, or it looks for a file"],
        500 => &["this proxy itself failed, or answers so on purpose after a wait, as tarpits do"],
        502..=504 => &["this proxy has no backend that it takes for alive, or a rule of its own says so"],
        _ => return causes(x, head, code),
    };
    out.extend(own);
    out
}

/// What the answer itself leaves no doubt about.
fn evident(x: &Exchange, head: &Head) -> Vec<&'static str> {
    let mut out = Vec::new();
    if is_envoy_without_upgrades(x, head) {
        out.push("Envoy has no upgrade_configs for websocket: its own 403 has no body");
    }
    if speaks_other_versions(x, head) {
        out.push("the server does not speak this version of the WebSocket protocol, and says which it does");
    }
    let cached = head.first_value("x-cache").is_some_and(|value| value.to_ascii_lowercase().starts_with(b"hit"));
    if cached || head.first_value("age").is_some_and(|age| age != b"0") {
        out.push("the answer is not to this request: a cache kept it from another one");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    fn first(request: &str, answer: &str) -> &'static str {
        let x = exchange(request, Some(&format!("HTTP/1.1 {answer}\r\n\r\n")));
        let Some(head) = &x.response else { return "" };
        causes(&x, head, head.status().unwrap_or_default()).first().copied().unwrap_or_default()
    }

    #[test]
    fn a_cause_that_the_request_cannot_have_is_not_named() {
        assert!(!first(ASK, "400 Bad Request").contains("Upgrade"));
        assert_eq!(first(&without(ASK, "Upgrade"), "400 Bad Request"), NOT_PASSED_ON);
        let no_origin = without(ASK, "Origin");
        assert!(first(&ask("Origin: https://a\r\n"), "403 Forbidden").contains("this Origin"));
        assert!(first(&no_origin, "403 Forbidden").contains("no credentials"));
        assert!(first(&no_origin.replace("Host:", "Cookie: s=1\r\nHost:"), "403 Forbidden").contains("who asks"));
        assert!(first(ASK, "404 Not Found").contains("nothing at this path"));
    }

    #[test]
    fn an_answer_from_a_cache_is_no_answer_to_this_request() {
        assert!(first(ASK, "426 Upgrade Required\r\nX-Cache: HIT").contains("a cache kept it"));
        assert!(!first(ASK, "426 Upgrade Required\r\nX-Cache: MISS").contains("a cache kept it"));
    }

    #[test]
    fn a_hop_that_refuses_by_itself_has_causes_of_its_own() {
        let x = exchange(ASK, Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
        let own = |code| x.response.as_ref().map(|head| own_causes(&x, head, code)[0]).unwrap_or_default();
        assert!(own(403).starts_with("a rule of this proxy forbids it"));
        assert!(own(429).contains("limit"));
    }
}
