//! How long the intermediary leaves a silent tunnel, and an old one, and whether heartbeats are quick enough for it.

use crate::base::Nanos;
use crate::model::{Chain, Exchange, FaultClass, Lasted, LimitKind, Rare};
use crate::report::time::human;

use super::line::{Maker, Status, Tally, both};
use super::scope::Scope;

pub(super) fn lines(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let slugs = ["idle-timeout", "idle-timeout-match"];
    limit(scope, m, ("idle-limit", "Idle limit"), scope.proxy.idle, &slugs, "silence");
    limit(scope, m, ("lifetime-limit", "Lifetime limit"), scope.proxy.lifetime, &["lifetime-limit-match"], "life");
    heartbeat(scope, m);
}

fn limit(
    scope: &Scope<'_>,
    m: &mut Maker<'_, '_>,
    (id, title): (&'static str, &'static str),
    lasted: Lasted,
    slugs: &[&str],
    what: &str,
) {
    let known = known(scope, id == "idle-limit")
        .map(|(length, setting)| format!("; its default is {} ({setting})", human(length)));
    let known = known.unwrap_or_default();
    let bore = lasted.survived.filter(|ns| *ns > Nanos(0)).map(human);
    match (lasted.cut_at, bore) {
        (Some(cut), bore) => {
            let bore = bore.map(|bore| format!("; the longest that it bore is {bore}")).unwrap_or_default();
            let text =
                format!("cuts tunnels after {} of {what} ({} measured{bore}){known}", human(cut), lasted.samples);
            let found = scope.findings(slugs);
            match found.is_empty() {
                true => {
                    m.plain(id, title, Status::Warn, text);
                }
                false => {
                    m.from(id, title, &found);
                    if let Some(line) = m.lines.last_mut() {
                        line.text = text;
                    }
                }
            }
        }
        (None, Some(bore)) => {
            let text = format!("at least {bore}: the longest {what} of {} was not cut{known}", tunnels(lasted.samples));
            // What ends at once says nothing of limits.
            let told = lasted.survived.is_some_and(|ns| ns >= Nanos::from_secs(1));
            m.plain(id, title, if told { Status::Pass } else { Status::NotObserved }, text);
        }
        (None, None) => {
            m.plain(id, title, Status::NotObserved, format!("no tunnel through it was long enough to tell{known}"));
        }
    }
}

/// Heartbeats against the limit that was measured or, where none was, the one that the product has by default.
fn heartbeat(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("heartbeat", "Heartbeats");
    let faults = scope.findings(&["ping-period-vs-timeout"]);
    if !faults.is_empty() {
        m.from(id, title, &faults);
        return;
    }
    let measured = scope.proxy.idle.cut_at.map(|at| (at, "the limit measured here".to_owned()));
    let known = || known(scope, true).map(|(at, setting)| (at, format!("the default of {setting}")));
    let Some((limit, whose)) = measured.or_else(known) else {
        m.plain(id, title, Status::NotObserved, "no idle limit is known to compare them with".to_owned());
        return;
    };
    let mut tally: Tally<'_> = Tally::default();
    let mut slowest = Nanos(0);
    for (chain, p) in &scope.hops {
        let chain: &Chain = chain;
        if let Some(period) = period(p.near).or_else(|| period(p.far)) {
            slowest = slowest.max(period);
            tally.add(Some(period < limit), chain, both(p));
        }
    }
    let limit = format!("{} is {}", whose, human(limit));
    let good = format!("every {} at the slowest; {limit}", human(slowest));
    let bad = format!("too slow: every {}; {limit}", human(slowest));
    m.tallied((id, title), &tally, Status::Warn, [&good, &bad], Some(FaultClass::Idle));
    if tally.all() == 0
        && let Some(line) = m.lines.last_mut()
    {
        line.text = format!("no heartbeat was seen; {limit}");
    }
}

/// How often either side says that it is there. `None`: it does not, or did so once.
fn period(x: &Exchange) -> Option<Nanos> {
    let talk = x.talk.as_ref()?;
    let of = |rare: &Rare| {
        let pings = rare.pings.as_ref().and_then(|pings| pings.period.mean());
        let beats = rare.beats.iter().filter_map(|beat| beat.period.mean());
        beats.chain(pings).min()
    };
    [&talk.client, &talk.server].into_iter().filter_map(|side| side.rare.as_deref().and_then(of)).min()
}

/// The limit that the product has unless somebody changed it, and its setting. `None`: not known.
fn known(scope: &Scope<'_>, idle: bool) -> Option<(Nanos, String)> {
    let slug = scope.proxy.product.as_ref()?.slug.as_str();
    let kind = if idle { LimitKind::Idle } else { LimitKind::Lifetime };
    let limits = scope.products.limits();
    let own = limits.iter().filter(|l| &*l.slug == slug && l.kind == kind && !l.guess);
    own.min_by_key(|l| l.length).map(|l| (l.length, l.setting.to_string()))
}

fn tunnels(n: u64) -> String {
    if n == 1 { "1 tunnel".to_owned() } else { format!("{n} tunnels") }
}
