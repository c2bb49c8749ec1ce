//! Origin left the hop with another value than it came with, or not at all.

use crate::model::{FaultClass, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{HARD, REQUEST, answered, applies, far_whole, rewrites, sentence, show, value};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-origin-changed",
    severity: Severity::Error,
    title: "a hop changed or removed Origin",
    about: "`Origin` says which page opened the WebSocket. It is for the server alone, which refuses pages that it \
        does not know, with 403 or 400. A hop that removes it or writes another one there has every browser \
        refused, or lets every page in.\n\n\
        An error where the answer was 403 or 400, a note where the upgrade was granted all the same.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §10.2", "RFC 6454 §7"],
    causes: &[
        "the proxy's configuration sets Origin, or clears it",
        "a firewall or gateway passes on only fields of a list",
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Refused, Explains::Redirected],
    symptom_of: HARD,
    check: Check::Hop(check),
};

const NAME: &str = "Origin";

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let Some(came) = value(near, NAME).filter(|_| applies(view)) else { return };
    let left = value(far, NAME);
    let mut what = match left {
        // Scheme and host ignore letter case (RFC 6454 §4), and nothing else is in an origin.
        Some(left) if left.eq_ignore_ascii_case(came) => return,
        Some(left) => {
            let from = Text::own("changed Origin from ").field(NAME.as_bytes(), came);
            from.say(" to ").field(NAME.as_bytes(), left)
        }
        None if !far_whole(view) => return,
        None => Text::own("removed Origin ").field(NAME.as_bytes(), came),
    };
    let minded = answered(view, &[400, 403]);
    let severity = rewrites(view, minded.is_some());
    if let (Some(status), Severity::Error) = (minded, severity) {
        what = what.say(format!(", and the answer was {status}"));
    }
    out.add(sentence(view, what))
        .severity(severity)
        .expected(show(near, NAME))
        .found(show(far, NAME))
        .field(near, NAME, REQUEST)
        .field(far, NAME, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted, run_hop, words};

    const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

    fn origin(line: &str) -> String {
        changed("Origin: http://example.com\r\n", line)
    }

    #[test]
    fn another_origin_and_none_are_errors_once_refused() {
        for (line, said) in [
            ("Origin: http://10.0.0.1\r\n", "changed Origin from http://example.com to http://10.0.0.1"),
            ("", "removed Origin http://example.com"),
        ] {
            let found = run_hop(&RULE, (GOOD, Some(FORBIDDEN)), (&origin(line), Some(FORBIDDEN)));
            assert_eq!(found[0].severity, Severity::Error);
            assert!(words(&found[0].message).contains(&format!(" {said}, and the answer was 403 (packets")));
        }
    }

    #[test]
    fn other_failures_make_it_a_warning_and_an_upgrade_a_note() {
        let other = "HTTP/1.1 503 No\r\n\r\n";
        assert_eq!(run_hop(&RULE, (GOOD, Some(other)), (&origin(""), Some(other)))[0].severity, Severity::Warning);
        let granted = granted();
        let found = run_hop(&RULE, (GOOD, Some(&granted)), (&origin(""), Some(&granted)));
        assert_eq!(found[0].severity, Severity::Info);
    }

    #[test]
    fn the_same_origin_one_that_is_cut_and_one_that_is_added_are_left_alone() {
        assert!(!fires_hop(&RULE, (GOOD, None), (&origin("origin: http://EXAMPLE.com\r\n"), None)));
        assert!(!fires_hop(&RULE, (GOOD, None), ("GET /chat HTTP/1.1\r\nHost: a\r\nOrigin: http://exam", None)));
        assert!(!fires_hop(&RULE, (GOOD, None), ("GET /chat HTTP/1.1\r\nHost: a\r\n", None)));
        assert!(!fires_hop(&RULE, (&origin(""), None), (GOOD, None)));
    }
}
