//! `rst-injected`.

use super::support::{last_packet, name, tunnel};
use crate::base::Nanos;
use crate::model::{Confidence, Direction, EndHow, Evidence, Exchange, FlowFacts, Severity, Text, Transport};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rst-injected",
    severity: Severity::Warning,
    title: "the reset came from somewhere else than the side that it names",
    about: "The RST that ended this WebSocket, or came instead of an answer, has another TTL (hop limit) than all other packets of the side whose address \
        it bears: it came a way of another length, so a box on the path sent it in that side's name. Firewalls, intrusion \
        detection and some load balancers do that.\n\nA difference that two usual first values of TTL explain (64, 128, \
        255) may also be the same machine, and counts for less. A difference of one is told only where the RST came from \
        next to where it was captured, past no router, and the other packets did not.",
    refs: &["RFC 9293 §3.10.7", "RFC 791 §3.1"],
    causes: &["a firewall or intrusion detection on the path forbids the connection", FORGOT],
    fix: None,
    explains: &[Explains::Ended, Explains::Unanswered, Explains::Refused],
    symptom_of: &[],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: None },
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
    tell(by, ttl, silent, last_packet(x, by), out);
}

/// The same of a connection in TLS that was not read.
fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some((said, sealed)) = flow.said.as_ref().zip(flow.sealed()) else { return };
    // What else runs in TLS is of no interest.
    let reset = said.end.tcp_how == EndHow::Rst && sealed.talks_like_websocket();
    let Some(by) = said.end.tcp_by.filter(|_| reset) else { return };
    let Some(ttl) = sealed.transport.as_ref().and_then(|transport| foreign(transport)) else { return };
    let silent = said.end.idle_before.is_some_and(|idle| idle >= SILENT);
    let evidence = said.end.packet.map(|at| Evidence { at, direction: Some(by), bytes: None });
    tell(by, ttl, silent, evidence, out);
}

/// The usual TTL and that of a reset, where another box must have sent it.
fn foreign(transport: &Transport) -> Option<(u8, u8)> {
    let (usual, reset) = transport.rst_ttl?;
    // One more or less is a way that changed, unless no router at all was on it.
    let from_beside = FIRST.contains(&reset) && usual < reset;
    (usual.abs_diff(reset) >= 2 || from_beside).then_some((usual, reset))
}

fn tell(by: Direction, (usual, reset): (u8, u8), silent: bool, evidence: Option<Evidence>, out: &mut Findings<'_>) {
    let text = format!(
        "The RST in the name of the {} has TTL {reset}, and its other packets have {usual}: another box sent it.",
        name(by)
    );
    let mut found = out
        .add(Text::own(text))
        .confidence(if steps(usual) == steps(reset) { Confidence::Possible } else { Confidence::Likely })
        .expected(Text::own(format!("TTL {usual}")))
        .found(Text::own(format!("TTL {reset}")));
    if silent {
        found = found.cause(FORGOT);
    }
    if let Some(packet) = evidence {
        found.evidence(packet);
    }
}

/// Routers on the way, if it began with the next of the usual values.
fn steps(ttl: u8) -> u8 {
    FIRST.into_iter().find(|first| *first >= ttl).map_or(0, |first| first - ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Silence;
    use crate::rules::ends::testing::*;

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
