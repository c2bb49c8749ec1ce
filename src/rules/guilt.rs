//! The verdict on a chain of several legs: which finding it is named after, and which hop is guilty
//! and in which order that is asked.

use std::borrow::Cow;

use crate::hops;
use crate::model::{
    Blame, Confidence, Direction, EndHow, Exchange, FaultClass, Finding, Fix, Hop, HopKind, Outcome, Part, Role,
    Severity, Software, Text, Verdict,
};
use crate::rules::ends::who::{Who, ended};
use crate::rules::journey::{Journey, Leg, full_name, who};
use crate::rules::recovery::Recovered;
use crate::rules::sentence::{self, CAUSE};
use crate::rules::verdict::{self, Candidate, DECIDED_BY_SERVER, Knowledge, Writer, may_be_ignored, may_explain};
use crate::rules::{Explains, Rule, ends, find, frames, hop, mending, request, response, unknown};

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
    if verdict.rule == "syn-rejected"
        && let Some((told, flow)) = journey.tried.iter().find_map(|(_, flow)| Some((request::rejected(flow)?, flow)))
    {
        let by_path = Blame { role: Role::Unknown, address: Some(told.by.to_string()), product: None };
        if told.blames_the_path(flow.client.ip, flow.server.ip) {
            verdict.blame = Some(by_path);
        } else if !told.blames_the_sender(flow.client.ip) {
            verdict.blame = Some(of_backend(journey));
        }
    }
    let ended = found.iter().map(|(_, f)| f).find(|f| f.rule == ENDED_IT && f.severity == Severity::Error);
    if let Some(ended) = ended.filter(|_| LIMITS.contains(&&*verdict.rule)) {
        // Both legs show that it was the hop; the limit says why.
        verdict.confidence = verdict.confidence.max(ended.confidence);
        verdict.because = Some(std::mem::replace(&mut verdict.rule, ENDED_IT.into()));
    }
    Some(verdict)
}

/// Both of its legs show that a hop ended a tunnel.
const ENDED_IT: &str = "hop-ended-it";

/// What makes a hop do so by itself.
const LIMITS: [&str; 3] = ["idle-timeout", "idle-timeout-match", "lifetime-limit-match"];

/// Rules about hops that passed the upgrade on and failed at what follows.
const BEHIND_FORWARDING: [&str; 2] = ["hop-101-fabricated", "hop-tunnel-dead"];

/// Rules about a request of which the answer says that it is wrong, not its bytes: where it came from, it may have been
/// right.
const SAID_BY_ANSWER: [&str; 3] = ["h2-to-http1", "proxy-protocol-missing", "tls-plain-mismatch"];

const STRICT: &str =
    "the server compares Connection with Upgrade as a whole; a list, as Firefox sends it, is right (RFC 9110 §7.6.1)";

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
    let sender = verdict::sender(rule, finding);
    let by_client = sender == Direction::ClientToServer;
    let of_frames = frames::sender(finding).is_some();
    let same = |f: &Finding| f.rule == finding.rule && (!of_frames || frames::sender(f) == Some(sender));
    let mut at = *journey.legs.get(leg)?;
    // What leads back to the same place from inside TLS leads there from behind whoever ended that.
    let location = |x: &Exchange| x.response.as_ref()?.first_value("location").map(<[u8]>::to_vec);
    let to_tls = |slug: &str| matches!(slug, "redirect-loop" | "redirect-to-https");
    // A relay cannot say that TLS ended at it; what writes HTTP can.
    let relays = || journey.hops.iter().any(|hop| hop.between.0 == at.x.id && hop.kind == HopKind::Relay);
    let led = if to_tls(&finding.rule) && relays() { location(at.x) } else { None };
    let redirects = |leg: &Leg<'_>| leg.findings.iter().any(|f| to_tls(&f.rule));
    let has =
        |leg: &Leg<'_>| leg.findings.iter().any(same) || led.is_some() && led == location(leg.x) && redirects(leg);
    if SAID_BY_ANSWER.contains(&rule.id) {
        // An answer that hops pass back is about the leg that it began on.
        let behind = |x: &Exchange| journey.hops.iter().rfind(|hop| hop.between.0 == x.id);
        let next =
            |x: &Exchange| journey.legs.iter().find(|leg| behind(x).is_some_and(|hop| hop.between.1 == leg.x.id));
        for _ in 0..journey.legs.len() {
            at = next(at.x).filter(|leg| has(leg)).copied().unwrap_or(at);
        }
    }
    // What was not read of a leg does not show that the hop is why.
    let mut blind = false;
    let mut left = false;
    // Towards where the bytes came from, while the fault is there already.
    let hop = loop {
        let next = match by_client {
            true => journey.hops.iter().find(|hop| hop.between.1 == at.x.id),
            false => journey.hops.iter().rfind(|hop| hop.between.0 == at.x.id),
        };
        let Some(hop) = next else { break None };
        let other = if by_client { hop.between.0 } else { hop.between.1 };
        match journey.legs.iter().find(|leg| leg.x.id == other) {
            Some(leg) if has(leg) && !SAID_BY_ANSWER.contains(&rule.id) => at = *leg,
            // The hop passed the Ping on, and got no Pong either.
            Some(leg) if rule.id == "ping-unanswered" && frames::asked_in_vain(leg.x, at.x, sender.other()) => {
                at = *leg
            }
            // What the hop did not take, the side behind it had stopped to take before.
            Some(leg) if rule.id == "receiver-stuck" && frames::stuck_before(leg.x, at.x, sender) => at = *leg,
            // Who left did not wait for an answer that was on its way.
            Some(leg) if rule.id == "no-response" && left_before(at.x, leg.x) => {
                left = true;
                at = *leg;
            }
            Some(leg) if of_frames && !is_read(leg.x, sender) => {
                blind = true;
                at = *leg;
            }
            _ => break Some(hop),
        }
    };
    let refused = finding.rule.starts_with("refused-");
    let page = refused.then(|| known.page(at.x)).flatten();
    // A refusal is told as it was said first.
    let finding = at.findings.iter().find(|f| refused && same(f)).unwrap_or(finding);
    let (mut blame, local) = match hop {
        Some(hop) if hop.port.is_some() => (of_hop(hop), of_hop(hop)),
        Some(hop) => (of_hop(hop), Blame { address: address(at.x, by_client), ..of_hop(hop) }),
        None => {
            let blame = verdict::blame(at.x, rule, sender, known);
            (blame.clone(), blame)
        }
    };
    let impatient = |first: &Exchange| {
        let waited = first.end.tcp_at.map(|at| at.since(first.request.last));
        let patience = verdict::PATIENCE[usize::from(at.x.response.is_some())];
        left && waited.is_some_and(|waited| waited < patience) && !response::answered_late(at.x)
    };
    let client = hop.is_none() && !by_client && blame.role == Role::Client;
    if let Some(first) = journey.first().filter(|first| client || impatient(first.x)) {
        blame = Blame { role: Role::Client, address: Some(first.x.client.ip.to_string()), product: None };
    }
    // The answer speaks of Connection, which came here in order, as a list.
    let strict = refused && at.findings.iter().any(|f| f.rule == "connection-list-strict-peer");
    let told;
    let finding = match strict && page.is_none() && memchr::memmem::find(&at.x.body, b"onnection").is_some() {
        true => {
            told = Finding { causes: vec![Cow::Borrowed(STRICT)], ..finding.clone() };
            &told
        }
        false => finding,
    };
    // On its other side it shows what it does with them.
    let kept = hop.filter(|_| rule.id == "ping-unanswered").and_then(|hop| {
        let other = if by_client { hop.between.0 } else { hop.between.1 };
        let other = journey.legs.iter().find(|leg| leg.x.id == other)?;
        frames::swallowed_by_hop(at.x, other.x, sender.other())
    });
    let told_of_hop = kept.map(|cause| Finding { causes: vec![Cow::Borrowed(cause)], ..finding.clone() });
    let finding = told_of_hop.as_ref().unwrap_or(finding);
    // What a hop did to frames is not mended in the code of client or server.
    let foreign = hop.is_some() && frames::is_of_sender(rule) || kept.is_some();
    let class = mending::class_of(at.x, finding, page.as_ref()).filter(|_| !foreign);
    // Behind the hops that are in view an answer is wrong as its server wrote it.
    let own_answer = hop.is_none() && !by_client && !refused && journey.legs.len() > 1 && blame.role == Role::Server;
    let class = class.map(|class| match class {
        FaultClass::Fwd | FaultClass::Comp if own_answer && verdict::is_response(rule) => FaultClass::Backend,
        // What a hop made of it is mended there.
        FaultClass::Accept | FaultClass::Backend | FaultClass::Client if hop.is_some() => FaultClass::Fields,
        class => class,
    });
    let class = class.filter(|class| mending::may_mend(*class, &blame));
    let fix = class.map(|class| {
        let fixes = match hop {
            Some(hop) => known.fixes_of(hop.product.as_ref(), class),
            None => known.fixes(at.x, sender, class),
        };
        mending::with_name(fixes, class, finding)
    });
    let confidence = if unseen || blind { finding.confidence.lower() } else { finding.confidence };
    let summary = sentence::summary(at.x, rule, finding, &local, page.as_ref(), unseen);
    if hop.is_none() && !by_client && blame.role == Role::Server && (own || journey.view.shows_behind()) {
        // Of a hop whose legs are captured, and that has none behind this one.
        blame.role = Role::Hop;
    }
    let joined = if at.x.id == journey.first()?.x.id { Confidence::Certain } else { least(journey) };
    Some(Verdict {
        because: None,
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
    let mut who = ended(journey).filter(|_| !ends::by_stranger(rule));
    if rule.id == "close-code-meaning" && about.is_some_and(ends::is_peers_fault) {
        // Who closed did as the subprotocol tells it to.
        who = match who {
            Some(Who::Client(_)) => journey.last().map(Who::Server),
            Some(_) => journey.first().map(Who::Client),
            None => None,
        };
    }
    let server = |x| verdict::blame(x, rule, Direction::ServerToClient, known);
    let sure = journey.view.responder.filter(|software| software.confidence >= Confidence::Likely);
    // What speaks of it on its own leg: the hop is the server of one and the client of another.
    let (blame, x, by_client, software) = match who {
        None => {
            let nobody = Blame::nobody();
            let told = about.and_then(ends::rejected).filter(|_| rule.id == "tunnel-rejected");
            let is = |leg: Option<Leg<'_>>| leg.zip(about).is_some_and(|(leg, x)| leg.x.id == x.id);
            let nobody = told.map_or(nobody, |told| match told.role {
                // The end of a leg that a hop has.
                Role::Client if !is(journey.first()) => Blame { role: Role::Hop, ..told },
                Role::Server if !is(journey.last()) => Blame { role: Role::Hop, ..told },
                _ => told,
            });
            return Some(Verdict {
                because: None,
                rule: finding.rule.clone(),
                severity: finding.severity,
                confidence: finding.confidence.min(least(journey)),
                blame: Some(nobody),
                summary: sentence(rule, finding),
                fix: rule.fix.map(|class| known.fixes_of(None, class)).unwrap_or_default(),
            });
        }
        Some(Who::Client(leg)) => {
            (verdict::blame(leg.x, rule, Direction::ClientToServer, known), leg.x, true, journey.view.asker)
        }
        Some(Who::Hop(hop, leg)) => {
            let far = about.filter(|x| x.id == hop.between.1);
            (of_hop(hop), far.unwrap_or(leg.x), far.is_some(), hop.product.as_ref())
        }
        Some(Who::Server(leg)) => {
            let last = journey.last().is_some_and(|last| last.x.id == leg.x.id);
            let limit =
                sure.is_some() && matches!(rule.fix, Some(FaultClass::Idle)) || rule.id == "lifetime-limit-match";
            let is_hop = last && (journey.view.shows_behind() || limit && sure.is_some());
            let blame = server(leg.x);
            let role = if is_hop { Role::Hop } else { blame.role };
            (Blame { role, ..blame }, leg.x, false, sure.filter(|_| last))
        }
    };
    let local = Blame { address: address(x, by_client), ..blame.clone() };
    let joined = if x.id == first.id && journey.hops.is_empty() { Confidence::Certain } else { least(journey) };
    Some(Verdict {
        because: None,
        rule: finding.rule.clone(),
        severity: finding.severity,
        confidence: finding.confidence.min(joined),
        summary: match about {
            Some(_) => sentence::summary(x, rule, finding, &local, None, false),
            None => sentence(rule, finding),
        },
        fix: ends::quiet_fix_class(finding)
            .or(rule.fix)
            .or(hop::ended_fix_class(finding))
            .filter(|class| mending::may_mend(*class, &blame))
            // A proxy that leaves may only pass on that its client did: no log of a server tells.
            .filter(|class| *class != FaultClass::Server || !by_client || blame.role != Role::Hop || x.id != first.id)
            .map(|class| known.fixes_of(software, class))
            .unwrap_or_default(),
        blame: Some(blame),
    })
}

/// The verdict of a finding about a hop or the whole chain.
fn on_hop(journey: &Journey<'_>, hop: Option<&Hop>, candidate: &Candidate<'_>, known: &dyn Knowledge) -> Verdict {
    let Candidate { rule, finding, .. } = *candidate;
    let last = journey.last();
    let responder = journey.view.responder;
    let (blame, software): (Blame, Option<&Software>) = match hop {
        // What it asks is mended in the hop, what it got in the server.
        Some(hop) if rule.id.starts_with("backend-") => (of_server(journey, hop), hop.product.as_ref()),
        Some(hop) => (of_hop(hop), hop.product.as_ref()),
        None if rule.id.starts_with("backend-") => (of_backend(journey), responder),
        None if rule.id == response::TLS && of_its_server(journey) => (of_backend(journey), responder),
        None => {
            // It is about who answers the last leg: a hop whose other side has no leg of this chain.
            let address = last.map(|leg| leg.x.server_behind().ip.to_string());
            let product = responder.map(full_name);
            let role = if finding.confidence == Confidence::Possible { Role::Unknown } else { Role::Hop };
            (Blame { role, address, product }, responder)
        }
    };
    let page = last.filter(|leg| hop.is_none() && leg.x.response.is_some()).and_then(|leg| known.page(leg.x));
    let class = match last {
        Some(leg) if hop.is_none() => rule.fix.or_else(|| mending::class_of(leg.x, finding, page.as_ref())),
        _ => rule.fix.or_else(|| last.and_then(|leg| mending::fix_class(leg.x, &finding.rule))),
    };
    // The server answered, and somebody between swallowed it.
    let of_tries =
        matches!(rule.id, "backend-unreachable" | "backend-refused" | response::TLS) || ends::by_stranger(rule);
    let between = hop.is_none() && of_tries && journey.tried.iter().any(|(_, flow)| verdict::is_between(flow));
    let blame = if between { Blame::nobody() } else { blame };
    let class = class.filter(|_| !between);
    let of_tls = journey.tried.last().filter(|_| rule.id == response::TLS && hop.is_none());
    let class = of_tls.and_then(|(_, flow)| response::tls_fix_class(flow)).filter(|_| !between).or(class);
    let class =
        hop::scheme_fix_class(finding).or(hop::large_fix_class(finding)).or(class).or(hop::ended_fix_class(finding));
    // Upgrade and Connection were passed on: what else is to be switched on, only a known product can tell.
    let known_as = software.is_some_and(|software| software.confidence >= Confidence::Likely);
    let class = class.filter(|_| known_as || !BEHIND_FORWARDING.contains(&rule.id));
    let fixes = |class| mending::with_name(known.fixes_of(software, class), class, finding);
    let fix: Vec<Fix> = class.map(fixes).unwrap_or_default();
    Verdict {
        because: None,
        rule: finding.rule.clone(),
        severity: finding.severity,
        confidence: finding.confidence,
        blame: Some(blame),
        // What its own page says is nearer than what such a status may mean.
        summary: match page
            .filter(|_| rule.id != response::TLS && !rule.id.starts_with("backend-") && rule.id != "tls-plain-mismatch")
            .filter(|page| !matches!(page.by, Writer::Backend(_)) && !page.means.ends_with(NO_REASON))
        {
            Some(page) => with_cause(finding, Some(page.means)),
            None => sentence(rule, finding),
        },
        fix,
    }
}

/// Whether the client of the near leg gave up before the answer of the far one came, or where none came.
fn left_before(near: &Exchange, far: &Exchange) -> bool {
    let left = near.end.tcp_at.filter(|_| near.end.tcp_by == Some(Direction::ClientToServer));
    let q = &far.quality;
    let silent = far.response.is_none() && far.odd_response.is_none() && !q.response_gap && !q.no_server_packets;
    left.is_some_and(|left| far.response.as_ref().map_or(silent, |answer| answer.first > left))
}

/// How products say of a page that it gives no reason.
const NO_REASON: &str = "itself answered";

/// Whether all that was said in this direction was read: a fault that is not told is not there.
fn is_read(x: &Exchange, from: Direction) -> bool {
    let q = &x.quality;
    let (unseen, ws) = match from {
        Direction::ClientToServer => (q.no_client_packets, x.ws.map(|ws| ws.client)),
        Direction::ServerToClient => (q.no_server_packets, x.ws.map(|ws| ws.server)),
    };
    x.talk.is_some() && !q.gap && !q.snapped && !unseen && !ws.is_some_and(|ws| ws.broken)
}

fn of_hop(hop: &Hop) -> Blame {
    let product = hop.product.as_ref().filter(|p| p.confidence >= Confidence::Likely).map(full_name);
    Blame { role: Role::Hop, address: hop.place(), product }
}

/// The server behind a hop.
fn of_server(journey: &Journey<'_>, hop: &Hop) -> Blame {
    let far = journey.legs.iter().find(|leg| leg.x.id == hop.between.1);
    Blame { role: Role::Server, address: far.map(|leg| leg.x.server_behind().ip.to_string()), product: None }
}

/// Whether a TLS handshake that a hop tried in vain failed by what its backend does.
fn of_its_server(journey: &Journey<'_>) -> bool {
    let mut sides = journey.tried.iter().filter_map(|(_, flow)| response::tls_at_fault(flow, true));
    sides.next_back() == Some(Direction::ServerToClient)
}

/// The backend: what a hop tried in vain, else the server of the last leg.
fn of_backend(journey: &Journey<'_>) -> Blame {
    let (tried, last) = (journey.tried.last(), journey.last());
    let asked = last.map(|leg| leg.x.server_behind().ip);
    // What an earlier hop tried in vain counts only where nothing got through.
    let address = match tried {
        Some((tried, flow)) if last.is_some_and(|leg| leg.x.id == tried.behind) => Some(flow.server.ip),
        // Nor did it, where the hop went on to try in vain.
        Some((tried, flow))
            if journey.hops.iter().any(|hop| hop.between.0 == tried.behind && journey.tried_behind(hop)) =>
        {
            Some(flow.server.ip)
        }
        _ => asked.or(tried.map(|(_, flow)| flow.server.ip)),
    };
    Blame { role: Role::Server, address: address.map(|ip| ip.to_string()), product: None }
}

fn address(x: &Exchange, by_client: bool) -> Option<String> {
    Some(if by_client { x.client.ip.to_string() } else { x.server_behind().ip.to_string() })
}

/// The message with its likeliest cause: one sentence.
pub(super) fn sentence(rule: &Rule, finding: &Finding) -> Text {
    let cause = finding.causes.first().map(|c| c.to_string()).or_else(|| rule.causes.first().map(|&c| c.to_owned()));
    with_cause(finding, cause)
}

fn with_cause(finding: &Finding, cause: Option<String>) -> Text {
    let mut parts = finding.message.0.clone().into_owned();
    if let Some(Part::Own(first)) = parts.first_mut() {
        *first = Cow::Owned(sentence::capital(first));
    }
    if let Some(Part::Own(last)) = parts.last_mut() {
        *last = Cow::Owned(last.trim_end_matches('.').to_owned());
    }
    if let Some(cause) = cause {
        parts.push(Part::Own(Cow::Owned(format!("{CAUSE}{cause}"))));
    }
    parts.push(Part::Own(Cow::Borrowed(".")));
    Text(Cow::Owned(parts))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::model::{EndHow, FaultClass, FrameFaultKind, Head};
    use crate::rules::Seen;
    use crate::rules::frames::testing::{CLIENT, SERVER, pinged, spoken, talked};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, behind, hop, words};

    struct Nothing;

    impl Knowledge for Nothing {
        fn responder(&self, _: &Exchange) -> Option<String> {
            None
        }
        fn request_hop(&self, _: &Head) -> Option<String> {
            None
        }
        fn fixes(&self, _: &Exchange, _: Direction, class: FaultClass) -> Vec<Fix> {
            self.fixes_of(None, class)
        }
        fn fixes_of(&self, _: Option<&Software>, class: FaultClass) -> Vec<Fix> {
            vec![Fix { product: Cow::Borrowed(class.word()), versions: Cow::Borrowed(""), text: Cow::Borrowed("") }]
        }
    }

    /// The verdict on two upgraded legs and what is between them.
    fn judged(near: Exchange, far: Exchange) -> Verdict {
        judged_by(near, far, &Seen::default(), None)
    }

    /// The same with what is known; between them stands this product.
    fn judged_by(near: Exchange, far: Exchange, seen: &Seen, product: Option<&str>) -> Verdict {
        verdict_on([near, far], seen, product, Outcome::Upgraded)
    }

    /// The verdict on two legs that failed.
    fn failed(near: Exchange, far: Exchange, outcome: Outcome) -> Verdict {
        verdict_on([near, far], &Seen::default(), None, outcome)
    }

    fn verdict_on([near, far]: [Exchange; 2], seen: &Seen, product: Option<&str>, outcome: Outcome) -> Verdict {
        let far = behind(far);
        let product = product.map(ends::testing::software);
        let hops = [Hop { product, ..hop(&near, &far) }];
        let legs = [near, far];
        let handshakes: Vec<_> = legs.iter().map(crate::rules::accept::compare).collect();
        let found: Vec<_> =
            legs.iter().zip(&handshakes).map(|(x, h)| crate::rules::run::exchange(x, h, seen)).collect();
        let all = legs.iter().zip(&handshakes).zip(&found);
        let legs: Vec<Leg<'_>> =
            all.map(|((x, handshake), findings)| Leg { x, handshake, outcome, findings }).collect();
        let journey = Journey { legs: &legs, hops: &hops, tried: &[], view: &View::default() };
        let found = crate::rules::run::journey(1, &journey, seen);
        of(&journey, outcome, &found, None, &Nothing).unwrap()
    }

    /// Rule, role and address of the blamed, kind of mending.
    fn told(verdict: &Verdict) -> (&str, Role, &str, Option<&str>) {
        let blame = verdict.blame.as_ref().unwrap();
        (&verdict.rule, blame.role, blame.address.as_deref().unwrap(), verdict.fix.first().map(|f| &*f.product))
    }

    const KIND: FrameFaultKind = FrameFaultKind::OpcodeReserved;

    #[test]
    fn a_fault_on_both_legs_is_of_the_end_that_sent_it() {
        let verdict = judged(spoken(CLIENT, KIND, 3), spoken(CLIENT, KIND, 3));
        assert_eq!(told(&verdict), ("opcode-reserved", Role::Client, "192.0.2.10", Some("client")));
        let start = "The client 192.0.2.10 sent a frame with the reserved opcode 3; likely cause: ";
        assert!(words(&verdict.summary).starts_with(start), "{}", words(&verdict.summary));
        let verdict = judged(spoken(SERVER, KIND, 3), spoken(SERVER, KIND, 3));
        assert_eq!(told(&verdict), ("opcode-reserved", Role::Server, "192.0.2.30", Some("backend")));
    }

    #[test]
    fn a_fault_that_only_leaves_the_hop_is_the_hops() {
        let verdict = judged(talked(), spoken(CLIENT, KIND, 3));
        assert_eq!(told(&verdict), ("opcode-reserved", Role::Hop, "192.0.2.20", None));
        let start = "The proxy 192.0.2.21 sent a frame with the reserved opcode 3; ";
        assert!(words(&verdict.summary).starts_with(start), "{}", words(&verdict.summary));
        let verdict = judged(spoken(SERVER, KIND, 3), talked());
        assert_eq!(told(&verdict), ("opcode-reserved", Role::Hop, "192.0.2.20", None));
    }

    #[test]
    fn the_same_fault_of_the_other_side_is_another() {
        let verdict = judged(spoken(SERVER, KIND, 3), spoken(CLIENT, KIND, 3));
        assert_eq!(told(&verdict).1, Role::Hop);
    }

    #[test]
    fn a_leg_that_was_not_read_whole_does_not_make_the_hop_guilty() {
        let spoils: [fn(&mut Exchange); 3] =
            [|x| x.talk = None, |x| x.quality.gap = true, |x| x.ws.get_or_insert_default().client.broken = true];
        for spoil in spoils {
            let verdict = judged(talked().with(spoil), spoken(CLIENT, KIND, 3));
            assert_eq!(told(&verdict), ("opcode-reserved", Role::Client, "192.0.2.10", Some("client")));
            assert_eq!(verdict.confidence, Confidence::Likely);
        }
    }

    #[test]
    fn a_limit_of_a_hop_says_why_it_ended_both_legs() {
        let cut = ends::testing::cut;
        let seen = ends::testing::known();
        let verdict =
            judged_by(cut(SERVER, EndHow::Fin, 60_020), cut(CLIENT, EndHow::Fin, 60_015), &seen, Some("acme"));
        assert_eq!(told(&verdict), ("hop-ended-it", Role::Hop, "198.51.100.2", Some("idle")));
        assert_eq!((verdict.told_by(), verdict.confidence), ("idle-timeout-match", Confidence::Certain));
        assert!(words(&verdict.summary).contains("then 60 s of silence; acme at "), "{}", words(&verdict.summary));
        // No limit is known that is as long as that.
        let verdict = judged_by(cut(SERVER, EndHow::Rst, 777), cut(CLIENT, EndHow::Rst, 776), &seen, Some("acme"));
        assert_eq!((&*verdict.rule, verdict.because), ("hop-ended-it", None));
    }

    #[test]
    fn one_leg_is_ended_by_a_limit_alone() {
        let open = |x: Exchange| x.with(|x| x.end = crate::model::End::default());
        let seen = ends::testing::known();
        let near = ends::testing::cut(SERVER, EndHow::Fin, 60_020);
        let verdict = judged_by(near.clone(), open(near), &seen, Some("acme"));
        assert_eq!((&*verdict.rule, verdict.because), ("idle-timeout-match", None));
        assert_eq!(verdict.blame.map(|blame| blame.role), Some(Role::Hop));
    }

    #[test]
    fn an_answer_that_the_request_came_in_clear_is_about_the_leg_that_it_began_on() {
        let told_so = "HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.";
        let leg = || crate::rules::testing::exchange(GOOD, Some(told_so));
        let verdict = failed(leg(), leg(), Outcome::Refused);
        assert_eq!(told(&verdict), ("tls-plain-mismatch", Role::Hop, "192.0.2.20", Some("scheme")));
    }

    #[test]
    fn who_left_before_the_answer_came_is_no_fault_of_the_hop() {
        let late = |left_ms: i64, answered_ms: Option<i64>| {
            let near = crate::rules::testing::exchange(GOOD, None).with(|x| {
                let at = x.request.last + Nanos::from_millis(left_ms);
                (x.end.tcp_by, x.end.by) = (Some(CLIENT), Some(CLIENT));
                (x.end.tcp_how, x.end.how) = (EndHow::Fin, EndHow::Fin);
                (x.end.tcp_at, x.end.at) = (Some(at), Some(at));
            });
            let granted = answered_ms.map(|_| crate::rules::testing::granted());
            let far = crate::rules::testing::exchange(GOOD, granted.as_deref()).with(|x| {
                let first = x.request.first + Nanos::from_millis(answered_ms.unwrap_or_default());
                if let Some(answer) = &mut x.response {
                    (answer.first, answer.last) = (first, first);
                }
            });
            failed(near, far, Outcome::Unanswered)
        };
        let client = ("no-response", Role::Client, "192.0.2.10", None);
        let server = ("no-response", Role::Server, "192.0.2.30", Some("server"));
        assert_eq!(told(&late(2_000, Some(2_500))), client, "too soon");
        assert_eq!(told(&late(6_000, Some(7_000))), server, "slow");
        assert_eq!(told(&late(1_000, None)), client, "nobody knows whether an answer would have come");
        let silent = ("backend-silent", Role::Server, "192.0.2.30", Some("server"));
        assert_eq!(told(&late(2_000, None)), silent, "it was silent for long");
    }

    #[test]
    fn a_ping_that_the_hop_passed_on_in_vain_is_the_clients_to_answer() {
        // On the near leg the capture ends before it can be told.
        let near = pinged(SERVER, &[5]).with(|x| {
            let early = frames::testing::later(6);
            (x.times.last, x.end) = (Some(early), Default::default());
        });
        let verdict = judged(near, pinged(SERVER, &[5]));
        assert_eq!(told(&verdict), ("ping-unanswered", Role::Client, "192.0.2.10", Some("read")));
    }

    #[test]
    fn one_program_among_several_of_a_host_is_named_with_its_port() {
        let near = crate::rules::testing::exchange(GOOD, None);
        let far = behind(near.clone());
        let crowded = Hop { port: Some(8081), ..hop(&near, &far) };
        assert_eq!(of_hop(&crowded).address.as_deref(), Some("192.0.2.20:8081"));
        assert_eq!(who(&crowded), "the proxy at 192.0.2.20:8081");
    }

    #[test]
    fn whoever_owes_the_pong_is_blamed() {
        let verdict = judged(pinged(CLIENT, &[5]), pinged(CLIENT, &[5]));
        assert_eq!(told(&verdict), ("ping-unanswered", Role::Server, "192.0.2.30", Some("read")));
        let kept = judged(pinged(CLIENT, &[5]), talked());
        assert_eq!((told(&kept).1, told(&kept).3), (Role::Hop, None));
        assert!(words(&kept.summary).contains("the hop passes Pings on to nobody"));
        assert_eq!(told(&judged(pinged(SERVER, &[5]), pinged(SERVER, &[5]))).1, Role::Client);
    }
}
