//! `Connection: Upgrade` reached the hop and did not leave it.

use crate::model::{Confidence, FaultClass, Outcome, Severity, Text};
use crate::rules::hop::asked::{REQUEST, asks_to_upgrade, breaks, far_whole, sentence, show};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-stripped-connection",
    severity: Severity::Error,
    title: "a hop forwarded the request without Connection: Upgrade",
    about: "The request reached the hop with `upgrade` among the options of `Connection` and left it without: \
        with `close`, `keep-alive` or no `Connection` at all.\n\n\
        A proxy must take `Connection` off and has to write its own. Where `Upgrade` is passed on and \
        `Connection: Upgrade` is not, a server has to ignore the `Upgrade`: it counts only where `Connection` \
        lists it. Setting the one and forgetting the other is the usual slip.",
    refs: &["RFC 9110 §7.6.1", "RFC 9110 §7.8", "RFC 6455 §4.1"],
    causes: &[
        "the proxy's configuration sets Upgrade and leaves Connection at its default",
        "the proxy's configuration sets Connection to something else for all requests",
    ],
    fix: Some(FaultClass::Fwd),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10", "hop-stripped-upgrade"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    if !asks_to_upgrade(view) || far.has_token("connection", "upgrade") {
        return;
    }
    // Of a head that is not whole, a field of that name is: few hops write a second one.
    let other = far.lines("connection").next().is_some_and(|field| !far.is_cut(field));
    let confidence = match far_whole(view) {
        true => Confidence::Certain,
        false if other && view.near.outcome == Outcome::Refused => Confidence::Likely,
        false => return,
    };
    out.add(sentence(view, Text::own("forwarded the request without Connection: Upgrade")))
        .severity(breaks(view))
        .confidence(confidence)
        .expected(Text::own("Connection: Upgrade"))
        .found(show(far, "Connection"))
        .field(near, "connection", REQUEST)
        .field(far, "connection", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, With as _, changed, exchange, fires_hop, run_hop, run_hop_of, words};

    #[test]
    fn an_option_that_does_not_leave_the_hop_is_found() {
        for (far, found) in [
            ("", "no Connection field"),
            ("Connection: close\r\n", "Connection: close"),
            ("Connection: keep-alive\r\nConnection: TE\r\n", "Connection: keep-alive, TE"),
        ] {
            let findings = run_hop(&RULE, (GOOD, None), (&changed("Connection: Upgrade\r\n", far), None));
            assert_eq!(words(&findings[0].found), found);
        }
    }

    #[test]
    fn of_a_head_that_was_cut_the_field_that_is_there_tells() {
        let cut = |far: &str| {
            let far = changed("Connection: Upgrade\r\n", far);
            let far = exchange(&far, Some(REFUSED)).with(|x| {
                x.request.complete = false;
                x.quality.request_gap = true;
            });
            run_hop_of(&RULE, exchange(GOOD, Some(REFUSED)), far, |_| {})
        };
        assert_eq!(cut("Connection: close\r\n")[0].confidence, Confidence::Likely);
        assert!(cut("").is_empty(), "it may have been among what is missing");
    }

    #[test]
    fn other_options_beside_it_may_come_and_go() {
        let near = changed("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        let lines = "Connection: TE\r\nconnection: upgrade";
        for far in [GOOD.to_owned(), changed("Connection: Upgrade", lines), near.clone()] {
            assert!(!fires_hop(&RULE, (&near, None), (&far, None)), "{far}");
        }
    }

    #[test]
    fn what_the_near_leg_lacked_is_not_the_hops_fault() {
        let near = changed("Connection: Upgrade\r\n", "");
        assert!(!fires_hop(&RULE, (&near, None), (&near, None)));
        let orphan = changed("Upgrade: websocket\r\n", "");
        let far = orphan.replace("Connection: Upgrade", "Connection: close");
        assert!(!fires_hop(&RULE, (&orphan, None), (&far, None)), "without Upgrade there is nothing to list");
    }
}
