//! The first lines: how many, how well, why not, and what the capture lacks.

use std::io;

use crate::base::escape::escape;
use crate::model::Outcome;
use crate::report::text::facts::Fate;
use crate::report::text::page::{Page, Tone, clip, count};
use crate::report::text::{Context, capture, nothing};

/// Kinds of verdicts named in the summary.
const KINDS: usize = 6;

pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let tried = c.facts.tried();
    if tried == 0 {
        nothing::write(c, page)?;
    } else {
        page.say(Tone::Strong, &attempts(c, tried))?;
    }
    if let Some(verdicts) = verdicts(c) {
        page.say(Tone::Plain, &verdicts)?;
    }
    if !c.a.inputs.is_empty() {
        page.say(Tone::Dim, &source(c))?;
    }
    let lacks = capture::lacks(c.a);
    if !lacks.is_empty() {
        page.say(Tone::Warning, &format!("Capture: {}.", lacks.join("; ")))?;
    }
    Ok(())
}

fn attempts(c: &Context<'_>, tried: u64) -> String {
    let all = &c.facts;
    let failed = |outcome| {
        let chains = c.a.chains.iter().zip(&all.fates);
        chains.filter(|(chain, fate)| **fate == Fate::Failed && chain.outcome == outcome).count() as u64
    };
    let kinds: Vec<String> =
        [Outcome::Broken, Outcome::Refused, Outcome::Redirected, Outcome::Unanswered, Outcome::Unknown]
            .into_iter()
            .filter(|&outcome| failed(outcome) > 0)
            .map(|outcome| match (outcome, failed(outcome)) {
                (Outcome::Broken, n) => format!("{n} answered with a broken 101"),
                (Outcome::Unknown, n) => format!("{n} failed"),
                (_, n) => format!("{n} {}", outcome.word()),
            })
            .collect();
    let mut parts = vec![match all.count(Fate::Worked) {
        n if n == tried => {
            if n == 1 {
                "it worked".to_owned()
            } else {
                "all worked".to_owned()
            }
        }
        0 if all.count(Fate::Cut) > 0 => String::new(),
        0 => "none worked".to_owned(),
        n => format!("{n} worked"),
    }];
    match kinds.as_slice() {
        [] => {}
        [one] => parts.push(one.clone()),
        several => parts.push(format!("{} failed ({})", all.count(Fate::Failed), several.join(", "))),
    }
    let mut add = |fate, text: &str| {
        if all.count(fate) > 0 {
            parts.push(format!("{} {text}", all.count(fate)));
        }
    };
    add(Fate::Cut, "upgraded and cut off later");
    add(Fate::Settled, "refused without a fault");
    add(Fate::Unknown, "cannot be judged from this capture");
    add(Fate::Allowed, "failed in a way that is known and allowed");
    parts.retain(|part| !part.is_empty());
    let mut text = format!("{} tried: {}.", count(tried, "upgrade", "upgrades"), parts.join(", "));
    match all.count(Fate::NoRequest) {
        0 => {}
        n => text.push_str(&format!(" {} never got as far as a request.", count(n, "connection", "connections"))),
    }
    text
}

fn verdicts(c: &Context<'_>) -> Option<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for group in &c.facts.groups {
        match kinds.iter_mut().find(|(rule, _)| *rule == group.rule) {
            Some((_, n)) => *n += group.chains.len(),
            None => kinds.push((&group.rule, group.chains.len())),
        }
    }
    kinds.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    let mut text: Vec<String> =
        kinds.iter().take(KINDS).map(|(rule, n)| format!("{n} × {}", escape(rule.as_bytes()))).collect();
    if kinds.len() > KINDS {
        let rest: usize = kinds.iter().skip(KINDS).map(|&(_, n)| n).sum();
        text.push(format!("{rest} of {} other kinds", kinds.len() - KINDS));
    }
    (!text.is_empty()).then(|| format!("Verdicts: {}", text.join(", ")))
}

fn source(c: &Context<'_>) -> String {
    let name = match c.a.inputs.as_slice() {
        [one] => clip(&escape(one.path.as_bytes()), 60),
        all => count(all.len() as u64, "input", "inputs"),
    };
    let n = &c.a.counters;
    let mut text = format!(
        "{name}: {}, {}, {}",
        count(n.packets, "packet", "packets"),
        count(n.flows, "TCP connection", "TCP connections"),
        count(n.http_requests, "HTTP request", "HTTP requests"),
    );
    if let (Some(first), Some(last)) = (c.facts.first, c.facts.last) {
        let end = c.clock.time(last);
        let end = end.split_once('.').map_or(end.as_str(), |(whole, _)| whole);
        text.push_str(&format!("; {} to {end} {}", c.clock.date_time(first), c.clock.zone(first)));
    }
    text
}
