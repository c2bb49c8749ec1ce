//! `redirected` and its kinds. One file, because each kind is what the others are not: exactly one
//! of them speaks for a redirect.

use super::redirect_target::{Kind, is_glued, kind};
use super::support::{FROM_SERVER, is_attempt, say_status, show_field, whole_response};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

const REFS: &[&str] = &["RFC 6455 §4.1", "RFC 9110 §15.4"];

/// Without the Upgrade field an application answers as to a page, often with a redirect.
const CAUSED_BY: &[&str] = &[
    "hop-host-rewritten",
    "hop-downgraded-http10",
    "hop-method-changed",
    "hop-rewrote-upgrade-value",
    "hop-stripped-connection",
    "hop-stripped-sec",
    "hop-stripped-upgrade",
    "req-host-missing",
    "req-http10",
    "req-orphan-key",
    "upgrade-value-wrong",
    "xfp-wrong",
];

const fn rule(
    id: &'static str,
    title: &'static str,
    about: &'static str,
    causes: &'static [&'static str],
    check: fn(&Exchange, &Seen, &mut Findings<'_>),
) -> Rule {
    Rule {
        id,
        severity: Severity::Error,
        title,
        about,
        refs: REFS,
        causes,
        fix: Some(FaultClass::Redir),
        explains: &[Explains::Redirected],
        symptom_of: CAUSED_BY,
        check: Check::Exchange(check),
    }
}

pub(super) static REDIRECTED: Rule = rule(
    "redirected",
    "the server redirects the WebSocket request",
    "No client has to follow a redirect in the opening handshake (RFC 6455 §4.1), and browsers do not: for them a \
    redirect is a failed connection. Only some libraries follow.\n\nThe address that the client uses must be the \
    final one, or the proxy must pass the request on instead of redirecting it.",
    &["a rule of the proxy or framework that is meant for pages catches the WebSocket path too"],
    |x, _, out| check(x, Kind::Other, out),
);

pub(super) static TO_HTTPS: Rule = rule(
    "redirect-to-https",
    "the server sends the WebSocket request to https",
    "The same address is wanted over TLS. Browsers do not follow: the page must open wss:// itself. A page that was \
    loaded over https and still opens ws:// is blocked anyway.\n\nIf TLS ends at a proxy in front, this redirect \
    means that the proxy does not say so (X-Forwarded-Proto).",
    &[
        "the client opens ws:// where the site demands TLS: use wss://",
        "TLS ends in front of this server, and the hop there does not pass X-Forwarded-Proto: https",
    ],
    |x, _, out| check(x, Kind::ToHttps, out),
);

pub(super) static SLASH: Rule = rule(
    "redirect-slash",
    "the server wants another slash in the path",
    "The address differs only by slashes, mostly one at the end. Frameworks and proxies redirect pages so; a browser \
    does not follow it for a WebSocket. Use the path exactly as the route has it.",
    &[
        "the client's path lacks (or has) the slash at the end that the route demands",
        "a proxy joins two paths and doubles or loses a slash",
    ],
    |x, _, out| check(x, Kind::Slash, out),
);

pub(super) static LOGIN: Rule = rule(
    "redirect-login",
    "the server sends the WebSocket request to a login page",
    "The request is not signed in, so an access layer sends it to its login page. That works for pages only. Cookies \
    or tokens must be there before the socket opens, and the access layer should answer 401 on this path.",
    &[
        "the session has expired, or its cookie is not sent to this host (SameSite, domain, path)",
        "a hop in between removed the Cookie or Authorization field",
        "the access layer protects the WebSocket path although the application checks tokens itself",
    ],
    |x, _, out| check(x, Kind::Login, out),
);

pub(super) static HOST: Rule = rule(
    "redirect-host",
    "the server sends the WebSocket request to another host",
    "The address leads to another host: a canonical name, www, a region, a new home. Browsers do not follow; the \
    client must use that host at once.",
    &["a canonical-name rule meant for pages", "Host was rewritten on the way, so the server takes it for a wrong one"],
    |x, _, out| check(x, Kind::Host, out),
);

const GLUED: &str =
    "a slash is missing at the end of the address in the redirect rule, so that the path was glued to the host";

pub(super) static BROKEN: Rule = rule(
    "redirect-broken",
    "the redirect leads nowhere",
    "Location must be an http or https address or a path. A ws or wss scheme, or two schemes in a row \
    (https://wss://…), is something that no client follows; nor does a host exist to which the path was glued \
    (https://ws.examplechat for /chat).",
    &[
        "a redirect rule pastes the scheme of the upgraded request (ws, wss) into Location",
        "a template with a missing variable",
        GLUED,
    ],
    |x, _, out| check(x, Kind::Broken, out),
);

pub(super) static LOOP: Rule = rule(
    "redirect-loop",
    "the redirect leads back to the same address",
    "Location is the address that was just asked for, so even a client that follows redirects comes back for ever.\n\n\
    Typical is TLS that ends in front of a server that demands https: the request comes in as http each time.",
    &[
        "TLS ends in front of this server, which demands https and does not trust X-Forwarded-Proto",
        "two rules redirect to each other's address",
    ],
    |x, _, out| check(x, Kind::Loop, out),
);

fn check(x: &Exchange, wanted: Kind, out: &mut Findings<'_>) {
    let Some(head) = whole_response(x).filter(|_| is_attempt(x)) else { return };
    if !head.status().is_some_and(|code| (300..400).contains(&code)) {
        return;
    }
    let Some(location) = head.first_value("location") else { return };
    if kind(&x.request, x.is_inside_tls(), location) != wanted {
        return;
    }
    let text = say_status(Text::own("The server answered "), head).say(" and sends the client to ").url(location);
    let end = match wanted {
        Kind::Broken => ", which is no address that a client can follow.",
        Kind::Loop => ", which is the address that was asked for.",
        _ => "; browsers do not follow redirects when they open a WebSocket.",
    };
    let mut found = out.add(text.say(end));
    if is_glued(&x.request, location) {
        found = found.cause(GLUED);
    }
    found
        .expected(Text::own("101 Switching Protocols"))
        .found(show_field(head, "Location"))
        .start_line(head, FROM_SERVER)
        .field(head, "location", FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use crate::rules::response::testing::*;

    fn found(request: &str, status: &str, location: &str) -> Vec<String> {
        let response = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\n\r\n");
        run_all(&exchange(request, Some(&response))).into_iter().map(|f| f.rule.into_owned()).collect()
    }

    #[test]
    fn exactly_one_rule_speaks_for_a_redirect() {
        for (location, slug) in [
            ("/elsewhere", "redirected"),
            ("https://ws.example/chat", "redirect-to-https"),
            ("/chat/", "redirect-slash"),
            ("/login?next=/chat", "redirect-login"),
            ("http://www.ws.example/chat", "redirect-host"),
            ("https://wss://ws.example/chat", "redirect-broken"),
            ("https://ws.examplechat", "redirect-broken"),
            ("https://ws.example.net/chat", "redirect-host"),
            ("http://ws.example/chat", "redirect-loop"),
        ] {
            assert_eq!(found(ASK, "301 Moved Permanently", location), [slug], "{location}");
        }
    }

    #[test]
    fn other_statuses_and_other_requests_are_left_alone() {
        assert!(found(ASK, "101 Switching Protocols", "/chat/").iter().all(|s| !s.starts_with("redirect")));
        assert!(found("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n", "302 Found", "/login").is_empty());
        let x = exchange(ASK, Some("HTTP/1.1 302 Found\r\n\r\n"));
        assert_eq!(run_all(&x)[0].rule, "refused-302");
    }
}
