//! The hop has a key of its own behind it and hands on the accept that belongs to that one.

use crate::model::{Direction, Severity, Text};
use crate::rules::hop::answer::{ANSWER, granted, passes_on, sentence, value};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::accept;

pub(super) static RULE: Rule = Rule {
    id: "hop-accept-not-translated",
    severity: Severity::Error,
    title: "a hop handed on the accept of its own key",
    about: "The hop asked the backend with another key than the client's and handed the backend's accept on as it \
        was. It is right for the hop's key and wrong for the client's, which must fail the connection.\n\nA hop may \
        use a key of its own; then it must compute the accept for its client by itself.",
    refs: &["RFC 6455 §4.2.2", "RFC 6455 §4.1"],
    causes: &[
        "the proxy makes a new key for the next leg and relays the 101 unchanged",
        "the proxy cuts, decodes or re-encodes the key on its way",
    ],
    fix: None,
    explains: &[Explains::Broken],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    if !passes_on(view) || !view.requests_whole() {
        return;
    }
    let Some(near) = granted(view.near.x) else { return };
    let keys = (value(&view.near.x.request, "sec-websocket-key"), value(&view.far.x.request, "sec-websocket-key"));
    let ((Some(own), Some(other)), Some(found)) = (keys, value(near, "sec-websocket-accept")) else { return };
    if own == other || found != accept::expected(other).as_bytes() {
        return;
    }
    let did = "asked with another key than its client's and handed on the accept that belongs to its own key";
    out.add(sentence(view, Text::own(did)))
        .expected(Text::new().field(b"Sec-WebSocket-Accept", accept::expected(own).as_bytes()))
        .found(Text::new().field(b"Sec-WebSocket-Accept", found))
        .field(&view.near.x.request, "sec-websocket-key", Direction::ClientToServer)
        .field(&view.far.x.request, "sec-websocket-key", Direction::ClientToServer)
        .field(near, "sec-websocket-accept", ANSWER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, KEY, changed, fires_hop, granted, run_hop};

    const OTHER: &str = "AAECAwQFBgcICQoLDA0ODw==";

    fn answer(key: &str) -> String {
        granted().replace(&accept::expected(KEY.as_bytes()), &accept::expected(key.as_bytes()))
    }

    #[test]
    fn the_accept_of_the_far_key_on_the_near_leg_is_found() {
        let other = changed(KEY, OTHER);
        let found = run_hop(&RULE, (GOOD, Some(&answer(OTHER))), (&other, Some(&answer(OTHER))));
        assert_eq!((found.len(), found[0].evidence.len()), (1, 3));
        let trimmed = changed(KEY, KEY.trim_end_matches('='));
        let accept = answer(KEY.trim_end_matches('='));
        assert!(fires_hop(&RULE, (GOOD, Some(&accept)), (&trimmed, Some(&accept))));
    }

    #[test]
    fn a_hop_with_its_own_key_that_translates_and_one_with_the_same_key_are_right() {
        let other = changed(KEY, OTHER);
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (&other, Some(&answer(OTHER)))));
        assert!(!fires_hop(&RULE, (GOOD, Some(&granted())), (GOOD, Some(&granted()))));
    }
}
