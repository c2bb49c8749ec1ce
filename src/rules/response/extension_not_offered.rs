//! `extension-not-offered`.

use super::support::{FROM_CLIENT, FROM_SERVER, show_field, websocket_heads};
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::extensions;

pub(super) static RULE: Rule = Rule {
    id: "extension-not-offered",
    severity: Severity::Error,
    title: "the server uses an extension that was not offered",
    about: "A server may accept only extensions that the request lists; with another one a client must fail the \
        connection (RFC 6455 §4.1, §9.1). It would not understand the frames: a compressed message reads as garbage \
        or as a protocol error.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §9.1"],
    causes: &[
        "the server turns compression on without looking at the offer",
        "a hop removed Sec-WebSocket-Extensions from the request but not from the 101",
    ],
    fix: Some(FaultClass::Comp),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Exchange(check),
};

const NAME: &str = "Sec-WebSocket-Extensions";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((request, granted)) = websocket_heads(x) else { return };
    let Some(accepted) = granted.combined(NAME) else { return };
    let Ok(accepted) = extensions::parse(&accepted) else { return };
    // An offer that breaks the grammar still shows the names that it means.
    let offered = request.members(NAME);
    let is_offered = |name: &[u8]| {
        offered.iter().any(|o| {
            let end = o.iter().position(|&b| b == b';').unwrap_or(o.len());
            o.get(..end).unwrap_or_default().trim_ascii().eq_ignore_ascii_case(name)
        })
    };
    let Some(odd) = accepted.iter().find(|e| !is_offered(&e.name)) else { return };
    let text = Text::own("The server's 101 turns on the extension ").bytes(&odd.name);
    let end = if offered.is_empty() { ", but the client offered none." } else { ", which the client did not offer." };
    out.add(text.say(end))
        .expected(show_field(request, NAME))
        .found(show_field(granted, NAME))
        .field(granted, NAME, FROM_SERVER)
        .field(request, NAME, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn an_extension_that_nobody_offered_is_found() {
        let granted = grant("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        assert_eq!(slugs(&RULE, &exchange(ASK, Some(&granted))), ["extension-not-offered"]);
        let asked = ask("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n");
        assert_eq!(slugs(&RULE, &exchange(&asked, Some(&granted))), ["extension-not-offered"]);
    }

    #[test]
    fn an_offered_extension_and_fewer_than_offered_are_fine() {
        let asked = ask("Sec-WebSocket-Extensions: foo; a=\"1\", permessage-deflate; client_max_window_bits\r\n");
        let granted = grant("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        assert!(slugs(&RULE, &exchange(&asked, Some(&granted))).is_empty());
        assert!(slugs(&RULE, &exchange(&asked, Some(GRANT))).is_empty());
    }
}
