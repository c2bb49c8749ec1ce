//! The handshake of 2010.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "legacy-hixie",
    severity: Severity::Info,
    title: "the client speaks the old Hixie-76 protocol",
    about: "`Sec-WebSocket-Key1` and `Sec-WebSocket-Key2`, with eight bytes behind the head, are the \
        handshake of draft Hixie-76 of 2010, another protocol than RFC 6455. Present servers refuse it. The \
        rules for RFC 6455 are not applied to it.",
    refs: &["draft-hixie-thewebsocketprotocol-76"],
    causes: &["a browser or library of 2010 and 2011", "an industrial device with old software"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if facts::is_hixie(x) {
        out.add(Text::own(
            "The client speaks the Hixie-76 draft of 2010 (Sec-WebSocket-Key1 and -Key2), not RFC 6455.",
        ))
        .found(Text::own("Hixie-76"))
        .field(&x.request, "sec-websocket-key1", REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;
    use crate::rules::testing::{GOOD, exchange, fires, run};

    const HIXIE: &str = "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n^n:ds[4U";

    #[test]
    fn the_old_handshake_is_told_and_no_other_rule_judges_it() {
        let x = exchange(HIXIE, None);
        assert!(fires(&RULE, &x));
        for rule in crate::rules::request::RULES.iter().filter(|r| r.check.of_exchange().is_some()) {
            assert!(run(rule, &x).iter().all(|f| f.severity == Severity::Info), "{}", rule.id);
        }
    }

    #[test]
    fn rfc_6455_is_not_hixie() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
