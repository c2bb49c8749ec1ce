//! Exchanges to verdicts: the accept, the rules, the outcome, the verdict. One exchange at a time, so
//! that a whole capture and a stream are judged by the same code.

use std::borrow::Cow;
use std::sync::Arc;
use std::thread;

use hashbrown::{HashMap, HashSet};

use crate::base::{Counters, ExchangeId, FlowId, limits};
use crate::hops::{self, Told};
use crate::model::{
    AcceptVerdict, Beside, Chain, Confidence, Direction, Exchange, FaultClass, Finding, Fix, FlowFacts, Handshake,
    Head, InputFacts, Outcome, Role, Severity, Software, Stands, Verdict,
};
use crate::products::{Product, Products, Recognised, said};
use crate::rules::accept::Hints;
use crate::rules::seen::Notes;
use crate::rules::tunnels::Tunnels;
use crate::rules::verdict::{Knowledge, Page, Writer};
use crate::rules::{self, Seen, outcome, patterns, recovery, verdict};
use crate::store::{self, Analysis, Row};

use super::in_order::in_order;
use super::joining::Group;
use super::journeys::{self, Copied, Journeys};
use super::{Collected, ahead, intermediaries};

/// Judges exchanges. Keeps what rules may know of the others, within limits.
pub struct Judge<'p> {
    products: &'p Products,
    guids: Vec<(&'p str, &'p str)>,
    hints: Hints,
    pub seen: Seen,
    /// What the user says of hosts and clocks.
    pub told: Told,
    /// What joining left out because it was captured twice; known when all is judged.
    pub copied: Vec<Copied>,
    /// The software of hops, as far as it was seen.
    software: intermediaries::Known,
}

/// What was judged of one exchange.
#[derive(Clone, Debug)]
pub struct Judged {
    pub handshake: Handshake,
    pub outcome: Outcome,
    pub findings: Vec<Finding>,
    pub verdict: Arc<Verdict>,
    /// How it ended is to be looked at with the hops around it.
    ends: bool,
}

impl<'p> Judge<'p> {
    pub fn new(products: &'p Products) -> Self {
        let guids = products.wrong_guids().iter().map(|w| (w.guid.as_str(), w.note.as_str())).collect();
        Judge {
            products,
            guids,
            hints: Hints::default(),
            seen: Seen::default(),
            told: Told::default(),
            copied: Vec::new(),
            software: intermediaries::Known::default(),
        }
    }

    /// Judges one exchange. The others must be in `seen` already, as far as they are to count.
    pub fn exchange(&mut self, x: &Exchange) -> Judged {
        let handshake = rules::accept::judge(x, &self.seen, &mut self.hints, &self.guids);
        self.shared().exchange(x, &handshake).with(handshake)
    }

    /// Judges many, on several threads where they are many: each by itself, so that the order counts nothing; but wrong
    /// accepts are explained one after the other. `take` gets what was judged, in order.
    fn exchanges(&mut self, all: &[Box<Exchange>], mut take: impl FnMut(&Exchange, Judged)) {
        let Judge { products, guids, hints, seen, .. } = self;
        let shared = Shared { products, seen };
        let part = |at: usize| {
            let from = at * limits::JUDGED_IN_A_ROW;
            all.get(from..all.len().min(from + limits::JUDGED_IN_A_ROW)).unwrap_or_default()
        };
        let work = |at: usize| -> Vec<_> {
            let (some, from) = (part(at), at * limits::JUDGED_IN_A_ROW);
            let one = |(block, place): (&[Box<Exchange>], usize)| {
                (from + place..from + place + block.len()).for_each(|at| ahead::fetch(all, at));
                shared.compare(block)
            };
            blocks(some).map(one).collect()
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(all.len() / limits::JUDGED_PER_THREAD);
        let ahead = limits::JUDGED_AHEAD / limits::JUDGED_IN_A_ROW;
        in_order(all.len().div_ceil(limits::JUDGED_IN_A_ROW), threads, ahead, work, |at, judged| {
            for ((block, _), (mut handshakes, judged)) in blocks(part(at)).zip(judged) {
                let judged = judged.unwrap_or_else(|| {
                    for (x, handshake) in block.iter().zip(&mut handshakes) {
                        rules::accept::explain(x, handshake, seen, hints, guids);
                    }
                    shared.exchanges(block, &handshakes)
                });
                for ((x, rest), handshake) in block.iter().zip(judged).zip(handshakes) {
                    take(x, rest.with(handshake));
                }
            }
        });
    }

    /// Remembers all of these. `notes`: what is to be remembered of them.
    fn learn(&mut self, all: &[Box<Exchange>], notes: Notes) {
        let mut tunnels = std::mem::take(&mut self.seen.tunnels);
        let products = self.products;
        let of_tunnels = || {
            for (at, x) in all.iter().enumerate() {
                ahead::fetch(all, at);
                learn_tunnel(&mut tunnels, x, products);
            }
            tunnels
        };
        let of_attempts = |seen: &mut Seen| seen.learn_noted(notes, all.iter().map(|x| &**x));
        let seen = &mut self.seen;
        let tunnels = at_once(all.len(), || of_attempts(seen), of_tunnels).1;
        self.seen.tunnels = tunnels;
    }

    /// What products' limits are is asked for when it matters: reading their files takes its time.
    fn know_limits(&mut self) {
        if self.seen.tunnels.limited && self.seen.limits.is_empty() {
            self.seen.limits = self.products.limits();
        }
    }

    /// Remembers how a connection without a request ended, where it is in TLS that was not read or a WebSocket whose
    /// handshake is not in view.
    pub fn know_flow(&mut self, flow: &FlowFacts) {
        self.seen.tunnels.learn_midstream(flow);
        self.seen.tunnels.limited |= rules::ends::ended_idle(flow);
        self.seen.learn_sealed(flow);
        self.seen.learn_refused(flow);
        self.know_limits();
    }

    fn shared(&self) -> Shared<'_> {
        Shared { products: self.products, seen: &self.seen }
    }
}

/// What judging reads and never changes.
#[derive(Clone, Copy)]
struct Shared<'a> {
    products: &'a Products,
    seen: &'a Seen,
}

impl Shared<'_> {
    fn exchange(self, x: &Exchange, handshake: &Handshake) -> Rest {
        self.with(x, handshake, rules::run::exchange(x, handshake, self.seen), None)
    }

    /// Judges a block. `None` behind the handshakes: first an accept is to be explained.
    fn compare(self, block: &[Box<Exchange>]) -> (Vec<Handshake>, Option<Vec<Rest>>) {
        let handshakes: Vec<_> = block.iter().map(|x| rules::accept::compare(x)).collect();
        let wrong = handshakes.iter().any(|h| h.accept_verdict == AcceptVerdict::Invalid);
        let judged = (!wrong).then(|| self.exchanges(block, &handshakes));
        (handshakes, judged)
    }

    fn exchanges(self, block: &[Box<Exchange>], handshakes: &[Handshake]) -> Vec<Rest> {
        let asked: Vec<_> = block.iter().map(|x| &**x).zip(handshakes).collect();
        let found = rules::run::exchanges(&asked, self.seen);
        let mut all: Vec<Rest> = Vec::with_capacity(block.len());
        for ((x, handshake), found) in asked.into_iter().zip(found) {
            let judged = self.with(x, handshake, found, all.last());
            all.push(judged);
        }
        all
    }

    /// `before`: what was judged of another one.
    fn with(self, x: &Exchange, handshake: &Handshake, mut findings: Vec<Finding>, before: Option<&Rest>) -> Rest {
        let outcome = outcome::of(x, handshake, &findings);
        let recovered = recovery::lower(&mut findings, x, outcome, self.seen);
        let verdict = verdict::of(x, handshake, outcome, &findings, recovered, &Known(self.products));
        let verdict = match before.filter(|before| *before.verdict == verdict) {
            Some(before) => Arc::clone(&before.verdict),
            None => Arc::new(verdict),
        };
        Rest { outcome, findings, verdict, ends: rules::ends::needs_journey(x) }
    }
}

/// What was judged but for the handshake.
struct Rest {
    outcome: Outcome,
    findings: Vec<Finding>,
    verdict: Arc<Verdict>,
    ends: bool,
}

impl Rest {
    fn with(self, handshake: Handshake) -> Judged {
        let Rest { outcome, findings, verdict, ends } = self;
        Judged { handshake, outcome, findings, verdict, ends }
    }
}

/// What is to be learnt of each.
fn notes(all: &[Box<Exchange>], seen: &Seen) -> Notes {
    let each = all.iter().enumerate().inspect(|(at, _)| ahead::fetch(all, *at));
    seen.note_all(each.map(|(_, x)| &**x))
}

/// Does both, on two threads where there are enough exchanges for that to pay.
fn at_once<A, B: Send>(exchanges: usize, one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    if exchanges < 2 * limits::JUDGED_PER_THREAD {
        return (one(), other());
    }
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        match other.join() {
            Ok(other) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Exchanges that are judged side by side, and where each begins.
fn blocks(all: &[Box<Exchange>]) -> impl Iterator<Item = (&[Box<Exchange>], usize)> {
    all.chunks(limits::JUDGED_SIDE_BY_SIDE).zip((0..).step_by(limits::JUDGED_SIDE_BY_SIDE))
}

impl Judge<'_> {
    /// The chain of one leg. `findings`: indices of its findings in the analysis.
    pub fn chain(x: &Exchange, judged: &Judged, findings: Vec<usize>) -> Chain {
        chain_of(x, judged.outcome, Arc::clone(&judged.verdict), findings)
    }

    /// The chain of a flow without a request. `None` where nothing about it is worth telling.
    pub fn flow(&self, flow: &FlowFacts) -> Option<(Vec<Finding>, Outcome, Verdict)> {
        let findings = rules::run::flow(flow, &self.seen);
        if findings.is_empty() {
            return None;
        }
        let (outcome, verdict) = verdict::of_flow(flow, &findings, &Known(self.products));
        Some((findings, outcome, verdict))
    }

    /// Calls the server of a TLS handshake that failed a hop, where other chains show what stands behind it.
    /// `beyond`: what is known to stand behind it.
    fn place(&self, hosts: &hops::Hosts, beyond: Option<hops::Beyond>, flow: &FlowFacts, verdict: &mut Verdict) {
        let server = verdict.blame.as_mut().filter(|blame| blame.role == Role::Server);
        let Some(blame) = server.filter(|_| verdict.rule == rules::TLS_HANDSHAKE_FAILED) else { return };
        if let Some(beyond) = beyond {
            let (server, told) = match beyond {
                hops::Beyond::Same(server) => (server, format!(" The handshake was passed on to {server}.")),
                hops::Beyond::Vain(server) => (server, format!(" Meanwhile {server} was tried in vain behind it.")),
            };
            blame.address = Some(server.ip.to_string());
            verdict.summary = std::mem::take(&mut verdict.summary).say(told);
            return;
        }
        if self.software.has(hosts, flow.server) {
            blame.role = Role::Hop;
            let sure = self.software.at(hosts, flow.server).filter(|s| s.confidence >= Confidence::Likely);
            blame.product = sure.as_ref().map(rules::journey::full_name);
        }
    }
}

fn chain_of(x: &Exchange, outcome: Outcome, verdict: Arc<Verdict>, findings: Vec<usize>) -> Chain {
    Chain {
        id: hops::chain_of_leg(x.id),
        legs: vec![x.id],
        flow: None,
        hops: Box::default(),
        tried: Box::default(),
        sealed: Box::default(),
        outcome,
        verdict,
        findings,
    }
}

fn own(flow: &FlowFacts) -> Beside {
    Beside { flow: Box::new(flow.clone()), stands: Stands::Itself, of: None, joined_by: Vec::new() }
}

/// The chain of a connection without a request. `findings`: places of what was found on it.
pub fn chain_of_flow(flow: &FlowFacts, outcome: Outcome, verdict: Verdict, findings: Vec<usize>) -> Chain {
    Chain {
        id: hops::chain_of_flow(flow.id),
        legs: Vec::new(),
        flow: Some(flow.id),
        hops: Box::default(),
        tried: Box::default(),
        sealed: flow.sealed().map(|_| own(flow)).into_iter().collect(),
        outcome,
        verdict: Arc::new(verdict),
        findings,
    }
}

/// Remembers how a tunnel ended.
fn learn_tunnel(tunnels: &mut Tunnels, x: &Exchange, products: &Products) {
    tunnels.learn(x);
    if rules::ends::left_by_client(x)
        && (verdict::sent_by_proxy(&x.request) || products.request_hop(&x.request).is_some())
    {
        tunnels.learn_left(x);
    }
}

/// Judges the legs of one chain, and the chain. `lone`: connections that its hops may have opened in vain; which
/// they did is given back. Its chains are not sorted, and of connections it has none.
pub fn group(
    judge: &mut Judge<'_>,
    group: Group,
    lone: &[FlowFacts],
    allowed: &dyn Fn(&Finding, Option<&Exchange>) -> bool,
) -> (Analysis, HashSet<FlowId, foldhash::fast::RandomState>) {
    let mut a = Analysis::default();
    let mut alone = Vec::new();
    if group.over {
        group.exchanges.iter().for_each(|x| learn_tunnel(&mut judge.seen.tunnels, x, judge.products));
        judge.know_limits();
    }
    for x in group.exchanges {
        let Judged { handshake, outcome, findings: found, verdict, .. } = judge.exchange(&x);
        let findings = a.add(found, |f| allowed(f, Some(&x)));
        if group.plan.is_alone(x.id) && !x.tentative {
            alone.push(a.rows.len());
            a.chains.push(chain_of(&x, outcome, verdict, findings.clone()));
        }
        a.rows.push(Row { exchange: x, handshake, outcome, findings });
    }
    let all: Vec<usize> = (0..a.rows.len()).collect();
    let taken = join_up(&mut a, judge, &group.plan, [lone, &[]], [&all, &alone], allowed);
    (a, taken)
}

/// Puts the chains of several legs in, and judges anew those of one whose hop may be at fault. `wanted`: the rows
/// that these may be. `alone`: the rows of the chains that are there, in their order. `flows`: connections without a
/// request, and those in TLS that were not read. The connections that belong to chains now.
fn join_up(
    a: &mut Analysis,
    judge: &mut Judge<'_>,
    plan: &journeys::Plan,
    flows: [&[FlowFacts]; 2],
    [wanted, alone]: [&[usize]; 2],
    allowed: &dyn Fn(&Finding, Option<&Exchange>) -> bool,
) -> HashSet<FlowId, foldhash::fast::RandomState> {
    let known = Known(judge.products);
    let (taken, judged) = {
        let software = std::mem::take(&mut judge.software);
        let journeys = Journeys::new(plan, judge.products, &a.rows, flows, &judge.seen, &known, software);
        let wanted = wanted.iter().filter_map(|&at| Some((at, a.rows.get(at)?)));
        let judged: Vec<_> = wanted.filter_map(|(at, row)| Some((at, journeys.judge(row, &a.findings)?))).collect();
        let taken = journeys.taken();
        judge.software = journeys.into_software();
        (taken, judged)
    };
    for (row, journeys::Judged { mut chain, found, lowered }) in judged {
        for at in lowered {
            if let Some(finding) = a.findings.get_mut(at) {
                finding.severity = Severity::Warning;
            }
        }
        let first = a.rows.get(row).map(|row| row.exchange.clone());
        chain.findings.extend(a.add(found, |f| allowed(f, first.as_deref())));
        match alone.binary_search(&row).ok().and_then(|at| a.chains.get_mut(at)) {
            Some(known) => *known = chain,
            None => a.chains.push(chain),
        }
    }
    taken
}

/// Judges all that was collected. `allowed`: whether the user knows of a finding.
pub fn whole(
    collected: Collected,
    counters: Counters,
    inputs: Vec<InputFacts>,
    products: &Products,
    allowed: &dyn Fn(&Finding, Option<&Exchange>) -> bool,
) -> Analysis {
    whole_by(&mut Judge::new(products), collected, counters, inputs, allowed)
}

/// As [`whole`], by a judge that the caller made and keeps.
pub fn whole_by(
    judge: &mut Judge<'_>,
    collected: Collected,
    mut counters: Counters,
    mut inputs: Vec<InputFacts>,
    allowed: &dyn Fn(&Finding, Option<&Exchange>) -> bool,
) -> Analysis {
    counters.evicted += collected.evicted;
    let mut exchanges = collected.exchanges;
    let mut lone = collected.lone;
    let mut sealed = collected.sealed;
    exchanges.sort_by_cached_key(|x| x.id);
    let united = if collected.halved { hops::unite(&mut exchanges) } else { hops::United::default() };
    // Before what was seen twice is taken out.
    let several = inputs.len() > 1;
    let sightings = several.then(|| hops::Sightings::new(&exchanges, &lone, &sealed)).flatten();
    hops::without_copies(&mut lone);
    if collected.tentative {
        exchanges.iter().filter(|x| x.tentative).for_each(|x| judge.seen.learn_plain(x));
        counters.evicted += judge.seen.polls.dropped;
    }
    // What is to be learnt of them is found out meanwhile, and once more should joining leave some out or move their times.
    let (told, seen) = (&judge.told, &judge.seen);
    let (joined, noticed) = at_once(exchanges.len(), || hops::join(&exchanges, told), || notes(&exchanges, seen));
    let (before, moved) = (exchanges.len(), !joined.clocks.is_empty());
    let mut plan = journeys::plan(&mut exchanges, joined, [&mut lone, &mut sealed], &mut inputs, united.across);
    judge.copied = std::mem::take(&mut plan.copied);
    if several && !lone.is_empty() {
        counters.flows_seen_twice +=
            hops::never_came(&mut exchanges, &mut lone, &sealed, &|input| Some(plan.span(input)?.1));
        sightings.into_iter().for_each(|seen| seen.note(&mut lone, &|input| plan.span(input)));
    }
    let noticed = if moved || exchanges.len() != before { notes(&exchanges, &judge.seen) } else { noticed };
    judge.learn(&exchanges, noticed);
    judge.seen.tunnels.limited |= sealed.iter().any(rules::ends::ended_idle);
    sealed.iter().for_each(|flow| judge.seen.learn_sealed(flow));
    for flow in &lone {
        judge.seen.tunnels.learn_midstream(flow);
        judge.seen.learn_refused(flow);
    }
    judge.know_limits();
    counters.ends_not_kept += judge.seen.tunnels.evicted;
    let mut a = Analysis { counters, ..Analysis::default() };
    a.chains.reserve_exact(exchanges.len());
    a.rows.reserve_exact(exchanges.len());
    let mut alone: Vec<usize> = Vec::new();
    let mut wanted: Vec<usize> = Vec::new();
    let mut judged = Vec::with_capacity(exchanges.len());
    judge.exchanges(&exchanges, |x, one| {
        let Judged { handshake, outcome, findings: found, verdict, ends } = one;
        let findings = a.add(found, |f| allowed(f, Some(x)));
        if ends || outcome != Outcome::Upgraded || !plan.is_plain() {
            wanted.push(judged.len());
        }
        if plan.is_alone(x.id) {
            alone.push(judged.len());
            a.chains.push(chain_of(x, outcome, verdict, findings.clone()));
        }
        judged.push((handshake, outcome, findings));
    });
    let rows = exchanges.into_iter().zip(judged);
    a.rows.extend(rows.map(|(exchange, (handshake, outcome, findings))| Row {
        exchange,
        handshake,
        outcome,
        findings,
    }));
    let taken = join_up(&mut a, judge, &plan, [&lone, &sealed], [&wanted, &alone], allowed);
    let beyond: HashMap<FlowId, hops::Beyond, foldhash::fast::RandomState> = {
        let passed = hops::Passed::new(&lone);
        lone.iter().filter_map(|flow| Some((flow.id, passed.beyond(flow)?))).collect()
    };
    if !lone.is_empty() {
        // What is left of these connections was opened for nobody's request.
        judge.seen.hops =
            a.chains.iter().flat_map(|chain| &chain.hops).flat_map(|hop| &hop.addresses).copied().collect();
    }
    for flow in lone {
        if taken.contains(&flow.id) {
            a.flows.push(flow);
            continue;
        }
        let Some((findings, outcome, mut verdict)) = judge.flow(&flow) else { continue };
        judge.place(plan.hosts(), beyond.get(&flow.id).copied(), &flow, &mut verdict);
        let indices = a.add(findings, |f| allowed(f, None));
        a.chains.push(chain_of_flow(&flow, outcome, verdict, indices));
        a.flows.push(flow);
    }
    beside(&mut a, judge, &sealed, plan.hosts(), allowed);
    let mut proxies = intermediaries::Proxies::default();
    journeys::proxies(&a.chains, &a.rows, plan.hosts(), &mut proxies);
    a.intermediaries = proxies.list();
    a.counters.flows_seen_twice += plan.copies() + united.count;
    for (index, facts) in inputs.iter().enumerate() {
        let findings = rules::run::input(u16::try_from(index).unwrap_or(u16::MAX), facts);
        a.add(findings, |f| allowed(f, None));
        a.counters.dropped_kernel += facts.dropped_kernel;
        a.counters.dropped_interface += facts.dropped_interface;
        a.counters.time_backwards += facts.time_backwards;
    }
    let findings = rules::run::capture(&a.counters, &judge.seen);
    a.add(findings, |f| allowed(f, None));
    a.inputs = inputs;
    a.patterns = shared(&a);
    a.sort_chains();
    a
}

/// Connections in TLS that were not read: chains of their own where something was found, and beside others where
/// they may be a leg.
fn beside(
    a: &mut Analysis,
    judge: &Judge<'_>,
    sealed: &[FlowFacts],
    hosts: &hops::Hosts,
    allowed: &dyn Fn(&Finding, Option<&Exchange>) -> bool,
) {
    if sealed.is_empty() {
        return;
    }
    let around = hops::Around::new(sealed, hosts);
    let torn = around.torn();
    let between = |flow: &FlowFacts, verdict: &mut Verdict| {
        if verdict.rule == "peer-vanished" && torn.contains(&(flow.client.port, flow.server)) {
            rules::veiled::between(verdict);
        }
    };
    let mut taken = HashSet::<FlowId, foldhash::fast::RandomState>::default();
    let rows = &a.rows;
    let leg = |id| store::row(rows, id).map(|row| &*row.exchange);
    let ends = |chain: &Chain| -> [Option<Beside>; 2] {
        let beside = |id: Option<&ExchangeId>, stands| around.of(leg(*id?)?, stands);
        [beside(chain.legs.first(), Stands::Before), beside(chain.legs.last(), Stands::Behind)]
    };
    let (some, rest) = a.chains.split_at(a.chains.len() / 2);
    let of = |chains: &[Chain]| -> Vec<[Option<Beside>; 2]> { chains.iter().map(ends).collect() };
    let (some, rest) = at_once(a.chains.len(), || of(some), || of(rest));
    for (chain, found) in a.chains.iter_mut().zip(some.into_iter().chain(rest)) {
        let found: Vec<_> = found.into_iter().flatten().filter(|beside| taken.insert(beside.flow.id)).collect();
        chain.sealed = found.into();
    }
    let mut whys = Vec::new();
    for (at, chain) in a.chains.iter().enumerate().filter(|(_, chain)| !chain.sealed.is_empty()) {
        let before = chain.sealed.iter().find(|beside| beside.stands == Stands::Before);
        let Some((beside, x)) = before.zip(chain.legs.first().and_then(|&id| leg(id))) else {
            whys.push((at, None));
            continue;
        };
        let why = around.copies(&beside.flow).find_map(|flow| {
            let (found, _, mut verdict) = judge.flow(flow)?;
            // That the two are one journey is never more than possible.
            verdict.confidence = verdict.confidence.min(Confidence::Likely);
            between(flow, &mut verdict);
            let mine = flow.id == beside.flow.id || !taken.contains(&flow.id);
            let why = mine && rules::veiled::is_why(&verdict, flow, &chain.verdict, x);
            why.then(|| (flow.clone(), found, verdict))
        });
        taken.extend(why.iter().map(|(flow, ..)| flow.id));
        whys.push((at, why));
    }
    for (at, why) in whys {
        let told = why.map(|(flow, found, verdict)| {
            a.flows.push(flow);
            (a.add(found, |f| allowed(f, None)), verdict)
        });
        match (a.chains.get_mut(at), told) {
            (Some(chain), Some((indices, verdict))) => {
                chain.verdict = Arc::new(verdict);
                chain.findings.extend(indices);
            }
            (Some(chain), None) => unveil(chain, &a.rows, &mut a.findings, judge.products),
            (None, _) => {}
        }
    }
    // What only passed on the end that came from behind it has no end of its own.
    let ended = hops::Ended::new(sealed.iter().filter(|flow| rules::ends::ended_idle(flow)));
    let tell = |flow: &&FlowFacts| !taken.contains(&flow.id) && !ended.came_from_behind(flow);
    for flow in sealed.iter().filter(tell) {
        let Some((findings, outcome, mut verdict)) = judge.flow(flow) else { continue };
        between(flow, &mut verdict);
        let indices = a.add(findings, |f| allowed(f, None));
        let mut chain = chain_of_flow(flow, outcome, verdict, indices);
        let legs = [Stands::Before, Stands::Behind].into_iter().filter_map(|stands| around.of_flow(flow, stands));
        chain.sealed = chain.sealed.into_iter().chain(legs).collect();
        a.chains.push(chain);
        a.flows.push(flow.clone());
    }
    a.flows.sort_by_key(|flow| flow.id);
}

/// Lays the end of a chain at the door of whom the leg in TLS before it, or behind it, shows to have ended it.
fn unveil(chain: &mut Chain, rows: &[Row], findings: &mut [Finding], products: &Products) {
    let leg = |id: Option<&ExchangeId>| id.and_then(|&id| store::row(rows, id)).map(|row| &*row.exchange);
    let beside = |stands| chain.sealed.iter().find(|beside| beside.stands == stands).map(|beside| &*beside.flow);
    let before = leg(chain.legs.first())
        .zip(beside(Stands::Before))
        .and_then(|(x, flow)| Some((x, rules::veiled::told(x, &chain.verdict, flow)?, Direction::ClientToServer)));
    let told = before.or_else(|| {
        let (x, flow) = leg(chain.legs.last()).zip(beside(Stands::Behind))?;
        Some((x, rules::veiled::told_behind(x, &chain.verdict, flow)?, Direction::ServerToClient))
    });
    let Some((x, told, sender)) = told else { return };
    let was = chain.verdict.told_by().to_owned();
    // One that was found on it.
    let found = |rule: &&str| chain.findings.iter().any(|at| findings.get(*at).is_some_and(|f| f.rule == **rule));
    let rule = told.rule.filter(found).map_or(was.clone(), str::to_owned);
    for at in &chain.findings {
        if let Some(finding) = findings.get_mut(*at) {
            if finding.rule == rule {
                finding.causes.insert(0, told.cause.clone().into());
            } else if finding.rule == was {
                finding.severity = Severity::Info;
            }
        }
    }
    let known = Known(products);
    let fixes = |class| match told.blame.role {
        Role::Server => known.fixes_of(None, class),
        _ => known.fixes(x, sender, class),
    };
    let fix = told.class.map(fixes).unwrap_or_default();
    let verdict = Arc::make_mut(&mut chain.verdict);
    (verdict.blame, verdict.summary, verdict.fix) = (Some(told.blame), told.summary, fix);
    verdict.rule = rule.into();
    // That the two are one journey is never more than possible.
    verdict.confidence = verdict.confidence.min(Confidence::Likely);
}

/// What the failures share.
fn shared(a: &Analysis) -> Vec<crate::model::Pattern> {
    let first = |chain: &Chain| store::row(&a.rows, *chain.legs.first()?);
    let mut flows: HashMap<FlowId, &FlowFacts, foldhash::fast::RandomState> = HashMap::default();
    if a.chains.iter().any(|chain| !chain.tried.is_empty()) {
        flows.extend(a.flows.iter().map(|flow| (flow.id, flow)));
    }
    // What the last leg was tried in vain for, else the leg itself: from where, and to whom.
    let ends = |chain: &Chain| {
        let last = *chain.legs.last()?;
        let vain = chain.tried.iter().rfind(|tried| tried.behind == last).and_then(|tried| flows.get(&tried.flow));
        let x = &store::row(&a.rows, last)?.exchange;
        Some(vain.map_or((x.client, x.server, chain.legs.len() > 1), |flow| (flow.client, flow.server, true)))
    };
    let tried = a.chains.iter().filter_map(|chain| {
        let x = &*first(chain)?.exchange;
        let failed = match &*chain.verdict.rule {
            // Who asked for no WebSocket got none.
            "unknown" | "upgrade-forced" => return None,
            "ok" => false,
            // One that worked with a warning did not fail.
            rule => {
                chain.outcome != Outcome::Upgraded
                    || chain.verdict.severity == Severity::Error
                    || rules::is_of_an_end(rule)
            }
        };
        let (from, server, further) = ends(chain).unwrap_or((x.client, x.server, false));
        let onward = Some(from.ip).filter(|from| further && *from != x.server.ip);
        Some(patterns::Compared { x, server, onward, failed })
    });
    let tried: Vec<_> = tried.collect();
    // Where journeys that worked went on is no end of those that failed.
    let worked = a.chains.iter().filter(|chain| chain.verdict.rule == "ok" && chain.legs.len() > 1);
    let through = worked.flat_map(|chain| chain.legs.split_last().map_or(&[][..], |(_, before)| before));
    let through = through.filter_map(|id| Some(store::row(&a.rows, *id)?.exchange.server)).collect();
    patterns::shared(&tried, &through)
}

impl Analysis {
    /// Adds findings; returns their indices.
    fn add(&mut self, findings: Vec<Finding>, allowed: impl Fn(&Finding) -> bool) -> Vec<usize> {
        let from = self.findings.len();
        for mut finding in findings {
            finding.allowed = allowed(&finding);
            self.findings.push(finding);
        }
        (from..self.findings.len()).collect()
    }

    /// Chains in the order of their first packets.
    fn sort_chains(&mut self) {
        let began = |id| Some(store::row(&self.rows, id)?.exchange.request.first);
        let flows: std::collections::HashMap<_, _> = self.flows.iter().map(|f| (f.id, f.syn_at)).collect();
        self.chains.sort_by_cached_key(|c| {
            let leg = c.legs.first().and_then(|&id| began(id));
            let flow = c.flow.and_then(|id| flows.get(&id).copied());
            (leg.or(flow).unwrap_or_default(), c.id)
        });
    }
}

/// The products' knowledge, as the verdict asks for it.
struct Known<'p>(&'p Products);

impl Knowledge for Known<'_> {
    fn responder(&self, x: &Exchange) -> Option<String> {
        self.0.responder(x).map(|r| name(&r))
    }

    fn request_hop(&self, request: &Head) -> Option<String> {
        self.0.request_hop(request).map(|r| name(&r))
    }

    fn fixes(&self, x: &Exchange, sender: Direction, class: FaultClass) -> Vec<Fix> {
        let product = match sender {
            Direction::ClientToServer => self.0.request_hop(&x.request),
            Direction::ServerToClient => self.0.responder(x),
        };
        let mut fixes = self.fixes_with(product.as_ref().map(|r| (r.product, r.confidence)), class);
        // A server that is known as one is no proxy to be set up otherwise.
        let server = sender == Direction::ServerToClient
            && product.is_none()
            && x.response.as_ref().is_some_and(|head| self.0.server_software(head).is_some());
        if server && fixes.iter().any(|fix| fix.product == "any") {
            fixes.retain(|fix| fix.product == "any");
        }
        fixes
    }

    fn fixes_of(&self, software: Option<&Software>, class: FaultClass) -> Vec<Fix> {
        let product = software.and_then(|s| Some((self.0.get(&s.slug)?, s.confidence)));
        self.fixes_with(product, class)
    }

    fn page(&self, x: &Exchange) -> Option<Page> {
        let status = x.status()?;
        if let Some(known) = self.0.backend_body(status, &x.body) {
            let by = Writer::Backend(known.stack.clone());
            return Some(Page { by, means: known.means.clone(), class: known.class });
        }
        if let Some((product, page)) = self.0.error_page(status, &x.body) {
            let by = Writer::Proxy(product.name.clone());
            return Some(Page { by, means: page.means.clone(), class: page.class });
        }
        // A success, or a move, is no refusal, whatever it speaks of.
        let says = if status >= 400 { said::words(&x.request, &x.body) } else { None }?;
        Some(Page { by: Writer::Somebody, means: says.means.clone(), class: says.class })
    }
}

impl Known<'_> {
    /// What mends this kind of fault in the software that is at it: in its own language where it is known, first of all
    /// products where it is only suspected.
    fn fixes_with(&self, product: Option<(&Product, Confidence)>, class: FaultClass) -> Vec<Fix> {
        let own = product.map(|(product, _)| self.0.fixes(product, class)).unwrap_or_default();
        let sure = !own.is_empty() && product.is_some_and(|(_, sure)| sure >= Confidence::Likely);
        // Where nothing listens, the proxy's setting is only one of the things to look at.
        if sure && class != FaultClass::Reach {
            return own;
        }
        let (words, common): (Vec<Fix>, Vec<Fix>) =
            self.0.class_fixes(class).into_iter().partition(|fix| fix.product == "any");
        let others = common.into_iter().filter(|fix| !sure && own.iter().all(|own| own.product != fix.product));
        let others: Vec<Fix> = others.collect();
        words.into_iter().chain(own).chain(others).collect()
    }
}

/// `nginx`, or `nginx 1.22.1` where it tells.
fn name(r: &Recognised<'_>) -> String {
    let name: Cow<'_, str> = Cow::Borrowed(&r.product.name);
    name.into_owned()
}
