//! The request left the hop with a scheme that is not the client's.

use crate::model::{Confidence, Exchange, FaultClass, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, host, same_host, sentence, value};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "xfp-wrong",
    severity: Severity::Error,
    title: "a hop tells its backend the wrong scheme",
    about: "`X-Forwarded-Proto` says by which scheme the client came. Applications build their idea of the right \
        `Origin`, redirects and secure cookies from it.\n\n\
        It is wrong where the hop writes `http` although the client came over TLS (the field said `https` when it \
        reached the hop, a PROXY header says so, or a browser's `Origin` does: a page that was loaded over TLS can \
        open nothing else). An error where the server then redirects to https, for ever. `ws` and `wss` are schemes of URLs; most applications know only `http` and `https`.",
    refs: &["RFC 7239 §5.4"],
    causes: &[
        "TLS ends at a proxy in front, and this one writes the scheme of its own connection",
        "the proxy writes ws or wss for WebSocket requests",
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Redirected],
    symptom_of: &[],
    check: Check::Hop(check),
};

const NAME: &str = "X-Forwarded-Proto";

/// PP2_TYPE_SSL, and the bit of its first byte that says that the client came over TLS (HAProxy's
/// doc/proxy-protocol.txt §2.2.5).
const PP2_TYPE_SSL: u8 = 0x20;
const PP2_CLIENT_SSL: u8 = 0x01;

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, &view.far.x.request);
    let Some(left) = value(far, NAME).map(first).filter(|_| applies(view)) else { return };
    let came = value(&near.request, NAME).map(first);
    // What it was told, it may hand on.
    if came.is_some_and(|came| came.eq_ignore_ascii_case(left)) {
        return;
    }
    let is = |scheme: &str| left.eq_ignore_ascii_case(scheme.as_bytes());
    let (expected, confidence) = if is("ws") || is("wss") {
        (if is("ws") { "http" } else { "https" }, Confidence::Certain)
    } else if let (true, Some(sure)) = (is("http"), came_over_tls(near)) {
        ("https", sure)
    } else {
        return;
    };
    let what = Text::own("writes X-Forwarded-Proto: ").field(NAME.as_bytes(), left);
    let (severity, so) = match expected == "https" && sent_to_tls(view) {
        true => (Severity::Error, ", and the answer sends the client to https"),
        false => (Severity::Info, ""),
    };
    out.add(sentence(view, what.say(format!(" instead of {expected}{so}"))))
        .severity(severity)
        .confidence(confidence)
        .expected(Text::own(format!("{NAME}: {expected}")))
        .found(Text::own(format!("{NAME}: ")).field(NAME.as_bytes(), left))
        .field(far, NAME, REQUEST);
}

/// Whether the server behind the hop wants TLS, which the client has.
fn sent_to_tls(view: &HopView<'_>) -> bool {
    let answer =
        view.far.x.response.as_ref().filter(|head| head.status().is_some_and(|code| (300..400).contains(&code)));
    let location = answer.and_then(|head| head.first_value("location"));
    location.is_some_and(|location| response::wants_tls(&view.far.x.request, location))
}

/// The first of several: of the hop nearest to the client.
fn first(value: &[u8]) -> &[u8] {
    value.split(|&b| b == b',').next().unwrap_or_default().trim_ascii()
}

/// How sure it is that the client came over TLS, although this leg is plain. `None` where nothing says so.
fn came_over_tls(near: &Exchange) -> Option<Confidence> {
    let request = &near.request;
    let said = value(request, NAME)
        .map(first)
        .is_some_and(|scheme| [&b"https"[..], b"wss"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)));
    let ssl = near.proxied.as_ref().and_then(|p| p.tlv(PP2_TYPE_SSL)?.first().copied());
    let read = near.is_inside_tls();
    if said || read || ssl.is_some_and(|bits| bits & PP2_CLIENT_SSL != 0) {
        return Some(Confidence::Certain);
    }
    let page = value(request, "origin")?.strip_prefix(b"https://")?;
    let own = near.from_browser() && same_host(page, host(request)?);
    own.then_some(Confidence::Likely)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, fires_hop, run_hop, with_line, words};

    fn said(scheme: &str) -> String {
        with_line(&format!("X-Forwarded-Proto: {scheme}"))
    }

    #[test]
    fn http_for_a_client_that_came_over_tls_is_a_note() {
        let found = run_hop(&RULE, (&said("https"), None), (&said("http"), None));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Info, Confidence::Certain));
        assert!(words(&found[0].message).contains(" writes X-Forwarded-Proto: http instead of https (packets"));
        let browser = GOOD.replace("http://", "https://").replace("\r\n\r\n", "\r\nUser-Agent: Mozilla/5.0\r\n\r\n");
        let found = run_hop(&RULE, (&browser, None), (&said("http"), None));
        assert_eq!(found[0].confidence, Confidence::Likely);
    }

    #[test]
    fn it_is_the_fault_where_the_server_then_sends_the_client_to_https() {
        let told = |location: &str| {
            let moved = format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            run_hop(&RULE, (&said("https"), Some(&moved)), (&said("http"), Some(&moved)))[0].severity
        };
        let target = GOOD.split(' ').nth(1).unwrap_or_default();
        assert_eq!(told(&format!("https://example.com{target}")), Severity::Error);
        assert_eq!(told("https://example.com/login"), Severity::Info);
    }

    #[test]
    fn schemes_of_websocket_urls_are_found() {
        let found = run_hop(&RULE, (GOOD, None), (&said("wss"), None));
        assert_eq!(words(&found[0].expected), "X-Forwarded-Proto: https");
        assert!(fires_hop(&RULE, (GOOD, None), (&said("WS"), None)));
    }

    #[test]
    fn the_right_scheme_one_that_is_handed_on_and_none_are_left_alone() {
        for far in [GOOD.to_owned(), said("http"), said("https")] {
            assert!(!fires_hop(&RULE, (GOOD, None), (&far, None)), "{far}");
        }
        assert!(!fires_hop(&RULE, (&said("wss"), None), (&said("wss"), None)));
        assert!(!fires_hop(&RULE, (&said("https"), None), (&said("https, http"), None)));
        let page = GOOD.replace("http://example.com", "https://example.com");
        assert!(!fires_hop(&RULE, (&page, None), (&said("http"), None)), "no browser, so any Origin may stand there");
    }
}
