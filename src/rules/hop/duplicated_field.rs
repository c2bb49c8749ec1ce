//! A field left the hop more often than it came.

use crate::model::{FaultClass, Head, Outcome, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, listed, more, sentence, show, whole};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-duplicated-field",
    severity: Severity::Warning,
    title: "a hop wrote a field of the handshake twice",
    about: "The request left the hop with more lines of `Host`, `Sec-WebSocket-Key` or `Sec-WebSocket-Version` than \
        it came with, or with a member of `Upgrade`, `Connection`, `Sec-WebSocket-Protocol` or \
        `Sec-WebSocket-Extensions` repeated. The proxy added its own instead of replacing what was there.\n\n\
        Servers must refuse two `Host` lines and two keys with 400. A repeated token is read as one by some and \
        refused by others. A list that is merely spread over more or fewer lines is the same list.",
    refs: &["RFC 9110 §5.3", "RFC 9112 §3.2", "RFC 6455 §11.3.1"],
    causes: &[
        "two layers of the proxy's configuration add the field each",
        "a bridge from HTTP/2 adds a key of its own to the one that it was sent",
    ],
    fix: Some(FaultClass::Fields),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

/// Fields of which a request has one line.
const SINGLE: [&str; 3] = ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version"];

/// Lists, and whether their members ignore letter case.
const LISTS: [(&str, bool); 4] =
    [("Upgrade", true), ("Connection", true), ("Sec-WebSocket-Protocol", false), ("Sec-WebSocket-Extensions", true)];

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // How often it came is known only of a whole head.
    if !applies(view) || !whole(view.near.x) {
        return;
    }
    let lines: Vec<&'static str> =
        SINGLE.iter().copied().filter(|name| far.count(name) > near.count(name).max(1)).collect();
    // A token twice says no more than once, to all that do not refuse it.
    let harmless = lines.is_empty() && view.near.outcome == Outcome::Upgraded;
    let lists = LISTS.iter().filter(|(name, any_case)| repeats(near, far, name, *any_case)).map(|(name, _)| *name);
    let names: Vec<&'static str> = lines.into_iter().chain(lists).collect();
    let Some(&first) = names.first() else { return };
    let mut found = out
        .add(sentence(view, Text::own(format!("wrote {} more often than it came", listed(&names)))))
        .severity(if harmless { Severity::Info } else { Severity::Warning })
        .expected(show(near, first))
        .found(show(far, first));
    for name in names {
        found = found.field(near, name, REQUEST).field(far, name, REQUEST);
    }
}

/// Whether a member of the list stands in it several times, and more often than it came.
fn repeats(near: &Head, far: &Head, name: &str, any_case: bool) -> bool {
    let members = |head: &Head| if any_case { head.tokens(name) } else { head.members(name) };
    if far.count_members(name) < 2 {
        return false;
    }
    let left = members(far);
    more(&left, &members(near)).iter().any(|surplus| left.iter().filter(|m| m.as_slice() == *surplus).count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted, run_hop, with_line, words};

    #[test]
    fn a_second_line_or_member_is_found() {
        for (line, name) in [
            ("Host: 10.0.0.1", "Host"),
            ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Key"),
            ("sec-websocket-version: 13", "Sec-WebSocket-Version"),
            ("Upgrade: websocket", "Upgrade"),
            ("connection: upgrade", "Connection"),
        ] {
            let found = run_hop(&RULE, (GOOD, None), (&with_line(line), None));
            assert!(words(&found[0].message).contains(&format!(" wrote {name} more often than it came")), "{line}");
        }
        let near = with_line("Sec-WebSocket-Extensions: a; b");
        let far = near.replace("a; b", "a; b, a; b");
        assert!(fires_hop(&RULE, (&near, None), (&far, None)));
    }

    #[test]
    fn a_list_over_several_lines_and_new_members_are_no_repetition() {
        let near =
            with_line("Sec-WebSocket-Protocol: a, b").replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        let far = near
            .replace("Protocol: a, b", "Protocol: a\r\nSec-WebSocket-Protocol: b")
            .replace("keep-alive, Upgrade", "TE\r\nConnection: upgrade\r\nConnection: close");
        assert!(!fires_hop(&RULE, (&near, None), (&far, None)));
        assert!(!fires_hop(&RULE, (&far, None), (&near, None)));
    }

    #[test]
    fn what_came_twice_may_leave_twice() {
        let twice = with_line("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==");
        assert!(!fires_hop(&RULE, (&twice, None), (&twice, None)));
        let cut = changed("\r\n\r\n", "\r\nX-");
        assert!(!fires_hop(&RULE, (&cut, None), (&twice, None)), "the rest of the near head was not seen");
    }

    #[test]
    fn a_repeated_token_that_was_granted_is_a_note_and_a_second_key_is_not() {
        let severity = |line: &str| run_hop(&RULE, (GOOD, Some(&granted())), (&with_line(line), None))[0].severity;
        assert_eq!(severity("connection: upgrade"), Severity::Info);
        assert_eq!(severity("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), Severity::Warning);
    }

    #[test]
    fn a_field_that_the_hop_adds_once_is_no_repetition() {
        let near = changed("Host: example.com\r\n", "");
        assert!(!fires_hop(&RULE, (&near, None), (GOOD, None)));
    }
}
