//! Another key left the hop than came.

use crate::model::{AcceptVerdict, FaultClass, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{REQUEST, applies, sentence, show, value};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-key-changed",
    severity: Severity::Error,
    title: "a hop changed Sec-WebSocket-Key",
    about: "Both legs have a key, and they differ. A proxy that ends the WebSocket itself and opens one of its own \
        towards the backend does that rightly: then the accept of each leg fits the key of that leg, and this is a \
        note.\n\n\
        A proxy that passes the accept of the backend on must pass the key on as it is, byte for byte. A key that \
        was cut, decoded or trimmed on the way gets an accept that the client must reject.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.2"],
    causes: &[
        "the proxy writes a key of its own and passes on the accept that the backend made of it",
        "the proxy changes the key's text (white space, padding, letter case) on the way",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Refused, Explains::Broken, Explains::Unanswered],
    symptom_of: &["hop-accept-not-translated", "hop-duplicated-field"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    const NAME: &str = "Sec-WebSocket-Key";
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let (Some(came), Some(left)) = (value(near, NAME), value(far, NAME)) else { return };
    // Beside the key that came, another one is hop-duplicated-field.
    if !applies(view) || came == left || far.lines(NAME).any(|field| far.value(field) == came) {
        return;
    }
    let (verdict, behind) = (view.near.handshake.accept_verdict, view.far.handshake.accept_verdict);
    // A good key that became none is no proxy's own.
    let spoilt = is_key(came) && !is_key(left);
    let (severity, end) = match (verdict, behind) {
        (AcceptVerdict::Valid, AcceptVerdict::Valid) => (Severity::Info, "; each leg's accept fits its own key"),
        (AcceptVerdict::Valid, _) => (Severity::Info, "; the client's accept fits the client's key"),
        (AcceptVerdict::Invalid, AcceptVerdict::Valid) => {
            (Severity::Error, "; the backend's accept fits that one, and the client's accept does not fit its own")
        }
        _ if spoilt => (Severity::Error, ", and what left is no key"),
        // An accept that is wrong behind the hop already, or none at all: nothing shows that it does harm.
        _ => (Severity::Info, ""),
    };
    let what = Text::own("changed Sec-WebSocket-Key from ").field(NAME.as_bytes(), came).say(" to ");
    out.add(sentence(view, what.field(NAME.as_bytes(), left).say(end)))
        .severity(severity)
        .expected(show(near, NAME))
        .found(show(far, NAME))
        .field(near, NAME, REQUEST)
        .field(far, NAME, REQUEST);
}

/// Whether this looks like base64 of 16 bytes (RFC 6455 §4.1).
fn is_key(value: &[u8]) -> bool {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    value.strip_suffix(b"==").is_some_and(|body| body.len() == 22 && body.iter().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, KEY, REFUSED, changed, fires_hop, granted, run_hop, words};
    use crate::wire::accept::expected;

    const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

    fn keyed(key: &str) -> String {
        changed(KEY, key)
    }

    fn granted_to(key: &str) -> String {
        granted().replace(&expected(KEY.as_bytes()), &expected(key.as_bytes()))
    }

    fn severity(near: Option<&str>, key: &str, far: Option<&str>) -> Severity {
        run_hop(&RULE, (GOOD, near), (&keyed(key), far))[0].severity
    }

    #[test]
    fn a_proxy_with_a_handshake_of_its_own_on_each_leg_is_a_note() {
        assert_eq!(severity(Some(&granted()), OTHER, Some(&granted_to(OTHER))), Severity::Info);
        assert_eq!(severity(Some(REFUSED), OTHER, Some(REFUSED)), Severity::Info);
    }

    #[test]
    fn a_client_that_gets_the_accept_of_another_key_is_an_error() {
        let trimmed = KEY.trim_end_matches('=');
        for key in [OTHER, trimmed] {
            let theirs = granted_to(key);
            assert_eq!(severity(Some(&theirs), key, Some(&theirs)), Severity::Error);
        }
        let found = run_hop(&RULE, (GOOD, Some(REFUSED)), (&keyed(trimmed), Some(REFUSED)));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(words(&found[0].message).contains(", and what left is no key (packets"));
    }

    #[test]
    fn an_accept_that_is_wrong_behind_the_hop_is_not_the_hops() {
        let wrong = granted().replace(&expected(KEY.as_bytes()), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(severity(Some(&wrong), OTHER, Some(&wrong)), Severity::Info);
    }

    #[test]
    fn the_same_key_one_that_is_cut_and_one_beside_it_are_left_alone() {
        assert!(!fires_hop(&RULE, (GOOD, None), (&GOOD.replace("Sec-WebSocket", "sec-websocket"), None)));
        let cut = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: aG9wc2Nv";
        assert!(!fires_hop(&RULE, (GOOD, None), (cut, None)));
        let two = changed("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {OTHER}\r\nSec-WebSocket-Key"));
        assert!(!fires_hop(&RULE, (GOOD, None), (&two, None)));
    }
}
