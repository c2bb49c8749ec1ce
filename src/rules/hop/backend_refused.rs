//! The backend refused the hop's TCP connection.

use crate::model::{ConnectState, FaultClass, Severity, Text};
use crate::rules::hop::tried::{failed, packets, say, times};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "backend-refused",
    severity: Severity::Error,
    title: "the backend refused the proxy's connection",
    about: "The hop tried to connect to its backend, and the SYN was answered by RST: nothing listens there. The \
        client got an error page of the hop for it, or nothing. No request reached a backend.",
    refs: &["RFC 9293 §3.5.2"],
    causes: &[
        "the backend is not running, or crashed",
        "the proxy's address or port of the backend is wrong",
        "the backend listens on another interface only (localhost)",
        "a firewall rejects the connection",
    ],
    fix: Some(FaultClass::Reach),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(failed) = failed(journey, |flow| flow.state == ConnectState::Refused) else { return };
    let did = format!(
        "tried {} to connect to {}, was refused with RST, and {}",
        times(failed.flows.len()),
        failed.servers(),
        failed.outcome()
    );
    let mut found = out
        .add(say(&failed, &did))
        .confidence(failed.confidence)
        .expected(Text::own("SYN and ACK"))
        .found(Text::own("RST"));
    if failed.is_remembered() {
        found = found.cause(MARKED_DOWN);
    }
    for evidence in failed.flows.iter().take(SHOWN).flat_map(|flow| packets(flow)) {
        found = found.evidence(evidence);
    }
    found.evidence(failed.answer());
}

const MARKED_DOWN: &str = "the proxy takes this backend for down since that try, and asks it not again for a while";

/// Tries whose packets are named.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Exchange};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, REFUSED, exchange, flow, granted, run_tried, words};

    const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";

    fn found(near: Exchange, state: ConnectState, tries: usize) -> Vec<crate::model::Finding> {
        run_tried(&RULE, near, vec![flow(state, 1); tries], View::default())
    }

    #[test]
    fn a_rst_to_the_hops_syn_is_found_once_for_all_tries() {
        let found = found(exchange(GOOD, Some(BAD_GATEWAY)), ConnectState::Refused, 4);
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        let message = words(&found[0].message);
        assert!(message.contains("tried 4 times to connect to 192.0.2.20:80"), "{message}");
        assert!(message.ends_with("and answered its client 502."), "{message}");
    }

    #[test]
    fn a_request_that_was_granted_or_refused_by_the_application_after_all_is_not() {
        assert!(found(exchange(GOOD, Some(&granted())), ConnectState::Refused, 1).is_empty());
        assert!(found(exchange(GOOD, Some(REFUSED)), ConnectState::Refused, 1).is_empty());
        assert!(found(exchange(GOOD, Some(BAD_GATEWAY)), ConnectState::Established, 1).is_empty());
    }
}
