//! Upgrade reached the hop and did not leave it.

use crate::model::{FaultClass, Severity, Text};
use crate::rules::hop::asked::{REQUEST, asks_to_upgrade, breaks, far_whole, sentence, show};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-stripped-upgrade",
    severity: Severity::Error,
    title: "a hop forwarded the request without Upgrade",
    about: "The request reached the hop with `Upgrade: websocket` and left it without.\n\n\
        `Upgrade` holds for one hop only: a proxy must take it off, and has to write it anew towards the \
        next hop if the upgrade is to go on. This one is not configured to. What stands behind it sees an \
        ordinary GET and answers 400, 404, 426 or a page.",
    refs: &["RFC 9110 §7.6.1", "RFC 9110 §7.8", "RFC 6455 §4.1"],
    causes: &[
        "the proxy is not configured to pass upgrades on for this path",
        "another, more general route of the proxy takes the request",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // Another value is hop-rewrote-upgrade-value.
    if !asks_to_upgrade(view) || !far_whole(view) || far.has("upgrade") {
        return;
    }
    out.add(sentence(view, Text::own("forwarded the request without Upgrade")))
        .severity(breaks(view))
        .expected(Text::own("Upgrade: websocket"))
        .found(show(far, "Upgrade"))
        .field(near, "upgrade", REQUEST)
        .head(far, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HopKind;
    use crate::rules::testing::words;
    use crate::rules::testing::{GOOD, REFUSED, With as _, changed, exchange, fires_hop, granted, run_hop, run_hop_of};

    fn stripped() -> String {
        changed("Upgrade: websocket\r\n", "")
    }

    #[test]
    fn an_upgrade_that_does_not_leave_the_hop_is_found() {
        let found = run_hop(&RULE, (GOOD, Some(REFUSED)), (&stripped(), Some(REFUSED)));
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(
            words(&found[0].message),
            "The proxy at 192.0.2.20 forwarded the request without Upgrade (packets 4 → 5)."
        );
        let found = run_hop(&RULE, (GOOD, Some(&granted())), (&stripped(), None));
        assert_eq!(found[0].severity, Severity::Warning, "somebody granted it all the same");
    }

    #[test]
    fn an_upgrade_written_anew_in_other_letters_or_at_another_place_is_right() {
        for far in [GOOD.to_owned(), GOOD.to_lowercase().replace("http/1.1", "HTTP/1.1")] {
            assert!(!fires_hop(&RULE, (GOOD, None), (&far, None)));
        }
    }

    #[test]
    fn what_the_client_did_not_ask_for_properly_need_not_be_passed_on() {
        for near in [
            changed("Connection: Upgrade\r\n", ""),
            changed("HTTP/1.1", "HTTP/1.0"),
            changed("websocket", "h2c"),
            GOOD.replace("Sec-WebSocket-", "X-"),
        ] {
            assert!(!fires_hop(&RULE, (&near, None), (&near.replace("Upgrade: ", "X-Upgrade: "), None)), "{near}");
        }
    }

    #[test]
    fn nothing_is_claimed_of_a_relay_or_of_a_head_that_was_not_seen_whole() {
        let relay =
            run_hop_of(&RULE, exchange(GOOD, None), exchange(&stripped(), None), |hop| hop.kind = HopKind::Relay);
        assert!(relay.is_empty());
        let cut = "GET /chat HTTP/1.1\r\nHost: example.com\r\nSec-WebSocket-Version: 13\r\n";
        assert!(!fires_hop(&RULE, (GOOD, None), (cut, None)));
        let holed = exchange(&stripped(), None).with(|x| x.quality.request_gap = true);
        assert!(run_hop_of(&RULE, exchange(GOOD, None), holed, |_| {}).is_empty());
    }

    #[test]
    fn a_near_head_that_breaks_off_behind_its_upgrade_is_enough() {
        let cut = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-Web";
        assert!(fires_hop(&RULE, (cut, None), (&stripped(), None)));
    }
}
