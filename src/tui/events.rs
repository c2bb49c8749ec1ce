//! What happened on the legs of one chain, in the order of time: what the ladder draws.

use std::collections::HashMap;

use crate::base::{Endpoint, ExchangeId, PacketRef, Timestamp};
use crate::model::{
    Chain, ConnectState, Direction, EndHow, Exchange, FlowFacts, FrameRecord, Head, SentClose, Severity, Stands,
};
use crate::wire::websocket;

use super::shared::{Shared, bytes};
use super::theme::Tone;
use super::unread;

/// Frames of one sort that follow each other are one event from this many on.
const FOLD_FROM: usize = 3;

/// A vertical line: an end of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub name: String,
    pub end: Endpoint,
}

/// What an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Tcp,
    /// The leg's request, an interim response (its place), the final response.
    Request(ExchangeId),
    Interim(ExchangeId, usize),
    Response(ExchangeId),
    /// Frames of the leg's talk: the first one's place, and how many.
    Frames(ExchangeId, usize, usize),
    /// Frames that were not kept.
    Left(u64),
}

/// An arrow.
#[derive(Clone, Debug)]
pub struct Event {
    pub ts: Timestamp,
    /// Lanes, sender first.
    pub from: usize,
    pub to: usize,
    pub label: String,
    pub tone: Tone,
    pub what: What,
    /// The first packet of it.
    pub at: Option<PacketRef>,
    /// From 1; 0: of none of the chain's legs.
    pub leg: usize,
    /// Indices of findings that it proves, the worst first.
    pub findings: Vec<usize>,
}

/// All of a chain.
#[derive(Clone, Debug, Default)]
pub struct Events {
    pub lanes: Vec<Lane>,
    pub all: Vec<Event>,
    /// Findings that no event proves.
    pub others: Vec<usize>,
}

/// Puts them together.
pub fn of(s: &Shared, chain: &Chain) -> Events {
    let (lanes, place) = lanes(s, chain);
    let mut all = Vec::new();
    for (leg, x) in chain.legs.iter().enumerate().filter_map(|(at, id)| Some((at + 1, s.leg(*id)?))) {
        let Some(&(near, far)) = place.get(&x.id) else { continue };
        Of { s, x, leg, near, far, out: &mut all }.all();
    }
    // Of a connection without a request: between whom it runs.
    let own = usize::from(chain.beside().any(|beside| beside.stands == Stands::Before));
    let own = (own, (own + 1).min(lanes.len().saturating_sub(1)));
    for beside in chain.beside() {
        let Some(sealed) = beside.flow.sealed() else { continue };
        let between = match beside.stands {
            Stands::Before => (0, 1),
            // The lane of whom the last leg went to.
            Stands::Behind | Stands::Itself => {
                let last = chain.legs.last().and_then(|id| place.get(id)).map_or(own.1, |ends| ends.1);
                (last, lanes.len().saturating_sub(1))
            }
        };
        unread::events(&beside.flow, sealed, between, &mut all);
    }
    let tried = chain.tried.iter().map(|tried| (tried.flow, place.get(&tried.behind).map(|ends| ends.1)));
    for (id, near) in tried.chain(chain.flow.map(|id| (id, Some(own.0)))) {
        let Some(flow) = s.flow(id) else { continue };
        let far = lanes.iter().position(|lane| lane.end == flow.server).unwrap_or(lanes.len().saturating_sub(1));
        match flow.sealed().filter(|_| chain.flow == Some(id)) {
            Some(sealed) => unread::events(flow, sealed, own, &mut all),
            None => connection(flow, near.unwrap_or(0), far, &mut all),
        }
    }
    all.sort_by_key(|event| event.ts);
    let mut events = Events { lanes, all, others: Vec::new() };
    events.attach(s, chain);
    events
}

impl Events {
    /// Puts each finding of the chain at the event that proves it.
    fn attach(&mut self, s: &Shared, chain: &Chain) {
        let mut by_packet: HashMap<PacketRef, Vec<usize>> = HashMap::new();
        for (at, event) in self.all.iter().enumerate() {
            if let Some(packet) = event.at {
                by_packet.entry(packet).or_default().push(at);
            }
        }
        for index in s.findings(chain) {
            let Some(finding) = s.a.findings.get(index) else { continue };
            // Of a hop's fault the last packet shows what came of it.
            let places = finding.evidence.iter().rev().filter_map(|evidence| by_packet.get(&evidence.at));
            match places.flatten().next().and_then(|at| self.all.get_mut(*at)) {
                Some(event) => event.findings.push(index),
                None => self.others.push(index),
            }
        }
    }

    /// The worst that an event proves.
    pub fn worst(&self, s: &Shared, event: &Event) -> Option<Severity> {
        event.findings.iter().filter_map(|&i| s.a.findings.get(i)).filter(|f| !f.allowed).map(|f| f.severity).max()
    }
}

/// The lanes, client first, and between which of them each leg runs. A server that several legs go to, as one does
/// that is tried again, is one lane; a hop's two sides are one.
fn lanes(s: &Shared, chain: &Chain) -> (Vec<Lane>, HashMap<ExchangeId, (usize, usize)>) {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut place: HashMap<ExchangeId, (usize, usize)> = HashMap::new();
    let beside = |stands| chain.beside().find(move |beside| beside.stands == stands);
    let before = beside(Stands::Before);
    if let Some(before) = before {
        lanes.push(Lane { name: "client".to_owned(), end: before.flow.client });
        lanes.push(Lane { name: "proxy?".to_owned(), end: before.flow.server });
    }
    let first = usize::from(before.is_some());
    for x in s.legs(chain) {
        let hop = chain.hops.iter().find(|hop| hop.between.1 == x.id);
        let near = hop.and_then(|hop| place.get(&hop.between.0)).map(|ends| ends.1).unwrap_or_else(|| {
            if lanes.is_empty() {
                lanes.push(Lane { name: "client".to_owned(), end: x.client });
            }
            first
        });
        // Only a lane farther on: a way that comes back to a host is drawn as a way on.
        let known = lanes.iter().enumerate().skip(near + 1).find(|(_, lane)| lane.end == x.server).map(|(at, _)| at);
        let far = known.unwrap_or_else(|| {
            let onward = chain.hops.iter().find(|hop| hop.between.0 == x.id);
            let tries = chain.tried.iter().any(|tried| tried.behind == x.id);
            let name = match onward {
                Some(hop) => s.hop_name(hop),
                None if tries => "proxy".to_owned(),
                None => server_name(s, chain, x),
            };
            lanes.push(Lane { name, end: x.server });
            lanes.len() - 1
        });
        place.insert(x.id, (near, far));
    }
    let flows = chain.flow.into_iter().chain(chain.tried.iter().map(|tried| tried.flow));
    for flow in flows.filter_map(|id| s.flow(id)) {
        if lanes.is_empty() {
            lanes.push(Lane { name: "client".to_owned(), end: flow.client });
        }
        if !lanes.iter().any(|lane| lane.end == flow.server) || chain.flow == Some(flow.id) {
            lanes.push(Lane { name: "server".to_owned(), end: flow.server });
        }
    }
    if let Some(behind) = beside(Stands::Behind) {
        lanes.push(Lane { name: "backend?".to_owned(), end: behind.flow.server });
    }
    (lanes, place)
}

/// The last one: the blamed product where it is its own, else a word.
pub(super) fn server_name(s: &Shared, chain: &Chain, x: &Exchange) -> String {
    let blame = chain.verdict.blame.as_ref();
    let here = |address: &str| address == x.server.to_string() || address == x.server.ip.to_string();
    let product = blame.filter(|b| b.address.as_deref().is_some_and(here)).and_then(|b| b.product.as_deref());
    product.map_or_else(|| if chain.hops.is_empty() { "server" } else { "backend" }.to_owned(), |p| s.text.own(p))
}

/// One leg on its way into events.
struct Of<'a> {
    s: &'a Shared,
    x: &'a Exchange,
    leg: usize,
    near: usize,
    far: usize,
    out: &'a mut Vec<Event>,
}

impl Of<'_> {
    fn all(&mut self) {
        let x = self.x;
        if let Some(syn) = x.times.syn.filter(|_| x.index_in_flow == 0) {
            let label = if x.times.rtt.is_some() { "SYN … ACK" } else { "SYN" };
            self.add(syn, Direction::ClientToServer, label.to_owned(), What::Tcp, None, Tone::Dim);
        }
        self.head(&x.request, Direction::ClientToServer, What::Request(x.id));
        for (at, head) in x.interim.iter().enumerate() {
            self.head(head, Direction::ServerToClient, What::Interim(x.id, at));
        }
        match &x.response {
            Some(head) => self.head(head, Direction::ServerToClient, What::Response(x.id)),
            None => {
                if let Some(odd) = &x.odd_response {
                    let words = "bytes that are no HTTP".to_owned();
                    let what = What::Response(x.id);
                    self.add(odd.ts, Direction::ServerToClient, words, what, Some(odd.at), Tone::Error);
                }
            }
        }
        self.frames();
        let end = &x.end;
        if let (Some(at), Some(by), EndHow::Fin | EndHow::Rst) = (end.tcp_at, end.tcp_by, end.tcp_how) {
            let (word, tone) = if end.tcp_how == EndHow::Rst { ("RST", Tone::Warning) } else { ("FIN", Tone::Dim) };
            // The end's packet is that of what came first.
            let packet = end.packet.filter(|_| end.how == end.tcp_how);
            self.add(at, by, word.to_owned(), What::Tcp, packet, tone);
        }
    }

    fn head(&mut self, head: &Head, way: Direction, what: What) {
        let text = &self.s.text;
        let (label, tone) = match head.status() {
            Some(status) => {
                let tone = match status {
                    100..=199 => Tone::Good,
                    400.. => Tone::Error,
                    _ => Tone::Plain,
                };
                (format!("{status} {}", text.bytes(head.reason())).trim_end().to_owned(), tone)
            }
            None if head.method().is_empty() => ("a head without a status".to_owned(), Tone::Error),
            None => (format!("{} {}", text.bytes(head.method()), text.url(head.target())), Tone::Strong),
        };
        self.add(head.first, way, label, what, Some(head.at), tone);
    }

    fn frames(&mut self) {
        let Some(talk) = &self.x.talk else { return };
        let frames = &talk.frames;
        let mut at = 0;
        while let Some(first) = frames.get(at) {
            if at == talk.first_frames && at > 0 {
                let ws = self.x.ws.unwrap_or_default();
                let all = u64::from(ws.client.frames) + u64::from(ws.server.frames);
                let left = all.saturating_sub(frames.len() as u64);
                if left > 0 {
                    let label = format!("··· {left} frames that were not kept ···");
                    self.add(first.ts, first.from, label, What::Left(left), None, Tone::Dim);
                }
            }
            let same = |frame: &&FrameRecord| frame.from == first.from && frame.opcode() == first.opcode();
            let end = if at < talk.first_frames { talk.first_frames.min(frames.len()) } else { frames.len() };
            let control = first.opcode() == websocket::CLOSE;
            let run = frames.get(at..end).unwrap_or_default().iter().take_while(same).count().max(1);
            let run = if run < FOLD_FROM || control { 1 } else { run };
            let sum: u64 = frames.iter().skip(at).take(run).map(|frame| u64::from(frame.payload)).sum();
            let (label, tone) = if run > 1 {
                (format!("{} ×{run}  {}B", opcode(first.opcode()), bytes(sum)), Tone::Info)
            } else {
                frame_label(self.s, talk.of(first.from).close(), first)
            };
            self.add(first.ts, first.from, label, What::Frames(self.x.id, at, run), Some(first.at), tone);
            at += run;
        }
    }

    fn add(&mut self, ts: Timestamp, way: Direction, label: String, what: What, at: Option<PacketRef>, tone: Tone) {
        let (from, to) = match way {
            Direction::ClientToServer => (self.near, self.far),
            Direction::ServerToClient => (self.far, self.near),
        };
        self.out.push(Event { ts, from, to, label, tone, what, at, leg: self.leg, findings: Vec::new() });
    }
}

/// A frame in a few words: `text 64 B masked`, `close 1002 protocol error`.
pub fn frame_label(s: &Shared, close: Option<&SentClose>, frame: &FrameRecord) -> (String, Tone) {
    let mut label = opcode(frame.opcode()).to_owned();
    if frame.opcode() == websocket::CLOSE {
        if let Some(close) = close.filter(|close| close.offset == frame.offset) {
            label.push_str(&close_words(s, close));
        }
        return (label, Tone::Warning);
    }
    label.push_str(&format!(" {}B", bytes(u64::from(frame.payload))));
    if !frame.fin() {
        label.push_str(" …");
    }
    (label, if frame.opcode() < 8 { Tone::Plain } else { Tone::Dim })
}

/// Code, what it means, and the reason that was given.
pub fn close_words(s: &Shared, close: &SentClose) -> String {
    let Some(code) = close.code else { return String::new() };
    let reason = s.text.bytes(&close.reason);
    let words = if reason.is_empty() { close_meaning(code).to_owned() } else { format!("\"{reason}\"") };
    format!(" {code} {words}").trim_end().to_owned()
}

/// What a Close code means (RFC 6455 §7.4.1), in two words; empty for those that have no meaning of their own.
pub fn close_meaning(code: u16) -> &'static str {
    match code {
        1000 => "normal",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "wrong data",
        1007 => "bad payload",
        1008 => "policy",
        1009 => "too big",
        1010 => "extension missing",
        1011 => "server error",
        1012 => "restart",
        1013 => "try later",
        1014 => "bad gateway",
        _ => "",
    }
}

/// What an opcode is called (RFC 6455 §5.2).
pub fn opcode(code: u8) -> &'static str {
    match code {
        websocket::CONTINUATION => "continuation",
        websocket::TEXT => "text",
        websocket::BINARY => "binary",
        websocket::CLOSE => "close",
        websocket::PING => "ping",
        websocket::PONG => "pong",
        _ => "reserved opcode",
    }
}

/// A connection that never carried a request.
fn connection(flow: &FlowFacts, near: usize, far: usize, out: &mut Vec<Event>) {
    let times = if flow.syns > 1 { format!("SYN ×{}", flow.syns) } else { "SYN".to_owned() };
    let event = |ts, from, to, label, at, tone| Event {
        ts,
        from,
        to,
        label,
        tone,
        what: What::Tcp,
        at,
        leg: 0,
        findings: Vec::new(),
    };
    out.push(event(flow.syn_at, near, far, times, Some(flow.syn), Tone::Warning));
    let (label, tone) = match flow.state {
        ConnectState::Refused => ("RST: refused", Tone::Error),
        ConnectState::Unanswered => ("no answer", Tone::Error),
        ConnectState::Established | ConnectState::Midstream => ("end, without a request", Tone::Warning),
    };
    let told = flow.rejected.map(|told| format!("ICMP {}", told.why.name()));
    if let Some(at) = flow.end_at {
        out.push(event(at, far, near, told.unwrap_or_else(|| label.to_owned()), flow.end, tone));
    }
}
