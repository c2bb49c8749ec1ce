//! The list of subprotocols, or the one that was chosen, did not come through the hop as it was.

use crate::model::{AcceptVerdict, Direction, FaultClass, Outcome, Severity, Text};
use crate::rules::hop::answer::told;
use crate::rules::hop::asked::{HARD, REQUEST, answered, applies, breaks, members, more, sentence, show, whole};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::{HopView, Leg};
use crate::rules::response;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-subprotocol-changed",
    severity: Severity::Error,
    title: "a hop changed the subprotocols",
    about: "`Sec-WebSocket-Protocol` reached the hop with one list and left it with another, or the backend chose a \
        subprotocol and the client was told of none or of another.\n\n\
        A browser that asked for a subprotocol and gets none closes the socket, and every client must fail on one \
        that it did not ask for. A backend that needs one refuses where it is missing. Names heed letter case; \
        a list over several lines or in another order is the same list.\n\n\
        A warning where the client went on without, a note where it got one that it asked for.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2", "RFC 6455 §11.3.4"],
    causes: &[
        "the proxy passes on only fields of an allow-list, or clears this one",
        "the proxy ends the WebSocket itself and does not hand the subprotocol on",
    ],
    fix: Some(FaultClass::Fields),
    explains: FAILURES,
    symptom_of: HARD,
    check: Check::Hop(check),
};

const NAME: &str = "Sec-WebSocket-Protocol";

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    if applies(view) {
        of_request(view, out);
        of_response(view, out);
    }
}

fn of_request(view: &HopView<'_>, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    // A list may go on in another line as long as the head does.
    if !near.has(NAME) || !whole(view.near.x) || !whole(view.far.x) {
        return;
    }
    let (came, left) = (members(near, NAME), members(far, NAME));
    let changed = |from: &[Vec<u8>], to: &[Vec<u8>]| from.iter().any(|member| !to.contains(member));
    if !changed(&came, &left) && !changed(&left, &came) {
        return;
    }
    let what = if left.is_empty() {
        Text::own("forwarded the request without Sec-WebSocket-Protocol")
    } else {
        let came = near.combined(NAME).unwrap_or_default();
        let left = far.combined(NAME).unwrap_or_default();
        let what = Text::own("changed the list of subprotocols from ").field(NAME.as_bytes(), &came);
        what.say(" to ").field(NAME.as_bytes(), &left)
    };
    out.add(sentence(view, what))
        .severity(severity_of_request(view, &came))
        .expected(show(near, NAME))
        .found(show(far, NAME))
        .field(near, NAME, REQUEST)
        .field(far, NAME, REQUEST);
}

fn severity_of_request(view: &HopView<'_>, came: &[Vec<u8>]) -> Severity {
    let Some(granted) = view.near.x.granted() else {
        // What servers say that miss one; a backend that is away says 503.
        let minded = answered(view, &[400, 401, 403, 406, 426, 500]).is_some();
        return if minded { Severity::Error } else { Severity::Info };
    };
    let chosen = members(granted, NAME);
    if ends_websocket(view) || !chosen.is_empty() && more(&chosen, came).is_empty() {
        return Severity::Info;
    }
    without_one(view)
}

/// The client asked for a subprotocol and has a 101 without one.
fn without_one(view: &HopView<'_>) -> Severity {
    let x = view.near.x;
    let silent = x.ws.is_none_or(|ws| ws.client.frames == 0);
    if response::client_left_at_once(x) || x.from_browser() && silent { Severity::Error } else { Severity::Warning }
}

/// Whether the hop has a handshake of its own on each side: then it may speak otherwise there.
fn ends_websocket(view: &HopView<'_>) -> bool {
    let valid = |leg: &Leg<'_>| leg.x.is_stream() || leg.handshake.accept_verdict == AcceptVerdict::Valid;
    let bridges = view.near.x.is_stream() || view.far.x.is_stream();
    let other_key = bridges || view.near.x.key() != view.far.x.key();
    valid(&view.near) && valid(&view.far) && other_key
}

fn of_response(view: &HopView<'_>, out: &mut Findings<'_>) {
    const ANSWER: Direction = Direction::ServerToClient;
    let granted = |x: &crate::model::Exchange| x.granted().is_some();
    let (Some(near), Some(far)) = (&view.near.x.response, &view.far.x.response) else { return };
    let both = granted(view.near.x) && granted(view.far.x) && view.responses_whole();
    let (got, chosen) = (members(near, NAME), members(far, NAME));
    // A 101 that was made before this leg's answer is not this leg's.
    if !both || view.tried_again || got == chosen {
        return;
    }
    let asked = members(&view.near.x.request, NAME);
    let what = match (chosen.is_empty(), got.is_empty()) {
        // Nobody asked for it, so its loss mends a fault.
        (false, true) if asked.is_empty() => return,
        (false, true) => {
            let value = far.combined(NAME).unwrap_or_default();
            Text::own("passed the 101 on without the subprotocol ").field(NAME.as_bytes(), &value)
        }
        (true, _) => {
            let value = near.combined(NAME).unwrap_or_default();
            Text::own("added the subprotocol ").field(NAME.as_bytes(), &value).say(" to a 101 that has none")
        }
        _ => {
            let (from, to) = (far.combined(NAME).unwrap_or_default(), near.combined(NAME).unwrap_or_default());
            let what = Text::own("changed the chosen subprotocol from ").field(NAME.as_bytes(), &from);
            what.say(" to ").field(NAME.as_bytes(), &to)
        }
    };
    let foreign = !more(&got, &asked).is_empty();
    let severity = match (ends_websocket(view), got.is_empty()) {
        _ if foreign => {
            if view.near.outcome == Outcome::Upgraded {
                Severity::Warning
            } else {
                breaks(view)
            }
        }
        // Its client had asked for one, and would have none of that.
        (true, true) if without_one(view) == Severity::Error => Severity::Error,
        (true, _) => Severity::Info,
        (false, true) => without_one(view),
        (false, false) => Severity::Warning,
    };
    let found = out
        .add(told(&view.who(), what, far.at, Some(near.at)))
        .severity(severity)
        .expected(show(far, NAME))
        .found(show(near, NAME))
        .field(far, NAME, ANSWER)
        .field(near, NAME, ANSWER);
    if near.count(NAME) > far.count(NAME) && far.has(NAME) {
        found.cause(ADDED);
    }
}

const ADDED: &str = "a rule of the proxy adds the field to answers, beside the backend's own (add_header in nginx, http-response \
    add-header in HAProxy)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndHow, Exchange, Finding};
    use crate::rules::testing::{
        GOOD, KEY, REFUSED, With as _, changed, exchange, fires_hop, granted, run_hop, run_hop_of, with_line, words,
    };
    use crate::wire::accept::expected;

    fn asking(list: &str) -> String {
        with_line(&format!("Sec-WebSocket-Protocol: {list}"))
    }

    fn choosing(name: &str) -> String {
        granted().replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {name}\r\n\r\n"))
    }

    /// The client closes at once, without a frame.
    fn left(x: Exchange) -> Exchange {
        x.with(|x| {
            x.end.tcp_by = Some(REQUEST);
            x.end.tcp_how = EndHow::Fin;
            x.end.tcp_at = x.response.as_ref().map(|r| r.last);
        })
    }

    fn severities(found: &[Finding]) -> Vec<Severity> {
        found.iter().map(|f| f.severity).collect()
    }

    #[test]
    fn a_line_that_the_hop_adds_beside_the_backends_is_told_as_that() {
        let add = |head: &str| head.replacen("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n", 1);
        let (asked, answer) = (add(GOOD), add(&granted()));
        let twice = add(&answer);
        let found = run_hop(&RULE, (&asked, Some(&twice)), (&asked, Some(&answer)));
        assert_eq!(found[0].causes, [ADDED]);
    }

    #[test]
    fn a_lost_list_is_an_error_where_a_server_minds() {
        let found = run_hop(&RULE, (&asking("chat"), Some(REFUSED)), (GOOD, Some(REFUSED)));
        assert_eq!(severities(&found), [Severity::Error]);
        assert!(words(&found[0].message).contains(" forwarded the request without Sec-WebSocket-Protocol (packets"));
        let away = "HTTP/1.1 503 No\r\n\r\n";
        let found = run_hop(&RULE, (&asking("chat"), Some(away)), (GOOD, Some(away)));
        assert_eq!(severities(&found), [Severity::Info]);
    }

    #[test]
    fn a_lost_list_that_was_granted_is_as_bad_as_the_client_takes_it() {
        let far = || exchange(GOOD, Some(&granted()));
        let near = || exchange(&asking("chat"), Some(&granted()));
        assert_eq!(severities(&run_hop_of(&RULE, near(), far(), |_| {})), [Severity::Warning]);
        assert_eq!(severities(&run_hop_of(&RULE, left(near()), far(), |_| {})), [Severity::Error]);
    }

    #[test]
    fn a_narrower_list_of_which_one_is_chosen_is_a_note() {
        let (near, far, answer) = (asking("v1, v2"), asking("v2"), choosing("v2"));
        let found = run_hop(&RULE, (&near, Some(&answer)), (&far, Some(&answer)));
        assert_eq!(severities(&found), [Severity::Info]);
        assert!(words(&found[0].message).contains(" changed the list of subprotocols from v1, v2 to v2 (packets"));
    }

    #[test]
    fn a_choice_that_the_client_does_not_hear_of_is_found() {
        let asked = asking("v1, v2");
        let near = left(exchange(&asked, Some(&granted())));
        let found = run_hop_of(&RULE, near, exchange(&asked, Some(&choosing("v2"))), |_| {});
        assert_eq!(severities(&found), [Severity::Error]);
        assert!(words(&found[0].message).contains(" passed the 101 on without the subprotocol v2 (packets"));
        let found = run_hop(&RULE, (&asked, Some(&choosing("v1"))), (&asked, Some(&choosing("v2"))));
        assert_eq!(severities(&found), [Severity::Warning]);
        let found = run_hop(&RULE, (&asked, Some(&choosing("v1"))), (&asked, Some(&granted())));
        assert!(words(&found[0].message).contains(" added the subprotocol v1 to a 101 that has none (packets"));
    }

    #[test]
    fn a_proxy_with_a_handshake_of_its_own_may_speak_otherwise() {
        const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
        let answer = granted().replace(&expected(KEY.as_bytes()), &expected(OTHER.as_bytes()));
        let found = run_hop(&RULE, (&asking("chat"), Some(&choosing("chat"))), (&changed(KEY, OTHER), Some(&answer)));
        assert_eq!(severities(&found), [Severity::Info, Severity::Info]);
    }

    #[test]
    fn another_order_other_lines_and_no_list_at_all_are_right() {
        for far in ["b, a", "a\r\nsec-websocket-protocol: b", "a,b"] {
            assert!(!fires_hop(&RULE, (&asking("a, b"), None), (&asking(far), None)), "{far}");
        }
        assert!(fires_hop(&RULE, (&asking("a, b"), None), (&asking("A, b"), None)), "letter case counts");
        assert!(!fires_hop(&RULE, (GOOD, None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (&asking("a"), None), (&changed("\r\n\r\n", "\r\nX-"), None)), "not seen whole");
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&choosing("x")))), "nobody asked for it");
    }
}
