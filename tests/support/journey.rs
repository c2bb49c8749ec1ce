//! Requests on their way: a client asks a hop, the hop asks a backend or another hop, and the answer
//! comes back. Each leg is a TCP connection with sequence numbers of its own, and nothing happens before
//! its cause. [`Net`] keeps which request of which connection is which leg of which journey: the truth
//! that a report is held against. [`super::vantage`] makes captures of it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::hop::{Edit, Head};
use super::script::{START_NS, Script, Side, frame};
use super::{accept, script};

/// What becomes of a request at the end of a leg.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// A server that knows WebSocket and answers as the request deserves.
    Backend,
    /// Such a server that takes so long (microseconds).
    Late(u64),
    /// Nobody answers; a hop gives up so much later (microseconds) and answers 504.
    Silent(u64),
    /// Whoever reads it answers so: a status line and fields, and a body.
    Answer(&'static str, &'static str),
    /// Its reader resets the connection.
    Reset,
    /// Nobody listens there: the SYN is answered by a reset, and no leg comes to be.
    NobodyListens,
    /// A hop sends it on. The next is tried where one gives no answer, or 502, 503 or 504.
    On(Vec<Forward>),
}

/// How a hop sends a request on.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub over: Over,
    pub edits: Vec<Edit>,
    pub then: Way,
    /// What the hop takes for it, each way.
    pub takes_us: u64,
}

/// Which connection it takes.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// A new one, from this address and a port of its own.
    New { from: &'static str, to: String },
    /// One that is open already.
    Kept(usize),
}

/// One TCP connection.
pub(crate) struct Flow {
    /// `None` while it is being written.
    script: Option<Script>,
    /// Hops between the client and this connection.
    pub depth: usize,
    /// Which segment begins the request of which leg of which journey.
    pub asked: Vec<(usize, (usize, usize))>,
    pub nat: Option<Nat>,
}

/// A translator that both sides of a connection are captured of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nat {
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// Added to the sequence numbers of the client and of the server.
    pub shift: [u32; 2],
}

/// One request of a client, and all legs that it took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journey {
    /// A plain request, which is in no chain.
    pub plain: bool,
    /// In the order in which they were begun; the first is the client's own.
    pub legs: Vec<Leg>,
}

#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub flow: usize,
    /// The leg whose request this one carries on.
    pub parent: Option<usize>,
    /// `None` without an answer.
    pub status: Option<u16>,
}

/// All connections and journeys.
#[derive(Default)]
pub(crate) struct Net {
    /// Acknowledgements of their own are left out: for large captures.
    pub lean: bool,
    pub flows: Vec<Flow>,
    pub journeys: Vec<Journey>,
    ports: HashMap<IpAddr, u16>,
    serial: usize,
    opened: u32,
    /// When the clients of the next journeys reset the connection instead of waiting for the answer.
    patience_us: Option<u64>,
}

/// Between the last byte of a request at a server and the first of its answer.
const THINKS_NS: u64 = 300_000;
/// What a hop takes for a frame.
const RELAYS_NS: u64 = 60_000;

impl Way {
    /// A hop with one connection upstream to a backend that knows WebSocket.
    pub(crate) fn through(from: &'static str, to: &str, edits: &[Edit]) -> Way {
        Way::on(from, to, edits, Way::Backend)
    }

    pub(crate) fn on(from: &'static str, to: &str, edits: &[Edit], then: Way) -> Way {
        Way::On(vec![Forward::new(from, to, edits, then)])
    }

    /// A hop that takes a connection which it has open.
    pub(crate) fn over(flow: usize, edits: &[Edit], then: Way) -> Way {
        Way::On(vec![Forward { over: Over::Kept(flow), edits: edits.to_vec(), then, takes_us: 100 }])
    }
}

impl Forward {
    pub(crate) fn new(from: &'static str, to: &str, edits: &[Edit], then: Way) -> Forward {
        Forward { over: Over::New { from, to: to.to_owned() }, edits: edits.to_vec(), then, takes_us: 100 }
    }

    fn makes_keys(&self) -> bool {
        self.edits.iter().any(|edit| matches!(edit, Edit::NewKey))
    }

    /// What goes before the request: the PROXY protocol's version 1, where the hop speaks it.
    fn preface(&self, client: SocketAddr, server: SocketAddr) -> String {
        let speaks = self.edits.iter().any(|edit| matches!(edit, Edit::ProxyHeader));
        let (from, to) = (client.ip(), server.ip());
        let line = || format!("PROXY TCP4 {from} {to} {} {}\r\n", client.port(), server.port());
        if speaks { line() } else { String::new() }
    }
}

impl Flow {
    pub(crate) fn script(&self) -> &Script {
        self.script.as_ref().expect("nobody writes it now")
    }

    fn play(&mut self, step: impl FnOnce(Script) -> Script) {
        self.script = self.script.take().map(step);
    }

    fn now_ns(&self) -> u64 {
        self.script().now_ns()
    }
}

impl Net {
    /// Forgets what happened so far, but not which ports and numbers were used: for captures that are
    /// written piece by piece.
    pub(crate) fn go_on(&mut self) {
        self.flows.clear();
        self.journeys.clear();
    }

    /// The clients of the next journeys reset their connections so long after they asked; `None`: they
    /// wait.
    pub(crate) fn patience_us(&mut self, us: Option<u64>) {
        self.patience_us = us;
    }

    /// A client's connection, opened so long after the start.
    pub(crate) fn connect(&mut self, client: &str, server: &str, at_us: u64) -> usize {
        self.open(client, server, START_NS + at_us * 1_000, 0)
    }

    /// A connection that a hop opens in advance: at this depth, from a port of its own.
    pub(crate) fn keep(&mut self, from: &str, to: &str, at_us: u64, depth: usize) -> usize {
        let client = self.port_of(from);
        self.open(&client, to, START_NS + at_us * 1_000, depth)
    }

    /// One request of a client over its connection, not before this time; the number of the journey.
    pub(crate) fn ask(&mut self, flow: usize, at_us: u64, request: &Head, way: &Way) -> usize {
        let plain = request.value("Upgrade").is_none() && request.value("Sec-WebSocket-Key").is_none();
        self.journeys.push(Journey { plain, legs: Vec::new() });
        let journey = self.journeys.len() - 1;
        self.carry((journey, None), flow, START_NS + at_us * 1_000, "", request, way);
        journey
    }

    /// A client that connects, asks once, talks where it is granted, and goes.
    pub(crate) fn visit(&mut self, client: &str, server: &str, at_us: u64, request: &Head, way: &Way) -> usize {
        let flow = self.connect(client, server, at_us);
        let journey = self.ask(flow, at_us, request, way);
        match self.journeys[journey].legs[0].status {
            Some(101) => self.talk(journey),
            Some(_) => self.close(flow),
            None => {}
        }
        journey
    }

    /// Makes the last leg a journey of its own: it was no hop that asked there, but a server for its own
    /// ends.
    pub(crate) fn part_last_leg(&mut self, journey: usize) {
        let leg = self.journeys[journey].legs.pop().expect("a leg");
        let place = (journey, self.journeys[journey].legs.len());
        let own = (self.journeys.len(), 0);
        self.flows[leg.flow].asked.iter_mut().filter(|(_, of)| *of == place).for_each(|(_, of)| *of = own);
        self.journeys.push(Journey { plain: false, legs: vec![Leg { parent: None, ..leg }] });
    }

    /// A message each way, the closing handshake, and both FINs, through all legs of what was granted.
    pub(crate) fn talk(&mut self, journey: usize) {
        let path = self.path(journey);
        let code = 1000_u16.to_be_bytes();
        for (from, opcode, payload) in [
            (Side::Client, 1, &b"hello"[..]),
            (Side::Server, 1, b"welcome"),
            (Side::Client, 8, &code),
            (Side::Server, 8, &code),
        ] {
            self.relay(&path, from, |script| script.say(from, &frame(opcode, payload, from == Side::Client)));
        }
        for from in [Side::Server, Side::Client] {
            self.relay(&path, from, |script| script.fin(from));
        }
    }

    /// The client of a connection closes it.
    pub(crate) fn close(&mut self, flow: usize) {
        self.flows[flow].play(|s| s.fin(Side::Client).fin(Side::Server));
    }

    /// The client of a connection resets it.
    pub(crate) fn reset(&mut self, flow: usize) {
        self.flows[flow].play(|s| s.rst(Side::Client));
    }

    pub(crate) fn segment_bytes(&mut self, flow: usize, bytes: usize) {
        self.flows[flow].play(|s| s.segment_bytes(bytes));
    }

    /// The connections of a journey from the client to whoever answered.
    pub(crate) fn path(&self, journey: usize) -> Vec<usize> {
        let legs = &self.journeys[journey].legs;
        let last = legs.iter().rposition(|leg| leg.status == Some(101)).expect("somebody granted it");
        let mut path: Vec<usize> =
            std::iter::successors(Some(last), |&leg| legs[leg].parent).map(|leg| legs[leg].flow).collect();
        path.reverse();
        path
    }

    fn relay(&mut self, path: &[usize], from: Side, step: impl Fn(Script) -> Script) {
        let mut order = path.to_vec();
        if from == Side::Server {
            order.reverse();
        }
        let mut at = path.iter().map(|&flow| self.flows[flow].now_ns()).max().unwrap_or(0);
        for flow in order {
            self.flows[flow].play(|script| step(script.not_before(at)));
            at = self.flows[flow].now_ns() + RELAYS_NS;
        }
    }

    fn open(&mut self, client: &str, server: &str, at_ns: u64, depth: usize) -> usize {
        let script = self.beginning(client, server, at_ns).handshake();
        self.flows.push(Flow { script: Some(script), depth, asked: Vec::new(), nat: None });
        self.flows.len() - 1
    }

    fn beginning(&mut self, client: &str, server: &str, at_ns: u64) -> Script {
        // Any numbers, far from each other.
        self.opened += 1;
        let n = self.opened;
        let first = [n.wrapping_mul(0x9e37_79b9), n.wrapping_mul(0x85eb_ca6b) ^ 0x5bd1_e995];
        Script::midstream(client, server).not_before(at_ns).begin_at(first[0], first[1]).acknowledge(!self.lean)
    }

    fn port_of(&mut self, address: &str) -> String {
        let ip: IpAddr = address.parse().expect("an address");
        let port = self.ports.entry(ip).or_insert(32_768);
        *port = if *port == u16::MAX { 32_769 } else { *port + 1 };
        SocketAddr::new(ip, *port).to_string()
    }

    /// A request over a connection behind these words, and the answer that comes back over it.
    fn carry(
        &mut self,
        (journey, parent): (usize, Option<usize>),
        flow: usize,
        at_ns: u64,
        preface: &str,
        request: &Head,
        way: &Way,
    ) -> Option<(Head, String)> {
        let leg = self.journeys[journey].legs.len();
        self.journeys[journey].legs.push(Leg { flow, parent, status: None });
        let on = &mut self.flows[flow];
        let begins = on.script().len();
        on.asked.push((begins, (journey, leg)));
        let bytes = [preface.as_bytes(), &script::head(&request.lines())].concat();
        on.play(|s| s.not_before(at_ns).client(bytes));
        let heard = on.now_ns();
        let (ready, (mut head, body)) = match way {
            Way::Reset | Way::NobodyListens => {
                on.play(|s| s.rst(Side::Server));
                return None;
            }
            Way::Silent(gives_up_us) => {
                on.play(|s| s.not_before(heard + gives_up_us * 1_000));
                return None;
            }
            Way::Backend => (heard + THINKS_NS, backend(request)),
            Way::Late(us) => (heard + us * 1_000, backend(request)),
            Way::Answer(lines, body) => (heard + THINKS_NS, (Head::of(lines), (*body).to_owned())),
            Way::On(tries) => self.send_on((journey, leg), flow, heard, request, tries),
        };
        if let (None, Some(patience)) = (parent, self.patience_us) {
            self.flows[flow].play(|s| s.not_before(heard + patience * 1_000).rst(Side::Client));
            return None;
        }
        if head.status() != 101 {
            head.set("Content-Length", &body.len().to_string());
        }
        self.flows[flow].play(|s| {
            s.not_before(ready).say(Side::Server, &[script::head(&head.lines()), body.clone().into()].concat())
        });
        self.journeys[journey].legs[leg].status = Some(head.status());
        Some((head, body))
    }

    /// What a hop does; when it has the answer for its own client, and that.
    fn send_on(
        &mut self,
        (journey, leg): (usize, usize),
        flow: usize,
        mut now_ns: u64,
        request: &Head,
        tries: &[Forward],
    ) -> (u64, (Head, String)) {
        let (sender, asked_at) = self.flows[flow].script().ends();
        let depth = self.flows[flow].depth + 1;
        let mut answer = None;
        for one in tries {
            now_ns += one.takes_us * 1_000;
            let mut head = request.clone();
            self.serial += 1;
            one.edits.iter().for_each(|edit| edit.apply(&mut head, sender, self.serial));
            let upstream = match &one.over {
                Over::Kept(flow) => *flow,
                Over::New { from, to } => {
                    let client = self.port_of(from);
                    if matches!(one.then, Way::NobodyListens) {
                        let script = self.beginning(&client, to, now_ns).syn().rst(Side::Server);
                        now_ns = script.now_ns();
                        self.flows.push(Flow { script: Some(script), depth, asked: Vec::new(), nat: None });
                        continue;
                    }
                    self.open(&client, to, now_ns, depth)
                }
            };
            let preface = one.preface(sender, asked_at);
            answer = self.carry((journey, Some(leg)), upstream, now_ns, &preface, &head, &one.then);
            now_ns = self.flows[upstream].now_ns() + one.takes_us * 1_000;
            let status = answer.as_ref().map(|(head, _)| head.status());
            let hangs = matches!(one.then, Way::Silent(_));
            if (hangs || status.is_some_and(|s| s != 101)) && matches!(one.over, Over::New { .. }) {
                self.close(upstream);
            }
            if let (Some((head, _)), Some(key), true) =
                (&mut answer, request.value("Sec-WebSocket-Key"), one.makes_keys())
                && head.value("Sec-WebSocket-Accept").is_some()
            {
                head.set("Sec-WebSocket-Accept", &accept::accept(key));
            }
            if status.is_some_and(|s| !(502..=504).contains(&s)) {
                break;
            }
        }
        let silent = tries.last().is_some_and(|one| matches!(one.then, Way::Silent(_)));
        let line = if silent { "HTTP/1.1 504 Gateway Timeout" } else { "HTTP/1.1 502 Bad Gateway" };
        let gave_up = || (Head::of(line), String::new());
        (now_ns, answer.unwrap_or_else(gave_up))
    }
}

/// What a server that knows WebSocket says to a request.
fn backend(request: &Head) -> (Head, String) {
    let answer = |lines: &str, body: &str| (Head::of(lines), body.to_owned());
    let key = request.value("Sec-WebSocket-Key");
    let asked = request.has("Upgrade", "websocket") && request.has("Connection", "upgrade");
    match key {
        Some(key) if asked && request.start.ends_with("HTTP/1.1") => answer(&script::upgrade_response(key), ""),
        Some(_) => answer("HTTP/1.1 400 Bad Request", "no upgrade"),
        None => answer("HTTP/1.1 200 OK\nContent-Type: text/html", "<p>hello</p>"),
    }
}
