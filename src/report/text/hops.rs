//! The proxies on the way: what they are called, what joined the legs on their two sides, and, over all
//! journeys, who passed the upgrade on and who lost it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;

use crate::base::{Endpoint, Nanos};
use crate::model::{Chain, Confidence, Hop, HopKind, Intermediary, Software};
use crate::report::text::Context;
use crate::report::text::page::{Page, Tone, count, length, short};
use crate::report::time::human;
use crate::report::{build, mask, passed};
use crate::rules::journey::full_name;
use crate::store::Analysis;

/// Proxies in the table.
const PROXIES: usize = 8;
/// Signs told that legs belong together; the strongest stand first.
const KEYS: usize = 4;
/// Hops of one chain that have a row of their own.
const HOPS: usize = 8;
/// Characters of a name and its version there.
const SOFTWARE: usize = 30;

/// A row for each hop of a chain: who it is, how long it took, why the legs on its sides are one journey.
pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let mut label = "hop";
    let mut before = None;
    for hop in chain.hops.iter().take(HOPS) {
        let again = before.replace(hop.between.0) == Some(hop.between.0);
        let mut parts = vec![if again { "once more".to_owned() } else { who(c, hop) }];
        parts.extend(hop.forward.map(|t| format!("request on {}", after(t))));
        parts.extend(hop.back.map(|t| match hop.forward {
            // The request went on in good order: it is no other clock, but an answer of its own.
            Some(on) if on >= Nanos::ZERO && t < EARLY => {
                format!("answered by itself, {} before its backend did", human(Nanos(t.0.saturating_neg())))
            }
            _ => format!("answer back {}", after(t)),
        }));
        let mut keys: Vec<&str> = hop.joined_by.iter().take(KEYS).map(|key| key.word()).collect();
        if hop.joined_by.len() > KEYS {
            keys.push("…");
        }
        let sure = if hop.confidence == Confidence::Certain { "" } else { hop.confidence.word() };
        let sure = if sure.is_empty() { String::new() } else { format!(" ({sure})") };
        parts.push(format!("legs joined by {}{sure}", keys.join(", ")));
        page.items(label, &parts)?;
        label = "";
    }
    match chain.hops.get(HOPS..).map_or(0, |more| more.len() as u64) {
        0 => Ok(()),
        more => page.items("", &[format!("and {}", count(more, "other hop", "other hops"))]),
    }
}

/// Over how many hops the journeys went, as a sentence. Empty where none has any.
pub(super) fn journeys(a: &Analysis) -> String {
    let mut over: BTreeMap<usize, u64> = BTreeMap::new();
    for chain in a.chains.iter().filter(|chain| !chain.hops.is_empty()) {
        *over.entry(depth(chain)).or_default() += 1;
    }
    let hops = |n: usize| match n {
        1 => "one hop".to_owned(),
        2 => "two hops".to_owned(),
        n => format!("{n} hops"),
    };
    let followed: u64 = over.values().sum();
    let were = if followed == 1 { "was" } else { "were" };
    match over.first_key_value() {
        None => String::new(),
        Some((n, _)) if over.len() == 1 && a.chains.len() == 1 => format!("It was followed over {}.", hops(*n)),
        Some((n, _)) if over.len() == 1 => format!("{followed} {were} followed over {}.", hops(*n)),
        _ => {
            let parts: Vec<String> = over.iter().map(|(n, chains)| format!("{chains} over {}", hops(*n))).collect();
            format!("{followed} {were} followed further: {}.", parts.join(", "))
        }
    }
}

/// The proxies that journeys went through, in a table. Nothing where no journey has a hop, or where there is
/// but one: its ladder says it all.
pub(super) fn table(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let a = c.a;
    if a.chains.len() < 2 || a.chains.iter().all(|chain| chain.hops.is_empty()) {
        return Ok(());
    }
    let tallies = tally(a);
    let mut used: Vec<_> = a.intermediaries.iter().zip(&tallies).filter(|(_, tally)| tally.through > 0).collect();
    used.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.through, tally.lost)));
    let rows: Vec<Proxy> = used.iter().take(PROXIES).map(|(proxy, tally)| row(c, proxy, **tally)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    page.blank()?;
    let head = Proxy::head();
    let widest =
        |cell: fn(&Proxy) -> &str| rows.iter().chain([&head]).map(|row| length(cell(row))).max().unwrap_or_default();
    let software = widest(|row| &row.software);
    let room = page.width().saturating_sub(software + NUMBERS);
    let addresses = widest(|row| &row.addresses).min(room);
    for (at, row) in [&head].into_iter().chain(&rows).enumerate() {
        let at_fault = at > 0 && !matches!(row.lost.as_str(), "0" | "?");
        let words = format!("{:addresses$}  {:software$}", short(&row.addresses, addresses), row.software);
        let numbers = format!("  {:>8}  {:>9}", row.through, row.kept);
        let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
        let lost = (if at_fault { Tone::Bad } else { tone }, format!("  {:>4}", row.lost));
        page.pieces(None, &[(tone, words + &numbers), lost])?;
    }
    match used.len().saturating_sub(PROXIES) as u64 {
        0 => Ok(()),
        more => page.indented(2, Tone::Dim, &format!("and {}", count(more, "other proxy", "other proxies"))),
    }
}

/// Characters of a row beside addresses and software: blanks and numbers.
const NUMBERS: usize = 31;

/// A row of the table.
struct Proxy {
    addresses: String,
    software: String,
    through: String,
    kept: String,
    lost: String,
}

impl Proxy {
    fn head() -> Self {
        let [addresses, software, through, kept, lost] =
            ["proxy", "software", "upgrades", "passed on", "lost"].map(str::to_owned);
        Proxy { addresses, software, through, kept, lost }
    }
}

fn row(c: &mut Context<'_>, proxy: &Intermediary, tally: Tally) -> Proxy {
    let software = proxy.product.as_ref().map(|p| product(c, p)).unwrap_or_default();
    let software = match (&proxy.name, software.is_empty()) {
        (Some(name), true) => mask::own(name),
        (Some(name), false) => format!("{} ({software})", mask::own(name)),
        (None, true) => "unknown".to_owned(),
        (None, false) => software,
    };
    // What no capture shows is no zero.
    let number = |n: u64| if tally.kept + tally.lost == 0 { "?".to_owned() } else { n.to_string() };
    Proxy {
        addresses: proxy.places().join(", "),
        software: short(&software, SOFTWARE),
        through: tally.through.to_string(),
        kept: number(tally.kept),
        lost: number(tally.lost),
    }
}

/// Journeys through a proxy, those whose upgrade it passed on, and those where it was lost there.
#[derive(Clone, Copy, Default)]
struct Tally {
    through: u64,
    kept: u64,
    lost: u64,
}

/// For each of the intermediaries.
fn tally(a: &Analysis) -> Vec<Tally> {
    let known: HashMap<(IpAddr, Option<u16>), usize> = a
        .intermediaries
        .iter()
        .enumerate()
        .flat_map(|(at, proxy)| proxy.addresses.iter().map(move |ip| ((*ip, proxy.port), at)))
        .collect();
    let at_end = |end: Endpoint| known.get(&(end.ip, None)).or_else(|| known.get(&(end.ip, Some(end.port))));
    let mut out = vec![Tally::default(); a.intermediaries.len()];
    for chain in &a.chains {
        let leg = |id| build::leg(a, id);
        let mut met: BTreeMap<usize, Option<bool>> = BTreeMap::new();
        for at in chain.legs.iter().filter_map(|&id| at_end(leg(id)?.server)) {
            met.insert(*at, None);
        }
        for passed in passed::all(chain, &leg) {
            // Of several tries, the last.
            for at in passed.hop.addresses.iter().filter_map(|ip| known.get(&(*ip, passed.hop.port))) {
                met.insert(*at, passed.upgrade_kept());
            }
        }
        for (at, kept) in met {
            let Some(tally) = out.get_mut(at) else { continue };
            tally.through += 1;
            tally.kept += u64::from(kept == Some(true));
            tally.lost += u64::from(kept == Some(false));
        }
    }
    out
}

/// The hops that a journey went through to its last leg, as few words as tell them: `nginx 10.0.0.2:80`.
pub(super) fn through(c: &mut Context<'_>, chain: &Chain) -> Vec<String> {
    let a = c.a;
    let leg = |id| build::leg(a, id);
    let hops = passed::all(chain, &leg).filter(|p| !p.tried_again);
    let name = |p: passed::Passed<'_, '_>| {
        let mut name = short_name(c, p.hop.name.as_deref(), p.hop.product.as_ref());
        if name.is_empty() && p.hop.kind == HopKind::Relay {
            "relay".clone_into(&mut name);
        }
        format!("{name} {}", p.near.server).trim().to_owned()
    };
    hops.map(name).collect()
}

/// Legs behind the client's own, tries of one hop counted once.
pub(super) fn depth(chain: &Chain) -> usize {
    let mut nears: Vec<_> = chain.hops.iter().map(|hop| hop.between.0).collect();
    nears.sort_unstable();
    nears.dedup();
    nears.len()
}

/// The user's name for it, or its product's; empty where neither is known.
pub(super) fn short_name(c: &mut Context<'_>, name: Option<&str>, software: Option<&Software>) -> String {
    match (name, software.filter(|p| p.confidence >= Confidence::Likely)) {
        (Some(name), _) => mask::own(name),
        (None, Some(software)) => c.masker.bytes(software.name.as_bytes()),
        (None, None) => String::new(),
    }
}

/// What is known of a proxy at this end from all journeys; empty where nothing is.
pub(super) fn known_at(c: &mut Context<'_>, end: Endpoint) -> String {
    let known = c.a.intermediaries.iter().find(|proxy| proxy.is_at(end));
    known.map(|proxy| short_name(c, proxy.name.as_deref(), proxy.product.as_ref())).unwrap_or_default()
}

/// `nginx 1.22.1`, with its version where it tells.
fn product(c: &mut Context<'_>, software: &Software) -> String {
    let sure = if software.confidence == Confidence::Possible { "?" } else { "" };
    format!("{}{sure}", c.masker.bytes(full_name(software).as_bytes()))
}

/// Name, product and addresses of a hop.
fn who(c: &mut Context<'_>, hop: &Hop) -> String {
    let software = hop.product.as_ref().map(|p| product(c, p)).unwrap_or_default();
    let name = hop.name.as_deref().map(mask::own).unwrap_or_default();
    let who = match (name.is_empty(), software.is_empty()) {
        (true, true) => "unknown software".to_owned(),
        (true, false) => software,
        (false, true) => name,
        (false, false) => format!("{name} ({software})"),
    };
    let mut addresses: Vec<String> = hop.addresses.iter().map(ToString::to_string).collect();
    if let (Some(first), Some(place)) = (addresses.first_mut(), hop.place()) {
        *first = place;
    }
    match addresses.split_first() {
        None => who,
        Some((at, [])) => format!("{who} at {at}"),
        Some((at, onward)) => format!("{who} at {at}, onward from {}", onward.join(", ")),
    }
}

/// An answer this much ahead of the one behind it is not stamped out of order.
const EARLY: Nanos = Nanos::from_millis(-1);

/// How long the hop took. A little below zero: packets of two interfaces were stamped out of order.
fn after(time: Nanos) -> String {
    match time.0 {
        0.. => format!("after {}", human(time)),
        n if n >= EARLY.0 => "at once".to_owned(),
        n => format!("{} before it came (the clocks differ)", human(Nanos(n.saturating_neg()))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::report::Options;
    use crate::store::testing;

    fn text(a: &Analysis, max_healthy: usize) -> String {
        let mut out = Vec::new();
        let options = Options { utc: true, max_healthy, ..Options::default() };
        crate::report::text::write(a, &options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_proxies_on_the_way_stand_in_a_table() {
        let text = text(&testing::journeys(), 10);
        let (summary, _) = text.split_once("\n\nERROR").unwrap();
        let (_, summary) = summary.split_once("\n\n").unwrap();
        insta::assert_snapshot!(summary, @r"
        4 upgrades tried: 1 worked, 3 refused. 3 were followed further: 2 over one hop, 1 over two hops.
          1 × hop-downgraded-http10 at 10.0.0.2:80: a hop forwarded the HTTP/1.1 request as HTTP/1.0
          1 × refused-503 at 10.0.0.2:80: the upgrade was refused with status 503
          1 × gateway-no-backend at 10.0.0.2:80: see below
        edge.pcapng: 123 packets, 4 TCP connections, 5 HTTP requests; 2026-01-02 02:14:07 to 02:31:07 UTC

          proxy               software      upgrades  passed on  lost
          10.0.0.2, 10.0.1.1  nginx 1.22.1         4          2     1
          10.0.1.3            nginx 1.22.1         1          1     0
        ");
    }

    #[test]
    fn what_worked_says_through_which_hops() {
        let line = |max| {
            let text = text(&testing::journeys(), max);
            text[text.find("Worked").unwrap()..].split("\n\n").next().unwrap().to_owned()
        };
        insta::assert_snapshot!(line(10), @r"
        Worked: 1
          02:14:09.311 10.0.0.1:40000 → edge 10.0.0.2:80 → nginx 10.0.1.3:8000 → 10.0.1.9:8080
            chat.example.org/chat 101 in 1.67 ms
        ");
        insta::assert_snapshot!(line(0), @r"
        Worked: 1 at 10.0.0.2:80; answered in 1.67 ms (median), 1.67 ms (slowest); all through edge
        10.0.0.2:80 and nginx 10.0.1.3:8000
        ");
    }

    #[test]
    fn an_answer_of_the_hops_own_is_told_as_one() {
        let mut a = testing::journeys();
        let told = |on, back, a: &mut Analysis| {
            for hop in a.chains.iter_mut().flat_map(|chain| &mut chain.hops) {
                (hop.forward, hop.back) = (Some(Nanos::from_millis(on)), Some(Nanos::from_millis(back)));
            }
            text(a, 10).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let own = told(1, -3_000, &mut a);
        assert!(own.contains("answered by itself, 3.00 s before its backend did") && !own.contains("clocks"), "{own}");
        assert!(told(-3_000, -3_000, &mut a).contains("answer back 3.00 s before it came (the clocks differ)"));
    }

    #[test]
    fn no_time_is_told_as_less_than_none() {
        assert_eq!(after(Nanos(118_000)), "after 118 µs");
        assert_eq!(after(Nanos(-7_000)), "at once");
        assert_eq!(after(Nanos::from_millis(-5)), "5.00 ms before it came (the clocks differ)");
    }

    #[test]
    fn without_hops_there_is_no_word_of_them() {
        let text = text(&testing::sample(), 10);
        assert!(!text.contains("followed") && !text.contains("passed on"));
    }

    #[test]
    fn one_journey_alone_is_told_as_one() {
        let mut a = testing::journeys();
        assert_eq!(journeys(&a), "3 were followed further: 2 over one hop, 1 over two hops.");
        a.chains.truncate(1);
        assert_eq!(journeys(&a), "It was followed over one hop.");
    }
}
