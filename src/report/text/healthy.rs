//! What worked, in brief; and what is worth knowing although nothing is broken by it.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::base::{Endpoint, PacketRef};
use crate::model::{Chain, Confidence, EndHow, Exchange, Finding, Severity};
use crate::report::build;
use crate::report::mask;
use crate::report::text::facts::{self, Fate};
use crate::report::text::page::{Page, Tone, clip, count};
use crate::report::text::{Context, hops};
use crate::report::time::human;
use crate::store::Analysis;

/// Servers named where healthy upgrades are only counted.
const SERVERS: usize = 5;
/// Notes told.
const NOTES: usize = 12;
/// Facts that the line of each healthy upgrade tells.
const TOLD: [&str; 2] = ["end-clean", "still-open"];
/// Packets named in a note.
const PACKETS: usize = 5;

pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let a = c.a;
    for (fate, title) in [
        (Fate::Worked, "Worked"),
        (Fate::Settled, "Refused without a fault (a log-in, or settled by a later try)"),
        (Fate::Allowed, "Known and allowed"),
        (Fate::Forced, "Not counted: plain requests that carry an Upgrade field"),
    ] {
        let chains: Vec<&Chain> =
            a.chains.iter().zip(&c.facts.fates).filter(|(_, f)| **f == fate).map(|(c, _)| c).collect();
        if chains.is_empty() {
            continue;
        }
        page.blank()?;
        if chains.len() > c.options.max_healthy {
            counted(c, page, title, &chains)?;
            continue;
        }
        page.say(if fate == Fate::Worked { Tone::Good } else { Tone::Strong }, &format!("{title}: {}", chains.len()))?;
        for chain in chains {
            let line = line(c, chain);
            page.indented(2, Tone::Plain, &line)?;
        }
    }
    Ok(())
}

/// Findings that explain no failure, each rule once.
pub(super) fn notes(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let a = c.a;
    let mut told: Vec<bool> = vec![false; a.findings.len()];
    for (chain, fate) in a.chains.iter().zip(&c.facts.fates) {
        // The blocks of the broken ones tell theirs.
        if matches!(fate, Fate::Failed | Fate::Cut | Fate::Warned | Fate::NoRequest) {
            for i in facts::findings(a, chain) {
                if let Some(told) = told.get_mut(i) {
                    *told = true;
                }
            }
        }
    }
    let mut rules: BTreeMap<(std::cmp::Reverse<Severity>, &str), Vec<&Finding>> = BTreeMap::new();
    // What limits the capture stands before everything else.
    let limit = |f: &Finding| f.severity == Severity::Warning && f.rule.starts_with("cap-");
    for finding in a.findings.iter().zip(told).filter(|(f, told)| !told && !limit(f)).map(|(f, _)| f) {
        rules.entry((std::cmp::Reverse(finding.severity), &finding.rule)).or_default().push(finding);
    }
    // Mere facts are named, not told.
    let mut mere = Vec::new();
    rules.retain(|(severity, rule), findings| {
        let fact = severity.0 == Severity::Info;
        if fact && !TOLD.contains(rule) {
            let times = if findings.len() == 1 { String::new() } else { format!(" ({} times)", findings.len()) };
            mere.push(format!("{}{times}", mask::own(rule)));
        }
        !fact
    });
    if !rules.is_empty() || !mere.is_empty() {
        page.blank()?;
    }
    if !rules.is_empty() {
        page.say(Tone::Strong, "Also seen:")?;
    }
    for ((severity, rule), findings) in rules.iter().take(NOTES) {
        let Some(first) = findings.first() else { continue };
        let tone = match severity.0 {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Warning,
            Severity::Info => Tone::Plain,
        };
        let times = if findings.len() == 1 { String::new() } else { format!(", {} times", findings.len()) };
        let sure = if first.confidence == Confidence::Certain {
            String::new()
        } else {
            format!(", {}", first.confidence.word())
        };
        let allowed = if first.allowed { ", allowed" } else { "" };
        let message = clip(&c.masker.text(&first.message), 300);
        let message = message.trim_end_matches('.');
        let text = places(a, findings);
        let places = if text.is_empty() { text } else { format!(" ({text})") };
        let text = format!("{} ({}{sure}{times}{allowed}): {message}{places}", mask::own(rule), severity.0.word());
        page.indented(2, tone, &text)?;
    }
    if !mere.is_empty() {
        page.indented(0, Tone::Dim, &format!("Notes, no faults: {}", mere.join(", ")))?;
    }
    if rules.len() > NOTES {
        page.indented(2, Tone::Plain, &format!("and {} other rules; --format json has them all", rules.len() - NOTES))?;
    }
    Ok(())
}

/// The first packets that show it; those of the first input where there are several.
fn places(a: &Analysis, findings: &[&Finding]) -> String {
    let mut packets: Vec<PacketRef> =
        findings.iter().flat_map(|f| &f.evidence).map(|e| e.at).take(PACKETS + 1).collect();
    packets.dedup();
    let Some(first) = packets.first().copied() else { return String::new() };
    let more = packets.len() > PACKETS;
    let numbers = packets.iter().take(PACKETS).filter(|p| p.input() == first.input()).map(|p| p.number().to_string());
    let numbers: Vec<String> = numbers.collect();
    let name = match a.inputs.get(usize::from(first.input())) {
        Some(_) if a.inputs.len() > 1 => {
            format!(" of {}", clip(&facts::input_name(a, usize::from(first.input())), 60))
        }
        _ => String::new(),
    };
    let word = if numbers.len() == 1 { "packet" } else { "packets" };
    format!("{word} {}{}{name}", numbers.join(", "), if more { ", …" } else { "" })
}

/// One line for one chain.
fn line(c: &mut Context<'_>, chain: &Chain) -> String {
    let Some(row) = facts::first_leg(c.a, chain) else {
        return format!("connection {}", chain.id.unsigned_abs());
    };
    let x = &row.exchange;
    let host = x.request.host().map(|h| c.masker.field(b"host", h)).unwrap_or_default();
    let path = x.request.target().split(|&b| b == b'?').next().unwrap_or_default();
    let target = c.masker.url(path);
    let place = if target.starts_with('/') { format!("{host}{target}") } else { target };
    let mut way = vec![x.client.to_string()];
    way.extend(hops::through(c, chain));
    let last = chain.legs.last().and_then(|&leg| build::leg(c.a, leg)).unwrap_or(x);
    way.push(last.server.to_string());
    let mut text = format!("{} {} {}", c.clock.time(x.request.first), way.join(" → "), clip(&place, 48));
    if let Some(status) = x.status() {
        text.push_str(&format!(" {status}"));
    }
    match x.latency() {
        Some(latency) => text.push_str(&format!(" in {}", human(latency))),
        None if x.response.is_some() => text.push_str(" to a request that is not in view"),
        None => {}
    }
    if chain.verdict.rule != "ok" {
        text.push_str(&format!(" {}", mask::own(&chain.verdict.rule)));
    }
    if let Some(frames) = frames(x) {
        text.push_str(&frames);
    }
    text
}

fn frames(x: &Exchange) -> Option<String> {
    let ws = x.ws?;
    let one_sided = x.quality.no_client_packets || x.quality.no_server_packets;
    let number = ws.client.frames.saturating_add(ws.server.frames);
    let lifetime = x.end.lifetime.map(|l| format!(", {}", human(l))).unwrap_or_default();
    let end = match (x.end.how, x.end.close.as_ref().and_then(|c| c.code), x.end.by) {
        // Of one direction alone it is not known whether its Close answers another one.
        (EndHow::CloseFrame, Some(code), _) if one_sided => format!(", close {code}"),
        (EndHow::CloseFrame, Some(code), Some(by)) => format!(", close {code} by {}", by.sender()),
        (EndHow::Open, ..) => ", still open".to_owned(),
        _ => String::new(),
    };
    Some(format!(", {}{lifetime}{end}", count(number.into(), "frame", "frames")))
}

/// Too many to list: how many to which server, and how fast.
fn counted(c: &mut Context<'_>, page: &mut Page<'_>, title: &str, chains: &[&Chain]) -> io::Result<()> {
    let mut servers: HashMap<Endpoint, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut latencies = Vec::new();
    for row in chains.iter().filter_map(|chain| facts::first_leg(c.a, chain)) {
        *servers.entry(row.exchange.server).or_default() += 1;
        latencies.extend(row.exchange.latency());
    }
    let mut servers: Vec<(Endpoint, usize)> = servers.into_iter().collect();
    // There may be as many as upgrades, and few are named.
    let key = |&(server, n): &(Endpoint, usize)| (std::cmp::Reverse(n), server);
    if servers.len() > SERVERS {
        servers.select_nth_unstable_by_key(SERVERS, key);
    }
    let named = servers.len().min(SERVERS);
    servers[..named].sort_unstable_by_key(key);
    let places = match servers.as_slice() {
        [] => chains.len().to_string(),
        [(server, n)] => format!("{n} at {server}"),
        _ => format!("{} ({})", chains.len(), several(&servers)),
    };
    let speed = match latencies.iter().max().copied() {
        Some(slowest) => {
            let middle = latencies.len() / 2;
            let (_, median, _) = latencies.select_nth_unstable(middle);
            format!("; answered in {} (median), {} (slowest)", human(*median), human(slowest))
        }
        None => String::new(),
    };
    let hops = through(c, chains);
    page.say(Tone::Good, &format!("{title}: {places}{speed}{hops}"))
}

/// Through which hops they went; empty where none is known.
fn through(c: &mut Context<'_>, chains: &[&Chain]) -> String {
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    for chain in chains.iter().filter(|chain| !chain.hops.is_empty()) {
        *ways.entry(hops::through(c, chain).join(" and ")).or_default() += 1;
    }
    let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
    ways.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    match ways.as_slice() {
        [] => String::new(),
        [(way, n)] if *n == chains.len() => format!("; all through {way}"),
        ways => {
            let parts: Vec<String> = ways.iter().take(SERVERS).map(|(way, n)| format!("{n} through {way}")).collect();
            let rest = if ways.len() > SERVERS { ", others elsewhere" } else { "" };
            format!("; {}{rest}", parts.join(", "))
        }
    }
}

fn several(servers: &[(Endpoint, usize)]) -> String {
    let mut parts: Vec<String> = servers.iter().take(SERVERS).map(|(server, n)| format!("{n} at {server}")).collect();
    if servers.len() > SERVERS {
        let rest: usize = servers.iter().skip(SERVERS).map(|&(_, n)| n).sum();
        parts.push(format!("{rest} at {} other servers", servers.len() - SERVERS));
    }
    parts.join(", ")
}
