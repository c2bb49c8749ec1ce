//! What a rung tells of fields: those that the upgrade hangs on, or that the verdict is about. The rest is
//! counted.

use crate::base::escape::escape;
use crate::model::{Chain, Head, HopKind};
use crate::report::passed::Passed;
use crate::report::text::page::{Tone, short};
use crate::report::text::{Context, facts};

/// What a request is looked through for first.
const ASKED: [&str; 2] = ["Upgrade", "Connection"];
/// The same in HTTP/2 (RFC 8441 §4).
const ASKED_OF_STREAMS: [&str; 1] = [":protocol"];
/// The same of an answer, where its writer is to be known by it.
const ANSWERED: [&str; 4] = ["Upgrade", "Connection", "Location", "Server"];
/// Characters of a value.
const VALUE: usize = 60;

/// Something told of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Mark {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Mark { tone, text: text.into() }
    }
}

/// What is worth telling in one chain.
pub(super) struct Telling {
    /// The sentences of the verdict, in which a field may be named.
    said: String,
    /// Names, in lower case, that some hop changed and that the upgrade hangs on.
    touched: Vec<Vec<u8>>,
}

impl Telling {
    pub(super) fn new(c: &mut Context<'_>, chain: &Chain, passed: &[Passed<'_, '_>]) -> Self {
        let mut said = c.masker.text(&chain.verdict.summary);
        for found in facts::behind_verdict(c.a, chain).into_iter().take(4) {
            for text in [&found.message, &found.expected, &found.found] {
                said.push('\n');
                said.push_str(&c.masker.text(text));
            }
        }
        let mut telling = Telling { said, touched: Vec::new() };
        for hop in passed {
            let diff = hop.request();
            let names = diff.removed.iter().map(|(name, _)| *name).chain(diff.changed.iter().map(|(name, ..)| *name));
            let names: Vec<Vec<u8>> =
                names.filter(|name| telling.matters(name)).map(<[u8]>::to_ascii_lowercase).collect();
            telling.touched.extend(names);
        }
        telling
    }

    /// Of the client's own request: what makes it an upgrade, and what will be lost of it.
    pub(super) fn asked(&self, c: &mut Context<'_>, request: &Head) -> Vec<Mark> {
        let mut out = Vec::new();
        let asked: &[&str] = if request.coded { &ASKED_OF_STREAMS } else { &ASKED };
        for (name, value) in request.iter() {
            let first = asked.iter().any(|a| name.eq_ignore_ascii_case(a.as_bytes()));
            if first || self.touched.iter().any(|t| name.eq_ignore_ascii_case(t)) {
                out.push(Mark::new(Tone::Plain, line(c, name, value)));
            }
        }
        for name in asked.iter().filter(|name| request.complete && !request.has(name)) {
            out.push(Mark::new(Tone::Warning, format!("(no {name})")));
        }
        out
    }

    /// What a hop did to the request.
    pub(super) fn passed(&self, c: &mut Context<'_>, passed: Passed<'_, '_>) -> Vec<Mark> {
        let mut out = Vec::new();
        let (near, far) = (&passed.near.request, &passed.far.request);
        if near.target() != far.target() {
            out.push(Mark::new(Tone::Warning, format!("~ target, was {}", short(&c.masker.url(near.target()), VALUE))));
        }
        let diff = passed.request();
        let others = self.differences(c, &diff, &mut out);
        let other_version = near.version() != far.version() && !near.coded && !far.coded;
        if out.is_empty() && other_version {
            let [was, is] = [near, far].map(|head| short(&c.masker.bytes(head.version()), VALUE));
            out.push(Mark::new(Tone::Warning, format!("~ {is}, was {was}")));
        } else if out.is_empty() {
            let text = match (passed.hop.kind, diff.is_empty(), passed.upgrade_kept()) {
                (HopKind::Relay, true, _) => "the same bytes",
                (_, _, Some(true)) => "the upgrade as it came",
                _ => "as it came",
            };
            out.push(Mark::new(Tone::Dim, text));
        }
        if others > 0 {
            let text = if others == 1 { "1 other field differs" } else { "other fields differ" };
            let number = if others == 1 { String::new() } else { format!("{others} ") };
            out.push(Mark::new(Tone::Dim, format!("{number}{text}")));
        }
        if !far.complete || passed.far.quality.request_gap {
            out.push(Mark::new(Tone::Warning, "(not all of it was captured)"));
        }
        out
    }

    /// What the answer is known by, or what the hop in front of `behind` did to it.
    pub(super) fn answer(
        &self,
        c: &mut Context<'_>,
        x: &crate::model::Exchange,
        behind: Option<Passed<'_, '_>>,
    ) -> Vec<Mark> {
        let Some(response) = &x.response else { return Vec::new() };
        let mut out = Vec::new();
        // An answer with another status is the hop's own.
        let same = behind.filter(|p| p.far.status() == x.status()).and_then(|p| p.response());
        if let Some(diff) = same {
            self.differences(c, &diff, &mut out);
            return out;
        }
        for (name, value) in response.iter() {
            if ANSWERED.iter().any(|a| name.eq_ignore_ascii_case(a.as_bytes())) {
                out.push(Mark::new(Tone::Plain, line(c, name, value)));
            }
        }
        out
    }

    /// Adds what matters of the differences; how many others there are.
    fn differences(&self, c: &mut Context<'_>, diff: &crate::hops::Diff<'_>, out: &mut Vec<Mark>) -> usize {
        let mut others = 0;
        for (name, _) in &diff.removed {
            match self.matters(name) {
                true => out.push(Mark::new(Tone::Bad, format!("− {}", escape(name)))),
                false => others += 1,
            }
        }
        for (name, was, value) in &diff.changed {
            // Letter case means nothing there (RFC 9110 §7.6.1, §7.8).
            let same = ASKED.iter().any(|a| name.eq_ignore_ascii_case(a.as_bytes())) && was.eq_ignore_ascii_case(value);
            match self.matters(name) && !same {
                true => out.push(Mark::new(Tone::Warning, format!("~ {}", line(c, name, value)))),
                false => others += 1,
            }
        }
        for (name, value) in &diff.added {
            match self.matters(name) {
                true => out.push(Mark::new(Tone::Good, format!("+ {}", line(c, name, value)))),
                false => others += 1,
            }
        }
        others
    }

    /// Whether an upgrade hangs on the field, its writer is known by it, or the verdict names it.
    fn matters(&self, name: &[u8]) -> bool {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        let websocket = name.get(..14).is_some_and(|n| n.eq_ignore_ascii_case(b"sec-websocket-"));
        websocket || ANSWERED.iter().any(is) || names(&self.said, name)
    }
}

/// `Name: value`, its end cut where it is long.
fn line(c: &mut Context<'_>, name: &[u8], value: &[u8]) -> String {
    let value = c.masker.field(name, value);
    format!("{}: {}", escape(name), short(&value, VALUE))
}

/// Whether a sentence names a field, spelt as in standards (`X-Real-Ip` in any letter case but the first
/// letters): a word of its own, so that `host` alone is none.
fn names(said: &str, name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let mut start = true;
    let mut proper = String::with_capacity(name.len());
    for letter in name.chars() {
        proper.push(if start { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
        start = letter == '-';
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = said.split(|c: char| !inside(c));
    words.filter(|word| !word.is_empty()).any(|word| {
        word == proper || (word.starts_with(|c: char| c.is_ascii_uppercase()) && word.eq_ignore_ascii_case(&proper))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_a_word_of_its_own() {
        assert!(names("the proxy changed Host to app", b"host"));
        assert!(names("X-Real-IP is forged", b"x-real-ip"));
        assert!(!names("on this host it is X-Host", b"host"));
        assert!(!names("the cookie is gone", b"Cookie"));
    }
}
