//! The verdict on a chain of several legs: which finding it is named after, and which hop is guilty
//! and in which order that is asked.

use std::borrow::Cow;

use crate::hops;
use crate::model::{
    Blame, Confidence, Direction, EndHow, Exchange, FaultClass, Finding, Fix, Hop, Outcome, Part, Role, Severity,
    Software, Text, Verdict,
};
use crate::rules::ends::who::{Who, ended};
use crate::rules::journey::{Journey, Leg, full_name, who};
use crate::rules::recovery::{Recovered, request_rule};
use crate::rules::verdict::{
    self, CAUSE, Candidate, DECIDED_BY_SERVER, Knowledge, fix_class, may_be_ignored, may_explain,
};
use crate::rules::{Explains, Rule, ends, find, unknown};

/// Takes the harm off faults that did none: what a hop repaired on the way back to a client that was
/// upgraded, and everything of a try that a later one overcame. `on_legs`: the findings of each leg, client
/// side first; `found`: those about the chain.
pub fn lower<'f>(
    outcome: Outcome,
    recovered: bool,
    on_legs: impl Iterator<Item = &'f mut [Finding]>,
    found: &'f mut [(Option<usize>, Finding)],
) {
    if !recovered && outcome != Outcome::Upgraded {
        return;
    }
    let ends = |finding: &Finding| find(&finding.rule).is_some_and(|rule| rule.explains.contains(&Explains::Ended));
    let of_chain = found.iter_mut().map(|(_, finding)| finding);
    let harmless = |finding: &&mut Finding| {
        finding.severity == Severity::Error && !finding.rule.starts_with("cap-") && (recovered || !ends(finding))
    };
    // The client's own leg was dealt with when it was judged alone.
    on_legs.skip(1).flatten().chain(of_chain).filter(harmless).for_each(|f| f.severity = Severity::Warning);
}

/// The verdict. `outcome`: as the client saw it; `found`: the findings about the chain, each with the place
/// of its hop.
pub fn of(
    journey: &Journey<'_>,
    outcome: Outcome,
    found: &[(Option<usize>, Finding)],
    recovered: Option<Recovered>,
    known: &dyn Knowledge,
) -> Option<Verdict> {
    let first = journey.first()?;
    let named = if recovered.is_some() || may_be_ignored(first.x) {
        None
    } else {
        verdict::name(candidates(journey, outcome, found))
    };
    let Some((candidate, severity)) = named else {
        let mut verdict = match verdict::is_unknown(first.x, outcome, recovered) {
            true => unknown::exchange(first.x),
            false => verdict::fine(first.x, first.handshake, outcome, recovered),
        };
        if verdict.rule == "ok" {
            verdict.confidence = verdict.confidence.min(least(journey));
        }
        return Some(verdict);
    };
    let unseen = outcome == Outcome::Unknown && candidate.place.leg.is_some();
    let mut verdict = match candidate.place {
        _ if ends::is_end(candidate.rule) => on_end(journey, &candidate, known)?,
        Place { leg: Some(leg), .. } => on_leg(journey, leg, &candidate, unseen, is_own(found), known)?,
        Place { hop, .. } => on_hop(journey, hop.and_then(|hop| journey.hops.get(hop)), &candidate, known),
    };
    verdict.severity = severity;
    Some(verdict)
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Place of the leg, for a finding about one exchange.
    pub leg: Option<usize>,
    pub hop: Option<usize>,
    /// Hops between it and the client.
    pub depth: usize,
}

/// All findings that may explain the outcome.
fn candidates<'f>(
    journey: &Journey<'f>,
    outcome: Outcome,
    found: &'f [(Option<usize>, Finding)],
) -> impl Iterator<Item = Candidate<'f>> {
    let legs = journey.legs.iter().enumerate().flat_map(move |(at, leg)| {
        let depth = depth(journey, leg.x);
        let place = Place { leg: Some(at), hop: None, depth };
        leg.findings.iter().map(move |finding| (place, finding))
    });
    let chain = found.iter().map(move |(hop, finding)| {
        let near = hop.and_then(|hop| journey.hops.get(hop)).map(|hop| hop.between.0);
        let leg = near.and_then(|near| journey.legs.iter().find(|leg| leg.x.id == near)).or(journey.legs.last());
        let depth = leg.map_or(0, |leg| depth(journey, leg.x));
        (Place { leg: None, hop: *hop, depth }, finding)
    });
    // What a proxy says by itself is no answer to the Origin.
    let own = is_own(found);
    // Behind a client that was told goodbye nothing was cut that it had.
    let farewell = journey.first().is_some_and(|leg| leg.x.end.how == EndHow::CloseFrame);
    let may = move |(place, finding): &(Place, &Finding), rule: &Rule| {
        if farewell && place.depth > 0 && ends::is_end(rule) {
            return false;
        }
        // What stands behind the client's own leg harms an upgraded chain only by cutting it.
        let reaches = outcome != Outcome::Upgraded
            || place.depth == 0
            || place.leg.is_none()
            || rule.explains.contains(&Explains::Ended);
        let beside = own && DECIDED_BY_SERVER.contains(&rule.id) && rule.id != "req-head-too-large";
        reaches && !beside && may_explain(rule, finding, outcome)
    };
    legs.chain(chain).filter_map(move |at| {
        let rule = find(&at.1.rule)?;
        may(&at, rule).then_some(Candidate { rule, finding: at.1, place: at.0 })
    })
}

/// Whether the last hop answered by itself.
fn is_own(found: &[(Option<usize>, Finding)]) -> bool {
    found.iter().any(|(_, f)| f.rule == "hop-answered-locally" && f.confidence > Confidence::Possible)
}

/// Hops between an exchange and the client.
fn depth(journey: &Journey<'_>, x: &Exchange) -> usize {
    let mut id = x.id;
    let mut depth = 0;
    while let Some(hop) = journey.hops.iter().find(|hop| hop.between.1 == id) {
        id = hop.between.0;
        depth += 1;
        if depth > journey.hops.len() {
            break;
        }
    }
    depth
}

/// The least sure of the joins.
fn least(journey: &Journey<'_>) -> Confidence {
    journey.hops.iter().map(|hop| hop.confidence).min().unwrap_or(Confidence::Certain)
}

/// The verdict of a finding about one leg: who sent the faulty bytes first, walking as far as the fault goes.
fn on_leg(
    journey: &Journey<'_>,
    leg: usize,
    candidate: &Candidate<'_>,
    unseen: bool,
    own: bool,
    known: &dyn Knowledge,
) -> Option<Verdict> {
    let Candidate { rule, finding, .. } = *candidate;
    let by_client = request_rule(rule.id).is_some() && !DECIDED_BY_SERVER.contains(&rule.id);
    let has = |leg: &Leg<'_>| leg.findings.iter().any(|f| f.rule == finding.rule);
    let mut at = *journey.legs.get(leg)?;
    // Towards where the bytes came from, while the fault is there already.
    let hop = loop {
        let next = match by_client {
            true => journey.hops.iter().find(|hop| hop.between.1 == at.x.id),
            false => journey.hops.iter().rfind(|hop| hop.between.0 == at.x.id),
        };
        let Some(hop) = next else { break None };
        let other = if by_client { hop.between.0 } else { hop.between.1 };
        match journey.legs.iter().find(|leg| leg.x.id == other) {
            Some(leg) if has(leg) => at = *leg,
            _ => break Some(hop),
        }
    };
    let sender = if by_client { Direction::ClientToServer } else { Direction::ServerToClient };
    let page = finding.rule.starts_with("refused-").then(|| known.page(at.x)).flatten();
    let (mut blame, local) = match hop {
        Some(hop) => (of_hop(hop), Blame { address: address(at.x, by_client), ..of_hop(hop) }),
        None => {
            let blame = verdict::blame(at.x, rule, sender, known);
            (blame.clone(), blame)
        }
    };
    let class = verdict::class_of(at.x, finding, page.as_ref());
    let fix = class.map(|class| match hop {
        Some(hop) => known.fixes_of(hop.product.as_ref(), class),
        None => known.fixes(at.x, sender, class),
    });
    let confidence = if unseen { finding.confidence.lower() } else { finding.confidence };
    let summary = verdict::summary(at.x, rule, finding, &local, page.as_ref(), unseen);
    if hop.is_none() && !by_client && blame.role == Role::Server && (own || journey.view.behind_last) {
        // Of a hop whose legs are captured, and that has none behind this one.
        blame.role = Role::Hop;
    }
    let joined = if at.x.id == journey.first()?.x.id { Confidence::Certain } else { least(journey) };
    Some(Verdict {
        rule: finding.rule.clone(),
        severity: finding.severity,
        confidence: confidence.min(joined),
        blame: Some(blame),
        summary,
        fix: fix.unwrap_or_default(),
    })
}

/// The verdict of a finding about the end of a tunnel: who ended it is to blame, on whatever leg it shows.
fn on_end(journey: &Journey<'_>, candidate: &Candidate<'_>, known: &dyn Knowledge) -> Option<Verdict> {
    let Candidate { rule, finding, place } = *candidate;
    let about = place.leg.and_then(|at| journey.legs.get(at)).map(|leg| leg.x);
    let first = journey.first()?.x;
    let who = ended(journey).filter(|_| !ends::by_stranger(rule));
    let server = |x| verdict::blame(x, rule, Direction::ServerToClient, known);
    let sure = journey.view.responder.filter(|software| software.confidence >= Confidence::Likely);
    // What speaks of it on its own leg: the hop is the server of one and the client of another.
    let (blame, x, by_client, software) = match who {
        None => {
            let nobody = Blame { role: Role::Unknown, address: None, product: None };
            return Some(Verdict {
                rule: finding.rule.clone(),
                severity: finding.severity,
                confidence: finding.confidence.min(least(journey)),
                blame: Some(nobody),
                summary: sentence(rule, finding),
                fix: rule.fix.map(|class| known.fixes_of(None, class)).unwrap_or_default(),
            });
        }
        Some(Who::Client(leg)) => (verdict::blame(leg.x, rule, Direction::ClientToServer, known), leg.x, true, None),
        Some(Who::Hop(hop, leg)) => {
            let far = about.filter(|x| x.id == hop.between.1);
            (of_hop(hop), far.unwrap_or(leg.x), far.is_some(), hop.product.as_ref())
        }
        Some(Who::Server(leg)) => {
            let last = journey.last().is_some_and(|last| last.x.id == leg.x.id);
            let limit =
                sure.is_some() && matches!(rule.fix, Some(FaultClass::Idle)) || rule.id == "lifetime-limit-match";
            let is_hop = last && (journey.view.behind_last || limit && sure.is_some());
            let blame = server(leg.x);
            let role = if is_hop { Role::Hop } else { blame.role };
            (Blame { role, ..blame }, leg.x, false, sure.filter(|_| last))
        }
    };
    let local = Blame { address: address(x, by_client), ..blame.clone() };
    let joined = if x.id == first.id && journey.hops.is_empty() { Confidence::Certain } else { least(journey) };
    Some(Verdict {
        rule: finding.rule.clone(),
        severity: finding.severity,
        confidence: finding.confidence.min(joined),
        summary: match about {
            Some(_) => verdict::summary(x, rule, finding, &local, None, false),
            None => sentence(rule, finding),
        },
        fix: rule.fix.map(|class| known.fixes_of(software, class)).unwrap_or_default(),
        blame: Some(blame),
    })
}

/// The verdict of a finding about a hop or the whole chain.
fn on_hop(journey: &Journey<'_>, hop: Option<&Hop>, candidate: &Candidate<'_>, known: &dyn Knowledge) -> Verdict {
    let Candidate { rule, finding, .. } = *candidate;
    let last = journey.last();
    let responder = journey.view.responder;
    let (blame, software): (Blame, Option<&Software>) = match hop {
        Some(hop) if rule.id.starts_with("backend-") => (of_server(journey, hop), None),
        Some(hop) => (of_hop(hop), hop.product.as_ref()),
        None if rule.id.starts_with("backend-") => (of_backend(journey), None),
        None => {
            // It is about who answers the last leg: a hop whose other side has no leg of this chain.
            let address = last.map(|leg| leg.x.server.ip.to_string());
            let product = responder.map(full_name);
            let role = if finding.confidence == Confidence::Possible { Role::Unknown } else { Role::Hop };
            (Blame { role, address, product }, responder)
        }
    };
    let class = match last {
        Some(leg) if hop.is_none() => {
            let page = leg.x.response.is_some().then(|| known.page(leg.x)).flatten();
            rule.fix.or_else(|| verdict::class_of(leg.x, finding, page.as_ref()))
        }
        _ => rule.fix.or_else(|| last.and_then(|leg| fix_class(leg.x, &finding.rule))),
    };
    let fix: Vec<Fix> = class.map(|class| known.fixes_of(software, class)).unwrap_or_default();
    Verdict {
        rule: finding.rule.clone(),
        severity: finding.severity,
        confidence: finding.confidence,
        blame: Some(blame),
        summary: sentence(rule, finding),
        fix,
    }
}

fn of_hop(hop: &Hop) -> Blame {
    let product = hop.product.as_ref().filter(|p| p.confidence >= Confidence::Likely).map(full_name);
    Blame { role: Role::Hop, address: hop.address().map(|ip| ip.to_string()), product }
}

/// The server behind a hop.
fn of_server(journey: &Journey<'_>, hop: &Hop) -> Blame {
    let far = journey.legs.iter().find(|leg| leg.x.id == hop.between.1);
    Blame { role: Role::Server, address: far.map(|leg| leg.x.server.ip.to_string()), product: None }
}

/// The backend: what a hop tried in vain, else the server of the last leg.
fn of_backend(journey: &Journey<'_>) -> Blame {
    let tried = journey.tried.last().map(|(_, flow)| flow.server.ip);
    let address = match journey.legs {
        // A connection tried in vain counts only where nothing got through.
        [_] => tried.or(journey.last().map(|leg| leg.x.server.ip)),
        _ => journey.last().map(|leg| leg.x.server.ip).or(tried),
    };
    Blame { role: Role::Server, address: address.map(|ip| ip.to_string()), product: None }
}

fn address(x: &Exchange, by_client: bool) -> Option<String> {
    Some(if by_client { x.client.ip.to_string() } else { x.server.ip.to_string() })
}

/// The message with its likeliest cause: one sentence.
fn sentence(rule: &Rule, finding: &Finding) -> Text {
    let mut parts = finding.message.0.clone();
    if let Some(Part::Own(first)) = parts.first_mut() {
        *first = Cow::Owned(verdict::capital(first));
    }
    if let Some(Part::Own(last)) = parts.last_mut() {
        *last = Cow::Owned(last.trim_end_matches('.').to_owned());
    }
    let cause = finding.causes.first().map(|c| c.to_string()).or_else(|| rule.causes.first().map(|&c| c.to_owned()));
    if let Some(cause) = cause {
        parts.push(Part::Own(Cow::Owned(format!("{CAUSE}{cause}"))));
    }
    parts.push(Part::Own(Cow::Borrowed(".")));
    Text(parts)
}

/// Through which hops a chain went: `over nginx 1.22.1 at 192.0.2.1 and the proxy at 192.0.2.9`. Empty without
/// hops.
pub fn over(hops: &[Hop]) -> String {
    let all: Vec<String> = hops.iter().map(who).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => format!("over {one}"),
        [rest @ .., last] => format!("over {} and {last}", rest.join(", ")),
    }
}

/// The id of the chain that begins with this leg.
pub fn id(first: &Exchange) -> i64 {
    hops::chain_of_leg(first.id)
}
