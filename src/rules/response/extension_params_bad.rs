//! `extension-params-bad`.

use super::support::{FROM_CLIENT, FROM_SERVER, show_field, websocket_heads};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::extensions::{self, Extension};

pub(super) static RULE: Rule = Rule {
    id: "extension-params-bad",
    severity: Severity::Error,
    title: "the parameters of the accepted extension are wrong",
    about: "An answer to permessage-deflate must fit one of the offers: client_max_window_bits only where it was \
        offered, no window larger than offered, values from 8 to 15, no parameter twice and none that RFC 7692 does \
        not know; what the client required must be agreed to. Otherwise a client must fail the connection (RFC 7692 \
        §7.1), because the two ends would disagree about how to inflate.",
    refs: &["RFC 7692 §7.1", "RFC 7692 §7.1.2.2", "RFC 6455 §9.1"],
    causes: &["the server sends its fixed parameters whatever was offered", "a hop changed the offer or the answer"],
    fix: Some(FaultClass::Comp),
    explains: &[Explains::Broken],
    symptom_of: &["extension-not-offered"],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Extensions";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((request, granted)) = websocket_heads(x) else { return };
    let Some(accepted) = granted.combined(NAME) else { return };
    let offered = extensions::parse(&request.combined(NAME).unwrap_or_default()).unwrap_or_default();
    let Some(why) = fault(&accepted, &offered) else { return };
    out.add(Text::own(format!("The server's answer to the offered extensions is wrong: {why}.")))
        .expected(show_field(request, NAME))
        .found(show_field(granted, NAME))
        .field(granted, NAME, FROM_SERVER)
        .field(request, NAME, FROM_CLIENT);
}

fn fault(accepted: &[u8], offered: &[Extension]) -> Option<String> {
    let accepted = match extensions::parse(accepted) {
        Ok(accepted) => accepted,
        Err(why) => return Some(why.to_owned()),
    };
    let mut deflate = accepted.iter().filter(|e| e.is_deflate());
    let answer = deflate.next()?;
    if deflate.next().is_some() {
        return Some("permessage-deflate is accepted twice".to_owned());
    }
    if let Some(why) = extensions::bad_deflate_answer(answer) {
        return Some(why);
    }
    // One offer that it fits is enough; without any offer another rule speaks.
    let mut first = None;
    for offer in offered.iter().filter(|e| e.is_deflate()) {
        match extensions::unfit_deflate_answer(offer, answer) {
            None => return None,
            Some(why) => {
                first.get_or_insert(why);
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    fn found(offer: &str, answer: &str) -> Vec<String> {
        let asked = ask(&format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        slugs(&RULE, &exchange(&asked, Some(&grant(&format!("Sec-WebSocket-Extensions: {answer}\r\n")))))
    }

    #[test]
    fn answers_that_fit_no_offer_are_found() {
        for (offer, answer) in [
            ("permessage-deflate", "permessage-deflate; client_max_window_bits=15"),
            ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=12"),
            ("permessage-deflate", "permessage-deflate; server_max_window_bits=16"),
            ("permessage-deflate", "permessage-deflate; magic"),
            ("permessage-deflate", "permessage-deflate, permessage-deflate"),
            ("permessage-deflate", "permessage-deflate; ="),
        ] {
            assert_eq!(found(offer, answer), ["extension-params-bad"], "{offer} / {answer}");
        }
    }

    #[test]
    fn answers_that_fit_an_offer_are_fine() {
        for (offer, answer) in [
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15"),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
            ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ] {
            assert!(found(offer, answer).is_empty(), "{offer} / {answer}");
        }
    }
}
