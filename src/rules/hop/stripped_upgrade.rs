//! Upgrade reached the hop and did not leave it.

use crate::model::{Direction, FaultClass, Severity, Text};
use crate::rules::hop::support::{FAILURES, is_websocket};
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
    causes: &["the proxy is not configured to pass upgrades on for this path"],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // Another value is hop-rewrote-upgrade-value.
    if !is_websocket(view) || !near.has_token("upgrade", "websocket") || far.has("upgrade") {
        return;
    }
    let message = Text::own(format!("{} forwarded the request without Upgrade ", view.who()));
    out.add(Text(message.0.into_iter().chain(view.packets().0).chain(Text::own(".").0).collect()))
        .expected(Text::own("Upgrade: websocket"))
        .found(Text::own("no Upgrade field"))
        .field(near, "upgrade", Direction::ClientToServer)
        .head(far, Direction::ClientToServer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted};

    #[test]
    fn an_upgrade_that_does_not_leave_the_hop_is_found() {
        let far = changed("Upgrade: websocket\r\n", "");
        assert!(fires_hop(&RULE, (GOOD, Some(&granted())), (&far, None)));
    }

    #[test]
    fn an_upgrade_written_anew_in_other_letters_or_at_another_place_is_right() {
        for far in [GOOD.to_owned(), GOOD.to_lowercase().replace("http/1.1", "HTTP/1.1")] {
            assert!(!fires_hop(&RULE, (GOOD, None), (&far, None)));
        }
    }
}
