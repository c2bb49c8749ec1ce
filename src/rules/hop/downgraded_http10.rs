//! HTTP/1.1 reached the hop and HTTP/1.0 left it.

use crate::model::{FaultClass, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, breaks, far_whole, listed, sentence};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-downgraded-http10",
    severity: Severity::Error,
    title: "a hop forwarded the HTTP/1.1 request as HTTP/1.0",
    about: "HTTP/1.0 knows no `Upgrade`: a server must ignore the field in such a request, and many answer \
        505, 426 or a page. Proxies that speak HTTP/1.0 to their backends most often leave `Upgrade` and \
        `Connection: Upgrade` out as well.\n\n\
        A warning where the upgrade was granted all the same: some servers do not look at the version, and the \
        next one may.",
    refs: &["RFC 9110 §7.8", "RFC 6455 §4.1", "RFC 9110 §2.5"],
    causes: &[
        "the proxy speaks HTTP/1.0 to its backends unless told otherwise: nginx before 1.29.7 does",
        "the proxy is told to speak HTTP/1.0 to this backend",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

/// What makes a request one for an upgrade, in the order in which it is told.
const NEEDED: [(&str, &str); 4] = [
    ("Upgrade", "upgrade"),
    ("Connection: Upgrade", "connection"),
    ("Sec-WebSocket-Key", "sec-websocket-key"),
    ("Sec-WebSocket-Version", "sec-websocket-version"),
];

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    if !applies(view) || !matches!(near.version(), b"HTTP/1.1" | b"HTTP/2") || far.version() != b"HTTP/1.0" {
        return;
    }
    let lost: Vec<&'static str> = NEEDED
        .iter()
        .filter(|(_, name)| match *name {
            "connection" => near.has_token(name, "upgrade") && !far.has_token(name, "upgrade"),
            _ => near.has(name) && !far.has(name),
        })
        .map(|(words, _)| *words)
        .collect();
    let mut what = Text::own("forwarded the request as HTTP/1.0");
    let mut found = Text::own("HTTP/1.0");
    if far_whole(view) && !lost.is_empty() {
        let without = format!(" without {}", listed(&lost));
        (what, found) = (what.say(format!(" and{without}")), found.say(without));
    }
    out.add(sentence(view, what))
        .severity(breaks(view))
        .expected(Text::own("HTTP/1.1"))
        .found(found)
        .start_line(near, REQUEST)
        .start_line(far, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, fires_hop, granted, run_hop, words};

    fn older() -> String {
        changed("HTTP/1.1", "HTTP/1.0")
    }

    #[test]
    fn the_older_version_is_found_and_what_went_with_it() {
        let far = older().replace("Upgrade: websocket\r\nConnection: Upgrade", "Connection: close");
        let found = run_hop(&RULE, (GOOD, Some(REFUSED)), (&far, Some(REFUSED)));
        assert_eq!(
            words(&found[0].message),
            "The proxy at 192.0.2.20 forwarded the request as HTTP/1.0 and without Upgrade and Connection: Upgrade \
             (packets 4 → 5)."
        );
        assert_eq!(found[0].severity, Severity::Error);
    }

    #[test]
    fn an_upgrade_that_was_granted_all_the_same_works_by_luck() {
        let found = run_hop(&RULE, (GOOD, Some(&granted())), (&older(), Some(&granted())));
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(!words(&found[0].message).contains("without"));
    }

    #[test]
    fn a_head_that_breaks_off_shows_its_version_and_not_what_is_missing() {
        let cut = "GET /chat HTTP/1.0\r\nHost: example.com\r\n";
        let found = run_hop(&RULE, (GOOD, None), (cut, None));
        assert!(!words(&found[0].message).contains("without"));
        assert!(!fires_hop(&RULE, (GOOD, None), ("GET /chat HT", None)));
    }

    #[test]
    fn the_same_version_and_a_client_of_http10_are_not_the_hops_fault() {
        assert!(!fires_hop(&RULE, (GOOD, None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (&older(), None), (&older(), None)));
        assert!(!fires_hop(&RULE, (&older(), None), (GOOD, None)));
    }
}
