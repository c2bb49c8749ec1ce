//! What all screens look at: the analysis, the filter, what is chosen, how things are shown.

use std::collections::HashMap;

use crate::base::{ExchangeId, FlowId, Nanos, Timestamp};
use crate::model::{Chain, Exchange, Finding, FlowFacts, Hop, HopKind, Outcome, Role, Severity};
use crate::report::build;
use crate::report::time::{Clock, human};
use crate::rules::journey::full_name;
use crate::store::{Analysis, Filter, select};

use super::shown::Shown;
use super::theme::{Theme, Tone};

/// What a row's mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Error,
    Warning,
    Good,
    /// Nothing to say of it: no upgrade, or settled, or a known fault.
    Plain,
    /// The capture cannot tell.
    Unknown,
}

impl Mark {
    pub fn glyph(self) -> (&'static str, Tone) {
        match self {
            Mark::Error => ("✗", Tone::Error),
            Mark::Warning => ("!", Tone::Warning),
            Mark::Good => ("✓", Tone::Good),
            Mark::Plain => ("·", Tone::Dim),
            Mark::Unknown => ("?", Tone::Info),
        }
    }

    pub fn of(severity: Severity) -> Mark {
        match severity {
            Severity::Error => Mark::Error,
            Severity::Warning => Mark::Warning,
            Severity::Info => Mark::Plain,
        }
    }
}

/// How times are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    #[default]
    OfDay,
    /// Since the first packet.
    Since,
}

/// The filter as it stands.
#[derive(Default)]
pub struct Filtered {
    pub text: String,
    /// Why it is not understood; the last one that was still holds.
    pub error: Option<String>,
}

pub struct Shared {
    pub a: Analysis,
    pub text: Shown,
    pub theme: Theme,
    pub filter: Filtered,
    /// Indices of the chains that match, in their order.
    pub visible: Vec<u32>,
    /// The chain that is looked at: an index of the analysis' chains.
    pub chosen: usize,
    pub times: Times,
    /// Chains with an error (a warning) as their verdict, of all.
    pub errors: usize,
    pub warnings: usize,
    clock: Clock,
    utc: bool,
    first: Option<Timestamp>,
    rows: HashMap<ExchangeId, usize>,
}

impl Shared {
    pub fn new(theme: Theme, secrets: bool, utc: bool) -> Shared {
        Shared {
            a: Analysis::default(),
            text: Shown::new(secrets),
            theme,
            filter: Filtered::default(),
            visible: Vec::new(),
            chosen: 0,
            times: Times::default(),
            errors: 0,
            warnings: 0,
            clock: Clock::new(utc, None),
            utc,
            first: None,
            rows: HashMap::new(),
        }
    }

    /// The analysis is there.
    pub fn take(&mut self, a: Analysis) {
        self.text.name(&a.inputs);
        let first = a.inputs.iter().filter_map(|i| i.first).min();
        self.first = first.or_else(|| a.rows.first().map(|row| row.exchange.request.first));
        self.clock = Clock::new(self.utc, self.first);
        self.rows = a.rows.iter().enumerate().map(|(at, row)| (row.exchange.id, at)).collect();
        self.a = a;
        let marks: Vec<Mark> = self.a.chains.iter().map(|chain| self.mark(chain)).collect();
        let count = |wanted| marks.iter().filter(|mark| **mark == wanted).count();
        (self.errors, self.warnings) = (count(Mark::Error), count(Mark::Warning));
        // The worst comes first into view.
        let place = |wanted| marks.iter().position(|mark| *mark == wanted);
        self.chosen = place(Mark::Error).or_else(|| place(Mark::Warning)).unwrap_or(0);
        let text = std::mem::take(&mut self.filter.text);
        self.filter(&text);
    }

    /// Sets another filter; one that is not understood leaves what is shown as it is.
    pub fn filter(&mut self, text: &str) {
        text.clone_into(&mut self.filter.text);
        match Filter::parse(text) {
            Err(err) => self.filter.error = Some(err.to_string()),
            Ok(filter) => {
                self.filter.error = None;
                let all = 0..u32::try_from(self.a.chains.len()).unwrap_or(u32::MAX);
                self.visible = if filter.is_empty() {
                    all.collect()
                } else {
                    let keep = select::chains(&self.a, &filter.with_inputs(&self.a.inputs));
                    all.zip(keep).filter(|(_, keep)| *keep).map(|(at, _)| at).collect()
                };
            }
        }
    }

    /// The chain that is looked at.
    pub fn chain(&self) -> Option<&Chain> {
        self.a.chains.get(self.chosen)
    }

    /// The chain at this place among those that match.
    pub fn at(&self, place: usize) -> Option<(usize, &Chain)> {
        let index = usize::try_from(*self.visible.get(place)?).ok()?;
        Some((index, self.a.chains.get(index)?))
    }

    /// Where the chosen chain stands among those that match; the next one where it does not match.
    pub fn place(&self) -> usize {
        self.visible.partition_point(|at| usize::try_from(*at).unwrap_or(usize::MAX) < self.chosen)
    }

    pub fn leg(&self, id: ExchangeId) -> Option<&Exchange> {
        self.row(id).map(|row| &*row.exchange)
    }

    pub fn row(&self, id: ExchangeId) -> Option<&crate::store::Row> {
        self.a.rows.get(*self.rows.get(&id)?)
    }

    /// The legs of a chain, client side first.
    pub fn legs<'a>(&'a self, chain: &'a Chain) -> impl Iterator<Item = &'a Exchange> {
        chain.legs.iter().filter_map(|id| self.leg(*id))
    }

    /// A connection without a request.
    pub fn flow(&self, id: FlowId) -> Option<&FlowFacts> {
        let found = self.a.flows.binary_search_by_key(&id, |f| f.id).ok().and_then(|i| self.a.flows.get(i));
        found.or_else(|| self.a.flows.iter().find(|f| f.id == id))
    }

    /// When it began.
    pub fn began(&self, chain: &Chain) -> Option<Timestamp> {
        let leg = chain.legs.first().and_then(|id| self.leg(*id)).map(|x| x.request.first);
        leg.or_else(|| self.flow(chain.flow?).map(|flow| flow.syn_at))
    }

    /// From the first request to the end, as far as it was seen.
    pub fn lasted(&self, chain: &Chain) -> Option<Nanos> {
        let x = chain.legs.first().and_then(|id| self.leg(*id))?;
        x.end.lifetime.or_else(|| x.times.last.map(|last| last.since(x.request.first)))
    }

    /// Indices of all findings of a chain and its legs, each once, the worst first.
    pub fn findings(&self, chain: &Chain) -> Vec<usize> {
        let legs = chain.legs.iter().filter_map(|&leg| build::row(&self.a, leg)).flat_map(|row| &row.findings);
        let mut all: Vec<usize> =
            chain.findings.iter().chain(legs).copied().filter(|&i| i < self.a.findings.len()).collect();
        all.sort_unstable();
        all.dedup();
        let verdict = |f: &Finding| f.rule == chain.verdict.rule;
        all.sort_by_key(|&i| {
            self.a.findings.get(i).map(|f| std::cmp::Reverse((!f.allowed, verdict(f), f.severity, f.confidence)))
        });
        all
    }

    pub fn mark(&self, chain: &Chain) -> Mark {
        let v = &chain.verdict;
        let allowed = || {
            let all = chain.findings.iter().filter_map(|&i| self.a.findings.get(i));
            all.filter(|f| f.rule == v.rule).any(|f| f.allowed)
        };
        match (&*v.rule, chain.outcome) {
            ("unknown", _) | ("ok", Outcome::Unknown) => Mark::Unknown,
            ("ok", Outcome::Upgraded) => Mark::Good,
            ("ok", _) => Mark::Plain,
            _ if allowed() => Mark::Plain,
            _ => Mark::of(v.severity),
        }
    }

    /// Who is to blame for it, in words; empty where nobody is.
    pub fn at_fault(&self, chain: &Chain) -> String {
        let Some(blame) = &chain.verdict.blame else { return String::new() };
        let name = match (blame.product.as_deref(), blame.address.as_deref()) {
            (Some(product), Some(address)) => format!("{} at {}", self.text.own(product), self.text.own(address)),
            (Some(name), None) | (None, Some(name)) => self.text.own(name),
            (None, None) => String::new(),
        };
        let who = match blame.role {
            Role::Client => "the client",
            Role::Hop => "the proxy",
            Role::Server => "the server",
            Role::Unknown => return String::new(),
        };
        format!("{who} {name}").trim_end().to_owned()
    }

    /// What a hop is called: the user's name for it, its product, or a word.
    pub fn hop_name(&self, hop: &Hop) -> String {
        match (&hop.name, &hop.product) {
            (Some(name), _) => self.text.own(name),
            (None, Some(software)) => self.text.bytes(full_name(software).as_bytes()),
            (None, None) if hop.kind == HopKind::Relay => "relay".to_owned(),
            (None, None) => "proxy".to_owned(),
        }
    }

    /// A point in time, as the user wants them told.
    pub fn time(&self, ts: Timestamp) -> String {
        match (self.times, self.first) {
            (Times::Since, Some(first)) => format!("+{:.6}", ts.since(first).as_secs_f64()),
            _ => self.clock.time(ts),
        }
    }

    /// When the capture began.
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// What the inputs are called, in a few words.
    pub fn source(&self) -> String {
        match self.a.inputs.as_slice() {
            [] => String::new(),
            [one] => {
                let name = one.path.rsplit('/').next().unwrap_or_default();
                self.text.bytes(if name.is_empty() || name == "-" { b"standard input" } else { name.as_bytes() })
            }
            all => format!("{} inputs", all.len()),
        }
    }
}

/// A length of time; `–` where there is none.
pub fn span(length: Option<Nanos>) -> String {
    length.map_or_else(|| "–".to_owned(), human)
}

/// A number of bytes in four figures at most: `88`, `1.2k`, `4.7M`.
pub fn bytes(n: u64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 10.0);
    format!("{value:.decimals$}{}", units.get(unit).copied().unwrap_or_default())
}

/// A number with thin groups: `18 402`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 999, 1_234, 88_000, 4_700_000_000].map(bytes), ["0", "999", "1.2k", "88k", "4.7G"]);
        assert_eq!([7, 1_000, 1_234_567].map(grouped), ["7", "1 000", "1 234 567"]);
    }
}
