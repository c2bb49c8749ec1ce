//! From an analysis to the documents of the JSON report. Each document can be built alone, so that a
//! large report is written piece by piece.

use std::borrow::Cow;

use crate::base::{self, Endpoint};
use crate::model::{self, Head, Wrapper, WsCounts, WsTotals};
use crate::report::document as doc;
use crate::report::mask::{self, Masker};
use crate::report::passed;
use crate::report::time::rfc3339;
use crate::rules;
use crate::store::{self, Analysis, Row};

/// The whole report in memory. `json` writes the same piece by piece.
pub fn build(a: &Analysis, masker: &mut Masker) -> doc::Report {
    let owners = Owners::new(a);
    doc::Report {
        schema: Cow::Borrowed(doc::SCHEMA),
        tool: tool(),
        inputs: inputs(&a.inputs),
        counters: counters(&a.counters),
        exchanges: a.rows.iter().map(|row| exchange(row, true, masker)).collect(),
        chains: a.chains.iter().map(|c| chain(c, &|id| leg(a, id), masker)).collect(),
        findings: (0..a.findings.len()).filter_map(|i| finding_of(a, &owners, i, masker)).collect(),
        intermediaries: a.intermediaries.iter().map(|i| passed::intermediary(i, masker)).collect(),
        patterns: a.patterns.iter().map(|p| pattern(p, masker)).collect(),
    }
}

/// `tool` of every report.
pub fn tool() -> doc::Tool {
    doc::Tool { name: Cow::Borrowed("hopscope"), version: Cow::Borrowed(env!("CARGO_PKG_VERSION")) }
}

pub fn inputs(all: &[model::InputFacts]) -> Vec<doc::Input> {
    all.iter()
        .enumerate()
        .map(|(id, i)| doc::Input {
            id,
            path: base::escape::escape(i.path.as_bytes()),
            format: Cow::Borrowed(i.format),
            compression: i.compression.map(Cow::Borrowed),
            link_types: i.link_types.clone(),
            packets: i.packets,
            captured_bytes: i.captured_bytes,
            first: i.first.map(rfc3339),
            last: i.last.map(rfc3339),
            clock_offset_ns: i.clock_offset.0,
            damage: i.damage.first().map(|d| doc::Damage {
                packet: d.packet,
                byte: d.byte,
                why: mask::own(&d.why),
                lost_bytes: d.lost_bytes,
            }),
        })
        .collect()
}

pub fn counters(c: &base::Counters) -> doc::Counters {
    doc::Counters {
        packets: c.packets,
        undecodable: c.undecodable,
        flows: c.flows,
        http_requests: c.http_requests,
        http_responses: c.http_responses,
        gaps: c.gaps,
        gap_bytes: c.gap_bytes,
        duplicate_packets: c.duplicate_packets,
        evicted: c.evicted,
        dropped_kernel: c.dropped_kernel,
        dropped_interface: c.dropped_interface,
        dropped_hopscope: c.dropped_hopscope,
        flows_websocket_midstream: c.flows_websocket_midstream,
        socks_refused: c.socks_refused,
        nested_too_deep: c.nested_too_deep,
        flows_tls: c.flows_tls,
        flows_tls_read: c.flows_tls_read,
        flows_tls_missed: c.flows_tls_missed,
        flows_tls_unknown: c.flows_tls_unknown,
        tls_records_failed: c.tls_records_failed,
        tls_given_up: c.tls_given_up,
        packets_not_kept: c.packets_not_kept,
        joined_early: c.joined_early,
        talks_not_kept: c.talks_not_kept,
        not_inflated: c.not_inflated,
        ends_not_kept: c.ends_not_kept,
        tls_secrets_dropped: c.tls_secrets_dropped,
        quic_connections: c.quic_connections,
        quic_not_looked_at: c.quic_not_looked_at,
        flows_seen_twice: c.flows_seen_twice,
    }
}

/// `ended`: false while the exchange may still go on; its end is null then.
pub fn exchange(row: &Row, ended: bool, masker: &mut Masker) -> doc::Exchange {
    let x = &row.exchange;
    // A leg that lost its upgrade asks for nothing.
    let lost = x.mechanism == model::Mechanism::Http1Upgrade && !x.request.has("upgrade") && !x.is_stream();
    doc::Exchange {
        id: x.id.0,
        flow: x.flow.0,
        stream: x.stream.as_ref().map(|stream| stream.id),
        client: endpoint(x.client),
        server: endpoint(x.server),
        via: x.via.iter().map(|w| via(w, masker)).collect(),
        tls: x.via.iter().filter_map(|w| tls(w, masker)).collect(),
        proxied: x.proxied.as_ref().map(|p| proxied(p, masker)),
        mechanism: Cow::Borrowed(if lost { "none" } else { x.mechanism.word() }),
        protocol: x.protocol().filter(|_| !lost).map(|p| masker.bytes(p.as_bytes())),
        request: doc::Request {
            input: x.request.at.input(),
            packet: x.request.at.number(),
            at: rfc3339(x.request.first),
            method: masker.bytes(x.request.method()),
            target: masker.url(x.request.target()),
            version: masker.bytes(x.request.version()),
            fields: fields(&x.request, masker),
        },
        interim: x.interim.iter().filter_map(Head::status).collect(),
        response: x.response.as_ref().map(|r| doc::Response {
            input: r.at.input(),
            packet: r.at.number(),
            at: rfc3339(r.first),
            status: r.status(),
            reason: masker.bytes(r.reason()),
            version: masker.bytes(r.version()),
            fields: fields(r, masker),
        }),
        handshake: handshake(row, masker),
        outcome: Cow::Borrowed(row.outcome.word()),
        latency_ns: x.latency().map(|l| l.0),
        websocket: x.ws.filter(is_seen).map(|ws| doc::WebSocket {
            client: frames(&ws.client),
            server: frames(&ws.server),
            compressed: ws.compressed,
        }),
        end: ended.then(|| end(&x.end, masker)),
        findings: ids(&row.findings),
    }
}

/// `leg`: the exchanges of its legs, for what its hops did to them.
pub fn chain<'a>(c: &model::Chain, leg: passed::Legs<'_, 'a>, masker: &mut Masker) -> doc::Chain {
    let v = &c.verdict;
    doc::Chain {
        id: c.id,
        legs: c.legs.iter().map(|l| l.0).collect(),
        flow: c.flow.map(|f| f.0),
        hops: passed::all(c, leg).map(|p| p.document(masker)).collect(),
        tried: c.tried.iter().map(passed::tried).collect(),
        encrypted: c.sealed.iter().map(|beside| encrypted(beside, masker)).collect(),
        outcome: Cow::Borrowed(c.outcome.word()),
        verdict: doc::Verdict {
            rule: Cow::Owned(mask::own(&v.rule)),
            because: v.because.as_ref().map(|slug| Cow::Owned(mask::own(slug))),
            severity: Cow::Borrowed(v.severity.word()),
            confidence: Cow::Borrowed(v.confidence.word()),
            blame: v.blame.as_ref().map(|b| doc::Blame {
                role: Cow::Borrowed(b.role.word()),
                address: b.address.as_deref().map(mask::own),
                product: b.product.as_deref().map(mask::own),
            }),
            summary: masker.text(&v.summary),
            fix: fixes(&v.fix),
        },
        findings: ids(&c.findings),
    }
}

/// Which chain each finding belongs to.
pub struct Owners(Vec<Option<usize>>);

impl Owners {
    pub fn new(a: &Analysis) -> Self {
        let mut owners = vec![None; a.findings.len()];
        for (index, chain) in a.chains.iter().enumerate() {
            let legs = chain.legs.iter().filter_map(|&leg| row(a, leg));
            for &found in chain.findings.iter().chain(legs.flat_map(|row| &row.findings)) {
                if let Some(owner) = owners.get_mut(found) {
                    *owner = Some(index);
                }
            }
        }
        Owners(owners)
    }

    /// `None` for a finding about an input, or beyond the end.
    pub fn chain<'a>(&self, a: &'a Analysis, finding: usize) -> Option<&'a model::Chain> {
        a.chains.get(self.0.get(finding).copied().flatten()?)
    }
}

/// The exchange with this id, as [`chain`] asks for it.
pub fn leg(a: &Analysis, id: base::ExchangeId) -> Option<&model::Exchange> {
    row(a, id).map(|row| &*row.exchange)
}

/// The exchange with this id.
pub fn row(a: &Analysis, id: base::ExchangeId) -> Option<&Row> {
    store::row(&a.rows, id)
}

/// The connection of a chain without a leg.
pub fn flow<'a>(a: &'a Analysis, chain: &model::Chain) -> Option<&'a model::FlowFacts> {
    flow_by_id(a, chain.flow?)
}

/// The connection without a request that has this id.
pub fn flow_by_id(a: &Analysis, id: base::FlowId) -> Option<&model::FlowFacts> {
    // In order of id they are found fast; nothing promises that order.
    let found = a.flows.binary_search_by_key(&id, |f| f.id).ok().and_then(|i| a.flows.get(i));
    found.or_else(|| a.flows.iter().find(|f| f.id == id))
}

/// Whether a chain is a connection that carried no request. A WebSocket that was open before the capture began is none.
pub fn never_asked(a: &Analysis, chain: &model::Chain) -> bool {
    let open = || flow(a, chain).and_then(|flow| flow.said.as_ref()).is_some_and(|said| said.ws.is_some());
    chain.legs.is_empty() && !open()
}

/// The finding at `index` of the analysis, with the fixes of the chain whose verdict it is. `None`
/// beyond the end.
pub fn finding_of(a: &Analysis, owners: &Owners, index: usize, masker: &mut Masker) -> Option<doc::Finding> {
    let found = a.findings.get(index)?;
    let chain = owners.chain(a, index).filter(|c| c.verdict.told_by() == found.rule);
    Some(finding(index, found, chain.map(|c| c.verdict.fix.as_slice()).unwrap_or_default(), masker))
}

/// `index`: of the finding in its analysis; its id is one more. `fix`: what mends it, where known.
pub fn finding(index: usize, f: &model::Finding, fix: &[model::Fix], masker: &mut Masker) -> doc::Finding {
    let rule = rules::find(&f.rule);
    let causes: Vec<String> = if f.causes.is_empty() {
        rule.map(|r| r.causes).unwrap_or_default().iter().map(|c| mask::own(c)).collect()
    } else {
        f.causes.iter().map(|c| mask::own(c)).collect()
    };
    let (kind, subject) = match f.subject {
        model::Subject::Chain(id) => ("chain", id),
        model::Subject::Exchange(id) => ("exchange", i64::try_from(id.0).unwrap_or(i64::MAX)),
        model::Subject::Flow(id) => ("flow", i64::from(id.0)),
        model::Subject::Input(id) => ("input", i64::from(id)),
        model::Subject::Capture => ("capture", 0),
    };
    doc::Finding {
        id: id(index),
        rule: mask::own(&f.rule),
        severity: Cow::Borrowed(f.severity.word()),
        confidence: Cow::Borrowed(f.confidence.word()),
        allowed: f.allowed,
        subject: doc::Subject { kind: Cow::Borrowed(kind), id: subject },
        message: masker.text(&f.message),
        expected: masker.text(&f.expected),
        found: masker.text(&f.found),
        references: rule.map(|r| r.refs).unwrap_or_default().iter().map(|&r| r.to_owned()).collect(),
        evidence: f.evidence.iter().map(evidence).collect(),
        causes,
        fixes: fixes(fix),
    }
}

pub fn pattern(p: &model::Pattern, masker: &mut Masker) -> doc::Pattern {
    // JSON has no word for what is no number.
    let share = |s: f64| if s.is_finite() { s.clamp(0.0, 1.0) } else { 0.0 };
    doc::Pattern {
        chains: p.chains,
        field: Cow::Borrowed(p.field),
        value: masker.text(&p.value),
        failed_share: share(p.failed_share),
        others_failed_share: share(p.others_failed_share),
        since: rfc3339(p.since),
    }
}

fn handshake(row: &Row, masker: &mut Masker) -> doc::Handshake {
    let (x, h) = (&row.exchange, &row.handshake);
    // Key and accept are no secrets, whatever they look like.
    let plain = |bytes: &[u8]| base::escape::escape(bytes);
    let offered = x.request.combined("sec-websocket-protocol").unwrap_or_default();
    let field = |head: Option<&Head>, name: &str, masker: &mut Masker| {
        head.and_then(|head| head.combined(name)).map(|value| masker.field(name.as_bytes(), &value))
    };
    doc::Handshake {
        key: x.key().map(plain),
        accept: h.accept(x).map(plain),
        expected_accept: rules::accept::expected(x),
        accept_verdict: Cow::Borrowed(h.accept_verdict.word()),
        accept_kind: h.accept_kind().map(Cow::Borrowed),
        version: field(Some(&x.request), "sec-websocket-version", masker),
        subprotocols_offered: masker.protocols(&offered),
        subprotocol: field(x.response.as_ref(), "sec-websocket-protocol", masker),
        extensions_offered: field(Some(&x.request), "sec-websocket-extensions", masker),
        extensions: field(x.response.as_ref(), "sec-websocket-extensions", masker),
    }
}

fn end(e: &model::End, masker: &mut Masker) -> doc::End {
    doc::End {
        by: e.by.map(|d| Cow::Borrowed(d.sender())),
        how: Cow::Borrowed(e.how.word()),
        close_code: e.close.as_ref().and_then(|c| c.code),
        close_reason: e.close.as_ref().map(|c| masker.bytes(&c.reason)),
        at: e.at.map(rfc3339),
        idle_before_ns: e.idle_before.map(|n| n.0),
        lifetime_ns: e.lifetime.map(|n| n.0),
        tcp: doc::TcpEnd {
            by: e.tcp_by.map(|d| Cow::Borrowed(d.sender())),
            how: Cow::Borrowed(e.tcp_how.word()),
            at: e.tcp_at.map(rfc3339),
        },
    }
}

/// Whether there was a frame, or what should have been one.
fn is_seen(ws: &WsTotals) -> bool {
    [ws.client, ws.server].iter().any(|c| c.frames != 0 || c.broken)
}

fn frames(c: &WsCounts) -> doc::Frames {
    doc::Frames {
        frames: c.frames.into(),
        messages: c.messages.into(),
        payload_bytes: c.payload_bytes,
        text: c.text.into(),
        binary: c.binary.into(),
        ping: c.ping.into(),
        pong: c.pong.into(),
        close: c.close.into(),
    }
}

/// One wrapper around an exchange's stream, as `via` tells it.
pub fn via(wrapper: &Wrapper, masker: &mut Masker) -> String {
    match wrapper {
        Wrapper::Connect(authority) => format!("connect {}", masker.url(authority)),
        Wrapper::Link(words) => mask::own(words),
        Wrapper::ProxyProtocol(version) => format!("proxy-protocol v{version}"),
        Wrapper::Socks(version, target) => format!("socks{version} {}", masker.url(target)),
        Wrapper::Tls(tls) => tls.version.map_or_else(|| "tls".to_owned(), |version| format!("tls {version}")),
    }
}

/// The same for people, with what is known of it.
pub fn via_at_length(wrapper: &Wrapper, masker: &mut Masker) -> String {
    let short = via(wrapper, masker);
    let Wrapper::Tls(tls) = wrapper else { return short };
    let name = tls.server_name.as_ref().map(|name| format!("for {}", masker.bytes(name)));
    let alpn = tls.alpn.as_ref().map(|name| masker.bytes(name));
    let known: Vec<String> = [name, alpn, tls.cipher.map(str::to_owned)].into_iter().flatten().collect();
    if known.is_empty() { short } else { format!("{short} ({})", known.join(", ")) }
}

fn tls(wrapper: &Wrapper, masker: &mut Masker) -> Option<doc::Tls> {
    let Wrapper::Tls(tls) = wrapper else { return None };
    Some(doc::Tls {
        version: tls.version.map(str::to_owned),
        server_name: tls.server_name.as_ref().map(|name| masker.bytes(name)),
        alpn: tls.alpn.as_ref().map(|name| masker.bytes(name)),
        cipher: tls.cipher.map(str::to_owned),
        resumed: tls.resumed,
    })
}

fn encrypted(beside: &model::Beside, masker: &mut Masker) -> doc::Encrypted {
    let flow = &beside.flow;
    let said = flow.said.as_deref();
    let sealed = said.and_then(|said| said.sealed.as_deref());
    let offered = sealed.map(|sealed| &sealed.alpn_offered).into_iter().flatten();
    let side = |from| sealed.map(|sealed| encrypted_side(sealed.of(from))).unwrap_or_default();
    doc::Encrypted {
        flow: flow.id.0,
        stands: Cow::Borrowed(beside.stands.word()),
        joined_by: beside.joined_by.iter().map(|key| Cow::Borrowed(key.word())).collect(),
        client: endpoint(flow.client),
        server: endpoint(flow.server),
        tls: said.and_then(|said| said.via.iter().rev().find_map(|w| tls(w, masker))),
        alpn_offered: offered.map(|name| masker.bytes(name)).collect(),
        from_client: side(model::Direction::ClientToServer),
        from_server: side(model::Direction::ServerToClient),
        end: end(&said.map(|said| said.end.clone()).unwrap_or_default(), masker),
    }
}

fn encrypted_side(side: &model::SealedSide) -> doc::EncryptedSide {
    doc::EncryptedSide {
        sent_bytes: side.bytes,
        records: side
            .records
            .iter()
            .map(|r| doc::EncryptedRecord { content_type: r.kind, body_bytes: r.bytes, at: rfc3339(r.ts) })
            .collect(),
        last: side.last.map(|last| doc::EncryptedLast {
            payload_bytes: last.bytes,
            at: rfc3339(last.ts),
            packet: last.at.number(),
            close_notify: last.close_notify,
        }),
    }
}

fn proxied(p: &model::Proxied, masker: &mut Masker) -> doc::Proxied {
    doc::Proxied {
        version: p.version,
        client: p.source.map(endpoint),
        server: p.destination.map(endpoint),
        tlvs: p.tlvs.iter().map(|(kind, value)| (*kind, masker.bytes(value))).collect(),
        fault: p.fault.map(Cow::Borrowed),
    }
}

fn fields(head: &Head, masker: &mut Masker) -> Vec<(String, String)> {
    head.iter().map(|(name, value)| (masker.bytes(name), masker.field(name, value))).collect()
}

fn fixes(all: &[model::Fix]) -> Vec<doc::Fix> {
    all.iter()
        .map(|f| doc::Fix {
            product: mask::own(&f.product),
            versions: mask::own(&f.versions),
            text: mask::own(&f.text),
        })
        .collect()
}

fn evidence(e: &model::Evidence) -> doc::Evidence {
    doc::Evidence {
        input: e.at.input(),
        packet: e.at.number(),
        direction: e.direction.map(|d| Cow::Borrowed(d.word())),
        bytes: e.bytes.as_ref().filter(|b| b.start < b.end).map(|b| (b.start, b.end)),
    }
}

fn endpoint(e: Endpoint) -> doc::Endpoint {
    doc::Endpoint { ip: e.ip.to_string(), port: e.port }
}

fn ids(indices: &[usize]) -> Vec<u64> {
    indices.iter().map(|&i| id(i)).collect()
}

/// A finding's id: its index plus one.
fn id(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}
