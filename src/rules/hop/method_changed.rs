//! Another method left the hop than came.

use crate::model::{Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, breaks, sentence, target};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-method-changed",
    severity: Severity::Error,
    title: "a hop changed the request's method",
    about: "The request reached the hop with one method and left it with another. The opening handshake is a GET; \
        a server answers any other with 400, 404, 405 or a page.\n\n\
        Between HTTP/1.1 and HTTP/2 the method changes rightly (CONNECT there, GET here): this is about hops that \
        speak HTTP/1.x on both sides.",
    refs: &["RFC 6455 §4.1", "RFC 9110 §9"],
    causes: &[
        "a rewrite rule or plug-in of the proxy sets the method",
        "an error page or retry of the proxy repeats the request as another",
    ],
    fix: None,
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // A start line that breaks off has no target that could be read.
    let seen = target(near).is_some() && target(far).is_some();
    // Methods heed letter case (RFC 9110 §9.1).
    if !applies(view) || !seen || near.method() == far.method() {
        return;
    }
    let what = Text::own("changed the method from ").bytes(near.method()).say(" to ").bytes(far.method());
    out.add(sentence(view, what))
        // What became a GET is what it should have been.
        .severity(if far.method() == b"GET" { Severity::Info } else { breaks(view) })
        .expected(Text::new().bytes(near.method()))
        .found(Text::new().bytes(far.method()))
        .start_line(near, REQUEST)
        .start_line(far, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, changed, fires_hop, run_hop, words};

    #[test]
    fn another_method_is_found() {
        let found = run_hop(&RULE, (GOOD, Some(REFUSED)), (&changed("GET", "POST"), Some(REFUSED)));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(words(&found[0].message).contains(" changed the method from GET to POST (packets"));
    }

    #[test]
    fn the_clients_own_method_is_its_own_fault() {
        let post = changed("GET", "POST");
        assert!(!fires_hop(&RULE, (&post, None), (&post, None)));
        let found = run_hop(&RULE, (&post, Some(REFUSED)), (GOOD, Some(REFUSED)));
        assert_eq!(found[0].severity, Severity::Info, "the hop mended it");
    }

    #[test]
    fn a_connect_behind_the_hop_and_a_cut_start_line_are_left_alone() {
        assert!(!fires_hop(&RULE, (GOOD, None), (&changed("GET /chat", "CONNECT example.com:80"), None)));
        assert!(!fires_hop(&RULE, (GOOD, None), ("G", None)));
    }
}
