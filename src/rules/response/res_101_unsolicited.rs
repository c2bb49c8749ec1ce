//! `res-101-unsolicited`.

use super::support::{FROM_CLIENT, FROM_SERVER, show_field, whole_request, whole_response};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-unsolicited",
    severity: Severity::Error,
    title: "a 101 that nobody asked for",
    about: "A server may switch only to a protocol that the request offered in its Upgrade field (RFC 9110 §7.8). \
        A proxy that did not ask will not tunnel what follows: Apache and Squid answer 502, nginx passes the status \
        on and relays nothing after it.\n\nIt is usually the other half of a stripped Upgrade: a lenient server \
        looks at Sec-WebSocket-Key alone.",
    refs: &["RFC 9110 §7.8", "RFC 9110 §15.2.2"],
    causes: &[
        "a hop nearer the client dropped Upgrade, and the server decides by Sec-WebSocket-Key alone",
        "the server switches to a protocol of its own choice",
    ],
    fix: Some(FaultClass::Fwd),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &[
        "hop-downgraded-http10",
        "hop-rewrote-upgrade-value",
        "hop-stripped-sec",
        "hop-stripped-upgrade",
        "req-orphan-key",
        "upgrade-value-wrong",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(request), Some(granted)) = (whole_request(x), whole_response(x)) else { return };
    if granted.status() != Some(101) {
        return;
    }
    // What a 101 to `Upgrade: websocket` must say is judged by res-upgrade-*.
    if request.upgrades_to_websocket() {
        return;
    }
    let offered = request.tokens("upgrade");
    let chosen = granted.tokens("upgrade");
    let text = if x.is_websocket() {
        Text::own("The server answered 101 although the request does not offer websocket in an Upgrade field.")
    } else if offered.is_empty() {
        Text::own("The server answered 101 although the request has no Upgrade field.")
    } else if let Some(odd) = chosen.first().filter(|_| !chosen.iter().any(|c| offered.contains(c))) {
        // Beside what was offered may stand what is spoken inside it: `TLS/1.0, HTTP/1.1` (RFC 2817 §3.3).
        Text::own("The server's 101 switches to ").bytes(odd).say(", which the request did not offer.")
    } else {
        return;
    };
    out.add(text)
        .expected(show_field(request, "Upgrade").say(" in both heads"))
        .found(show_field(granted, "Upgrade").say(" in the 101"))
        .field(granted, "upgrade", FROM_SERVER)
        .field(request, "upgrade", FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_101_to_a_request_without_the_offer_is_found() {
        let x = exchange(&without(ASK, "Upgrade"), Some(GRANT));
        assert_eq!(slugs(&RULE, &x), ["res-101-unsolicited"]);
        let plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(slugs(&RULE, &exchange(plain, Some(GRANT))), ["res-101-unsolicited"]);
        let spdy = "POST /exec HTTP/1.1\r\nHost: x\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(slugs(&RULE, &exchange(spdy, Some(GRANT))), ["res-101-unsolicited"]);
    }

    #[test]
    fn the_offered_protocol_is_fine_whatever_it_is() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let spdy = "POST /exec HTTP/1.1\r\nHost: x\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n";
        let granted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: spdy/3.1\r\nConnection: Upgrade\r\n\r\n";
        assert!(slugs(&RULE, &exchange(spdy, Some(granted))).is_empty());
        let mut unseen = exchange(&without(ASK, "Upgrade"), Some(GRANT));
        unseen.quality.request_gap = true;
        assert!(slugs(&RULE, &unseen).is_empty());
    }
}
