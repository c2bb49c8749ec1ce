//! For the tests of rules: an exchange from the raw bytes of its heads, and a rule run on it. The
//! head splitter here is its own, so that a rule's test says nothing about the parser.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Counters, Endpoint, ExchangeId, FlowId, Nanos, PacketRef, Timestamp};
use crate::model::{
    Attempted, Confidence, ConnectState, Exchange, Field, Finding, FlowFacts, Handshake, Head, Hop, HopKind,
    InputFacts, LineFaults, Mark, MatchKey, Mechanism, Part, Preview, StartLine, Subject, Text, Times,
};
use crate::rules::journey::{Journey, Leg, View};
use crate::rules::{Check, Findings, Rule, Seen};
use crate::wire::accept;

/// The key of [`GOOD`].
pub(crate) const KEY: &str = "aG9wc2NvcGUtdGVzdGtleQ==";

/// A request without a fault.
pub(crate) const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: aG9wc2NvcGUtdGVzdGtleQ==\r\n\
    Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\r\n";

/// A refusal without a body.
pub(crate) const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// The right answer to [`GOOD`].
pub(crate) fn granted() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept::expected(KEY.as_bytes())
    )
}

/// [`GOOD`] with one piece of text replaced.
pub(crate) fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good request has no {from:?}");
    GOOD.replacen(from, to, 1)
}

/// [`GOOD`] with one more field line.
pub(crate) fn with_line(line: &str) -> String {
    changed("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}

/// An exchange of these heads; the response comes one second after the request. What follows the
/// request's head is early data unless it announces content, what follows the response's is its body
/// or, behind a 101, the first bytes of the tunnel.
pub(crate) fn exchange(request: &str, response: Option<&str>) -> Exchange {
    exchange_of_bytes(request.as_bytes(), response.map(str::as_bytes))
}

/// As [`exchange`], for heads that are no text.
pub(crate) fn exchange_of_bytes(request: &[u8], response: Option<&[u8]>) -> Exchange {
    let start = Timestamp::from_parts(1_700_000_000, 0);
    let answered = start + Nanos::from_secs(1);
    let (request_head, rest) = head(request, PacketRef::new(0, 4), start);
    let content = request_head.has("content-length") || request_head.has("transfer-encoding");
    let early = (!rest.is_empty() && !content).then(|| Preview {
        bytes: rest.into(),
        at: PacketRef::new(0, 5),
        ts: start,
        offset: request_head.range.end,
    });
    let mut x = Exchange {
        id: ExchangeId(1),
        flow: FlowId(1),
        client: endpoint(10, 40_000),
        server: endpoint(20, 80),
        mechanism: Mechanism::Http1Upgrade,
        early: early.map(Box::new),
        times: Times { syn: Some(start - Nanos::from_millis(2)), rtt: Some(Nanos::from_millis(1)), last: Some(start) },
        ..Exchange::of(request_head)
    };
    if let Some(bytes) = response {
        let (answer, rest) = head(bytes, PacketRef::new(0, 6), answered);
        if answer.status() == Some(101) {
            let preview =
                Preview { bytes: rest.into(), at: PacketRef::new(0, 6), ts: answered, offset: answer.range.end };
            x.after_101[1] = (!rest.is_empty()).then_some(Box::new(preview));
            x.frames_with_101 = !rest.is_empty();
        } else {
            x.body = rest.into();
        }
        x.response = Some(answer);
        x.times.last = Some(answered);
    }
    if x.request.method() == b"CONNECT" {
        x.mechanism = Mechanism::Connect;
    } else if !x.is_websocket() && !x.request.has("upgrade") {
        x.mechanism = Mechanism::None;
    }
    x
}

/// Any exchange, changed in place: `exchange(…).with(|x| x.quality.gap = true)`.
pub(crate) trait With: Sized {
    fn with(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl With for Exchange {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A flow without a request.
pub(crate) fn flow(state: ConnectState, syns: u32) -> FlowFacts {
    let start = Timestamp::from_parts(1_700_000_000, 0);
    let refused = state == ConnectState::Refused;
    FlowFacts {
        answered_at: None,
        unseen_at: None,
        id: FlowId(1),
        client: endpoint(10, 40_000),
        server: endpoint(20, 80),
        state,
        syn: PacketRef::new(0, 1),
        syn_at: start,
        syns,
        end: refused.then(|| PacketRef::new(0, 2)),
        end_at: refused.then(|| start + Nanos::from_millis(1)),
        rejected: None,
        said: None,
    }
}

/// What the rule finds about an exchange, when no other is known.
pub(crate) fn run(rule: &'static Rule, x: &Exchange) -> Vec<Finding> {
    run_seen(rule, x, &Seen::default())
}

/// As [`run`], when these others are known.
pub(crate) fn run_seen(rule: &'static Rule, x: &Exchange, seen: &Seen) -> Vec<Finding> {
    collect(rule, Subject::Exchange(x.id), |check, out| match check.of_exchange() {
        Some(check) => check(x, seen, out),
        None => panic!("{} does not look at exchanges", rule.id),
    })
}

/// What the rule finds about a flow without a request.
pub(crate) fn run_flow(rule: &'static Rule, flow: &FlowFacts) -> Vec<Finding> {
    run_flow_seen(rule, flow, &Seen::default())
}

/// As [`run_flow`], when these exchanges are known.
pub(crate) fn run_flow_seen(rule: &'static Rule, flow: &FlowFacts, seen: &Seen) -> Vec<Finding> {
    collect(rule, Subject::Flow(flow.id), |check, out| match check.of_flow() {
        Some(check) => check(flow, seen, out),
        None => panic!("{} does not look at flows", rule.id),
    })
}

/// What the rule finds about an input.
pub(crate) fn run_input(rule: &'static Rule, input: &InputFacts) -> Vec<Finding> {
    collect(rule, Subject::Input(0), |check, out| match check {
        Check::Input(check) => check(input, out),
        _ => panic!("{} does not look at inputs", rule.id),
    })
}

/// What the rule finds about the whole capture.
pub(crate) fn run_capture(rule: &'static Rule, counters: &Counters) -> Vec<Finding> {
    collect(rule, Subject::Capture, |check, out| match check {
        Check::Capture(check) => check(counters, out),
        _ => panic!("{} does not look at the whole capture", rule.id),
    })
}

/// What the rule finds about a hop between two legs, each a request and its response; the far leg lies
/// inside the near one in time.
pub(crate) fn run_hop(rule: &'static Rule, near: (&str, Option<&str>), far: (&str, Option<&str>)) -> Vec<Finding> {
    run_hop_of(rule, exchange(near.0, near.1), exchange(far.0, far.1), |_| {})
}

/// As [`run_hop`], of exchanges that were changed, and with a hop that was.
pub(crate) fn run_hop_of(
    rule: &'static Rule,
    near: Exchange,
    far: Exchange,
    change: impl FnOnce(&mut Hop),
) -> Vec<Finding> {
    let far = behind(far);
    let mut hop = hop(&near, &far);
    change(&mut hop);
    run_journey(rule, &[near, far], &[hop], View::default())
}

/// What the rule finds about a chain of these legs.
pub(crate) fn run_journey(rule: &'static Rule, all: &[Exchange], hops: &[Hop], view: View<'_>) -> Vec<Finding> {
    run_whole(rule, all, hops, &[], view, &Seen::default())
}

/// As [`run_journey`], with what the hops tried besides, and when these other exchanges are known.
pub(crate) fn run_whole(
    rule: &'static Rule,
    all: &[Exchange],
    hops: &[Hop],
    tried: &[(Attempted, FlowFacts)],
    view: View<'_>,
    seen: &Seen,
) -> Vec<Finding> {
    let handshakes: Vec<Handshake> = all.iter().map(crate::rules::accept::compare).collect();
    let found: Vec<Vec<Finding>> = all.iter().map(|_| Vec::new()).collect();
    let judged = all.iter().zip(&handshakes).zip(&found);
    let legs: Vec<Leg<'_>> = judged
        .map(|((x, handshake), findings)| {
            let outcome = crate::rules::outcome::of(x, handshake, findings);
            Leg { x, handshake, outcome, findings }
        })
        .collect();
    let tried: Vec<(Attempted, &FlowFacts)> = tried.iter().map(|(tried, flow)| (*tried, flow)).collect();
    let journey = Journey { legs: &legs, hops, tried: &tried, view: &view };
    let mut out = Vec::new();
    let findings = &mut Findings::new(rule, Subject::Chain(1), &mut out);
    match (&rule.check, rule.check.of_chain()) {
        (Check::HopOrChain(check, of_chain), _) => {
            journey.hops().for_each(|(_, view)| check(&view, seen, findings));
            of_chain(&journey, seen, findings);
        }
        (Check::Hop(check), _) => journey.hops().for_each(|(_, view)| check(&view, seen, findings)),
        (_, Some(check)) => check(&journey, seen, findings),
        _ => panic!("{} does not look at chains", rule.id),
    }
    out
}

/// What the rule finds about a chain of one leg whose server tried these connections towards a backend.
pub(crate) fn run_tried(rule: &'static Rule, near: Exchange, flows: Vec<FlowFacts>, view: View<'_>) -> Vec<Finding> {
    run_tried_seen(rule, near, flows, view, &Seen::default())
}

/// The same with others in view.
pub(crate) fn run_tried_seen(
    rule: &'static Rule,
    near: Exchange,
    flows: Vec<FlowFacts>,
    view: View<'_>,
    seen: &Seen,
) -> Vec<Finding> {
    let behind = near.id;
    let attempted = |flow: &FlowFacts| Attempted { behind, flow: flow.id, confidence: Confidence::Certain };
    let tried: Vec<_> = flows.into_iter().map(|flow| (attempted(&flow), flow)).collect();
    run_whole(rule, &[near], &[], &tried, view, seen)
}

/// Makes an exchange the leg behind a hop: other id, flow, endpoints, packets; inside the near leg in time.
pub(crate) fn behind(mut far: Exchange) -> Exchange {
    far.id = ExchangeId(far.id.0 + 1);
    far.flow = FlowId(far.flow.0 + 1);
    (far.client, far.server) = (endpoint(21, 50_000), endpoint(30, 8080));
    far.request.at = PacketRef::new(0, 5);
    far.request.first = far.request.first + Nanos::from_millis(1);
    far.request.last = far.request.last + Nanos::from_millis(1);
    if let Some(response) = &mut far.response {
        response.first = response.first - Nanos::from_millis(1);
        response.last = response.last - Nanos::from_millis(1);
    }
    far
}

/// The hop between two legs.
pub(crate) fn hop(near: &Exchange, far: &Exchange) -> Hop {
    Hop {
        between: (near.id, far.id),
        kind: HopKind::Http,
        addresses: vec![near.server.ip, far.client.ip],
        unseen: false,
        port: None,
        name: None,
        product: None,
        joined_by: vec![MatchKey::Key, MatchKey::Time],
        confidence: Confidence::Certain,
        forward: Some(far.request.first.since(near.request.first)),
        back: None,
    }
}

/// Whether the rule finds anything about a hop.
pub(crate) fn fires_hop(rule: &'static Rule, near: (&str, Option<&str>), far: (&str, Option<&str>)) -> bool {
    !run_hop(rule, near, far).is_empty()
}

/// Whether the rule finds anything about an exchange.
pub(crate) fn fires(rule: &'static Rule, x: &Exchange) -> bool {
    !run(rule, x).is_empty()
}

/// A text as one string, nothing escaped or masked.
pub(crate) fn words(text: &Text) -> String {
    let mut out = String::new();
    for part in &*text.0 {
        match part {
            Part::Own(own) => out.push_str(own),
            Part::Bytes(bytes) | Part::Url(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
            Part::Field { value, .. } => out.push_str(&String::from_utf8_lossy(value)),
            Part::Packets(all) => out.push_str(&crate::model::packets_in_words(all, |_| None)),
        }
    }
    out
}

/// Splits one head off `bytes`; gives it and what is left. Keeps the faults the model knows.
pub(crate) fn head(bytes: &[u8], at: PacketRef, when: Timestamp) -> (Head, &[u8]) {
    let mut faults = LineFaults::NONE;
    let mut position = 0;
    while bytes[position..].starts_with(b"\r\n") {
        faults.add(LineFaults::LEADING_CRLF);
        position += 2;
    }
    let origin = position;
    let mut start = StartLine::Request { method: 0..0, target: 0..0, version: 0..0 };
    let mut fields: Vec<Field> = Vec::new();
    let mut complete = false;
    let mut first = true;
    while position < bytes.len() {
        let from = position;
        let Some(length) = bytes[from..].iter().position(|&b| b == b'\n') else {
            position = bytes.len();
            break;
        };
        position = from + length + 1;
        let bare = length == 0 || bytes[from + length - 1] != b'\r';
        let to = if bare { from + length } else { from + length - 1 };
        let mut line_faults = LineFaults::NONE;
        if bare {
            line_faults.add(LineFaults::BARE_LF);
        }
        let line = &bytes[from..to];
        if line.iter().any(|&b| b < b' ' && b != b'\t') {
            line_faults.add(LineFaults::CONTROL);
        }
        faults.add(line_faults);
        if line.is_empty() {
            complete = true;
            break;
        }
        if first {
            first = false;
            start = start_line(line, from - origin);
        } else if matches!(line[0], b' ' | b'\t') {
            let fault = if fields.is_empty() { LineFaults::SPACE_BEFORE_FIELD } else { LineFaults::OBS_FOLD };
            faults.add(fault);
            if let Some(field) = fields.last_mut() {
                field.value.end = place(to - origin);
                field.faults.add(fault);
            }
        } else {
            let field = field_line(line, from - origin, line_faults);
            faults.add(field.faults);
            fields.push(field);
        }
    }
    let head = Head {
        text: bytes[origin..position].into(),
        start,
        fields: fields.into(),
        names: crate::model::Names::default(),
        faults,
        complete,
        coded: false,
        at,
        at_last: at,
        first: when,
        last: when,
        range: place64(origin)..place64(position),
    };
    (head, &bytes[position..])
}

fn start_line(line: &[u8], from: usize) -> StartLine {
    let spaces: Vec<usize> = line.iter().enumerate().filter(|&(_, &b)| b == b' ').map(|(i, _)| i).collect();
    let one = spaces.first().copied().unwrap_or(line.len());
    if line.starts_with(b"HTTP/") {
        let two = spaces.get(1).copied().unwrap_or(line.len());
        let code = line.get(one + 1..two).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
        let reason = (two + 1).min(line.len());
        return StartLine::Response {
            version: place(from)..place(from + one),
            status: code.unwrap_or(0),
            reason: place(from + reason)..place(from + line.len()),
        };
    }
    let two = spaces.last().copied().filter(|&two| two > one).unwrap_or(line.len());
    StartLine::Request {
        method: place(from)..place(from + one),
        target: place(from + (one + 1).min(line.len()))..place(from + two),
        version: place(from + (two + 1).min(line.len()))..place(from + line.len()),
    }
}

fn field_line(line: &[u8], from: usize, mut faults: LineFaults) -> Field {
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        faults.add(LineFaults::BAD_FIELD);
        let (name, value) = (place(from)..place(from + line.len()), place(from)..place(from));
        return Field { name, value, faults, mark: Mark::default() };
    };
    let name = line[..colon].trim_ascii_end().len();
    if name != colon {
        faults.add(LineFaults::SPACE_BEFORE_COLON);
    }
    let value = line[colon + 1..].trim_ascii();
    let value_from =
        if value.is_empty() { line.len() } else { line.len() - line[colon + 1..].trim_ascii_start().len() };
    Field {
        name: place(from)..place(from + name),
        value: place(from + value_from)..place(from + value_from + value.len()),
        faults,
        mark: Mark::default(),
    }
}

fn collect(rule: &'static Rule, subject: Subject, check: impl FnOnce(&Check, &mut Findings<'_>)) -> Vec<Finding> {
    let mut out = Vec::new();
    check(&rule.check, &mut Findings::new(rule, subject, &mut out));
    out
}

/// Of the block for documentation (RFC 5737).
fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

fn place(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn place64(offset: usize) -> u64 {
    u64::try_from(offset).unwrap_or(u64::MAX)
}

mod tests {
    use super::*;

    #[test]
    fn a_head_is_split_where_it_ends() {
        let x = exchange("GET /a HTTP/1.1\r\nHost:  b \r\nX: 1\r\n 2\r\n\r\nrest", Some("HTTP/1.1 400 No\r\n\r\nbody"));
        assert_eq!(
            (x.request.method(), x.request.target(), x.request.version()),
            (&b"GET"[..], &b"/a"[..], &b"HTTP/1.1"[..])
        );
        assert_eq!(x.request.first_value("host"), Some(&b"b"[..]));
        assert_eq!(x.request.combined("x").as_deref(), Some(&b"1 2"[..]));
        assert!(x.request.complete && x.request.faults.has(LineFaults::OBS_FOLD));
        assert_eq!(x.early.map(|e| e.bytes), Some(b"rest"[..].into()));
        assert_eq!(x.response.and_then(|r| r.status()), Some(400));
        assert_eq!(&*x.body, b"body");
    }

    #[test]
    fn a_head_without_its_empty_line_is_not_complete() {
        assert!(!exchange("GET / HTTP/1.1\r\nHost: a\r\n", None).request.complete);
    }
}
