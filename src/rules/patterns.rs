//! What the failures share and the successes do not: "all 210 failures and none of the 312 successes
//! went to this server". Looks at what a person can act on: addresses, names, programs.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::base::{Endpoint, Timestamp};
use crate::model::{Exchange, Pattern, Text};

/// Failed chains below which nothing is called a pattern; and of machines behind one address, each of which does what it
/// does each time, where the others do not fail.
const LEAST: u64 = 3;
const LEAST_OF_MACHINES: u64 = 2;
/// Patterns told at most, of how many that are compared with each other.
const MOST: usize = 5;
const COMPARED: usize = 20;
/// By how much a value must fail more often than the others.
const DIFFERENCE: f64 = 0.5;
/// How well a value must tell failures from successes: 1 is perfectly, 0 not at all.
const TELLING: f64 = 0.4;

/// What is compared, the most useful first.
const FIELDS: &[&str] = &[
    "server",
    "onward",
    "host",
    "path",
    "client",
    "user-agent",
    "origin",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "http-version",
];

/// A chain that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    /// Its client's leg.
    pub x: &'a Exchange,
    /// The server of its last leg.
    pub server: Endpoint,
    /// From where its last leg came, where that is not the address at which a leg before it came in: one of several
    /// machines behind one address, perhaps. `None`: there is but one leg, or it is that address.
    pub onward: Option<IpAddr>,
    pub failed: bool,
}

/// What failed chains share, the most telling first, and nothing that only a part of these shares; at most
/// five. Empty where there are fewer
/// than three failures (two, where machines behind one address tell them apart), or no success to compare with. Time grows
/// with their number, memory with the number of distinct values of one field.
/// `through`: hops that others went on from, so that to end there is no more than to fail there.
pub fn shared(chains: &[Compared<'_>], through: &HashSet<Endpoint>) -> Vec<Pattern> {
    let failed = count(chains.iter().filter(|chain| chain.failed).count());
    let all = count(chains.len());
    if failed < LEAST_OF_MACHINES || failed == all {
        return Vec::new();
    }
    let through: HashSet<Vec<u8>> = through.iter().map(|hop| hop.to_string().into_bytes()).collect();
    let mut found: Vec<(f64, usize, Vec<u8>, Pattern)> = Vec::new();
    for (rank, field) in FIELDS.iter().enumerate() {
        let mut values: HashMap<Cow<'_, [u8]>, Tally> = HashMap::new();
        for chain in chains {
            let tally = values.entry(value(chain, field)).or_default();
            tally.all += 1;
            if chain.failed {
                tally.failed += 1;
                let when = failed_at(chain.x);
                tally.since = Some(tally.since.map_or(when, |since| since.min(when)));
            }
        }
        for (value, tally) in values {
            let Tally { all: with, failed: bad, since: Some(since) } = tally else { continue };
            if with == all || *field == "onward" && value.is_empty() {
                continue;
            }
            if *field == "server" && through.contains(&*value) {
                continue;
            }
            let share = ratio(bad, with);
            let others = ratio(failed - bad, all - with);
            let machines = *field == "onward" && bad == with && bad == failed && all - with >= LEAST_OF_MACHINES;
            if bad < if machines { LEAST_OF_MACHINES } else { LEAST } {
                continue;
            }
            let telling = correlation(bad, with - bad, failed - bad, all - with - (failed - bad));
            if share - others < DIFFERENCE || telling < TELLING {
                continue;
            }
            let shown = show(field, &value);
            let pattern =
                Pattern { chains: bad, field, value: shown, failed_share: share, others_failed_share: others, since };
            found.push((telling, rank, value.into_owned(), pattern));
        }
    }
    found.extend(in_time(chains).map(|pattern| (1.0, FIELDS.len(), Vec::new(), pattern)));
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)).then_with(|| a.2.cmp(&b.2)));
    let mut kept: Vec<(Vec<u8>, Pattern)> = Vec::new();
    for (_, _, value, pattern) in found.into_iter().take(COMPARED) {
        if kept.len() < MOST && !kept.iter().any(|known| covers(known, &(&value, &pattern), chains)) {
            kept.push((value, pattern));
        }
    }
    kept.into_iter().map(|(_, pattern)| pattern).collect()
}

/// All failures came before the first success, or behind the last one. `None`: they were mixed, or there are few of either.
fn in_time(chains: &[Compared<'_>]) -> Option<Pattern> {
    let of = |failed: bool| {
        let times = chains.iter().filter(move |chain| chain.failed == failed).map(|chain| chain.x.request.first);
        let (first, last) = (times.clone().min()?, times.clone().max()?);
        (count(times.count()) >= LEAST).then_some((first, last))
    };
    let ((bad, last_bad), (good, last_good)) = of(true).zip(of(false))?;
    let value = match () {
        () if bad > last_good => "after the last success",
        () if last_bad < good => "before the first success",
        () => return None,
    };
    let failed = chains.iter().filter(|chain| chain.failed);
    Some(Pattern {
        chains: count(failed.clone().count()),
        field: "time",
        value: Text::own(value),
        failed_share: 1.0,
        others_failed_share: 0.0,
        since: failed.map(|chain| failed_at(chain.x)).min()?,
    })
}

/// Whether all failures of a pattern are among the more of another: then it tells nothing besides.
fn covers(known: &(Vec<u8>, Pattern), other: &(&Vec<u8>, &Pattern), chains: &[Compared<'_>]) -> bool {
    let ((value, known), (other_value, other)) = (known, other);
    let has = |chain: &Compared<'_>, pattern: &Pattern, wanted: &[u8]| *self::value(chain, pattern.field) == *wanted;
    known.chains > other.chains
        && (chains.iter().filter(|chain| chain.failed))
            .filter(|chain| has(chain, other, other_value))
            .all(|chain| has(chain, known, value))
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    all: u64,
    failed: u64,
    /// When the first of them failed.
    since: Option<Timestamp>,
}

/// Empty where the exchange has none.
fn value<'a>(chain: &Compared<'a>, field: &str) -> Cow<'a, [u8]> {
    let x = chain.x;
    match field {
        "server" => Cow::Owned(chain.server.to_string().into_bytes()),
        "onward" => Cow::Owned(chain.onward.map(|ip| ip.to_string().into_bytes()).unwrap_or_default()),
        "client" => Cow::Owned(x.client.ip.to_string().into_bytes()),
        "path" => Cow::Borrowed(x.request.target().split(|&b| b == b'?').next().unwrap_or_default()),
        "http-version" => Cow::Borrowed(x.request.version()),
        "host" => Cow::Owned(x.request.host().unwrap_or_default().to_ascii_lowercase()),
        _ => Cow::Borrowed(x.request.first_value(field).unwrap_or_default()),
    }
}

fn show(field: &'static str, value: &[u8]) -> Text {
    match field {
        _ if value.is_empty() => Text::own("(none)"),
        "server" | "onward" | "client" | "http-version" => Text::new().bytes(value),
        "path" => Text::new().url(value),
        _ => Text::new().field(field.as_bytes(), value),
    }
}

fn failed_at(x: &Exchange) -> Timestamp {
    // What was granted failed when it ended.
    let answered = x.response.as_ref().filter(|_| x.granted().is_none()).map(|r| r.first);
    answered.or(x.end.at).unwrap_or(x.request.first)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The phi coefficient of two yes-or-no questions: has the value, failed. Counts of yes-yes, yes-no,
/// no-yes, no-no; -1 to 1.
fn correlation(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let [a, b, c, d] = [a, b, c, d].map(|n| n as f64);
    let scale = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
    if scale == 0.0 { 0.0 } else { (a * d - b * c) / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(chains: &[Compared<'_>]) -> Vec<Pattern> {
        shared(chains, &HashSet::new())
    }
    use crate::model::Part;
    use crate::rules::response::testing::*;

    fn chain(port: u16, host: &str, ms: i64) -> Exchange {
        let mut x = exchange(&ASK.replace("ws.example", host), Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        x.server.port = port;
        x.response.iter_mut().for_each(|r| r.first = at(ms));
        x
    }

    fn names(patterns: &[Pattern]) -> Vec<(&'static str, String, u64)> {
        let text = |t: &Text| match t.0.first() {
            Some(Part::Bytes(b) | Part::Url(b) | Part::Field { value: b, .. }) => {
                String::from_utf8_lossy(b).into_owned()
            }
            Some(Part::Own(own)) => own.to_string(),
            Some(Part::Packets(_)) | None => String::new(),
        };
        patterns.iter().map(|p| (p.field, text(&p.value), p.chains)).collect()
    }

    fn with_servers<'x>(chains: &[(&'x Exchange, bool)]) -> Vec<Compared<'x>> {
        let one = |&(x, failed): &(&'x Exchange, bool)| Compared { x, server: x.server, onward: None, failed };
        chains.iter().map(one).collect()
    }

    #[test]
    fn machines_behind_one_address_are_told_apart_from_two_failures_on() {
        let (bad, good) = (exchange(ASK, Some("HTTP/1.1 505 No\r\n\r\n")), exchange(ASK, Some(GRANT)));
        let told = |all: &[(bool, u8)]| {
            let one = |&(failed, machine): &(bool, u8)| Compared {
                x: if failed { &bad } else { &good },
                server: bad.server,
                onward: Some([192, 0, 2, machine].into()),
                failed,
            };
            names(&told(&all.iter().map(one).collect::<Vec<_>>()))
        };
        let found = told(&[(true, 2), (false, 1), (true, 2), (false, 1)]);
        assert_eq!(found, [("onward", "192.0.2.2".to_owned(), 2)]);
        assert!(told(&[(true, 2), (false, 1), (true, 1), (false, 1)]).is_empty());
        assert!(told(&[(true, 2), (false, 1)]).is_empty());
    }

    #[test]
    fn the_server_that_all_failures_went_to_is_found() {
        let all: Vec<Exchange> = (0..40).map(|i| chain(if i % 4 == 0 { 81 } else { 80 }, "ws.example", i)).collect();
        let marked: Vec<_> = all.iter().map(|x| (x, x.server.port == 81)).collect();
        let patterns = told(&with_servers(&marked));
        assert_eq!(names(&patterns), [("server", "198.51.100.2:81".to_owned(), 10)]);
        let only = &patterns[0];
        assert_eq!((only.failed_share, only.others_failed_share, only.since), (1.0, 0.0, at(0)));
    }

    #[test]
    fn the_most_telling_value_comes_first() {
        // Every failure has the bad host; the bad server also has successes.
        let bad = (0..6).map(|i| (chain(81, "bad.example", i), true));
        let mixed = (0..3).map(|i| (chain(81, "ws.example", i), false));
        let good = (0..9).map(|i| (chain(80, "ws.example", i), false));
        let all: Vec<_> = bad.chain(mixed).chain(good).collect();
        let marked: Vec<_> = all.iter().map(|(x, failed)| (x, *failed)).collect();
        let fields: Vec<_> = names(&told(&with_servers(&marked))).into_iter().map(|(field, _, _)| field).collect();
        assert_eq!(fields, ["host", "server"]);
    }

    #[test]
    fn what_only_a_part_of_them_shares_is_not_told_beside_what_all_do() {
        let from = |client: [u8; 4], mut x: Exchange| {
            x.client.ip = client.into();
            x
        };
        let bad = (0..8).map(|i| (from([192, 0, 2, if i < 4 { 1 } else { 2 }], chain(81, "ws.example", i)), true));
        let good = (0..6).map(|i| (from([192, 0, 2, 9], chain(80, "ws.example", i)), false));
        let all: Vec<_> = bad.chain(good).collect();
        let marked: Vec<_> = all.iter().map(|(x, failed)| (x, *failed)).collect();
        assert_eq!(names(&told(&with_servers(&marked))), [("server", "198.51.100.2:81".to_owned(), 8)]);
    }

    #[test]
    fn a_missing_field_can_be_what_they_share() {
        let with = exchange(&ask("Origin: http://ws.example\r\n"), Some(GRANT));
        let without = exchange(ASK, Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
        let marked: Vec<_> = (0..8).map(|i| if i % 2 == 0 { (&with, false) } else { (&without, true) }).collect();
        assert_eq!(names(&told(&with_servers(&marked))), [("origin", "(none)".to_owned(), 4)]);
    }

    #[test]
    fn few_failures_only_failures_and_chance_are_no_pattern() {
        let (a, b) = (chain(80, "ws.example", 0), chain(81, "ws.example", 0));
        assert!(told(&with_servers(&[(&a, true), (&a, true), (&b, false)])).is_empty());
        assert!(told(&with_servers(&[(&a, true), (&a, true), (&a, true), (&b, true)])).is_empty());
        let even: Vec<_> = (0..40).map(|i| (if i % 2 == 0 { &a } else { &b }, i % 4 < 2)).collect();
        assert!(told(&with_servers(&even)).is_empty());
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn what_only_ends_where_others_go_on_is_no_pattern_and_what_failed_at_another_time_is() {
        let at = |n: i64| {
            let mut x = crate::rules::testing::exchange(crate::rules::testing::GOOD, None);
            x.request.first = Timestamp(n);
            x
        };
        let all: Vec<Exchange> = (0..8).map(at).collect();
        let of = |failed: &dyn Fn(usize) -> bool| {
            let one = |(n, x)| {
                let failed = failed(n);
                let behind = Endpoint { port: 8_081, ..Exchange::server_behind(x) };
                Compared { x, server: if failed { x.server } else { behind }, onward: None, failed }
            };
            all.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let fields = |chains: &[Compared<'_>], through: &HashSet<Endpoint>| {
            shared(chains, through).iter().map(|p| p.field).collect::<Vec<_>>()
        };
        let mixed = of(&|n| n % 2 == 0);
        assert_eq!(fields(&mixed, &HashSet::new()), ["server"]);
        let through = HashSet::from([all[0].server]);
        assert!(fields(&mixed, &through).is_empty());
        assert_eq!(fields(&of(&|n| n >= 4), &through), ["time"]);
        let first = shared(&of(&|n| n < 4), &through);
        assert_eq!(first[0].value, Text::own("before the first success"));
        assert!(shared(&of(&|n| n >= 6), &through).is_empty(), "two are few");
    }
}
