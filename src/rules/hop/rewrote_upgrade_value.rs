//! Upgrade left the hop with other tokens than it came with.

use crate::model::{FaultClass, Severity, Text};
use crate::rules::hop::asked::{REQUEST, asks_to_upgrade, breaks, members, more, sentence, show, whole};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-rewrote-upgrade-value",
    severity: Severity::Error,
    title: "a hop changed what Upgrade asks for",
    about: "The request reached the hop with `websocket` in `Upgrade` and left it with another protocol, or with \
        the literal text of a variable or template that was never filled in. What stands behind the hop does not \
        see that WebSocket is wanted.\n\n\
        Tokens are compared, not letters: `WebSocket` for `websocket` is no change. Where `websocket` is still \
        there and only tokens beside it came or went, it is a note.",
    refs: &["RFC 9110 §7.8", "RFC 6455 §4.1"],
    causes: &[
        "the proxy's configuration sets Upgrade to a constant or to a variable that is not what the client sent",
        "the proxy offers another protocol to its backend on its own account, such as h2c",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // Without any value it is hop-stripped-upgrade.
    if !asks_to_upgrade(view) || !far.has("upgrade") {
        return;
    }
    let lower = |head| -> Vec<Vec<u8>> { members(head, "upgrade").iter().map(|m| m.to_ascii_lowercase()).collect() };
    let (came, left) = (lower(near), lower(far));
    let kept = far.upgrades_to_websocket();
    // More of the same is hop-duplicated-field; and more lines may follow where a head breaks off.
    let dropped = !more(&came, &left).is_empty();
    let added = left.iter().any(|token| !came.contains(token));
    if kept && !(dropped || added) || !(whole(view.near.x) && whole(view.far.x)) {
        return;
    }
    let severity = if kept { Severity::Info } else { breaks(view) };
    let came = near.combined("upgrade").unwrap_or_default();
    let left = far.combined("upgrade").unwrap_or_default();
    let what = Text::own("changed Upgrade from ").field(b"Upgrade", &came).say(" to ").field(b"Upgrade", &left);
    out.add(sentence(view, what))
        .severity(severity)
        .expected(show(near, "Upgrade"))
        .found(show(far, "Upgrade"))
        .field(near, "upgrade", REQUEST)
        .field(far, "upgrade", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, fires_hop, run_hop, words};

    fn upgrade(value: &str) -> String {
        changed("Upgrade: websocket", &format!("Upgrade: {value}"))
    }

    #[test]
    fn another_protocol_or_an_empty_one_is_found() {
        for value in ["h2c", "$http_upgrade", "websocket/13", ""] {
            let found = run_hop(&RULE, (GOOD, Some(REFUSED)), (&upgrade(value), Some(REFUSED)));
            assert_eq!(found[0].severity, Severity::Error, "{value}");
            assert_eq!(words(&found[0].found), format!("Upgrade: {value}"));
        }
    }

    #[test]
    fn tokens_beside_it_that_come_or_go_are_a_note() {
        for (near, far) in [("websocket, foo", "websocket"), ("websocket", "websocket, h2c")] {
            let found = run_hop(&RULE, (&upgrade(near), None), (&upgrade(far), None));
            assert_eq!(found[0].severity, Severity::Info, "{near}");
        }
    }

    #[test]
    fn other_letters_order_and_lines_are_no_change() {
        for (near, far) in [
            ("websocket", "WebSocket"),
            ("websocket, foo", "foo,websocket"),
            ("websocket, foo", "websocket\r\nUpgrade: foo"),
        ] {
            assert!(!fires_hop(&RULE, (&upgrade(near), None), (&upgrade(far), None)), "{far}");
        }
    }

    #[test]
    fn what_came_wrong_or_is_gone_is_another_matter() {
        assert!(!fires_hop(&RULE, (&upgrade("h2c"), None), (&upgrade("tcp"), None)));
        assert!(!fires_hop(&RULE, (GOOD, None), (&changed("Upgrade: websocket\r\n", ""), None)));
        let cut = GOOD.split("Origin").next().unwrap_or_default();
        assert!(!fires_hop(&RULE, (cut, None), (&upgrade("websocket, foo"), None)), "more lines may follow");
    }
}
