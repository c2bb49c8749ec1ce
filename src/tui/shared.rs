//! What all screens look at: the analysis, the filter, what is chosen, how things are shown.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::base::{ExchangeId, FlowId, Nanos, Timestamp};
use crate::model::{Chain, ConnectState, Exchange, Finding, FlowFacts, Hop, HopKind, Role, Severity};
use crate::report::build;
use crate::report::time::{Clock, human};
use crate::rules::journey::full_name;
use crate::store::{Analysis, Columns, Parts};

use super::events::What;
use super::facts::{self, Facts};
use super::filtering::{Filtered, LARGE, PATIENCE};
use super::order::{By, Group, Order};
use super::ready::Ready;
use super::shown::Shown;
use super::streams::Streams;
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

pub struct Shared {
    pub a: Arc<Analysis>,
    pub text: Shown,
    pub theme: Theme,
    pub filter: Filtered,
    /// Indices of the chains that match, in the order of the screen.
    pub visible: Vec<u32>,
    /// The groups they stand in; empty: none.
    pub groups: Vec<Group>,
    /// The order in which `visible` is, or will be.
    pub(super) order: Order,
    /// The place of each chain among the visible ones, `u32::MAX` for the others. Empty: `visible` ascends.
    pub(super) places: Vec<u32>,
    /// The chain that is looked at: an index of the analysis' chains.
    pub chosen: usize,
    /// The user chose it.
    pub touched: bool,
    /// Numbers of chains that are marked.
    pub marked: BTreeSet<i64>,
    /// Messages that are marked to be compared, two at most; the one that was marked first stands first.
    pub messages: Vec<What>,
    /// Goes up whenever the analysis or `visible` is another one.
    pub generation: u64,
    pub times: Times,
    /// Some of them, read again.
    pub(super) streams: Streams,
    /// The inputs are still being read.
    pub(super) reading: bool,
    /// Chains with an error (a warning) as their verdict, of all.
    pub errors: usize,
    pub warnings: usize,
    clock: Clock,
    utc: bool,
    bounds: Option<(Timestamp, Timestamp)>,
    pub(super) facts: Facts,
    flows: HashMap<FlowId, usize>,
    pub(super) parts: Arc<Parts>,
    pub(super) columns: Option<Columns>,
    /// How long a filter or an order may take at once. Nothing: a single step.
    pub(super) patience: Duration,
}

impl Shared {
    pub fn new(theme: Theme, secrets: bool, utc: bool) -> Shared {
        Shared {
            a: Arc::default(),
            text: Shown::new(secrets),
            theme,
            filter: Filtered::default(),
            visible: Vec::new(),
            groups: Vec::new(),
            order: Order::default(),
            places: Vec::new(),
            chosen: 0,
            touched: false,
            marked: BTreeSet::new(),
            messages: Vec::new(),
            generation: 0,
            times: Times::default(),
            streams: Streams::default(),
            reading: false,
            errors: 0,
            warnings: 0,
            clock: Clock::new(utc, None),
            utc,
            bounds: None,
            facts: Facts::default(),
            flows: HashMap::new(),
            parts: Arc::default(),
            columns: None,
            patience: PATIENCE,
        }
    }

    /// An analysis is there; what the user looks at stays chosen.
    pub fn take(&mut self, ready: Ready) {
        let before = self.chain().map(|chain| chain.id).filter(|_| self.touched);
        let Ready { a, facts, flows, bounds, parts, columns } = ready;
        self.text.name(&a.inputs);
        self.streams.forget();
        self.bounds = bounds;
        self.clock = Clock::new(self.utc, self.first());
        let facts = std::mem::replace(&mut self.facts, facts);
        let gone = (std::mem::replace(&mut self.a, a), facts, std::mem::replace(&mut self.columns, columns));
        if gone.0.rows.len() > LARGE {
            thread::spawn(move || drop(gone));
        }
        (self.flows, self.parts) = (flows, parts);
        let marks = self.facts.marks();
        let count = |wanted| marks.iter().filter(|mark| **mark == wanted).count();
        (self.errors, self.warnings) = (count(Mark::Error), count(Mark::Warning));
        // The worst comes first into view.
        let place = |wanted| marks.iter().position(|mark| *mark == wanted);
        let worst = || place(Mark::Error).or_else(|| place(Mark::Warning)).unwrap_or(0);
        self.chosen = before.and_then(|id| self.find(id)).unwrap_or_else(worst);
        self.show(Vec::new(), Vec::new());
        let text = std::mem::take(&mut self.filter.text);
        self.filter(&text);
    }

    /// Whether the chain with this index matches.
    pub fn is_visible(&self, index: usize) -> bool {
        self.place_of(index).is_some()
    }

    /// What the chains of a group share, as it may be shown.
    pub fn group_name(&self, group: &Group) -> String {
        match self.order.by {
            _ if group.others > 0 => format!("… {} others", grouped(group.others as u64)),
            _ if group.name.is_empty() => "–".to_owned(),
            By::Path => self.text.url(&group.name),
            By::Nothing | By::Host | By::Server | By::Verdict => self.text.bytes(&group.name),
        }
    }

    /// The index of the chain with this number, or that has the leg with it.
    pub fn find(&self, number: i64) -> Option<usize> {
        let leg = || self.facts.of_row(self.a.place(ExchangeId(u64::try_from(number).ok()?))?);
        let flow = || {
            let id = u32::try_from(number.checked_neg()?).ok()?;
            self.facts.of_flow(*self.flows.get(&FlowId(id))?)
        };
        leg().or_else(flow)
    }

    /// Where the chain with this index stands among those that match. `None`: it does not match.
    pub fn place_of(&self, index: usize) -> Option<usize> {
        match self.places.get(index) {
            Some(place) => usize::try_from(*place).ok().filter(|_| *place != u32::MAX),
            None => self.visible.binary_search(&u32::try_from(index).ok()?).ok(),
        }
    }

    /// Marks the chain that is looked at, or takes its mark away.
    pub fn mark_chosen(&mut self) {
        if let Some(id) = self.chain().map(|chain| chain.id)
            && !self.marked.remove(&id)
        {
            self.marked.insert(id);
        }
    }

    /// Marks a message, or takes its mark away; of three, the first loses its own.
    pub fn mark_message(&mut self, what: What) {
        let before = self.messages.len();
        self.messages.retain(|marked| *marked != what);
        if self.messages.len() == before {
            self.messages.push(what);
        }
        if self.messages.len() > 2 {
            self.messages.remove(0);
        }
    }

    /// The next visible chain with a fault, behind this place or before it. `on`: at this place, too.
    pub fn fault(&self, here: usize, back: bool, on: bool) -> Option<usize> {
        let bad = |place: &usize| {
            let mark = self.visible.get(*place).and_then(|at| self.mark_of(usize::try_from(*at).ok()?));
            matches!(mark, Some(Mark::Error | Mark::Warning))
        };
        if back { (0..here).rev().find(bad) } else { (here + usize::from(!on)..self.visible.len()).find(bad) }
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
        if let Some(rest) = self.places.get(self.chosen..).filter(|_| !self.places.is_empty()) {
            let place = rest.iter().find(|place| **place != u32::MAX);
            return place.and_then(|place| usize::try_from(*place).ok()).unwrap_or(self.visible.len());
        }
        self.visible.partition_point(|at| usize::try_from(*at).unwrap_or(usize::MAX) < self.chosen)
    }

    pub fn leg(&self, id: ExchangeId) -> Option<&Exchange> {
        self.row(id).map(|row| &*row.exchange)
    }

    pub fn row(&self, id: ExchangeId) -> Option<&crate::store::Row> {
        build::row(&self.a, id)
    }

    /// The legs of a chain, client side first.
    pub fn legs<'a>(&'a self, chain: &'a Chain) -> impl Iterator<Item = &'a Exchange> {
        chain.legs.iter().filter_map(|id| self.leg(*id))
    }

    /// A connection without a request.
    pub fn flow(&self, id: FlowId) -> Option<&FlowFacts> {
        self.a.flows.get(*self.flows.get(&id)?)
    }

    /// When it began.
    pub fn began(&self, chain: &Chain) -> Option<Timestamp> {
        let leg = chain.legs.first().and_then(|id| self.leg(*id)).map(|x| x.request.first);
        leg.or_else(|| self.flow(chain.flow?).map(|flow| flow.syn_at))
    }

    /// When its last packet came, or its last leg's if that is later.
    pub fn ended(&self, chain: &Chain) -> Option<Timestamp> {
        let legs = self.legs(chain).filter_map(facts::ended).max();
        legs.or_else(|| self.flow(chain.flow?).map(|flow| flow.end_at.unwrap_or(flow.syn_at)))
    }

    /// When the connection was opened of which the chain's first request is the first. `None`: it is not, or that was
    /// not captured.
    pub fn opened(&self, chain: &Chain) -> Option<Timestamp> {
        let x = chain.legs.first().and_then(|id| self.leg(*id))?;
        x.times.syn.filter(|_| x.index_in_flow == 0)
    }

    /// From the first request to the end, as far as it was seen.
    pub fn lasted(&self, chain: &Chain) -> Option<Nanos> {
        let Some(x) = chain.legs.first().and_then(|id| self.leg(*id)) else {
            let flow = self.flow(chain.flow?).filter(|flow| flow.state == ConnectState::Established)?;
            return flow.end_at.map(|end| end.since(flow.syn_at));
        };
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
        facts::mark(&self.a, chain)
    }

    /// The mark of the chain with this index.
    pub fn mark_of(&self, index: usize) -> Option<Mark> {
        self.facts.mark(index)
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
            Role::Unknown if !name.is_empty() => "the router or firewall",
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
        match (self.times, self.first()) {
            (Times::Since, Some(first)) => format!("+{:.6}", ts.since(first).as_secs_f64()),
            _ => self.clock.time(ts),
        }
    }

    /// Whether times are told in UTC.
    pub fn utc(&self) -> bool {
        self.utc
    }

    /// When the capture began.
    pub fn first(&self) -> Option<Timestamp> {
        self.bounds.map(|bounds| bounds.0)
    }

    /// When it ended.
    pub fn last(&self) -> Option<Timestamp> {
        self.bounds.map(|bounds| bounds.1)
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
