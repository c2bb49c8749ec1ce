//! The two legs of a hop agreed on other extensions.

use crate::model::{AcceptVerdict, FaultClass, Severity, Text};
use crate::rules::hop::answer::{ANSWER, both_granted, passes_on, sentence};
use crate::rules::hop::extensions::accepted;
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-extensions-response-changed",
    severity: Severity::Warning,
    title: "a hop changed the extensions that its backend accepted",
    about: "The 101 that the client got names other extensions or parameters than the 101 of the backend. Each end \
        goes by its own: as soon as one of them compresses, the other cannot read it.\n\nA hop that ends the \
        WebSocket by itself, with a key of its own and an accept that fits on each side, may do so. Once compressed \
        frames show the harm, this is `hop-extensions-split`.",
    refs: &["RFC 6455 §9.1", "RFC 7692 §5"],
    causes: &[
        "the proxy removes Sec-WebSocket-Extensions from the answer instead of from the request",
        "a list of allowed fields of the proxy lacks Sec-WebSocket-Extensions",
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &["hop-extensions-split"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((far, near)) = both_granted(view).filter(|_| passes_on(view) && view.requests_whole()) else { return };
    if ends_websocket(view) || accepted(far) == accepted(near) {
        return;
    }
    let name = "Sec-WebSocket-Extensions";
    let show = |head: &crate::model::Head| match head.combined("sec-websocket-extensions") {
        Some(value) => Text::own(format!("{name}: ")).field(name.as_bytes(), &value),
        None => Text::own(format!("no {name}")),
    };
    out.add(sentence(view, Text::own("handed on other extensions than its backend accepted")))
        .expected(show(far))
        .found(show(near))
        .field(far, "sec-websocket-extensions", ANSWER)
        .field(near, "sec-websocket-extensions", ANSWER);
}

/// Whether the hop speaks WebSocket by itself on each side: another key, and both accepts fit.
fn ends_websocket(view: &HopView<'_>) -> bool {
    let legs = [view.near.handshake, view.far.handshake];
    view.near.x.key() != view.far.x.key() && legs.iter().all(|h| h.accept_verdict == AcceptVerdict::Valid)
}

#[cfg(test)]
mod tests {
    use super::super::extensions_split::tests::{DEFLATE, leg};
    use super::*;
    use crate::rules::testing::{GOOD, KEY, changed, exchange, granted, run_hop_of};
    use crate::wire::accept;

    #[test]
    fn extensions_that_are_gone_new_or_have_other_parameters_are_found() {
        for (near, far) in [("", DEFLATE), (DEFLATE, ""), ("permessage-deflate", DEFLATE)] {
            assert_eq!(run_hop_of(&RULE, leg(near, false), leg(far, false), |_| {}).len(), 1, "{near} {far}");
        }
    }

    #[test]
    fn the_same_in_other_letters_and_a_hop_that_ends_websocket_are_right() {
        let other = DEFLATE.to_uppercase().replace("; ", ";");
        assert!(run_hop_of(&RULE, leg(&other, false), leg(DEFLATE, false), |_| {}).is_empty());
        let key = "AAECAwQFBgcICQoLDA0ODw==";
        let answer = granted().replace(&accept::expected(KEY.as_bytes()), &accept::expected(key.as_bytes()));
        let far = exchange(&changed(KEY, key), Some(&answer));
        assert_ne!(exchange(GOOD, None).request.text, far.request.text);
        assert!(run_hop_of(&RULE, leg(DEFLATE, false), far, |_| {}).is_empty());
    }
}
