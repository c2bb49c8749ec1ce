//! SYNs that get no answer from a server which answers others meanwhile.

use crate::base::{Nanos, Timestamp};
use crate::model::{Confidence, ConnectState, Direction, Evidence, FlowFacts, Severity, Text};
use crate::rules::seen::Attempt;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "syn-lost",
    severity: Severity::Warning,
    title: "the TCP connection was not answered, while others to the same server were",
    about: "The SYN was sent again and again and no answer came, but connections to the same address and port that were \
        opened in between, or within a second before and behind, were answered, and granted their upgrade. So the server \
        is up and reachable, and its queue not full: what is between drops packets of some connections, by their addresses or ports.",
    refs: &["RFC 9293 §3.8.3"],
    causes: &[
        "one of several paths is dead: links or routers that share the load by address and port (ECMP, a bond)",
        "an address translation or a balancer has no free port or slot for it",
        "a limit for each client in a firewall, or at the server itself (connlimit, SYN rate)",
    ],
    fix: None,
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Flow(check),
};

/// Right before and behind the SYNs: no server is down, or its queue full, for so short a time.
const NEAR: Nanos = Nanos::from_secs(1);

fn check(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    if flow.state != ConnectState::Unanswered || flow.syns < 2 || flow.rejected.is_some() {
        return;
    }
    let Some(other) = taken_meanwhile(flow, seen) else { return };
    out.add(
        Text::own(format!("{} sent {} SYNs to {} and got no answer; others ", flow.client, flow.syns, flow.server))
            .say("that were opened about then got one (")
            .packets([other.packet])
            .say("): what is between drops some connections."),
    )
    .confidence(Confidence::Likely)
    .expected(Text::own("SYN and ACK"))
    .found(Text::own("nothing"))
    .evidence(Evidence { at: flow.syn, direction: Some(Direction::ClientToServer), bytes: None });
}

/// An upgrade that this server granted and that began between this connection's SYNs, or, where others did right before and right behind them, the
/// one behind. `None`: there was none.
pub(super) fn taken_meanwhile<'s>(flow: &FlowFacts, seen: &'s Seen) -> Option<&'s Attempt> {
    // Each SYN comes twice as long after the one before (RFC 6298 §5.5), the second one second after the first.
    let seconds = (1_i64 << flow.syns.saturating_sub(1).min(8)) - 1;
    let until = flow.syn_at + Nanos::from_secs(seconds);
    let began = |from: Timestamp, to: Timestamp| seen.granted_at(flow.server).find(|a| (from..=to).contains(&a.at));
    began(flow.syn_at, until).or_else(|| {
        began(flow.syn_at - NEAR, flow.syn_at)?;
        began(until, until + NEAR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, flow, granted, run_flow_seen, words};

    #[test]
    fn a_server_that_takes_others_in_between_is_not_to_blame() {
        let silent = flow(ConnectState::Unanswered, 2);
        let told_of = |others: &[i64], port: u16| {
            let mut seen = Seen::default();
            for later in others {
                let x = exchange(GOOD, Some(&granted())).with(|x| {
                    x.request.first = silent.syn_at + Nanos::from_millis(*later);
                    (x.server.ip, x.server.port) = (silent.server.ip, port);
                });
                seen.learn(&x, false);
            }
            run_flow_seen(&RULE, &silent, &seen).first().map(|found| words(&found.message))
        };
        let port = silent.server.port;
        let told = |later: i64, port: u16| told_of(&[later], port);
        let found = told(400, port).unwrap_or_default();
        assert!(found.contains("others that were opened about then got one (packet"), "{found}");
        assert_eq!(told(1_400, port), None, "later");
        assert_eq!(told(-400, port), None, "before");
        assert!(told_of(&[-400, 1_400], port).is_some(), "before and behind");
        assert_eq!(told(400, port + 1), None, "another port");
    }
}
