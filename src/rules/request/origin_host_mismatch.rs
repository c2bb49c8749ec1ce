//! Origin and Host name different servers.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "origin-host-mismatch",
    severity: Severity::Warning,
    title: "Origin and Host name different servers",
    about: "A browser tells in `Origin` which page opened the WebSocket. Many servers refuse with 403 (or \
        400) when it does not name the host of the request, to keep foreign pages out.\n\n\
        When a proxy replaces `Host` by its backend's name (nginx does unless told otherwise), the two \
        differ for every visitor, and that check refuses all of them. A page of another site that may use \
        the service looks the same: so this is a fact, and a warning only when the request was refused \
        with 403 or 400.",
    refs: &["RFC 6455 §10.2", "RFC 6454 §7"],
    causes: &[
        "a proxy replaced Host by its backend's name and left Origin as it was",
        "a page of another site opens the WebSocket, rightly or not",
        "an application (not a browser) sends a made-up Origin",
    ],
    fix: Some(FaultClass::Host),
    explains: &[Explains::Refused],
    symptom_of: &["hop-host-rewritten", "hop-origin-changed", "req-head-too-large"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let request = &x.request;
    if !facts::is_attempt(x) || request.count(request.host_field()) != 1 || request.count("origin") != 1 {
        return;
    }
    let (Some(origin), Some(host)) = (request.first_value("origin"), request.host()) else { return };
    if host.is_empty() || matches(origin, host) != Some(false) {
        return;
    }
    let status = x.status().filter(|s| matches!(s, 400 | 403));
    let message = Text::own("Origin (").field(b"Origin", origin).say(") and Host (").field(b"Host", host);
    let (message, severity) = match status {
        Some(status) => (
            message.say(format!(") name different servers, and the request was refused with {status}.")),
            Severity::Warning,
        ),
        None => (message.say(") name different servers."), Severity::Info),
    };
    out.add(message)
        .severity(severity)
        .found(Text::own("Origin: ").field(b"Origin", origin).say(", Host: ").field(b"Host", host))
        .field(request, "origin", REQUEST)
        .field(request, request.host_field(), REQUEST);
}

/// Whether Origin and Host of this request name the same host and port, and nothing in the answer shows a proxy that may have
/// changed one of them behind this place.
pub(in crate::rules) fn agrees(x: &Exchange) -> bool {
    let both = x.request.first_value("origin").zip(x.request.host());
    both.is_some_and(|(origin, host)| matches(origin, host) == Some(true)) && !facts::is_by_proxy(x)
}

/// Whether an origin (RFC 6454 §7) names the host, and the port where both are known. `None` where
/// the origin has no host.
fn matches(origin: &[u8], host: &[u8]) -> Option<bool> {
    let at = origin.windows(3).position(|w| w == b"://")?;
    let (scheme, rest) = (&origin[..at], &origin[at + 3..]);
    let authority = rest.split(|&b| b == b'/').next().filter(|a| !a.is_empty())?;
    let (origin_host, origin_port) = split_port(authority);
    let (host, host_port) = split_port(host);
    if !origin_host.eq_ignore_ascii_case(host) {
        return Some(false);
    }
    let default: &[u8] = match scheme.to_ascii_lowercase().as_slice() {
        b"http" | b"ws" => b"80",
        b"https" | b"wss" => b"443",
        _ => return Some(true),
    };
    Some(origin_port.unwrap_or(default) == host_port.unwrap_or(default))
}

/// `host:port`, `[::1]:port`; the port may be missing (RFC 3986 §3.2).
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let digits = authority.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let name = authority.len() - digits;
    match authority[..name].strip_suffix(b":") {
        Some(host) => (host, Some(&authority[name..]).filter(|port| !port.is_empty())),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, exchange, fires, granted, run};

    #[test]
    fn different_hosts_are_a_fact_and_a_warning_once_refused() {
        let rewritten = changed("Host: example.com", "Host: backend:8080");
        assert_eq!(run(&RULE, &exchange(&rewritten, Some(&granted())))[0].severity, Severity::Info);
        assert_eq!(run(&RULE, &exchange(&rewritten, Some(REFUSED)))[0].severity, Severity::Warning);
        assert!(!fires(&RULE, &exchange(GOOD, Some(REFUSED))));
    }

    #[test]
    fn default_ports_and_letter_case_are_equal() {
        assert_eq!(matches(b"https://Example.com", b"example.com"), Some(true));
        assert_eq!(matches(b"https://example.com", b"example.com:443"), Some(true));
        assert_eq!(matches(b"http://example.com:80", b"example.com"), Some(true));
        assert_eq!(matches(b"http://[2001:db8::1]:8080", b"[2001:db8::1]:8080"), Some(true));
        assert_eq!(matches(b"http://[2001:db8::1]", b"[2001:db8::1]"), Some(true));
    }

    #[test]
    fn other_ports_and_hosts_are_not() {
        assert_eq!(matches(b"http://example.com:3000", b"example.com:8080"), Some(false));
        assert_eq!(matches(b"https://example.com", b"example.com:8443"), Some(false));
        assert_eq!(matches(b"https://example.com", b"example.org"), Some(false));
        assert_eq!(matches(b"null", b"example.com"), None);
        assert_eq!(matches(b"file://", b"example.com"), None);
    }
}
