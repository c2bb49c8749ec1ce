//! `--format ndjson`: prints each exchange when it is decided, each chain when the join window has passed
//! behind it, and both again, with their findings, when they are over; keeps only what the last window holds.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use std::collections::VecDeque;

use crate::base::{Counters, Nanos, Timestamp, limits};
use crate::engine::{self, Group, Joining, Judge, Proxies, judge};
use crate::hops::{self, Told};
use crate::model::{Chain, Exchange, Finding, FlowFacts, InputFacts, Severity};
use crate::products::Products;
use crate::proto::Sink;
use crate::report::Options;
use crate::report::ndjson::Lines;
use crate::rules;
use crate::store::{self, Filter, Row};

use super::allow::Allowed;

/// Who notes findings beside packets.
pub(super) type Note = Box<dyn FnMut(&[Finding])>;

/// Writes lines as things are known.
pub(super) struct Stream<'a> {
    judge: Judge<'a>,
    lines: Lines,
    filter: Option<&'a Filter>,
    allowed: &'a Allowed,
    out: &'a mut dyn Write,
    joining: Joining,
    /// Connections without a request that a hop may have opened for a chain, in the order of their ends; at
    /// most `limits::LONE_FLOWS`.
    lone: VecDeque<FlowFacts>,
    proxies: Proxies,
    /// The latest time in the capture, as far as exchanges tell.
    now: Timestamp,
    /// Somebody waits for each line: the input is a pipe.
    live: bool,
    /// Findings printed so far; the next one's index.
    findings: usize,
    worst: Option<Severity>,
    /// Is told of findings as soon as they are known.
    noted: Option<Note>,
    error: Option<io::Error>,
    /// Set with `error`: for the reader, to stop.
    failed: Rc<Cell<bool>>,
}

impl<'a> Stream<'a> {
    /// `live`: somebody waits for each line; `places`: the inputs are several.
    #[expect(clippy::too_many_arguments, reason = "each is one thing, and there is one caller")]
    pub(super) fn new(
        products: &'a Products,
        options: &Options,
        filter: Option<&'a Filter>,
        allowed: &'a Allowed,
        out: &'a mut dyn Write,
        live: bool,
        told: Told,
        places: bool,
    ) -> Self {
        Stream {
            judge: Judge::new(products),
            lines: Lines::new(options),
            filter,
            allowed,
            out,
            live,
            failed: Rc::new(Cell::new(false)),
            joining: Joining::new(told, places),
            lone: VecDeque::new(),
            proxies: Proxies::default(),
            now: Timestamp(i64::MIN),
            findings: 0,
            worst: None,
            noted: None,
            error: None,
        }
    }

    /// Tells of findings as soon as they are known, more than once perhaps.
    #[cfg(feature = "live")]
    pub(super) fn noting(self, noted: Option<Note>) -> Self {
        Stream { noted, ..self }
    }

    /// Whether writing has failed, to be asked while the stream is at work.
    pub(super) fn failed(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.failed)
    }

    /// The first line.
    pub(super) fn start(&mut self, inputs: &[InputFacts]) -> io::Result<()> {
        let line = self.lines.start_line(inputs);
        self.line(&line);
        self.error.take().map_or(Ok(()), Err)
    }

    /// The last lines; the worst finding that is not allowed.
    pub(super) fn end(mut self, mut counters: Counters, inputs: &[InputFacts]) -> io::Result<Option<Severity>> {
        for ready in self.joining.finish() {
            self.print(ready);
        }
        while let Some(flow) = self.lone.pop_front() {
            self.print_lone(&flow);
        }
        counters.flows_seen_twice += self.joining.copies;
        counters.evicted += self.joining.forgotten;
        counters.joined_early += self.joining.early;
        for (index, facts) in inputs.iter().enumerate() {
            let findings = rules::run::input(u16::try_from(index).unwrap_or(u16::MAX), facts);
            self.print_findings(findings, None, &[]);
            counters.dropped_kernel += facts.dropped_kernel;
            counters.dropped_interface += facts.dropped_interface;
            counters.time_backwards += facts.time_backwards;
        }
        self.print_findings(rules::run::capture(&counters, &self.judge.seen), None, &[]);
        counters.evicted += self.judge.seen.evicted + self.judge.seen.polls.dropped;
        counters.ends_not_kept += self.judge.seen.tunnels.evicted;
        let proxies = std::mem::take(&mut self.proxies).list();
        let line = self.lines.summary_line(inputs, &counters, &proxies, &[]);
        self.line(&line);
        self.error.take().map_or(Ok(self.worst), Err)
    }

    fn line(&mut self, line: &str) {
        if self.error.is_some() {
            return;
        }
        let mut written = writeln!(self.out, "{line}");
        if self.live && written.is_ok() {
            written = self.out.flush();
        }
        self.error = written.err();
        self.failed.set(self.error.is_some());
    }

    fn note(&mut self, findings: &[Finding]) {
        if let Some(noted) = &mut self.noted {
            noted(findings);
        }
    }

    fn print_findings(&mut self, findings: Vec<Finding>, x: Option<&Exchange>, fix: &[crate::model::Fix]) {
        for mut finding in findings {
            finding.allowed = self.allowed.allows(&finding, x);
            self.print_finding(finding, fix);
        }
    }

    fn print_finding(&mut self, finding: Finding, fix: &[crate::model::Fix]) {
        self.note(std::slice::from_ref(&finding));
        if !finding.allowed {
            self.worst = self.worst.max(Some(finding.severity));
        }
        let line = self.lines.finding_line(self.findings, &finding, fix);
        self.findings += 1;
        self.line(&line);
    }
}

impl Sink for Stream<'_> {
    fn asked(&mut self, x: &Exchange) {
        self.joining.asked(x);
    }

    fn decided(&mut self, x: &Exchange) {
        if is_half(x) {
            return;
        }
        self.pass(x);
        if !x.tentative {
            self.judge.seen.learn(x, true);
            self.print_decided(x);
        }
        self.joining.decided(x);
    }

    fn ended(&mut self, x: Box<Exchange>) {
        if is_half(&x) {
            return;
        }
        if x.tentative {
            self.judge.seen.learn_plain(&x);
        } else if x.response.is_none() {
            self.judge.seen.learn(&x, true);
        }
        self.pass(&x);
        if let Some(ready) = self.joining.ended(x) {
            self.print(ready);
        }
    }

    fn sealed(&mut self, flow: FlowFacts) {
        self.judge.know_flow(&flow);
        self.print_lone(&flow);
    }

    fn lone(&mut self, flow: FlowFacts) {
        self.lone.push_back(flow);
        if self.lone.len() > limits::LONE_FLOWS
            && let Some(flow) = self.lone.pop_front()
        {
            self.print_lone(&flow);
        }
    }
}

impl Stream<'_> {
    /// Capture time has come as far as this exchange: chains that nothing more can join, and connections that
    /// no chain can claim any more, are printed.
    fn pass(&mut self, x: &Exchange) {
        let last = x.response.as_ref().map_or(x.request.last, |r| r.last);
        self.now = self.now.max(last).max(x.end.at.unwrap_or(last));
        self.passed();
    }

    fn passed(&mut self) {
        for ready in self.joining.pass(self.now) {
            self.print(ready);
        }
        let claimed_until = Nanos::from_secs(3 * limits::JOIN_S);
        while self.lone.front().is_some_and(|flow| self.now.since(flow.syn_at) > claimed_until) {
            let Some(flow) = self.lone.pop_front() else { break };
            self.print_lone(&flow);
        }
    }

    /// Capture time has come as far as this, though no packet tells of it: a live link is silent.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.passed();
    }

    /// The first line of an exchange, as far as it can be judged alone. Its findings are numbered when it ended.
    fn print_decided(&mut self, x: &Exchange) {
        let judged = self.judge.exchange(x);
        self.note(&judged.findings);
        let row = Row {
            exchange: Box::new(x.clone()),
            handshake: judged.handshake,
            outcome: judged.outcome,
            findings: (0..judged.findings.len()).collect(),
        };
        let wanted = self.filter.is_none_or(|filter| {
            let verdict = judged.verdict;
            let chain = Chain {
                id: hops::chain_of_leg(x.id),
                legs: vec![x.id],
                flow: None,
                hops: Box::default(),
                tried: Box::default(),
                sealed: Box::default(),
                outcome: row.outcome,
                verdict,
                findings: row.findings.clone(),
            };
            filter.matches(&row, Some(&chain), &judged.findings)
        });
        if wanted {
            let line = self.lines.exchange_line(&Row { findings: Vec::new(), ..row }, false);
            self.line(&line);
        }
    }

    /// A chain: decided, or with its legs over, its last lines and its findings.
    fn print(&mut self, ready: Group) {
        let last = ready.over;
        let allowed = self.allowed;
        let allow = |f: &Finding, x: Option<&Exchange>| allowed.allows(f, x);
        let (mut a, taken) = judge::group(&mut self.judge, ready, self.lone.make_contiguous(), &allow);
        if !taken.is_empty() {
            a.flows = self.lone.iter().filter(|flow| taken.contains(&flow.id)).cloned().collect();
        }
        if let Some(filter) = self.filter {
            store::select::select(&mut a, filter);
        }
        if last && !a.flows.is_empty() {
            self.lone.retain(|flow| !taken.contains(&flow.id));
        }
        let Some(chain) = a.chains.first_mut() else { return };
        let base = self.findings;
        let indices = std::mem::take(&mut chain.findings);
        if last {
            chain.findings = indices.iter().map(|at| base + at).collect();
            for row in &mut a.rows {
                row.findings.iter_mut().for_each(|at| *at += base);
                let line = self.lines.exchange_line(row, true);
                self.line(&line);
            }
            let verdict = Arc::clone(&chain.verdict);
            let rule = verdict.told_by();
            for finding in a.findings {
                let fix = if finding.rule == rule { verdict.fix.as_slice() } else { &[] };
                self.print_finding(finding, fix);
            }
        }
        let rows = &a.rows;
        let leg = |id| rows.iter().find(|row| row.exchange.id == id).map(|row| &*row.exchange);
        let line = self.lines.chain_line(chain, &leg, last);
        if last {
            engine::proxies(&a.chains, rows, self.joining.hosts(), &mut self.proxies);
        }
        self.line(&line);
    }

    /// A connection without a request that belongs to no chain.
    fn print_lone(&mut self, flow: &FlowFacts) {
        let Some((findings, outcome, verdict)) = self.judge.flow(flow) else { return };
        let indices: Vec<usize> = (self.findings..self.findings + findings.len()).collect();
        let local = judge::chain_of_flow(flow, outcome, verdict, (0..findings.len()).collect());
        if self.filter.is_some_and(|f| !f.matches_flow(flow, Some(&local), &findings)) {
            return;
        }
        let chain = Chain { findings: indices, ..local };
        self.print_findings(findings, None, &chain.verdict.fix);
        let line = self.lines.chain_line(&chain, &|_| None, true);
        self.line(&line);
    }
}

/// An answer that is kept only to be put together with its request, for which all must be known.
fn is_half(x: &Exchange) -> bool {
    x.tentative && x.is_request_unseen()
}
