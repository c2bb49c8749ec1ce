//! Keys of which every value is known: what is not among them matches nothing ever, and is a slip of the pen.

use crate::model::{Confidence, EndHow, Outcome, Severity};
use crate::rules;
use crate::store::filter::keys::Key;
use crate::store::filter::pattern::Pattern;

/// Codes of a family of rules (`refused-<code>`): three digits.
const CODES: std::ops::Range<u16> = 100..1_000;

/// What is wrong with a pattern that no value of this key can match. `None`: one can, or any value may come.
pub(super) fn fault(key: Key, name: &str, text: &str, pattern: &Pattern) -> Option<String> {
    let words: Vec<&str> = match key {
        Key::Rule | Key::Verdict => return rule_fault(key, text, pattern),
        Key::Severity => [Severity::Error, Severity::Warning, Severity::Info].map(Severity::word).into(),
        Key::Confidence => [Confidence::Certain, Confidence::Likely, Confidence::Possible].map(Confidence::word).into(),
        Key::Outcome => OUTCOMES.map(Outcome::word).into(),
        Key::End => ENDS.map(EndHow::word).into(),
        Key::Kind => rules::accept::kinds::KINDS.iter().map(|kind| kind.word).collect(),
        _ => return None,
    };
    if words.iter().any(|word| pattern.matches(word.as_bytes())) {
        return None;
    }
    Some(format!("`{name}` is never `{text}`; it is one of {}", words.join(", ")))
}

const OUTCOMES: [Outcome; 6] =
    [Outcome::Upgraded, Outcome::Broken, Outcome::Refused, Outcome::Redirected, Outcome::Unanswered, Outcome::Unknown];

const ENDS: [EndHow; 5] = [EndHow::CloseFrame, EndHow::Fin, EndHow::Rst, EndHow::Silent, EndHow::Open];

fn rule_fault(key: Key, text: &str, pattern: &Pattern) -> Option<String> {
    let good = key == Key::Verdict && ["ok", "unknown"].iter().any(|word| pattern.matches(word.as_bytes()));
    let known = |id: &str| match id.strip_suffix("<code>") {
        None => pattern.matches(id.as_bytes()),
        Some(family) => CODES.into_iter().any(|code| pattern.matches(format!("{family}{code}").as_bytes())),
    };
    if good || rules::all().any(|rule| known(rule.id)) {
        return None;
    }
    let near = rules::docs::suggest(text.trim_matches('*'));
    let hint =
        if near.is_empty() { "see: hopscope rules".into() } else { format!("did you mean {}?", near.join(", ")) };
    Some(format!("there is no rule `{text}`; {hint}"))
}
