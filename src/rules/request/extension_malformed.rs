//! An offer of extensions that is malformed.

use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::request::extension_list;
use crate::rules::request::facts::{self, FAILURES, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-extension-malformed",
    severity: Severity::Error,
    title: "the offer of extensions is malformed",
    about: "`Sec-WebSocket-Extensions` lists extensions with their parameters. A server that meets what \
        does not follow the grammar must fail the handshake; with permessage-deflate it must also turn down \
        a parameter given twice, a window outside 8 to 15 bits, and a value where none belongs.",
    refs: &["RFC 6455 §9.1", "RFC 7692 §5", "RFC 7692 §7.1"],
    causes: &["a client that writes the offer by hand", "a proxy that rewrites or cuts the field"],
    fix: Some(FaultClass::Client),
    explains: FAILURES,
    symptom_of: &["hop-extensions-request-changed"],
    check: Check::Exchange(check),
};

const NAME: &[u8] = b"Sec-WebSocket-Extensions";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(offer) = x.request.combined("sec-websocket-extensions") else { return };
    if !facts::is_attempt(x) {
        return;
    }
    let Some(fault) = extension_list::fault(&offer) else { return };
    out.add(Text::own("The offer of extensions ").say(fault.why).say(": ").field(NAME, &fault.part).say("."))
        .severity(facts::severity(x))
        .expected(Text::own("an offer such as permessage-deflate; client_max_window_bits"))
        .found(Text::new().field(NAME, &offer))
        .field(&x.request, "sec-websocket-extensions", REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, with_line};

    #[test]
    fn a_malformed_offer_is_found() {
        let line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16";
        assert!(fires(&RULE, &exchange(&with_line(line), None)));
    }

    #[test]
    fn a_usual_offer_is_right() {
        let line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
        assert!(!fires(&RULE, &exchange(&with_line(line), None)));
    }
}
