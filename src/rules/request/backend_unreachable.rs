//! Nobody answered the SYN.

use super::syn_lost::taken_meanwhile;
use super::{syn_rejected, turned};
use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Confidence, ConnectState, Direction, Evidence, FaultClass, FlowFacts, Severity, Text};
use crate::rules::hop::tried::{failed, overcome, say};
use crate::rules::icmp::{evidence, said_of, tell};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "backend-unreachable",
    severity: Severity::Error,
    title: "nobody answered the TCP connection",
    about: "The SYN was sent again and again and no answer came: the host is down, a firewall drops the \
        packets, or the route leads nowhere. A proxy in this place answers its client with 502, 503 or 504.\n\n\
        On one leg alone it is a warning, because a capture that sees one direction only looks the same. Where it is \
        a proxy that tried, and its client's request got an error for it, it is an error, and a note only where the proxy \
        got the request through elsewhere.",
    refs: &["RFC 9293 §3.8.3"],
    causes: &[
        "the host is down or its address is wrong",
        "a firewall or security group drops the packets",
        "a router or firewall says that it cannot be reached (ICMP)",
        "the capture shows only one direction",
    ],
    fix: Some(FaultClass::Reach),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Several { exchange: None, flow: Some(check), chain: Some(check_chain) },
};

/// Behind what was sent in vain.
const LOST: &str =
    "and at another place of capture, nearer its server, it was answered: the SYN-ACK was lost between the two.";

const BETWEEN: &str = "a firewall between the two places of capture drops the server's SYN-ACK, as one does that sees only half \
    of the connection (asymmetric routing)";

const UNSEEN: &str = "and another place of capture, nearer its server, which saw the two hosts speak, saw none of them: they were lost \
    between the two.";

const DROPPED: &str = "a firewall or router between the two places of capture drops the client's SYN";

const UP: &str = "the host is up, as it took a connection at another port about then: a firewall drops what goes to this port \
    (security groups, network policies), or the queue of its listener is full";

const OTHERS: &str = "the server takes other connections meanwhile, so packets of this one are dropped: a limit of a firewall, an \
    address translation without a free port, a broken path among several, or the server's full queue";

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    // One SYN at the end of a capture may yet be answered behind it.
    let told = flow.rejected.as_ref();
    if flow.state != ConnectState::Unanswered || flow.syns < 2 && told.is_none() || syn_rejected::told(flow).is_some() {
        return;
    }
    if let Some(told) = told {
        let text = turned::say(said_of(flow, told, "says by ICMP that it cannot be reached"), flow, seen);
        tell(out, flow, told, text, turned::severity(flow, seen)).confidence(Confidence::Likely);
        return;
    }
    if let Some((elsewhere, why, at)) = elsewhere(flow) {
        let said = format!("{} sent {} SYNs to {}, got no answer, {elsewhere}", flow.client, flow.syns, flow.server);
        let told = out.add(turned::say(Text::own(said), flow, seen)).confidence(Confidence::Likely).cause(why);
        told.expected(Text::own("SYN and ACK"))
            .found(Text::own("nothing"))
            .evidence(Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None })
            .evidence(Evidence { at, direction: Some(Direction::ClientToServer), bytes: None });
        return;
    }
    if taken_meanwhile(flow, seen).is_some() {
        return;
    }
    let serves = seen.granted_at(flow.server).next().is_some();
    let said = format!("{} sent {} SYNs to {} and got no answer.", flow.client, flow.syns, flow.server);
    let found = out
        .add(turned::say(Text::own(said), flow, seen))
        .severity(Severity::Warning)
        .confidence(Confidence::Possible)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("nothing"))
        .evidence(Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None });
    if serves {
        found.cause(OTHERS);
    } else if other_port(flow, seen).is_some() {
        found.cause(UP);
    }
}

/// What another place of capture shows of it, why that is so, and a packet there. `None`: nothing.
fn elsewhere(flow: &FlowFacts) -> Option<(&'static str, &'static str, PacketRef)> {
    let answered = flow.answered_at.map(|at| (LOST, BETWEEN, at));
    answered.or_else(|| flow.unseen_at.map(|at| (UNSEEN, DROPPED, at)))
}

/// Another port at which the server's host took an upgrade about then.
pub(in crate::rules) fn other_port(flow: &FlowFacts, seen: &Seen) -> Option<u16> {
    let near = |at: Timestamp| at.0.abs_diff(flow.syn_at.0) <= ABOUT.0.unsigned_abs();
    let mut others = seen.attempts().take(limits::SEEN_COMPARED).filter(|a| a.granted && near(a.at));
    others.find(|a| a.server == flow.server.ip && a.server_port != flow.server.port).map(|a| a.server_port)
}

const ABOUT: Nanos = Nanos::from_secs(60);

/// So soon no proxy gives up by itself.
const SOON: Nanos = Nanos::from_millis(100);

/// A hop that tried in vain, and the answer that its client got for it.
fn check_chain(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let silent = |flow: &FlowFacts| flow.state == ConnectState::Unanswered && syn_rejected::told(flow).is_none();
    if let Some(tried) = overcome(journey, silent) {
        let did = format!("got no answer from {}, and another server took the request", tried.servers());
        let mut found = out
            .add(say(&tried, &did))
            .severity(Severity::Info)
            .confidence(tried.confidence.min(Confidence::Likely))
            .expected(Text::own("SYN and ACK"))
            .found(Text::own("nothing"));
        for flow in tried.flows.iter().take(4) {
            found = found.evidence(Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None });
        }
        return;
    }
    let Some(failed) = failed(journey, silent) else { return };
    let told = failed.flows.iter().find_map(|flow| Some((flow.rejected?, flow.client.ip, flow.server.ip)));
    let elsewhere = failed.flows.iter().find_map(|flow| elsewhere(flow)).filter(|_| told.is_none());
    let syns: u32 = failed.flows.iter().map(|flow| flow.syns).sum();
    let did = match failed.flows.as_slice() {
        _ if let Some((told, client, server)) = &told => format!(
            "asked {} for a connection, was told by {} by ICMP that it cannot be reached ({}), and {}",
            failed.servers(),
            told.who(*client, *server),
            told.why.name(),
            failed.outcome()
        ),
        [flow] if syns < 2 => {
            let told = failed.leg.x.response.as_ref().map(|answer| answer.first.since(flow.syn_at));
            match told {
                // Nothing else ends a try so soon; what it is told by need not be captured.
                Some(told) if told <= SOON => format!(
                    "sent a SYN to {}, gave up at once, as upon an ICMP message that it cannot be reached, and {}",
                    failed.servers(),
                    failed.outcome()
                ),
                // Of one that gives up before it sends a second one its answer says as much.
                Some(told) if failed.leg.x.status() == Some(504) => format!(
                    "sent a SYN to {}, got no answer for {:.1} s, and {}",
                    failed.servers(),
                    told.as_secs_f64(),
                    failed.outcome()
                ),
                _ => return,
            }
        }
        _ => format!("sent {syns} SYNs to {}, got no answer, and {}", failed.servers(), failed.outcome()),
    };
    let did = match elsewhere {
        Some((elsewhere, ..)) => format!("{did}; {}", elsewhere.trim_end_matches('.')),
        None => did,
    };
    let mut found = out
        .add(say(&failed, &did))
        .severity(if failed.decides { Severity::Error } else { Severity::Warning })
        .confidence(failed.confidence.min(Confidence::Likely))
        .expected(Text::own("SYN and ACK"))
        .found(Text::own(told.map_or("nothing".to_owned(), |(told, ..)| format!("ICMP {}", told.why.name()))));
    if let Some((told, _, server)) = told {
        found = found.cause(told.cause(server));
    }
    for flow in failed.flows.iter().take(4) {
        let syn = Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None };
        let packets = flow.rejected.map_or(vec![syn.clone()], |told| evidence(flow, &told).into());
        found = packets.into_iter().fold(found, |found, packet| found.evidence(packet));
    }
    if let Some((_, why, at)) = elsewhere {
        found = found.cause(why).evidence(Evidence { at, direction: Some(Direction::ClientToServer), bytes: None });
    } else if told.is_none() && failed.flows.iter().any(|flow| other_port(flow, seen).is_some()) {
        found = found.cause(UP);
    }
    found.evidence(failed.answer());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, exchange, flow, granted, run_flow, run_tried, words};

    #[test]
    fn behind_a_hop_that_gave_up_it_is_an_error() {
        let gateway = "HTTP/1.1 504 Gateway Time-out\r\n\r\n";
        let tries = || vec![flow(ConnectState::Unanswered, 3)];
        let found = run_tried(&RULE, exchange(GOOD, Some(gateway)), tries(), View::default());
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Likely));
        assert!(words(&found[0].message).contains("sent 3 SYNs to 192.0.2.20:80, got no answer, and answered"));
        assert!(run_tried(&RULE, exchange(GOOD, Some(&granted())), tries(), View::default()).is_empty());
    }

    #[test]
    fn of_one_syn_the_answer_and_its_time_tell() {
        let one = || flow(ConnectState::Unanswered, 1);
        let told = |status: &str, ms: i64| {
            let answer = format!("HTTP/1.1 {status}\r\n\r\n");
            let near = exchange(GOOD, Some(&answer)).with(|x| {
                x.response.iter_mut().for_each(|head| head.first = one().syn_at + Nanos::from_millis(ms));
            });
            run_tried(&RULE, near, vec![one()], View::default()).first().map(|found| words(&found.message))
        };
        let at_once = told("502 Bad Gateway", 5).unwrap_or_default();
        assert!(at_once.contains("sent a SYN to 192.0.2.20:80, gave up at once, as upon an ICMP"), "{at_once}");
        let late = told("504 Gateway Time-out", 1_000).unwrap_or_default();
        assert!(
            late.contains("sent a SYN to 192.0.2.20:80, got no answer for 1.0 s, and answered its client 504"),
            "{late}"
        );
        assert_eq!(told("502 Bad Gateway", 1_000), None);
    }

    #[test]
    fn repeated_syns_without_an_answer_are_a_warning() {
        let found = run_flow(&RULE, &flow(ConnectState::Unanswered, 4));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Warning, Confidence::Possible));
        assert!(found[0].causes.is_empty());
        let silent = flow(ConnectState::Unanswered, 4);
        let other = exchange(GOOD, Some(&granted()))
            .with(|x| (x.server.ip, x.server.port) = (silent.server.ip, silent.server.port))
            .with(|x| x.request.first = silent.syn_at - Nanos::from_secs(20));
        let mut seen = Seen::default();
        seen.learn(&other, true);
        assert_eq!(crate::rules::testing::run_flow_seen(&RULE, &silent, &seen)[0].causes, [OTHERS]);
    }

    #[test]
    fn a_host_that_takes_connections_at_another_port_is_up() {
        let silent = flow(ConnectState::Unanswered, 4);
        let causes = |port: u16, before_s: i64| {
            let other = exchange(GOOD, Some(&granted()))
                .with(|x| (x.server.ip, x.server.port) = (silent.server.ip, port))
                .with(|x| x.request.first = silent.syn_at - Nanos::from_secs(before_s));
            let mut seen = Seen::default();
            seen.learn(&other, true);
            crate::rules::testing::run_flow_seen(&RULE, &silent, &seen)[0].causes.clone()
        };
        assert_eq!(causes(silent.server.port + 1, 20), [UP]);
        assert!(causes(silent.server.port + 1, 100).is_empty(), "long before");
    }

    #[test]
    fn syns_that_another_place_did_not_see_were_lost_between() {
        let unseen = || FlowFacts { unseen_at: Some(PacketRef::new(1, 7)), ..flow(ConnectState::Unanswered, 4) };
        let found = run_flow(&RULE, &unseen());
        assert_eq!((found[0].severity, &found[0].causes[..]), (Severity::Error, &[DROPPED.into()][..]));
        let gateway = exchange(GOOD, Some("HTTP/1.1 504 Gateway Time-out\r\n\r\n"));
        let found = run_tried(&RULE, gateway, vec![unseen()], View::default());
        let said = words(&found[0].message);
        assert!(
            said.ends_with("which saw the two hosts speak, saw none of them: they were lost between the two."),
            "{said}"
        );
        assert_eq!(found[0].causes, [DROPPED]);
    }

    #[test]
    fn one_syn_or_a_refusal_is_not() {
        assert!(run_flow(&RULE, &flow(ConnectState::Unanswered, 1)).is_empty());
        assert!(run_flow(&RULE, &flow(ConnectState::Refused, 4)).is_empty());
    }
}
