//! What one card looks at: the hops of one intermediary, and the requests that reached it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::base::{Endpoint, ExchangeId, PacketRef};
use crate::model::{Chain, Exchange, Finding, Intermediary, Outcome, Role, Software, Subject};
use crate::products::Products;
use crate::report::build;
use crate::report::passed::Passed;
use crate::store::Analysis;

/// What a hop cannot but do where somebody else is at fault.
const BROUGHT_ABOUT: &[&str] = &[
    "h2-connect-refused",
    "h2-hop-by-hop-field",
    "h2-setting-advertised-unsupported",
    "h2-status-101",
    "hop-101-swallowed",
    "hop-answered-locally",
    "hop-ended-it",
    "hop-tunnel-dead",
];

/// One intermediary, and all that went through it.
pub(super) struct Scope<'a> {
    pub(super) a: &'a Analysis,
    pub(super) proxy: &'a Intermediary,
    pub(super) products: &'a Products,
    /// Its hops, each with the chain that it is part of.
    pub(super) hops: Vec<(&'a Chain, Passed<'a, 'a>)>,
    /// The request of each chain that reached it, also where it asked no backend.
    pub(super) fronts: Vec<(&'a Chain, &'a Exchange)>,
    /// Where in `hops` those of each chain stand, by its id: side by side.
    places: HashMap<i64, Range<usize>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(a: &'a Analysis, proxy: &'a Intermediary, products: &'a Products) -> Scope<'a> {
        let mut scope = Scope { a, proxy, products, hops: Vec::new(), fronts: Vec::new(), places: HashMap::new() };
        let mut places: HashSet<Endpoint> = HashSet::new();
        for chain in &a.chains {
            for (at, hop) in chain.hops.iter().enumerate() {
                let is_it = hop.address().is_some_and(|ip| proxy.addresses.contains(&ip))
                    && (&hop.name, hop.port) == (&proxy.name, proxy.port);
                let legs = (build::leg(a, hop.between.0), build::leg(a, hop.between.1));
                let (true, (Some(near), Some(far))) = (is_it, legs) else { continue };
                let later = chain.hops.get(at + 1..).unwrap_or_default();
                let tried_again = later.iter().any(|other| other.between.0 == hop.between.0);
                places.insert(near.server);
                scope.hops.push((chain, Passed { hop, near, far, tried_again }));
                let end = scope.hops.len();
                scope.places.entry(chain.id).or_insert(end - 1..end).end = end;
            }
        }
        if scope.hops.is_empty() {
            // It answered by itself.
            let blamed = a.chains.iter().filter(|chain| scope.is_blamed(chain));
            let legs = blamed.flat_map(|chain| &chain.legs).filter_map(|&leg| build::leg(a, leg));
            places.extend(legs.map(|x| x.server).filter(|server| proxy.is_at(*server)));
        }
        let mut seen: HashSet<ExchangeId> = HashSet::new();
        for chain in &a.chains {
            let legs = chain.legs.iter().filter_map(|&leg| build::leg(a, leg));
            for x in legs.filter(|x| places.contains(&x.server)) {
                if seen.insert(x.id) {
                    scope.fronts.push((chain, x));
                }
            }
        }
        scope
    }

    /// Its hops in this chain.
    pub(super) fn hops_of(&self, chain: &Chain) -> impl Iterator<Item = &Passed<'a, 'a>> {
        let place = self.places.get(&chain.id).cloned().unwrap_or_default();
        self.hops.get(place).unwrap_or_default().iter().map(|(_, p)| p)
    }

    /// What its fault is in the chains whose verdict blames it, unless it is allowed.
    pub(super) fn blamed_for(&self) -> Vec<(&'a Chain, &'a Finding)> {
        let mut all = Vec::new();
        // Also those of which only the side behind it was captured.
        for chain in self.a.chains.iter().filter(|chain| self.is_blamed(chain)) {
            let legs = chain.legs.iter().filter_map(|&leg| build::row(self.a, leg)).flat_map(|row| &row.findings);
            let found = chain.findings.iter().chain(legs).filter_map(|&index| self.a.findings.get(index));
            let mut behind = found.filter(|f| !f.allowed && f.rule == chain.verdict.rule);
            all.extend(behind.next().map(|f| (chain, f)));
        }
        all
    }

    /// Requests that it passed on with what they asked for, from one version of HTTP into another too.
    pub(super) fn passed_on(&self) -> u64 {
        let kept = |p: &Passed<'_, '_>| match p.near.is_stream() || p.far.is_stream() {
            true => p.near.protocol().is_some() && p.near.protocol() == p.far.protocol(),
            false => p.upgrade_kept() == Some(true),
        };
        let ids: HashSet<ExchangeId> = self.hops.iter().filter(|(_, p)| kept(p)).map(|(_, p)| p.near.id).collect();
        ids.len() as u64
    }

    /// Chains through it that came up.
    pub(super) fn upgraded(&self) -> u64 {
        self.fronts.iter().filter(|(chain, _)| chain.outcome == Outcome::Upgraded).count() as u64
    }

    pub(super) fn verdicts(&self) -> BTreeMap<&'a str, u64> {
        let mut all = BTreeMap::new();
        let reached: HashSet<i64> = self.fronts.iter().map(|(chain, _)| chain.id).collect();
        for chain in self.a.chains.iter().filter(|chain| reached.contains(&chain.id) || self.is_blamed(chain)) {
            *all.entry(&*chain.verdict.rule).or_default() += 1;
        }
        all
    }

    /// Findings of these rules that are about this hop and not allowed, each with its chain. A slug that ends in `*`
    /// names all that begin so.
    pub(super) fn findings(&self, rules: &[&str]) -> Vec<(&'a Chain, &'a Finding)> {
        let mut seen: HashSet<usize> = HashSet::new();
        let mut all = Vec::new();
        for (chain, front) in &self.fronts {
            let legs = chain.legs.iter().filter_map(|&leg| build::row(self.a, leg)).flat_map(|row| &row.findings);
            for &index in chain.findings.iter().chain(legs) {
                let Some(found) = self.a.findings.get(index).filter(|f| !f.allowed && is_one(&f.rule, rules)) else {
                    continue;
                };
                if self.is_mine(chain, front, found) && seen.insert(index) {
                    all.push((*chain, found));
                }
            }
        }
        all
    }

    /// Whether a finding is about this hop of the chain and not about another.
    fn is_mine(&self, chain: &Chain, front: &Exchange, found: &Finding) -> bool {
        if self.is_of_others(chain, found) {
            return false;
        }
        let mine: Vec<&Passed<'_, '_>> = self.hops_of(chain).filter(|p| p.near.id == front.id).collect();
        let legs: HashSet<ExchangeId> = mine.iter().flat_map(|p| [p.near.id, p.far.id]).chain([front.id]).collect();
        if let Subject::Exchange(id) = found.subject {
            return legs.contains(&id);
        }
        if found.rule == "hop-answered-locally" {
            // It is about who answered, which is the one that this answer came from.
            return front.response.as_ref().is_some_and(|head| found.evidence.iter().any(|e| e.at == head.at));
        }
        if chain.hops.iter().all(|hop| mine.iter().any(|p| p.hop == hop)) {
            return true;
        }
        // Of several hops, the heads that it points at tell which it is about.
        let heads = |x: &Exchange| [Some(x.request.at), x.response.as_ref().map(|r| r.at)].into_iter().flatten();
        let own: HashSet<PacketRef> = legs.iter().filter_map(|&id| build::leg(self.a, id)).flat_map(heads).collect();
        let all: HashSet<PacketRef> =
            chain.legs.iter().filter_map(|&id| build::leg(self.a, id)).flat_map(heads).collect();
        let mut told = found.evidence.iter().filter(|e| all.contains(&e.at)).peekable();
        match told.peek() {
            Some(_) => told.all(|e| own.contains(&e.at)),
            None => self.is_blamed(chain),
        }
    }

    /// Whether the chain's verdict lays what was found at somebody else's door, or says that somebody else brought it about.
    fn is_of_others(&self, chain: &Chain, found: &Finding) -> bool {
        let v = &chain.verdict;
        let role = v.blame.as_ref().map(|blame| blame.role);
        let failed = !matches!(&*v.rule, "ok" | "unknown") && !self.is_blamed(chain);
        let of_ends = found.rule == v.rule && matches!(role, Some(Role::Client | Role::Server));
        failed && (of_ends || BROUGHT_ABOUT.contains(&&*found.rule))
    }

    /// Whether a rule has found this of the hop in this chain, and the user does not allow it.
    pub(super) fn is_found(&self, chain: &Chain, hop: &Passed<'_, '_>, rules: &[&str]) -> bool {
        let found = chain.findings.iter().filter_map(|&index| self.a.findings.get(index));
        found.filter(|f| !f.allowed && is_one(&f.rule, rules)).any(|f| self.is_mine(chain, hop.near, f))
    }

    /// Whether the chain's verdict blames this intermediary.
    pub(super) fn is_blamed(&self, chain: &Chain) -> bool {
        let blame = chain.verdict.blame.as_ref().filter(|blame| blame.role == Role::Hop);
        let Some(address) = blame.and_then(|b| b.address.as_deref()) else { return false };
        let at = |place: &String| address == place || address.strip_prefix(place).is_some_and(|on| on.starts_with(':'));
        // Of several programs at one address, the one that the chain went through.
        let here = |ip: IpAddr| {
            let legs = || chain.legs.iter().filter_map(|&leg| build::leg(self.a, leg));
            let asked = legs().any(|x| x.server.ip == ip);
            let it = |x: &Exchange| if asked { self.proxy.is_at(x.server) } else { x.client.ip == ip };
            self.proxy.addresses.contains(&ip) && legs().any(it)
        };
        self.proxy.places().iter().any(at) || address.parse().is_ok_and(here)
    }
}

/// Proxies that are to blame and asked no backend, of which only one side can be seen.
pub(super) fn alone(a: &Analysis, products: &Products) -> Vec<Intermediary> {
    let mut all: Vec<Intermediary> = Vec::new();
    for chain in &a.chains {
        let Some(blame) = chain.verdict.blame.as_ref().filter(|blame| blame.role == Role::Hop) else { continue };
        let Some(address) = blame.address.as_deref() else { continue };
        let ip = address.parse::<IpAddr>().ok().or_else(|| address.parse::<SocketAddr>().ok().map(|end| end.ip()));
        let Some(ip) = ip else { continue };
        if a.intermediaries.iter().chain(&all).any(|proxy| proxy.addresses.contains(&ip)) {
            continue;
        }
        let product = blame.product.as_ref().map(|name| Software {
            slug: products.iter().find(|p| name.starts_with(&p.name)).map(|p| p.slug.clone()).unwrap_or_default(),
            name: name.clone(),
            version: None,
            confidence: chain.verdict.confidence,
            evidence: Vec::new(),
        });
        all.push(Intermediary { addresses: vec![ip], product, ..Intermediary::default() });
    }
    all.sort_by(|x, y| x.addresses.cmp(&y.addresses));
    all
}

fn is_one(rule: &str, rules: &[&str]) -> bool {
    rules.iter().any(|slug| slug.strip_suffix('*').map_or(rule == *slug, |begin| rule.starts_with(begin)))
}
