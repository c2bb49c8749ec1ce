//! What answers that refuse and Close frames say: in words of their own (`answers.toml`), and by their code
//! (`closes.toml`).

use std::sync::OnceLock;

use memchr::memmem;

use super::data::{Says, SaysClose, SaysNo};
use super::{load, pattern};
use crate::base::limits;
use crate::model::Head;

static ANSWERS: OnceLock<Vec<Says>> = OnceLock::new();
static CLOSES: OnceLock<Vec<SaysClose>> = OnceLock::new();
static REFUSALS: OnceLock<Vec<SaysNo>> = OnceLock::new();

/// What this body of an answer to `request`, or this reason of a Close frame in its tunnel, says about the fault. `None`:
/// nothing that is known.
pub fn words(request: &Head, text: &[u8]) -> Option<&'static Says> {
    let text = text.get(..limits::BODY_PREVIEW_BYTES).unwrap_or(text).to_ascii_lowercase();
    let page = text.trim_ascii_start().starts_with(b"<");
    let known = ANSWERS.get_or_init(|| load::answers(ANSWERS_FILE, ANSWERS_TEXT).map(|a| a.says).unwrap_or_default());
    known.iter().filter(|says| says.pages || !page).find(|says| {
        let fits = says.words.iter().any(|word| memmem::find(&text, word.as_bytes()).is_some());
        fits && says.needs.as_ref().is_none_or(|name| request.has(&name.to_ascii_lowercase()))
    })
}

/// What this code of a Close frame means where that subprotocol was agreed on. `None`: nothing that is known.
pub fn close(code: u16, agreed: Option<&[u8]>) -> Option<&'static SaysClose> {
    let known = CLOSES.get_or_init(|| load::closes(CLOSES_FILE, CLOSES_TEXT).map(|c| c.close).unwrap_or_default());
    known.iter().find(|says| {
        let of = says.subprotocol.as_ref().is_none_or(|name| agreed == Some(name.as_bytes()));
        of && says.codes.contains(&code)
    })
}

/// The refusal that a message of a server is which begins so. `agreed`: the subprotocol that the 101 chose. `None`: none
/// that is known.
pub fn refusal(is_text: bool, begins: &[u8], agreed: Option<&[u8]>) -> Option<&'static SaysNo> {
    let read = || load::refusals(REFUSALS_FILE, REFUSALS_TEXT).map(|r| r.refusal).unwrap_or_default();
    let known = REFUSALS.get_or_init(read);
    known.iter().find(|says| {
        let fits = match (is_text, &says.text, &says.hex) {
            (true, Some(text), _) => pattern::matches(text, begins),
            (false, _, Some(hex)) => {
                pattern::begins_hex(hex, begins)
                    && !says.not_hex.as_ref().is_some_and(|not| pattern::begins_hex(not, begins))
            }
            _ => false,
        };
        fits && says.subprotocol.as_ref().is_none_or(|name| agreed == Some(name.as_bytes()))
    })
}

pub(super) const ANSWERS_FILE: &str = "answers.toml";
pub(super) const ANSWERS_TEXT: &str = include_str!("answers.toml");
pub(super) const CLOSES_FILE: &str = "closes.toml";
pub(super) const CLOSES_TEXT: &str = include_str!("closes.toml");
pub(super) const REFUSALS_FILE: &str = "refusals.toml";
pub(super) const REFUSALS_TEXT: &str = include_str!("refusals.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::tests::head;

    fn said(request: &str, text: &str) -> Option<&'static str> {
        words(&head(request), text.as_bytes()).map(|says| &*says.words[0])
    }

    #[test]
    fn words_tell_whatever_their_letters_and_pages_of_html_only_where_they_are_clear() {
        let ask = "GET /ws HTTP/1.1\nHost: a\nOrigin: https://a";
        assert_eq!(said(ask, "Scheduled Maintenance until 5"), Some("maintenance"));
        assert_eq!(said(ask, "<h1>Maintenance</h1>"), Some("maintenance"));
        assert_eq!(said(ask, "Origin not allowed"), Some("origin"));
        assert_eq!(said(&ask.replace("Origin", "X-Other"), "Origin not allowed"), None, "it has none");
        assert_eq!(said(ask, "Access denied from your network"), Some("your network"));
        assert_eq!(said(ask, "<p>Access denied</p>"), None);
        assert_eq!(said(ask, &format!("{}maintenance", " ".repeat(limits::BODY_PREVIEW_BYTES))), None);
    }

    #[test]
    fn refusals_are_known_by_how_they_begin() {
        let said =
            |text, begins: &[u8], agreed: Option<&[u8]>| refusal(text, begins, agreed).map(|says| &*says.protocol);
        assert_eq!(said(true, br#"{"type":"auth_invalid","message":"x"}"#, None), Some("Home Assistant"));
        assert_eq!(said(true, b"44{\"message\":\"jwt expired\"}", None), Some("Socket.IO"));
        assert_eq!(said(true, b"[3,{},\"wamp.error.no_such_realm\"]", Some(b"wamp.2.json")), Some("WAMP"));
        assert_eq!(said(true, b"[3,{},\"wamp.error.no_such_realm\"]", None), None, "anybody may say so");
        assert_eq!(said(false, &[0x20, 2, 0, 5], None), Some("MQTT"));
        assert_eq!(said(false, &[0x20, 9, 0, 0x87, 0], None), Some("MQTT"), "version 5");
        for fine in [&[0x20, 2, 0, 0][..], &[0x20, 9, 0, 0, 6], &[0x20, 2]] {
            assert_eq!(said(false, fine, None), None, "{fine:?}");
        }
        assert_eq!((said(true, b"42[\"error\"]", None), said(true, &[0x20, 2, 0, 5], None)), (None, None));
    }

    #[test]
    fn a_code_means_what_its_subprotocol_says() {
        let fault = |code, agreed: Option<&str>| close(code, agreed.map(str::as_bytes)).map(|says| says.of_peer);
        assert_eq!(fault(4_400, Some("graphql-transport-ws")), Some(true));
        assert_eq!((fault(4_400, None), fault(4_400, Some("other"))), (None, None));
        assert_eq!((fault(1_009, None), fault(1_000, None)), (Some(false), None));
    }
}
