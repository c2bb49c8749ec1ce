//! Which software stands at which address: learned over all exchanges that went through it, from what it
//! wrote itself and not from what it passed on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::base::{Endpoint, ExchangeId, limits};
use crate::hops::Hosts;
use crate::model::{Chain, Confidence, Exchange, Intermediary, Outcome, Role, Software, Text};
use crate::products::{Products, Recognised};

/// The software of each host, by the address that stands for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(HashMap<IpAddr, Host, foldhash::fast::RandomState>);

#[derive(Clone, Debug, Default)]
struct Host {
    /// By port; at most `limits::HOP_PORTS`, the first ones.
    ports: Vec<(u16, Votes)>,
    /// One journey went through it twice: programs at its ports are not one.
    crowded: bool,
}

/// What speaks for one product or another at one host.
#[derive(Clone, Debug, Default)]
struct Votes {
    /// By the product's file and version, in the order of their first sign.
    all: Vec<Vote>,
    /// Pairs of legs looked at, and answers of its own.
    pairs: usize,
    own: usize,
}

#[derive(Clone, Debug)]
struct Vote {
    software: Software,
    times: usize,
    /// How often it is seen makes it no surer.
    has_doubles: bool,
}

/// Where a hop between two legs listens: of a transparent proxy, which takes the address of both legs' server for its
/// own, the one that it is known by behind.
pub(super) fn end_of_hop(near: &Exchange, far: &Exchange) -> Endpoint {
    if near.server == far.server { Endpoint { ip: far.client.ip, ..near.server } } else { near.server }
}

impl Known {
    /// Looks at a hop between two legs.
    pub(super) fn learn(&mut self, products: &Products, hosts: &Hosts, near: &Exchange, far: &Exchange) {
        let hop = end_of_hop(near, far);
        let host = self.0.entry(hosts.root(hop.ip)).or_default();
        host.crowded |= hosts.same(hop.ip, far.server.ip) && near.server != far.server;
        let Some(votes) = host.at_port(hop.port) else { return };
        votes.pairs += 1;
        if votes.pairs > limits::PAIRS_RECOGNISED {
            return;
        }
        // Marks that were in the request before are another's.
        let before = products.request_hop(&near.request);
        if let Some(now) = products.request_hop(&far.request)
            && before.is_none_or(|before| before.product.slug != now.product.slug)
        {
            votes.add(software(&now), now.product.has_doubles);
        }
        let Some(response) = &near.response else { return };
        let Some(now) = products.responder_of(response, &near.body) else { return };
        let relayed = far.response.as_ref().is_some_and(|response| {
            let behind = products.responder_of(response, &far.body);
            behind.is_some_and(|behind| behind.product.slug == now.product.slug)
        });
        if !relayed {
            votes.add(software(&now), now.product.has_doubles);
        }
    }

    /// A journey through this hop came, further on, to that server.
    pub(super) fn learn_beyond(&mut self, hosts: &Hosts, hop: Endpoint, server: Endpoint) {
        if hop != server
            && hosts.same(hop.ip, server.ip)
            && let Some(host) = self.0.get_mut(&hosts.root(hop.ip))
        {
            host.crowded = true;
        }
    }

    /// Looks at what a host that is a hop answered by itself: a page of its own names it.
    pub(super) fn learn_own(&mut self, products: &Products, hosts: &Hosts, x: &Exchange) {
        let ports = self.0.get_mut(&hosts.root(x.server.ip)).map(|host| &mut host.ports);
        // A port behind which nothing was seen is not made one by this.
        let known = ports.and_then(|ports| ports.iter_mut().find(|(port, _)| *port == x.server.port));
        let Some((_, votes)) = known.filter(|(_, votes)| votes.own < limits::PAIRS_RECOGNISED) else { return };
        votes.own += 1;
        let own = products.responder(x).filter(|own| own.confidence >= Confidence::Likely);
        if let Some(own) = own.filter(|_| products.writes_itself(x)) {
            votes.add(software(&own), own.product.has_doubles);
        }
    }

    /// Whether another leg was seen behind what answers here.
    pub(super) fn has(&self, hosts: &Hosts, server: Endpoint) -> bool {
        let host = self.0.get(&hosts.root(server.ip)).or_else(|| self.0.get(&server.ip));
        host.is_some_and(|host| !host.crowded || host.ports.iter().any(|(port, _)| *port == server.port))
    }

    /// Whether this address is that of a host behind which another leg was seen.
    pub(super) fn knows(&self, hosts: &Hosts, ip: IpAddr) -> bool {
        self.0.contains_key(&hosts.root(ip))
    }

    /// Whether several programs of this host stand on the path, so that it takes a port to tell them apart.
    pub(super) fn is_crowded(&self, hosts: &Hosts, ip: IpAddr) -> bool {
        self.0.get(&hosts.root(ip)).is_some_and(|host| host.crowded)
    }

    /// Whether no hop was seen at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The software that answers here. `None` where nothing tells.
    pub(super) fn at(&self, hosts: &Hosts, server: Endpoint) -> Option<Software> {
        let host = self.0.get(&hosts.root(server.ip))?;
        match host.ports.as_slice() {
            [(_, votes)] if !host.crowded => votes.winner(),
            ports if host.crowded => ports.iter().find(|(port, _)| *port == server.port)?.1.winner(),
            ports => {
                let all = ports.iter().fold(Votes::default(), |all, (_, votes)| all.with(votes)).winner()?;
                // Another program may listen at this port: one that bears none of the signs that the others have.
                let here = ports.iter().find(|(port, _)| *port == server.port).map(|(_, votes)| votes);
                let other = here.filter(|votes| votes.all.iter().all(|vote| vote.software.slug != all.slug));
                Some(other.and_then(Votes::winner).unwrap_or(all))
            }
        }
    }
}

impl Host {
    /// `None`: too many ports are known.
    fn at_port(&mut self, port: u16) -> Option<&mut Votes> {
        let at = self.ports.iter().position(|(known, _)| *known == port).unwrap_or(self.ports.len());
        if at == self.ports.len() && at < limits::HOP_PORTS {
            self.ports.push((port, Votes::default()));
        }
        self.ports.get_mut(at).map(|(_, votes)| votes)
    }
}

impl Votes {
    fn add(&mut self, new: Software, has_doubles: bool) {
        match self.all.iter_mut().find(|vote| vote.software.slug == new.slug) {
            Some(vote) => {
                vote.times += 1;
                let known = &mut vote.software;
                known.version = known.version.take().or(new.version);
                known.confidence = known.confidence.max(new.confidence);
                for sign in new.evidence {
                    if known.evidence.len() < limits::SIGNS_SHOWN && !known.evidence.contains(&sign) {
                        known.evidence.push(sign);
                    }
                }
            }
            None => self.all.push(Vote { software: new, times: 1, has_doubles }),
        }
    }

    /// These and those of another port.
    fn with(mut self, other: &Votes) -> Votes {
        for vote in &other.all {
            self.add(vote.software.clone(), vote.has_doubles);
            if let Some(known) = self.all.iter_mut().find(|known| known.software.slug == vote.software.slug) {
                known.times += vote.times - 1;
            }
        }
        self
    }

    fn winner(&self) -> Option<Software> {
        let best = self.all.iter().max_by_key(|vote| (vote.software.confidence, !vote.has_doubles, vote.times))?;
        let mut software = best.software.clone();
        // Signs on both of its sides, or again and again, make each other surer.
        let surer = best.times > 1 && !best.has_doubles && self.all.len() == 1;
        if surer && software.confidence == Confidence::Likely {
            software.confidence = Confidence::Certain;
        }
        Some(software)
    }
}

/// What was recognised, as the model has it.
pub(super) fn software(found: &Recognised<'_>) -> Software {
    Software {
        slug: found.product.slug.clone(),
        name: found.product.name.clone(),
        version: found.version.clone(),
        confidence: found.confidence,
        evidence: found.evidence.iter().take(limits::SIGNS_SHOWN).cloned().collect::<Vec<Text>>(),
    }
}

/// How long a tunnel through this proxy lasted, and whether a limit of its cut it.
fn measure(proxy: &mut Intermediary, chain: &Chain, near: &Exchange, far: Option<&Exchange>) {
    let blame = chain.verdict.blame.as_ref();
    let address = blame.filter(|b| b.role == Role::Hop).and_then(|b| b.address.as_deref());
    let by_it = address.is_some_and(|address| proxy.places().iter().any(|place| place == address));
    let rule = chain.verdict.told_by();
    let bore = near.talk.as_ref().and_then(|talk| talk.silence).map(|silence| silence.length);
    // Where both legs were cut, what the shorter one was: the hop was late with the other.
    let idle = [Some(near), far].into_iter().flatten().filter_map(|x| x.end.idle_before).min();
    let is_idle = by_it && rule.starts_with("idle-timeout");
    proxy.idle.add(bore, idle.filter(|_| is_idle));
    let is_old = by_it && rule == "lifetime-limit-match";
    let life = near.end.lifetime;
    proxy.lifetime.add(life.filter(|_| !is_old), life.filter(|_| is_old));
}

/// The proxies that chains went through, added up chain by chain; at most `limits::PROXIES`.
#[derive(Clone, Debug, Default)]
pub struct Proxies(BTreeMap<Key, Intermediary>);

/// The address that stands for its host, the port of one among several programs there, and what the user calls it.
type Key = (IpAddr, Option<u16>, Option<String>);

impl Proxies {
    /// One more chain. `kept`: whether the hop at a place passed Upgrade on; `leg`: the exchanges of its legs.
    pub fn add<'a>(
        &mut self,
        chain: &Chain,
        hosts: &Hosts,
        kept: &dyn Fn(usize) -> bool,
        leg: &dyn Fn(ExchangeId) -> Option<&'a Exchange>,
    ) {
        let mut met: Vec<(Key, bool)> = Vec::new();
        for (at, hop) in chain.hops.iter().enumerate() {
            let Some(address) = hop.address() else { continue };
            // The user may have named one port of a host only.
            let root = (hosts.root(address), hop.port, hop.name.clone());
            if self.0.len() >= limits::PROXIES && !self.0.contains_key(&root) {
                continue;
            }
            let entry = self.0.entry(root.clone()).or_default();
            for ip in &hop.addresses {
                if let Err(place) = entry.addresses.binary_search(ip) {
                    entry.addresses.insert(place, *ip);
                }
            }
            entry.port = hop.port;
            if entry.name.is_none() {
                entry.name.clone_from(&hop.name);
            }
            if entry.product.is_none() {
                entry.product.clone_from(&hop.product);
            }
            // Of several tries, one that passed it on.
            let kept = kept(at);
            if let Some((_, known)) = met.iter_mut().find(|(known, _)| *known == root) {
                entry.kept_upgrade += u64::from(kept && !*known);
                *known |= kept;
                continue;
            }
            met.push((root, kept));
            entry.chains += 1;
            entry.upgraded += u64::from(chain.outcome == Outcome::Upgraded);
            entry.kept_upgrade += u64::from(kept);
            if let Some(near) = leg(hop.between.0).filter(|x| chain.outcome == Outcome::Upgraded && x.is_websocket()) {
                measure(entry, chain, near, leg(hop.between.1));
            }
            if chain.verdict.rule != "ok" {
                *entry.verdicts.entry(chain.verdict.rule.to_string()).or_default() += 1;
            }
        }
    }

    /// By address.
    pub fn list(self) -> Vec<Intermediary> {
        let mut list: Vec<Intermediary> = self.0.into_values().collect();
        list.sort_by(|a, b| a.addresses.cmp(&b.addresses).then(a.port.cmp(&b.port)));
        list
    }
}
