//! The first lines: how many, how well, and why not.

use std::io;

use crate::base::escape::escape;
use crate::model::{Blame, Outcome, Role};
use crate::report::text::facts::{Fate, Group};
use crate::report::text::page::{Page, Tone, clip, count, grouped};
use crate::report::text::{Context, block, facts, hops, nothing};
use crate::report::{build, mask};
use crate::rules;

/// Kinds of verdicts named in the summary.
const KINDS: usize = 6;

pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let tried = c.facts.tried();
    if tried == 0 {
        nothing::write(c, page)?;
    } else {
        page.say(Tone::Strong, &attempts(c, tried))?;
    }
    verdicts(c, page)?;
    if !c.a.inputs.is_empty() {
        page.say(Tone::Dim, &source(c))?;
    }
    hops::table(c, page)
}

fn attempts(c: &Context<'_>, tried: u64) -> String {
    let mut text = if tried == 1 { the_only_one(c) } else { several(c, tried) };
    match c.facts.legs.iter().filter(|beside| beside.before.is_some()).count() as u64 {
        0 => {}
        n => {
            let are = if n == 1 { "is the same upgrade" } else { "are the same upgrades" };
            text.push_str(&format!(" {n} of them {are} seen on a second leg (same key)."));
        }
    }
    let hops = hops::journeys(c.a);
    if !hops.is_empty() {
        text.push_str(&format!(" {hops}"));
    }
    match c.a.chains.iter().filter(|chain| build::never_asked(c.a, chain)).count() as u64 {
        0 => {}
        n => text.push_str(&format!(" {} never got as far as a request.", count(n, "connection", "connections"))),
    }
    text
}

fn the_only_one(c: &Context<'_>) -> String {
    let counted = |fate: &Fate| !matches!(fate, Fate::NoRequest | Fate::Forced);
    let one = c.a.chains.iter().zip(&c.facts.fates).find(|(_, fate)| counted(fate));
    let what = match one.map(|(chain, fate)| (*fate, chain.outcome)) {
        Some((Fate::Worked, _)) => "it worked",
        Some((Fate::Warned, _)) => "it worked, with a warning",
        Some((Fate::Cut, _)) => "it was granted and failed afterwards",
        Some((Fate::Settled, _)) => "it was refused without a fault",
        Some((Fate::Unknown, _)) => "this capture cannot tell what came of it",
        Some((Fate::Allowed, _)) => "it failed in a way that is known and allowed",
        Some((_, Outcome::Broken)) => "it was answered with a faulty 101",
        Some((_, Outcome::Refused)) => "it was refused",
        Some((_, Outcome::Redirected)) => "it was redirected",
        Some((_, Outcome::Unanswered)) => "it was never answered",
        _ => "it failed",
    };
    format!("1 upgrade tried: {what}.")
}

fn several(c: &Context<'_>, tried: u64) -> String {
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
                (Outcome::Broken, n) => format!("{n} answered with a faulty 101"),
                (Outcome::Unanswered, n) => format!("{n} never answered"),
                (Outcome::Unknown, n) => format!("{n} failed"),
                (_, n) => format!("{n} {}", outcome.word()),
            })
            .collect();
    let warned = all.count(Fate::Warned);
    let mut parts = vec![match all.count(Fate::Worked) {
        n if n == tried => "all worked".to_owned(),
        0 if warned > 0 || all.count(Fate::Cut) > 0 => String::new(),
        // Of what cannot be judged it is not known whether it worked.
        0 if all.count(Fate::Unknown) == tried => String::new(),
        0 => "none worked".to_owned(),
        n => format!("{n} worked"),
    }];
    if warned > 0 {
        parts.push(format!("{warned} worked, with a warning"));
    }
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
    add(Fate::Cut, "granted and failed afterwards");
    add(Fate::Settled, "refused without a fault");
    add(Fate::Unknown, "cannot be judged from this capture");
    add(Fate::Allowed, "failed in a way that is known and allowed");
    parts.retain(|part| !part.is_empty());
    format!("{} tried: {}.", count(tried, "upgrade", "upgrades"), parts.join(", "))
}

/// A kind of fault: how many chains, and where: at whoever is to blame, else where the clients connect to.
struct Kind<'a> {
    rule: &'a str,
    chains: usize,
    places: Vec<String>,
}

/// Where the fault of these chains is.
fn place(c: &Context<'_>, group: &Group) -> Option<String> {
    let mut blames = group.chains.iter().map(|&at| c.a.chains.get(at)?.verdict.blame.as_ref());
    let first = blames.next().flatten();
    let blame = first.filter(|first| blames.all(|other| other.is_some_and(|other| other.address == first.address)));
    let elsewhere = |blame: &&Blame| {
        let server = group.server.is_some_and(|server| block::is_at(blame, server));
        matches!(blame.role, Role::Hop | Role::Server) && !server && group.rule != "unknown"
    };
    let blamed = blame.filter(elsewhere).and_then(|blame| blame.address.as_deref()).map(mask::own);
    blamed.or_else(|| group.server.map(|server| server.to_string()))
}

/// A line for each kind of fault, where there is more to tell than the first block does.
fn verdicts(c: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for group in &c.facts.groups {
        let at = kinds.iter().position(|kind| kind.rule == group.rule).unwrap_or_else(|| {
            kinds.push(Kind { rule: &group.rule, chains: 0, places: Vec::new() });
            kinds.len() - 1
        });
        if let Some(kind) = kinds.get_mut(at) {
            kind.chains += group.chains.len();
            kind.places.extend(place(c, group).filter(|place| !kind.places.contains(place)));
        }
    }
    if kinds.iter().map(|kind| kind.chains).sum::<usize>() < 2 {
        return Ok(());
    }
    for kind in kinds.iter().take(KINDS) {
        let place = match kind.places.as_slice() {
            [] => String::new(),
            [one] => format!(" at {one}"),
            several => format!(" at {} servers", several.len()),
        };
        let rule = escape(kind.rule.as_bytes());
        page.indented(2, Tone::Plain, &format!("{} × {rule}{place}: {}", kind.chains, title(kind.rule)))?;
    }
    if kinds.len() > KINDS {
        let rest: usize = kinds.iter().skip(KINDS).map(|kind| kind.chains).sum();
        page.indented(2, Tone::Plain, &format!("{rest} of {} other kinds", kinds.len() - KINDS))?;
    }
    Ok(())
}

/// What a rule says, in a few words.
fn title(slug: &str) -> String {
    match (slug.strip_prefix("refused-"), rules::find(slug)) {
        (Some(code), _) => format!("the upgrade was refused with status {}", escape(code.as_bytes())),
        (None, Some(rule)) => rule.title.to_owned(),
        (None, None) if slug == "unknown" => "the capture cannot tell what came of it".to_owned(),
        (None, None) => "see below".to_owned(),
    }
}

fn source(c: &Context<'_>) -> String {
    let name = match c.a.inputs.as_slice() {
        [one] => {
            let how = one.compression.map(|name| format!(" ({name})")).unwrap_or_default();
            format!("{}{how}", clip(&facts::input_name(c.a, 0), 60))
        }
        all => {
            let how = match all.iter().filter(|i| i.compression.is_some()).count() {
                0 => String::new(),
                n => format!(" ({n} compressed)"),
            };
            format!("{}{how}", count(all.len() as u64, "input", "inputs"))
        }
    };
    let n = &c.a.counters;
    let mut text = format!(
        "{name}: {}, {}{}, {}",
        count(n.packets, "packet", "packets"),
        count(n.flows, "TCP connection", "TCP connections"),
        if n.flows_tls > 0 { format!(" ({} TLS)", grouped(n.flows_tls)) } else { String::new() },
        count(n.http_requests, "HTTP request", "HTTP requests"),
    );
    if let (Some(first), Some(last)) = (c.facts.first, c.facts.last) {
        let end = c.clock.time(last);
        let end = end.split_once('.').map_or(end.as_str(), |(whole, _)| whole);
        let began = c.clock.date_time(first);
        let to = if began.ends_with(&end) { String::new() } else { format!(" to {end}") };
        text.push_str(&format!("; {began}{to} {}", c.clock.zone(first)));
    }
    text
}
