//! Which limit cut a tunnel: how long it was silent before a hop ended it by itself, and whose known limit that is.

use std::net::IpAddr;

use crate::base::Nanos;
use crate::model::{Confidence, Direction, EndHow, Exchange, KnownLimit, LimitKind, Software};
use crate::rules::journey::{Journey, Leg, full_name, who as name_of};
use crate::rules::{Seen, frames};

use super::support::{FROM_CLIENT, FROM_SERVER, cut_by, spell};
use super::who::{self, Who};

/// A tunnel that a hop, or the server end of the last leg in view, ended by itself without a Close.
pub(super) struct CutOff<'a> {
    pub who: Who<'a>,
    /// The tunnel lived through a longer silence before: no idle limit cut it.
    pub bore: bool,
    /// The hop ended the connections on both of its sides.
    pub both: bool,
    /// It reset all that it ended.
    pub reset: bool,
    /// From the last payload byte to the end: where it ended both legs, the shorter time.
    pub idle: Nanos,
    pub life: Option<Nanos>,
    /// Who is behind it, where that is known.
    pub software: Option<&'a Software>,
}

pub(super) fn cut_off<'a>(journey: &Journey<'a>) -> Option<CutOff<'a>> {
    let who = who::ended(journey)?;
    let near = who.leg().x;
    let (ends, software): (Vec<&Exchange>, _) = match who {
        Who::Client(_) => return None,
        // A broker that gives a client up has no limit of its own.
        Who::Server(leg) if frames::is_promise_broken(leg.x) => return None,
        Who::Server(_) => {
            let last = journey.last().is_some_and(|last| last.x.id == near.id);
            (of(near, FROM_SERVER).into_iter().collect(), journey.view.responder.filter(|_| last))
        }
        Who::Hop(hop, _) => {
            let far = journey.legs.iter().find(|leg| leg.x.id == hop.between.1).map(|leg| leg.x);
            let ends = [of(near, FROM_SERVER), far.and_then(|far| of(far, FROM_CLIENT))];
            (ends.into_iter().flatten().collect(), hop.product.as_ref())
        }
    };
    let idle = ends.iter().filter_map(|x| x.end.idle_before).min()?;
    // What it bore before is no limit of its.
    let bore = journey
        .legs
        .iter()
        .any(|leg| survived(leg.x).is_some_and(|longest| longest.0 > idle.0 + idle.0 / 50 + SLACK.0));
    Some(CutOff {
        who,
        bore,
        both: ends.len() == 2,
        reset: ends.iter().all(|x| x.end.tcp_how == EndHow::Rst),
        idle,
        life: near.end.lifetime,
        software: software.filter(|software| software.confidence >= Confidence::Likely),
    })
}

pub(super) const SLACK: Nanos = Nanos::from_millis(500);

fn of(x: &Exchange, by: Direction) -> Option<&Exchange> {
    (cut_by(x) == Some(by)).then_some(x)
}

/// The longest silence that this tunnel lived through.
pub(super) fn survived(x: &Exchange) -> Option<Nanos> {
    Some(x.talk.as_ref()?.silence?.length)
}

/// Whether a measured time is this limit: off by a second or 2 %, and a second late.
fn is(limit: Nanos, measured: Nanos) -> bool {
    let off = Nanos::from_secs(1).0.max(limit.0 / 50);
    (limit.0 - off..=limit.0 + off + Nanos::from_secs(1).0).contains(&measured.0)
}

/// Whether it is one of this software, or of what that is built on.
fn is_of(limit: &KnownLimit, software: &Software, seen: &Seen) -> bool {
    let base = || seen.limits.iter().find(|l| *l.slug == *software.slug).and_then(|l| l.kind_of.as_deref());
    *limit.slug == *software.slug || base().is_some_and(|base| *limit.slug == *base)
}

/// All limits of a software, the shortest first.
pub(super) fn limits_of<'s>(seen: &'s Seen, software: Option<&Software>, kind: LimitKind) -> Vec<&'s KnownLimit> {
    let Some(software) = software else { return Vec::new() };
    let own = seen.limits.iter().filter(|limit| limit.kind == kind && is_of(limit, software, seen));
    let mut all: Vec<&KnownLimit> = own.collect();
    all.sort_by_key(|limit| limit.length);
    all
}

/// Whose limits a measured time is.
pub(super) enum Match<'s> {
    /// Of the software that ended it.
    Own(Vec<&'s KnownLimit>),
    /// Of any product: who ended it is not known, or no limit of its own fits.
    Any(Vec<&'s KnownLimit>),
}

impl<'s> Match<'s> {
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Match::Own(_))
    }

    pub(super) fn all(&self) -> &[&'s KnownLimit] {
        match self {
            Match::Own(all) | Match::Any(all) => all,
        }
    }

    /// Whether all of it is only believed.
    pub(super) fn guess(&self) -> bool {
        self.all().iter().all(|limit| limit.guess)
    }

    /// `proxy_read_timeout (60 s)` of the software itself, `nginx's proxy_read_timeout or …` of others.
    pub(super) fn words(&self) -> String {
        let own = self.is_own();
        let mut names: Vec<String> = Vec::new();
        for limit in self.all() {
            let name = if own { limit.setting.to_string() } else { format!("{} of {}", limit.setting, limit.product) };
            if !names.contains(&name) && names.len() < NAMED {
                names.push(name);
            }
        }
        let length = self.all().first().map(|limit| spell(limit.length)).unwrap_or_default();
        format!("{} ({length} unless set)", or(&names))
    }
}

/// Limits named.
const NAMED: usize = 3;

pub(super) fn or(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// The known limits that a measured time is. `elsewhere`: whether it may be the limit of a box that is not in view.
pub(super) fn matching<'s>(
    seen: &'s Seen,
    kind: LimitKind,
    measured: Nanos,
    software: Option<&Software>,
    elsewhere: bool,
) -> Option<Match<'s>> {
    let fits = |limit: &&KnownLimit| limit.kind == kind && is(limit.length, measured);
    let own: Vec<&KnownLimit> = limits_of(seen, software, kind).into_iter().filter(fits).collect();
    if !own.is_empty() {
        return Some(Match::Own(own));
    }
    if software.is_some() && !elsewhere {
        return None;
    }
    let mut any: Vec<&KnownLimit> = seen.limits.iter().filter(fits).collect();
    // What is known before what is believed, the nearest before others.
    any.sort_by_key(|limit| (limit.guess, limit.length.0.abs_diff(measured.0)));
    (!any.is_empty()).then_some(Match::Any(any))
}

/// The next limit that a longer silence would meet, of others on the path: ` Raised, the next …`. Empty: none is known.
pub(super) fn next(journey: &Journey<'_>, seen: &Seen, cut: &CutOff<'_>) -> String {
    let measured = cut.idle;
    let others = journey.hops.iter().filter(|hop| !matches!(cut.who, Who::Hop(own, _) if own.between == hop.between));
    let last = journey.view.responder.filter(|_| !matches!(cut.who, Who::Server(_)));
    let all = others.map(|hop| hop.product.as_ref()).chain([last]);
    let longer = all.flat_map(|software| limits_of(seen, software, LimitKind::Idle));
    let beyond = Nanos(measured.0 + Nanos::from_secs(2).0.max(measured.0 / 25));
    let next = longer.filter(|limit| !limit.guess && limit.length > beyond).min_by_key(|limit| limit.length);
    next.map(|limit| {
        format!(" Raised, the next on the path is {}'s {} ({}).", limit.product, limit.setting, spell(limit.length))
    })
    .unwrap_or_default()
}

impl CutOff<'_> {
    /// The host that the ends of tunnels are remembered under.
    pub(super) fn host(&self) -> IpAddr {
        self.who.leg().x.server.ip
    }

    /// Whether the hop is known to have done it itself: both of its sides are in view.
    pub(super) fn by_hop(&self) -> bool {
        matches!(self.who, Who::Hop(..))
    }

    /// Who did it, in the middle of a sentence.
    pub(super) fn name(&self) -> String {
        match (self.who, self.software) {
            (Who::Hop(hop, _), _) => name_of(hop),
            (who, Some(software)) => format!("{} at {}", full_name(software), who.leg().x.server),
            (who, None) => format!("the server {}", who.leg().x.server),
        }
    }

    /// What it did: `closed both legs`.
    pub(super) fn did(&self) -> &'static str {
        match (self.both, self.reset) {
            (true, true) => "reset both legs",
            (true, false) => "closed both legs",
            (false, true) => "reset the connection",
            (false, false) => "closed the connection",
        }
    }

    /// `Open 3.0 s, last frame from the client at +0.01 s`.
    pub(super) fn story(&self) -> String {
        let leg: Leg<'_> = self.who.leg();
        let open = self.life.map_or_else(|| "Open".to_owned(), |life| format!("Open {}", spell(life)));
        let talk = leg.x.talk.as_ref();
        let last = [FROM_CLIENT, FROM_SERVER].into_iter().filter_map(|by| Some((talk?.of(by).last?.ts, by)));
        match last.max_by_key(|(ts, _)| *ts) {
            Some((ts, by)) => {
                let after = ts.since(leg.x.request.first);
                let after =
                    if after < Nanos::from_secs(1) { format!("{:.2} s", after.as_secs_f64()) } else { spell(after) };
                format!("{open}, last frame from the {} at +{after}", super::support::name(by))
            }
            None => open,
        }
    }
}
