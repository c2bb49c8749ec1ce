//! `--redact`: what leaves the house loses its addresses and hosts. The analysis itself is rewritten, once, before any
//! format sees it: so no format can forget. Cookies and tokens are masked in any case, by `report/mask.rs`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::Endpoint;
use crate::model::{
    Chain, End, Exchange, Finding, FlowFacts, Head, Hop, InputFacts, Intermediary, Part, Pattern, Preview, Proxied,
    Rare, Software, StartLine, Text, Wrapper,
};
use crate::store::Analysis;

mod names;
pub mod packets;

use names::{Eager, Names};

/// The TLV of a PROXY header that has the name the client asked for (PROXY protocol §2.2.2).
const PP2_TYPE_AUTHORITY: u8 = 0x02;

/// Replaces addresses and hosts everywhere, each by the same pseudonym wherever it stands.
pub fn redact(a: &mut Analysis) {
    let mut names = Names::default();
    learn(&mut names, a);
    rewrite(&mut names, a);
}

fn rewrite(n: &mut Names, a: &mut Analysis) {
    a.inputs.iter_mut().for_each(|input| n.input(input));
    for row in &mut a.rows {
        n.exchange(&mut row.exchange);
    }
    a.flows.iter_mut().for_each(|flow| n.flow(flow));
    a.chains.iter_mut().for_each(|chain| n.chain(chain));
    a.findings.iter_mut().for_each(|finding| n.finding(finding));
    a.intermediaries.iter_mut().for_each(|proxy| n.proxy(proxy));
    a.patterns.iter_mut().for_each(|pattern| n.pattern(pattern));
}

/// Which names are hosts, from the places where only hosts stand.
fn learn(names: &mut Names, a: &Analysis) {
    for row in &a.rows {
        let x = &row.exchange;
        learn_wrappers(names, &x.via);
        let heads = [Some(&x.request), x.response.as_ref()].into_iter().flatten().chain(&x.interim);
        for head in heads {
            for (name, value) in head.iter() {
                if [&b"host"[..], b":authority", b"x-forwarded-host"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
                    value.split(|&b| b == b',').for_each(|one| names.learn(one));
                }
                names.learn_urls(value);
            }
            names.learn_urls(head.target());
        }
        if x.request.method() == b"CONNECT" {
            names.learn(x.request.target());
        }
    }
    let beside = a.chains.iter().flat_map(|chain| &chain.sealed).map(|beside| &*beside.flow);
    let said = a.flows.iter().chain(beside).filter_map(|flow| flow.said.as_ref());
    said.for_each(|said| {
        learn_wrappers(names, &said.via);
        said.socks.iter().filter_map(|socks| socks.target.as_ref()).for_each(|target| names.learn(target));
    });
}

fn learn_wrappers(names: &mut Names, via: &[Wrapper]) {
    for wrapper in via {
        match wrapper {
            Wrapper::Connect(authority) | Wrapper::Socks(_, authority) => names.learn(authority),
            Wrapper::Tls(tls) => tls.server_name.iter().for_each(|name| names.learn(name)),
            Wrapper::ProxyProtocol(_) | Wrapper::Link(_) => {}
        }
    }
}

impl Names {
    fn endpoint(&mut self, end: &mut Endpoint) {
        end.ip = self.address(end.ip);
    }

    fn bytes(&mut self, bytes: &mut Box<[u8]>) {
        *bytes = self.text(bytes, Eager::Shape).into();
    }

    fn own(&mut self, words: &str) -> String {
        String::from_utf8_lossy(&self.text(words.as_bytes(), Eager::Little)).into_owned()
    }

    fn string(&mut self, words: &mut String) {
        *words = self.own(words);
    }

    fn cow(&mut self, words: &mut Cow<'static, str>) {
        let new = self.own(words);
        if *words != new {
            *words = Cow::Owned(new);
        }
    }

    fn sentence(&mut self, text: &mut Text) {
        for part in text.0.to_mut() {
            match part {
                Part::Own(words) => self.cow(words),
                Part::Bytes(bytes) | Part::Url(bytes) => self.bytes(bytes),
                Part::Field { name, value } => *value = self.field(name, value).into(),
                Part::Packets(_) => {}
            }
        }
    }

    fn input(&mut self, input: &mut InputFacts) {
        let file = input.path.rsplit('/').next().unwrap_or_default();
        input.path = String::from_utf8_lossy(&self.text(file.as_bytes(), Eager::Known)).into_owned();
        input.names.clear();
    }

    fn exchange(&mut self, x: &mut Exchange) {
        self.endpoint(&mut x.client);
        self.endpoint(&mut x.server);
        self.wrappers(&mut x.via);
        if let Some(proxied) = &mut x.proxied {
            self.proxied(proxied);
        }
        for head in [&mut x.request].into_iter().chain(&mut x.interim).chain(&mut x.response) {
            self.head(head);
        }
        self.bytes(&mut x.body);
        let boxed = [&mut x.odd_response, &mut x.before_response, &mut x.early].into_iter().chain(&mut x.after_101);
        boxed.flatten().for_each(|preview| self.preview(preview));
        if let Some(talk) = &mut x.talk {
            [&mut talk.client, &mut talk.server].into_iter().filter_map(|s| s.rare.as_mut()).for_each(|r| self.rare(r));
            let rejected = talk.transport.as_mut().and_then(|transport| transport.rejected.as_mut());
            rejected.into_iter().for_each(|told| told.by = self.address(told.by));
        }
        self.end(&mut x.end);
        for (client, server) in x.twice.iter_mut().flat_map(|twice| twice.names.iter_mut()) {
            self.endpoint(client);
            self.endpoint(server);
        }
    }

    fn rare(&mut self, rare: &mut Rare) {
        rare.beats.iter_mut().for_each(|beat| self.bytes(&mut beat.content));
        if let Some(close) = &mut rare.close {
            self.bytes(&mut close.reason);
        }
    }

    fn preview(&mut self, preview: &mut Preview) {
        self.bytes(&mut preview.bytes);
    }

    fn end(&mut self, end: &mut End) {
        if let Some(close) = &mut end.close {
            self.bytes(&mut close.reason);
        }
    }

    fn wrappers(&mut self, via: &mut [Wrapper]) {
        for wrapper in via {
            match wrapper {
                Wrapper::Connect(authority) | Wrapper::Socks(_, authority) => {
                    *authority = self.authorities(authority).into();
                }
                Wrapper::Link(words) => *words = self.own(words).into(),
                Wrapper::Tls(tls) => {
                    if let Some(name) = &mut tls.server_name {
                        *name = self.authorities(name).into();
                    }
                }
                Wrapper::ProxyProtocol(_) => {}
            }
        }
    }

    fn proxied(&mut self, proxied: &mut Proxied) {
        proxied.source.iter_mut().chain(&mut proxied.destination).for_each(|end| self.endpoint(end));
        for (kind, value) in &mut proxied.tlvs {
            // Others are names, or bytes that name nothing.
            let host = *kind == PP2_TYPE_AUTHORITY;
            *value = if host { self.authorities(value) } else { self.text(value, Eager::Shape) }.into();
        }
    }

    /// A head with other values: its ranges point into a text of their own.
    fn head(&mut self, head: &mut Head) {
        let old = head.text.clone();
        let tail =
            head.fields.iter().map(|f| f.value.end).max().is_some_and(|end| usize::try_from(end) != Ok(old.len()));
        let mut text: Vec<u8> = Vec::with_capacity(old.len());
        let mut put = |bytes: &[u8]| {
            if !text.is_empty() {
                text.push(b'\n');
            }
            let from = u32::try_from(text.len()).unwrap_or(u32::MAX);
            text.extend(bytes);
            from..u32::try_from(text.len()).unwrap_or(u32::MAX)
        };
        let at = |range: &std::ops::Range<u32>| {
            let range = usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
            old.get(range).unwrap_or_default()
        };
        match &mut head.start {
            StartLine::Request { method, target, version } => {
                let asks_host = at(method) == b"CONNECT";
                *method = put(at(method));
                let place = at(target);
                *target = put(&if asks_host { self.authorities(place) } else { self.text(place, Eager::Known) });
                *version = put(at(version));
            }
            StartLine::Response { version, reason, .. } => {
                *version = put(at(version));
                *reason = put(&self.text(at(reason), Eager::Shape));
            }
        }
        let mut fields = head.fields.to_vec();
        for field in &mut fields {
            let name = at(&field.name);
            let value = self.field(name, at(&field.value));
            field.name = put(name);
            field.value = put(&value);
        }
        if tail {
            text.push(b'\n');
        }
        head.fields = fields.into();
        head.text = text.into();
    }

    fn flow(&mut self, flow: &mut FlowFacts) {
        self.endpoint(&mut flow.client);
        self.endpoint(&mut flow.server);
        flow.rejected.iter_mut().for_each(|told| told.by = self.address(told.by));
        let Some(said) = &mut flow.said else { return };
        self.wrappers(&mut said.via);
        if let Some(proxied) = &mut said.proxied {
            self.proxied(proxied);
        }
        if let Some(target) = said.socks.as_mut().and_then(|socks| socks.target.as_mut()) {
            self.bytes(target);
        }
        said.first.iter_mut().flatten().for_each(|preview| self.preview(preview));
        self.end(&mut said.end);
    }

    fn chain(&mut self, chain: &mut Chain) {
        chain.hops.iter_mut().for_each(|hop| self.hop(hop));
        chain.sealed.iter_mut().for_each(|beside| self.flow(&mut beside.flow));
        let verdict = Arc::make_mut(&mut chain.verdict);
        self.sentence(&mut verdict.summary);
        if let Some(blame) = &mut verdict.blame {
            blame.address.iter_mut().chain(&mut blame.product).for_each(|words| self.string(words));
        }
        verdict.fix.iter_mut().for_each(|fix| self.cow(&mut fix.text));
    }

    fn hop(&mut self, hop: &mut Hop) {
        hop.addresses.iter_mut().for_each(|ip| *ip = self.address(*ip));
        if let Some(name) = &mut hop.name {
            self.string(name);
        }
        if let Some(product) = &mut hop.product {
            self.software(product);
        }
    }

    fn software(&mut self, software: &mut Software) {
        software.evidence.iter_mut().for_each(|sign| self.sentence(sign));
    }

    fn finding(&mut self, finding: &mut Finding) {
        [&mut finding.message, &mut finding.expected, &mut finding.found].into_iter().for_each(|t| self.sentence(t));
        finding.causes.iter_mut().for_each(|cause| self.cow(cause));
    }

    fn proxy(&mut self, proxy: &mut Intermediary) {
        proxy.addresses.iter_mut().for_each(|ip| *ip = self.address(*ip));
        proxy.addresses.sort_unstable();
        if let Some(name) = &mut proxy.name {
            self.string(name);
        }
        if let Some(product) = &mut proxy.product {
            self.software(product);
        }
    }

    fn pattern(&mut self, pattern: &mut Pattern) {
        self.sentence(&mut pattern.value);
    }
}
