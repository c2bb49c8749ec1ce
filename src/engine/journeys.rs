//! Judged exchanges to chains: legs that belong together, their hops, what these did, and the verdict.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::base::{Endpoint, ExchangeId, FlowId, Nanos, PacketRef, Timestamp, limits};
use crate::hops::{self, Clock, Edge, Hosts, Joined};
use crate::model::{
    Attempted, Chain, ClockEstimate, Confidence, Direction, Exchange, Finding, FlowFacts, Hop, InputFacts, Outcome,
    Software,
};
use crate::products::Products;
use crate::rules::ends::{left_idle, needs_journey};
use crate::rules::journey::{Journey, Leg, Then, View};
use crate::rules::verdict::Knowledge;
use crate::rules::{Seen, guilt, recovery, run};
use crate::store::{self, Row};

use super::intermediaries::{self, Known, Proxies};

/// What is known of the legs before any of them is judged.
#[derive(Clone, Default)]
pub struct Plan {
    hosts: Arc<Hosts>,
    clocks: Vec<Clock>,
    /// The legs of each chain of several, client side first, by the id of the first.
    several: HashMap<ExchangeId, Vec<ExchangeId>, foldhash::fast::RandomState>,
    /// Hops by their near leg; of several, the one tried first stands first.
    behind: HashMap<ExchangeId, Vec<(Edge, ExchangeId)>, foldhash::fast::RandomState>,
    /// All legs of chains of several but the first.
    later: HashSet<ExchangeId, foldhash::fast::RandomState>,
    /// Exchanges that fit several others equally well, and how many.
    rivals: HashMap<ExchangeId, usize, foldhash::fast::RandomState>,
    /// The captures show more than one leg of anything, or were taken at several places.
    several_legs: bool,
    /// When the first and the last packet of each input was captured. Empty where not all is joined at once.
    spans: Vec<Option<(Timestamp, Timestamp)>>,
    /// Exchanges that are second copies.
    copies: u64,
    /// The same, where all is joined at once.
    pub(super) copied: Vec<Copied>,
}

/// An exchange that was captured twice, of which the other copy alone is a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The one that is a leg.
    pub kept: ExchangeId,
    /// The connection of the copy, and a packet of it.
    pub flow: FlowId,
    pub at: PacketRef,
    /// The copy's addresses, where address translation made them others.
    pub seen_as: Option<(Endpoint, Endpoint)>,
}

/// Makes of the exchanges what joining found, puts their times on one clock, and leaves out what is no leg of its own: second
/// copies, those that a hop sends beside a leg that counts, and plain requests that belong to no upgrade.
///
/// `across`: of connections one direction each is in two inputs, which so are one place.
#[expect(clippy::vec_box, reason = "as they came from the reader, never copied")]
pub(super) fn plan(
    exchanges: &mut Vec<Box<Exchange>>,
    joined: Joined,
    lone: [&mut [FlowFacts]; 2],
    inputs: &mut [InputFacts],
    across: bool,
) -> Plan {
    let mut lone = lone.into_iter().flatten().collect::<Vec<_>>();
    for clock in &joined.clocks {
        let of = |at: PacketRef, server: Endpoint| clock.is_of(at.input(), server.ip);
        exchanges.iter_mut().filter(|x| of(x.request.at, x.server)).for_each(|x| x.shift(clock.offset));
        lone.iter_mut().filter(|flow| of(flow.syn, flow.server)).for_each(|flow| flow.shift(clock.offset));
        let Some(facts) = inputs.get_mut(usize::from(clock.input)) else { continue };
        if let Some(server) = clock.server {
            facts.clock_within = Some((server, clock.offset));
        } else {
            facts.clock_offset = Nanos(facts.clock_offset.0.saturating_add(clock.offset.0));
            facts.clock_estimated = Some(ClockEstimate { pairs: clock.pairs, error: clock.error });
            facts.first = facts.first.map(|at| at + clock.offset);
            facts.last = facts.last.map(|at| at + clock.offset);
        }
    }
    let places = overlap(inputs) && !(across && inputs.len() == 2);
    let mut plan = Plan::of(exchanges, &joined, places);
    plan.copied.extend(joined.twins.iter().filter_map(|twin| {
        let [kept, other] = [twin.kept, twin.other].map(|at| exchanges.get(at));
        let (kept, other) = kept.zip(other)?;
        Some(Copied { kept: kept.id, flow: other.flow, at: other.request.at, seen_as: twin.seen_as })
    }));
    plan.spans = inputs.iter().map(|input| input.first.zip(input.last)).collect();
    for twin in &joined.twins {
        let ends = |x: &Exchange| Some(plan.span(x.request.at.input())?.1);
        let copies = exchanges.get(twin.kept).zip(exchanges.get(twin.other));
        let lost = copies.and_then(|(kept, other)| hops::lost(kept, other, &ends));
        let Some(x) = exchanges.get_mut(twin.kept).filter(|_| lost.is_some() || twin.seen_as.is_some()) else {
            continue;
        };
        let twice = x.twice.get_or_insert_default();
        twice.names.extend(twin.seen_as);
        twice.lost = twice.lost.or(lost);
    }
    let copies: HashSet<usize, foldhash::fast::RandomState> = joined.twins.iter().map(|twin| twin.other).collect();
    let mirrored = if plan.later.is_empty() {
        HashSet::new()
    } else {
        hops::mirrored(exchanges, |x| plan.is_alone(x.id), |x| plan.later.contains(&x.id))
    };
    let mut at = 0;
    exchanges.retain(|x| {
        let is_copy = copies.contains(&at) || mirrored.contains(&x.id);
        at += 1;
        !is_copy && (!x.tentative || plan.later.contains(&x.id))
    });
    plan
}

/// Whether two inputs cover the same time, so that they were captured at two places.
fn overlap(inputs: &[InputFacts]) -> bool {
    let spans: Vec<_> = inputs.iter().map(|input| input.first.zip(input.last)).collect();
    // A file without a packet was a place too.
    let empty = spans.iter().any(Option::is_none) && inputs.len() > 1;
    let mut known: Vec<_> = spans.into_iter().flatten().collect();
    known.sort_unstable();
    empty || known.windows(2).any(|pair| matches!(pair, [a, b] if b.0 < a.1))
}

impl Plan {
    /// From what joining found. `places`: the captures were taken at several.
    pub(super) fn of(exchanges: &[Box<Exchange>], joined: &Joined, places: bool) -> Plan {
        let id = |at: usize| exchanges.get(at).map(|x| x.id).unwrap_or_default();
        let mut plan = Plan {
            rivals: joined.rivals.iter().map(|&(at, rivals)| (id(at), rivals)).collect(),
            several_legs: !joined.edges.is_empty() || places,
            hosts: Arc::new(joined.hosts.clone()),
            clocks: joined.clocks.clone(),
            copies: u64::try_from(joined.twins.len()).unwrap_or(u64::MAX),
            ..Plan::default()
        };
        if joined.edges.is_empty() {
            return plan;
        }
        for legs in hops::chains(exchanges.len(), joined).into_iter().filter(|legs| legs.len() > 1) {
            let ids: Vec<ExchangeId> = legs.iter().map(|&at| id(at)).collect();
            plan.later.extend(ids.iter().skip(1));
            plan.several.insert(ids.first().copied().unwrap_or_default(), ids);
        }
        for edge in &joined.edges {
            plan.behind.entry(id(edge.near)).or_default().push((edge.clone(), id(edge.far)));
        }
        plan
    }

    /// What of it is about these exchanges: one chain.
    pub(super) fn part(&self, ids: &[ExchangeId]) -> Plan {
        let mut part = Plan {
            several_legs: self.several_legs,
            hosts: Arc::clone(&self.hosts),
            clocks: self.clocks.clone(),
            ..Plan::default()
        };
        for &id in ids {
            part.several.extend(self.several.get(&id).map(|legs| (id, legs.clone())));
            part.behind.extend(self.behind.get(&id).map(|edges| (id, edges.clone())));
            part.rivals.extend(self.rivals.get(&id).map(|&rivals| (id, rivals)));
            if self.later.contains(&id) {
                part.later.insert(id);
            }
        }
        part
    }

    /// The last leg that was tried behind this one.
    fn next(&self, near: ExchangeId) -> Option<ExchangeId> {
        self.behind.get(&near)?.last().map(|(_, far)| *far)
    }

    /// From when to when an input was captured. `None`: it is not known.
    pub(super) fn span(&self, input: u16) -> Option<(Timestamp, Timestamp)> {
        self.spans.get(usize::from(input)).copied().flatten()
    }

    /// Whether the capture of the far leg ended while it went on, as the near one shows.
    fn is_cut(&self, near: &Exchange, far: &Exchange) -> bool {
        let [a, b] = [near, far].map(|x| x.request.at.input());
        let Some((_, last)) = self.span(b).filter(|_| a != b) else { return false };
        match (&near.response, &far.response) {
            (Some(answer), None) => answer.first > last,
            // What was said on the near one must have shown on the far one.
            (Some(_), Some(_)) if far.status() == Some(101) && far.end.tcp_at.is_none() => {
                let spoken =
                    near.end.at.zip(near.end.idle_before).map(|(at, idle)| Timestamp(at.0.saturating_sub(idle.0)));
                spoken.is_some_and(|spoken| spoken > last)
            }
            _ => false,
        }
    }

    /// Whether this exchange is a chain by itself, or the first of several.
    pub(super) fn is_alone(&self, id: ExchangeId) -> bool {
        self.later.is_empty() || !self.several.contains_key(&id) && !self.later.contains(&id)
    }

    /// Every exchange is a chain by itself, captured once, and fits no other.
    pub(super) fn is_plain(&self) -> bool {
        self.several.is_empty() && self.rivals.is_empty() && self.copies == 0
    }

    /// Copies of exchanges that were captured twice.
    pub(super) fn copies(&self) -> u64 {
        self.copies
    }
}

/// Everything that chains are made of, once all exchanges are judged.
pub(super) struct Journeys<'a> {
    pub plan: &'a Plan,
    pub products: &'a Products,
    pub rows: &'a [Row],
    pub flows: &'a [FlowFacts],
    pub seen: &'a Seen,
    pub known: &'a dyn Knowledge,
    software: Known,
    tried: HashMap<ExchangeId, Vec<(Attempted, usize)>, foldhash::fast::RandomState>,
    /// When requests left each hop that belong to no leg before it, by the address of its host, in order.
    strays: HashMap<IpAddr, Vec<Timestamp>, foldhash::fast::RandomState>,
    /// The inputs in which legs behind each hop were seen, by the address of its host, and whether one ended while such a
    /// leg went on.
    behind: HashMap<IpAddr, Vec<(u16, bool)>, foldhash::fast::RandomState>,
    /// When connections in TLS that were not read were opened, in order, and by whom.
    unread: Vec<(Timestamp, IpAddr)>,
}

/// A chain, and what was found about it besides the findings of its legs.
pub(super) struct Judged {
    pub chain: Chain,
    pub found: Vec<Finding>,
    /// Findings of its legs that did no harm are warnings: their indices.
    pub lowered: Vec<usize>,
}

impl<'a> Journeys<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        products: &'a Products,
        rows: &'a [Row],
        [flows, sealed]: [&'a [FlowFacts]; 2],
        seen: &'a Seen,
        known: &'a dyn Knowledge,
        mut software: Known,
    ) -> Self {
        let hosts: &Hosts = &plan.hosts;
        let mut journeys = Journeys {
            plan,
            products,
            rows,
            flows,
            seen,
            known,
            software: Known::default(),
            tried: HashMap::default(),
            strays: HashMap::default(),
            behind: HashMap::default(),
            unread: sealed.iter().map(|flow| (flow.syn_at, flow.client.ip)).collect(),
        };
        journeys.unread.sort_unstable();
        for near in rows.iter().map(|row| &row.exchange).filter(|_| !plan.behind.is_empty()) {
            // Two that are not of one hop say nothing of its software.
            for (_, far) in plan.behind.get(&near.id).into_iter().flatten().filter(|(edge, _)| !edge.unseen) {
                if let Some(far) = journeys.row(*far) {
                    software.learn(products, hosts, near, &far.exchange);
                    let (input, cut) = (far.exchange.request.at.input(), plan.is_cut(near, &far.exchange));
                    let inputs = journeys.behind.entry(hosts.root(near.server.ip)).or_default();
                    match inputs.iter_mut().find(|(known, _)| *known == input) {
                        Some((_, known)) => *known |= cut,
                        None => inputs.push((input, cut)),
                    }
                }
            }
        }
        for near in rows.iter().map(|row| &row.exchange).filter(|x| plan.behind.contains_key(&x.id)) {
            // A journey may come back to a host.
            let mut next = plan.next(near.id);
            for _ in 0..limits::JOURNEY_LEGS {
                let Some(at) = next else { break };
                next = plan.next(at);
                if let (Some(_), Some(beyond)) = (next, next.and_then(|id| journeys.row(id))) {
                    software.learn_beyond(hosts, near.server, beyond.exchange.server);
                }
            }
        }
        journeys.software = software;
        if !journeys.software.is_empty() {
            for x in rows.iter().map(|row| &row.exchange).filter(|x| plan.is_alone(x.id) && !x.tentative) {
                if journeys.software.knows(hosts, x.client.ip) {
                    journeys.strays.entry(hosts.root(x.client.ip)).or_default().push(x.request.first);
                }
            }
        }
        for flow in sealed {
            // What a hop sent on in TLS may be any request.
            let sent = flow.sealed().into_iter().flat_map(|sealed| sealed.of(Direction::ClientToServer).data());
            let sent = sent.map(|record| record.ts);
            journeys.strays.entry(hosts.root(flow.client.ip)).or_default().extend(sent);
        }
        journeys.strays.values_mut().for_each(|times| times.sort_unstable());
        if !journeys.software.is_empty() {
            let mut software = std::mem::take(&mut journeys.software);
            let alone =
                rows.iter().map(|row| &*row.exchange).filter(|x| x.status().is_some_and(|status| status >= 400));
            // A page that came from behind it is another's.
            for x in alone.filter(|x| plan.is_alone(x.id) && !journeys.has_strays(x)) {
                software.learn_own(products, hosts, x);
            }
            journeys.software = software;
        }
        if !flows.is_empty() {
            let all: Vec<&Exchange> = rows.iter().map(|row| &*row.exchange).collect();
            let places: HashMap<FlowId, usize, foldhash::fast::RandomState> =
                flows.iter().enumerate().map(|(at, flow)| (flow.id, at)).collect();
            for attempted in hops::tried(&all, flows, hosts) {
                if let Some(&flow) = places.get(&attempted.flow) {
                    journeys.tried.entry(attempted.behind).or_default().push((attempted, flow));
                }
            }
        }
        journeys
    }

    /// What was learned of the hops, for the next.
    pub(super) fn into_software(self) -> Known {
        self.software
    }

    /// Flows that belong to chains.
    pub(super) fn taken(&self) -> HashSet<FlowId, foldhash::fast::RandomState> {
        self.tried.values().flatten().map(|(attempted, _)| attempted.flow).collect()
    }

    fn row(&self, id: ExchangeId) -> Option<&'a Row> {
        store::row(self.rows, id)
    }

    /// The chains that need more than their one leg's own judgement: those of several legs, and those that
    /// failed and whose hop may be at fault. `findings`: of all legs.
    pub(super) fn judge(&self, first: &'a Row, findings: &'a [Finding]) -> Option<Judged> {
        let id = first.exchange.id;
        if first.exchange.tentative {
            return None;
        }
        let alone;
        let ids: &[ExchangeId] = match self.plan.several.get(&id) {
            Some(ids) => ids,
            None if self.plan.later.contains(&id) => return None,
            None => {
                let failed = first.outcome != Outcome::Upgraded;
                let goes_on = first.exchange.twice.is_none() && !needs_journey(&first.exchange);
                if !failed && !self.plan.rivals.contains_key(&id) && goes_on {
                    return None;
                }
                alone = [id];
                &alone
            }
        };
        let rows: Vec<&Row> = ids.iter().filter_map(|&id| self.row(id)).collect();
        let of = |row: &'a Row| row.findings.iter().filter_map(|&at| findings.get(at)).cloned().collect();
        let mut on_legs: Vec<Vec<Finding>> = rows.iter().map(|row| of(row)).collect();
        let hops: Vec<Hop> = ids.iter().flat_map(|&near| self.hops_behind(near)).collect();
        let tried: Vec<(Attempted, &FlowFacts)> = ids
            .iter()
            .flat_map(|id| self.tried.get(id).into_iter().flatten())
            .filter_map(|(attempted, flow)| Some((*attempted, self.flows.get(*flow)?)))
            .collect();
        let last = rows.last().copied().unwrap_or(first);
        let responder = self.responder(last);
        let asker = self.asker(&first.exchange);
        let view = View {
            behind_last: self.is_hop(last),
            behind_then: self.behind_then(&last.exchange),
            several_legs: self.plan.several_legs || !tried.is_empty() || !self.software.is_empty(),
            rivals: ids.iter().filter_map(|id| self.plan.rivals.get(id)).copied().max().unwrap_or(0),
            responder: responder.as_ref(),
            asker: asker.as_ref(),
            own_page: self.own_page(last),
            strays: self.has_strays(&last.exchange),
        };
        let x = &first.exchange;
        let granted = matches!(first.outcome, Outcome::Upgraded | Outcome::Broken);
        let recovered = if granted { None } else { recovery::recovery(x, self.seen) };
        let mut found = {
            let legs = legs(&rows, &on_legs);
            let journey = Journey { legs: &legs, hops: &hops, tried: &tried, view: &view };
            run::journey(guilt::id(x), &journey, self.seen)
        };
        let before: Vec<Vec<_>> = on_legs.iter().map(|all| all.iter().map(|f| f.severity).collect()).collect();
        let harmless = recovered.is_some() || self.seen.polls.replaced(x, first.outcome);
        guilt::lower(first.outcome, harmless, on_legs.iter_mut().map(Vec::as_mut_slice), &mut found);
        let legs = legs(&rows, &on_legs);
        let journey = Journey { legs: &legs, hops: &hops, tried: &tried, view: &view };
        let verdict = guilt::of(&journey, first.outcome, &found, recovered, self.known)?;
        let lowered = rows.iter().zip(&on_legs).zip(before).flat_map(|((row, after), before)| {
            let changed = after.iter().zip(before).map(|(f, before)| f.severity != before);
            row.findings.iter().zip(changed).filter(|(_, changed)| *changed).map(|(at, _)| *at)
        });
        let lowered = lowered.collect();
        let chain = Chain {
            id: guilt::id(x),
            legs: ids.to_vec(),
            flow: None,
            tried: tried.iter().map(|(attempted, _)| *attempted).collect(),
            hops: hops.into(),
            sealed: Box::default(),
            outcome: first.outcome,
            verdict: Arc::new(verdict),
            findings: rows.iter().flat_map(|row| row.findings.iter().copied()).collect(),
        };
        Some(Judged { chain, found: found.into_iter().map(|(_, finding)| finding).collect(), lowered })
    }

    /// The hops behind a leg.
    fn hops_behind(&self, near: ExchangeId) -> impl Iterator<Item = Hop> {
        let edges = self.plan.behind.get(&near).into_iter().flatten();
        edges.filter_map(move |(edge, far)| self.hop(&self.row(near)?.exchange, &self.row(*far)?.exchange, edge))
    }

    fn hop(&self, near: &Exchange, far: &Exchange, edge: &Edge) -> Option<Hop> {
        let hosts = &self.plan.hosts;
        let hop = intermediaries::end_of_hop(near, far);
        let mut addresses = vec![hop.ip];
        if far.client.ip != hop.ip && far.client.ip != near.client.ip {
            addresses.push(far.client.ip);
        }
        let unseen = edge.unseen;
        if unseen {
            addresses.reverse();
        }
        let asker = || {
            // Marks that were in the request before are another's.
            let before = self.products.request_hop(&near.request);
            let found = self.products.request_hop(&far.request)?;
            let new = before.as_ref().is_none_or(|before| before.product.slug != found.product.slug);
            new.then(|| intermediaries::software(&found))
        };
        let times = self.times(near, far);
        Some(Hop {
            between: (near.id, far.id),
            kind: edge.kind,
            name: if unseen { hosts.name(far.client.ip, None) } else { hosts.name(hop.ip, Some(hop.port)) }
                .map(str::to_owned),
            product: if unseen { asker() } else { self.software.at(hosts, hop) },
            addresses,
            unseen,
            port: (!unseen && self.software.is_crowded(hosts, hop.ip)).then_some(hop.port),
            joined_by: edge.why.clone(),
            confidence: if unseen { edge.confidence.min(Confidence::Likely) } else { edge.confidence },
            forward: times.then(|| far.request.first.since(near.request.first)),
            back: near
                .response
                .as_ref()
                .zip(far.response.as_ref())
                .filter(|_| times)
                .map(|(n, f)| n.first.since(f.first)),
        })
    }

    /// Whether the times of two legs can be compared as finely as a hop's own time asks for.
    fn times(&self, near: &Exchange, far: &Exchange) -> bool {
        let [a, b] = [near, far].map(|x| x.request.at.input());
        a == b || !self.plan.clocks.iter().any(|clock| clock.input == a || clock.input == b)
    }

    /// Who answers a leg: what is known of its address, else what the answer itself shows.
    fn responder(&self, row: &Row) -> Option<Software> {
        let known = self.software.at(&self.plan.hosts, row.exchange.server);
        let sure = known.filter(|s| s.confidence >= Confidence::Likely);
        sure.or_else(|| self.products.responder(&row.exchange).map(|found| intermediaries::software(&found)))
    }

    /// Who asked on this leg, where whoever did left it silent and without a Close frame.
    fn asker(&self, x: &Exchange) -> Option<Software> {
        // Of several proxies on the way it is not known whose marks these are.
        let several = hops::was_forwarded_twice(&x.request);
        let found = left_idle(x).filter(|_| !several).and_then(|_| self.products.request_hop(&x.request));
        found.map(|found| intermediaries::software(&found))
    }

    /// Whether the answer is one that a proxy writes by itself: its own page, or an answer without a sign of
    /// anybody else from a host that is known as a hop.
    fn own_page(&self, row: &Row) -> bool {
        let x = &row.exchange;
        let Some(status) = x.status() else { return false };
        let known = self.responder(row).filter(|known| known.confidence >= Confidence::Likely);
        let page = self.products.error_page(status, &x.body).map(|(product, _)| product);
        // A page of another product came from behind it.
        let foreign = known.zip(page).is_some_and(|(known, page)| {
            let kin = |of: &str| self.products.get(of).and_then(|product| product.kind_of.as_deref());
            known.slug != page.slug && kin(&known.slug) != Some(&page.slug) && kin(&page.slug) != Some(&known.slug)
        });
        !foreign && self.products.backend_body(status, &x.body).is_none() && self.products.writes_itself(x)
    }

    /// Whether a request of no other chain left this leg's server while it was asked: it may be this one's.
    fn has_strays(&self, x: &Exchange) -> bool {
        let until = x.response.as_ref().map_or(x.request.first, |response| response.first);
        // A hop whose other address is not known opened one in TLS, perhaps.
        let from = self.unread.partition_point(|(at, _)| *at < x.request.first);
        let opened = self.unread.get(from..).unwrap_or_default().iter().take_while(|(at, _)| *at <= until);
        if opened.take(limits::JOIN_CANDIDATES).any(|(_, client)| *client != x.client.ip) {
            return true;
        }
        let Some(times) = self.strays.get(&self.plan.hosts.root(x.server.ip)) else { return false };
        let next = times.get(times.partition_point(|at| *at < x.request.first));
        next.is_some_and(|at| *at <= until)
    }

    /// Whether what is behind this leg's server was captured while it was asked.
    fn behind_then(&self, x: &Exchange) -> Then {
        let until = x.response.as_ref().map_or(x.request.first, |response| response.first);
        let inputs = self.behind.get(&self.plan.hosts.root(x.server.ip)).map(Vec::as_slice).unwrap_or_default();
        let before = |(_, last): (Timestamp, Timestamp)| last < x.request.first;
        let other_time = |span: (Timestamp, Timestamp)| before(span) || span.0 > until;
        if inputs.is_empty() || !inputs.iter().all(|(input, _)| self.plan.span(*input).is_some_and(other_time)) {
            return Then::Captured;
        }
        let over = |(input, cut): &(u16, bool)| *cut && self.plan.span(*input).is_some_and(before);
        if inputs.iter().any(over) { Then::Over } else { Then::Quiet }
    }

    /// Whether other chains show what stands behind this leg's server.
    fn is_hop(&self, row: &Row) -> bool {
        self.software.has(&self.plan.hosts, row.exchange.server)
    }
}

fn legs<'f>(rows: &[&'f Row], on_legs: &'f [Vec<Finding>]) -> Vec<Leg<'f>> {
    rows.iter()
        .zip(on_legs)
        .map(|(row, findings)| Leg { x: &row.exchange, handshake: &row.handshake, outcome: row.outcome, findings })
        .collect()
}

/// Adds the proxies that these chains went through.
pub fn proxies(chains: &[Chain], rows: &[Row], hosts: &Hosts, all: &mut Proxies) {
    let row = |id: ExchangeId| store::row(rows, id);
    for chain in chains {
        let kept = |at: usize| {
            let far = chain.hops.get(at).and_then(|hop| row(hop.between.1));
            far.is_some_and(|far| far.exchange.request.has("upgrade"))
        };
        all.add(chain, hosts, &kept, &|id| row(id).map(|row| &*row.exchange));
    }
}

impl Plan {
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }
}
