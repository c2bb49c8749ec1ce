//! `refused-<code>`: the family of all refusals, one slug for each status code.

use super::support::{FROM_SERVER, REFUSAL_CAUSES, is_attempt, say_status, whole_response};
use super::why;
use crate::base::Timestamp;
use crate::model::{Exchange, FaultClass, Head, Mechanism, Severity, Text};
use crate::rules::verdict::sent_by_proxy;
use crate::rules::{Check, Explains, Findings, Rule, Seen, request};

pub(super) static RULE: Rule = Rule {
    id: "refused-<code>",
    severity: Severity::Error,
    title: "the upgrade was refused with an HTTP status",
    about: "Instead of 101 the server sent a final status: there is no WebSocket. The code is in the slug \
        (refused-403).\n\nA first 401 or 407 is the normal way to ask for credentials and only a note, but where the query carried some, the answer \
        says what is wrong with them, or the client gave up over it: its connection is over, and none of its later \
        requests for this path has other credentials. Where the request has a fault of its own, the refusal is its symptom.\n\nThe first bytes of the body and the Server \
        and Via fields often tell whether a proxy or the application refused.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2", "RFC 9110 §15"],
    causes: &[
        "a proxy on the way does not pass Upgrade and Connection on, so the backend sees a plain request",
        "the path or host name leads to a service that is no WebSocket endpoint",
        "the application refuses: credentials, origin, limits",
    ],
    // Depends on the code: `fix_class`.
    fix: None,
    explains: &[Explains::Refused],
    symptom_of: REFUSAL_CAUSES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    // The status line alone decides; the rest of the head may be missing.
    let Some(head) = x.response.as_ref().filter(|_| x.mechanism == Mechanism::Http1Upgrade) else { return };
    let Some(code) = head.status().filter(|&code| code != 101) else { return };
    if let Some(target) = x.asks_permission() {
        return not_permitted(head, code, target, out);
    }
    let websocket = is_attempt(x);
    let other_rule = match code {
        200..=299 => true,
        // No redirect without a place to go to.
        300..=399 => head.has("location"),
        _ => false,
    };
    // RFC 9110 §7.8: any answer but 101 just ignores the Upgrade of another protocol; only an error
    // is worth a note.
    if other_rule || !websocket && code < 400 {
        return;
    }
    let token = x.protocol().unwrap_or_default();
    let severity = match () {
        () if first_round(x, code) && !seen.gave_up(x) => Severity::Info,
        () if websocket => Severity::Error,
        // Whatever else is known of it says more.
        () if is_needed(token.as_bytes()) => Severity::Warning,
        () => Severity::Info,
    };
    let text = if websocket {
        Text::own("The server refused the WebSocket with ")
    } else {
        Text::own("The server refused the request, which offers to switch to ").bytes(token.as_bytes()).say(", with ")
    };
    let mut found = out
        .add(say_status(text, head).say("."))
        .slug(format!("refused-{code:03}"))
        .severity(severity)
        .expected(Text::own("101 Switching Protocols"))
        .found(say_status(Text::new(), head))
        .start_line(head, FROM_SERVER);
    if !websocket {
        found.cause("a proxy that does not let this protocol pass, if the upgrade is the reason");
        return;
    }
    if granted_elsewhere(x, code, seen) {
        found = found.cause(ANOTHER);
    }
    for cause in why::causes(x, head, code) {
        found = found.cause(cause);
    }
}

const ANOTHER: &str = "another server that the same proxy asks grants this path: this one is an older or newer version, is set up \
    otherwise, or is not ready";

/// Whether another server granted the same target of the same host to the same proxy, and this one never did. What a refusal
/// may owe to who asks is left out.
fn granted_elsewhere(x: &Exchange, code: u16, seen: &Seen) -> bool {
    let of_server = matches!(code, 400 | 404 | 405 | 410 | 426 | 500 | 501 | 503);
    if !of_server || !(sent_by_proxy(&x.request) || seen.hops.contains(&x.client.ip)) {
        return false;
    }
    let host = seen.attempt(x).host;
    let granted =
        || seen.granted_after(x.client.ip, x.request.target(), Timestamp(i64::MIN)).filter(|a| a.host == host);
    let own = granted().any(|a| (a.server, a.server_port) == (x.server.ip, x.server.port));
    !own && granted().any(|a| a.server_port == x.server.port && a.server != x.server.ip)
}

/// What a refusal of a service that is asked for permission comes from, and any other answer of it.
const NOT_ACCEPTED: &str = "the service that decides who may pass does not accept the credentials of this request";
pub(in crate::rules) const INQUIRY: &str = "the service that decides who may pass is asked at a wrong address, or failed: neither a \
    permission nor a refusal came of it, so the request itself never reached the backend";

/// The answer to a proxy that asked whether a request may pass.
fn not_permitted(head: &Head, code: u16, target: &[u8], out: &mut Findings<'_>) {
    if code < 300 {
        return;
    }
    let text = Text::own("The server, asked whether the request for ").url(target).say(" may pass, said ");
    out.add(say_status(text, head).say("."))
        .slug(format!("refused-{code:03}"))
        .expected(Text::own("a 2xx, upon which the proxy passes the request on"))
        .found(say_status(Text::new(), head))
        .start_line(head, FROM_SERVER)
        .cause(if matches!(code, 401 | 403) { NOT_ACCEPTED } else { INQUIRY });
}

/// Whether a client that offers this protocol cannot do without it, as `kubectl exec` cannot do without SPDY. Who offers
/// h2c or TLS can.
fn is_needed(protocol: &[u8]) -> bool {
    let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"spdy")
}

/// Whether this 401 or 407 only asks for credentials. NTLM and Negotiate take three rounds.
fn first_round(x: &Exchange, code: u16) -> bool {
    let field = match code {
        401 => "authorization",
        407 => "proxy-authorization",
        _ => return false,
    };
    match x.request.first_value(field) {
        Some(sent) => {
            let scheme = sent.split(|&b| b == b' ').next().unwrap_or_default();
            scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
        }
        None => code == 407 || !has_token(x.request.target()) && !is_rejected(x),
    }
}

/// What names of parameters contain that carry credentials: browsers can send no Authorization with a WebSocket.
const CREDENTIALS: [&[u8]; 7] = [b"token", b"auth", b"jwt", b"ticket", b"apikey", b"api_key", b"signature"];

/// Whether the answer says that there were credentials, and what is wrong with them: a server says nothing of the sort
/// to a request without any (RFC 6750 §3.1).
fn is_rejected(x: &Exchange) -> bool {
    let asks = x.response.as_ref().and_then(|head| head.first_value("www-authenticate"));
    asks.is_some_and(|asks| memchr::memmem::find(asks, b"error=").is_some())
}

/// Whether a query carries credentials.
pub(super) fn has_token(target: &[u8]) -> bool {
    let query = target.splitn(2, |&b| b == b'?').nth(1).unwrap_or_default();
    query.split(|&b| b == b'&').any(|pair| {
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let name = halves.next().unwrap_or_default().to_ascii_lowercase();
        let named = name == b"sig" || CREDENTIALS.iter().any(|part| memchr::memmem::find(&name, part).is_some());
        named && halves.next().is_some_and(|value| !value.is_empty())
    })
}

/// Whether the refusal names versions, and not the one that was asked for (RFC 6455 §4.4).
pub(super) fn speaks_other_versions(x: &Exchange, head: &Head) -> bool {
    let name = "sec-websocket-version";
    let (Some(asked), Some(spoken)) = (x.request.first_value(name), head.combined(name)) else { return false };
    matches!(head.status(), Some(400 | 426)) && !spoken.split(|&b| b == b',').any(|one| one.trim_ascii() == asked)
}

/// Envoy's own refusal of an upgrade that it is not set up for.
pub(super) fn is_envoy_without_upgrades(x: &Exchange, head: &Head) -> bool {
    let server = head.first_value("server").unwrap_or_default();
    head.status() == Some(403)
        && whole_response(x).is_some()
        && x.body.is_empty()
        && (server == b"envoy" || server == b"istio-envoy")
}

/// The kinds of mending that refusals with this code call for, by what they say.
pub(in crate::rules) fn fix_classes(code: u16) -> Vec<FaultClass> {
    match code {
        400 | 426 => vec![FaultClass::Fwd],
        403 => vec![FaultClass::Host, FaultClass::Origin, FaultClass::Fwd, FaultClass::Limit],
        421 => vec![FaultClass::Host],
        404 => vec![FaultClass::Path],
        414 | 431 => vec![FaultClass::Head],
        401 | 407 | 429 => vec![FaultClass::Limit],
        500 | 501 => vec![FaultClass::Server],
        502..=504 => vec![FaultClass::Reach, FaultClass::Scheme],
        _ => Vec::new(),
    }
}

/// Which kind of mending a refusal with this code calls for. `None` where the code does not tell.
pub(in crate::rules) fn fix_class(x: &Exchange, code: u16) -> Option<FaultClass> {
    match code {
        _ if x.asks_permission().is_some() => None,
        403 if x.response.as_ref().is_some_and(|r| is_envoy_without_upgrades(x, r)) => Some(FaultClass::Fwd),
        // Without an Origin nothing was compared with Host.
        403 if request::origin_agrees(x) => Some(FaultClass::Origin),
        403 => x.request.has("origin").then_some(FaultClass::Host),
        421 => Some(FaultClass::Host),
        404 => Some(FaultClass::Path),
        426 if x.response.as_ref().is_some_and(|r| speaks_other_versions(x, r)) => None,
        426 => Some(FaultClass::Fwd),
        414 | 431 => Some(FaultClass::Head),
        429 => Some(FaultClass::Limit),
        500 => Some(FaultClass::Server),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::model::{EndHow, Subject};
    use crate::rules::response::testing::*;

    fn refused(request: &str, status: &str) -> Vec<(String, Severity)> {
        let x = exchange(request, Some(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")));
        run(&RULE, &x).into_iter().map(|f| (f.rule.into_owned(), f.severity)).collect()
    }

    #[test]
    fn a_server_that_speaks_other_versions_is_not_told_as_a_proxy_that_drops_the_upgrade() {
        let cause = |versions: &str| {
            let answer = format!("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: {versions}\r\n\r\n");
            let x = exchange(ASK, Some(&answer));
            let found = run_all(&x).into_iter().find(|f| f.rule == "refused-426");
            let first = found.and_then(|f| f.causes.first().cloned()).unwrap_or_default();
            (first.contains("does not speak this version"), fix_class(&x, 426))
        };
        assert_eq!(cause("8, 7"), (true, None));
        assert_eq!(cause("13, 8"), (false, Some(FaultClass::Fwd)));
    }

    #[test]
    fn a_question_whether_another_request_may_pass_is_told_as_such() {
        let plain = ASK.replace("Upgrade: websocket\r\n", "").replace("/chat", "/auth");
        let with = |line: &str| plain.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1);
        let ask = with("X-Original-URI: /chat");
        let found = run(&RULE, &exchange(&ask, Some("HTTP/1.1 403 Forbidden\r\n\r\n")));
        assert_eq!(
            crate::rules::testing::words(&found[0].message),
            "The server, asked whether the request for /chat may pass, said 403 Forbidden."
        );
        assert!(slugs(&RULE, &exchange(&ask, Some("HTTP/1.1 204 No Content\r\n\r\n"))).is_empty());
        let permission = |line: &str, status: &str| {
            let x = exchange(&with(line), Some(&format!("HTTP/1.1 {status} X\r\n\r\n")));
            x.asks_permission().map(<[u8]>::to_vec)
        };
        let chat = Some(b"/chat".to_vec());
        assert_eq!(permission("X-Original-URL: https://x/chat\r\nX-Original-Method: GET", "401"), chat);
        assert_eq!(permission("X-Forwarded-Uri: /chat\r\nX-Forwarded-Method: GET", "200"), chat);
        assert_eq!(permission("X-Original-URL: /chat", "403"), None, "some proxies send it with every request");
        assert_eq!(permission("X-Original-URI: /auth", "403"), None, "its own target");
        assert_eq!(permission("X-Original-URI: /chat", "404"), chat, "its service has moved");
        assert_eq!(permission("X-Original-URI: /v1/auth", "404"), None, "a path that was rewritten");
        assert_eq!(permission("X-Original-URI: /chat", "426"), None, "no answer to such a question");
        let copied = "X-Forwarded-Uri: /chat\r\nX-Forwarded-Method: GET\r\nUpgrade: websocket";
        assert_eq!(permission(copied, "200"), chat, "Caddy copies all fields");
        assert_eq!(permission("X-Original-URI: /chat\r\nUpgrade: websocket", "403"), None, "it asks for the upgrade");
    }

    #[test]
    fn a_server_that_refuses_what_another_one_grants_the_same_proxy_differs_from_it() {
        let cause = |target: &str, later: u8, status: &str| {
            let ask = ask("X-Forwarded-For: 192.0.2.7\r\n");
            let mut granted = exchange(&ask.replace("/chat", target), Some(GRANT));
            (granted.id, granted.server.ip) = (ExchangeId(2), [198, 51, 100, later].into());
            let x = exchange(&ask, Some(&format!("HTTP/1.1 {status}\r\n\r\n")));
            let mut seen = Seen::default();
            [&granted, &x].into_iter().for_each(|x| seen.learn(x, false));
            let mut out = Vec::new();
            check(&x, &seen, &mut Findings::new(&RULE, Subject::Exchange(x.id), &mut out));
            out[0].causes.first().is_some_and(|cause| cause == ANOTHER)
        };
        assert!(cause("/chat", 77, "404 Not Found"));
        assert!(!cause("/other", 77, "404 Not Found") && !cause("/chat", 77, "403 Forbidden"));
        let own = exchange(ASK, None).server.ip;
        let last = match own {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        assert!(!cause("/chat", last, "404 Not Found"), "the same server");
    }

    #[test]
    fn every_final_status_but_101_and_2xx_is_found_under_its_code() {
        for code in ["400", "403", "404", "426", "503", "522", "999", "304"] {
            let want = [(format!("refused-{code}"), Severity::Error)];
            assert_eq!(refused(ASK, &format!("{code} No")), want);
        }
        assert!(refused(ASK, "200 OK").is_empty());
        assert!(run(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        assert!(run(&RULE, &exchange(ASK, None)).is_empty());
    }

    #[test]
    fn a_first_401_over_which_the_client_gave_up_is_no_note() {
        let severity = |over: bool, later: Option<&str>| {
            let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
            let mut x = exchange(&ask("Cookie: a=1\r\n"), Some(answer));
            x.end.tcp_how = if over { EndHow::Fin } else { EndHow::Open };
            let mut seen = Seen::default();
            seen.learn(&x, false);
            if let Some(fields) = later {
                let mut again = exchange(&ask(fields), None);
                (again.id, again.request.first) = (ExchangeId(2), at(9_000));
                seen.learn(&again, false);
            }
            let mut out = Vec::new();
            check(&x, &seen, &mut Findings::new(&RULE, Subject::Exchange(x.id), &mut out));
            out[0].severity
        };
        assert_eq!(severity(true, None), Severity::Error);
        assert_eq!(severity(true, Some("Cookie: a=1\r\n")), Severity::Error, "the same credentials once more");
        assert_eq!(severity(true, Some("Cookie: a=1\r\nAuthorization: Basic eDp5\r\n")), Severity::Info);
        assert_eq!(severity(false, None), Severity::Info, "it may still come");
    }

    #[test]
    fn a_first_401_is_a_note_and_a_second_is_not() {
        assert_eq!(refused(ASK, "401 Unauthorized")[0].1, Severity::Info);
        assert_eq!(refused(ASK, "407 Proxy Authentication Required")[0].1, Severity::Info);
        assert_eq!(refused(&ask("Authorization: Basic eDp5\r\n"), "401 Unauthorized")[0].1, Severity::Error);
        assert_eq!(refused(&ask("Authorization: NTLM TlRM\r\n"), "401 Unauthorized")[0].1, Severity::Info);
        let with = |query: &str| refused(&ASK.replace("/chat", &format!("/chat?{query}")), "401 Unauthorized")[0].1;
        assert_eq!(with("room=1&access_token=abc"), Severity::Error, "it had its credentials");
        assert_eq!((with("token="), with("room=1")), (Severity::Info, Severity::Info));
        let says = "401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"";
        assert_eq!(refused(ASK, says)[0].1, Severity::Error, "it got some");
    }

    #[test]
    fn a_stripped_request_counts_and_a_plain_one_does_not() {
        assert_eq!(refused(&without(ASK, "Upgrade"), "426 Upgrade Required").len(), 1);
        assert!(refused("GET / HTTP/1.1\r\nHost: x\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", "404 No").is_empty());
    }

    #[test]
    fn other_protocols_may_be_ignored_and_their_refusal_is_a_note() {
        let h2c = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
        assert!(refused(h2c, "200 OK").is_empty());
        assert!(refused(h2c, "304 Not Modified").is_empty());
        assert_eq!(refused(h2c, "403 Forbidden"), [("refused-403".to_owned(), Severity::Info)]);
        let spdy = h2c.replace("h2c", "SPDY/3.1");
        assert_eq!(refused(&spdy, "400 Bad Request"), [("refused-400".to_owned(), Severity::Warning)]);
    }

    #[test]
    fn the_fix_depends_on_the_code_and_on_envoy() {
        let envoy = "HTTP/1.1 403 Forbidden\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n";
        let x = exchange(ASK, Some(envoy));
        assert_eq!(fix_class(&x, 403), Some(FaultClass::Fwd));
        assert!(run(&RULE, &x)[0].causes[0].contains("upgrade_configs"));
        let x = exchange(ASK, Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
        assert_eq!(fix_class(&x, 403), None, "no Origin was compared");
        let from_page = exchange(&ask("Origin: https://a\r\n"), Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
        assert_eq!(fix_class(&from_page, 403), Some(FaultClass::Host));
        assert_eq!(fix_class(&x, 431), Some(FaultClass::Head));
        assert_eq!(fix_class(&x, 429), Some(FaultClass::Limit));
        assert_eq!(fix_class(&x, 503), None);
    }
}
