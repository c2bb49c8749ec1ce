//! An earlier audit against this one: did a change of the configuration break anything?

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use crate::base::escape::escape;

use super::document::{Audit, Baseline, Card, Change};

/// As much of an audit as is compared; everything else may be new.
#[derive(Debug, Deserialize)]
pub struct Earlier {
    schema: String,
    cards: Vec<EarlierCard>,
}

#[derive(Debug, Deserialize)]
struct EarlierCard {
    addresses: Vec<String>,
    name: Option<String>,
    status: String,
    lines: Vec<EarlierLine>,
}

#[derive(Debug, Deserialize)]
struct EarlierLine {
    id: String,
    status: String,
    text: String,
}

impl Earlier {
    /// Reads an audit in JSON. The error says what it is not.
    pub fn read(json: &[u8]) -> Result<Earlier, String> {
        let earlier: Earlier = serde_json::from_slice(json).map_err(|err| format!("no audit in JSON: {err}"))?;
        // Any version 1 is read, whatever was added to it.
        match earlier.schema.as_str() {
            super::document::SCHEMA => Ok(earlier),
            other => Err(format!("its schema is {:?}, not {}", escape(other.as_bytes()), super::document::SCHEMA)),
        }
    }
}

/// What changed from `earlier`, found in the file `path`, to `now`.
pub fn compare(earlier: &Earlier, path: &str, now: &Audit) -> Baseline {
    let mut changes = Vec::new();
    let mut matched: HashSet<usize> = HashSet::new();
    for card in &now.cards {
        let was = earlier.cards.iter().enumerate().find(|(at, was)| !matched.contains(at) && is_same(was, card));
        let Some((at, was)) = was else {
            let status = Some(card.status.clone().into_owned());
            changes.push(change(&card.addresses, None, "appeared", None, status));
            continue;
        };
        matched.insert(at);
        lines(was, card, &mut changes);
    }
    for (at, was) in earlier.cards.iter().enumerate() {
        if !matched.contains(&at) {
            let addresses: Vec<String> = was.addresses.iter().map(|a| escape(a.as_bytes())).collect();
            changes.push(change(&addresses, None, "gone", Some(escape(was.status.as_bytes())), None));
        }
    }
    // What is worse is what they look for.
    let order = ["worse", "gone", "better", "other", "appeared"];
    changes.sort_by_key(|c| order.iter().position(|kind| c.kind == *kind));
    let count = |kind: &str| changes.iter().filter(|c: &&Change| c.kind == kind).count() as u64;
    Baseline { path: escape(path.as_bytes()), better: count("better"), worse: count("worse"), changes }
}

/// Whether two cards are of one intermediary: by the user's name for it, else by a common address.
fn is_same(was: &EarlierCard, now: &Card) -> bool {
    match (&was.name, &now.name) {
        (Some(was), Some(now)) => was == now,
        _ => was.addresses.iter().any(|address| now.addresses.contains(address)),
    }
}

fn lines(was: &EarlierCard, now: &Card, changes: &mut Vec<Change>) {
    for line in &now.lines {
        let Some(before) = was.lines.iter().find(|before| before.id == line.id) else { continue };
        let kind = match (rank(&before.status), rank(&line.status)) {
            (Some(before), Some(now)) if now < before => "better",
            (Some(before), Some(now)) if now > before => "worse",
            // What is measured may change and stay good.
            (Some(_), Some(_)) if line.id.ends_with("-limit") && before.text != line.text => "other",
            (Some(_), Some(_)) => continue,
            (None, None) => continue,
            (None, Some(_)) => "appeared",
            (Some(_), None) => "gone",
        };
        let told = |status: &str, text: &str| format!("{status}: {text}");
        // A file may hold anything.
        let before = escape(told(&before.status, &before.text).as_bytes());
        let after = told(&line.status, &line.text);
        changes.push(change(&now.addresses, Some(line.id.to_string()), kind, Some(before), Some(after)));
    }
}

/// From good to bad; `None` for what was not observed.
fn rank(status: &str) -> Option<u8> {
    match status {
        "pass" => Some(0),
        "warn" => Some(1),
        "fail" => Some(2),
        _ => None,
    }
}

fn change(
    addresses: &[String],
    line: Option<String>,
    kind: &'static str,
    before: Option<String>,
    now: Option<String>,
) -> Change {
    Change { addresses: addresses.to_vec(), line, kind: Cow::Borrowed(kind), before, now }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::products::Products;
    use crate::report::mask::Masker;
    use crate::store::testing;

    fn audit() -> Audit {
        super::super::audit(&testing::journeys(), Products::builtin(), &mut Masker::new(false))
    }

    #[test]
    fn nothing_changed_where_nothing_did() {
        let now = audit();
        let json = serde_json::to_vec(&now).unwrap();
        let all = compare(&Earlier::read(&json).unwrap(), "x.json", &now);
        assert!(all.changes.is_empty() && all.better == 0 && all.worse == 0, "{all:#?}");
    }

    #[test]
    fn what_passed_and_fails_now_is_worse() {
        let now = audit();
        let mut json: serde_json::Value = serde_json::to_value(&now).unwrap();
        let lines = json["cards"][0]["lines"].as_array_mut().unwrap();
        let line = lines.iter_mut().find(|line| line["status"] == "fail").unwrap();
        line["status"] = "pass".into();
        let id = line["id"].as_str().unwrap().to_owned();
        let all = compare(&Earlier::read(json.to_string().as_bytes()).unwrap(), "x.json", &now);
        assert_eq!((all.worse, all.better, all.changes[0].line.as_deref()), (1, 0, Some(&*id)));
    }

    #[test]
    fn another_file_is_refused_in_words() {
        assert!(
            Earlier::read(b"{\"schema\":\"hopscope-report/1\",\"cards\":[]}").unwrap_err().contains("hopscope-audit/1")
        );
        assert!(Earlier::read(b"nothing").unwrap_err().contains("no audit"));
    }
}
