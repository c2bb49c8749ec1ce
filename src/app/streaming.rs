//! `--format ndjson`: prints each exchange when it is decided and when it ended, its findings and its
//! chain; keeps only what the last window holds.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use std::collections::VecDeque;

use crate::base::{Counters, Nanos, Timestamp, limits};
use crate::engine::{Judge, Judged};
use crate::hops;
use crate::model::{Chain, Exchange, Finding, FlowFacts, InputFacts, Severity};
use crate::products::Products;
use crate::proto::Sink;
use crate::report::Options;
use crate::report::ndjson::Lines;
use crate::rules;
use crate::store::{Filter, Row};

use super::allow::Allowed;

/// Writes lines as things are known.
pub(super) struct Stream<'a> {
    judge: Judge<'a>,
    lines: Lines,
    filter: Option<&'a Filter>,
    allowed: &'a Allowed,
    out: &'a mut dyn Write,
    /// Refusals that a later try may still overcome, in the order of their ends; at most
    /// `limits::SEEN_COMPARED`.
    held: VecDeque<Box<Exchange>>,
    /// The latest time in the capture, as far as exchanges tell.
    now: Timestamp,
    /// Somebody waits for each line: the input is a pipe.
    live: bool,
    /// Findings printed so far; the next one's index.
    findings: usize,
    worst: Option<Severity>,
    error: Option<io::Error>,
    /// Set with `error`: for the reader, to stop.
    failed: Rc<Cell<bool>>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        products: &'a Products,
        options: &Options,
        filter: Option<&'a Filter>,
        allowed: &'a Allowed,
        out: &'a mut dyn Write,
        live: bool,
    ) -> Self {
        Stream {
            judge: Judge::new(products),
            lines: Lines::new(options),
            filter,
            allowed,
            out,
            live,
            failed: Rc::new(Cell::new(false)),
            held: VecDeque::new(),
            now: Timestamp(i64::MIN),
            findings: 0,
            worst: None,
            error: None,
        }
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
        while let Some(x) = self.held.pop_front() {
            self.print(&x);
        }
        for (index, facts) in inputs.iter().enumerate() {
            let findings = rules::run::input(u16::try_from(index).unwrap_or(u16::MAX), facts);
            self.print_findings(findings, None, &[]);
            counters.dropped_kernel += facts.dropped_kernel;
            counters.dropped_interface += facts.dropped_interface;
            counters.time_backwards += facts.time_backwards;
        }
        self.print_findings(rules::run::capture(&counters), None, &[]);
        counters.evicted += self.judge.seen.evicted;
        let line = self.lines.summary_line(inputs, &counters, &[], &[]);
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

    fn row(&mut self, x: &Exchange, judged: &Judged) -> (Row, Chain) {
        let indices: Vec<usize> = (self.findings..self.findings + judged.findings.len()).collect();
        let chain = Judge::chain(x, judged, indices.clone());
        let row = Row {
            exchange: Box::new(x.clone()),
            handshake: judged.handshake.clone(),
            outcome: judged.outcome,
            findings: indices,
        };
        (row, chain)
    }

    fn wanted(&self, row: &Row, chain: &Chain, findings: &[Finding]) -> bool {
        let Some(filter) = self.filter else { return true };
        // The filter looks findings up by index; here they stand alone.
        let mut row = row.clone();
        row.findings = (0..findings.len()).collect();
        let mut chain = chain.clone();
        chain.findings = row.findings.clone();
        filter.matches(&row, Some(&chain), findings)
    }

    fn print_findings(&mut self, findings: Vec<Finding>, x: Option<&Exchange>, fix: &[crate::model::Fix]) {
        for mut finding in findings {
            finding.allowed = self.allowed.allows(&finding, x);
            if !finding.allowed {
                self.worst = self.worst.max(Some(finding.severity));
            }
            let line = self.lines.finding_line(self.findings, &finding, fix);
            self.findings += 1;
            self.line(&line);
        }
    }
}

impl Sink for Stream<'_> {
    fn decided(&mut self, x: &Exchange) {
        if x.tentative {
            return;
        }
        self.pass(x);
        self.judge.seen.learn(x, true);
        let judged = self.judge.exchange(x);
        let (mut row, chain) = self.row(x, &judged);
        if self.wanted(&row, &chain, &judged.findings) {
            // Its findings are numbered when it ended.
            row.findings.clear();
            let line = self.lines.exchange_line(&row, false);
            self.line(&line);
        }
    }

    fn ended(&mut self, x: Box<Exchange>) {
        if x.tentative {
            return;
        }
        if x.response.is_none() {
            self.judge.seen.learn(&x, true);
        }
        self.pass(&x);
        if may_be_overcome(&x) {
            self.held.push_back(x);
            if self.held.len() > limits::SEEN_COMPARED
                && let Some(oldest) = self.held.pop_front()
            {
                self.print(&oldest);
            }
        } else {
            self.print(&x);
        }
    }

    fn lone(&mut self, flow: FlowFacts) {
        let Some((findings, outcome, verdict)) = self.judge.flow(&flow) else { return };
        let indices: Vec<usize> = (self.findings..self.findings + findings.len()).collect();
        let id = hops::chain_of_flow(flow.id);
        let local = Chain {
            id,
            legs: Vec::new(),
            flow: Some(flow.id),
            hops: Box::default(),
            tried: Box::default(),
            outcome,
            verdict,
            findings: (0..findings.len()).collect(),
        };
        if self.filter.is_some_and(|f| !f.matches_flow(&flow, Some(&local), &findings)) {
            return;
        }
        let chain = Chain { findings: indices, ..local };
        self.print_findings(findings, None, &chain.verdict.fix);
        let line = self.lines.chain_line(&chain, &|_| None, true);
        self.line(&line);
    }
}

impl Stream<'_> {
    /// Capture time has come as far as this exchange: refusals that nothing followed in time are printed.
    fn pass(&mut self, x: &Exchange) {
        let last = x.response.as_ref().map_or(x.request.last, |r| r.last);
        self.now = self.now.max(last).max(x.end.at.unwrap_or(last));
        while self.held.front().is_some_and(|held| until(held) < self.now) {
            let Some(held) = self.held.pop_front() else { break };
            self.print(&held);
        }
    }

    /// An exchange that ended: its last line, its findings, its chain.
    fn print(&mut self, x: &Exchange) {
        let judged = self.judge.exchange(x);
        let (row, chain) = self.row(x, &judged);
        if !self.wanted(&row, &chain, &judged.findings) {
            return;
        }
        let line = self.lines.exchange_line(&row, true);
        self.line(&line);
        self.print_findings(judged.findings, Some(x), &chain.verdict.fix);
        let line = self.lines.chain_line(&chain, &|id| (id == x.id).then_some(x), true);
        self.line(&line);
    }
}

/// Whether a later try of the same client may show that this refusal did no harm.
fn may_be_overcome(x: &Exchange) -> bool {
    matches!(x.status(), Some(400 | 401 | 407 | 426))
}

/// Until when such a try counts.
fn until(x: &Exchange) -> Timestamp {
    x.response.as_ref().map_or(x.request.last, |r| r.last) + Nanos::from_secs(limits::RETRY_S)
}
