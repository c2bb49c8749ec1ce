//! An extension from before RFC 7692.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::{self, REQUEST};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "req-extension-legacy",
    severity: Severity::Info,
    title: "the client offers an extension that was never standardised",
    about: "`x-webkit-deflate-frame`, `deflate-frame` and `mux` were drafts. Old Safari offers the first. \
        A server ignores what it does not know, so this does no harm; a server that accepts it is worth a \
        look.",
    refs: &["RFC 6455 §9.1"],
    causes: &["an old Safari"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !facts::is_attempt(x) {
        return;
    }
    let legacy = x.request.tokens("sec-websocket-extensions").into_iter().find_map(|member| {
        let name = member.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        ["x-webkit-deflate-frame", "deflate-frame", "mux"].into_iter().find(|known| name == known.as_bytes())
    });
    if let Some(name) = legacy {
        out.add(Text::own(format!("The client offers {name}, an extension that was never standardised.")))
            .found(Text::own(name))
            .field(&x.request, "sec-websocket-extensions", REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, with_line};

    #[test]
    fn drafts_are_named() {
        let line = "Sec-WebSocket-Extensions: permessage-deflate, X-Webkit-Deflate-Frame; no_context_takeover";
        assert!(fires(&RULE, &exchange(&with_line(line), None)));
    }

    #[test]
    fn the_standard_extension_is_not() {
        assert!(!fires(&RULE, &exchange(&with_line("Sec-WebSocket-Extensions: permessage-deflate; mux"), None)));
    }
}
