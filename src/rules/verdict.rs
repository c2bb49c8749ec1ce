//! The answer to "what went wrong?": which finding a chain of one leg is named after, who is to blame,
//! and one sentence about it.

use std::borrow::Cow;

use crate::base::Nanos;
use crate::model::{
    AcceptVerdict, Blame, Confidence, ConnectState, Direction, Evidence, Exchange, FaultClass, Finding, Fix, FlowFacts,
    Handshake, Head, Mechanism, Outcome, Part, Role, Severity, Software, Text, Verdict,
};
use crate::rules::guilt::Place;
use crate::rules::recovery::{Recovered, request_rule};
use crate::rules::sentence::summary;
use crate::rules::{Explains, Rule, ends, find, frames, guilt, mending, response, unknown};

/// What is known of products; the caller joins it to the rules.
pub trait Knowledge {
    /// Name of the product that answered on this leg. `None` where nothing tells.
    fn responder(&self, x: &Exchange) -> Option<String>;
    /// Name of the proxy that sent this request. `None` where nothing tells: a client looks like that.
    fn request_hop(&self, request: &Head) -> Option<String>;
    /// What mends this class of faults at whoever sends in this direction.
    fn fixes(&self, x: &Exchange, sender: Direction, class: FaultClass) -> Vec<Fix>;
    /// What mends this class of faults in this software; in any, where it is `None` or not sure.
    fn fixes_of(&self, _software: Option<&Software>, _class: FaultClass) -> Vec<Fix> {
        Vec::new()
    }
    /// What the content of the answer tells of the refusal. `None` where it is nothing known.
    fn page(&self, _x: &Exchange) -> Option<Page> {
        None
    }
}

/// What the content of an answer tells: whose page it is, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub by: Writer,
    /// What it says about the fault, without a full stop.
    pub means: String,
    /// Which kind of change mends it. `None`: the page does not tell.
    pub class: Option<FaultClass>,
}

/// Who writes a page with such a content, whoever passed it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The product of this name, about itself or what is behind it.
    Proxy(String),
    /// A backend with this software.
    Backend(String),
    /// Whoever answered: its words alone tell.
    Somebody,
}

/// Faults of the request that only whoever refused it can call one: its limits decide.
pub(super) const DECIDED_BY_SERVER: &[&str] = &["origin-host-mismatch", "req-head-too-large"];

/// Findings that are notes where the upgrade was granted and the client stayed.
const NOTES_ON_SUCCESS: &[&str] = &[
    "hop-latency",
    "hop-host-rewritten",
    "hop-origin-changed",
    "hop-path-rewritten",
    "hop-query-lost",
    "hop-auth-stripped",
    "subprotocol-unanswered",
];

/// Warnings that are notes unless the other side fails the connection for them: then they are errors.
const NOTES_UNTIL_FAILED: &[&str] =
    &["deflate-bomb", "frame-huge", "hop-buffered", "hop-messages-differ", "length-not-minimal"];

/// What hops often rewrite, to no harm.
const REWRITES: &[&str] = &["hop-host-rewritten", "hop-origin-changed", "hop-path-rewritten"];

/// The verdict on a chain of one leg.
///
/// Of the findings that explain the outcome: symptoms go where their cause is among them; then the worst,
/// the surest, the earliest in the capture, the first by name. None left: `ok`, or `unknown` where the
/// capture cannot tell.
///
/// `findings`: those about this exchange, after [`crate::rules::recovery::lower`], which also says
/// `recovered`.
pub fn of(
    x: &Exchange,
    handshake: &Handshake,
    outcome: Outcome,
    findings: &[Finding],
    recovered: Option<Recovered>,
    known: &dyn Knowledge,
) -> Verdict {
    let named = if recovered.is_some() || may_be_ignored(x) { None } else { name(alone(outcome, findings)) };
    let Some((Candidate { rule, finding, .. }, severity)) = named else {
        return if is_unknown(x, outcome, recovered) {
            unknown::exchange(x)
        } else {
            fine(x, handshake, outcome, recovered)
        };
    };
    let sender = sender(rule, finding);
    let blame = blame(x, rule, sender, known);
    let unseen = outcome == Outcome::Unknown;
    let page = finding.rule.starts_with("refused-").then(|| known.page(x)).flatten();
    let class = mending::class_of(x, finding, page.as_ref()).filter(|class| mending::may_mend(*class, &blame));
    Verdict {
        because: None,
        rule: finding.rule.clone(),
        severity,
        // The fault was seen, that it did harm was not.
        confidence: if unseen { finding.confidence.lower() } else { finding.confidence },
        summary: summary(x, rule, finding, &blame, page.as_ref(), unseen),
        fix: class.map(|class| mending::with_name(known.fixes(x, sender, class), class, finding)).unwrap_or_default(),
        blame: Some(blame),
    }
}

/// The outcome of and verdict on a flow that never carried a request.
pub fn of_flow(flow: &FlowFacts, findings: &[Finding], known: &dyn Knowledge) -> (Outcome, Verdict) {
    let said = flow.said.as_deref();
    let outcome = match (flow.state, said) {
        (ConnectState::Refused, _) => Outcome::Refused,
        (ConnectState::Unanswered, _) => Outcome::Unanswered,
        (_, Some(said)) if said.broken.as_ref().is_some_and(|b| b.by == Direction::ServerToClient) => Outcome::Refused,
        (_, Some(said)) if said.broken.is_some() => Outcome::Unanswered,
        (_, Some(said)) if said.ws.is_none() && said.first[1].is_some() => Outcome::Refused,
        (_, Some(said)) if said.sealed.is_some() => Outcome::Unknown,
        (_, Some(said)) if said.ws.is_none() && said.end.tcp_by == Some(Direction::ServerToClient) => {
            Outcome::Unanswered
        }
        (ConnectState::Established | ConnectState::Midstream, _) => Outcome::Unknown,
    };
    let Some((Candidate { rule, finding, .. }, severity)) = name(alone(outcome, findings)) else {
        if said.is_some_and(|said| said.ws.is_some()) {
            let cut = findings.iter().find(|f| ends_tunnel(f));
            return (outcome, cut.map_or_else(|| unknown::without_handshake(flow), |cut| cut_off(flow, cut, known)));
        }
        if flow.sealed().is_some() {
            let cut = findings.iter().find(|f| f.severity >= Severity::Warning && ends_tunnel(f));
            return (outcome, cut.map_or_else(|| unknown::inside_tls(flow, findings), |f| cut_off(flow, f, known)));
        }
        let summary = Text::own(format!("A connection to {} that never carried a request.", flow.server));
        return (outcome, plain("ok", Confidence::Certain, summary));
    };
    let of_tls = response::tls_at_fault(flow, false).filter(|_| rule.id == response::TLS);
    let by_client = match of_tls {
        Some(side) => side == Direction::ClientToServer,
        None if rule.id == response::SOCKS => response::socks_at_fault(flow) == Some(Direction::ClientToServer),
        None => said.is_some() && request_rule(rule.id).is_some(),
    };
    let role = match by_client {
        false if rule.id == response::SOCKS => Role::Hop,
        true if said.is_some_and(|said| said.proxied.is_some()) => Role::Hop,
        true => Role::Client,
        false => Role::Server,
    };
    let address = Some(if by_client { flow.client.ip.to_string() } else { flow.server.ip.to_string() });
    let verdict = Verdict {
        because: None,
        rule: finding.rule.clone(),
        severity,
        confidence: finding.confidence,
        blame: Some(match rule.id {
            _ if let Some(told) = flow.rejected.filter(|told| told.blames_the_sender(flow.client.ip)) => {
                Blame { role: Role::Client, address: Some(told.by.to_string()), product: None }
            }
            _ if let Some(told) = flow.rejected.filter(|t| t.blames_the_path(flow.client.ip, flow.server.ip)) => {
                Blame { role: Role::Unknown, address: Some(told.by.to_string()), product: None }
            }
            // Whoever drops them has no address here.
            "syn-lost" => Blame::nobody(),
            _ if is_between(flow) => Blame::nobody(),
            _ => Blame { role, address, product: None },
        }),
        summary: if of_tls.is_some() || rule.id == response::SOCKS || flow.rejected.is_some() || is_between(flow) {
            guilt::sentence(rule, finding)
        } else {
            finding.message.clone()
        },
        fix: of_tls
            .and_then(|_| response::tls_fix_class(flow))
            .or(rule.fix)
            .filter(|_| !is_between(flow))
            .map(|class| mending::in_words(known.fixes_of(None, class), class, role))
            .unwrap_or_default(),
    };
    (outcome, verdict)
}

/// Whether what failed this connection is between its ends: its server answered.
pub(super) fn is_between(flow: &FlowFacts) -> bool {
    flow.answered_at.is_some()
        || flow.unseen_at.is_some()
        || response::is_tls_torn(flow)
        || ends::is_hello_between(flow)
}

/// Whether it tells why a tunnel ended.
fn ends_tunnel(finding: &Finding) -> bool {
    find(&finding.rule).is_some_and(|rule| rule.explains.contains(&Explains::Ended))
}

/// Who is to blame for the end of a flow, by what tells of it.
fn whom(flow: &FlowFacts, cut: &Finding) -> Blame {
    let vanished = cut.evidence.first().and_then(|evidence| evidence.direction);
    let (role, address) = match (&*cut.rule, vanished) {
        // Whoever sent it has no address here.
        ("rst-injected", _) => (Role::Unknown, None),
        ("peer-vanished", Some(Direction::ClientToServer)) => (Role::Client, Some(flow.client.ip)),
        _ => (Role::Server, Some(flow.server.ip)),
    };
    Blame { role, address: address.map(|ip| ip.to_string()), product: None }
}

/// The verdict on a WebSocket whose handshake is not in view, and whose end tells enough.
fn cut_off(flow: &FlowFacts, cut: &Finding, known: &dyn Knowledge) -> Verdict {
    let class = find(&cut.rule).and_then(|rule| rule.fix);
    Verdict {
        because: None,
        rule: cut.rule.clone(),
        severity: cut.severity,
        confidence: cut.confidence,
        blame: Some(whom(flow, cut)),
        summary: match &*cut.rule {
            "idle-timeout-encrypted" => cut.message.clone(),
            slug => find(slug).map_or_else(|| cut.message.clone(), |rule| guilt::sentence(rule, cut)),
        },
        fix: class.map(|class| known.fixes_of(None, class)).unwrap_or_default(),
    }
}

/// Rules about what either side of a stream in HTTP/2 does: their first piece of evidence tells which.
const OF_STREAM_HEADS: [&str; 6] = [
    "h2-connect-pseudo",
    "h2-end-stream-early",
    "h2-flow-stall",
    "h2-get-with-ws-fields",
    "h2-hop-by-hop-field",
    "h2-key-or-accept-present",
];

/// Who sent what a finding speaks of.
pub(super) fn sender(rule: &Rule, finding: &Finding) -> Direction {
    let asked = || finding.evidence.first().is_some_and(|e| e.direction == Some(Direction::ClientToServer));
    let by_client = || {
        request_rule(rule.id).is_some() && !DECIDED_BY_SERVER.contains(&rule.id)
            || (OF_STREAM_HEADS.contains(&rule.id) || response::OF_EITHER.contains(&rule.id)) && asked()
    };
    let of_heads = || if by_client() { Direction::ClientToServer } else { Direction::ServerToClient };
    frames::sender(finding).unwrap_or_else(of_heads)
}

/// A finding that may be what the verdict is named after.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'f> {
    pub rule: &'static Rule,
    pub finding: &'f Finding,
    pub place: Place,
}

/// The findings about a subject of its own that may explain the outcome.
fn alone(outcome: Outcome, findings: &[Finding]) -> impl Iterator<Item = Candidate<'_>> {
    let rules = findings.iter().filter_map(|f| Some((find(&f.rule)?, f)));
    let may = rules.filter(move |(rule, f)| may_explain(rule, f, outcome));
    may.map(|(rule, finding)| Candidate { rule, finding, place: Place::default() })
}

/// What the verdict is named after, and how bad it is: as bad as the worst of its symptoms.
pub(super) fn name<'f>(candidates: impl Iterator<Item = Candidate<'f>>) -> Option<(Candidate<'f>, Severity)> {
    let all: Vec<Candidate<'f>> = candidates.collect();
    let worst = all.iter().map(|c| c.finding.severity).max()?;
    // A refusal of an extended CONNECT that a leg of HTTP/1.1 behind it began is told as it was said there.
    let passed_on = |rule: &Rule, c: &Candidate<'_>| {
        rule.id == "h2-connect-refused" && c.place.depth > 0 && c.finding.rule.starts_with("refused-")
    };
    let is_symptom =
        |rule: &Rule| all.iter().any(|c| rule.symptom_of.contains(&&*c.finding.rule) || passed_on(rule, c));
    let causes: Vec<_> = all.iter().filter(|c| !is_symptom(c.rule)).copied().collect();
    // Rules that call each other symptoms leave none; then all of them speak.
    let left = if causes.is_empty() { all } else { causes };
    let named = left.into_iter().max_by(|a, b| {
        // Of several faults of frames in one packet the one that stands first in it: the rest may come of it.
        let of_frames = [a, b].iter().all(|c| frames::sender(c.finding).is_some());
        let start = |e: &Evidence| e.bytes.as_ref().filter(|_| of_frames).map_or(0, |bytes| bytes.start);
        let first = |f: &Finding| f.evidence.iter().map(|e| (e.at, start(e))).min();
        let earlier = match (first(a.finding), first(b.finding)) {
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let rank = |c: &Candidate<'_>| (c.finding.severity, c.finding.confidence, std::cmp::Reverse(c.place.depth));
        rank(a).cmp(&rank(b)).then(earlier).then_with(|| b.finding.rule.cmp(&a.finding.rule))
    });
    named.map(|candidate| (candidate, worst))
}

pub(super) fn may_explain(rule: &Rule, finding: &Finding, outcome: Outcome) -> bool {
    let explains = |what| rule.explains.contains(&what);
    // A note is never a verdict, but for a first 401: where nothing followed it, it is the refusal.
    let note = finding.severity == Severity::Info;
    match outcome {
        Outcome::Upgraded => {
            let only_as_error = NOTES_UNTIL_FAILED.contains(&rule.id) && finding.severity < Severity::Error;
            !note && !only_as_error && !rule.explains.is_empty() && !NOTES_ON_SUCCESS.contains(&rule.id)
        }
        // A rewrite explains a failure only where the answer is about it: then it is an error.
        Outcome::Broken | Outcome::Refused | Outcome::Redirected | Outcome::Unanswered
            if REWRITES.contains(&rule.id) && finding.severity < Severity::Error =>
        {
            false
        }
        Outcome::Broken => !note && explains(Explains::Broken),
        Outcome::Refused => explains(Explains::Refused) && (!note || is_response(rule) || is_own(rule, finding)),
        Outcome::Redirected => explains(Explains::Redirected) && (!note || is_response(rule)),
        Outcome::Unanswered => !note && explains(Explains::Unanswered),
        // What is wrong with the request is wrong whatever came of it.
        Outcome::Unknown => {
            let asked = request_rule(rule.id).is_some() || rule.id.starts_with("hop-");
            finding.severity == Severity::Error && !rule.explains.is_empty() && asked
        }
    }
}

/// Whether the capture cannot tell what to make of an exchange that nothing explains: its outcome is not known,
/// or its request head was cut, and what it failed for may have stood there.
pub(super) fn is_unknown(x: &Exchange, outcome: Outcome, recovered: Option<Recovered>) -> bool {
    let granted = matches!(outcome, Outcome::Upgraded | Outcome::Broken);
    outcome == Outcome::Unknown || !granted && recovered.is_none() && !x.request.complete
}

/// Whether a plain answer is all that this request can expect: it offers another protocol, which a
/// server may ignore (RFC 9110 §7.8), or `Upgrade: websocket` stands on it without meaning it.
pub(super) fn may_be_ignored(x: &Exchange) -> bool {
    let plain_answer = x.status().is_some_and(|code| (200..400).contains(&code));
    // Of a head that was cut, what it asked for may be gone.
    x.mechanism == Mechanism::Http1Upgrade && plain_answer && x.request.complete && !response::is_attempt(x)
}

/// Whether it says that a hop answered by itself: a first 401 of its own is the refusal too.
fn is_own(rule: &Rule, finding: &Finding) -> bool {
    rule.id == "hop-answered-locally" && finding.confidence > Confidence::Possible
}

pub(super) fn is_response(rule: &Rule) -> bool {
    response::RULES.iter().any(|r| r.id == rule.id)
}

/// Who is to blame, as far as one leg can tell (whoever sent the faulty bytes, by address).
pub(super) fn blame(x: &Exchange, rule: &Rule, sender: Direction, known: &dyn Knowledge) -> Blame {
    let client = || Some(x.client.ip.to_string());
    let server = || Some(x.server.ip.to_string());
    if rule.id == "tunnel-rejected"
        && let Some(blame) = ends::rejected(x)
    {
        return blame;
    }
    // Where h2 was chosen, who writes HTTP/1.1 is at fault, not who closes upon it.
    let wrote_http1 = rule.id == "alpn-h2-only" && x.stream.is_none();
    if sender == Direction::ClientToServer || wrote_http1 {
        let product = known.request_hop(&x.request);
        // Clients write no PROXY header.
        let proxy = rule.id == "proxy-protocol-unexpected";
        let hop = proxy || product.is_some() || sent_by_proxy(&x.request) || lost_by_proxy(x, rule);
        return Blame { role: if hop { Role::Hop } else { Role::Client }, address: client(), product };
    }
    match rule.id {
        "client-abandoned" => Blame { role: Role::Client, address: client(), product: None },
        "connect-refused-by-proxy" => Blame { role: Role::Hop, address: server(), product: known.responder(x) },
        "proxy-loop" => Blame { role: Role::Hop, address: server(), product: known.responder(x) },
        "no-response" if left_early(x) => Blame { role: Role::Client, address: client(), product: None },
        id if id.starts_with("cap-") => Blame::nobody(),
        _ => {
            // A proxy's own page: whatever stands behind it was not heard.
            let page = if x.granted().is_none() { known.page(x) } else { None };
            let own = matches!(page, Some(Page { by: Writer::Proxy(_), .. }));
            let product = known.responder(x);
            // What a backend missed, and this request has, was lost at the proxy that answers.
            let lost = matches!(page, Some(Page { by: Writer::Backend(_), class: Some(FaultClass::Fwd), .. }))
                && product.is_some()
                && x.request.upgrades_to_websocket()
                && x.request.has_token("connection", "upgrade");
            let address = if own { server() } else { Some(x.server_behind().ip.to_string()) };
            Blame { role: if own || lost { Role::Hop } else { Role::Server }, address, product }
        }
    }
}

/// How long a client must have waited for the server to be called silent; and where an answer came later.
pub(super) const PATIENCE: [Nanos; 2] = [Nanos::from_millis(1_500), Nanos::from_secs(5)];

/// Whether the client closed before a server can be called silent.
fn left_early(x: &Exchange) -> bool {
    let waited = x.end.tcp_at.map(|at| at.since(x.request.last));
    let granted = response::left_before_grant(x);
    let patience = if granted { PATIENCE[1] } else { PATIENCE[0] };
    let late = granted && response::answered_late(x);
    x.end.tcp_by == Some(Direction::ClientToServer) && waited.is_some_and(|w| w < patience) && !late
}

/// Whether the request carries what only proxies add.
pub fn sent_by_proxy(request: &Head) -> bool {
    ["via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"]
        .iter()
        .any(|name| request.has(name))
}

/// Whether a browser sent the request first: browsers never leave these out, so a hop did.
fn lost_by_proxy(x: &Exchange, rule: &Rule) -> bool {
    let agent = x.request.first_value("user-agent").unwrap_or_default();
    matches!(rule.id, "req-orphan-key" | "req-http10" | "req-connection-no-upgrade") && agent.starts_with(b"Mozilla/")
}

static UPGRADED: &[Part] = &[Part::Own(Cow::Borrowed("Upgraded to websocket."))];

/// Nothing is wrong, or nothing that explains it.
pub(super) fn fine(x: &Exchange, handshake: &Handshake, outcome: Outcome, recovered: Option<Recovered>) -> Verdict {
    let protocol = x.protocol();
    let text = match (recovered, outcome, &x.response) {
        (Some(later), _, head) if later.by_hop => {
            let status = head.as_ref().and_then(|head| head.status());
            let met = status.map_or_else(|| "Not answered".to_owned(), |code| format!("Refused with {code}"));
            Text::own(format!(
                "{met}, and granted at once when the same request was sent again (exchange {}), as a proxy does that tries \
                 once more.",
                later.id
            ))
        }
        (Some(later), _, Some(head)) => Text::own(format!(
            "Refused with {}, as a first try may be: the same client succeeded {} later (exchange {}).",
            head.status().unwrap_or_default(),
            response::length(head.first, later.at),
            later.id
        )),
        (_, Outcome::Upgraded, _) if x.mechanism == Mechanism::Connect => Text::own("The tunnel was opened."),
        // The commonest verdict of all, kept for every healthy chain.
        (_, Outcome::Upgraded | Outcome::Broken, _) if protocol.as_deref() == Some("websocket") => {
            Text::fixed(UPGRADED)
        }
        (_, Outcome::Upgraded | Outcome::Broken, _) => {
            Text::own("Upgraded to ").bytes(protocol.as_deref().unwrap_or("another protocol").as_bytes()).say(".")
        }
        (_, Outcome::Refused | Outcome::Redirected, Some(head)) => {
            let status = head.status().unwrap_or_default();
            match (x.mechanism, protocol) {
                (_, Some(protocol)) if may_be_ignored(x) => {
                    let text = Text::own("The server ignored the offer of ").bytes(protocol.as_bytes());
                    text.say(format!(" and answered {status}, as it may."))
                }
                _ => Text::own(format!("Answered with {status}.")),
            }
        }
        _ => Text::own("Nothing found that explains it."),
    };
    // The accept of a request that was not seen could still be wrong.
    let sure = handshake.accept_verdict != AcceptVerdict::Unverifiable;
    plain("ok", if sure { Confidence::Certain } else { Confidence::Likely }, text)
}

/// One that blames nobody.
pub(super) fn plain(rule: &'static str, confidence: Confidence, summary: Text) -> Verdict {
    Verdict {
        because: None,
        rule: Cow::Borrowed(rule),
        severity: Severity::Info,
        confidence,
        blame: None,
        summary,
        fix: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Endpoint, ExchangeId, FlowId, PacketRef, Timestamp};
    use crate::model::{EndHow, Evidence, Subject};
    use crate::rules::response::testing::*;
    use crate::rules::{Seen, outcome, recovery};

    struct Nothing;

    impl Knowledge for Nothing {
        fn responder(&self, x: &Exchange) -> Option<String> {
            x.response.as_ref().and_then(|r| r.first_value("server")).map(|s| String::from_utf8_lossy(s).into_owned())
        }
        fn request_hop(&self, request: &Head) -> Option<String> {
            request.has("x-hop").then(|| "proxy".to_owned())
        }
        fn fixes(&self, _: &Exchange, sender: Direction, class: FaultClass) -> Vec<Fix> {
            let text = Cow::Owned(format!("{sender:?}"));
            vec![Fix { product: Cow::Borrowed(class.word()), versions: Cow::Borrowed(""), text }]
        }
    }

    /// The verdict by the response rules and `more` findings.
    fn judged(x: &Exchange, more: &[Finding], handshake: &Handshake) -> Verdict {
        let mut findings = run_all(x);
        findings.extend_from_slice(more);
        let outcome = outcome::of(x, handshake, &findings);
        let recovered = recovery::lower(&mut findings, x, outcome, &Seen::default());
        of(x, handshake, outcome, &findings, recovered, &Nothing)
    }

    fn verdict_on(x: &Exchange) -> Verdict {
        judged(x, &[], &Handshake::default())
    }

    fn words(text: &Text) -> String {
        let part = |p: &Part| match p {
            Part::Own(own) => own.to_string(),
            Part::Bytes(b) | Part::Url(b) => String::from_utf8_lossy(b).into_owned(),
            Part::Field { value, .. } => String::from_utf8_lossy(value).into_owned(),
            Part::Packets(all) => crate::model::packets_in_words(all, |_| None),
        };
        text.0.iter().map(part).collect()
    }

    fn finding(rule: &'static str, severity: Severity, packet: u64) -> Finding {
        let evidence = vec![Evidence { at: PacketRef::new(0, packet), direction: None, bytes: None }];
        Finding {
            rule: Cow::Borrowed(rule),
            severity,
            confidence: Confidence::Certain,
            subject: Subject::Exchange(ExchangeId(1)),
            message: Text::own("The sentence."),
            expected: Text::new(),
            found: Text::new(),
            evidence,
            causes: Vec::new(),
            allowed: false,
        }
    }

    #[test]
    fn a_refusal_names_its_code_its_server_and_its_fix() {
        let x = exchange(ASK, Some("HTTP/1.1 426 Upgrade Required\r\nServer: nginx\r\nUpgrade: websocket\r\n\r\n"));
        let v = verdict_on(&x);
        assert_eq!(v.rule, "refused-426");
        let address = Some("198.51.100.2".to_owned());
        assert_eq!(v.blame, Some(Blame { role: Role::Server, address, product: Some("nginx".to_owned()) }));
        assert_eq!(v.fix[0].product, "fwd");
        assert_eq!(
            words(&v.summary),
            "nginx at 198.51.100.2:80 refused the WebSocket with 426 Upgrade Required; likely cause: a proxy at or behind \
             whoever answered does not pass Upgrade and Connection on."
        );
    }

    #[test]
    fn the_worst_then_the_surest_then_the_earliest_is_named() {
        let broken = |a: Finding, b: Finding| name(alone(Outcome::Broken, &[a, b])).map(|(c, _)| c.rule.id);
        let (error, warning) = (Severity::Error, Severity::Warning);
        let late = || finding("res-101-http10", error, 9);
        assert_eq!(broken(finding("res-101-framed", warning, 1), late()), Some("res-101-http10"));
        assert_eq!(broken(late(), finding("subprotocol-empty", error, 2)), Some("subprotocol-empty"));
        let unsure = Finding { confidence: Confidence::Likely, ..finding("subprotocol-empty", error, 2) };
        assert_eq!(broken(unsure, late()), Some("res-101-http10"));
        assert_eq!(broken(finding("subprotocol-empty", error, 9), late()), Some("res-101-http10"));
    }

    #[test]
    fn a_symptom_gives_way_to_its_cause() {
        let error = Severity::Error;
        let both = [finding("res-upgrade-missing", error, 1), finding("res-101-unsolicited", error, 9)];
        assert_eq!(name(alone(Outcome::Broken, &both)).map(|(c, _)| c.rule.id), Some("res-101-unsolicited"));
        // A cause that does not explain this outcome is no cause of it.
        let both = [finding("res-head-incomplete", error, 1), finding("res-101-http10", error, 2)];
        assert_eq!(name(alone(Outcome::Unanswered, &both)).map(|(c, _)| c.rule.id), Some("res-head-incomplete"));
    }

    #[test]
    fn healthy_and_ignored_upgrades_are_ok() {
        assert_eq!(verdict_on(&exchange(ASK, Some(GRANT))).rule, "ok");
        let h2c = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
        let v = verdict_on(&exchange(h2c, Some("HTTP/1.1 200 OK\r\n\r\n")));
        assert_eq!(
            (&*v.rule, words(&v.summary).as_str()),
            ("ok", "The server ignored the offer of h2c and answered 200, as it may.")
        );
        let unverifiable = Handshake { accept_verdict: AcceptVerdict::Unverifiable, ..Handshake::default() };
        let v = judged(&exchange(ASK, Some(GRANT)), &[], &unverifiable);
        assert_eq!((&*v.rule, v.confidence), ("ok", Confidence::Likely));
    }

    #[test]
    fn a_warning_is_the_verdict_on_a_granted_upgrade_and_a_note_is_not() {
        let v = verdict_on(&exchange(ASK, Some(&grant("Content-Length: 0\r\n"))));
        assert_eq!((&*v.rule, v.severity), ("res-101-framed", Severity::Warning));
        let asked = ask("Sec-WebSocket-Protocol: chat\r\n");
        assert_eq!(verdict_on(&with_frames(exchange(&asked, Some(GRANT)), 1, 1)).rule, "ok");
        let left = ended(exchange(&asked, Some(GRANT)), Direction::ClientToServer, EndHow::Fin, 100);
        assert_eq!(verdict_on(&left).rule, "subprotocol-unanswered");
        let curl = ended(exchange(ASK, Some(GRANT)), Direction::ClientToServer, EndHow::Fin, 100);
        assert_eq!(verdict_on(&curl).rule, "ok");
    }

    #[test]
    fn a_first_401_that_nothing_followed_is_the_verdict() {
        let v = verdict_on(&exchange(ASK, Some("HTTP/1.1 401 Unauthorized\r\n\r\n")));
        assert_eq!((&*v.rule, v.severity), ("refused-401", Severity::Info));
    }

    #[test]
    fn a_retry_that_succeeded_makes_it_ok() {
        let x = exchange(ASK, Some("HTTP/1.1 401 Unauthorized\r\n\r\n"));
        let later = Some(Recovered { id: ExchangeId(7), at: at(510), by_hop: false });
        let v = of(&x, &Handshake::default(), Outcome::Refused, &run_all(&x), later, &Nothing);
        assert_eq!(v.rule, "ok");
        assert!(words(&v.summary).contains("500.0 ms later (exchange 7)"));
    }

    #[test]
    fn what_the_capture_cannot_tell_is_unknown_and_says_how_to_learn_it() {
        let mut x = exchange(ASK, None);
        x.quality.no_server_packets = true;
        let v = verdict_on(&x);
        assert_eq!((&*v.rule, v.blame), ("unknown", None));
        assert_eq!(
            words(&v.summary),
            "The capture cannot tell what came of this: no packet from the server is in it, so the answer \
             may well have come; to see it, run \
             on 198.51.100.2: tcpdump -i any -s 0 -w again.pcap 'host 192.0.2.1 and port 80'"
        );
    }

    #[test]
    fn silence_and_garbage_blame_the_server_and_leaving_blames_the_client() {
        let silent = ended(exchange(ASK, None), Direction::ServerToClient, EndHow::Fin, 900);
        let v = verdict_on(&silent);
        assert_eq!((&*v.rule, v.blame.map(|b| b.role)), ("no-response", Some(Role::Server)));
        let early = ended(exchange(ASK, None), Direction::ClientToServer, EndHow::Fin, 900);
        assert_eq!(verdict_on(&early).blame.map(|b| b.role), Some(Role::Client));
        let late = ended(exchange(ASK, None), Direction::ClientToServer, EndHow::Fin, 1_900);
        assert_eq!(verdict_on(&late).blame.map(|b| b.role), Some(Role::Server));
        let mut garbage = silent;
        garbage.odd_response = preview(b"SSH-2.0-x\r\n");
        assert_eq!(verdict_on(&garbage).rule, "res-not-http");
        let browser = ask("User-Agent: Mozilla/5.0\r\n");
        let left = ended(exchange(&browser, Some(GRANT)), Direction::ClientToServer, EndHow::Fin, 15);
        let v = verdict_on(&left);
        assert_eq!((&*v.rule, v.blame.map(|b| b.role)), ("client-abandoned", Some(Role::Client)));
    }

    #[test]
    fn a_refused_connect_blames_the_proxy() {
        let connect = "CONNECT ws.example:80 HTTP/1.1\r\nHost: ws.example:80\r\n\r\n";
        let v = verdict_on(&exchange(connect, Some("HTTP/1.1 403 Forbidden\r\n\r\n")));
        assert_eq!((&*v.rule, v.blame.map(|b| b.role)), ("connect-refused-by-proxy", Some(Role::Hop)));
    }

    #[test]
    fn who_sent_a_faulty_request_is_told_by_what_is_in_it() {
        let rule = Rule { id: "req-orphan-key", ..TEST_RULE };
        let role = |more: &str| blame(&exchange(&ask(more), None), &rule, Direction::ClientToServer, &Nothing).role;
        assert_eq!(role(""), Role::Client);
        assert_eq!(role("X-Forwarded-For: 192.0.2.9\r\n"), Role::Hop);
        assert_eq!(role("X-Hop: 1\r\n"), Role::Hop);
        assert_eq!(role("User-Agent: Mozilla/5.0\r\n"), Role::Hop);
    }

    const TEST_RULE: Rule = Rule {
        id: "",
        severity: Severity::Error,
        title: "",
        about: "",
        refs: &[],
        causes: &[],
        fix: None,
        explains: &[],
        symptom_of: &[],
        check: crate::rules::Check::Input(|_, _| {}),
    };

    #[test]
    fn a_page_tells_the_backend_from_the_proxy_that_passes_it_on() {
        struct Told(Page);
        impl Knowledge for Told {
            fn responder(&self, x: &Exchange) -> Option<String> {
                Nothing.responder(x)
            }
            fn request_hop(&self, _: &Head) -> Option<String> {
                None
            }
            fn fixes(&self, x: &Exchange, sender: Direction, class: FaultClass) -> Vec<Fix> {
                Nothing.fixes(x, sender, class)
            }
            fn page(&self, _: &Exchange) -> Option<Page> {
                Some(self.0.clone())
            }
        }
        let x = exchange(ASK, Some("HTTP/1.1 505 HTTP Version Not Supported\r\nServer: nginx\r\n\r\n"));
        let judged = |by, class| {
            let known = Told(Page { by, means: "it came as HTTP/1.0".to_owned(), class });
            of(&x, &Handshake::default(), Outcome::Refused, &run_all(&x), None, &known)
        };
        let v = judged(Writer::Backend("A library".to_owned()), Some(FaultClass::Fwd));
        assert_eq!(
            words(&v.summary),
            "The backend behind nginx at 198.51.100.2:80 refused the WebSocket with 505 HTTP Version Not Supported; \
             likely cause: it came as HTTP/1.0 (the page is by A library), so nginx or a proxy behind it does not \
             pass the upgrade on."
        );
        assert_eq!(v.fix[0].product, "fwd");
        let v = judged(Writer::Proxy("nginx".to_owned()), None);
        assert_eq!(
            words(&v.summary),
            "nginx at 198.51.100.2:80 refused the WebSocket with 505 HTTP Version Not Supported; likely cause: it \
             came as HTTP/1.0."
        );
        assert!(v.fix.is_empty());
        let v = judged(Writer::Proxy("nginx".to_owned()), Some(FaultClass::Head));
        assert_eq!(v.fix[0].product, "head", "a proxy's own page may say what mends it");
    }

    #[test]
    fn a_flow_without_a_request_has_an_outcome_too() {
        let end = Endpoint::new(exchange(ASK, None).client.ip, 1);
        let flow = FlowFacts {
            answered_at: None,
            unseen_at: None,
            id: FlowId(1),
            client: end,
            server: end,
            state: ConnectState::Refused,
            syn: PacketRef::default(),
            syn_at: Timestamp::default(),
            syns: 1,
            end: None,
            end_at: None,
            rejected: None,
            said: None,
        };
        let (outcome, verdict) = of_flow(&flow, &[], &Nothing);
        assert_eq!((outcome, &*verdict.rule), (Outcome::Refused, "ok"));
    }
}
