//! What `hopscope accept KEY [ACCEPT]` answers.

use super::judge::sample;
use super::kinds;
use crate::base::escape::escape;
use crate::base::limits;
use crate::model::head::trim;
use crate::wire::accept::{self, KeyForm};

/// The answer to one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The accept that belongs to the key.
    pub expected: String,
    /// Whether the accept given is right; true where none was given.
    pub ok: bool,
    /// A word of the closed list; `None` where the accept is right or none was given.
    pub kind: Option<&'static str>,
    /// For standard error: what is wrong with the key itself, one sentence. `None` where it is a good
    /// one.
    pub warning: Option<String>,
    /// As given, escaped; `None` where none was given.
    accept: Option<String>,
    /// How a wrong accept was probably computed.
    recipe: Option<String>,
}

/// Answers for a key and, if given, an accept. White space around them does not count. `wrong_guids`:
/// known wrong GUIDs, each with what is known of it.
pub fn check(key: &[u8], accept: Option<&[u8]>, wrong_guids: &[(&str, &str)]) -> Answer {
    let key = trim(key);
    let expected = accept::expected(key);
    let accept = accept.map(trim);
    let wrong = accept.filter(|a| *a != expected.as_bytes());
    let (kind, recipe) = match wrong {
        None => (None, None),
        Some(found) => {
            let (kind, words) = why(key, found, wrong_guids);
            (Some(kind), Some(words))
        }
    };
    Answer { ok: wrong.is_none(), kind, recipe, warning: warning(key), accept: accept.map(escape), expected }
}

impl Answer {
    /// For standard output, each line ended. The right accept alone where none was given, so that a
    /// script can use it.
    pub fn text(&self) -> String {
        let (Some(accept), Some(kind), Some(recipe)) = (&self.accept, self.kind, &self.recipe) else {
            return match &self.accept {
                Some(_) => format!("right: {} belongs to this key\n", self.expected),
                None => format!("{}\n", self.expected),
            };
        };
        let mut text = format!("wrong ({kind}): {recipe}\n  found     {accept}\n  expected  {}\n", self.expected);
        if let Some(cause) = kinds::find(kind).and_then(|k| k.causes.first()) {
            text.push_str(&format!("  cause     {cause}\n"));
        }
        text
    }
}

/// Kind and recipe of a wrong accept.
fn why(key: &[u8], found: &[u8], wrong_guids: &[(&str, &str)]) -> (&'static str, String) {
    if let Some(words) = sample(found) {
        return ("constant", words);
    }
    match accept::explain(key, found, wrong_guids, limits::ACCEPT_TRIES) {
        Some(recipe) => (recipe.kind, recipe.words),
        None => ("unexplained", format!("{}, and no known mistake gives this value", accept::what_it_is(found))),
    }
}

/// What is wrong with a key as such (RFC 6455 §4.1 item 7).
fn warning(key: &[u8]) -> Option<String> {
    match accept::key_form(key) {
        KeyForm::Good => None,
        KeyForm::NotSixteenBytes { len } => {
            let bytes = if len == 1 { "1 byte".to_owned() } else { format!("{len} bytes") };
            Some(format!("the key decodes to {bytes}; a Sec-WebSocket-Key is 16 bytes in base64"))
        }
        KeyForm::BadBase64 { why } => Some(format!("the key {why}; a Sec-WebSocket-Key is 16 bytes in base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

    #[test]
    fn a_key_alone_gives_its_accept() {
        let answer = check(KEY, None, &[]);
        assert!(answer.ok && answer.warning.is_none());
        assert_eq!(answer.text(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n");
    }

    #[test]
    fn a_right_accept_is_said_to_be_right() {
        let answer = check(b" dGhlIHNhbXBsZSBub25jZQ== ", Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), &[]);
        assert!(answer.ok);
        assert_eq!(answer.text(), "right: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= belongs to this key\n");
    }

    #[test]
    fn a_wrong_accept_is_explained() {
        let answer = check(KEY, Some(b"hHLtf2V1k8aDQZfNjw3Ia1hCwt0="), &[]);
        assert!(!answer.ok);
        assert_eq!(answer.kind, Some("guid-missing"));
        assert_eq!(
            answer.text(),
            "wrong (guid-missing): it is SHA-1 of the key alone, without the GUID\n  \
             found     hHLtf2V1k8aDQZfNjw3Ia1hCwt0=\n  expected  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n  \
             cause     the server leaves out the GUID of RFC 6455 §1.3\n"
        );
    }

    #[test]
    fn the_accept_of_a_sample_key_is_known() {
        let answer = check(b"x3JJHMbDL1EzLkh9GBhXDw==", Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), &[]);
        assert_eq!(answer.kind, Some("constant"));
        assert!(answer.text().contains("the sample of RFC 6455"));
    }

    #[test]
    fn what_is_not_explained_is_described_and_escaped() {
        let answer = check(KEY, Some(b"\x1b[31m"), &[]);
        assert_eq!(answer.kind, Some("unexplained"));
        assert!(answer.text().contains("found     \\x1b[31m\n"));
    }

    #[test]
    fn a_bad_key_is_warned_about_and_answered_all_the_same() {
        let answer = check(b"hello", None, &[]);
        assert_eq!(
            answer.warning.as_deref(),
            Some("the key has a length that base64 cannot have; a Sec-WebSocket-Key is 16 bytes in base64")
        );
        assert_eq!(answer.text().len(), 29);
        assert!(check(b"Zm9v", None, &[]).warning.unwrap_or_default().contains("3 bytes"));
    }
}
