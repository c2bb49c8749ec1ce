//! Known faults: `--allow RULE[@HOST]`, or a file with one on each line.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::model::{Exchange, Finding};
use crate::rules;

/// What the user allows.
#[derive(Debug, Default)]
pub(super) struct Allowed(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    rule: String,
    host: Option<String>,
}

impl Allowed {
    /// Reads the values of `--allow`. One that names a file is read as a list: a rule on each line,
    /// `#` begins a comment.
    pub(super) fn read(values: &[String]) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for value in values {
            if rules::find(rule_of(value)).is_none() && Path::new(value).is_file() {
                let text = std::fs::read_to_string(value).with_context(|| format!("--allow {value}: cannot read"))?;
                for line in text.lines().map(|l| l.split('#').next().unwrap_or_default().trim()) {
                    if !line.is_empty() {
                        all.push(entry(line).with_context(|| format!("--allow {value}"))?);
                    }
                }
            } else {
                all.push(entry(value).context("--allow")?);
            }
        }
        Ok(Allowed(all))
    }

    /// Whether a finding is allowed. `x`: the exchange it is about, if any.
    pub(super) fn allows(&self, finding: &Finding, x: Option<&Exchange>) -> bool {
        self.0.iter().any(|e| {
            let rule = e.rule == finding.rule || rules::find(&finding.rule).is_some_and(|r| r.id == e.rule);
            rule && e.host.as_deref().is_none_or(|host| x.is_some_and(|x| is_host(x, host)))
        })
    }
}

fn rule_of(value: &str) -> &str {
    value.split('@').next().unwrap_or_default()
}

fn entry(value: &str) -> anyhow::Result<Entry> {
    let (rule, host) = match value.split_once('@') {
        Some((rule, host)) => (rule, Some(host.to_owned())),
        None => (value, None),
    };
    if rules::find(rule).is_none() {
        let near = rules::docs::suggest(rule);
        let hint =
            if near.is_empty() { "see: hopscope rules".into() } else { format!("did you mean {}?", near.join(", ")) };
        bail!("there is no rule {rule:?}, nor a file of that name; {hint}");
    }
    Ok(Entry { rule: rule.to_owned(), host })
}

/// The host asked for, with or without its port, or the server's address.
fn is_host(x: &Exchange, host: &str) -> bool {
    let asked = x.request.host().unwrap_or_default();
    let asked = String::from_utf8_lossy(asked);
    let name = asked.rsplit_once(':').map_or(&*asked, |(name, _)| name);
    asked.eq_ignore_ascii_case(host)
        || name.eq_ignore_ascii_case(host)
        || x.server.to_string() == host
        || x.server.ip.to_string() == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_rule_is_refused_with_a_hint() {
        let err = Allowed::read(&["acept-mismatch".into()]).map(|_| ()).map_err(|e| format!("{e:#}"));
        assert!(err.is_err_and(|e| e.contains("accept-mismatch")));
    }

    #[test]
    fn a_family_and_one_of_its_codes_can_be_named() {
        assert!(Allowed::read(&["refused-403@chat.example.org".into(), "refused-<code>".into()]).is_ok());
    }
}
