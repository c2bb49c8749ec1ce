//! What hops tried towards backends without getting a request through.

use crate::base::{Nanos, limits};
use crate::model::{Confidence, Direction, Evidence, FlowFacts, Text};
use crate::rules::journey::{Journey, Leg};

use super::answer::{answerer, capital, gave_up, leg, outcome};

/// Connections of one hop that failed alike, and the leg that it got nothing for.
pub(in crate::rules) struct Failed<'a> {
    pub leg: Leg<'a>,
    /// In the order in which they were tried; at least one.
    pub flows: Vec<&'a FlowFacts>,
    /// No surer than that they belong to this leg.
    pub confidence: Confidence,
    /// The last that the hop tried for this leg is one of them: what its client got comes of that.
    pub decides: bool,
    who: String,
}

impl Failed<'_> {
    /// The hop, with a capital where the word is ours.
    pub(in crate::rules) fn who(&self) -> String {
        capital(&self.who).into_owned()
    }

    /// Behind "and": what the client of the hop had of it.
    pub(in crate::rules) fn outcome(&self) -> String {
        let said = outcome(self.leg.x);
        match self.before() {
            Some(before) => format!("{said} {:.1} s later without another try", before.as_secs_f64()),
            None => said,
        }
    }

    /// Whether the hop did not try anew for this request, since an earlier try had failed.
    pub(in crate::rules) fn is_remembered(&self) -> bool {
        self.before().is_some()
    }

    /// How long before the request the last of them was over. `None`: they were tried for this request.
    fn before(&self) -> Option<Nanos> {
        let asked = self.leg.x.request.first;
        let over = self.flows.iter().map(|flow| flow.end_at.unwrap_or(flow.syn_at)).max()?;
        let first = self.flows.iter().map(|flow| flow.syn_at).max()?;
        let slack = Nanos::from_millis(limits::JOIN_SLACK_MS);
        (over < asked && first + slack < asked).then(|| asked.since(over))
    }

    /// Where to: `10.0.0.2:80`, `10.0.0.2:80 and 1 other address`.
    pub(in crate::rules) fn servers(&self) -> String {
        let mut servers: Vec<_> = self.flows.iter().map(|flow| flow.server).collect();
        servers.sort_unstable();
        servers.dedup();
        let first = self.flows.first().map(|flow| flow.server.to_string()).unwrap_or_default();
        match servers.len() {
            0 | 1 => first,
            2 => format!("{first} and 1 other address"),
            more => format!("{first} and {} other addresses", more - 1),
        }
    }

    /// The answer that the hop gave its client, as a finding shows it.
    pub(in crate::rules) fn answer(&self) -> Evidence {
        let x = self.leg.x;
        match &x.response {
            Some(head) => {
                Evidence { at: head.at, direction: Some(Direction::ServerToClient), bytes: Some(head.start_range()) }
            }
            None => Evidence {
                at: x.request.at,
                direction: Some(Direction::ClientToServer),
                bytes: Some(x.request.start_range()),
            },
        }
    }
}

/// The connections like this that a hop tried for a request that it then could not answer. `None`: there are
/// none, or the hop got its request through after all.
pub(in crate::rules) fn failed<'a>(journey: &Journey<'a>, like: impl Fn(&FlowFacts) -> bool) -> Option<Failed<'a>> {
    of_legs(journey, like, |near| is_stuck(journey, near))
}

/// The connections like this that a hop tried in vain before it got its request through after all. `None`: there are none.
pub(in crate::rules) fn overcome<'a>(journey: &Journey<'a>, like: impl Fn(&FlowFacts) -> bool) -> Option<Failed<'a>> {
    let through = |near: &Leg<'_>| journey.hops.iter().any(|hop| hop.between.0 == near.x.id);
    of_legs(journey, like, |near| near.x.granted().is_some() && through(near))
}

/// The connections like this that were tried for the first leg of this kind.
fn of_legs<'a>(
    journey: &Journey<'a>,
    like: impl Fn(&FlowFacts) -> bool,
    kind: impl Fn(&Leg<'_>) -> bool,
) -> Option<Failed<'a>> {
    let (first, near) = journey.tried.iter().filter(|(_, flow)| like(flow)).find_map(|(tried, _)| {
        let near = leg(journey, tried.behind).filter(|near| kind(near))?;
        Some((tried, near))
    })?;
    let of_leg = journey.tried.iter().filter(|(tried, _)| tried.behind == first.behind);
    let same = of_leg.clone().filter(|(_, flow)| like(flow));
    Some(Failed {
        leg: near,
        flows: same.clone().map(|(_, flow)| *flow).collect(),
        confidence: same.map(|(tried, _)| tried.confidence).max().unwrap_or(first.confidence),
        decides: of_leg.max_by_key(|(_, flow)| flow.syn_at).is_some_and(|(_, last)| like(last)),
        who: answerer(journey, &near),
    })
}

/// Whether the hop that answers this leg gave up, and no request of it behind was answered.
fn is_stuck(journey: &Journey<'_>, near: &Leg<'_>) -> bool {
    let answered = |id| leg(journey, id).is_some_and(|far| far.x.response.is_some());
    // An answer that the hop did not take, so that it tried on, is none.
    let through = journey
        .hops
        .iter()
        .any(|hop| hop.between.0 == near.x.id && answered(hop.between.1) && !journey.tried_behind(hop));
    !through && gave_up(near.x)
}

/// `once`, `3 times`.
pub(in crate::rules) fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// The packet of a connection that answered or ended it; its SYN where there is none.
pub(in crate::rules) fn packets(flow: &FlowFacts) -> Vec<Evidence> {
    let syn = Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None };
    let end = flow.end.map(|at| Evidence { at, direction: Some(Direction::ServerToClient), bytes: None });
    [Some(syn), end].into_iter().flatten().collect()
}

/// Own words behind the subject of a sentence.
pub(in crate::rules) fn say(failed: &Failed<'_>, did: &str) -> Text {
    Text::own(format!("{} {did}.", failed.who()))
}
