//! The key went through unchanged, the accept did not come back so.

use crate::model::{AcceptVerdict, Direction, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, both_granted, passes_on, sentence, value};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-accept-changed",
    severity: Severity::Error,
    title: "a hop replaced Sec-WebSocket-Accept by another value",
    about: "Both legs have the same key, so both must have the same accept; the hop handed on another one than it \
        got. It computes the accept by itself, keeps that of another request, or alters the field.\n\nWhere the \
        backend's accept was wrong and the hop's is right, the hop mended it, and this is only a note.",
    refs: &["RFC 6455 §4.2.2", "RFC 6455 §4.1"],
    causes: &[
        "the proxy answers the handshake by itself and computes the accept wrongly",
        "the proxy handed on the 101 of another request, from a cache or a mixed-up connection",
        "something rewrites values of fields: letter case, encoding, length",
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Broken],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((far, near)) = both_granted(view).filter(|_| passes_on(view) && view.requests_whole()) else { return };
    let key = |of: &crate::model::Exchange| value(&of.request, "sec-websocket-key").map(<[u8]>::to_vec);
    let (Some(came), Some(left)) = (value(far, "sec-websocket-accept"), value(near, "sec-websocket-accept")) else {
        return;
    };
    if came == left || key(view.near.x).is_none() || key(view.near.x) != key(view.far.x) {
        return;
    }
    let mended = view.near.handshake.accept_verdict == AcceptVerdict::Valid;
    let did = if mended {
        "replaced the backend's wrong Sec-WebSocket-Accept by the right one"
    } else {
        "handed on another Sec-WebSocket-Accept than the backend sent, although the key is the same"
    };
    out.add(sentence(view, Text::own(did)))
        .severity(if mended { Severity::Info } else { Severity::Error })
        .expected(Text::new().field(b"Sec-WebSocket-Accept", came))
        .found(Text::new().field(b"Sec-WebSocket-Accept", left))
        .field(&view.near.x.request, "sec-websocket-key", Direction::ClientToServer)
        .field(far, "sec-websocket-accept", ANSWER)
        .field(near, "sec-websocket-accept", ANSWER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted, run_hop, words};

    fn wrong() -> String {
        granted().replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x")
    }

    #[test]
    fn another_accept_for_the_same_key_is_found() {
        let found = run_hop(&RULE, (GOOD, Some(&wrong())), (GOOD, Some(&granted())));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
        assert!(words(&found[0].message).ends_with("although the key is the same (packets 6 → 6)."));
        assert_eq!(found[0].evidence.len(), 3);
    }

    #[test]
    fn a_hop_that_mends_a_wrong_accept_is_only_noted() {
        let found = run_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&wrong())));
        assert_eq!(found[0].severity, Severity::Info);
    }

    #[test]
    fn the_same_accept_another_key_and_a_lost_accept_are_no_case_of_it() {
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&granted()))));
        let other = changed("aG9w", "bG9w");
        assert!(!fires_hop(&RULE, (GOOD, Some(&wrong())), (&other, Some(&granted()))));
        let lost = granted().replace("Sec-WebSocket-Accept", "X-Accept");
        assert!(!fires_hop(&RULE, (GOOD, Some(&lost)), (GOOD, Some(&granted()))), "accept-missing says so");
    }
}
