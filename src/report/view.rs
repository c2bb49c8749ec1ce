//! What the formats for tickets, pages and tools share: the report's document with its lists by id, what became of
//! each chain in one word, and its journey as participants and messages.
//!
//! Every string of the document went through `report/mask.rs` already: it is escaped and masked. What means something
//! in a format is for that format to quote.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::Nanos;
use crate::report::document as doc;
use crate::report::mask::Masker;
use crate::report::{Options, build, time};
use crate::store::Analysis;

/// The document, and where things stand in it.
pub(super) struct View {
    pub(super) report: doc::Report,
    exchanges: HashMap<u64, usize>,
    /// Something was masked.
    pub(super) masked: bool,
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

/// Who takes part in a journey, and what they said to each other.
#[derive(Debug, Default)]
pub(super) struct Journey {
    /// What each is called: `client 10.0.0.1:40000`, `nginx 10.0.0.2:80`. The client is the first.
    pub(super) who: Vec<(String, String)>,
    pub(super) messages: Vec<Message>,
}

/// One message of a journey.
#[derive(Debug)]
pub(super) struct Message {
    /// Places in [`Journey::who`].
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) text: String,
    /// What the hop took out, changed, added: sign and words.
    pub(super) notes: Vec<(char, String)>,
    pub(super) kind: MessageKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Request,
    /// An answer that grants what was asked for.
    Granted,
    Answer,
    /// A connection that came to nothing, or no answer.
    Nothing,
}

/// Fields of a hop's changes that a journey names; the others are counted.
const NAMED: [&str; 6] = ["upgrade", "connection", "host", "sec-websocket-key", "origin", "server"];

impl View {
    pub(super) fn new(a: &Analysis, options: &Options) -> View {
        let mut masker = Masker::new(options.show_secrets).naming(&a.inputs);
        let report = build::build(a, &mut masker);
        let exchanges = report.exchanges.iter().enumerate().map(|(at, x)| (x.id, at)).collect();
        View { report, exchanges, masked: masker.masked() }
    }

    pub(super) fn exchange(&self, id: u64) -> Option<&doc::Exchange> {
        self.report.exchanges.get(*self.exchanges.get(&id)?)
    }

    /// The leg that the client saw.
    pub(super) fn first(&self, chain: &doc::Chain) -> Option<&doc::Exchange> {
        self.exchange(*chain.legs.first()?)
    }

    /// Of a chain and its legs, each once, the verdict's own first, then the worst.
    pub(super) fn findings(&self, chain: &doc::Chain) -> Vec<&doc::Finding> {
        let legs = chain.legs.iter().filter_map(|&leg| self.exchange(leg)).flat_map(|x| &x.findings);
        let ids: HashSet<u64> = chain.findings.iter().chain(legs).copied().collect();
        let mut all: Vec<&doc::Finding> = ids.iter().filter_map(|&id| self.finding(id)).collect();
        all.sort_by_key(|f| (f.rule != chain.verdict.rule, rank(&f.severity), f.id));
        all
    }

    pub(super) fn finding(&self, id: u64) -> Option<&doc::Finding> {
        self.report.findings.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    pub(super) fn status(&self, chain: &doc::Chain) -> Status {
        let v = &chain.verdict;
        let behind = || self.findings(chain).into_iter().find(|f| f.rule == v.rule);
        match (&*v.rule, &*chain.outcome) {
            ("unknown", _) | ("ok", "unknown") => Status::Unknown,
            ("ok", "upgraded") => Status::Worked,
            ("ok", _) => Status::Settled,
            _ if behind().is_some_and(|f| f.allowed) => Status::Allowed,
            _ if v.severity == "error" => Status::Error,
            _ => Status::Warning,
        }
    }

    /// Chains by what became of them, worst first.
    pub(super) fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for chain in self.report.chains.iter().filter(|c| !c.legs.is_empty()) {
            *counts.entry(self.status(chain)).or_default() += 1;
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
        let lone = self.report.chains.iter().filter(|c| c.legs.is_empty()).count();
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

    /// What an input is called: its file's name, or what it was given as where two have the same.
    pub(super) fn file(&self, input: u16) -> &str {
        let base = |path: &'_ str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let Some(facts) = self.report.inputs.get(usize::from(input)) else { return "" };
        let name = base(&facts.path);
        let alone = self.report.inputs.iter().filter(|i| base(&i.path) == name).count() == 1;
        match alone && !name.is_empty() {
            true => facts.path.rsplit('/').next().unwrap_or_default(),
            false => &facts.path,
        }
    }

    /// `#3`, or `connection 7` of one that never carried a request.
    pub(super) fn name(chain: &doc::Chain) -> String {
        if chain.id < 0 { format!("connection {}", chain.id.unsigned_abs()) } else { format!("#{}", chain.id) }
    }

    /// `GET chat.example.org/chat`, or what a connection without a request came to.
    pub(super) fn title(&self, chain: &doc::Chain) -> String {
        match self.first(chain) {
            Some(x) => format!("{} {}", x.request.method, place(x)),
            None => "no request".to_owned(),
        }
    }

    /// Who is to blame, in words. `None` where nobody is.
    pub(super) fn blamed(chain: &doc::Chain) -> Option<String> {
        let blame = chain.verdict.blame.as_ref()?;
        let role = match &*blame.role {
            "hop" => "the proxy",
            "client" => "the client",
            "server" => "the server",
            _ => return None,
        };
        let mut words = vec![role.to_owned()];
        words.extend(blame.product.clone());
        words.extend(blame.address.as_ref().map(|address| format!("at {address}")));
        if chain.verdict.confidence != "certain" {
            words.push(format!("({})", chain.verdict.confidence));
        }
        Some(words.join(" "))
    }

    /// The packets that prove the verdict and those of the heads, by input: a name and a display filter of Wireshark.
    pub(super) fn packets(&self, chain: &doc::Chain) -> Vec<(String, String)> {
        let mut all: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
        for x in chain.legs.iter().filter_map(|&leg| self.exchange(leg)) {
            all.entry(x.request.input).or_default().push(x.request.packet);
            if let Some(response) = &x.response {
                all.entry(response.input).or_default().push(response.packet);
            }
        }
        for f in self.findings(chain).into_iter().filter(|f| f.rule == chain.verdict.rule) {
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

    /// Who said what to whom, client side first.
    pub(super) fn journey(&self, chain: &doc::Chain) -> Journey {
        let Some(first) = self.first(chain) else { return Journey::default() };
        let mut journey = Journey::default();
        journey.who.push(("client".to_owned(), endpoint(&first.client)));
        let mut at: HashMap<u64, usize> = HashMap::new();
        let mut seen: HashSet<u64> = HashSet::new();
        let mut stack = vec![(first.id, 0, true)];
        while let Some((id, from, enter)) = stack.pop() {
            let Some(x) = self.exchange(id) else { continue };
            if !enter {
                let to = at.get(&id).copied().unwrap_or_default();
                journey.messages.push(self.answer(chain, x, to, from));
                continue;
            }
            if !seen.insert(id) {
                continue;
            }
            let named = (self.role(chain, x), endpoint(&x.server));
            let to = journey.who.iter().skip(1).position(|w| *w == named).map_or(journey.who.len(), |p| p + 1);
            if to == journey.who.len() {
                journey.who.push(named);
            }
            at.insert(id, to);
            let came = chain.hops.iter().find(|hop| hop.between.1 == id);
            journey.messages.push(Message {
                from,
                to,
                text: format!("{} {} {}", x.request.method, x.request.target, x.request.version),
                notes: came.map(|hop| notes(&hop.request)).unwrap_or_default(),
                kind: MessageKind::Request,
            });
            stack.push((id, from, false));
            let behind = chain.hops.iter().filter(|hop| hop.between.0 == id);
            let behind: Vec<u64> = behind.map(|hop| hop.between.1).collect();
            stack.extend(behind.into_iter().rev().map(|next| (next, to, true)));
        }
        for tried in &chain.tried {
            let Some(&from) = at.get(&tried.behind) else { continue };
            let to = journey.who.len();
            journey.who.push(("tried".to_owned(), format!("connection {}", tried.flow)));
            let text = "a connection without a request".to_owned();
            journey.messages.push(Message { from, to, text, notes: Vec::new(), kind: MessageKind::Nothing });
        }
        journey
    }

    fn answer(&self, chain: &doc::Chain, x: &doc::Exchange, from: usize, to: usize) -> Message {
        // What was passed on is the last try's answer.
        let passed = chain.hops.iter().rfind(|hop| hop.between.0 == x.id);
        let notes = passed.map(|hop| notes(&hop.response)).unwrap_or_default();
        let Some(response) = &x.response else {
            let by = x.end.as_ref().map(|end| (&*end.how, end.by.as_deref().unwrap_or("somebody")));
            let text = match by {
                Some(("fin", by)) => format!("no answer: FIN by the {by}"),
                Some(("rst", by)) => format!("no answer: RST by the {by}"),
                _ => "no answer".to_owned(),
            };
            return Message { from, to, text, notes, kind: MessageKind::Nothing };
        };
        let status = response.status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let text = format!("{status} {}", response.reason).trim_end().to_owned();
        let granted = response.status == Some(101) || x.outcome == "upgraded";
        let kind = if granted { MessageKind::Granted } else { MessageKind::Answer };
        Message { from, to, text, notes, kind }
    }

    fn role(&self, chain: &doc::Chain, x: &doc::Exchange) -> String {
        match chain.hops.iter().find(|hop| hop.between.0 == x.id) {
            Some(hop) => hop_name(hop),
            None if chain.tried.iter().any(|t| t.behind == x.id) => "proxy".to_owned(),
            None if chain.legs.len() > 1 => "backend".to_owned(),
            None => "server".to_owned(),
        }
    }
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

fn notes(changes: &doc::Changes) -> Vec<(char, String)> {
    let all = diff(changes);
    let is_named = |name: &str| NAMED.iter().any(|known| name.eq_ignore_ascii_case(known));
    let mut notes: Vec<(char, String)> = Vec::new();
    let mut others = 0;
    for (sign, name, before, behind) in all {
        match sign {
            _ if !is_named(name) => others += 1,
            '−' => notes.push((sign, format!("{name}: {before}"))),
            _ => notes.push((sign, format!("{name}: {behind}"))),
        }
    }
    match others {
        0 => {}
        1 => notes.push(('~', "1 other field differs".to_owned())),
        n => notes.push(('~', format!("{n} other fields differ"))),
    }
    notes
}

/// At most so many characters, and a sign that there were more.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
