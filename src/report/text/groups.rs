//! The broken chains, alike ones together: the first whole, the rest counted.

use std::io;

use crate::base::{Endpoint, PacketRef};
use crate::model::{Chain, Fix};
use crate::report::text::facts::{self, Group};
use crate::report::text::page::{Page, Tone, count};
use crate::report::text::{Context, block};

/// A group of at most so many is shown whole.
const WHOLE: usize = 2;
/// Of a larger one, so many are.
const SHOWN: usize = 1;
/// Blocks in one report; further groups get a line each.
const BLOCKS: usize = 40;
/// Further groups that get a line.
const GROUPS: usize = 100;
/// Packets named for those that are only counted.
const PACKETS: usize = 20;

pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let groups = std::mem::take(&mut c.facts.groups);
    let result = write_all(c, page, &groups);
    c.facts.groups = groups;
    result
}

fn write_all(c: &mut Context<'_>, page: &mut Page<'_>, groups: &[Group]) -> io::Result<()> {
    let mut blocks = 0;
    let mut told: Option<&Vec<Fix>> = None;
    let mut rules: Vec<(&str, Option<&Vec<Fix>>)> = Vec::new();
    for group in groups.iter().take(GROUPS) {
        let whole = if group.chains.len() <= WHOLE { group.chains.len() } else { SHOWN };
        // The same fault at another server reads the same.
        let like = (group.rule.as_str(), group.chains.first().and_then(|&i| c.a.chains.get(i)).map(|c| &c.verdict.fix));
        let again = rules.contains(&like) && group.chains.len() > 1;
        rules.push(like);
        let whole = if again { 0 } else { whole.min(BLOCKS - blocks) };
        blocks += whole;
        for chain in group.chains.iter().take(whole).filter_map(|&index| c.a.chains.get(index)) {
            page.blank()?;
            let fix = &chain.verdict.fix;
            block::write(c, page, chain, told == Some(fix))?;
            if !fix.is_empty() {
                told = Some(fix);
            }
        }
        if whole < group.chains.len() {
            page.blank()?;
            rest(c, page, group, whole, again)?;
        }
    }
    if groups.len() > GROUPS {
        page.blank()?;
        let chains: usize = groups.iter().skip(GROUPS).map(|g| g.chains.len()).sum();
        let text = format!("and {} of other kinds or at other servers; --format csv lists them all", chains);
        page.say(Tone::Plain, &text)?;
    }
    Ok(())
}

/// Those of a group that are only counted.
fn rest(c: &Context<'_>, page: &mut Page<'_>, group: &Group, shown: usize, again: bool) -> io::Result<()> {
    let rest: Vec<_> = group.chains.iter().skip(shown).filter_map(|&i| c.a.chains.get(i)).collect();
    let like = if shown > 0 || again { "more like it" } else { "broken upgrades" };
    let mut text = format!("… and {} {like}: {}", rest.len(), group.rule);
    let place = guilty(&rest, group.server).or(group.server.map(|server| server.to_string()));
    if let Some(place) = place {
        text.push_str(&format!(" at {place}"));
    }
    let times: Vec<_> = rest.iter().filter_map(|chain| facts::began(c.a, chain)).collect();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
        text.push_str(&format!(", {} to {}", c.clock.time(*first), c.clock.time(*last)));
    }
    let mut clients: Vec<_> =
        rest.iter().filter_map(|chain| facts::first_leg(c.a, chain)).map(|row| row.exchange.client.ip).collect();
    clients.sort_unstable();
    clients.dedup();
    if !clients.is_empty() {
        text.push_str(&format!(", from {}", count(clients.len() as u64, "client address", "client addresses")));
    }
    page.say(Tone::Strong, &text)?;
    let packets: Vec<PacketRef> =
        rest.iter().take(PACKETS).filter_map(|chain| block::packets(c.a, chain).first().copied()).collect();
    for (name, filter) in block::filters(c.a, &packets) {
        page.verbatim("packets", &format!("{name}{filter}"))?;
    }
    if rest.len() > PACKETS {
        let server = group.server.map(|s| format!(" server:{s}")).unwrap_or_default();
        page.row("", Tone::Dim, &format!("the first {PACKETS} of them"))?;
        page.verbatim("all of them", &format!("--format csv -Y 'verdict:{}{server}'", group.rule))?;
    }
    Ok(())
}

/// The one address at which the fault of all of them lies, where that is not where their clients went.
fn guilty(chains: &[&Chain], server: Option<Endpoint>) -> Option<String> {
    let address = |chain: &Chain| chain.verdict.blame.as_ref()?.address.clone();
    let first = address(chains.first()?)?;
    let asked = server.is_some_and(|server| server.ip.to_string() == first);
    (!asked && chains.iter().all(|chain| address(chain).as_ref() == Some(&first))).then_some(first)
}
