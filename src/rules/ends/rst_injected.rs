//! `rst-injected`.

use super::support::{last_packet, name, tunnel};
use crate::base::{Nanos, PacketRef};
use crate::model::{
    Broken, BrokenHow, Confidence, Direction, EndHow, Evidence, Exchange, FlowFacts, HandshakeStep, Severity, Text,
    Transport,
};
use crate::rules::hop::tried::failed;
use crate::rules::journey::Journey;
use crate::rules::rule::Builder;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rst-injected",
    severity: Severity::Warning,
    title: "the reset came from somewhere else than the side that it names",
    about: "The RST that ended this WebSocket, or came instead of an answer (to the request, or to a TLS ClientHello), has another TTL (hop limit) than all other packets of the side whose address \
        it bears: it came a way of another length, so a box on the path sent it in that side's name. Firewalls, intrusion \
        detection and some load balancers do that.\n\nA difference that two usual first values of TTL explain (64, 128, \
        255) may also be the same machine, and counts for less. A difference of one is told only where the RST came from \
        next to where it was captured, past no router, and the other packets did not.",
    refs: &["RFC 9293 §3.10.7", "RFC 791 §3.1"],
    causes: &["a firewall or intrusion detection on the path forbids the connection", FORGOT],
    fix: None,
    explains: &[Explains::Ended, Explains::Unanswered, Explains::Refused],
    symptom_of: &[],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: Some(check_chain) },
};

const FORGOT: &str = "a box on the path forgot the connection";

/// So long a connection was silent that a box may have forgotten it.
const SILENT: Nanos = Nanos::from_secs(2);

/// What systems begin with.
const FIRST: [u8; 4] = [32, 64, 128, 255];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let ended = tunnel(x).is_some() || x.response.is_none() && x.is_websocket();
    let Some(by) = x.end.tcp_by.filter(|_| ended && x.end.tcp_how == EndHow::Rst) else { return };
    let talk = x.talk.as_ref();
    let silent = talk.and_then(|talk| talk.before_last).is_some_and(|silence| silence.length >= SILENT);
    let transport = talk.and_then(|talk| talk.transport.as_ref()).or(x.transport.as_ref());
    let Some(ttl) = transport.and_then(|transport| foreign(transport)) else { return };
    tell(by, ttl, silent.then_some(FORGOT), last_packet(x, by), out);
}

/// Whether another box reset this connection, in its server's name, when its ClientHello came.
pub(super) fn is_of_hello(flow: &FlowFacts) -> bool {
    of_hello(flow).is_some()
}

/// A reset that came upon a ClientHello instead of an answer: the usual TTL and its own, and the connection's SYN at another
/// place of capture, which saw no reset.
type UponHello = (Option<(u8, u8)>, Option<PacketRef>);

fn of_hello(flow: &FlowFacts) -> Option<UponHello> {
    let by_server = |broken: &&Broken| {
        broken.how == BrokenHow::Rst
            && broken.by == Direction::ServerToClient
            && broken.after == HandshakeStep::ClientHello
    };
    let broken = flow.said.as_ref()?.broken.as_deref().filter(by_server)?;
    let ttl = broken.transport.as_deref().and_then(foreign);
    (ttl.is_some() || broken.unseen_at.is_some()).then_some((ttl, broken.unseen_at))
}

/// What filters look at first in TLS.
const BY_NAME: &str = "a filter on the way resets connections that ask for this name (SNI), or that speak TLS";

/// A hop that began TLS towards a backend.
fn check_chain(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(failed) = failed(journey, is_of_hello) else { return };
    let Some((flow, seen)) = failed.flows.first().and_then(|flow| Some((flow, of_hello(flow)?))) else { return };
    let mut text = Text::own(format!("{} began TLS with {}", failed.who(), failed.servers()));
    if let Some(name) = flow.server_name() {
        text = text.say(" (for ").bytes(name).say(")");
    }
    let ip = flow.server.ip;
    let other = match seen.0 {
        Some((usual, reset)) => format!("has TTL {reset}, and other packets of {ip} have {usual}"),
        None => format!("was not sent by {ip}, as the other place of capture shows"),
    };
    let text = text.say(format!(
        "; the RST that came upon its ClientHello {other}: another box sent it; and it {}.",
        failed.outcome()
    ));
    upon_hello(out.add(text), flow, seen, failed.confidence).evidence(failed.answer());
}

fn upon_hello<'a>(found: Builder<'a>, flow: &FlowFacts, (ttl, unseen_at): UponHello, most: Confidence) -> Builder<'a> {
    let surely = if unseen_at.is_some() { Confidence::Certain } else { ttl.map_or(Confidence::Possible, sure) };
    let (expected, seen) = match ttl {
        Some((usual, reset)) => (format!("TTL {usual}"), format!("TTL {reset}")),
        None => ("the reset at both places".to_owned(), "a reset at one of them".to_owned()),
    };
    let evidence = |at, direction| Evidence { at, direction: Some(direction), bytes: None };
    let mut found = found
        .severity(Severity::Error)
        .confidence(most.min(surely))
        .expected(Text::own(expected))
        .found(Text::own(seen))
        .cause(BY_NAME);
    if let Some(at) = flow.end {
        found = found.evidence(evidence(at, Direction::ServerToClient));
    }
    match unseen_at {
        Some(at) => found.evidence(evidence(at, Direction::ClientToServer)),
        None => found,
    }
}

/// The same of a connection in TLS that was not read.
fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    if let Some(seen) = of_hello(flow) {
        let other = match seen.0 {
            Some((usual, reset)) => format!("has TTL {reset}, and its other packets have {usual}: another box sent it"),
            None => "was not sent by it: the other place of capture saw neither".to_owned(),
        };
        let server = flow.server;
        let text = format!("The RST that came upon the TLS ClientHello, in the name of the server {server}, {other}.");
        upon_hello(out.add(Text::own(text)), flow, seen, Confidence::Certain);
        return;
    }
    let Some((said, sealed)) = flow.said.as_ref().zip(flow.sealed()) else { return };
    // What else runs in TLS is of no interest.
    let reset = said.end.tcp_how == EndHow::Rst && sealed.talks_like_websocket();
    let Some(by) = said.end.tcp_by.filter(|_| reset) else { return };
    let Some(ttl) = sealed.transport.as_ref().and_then(|transport| foreign(transport)) else { return };
    let silent = said.end.idle_before.is_some_and(|idle| idle >= SILENT);
    let evidence = said.end.packet.map(|at| Evidence { at, direction: Some(by), bytes: None });
    tell(by, ttl, silent.then_some(FORGOT), evidence, out);
}

/// The usual TTL and that of a reset, where another box must have sent it.
fn foreign(transport: &Transport) -> Option<(u8, u8)> {
    let (usual, reset) = transport.rst_ttl?;
    // One more or less is a way that changed, unless no router at all was on it.
    let from_beside = FIRST.contains(&reset) && usual < reset;
    (usual.abs_diff(reset) >= 2 || from_beside).then_some((usual, reset))
}

fn tell(
    by: Direction,
    (usual, reset): (u8, u8),
    why: Option<&'static str>,
    evidence: Option<Evidence>,
    out: &mut Findings<'_>,
) {
    let text = format!(
        "The RST in the name of the {} has TTL {reset}, and its other packets have {usual}: another box sent it.",
        name(by)
    );
    let mut found = out
        .add(Text::own(text))
        .confidence(sure((usual, reset)))
        .expected(Text::own(format!("TTL {usual}")))
        .found(Text::own(format!("TTL {reset}")));
    if let Some(why) = why {
        found = found.cause(why);
    }
    if let Some(packet) = evidence {
        found.evidence(packet);
    }
}

fn sure((usual, reset): (u8, u8)) -> Confidence {
    if steps(usual) == steps(reset) { Confidence::Possible } else { Confidence::Likely }
}

/// Routers on the way, if it began with the next of the usual values.
fn steps(ttl: u8) -> u8 {
    FIRST.into_iter().find(|first| *first >= ttl).map_or(0, |first| first - ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectState, Said, Silence};
    use crate::rules::ends::testing::*;
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, exchange, flow, run_flow, run_tried};

    fn reset(ttl: Option<(u8, u8)>) -> Exchange {
        let mut x = cut(SERVER, EndHow::Rst, 3_000);
        let transport = Transport { rst_ttl: ttl, ..Transport::default() };
        x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
        x
    }

    #[test]
    fn a_reset_over_another_way_is_found() {
        let found = run(&RULE, &reset(Some((52, 61))));
        assert!(words(&found[0].message).contains("has TTL 61, and its other packets have 52"));
        assert_eq!(found[0].confidence, Confidence::Likely);
        assert_eq!(
            run(&RULE, &reset(Some((60, 251))))[0].confidence,
            Confidence::Possible,
            "both are four routers away"
        );
    }

    fn upon_hello(ttl: Option<(u8, u8)>, unseen_at: Option<PacketRef>) -> FlowFacts {
        let (how, after, at) = (BrokenHow::Rst, HandshakeStep::ClientHello, PacketRef::new(0, 5));
        let transport = Some(Box::new(Transport { rst_ttl: ttl, ..Transport::default() }));
        let broken = Broken { transport, unseen_at, ..Broken::new(SERVER, how, after, (at, Default::default())) };
        let said = Said { broken: Some(Box::new(broken)), ..Said::default() };
        FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Established, 1) }
    }

    #[test]
    fn a_reset_upon_a_client_hello_that_another_box_sent_is_an_error() {
        let found = run_flow(&RULE, &upon_hello(Some((63, 64)), None));
        assert_eq!((found[0].severity, &found[0].causes[..]), (Severity::Error, &[BY_NAME.into()][..]));
        assert!(words(&found[0].message).contains("has TTL 64, and its other packets have 63"));
        let found = run_flow(&RULE, &upon_hello(None, Some(PacketRef::new(1, 1))));
        assert_eq!(found[0].confidence, Confidence::Certain);
        assert!(run_flow(&RULE, &upon_hello(None, None)).is_empty(), "the server's own");
        let gateway = exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        let found = run_tried(&RULE, gateway, vec![upon_hello(Some((63, 64)), None)], View::default());
        let said = words(&found[0].message);
        assert!(said.ends_with("another box sent it; and it answered its client 502."), "{said}");
    }

    #[test]
    fn behind_a_silence_the_box_may_have_forgotten_it() {
        let mut x = reset(Some((52, 61)));
        assert!(run(&RULE, &x)[0].causes.is_empty());
        let silence = Silence { length: Nanos::from_secs(3), ..Silence::default() };
        x.talk.iter_mut().for_each(|talk| talk.before_last = Some(silence));
        assert_eq!(run(&RULE, &x)[0].causes, [FORGOT]);
    }

    #[test]
    fn the_same_way_one_step_and_a_fin_are_not() {
        assert!(!fires(&RULE, &reset(None)) && !fires(&RULE, &reset(Some((52, 53)))));
        assert!(fires(&RULE, &reset(Some((63, 64)))), "from the next box, and the server is behind a router");
        assert!(!fires(&RULE, &reset(Some((64, 63)))));
        let mut fin = reset(Some((52, 61)));
        fin.end.tcp_how = EndHow::Fin;
        assert!(!fires(&RULE, &fin));
    }
}
