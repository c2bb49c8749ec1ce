//! No subprotocol is offered to a server that takes nobody without one.

use crate::base::limits;
use crate::model::{Confidence, Exchange, FaultClass, Severity, Text};
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::seen::path;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-subprotocol-missing",
    severity: Severity::Error,
    title: "no subprotocol is offered where only those who offer one are let in",
    about: "Some servers speak their subprotocol and nothing else: brokers of MQTT and STOMP, XMPP, OCPP, GraphQL. \
        They refuse whoever does not offer it in `Sec-WebSocket-Protocol`, often with a status that says nothing \
        of that. Told where the same server granted upgrades of the same path to those that offered a subprotocol, \
        to nobody without, and refused nobody who did.",
    refs: &["RFC 6455 §1.9", "RFC 6455 §4.1"],
    causes: &[
        "the client does not name the subprotocol: the second argument of `new WebSocket(url, protocols)`, or an option of its library",
        "something before this place of capture removed the field",
    ],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-subprotocol-changed", "hop-stripped-sec"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    const NAME: &str = "sec-websocket-protocol";
    let refused = x.status().is_some_and(may_be_about_it);
    if !refused || x.request.has(NAME) || !facts::is_attempt(x) {
        return;
    }
    let asked = path(x.request.target());
    let mut granted = None;
    for other in seen.attempts().take(limits::SEEN_COMPARED) {
        let same = (other.server, other.server_port) == (x.server.ip, x.server.port) && path(other.target()) == asked;
        if other.id == x.id || !same {
            continue;
        }
        match (other.offers(), other.granted) {
            (true, true) => granted = granted.or(Some(other.packet)),
            (false, false) => {}
            // Then it is something else.
            (false, true) | (true, false) => return,
        }
    }
    let Some(granted) = granted else { return };
    out.add(
        Text::own("The request offers no subprotocol; whoever was let in at this path offered one (")
            .packets([granted])
            .say("), and nobody without was."),
    )
    .confidence(Confidence::Likely)
    .expected(Text::own("Sec-WebSocket-Protocol with what the server speaks"))
    .found(Text::own("no such field"))
    .start_line(&x.request, REQUEST);
}

/// Whether servers answer so to those without a subprotocol: not where credentials, limits or backends are what it is
/// about.
fn may_be_about_it(code: u16) -> bool {
    matches!(code, 400 | 403..=406 | 412 | 415 | 422 | 426 | 500 | 501)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, granted, run_seen};

    #[test]
    fn it_is_told_only_where_all_who_offer_are_let_in_and_nobody_else() {
        let offering = GOOD.replacen("\r\n\r\n", "\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n", 1);
        let refused = "HTTP/1.1 501 Not Implemented\r\n\r\n";
        let told = |status: &str, others: &[(&str, &str)]| {
            let mut seen = Seen::default();
            for (at, (request, answer)) in others.iter().enumerate() {
                let mut other = exchange(request, Some(answer));
                other.id = crate::base::ExchangeId(100 + at as u64);
                seen.learn(&other, false);
            }
            !run_seen(&RULE, &exchange(GOOD, Some(status)), &seen).is_empty()
        };
        let ok = granted();
        assert!(told(refused, &[(&offering, &ok), (GOOD, refused)]));
        assert!(!told(refused, &[(&offering, &ok), (GOOD, &ok)]));
        assert!(!told(refused, &[(&offering, &ok), (&offering, refused)]));
        assert!(!told(refused, &[(GOOD, refused)]));
        assert!(!told("HTTP/1.1 401 Unauthorized\r\n\r\n", &[(&offering, &ok)]));
        assert!(!told(refused, &[(&offering.replace("/chat", "/other"), &ok)]));
    }
}
