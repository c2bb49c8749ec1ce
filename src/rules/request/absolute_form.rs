//! A whole URL as the target, towards something that is no forward proxy.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-absolute-form",
    severity: Severity::Warning,
    title: "the request names a whole URL where a path belongs",
    about: "`GET http://host/path` is the form for a forward proxy; to a server a client sends the path \
        alone. Servers must understand both, but routers and WebSocket libraries often compare the target \
        with a path and answer 404 or 400, and `ws://` there is understood by few.\n\n\
        Not raised towards the usual ports of forward proxies (1080, 3128, 8080, 8118, 8888), nor towards an \
        address that was asked to CONNECT, nor when the request has fields for one.",
    refs: &["RFC 9112 §3.2.1", "RFC 9112 §3.2.2"],
    causes: &[
        "a client that is configured to use a proxy which is none",
        "a proxy that passes the absolute form on to a server",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

const PROXY_PORTS: [u16; 5] = [1080, 3128, 8080, 8118, 8888];

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let target = x.request.target();
    let to_proxy = PROXY_PORTS.contains(&x.server.port)
        || x.request.has("proxy-connection")
        || x.request.has("proxy-authorization")
        || seen.is_forward_proxy(x.server.ip);
    if !facts::is_attempt(x) || to_proxy || !is_absolute(target) {
        return;
    }
    out.add(
        Text::own("The request names a whole URL, ").url(target).say(", towards what seems to be no forward proxy."),
    )
    .confidence(crate::model::Confidence::Likely)
    .expected(Text::own("a path"))
    .found(Text::new().url(target))
    .start_line(&x.request, REQUEST);
}

fn is_absolute(target: &[u8]) -> bool {
    ["http://", "https://", "ws://", "wss://"]
        .iter()
        .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires, with_line};

    #[test]
    fn a_url_towards_a_server_is_found() {
        assert!(fires(&RULE, &exchange(&changed("/chat", "ws://example.com/chat"), None)));
        assert!(fires(&RULE, &exchange(&changed("/chat", "HTTP://example.com/chat"), None)));
    }

    #[test]
    fn a_url_towards_a_forward_proxy_is_right() {
        let url = changed("/chat", "http://example.com/chat");
        assert!(!fires(&RULE, &exchange(&url, None).with(|x| x.server.port = 3128)));
        let url = with_line("Proxy-Connection: keep-alive").replace("/chat", "http://example.com/chat");
        assert!(!fires(&RULE, &exchange(&url, None)));
        assert!(!fires(&RULE, &exchange(GOOD, None)));
        assert!(!fires(&RULE, &exchange(&changed("/chat", "/r?to=http://example.com/"), None)));
    }
}
