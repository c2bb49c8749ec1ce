//! `idle-timeout-encrypted`.

use super::limit::matching;
use super::support::{FROM_SERVER, is_whole, spell};
use crate::base::Nanos;
use crate::model::{
    Confidence, ConnectState, EndHow, Evidence, FaultClass, FlowFacts, LimitKind, Sealed, Severity, Text, Wrapper,
};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "idle-timeout-encrypted",
    severity: Severity::Info,
    title: "a TLS connection that was not read was ended by its server after a silence",
    about: "The connection is encrypted and was not read, so whether a WebSocket ran inside is not known: an HTTP \
        connection that is kept alive ends like this too. But the server, or the proxy that ends TLS there, closed or \
        reset it by itself after nothing was sent for a while. Where a WebSocket of that name and time was cut, this \
        is when, by whom, and after what silence; known limits as long as that are named.\n\nWhere the client sent \
        records too short for a request behind one that is as long as a handshake and its answer, as WebSockets do and \
        HTTP kept alive does not, this is a warning: what was cut was most likely a tunnel, and it was not closed by a \
        Close frame, which would have come right before.\n\nOnly connections whose \
        client does not offer HTTP/2 are told: one that is opened for a WebSocket offers HTTP/1.1 alone, or nothing. \
        close_notify in the last segment says that TLS was ended in order, by who holds the keys; without it a box \
        below TLS, a crash or a hurry did it.\n\nGive the secrets by `--keylog` to know more.",
    refs: &["RFC 8446 §6.1", "RFC 6455 §5.5.2"],
    causes: &[
        "an idle limit of the server or of the proxy that ends TLS, and no Ping or message within it",
        "an HTTP connection without a WebSocket, which was kept alive long enough",
    ],
    fix: Some(FaultClass::Idle),
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Flow(check),
};

/// The shortest silence that is told: of one connection alone, and of several that were silent for as long, whole
/// seconds, or of one that was a tunnel.
const LEAST: [Nanos; 2] = [Nanos::from_secs(5), Nanos::from_secs(2)];

/// Whether a connection in TLS that was not read was ended by its server after a silence.
pub fn ended_idle(flow: &FlowFacts) -> bool {
    found(flow).is_some()
}

fn found(flow: &FlowFacts) -> Option<(&Sealed, Nanos)> {
    let said = flow.said.as_ref()?;
    let sealed = said.sealed.as_deref()?;
    let by_server = said.end.by == Some(FROM_SERVER) && flow.state != ConnectState::Midstream;
    let idle = said.end.idle_before.filter(|idle| *idle >= LEAST[1])?;
    // Something was asked and answered: what was never used is no tunnel.
    let used = sealed.sides.iter().all(|side| side.data().next().is_some());
    (by_server && used && !sealed.offers_h2()).then_some((sealed, idle))
}

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let Some((sealed, idle)) = found(flow) else { return };
    let Some(said) = &flow.said else { return };
    let times = seen.tunnels.sealed_after_idle(flow.server.ip, idle);
    let tunnel = sealed.talks_like_websocket();
    let again = times >= 2 && is_whole(idle);
    if idle < LEAST[0] && !again && !tunnel {
        return;
    }
    let name = said.via.iter().rev().find_map(|wrapper| match wrapper {
        Wrapper::Tls(tls) => tls.server_name.as_deref(),
        _ => None,
    });
    let did = if said.end.how == EndHow::Rst { "reset" } else { "closed" };
    let mut text = Text::own(format!("The server {} {did} this TLS connection", flow.server));
    if let Some(name) = name {
        text = text.say(" (for ").bytes(name).say(")");
    }
    let notified = match sealed.of(FROM_SERVER).last.and_then(|last| last.close_notify) {
        Some(true) => ", as its last segment's close_notify says in order",
        Some(false) => ", without a close_notify",
        None => "",
    };
    text = text.say(format!(" after {} without a byte{notified}.", spell(idle)));
    let limit = matching(seen, LimitKind::Idle, idle, None, true);
    if let Some(limit) = &limit {
        text = text.say(format!(" As long is {}.", limit.words()));
    }
    text = text.say(if tunnel {
        " By the lengths of its records a WebSocket ran inside, not HTTP kept alive, and it was cut without a Close frame"
    } else {
        " What ran inside is not known: a WebSocket that was cut looks like this, and so does HTTP kept alive"
    });
    let (severity, sure) = match tunnel {
        true if is_whole(idle) || limit.is_some() => (Severity::Warning, Confidence::Likely),
        true => (Severity::Warning, Confidence::Possible),
        false => (Severity::Info, Confidence::Possible),
    };
    let found = out.add(text).severity(severity).confidence(sure).found(Text::own(match times {
        0 | 1 => format!("{} without payload", spell(idle)),
        times => format!("{} without payload, {times} times at this host", spell(idle)),
    }));
    if let Some(at) = said.end.packet {
        found.evidence(Evidence { at, direction: Some(FROM_SERVER), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{Direction, End, Said, SealedRecord, SealedSegment, SealedSide, Tls};
    use crate::rules::ends::testing::known;
    use crate::rules::testing::{flow, run_flow, run_flow_seen, words};

    fn ended(by: Direction, idle_s: i64, offered: &[&[u8]]) -> FlowFacts {
        let record = SealedRecord { ts: Timestamp(0), bytes: 200, kind: 23 };
        let last = SealedSegment { ts: Timestamp(0), at: PacketRef::new(0, 9), bytes: 24, close_notify: Some(true) };
        let side = SealedSide { records: Box::new([record]), bytes: 700, last: Some(last) };
        let sealed = Sealed {
            alpn_offered: offered.iter().map(|&name| name.into()).collect(),
            sides: [side.clone(), side],
            transport: None,
        };
        let tls = Tls { server_name: Some(b"chat.example".as_slice().into()), ..Tls::default() };
        let end = End {
            by: Some(by),
            how: EndHow::Fin,
            packet: Some(PacketRef::new(0, 12)),
            idle_before: Some(Nanos::from_secs(idle_s)),
            ..End::default()
        };
        let said =
            Said { via: vec![Wrapper::Tls(Box::new(tls))], sealed: Some(Box::new(sealed)), end, ..Said::default() };
        FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Established, 1) }
    }

    #[test]
    fn a_silence_that_the_server_ended_is_told_with_what_is_not_known() {
        let found = run_flow_seen(&RULE, &ended(FROM_SERVER, 60, &[b"http/1.1"]), &known());
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Info, Confidence::Possible));
        let said = words(&found[0].message);
        for part in ["chat.example", "after 60 s without a byte", "close_notify", "quiet_limit", "is not known"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let odd = run_flow_seen(&RULE, &ended(FROM_SERVER, 47, &[]), &known());
        assert!(!words(&odd[0].message).contains("As long"), "no limit is as long");
    }

    #[test]
    fn clients_that_leave_short_silences_and_http_2_are_not_told() {
        for flow in [
            ended(Direction::ClientToServer, 60, &[]),
            ended(FROM_SERVER, 1, &[]),
            ended(FROM_SERVER, 60, &[b"h2", b"http/1.1"]),
        ] {
            assert!(run_flow(&RULE, &flow).is_empty() && !ended_idle(&flow));
        }
    }

    #[test]
    fn a_short_silence_is_told_where_it_came_again_after_whole_seconds() {
        let short = ended(FROM_SERVER, 3, &[]);
        let mut seen = known();
        seen.tunnels.learn_sealed(&short);
        assert!(run_flow_seen(&RULE, &short, &seen).is_empty());
        seen.tunnels.learn_sealed(&short);
        assert_eq!(run_flow_seen(&RULE, &short, &seen).len(), 1);
    }

    #[test]
    fn records_as_those_of_a_websocket_make_it_a_warning_with_a_fix() {
        let mut flow = ended(FROM_SERVER, 3, &[]);
        let record = |ms: i64, bytes| SealedRecord { ts: Timestamp(ms * 1_000_000), bytes, kind: 23 };
        let shape = |flow: &mut FlowFacts, client: &[SealedRecord], server: &[SealedRecord]| {
            if let Some(sealed) = flow.said.as_mut().and_then(|said| said.sealed.as_mut()) {
                sealed.sides[0].records = client.into();
                sealed.sides[1].records = server.into();
            }
        };
        shape(&mut flow, &[record(1, 69), record(2, 290), record(9, 30)], &[record(4, 282)]);
        let found = run_flow(&RULE, &flow);
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Warning, Confidence::Likely));
        assert!(words(&found[0].message).contains("By the lengths of its records a WebSocket ran inside"));
        // A body right behind its request's head, requests one after the other, an alert, and what is no handshake.
        for (client, server) in [
            (&[record(2, 290), record(2, 30)][..], &[record(4, 282)][..]),
            (&[record(2, 290), record(9, 290)], &[record(4, 282)]),
            (&[record(2, 290), record(9, 19)], &[record(4, 282)]),
            (&[record(2, 90), record(9, 30)], &[record(4, 282)]),
            (&[record(2, 290), record(9, 30)], &[record(4, 40)]),
        ] {
            shape(&mut flow, client, server);
            assert!(run_flow(&RULE, &flow).is_empty(), "{client:?} {server:?}");
        }
    }

    #[test]
    fn a_connection_that_never_carried_data_is_not_told() {
        let mut flow = ended(FROM_SERVER, 60, &[]);
        if let Some(sealed) = flow.said.as_mut().and_then(|said| said.sealed.as_mut()) {
            sealed.sides[1].records = Box::default();
        }
        assert!(run_flow(&RULE, &flow).is_empty());
    }
}
