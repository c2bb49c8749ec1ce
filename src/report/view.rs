//! What the formats for tickets, pages and tools share: what became of each chain in one word, the short lists of the
//! report's document, and each chain at length ([`Told`]) when it is told.
//!
//! Every string went through `report/mask.rs` already: it is escaped and masked. What means something in a format is
//! for that format to quote.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use crate::base::Nanos;
use crate::model::{self, Chain};
use crate::report::build::{self, Owners};
use crate::report::document as doc;
use crate::report::mask::{self, Masker};
use crate::report::told::Told;
use crate::report::{Options, passed, time};
use crate::store::Analysis;

/// An analysis as these formats see it. Of its long lists nothing is kept but a word for each chain.
pub(super) struct View<'a> {
    pub(super) a: &'a Analysis,
    pub(super) options: &'a Options,
    owners: Owners,
    masker: RefCell<Masker>,
    pub(super) chains: Vec<Brief<'a>>,
    pub(super) inputs: Vec<doc::Input>,
    /// What each input is called: its file's name, or what it was given as where two have the same.
    files: Vec<String>,
    pub(super) intermediaries: Vec<doc::Intermediary>,
    pub(super) patterns: Vec<doc::Pattern>,
}

/// A chain, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief<'a> {
    pub(super) chain: &'a Chain,
    pub(super) status: Status,
}

/// What became of a chain. Orders from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Error,
    Warning,
    /// The capture cannot tell.
    Unknown,
    /// A fault that the user allows.
    Allowed,
    /// Not upgraded, and nobody's fault.
    Settled,
    Worked,
}

impl Status {
    pub(super) const ALL: [Status; 6] =
        [Status::Error, Status::Warning, Status::Unknown, Status::Allowed, Status::Settled, Status::Worked];

    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Error => "error",
            Status::Warning => "warning",
            Status::Unknown => "unknown",
            Status::Allowed => "allowed",
            Status::Settled => "settled",
            Status::Worked => "worked",
        }
    }

    /// What is told of so many chains.
    fn counted(self) -> &'static str {
        match self {
            Status::Error => "failed",
            Status::Warning => "worked with a warning, or not by a fault",
            Status::Unknown => "cannot be judged from this capture",
            Status::Allowed => "failed in a way that is known and allowed",
            Status::Settled => "refused without a fault",
            Status::Worked => "worked",
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(a: &'a Analysis, options: &'a Options) -> View<'a> {
        let mut masker = Masker::new(options.show_secrets).naming(&a.inputs);
        let inputs = build::inputs(&a.inputs);
        View {
            a,
            options,
            owners: Owners::new(a),
            chains: a.chains.iter().map(|chain| Brief { chain, status: status(a, chain) }).collect(),
            files: files(&inputs),
            inputs,
            intermediaries: a.intermediaries.iter().map(|i| passed::intermediary(i, &mut masker)).collect(),
            patterns: a.patterns.iter().map(|p| build::pattern(p, &mut masker)).collect(),
            masker: RefCell::new(masker),
        }
    }

    /// A chain at length.
    pub(super) fn tell(&self, brief: &Brief<'_>) -> Told {
        let masker = &mut self.masker.borrow_mut();
        let (a, chain) = (self.a, brief.chain);
        let mut findings: Vec<doc::Finding> = findings(a, chain)
            .into_iter()
            .filter_map(|index| build::finding_of(a, &self.owners, index, masker))
            .collect();
        findings.sort_by_key(|f| (f.rule != chain.verdict.rule, rank(&f.severity), f.id));
        Told {
            status: brief.status,
            chain: build::chain(chain, &|id| build::leg(a, id), masker),
            legs: chain
                .legs
                .iter()
                .filter_map(|&leg| build::row(a, leg))
                .map(|row| build::exchange(row, true, masker))
                .collect(),
            findings,
            blamed: blamed(&chain.verdict),
        }
    }

    /// The finding at this place of the analysis, and its chain; `None` for one of no chain.
    pub(super) fn finding(&self, index: usize) -> Option<(doc::Finding, Option<&'a Chain>)> {
        let finding = build::finding_of(self.a, &self.owners, index, &mut self.masker.borrow_mut())?;
        Some((finding, self.owners.chain(self.a, index)))
    }

    /// What the capture itself cannot show.
    pub(super) fn limits(&self) -> Vec<doc::Finding> {
        let is_one = |f: &model::Finding| matches!(f.subject, model::Subject::Input(_) | model::Subject::Capture);
        let places = self.a.findings.iter().enumerate().filter(|(_, f)| is_one(f));
        places.filter_map(|(index, _)| Some(self.finding(index)?.0)).collect()
    }

    /// Something was masked so far.
    pub(super) fn masked(&self) -> bool {
        self.masker.borrow().masked()
    }

    /// Chains by what became of them, worst first.
    pub(super) fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for brief in self.chains.iter().filter(|b| !b.chain.legs.is_empty()) {
            *counts.entry(brief.status).or_default() += 1;
        }
        counts
    }

    /// How many upgrades, and what became of them: one sentence.
    pub(super) fn summary(&self, options: &Options) -> String {
        if let Some(n) = options.filtered_out {
            return format!("Nothing matches the filter; without it there are {n} chains.");
        }
        let counts = self.counts();
        let tried: usize = counts.values().sum();
        let lone = self.chains.iter().filter(|b| build::never_asked(self.a, b.chain)).count();
        let mut text = match tried {
            0 => "No upgrade was seen.".to_owned(),
            _ => {
                let upgrades = if tried == 1 { "1 upgrade".to_owned() } else { format!("{tried} upgrades") };
                let parts: Vec<String> =
                    counts.iter().rev().map(|(status, n)| format!("{n} {}", status.counted())).collect();
                format!("{upgrades} tried: {}.", parts.join(", "))
            }
        };
        if lone > 0 {
            let connections = if lone == 1 { "1 connection".to_owned() } else { format!("{lone} connections") };
            text.push_str(&format!(" {connections} never got as far as a request."));
        }
        text
    }

    /// What an input is called.
    pub(super) fn file(&self, input: u16) -> &str {
        self.files.get(usize::from(input)).map_or("", |name| name)
    }

    /// The packets that prove the verdict and those of the heads, by input: a name and a display filter of Wireshark.
    pub(super) fn packets(&self, told: &Told) -> Vec<(String, String)> {
        let mut all: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
        for x in &told.legs {
            all.entry(x.request.input).or_default().push(x.request.packet);
            if let Some(response) = &x.response {
                all.entry(response.input).or_default().push(response.packet);
            }
        }
        for f in told.own_findings() {
            f.evidence.iter().for_each(|e| all.entry(e.input).or_default().push(e.packet));
        }
        let filter = |(input, mut packets): (u16, Vec<u64>)| {
            packets.sort_unstable();
            packets.dedup();
            let numbers: Vec<String> = packets.iter().take(20).map(u64::to_string).collect();
            (self.file(input).to_owned(), format!("frame.number in {{{}}}", numbers.join(",")))
        };
        all.into_iter().map(filter).collect()
    }
}

fn files(inputs: &[doc::Input]) -> Vec<String> {
    let base = |path: &'_ str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut times: HashMap<String, usize> = HashMap::new();
    inputs.iter().for_each(|i| *times.entry(base(&i.path)).or_default() += 1);
    let name = |i: &doc::Input| Some(base(&i.path)).filter(|name| !name.is_empty() && times.get(name) == Some(&1));
    inputs.iter().map(|i| name(i).unwrap_or_else(|| i.path.clone())).collect()
}

/// Places of the findings of a chain and its legs, each once.
fn findings(a: &Analysis, chain: &Chain) -> Vec<usize> {
    let legs = chain.legs.iter().filter_map(|&leg| build::row(a, leg)).flat_map(|row| &row.findings);
    let mut all: Vec<usize> = chain.findings.iter().chain(legs).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn status(a: &Analysis, chain: &Chain) -> Status {
    let v = &chain.verdict;
    // The worst of those behind the verdict, the first where they are alike.
    let behind = || {
        let all = findings(a, chain).into_iter().filter_map(|index| a.findings.get(index));
        all.filter(|f| f.rule == v.rule).min_by_key(|f| rank(f.severity.word()))
    };
    match (&*v.rule, chain.outcome.word()) {
        ("unknown", _) | ("ok", "unknown") => Status::Unknown,
        ("ok", "upgraded") => Status::Worked,
        ("ok", _) => Status::Settled,
        _ if behind().is_some_and(|f| f.allowed) => Status::Allowed,
        _ if v.severity == model::Severity::Error => Status::Error,
        _ => Status::Warning,
    }
}

/// Who is to blame, in words. `None` where nobody is.
pub(super) fn blamed(verdict: &model::Verdict) -> Option<String> {
    let blame = verdict.blame.as_ref()?;
    let role = match blame.role {
        model::Role::Hop => "the proxy",
        model::Role::Client => "the client",
        model::Role::Server => "the server",
        model::Role::Unknown if blame.address.is_some() => "the router or firewall",
        model::Role::Unknown => return None,
    };
    let mut words = vec![role.to_owned()];
    words.extend(blame.product.as_deref().map(mask::own));
    words.extend(blame.address.as_deref().map(|address| format!("at {}", mask::own(address))));
    if verdict.confidence.word() != "certain" {
        words.push(format!("({})", verdict.confidence.word()));
    }
    Some(words.join(" "))
}

/// `#3`, or `connection 7` of one that never carried a request.
pub(super) fn name(chain: i64) -> String {
    if chain < 0 { format!("connection {}", chain.unsigned_abs()) } else { format!("#{chain}") }
}

/// What a hop is called: as the user named it, its product, or `proxy`.
pub(super) fn hop_name(hop: &doc::Hop) -> String {
    let product = || hop.product.as_ref().map(product_name);
    let word = if hop.kind.as_deref() == Some("relay") { "relay" } else { "proxy" };
    hop.name.clone().or_else(product).unwrap_or_else(|| word.to_owned())
}

/// `nginx 1.22.1`.
pub(super) fn product_name(product: &doc::Product) -> String {
    match &product.version {
        Some(version) => format!("{} {version}", product.name),
        None => product.name.clone(),
    }
}

/// `10.0.0.1:80`, `[::1]:80`.
pub(super) fn endpoint(e: &doc::Endpoint) -> String {
    if e.ip.contains(':') { format!("[{}]:{}", e.ip, e.port) } else { format!("{}:{}", e.ip, e.port) }
}

/// Host and path, as far as the request tells.
pub(super) fn place(x: &doc::Exchange) -> String {
    let host = host(x).unwrap_or_default();
    if x.request.target.starts_with('/') { format!("{host}{}", x.request.target) } else { x.request.target.clone() }
}

/// What the request says that it wants. `None`: it does not.
pub(super) fn host(x: &doc::Exchange) -> Option<&str> {
    let named = |name: &str| x.request.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    named("host").or_else(|| named(":authority")).map(|(_, value)| &**value)
}

/// From worst to least.
pub(super) fn rank(severity: &str) -> u8 {
    match severity {
        "error" => 0,
        "warning" => 1,
        _ => 2,
    }
}

/// A length of time in nanoseconds, for people.
pub(super) fn length(ns: i64) -> String {
    time::human(Nanos(ns))
}

/// The lines of a header diff: sign, name, value before, value behind; what is missing is empty.
pub(super) fn diff(changes: &doc::Changes) -> Vec<(char, &str, &str, &str)> {
    let gone = changes.removed.iter().map(|(name, value)| ('−', &**name, &**value, ""));
    let changed = changes.changed.iter().map(|(name, before, behind)| ('~', &**name, &**before, &**behind));
    let added = changes.added.iter().map(|(name, value)| ('+', &**name, "", &**value));
    gone.chain(changed).chain(added).collect()
}

/// At most so many characters, and a sign that there were more.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
